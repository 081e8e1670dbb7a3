"""Certify local minimisers of objectives with kinks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from math import inf, nan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._linalg import EPS, vector_norm
from underdetermined._validation import check_finite, check_number
from underdetermined.objectives import SharedSoftmaxReLU
from underdetermined.softmax_relu._status import SoftmaxReLUStatus
from underdetermined.softmax_relu.kinks.apex import FirstOrder, Pattern, first_order
from underdetermined.softmax_relu.kinks.curvature import ReducedCurvature, reduced_curvature
from underdetermined.softmax_relu.kinks.geometry import KinkGroups, NormalSpace, group_kinks, kink_norms, rounding_width
from underdetermined.softmax_relu.kinks.kink_certificate import KinkCertificate
from underdetermined.softmax_relu.kinks.rounding import TOLERANCE, Rounding, rounding

__all__ = ["KinkCertificate", "certify"]

FloatArray = NDArray[np.float64]
# From a point, as one of the cell whose kinks are held, and the held units, to the smallest curvature along these kinks.
CurvatureTest = Callable[[Any, NDArray[np.intp]], ReducedCurvature]

# A decrease that is so many times the rounding of the objective could be seen.
_VISIBLE = 4.0
# Kinks of slope zero have two sides to test each.
_MAX_FREE = 6
# A unit within this many widths of the rounding may be moved to its kink.
_BESIDE = 64.0
# Unknowns up to which a Hessian is formed where products leave a doubt.
_LARGEST_DENSE = 3000


def certify(
    objective: Any,
    x: ArrayLike,
    *,
    pinned: ArrayLike | None = None,
    tolerance: float = TOLERANCE,
    curvature: CurvatureTest | None = None,
) -> KinkCertificate:
    """Decide whether a point is a local minimiser, at kinks too, whoever found it.

    The objective is loss(max(A1 x, 0)) plus smooth penalties, and has a kink wherever an entry of A1 x is zero. There the
    gradient says nothing: at most minimisers it is far from zero, and where it does not exist a solver may stop anywhere.

    Parameters
    ----------
    objective : SoftmaxReLU or SharedSoftmaxReLU
        Objective.
    x : array_like of shape (D,)
        The point.
    pinned : array_like of int of shape (k,) or None, default=None
        Units to treat as if they were at their kinks, besides those that are there up to rounding. If one of them is not
        there the point is not certified, and the residual is what would be left if it were.
    tolerance : float, default=2e-14
        Relative size up to which the residual counts as zero; the scale is that of the terms it is the sum of.
    curvature : callable or None, default=None
        Function from a point and the units held at their kinks to a `ReducedCurvature`, for problems too large for a dense
        Hessian.

    Returns
    -------
    KinkCertificate

    Raises
    ------
    ValueError
        If x or `pinned` does not fit, or x is not finite.

    Notes
    -----
    The cost is that of one gradient, a least-squares problem in the pinned rows, and one Hessian along the kinks with its
    smallest eigenvalue: about 2 m |S| D + D^3 flops.

    References
    ----------
    :ref:`theory-softmax-relu-kinks`.

    Examples
    --------
    >>> from underdetermined.objectives import SoftmaxReLU
    >>> from underdetermined.softmax_relu import certify
    >>> objective = SoftmaxReLU([[1.0], [-1.0]], [[1.0, 1.0], [0.0, 0.0]], [1.0, 0.0], reg=1.0)
    >>> certificate = certify(objective, [0.0])
    >>> certificate.is_certified, certificate.descent_direction
    (False, array([1.]))
    """
    point_x = np.asarray(x, dtype=np.float64)
    if point_x.shape != (objective.n_parameters,):
        raise ValueError(f"x has shape {point_x.shape}: pass ({objective.n_parameters},)")
    check_finite(point_x, "x")
    tolerance = check_number(tolerance, "tolerance")
    z, norms = objective.hidden(point_x), kink_norms(objective)
    width = rounding_width(norms, point_x)
    near = (np.abs(z) <= width) & (norms > 0.0)
    named = _mask(pinned, norms)
    found, noise = _examine(objective, point_x, z, norms, near, named, tolerance, curvature)
    if not found.is_certified or not found.curvature < inf:
        return found
    hidden = 0.5 * found.kkt_residual**2 / found.curvature if found.kkt_residual else 0.0
    is_formed = curvature is None or (len(point_x) <= _LARGEST_DENSE and not isinstance(objective, SharedSoftmaxReLU))
    if hidden > _VISIBLE * noise.value and is_formed and not found.n_flat:
        hidden = _newton_decrease(objective, point_x, norms, found)
    if hidden > _VISIBLE * noise.value:
        reason = f"stationary up to rounding, which may hide a decrease of {hidden:.3g}: curvatures are too different"
        return replace(found, status=SoftmaxReLUStatus.DEGENERATE, reason=reason)
    # Rounding of the gradient moves the minimiser: a concave kink closer than that may be on the other side.
    reach = (found.kkt_residual + EPS * noise.gradient) / found.curvature
    close = ~near & ~named & (np.abs(z) <= reach * norms) & (norms > 0.0)
    if not (objective.at(point_x, active=found.active).unit_slopes[close] < 0.0).any():
        return found
    wider, _ = _examine(objective, point_x, z, norms, near | close, named, tolerance, curvature)
    if wider.is_certified:
        # What is proved at kinks is proved of points on them only.
        return wider if np.all(np.abs(z[close]) <= _BESIDE * width[close]) else found
    return wider if _goes_down(objective, point_x, wider, reach, noise.value) else found


def _examine(
    objective: Any,
    x: FloatArray,
    z: FloatArray,
    norms: FloatArray,
    near: NDArray[np.bool_],
    named: NDArray[np.bool_],
    tolerance: float,
    curvature: CurvatureTest | None,
) -> tuple[KinkCertificate, Rounding]:
    """Certificate for one choice of the units at their kinks, and the rounding there."""
    held = near | named
    active = (z > 0.0) & ~held
    point = objective.at(x, active=active)
    units = np.flatnonzero(held)
    groups = group_kinks(objective.rows(units), norms[units], point.unit_slopes[units])
    noise = rounding(point, held)
    case = _Case(objective, point, units, active, groups, tolerance * noise.gradient, curvature)
    return case.finish(*case.examine(np.flatnonzero(held & ~near), tolerance)), noise


def _newton_decrease(objective: Any, x: FloatArray, norms: FloatArray, found: KinkCertificate) -> float:
    """Decrease that Newton's step along the kinks promises, where the smallest curvature alone would exaggerate it."""
    rows = objective.rows(found.pinned)
    dense = rows if isinstance(rows, np.ndarray) else rows.toarray()
    tangent = NormalSpace(dense / norms[found.pinned, np.newaxis]).tangent
    hessian = objective.at(x, active=found.active).hessian(basis=tangent)
    values, vectors = np.linalg.eigh(hessian)
    along = vectors.T @ (tangent.T @ found.kkt_vector)
    return float(0.5 * (along**2 / np.maximum(values, found.curvature)).sum())


def _goes_down(objective: Any, x: FloatArray, found: KinkCertificate, reach: float, noise: float) -> bool:
    """Whether the objective falls visibly, as promised, just beyond the reach of rounding."""
    if found.descent_direction is None or not found.slope < 0.0:
        return False
    value = objective.value(x)
    lengths = max(4.0 * reach, 16.0 * noise / abs(found.slope)) * 8.0 ** np.arange(3)
    falls = [value - objective.value(x + t * found.descent_direction) for t in lengths]
    return any(fall >= 0.25 * abs(found.slope) * t for fall, t in zip(falls, lengths, strict=True))


def _mask(pinned: ArrayLike | None, norms: FloatArray) -> NDArray[np.bool_]:
    """Units named, but for those that have no kink."""
    result = np.zeros(len(norms), dtype=np.bool_)
    if pinned is None:
        return result
    indices = np.asarray(pinned)
    if indices.size == 0:
        return result
    if indices.dtype.kind not in "iu" or indices.ndim != 1 or indices.min() < 0 or indices.max() >= len(norms):
        raise ValueError(f"pinned={pinned!r}: pass indices of units, integers from 0 to {len(norms) - 1}")
    result[indices] = True
    return result & (norms > 0.0)


@dataclass(frozen=True)
class _Case:
    """One point under examination."""

    objective: Any
    point: Any
    units: NDArray[np.intp]
    active: NDArray[np.bool_]
    groups: KinkGroups
    tolerance: float
    curvature: CurvatureTest | None

    def examine(
        self, off: NDArray[np.intp], relative: float
    ) -> tuple[SoftmaxReLUStatus, str, Pattern, ReducedCurvature | None, FloatArray | None, float]:
        """Status, reason, multipliers, curvature and descent direction."""
        gradient = self.point.gradient + self.groups.shift
        space = NormalSpace(self.groups.rows)
        first = first_order(self.groups, gradient, space, self.tolerance)
        pattern = first.patterns[0] if first.patterns else self._alone(gradient)
        if not off.size and self._is_exact(relative):
            if self.objective.targets.min() > 0.0:
                return SoftmaxReLUStatus.GLOBAL, "the loss and the penalty are zero up to rounding", pattern, None, None, 0.0
            reason = "the loss is zero up to rounding, which no x attains: shares of zero are only approached"
            return SoftmaxReLUStatus.DEGENERATE, reason, pattern, None, None, 0.0
        if first.descent is not None:
            concave = int(first.concave.sum())
            what = f"{concave} concave kinks" if concave else f"a residual of {vector_norm(pattern.residual):.3g}"
            reason = f"not stationary, {what}: the objective falls at a rate of {-first.slope:.3g}"
            return SoftmaxReLUStatus.LIMIT, reason, pattern, None, first.descent, first.slope
        if off.size:
            width = float(np.abs(self.point.z[off]).max())
            reason = f"stationary if unit {off[0]} and {off.size - 1} others were at their kinks; |z| is up to {width:.3g}"
            return SoftmaxReLUStatus.LIMIT, reason, pattern, None, None, 0.0
        if not first.is_decided:
            size = vector_norm(pattern.residual)
            reason = f"{int(first.concave.sum())} concave kinks meet here, too many to test all their combinations"
            if size > self.tolerance:
                reason = f"a residual of {size:.3g} is left, and no direction goes down visibly"
            return SoftmaxReLUStatus.DEGENERATE, reason, pattern, None, None, 0.0
        if not self.active.any() and not self.objective.is_penalized:
            return SoftmaxReLUStatus.FLAT, "no unit is active and there is no penalty", pattern, None, None, 0.0
        return self._second_order(first, space, pattern)

    def _alone(self, gradient: FloatArray) -> Pattern:
        """The residual beside a concave kink that is independent of the others: its multiplier is negative."""
        none = np.zeros(len(self.groups.slopes), dtype=np.bool_)
        return Pattern(none, np.zeros(len(none)), gradient)

    def _is_exact(self, relative: float) -> bool:
        """Whether the loss is the least there is, up to the rounding of the fit, and so is the penalty."""
        if self.objective.is_penalized and self.point.x.any():
            return False
        fitted = self.point.fitted
        size = float((fitted**2).sum()) if self.objective.loss == "squared" else float(fitted.sum())
        with np.errstate(divide="ignore"):
            spread = 1.0 + float(np.abs(np.log(np.maximum(fitted, np.finfo(float).tiny))).max())
        return bool(self.point.loss <= 0.5 * (relative * spread) ** 2 * size)

    def _second_order(
        self, first: FirstOrder, space: NormalSpace, pattern: Pattern
    ) -> tuple[SoftmaxReLUStatus, str, Pattern, ReducedCurvature | None, FloatArray | None, float]:
        """Curvature along the kinks, and along kinks whose multipliers are at a bound."""
        worst: ReducedCurvature | None = None
        n_weak = 0
        for piece in first.patterns:
            strict, upper = self._classify(piece, first.concave, space)
            free = np.flatnonzero(~first.concave & (self.groups.slopes <= self.tolerance))
            n_weak = max(n_weak, int((~strict & ~first.concave).sum()))
            if len(free) > _MAX_FREE and self._is_convex():
                worst = ReducedCurvature(float(self.objective.reg), 1, np.zeros(self.point.x.size))
                break
            if len(free) > _MAX_FREE:
                reason = f"{len(free)} kinks have no slope, too many to test all their combinations"
                return SoftmaxReLUStatus.DEGENERATE, reason, pattern, None, None, 0.0
            for sides in product((False, True), repeat=len(free)):
                on = piece.concave_on | upper
                on[free] = sides
                found = self._curvature(strict, on)
                if worst is None or (found.sign, found.value) < (worst.sign, worst.value):
                    worst = found
                if found.sign < 0:
                    descent = self._down(found, strict, on)
                    if descent is not None:
                        reason = f"stationary with negative curvature {found.value:.3g}: the objective falls both ways"
                        return SoftmaxReLUStatus.LIMIT, reason, piece, found, descent, 0.0
            if all(strict[~first.concave]) and not first.concave.any():
                break
        if worst is None or worst.sign <= 0:
            value = nan if worst is None else worst.value
            reason = f"stationary, {n_weak} multipliers at a bound, and rounding hides the sign of the curvature {value:.3g}"
            return SoftmaxReLUStatus.DEGENERATE, reason, pattern, worst, None, 0.0
        kind = "a strict minimiser" if worst.n_flat == 0 else f"a minimiser, constant in {worst.n_flat} directions"
        if not self.units.size:
            reason = f"{kind} off the kinks: smallest curvature {worst.value:.3g}"
            return SoftmaxReLUStatus.SMOOTH, reason, pattern, worst, None, 0.0
        if space.rank == self.point.x.size or not self.point.x.any():
            return SoftmaxReLUStatus.APEX, f"{kind} where {self.units.size} kinks meet", pattern, worst, None, 0.0
        reason = f"{kind} on {self.units.size} kinks: smallest curvature along them {worst.value:.3g}"
        return SoftmaxReLUStatus.KINKS, reason, pattern, worst, None, 0.0

    def _is_convex(self) -> bool:
        """Whether no cell around the point has a curvature below that of the penalty, which is positive."""
        return bool(self.objective.reg > 0.0 and self.point.curvature_weights().min() >= 0.0)

    def _classify(
        self, piece: Pattern, concave: NDArray[np.bool_], space: NormalSpace
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Kinks whose multipliers are strictly between their bounds, and those at the upper bound, rounding allowed for."""
        convex = ~concave
        if concave.any():
            error = np.zeros(len(concave))
            error[convex] = NormalSpace(self.groups.rows[convex]).amplification
        else:
            error = space.amplification
        error = self.tolerance * np.maximum(error, 1.0)
        room = self.groups.slopes - piece.multipliers
        strict = convex & (piece.multipliers > error) & (room > error)
        return strict, convex & ~strict & (room < piece.multipliers)

    def _curvature(self, strict: NDArray[np.bool_], on: NDArray[np.bool_]) -> ReducedCurvature:
        """Curvature along the strict kinks, on one side each of the others."""
        member = self.groups.member
        loose = ~strict[member]
        mask, point = self.active, self.point
        if loose.any():
            mask = mask.copy()
            mask[self.units[loose]] = (on[member] == self.groups.same_side)[loose]
            point = self.objective.at(self.point.x, active=mask)
        if self.curvature is not None:
            return self.curvature(point, self.units[~loose])
        return reduced_curvature(point, NormalSpace(self.groups.rows[strict]).tangent)

    def _down(self, found: ReducedCurvature, strict: NDArray[np.bool_], on: NDArray[np.bool_]) -> FloatArray | None:
        """The direction of negative curvature, if one of its two senses stays on the side where it was computed."""
        loose = self.groups.rows[~strict] @ found.direction
        margin = np.sqrt(np.finfo(float).eps)
        senses = np.where(on[~strict], 1.0, -1.0)
        for sign in (1.0, -1.0):
            if np.all(sign * senses * loose >= -margin):
                return sign * found.direction
        return None

    def finish(
        self,
        status: SoftmaxReLUStatus,
        reason: str,
        pattern: Pattern,
        found: ReducedCurvature | None,
        descent: FloatArray | None,
        slope: float,
    ) -> KinkCertificate:
        """Put the certificate together, multipliers per unit."""
        groups, r = self.groups, self.point.unit_slopes
        share = np.where(pattern.concave_on, 1.0, 0.0)
        positive = groups.slopes > 0.0
        share[positive] = pattern.multipliers[positive] / groups.slopes[positive]
        of_units = np.where(groups.same_side, share[groups.member], 1.0 - share[groups.member])
        outside = ~self.active & (self.point.z < 0.0) & (r < 0.0)
        outside[self.units] = False
        return KinkCertificate(
            status=status,
            reason=reason,
            kkt_vector=pattern.residual,
            kkt_residual=vector_norm(pattern.residual),
            kkt_tolerance=self.tolerance,
            pinned=self.units,
            active=self.active,
            multipliers=of_units * r[self.units],
            unit_slopes=r[self.units],
            curvature=(inf if status is SoftmaxReLUStatus.GLOBAL else nan) if found is None else found.value,
            n_flat=0 if found is None else found.n_flat,
            n_dead_profitable=int(outside.sum()),
            descent_direction=descent,
            slope=slope,
        )
