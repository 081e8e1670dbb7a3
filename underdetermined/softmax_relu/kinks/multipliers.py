"""Multipliers of kinks: bounded least squares by an active-set method, and the multipliers farthest from their bounds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from underdetermined._linalg import EPS, vector_norm

__all__ = ["bounded_least_squares", "central_multipliers"]

FloatArray = NDArray[np.float64]

# A gradient of the sum of squares smaller than this many roundings of its terms has no sign.
_ROUNDINGS = 16.0


def bounded_least_squares(rows: FloatArray, gradient: FloatArray, upper: FloatArray) -> FloatArray:
    """Minimise |g + rows.T v| over 0 <= v <= upper, to rounding, for rows that may depend on each other.

    Parameters
    ----------
    rows : ndarray of shape (k, D)
        Unit normals.
    gradient : ndarray of shape (D,)
        g.
    upper : ndarray of shape (k,)
        Bounds, >= 0.

    Returns
    -------
    ndarray of shape (k,)
        v. Where g + rows.T v is not zero, its opposite is a direction of steepest descent of
        u -> g.T u + sum upper_i max(rows_i.T u, 0).

    Notes
    -----
    Least squares without bounds first, which is all where the kinks are independent and the point is nearly stationary. Then
    variables outside are moved to their bounds all at once, and released one at a time; the last step is an exact solve on
    the variables between their bounds, so that these are as good as least squares without bounds.
    """
    count = len(rows)
    if count == 0:
        return np.zeros(0)
    if count < rows.shape[1]:
        basis, triangle = np.linalg.qr(rows.T)
        matrix, offset = triangle, basis.T @ gradient
    else:
        matrix, offset = rows.T, gradient
    values, free = _clip(matrix, offset, upper)
    size = vector_norm(offset) + float(np.abs(upper).max(initial=0.0))
    tolerance = _ROUNDINGS * EPS * np.sqrt(count) * size
    barred = np.zeros(count, dtype=np.bool_)
    for _ in range(10 * count + 10):
        slope = matrix.T @ (offset + matrix @ values)
        pull = np.where(values <= 0.0, -slope, slope)
        pull[free | barred | (upper == 0.0)] = -np.inf
        worst = int(pull.argmax())
        if pull[worst] <= tolerance:
            break
        before = values.copy()
        free[worst] = True
        values, free = _descend(matrix, offset, upper, values, free)
        # A variable that rounding sends straight back would be released for ever.
        barred[worst] = not free[worst] and bool(values[worst] == before[worst])
    return values


def _clip(matrix: FloatArray, offset: FloatArray, upper: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Least squares, then everything outside to its bound, until nothing is outside."""
    values, free = np.zeros(len(upper)), upper > 0.0
    while free.any():
        fixed = np.where(free, 0.0, values)
        values = fixed
        values[free] = np.linalg.lstsq(matrix[:, free], -(offset + matrix @ fixed), rcond=None)[0]
        outside = free & ((values <= 0.0) | (values >= upper))
        values = np.clip(values, 0.0, upper)
        if not outside.any():
            break
        free &= ~outside
    return values, free


def _descend(
    matrix: FloatArray, offset: FloatArray, upper: FloatArray, values: FloatArray, free: NDArray[np.bool_]
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Least squares over the free variables, stopping at bounds on the way."""
    values, free = values.copy(), free.copy()
    while free.any():
        which = np.flatnonzero(free)
        change = np.linalg.lstsq(matrix[:, which], -(offset + matrix @ values), rcond=None)[0]
        goal = values[which] + change
        outside = (goal < 0.0) | (goal > upper[which])
        if not outside.any():
            values[which] = goal
            break
        bounds = np.where(change < 0.0, 0.0, upper[which])
        with np.errstate(divide="ignore", invalid="ignore"):
            room = np.where(outside, (bounds - values[which]) / change, np.inf)
        share = float(np.clip(room.min(), 0.0, 1.0))
        stopped = outside & (room <= share)
        values[which] = np.clip(values[which] + share * change, 0.0, upper[which])
        values[which[stopped]] = bounds[stopped]
        free[which[stopped]] = False
    return values, free


def central_multipliers(values: FloatArray, relations: FloatArray, upper: FloatArray) -> FloatArray:
    """Move multipliers along the relations between the rows, as far from their bounds as they go.

    Parameters
    ----------
    values : ndarray of shape (k,)
        Multipliers within [0, upper].
    relations : ndarray of shape (k, j)
        Vectors v with rows.T v = 0, which change no residual.
    upper : ndarray of shape (k,)
        Bounds, >= 0.

    Returns
    -------
    ndarray of shape (k,)
        Values v with the largest smallest share min(v, upper - v) / upper; those given if that is no improvement.
    """
    tied = (np.abs(relations).max(axis=1, initial=0.0) > np.sqrt(EPS)) & (upper > 0.0)
    if not tied.any():
        return values
    moves, bounds, start = relations[tied], upper[tied], values[tied]
    scaled = moves / bounds[:, np.newaxis]
    ones = np.ones((len(bounds), 1))
    size = float(np.abs(scaled).max())
    result = linprog(
        np.append(np.zeros(moves.shape[1]), -1.0),
        A_ub=np.vstack([np.hstack([-scaled / size, ones]), np.hstack([scaled / size, ones])]),
        b_ub=np.concatenate([start / bounds, 1.0 - start / bounds]),
        bounds=[(None, None)] * moves.shape[1] + [(0.0, 0.5)],
        method="highs",
    )
    if result.status != 0:
        return values
    moved = values + relations @ (result.x[:-1] / size)
    return moved if _margin(moved[tied], bounds) > _margin(start, bounds) else values


def _margin(values: FloatArray, upper: FloatArray) -> float:
    return float((np.minimum(values, upper - values) / upper).min())
