"""First-order training of an objective with a constant step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._validation import as_float, check_finite, check_number
from underdetermined.objectives import Objective
from underdetermined.solution import Status, Trajectory

__all__ = ["METHODS", "gradient_descent"]

FloatArray = NDArray[np.float64]

METHODS = ("gradient_descent", "heavy_ball", "nesterov")


def gradient_descent(
    objective: Objective,
    theta: ArrayLike,
    *,
    learning_rate: float,
    max_iter: int,
    tol: float = 0.0,
    method: str = "gradient_descent",
    momentum: float = 0.0,
    callback: Callable[[int, FloatArray], object] | None = None,
) -> Trajectory:
    """Train by gradient descent, heavy ball or Nesterov's method.

    With g the gradient, eta the learning rate, beta the momentum and d_t = theta_t - theta_{t-1}, d_0 = 0:

    - ``gradient_descent``: theta_{t+1} = theta_t - eta g(theta_t);
    - ``heavy_ball``: theta_{t+1} = theta_t - eta g(theta_t) + beta d_t;
    - ``nesterov``: theta_{t+1} = theta_t + beta d_t - eta g(theta_t + beta d_t).

    Parameters
    ----------
    objective : Objective
        Loss to minimise.
    theta : array_like of shape (p,)
        Parameters to start from; not written to.
    learning_rate : float
        eta, greater than 0. It refers to the loss as the objective defines it; see `max_learning_rate` for least squares.
    max_iter : int
        Largest number of steps, at least 0.
    tol : float, default=0.0
        Training stops where |g(theta_t)| <= tol, at least 0.
    method : {"gradient_descent", "heavy_ball", "nesterov"}, default="gradient_descent"
        Method.
    momentum : float, default=0.0
        beta in [0, 1); zero for gradient descent.
    callback : callable or None, default=None
        Called as ``callback(t, theta_t)`` at every step t, the start included, with a read-only array that stays as it is.

    Returns
    -------
    Trajectory
        Loss and gradient norm at every theta_t. Its status is CONVERGED, MAX_ITER, or DIVERGED where the loss, its gradient
        or the parameters overflowed: theta is then the last one before.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, or the loss is not finite at the start.

    Notes
    -----
    One loss and one gradient for each step; with ``nesterov`` a second gradient, at theta_t + beta d_t. Neither warns nor
    prints. Memory of about five vectors of parameters.

    References
    ----------
    Polyak, 1964; Nesterov, 1983; forecast in closed form by `underdetermined.descent.DescentForecast`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.objectives import LeastSquares
    >>> from underdetermined.optimize import gradient_descent
    >>> gradient_descent(LeastSquares([[1.0, 2.0]], [5.0]), np.zeros(2), learning_rate=0.2, max_iter=10).theta
    array([1., 2.])
    """
    current = _check_start(theta, objective.n_parameters)
    rate, beta = check_number(learning_rate, "learning_rate", low_open=True), _check_momentum(momentum, method)
    tol = check_number(tol, "tol")
    if isinstance(max_iter, bool) or not isinstance(max_iter, (int, np.integer)) or max_iter < 0:
        raise ValueError(f"max_iter={max_iter!r} is not a number of steps: pass an integer >= 0")
    value, gradient = _evaluate(objective, current)
    if not _is_finite(value, gradient):
        raise ValueError("the loss or its gradient is not finite at theta: start from smaller parameters")
    values, norms, previous = [value], [_norm(gradient)], current
    status, ahead = Status.MAX_ITER, beta > 0.0 and method == "nesterov"
    while True:
        if callback is not None:
            callback(len(values) - 1, current)
        if norms[-1] <= tol:
            status = Status.CONVERGED
            break
        if len(values) > max_iter:
            break
        with np.errstate(over="ignore", invalid="ignore"):
            start = current + beta * (current - previous)
            slope = objective.gradient(start) if ahead and _is_finite(0.0, start) else gradient
            following = start - rate * slope
        if _is_finite(0.0, following):
            value, slope = _evaluate(objective, following)
        if not _is_finite(value, slope, following):
            status = Status.DIVERGED
            break
        following.flags.writeable = False
        previous, current, gradient = current, following, slope
        values.append(value)
        norms.append(_norm(gradient))
    return Trajectory(current.copy(), np.array(values), np.array(norms), status, len(values) - 1)


def _check_start(theta: ArrayLike, n_parameters: int) -> FloatArray:
    """Copy of the first parameters, read-only."""
    start = np.array(as_float(theta, "theta"), dtype=np.float64)
    if start.shape != (n_parameters,):
        raise ValueError(f"theta has shape {start.shape}: pass all parameters of the objective, shape ({n_parameters},)")
    check_finite(start, "theta")
    start.flags.writeable = False
    return start


def _check_momentum(momentum: float, method: str) -> float:
    if method not in METHODS:
        raise ValueError(f"method={method!r} is unknown: choose one of {', '.join(map(repr, METHODS))}")
    beta = check_number(momentum, "momentum", high=1.0)
    if beta and method == "gradient_descent":
        raise ValueError(f"momentum={momentum!r} has no effect on {method!r}: use method='heavy_ball' or 'nesterov'")
    return beta


def _evaluate(objective: Any, theta: FloatArray) -> tuple[float, FloatArray]:
    """Loss and gradient, in one call where the objective has it."""
    both = getattr(objective, "value_and_gradient", None)
    with np.errstate(over="ignore", invalid="ignore"):
        return both(theta) if both is not None else (objective.value(theta), objective.gradient(theta))


def _is_finite(value: float, *arrays: FloatArray) -> bool:
    return bool(np.isfinite(value)) and all(bool(np.isfinite(array).all()) for array in arrays)


def _norm(gradient: FloatArray) -> float:
    """Euclidean norm; the sum of squares of a huge gradient would overflow before the gradient does."""
    largest = float(np.abs(gradient).max())
    return largest * float(np.linalg.norm(gradient / largest)) if largest > 0.0 else 0.0
