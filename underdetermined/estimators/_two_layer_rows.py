"""Rows as a two-layer network sees them: centred, and of a size for which standard initialisations are meant."""

from typing import Any

import numpy as np

__all__ = ["centre_and_scale", "prepared_rows"]

# Sizes of rows beyond which their inverse, or twice it, leaves float64.
_LARGEST_SCALE = 2.0**1020


def centre_and_scale(inputs: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, float]:
    """Weighted mean row, and the factor that takes the root mean square of all entries about it to one.

    Parameters
    ----------
    inputs : ndarray of shape (n, d)
        Finite rows.
    weight : ndarray of shape (n,)
        Positive weights.

    Returns
    -------
    centre : ndarray of shape (d,)
        A constant column has exactly its own value, so that it becomes zero.
    scale : float
        One where all rows are equal.
    """
    # By a power of two, which is exact: a sum could overflow.
    exponent = int(np.frexp(np.abs(inputs).max(initial=0.0))[1])
    rows = np.ldexp(np.asarray(inputs, dtype=np.float64), -exponent)
    is_constant = (rows == rows[:1]).all(axis=0)
    centre = np.where(is_constant, rows[0], np.average(rows, axis=0, weights=weight))
    offsets = rows - centre
    spread = float(np.abs(offsets).max(initial=0.0))
    if spread == 0.0:
        return np.ldexp(centre, exponent), 1.0
    offsets /= spread
    size = np.sqrt(np.average((offsets**2).mean(axis=1), weights=weight))
    with np.errstate(over="ignore"):
        scale = min(float(np.ldexp(1.0 / (spread * size), -exponent)), _LARGEST_SCALE)
    return np.ldexp(centre, exponent), scale


def prepared_rows(inputs: Any, centre: np.ndarray, scale: float) -> np.ndarray:
    """Return ``scale * (x - centre)`` for every row x.

    Parameters
    ----------
    inputs : ndarray of shape (n, d)
        Finite rows.
    centre : ndarray of shape (d,)
        Row to subtract.
    scale : float
        Positive factor.

    Returns
    -------
    ndarray of shape (n, d)
        float64, C-contiguous.

    Raises
    ------
    OverflowError
        If an entry overflows.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        # Halves first: a difference of two large numbers could overflow.
        rows = np.subtract(0.5 * np.asarray(inputs, dtype=np.float64), 0.5 * centre, order="C") * (2.0 * scale)
    if not np.isfinite(rows).all():
        largest = float(np.abs(inputs).max())
        raise OverflowError(
            f"X has entries up to {largest:.4g}, which overflow once multiplied by the row scale {scale:.4g}: remove such "
            "rows, or lower row_scale"
        )
    return rows
