"""Neurons chosen out of a wide layer so that what it spans is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, solve

from underdetermined._matrix import as_matrix
from underdetermined._validation import check_memory
from underdetermined.neurons._row_space import row_space_tiles

FloatArray = NDArray[np.float64]
Indices = NDArray[np.intp]

# A swap must enlarge the volume by this factor; every one does, so there is an end.
VOLUME_GAIN = 1.1


def select_neurons(features: Any, width: int | None = None) -> Indices:
    """Choose columns (neurons) that span what all of them span, and are far from dependent.

    Parameters
    ----------
    features : array_like, sparse matrix or LinearOperator of shape (n, m)
        Features A, such as ``feature_map.operator(X)``.
    width : int or None, default=None
        Number of columns, 1 to m; None is the numerical rank of A.

    Returns
    -------
    ndarray of int, shape (width,)
        Different columns, in the order of choice.

    Raises
    ------
    TypeError, ValueError
        If the features are not a finite, non-empty real matrix, or `width` is out of range.
    MemoryError
        If a basis of the row space cannot fit; the message has the number of bytes.

    References
    ----------
    :ref:`theory-minimum-width`.

    Examples
    --------
    >>> from underdetermined.neurons import select_neurons
    >>> select_neurons([[1.0, 2.0, 0.0, 3.0], [0.0, 0.0, 0.0, 4.0]]).tolist()
    [3, 1]
    """
    matrix = as_matrix(features, "features")
    n, m = matrix.shape
    if width is not None and (isinstance(width, bool) or not isinstance(width, int | np.integer) or not 1 <= width <= m):
        raise ValueError(f"width={width!r}: pass an integer of 1 ... {m}, or None for the numerical rank")
    check_memory(24 * min(n, m) * m, f"choosing among the columns of a {n} x {m} matrix")
    basis = np.hstack([tile for _, tile in row_space_tiles(matrix)])
    rank = len(basis)
    if width is None or width == rank:
        return _choose(basis)
    if width < rank:
        return _pivots(basis)[:width]
    first = _choose(basis)
    rest = np.setdiff1d(np.arange(m), first)
    if not rank:
        return rest[:width]
    return np.concatenate([first, rest[select_neurons(basis[:, rest], int(width) - rank)]])


def _pivots(basis: FloatArray) -> Indices:
    if not len(basis):
        return np.empty(0, dtype=np.intp)
    return qr(basis, mode="r", pivoting=True, check_finite=False)[1].astype(np.intp)


def _choose(basis: FloatArray) -> Indices:
    """As many columns as there are rows, so that no single swap makes their determinant much larger."""
    chosen = _pivots(basis)[: len(basis)]
    if not len(basis):
        return chosen
    ratios = solve(basis[:, chosen], basis)
    while True:
        out, into = np.unravel_index(np.abs(ratios).argmax(), ratios.shape)
        if abs(ratios[out, into]) <= VOLUME_GAIN:
            return chosen
        direction = ratios[:, into].copy()
        direction[out] -= 1.0
        ratios -= np.outer(direction, ratios[out] / ratios[out, into])
        chosen[out] = into
