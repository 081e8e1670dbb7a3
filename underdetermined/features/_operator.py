"""The features of given rows as a linear operator, tile by tile."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

from underdetermined._validation import check_memory
from underdetermined.activations import Activation
from underdetermined.blocks import run_tiles, scratch, slices
from underdetermined.features._entries import as_float, largest, largest_row_norm

TILE = (256, 1024)  # rows and columns of a tile that is used up at once
SLAB_BYTES = (2**21, 2**23)  # rows of a matrix that is kept: enough for the BLAS, yet in cache; more for more inputs
STREAM_BYTES = 2**27  # a block of neurons (or rows) handed to a solver at once


class FeatureOperator(LinearOperator):
    """The n x m feature matrix of a `FeatureMap` on given rows, as a SciPy linear operator.

    Every product recomputes the features tile by tile, so memory is O(n d + d m) whatever n m is.

    Parameters
    ----------
    feature_map : FeatureMap
        The hidden layer.
    X : {array_like, sparse array} of shape (n_samples, n_inputs)
        Rows.

    Raises
    ------
    ValueError
        If X is not two-dimensional with ``feature_map.n_inputs`` columns.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined import FeatureMap
    >>> hidden = FeatureMap(np.eye(2), activation="tanh", scale=1.0)
    >>> (hidden.operator(np.eye(2)) @ np.ones(2)).round(4)
    array([0.7616, 0.7616])
    """

    def __init__(self, feature_map: Any, X: Any) -> None:
        X = as_float(X)
        if X.ndim != 2 or X.shape[1] != feature_map.n_inputs:
            raise ValueError(
                f"X must have shape (n_samples, {feature_map.n_inputs}) to match the weights, got shape {X.shape}."
            )
        norm = largest_row_norm(X)
        # Finite rows may have norms that overflow.
        if not (np.isfinite(norm) or np.isfinite(largest(X))):
            raise ValueError("X contains NaN or infinity; remove or impute the rows that do.")
        # No entry of X @ weights + biases is larger (Cauchy-Schwarz). A row shift needs room to be subtracted.
        reach, shift = norm * feature_map.largest_weight_norm + largest(feature_map.biases), feature_map.row_shift
        room = float(np.finfo(X.dtype).max)
        if not reach <= (room / 4 if shift else room):
            raise OverflowError(
                f"X has a row of norm {norm:.3g}, so large that X @ weights may overflow {X.dtype}; "
                "scale the inputs down (for example with StandardScaler)."
            )
        self._shifts = _row_shifts(X, shift) if shift else None
        lowest = -reach - (0.0 if self._shifts is None else float(self._shifts.max(initial=0.0)))
        self._may_overflow = _may_overflow(feature_map.activation, np.array([lowest, reach], X.dtype))
        self.feature_map = feature_map if feature_map.weights.dtype == X.dtype else feature_map.astype(X.dtype)
        self.inputs = X
        super().__init__(X.dtype, (X.shape[0], feature_map.width))

    def _tile(self, rows: slice, columns: slice, out: np.ndarray | None = None) -> np.ndarray:
        """Return the features of these rows and neurons, in `out` or in scratch memory of this thread."""
        layer = self.feature_map
        if out is None:
            out = scratch((rows.stop - rows.start, columns.stop - columns.start), self.dtype)
        if issparse(self.inputs):
            out[...] = self.inputs[rows] @ layer.weights[:, columns]
        else:
            np.matmul(self.inputs[rows], layer.weights[:, columns], out=out)
        if layer.biases is not None:
            out += layer.biases[columns]
        if self._shifts is not None:
            out -= self._shifts[rows, None]
        layer.apply_activation(out, columns)
        if self._may_overflow and not np.isfinite(out.sum()):
            self._explain_overflow(rows, out)
        return out

    def _explain_overflow(self, rows: slice, tile: np.ndarray) -> None:
        """Raise for the first row whose features are not finite; a sum alone may overflow innocently."""
        finite = np.isfinite(tile).all(axis=1)
        if finite.all():
            return
        row = rows.start + int(np.argmin(finite))
        norm = largest_row_norm(self.inputs[[row]])
        raise OverflowError(
            f"activation={self.feature_map.activation.name!r} overflows {self.dtype} on row {row} of X, whose norm is "
            f"{norm:.3g}; scale the inputs down (for example with StandardScaler) or lower weight_scale."
        )

    def _fill(self, rows: slice, columns: slice, out: np.ndarray) -> np.ndarray:
        """Write the features of these rows and neurons to the C-contiguous array `out`."""

        def task(part: slice) -> None:
            self._tile(slice(rows.start + part.start, rows.start + part.stop), columns, out[part])

        slab = int(np.clip(2**15 * self.inputs.shape[1], *SLAB_BYTES))
        size = self.feature_map.tile_size or int(np.clip(slab // max(1, out[:1].nbytes), 32, 512))
        run_tiles(task, slices(len(out), size), n_jobs=self.feature_map.n_jobs)
        return out

    def to_dense(self, *, out: np.ndarray | None = None) -> np.ndarray:
        """Return the whole matrix.

        Parameters
        ----------
        out : ndarray of shape (n, m) or None, default=None
            C-contiguous array of the operator's dtype to fill.

        Returns
        -------
        ndarray of shape (n, m)
            The features, in `out` if it was given.

        Raises
        ------
        MemoryError
            If they cannot fit in memory.
        """
        n, m = self.shape
        if out is None:
            check_memory(n * m * self.dtype.itemsize, f"the {n} x {m} feature matrix")
            out = np.empty(self.shape, self.dtype)
        elif out.shape != self.shape or out.dtype != self.dtype or not out.flags.c_contiguous:
            raise ValueError(
                f"out must be C-contiguous with shape {self.shape} and dtype {self.dtype}, "
                f"got shape {out.shape} and dtype {out.dtype}."
            )
        return self._fill(slice(0, n), slice(0, m), out)

    def column_tiles(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Stream the matrix by blocks of neurons.

        Yields
        ------
        neurons : slice
            Columns of this block.
        features : ndarray of shape (n, t)
            All rows of these columns; the next step reuses the array.
        """
        n, m = self.shape
        breadth = self._stream_size(m, n)
        buffer = np.empty(n * breadth, self.dtype)
        for columns in slices(m, breadth):
            t = columns.stop - columns.start
            yield columns, self._fill(slice(0, n), columns, buffer[: n * t].reshape(n, t))

    def row_tiles(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Stream the matrix by blocks of rows.

        Yields
        ------
        rows : slice
            Rows of this block.
        features : ndarray of shape (t, m)
            All columns of these rows; the next step reuses the array.
        """
        n, m = self.shape
        height = self._stream_size(n, m)
        buffer = np.empty((height, m), self.dtype)
        for rows in slices(n, height):
            yield rows, self._fill(rows, slice(0, m), buffer[: rows.stop - rows.start])

    def _stream_size(self, length: int, across: int) -> int:
        size = self.feature_map.tile_size or max(256, STREAM_BYTES // (self.dtype.itemsize * max(1, across)))
        return max(1, min(length, size))

    def _matmat(self, other: np.ndarray) -> np.ndarray:
        return self._product(other, transposed=False)

    def _rmatmat(self, other: np.ndarray) -> np.ndarray:
        return self._product(other, transposed=True)

    def _product(self, other: np.ndarray, *, transposed: bool) -> np.ndarray:
        """Multiply tile by tile; each task owns a slice of the result and adds to it in a fixed order."""
        n, m = self.shape
        result = np.zeros((m if transposed else n, other.shape[1]), np.result_type(self.dtype, other.dtype))
        height, breadth = (self.feature_map.tile_size,) * 2 if self.feature_map.tile_size else TILE
        row_cuts, column_cuts = slices(n, height), slices(m, breadth)

        def task(part: slice) -> None:
            for across in row_cuts if transposed else column_cuts:
                tile = self._tile(across, part).T if transposed else self._tile(part, across)
                result[part] += tile @ other[across]

        run_tiles(task, column_cuts if transposed else row_cuts, n_jobs=self.feature_map.n_jobs)
        return result

    def _rmatvec(self, x: np.ndarray) -> np.ndarray:
        return self._rmatmat(np.reshape(x, (-1, 1)))[:, 0]


def _row_shifts(X: Any, factor: float) -> np.ndarray:
    """Return factor times the squared norm of each row, at most half of the largest number: such rows are far below 0."""
    # Squares in float64, where rows that are moderate in float32 cannot overflow.
    with np.errstate(over="ignore"):
        squares = X.power(2, np.float64).sum(axis=1) if issparse(X) else np.einsum("ij,ij->i", X, X, dtype=np.float64)
        shifts = np.minimum(factor * np.asarray(squares).reshape(-1), np.finfo(X.dtype).max / 2)
    return shifts.astype(X.dtype)


def _may_overflow(activation: Activation, ends: np.ndarray) -> bool:
    """Whether features may be infinite for pre-activations between these ends, where monotone growth is checked."""
    if activation.lipschitz is not None or activation.bound is not None:
        return False
    return activation.function is not None or not np.isfinite(activation.value(ends)).all()
