"""Learning rates: the largest stable one, the best one, and what conjugate gradients guarantee."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._validation import as_float, check_finite, check_number
from underdetermined.descent._modes import METHODS, WITH_MOMENTUM
from underdetermined.spectrum import Spectrum

FloatArray = NDArray[np.float64]
_LARGEST_STEP = 2.0**53


def check_method(method: str) -> str:
    """Refuse a method without a closed form.

    Parameters
    ----------
    method : str
        Name to check.

    Returns
    -------
    str
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r} is unknown: choose one of {', '.join(map(repr, METHODS))}")
    return method


def check_momentum(momentum: float, method: str) -> float:
    """Refuse a momentum outside [0, 1), and any but zero for a method that has none.

    Parameters
    ----------
    momentum : float
        beta.
    method : str
        One of `METHODS`.

    Returns
    -------
    float
    """
    beta = check_number(momentum, "momentum", high=1.0)
    if beta and check_method(method) not in WITH_MOMENTUM:
        raise ValueError(f"momentum={momentum!r} has no effect on {method!r}: use method='heavy_ball' or 'nesterov'")
    return beta


def check_steps(steps: ArrayLike, *, whole: bool) -> FloatArray:
    """Numbers of steps as float64, in the shape given.

    Parameters
    ----------
    steps : array_like of shape () or (s,)
        Numbers >= 0.
    whole : bool
        Whether only whole numbers up to 2^53 have a meaning; any time >= 0 otherwise.

    Returns
    -------
    ndarray of the same shape
    """
    result = np.asarray(as_float(steps, "steps"), dtype=np.float64)
    if result.ndim > 1:
        raise ValueError(f"steps has {result.ndim} dimensions: pass one number of steps or a vector of them")
    check_finite(result, "steps")
    least = float(result.min(initial=0.0))
    if least < 0.0:
        raise ValueError(f"steps has the negative entry {least:g}: training starts at step 0")
    if whole and ((result != np.floor(result)).any() or result.max(initial=0.0) > _LARGEST_STEP):
        raise ValueError("steps must be whole numbers of at most 2**53; only method='gradient_flow' has times between steps")
    return result


def extremes(spectrum: Spectrum) -> tuple[float, float]:
    """Smallest and largest resolved eigenvalue; both zero where none is.

    Parameters
    ----------
    spectrum : Spectrum
        Spectrum of a Gram matrix.

    Returns
    -------
    tuple of two float
    """
    resolved = spectrum.resolved
    resolved = resolved[resolved > 0.0]
    return (float(resolved.min()), float(resolved.max())) if resolved.size else (0.0, 0.0)


def max_learning_rate(spectrum: Spectrum, method: str = "gradient_descent", momentum: float | None = None) -> float:
    """Largest learning rate at which no part of the residual grows.

    2 / lambda_max for gradient descent, 2 (1 + beta) / lambda_max for heavy ball and
    2 (1 + beta) / ((1 + 2 beta) lambda_max) for Nesterov's method: beyond it a root of the recurrence along the leading
    eigenvector passes -1. At the rate itself that part of the residual no longer decays, so stay below.

    Parameters
    ----------
    spectrum : Spectrum
        Spectrum of the Gram matrix.
    method : {"gradient_descent", "gradient_flow", "heavy_ball", "nesterov"}, default="gradient_descent"
        Method.
    momentum : float or None, default=None
        beta in [0, 1); None takes `optimal_momentum`.

    Returns
    -------
    float
        inf for gradient flow, and where no eigenvalue is resolved.

    Raises
    ------
    TypeError, ValueError
        If the method is unknown or the momentum out of range.

    References
    ----------
    Polyak, Some methods of speeding up the convergence of iteration methods, 1964, for heavy ball; for both, Lessard, Recht
    and Packard, Analysis and design of optimization algorithms via integral quadratic constraints, 2016, section 2.2.

    Examples
    --------
    >>> from underdetermined.descent import max_learning_rate
    >>> from underdetermined.spectrum import Spectrum
    >>> max_learning_rate(Spectrum.from_gram([[4.0, 0.0], [0.0, 1.0]]))
    0.5
    """
    beta = _momentum(spectrum, method, momentum)
    largest = extremes(spectrum)[1]
    if method == "gradient_flow" or largest == 0.0:
        return np.inf
    return 2.0 * (1.0 + beta) / ((1.0 + 2.0 * beta if method == "nesterov" else 1.0) * largest)


def optimal_learning_rate(spectrum: Spectrum, method: str = "gradient_descent", momentum: float | None = None) -> float:
    """Learning rate of fastest decay in the slowest direction.

    With L and l the largest and the smallest resolved eigenvalue: 2 / (L + l) for gradient descent, 2 (1 + beta) / (L + l)
    for heavy ball, 1 / L for Nesterov's method.

    Parameters
    ----------
    spectrum : Spectrum
        Spectrum of the Gram matrix.
    method : {"gradient_descent", "gradient_flow", "heavy_ball", "nesterov"}, default="gradient_descent"
        Method; for gradient flow, which has no best rate, that of gradient descent, so that the curves can be compared.
    momentum : float or None, default=None
        beta in [0, 1); None takes `optimal_momentum`.

    Returns
    -------
    float
        1.0 where no eigenvalue is resolved, as no rate matters.

    Raises
    ------
    TypeError, ValueError
        If the method is unknown or the momentum out of range.

    Notes
    -----
    The rates of gradient descent and heavy ball minimise the largest asymptotic factor per step over all resolved
    eigenvalues, for any given momentum; with `optimal_momentum` heavy ball has 4 / (sqrt(L) + sqrt(l))^2, the best pair. Its
    residual along the leading eigenvectors grows at first, by a factor of up to about sqrt(L / l), before it decays. The
    rate of Nesterov's method is the usual one, to which its momentum is optimal; the pair of smallest asymptotic
    factor is rate 4 / (3 L + l), momentum (r - 2) / (r + 2) with r = sqrt(3 L / l + 1).

    References
    ----------
    Lessard, Recht and Packard, Analysis and design of optimization algorithms via integral quadratic constraints, 2016,
    proposition 1.

    Examples
    --------
    >>> from underdetermined.descent import optimal_learning_rate
    >>> from underdetermined.spectrum import Spectrum
    >>> optimal_learning_rate(Spectrum.from_gram([[4.0, 0.0], [0.0, 1.0]]))
    0.4
    """
    beta = _momentum(spectrum, method, momentum)
    smallest, largest = extremes(spectrum)
    if largest == 0.0:
        return 1.0
    return 1.0 / largest if method == "nesterov" else 2.0 * (1.0 + beta) / (largest + smallest)


def optimal_momentum(spectrum: Spectrum, method: str) -> float:
    """Momentum of fastest decay in the slowest direction, at `optimal_learning_rate`.

    With r the square root of the ratio of the largest to the smallest resolved eigenvalue: ((r - 1) / (r + 1))^2 for heavy
    ball, (r - 1) / (r + 1) for Nesterov's method, 0 for the others.

    Parameters
    ----------
    spectrum : Spectrum
        Spectrum of the Gram matrix.
    method : {"gradient_descent", "gradient_flow", "heavy_ball", "nesterov"}
        Method.

    Returns
    -------
    float
        beta in [0, 1).

    Raises
    ------
    ValueError
        If the method is unknown.

    Examples
    --------
    >>> from underdetermined.descent import optimal_momentum
    >>> from underdetermined.spectrum import Spectrum
    >>> round(optimal_momentum(Spectrum.from_gram([[4.0, 0.0], [0.0, 1.0]]), "heavy_ball"), 4)
    0.1111
    """
    smallest, largest = extremes(spectrum)
    if check_method(method) not in WITH_MOMENTUM or largest == 0.0:
        return 0.0
    low, high = np.sqrt(smallest), np.sqrt(largest)
    return float((high - low) / (high + low)) ** (2 if method == "heavy_ball" else 1)


def _momentum(spectrum: Spectrum, method: str, momentum: float | None) -> float:
    check_method(method)
    return optimal_momentum(spectrum, method) if momentum is None else check_momentum(momentum, method)


def cg_bound(spectrum: Spectrum, steps: ArrayLike) -> Any:
    """Bound on the error of conjugate gradients after t steps, by Chebyshev polynomials.

    ``|e_t|_K <= |e_0|_K / T_t((c + 1) / (c - 1)) <= 2 ((sqrt(c) - 1) / (sqrt(c) + 1))^t |e_0|_K`` with c the ratio of the
    largest to the smallest resolved eigenvalue; the first bound is returned.

    Parameters
    ----------
    spectrum : Spectrum
        Spectrum of the Gram matrix K.
    steps : array_like of int, shape () or (s,)
        Numbers of steps t >= 0.

    Returns
    -------
    float or ndarray of shape (s,)
        Bound on |e_t|_K / |e_0|_K, e_t the error of the solution of K a = y and |e|_K^2 = e.T K e: in terms of residuals
        r_t = K e_t, on sqrt(r_t.T K^-1 r_t) relative to step 0. Zero after a step if all resolved eigenvalues agree.

    Raises
    ------
    TypeError, ValueError
        If a number of steps is not a whole number >= 0.

    Notes
    -----
    For targets in the span of the resolved eigenvectors, started from zero, in exact arithmetic; rounding delays
    conjugate gradients, though not below this bound in practice, until the error reaches the last digits.

    References
    ----------
    Saad, Iterative methods for sparse linear systems, 2nd edition, 2003, section 6.11.3.

    Examples
    --------
    >>> from underdetermined.descent import cg_bound
    >>> from underdetermined.spectrum import Spectrum
    >>> cg_bound(Spectrum.from_gram([[4.0, 0.0], [0.0, 1.0]]), [0, 1]).round(2)
    array([1. , 0.6])
    """
    times = check_steps(steps, whole=True)
    smallest, largest = extremes(spectrum)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = 2.0 * np.arctanh(np.sqrt(smallest / largest)) if largest > 0.0 else np.inf
        power = np.exp(-np.where(times == 0.0, 0.0, rate * times))
    # 1 / cosh, written so that it cannot overflow.
    bound = 2.0 * power / (1.0 + power**2)
    return bound if times.ndim else float(bound)
