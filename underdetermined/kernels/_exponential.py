"""Tangent kernel of infinitely wide networks of exponentials whose hidden weights are trained."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from scipy.spatial.distance import cdist

from underdetermined._linalg import vector_norm
from underdetermined._validation import check_matrix, check_memory, check_number
from underdetermined.blocks import run_tiles, slices

_TILE = 192  # rows and columns of a tile: with its scratch memory it stays in the cache of one core
_LARGEST = 708.0  # logarithm of entries; float64 ends at 709.78, and sums of four squared norms must not overflow
_PLAIN = 1024.0  # terms of an exponent up to this size lose no more by cancellation than an exponent of 700 by rounding


@dataclass(frozen=True, eq=False)
class _Side:
    """The rows on one side of a kernel and their squared norms."""

    inputs: np.ndarray
    squares: np.ndarray


@dataclass(frozen=True, eq=False)
class _Kernel:
    """A kernel to be computed: its sides, the variance of the weights, and the shift of the rows."""

    left: _Side
    right: _Side
    variance: float
    shift: float

    def exponents(self, rows: slice, columns: slice, products: np.ndarray) -> np.ndarray:
        """Exponents of a tile: ``t^2 |x + z|^2 / 2 - c |x|^2 - c |z|^2``."""
        sums = self.left.squares[rows, np.newaxis] + self.right.squares[columns]
        if (self.variance + self.shift) * sums.max() <= _PLAIN:
            return self.variance * products + (0.5 * self.variance - self.shift) * sums
        # Long rows are let in by a shift near t^2, where the sum above would be a small difference of large terms.
        x, z = self.left.inputs[rows], self.right.inputs[columns]
        near, far = cdist(x, z, "sqeuclidean"), cdist(x, -z, "sqeuclidean")
        return 0.5 * ((self.variance - self.shift) * far - self.shift * near)

    def fill(self, out: np.ndarray, tile: tuple[slice, slice]) -> None:
        """Write a tile and, for one set of rows, its mirror image."""
        rows, columns = tile
        products = self.left.inputs[rows] @ self.right.inputs[columns].T
        with np.errstate(over="ignore", under="ignore"):
            values = products * np.exp(self.exponents(rows, columns, products))
        if self.left is not self.right:
            out[rows, columns] = values
        elif rows.start == columns.start:
            out[rows, columns] = np.tril(values) + np.tril(values, -1).T
        else:
            out[rows, columns], out[columns, rows] = values, values.T


def _check_side(inputs: ArrayLike, name: str, variance: float, shift: float) -> _Side:
    """Rows with their squared norms; refused where an entry overflows, which by Cauchy and Schwarz is on the diagonal."""
    if issparse(inputs):
        raise TypeError(f"{name} is a sparse matrix: kernels are dense and so are their inputs; pass {name}.toarray()")
    matrix = np.ascontiguousarray(check_matrix(inputs, name), dtype=np.float64)
    with np.errstate(over="ignore", under="ignore", divide="ignore", invalid="ignore"):
        squares = np.einsum("ij,ij->i", matrix, matrix)
        logs = np.fmax(2.0 * (variance - shift) * squares, 0.0) + np.maximum(np.log(squares), 0.0)
    row = int(np.argmax(logs))
    if not logs[row] <= _LARGEST:
        norm = vector_norm(matrix[row])
        raise OverflowError(
            f"the kernel has the entry exp({logs[row]:.4g}) on row {row} of {name}, whose norm is {norm:.3g}, and float64 "
            f"ends at exp(709.78): multiply the rows by {1.0 / norm:.3g}, for a norm of 1, or lower weight_scale"
        )
    return _Side(matrix, squares)


def exponential_ntk(
    X: ArrayLike,
    Z: ArrayLike | None = None,
    *,
    weight_scale: float = 1.0,
    row_shift: float = 0.0,
    n_jobs: int | None = None,
) -> np.ndarray:
    """Tangent kernel of a wide layer of exponentials, ``<x_i, z_j> exp(t^2 |x_i + z_j|^2 / 2 - c |x_i|^2 - c |z_j|^2)``.

    The network is ``sum_r v_r exp(<w_r, x> - c |x|^2) / sqrt(width)`` with fixed signs v_r, infinitely wide. The weights w
    start with independent entries of law N(0, t^2), t = `weight_scale`, and are trained; c = `row_shift`.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Rows; float32 is accepted and everything is computed in float64.
    Z : array_like of shape (n', d) or None, default=None
        Other rows; None means X, and then the result is exactly symmetric.
    weight_scale : float, default=1.0
        Standard deviation t of the hidden weights at the start, positive.
    row_shift : float, default=0.0
        The factor c, at least 0. With t**2 / 2 the exponential factor is ``exp(t^2 <x, z>)``, with t**2 it is Gaussian,
        ``exp(-t^2 |x - z|^2 / 2)``.
    n_jobs : int or None, default=None
        Threads; None takes as many as the BLAS would, -1 all cores.

    Returns
    -------
    ndarray of shape (n, n'), float64
        The kernel.

    Raises
    ------
    TypeError
        If X or Z is sparse or not made of real numbers.
    ValueError
        If X or Z is not a finite matrix, their widths differ, or an option is out of range.
    MemoryError
        If the kernel cannot fit in memory.
    OverflowError
        If a diagonal entry overflows; the message has the exponent, the row and its norm.

    Notes
    -----
    An exponent a is rounded, so that the entry has a relative error of about ``eps |a|``, 1.5e-13 at 700: no formula avoids
    that. The factor ``<x, z>`` has an error of about ``d eps |x| |z|``. At long rows, which only a row shift lets in, the
    exponent is taken from ``|x + z|^2`` and ``|x - z|^2``, so that its error is relative to itself where c >= t^2.

    n n' d multiplications and one exponential per entry; long rows take twice n n' d operations more. The diagonal grows
    like ``exp(2 (t^2 - c) |x|^2)``: rows of norm 19 overflow at t = 1, c = 0.

    References
    ----------
    :ref:`theory-exponential`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.kernels import exponential_ntk
    >>> exponential_ntk(np.array([[0.5, 0.0], [0.25, 0.5]])).round(6)
    array([[0.41218 , 0.187647],
           [0.187647, 0.583827]])
    >>> exponential_ntk(np.array([[30.0, 40.0], [30.0, 41.0]]), row_shift=1.0).round(2)
    array([[2500.  , 1540.59],
           [1540.59, 2581.  ]])
    """
    scale = check_number(weight_scale, "weight_scale", low_open=True, high=1e150)
    shift = check_number(row_shift, "row_shift", high=1e300)
    left = _check_side(X, "X", scale * scale, shift)
    right = left if Z is None else _check_side(Z, "Z", scale * scale, shift)
    if left.inputs.shape[1] != right.inputs.shape[1]:
        raise ValueError(
            f"X has {left.inputs.shape[1]} columns and Z has {right.inputs.shape[1]}: they must have the same"
        )
    n, m = left.squares.size, right.squares.size
    check_memory(8 * n * m, f"the {n} x {m} kernel")
    kernel = _Kernel(left, right, scale * scale, shift)
    out = np.empty((n, m))
    pairs = [(rows, columns) for rows in slices(n, _TILE) for columns in slices(m, _TILE)]
    tiles = [tile for tile in pairs if Z is not None or tile[1].start >= tile[0].start]
    run_tiles(partial(kernel.fill, out), tiles, n_jobs=n_jobs)
    return out
