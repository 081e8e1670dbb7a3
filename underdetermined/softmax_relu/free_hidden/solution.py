"""The best hidden values h >= 0 of a softmax layer, with a lower bound on the loss that proves how good they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import kl_div, logsumexp

from underdetermined._linalg import EPS
from underdetermined.softmax_relu.free_hidden.exact_fit import centred_columns, find_exact_fit
from underdetermined.softmax_relu.free_hidden.newton import HiddenMinimum, minimise_hidden
from underdetermined.softmax_relu.free_hidden.recession import vanishing_shares

FloatArray = NDArray[np.float64]

# A share of exp(-40) is below the rounding of 1.
_GONE = 40.0
_VANISHED = 1e-12
# The first one changes nothing.
_CUTOFFS = (2.0, 1e-6, 1e-10, 1e-14)
_ROUNDING = 16.0


class HiddenSolution(NamedTuple):
    """Hidden values and what is known about them.

    Attributes
    ----------
    hidden : ndarray of shape (n,)
        h >= 0.
    unit_slopes : ndarray of shape (n,)
        r, the gradient in h.
    value, bound : float
        Loss at h, and a number that no h >= 0 goes below.
    is_exact : bool
        Whether `bound` is reached: the fit is exact, or for targets that do not sum to 1 the nearest composition is fitted.
    is_attained : bool
        False where the infimum of the loss is only approached, along a ray.
    is_stationary : bool
        Whether the first-order conditions hold to rounding.
    is_strict : bool
        Whether second-order conditions prove a local minimiser, unique in the logits.
    kkt_residual, kkt_tolerance : float
        Violation of the first-order conditions, with columns of A2 normalised, and what rounding allows.
    curvature : float
        Smallest ratio of v^T B v, B the Hessian in the logits, and the variance of v under f, on the critical subspace; inf
        where that is 0.
    n_value, n_hessian : int
        Evaluations, of all starts.
    reason : str
        One sentence with numbers.
    """

    hidden: FloatArray
    unit_slopes: FloatArray
    value: float
    bound: float
    is_exact: bool
    is_attained: bool
    is_stationary: bool
    is_strict: bool
    kkt_residual: float
    kkt_tolerance: float
    curvature: float
    n_value: int
    n_hessian: int
    reason: str


def solve_hidden(
    A2: FloatArray, b: FloatArray, loss: str, *, starts: Sequence[FloatArray] = (), max_iter: int = 300
) -> HiddenSolution:
    """Minimise the loss of softmax(A2 h) over h >= 0.

    Parameters
    ----------
    A2 : ndarray of shape (m, n)
        Output layer.
    b : ndarray of shape (m,)
        Targets.
    loss : {"squared", "kl"}
        Which loss.
    starts : sequence of ndarray of shape (n,), default=()
        Where to begin for "squared", besides h = 0 and the minimiser for "kl"; the best result counts.
    max_iter : int, default=300
        Most Hessians for each start.

    Returns
    -------
    HiddenSolution
    """
    columns, norms = centred_columns(A2)
    # |f - b|^2 = |f - target|^2 + |target - b|^2, as f and the target both sum to 1.
    target = b if loss == "kl" else b - (b.sum() - 1.0) / len(b)
    floor = 0.0 if loss == "kl" else 0.5 * float((target - b) @ (target - b))
    beginnings = [np.asarray(start) * norms for start in starts]
    if not columns.any():
        minimum = _look(columns, b, loss, np.zeros(A2.shape[1]))
        reason = "the rows of A2 are equal, so that the loss is constant"
        return _summarise(minimum, norms, float(minimum.found.value), reason, is_exact=True)
    if target.min() > 0.0:
        fit = find_exact_fit(A2, target / target.sum())
        if fit.hidden is not None:
            minimum = _look(columns, b, loss, fit.hidden * norms)
            return _summarise(minimum, norms, floor, fit.reason, is_exact=True)
    elif target.min() == 0.0:
        vanishing, ray = vanishing_shares(columns, target > 0.0)
        if vanishing.any():
            kept = solve_hidden(A2[~vanishing], target[~vanishing] / target.sum(), loss, starts=starts, max_iter=max_iter)
            far = _follow(columns, vanishing, kept.hidden * norms, ray)
            if loss == "kl" or kept.is_exact:
                minimum = _look(columns, b, loss, far)
                reason = (
                    f"no minimiser exists: {np.count_nonzero(vanishing)} shares with target 0 vanish along a ray, where the "
                    f"loss decreases to {floor + kept.bound:.6g} without reaching it"
                )
                return _summarise(minimum, norms, floor + kept.bound, reason, is_attained=False)
            beginnings.insert(0, far)
    if loss == "kl":
        minimum = minimise_hidden(columns, b, loss, np.zeros(A2.shape[1]), max_iter=max_iter)
        gap = divergence_gap(columns, b, minimum)
        return _summarise(minimum, norms, max(float(minimum.found.value) - gap, 0.0), f"duality gap {gap:.2g}")
    inside = np.maximum(target, 0.0)
    guide = minimise_hidden(columns, inside / inside.sum(), "kl", np.zeros(A2.shape[1]), max_iter=max_iter)
    candidates = [
        minimise_hidden(columns, b, loss, start, max_iter=max_iter)
        for start in [guide.hidden, np.zeros(A2.shape[1]), *beginnings]
    ]
    lowest = min(float(minimum.found.value) for minimum in candidates)
    near = [m for m in candidates if float(m.found.value) <= lowest + _ROUNDING * EPS * max(lowest, EPS)]
    best = max(near, key=lambda minimum: (is_strict(minimum, b), minimum.is_stationary))
    nearest = 0.5 * float(np.sum(np.minimum(target, 0.0) ** 2))
    smallest = float(best.found.fitted.min())
    reason = f"the best of {len(candidates)} starts; relative curvature {best.curvature:.2g}, smallest share {smallest:.2g}"
    if smallest < _VANISHED:
        reason += ", so that there may be no minimiser"
    total = _summarise(best, norms, floor + nearest, reason, is_strict=is_strict(best, b))
    counted = [guide, *candidates]
    return total._replace(n_value=sum(m.n_value for m in counted), n_hessian=sum(m.n_hessian for m in counted))


def divergence_gap(columns: FloatArray, b: FloatArray, minimum: HiddenMinimum) -> float:
    r"""Upper bound on how far a divergence is above the smallest one over h >= 0.

    The dual problem maximises the entropy of a distribution g under M^T (g - b) >= 0. Any such g bounds the divergence from
    below, and the difference to KL(b | f), f = softmax(M h), is

    .. math:: \mathrm{KL}(g \,|\, f) + \langle M^T (g - b),\, h \rangle .

    Parameters
    ----------
    columns : ndarray of shape (m, n)
        M.
    b : ndarray of shape (m,)
        Composition.
    minimum : HiddenMinimum
        Where f is taken; g is f with the slopes of the critical units removed by least squares.

    Returns
    -------
    float
        Where a slope of g is below 0 by rounding, it counts times sum h, so that the bound holds against all h of at most
        that sum.
    """
    critical = (minimum.hidden > 0.0) | (minimum.unit_slopes <= minimum.kkt_tolerance)
    fitted = minimum.found.fitted
    roots = np.sqrt(fitted)
    # Changes in proportion to the shares, so that shares near 0 stay positive.
    part = roots[:, np.newaxis] * (columns[:, critical] - fitted @ columns[:, critical])
    gaps = []
    # Each cut-off gives a bound. The slopes are rounding already, and a small singular value would only magnify it.
    for cutoff in _CUTOFFS:
        change = np.zeros(len(b))
        if part.any():
            change = roots * np.linalg.lstsq(part.T, minimum.unit_slopes[critical], rcond=cutoff)[0]
        dual = np.maximum(fitted - change, 0.0)
        slopes = columns.T @ (dual - b)
        violation = max(-float(slopes.min()), 0.0) * float(minimum.hidden.sum())
        gaps.append(float(kl_div(dual, fitted).sum() + abs(slopes @ minimum.hidden)) + violation)
    return min(gaps)


def is_strict(minimum: HiddenMinimum, b: FloatArray) -> bool:
    """Whether a point proves a local minimiser that is unique in the logits.

    Parameters
    ----------
    minimum : HiddenMinimum
        Stationary to rounding.
    b : ndarray of shape (m,)
        Targets.

    Returns
    -------
    bool

    Notes
    -----
    With V the variance of a change v of the logits under f, R its range, and theta the relative curvature, the third
    derivative is at most C R V, C = 10 + 5 max |b|. Hence the loss is strictly convex on the critical subspace as long as
    R <= rho = theta / (2 e C), with curvature theta / 2; and where V > 16 |q|^2 / theta^2 on the boundary of that set, |q|
    the slope on the subspace in the dual norm, the minimiser is inside. There V >= min f rho^2 / 2.
    """
    rounding = _ROUNDING * len(b) * EPS * float(np.abs(minimum.relative_weights).max())
    if not minimum.is_stationary or minimum.curvature <= rounding:
        return False
    if minimum.curvature == np.inf:
        return True
    third = 10.0 + 5.0 * float(np.abs(b).max())
    radius = min(minimum.curvature / (2.0 * np.e * third), 1.0)
    variance = 0.5 * float(minimum.found.fitted.min()) * radius**2
    return variance > 16.0 * (minimum.slope_on_face / minimum.curvature) ** 2


def _follow(columns: FloatArray, vanishing: NDArray[np.bool_], hidden: FloatArray, ray: FloatArray) -> FloatArray:
    """Go along a ray until the shares that vanish are below rounding."""
    logits, change = columns @ hidden, columns @ ray
    level, growth = float(logsumexp(logits[~vanishing])), float(change[~vanishing].mean())
    needed = (logits[vanishing] - level + _GONE) / (growth - change[vanishing])
    return hidden + max(float(needed.max()), 0.0) * ray


def _look(columns: FloatArray, b: FloatArray, loss: str, hidden: FloatArray) -> HiddenMinimum:
    return minimise_hidden(columns, b, loss, hidden, max_iter=0)


def _summarise(
    minimum: HiddenMinimum,
    norms: FloatArray,
    bound: float,
    reason: str,
    *,
    is_exact: bool = False,
    is_attained: bool = True,
    is_strict: bool = False,
) -> HiddenSolution:
    if not minimum.is_stationary:
        reason += f"; the first-order conditions fail by {minimum.kkt_residual:.2g}"
    return HiddenSolution(
        minimum.hidden / norms, minimum.unit_slopes * norms, float(minimum.found.value), bound, is_exact, is_attained,
        minimum.is_stationary, is_strict, minimum.kkt_residual, minimum.kkt_tolerance, minimum.curvature, minimum.n_value,
        minimum.n_hessian, reason,
    )  # fmt: skip
