"""Rows of a matrix grouped by the line through the origin on which they lie, by length and by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from underdetermined._linalg import EPS, Array
from underdetermined._validation import check_memory

# A row, a multiple of it and their computed lengths differ by some 3 eps; the rest is room for sums of many inputs.
_ROUNDING = 16.0 * EPS
_SEED = 7
_PROJECTIONS = 3
_OFFSETS = 2
_TREE_INPUTS = 16

Labels = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Lines:
    """Rows as x_i = side_i length_i u, with one unit vector u for each line.

    Inputs are rescaled by powers of two, column by column, which changes no relation among rows; directions and lengths
    refer to the rescaled inputs. Rows that agree to rounding share their line and their length exactly.

    Parameters
    ----------
    line : ndarray of shape (n,)
        Number of the line, -1 for a zero row.
    point : ndarray of shape (n,)
        Number of the pair (line, length), -1 for a zero row; x and -x share it.
    side : ndarray of shape (n,)
        1 or -1, 0 for a zero row.
    mantissa, exponent : ndarray of shape (n,)
        length_i = mantissa_i 2^exponent_i, which may lie far outside the range of float64.
    direction : ndarray of shape (n, d)
        u, the same for all rows of a line; 0 for a zero row.
    """

    line: Labels
    point: Labels
    side: NDArray[np.int8]
    mantissa: Array
    exponent: NDArray[np.int64]
    direction: Array

    @property
    def is_zero(self) -> NDArray[np.bool_]:
        """Which rows are zero."""
        return self.side == 0

    def log_length(self) -> Array:
        """Base-two logarithms of the lengths, -inf for a zero row.

        Returns
        -------
        ndarray of shape (n,)
        """
        with np.errstate(divide="ignore"):
            return np.log2(self.mantissa) + self.exponent

    def distinct(self) -> Labels:
        """Number the distinct rows: equal numbers mean equal rows, the zero rows included.

        Returns
        -------
        ndarray of shape (n,)
        """
        return renumber(3 * (self.point + 1) + self.side)


def renumber(labels: Labels) -> Labels:
    """Replace labels by 0, 1, ... in the order of their values.

    Parameters
    ----------
    labels : ndarray of shape (n,)
        Integers.

    Returns
    -------
    ndarray of shape (n,)
    """
    return np.unique(labels, return_inverse=True)[1].reshape(-1)


def group_rows(matrix: Array) -> Lines:
    """Group the rows of a finite float64 matrix; O(n d + n log n).

    Two rows lie on one line when their unit vectors differ by at most 16 eps sqrt(d) in norm, up to sign; two rows of a
    line have one length when the lengths differ by that much relatively.

    Parameters
    ----------
    matrix : ndarray of shape (n, d)
        Rows.

    Returns
    -------
    Lines

    Raises
    ------
    MemoryError
        If some six copies of the matrix do not fit.
    """
    check_memory(48 * matrix.size, f"the grouping of {matrix.shape[0]} rows of {matrix.shape[1]} inputs")
    rows, exponent = _rescaled(matrix)
    norm = np.linalg.norm(rows, axis=1)
    is_zero = norm == 0.0
    unit = rows / np.where(is_zero, 1.0, norm)[:, np.newaxis]
    rng = np.random.default_rng(_SEED)
    side = np.where(unit @ rng.standard_normal(unit.shape[1]) < 0.0, -1, 1).astype(np.int8)
    side[is_zero] = 0
    unit *= side[:, np.newaxis]
    tolerance = _ROUNDING * np.sqrt(unit.shape[1])

    present = np.flatnonzero(~is_zero)
    line = np.full(norm.size, -1, dtype=np.intp)
    line[present] = _same_vector(unit[present], tolerance, rng)
    first = present[np.unique(line[present], return_index=True)[1]]
    unit[present] = unit[first[line[present]]]

    mantissa, shift = np.frexp(norm)
    exponent += shift
    order = np.lexsort((mantissa, exponent, line))
    order = order[~is_zero[order]]
    before, after = order[:-1], order[1:]
    step = np.minimum(exponent[after] - exponent[before], 2)
    is_new = np.ones(order.size, dtype=bool)
    is_new[1:] = line[after] != line[before]
    is_new[1:] |= np.ldexp(mantissa[after], step) > (1.0 + tolerance) * mantissa[before]
    point = np.full(norm.size, -1, dtype=np.intp)
    point[order] = np.cumsum(is_new) - 1
    shortest = order[is_new]
    mantissa[order], exponent[order] = mantissa[shortest[point[order]]], exponent[shortest[point[order]]]
    return Lines(line, point, side, mantissa, exponent, unit)


def near_coincidences(
    matrix: Array, lines: Lines, tolerance: float, *, rays: bool, antipodal: bool
) -> list[tuple[bool, Labels]]:
    """Rows that coincide within a tolerance without coinciding to rounding, in the inputs as they are given.

    Parameters
    ----------
    matrix : ndarray of shape (n, d)
        Rows.
    lines : Lines
        The rows in groups.
    tolerance : float
        Largest relative distance |x - z| / |x|, or largest angle if `rays`.
    rays : bool
        Compare directions and disregard lengths.
    antipodal : bool
        Compare x also with -z.

    Returns
    -------
    list of (bool, ndarray)
        For each connected group whether an antipodal pair is in it, and its rows.
    """
    key = lines.side * (1 + (lines.line if rays else lines.point))
    present = np.flatnonzero(~lines.is_zero)
    first = present[np.unique(key[present], return_index=True)[1]]
    if first.size < 2:
        return []
    exponent = np.frexp(np.abs(matrix[first]).max(axis=1))[1]
    unit = np.ldexp(matrix[first], -exponent[:, np.newaxis])
    norm = np.linalg.norm(unit, axis=1, keepdims=True)
    unit /= norm
    # Within a small tolerance, |x - z| / |x| is the norm of the pair (difference of directions, of log lengths).
    length = np.zeros_like(norm) if rays else np.log(norm) + np.log(2.0) * exponent[:, np.newaxis]
    short, bound = unit, tolerance
    if unit.shape[1] > _TREE_INPUTS:
        sketch = np.random.default_rng(_SEED).standard_normal((unit.shape[1], _TREE_INPUTS))
        short, bound = unit @ sketch, tolerance * float(np.linalg.norm(sketch, 2))
    tree = cKDTree(np.hstack([short, length]))
    here, there, opposite = [], [], []
    for sign in (1.0, -1.0)[: 1 + antipodal]:
        _, found = tree.query(np.hstack([sign * short, length]), k=2, distance_upper_bound=bound)
        for column in found.T:
            ours = np.flatnonzero(column < first.size)
            theirs = column[ours]
            gap = np.linalg.norm(sign * unit[ours] - unit[theirs], axis=1)
            gap = np.hypot(gap, (length[ours] - length[theirs])[:, 0])
            # Rows that are tied to rounding already, such as exact antipodes, are no news.
            tied = lines.line if rays else lines.point
            close = (gap <= tolerance) & (tied[first[ours]] != tied[first[theirs]])
            here.append(ours[close])
            there.append(theirs[close])
            opposite.append(np.full(int(close.sum()), sign < 0.0))
    source, target, flag = map(np.concatenate, (here, there, opposite))
    if not source.size:
        return []
    label = _components(source, target, first.size)
    has_opposite = np.zeros(first.size, dtype=bool)
    has_opposite[label[source[flag]]] = True
    row_label = np.full(lines.side.size, -1, dtype=np.intp)
    row_label[present] = label[np.searchsorted(key[first], key[present])]
    wanted = np.unique(label[source])
    rows = np.flatnonzero(np.isin(row_label, wanted))
    rows = rows[np.argsort(row_label[rows], kind="stable")]
    parts = np.split(rows, np.flatnonzero(np.diff(row_label[rows])) + 1)
    return sorted(((bool(has_opposite[row_label[part[0]]]), part) for part in parts), key=lambda pair: pair[1][0])


def _rescaled(matrix: Array) -> tuple[Array, NDArray[np.int64]]:
    """Rows times powers of two, and the exponents taken out of every row; columns are brought to one typical size."""
    exponent = np.frexp(matrix)[1].astype(np.float64)
    exponent[:, ~matrix.any(axis=0)] = 0.0
    exponent[(matrix == 0.0) & matrix.any(axis=0)] = np.nan
    # The median, unlike the largest entry, is not moved by a few rows of another size.
    exponent -= np.floor(np.nanmedian(exponent, axis=0))
    row = np.where(matrix.any(axis=1), np.nan_to_num(exponent, nan=-np.inf).max(axis=1), 0.0).astype(np.int64)
    column = np.frexp(matrix)[1] - np.nan_to_num(exponent).astype(np.int64)
    column = np.where(matrix == 0.0, 0, column)
    return np.ldexp(matrix, -(column + row[:, np.newaxis])), row


def _same_vector(vectors: Array, tolerance: float, rng: np.random.Generator) -> Labels:
    """Number the vectors so that those within the tolerance share a number.

    Equal vectors are neighbours in the order of any projection; foreign vectors rarely come between, and hardly ever in
    several projections.
    """
    n, d = vectors.shape
    source, target = [], []
    for _ in range(_PROJECTIONS):
        probe = rng.standard_normal(d)
        projection = vectors @ probe
        order = np.argsort(projection, kind="stable")
        window = (tolerance + 2.0 * d * EPS) * float(np.linalg.norm(probe))
        for offset in range(1, _OFFSETS + 1):
            before, after = order[:-offset], order[offset:]
            close = projection[after] - projection[before] <= window
            before, after = before[close], after[close]
            same = np.linalg.norm(vectors[before] - vectors[after], axis=1) <= tolerance
            source.append(before[same])
            target.append(after[same])
    return _components(np.concatenate(source), np.concatenate(target), n)


def _components(source: Labels, target: Labels, n: int) -> Labels:
    """Number the connected components of a graph."""
    edges = coo_array((np.ones(source.size, dtype=np.int8), (source, target)), shape=(n, n))
    return connected_components(edges, directed=False)[1].astype(np.intp)
