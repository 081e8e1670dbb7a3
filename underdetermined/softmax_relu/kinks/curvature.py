"""The sign of the curvature along a subspace, decided up to rounding."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from underdetermined._linalg import EPS, rank_cutoff

__all__ = ["ReducedCurvature", "reduced_curvature"]

FloatArray = NDArray[np.float64]

# Entries of a Hessian are sums of products; this many roundings of its norm cover them.
_ROUNDINGS = 8.0


@dataclass(frozen=True)
class ReducedCurvature:
    """Smallest curvature of an objective along a subspace.

    Attributes
    ----------
    value : float
        Smallest eigenvalue of the restricted Hessian, along directions in which the objective is not constant; inf where
        there are none.
    sign : int
        1 if positive beyond rounding, -1 if negative beyond rounding, 0 if rounding hides it.
    direction : ndarray of shape (D,)
        Unit vector along which the curvature is smallest.
    n_flat : int
        Dimension of the directions in which the objective is exactly constant nearby; they are not counted.
    """

    value: float
    sign: int
    direction: FloatArray
    n_flat: int = 0


def reduced_curvature(point: Any, tangent: FloatArray) -> ReducedCurvature:
    """Smallest eigenvalue of T^T H T, and whether its sign is certain.

    Parameters
    ----------
    point : SoftmaxReLUPoint
        Where, as a point of one cell.
    tangent : ndarray of shape (D, k)
        Orthonormal basis T of the subspace.

    Returns
    -------
    ReducedCurvature

    Notes
    -----
    One Hessian on the subspace and its smallest eigenvalue, k^3 / 3 flops or a few times that. Where that is within rounding
    of zero, H = M^T diag(s) M + reg I is taken apart instead: with M = U S V^T the inertia on the row space of M is that of
    the well-scaled matrix U^T diag(s) U, and the objective is constant along the null space of M where reg = 0.
    """
    dimension, size = tangent.shape
    if size == 0:
        return ReducedCurvature(inf, 1, np.zeros(dimension))
    hessian = point.hessian(basis=None if size == dimension else tangent)
    if size == dimension:
        tangent = np.eye(dimension)
    scale = float(np.abs(hessian).max())
    if not 0.0 < scale < inf:
        return _by_parts(point, tangent, ReducedCurvature(0.0, 0, tangent[:, 0]))
    values, vectors = linalg.eigh(hessian / scale, subset_by_index=[0, 0], check_finite=False)
    value, rounding = float(values[0]) * scale, _ROUNDINGS * EPS * size * scale
    sign = int(value > rounding) - int(value < -rounding)
    found = ReducedCurvature(value, sign, tangent @ vectors[:, 0])
    return found if sign else _by_parts(point, tangent, found)


def _by_parts(point: Any, tangent: FloatArray, found: ReducedCurvature) -> ReducedCurvature:
    """Decide by the inertia of the factors."""
    rows, signs = [point.centred_jacobian(tangent)], [point.curvature_weights()]
    kinks = point.kink_weights()
    if kinks is not None:
        which = np.flatnonzero(kinks)
        near = point.objective.rows(which) @ tangent
        rows.append(near)
        signs.append(kinks[which])
    factor, weights = np.vstack(rows), np.concatenate(signs)
    left, values, right = linalg.svd(factor, full_matrices=False)
    rank = int(np.count_nonzero(values > rank_cutoff(factor.shape) * values[0])) if values.size else 0
    reg = float(point.objective.reg)
    n_flat = tangent.shape[1] - rank if reg == 0.0 else 0
    if rank == 0:
        return ReducedCurvature(reg if reg else inf, 1, found.direction, n_flat)
    inner = left[:, :rank].T @ (weights[:, np.newaxis] * left[:, :rank])
    lowest = float(np.linalg.eigvalsh(inner)[0])
    if lowest <= _ROUNDINGS * EPS * len(weights) * float(np.abs(weights).max()):
        return found
    curved = values[:rank, np.newaxis] * inner * values[:rank]
    curvatures, vectors = np.linalg.eigh(curved)
    value = max(float(curvatures[0]), 0.0) + reg
    direction = tangent @ (right[:rank].T @ vectors[:, 0])
    return ReducedCurvature(reg if reg and rank < tangent.shape[1] else value, 1, direction, n_flat)
