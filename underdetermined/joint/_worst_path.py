"""The longest path that gradient descent and Gauss-Newton steps can take from a residual, when the curvature grows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from underdetermined._decrease import LongestPath
from underdetermined._linalg import EPS
from underdetermined.joint._curvature import Curvature

FloatArray = NDArray[np.float64]

_CELLS, _NEWTON_STEPS = 256, 400


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

    @cached_property
    def _limit(self) -> float:
        """Length at which the smallest singular value may be 0."""
        beta, once, _ = self._table
        whole = self.efficiency * self.lowest
        cell = min(int(np.searchsorted(once, whole, side="right")) - 1, _CELLS - 1)
        rest, slope = whole - once[cell], (beta[cell + 1] - beta[cell]) / self._width
        root = float(np.sqrt(beta[cell] ** 2 + 2.0 * slope * rest))
        return cell * self._width + min(2.0 * float(rest) / (float(beta[cell]) + root), self._width)

    @cached_property
    def capacity(self) -> float:
        """Largest residual from which the path ends."""
        if self.curvature.is_zero:
            return float(np.inf)
        return self.efficiency * self.lowest * self._limit - self._integrals(self._limit)[1]

    @property
    def h(self) -> float:
        """Share of the capacity that the residual takes; the path ends if it is below 1."""
        return self.residual / self.capacity

    @cached_property
    def distance(self) -> float:
        """Length R of the path."""
        whole = self.efficiency * self.lowest
        if self.curvature.is_zero:
            return self.residual / whole
        beta, once, twice = self._table
        lengths = self._width * np.arange(_CELLS + 1.0)
        last = min(int(self._limit / self._width), _CELLS - 1)
        decreases = (whole * lengths - twice)[: last + 1]
        cell = max(int(np.searchsorted(decreases, self.residual, side="right")) - 1, 0)
        first, start = float(whole - once[cell]), self.residual - float(decreases[cell])
        bend, slope = 0.5 * float(beta[cell]), float(beta[cell + 1] - beta[cell]) / (6.0 * self._width)
        low, high = 0.0, min(self._width, self._limit - cell * self._width)
        while high - low > 2.0 * EPS * high:
            middle = 0.5 * (low + high)
            if middle in (low, high):
                break
            is_enough = middle * (first - middle * (bend + middle * slope)) >= start
            low, high = (low, middle) if is_enough else (middle, high)
        return cell * self._width + high

    @property
    def end(self) -> float:
        """Smallest singular value at the end, mu."""
        if self.curvature.is_zero:
            return self.lowest
        return max(self.lowest - self._integrals(self.distance)[0] / self.efficiency, 0.0)

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
        ends = np.arange(int(start / width) + 1, int((start + step) / width) + 1) * width - start
        edges = np.concatenate([[0.0], ends[(ends > 0.0) & (ends < step)], [step]])
        values, pieces = np.interp(start + edges, width * np.arange(_CELLS + 1), beta), np.diff(edges)
        once = np.concatenate([[0.0], np.cumsum(0.5 * pieces * (values[:-1] + values[1:]))])
        twice = pieces * once[:-1] + pieces * pieces * (2.0 * values[:-1] + values[1:]) / 6.0
        return float(once[-1]), float(twice.sum())
