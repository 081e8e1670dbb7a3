"""Finite-width Gram matrices of hidden features: built by streams of tiles, extended by rows, widened by neurons.

All sums run over neurons as they are; a `FeatureMap` with scale 1 / sqrt(width) makes them averages.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._linalg import add_outer_gram, mirror_lower
from underdetermined._matrix import Matrix, as_matrix, dense_gram, lower_gram
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


def extend_gram(gram: ArrayLike, features: Any, new_features: Any) -> FloatArray:
    """Gram matrix after rows are appended, from the old one and the two new blocks.

    ``[[K, (C A.T).T], [C A.T, C C.T]]`` for old rows A and new rows C.

    Parameters
    ----------
    gram : array_like of shape (n, n)
        Gram matrix of the old rows.
    features : array_like, sparse matrix or LinearOperator of shape (n, m)
        Old rows A.
    new_features : array_like, sparse matrix or LinearOperator of shape (n_new, m)
        New rows C, with the same columns.

    Returns
    -------
    ndarray of shape (n + n_new, n + n_new)
        Exactly symmetric, equal to `gram_matrix` of the stacked rows up to rounding.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    MemoryError
        If the result cannot fit.

    Notes
    -----
    (n + n_new) n_new m flops instead of (n + n_new)^2 m.

    Examples
    --------
    >>> from underdetermined.gram import extend_gram, gram_matrix
    >>> extend_gram(gram_matrix([[1.0, 2.0]]), [[1.0, 2.0]], [[0.0, 1.0]])
    array([[5., 2.],
           [2., 1.]])
    """
    old, new = as_matrix(features, "features"), as_matrix(new_features, "new_features")
    known = _check_gram(gram, old.shape[0], "features")
    if old.shape[1] != new.shape[1]:
        raise ValueError(f"new_features has {new.shape[1]} columns and features {old.shape[1]}: use the same neurons")
    n, total = old.shape[0], old.shape[0] + new.shape[0]
    check_memory(16 * total * total, f"the {total} x {total} Gram matrix and its blocks")
    corner = np.zeros((new.shape[0], new.shape[0]), order="F")
    cross = np.zeros((new.shape[0], n))
    for (part, tile), (_, other) in _aligned(new, old):
        del part
        add_outer_gram(corner, tile)
        cross += tile @ other.T
    result = np.empty((total, total), order="F")
    result[:n, :n] = known
    result[n:, :n] = cross
    result[:n, n:] = cross.T
    result[n:, n:] = mirror_lower(corner)
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


def _aligned(first: Matrix, second: Matrix) -> Any:
    """Pairs of tiles of the same columns; the second matrix follows the tiles of the first."""
    for part, tile in first.column_tiles():
        yield (part, tile), (part, second.columns(part))
