"""First-order training of an objective, with a constant or an automatic step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._linalg import EPS
from underdetermined._validation import check_number
from underdetermined.objectives import Objective
from underdetermined.optimize._common import (
    Callback,
    Goal,
    Record,
    check_linearizable,
    check_previous,
    evaluate,
    is_finite,
)
from underdetermined.optimize._heavy_ball import AutomaticMomentum
from underdetermined.optimize._learning_rate import AutomaticRate, CauchyRate, Descent
from underdetermined.solution import Status, Trajectory

__all__ = ["METHODS", "gradient_descent"]

FloatArray = NDArray[np.float64]

METHODS = ("gradient_descent", "heavy_ball", "nesterov")

# Learning rates that are found, by name and method.
_FOUND: dict[tuple[str, str], type[Descent]] = {
    ("auto", "gradient_descent"): AutomaticRate,
    ("cauchy", "gradient_descent"): CauchyRate,
    ("auto", "heavy_ball"): AutomaticMomentum,
}


def gradient_descent(
    objective: Objective,
    theta: ArrayLike | None = None,
    *,
    learning_rate: float | str,
    max_iter: int,
    tol: float = 0.0,
    loss_tol: float = 0.0,
    method: str = "gradient_descent",
    momentum: float = 0.0,
    callback: Callback | None = None,
    previous: Trajectory | None = None,
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
    theta : array_like of shape (p,) or None, default=None
        Parameters to start from; not written to. None with `previous`.
    learning_rate : float, "auto" or "cauchy"
        eta, greater than 0. It refers to the loss as the objective defines it; see `max_learning_rate` for least squares.
        "auto", for ``method="gradient_descent"`` and an objective with ``linearize``, is 0.9 / lambda_max(J J.T), with the
        Jacobian J of the residual. The eigenvalue is computed again after at most 25 steps, after fewer where it changes
        fast, as it does for small widths, and wherever a step would raise the loss: that step is rejected and the rate at
        least halved. A rate that was halved at most doubles each time the eigenvalue is computed again.

        "cauchy", for the same method and objectives, is |g|^2 / |J g|^2, which minimises the linearised loss along the
        gradient, halved until the loss does not rise.

        "auto" for ``method="heavy_ball"`` sets eta = 4 / (sqrt(L) + mu)^2 and
        beta = ((sqrt(L) - mu) / (sqrt(L) + mu))^2 from L = 1.2 lambda_max and mu^2 = 0.8 lambda_min of J J.T, computed again
        every 100 steps. Where a step would raise the loss above that of the last beginning, training begins again from the
        best parameters so far, without momentum. A lambda_min below 1e-6 lambda_max counts as that much, as does one of a
        matrix of more than 2000 rows, which is not computed. The loss need not fall at every step.
    max_iter : int
        Largest number of steps, at least 0, after those of `previous`.
    tol : float, default=0.0
        Training stops where |g(theta_t)| <= tol, at least 0.
    loss_tol : float, default=0.0
        Training stops where L(theta_t) <= loss_tol L(theta_0), at least 0; zero for no such stop.
    method : {"gradient_descent", "heavy_ball", "nesterov"}, default="gradient_descent"
        Method.
    momentum : float, default=0.0
        beta in [0, 1); zero for gradient descent, and where it is found with the learning rate.
    callback : callable or None, default=None
        Called as ``callback(t, theta_t)`` at every step t, the start included, with a read-only array that stays as it is.
        Training stops where it returns something true.
    previous : Trajectory or None, default=None
        Run to go on from: with the other arguments as they were, the result is that of a run that was never interrupted, to
        the last bit.

    Returns
    -------
    Trajectory
        Loss and gradient norm at every theta_t, and the learning rate of every step. Its status is

        - CONVERGED at `tol` or `loss_tol`;
        - with a rate that is found, where no step lowers the loss that can be told from rounding: EXACT if it has fallen to
          eps times that at the start; INCONSISTENT, or LEAST_SQUARES if p < q, if the gradient vanishes beside |J| |rho|, as
          it does where rows contradict each other, and where rho lies along tiny eigenvalues of J J.T; ILL_CONDITIONED
          otherwise;
        - MAX_ITER after `max_iter` steps, or where `callback` ended it;
        - DIVERGED where the loss, its gradient or the parameters overflowed: theta is then the last one before.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, the loss is not finite at the start, `previous` does not fit, or `learning_rate` is a
        name and the objective has no ``linearize``.

    Notes
    -----
    One loss and one gradient for each step; with ``nesterov`` a second gradient, at theta_t + beta d_t. Neither warns nor
    prints. Memory of about five vectors of parameters. With "auto", eight products with J J.T, each about as dear as a
    gradient, whenever the eigenvalue is computed; for the heavy ball, J J.T and its eigenvalues, 4 q^3 / 3 flops. "cauchy"
    takes one product with J for each step. Losses of gradient descent with "auto" or "cauchy" never rise by more than
    rounding, 1000 eps sqrt(L(theta_0) L(theta_t)).

    References
    ----------
    :ref:`theory-exponential`, for the automatic rate; Polyak, 1964; Nesterov, 1983;
    forecast in closed form by `underdetermined.descent.DescentForecast`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.objectives import LeastSquares
    >>> from underdetermined.optimize import gradient_descent
    >>> gradient_descent(LeastSquares([[1.0, 2.0]], [5.0]), np.zeros(2), learning_rate=0.2, max_iter=10).theta
    array([1., 2.])
    """
    goal = Goal.checked(max_iter, tol, loss_tol)
    rate = _check_rate(learning_rate, method, objective)
    beta = _check_momentum(momentum, method, is_found=rate is None and method in METHODS[1:])
    kind = f"gradient_descent with method={method!r} and learning_rate={'a number' if rate else repr(learning_rate)}"
    current, state = check_previous(theta, previous, kind, objective.n_parameters)
    value, gradient = evaluate(objective, current)
    if not is_finite(value, gradient):
        raise ValueError("the loss or its gradient is not finite at theta: start from smaller parameters")
    record = Record.started(goal, callback, previous, value, gradient)
    if rate is None:
        finder = _FOUND[str(learning_rate), method](objective, record.value[0])
        finder.resume({name: each for name, each in state.items() if name != "kind"})
        end, status, state = _descend_carefully(finder, current, gradient, record)
        return _trajectory(end, record, status, finder.n_rejected, {"kind": kind, **state})
    before, is_ahead = state.get("before", current), beta > 0.0 and method == "nesterov"
    end, before, status = _descend(objective, before, current, gradient, record, rate, beta, is_ahead=is_ahead)
    return _trajectory(end, record, status, 0, {"kind": kind, "before": before})


def _descend(
    objective: Any, previous: FloatArray, current: FloatArray, gradient: FloatArray, record: Record, rate: float,
    beta: float, *, is_ahead: bool,
) -> tuple[FloatArray, FloatArray, Status]:  # fmt: skip
    """Steps of a constant rate, whatever the loss does; the last two iterates and how it ended."""
    while True:
        status = _status(record, current)
        if status is not None:
            return current, previous, status
        with np.errstate(over="ignore", invalid="ignore"):
            start = current + beta * (current - previous)
            slope = objective.gradient(start) if is_ahead and is_finite(0.0, start) else gradient
            following = start - rate * slope
        value = np.nan
        if is_finite(0.0, following):
            value, slope = evaluate(objective, following)
        if not is_finite(value, slope):
            return current, previous, Status.DIVERGED
        following.flags.writeable = False
        previous, current, gradient = current, following, slope
        record.add(value, gradient, rate)


def _descend_carefully(
    finder: Descent, current: FloatArray, gradient: FloatArray, record: Record
) -> tuple[FloatArray, Status, dict[str, Any]]:
    """Steps whose length is found; where they end, why, and the state to go on from, in which a failure repeats itself."""
    while True:
        state = finder.state()
        status = _status(record, current)
        if status is not None and not (status is Status.CONVERGED and record.is_trapped):
            return current, status, state
        step = finder.step(current, record.value[-1], gradient)
        if step is None:
            return current, _stalled(finder, record, current, gradient), state
        current, value, gradient, rate = step
        current.flags.writeable = False
        record.add(value, gradient, rate)


def _stalled(finder: Descent, record: Record, theta: FloatArray, gradient: FloatArray) -> Status:
    """Status of a run whose loss no step lowers."""
    if finder.is_overflown:
        return Status.DIVERGED
    if record.value[-1] <= EPS * record.value[0]:
        return Status.EXACT
    is_stationary, is_tall = finder.is_stationary(theta, record.value[-1], gradient)
    if is_stationary:
        return Status.LEAST_SQUARES if is_tall else Status.INCONSISTENT
    return Status.ILL_CONDITIONED


def _status(record: Record, theta: FloatArray) -> Status | None:
    """Status of a run that ends here; None if it goes on."""
    is_stopped = record.is_stopped_by_callback(theta)
    if record.is_converged:
        return Status.CONVERGED
    return Status.MAX_ITER if is_stopped or record.is_exhausted else None


def _trajectory(
    theta: FloatArray, record: Record, status: Status, n_rejected: int, state: dict[str, Any]
) -> Trajectory:
    return Trajectory(
        theta=theta.copy(),
        value=np.array(record.value),
        gradient_norm=np.array(record.gradient_norm),
        status=status,
        n_iter=record.n_iter,
        learning_rate=np.array(record.size),
        n_rejected=n_rejected,
        state=state,
    )


def _check_rate(learning_rate: Any, method: str, objective: Objective) -> float | None:
    """Validated rate; None for an automatic one, where the objective and the method admit it."""
    if not isinstance(learning_rate, str):
        return check_number(learning_rate, "learning_rate", low_open=True)
    if learning_rate not in ("auto", "cauchy"):
        raise ValueError(f"learning_rate={learning_rate!r}: pass a number greater than 0, 'auto' or 'cauchy'")
    if method in METHODS and (learning_rate, method) not in _FOUND:
        raise ValueError(
            f"learning_rate={learning_rate!r} does not fit method={method!r}: pass a number, or method='gradient_descent'"
        )
    check_linearizable(objective, f"learning_rate={learning_rate!r}", "pass a number")
    return None


def _check_momentum(momentum: float, method: str, *, is_found: bool) -> float:
    if method not in METHODS:
        raise ValueError(f"method={method!r} is unknown: choose one of {', '.join(map(repr, METHODS))}")
    beta = check_number(momentum, "momentum", high=1.0)
    if beta and is_found:
        raise ValueError(f"momentum={momentum!r} has no effect where the learning rate is found: pass 0, or a rate")
    if beta and method == "gradient_descent":
        raise ValueError(f"momentum={momentum!r} has no effect on {method!r}: use method='heavy_ball' or 'nesterov'")
    return beta
