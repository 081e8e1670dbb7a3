"""Newton steps on the kinks that hold a point, from products with the Hessian alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._linalg import EPS, vector_norm
from underdetermined.softmax_relu.kinks.face import Face, follow, release
from underdetermined.softmax_relu.kinks.kink_certificate import KinkCertificate
from underdetermined.softmax_relu.kinks.manifold import ManifoldResult
from underdetermined.softmax_relu.kinks.projected_curvature import certify_by_products
from underdetermined.softmax_relu.newton.cg_subproblem import truncated_cg

__all__ = ["manifold_newton_cg"]

FloatArray = NDArray[np.float64]

_FORCING = 0.1
# Share of the promised decrease that a step must bring; when a radius shrinks and grows, and by how much.
_ACCEPT, _POOR, _SHRINK, _GOOD, _GROW = 1e-4, 0.25, 0.25, 0.75, 2.0
# Relative decrease of the objective that rounding hides; a step that promises less is judged by gradients.
_HIDDEN = 1e-13
# A gradient is a sum of terms; this many roundings of them are noise.
_ROUNDINGS = 4.0
# A direction moves a unit off its kink where it changes it by more than this share of its norm.
_MOVED = EPS**0.5
_LARGEST_CG = 1000
_MAX_ESCAPES = 20
# A point is zero where it is this much smaller than the largest one before; more units are not examined there.
_VANISHED, _LARGEST_APEX = 256.0 * EPS, 3000


def manifold_newton_cg(
    objective: Any,
    x: ArrayLike,
    pinned: ArrayLike | None = None,
    *,
    gtol: float | None = None,
    radius: float | None = None,
    max_iter: int = 1000,
    on_step: Callable[[FloatArray, float], None] | None = None,
) -> ManifoldResult:
    """Descend on the kinks that hold a point, and leave or enter kinks, until the multipliers certify the point.

    While the units Z are pinned the objective is smooth: a step u with A1[Z] u = 0 reduces its quadratic model by conjugate
    gradients in the null space. Along u the slope rises by r_i |a_i.u| at every kink that is crossed; the step ends where it
    would become positive, and a unit whose kink does that is pinned. At a stationary point of the face the multipliers v
    minimise |g + A1[Z].T v|: a unit with v_i < 0 is released to its inactive side, one with v_i > r_i to its active side.
    Every step lowers the objective. Where the certificate of the end shows a direction of descent, that is followed.

    Parameters
    ----------
    objective : SoftmaxReLU or SharedSoftmaxReLU
        What to minimise.
    x : array_like of shape (D,)
        Start; its projection on the pinned kinks is where the descent begins.
    pinned : array_like of shape (k,) or None, default=None
        Indices of the units to hold at their kinks at first.
    gtol : float or None, default=None
        Norm of the projected gradient at a stationary point; None is the rounding of its terms.
    radius : float or None, default=None
        First radius; None for the norm of the start, or 1.
    max_iter : int, default=1000
        Largest number of accepted steps.
    on_step : callable or None, default=None
        Called as ``on_step(x, value)`` after every accepted step; may raise StopIteration.

    Returns
    -------
    ManifoldResult
        ``n_hessian`` is 0, and ``n_products`` counts the products with Hessians; the certificate comes from products, too.

    Notes
    -----
    A product with the Hessian and 8 k^2 flops of projections for each step of conjugate gradients; k^3 / 3 flops where the
    pinned units change. Memory 8 k^2 bytes. Where rows of pinned units depend on each other the multipliers are not unique,
    and those of a basis of the rows are used.

    References
    ----------
    :ref:`theory-softmax-relu-kinks`.

    Examples
    --------
    >>> from underdetermined.objectives import SoftmaxReLU
    >>> from underdetermined.softmax_relu.kinks.manifold_cg import manifold_newton_cg
    >>> objective = SoftmaxReLU([[1.0, 2.0], [3.0, -1.0]], [[1.0, -1.0], [0.0, 2.0]], [0.25, 0.75], reg=0.01)
    >>> run = manifold_newton_cg(objective, [0.1, -0.04])
    >>> run.reason, run.pinned.tolist(), run.x.round(4).tolist()
    ('certified', [0], [0.1045, -0.0522])
    """
    units = np.unique(np.asarray([] if pinned is None else pinned, dtype=np.intp))
    start = np.array(x, dtype=np.float64)
    return _Descent(objective, start, units, gtol, radius, max_iter, on_step).run()


class _Descent:
    """The state of one run."""

    def __init__(
        self,
        objective: Any,
        x: FloatArray,
        pinned: NDArray[np.intp],
        gtol: float | None,
        radius: float | None,
        max_iter: int,
        on_step: Callable[[FloatArray, float], None] | None,
    ) -> None:
        self.objective, self.gtol, self.max_iter, self.on_step = objective, gtol, max_iter, on_step
        self.n_iter = self.n_value = self.n_products = 0
        self.reason, self.share = "", 1.0
        face, moved = Face.nearest(objective, x, pinned[objective.row_norms[pinned] > 0.0])
        self._stand(face, moved)
        self.first_radius = self.radius = self.largest = radius or vector_norm(moved) or 1.0

    def run(self) -> ManifoldResult:
        """Descend until certified, or no further."""
        certificate = self._settle()
        for _ in range(_MAX_ESCAPES):
            direction = certificate.descent_direction
            if self.reason or direction is None or not self._leave(direction):
                break
            certificate = self._settle()
        return ManifoldResult(
            self.point.x,
            float(self.point.value),
            self.face.pinned,
            certificate.active,
            certificate,
            self.n_iter,
            self.n_value,
            0,
            self.reason or ("undecided" if certificate.descent_direction is None else "rounding"),
            self.n_products,
        )

    def _settle(self) -> KinkCertificate:
        """Descend, and look at the end."""
        certificate = self._look()
        if certificate.descent_direction is None and not (certificate.is_certified or self.reason) and self.share:
            # The residual may hide too large a decrease: on until rounding stops it.
            self.share = 0.0
            certificate = self._look()
        if certificate.is_certified and not self.reason:
            self.reason = "certified"
        return certificate

    def _look(self) -> KinkCertificate:
        self._descend()
        # Many steps on one face let rounding add up.
        self._stand(*Face.nearest(self.objective, self.point.x, self.face.pinned))
        return certify_by_products(self.objective, self.point.x, pinned=self.face.pinned)

    def _stand(self, face: Face, x: FloatArray) -> None:
        self.face, self.point = face, self._at(face, x)

    def _at(self, face: Face, x: FloatArray) -> Any:
        self.n_value += 1
        return self.objective.at(x, active=face.active)

    def _descend(self) -> None:
        """Steps and releases until neither lowers the objective visibly; sets the reason if the run ended before."""
        is_fresh = False
        while not self.reason:
            face, point = self.face, self.point
            gradient = face.space.project(point.gradient)
            norm, noise = vector_norm(gradient), _noise(point)
            least = noise if self.gtol is None else max(self.gtol, noise)
            goal = self.share * least
            if not (np.isfinite(norm) and np.isfinite(point.value)):
                self.reason = "not finite"
            elif self._vanishes():
                return
            elif norm <= goal and not is_fresh:
                if not self._release(least):
                    return
                is_fresh = True
            elif self.n_iter >= self.max_iter:
                self.reason = "max_iter"
            elif self._step(gradient, norm, goal, is_fresh):
                is_fresh = False
            elif self.is_stuck:
                # No step is visible, but a multiplier may be.
                if is_fresh or not self._release(10.0 * norm):
                    return
                is_fresh = True

    def _vanishes(self) -> bool:
        """Move to x = 0, where all kinks meet, from a point that is zero up to the rounding of where it came from."""
        size = vector_norm(self.point.x)
        self.largest = max(self.largest, size)
        if not 0.0 < size <= _VANISHED * self.largest or self.objective.n_hidden > _LARGEST_APEX:
            return False
        before = self.face, self.point
        kinks = np.flatnonzero(self.objective.row_norms > 0.0)
        self._stand(*Face.nearest(self.objective, np.zeros_like(self.point.x), kinks))
        if self.point.value <= before[1].value:
            return True
        self.face, self.point = before
        return False

    def _release(self, goal: float) -> bool:
        face = release(self.face, self.point, goal)
        if face is None:
            return False
        self._stand(face, self.point.x)
        self.radius = max(self.radius, self.first_radius)
        return True

    def _step(self, gradient: FloatArray, norm: float, goal: float, is_fresh: bool) -> bool:
        """One step of conjugate gradients, or of steepest descent where units were just released: it moves them well."""
        found = truncated_cg(
            gradient,
            partial(_projected_product, self.face.space, self.point),
            self.radius,
            forcing=_FORCING,
            floor=0.5 * goal,
            max_products=1 if is_fresh else min(_LARGEST_CG, 10 + 2 * len(gradient)),
        )
        self.n_products += found.n_products
        ratio, length = self._go(self.face, found.step, found.promised, norm)
        if not (ratio >= _POOR or self.is_stuck):
            self.radius = _SHRINK * length * found.length
        elif ratio > _GOOD and found.is_on_boundary and length == 1.0:
            self.radius *= _GROW
        self.is_stuck |= self.radius <= EPS * vector_norm(self.point.x)
        return ratio > _ACCEPT

    def _go(self, face: Face, step: FloatArray, promised: float, norm: float) -> tuple[float, float]:
        """Go along a step if the objective falls as promised; the ratio of both, and the share of the step."""
        ray = follow(face, self.point, step, promised)
        end = face.across(ray.crossed, ray.held)
        trial = self._at(end, self.point.x + ray.length * step)
        is_convex = ray.crossed.size and self.point.unit_slopes[ray.crossed[0]] >= 0.0
        if is_convex and not self.point.value - trial.value >= _GOOD * ray.promised:
            # Curvature beyond a kink may be much larger, of which the model knows nothing: then the kink is the place to be.
            shorter = follow(face, self.point, step, promised, is_first=True)
            landed = face.across(shorter.crossed, shorter.held)
            other = self._at(landed, self.point.x + shorter.length * step)
            if not trial.value <= other.value:
                ray, end, trial = shorter, landed, other
        self.is_stuck = ray.promised <= _HIDDEN * abs(self.point.value)
        if self.is_stuck:
            is_smaller = vector_norm(end.space.project(trial.gradient)) <= 0.5 * norm
            ratio = 1.0 if is_smaller or ray.held.size else 0.0
        else:
            ratio = (self.point.value - trial.value) / ray.promised
        if not ratio > _ACCEPT:
            return 0.0, ray.length
        self.face, self.point = end, trial
        self.n_iter += 1
        if self.on_step is not None:
            try:
                self.on_step(trial.x, float(trial.value))
            except StopIteration:
                self.reason = "stopped"
        return ratio, ray.length

    def _leave(self, direction: FloatArray) -> bool:
        """Follow a direction of descent that a certificate shows, off the kinks that it leaves."""
        kept, pinned = (self.face, self.point), self.face.pinned
        change = self.objective.hidden(direction)[pinned]
        moved = np.abs(change) > _MOVED * self.objective.row_norms[pinned]
        face = self.face.without(pinned[moved], change[moved] > 0.0)
        self._stand(face, self.point.x)
        if self.point.gradient @ direction > 0.0 and not moved.any():
            direction = -direction
        bend = float(direction @ self.point.hessp(direction))
        self.n_products += 1
        slope = min(float(self.point.gradient @ direction), 0.0)
        length = self.first_radius
        while length > EPS * (vector_norm(self.point.x) or 1.0):
            promised = -slope * length - 0.5 * bend * length * length
            ratio = self._go(face, length * direction, promised, np.inf)[0] if promised > 0.0 else 0.0
            if ratio > 0.0:
                self.radius = self.first_radius
                return True
            length *= _SHRINK
        self.face, self.point = kept
        return False


def _projected_product(space: Any, point: Any, vector: FloatArray) -> FloatArray:
    return space.project(point.hessp(vector))


def _noise(point: Any) -> float:
    """Rounding of the gradient, from the size of its terms."""
    objective = point.objective
    terms = vector_norm(point.slopes * point.unit_slopes * objective.row_norms)
    return _ROUNDINGS * EPS * np.sqrt(len(point.x)) * (terms + vector_norm(point.gradient_of_penalty))
