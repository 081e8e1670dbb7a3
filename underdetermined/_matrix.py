"""One face for arrays, sparse matrices and operators: products, and streams of column or row tiles."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import blas
from scipy.sparse.linalg import LinearOperator

from underdetermined._linalg import add_outer_gram
from underdetermined._validation import check_finite, check_matrix, check_memory, check_shape

Tile = tuple[slice, NDArray[np.float64]]

# Entries of one tile: 32 MB in float64, large enough for BLAS and small beside any matrix that needs tiles.
TILE_ENTRIES = 2**22
_MIN_TILE = 64


class Matrix:
    """A matrix of shape (n, m) known by its products and its tiles, whatever holds it.

    Tiles are float64, possibly views of the user's memory, and valid until the next one is taken: never write into them.

    Attributes
    ----------
    shape : tuple of two int
        Rows and columns.
    array : ndarray of shape (n, m) or None
        The matrix itself if it is a contiguous float64 array in memory.
    """

    array: NDArray[np.float64] | None = None

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = (int(shape[0]), int(shape[1]))

    def matmat(self, right: NDArray[np.float64]) -> NDArray[np.float64]:
        """Product with a matrix of shape (m, k)."""
        raise NotImplementedError

    def rmatmat(self, right: NDArray[np.float64]) -> NDArray[np.float64]:
        """Product of the transpose with a matrix of shape (n, k)."""
        raise NotImplementedError

    def columns(self, part: slice) -> NDArray[np.float64]:
        """Block of columns, shape (n, t)."""
        raise NotImplementedError

    def rows(self, part: slice) -> NDArray[np.float64]:
        """Block of rows, shape (t, m)."""
        raise NotImplementedError

    def select_rows(self, keep: NDArray[np.bool_]) -> Matrix:
        """Return the matrix of the rows where `keep` is true."""
        return _RowSubset(self, keep)

    def column_tiles(self) -> Iterator[Tile]:
        """Tiles of whole columns, left to right."""
        for part in tile_slices(self.shape[1], self.shape[0]):
            yield part, self.columns(part)

    def row_tiles(self) -> Iterator[Tile]:
        """Tiles of whole rows, top to bottom."""
        for part in tile_slices(self.shape[0], self.shape[1]):
            yield part, self.rows(part)

    def to_dense(self) -> NDArray[np.float64]:
        """Build the matrix as a new array in Fortran order, tile by tile."""
        dense = np.empty(self.shape, order="F")
        for part, tile in self.column_tiles():
            dense[:, part] = tile
        return dense


def tile_slices(length: int, other: int) -> Iterator[slice]:
    """Split a dimension into slices such that a tile holds about `TILE_ENTRIES` entries.

    Parameters
    ----------
    length : int
        Size of the dimension to split.
    other : int
        Size of the dimension that every tile spans.

    Yields
    ------
    slice
    """
    step = max(_MIN_TILE, TILE_ENTRIES // other)
    for start in range(0, length, step):
        yield slice(start, min(start + step, length))


def as_matrix(matrix: Any, name: str = "A") -> Matrix:
    """Wrap and check an array, sparse matrix or operator.

    Parameters
    ----------
    matrix : array_like, sparse matrix, LinearOperator or Matrix
        Anything of shape (n, m). Arrays are never copied or written to unless their dtype requires a conversion.
    name : str, default="A"
        Name of the argument in messages.

    Returns
    -------
    Matrix

    Raises
    ------
    TypeError, ValueError
        If it is not a finite, non-empty real matrix. Entries of operators are checked where they are produced.
    """
    if isinstance(matrix, Matrix):
        return matrix
    if sparse.issparse(matrix):
        return _Sparse(matrix, name)
    if isinstance(matrix, LinearOperator):
        check_shape(matrix.shape, name)
        if np.dtype(matrix.dtype or np.float64).kind == "c":
            raise TypeError(f"{name} has dtype {matrix.dtype}: pass a real operator")
        return _Operator(matrix, name)
    return _Dense(check_matrix(matrix, name))


class _Dense(Matrix):
    """An array in memory, float32 or float64, of any strides."""

    def __init__(self, array: NDArray[Any]) -> None:
        super().__init__(array.shape)
        self._entries = array
        contiguous = array.flags.c_contiguous or array.flags.f_contiguous
        self.array = array if array.dtype == np.float64 and contiguous else None

    def matmat(self, right: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._entries.dtype == np.float64:
            return product(self._entries, right)
        result = np.empty((self.shape[0], right.shape[1]))
        for part, tile in self.row_tiles():
            result[part] = product(tile, right)
        return result

    def rmatmat(self, right: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._entries.dtype == np.float64:
            return product(self._entries.T, right)
        result = np.zeros((self.shape[1], right.shape[1]))
        for part, tile in self.row_tiles():
            result += product(tile.T, right[part])
        return result

    def columns(self, part: slice) -> NDArray[np.float64]:
        return np.asarray(self._entries[:, part], dtype=np.float64)

    def rows(self, part: slice) -> NDArray[np.float64]:
        return np.asarray(self._entries[part], dtype=np.float64)

    def select_rows(self, keep: NDArray[np.bool_]) -> Matrix:
        return _Dense(self._entries[keep])


class _Sparse(Matrix):
    """A sparse matrix; both compressed forms are kept, one per direction."""

    def __init__(self, matrix: Any, name: str = "A") -> None:
        check_shape(matrix.shape, name)
        if matrix.dtype.kind not in "fiub":
            raise TypeError(f"{name} has dtype {matrix.dtype}: pass real numbers (float64 or float32)")
        super().__init__(matrix.shape)
        self._by_row = sparse.csr_array(matrix, dtype=np.float64)
        check_finite(self._by_row.data, name)
        self._by_column = self._by_row.tocsc()

    def matmat(self, right: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._by_row @ right

    def rmatmat(self, right: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._by_column.T @ right

    def columns(self, part: slice) -> NDArray[np.float64]:
        return self._by_column[:, part].toarray(order="F")

    def rows(self, part: slice) -> NDArray[np.float64]:
        return self._by_row[part].toarray()

    def select_rows(self, keep: NDArray[np.bool_]) -> Matrix:
        return _Sparse(self._by_row[np.flatnonzero(keep)])


class _Operator(Matrix):
    """A SciPy operator; its own ``column_tiles`` and ``row_tiles`` are used where it has them."""

    def __init__(self, operator: LinearOperator, name: str) -> None:
        super().__init__(operator.shape)
        self._operator = operator
        self._name = name

    def matmat(self, right: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._checked(self._operator.matmat(right))

    def rmatmat(self, right: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._checked(self._operator.rmatmat(right))

    def columns(self, part: slice) -> NDArray[np.float64]:
        return self.matmat(_identity_block(self.shape[1], part))

    def rows(self, part: slice) -> NDArray[np.float64]:
        return self.rmatmat(_identity_block(self.shape[0], part)).T

    def column_tiles(self) -> Iterator[Tile]:
        own = getattr(self._operator, "column_tiles", None)
        if own is None:
            yield from super().column_tiles()
            return
        for part, tile in own():
            yield part, self._checked(tile)

    def row_tiles(self) -> Iterator[Tile]:
        own = getattr(self._operator, "row_tiles", None)
        if own is None:
            yield from super().row_tiles()
            return
        for part, tile in own():
            yield part, self._checked(tile)

    def _checked(self, values: Any) -> NDArray[np.float64]:
        """Convert what the operator returned, refusing NaN and infinities where they first appear."""
        result = np.asarray(values, dtype=np.float64)
        check_finite(result, f"the entries that the operator {self._name} produced")
        return result


class _RowSubset(Matrix):
    """Some rows of a matrix that is only known by its products."""

    def __init__(self, whole: Matrix, keep: NDArray[np.bool_]) -> None:
        super().__init__((int(np.count_nonzero(keep)), whole.shape[1]))
        self._whole = whole
        self._keep = keep

    def matmat(self, right: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._whole.matmat(right)[self._keep]

    def rmatmat(self, right: NDArray[np.float64]) -> NDArray[np.float64]:
        padded = np.zeros((self._whole.shape[0], right.shape[1]))
        padded[self._keep] = right
        return self._whole.rmatmat(padded)

    def column_tiles(self) -> Iterator[Tile]:
        for part, tile in self._whole.column_tiles():
            yield part, tile[self._keep]

    def row_tiles(self) -> Iterator[Tile]:
        start = 0
        for part, tile in self._whole.row_tiles():
            kept = tile[self._keep[part]]
            if len(kept):
                yield slice(start, start + len(kept)), kept
            start += len(kept)


def product(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Matrix product that takes the matrix-vector path of BLAS for a single column.

    Parameters
    ----------
    left : ndarray of shape (n, m)
        Matrix.
    right : ndarray of shape (m, k)
        Columns.

    Returns
    -------
    ndarray of shape (n, k)
    """
    if right.shape[1] == 1:
        return (left @ right[:, 0])[:, np.newaxis]
    return left @ right


def _identity_block(size: int, part: slice) -> NDArray[np.float64]:
    """Columns `part` of the identity of the given size."""
    block = np.zeros((size, part.stop - part.start))
    block[np.arange(part.start, part.stop), np.arange(part.stop - part.start)] = 1.0
    return block


def lower_gram(tiles: Iterator[Tile], order: int, *, dtype: Any = np.float64) -> NDArray[Any]:
    """Sum of tile @ tile.T over a stream of tiles with `order` rows, as a lower Gram.

    Parameters
    ----------
    tiles : iterator of (slice, ndarray of shape (order, t))
        The matrix in pieces.
    order : int
        Rows of every tile.
    dtype : dtype, default=float64
        Precision of the products and of the sum.

    Returns
    -------
    ndarray of shape (order, order), Fortran order
        Only the lower triangle is meaningful.

    Raises
    ------
    MemoryError
        If the Gram matrix cannot fit.
    """
    check_memory(np.dtype(dtype).itemsize * order**2, f"the {order} x {order} Gram matrix")
    gram = np.zeros((order, order), dtype=dtype, order="F")
    for _, tile in tiles:
        add_outer_gram(gram, tile.astype(dtype, copy=False))
    return gram


def dense_gram(array: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lower Gram of the rows of a contiguous array in one BLAS call, without a copy.

    Parameters
    ----------
    array : ndarray of shape (n, m), C or Fortran order
        Matrix.

    Returns
    -------
    ndarray of shape (n, n), Fortran order
        Only the lower triangle is meaningful.
    """
    n = array.shape[0]
    check_memory(8 * n * n, f"the {n} x {n} Gram matrix")
    if array.flags.f_contiguous:
        return blas.dsyrk(1.0, array, trans=0, lower=1)
    return blas.dsyrk(1.0, array.T, trans=1, lower=1)
