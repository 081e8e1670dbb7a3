"""An equivalent problem that is easier to solve: centred logits, units of one scale, none twice, no idle unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from underdetermined._linalg import EPS, column_norms, rank_cutoff, vector_norm
from underdetermined._validation import check_memory

Array = NDArray[np.float64]

_PROBE_SEED = 8
# Entries of a column that differ by less are equal.
_CONSTANT = 4.0 * EPS
# Scales have squares that are far from overflow.
_EXPONENT = 200


@dataclass(frozen=True)
class ReducedProblem:
    """Softmax-ReLU regression in other coordinates, with the same values: x = scale * basis @ s.

    Attributes
    ----------
    A1 : ndarray or sparse array of shape (k, r)
        Directions of the distinct units, with norms near 1.
    A2 : ndarray of shape (m, k)
        Output weights with columns of mean zero; lengths of rows of the given A1 are moved here, and the scale.
    weights : ndarray of shape (k,)
        Weights of the penalty, for the rows of `A1`.
    groups : ndarray of int, shape (n,)
        Row of `A1` that a given unit became; -1 for a row of zeros, and for a unit without effect.
    basis : ndarray of shape (d, r) or None
        Orthonormal basis of the space of rows; None where the unknowns stay as they are.
    scale : float
        A power of two. The rows of A2 have norms about 1.
    powers : ndarray of shape (n,)
        Powers of two near the norms of the rows of the given A1.
    """

    A1: Any
    A2: Array
    weights: Array
    groups: NDArray[np.intp]
    basis: Array | None
    scale: float
    powers: Array

    def start(self, x: Array) -> Array:
        """Coordinates of the point of the row space nearest to x.

        Parameters
        ----------
        x : ndarray of shape (d,) or (d, N)
            Points.

        Returns
        -------
        ndarray of shape (r,) or (r, N)
        """
        return (x if self.basis is None else self.basis.T @ x) / self.scale

    def restore(self, s: Array) -> Array:
        """Points with these coordinates, the smallest ones with their hidden units.

        Parameters
        ----------
        s : ndarray of shape (r,) or (r, N)
            Coordinates.

        Returns
        -------
        ndarray of shape (d,) or (d, N)
        """
        return self.scale * s if self.basis is None else self.basis @ (self.scale * s)

    def units(self, reduced: NDArray[np.intp]) -> NDArray[np.intp]:
        """Given units that became one of these.

        Parameters
        ----------
        reduced : ndarray of int
            Rows of the reduced A1.

        Returns
        -------
        ndarray of int
            Sorted.
        """
        return np.flatnonzero(np.isin(self.groups, reduced))


def reduce_problem(A1: Array, A2: Array, weights: Array, *, penalised: bool) -> ReducedProblem:
    """Write a problem in the coordinates in which it is solved.

    Parameters
    ----------
    A1 : ndarray of shape (n, d)
        Hidden layer.
    A2 : ndarray of shape (m, n)
        Output layer.
    weights : ndarray of shape (n,)
        Weights of the penalty |diag(weights) A1 x|^2 / 2.
    penalised : bool
        Whether reg > 0: then every minimiser lies in the space of rows, and d <= n unknowns never have to be reduced.

    Returns
    -------
    ReducedProblem

    Raises
    ------
    ValueError
        If lengths of rows of A1 times entries of A2 overflow.
    MemoryError
        If the copies do not fit.

    Notes
    -----
    Softmax ignores what all logits share, and relu(t z) = t relu(z) for t > 0, so that values and minimisers are those
    of the given problem. Then |z_i| is about the distance to a kink, and one scale fits all lengths of steps. Units whose
    directions agree to rounding are summed: together they have one kink. Without reg the point returned is the one of
    smallest norm among those with the same hidden units. Costs two copies of both matrices and, where d > n or reg = 0, a QR
    decomposition of A1 with pivoting, O(n d min(n, d)).
    """
    (n, d), m = A1.shape, len(A2)
    check_memory(32 * (n * d + m * n), f"softmax_relu_regression with A1 of shape {A1.shape} and A2 of shape {A2.shape}")
    norms = column_norms(A1.T)
    # A unit that moves all logits alike has no effect but on the penalty.
    has_effect = np.ptp(A2, axis=0) > _CONSTANT * np.abs(A2).max(axis=0)
    present = np.flatnonzero((norms > 0.0) & (has_effect | (weights != 0.0)))
    if present.size == 0:
        return unreduced_problem(A1, np.zeros_like(A2), weights)
    first, group = _distinct(A1[present] / norms[present, np.newaxis])
    groups = np.full(n, -1, np.intp)
    groups[present] = group
    # Powers of two do not round: nearly dependent rows stay exactly as dependent as they are.
    powers = np.ones(n)
    powers[present] = 2.0 ** np.round(np.log2(norms[present]))
    leader = present[first][group]
    lengths = powers[leader] * (norms[present] / norms[leader])
    with np.errstate(over="ignore", invalid="ignore"):
        columns = (A2[:, present] - A2[:, present].mean(axis=0)) * np.where(has_effect[present], lengths, 0.0)
        scaled = weights[present] * lengths
    if not (np.isfinite(columns).all() and np.isfinite(scaled).all()):
        raise ValueError("A1 and A2 together overflow: divide rows of A1, or columns of A2 and weights, by a power of ten")
    if len(first) < len(present):
        # The order of the sums is that of the units, whatever the order of the groups.
        merged = np.zeros((m, len(first)))
        np.add.at(merged.T, group, columns.T)
        columns, scaled = merged, np.sqrt(np.bincount(group, scaled**2, minlength=len(first)))
    rows = A1[present[first]] / powers[present[first], np.newaxis]
    basis = _row_space(rows) if d > len(rows) or not penalised else None
    if basis is not None:
        rows = rows @ basis
    size = vector_norm(column_norms(columns)) / np.sqrt(m)
    scale = float(2.0 ** -np.clip(np.round(np.log2(size)), -_EXPONENT, _EXPONENT)) if size > 0.0 else 1.0
    return ReducedProblem(rows, scale * columns, scale * scaled, groups, basis, scale, powers)


def unreduced_problem(A1: Any, A2: Array, weights: Array) -> ReducedProblem:
    """Leave a problem as it is, where copies would cost too much.

    Parameters
    ----------
    A1 : ndarray or sparse array of shape (n, d)
        Hidden layer.
    A2 : ndarray of shape (m, n)
        Output layer.
    weights : ndarray of shape (n,)
        Weights of the penalty.

    Returns
    -------
    ReducedProblem
    """
    return ReducedProblem(A1, A2, weights, np.arange(A1.shape[0]), None, 1.0, np.ones(A1.shape[0]))


def _distinct(directions: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First unit of each group of equal directions, and the group of each unit, both in the order of the units."""
    n, d = directions.shape
    tolerance = 4.0 * EPS
    probe = np.random.default_rng(_PROBE_SEED).standard_normal(d)
    keys = directions @ probe
    order = np.argsort(keys, kind="stable")
    near = np.diff(keys[order]) <= 8.0 * np.sqrt(d) * tolerance * np.linalg.norm(probe)
    leader = np.arange(n)
    for place in np.flatnonzero(near):
        one, other = order[place], order[place + 1]
        if np.abs(directions[one] - directions[other]).max() <= tolerance:
            leader[other] = leader[one]
    # The smallest unit of a group speaks for it.
    smallest = np.arange(n)
    np.minimum.at(smallest, leader, np.arange(n))
    first, group = np.unique(smallest[leader], return_inverse=True)
    return first, group


def _row_space(rows: Array) -> Array | None:
    """Orthonormal basis of the rows, None where it would have d columns and nothing is gained."""
    q, r, _ = linalg.qr(rows.T, mode="economic", pivoting=True)
    diagonal = np.abs(np.diag(r))
    rank = int(np.count_nonzero(diagonal > rank_cutoff(rows.shape) * diagonal[0]))
    return None if rank == rows.shape[1] else np.ascontiguousarray(q[:, :rank])
