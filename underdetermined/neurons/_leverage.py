"""Leverage scores of neurons: how much each one adds to what the features span."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined._matrix import as_matrix
from underdetermined.neurons._row_space import row_space_tiles


def leverage_scores(features: Any) -> NDArray[np.float64]:
    """Leverage scores of the columns (neurons), l_j = a_j.T (A A.T)^+ a_j.

    A score lies in [0, 1], and the scores add up to the rank of A. It is 1 for a neuron without which the rank falls.

    Parameters
    ----------
    features : array_like, sparse matrix or LinearOperator of shape (n, m)
        Features A, such as ``feature_map.operator(X)``; operators are streamed. The scale of A does not matter.

    Returns
    -------
    ndarray of shape (m,), float64
        Scores.

    Raises
    ------
    TypeError, ValueError
        If the features are not a finite, non-empty real matrix.
    MemoryError
        If a matrix of the order of the smaller side cannot fit; the message has the number of bytes.

    Notes
    -----
    A wide matrix costs n^2 m flops for its Gram matrix and 2 n^2 m for the scores, in two passes; memory O(n^2 + n tile).
    Where the Gram matrix has a condition number above 1e8, a QR factorisation, tile by tile, takes its place: 2 n^2 m flops
    or more. A tall matrix costs 2 n m^2 in one pass. Singular values up to ``max(n, m) eps s_max`` count as zero. The error
    of a score is about eps times the condition number of A, 1e-7 at most where that is below 1e4.

    References
    ----------
    :ref:`theory-minimum-width`.

    Examples
    --------
    >>> from underdetermined.neurons import leverage_scores
    >>> leverage_scores([[3.0, 0.0, 0.0], [0.0, 2.0, 2.0]])
    array([1. , 0.5, 0.5])
    """
    matrix = as_matrix(features, "features")
    scores = np.empty(matrix.shape[1])
    for part, tile in row_space_tiles(matrix):
        scores[part] = np.einsum("ij,ij->j", tile, tile)
    return np.minimum(scores, 1.0)
