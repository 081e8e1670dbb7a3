"""The longest path that gradient descent and Gauss-Newton steps can take from a residual, when the curvature grows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from underdetermined._decrease import LongestPath
from underdetermined._linalg import EPS
from underdetermined.joint._curvature import Curvature

FloatArray = NDArray[np.float64]

_CELLS, _HALVINGS, _NEWTON_STEPS = 256, 200, 400


@dataclass(frozen=True, eq=False)
class WorstPath(LongestPath):
    """Path along which the smallest singular value and the residual change as fast as their bounds.

    As functions of the length l of the path so far, ``sigma' = -beta(l)`` and ``|rho|' = -sigma``. It ends where rho is 0;
    there is such an end, before sigma is 0, if h < 1.

    Parameters
    ----------
    curvature : Curvature
        beta, replaced by its linear interpolant on small cells, which is no smaller as beta is convex.
    residual : float
        |rho| at the start.
    lowest, highest : float
        Smallest and largest singular value of the Jacobian at the start.
    efficiency : float, default=1.0
        c: a step lowers |rho| by at least this share of its first-order bound.
    """

    curvature: Curvature
    residual: float
    lowest: float
    highest: float
    efficiency: float = 1.0

    @cached_property
    def _width(self) -> float:
        return self.curvature.reach(self.lowest) / _CELLS

    @cached_property
    def _table(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Beta, its integral and the integral of that at the ends of the cells."""
        width = self._width
        beta = self.curvature.at(width * np.arange(_CELLS + 1.0))
        once = np.concatenate([[0.0], np.cumsum(0.5 * width * (beta[:-1] + beta[1:]))])
        steps = width * once[:-1] + width * width * (2.0 * beta[:-1] + beta[1:]) / 6.0
        return beta, once, np.concatenate([[0.0], np.cumsum(steps)])

    def _integrals(self, length: float) -> tuple[float, float]:
        """Integral of beta from the start, and the integral of that."""
        beta, once, twice = self._table
        cell = min(int(length / self._width), _CELLS - 1)
        x = length - cell * self._width
        slope = (beta[cell + 1] - beta[cell]) / self._width
        first = once[cell] + x * (beta[cell] + 0.5 * slope * x)
        return float(first), float(twice[cell] + x * (once[cell] + x * (0.5 * beta[cell] + slope * x / 6.0)))

    def _lowest_at(self, length: float) -> float:
        return self.lowest - self._integrals(length)[0] / self.efficiency

    def _decrease_at(self, length: float) -> float:
        """Decrease of |rho| that a path of this length brings at least."""
        return self.efficiency * self.lowest * length - self._integrals(length)[1]

    @cached_property
    def _limit(self) -> float:
        """Length at which the smallest singular value may be 0."""
        return _first(lambda length: self._lowest_at(length) <= 0.0, _CELLS * self._width)

    @cached_property
    def capacity(self) -> float:
        """Largest residual from which the path ends."""
        return float(np.inf) if self.curvature.is_zero else self._decrease_at(self._limit)

    @property
    def h(self) -> float:
        """Share of the capacity that the residual takes; the path ends if it is below 1."""
        return self.residual / self.capacity

    @cached_property
    def distance(self) -> float:
        """Length R of the path."""
        if self.curvature.is_zero:
            return self.residual / (self.efficiency * self.lowest)
        return _first(lambda length: self._decrease_at(length) >= self.residual, self._limit)

    @property
    def end(self) -> float:
        """Smallest singular value at the end, mu."""
        return self.lowest if self.curvature.is_zero else max(self._lowest_at(self.distance), 0.0)

    def slowed(self, efficiency: float) -> WorstPath:
        """Path of steps that make less of the gradient.

        Parameters
        ----------
        efficiency : float
            c.

        Returns
        -------
        WorstPath
        """
        return replace(self, efficiency=efficiency)

    def newton(self) -> tuple[float, ...]:
        """Bounds on |rho| after 0, 1, 2, ... undamped Gauss-Newton steps, by Newton's method on the path.

        Returns
        -------
        tuple of float
            Down to where the square underflows; what comes after is no larger than the last.
        """
        length, residual, lowest, found = 0.0, self.residual, self.lowest, [self.residual]
        while residual > 1e-150 and len(found) <= _NEWTON_STEPS:
            step = residual / lowest
            bend, residual = (0.0, 0.0) if self.curvature.is_zero else self._bend(length, step)
            length, lowest = length + step, lowest - bend
            if lowest <= 0.0:
                # Rounding, where there is hardly any room between h and 1.
                break
            found.append(residual)
        return tuple(found)

    def _bend(self, start: float, step: float) -> tuple[float, float]:
        """Integral of beta over a step, and the integral of that, without cancellation."""
        beta, width = self._table[0], self._width
        ends = np.arange(int(start / width) + 1, int((start + step) / width) + 1) * width
        edges = np.concatenate([[start], ends[(ends > start) & (ends < start + step)], [start + step]])
        values, pieces = np.interp(edges, width * np.arange(_CELLS + 1), beta), np.diff(edges)
        once = np.concatenate([[0.0], np.cumsum(0.5 * pieces * (values[:-1] + values[1:]))])
        twice = pieces * once[:-1] + pieces * pieces * (2.0 * values[:-1] + values[1:]) / 6.0
        return float(once[-1]), float(twice.sum())


def _first(is_reached: Callable[[float], bool], high: float) -> float:
    """The least number at which a condition holds that stays true, from above; the upper end where it never does."""
    low = 0.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if high - low <= 2.0 * EPS * high:
            break
        low, high = (low, middle) if is_reached(middle) else (middle, high)
    return high
