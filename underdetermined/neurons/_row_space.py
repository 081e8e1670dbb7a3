"""An orthonormal basis of the row space of features, tile by tile: what neurons are worth whatever the scale of the rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh, qr, svd

from underdetermined._linalg import rank_cutoff
from underdetermined._matrix import Matrix, Tile, lower_gram
from underdetermined._validation import check_memory

FloatArray = NDArray[np.float64]

# A Gram matrix squares the condition number; up to here its error of eps condition leaves seven digits.
GRAM_CONDITION = 1e8


def row_space_tiles(matrix: Matrix) -> Iterator[Tile]:
    """Stream V.T of the decomposition A = U S V.T, or Q V.T with an orthogonal Q, by blocks of columns.

    Parameters
    ----------
    matrix : Matrix of shape (n, m)
        A.

    Yields
    ------
    columns : slice
        Columns of this block.
    tile : ndarray of shape (r, t)
        r is the numerical rank of A, the same in all blocks; it may be 0.
    """
    n, m = matrix.shape
    if n > m:
        _, values, directions = _triangle_svd(matrix.row_tiles(), m)
        yield slice(0, m), directions[_resolved(values, matrix)]
        return
    whitening, size = _whitening(matrix)
    for part, tile in matrix.column_tiles():
        yield part, whitening @ (tile / size)


def _whitening(matrix: Matrix) -> tuple[FloatArray, float]:
    """The matrix of shape (r, n) whose product with A / size has orthonormal rows, and that size of a wide A."""
    n = matrix.shape[0]
    check_memory(32 * n * n, f"the {n} x {n} Gram matrix and its eigenvectors")
    with np.errstate(all="ignore"):
        gram = lower_gram(matrix.column_tiles(), n)
    tiny = np.finfo(np.float64).tiny / np.finfo(np.float64).eps
    if np.isfinite(np.tril(gram)).all():
        squares, vectors = eigh(gram, driver="evd", overwrite_a=True, check_finite=False)
        if squares[0] > max(squares[-1] / GRAM_CONDITION, tiny):
            return (vectors / np.sqrt(squares)).T, 1.0
    # The transposed triangle is that of A itself: its left singular vectors are the right ones here.
    _, values, directions = _triangle_svd(((part, tile.T) for part, tile in matrix.column_tiles()), n)
    kept = _resolved(values, matrix)
    size = float(values[0]) or 1.0
    return directions[kept] / (values[kept, np.newaxis] / size), size


def _triangle_svd(tiles: Iterator[Tile], order: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Singular value decomposition of the triangle R of a matrix of at least `order` rows, given in blocks of them."""
    check_memory(32 * order**2, f"the {order} x {order} triangle and its singular vectors")
    triangle = np.empty((0, order))
    for _, tile in tiles:
        triangle = qr(np.vstack([triangle, tile]), mode="r", overwrite_a=True, check_finite=False)[0][:order]
    return svd(triangle, overwrite_a=True, check_finite=False)


def _resolved(values: FloatArray, matrix: Matrix) -> NDArray[np.bool_]:
    """Which singular values are above the cut-off of the whole matrix."""
    return values > rank_cutoff(matrix.shape) * values[0]
