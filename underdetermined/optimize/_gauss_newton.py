"""Gauss-Newton with minimum-norm steps and the safeguard of Levenberg and Marquardt."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._linalg import EPS, vector_norm
from underdetermined._validation import check_number
from underdetermined.objectives import Objective
from underdetermined.optimize._common import Callback, Goal, Record, check_linearizable, check_previous, is_finite
from underdetermined.optimize._learning_rate import STATIONARY
from underdetermined.optimize._tangent_system import TangentSystem, select_solver
from underdetermined.solution import WEAK, Status, Trajectory

__all__ = ["gauss_newton"]

FloatArray = NDArray[np.float64]

_KIND = "gauss_newton"

# Dampings, in units of lambda_max(J J.T): the first, and the smallest one but 0.
_FIRST, _SMALLEST = 3e-5, 1e-13
# Shares of the promised decrease from which the linear model counts as exact, and that a step must reach.
_EXACT = 0.9
_LEAST_GAIN = 1e-4
# Corrections of second order, beside the step: so small that the next steps do without, and too large to be believed.
_STRAIGHT, _BENT = 1e-3, 0.5
# Where along a step its curvature is measured, and how a damping falls that hides every decrease.
_AHEAD, _SHORTEN = 0.1, 1e-3
# Relative decrease of the loss that rounding hides.
_HIDDEN = 16.0 * EPS
# Where rounding rules: a share of the first loss, and a reduction of it that Gauss-Newton steps beat by far elsewhere.
_ROUNDING, _SLOW = (64.0 * EPS) ** 2, 0.25
# Endings at which the cause is worth one more solve.
_UNFINISHED = (Status.MAX_ITER, Status.INCONSISTENT, Status.ILL_CONDITIONED)


def gauss_newton(
    objective: Objective,
    theta: ArrayLike | None = None,
    *,
    alpha: float = 0.0,
    max_iter: int = 100,
    tol: float = 0.0,
    loss_tol: float = 0.0,
    solver: str = "auto",
    damping: float | str = "auto",
    callback: Callback | None = None,
    previous: Trajectory | None = None,
) -> Trajectory:
    """Minimise a sum of squares by damped minimum-norm Gauss-Newton steps.

    With the residual rho(theta) of length q, its Jacobian J (q x p) and K = J J.T, the loss is L = |rho|^2 / 2 and a step is

        delta = J.T u,    (K + mu I) u = -rho,

    the smallest minimiser of |rho + J delta|^2 + mu |delta|^2. An over-parameterised network has p >> q, and the system that
    is solved has order q. The damping mu is raised until the step lowers the loss by a share of what the linear model
    promises, and falls with the loss, which makes the last steps quadratic. Where the model was not exact, the next steps
    are bent (geodesic acceleration): to delta comes

        c = -J.T (K + mu I)^-1 rho'' / 2,    rho'' = d^2 rho(theta + t delta) / dt^2 at t = 0,

    which cancels the curvature of the residual along the step, unless |c| > |delta| / 2. One more residual, at
    theta + delta / 10, gives rho'' as a difference quotient. With alpha > 0 the loss is
    L + alpha |theta - theta_0|^2 / 2, and mu + alpha takes the place of mu.

    Parameters
    ----------
    objective : Linearizable
        Loss to minimise, with a method ``linearize``.
    theta : array_like of shape (p,) or None, default=None
        Parameters to start from, theta_0; not written to. None with `previous`.
    alpha : float, default=0.0
        Penalty >= 0 on the distance from the start.
    max_iter : int, default=100
        Largest number of steps, at least 0, after those of `previous`; rejected ones do not count.
    tol : float, default=0.0
        Training stops where the gradient of the loss has a norm of at most tol, at least 0.
    loss_tol : float, default=0.0
        Training stops where the loss is at most loss_tol times that at the start, at least 0.
    solver : {"auto", "direct", "cg"}, default="auto"
        "direct" forms K and factors it; "cg" takes products with J, by conjugate gradients, preconditioned by the Gram
        matrix of one output, of order n, where the objective has it, else by a randomised Nystrom approximation; "auto" is
        "direct" where three matrices of the size of K fit in half of the memory available, unless there are so many outputs
        that the factor of K would take several times the work of "cg". If p < q, J.T J takes the place of K.
    damping : float or "auto", default="auto"
        mu >= 0 of the first step; "auto" is 3e-5 lambda_max(K). Zero tries the undamped step first.
    callback : callable or None, default=None
        Called as ``callback(t, theta_t)`` at every step t, the start included, with a read-only array that stays as it is.
        Training stops where it returns something true.
    previous : Trajectory or None, default=None
        Run to go on from: with the other arguments as they were, the result is that of a run that was never interrupted, to
        the last bit. `alpha` goes on to penalise the distance from its first start; `damping` has no effect.

    Returns
    -------
    Trajectory
        Loss and gradient norm at every theta_t, the damping of every step, how many were rejected, and where training ended
        short of its goal, `weak_share`, which says whether a nearly singular K is why. Its status is

        - CONVERGED at `tol` or `loss_tol`;
        - EXACT where the loss is at the level of rounding and steps hardly lower it; ILL_CONDITIONED where none
          lowers it while it is still more than eps times that at the start;
        - INCONSISTENT, or LEAST_SQUARES if p < q, where no step lowers the loss because its gradient vanishes beside the
          residual: equal inputs with unequal targets, for instance, leave their part of the loss. REGULARIZED if alpha > 0;
        - MAX_ITER after `max_iter` steps, or where `callback` ended it.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, the objective has no ``linearize``, or the loss or K is not finite at the start.
    MemoryError
        If `solver` is "direct" and K cannot fit.

    Notes
    -----
    A "direct" step forms K and factors it, q^3 / 3 flops, makes a few products with J to refine the solution, and computes
    one residual; a rejected one does not form K again; a bent one computes two residuals. Where the refined factor is not
    accurate, `underdetermined.solve` takes over. Memory 16 q^2 bytes and a few vectors of length p; if p < q, 16 p^2 bytes
    and the Jacobian. Dampings below 1e-13 lambda_max(K) are raised to it, so that Cholesky factors serve;
    quadratic convergence suffers only where the smallest eigenvalue of K is as small as that. The loss never rises.

    References
    ----------
    :ref:`theory-gauss-newton`. M. K. Transtrum, J. P. Sethna (2012), "Improvements to the Levenberg-Marquardt algorithm for
    nonlinear least-squares minimization", arXiv 1201.5885, for the bent steps.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.exponential import draw_network
    >>> from underdetermined.objectives import Exponential
    >>> from underdetermined.optimize import gauss_newton
    >>> hidden, coef = draw_network(2, 100)
    >>> objective = Exponential([[0.5, 0.0], [0.25, 0.5], [-0.5, 0.25]], [1.0, 0.0, -1.0], hidden, coef)
    >>> run = gauss_newton(objective, objective.initial(), loss_tol=1e-20)
    >>> run.status.name, bool(np.abs(objective.residual(run.theta)).max() < 1e-9)
    ('CONVERGED', True)
    """
    check_linearizable(objective, "gauss_newton", "use gradient_descent")
    goal, alpha = Goal.checked(max_iter, tol, loss_tol), check_number(alpha, "alpha")
    if isinstance(damping, str):
        if damping != "auto":
            raise ValueError(f"damping={damping!r}: pass a number of at least 0, or 'auto'")
        first = None
    else:
        first = check_number(damping, "damping")
    start, state = check_previous(theta, previous, _KIND, objective.n_parameters)
    search = _Search(objective, start, alpha, solver, state)
    if not search.is_finite:
        raise ValueError("the loss or its Jacobian is not finite at theta: start from smaller parameters")
    if not state:
        search.damping = _FIRST * search.scale if first is None else first
    record = Record.started(goal, callback, previous, search.value, search.gradient)
    status, state = _run(search, record)
    return Trajectory(
        theta=search.theta.copy(),
        value=np.array(record.value),
        gradient_norm=np.array(record.gradient_norm),
        status=status,
        n_iter=record.n_iter,
        damping=np.array(record.size),
        n_rejected=search.n_rejected,
        weak_share=search.weak_share() if status in _UNFINISHED and record.n_iter and not alpha else np.nan,
        state=state,
    )


def _run(search: _Search, record: Record) -> tuple[Status, dict[str, Any]]:
    """Take steps until the run ends; why it did, and the state to go on from, in which a failure repeats itself."""
    while True:
        state = search.state()
        is_stopped = record.is_stopped_by_callback(search.theta)
        if record.is_converged and not record.is_trapped:
            return Status.CONVERGED, state
        if is_stopped or record.is_exhausted:
            return Status.MAX_ITER, state
        damping = search.advance()
        if damping is None:
            return search.status(), state
        record.add(search.value, search.gradient, damping)


class _Search:
    """Iterate, linear model there, and damping."""

    def __init__(self, objective: Any, start: FloatArray, alpha: float, solver: str, state: dict[str, Any]) -> None:
        self._objective, self._alpha = objective, alpha
        self._start = state.get("start", start)
        self.n_rejected = state.get("n_rejected", 0)
        self.damping = state.get("damping", 0.0)
        self._is_straight = state.get("is_straight", True)
        self._reduction = state.get("reduction", 0.0)
        linearization = self._linearize(start)
        n_residuals = len(linearization.residual)
        self._is_tall = len(start) < n_residuals
        shape = n_residuals, len(start)
        self._solver = select_solver(solver, shape, getattr(linearization, "n_outputs", 1))
        value = self._loss(start, vector_norm(linearization.residual))
        self._first_value = state.get("first_value", value)
        self.is_finite = is_finite(value) and self._move(start, linearization, value)

    def state(self) -> dict[str, Any]:
        """What another search needs to go on from here."""
        return {
            "kind": _KIND,
            "start": self._start,
            "n_rejected": self.n_rejected,
            "damping": self.damping,
            "is_straight": self._is_straight,
            "reduction": self._reduction,
            "first_value": self._first_value,
        }

    def _linearize(self, theta: FloatArray) -> Any:
        with np.errstate(over="ignore", invalid="ignore"):
            return self._objective.linearize(theta)

    def _loss(self, theta: FloatArray, residual_norm: float) -> float:
        loss = 0.5 * residual_norm * residual_norm
        if not self._alpha:
            return loss
        # The penalty may be small where the square of the distance overflows.
        distance = vector_norm(theta - self._start)
        return loss + 0.5 * self._alpha * distance * distance

    def _move(self, theta: FloatArray, linearization: Any, value: float) -> bool:
        """Go to an iterate of finite loss, unless the linear model there overflows."""
        system = TangentSystem(linearization, self._solver)
        gradient = system.gradient()
        offset = theta - self._start if self._alpha else None
        if offset is not None:
            gradient = gradient + self._alpha * offset
        if not is_finite(system.scale, gradient):
            return False
        theta.flags.writeable = False
        self.theta, self.value, self.gradient = theta, value, gradient
        self._system, self._offset, self.scale = system, offset, system.scale
        return True

    def advance(self) -> float | None:
        """Take the first step that lowers the loss, and return its damping; None where there is none."""
        if self.value <= _ROUNDING * self._first_value and self._reduction > _SLOW:
            return None
        growth, is_first = 2.0, True
        # Without a normal number as scale there is nothing to measure a damping with: the Jacobian is zero.
        while self.scale > np.finfo(np.float64).tiny and self.damping < np.inf:
            damping = max(self.damping, _SMALLEST * self.scale) if self.damping else 0.0
            step = self._system.step(damping, self._offset, self._alpha)
            with np.errstate(over="ignore", invalid="ignore"):
                ahead = self.theta + step.delta
                promised = self.value - self._loss(ahead, step.residual_norm)
            # A step that overflows is too long: it is rejected without being tried.
            is_overflown = not is_finite(promised, ahead)
            is_lost = promised <= _HIDDEN * self.value or np.array_equal(ahead, self.theta)
            if is_lost and not is_overflown:
                if not is_first or damping <= _SMALLEST * self.scale:
                    return None
                # No step was too long, so the damping may be what hides the decrease.
                self.damping = min(_SHORTEN * damping, self.scale)
                continue
            if not is_overflown and self._accept(self.theta + self._bent(step.delta, damping), promised, damping):
                return damping
            self.n_rejected += 1
            self._is_straight = is_first = False
            self.damping = max(growth * damping, _SMALLEST * self.scale)
            growth *= 2.0
        return None

    def _accept(self, trial: FloatArray, promised: float, damping: float) -> bool:
        """Go to a trial that lowers the loss by a share of what was promised, and adapt the damping to that share."""
        linearization = self._linearize(trial)
        value = self._loss(trial, vector_norm(linearization.residual))
        gain, reduction = (self.value - value) / promised, value / self.value
        # Comparisons with nan are false, so that a loss that overflowed is refused too.
        if not (gain > _LEAST_GAIN and self._move(trial, linearization, value)):
            return False
        self._reduction = reduction
        self._is_straight = self._is_straight and gain > _EXACT
        factor = max(1.0 / 3.0, 1.0 - (2.0 * gain - 1.0) ** 3)
        self.damping = damping * factor * (reduction if gain > _EXACT else 1.0)
        return True

    def _bent(self, delta: FloatArray, damping: float) -> FloatArray:
        """Step with its correction of second order, unless steps do well without, or it is too large to be believed."""
        if self._is_straight:
            return delta
        ahead = self._linearize(self.theta + _AHEAD * delta).residual
        correction = self._system.correction(delta, ahead, _AHEAD, damping + self._alpha)
        ratio = vector_norm(correction) / vector_norm(delta)
        self._is_straight = ratio < _STRAIGHT
        return delta + correction if ratio <= _BENT else delta

    def weak_share(self) -> float:
        """Share of the residual along eigenvalues of J J.T that are tiny beside the largest."""
        size = vector_norm(self._system.residual)
        # With more residuals than parameters there are zeros among them in any case.
        if self._is_tall or not (size > 0.0 and self.scale > np.finfo(np.float64).tiny / WEAK):
            return float(np.nan)
        return self._system.step(WEAK * self.scale, None, 0.0).residual_norm / size

    def status(self) -> Status:
        """Why no step lowers the loss."""
        if self._alpha:
            return Status.REGULARIZED
        threshold = STATIONARY * float(np.sqrt(self.scale)) * vector_norm(self._system.residual)
        if self.scale <= np.finfo(np.float64).tiny or vector_norm(self.gradient) <= threshold:
            return Status.LEAST_SQUARES if self._is_tall else Status.INCONSISTENT
        return Status.EXACT if self.value <= EPS * self._first_value else Status.ILL_CONDITIONED
