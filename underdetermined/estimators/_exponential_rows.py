"""Rows as a network of exponentials sees them: with a constant input, and of a size at which exponentials behave."""

from typing import Any

import numpy as np

from underdetermined._linalg import column_norms

__all__ = ["choose_row_scale", "scaled_rows", "with_constant"]

# Norm of the median row: smaller ones leave the kernel nearly linear, larger ones make it a poor sample.
MEDIAN_NORM = 0.75


def with_constant(inputs: Any, constant: float | None) -> np.ndarray:
    """Append a constant input.

    Parameters
    ----------
    inputs : ndarray of shape (n, d)
        Finite rows.
    constant : float or None
        c; None appends nothing.

    Returns
    -------
    ndarray of shape (n, d + 1) or (n, d)
        float64.
    """
    rows = np.ascontiguousarray(inputs, dtype=np.float64)
    return rows if constant is None else np.column_stack([rows, np.full(len(rows), constant)])


def scaled_rows(inputs: Any, constant: float | None, scale: float) -> np.ndarray:
    """Return ``scale * (x, c)`` for every row x.

    Parameters
    ----------
    inputs : ndarray of shape (n, d)
        Finite rows.
    constant : float or None
        c; None appends nothing.
    scale : float
        Positive factor.

    Returns
    -------
    ndarray of shape (n, d + 1) or (n, d)

    Raises
    ------
    OverflowError
        If an entry overflows.
    """
    with np.errstate(over="ignore"):
        rows = scale * with_constant(inputs, constant)
    if not np.isfinite(rows).all():
        largest = float(np.abs(inputs).max())
        raise OverflowError(
            f"X has entries up to {largest:.4g}, which overflow once multiplied by the row scale {scale:.4g}: remove such "
            "rows"
        )
    return rows


def choose_row_scale(rows: np.ndarray, weight: np.ndarray, width: int) -> float:
    """Factor that takes the median norm of the rows to 0.75, or the largest one to ``sqrt(log(width)) / 2`` if that is less.

    Beyond that largest norm x the relative variance of an entry of the tangent Gram matrix, ``(exp(4 x^2) - 1) / width``,
    exceeds 1.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Finite rows; those that are zero do not count.
    weight : ndarray of shape (n,)
        Positive weights.
    width : int
        Number of neurons.

    Returns
    -------
    float
        One where all rows are zero.
    """
    norms = column_norms(rows.T)
    order = np.argsort(norms, kind="stable")[np.count_nonzero(norms == 0.0) :]
    if not len(order):
        return 1.0
    total = np.cumsum(weight[order])
    median = norms[order[np.searchsorted(total, 0.5 * total[-1])]]
    largest = norms[order[-1]]
    with np.errstate(over="ignore"):
        scale = min(MEDIAN_NORM / median, 0.5 * np.sqrt(np.log(max(width, 2))) / largest)
    return float(min(scale, np.finfo(np.float64).max))
