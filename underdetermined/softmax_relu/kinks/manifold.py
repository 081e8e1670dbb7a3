"""Newton's method on kinks: an active-set method that pins units it runs into and releases those that hold it back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined._linalg import EPS, vector_norm
from underdetermined.softmax_relu.kinks.certificate import certify
from underdetermined.softmax_relu.kinks.geometry import NormalSpace, kink_norms, rounding_width
from underdetermined.softmax_relu.kinks.kink_certificate import KinkCertificate
from underdetermined.softmax_relu.kinks.rounding import TOLERANCE, rounding
from underdetermined.softmax_relu.kinks.walk import first_kink, rise, walk
from underdetermined.softmax_relu.newton.subproblem import Subproblem

__all__ = ["ManifoldResult", "manifold_newton"]

FloatArray = NDArray[np.float64]
OnStep = Callable[[FloatArray, float], None]

# Share of the promised decrease that a step must bring, and from which the radius grows.
_ACCEPT, _GOOD = 1e-4, 0.75
# Share of the tolerance of a residual at which Newton steps end.
_SMALL = 0.1
# Directions with less than this share of the largest curvature are left out of the last step.
_CURVED = 1e-12
# A point is zero where it is this much smaller than the largest one before.
_VANISHED = 256.0 * EPS
# How often kinks are left where rounding hides the decrease.
_MAX_UNSEEN = 20


@dataclass(frozen=True)
class ManifoldResult:
    """Where Newton's method on kinks ended.

    Attributes
    ----------
    x : ndarray of shape (D,)
        The point.
    value : float
        Objective there.
    pinned : ndarray of shape (k,)
        Units at their kinks.
    active : ndarray of bool of shape (H,)
        Units that are active.
    certificate : KinkCertificate
        What is proved of it.
    n_iter, n_value, n_hessian : int
        Accepted steps, evaluations and Hessians.
    reason : str
        "certified", "max_iter", "stopped" by `on_step`, "rounding" where no step goes down visibly, or "undecided".
    n_products : int
        Products with Hessians; none.
    """

    x: FloatArray
    value: float
    pinned: NDArray[np.intp]
    active: NDArray[np.bool_]
    certificate: KinkCertificate
    n_iter: int
    n_value: int
    n_hessian: int
    reason: str
    n_products: int = 0

    @property
    def is_converged(self) -> bool:
        """Whether the point is certified."""
        return self.certificate.is_certified


def manifold_newton(
    objective: Any,
    x: FloatArray,
    pinned: NDArray[np.intp] | None = None,
    *,
    max_iter: int = 200,
    radius: float | None = None,
    on_step: OnStep | None = None,
) -> ManifoldResult:
    """Minimise an objective with kinks by Newton steps along the kinks, from any point, to a certified one.

    Parameters
    ----------
    objective : SoftmaxReLU
        Objective.
    x : ndarray of shape (D,)
        Start; it is moved to the nearest point where `pinned` units are at their kinks.
    pinned : ndarray of int of shape (k,) or None, default=None
        Units to hold at their kinks at first.
    max_iter : int, default=200
        Largest number of accepted steps.
    radius : float or None, default=None
        First trust radius; None for the norm of the start, or 1.
    on_step : callable or None, default=None
        Called as ``on_step(x, value)`` after every accepted step; may raise StopIteration.

    Returns
    -------
    ManifoldResult
        The objective never rises after the start was moved.

    Notes
    -----
    On the subspace where pinned units stay at their kinks the objective is smooth between the kinks of the others. A step is
    the minimiser of its quadratic model in a ball, cut where the slope along it, with its jumps at the kinks on the way,
    becomes positive; a unit at whose kink that happens is pinned. Where the gradient along the kinks vanishes the point is
    certified, or the direction that the certificate shows is followed, and the units that it moves off their kinks are
    released. Near a certified point all kinks are found and convergence is quadratic. Every step costs one Hessian along the
    kinks.

    References
    ----------
    :ref:`theory-softmax-relu-kinks`.
    """
    return _Descent(objective, max_iter, on_step).run(np.array(x, dtype=np.float64), pinned, radius)


class _Descent:
    """The state of one run."""

    def __init__(self, objective: Any, max_iter: int, on_step: OnStep | None) -> None:
        self.objective, self.max_iter, self.on_step = objective, max_iter, on_step
        self.n_iter = self.n_value = self.n_hessian = self.n_unseen = 0
        self.reason, self.hidden, self.share = "", 0.0, _SMALL

    def run(self, x: FloatArray, pinned: Any, radius: float | None) -> ManifoldResult:
        """Descend until certified, or no further."""
        self.norms = kink_norms(self.objective)
        units = np.zeros(0, dtype=np.intp) if pinned is None else np.flatnonzero(_indicator(pinned, len(self.norms)))
        self._settle(x, units[self.norms[units] > 0.0])
        self.radius = self.largest = radius or vector_norm(x) or 1.0
        certificate: KinkCertificate | None = None
        while not self.reason:
            certificate = None
            if self._minimise_along():
                self._vanish()
                certificate = certify(self.objective, self.point.x, pinned=self.pinned)
                self.n_hessian += certificate.curvature == certificate.curvature
                if self._joins(certificate):
                    continue
                if certificate.is_certified:
                    self.reason = "certified"
                elif certificate.descent_direction is None and self.share and certificate.curvature > 0.0:
                    # The residual hides too large a decrease: on until rounding stops it.
                    self.share = 0.0
                elif certificate.descent_direction is None:
                    self.reason = "undecided"
                elif self.n_iter >= self.max_iter:
                    self.reason = "max_iter"
                elif not self._leave(certificate.descent_direction, certificate.slope, certificate.kkt_tolerance):
                    self.reason = "rounding"
        if certificate is None:
            certificate = certify(self.objective, self.point.x, pinned=self.pinned)
        return ManifoldResult(
            self.point.x,
            float(self.point.value),
            self.pinned,
            certificate.active,
            certificate,
            self.n_iter,
            self.n_value,
            self.n_hessian,
            self.reason,
        )

    def _space(self, pinned: NDArray[np.intp]) -> NormalSpace:
        rows = self.objective.rows(pinned)
        dense = rows if isinstance(rows, np.ndarray) else rows.toarray()
        return NormalSpace(dense / self.norms[pinned, np.newaxis])

    def _settle(self, x: FloatArray, pinned: NDArray[np.intp]) -> None:
        """Put the state at the nearest point where some units are at their kinks."""
        self.pinned, self.space = pinned, self._space(pinned)
        self.point = self._trial(self._projected(x, self.space), pinned)

    @staticmethod
    def _projected(x: FloatArray, space: NormalSpace) -> FloatArray:
        return x if space.rank == 0 else space.tangent @ (space.tangent.T @ x)

    def _trial(self, x: FloatArray, pinned: NDArray[np.intp]) -> Any:
        """Evaluate, with the units that are pinned taken to be at their kinks exactly."""
        self.n_value += 1
        mask = self.objective.hidden(x) > 0.0
        mask[pinned] = False
        return self.objective.at(x, active=mask)

    def _vanish(self) -> None:
        """Move to x = 0, where all kinks meet, from a point that is zero up to the rounding of where it came from."""
        size = vector_norm(self.point.x)
        if 0.0 < size <= _VANISHED * self.largest:
            before = self.point, self.pinned, self.space
            self._settle(np.zeros_like(self.point.x), np.flatnonzero(self.norms > 0.0))
            if not self.point.value <= before[0].value + self.hidden:
                self.point, self.pinned, self.space = before

    def _joins(self, certificate: KinkCertificate) -> bool:
        """Move to kinks so close that rounding hides on which side of them the point is."""
        if len(certificate.pinned) <= len(self.pinned):
            return False
        before = self.point, self.pinned, self.space
        self._settle(before[0].x, certificate.pinned)
        if self.point.value <= before[0].value + self.hidden:
            return True
        self.point, self.pinned, self.space = before
        return False

    def _minimise_along(self) -> bool:
        """Newton steps until the gradient along the kinks vanishes; False if the run ended before."""
        held = np.zeros(len(self.norms), dtype=np.bool_)
        last = np.inf
        while True:
            point, tangent = self.point, self.space.tangent
            gradient = tangent.T @ point.gradient
            size = vector_norm(gradient)
            held[:] = False
            held[self.pinned] = True
            noise = rounding(point, held)
            tolerance, self.hidden = TOLERANCE * noise.gradient, noise.value
            if size <= self.share * tolerance or (size <= tolerance and size > 0.5 * last):
                return True
            if self.n_iter >= self.max_iter:
                self.reason = "max_iter"
                return False
            last = size
            hessian = point.hessian(basis=None if not len(self.pinned) else tangent)
            self.n_hessian += 1
            model = Subproblem(gradient, hessian)
            while True:
                proposal = model.solve(self.radius)
                step = proposal.step
                bend = float(step @ (hessian @ step))
                outcome = self._follow(tangent @ step, float(gradient @ step), bend, self.pinned, 1.0, size)
                if outcome or self.reason:
                    break
                if proposal.decrease <= self.hidden or vector_norm(step) <= EPS * vector_norm(point.x):
                    # Nothing visible is left; in flat directions the step is noise, and hides what is left in the others.
                    step = _curved_step(gradient, hessian)
                    slope, bend = float(gradient @ step), float(step @ (hessian @ step))
                    outcome = self._follow(tangent @ step, slope, bend, self.pinned, 1.0, size)
                    if not outcome:
                        return True
                    break
                self.radius = 0.25 * min(self.radius, vector_norm(step))
            if self.reason:
                return False
            if outcome > _GOOD and proposal.on_boundary:
                self.radius *= 4.0

    def _follow(
        self, direction: FloatArray, slope: float, bend: float, pinned: NDArray[np.intp], longest: float, size: float
    ) -> float:
        """Step along a direction as far as the model goes down; the ratio of decreases if the step was taken, else 0."""
        point = self.point
        change = self.objective.hidden(direction)
        change[pinned] = 0.0
        change[self.norms == 0.0] = 0.0
        # Where rounding puts a unit that is released must not count as a crossing.
        z = point.z.copy()
        z[self.pinned] = 0.0
        share, promised, stops = walk(z, change, point.unit_slopes, slope, bend, longest)
        if not promised > 0.0:
            return 0.0
        landed, space, trial = self._land(z, change, direction, share, np.union1d(pinned, stops).astype(np.intp))
        gain = float(point.value - trial.value)
        first, unit = first_kink(z, change)
        if first < share and point.unit_slopes[unit] >= 0.0 and not gain > _ACCEPT * promised:
            # Curvature beyond a kink may be much larger, of which the model knows nothing: then the kink is the place to be.
            other = self._land(z, change, direction, first, np.union1d(pinned, unit).astype(np.intp))
            if not trial.value <= other[2].value:
                landed, space, trial = other
                gain, promised = float(point.value - trial.value), -rise(slope, bend, 0.0, first)
        is_same = np.array_equal(landed, self.pinned)
        if promised <= self.hidden:
            if np.isfinite(size):
                smaller = is_same and vector_norm(space.tangent.T @ trial.gradient) <= 0.5 * size
                is_taken = smaller or (gain >= 0.0 and len(landed) > len(self.pinned))
            else:
                # Leaving kinks changes the face, so that only the slope along the way can be compared.
                self.n_unseen += 1
                is_flatter = abs(float(trial.gradient @ direction)) <= 0.5 * abs(slope)
                is_taken = self.n_unseen <= _MAX_UNSEEN and gain >= -self.hidden and is_flatter
            ratio = 1.0 if is_taken else 0.0
        else:
            ratio = gain / promised
        if not ratio > _ACCEPT:
            return 0.0
        self.point, self.pinned, self.space = trial, landed, space
        self.largest = max(self.largest, vector_norm(trial.x))
        self.n_iter += 1
        if self.on_step is not None:
            try:
                self.on_step(trial.x, float(trial.value))
            except StopIteration:
                self.reason = "stopped"
        return ratio

    def _land(
        self, z: FloatArray, change: FloatArray, direction: FloatArray, share: float, landed: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], NormalSpace, Any]:
        """The point at a share of a direction, with all units that land there with those given."""
        before = self.point.x
        x = before + share * direction
        # Units that land together are pinned together; near x = 0 the rounding is that of the point before.
        width = np.maximum(rounding_width(self.norms, x), rounding_width(self.norms, before))
        there = np.abs(z + share * change) <= width
        landed = np.union1d(landed, np.flatnonzero(there & (change != 0.0) & (self.norms > 0.0)))
        space = self.space if np.array_equal(landed, self.pinned) else self._space(landed)
        return landed, space, self._trial(self._projected(x, space), landed)

    def _leave(self, direction: FloatArray, slope: float, tolerance: float) -> bool:
        """Follow a direction that leaves kinks, the units it moves being released."""
        point = self.point
        change = self.objective.hidden(direction)
        # Rows between their bounds are orthogonal to a steepest descent up to the rounding of the gradient over its norm.
        least = min(np.sqrt(EPS), max(TOLERANCE, tolerance / abs(slope))) if slope else np.sqrt(EPS)
        moved = np.abs(change[self.pinned]) > least * self.norms[self.pinned]
        held = self.pinned[~moved]
        mask = (point.slopes > 0.0).copy()
        mask[self.pinned[moved]] = change[self.pinned[moved]] > 0.0
        beside = self.objective.at(point.x, active=mask)
        slope = min(slope, float(beside.gradient @ direction)) if slope < 0.0 else 0.0
        bend = float(direction @ beside.hessp(direction))
        # Kinks that nearly depend on each other may leave no room for the direction: then all are released.
        for kept in (held, held[:0]):
            start = length = max(self.radius, vector_norm(point.x))
            while length > EPS * start:
                if self._follow(direction, slope, bend, kept, length, np.inf):
                    return True
                length *= 0.25
            if not held.size:
                break
        return False


def _curved_step(gradient: FloatArray, hessian: FloatArray) -> FloatArray:
    """Newton's step in the directions that are curved upwards beyond rounding."""
    values, vectors = np.linalg.eigh(hessian)
    curved = values > _CURVED * np.abs(values).max(initial=0.0)
    return -vectors[:, curved] @ ((vectors[:, curved].T @ gradient) / values[curved])


def _indicator(units: Any, size: int) -> NDArray[np.bool_]:
    """Indices or a mask as a mask."""
    result = np.zeros(size, dtype=np.bool_)
    result[np.asarray(units)] = True
    return result
