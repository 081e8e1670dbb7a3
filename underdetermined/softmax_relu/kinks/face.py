"""A cell of a piecewise smooth objective and the kinks that hold a point: leaving, entering and crossing kinks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined.softmax_relu.kinks.geometry import rounding_width
from underdetermined.softmax_relu.kinks.null_space import NullSpace

__all__ = ["Face", "Ray", "follow", "release"]

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Face:
    """A cell and the kinks that a point stays on.

    Attributes
    ----------
    objective : SoftmaxReLU or SharedSoftmaxReLU
        Whose kinks.
    active : ndarray of bool of shape (H,)
        Units on their positive side.
    pinned : ndarray of shape (k,)
        Units at their kinks, none of them active.
    space : NullSpace
        The directions that stay on the kinks.
    """

    objective: Any
    active: Mask
    pinned: NDArray[np.intp]
    space: NullSpace

    @classmethod
    def of(cls, objective: Any, active: Mask, pinned: NDArray[np.intp]) -> Face:
        """Factor the rows of the pinned units."""
        return cls(objective, active, pinned, NullSpace(objective.rows(pinned), objective.row_norms[pinned]))

    @classmethod
    def nearest(cls, objective: Any, x: FloatArray, pinned: NDArray[np.intp]) -> tuple[Face, FloatArray]:
        """The face of the nearest point at which some units are at their kinks, and that point."""
        space = NullSpace(objective.rows(pinned), objective.row_norms[pinned])
        moved = space.project(x)
        active = objective.hidden(moved) > 0.0
        active[pinned] = False
        return cls(objective, active, pinned, space), moved

    def without(self, released: NDArray[np.intp], upwards: Mask) -> Face:
        """The face that some pinned units have left, to their active side where `upwards`."""
        active = self.active.copy()
        active[released[upwards]] = True
        return Face.of(self.objective, active, np.setdiff1d(self.pinned, released))

    def across(self, crossed: NDArray[np.intp], held: NDArray[np.intp]) -> Face:
        """The face behind some kinks, on the kinks of some other units."""
        if not (crossed.size or held.size):
            return self
        active = self.active.copy()
        active[crossed] = ~active[crossed]
        active[held] = False
        if not held.size:
            return Face(self.objective, active, self.pinned, self.space)
        return Face.of(self.objective, active, np.union1d(self.pinned, held))


@dataclass(frozen=True)
class Ray:
    """How far to go along a step.

    Attributes
    ----------
    length : float
        Share of the step.
    promised : float
        Decrease of the model.
    crossed, held : ndarray
        Units whose kinks are crossed on the way, and those at whose kinks it ends.
    """

    length: float
    promised: float
    crossed: NDArray[np.intp]
    held: NDArray[np.intp]


def follow(face: Face, point: Any, step: FloatArray, promised: float, *, is_first: bool = False) -> Ray:
    """Minimise a model along a step: piecewise quadratic, its slope rising by r_i |a_i.u| at every kink on the way.

    Parameters
    ----------
    face : Face
        Where the step stays.
    point : SoftmaxReLUPoint
        Its start.
    step : ndarray of shape (D,)
        Step u that descends.
    promised : float
        Decrease of the quadratic model over the whole step, kinks left out.
    is_first : bool, default=False
        Whether to stop at the first kink on the way.

    Returns
    -------
    Ray
    """
    change = face.objective.hidden(step)
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
    if is_first and crossed.size:
        length, crossed, held = float(places[0]), units[:0], units[:1]
    passed = len(crossed)
    if held.size:
        # Units that land together, such as those of repeated rows, are pinned together.
        width = rounding_width(face.objective.row_norms[units], point.x + length * step)
        together = units[np.abs(z[units] + length * change[units]) <= width]
        held = np.union1d(together, held)
        crossed = np.setdiff1d(crossed, held, assume_unique=True)
    gain = -slope * length - 0.5 * bend * length * length - float(jumps[:passed] @ (length - places[:passed]))
    return Ray(length, gain, crossed, held)


def release(face: Face, point: Any, goal: float) -> Face | None:
    """Let the pinned units go whose multipliers are outside their bounds.

    Parameters
    ----------
    face : Face
        Where the point is stationary.
    point : SoftmaxReLUPoint
        The point.
    goal : float
        Slope that counts as zero.

    Returns
    -------
    Face or None
        The face on which the objective falls; None where no unit is to be released.
    """
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
