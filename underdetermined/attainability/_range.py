"""The space of all targets that a network can attain, as an orthonormal basis made of a sparse and a dense part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr
from scipy.sparse import csr_array

from underdetermined._linalg import Array
from underdetermined._validation import check_memory
from underdetermined.attainability._lines import Labels, Lines, renumber
from underdetermined.attainability._parts import Parts
from underdetermined.attainability._polynomial import polynomial_range

# A class that takes part in a relation only this little (squared) is not named as responsible.
_INVOLVED = 1e-12
# The two sides of a line are not allowed to differ in size by more, so that squares stay within float64.
_SMALLEST = 2.0**-500


@dataclass(frozen=True, eq=False)
class Range:
    """Targets that can be attained: the span of `single` and of `mixed` @ `basis`, both orthonormal and orthogonal.

    Parameters
    ----------
    single : sparse array of shape (n, q)
        One column for each independent class of rows; the columns have disjoint supports.
    mixed : sparse array of shape (n, P)
        One column for each class that contributes a polynomial only; disjoint supports too.
    basis : ndarray of shape (P, r) or None
        Which combinations of these the polynomials reach; None: all.
    involved : ndarray of shape (P,)
        Which of these classes take part in a relation.
    """

    single: csr_array
    mixed: csr_array
    basis: Array | None
    involved: Array

    @property
    def n_polynomials(self) -> int:
        """Dimension r of what the polynomials reach."""
        return int(self.mixed.shape[1] if self.basis is None else self.basis.shape[1])

    @property
    def rank(self) -> int:
        """Dimension of the space."""
        return int(self.single.shape[1]) + self.n_polynomials

    def remainder(self, targets: Array) -> Array:
        """Part of the targets that is orthogonal to everything attainable.

        Parameters
        ----------
        targets : ndarray of shape (n, k)
            Targets.

        Returns
        -------
        ndarray of shape (n, k)
        """
        part = self.mixed.T @ targets
        if self.basis is not None:
            part = self.basis @ (self.basis.T @ part)
        return targets - self.single @ (self.single.T @ targets) - self.mixed @ part

    def complement(self) -> Array:
        """Orthonormal basis of the targets that are orthogonal to everything attainable.

        Returns
        -------
        ndarray of shape (n, n - rank)

        Raises
        ------
        MemoryError
            If it does not fit.
        """
        n, classes = self.mixed.shape
        rank, deficiency = self.n_polynomials, n - self.rank
        n_bytes = 8 * (n * deficiency + 2 * classes * classes * (rank < classes))
        check_memory(n_bytes, f"the {n} x {deficiency} matrix of null vectors (unattainable_part does without)")
        null = np.zeros((n, deficiency))
        column = 0
        for rows, weights in self._sides():
            size = rows.size - 1
            # The columns of a Householder reflection other than the first are orthogonal to the weights.
            vector = weights.copy()
            vector[0] += np.copysign(1.0, weights[0])
            block = -np.outer(vector, vector[1:] / (1.0 + abs(weights[0])))
            block[1:] += np.eye(size)
            null[rows, column : column + size] = block
            column += size
        if self.basis is not None and rank < classes:
            full = qr(self.basis, mode="full", check_finite=False)[0] if rank else np.eye(classes)
            null[:, column : column + classes - rank] = self.mixed @ full[:, rank:]
            column += classes - rank
        # What is left are zero rows that nothing reaches.
        untouched = np.flatnonzero((np.diff(self.single.indptr) == 0) & (np.diff(self.mixed.indptr) == 0))
        null[untouched, column + np.arange(untouched.size)] = 1.0
        return null

    def _sides(self) -> list[tuple[Labels, Array]]:
        """Rows that are multiples of one another, two or more, with their weights as unit vectors."""
        single, mixed = self.single.tocoo(), self.mixed.tocoo()
        n = self.single.shape[0]
        weight, label = np.zeros(n), np.full(n, -1, dtype=np.intp)
        # Of a class with two sides, one of the two columns has opposite signs on them.
        flipped = np.zeros(n, dtype=bool)
        for columns, offset in ((mixed, n), (single, 0)):
            weight[columns.row], label[columns.row] = np.abs(columns.data), 2 * (offset + columns.col)
            flipped[columns.row] ^= columns.data < 0.0
        label += flipped
        rows = np.flatnonzero(label >= 0)
        rows = rows[np.argsort(label[rows], kind="stable")]
        parts = np.split(rows, np.flatnonzero(np.diff(label[rows])) + 1)
        return [(part, weight[part] / np.linalg.norm(weight[part])) for part in parts if part.size > 1]


@dataclass(frozen=True, eq=False)
class Classes:
    """Which rows share a function, up to weights.

    Parameters
    ----------
    label : ndarray of shape (n,)
        Number of the class, -1 for the zero rows.
    weight : ndarray of shape (n,)
        The feature of row i is weight_i size f(side_i t <w, u>), t the length of the class; the weights of either side of a
        class are a unit vector.
    sizes : ndarray of shape (C, 2)
        The `size` of the two sides, 0 for a side without rows.
    first : ndarray of shape (C,)
        A row of every class, the longest one.
    """

    label: Labels
    weight: Array
    sizes: Array
    first: Labels


def classify(lines: Lines, parts: Parts) -> Classes:
    """Put rows into classes: whole lines, antipodal pairs or single points, as the activation has it.

    Parameters
    ----------
    lines : Lines
        Grouped rows.
    parts : Parts
        The activation.

    Returns
    -------
    Classes
    """
    by_line = parts.homogeneous is not None and not parts.is_polynomial
    label = lines.line if by_line else lines.point
    if parts.opposite is None:
        label = np.where(lines.is_zero, -1, 2 * label + (lines.side < 0))
    present = np.flatnonzero(~lines.is_zero)
    order = present[np.lexsort((-lines.mantissa[present], -lines.exponent[present], label[present]))]
    compact = np.full(label.size, -1, dtype=np.intp)
    compact[order] = renumber(label[order])
    first = order[np.unique(compact[order], return_index=True)[1]]
    half = 2 * compact[order] + (lines.side[order] < 0)
    halves, leader = np.unique(half, return_index=True)
    leader = order[leader]
    sizes = np.zeros(2 * first.size)
    weight = np.zeros(label.size)
    power = float(parts.homogeneous or 0) if by_line else 0.0
    # Lengths are compared within a side first: the two sides of a line may be too far apart for float64.
    within = leader[np.searchsorted(halves, half)]
    weight[order] = _relative_length(lines, order, within) ** power
    np.add.at(sizes, half, weight[order] ** 2)
    sizes = np.sqrt(sizes)
    weight[order] /= sizes[half]
    ratio = _relative_length(lines, leader, first[compact[leader]])
    sizes[halves] *= np.maximum(ratio**power, _SMALLEST)
    return Classes(compact, weight, sizes.reshape(-1, 2), first)


def _relative_length(lines: Lines, rows: Labels, references: Labels) -> Array:
    """Lengths of rows relative to others on the same line."""
    shift = np.maximum(lines.exponent[rows] - lines.exponent[references], -2000)
    return np.ldexp(lines.mantissa[rows] / lines.mantissa[references], shift)


def attainable_range(lines: Lines, parts: Parts, classes: Classes) -> Range:
    """Space spanned by the features of all neurons.

    Parameters
    ----------
    lines : Lines
        Grouped rows.
    parts : Parts
        The activation.
    classes : Classes
        The rows in classes.

    Returns
    -------
    Range
    """
    n, count = lines.side.size, classes.first.size
    rows = np.flatnonzero(~lines.is_zero)
    label, weight, is_minus = classes.label[rows], classes.weight[rows], lines.side[rows] < 0
    plus, minus = classes.sizes.T
    size = np.hypot(plus, minus)
    direction, length = lines.direction[classes.first], lines.log_length()[classes.first]

    if parts.is_polynomial:
        single = [(rows[:0], label[:0], weight[:0])]
        mixed = [(rows, label, weight)]
        height = size
        direction = direction * lines.side[classes.first, np.newaxis]
    else:
        # The sum f(t) + sign f(-t) is a polynomial; the other combination of the two sides stays independent.
        sign = parts.opposite or 1
        cosine, sine = plus / size, minus / size
        single = [(rows, label, weight * np.where(is_minus, -sign * sine[label], cosine[label]))]
        two = np.flatnonzero((plus > 0.0) & (minus > 0.0))
        number = np.full(count, -1, dtype=np.intp)
        number[two] = np.arange(two.size)
        member = number[label] >= 0
        across = weight * np.where(is_minus, sign * cosine[label], sine[label])
        mixed = [(rows[member], number[label[member]], across[member])]
        height = 2.0 * plus[two] * sine[two]
        direction, length = direction[two], length[two]

    # The features of a zero row are the constant f(0): nothing, part of the polynomials, or a class of its own.
    zero = np.flatnonzero(lines.is_zero)
    entry = (zero, np.zeros(zero.size, dtype=np.intp), np.full(zero.size, zero.size**-0.5 if zero.size else 0.0))
    if zero.size and parts.at_zero and 0 in parts.polynomial:
        mixed.append((zero, entry[1] + height.size, entry[2]))
        height = np.append(height, zero.size**0.5 * parts.at_zero / parts.polynomial[0])
        direction = np.vstack([direction, np.zeros((1, direction.shape[1]))])
        length = np.append(length, -np.inf)
    elif zero.size and parts.at_zero:
        single.append((zero, entry[1] + count, entry[2]))

    basis, scale = polynomial_range(direction, length, parts.polynomial)
    involved = np.full(height.size, basis is not None)
    if basis is not None and basis.shape[1]:
        involved = 1.0 - np.einsum("ij,ij->i", basis, basis) > _INVOLVED
        basis = qr((height * np.exp2(scale))[:, np.newaxis] * basis, mode="economic", check_finite=False)[0]
    return Range(_columns(single, n), _columns(mixed, n), basis, involved)


def _columns(entries: list[tuple[Labels, Labels, Array]], n: int) -> csr_array:
    """Sparse columns with disjoint supports, from (row, column, value)."""
    row, column, value = (np.concatenate(part) for part in zip(*entries, strict=True))
    return csr_array((value, (row, column)), shape=(n, int(column.max(initial=-1)) + 1))
