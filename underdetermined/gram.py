"""Finite-width Gram matrices of hidden features: built by streams of tiles, extended by rows, widened by neurons.

All sums run over neurons as they are; a `FeatureMap` with scale 1 / sqrt(width) makes them averages.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._linalg import add_outer_gram, mirror_lower
from underdetermined._matrix import as_matrix, dense_gram, lower_gram
from underdetermined._validation import check_matrix, check_memory

FloatArray = NDArray[np.float64]


def gram_matrix(features: Any) -> FloatArray:
    """Gram matrix of the rows, K = A A.T, streamed over tiles of columns (neurons).

    Parameters
    ----------
    features : array_like, sparse matrix or LinearOperator of shape (n, m)
        Features A; operators are streamed through ``column_tiles()`` where they have it.

    Returns
    -------
    ndarray of shape (n, n), float64
        Exactly symmetric.

    Raises
    ------
    MemoryError
        If the n x n matrix cannot fit; the message has the number of bytes.

    Notes
    -----
    n^2 m flops in symmetric rank-k updates of BLAS; memory O(n^2 + n tile).

    Examples
    --------
    >>> from underdetermined.gram import gram_matrix
    >>> gram_matrix([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]])
    array([[5., 2.],
           [2., 2.]])
    """
    matrix = as_matrix(features, "features")
    if matrix.array is not None:
        return mirror_lower(dense_gram(matrix.array))
    return mirror_lower(lower_gram(matrix.column_tiles(), matrix.shape[0]))


def column_gram(features: Any) -> FloatArray:
    """Gram matrix of the columns, A.T A, streamed over tiles of rows; the smaller one of a tall system.

    Parameters
    ----------
    features : array_like, sparse matrix or LinearOperator of shape (n, m)
        Features A; operators are streamed through ``row_tiles()`` where they have it.

    Returns
    -------
    ndarray of shape (m, m), float64
        Exactly symmetric.

    Raises
    ------
    MemoryError
        If the m x m matrix cannot fit.

    Notes
    -----
    n m^2 flops; memory O(m^2 + m tile).

    Examples
    --------
    >>> from underdetermined.gram import column_gram
    >>> column_gram([[1.0, 2.0], [0.0, 1.0], [1.0, 0.0]])
    array([[2., 2.],
           [2., 5.]])
    """
    matrix = as_matrix(features, "features")
    if matrix.array is not None:
        return mirror_lower(dense_gram(matrix.array.T))
    return mirror_lower(lower_gram(((part, tile.T) for part, tile in matrix.row_tiles()), matrix.shape[1]))


def extend_gram(gram: ArrayLike, features: Any) -> FloatArray:
    """Gram matrix after rows are appended, from the one of the first rows.

    Parameters
    ----------
    gram : array_like of shape (n_known, n_known)
        Gram matrix of the first n_known rows.
    features : array_like, sparse matrix or LinearOperator of shape (n, m)
        All rows, the known ones first.

    Returns
    -------
    ndarray of shape (n, n)
        Exactly symmetric, equal to `gram_matrix` of `features` up to rounding.

    Raises
    ------
    ValueError
        If `gram` is not square or has more rows than `features`.
    MemoryError
        If the result cannot fit.

    Notes
    -----
    2 n (n - n_known) m flops instead of n^2 m.

    Examples
    --------
    >>> from underdetermined.gram import extend_gram, gram_matrix
    >>> extend_gram(gram_matrix([[1.0, 2.0]]), [[1.0, 2.0], [0.0, 1.0]])
    array([[5., 2.],
           [2., 1.]])
    """
    matrix = as_matrix(features, "features")
    n, known = matrix.shape[0], len(np.asarray(gram))
    if known > n:
        raise ValueError(f"gram has {known} rows and features only {n}: pass all rows, the known ones first")
    check_memory(16 * n * n, f"the {n} x {n} Gram matrix and its blocks")
    result = np.zeros((n, n), order="F")
    for _, tile in matrix.column_tiles():
        result[known:] += tile[known:] @ tile.T
    result[:known, known:] = result[known:, :known].T
    result[:known, :known] = _check_gram(gram, known, "features")
    corner = result[known:, known:]
    corner[...] = (corner + corner.T) / 2
    return result


def widen_gram(gram: ArrayLike, extra_features: Any) -> FloatArray:
    """Gram matrix after neurons are added: K + E E.T, a symmetric update of rank m_extra.

    Parameters
    ----------
    gram : array_like of shape (n, n)
        Gram matrix of the old neurons, with the scale that all neurons have in the end.
    extra_features : array_like, sparse matrix or LinearOperator of shape (n, m_extra)
        Features E of the new neurons, of the same rows.

    Returns
    -------
    ndarray of shape (n, n)
        A new array, exactly symmetric.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Notes
    -----
    n^2 m_extra flops. If the feature scale depends on the width, multiply `gram` by the square of its ratio first.

    Examples
    --------
    >>> from underdetermined.gram import gram_matrix, widen_gram
    >>> widen_gram(gram_matrix([[1.0], [2.0]]), [[1.0], [0.0]])
    array([[2., 2.],
           [2., 4.]])
    """
    extra = as_matrix(extra_features, "extra_features")
    total = np.array(_check_gram(gram, extra.shape[0], "extra_features"), order="F")
    for _, tile in extra.column_tiles():
        add_outer_gram(total, tile)
    return mirror_lower(total)


def _check_gram(gram: ArrayLike, n_rows: int, name: str) -> FloatArray:
    """Check that a Gram matrix belongs to features with this number of rows."""
    result = check_matrix(gram, "gram")
    if result.shape != (n_rows, n_rows):
        raise ValueError(f"gram has shape {result.shape} and {name} {n_rows} rows: pass the Gram matrix of the same rows")
    return np.asarray(result, dtype=np.float64)
