"""Finite-width matrices of hidden features: Gram matrix and neural tangent kernel, as matrices and as operators.

All sums run over neurons as they are; a `FeatureMap` with scale 1 / sqrt(width) makes them averages. Everything is built
by streams of tiles; a Gram matrix is also extended by rows and widened by neurons.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

from underdetermined._linalg import add_outer_gram, mirror_lower
from underdetermined._matrix import as_matrix, dense_gram, lower_gram
from underdetermined._tangent import ROWS, SymmetricOperator, check_tangent, refuse_overflow, tangent_tiles
from underdetermined._validation import check_matrix, check_memory, check_shape
from underdetermined.blocks import run_tiles, slices
from underdetermined.features import FeatureMap

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


def ntk_matrix(feature_map: FeatureMap, X: Any, coef: ArrayLike | None = None) -> FloatArray:
    """Neural tangent kernel of the two-layer network f(x) = sum_j coef_j scale sigma(<w_j, x> + b_j), all layers trained.

    With A the features and S_ij = scale sigma'(<w_j, x_i> + b_j),

        Theta = J J.T = A A.T + (X X.T + 1[biases]) o (S diag(coef^2) S.T),

    J the Jacobian with respect to weights, biases if there are any, and coefficients; it is never formed.

    Parameters
    ----------
    feature_map : FeatureMap
        The hidden layer. Its biases are trained if it has biases.
    X : {array_like, sparse array} of shape (n, n_inputs)
        Rows.
    coef : array_like of shape (width,) or (width, 1), optional
        Output weights where the kernel is taken; all ones by default, which has the mean of random weights of variance one.

    Returns
    -------
    ndarray of shape (n, n), float64
        Exactly symmetric. From float32 rows the features are float32 and their sums float64.

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, or a user's activation came without a derivative.
    MemoryError
        If the n x n matrices cannot fit; `ntk_operator` needs none.
    OverflowError
        If an entry overflows.

    Notes
    -----
    Two symmetric rank-k updates of n^2 m flops each; memory 2 n^2 and two tiles of features. Derivatives at a kink are those
    from the left; the one of ``step`` vanishes, so that its kernel is the Gram matrix.

    Examples
    --------
    >>> from underdetermined import FeatureMap
    >>> from underdetermined.gram import ntk_matrix
    >>> ntk_matrix(FeatureMap([[1.0, -1.0]], scale=1.0), [[1.0], [2.0]])
    array([[2., 4.],
           [4., 8.]])
    """
    inputs, weights = check_tangent(feature_map, X, coef)
    n = inputs.shape[0]
    check_memory(16 * n * n, f"the {n} x {n} neural tangent kernel and its Hadamard factor")
    kernel, factor = np.zeros((n, n), order="F"), np.zeros((n, n), order="F")
    for features, derivatives in tangent_tiles(feature_map, X, weights):
        add_outer_gram(kernel, features)
        add_outer_gram(factor, derivatives)

    def combine(part: slice) -> None:
        # Errors of floating point are handled by thread: an overflow is reported below.
        with np.errstate(all="ignore"):
            products = inputs[part.start :] @ inputs[part].T
            products = products.toarray() if issparse(products) else products
            kernel[part.start :, part] += factor[part.start :, part] * products

    run_tiles(combine, slices(n, ROWS), n_jobs=feature_map.n_jobs)
    mirror_lower(kernel)
    refuse_overflow(kernel, feature_map, inputs)
    return kernel


def gram_operator(feature_map: FeatureMap, X: Any) -> LinearOperator:
    """Gram matrix of the features of the rows, K = A A.T, as an operator that holds neither K nor A.

    Parameters
    ----------
    feature_map : FeatureMap
        The hidden layer.
    X : {array_like, sparse array} of shape (n, n_inputs)
        Rows.

    Returns
    -------
    LinearOperator of shape (n, n), float64
        Symmetric.

    Raises
    ------
    ValueError
        If shapes do not fit or an entry is not finite.
    OverflowError
        From a product that overflows.

    Notes
    -----
    A product with k vectors computes every feature once, and 4 n m k flops; memory one tile of features.

    Examples
    --------
    >>> from underdetermined import FeatureMap
    >>> from underdetermined.gram import gram_operator
    >>> gram_operator(FeatureMap([[1.0, -1.0]], scale=1.0), [[1.0], [2.0]]) @ [1.0, 0.0]
    array([1., 2.])
    """
    operator = feature_map.operator(X)
    check_shape(operator.inputs.shape, "X")

    def multiply(vectors: np.ndarray) -> np.ndarray:
        result = np.zeros_like(vectors)
        for _, tile in operator.column_tiles():
            with np.errstate(all="ignore"):
                result += tile @ (tile.T @ vectors)
        if np.isfinite(vectors).all():
            refuse_overflow(result, feature_map, operator.inputs, "the Gram matrix")
        return result

    return SymmetricOperator(operator.shape[0], multiply)


def ntk_operator(feature_map: FeatureMap, X: Any, coef: ArrayLike | None = None) -> LinearOperator:
    """Neural tangent kernel of `ntk_matrix` as an operator that never holds an n x n matrix.

    With T = S diag(coef) its Hadamard product maps v to the row sums of (X M) o T, where M = X.T diag(v) T; a column of ones
    is appended to X if there are biases.

    Parameters
    ----------
    feature_map : FeatureMap
        The hidden layer. Its biases are trained if it has biases.
    X : {array_like, sparse array} of shape (n, n_inputs)
        Rows.
    coef : array_like of shape (width,) or (width, 1), optional
        Output weights where the kernel is taken; all ones by default.

    Returns
    -------
    LinearOperator of shape (n, n), float64
        Symmetric.

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, or a user's activation came without a derivative.

    Notes
    -----
    A product with k vectors computes every feature and derivative once, and 4 n m (d + 1) k flops; memory two tiles.

    Examples
    --------
    >>> from underdetermined import FeatureMap
    >>> from underdetermined.gram import ntk_operator
    >>> ntk_operator(FeatureMap([[1.0, -1.0]], scale=1.0), [[1.0], [2.0]]) @ [1.0, 0.0]
    array([2., 4.])
    """
    inputs, weights = check_tangent(feature_map, X, coef)
    n = inputs.shape[0]

    def multiply(vectors: np.ndarray) -> np.ndarray:
        result = np.zeros_like(vectors)
        for features, derivatives in tangent_tiles(feature_map, X, weights):
            with np.errstate(all="ignore"):
                result += features @ (features.T @ vectors)
                # One vector at a time: the products of all would need d k rows of neurons at once.
                middles = ((inputs.T * vector) @ derivatives for vector in vectors.T)
                for image, middle in zip(result.T, middles, strict=True):
                    _add_hadamard(image, inputs, middle, derivatives, feature_map.n_jobs)
        if np.isfinite(vectors).all():
            refuse_overflow(result, feature_map, inputs)
        return result

    return SymmetricOperator(n, multiply)


def _check_gram(gram: ArrayLike, n_rows: int, name: str) -> FloatArray:
    """Check that a Gram matrix belongs to features with this number of rows."""
    result = check_matrix(gram, "gram")
    if result.shape != (n_rows, n_rows):
        raise ValueError(f"gram has shape {result.shape} and {name} {n_rows} rows: pass the Gram matrix of the same rows")
    return np.asarray(result, dtype=np.float64)


def _add_hadamard(image: np.ndarray, inputs: Any, middle: np.ndarray, derivatives: np.ndarray, n_jobs: int | None) -> None:
    """Add the row sums of (inputs @ middle) o derivatives to a vector, in place, while a part of the product is in cache."""

    def add(rows: slice) -> None:
        with np.errstate(all="ignore"):
            image[rows] += np.einsum("ij,ij->i", inputs[rows] @ middle, derivatives[rows])

    run_tiles(add, slices(len(image), ROWS), n_jobs=n_jobs)
