"""Absolute moments of an activation under a Gaussian, as logarithms, since those of exp are soon out of range."""

from __future__ import annotations

from math import log, pi

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

from underdetermined.activations import Activation

FloatArray = NDArray[np.float64]

_REAL_POWERS = 1.0 + np.geomspace(0.02, 60.0, 40)
_LARGEST_DEGREE = 80
_BLOCK = 2**18


def has_moments(activation: Activation) -> bool:
    """Whether the facts of an activation bound its moments.

    Parameters
    ----------
    activation : Activation
        The activation.

    Returns
    -------
    bool
    """
    known = (activation.bound, activation.lipschitz, activation.homogeneous)
    return any(fact is not None for fact in known) or _is(activation, "exp", "hermite")


def moment_powers(activation: Activation) -> FloatArray:
    """Powers p for which `log_norms` knows the norm of order 2 p: the grid over which bounds are optimised.

    Parameters
    ----------
    activation : Activation
        The activation.

    Returns
    -------
    ndarray
        All above 1; integers for a polynomial without other facts.
    """
    if not _is_polynomial(activation):
        return _REAL_POWERS
    degree = len(activation.parameters) - 1
    return np.arange(2.0, max(4, _LARGEST_DEGREE // (2 * degree)) + 1.0)


def log_norms(activation: Activation, variances: FloatArray, order: float) -> FloatArray:
    """Logarithm of an upper bound of ``(E |f(sqrt(s) g)|^q)^(1/q)``, g ~ N(0, 1), for several variances s.

    exp: q s / 2. Homogeneous of degree h: ``((|f(1)|^q + |f(-1)|^q) / 2 E|g|^(h q))^(1/q) s^(h/2)``. Polynomials, for even
    q: the trapezoidal rule, whose error is below rounding. Bounded: the bound. Lipschitz, by Minkowski's inequality:
    ``|f(0)| + L sqrt(s) (E |g|^q)^(1/q)``. The first three are equalities; otherwise the smaller of the last two.

    Parameters
    ----------
    activation : Activation
        One that `has_moments`.
    variances : ndarray of shape (n,)
        Variances s, at least 0.
    order : float
        q, at least 2; even for a polynomial.

    Returns
    -------
    ndarray of shape (n,)
        -inf where f vanishes.

    Raises
    ------
    ValueError
        If nothing is known of the moments.
    """
    at_zero, right, left = (abs(float(value)) for value in activation.value(np.array([0.0, 1.0, -1.0])))
    with np.errstate(divide="ignore"):
        log_variance = np.log(variances)
        if activation.homogeneous is not None:
            degree = activation.homogeneous
            sides = (np.logaddexp(order * np.log(right), order * np.log(left)) - log(2.0)) / order
            size = sides + _log_gaussian_moment(degree * order) / order
            spread = 0.5 * degree * log_variance if degree else np.zeros_like(variances)
            return np.where(variances > 0.0, size + spread, np.log(at_zero))
        if _is(activation, "exp"):
            return 0.5 * order * variances
        if _is_polynomial(activation):
            distinct, place = np.unique(variances, return_inverse=True)
            return _polynomial_log_norms(activation, distinct, order)[place]
        bounds = []
        if activation.bound is not None:
            bounds.append(np.full(variances.shape, np.log(activation.bound)))
        if activation.lipschitz is not None:
            slope = np.log(activation.lipschitz) + 0.5 * log_variance + _log_gaussian_moment(order) / order
            bounds.append(np.logaddexp(np.log(at_zero), slope))
    if not bounds:
        raise ValueError(f"nothing bounds the moments of activation {activation.name!r}: declare its bound or lipschitz")
    return np.min(bounds, axis=0)


def _is(activation: Activation, *names: str) -> bool:
    """Whether it is a catalogue activation of one of these names."""
    return activation.function is None and activation.name in names


def _is_polynomial(activation: Activation) -> bool:
    return _is(activation, "hermite") and activation.homogeneous is None


def _log_gaussian_moment(order: float) -> float:
    """log E |g|^order."""
    return float(0.5 * order * log(2.0) + gammaln(0.5 * (order + 1.0)) - 0.5 * log(pi))


def _polynomial_log_norms(activation: Activation, variances: FloatArray, order: float) -> FloatArray:
    """Norms of a polynomial, for an even order.

    The integrand is a polynomial P of degree N times the Gaussian. Its Fourier transform at w is at most
    ``|P| P(Poisson(w^2) <= N)^(1/2)``, so that a step of pi / sqrt(N) leaves an error that falls exponentially in N.
    """
    degree = (len(activation.parameters) - 1) * order
    step = min(0.1, pi * degree**-0.5)
    end = degree**0.5 + 12.0
    points = step * np.arange(-np.ceil(end / step), np.ceil(end / step) + 1.0)
    density = -0.5 * points * points + log(step) - 0.5 * log(2.0 * pi)
    result = np.empty(variances.size)
    height = max(1, _BLOCK // points.size)
    for start in range(0, variances.size, height):
        part = slice(start, start + height)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            values = np.abs(activation.value(np.sqrt(variances[part, np.newaxis]) * points))
            # A value out of range makes the bound infinite, which is true and of no use.
            logs = np.where(np.isfinite(values), np.log(values), np.inf)
            result[part] = logsumexp(order * logs + density, axis=1) / order
    return result
