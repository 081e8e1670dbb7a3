"""Newton steps on the kinks that hold a point, from products with the Hessian alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._linalg import EPS, vector_norm
from underdetermined.softmax_relu._cg_subproblem import truncated_cg
from underdetermined.softmax_relu._null_space import NullSpace

__all__ = ["ManifoldRun", "manifold_newton_cg"]

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

_FORCING = 0.1
# When a radius shrinks, and to which share of the step; when it grows, and by how much.
_POOR, _SHRINK = 0.25, 0.25
_GOOD, _GROW = 0.75, 2.0
# Relative decrease of the objective that rounding hides; a step that promises less is judged by gradients.
_HIDDEN = 1e-13
# A gradient is a sum of terms; this many roundings of them are noise.
_ROUNDINGS = 4.0
_LARGEST_CG = 1000


@dataclass(frozen=True)
class ManifoldRun:
    """Where Newton steps on kinks ended.

    Attributes
    ----------
    x : ndarray of shape (D,)
        Parameters, at which the pinned units are zero up to rounding.
    active : ndarray of bool of shape (H,)
        Units that are positive.
    pinned : ndarray of shape (k,)
        Units at their kinks.
    point : object
        The objective at x with `active`.
    n_iter, n_value, n_products : int
        Accepted steps, evaluations, products with Hessians.
    is_converged : bool
        Whether the projected gradient is at the level of its goal and every multiplier within its bounds.
    reason : {"converged", "rounding", "max_iter", "stopped", "not finite"}
        What ended the run.
    """

    x: FloatArray
    active: Mask
    pinned: NDArray[np.intp]
    point: Any
    n_iter: int
    n_value: int
    n_products: int
    is_converged: bool
    reason: str


@dataclass
class _Face:
    """A cell and the kinks that the point stays on."""

    objective: Any
    active: Mask
    pinned: NDArray[np.intp]

    def __post_init__(self) -> None:
        self.space = NullSpace(self.objective.rows(self.pinned), self.objective.row_norms[self.pinned])

    def without(self, released: NDArray[np.intp], upwards: Mask) -> _Face:
        """The face that some pinned units have left, to their active side where `upwards`."""
        active = self.active.copy()
        active[released[upwards]] = True
        return _Face(self.objective, active, np.setdiff1d(self.pinned, released))

    def across(self, crossed: NDArray[np.intp], held: NDArray[np.intp]) -> _Face:
        """The face behind some kinks, on the kinks of some other units."""
        if not (crossed.size or held.size):
            return self
        active = self.active.copy()
        active[crossed] = ~active[crossed]
        active[held] = False
        return _Face(self.objective, active, np.union1d(self.pinned, held)) if held.size else self._same_pins(active)

    def _same_pins(self, active: Mask) -> _Face:
        result = object.__new__(_Face)
        result.objective, result.active, result.pinned, result.space = self.objective, active, self.pinned, self.space
        return result


@dataclass(frozen=True)
class _Ray:
    """How far to go along a step across kinks, which are crossed on the way and where to stop on one."""

    length: float
    promised: float
    crossed: NDArray[np.intp]
    held: NDArray[np.intp]


def manifold_newton_cg(
    objective: Any,
    x: ArrayLike,
    active: ArrayLike,
    pinned: ArrayLike,
    *,
    gtol: float | None = None,
    radius: float = 1.0,
    max_iter: int = 1000,
    on_step: Callable[[FloatArray, float], None] | None = None,
) -> ManifoldRun:
    """Descend on the kinks that hold a point, and leave or enter kinks, until the multipliers certify the point.

    While the units Z are pinned the objective is smooth: a step u with A1[Z] u = 0 reduces its quadratic model by conjugate
    gradients in the null space. Along u the slope rises by r_i |a_i.u| at every kink that is crossed; the step ends where it
    would become positive, and a unit whose kink does that is pinned. At a stationary point of the face the multipliers v
    minimise |g + A1[Z].T v|: a unit with v_i < 0 is released to its inactive side, one with v_i > r_i to its active side.
    Every step lowers the objective.

    Parameters
    ----------
    objective : SoftmaxReLU or SharedSoftmaxReLU
        What to minimise.
    x : array_like of shape (D,)
        Start; its projection on the pinned kinks is where the descent begins.
    active : array_like of bool of shape (H,)
        Units on their positive side.
    pinned : array_like of shape (k,)
        Indices of the units at their kinks.
    gtol : float or None, default=None
        Norm of the projected gradient at a stationary point; None is the rounding of its terms.
    radius : float, default=1.0
        First radius.
    max_iter : int, default=1000
        Largest number of accepted steps.
    on_step : callable or None, default=None
        Called as ``on_step(x, value)`` after every accepted step; may raise StopIteration.

    Returns
    -------
    ManifoldRun

    Notes
    -----
    A product with the Hessian and 8 k^2 flops of projections for each step of conjugate gradients; k^3 / 3 flops where the
    pinned units change. Memory 8 k^2 bytes. Where rows of pinned units depend on each other the multipliers are not unique,
    and those of a basis of the rows are used.
    """
    face = _Face(objective, np.array(active, dtype=np.bool_), np.unique(np.asarray(pinned, dtype=np.intp)))
    face.active[face.pinned] = False
    start = face.space.project(np.array(x, dtype=np.float64))
    # What the projection moved across other kinks is on their other side.
    z = objective.hidden(start)
    face.active = np.where(np.isin(np.arange(len(z)), face.pinned), False, z > 0.0)
    point = objective.at(start, active=face.active)
    n_iter, n_value, n_products, reason, is_fresh, first_radius = 0, 1, 0, "", False, radius
    while not reason:
        gradient = face.space.project(point.gradient)
        norm = vector_norm(gradient)
        noise = _noise(point)
        goal = noise if gtol is None else max(gtol, noise)
        if not (np.isfinite(norm) and np.isfinite(point.value)):
            reason = "not finite"
            break
        if norm <= goal and not is_fresh:
            released = _release(face, point, goal)
            if released is None:
                reason = "converged"
                break
            face, is_fresh, radius = released, True, max(radius, first_radius)
            point = objective.at(point.x, active=face.active)
            n_value += 1
            continue
        if n_iter >= max_iter:
            reason = "max_iter"
            break
        found = truncated_cg(
            gradient,
            partial(_projected_product, face.space, point),
            radius,
            forcing=_FORCING if not is_fresh else 1.0,
            floor=0.5 * goal,
            max_products=1 if is_fresh else min(_LARGEST_CG, 10 + 2 * len(point.x)),
        )
        n_products += found.n_products
        ray = _along(objective, face, point, found.step, found.promised)
        trial_face = face.across(ray.crossed, ray.held)
        trial = objective.at(point.x + ray.length * found.step, active=trial_face.active)
        n_value += 1
        is_hidden = ray.promised <= _HIDDEN * abs(point.value)
        if is_hidden:
            after = vector_norm(trial_face.space.project(trial.gradient))
            ratio = 1.0 if after <= 0.5 * norm or ray.held.size else 0.0
        else:
            ratio = (point.value - trial.value) / ray.promised
        if not (ratio >= _POOR or is_hidden):
            radius = _SHRINK * ray.length * found.length
        elif ratio > _GOOD and found.is_on_boundary and ray.length == 1.0:
            radius *= _GROW
        if ratio > 1e-4:
            face, point, is_fresh = trial_face, trial, False
            n_iter += 1
            if on_step is not None:
                try:
                    on_step(point.x, point.value)
                except StopIteration:
                    reason = "stopped"
        elif is_hidden or radius <= EPS * vector_norm(point.x):
            released = None if is_fresh else _release(face, point, 10.0 * norm)
            if released is None:
                reason = "rounding"
            else:
                face, is_fresh, radius = released, True, max(radius, first_radius)
                point = objective.at(point.x, active=face.active)
                n_value += 1
    # Many steps on a face let rounding add up.
    end = objective.at(face.space.project(point.x), active=face.active)
    return ManifoldRun(
        end.x, face.active, face.pinned, end, n_iter, n_value + 1, n_products, reason == "converged", reason
    )


def _projected_product(space: NullSpace, point: Any, vector: FloatArray) -> FloatArray:
    return space.project(point.hessp(vector))


def _noise(point: Any) -> float:
    """Rounding of the gradient, from the size of its terms."""
    objective = point.objective
    terms = vector_norm(point.slopes * point.unit_slopes * objective.row_norms)
    return _ROUNDINGS * EPS * np.sqrt(len(point.x)) * (terms + vector_norm(point.gradient_of_penalty))


def _along(objective: Any, face: _Face, point: Any, step: FloatArray, promised: float) -> _Ray:
    """Minimise a model along a step that knows the kinks on the way: piecewise quadratic, with the slopes r of the start."""
    change = objective.hidden(step)
    change[face.pinned] = 0.0
    z = point.z
    towards = np.flatnonzero(np.where(face.active, change < 0.0, change > 0.0))
    distance = np.maximum(np.where(face.active[towards], z[towards], -z[towards]), 0.0) / np.abs(change[towards])
    near = distance < 1.0
    order = np.argsort(distance[near], kind="stable")
    units, places = towards[near][order], distance[near][order]
    slope = float(point.gradient @ step)
    bend = -2.0 * (promised + slope)
    jumps = point.unit_slopes[units] * np.abs(change[units])
    before = slope + np.concatenate([[0.0], np.cumsum(jumps)]) + bend * np.append(places, 1.0)
    after = before[:-1] + jumps
    rising = np.flatnonzero(before >= 0.0)
    blocked = np.flatnonzero(after >= 0.0)
    first = rising[0] if rising.size else len(units) + 1
    if blocked.size and blocked[0] < first:
        index = int(blocked[0])
        length, crossed, held = float(places[index]), units[:index], units[index : index + 1]
    elif rising.size and bend > 0.0:
        index = int(first)
        low = places[index - 1] if index else 0.0
        at_low = before[index] - bend * ((places[index] if index < len(units) else 1.0) - low)
        length, crossed, held = float(low - min(at_low, 0.0) / bend), units[:index], units[:0]
    else:
        length, crossed, held = 1.0, units, units[:0]
    inside = places[: len(crossed)]
    gain = -slope * length - 0.5 * bend * length * length - float(jumps[: len(crossed)] @ (length - inside))
    return _Ray(length, gain, crossed, held)


def _release(face: _Face, point: Any, goal: float) -> _Face | None:
    """Let the pinned units go whose multipliers are outside their bounds; None where there is none."""
    objective, pinned = face.objective, face.pinned
    values, slopes = face.space.multipliers(point.gradient), point.unit_slopes[pinned]
    norms = objective.row_norms[pinned]
    outside = np.maximum(-values, values - slopes) * norms
    which = np.flatnonzero(outside > goal)
    while which.size:
        upwards = values[which] >= 0.0
        trial = face.without(pinned[which], upwards)
        rows = objective.rows(pinned[which])
        gradient = point.gradient + rows.T @ np.where(upwards, slopes[which], 0.0)
        change = -(rows @ trial.space.project(gradient))
        # Together some would be pushed back; one alone never is.
        good = np.where(upwards, change > 0.0, change < 0.0)
        if good.all():
            return trial
        which = which[good] if good.any() else which[[outside[which].argmax()]] if len(which) > 1 else which[:0]
    return None
