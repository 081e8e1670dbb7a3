"""Hermite coefficients of f(n_i g) for all rows at once: a_k(n_i) = E[f(n_i g) h_k(g)].

One set of panels and one table of Hermite functions serve every row, so that the bulk of the work is one matrix product.
Where f(n_i g) is not resolved on such a panel, as next to a kink at kink / n_i, the row gets panels of its own, cut at the
edges of the pieces of f.
"""

from collections.abc import Callable
from functools import cached_property
from math import ceil, log2

import numpy as np

from underdetermined._hermite import hermite_functions
from underdetermined._validation import check_memory

from ._pieces import WEIGHTS, edges_between, find_pieces, legendre_tail, panel_points

_END = 38.0  # beyond, the Gaussian density is not a normal number
_STEP = 0.25
_AMPLITUDE = 36.0  # log of the ratio at which f(n g) sqrt(phi(g)) is negligible beside its largest value
_PANEL = 0.5
_RESOLVED = 1e-14
_BLOCK_BYTES = 2**25


def density_root(points: np.ndarray) -> np.ndarray:
    """Square root of the standard Gaussian density."""
    return np.exp(-0.25 * points * points) * (2 * np.pi) ** -0.25


class Rows:
    """An activation f seen by Gaussians of the given standard deviations, one per row.

    Attributes: ``scales`` (n,); ``low`` and ``high`` (n,), between which f(n_i g) sqrt(phi(g)) is not negligible;
    ``norms`` (n,), the square roots of E f(n_i g)**2; ``pieces`` of f.
    """

    def __init__(
        self, function: Callable[[np.ndarray], np.ndarray], scales: np.ndarray, kinks: tuple[float, ...], name: str
    ) -> None:
        self.function = function
        self.scales = scales
        self.name = name
        positive = scales[scales > 0]
        largest, smallest = float(positive.max(initial=0.0)) or 1.0, float(positive.min(initial=1.0))
        self.low, self.high = self._support(np.arange(-_END, _END + _STEP, _STEP), spacing=_STEP, per_scale=False)
        reach = largest * max(12.0, float(np.max(np.abs([self.low, self.high]))))
        self.pieces = find_pieces(function, reach, 1e-17 * min(smallest, largest), kinks, name)
        nodes = panel_points(self.pieces.edges[:-1], self.pieces.edges[1:])[0].ravel()
        low, high = self._support(np.concatenate([nodes, self.pieces.edges]), spacing=0.0, per_scale=True)
        self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)
        self.norms = np.empty(scales.size)
        for rows in self._blocks(np.arange(scales.size)):
            self.norms[rows] = self._values(rows)[3]

    def _support(self, grid: np.ndarray, *, spacing: float, per_scale: bool) -> tuple[np.ndarray, np.ndarray]:
        """Hull of the points where f(n g) sqrt(phi(g)) is within exp(-36) of its largest value, one spacing wider.

        The grid holds g, or n g if ``per_scale``.
        """
        low, high = np.zeros(self.scales.size), np.zeros(self.scales.size)
        shared = np.abs(self.function(grid)) if per_scale else None
        size = max(1, _BLOCK_BYTES // (8 * grid.size))
        for start in range(0, self.scales.size, size):
            scales = self.scales[start : start + size, None]
            if shared is None:
                points, values = np.broadcast_to(grid, (scales.size, grid.size)), np.abs(self.function(scales * grid))
            else:
                points, values = grid / np.where(scales > 0, scales, 1.0), shared
            with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
                amplitude = np.where(np.isfinite(values), np.log(values) - 0.25 * points * points, -np.inf)
            peak = amplitude.max(axis=1, keepdims=True)
            inside = (amplitude >= peak - _AMPLITUDE) & (amplitude > -np.inf) & (np.abs(points) <= _END)
            if shared is None:
                self._check_range(scales, values, inside)
            some = inside.any(axis=1)
            low[start : start + size] = np.where(some, np.where(inside, points, np.inf).min(axis=1) - spacing, 0.0)
            high[start : start + size] = np.where(some, np.where(inside, points, -np.inf).max(axis=1) + spacing, 0.0)
        return low, high

    def _check_range(self, scales: np.ndarray, values: np.ndarray, inside: np.ndarray) -> None:
        """Refuse rows where f is not finite, or still grows, at arguments that count."""
        near = inside.copy()
        near[:, 1:] |= inside[:, :-1]
        near[:, :-1] |= inside[:, 1:]
        ends = inside[:, [0, -1]] & (values[:, [0, -1]] > 1.0) & (values[:, [0, -1]] > values[:, [values.shape[1] // 2]])
        bad = (near & ~np.isfinite(values)).any(axis=1) | ends.any(axis=1) | ~np.isfinite(values).any(axis=1)
        if not bad.any():
            return
        row = int(np.argmax(bad))
        if np.isnan(values[row]).any():
            raise ValueError(f"activation {self.name!r} returned nan: define it for every real argument")
        raise OverflowError(
            f"E f(u)**2 of activation {self.name!r} overflows or diverges for u of standard deviation {scales[row, 0]:.3g}: "
            "scale the inputs down (for example with StandardScaler) or lower weight_scale"
        )

    @cached_property
    def _edges(self) -> np.ndarray:
        """Panels that all rows share, graded towards 0 as finely as the steepest row asks."""
        low, high = float(self.low.min()), float(self.high.max())
        panels = np.arange(np.floor(low / _PANEL), np.ceil(high / _PANEL) + 1) * _PANEL
        if panels.size < 2:
            panels = np.array([-_PANEL, 0.0, _PANEL])
        edges = np.abs(self.pieces.edges)
        finest = float(edges[edges > 0].min()) / max(1e-300, float(self.scales.max()))
        depth = max(0, min(1100, ceil(log2(_PANEL / max(finest, 1e-300)))))
        halvings = _PANEL * 0.5 ** np.arange(1, depth + 1)
        return np.unique(np.concatenate([panels, (-halvings)[-halvings > panels[0]], halvings[halvings < panels[-1]]]))

    def _blocks(self, rows: np.ndarray) -> list[np.ndarray]:
        size = max(1, _BLOCK_BYTES // (8 * WEIGHTS.size * self._edges.size))
        return [rows[start : start + size] for start in range(0, rows.size, size)]

    def _values(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...], np.ndarray]:
        """Weighted values f sqrt(phi) at the shared nodes, in units of the norms; the same at the rows' own nodes; norms.

        Returns units (rows,), shared (rows, nodes), own = (row, points, values), norms (rows,).
        """
        left, right = self._edges[:-1], self._edges[1:]
        points, half = panel_points(left, right)
        scales = self.scales[rows]
        root = density_root(points)
        values = self.function(scales[:, None, None] * points)
        # Where a row is negligible it may have overflowed.
        outside = (right[None, :] <= self.low[rows, None]) | (left[None, :] >= self.high[rows, None])
        values[outside] = 0.0
        values *= root
        unit = np.abs(values).max(axis=(1, 2))
        row, start, stop = self._own_panels(rows, left, right, values, unit)
        own_points, own_half = panel_points(start, stop)
        own = self.function(scales[row, None] * own_points) * density_root(own_points)
        np.maximum.at(unit, row, np.abs(own).max(axis=1, initial=0.0))
        safe = np.where(unit > 0, unit, 1.0)
        values /= safe[:, None, None]
        own /= safe[row, None]
        square = np.einsum("rpk,rpk,k,p->r", values, values, WEIGHTS, half, optimize=False)
        square += np.bincount(row, (own * own @ WEIGHTS) * own_half, rows.size)
        length = np.sqrt(square)
        safe = np.where(length > 0, length, 1.0)
        values *= (half[:, None] * WEIGHTS) / safe[:, None, None]
        own *= own_half[:, None] * WEIGHTS / safe[row, None]
        return points.ravel(), values.reshape(rows.size, -1), (row, own_points, own), unit * length

    def _own_panels(
        self, rows: np.ndarray, left: np.ndarray, right: np.ndarray, values: np.ndarray, unit: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Panels (row, left, right) that replace the shared ones where a row is not resolved; their values become 0."""
        edges, scales = self.pieces.edges, self.scales[rows]
        error = legendre_tail(values) * np.sqrt(right - left)
        first, count = edges_between(edges, scales[:, None] * left, scales[:, None] * right)
        # A kink next to an edge may lie beyond the last node.
        _, bent = edges_between(self.pieces.kinks, scales[:, None] * left, scales[:, None] * right)
        row, panel = np.nonzero(((error > 0.1 * _RESOLVED * unit[:, None]) & (count > 0)) | (bent > 0))
        count, first = count[row, panel], first[row, panel]
        values[row, panel] = 0.0
        # Panel p with c edges inside becomes c + 1 panels: number them, and read off their ends.
        total = count + 1
        number = np.arange(total.sum()) - np.repeat(np.cumsum(total) - total, total)
        count, first, row, panel = (np.repeat(array, total) for array in (count, first, row, panel))
        scale = scales[row]
        with np.errstate(all="ignore"):
            start = np.where(number > 0, edges[np.maximum(first + number - 1, 0)] / scale, left[panel])
            stop = np.where(number < count, edges[np.minimum(first + number, edges.size - 1)] / scale, right[panel])
        start = np.clip(start, left[panel], right[panel])
        return row, start, np.clip(stop, start, right[panel])

    def coefficients(self, rows: np.ndarray, degree: int) -> np.ndarray:
        """a_0 ... a_degree of the rows, divided by their norms; shape (rows, degree + 1)."""
        check_memory(8 * rows.size * (degree + 1), f"the {rows.size} x {degree + 1} Hermite coefficients")
        result = np.empty((rows.size, degree + 1))
        table = None
        done = 0
        for block in self._blocks(rows):
            points, values, (row, own_points, own), _ = self._values(block)
            if table is None:
                table = hermite_functions(degree, points)
            np.matmul(values, table.T, out=result[done : done + block.size])
            self._add_own(result[done : done + block.size], row, own_points, own)
            done += block.size
        return result

    @staticmethod
    def _add_own(result: np.ndarray, row: np.ndarray, points: np.ndarray, values: np.ndarray) -> None:
        """Add the panels that belong to single rows."""
        size = max(1, _BLOCK_BYTES // (8 * WEIGHTS.size * result.shape[1]))
        for start in range(0, row.size, size):
            part = slice(start, start + size)
            table = hermite_functions(result.shape[1] - 1, points[part].ravel())
            table *= values[part].ravel()
            owners, first = np.unique(row[part], return_index=True)
            result[owners] += np.add.reduceat(table, first * WEIGHTS.size, axis=1).T
