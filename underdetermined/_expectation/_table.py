"""E f(m + w q), q ~ N(0, 1), from a table: it depends on the activation alone, and many pairs of rows ask for it.

A table serves one octave of w with patches in m, on each of which the average is a polynomial in m and w up to rounding. The
average is analytic for w > 0, on the scale of w or, far from what bends f, on that of f; so powers of two as first edges,
halved where the last Chebyshev coefficients are not rounding, end soon.

Errors count beside E |f(m + w q)|, whose mean square over the Gaussian m of a row is at most that of f.
"""

from math import ceil, log2

import numpy as np

from underdetermined._kernels import smoothing

from ._average import END, GRID, POINTS, WEIGHTS, is_plain, plain_average
from ._pieces import Pieces

_TOLERANCE = 5e-15
_CELL = GRID[1] - GRID[0]
_LAST = 4  # coefficients that have to be rounding: next to a bend two may vanish by chance
_NARROW = 0.25
_NEAR = 6.0
_MAX_PATCHES = 2**10


def _chebyshev(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes on [-1, 1], and the matrix that takes values at the nodes to coefficients (from the right)."""
    angles = np.pi * (np.arange(n) + 0.5) / n
    matrix = np.cos(np.outer(angles, np.arange(n))) * (2.0 / n)
    matrix[:, 0] *= 0.5
    return np.cos(angles), matrix


_MEANS, _TO_MEANS = _chebyshev(20)
_SPREADS, _TO_SPREADS = _chebyshev(24)


class Table:
    """Averages of f at spreads from ``least`` to twice that, means in the partition of f; nan where they are not resolved.

    finest is the smallest standard deviation that the means have.
    """

    def __init__(self, pieces: Pieces, least: float, finest: float) -> None:
        self._pieces, self._least = pieces, least
        with np.errstate(all="ignore"):
            self._nodes, rule = self._cells()
            self._weighted = rule * pieces.function(self._nodes)
            self._edges, sizes = self._partition(finest)
            self._coefficients = self._fill(sizes)

    def __call__(self, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
        result = np.empty(mean.size)
        work = np.empty(_SPREADS.size), np.empty(_MEANS.size)
        smoothing.lookup(mean, spread, self._least, self._edges, self._coefficients, *work, result)
        return result

    def _cells(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights wherever an average may see an edge of f, on cells that resolve the bell."""
        reach = 4 * END * self._least
        edges = self._pieces.edges
        edges = np.concatenate([[edges[0] - reach], edges, [edges[-1] + reach]])
        left, right = edges[:-1], edges[1:]
        is_far = right - left > 2 * reach
        start = np.concatenate([left, right[is_far] - reach])
        stop = np.concatenate([np.where(is_far, left + reach, right), right[is_far]])
        order = np.argsort(start)
        start, stop = start[order], stop[order]
        count = np.ceil((stop - start) / (_CELL * self._least)).astype(np.intp)
        number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        half = np.repeat(0.5 * (stop - start) / np.maximum(count, 1), count)
        centres = np.repeat(start, count) + (2 * number + 1) * half
        return (centres[:, None] + half[:, None] * POINTS).ravel(), (half[:, None] * WEIGHTS).ravel()

    def _averages(self, mean: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """E f(m + w q), and about E |f(m + w q)|; all arguments of the same shape."""
        function = self._pieces.function
        shape, mean, spread = mean.shape, mean.ravel(), spread.ravel()
        result, size = np.empty(mean.size), np.empty(mean.size)
        plain = is_plain(self._pieces, mean, spread)
        result[plain] = plain_average(function, mean[plain], spread[plain])
        size[plain] = plain_average(lambda t: np.abs(function(t)), mean[plain], spread[plain])
        rest = np.ascontiguousarray(mean[~plain]), np.ascontiguousarray(spread[~plain])
        for weighted, found in ((self._weighted, result), (np.abs(self._weighted), size)):
            out, work = np.empty(rest[0].size), np.empty(self._nodes.size)
            smoothing.averages(self._nodes, weighted, *rest, END, work, out)
            found[~plain] = out
        return result.reshape(shape), size.reshape(shape)

    def _partition(self, finest: float) -> tuple[np.ndarray, np.ndarray]:
        """Edges of patches that resolve the average with the least spread, in which it is steepest; their sizes of f."""
        reach = self._pieces.edges[-1]
        powers = reach * 0.5 ** np.arange(1 + max(1, ceil(log2(reach / (_NARROW * finest)))))
        # What f does at its bends shows no further than this, and no patch may have it just beyond its last node.
        around = self._pieces.bends[:, None] + 2 * END * self._least * np.arange(-1, 2)
        edges = np.unique(np.concatenate([-powers, [0.0], powers, around[np.abs(around) < reach]]))
        left, right = edges[:-1], edges[1:]
        done: list[np.ndarray] = [np.zeros((3, 0))]
        radius = largest = np.zeros(1)
        total = 0
        while left.size and total + left.size <= _MAX_PATCHES:
            half = 0.5 * (right - left)
            mean = left[:, None] + half[:, None] * (1.0 + _MEANS)
            value, size = self._averages(mean, np.full(mean.shape, self._least))
            error = np.abs(value @ _TO_MEANS[:, -_LAST:]).max(axis=1)
            peak = size.max(axis=1)
            if radius.size == 1:
                # Closer to 0 no centred Gaussian weighs less.
                far = np.maximum(np.abs(left), np.abs(right))
                order = np.argsort(far)
                radius = np.concatenate([[0.0], far[order]])
                largest = np.maximum.accumulate(np.concatenate([[0.0], peak[order]]))
            inner = largest[np.searchsorted(radius, np.minimum(np.abs(left), np.abs(right)), "right") - 1]
            is_narrow = half <= 0.5 * _NARROW * max(self._least, finest)
            is_fine = error <= _TOLERANCE * np.maximum(inner, np.where(is_narrow, peak, size.min(axis=1)))
            # So narrow a patch resolves any average; what is left comes from the rounding of its means.
            is_fine |= half <= 0.5 * _NARROW * self._least
            done.append(np.stack([left, right, np.maximum(inner, peak)])[:, is_fine])
            total += int(np.count_nonzero(is_fine))
            left, right = left[~is_fine], right[~is_fine]
            middle = 0.5 * (left + right)
            left, right = np.concatenate([left, middle]), np.concatenate([middle, right])
        if left.size:
            return np.zeros(2), np.zeros(1)
        patches = np.concatenate(done, axis=1)
        patches = patches[:, np.argsort(patches[0])]
        return np.append(patches[0], patches[1, -1]), patches[2]

    def _fill(self, sizes: np.ndarray) -> np.ndarray:
        """Coefficients (patch, power of w, power of m)."""
        left, half = self._edges[:-1], 0.5 * np.diff(self._edges)
        mean = left[:, None, None] + half[:, None, None] * (1.0 + _MEANS)
        spread = self._least * (1.5 + 0.5 * _SPREADS)[:, None]
        shape = (left.size, _SPREADS.size, _MEANS.size)
        values = self._averages(np.broadcast_to(mean, shape), np.broadcast_to(spread, shape))[0]
        coefficients = np.einsum("psm,st,mn->ptn", values, _TO_SPREADS, _TO_MEANS, optimize=True)
        noise = np.where(half <= 0.5 * _NARROW * self._least, np.maximum(1.0, np.abs(left) / self._least), 1.0)
        tail = np.abs(coefficients[:, -2:]).max(axis=(1, 2))
        coefficients[~(tail <= 2 * _TOLERANCE * noise * self._nearby(sizes))] = np.nan
        return np.ascontiguousarray(coefficients)

    def _nearby(self, sizes: np.ndarray) -> np.ndarray:
        """Largest size within a few spreads of each patch: next to a bend the average grows by powers of 10 in an octave."""
        margin = _NEAR * self._least
        first = np.searchsorted(self._edges[1:], self._edges[:-1] - margin, "right")
        stop = np.searchsorted(self._edges[:-1], self._edges[1:] + margin, "left")
        return np.array([sizes[i:j].max() for i, j in zip(first, stop, strict=True)])
