"""Hidden features of a random layer, ``A = scale * sigma(X W + b)``: as an array, in tiles, or as an operator."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

from underdetermined._validation import check_memory
from underdetermined.activations import Activation, get_activation
from underdetermined.blocks import run_tiles, scratch, slices

__all__ = ["FeatureMap", "FeatureOperator"]

TILE = (256, 1024)  # rows and columns of a tile that is used up at once
SLAB_BYTES = (2**21, 2**23)  # rows of a matrix that is kept: enough for the BLAS, yet in cache; more for more inputs
STREAM_BYTES = 2**27  # a block of neurons (or rows) handed to a solver at once


@dataclass(frozen=True, init=False, eq=False)
class FeatureMap:
    """The hidden layer ``x -> scale * sigma(x W + b)``.

    Parameters
    ----------
    weights : array_like of shape (n_inputs, width)
        W, one column for each neuron; float64 or float32.
    biases : array_like of shape (width,) or None, default=None
        b; None means no biases.
    activation : str, callable or Activation, default="relu"
        sigma, as `get_activation` takes it.
    scale : float or None, default=None
        Factor of every feature; None means ``1 / sqrt(width)``, so that Gram entries are averages over neurons.
    n_jobs : int or None, default=None
        Threads; None takes as many as the BLAS would, -1 all cores.
    tile_size : int or None, default=None
        Rows and columns of a tile; None fits the cache. It changes speed, and results by rounding only.

    Raises
    ------
    ValueError
        If shapes disagree, a weight or bias is not finite, or the width is 0.

    Notes
    -----
    Cost n d m multiplications and n m activations. Each thread multiplies one tile with a single-threaded BLAS
    and applies the compiled activation while the tile is in cache.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined import FeatureMap
    >>> hidden = FeatureMap(np.array([[1.0, -1.0]]), activation="relu", scale=1.0)
    >>> hidden(np.array([[2.0], [-3.0]]))
    array([[2., 0.],
           [0., 3.]])
    """

    weights: np.ndarray
    biases: np.ndarray | None
    activation: Activation
    scale: float
    n_jobs: int | None = field(repr=False)
    tile_size: int | None = field(repr=False)

    def __init__(
        self,
        weights: Any,
        biases: Any = None,
        activation: Activation | str | Callable[[np.ndarray], np.ndarray] = "relu",
        scale: float | None = None,
        n_jobs: int | None = None,
        tile_size: int | None = None,
    ) -> None:
        weights = _as_float(weights)
        if weights.ndim != 2 or 0 in weights.shape:
            raise ValueError(f"weights must have shape (n_inputs, width), neither of them 0; got shape {weights.shape}.")
        width = weights.shape[1]
        biases = None if biases is None else np.ascontiguousarray(biases, dtype=weights.dtype)
        if biases is not None and biases.shape != (width,):
            raise ValueError(f"biases must have shape ({width},), one for each neuron, got {biases.shape}.")
        for name, values in (("weights", weights), ("biases", biases)):
            if not np.isfinite(_largest(values)):
                raise ValueError(f"{name} must be finite, got nan or infinite entries.")
        if tile_size is not None and tile_size < 1:
            raise ValueError(f"tile_size={tile_size!r} must be at least 1 or None.")
        factor = width**-0.5 if scale is None else float(scale)
        if not np.isfinite(factor) or factor == 0:
            raise ValueError(f"scale={scale!r} must be finite and not zero.")
        # The one place where a frozen instance is written: it is not built before this ends.
        vars(self).update(
            weights=weights,
            biases=biases,
            activation=get_activation(activation),
            scale=factor,
            n_jobs=n_jobs,
            tile_size=tile_size,
        )

    @property
    def n_inputs(self) -> int:
        """Number of inputs d."""
        return self.weights.shape[0]

    @property
    def width(self) -> int:
        """Number of neurons m."""
        return self.weights.shape[1]

    @cached_property
    def largest_weight_norm(self) -> float:
        """Largest Euclidean norm of the weights of a neuron."""
        return _largest_row_norm(self.weights.T)

    def astype(self, dtype: Any) -> "FeatureMap":
        """Return the same map with weights of another dtype.

        Parameters
        ----------
        dtype : dtype
            float64 or float32.

        Returns
        -------
        FeatureMap
            A map of its own.
        """
        biases = None if self.biases is None else self.biases.astype(dtype)
        return replace(self, weights=self.weights.astype(dtype), biases=biases)

    def __call__(self, X: Any, *, out: np.ndarray | None = None) -> np.ndarray:
        """Return the features of the rows of X.

        Parameters
        ----------
        X : {array_like, sparse array} of shape (n_samples, n_inputs)
            Inputs. float32 inputs give float32 features.
        out : ndarray of shape (n_samples, width) or None, default=None
            C-contiguous array of the dtype of the result, to be filled and returned.

        Returns
        -------
        ndarray of shape (n_samples, width)
            Features.

        Raises
        ------
        ValueError
            If X or `out` has the wrong shape or dtype.
        MemoryError
            If the features cannot fit in memory; `operator` needs no such array.
        OverflowError
            If a feature overflows; the message names the row and its norm.
        """
        return self.operator(X).to_dense(out=out)

    def operator(self, X: Any) -> "FeatureOperator":
        """Return the features of the rows of X as an operator that never holds them all.

        Parameters
        ----------
        X : {array_like, sparse array} of shape (n_samples, n_inputs)
            Inputs.

        Returns
        -------
        FeatureOperator
            Linear operator of shape (n_samples, width).
        """
        return FeatureOperator(self, X)


def _largest(values: Any) -> float:
    """Largest magnitude as a Python float: nan if there is a nan, 0.0 if there is no entry."""
    entries = values.data if issparse(values) else values
    if entries is None or not entries.size:
        return 0.0
    return max(float(entries.max()), -float(entries.min()))


def _largest_row_norm(values: Any) -> float:
    """Largest Euclidean norm of a row, inf or nan if an entry is."""
    if not issparse(values):
        norm = float(np.einsum("ij,ij->i", values, values).max(initial=0.0)) ** 0.5
        if np.isfinite(norm):
            return norm
    peak = _largest(values)
    if not 0 < peak < np.inf:
        return peak
    scaled = values / peak  # now its square cannot overflow
    return peak * float((scaled.power(2) if issparse(values) else scaled**2).sum(axis=1).max()) ** 0.5


def _may_overflow(activation: Activation, reach: Any) -> bool:
    """Whether features may be infinite for pre-activations within `reach`: monotone growth is checked at its ends."""
    if activation.lipschitz is not None or activation.bound is not None:
        return False
    return activation.function is not None or not np.isfinite(activation.value(np.stack([-reach, reach]))).all()


def _as_float(values: Any) -> Any:
    """Keep float64 and float32 (dense or CSR), turn anything else real into float64."""
    if issparse(values):
        values = values.tocsr()
    else:
        values = np.asarray(values)
    if values.dtype == np.float64 or values.dtype == np.float32:
        return values
    if np.iscomplexobj(values):
        raise ValueError("Complex data not supported: inputs and weights must be real.")
    return values.astype(np.float64)


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

    def __init__(self, feature_map: FeatureMap, X: Any) -> None:
        X = _as_float(X)
        if X.ndim != 2 or X.shape[1] != feature_map.n_inputs:
            raise ValueError(
                f"X must have shape (n_samples, {feature_map.n_inputs}) to match the weights, got shape {X.shape}."
            )
        norm = _largest_row_norm(X)
        if not np.isfinite(norm):
            raise ValueError("X contains NaN or infinity; remove or impute the rows that do.")
        # No entry of X @ weights + biases is larger (Cauchy-Schwarz).
        reach = norm * feature_map.largest_weight_norm + _largest(feature_map.biases)
        if not reach <= np.finfo(X.dtype).max:
            raise OverflowError(
                f"X has a row of norm {norm:.3g}, so large that X @ weights may overflow {X.dtype}; "
                "scale the inputs down (for example with StandardScaler)."
            )
        self._may_overflow = _may_overflow(feature_map.activation, X.dtype.type(reach))
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
        layer.activation.apply(out, layer.scale)
        if self._may_overflow and not np.isfinite(out.sum()):
            self._explain_overflow(rows, out)
        return out

    def _explain_overflow(self, rows: slice, tile: np.ndarray) -> None:
        """Raise for the first row whose features are not finite; a sum alone may overflow innocently."""
        finite = np.isfinite(tile).all(axis=1)
        if finite.all():
            return
        row = rows.start + int(np.argmin(finite))
        norm = _largest_row_norm(self.inputs[[row]])
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
