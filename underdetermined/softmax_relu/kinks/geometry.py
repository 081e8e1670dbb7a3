"""Which hidden units sit on their kinks, and the geometry of the kinks that meet in one point."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from underdetermined._linalg import EPS, rank_cutoff

__all__ = ["KinkGroups", "NormalSpace", "group_kinks", "identify", "kink_norms", "rounding_width"]

FloatArray = NDArray[np.float64]

# The derivative of a softplus at 40 times its width is 1 up to rounding.
_WIDTH = 40.0
# z = a.T x carries this many roundings of |a| |x|, besides the root of the number of its terms.
_ROUNDINGS = 4.0
# Two unit vectors are parallel if their entries differ by this many roundings.
_PARALLEL = 16.0 * EPS


def identify(
    z: FloatArray, smoothing: float, row_norms: FloatArray, *, width: float = _WIDTH
) -> NDArray[np.intp]:
    """Read off which units a smoothed minimiser holds at their kinks.

    Parameters
    ----------
    z : ndarray of shape (H,)
        Pre-activations at the smoothed minimiser.
    smoothing : float
        Its smoothing mu.
    row_norms : ndarray of shape (H,)
        Norms of the rows; a zero row has no kink.
    width : float, default=40.0
        Units with |z| <= width * mu are pinned.

    Returns
    -------
    ndarray of shape (k,)
        Indices of the units at their kinks.

    References
    ----------
    :ref:`theory-softmax-relu-kinks`.
    """
    return np.flatnonzero((np.abs(z) <= width * smoothing) & (row_norms > 0.0))


def kink_norms(objective: Any) -> FloatArray:
    """Norms of the rows of A1 whose units have kinks, and 0 for units without.

    A unit has none if its row is zero, or if its column of A2 is constant, as what moves all logits alike changes nothing.

    Parameters
    ----------
    objective : SoftmaxReLU or SharedSoftmaxReLU
        Objective.

    Returns
    -------
    ndarray of shape (H,)
    """
    output, norms = objective.A2, objective.row_norms
    lowest, highest = output.min(axis=0), output.max(axis=0)
    is_inert = highest - lowest <= _ROUNDINGS * EPS * np.maximum(np.abs(lowest), np.abs(highest))
    return np.where(np.tile(is_inert, len(norms) // len(is_inert)), 0.0, norms)


def rounding_width(row_norms: FloatArray, x: FloatArray) -> FloatArray:
    """Width of the rounding of z = A1 x: nothing smaller can be told from a kink.

    Parameters
    ----------
    row_norms : ndarray of shape (H,)
        Norms of the rows.
    x : ndarray of shape (D,)
        Where.

    Returns
    -------
    ndarray of shape (H,)
    """
    # Norms of half the terms each, so that the product of two large numbers overflows only where z does.
    return _ROUNDINGS * EPS * np.sqrt(4.0 + x.size) * row_norms * float(np.linalg.norm(x))


@dataclass(frozen=True)
class KinkGroups:
    """Kinks that meet in one point, with those that coincide taken together.

    Parallel rows a_i = t_i e, of either sign, bend the objective along one hyperplane, and act as one kink of slope
    sum |t_i| r_i together with a linear term, -sum over t_i < 0 of |t_i| r_i e.

    Attributes
    ----------
    rows : ndarray of shape (k, D)
        Unit normals e of the different hyperplanes.
    slopes : ndarray of shape (k,)
        Their slopes.
    shift : ndarray of shape (D,)
        The linear terms.
    member : ndarray of shape (p,)
        Which hyperplane each of the units belongs to.
    same_side : ndarray of bool of shape (p,)
        Whether the unit is active on the side that e points to.
    """

    rows: FloatArray
    slopes: FloatArray
    shift: FloatArray
    member: NDArray[np.intp]
    same_side: NDArray[np.bool_]


def group_kinks(rows: Any, norms: FloatArray, unit_slopes: FloatArray) -> KinkGroups:
    """Take the kinks together that coincide.

    Parameters
    ----------
    rows : ndarray or sparse array of shape (p, D)
        Normals of the kinks, none of them zero.
    norms : ndarray of shape (p,)
        Their norms.
    unit_slopes : ndarray of shape (p,)
        r.

    Returns
    -------
    KinkGroups
    """
    dense = rows if isinstance(rows, np.ndarray) else rows.toarray()
    units = dense / norms[:, np.newaxis]
    member, same_side = np.arange(len(units)), np.ones(len(units), dtype=np.bool_)
    # Entries of a Gram matrix find candidates only: an angle of 1e-8 leaves no trace in a cosine.
    close = np.argwhere(np.triu(np.abs(units @ units.T) > 1.0 - 1e-12, 1))
    for first, second in close:
        sign = 1.0 if units[first] @ units[second] > 0.0 else -1.0
        if member[first] == first and np.abs(units[first] - sign * units[second]).max() <= _PARALLEL:
            member[second], same_side[second] = first, sign > 0.0
    heads, member = np.unique(member, return_inverse=True)
    scaled = norms * unit_slopes
    slopes: FloatArray = np.bincount(member, scaled, minlength=len(heads)).astype(np.float64)
    opposite = np.bincount(member, np.where(same_side, 0.0, scaled), minlength=len(heads))
    return KinkGroups(units[heads], slopes, -(opposite @ units[heads]), member.astype(np.intp), same_side)


class NormalSpace:
    """Span of some unit normals, what is orthogonal to it, and the relations between them.

    Parameters
    ----------
    rows : ndarray of shape (k, D)
        Unit normals.

    Attributes
    ----------
    rank : int
        Dimension of the span.
    relations : ndarray of shape (k, k - rank)
        Orthonormal basis of the vectors v with rows.T v = 0.
    amplification : ndarray of shape (k,)
        By how much an error in a gradient is amplified in each multiplier.
    """

    def __init__(self, rows: FloatArray) -> None:
        count, dimension = rows.shape
        self._rows, self.rank = rows, 0
        self.relations, self.amplification = np.zeros((count, count)), np.zeros(count)
        self._left = np.zeros((min(count, dimension), 0))
        if count == 0:
            return
        triangle = linalg.qr(rows.T, mode="r", check_finite=False)[0][: min(count, dimension)]
        left, values, right = linalg.svd(triangle, full_matrices=True, check_finite=False)
        self.rank = rank = int(np.count_nonzero(values > rank_cutoff(rows.shape) * values[0]))
        self._left, self.relations = left, right[rank:].T
        self.amplification = np.sqrt(((right[:rank].T / values[:rank]) ** 2).sum(axis=1))

    @cached_property
    def tangent(self) -> FloatArray:
        """Orthonormal basis of the directions that stay on all kinks, of shape (D, D - rank)."""
        count, dimension = self._rows.shape
        if count == 0:
            return np.eye(dimension)
        basis = linalg.qr(self._rows.T, mode="full", check_finite=False)[0]
        size = min(count, dimension)
        return np.hstack([basis[:, :size] @ self._left[:, self.rank :], basis[:, size:]])
