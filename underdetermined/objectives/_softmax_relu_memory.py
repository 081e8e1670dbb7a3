"""Working memory of softmax-ReLU objectives."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from underdetermined._validation import check_memory
from underdetermined.blocks import scratch

# Bytes. Below, asking how much memory there is takes longer than the work, and fresh pages cost as much as its flops.
_LARGE = 2**26
_FLOAT = np.dtype(np.float64)


def working_memory(*shapes: tuple[int, int]) -> list[NDArray[np.float64]]:
    """Arrays for intermediate results, in the memory that this thread keeps unless they are large.

    Parameters
    ----------
    *shapes : tuple of two int
        Their shapes.

    Returns
    -------
    list of ndarray
        Not initialised; the next call on this thread returns the same memory.
    """
    size = sum(rows * columns for rows, columns in shapes)
    flat = (scratch((1, size), _FLOAT) if 8 * size <= _LARGE else np.empty((1, size)))[0]
    parts, start = [], 0
    for rows, columns in shapes:
        stop = start + rows * columns
        parts.append(flat[start:stop].reshape(rows, columns))
        start = stop
    return parts


def check_large(n_rows: int, n_columns: int, what: str) -> None:
    """Refuse a matrix that cannot fit, where it is large enough for the question to be worth its time.

    Parameters
    ----------
    n_rows, n_columns : int
        Its shape.
    what : str
        Its name in the message.

    Raises
    ------
    MemoryError
        If it needs more bytes than there are.
    """
    n_bytes = 8 * n_rows * n_columns
    if n_bytes > _LARGE:
        check_memory(n_bytes, f"the {n_rows} x {n_columns} {what}")
