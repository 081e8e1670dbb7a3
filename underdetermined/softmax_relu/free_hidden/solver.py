"""Softmax-ReLU regression where the rows of A1 are independent: the hidden values are free, and the kinks disappear."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._linalg import EPS
from underdetermined._validation import check_count
from underdetermined.objectives import SoftmaxReLU
from underdetermined.softmax_relu._status import SoftmaxReLUStatus
from underdetermined.softmax_relu.free_hidden.smallest_x import lift, shorten
from underdetermined.softmax_relu.free_hidden.solution import HiddenSolution, solve_hidden

__all__ = ["FreeHiddenSolution", "has_free_hidden", "solve_free_hidden"]

FloatArray = NDArray[np.float64]

# A global minimiser is one within this of a lower bound.
_SMALL_GAP = 1e-9


@dataclass(frozen=True, eq=False)
class FreeHiddenSolution:
    """Result of `solve_free_hidden`.

    Parameters
    ----------
    x : ndarray of shape (d,)
        Parameters: the shortest with these hidden values.
    hidden : ndarray of shape (n,)
        h >= 0, of which max(A1 x, 0) differs by rounding.
    value : float
        Loss at x.
    bound : float
        No parameters have a smaller loss.
    status : SoftmaxReLUStatus
        GLOBAL, a certified local minimiser (SMOOTH, KINKS, APEX), DEGENERATE or LIMIT.
    is_attained : bool
        False where no minimiser exists, as the loss only approaches its infimum along a ray.
    unit_slopes : ndarray of shape (n,)
        r, the gradient in h: 0 for h > 0, >= 0 for h = 0.
    kkt_vector : ndarray of shape (d,)
        Sum of r_i a_i over the active units, the gradient at x with every pinned unit's multiplier 0.
    kkt_residual, kkt_tolerance : float
        Violation of the conditions in h, with columns of A2 normalised, and what rounding allows.
    curvature : float
        Smallest ratio of v^T B v, B the Hessian in the logits, and the variance of v under the fitted shares, on the
        critical subspace; inf where that is 0.
    lift_residual : float
        max_i |max(A1 x, 0) - h|_i / max_i h_i.
    n_value, n_hessian : int
        Evaluations of the loss and of its Hessian in h.
    reason : str
        One sentence with numbers.
    """

    x: FloatArray
    hidden: FloatArray
    value: float
    bound: float
    status: SoftmaxReLUStatus
    is_attained: bool
    unit_slopes: FloatArray
    kkt_vector: FloatArray
    kkt_residual: float
    kkt_tolerance: float
    curvature: float
    lift_residual: float
    n_value: int
    n_hessian: int
    reason: str

    @property
    def gap(self) -> float:
        """Loss at x less the lower bound: x is within this of the global infimum."""
        return max(self.value - self.bound, 0.0)

    @property
    def is_global(self) -> bool:
        """Whether x is a global minimiser, up to rounding."""
        return self.status is SoftmaxReLUStatus.GLOBAL

    def __repr__(self) -> str:
        """Summarise in one line."""
        return (
            f"FreeHiddenSolution(status={self.status.name}, value={self.value:.6g}, gap={self.gap:.2g}, "
            f"kkt_residual={self.kkt_residual:.2g}, x={self.x.shape})"
        )


def has_free_hidden(objective: SoftmaxReLU) -> bool:
    """Whether the hidden values of a problem can be chosen freely: no penalty, and linearly independent rows of A1.

    Parameters
    ----------
    objective : SoftmaxReLU
        The problem.

    Returns
    -------
    bool

    Notes
    -----
    The rank is that of the normalised rows, with the cut-off of all solvers of the package. Cost O(n^2 d).
    """
    n, d = objective.n_hidden, objective.n_parameters
    if n > d or objective.reg or (objective.weights is not None and np.any(objective.weights)):
        return False
    return bool(objective.row_norms.min() > 0.0) and lift(objective.A1, objective.row_norms)[1].rank == n


def solve_free_hidden(
    objective: SoftmaxReLU,
    *,
    x0: ArrayLike | None = None,
    n_starts: int = 4,
    random_state: int | None = None,
    max_iter: int = 300,
) -> FreeHiddenSolution:
    r"""Minimise the loss where the rows of A1 are independent, so that every h >= 0 is max(A1 x, 0) for some x.

    .. math:: \inf_x L(x) = \inf_{h \ge 0} \ell(\mathrm{softmax}(A_2 h), b)

    An exact fit is looked for first, which is a global minimiser of both losses. Else "kl" is convex in h and its global
    minimum is proved by a duality gap, and "squared" ends in a certified local minimiser, the best of several starts. Then x
    is the shortest with these hidden values, `smallest_x`.

    Parameters
    ----------
    objective : SoftmaxReLU
        Problem without penalty whose A1 has rank n.
    x0 : array_like of shape (d,), optional
        A start for "squared"; the result is at least as good.
    n_starts : int, default=4
        Random starts for "squared", besides h = 0, `x0` and the minimiser for "kl".
    random_state : int, optional
        Seed of the starts; None means 0.
    max_iter : int, default=300
        Most Hessians for each start.

    Returns
    -------
    FreeHiddenSolution

    Raises
    ------
    ValueError
        If there is a penalty or the rows of A1 depend on each other.

    Notes
    -----
    A Hessian costs O(m k^2) for k units that take part, and there are about ten; the lift O(n^2 d). Where b has zeros, a
    linear program decides whether the infimum for "kl" is attained; where it is not, the loss at x agrees with the infimum
    to rounding, `is_attained` is False and the status is DEGENERATE. See :ref:`theory-softmax-relu-free`.

    Examples
    --------
    >>> from underdetermined.objectives import SoftmaxReLU
    >>> from underdetermined.softmax_relu import solve_free_hidden
    >>> found = solve_free_hidden(SoftmaxReLU([[1.0, 2.0], [3.0, -1.0]], [[1.0, -1.0], [0.0, 2.0]], [0.25, 0.75]))
    >>> found.status.name, found.hidden.round(6), found.x.round(6)
    ('GLOBAL', array([0.      , 0.366204]), array([ 0.10463 , -0.052315]))
    """
    if not has_free_hidden(objective):
        raise ValueError(
            f"the hidden values are not free: A1 of shape {objective.A1.shape} must have linearly independent rows, and "
            "there may be no penalty; use softmax_relu_regression for all other problems"
        )
    n_starts = check_count(n_starts, "n_starts", low=0)
    starts = [] if x0 is None else [np.maximum(objective.hidden(x0), 0.0)]
    rng = np.random.default_rng(0 if random_state is None else random_state)
    spread = np.ptp(objective.A2, axis=0)
    scale = np.where(spread > 0.0, spread, 1.0)
    starts += [np.maximum(rng.standard_normal(objective.n_hidden), 0.0) / scale for _ in range(n_starts)]
    found = solve_hidden(objective.A2, objective.b, objective.loss, starts=starts, max_iter=max_iter)
    x = shorten(objective.A1, found.hidden, lift(objective.A1, found.hidden)[0])
    return _conclude(objective, found, x)


def _conclude(objective: SoftmaxReLU, found: HiddenSolution, x: FloatArray) -> FreeHiddenSolution:
    z, value = objective.hidden(x), objective.value(x)
    largest = float(found.hidden.max())
    miss = float(np.abs(np.maximum(z, 0.0) - found.hidden).max()) / (largest if largest > 0.0 else 1.0)
    gap, reason = value - found.bound, found.reason
    excess = value - found.value
    is_lifted = excess <= _SMALL_GAP
    if not is_lifted:
        reason += f"; by the rounding of x, max(A1 x, 0) misses h by {miss:.2g}, which raises the loss by {excess:.2g}"
    if not found.is_attained or not is_lifted:
        status = SoftmaxReLUStatus.DEGENERATE
    elif gap <= _SMALL_GAP and (found.is_exact or objective.loss == "kl"):
        status = SoftmaxReLUStatus.GLOBAL
    elif not found.is_stationary:
        status = SoftmaxReLUStatus.LIMIT
    elif not found.is_strict:
        status = SoftmaxReLUStatus.DEGENERATE
    else:
        status = _local_status(objective, x, z)
    return FreeHiddenSolution(
        x, found.hidden, value, found.bound, status, found.is_attained, found.unit_slopes,
        objective.hidden_adjoint(np.where(found.hidden > 0.0, found.unit_slopes, 0.0)), found.kkt_residual,
        found.kkt_tolerance, found.curvature, miss, found.n_value, found.n_hessian, reason,
    )  # fmt: skip


def _local_status(objective: SoftmaxReLU, x: FloatArray, z: FloatArray) -> SoftmaxReLUStatus:
    """Which kind of local minimiser: the shortest x often has pre-activations 0."""
    if not x.any():
        return SoftmaxReLUStatus.APEX
    rounding = 64.0 * len(x) * EPS * float(np.linalg.norm(x))
    near = np.abs(z) <= rounding * objective.row_norms
    return SoftmaxReLUStatus.KINKS if near.any() else SoftmaxReLUStatus.SMOOTH
