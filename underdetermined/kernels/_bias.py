"""Kernels of infinitely wide ReLU networks whose biases start at one constant."""

from copy import copy
from fractions import Fraction
from functools import partial

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from scipy.special import ndtr

from underdetermined._kernels import correlations, orthant_moments, shifted_products
from underdetermined._validation import check_matrix, check_memory, check_number
from underdetermined.blocks import run_tiles, slices

from ._orthant import scaled_tail, spread

_TILE = 192  # rows and columns of a tile: with its scratch memory it stays in the cache of one core
_SILENT = 1e100  # thresholds beyond count as infinite; their squares must not overflow


class _Side:
    """The rows on one side of a kernel, in units that are powers of two, with their norms and thresholds; all are arrays."""

    def __init__(self, inputs: ArrayLike, name: str, bias: float, is_scaled: bool) -> None:
        if issparse(inputs):
            raise TypeError(f"{name} is a sparse matrix: kernels are dense and so are their inputs; pass {name}.toarray()")
        matrix = np.ascontiguousarray(check_matrix(inputs, name), dtype=np.float64)
        exponents = np.frexp(np.maximum(matrix.max(axis=1), -matrix.min(axis=1)))[1] - 1
        self.rows = np.ldexp(matrix, -exponents[:, np.newaxis])
        self.units = np.ldexp(1.0, exponents)
        self.squares = np.einsum("ij,ij->i", self.rows, self.rows)
        self.norms = np.sqrt(self.squares)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            self.lengths = self.norms * self.units
            thresholds = np.where(self.squares > 0.0, bias / self.norms / self.units, np.inf)
        self.is_silent = ~(thresholds < _SILENT)
        self.thresholds = np.where(self.is_silent, 0.0, thresholds)
        self.tails = scaled_tail(self.thresholds)
        weights = self.tails**-0.5 if is_scaled else np.exp(-0.25 * self.thresholds**2)
        self.weights = np.where(self.is_silent, 0.0, weights)

    def cut(self, part: slice) -> "_Side":
        """The side of some of the rows."""
        side = copy(self)
        vars(side).update({name: array[part] for name, array in vars(self).items()})
        return side

    def refuse(self, diagonal: np.ndarray) -> None:
        """Raise for the first row whose diagonal entry overflows: no other entry is larger, by Cauchy and Schwarz."""
        if np.isfinite(diagonal).all():
            return
        row = int(np.argmin(np.isfinite(diagonal)))
        raise OverflowError(
            f"The kernel overflows float64 on row {row}, whose norm is {self.lengths[row]:.3g}; "
            "scale the inputs down (for example with StandardScaler)."
        )


class _Kernel:
    """A kernel to be computed: of the features if ``is_moment``, else the tangent kernel."""

    def __init__(
        self, X: ArrayLike, Z: ArrayLike | None, bias: float, scaled: bool, *, is_moment: bool, bias_scale: float = 0.0
    ) -> None:
        if not isinstance(scaled, bool | np.bool_):
            raise TypeError(f"scaled={scaled!r} is not a truth value: pass True or False")
        bias = check_number(bias, "bias")
        self.is_scaled = bool(scaled)
        self.is_moment = is_moment
        scale = check_number(bias_scale, "bias_scale", high=1e150)
        self.shift = scale * scale
        self.shift_rest = float(Fraction(scale) ** 2 - Fraction(self.shift))
        self.left = _Side(X, "X", bias, self.is_scaled)
        self.is_symmetric = Z is None
        self.right = self.left if Z is None else _Side(Z, "Z", bias, self.is_scaled)
        if self.left.rows.shape[1] != self.right.rows.shape[1]:
            raise ValueError(
                f"X has {self.left.rows.shape[1]} columns and Z has {self.right.rows.shape[1]}: they must have the same"
            )

    def diagonal(self, side: _Side) -> np.ndarray:
        """Entries of the rows of a side with themselves."""
        n = side.squares.size
        values = np.ones(n) if self.is_scaled else ndtr(-side.thresholds)
        if self.is_moment:
            pairs = side.thresholds, side.thresholds, side.tails, side.tails
            orthant_moments(*pairs, np.ones(n), np.zeros(n), True, values)
            values *= side.weights**2
        with np.errstate(over="ignore", invalid="ignore"):
            squares = side.squares * side.units**2 + self.shift
            result = np.where(side.is_silent, 0.0, squares * values)
        side.refuse(result)
        return result

    def matrix(self, n_jobs: int | None) -> np.ndarray:
        n, m = self.left.squares.size, self.right.squares.size
        check_memory(8 * n * m, f"the {n} x {m} kernel")
        diagonal = self.diagonal(self.left)
        if not self.is_symmetric:
            self.diagonal(self.right)
        out = np.empty((n, m))
        pairs = [(rows, columns) for rows in slices(n, _TILE) for columns in slices(m, _TILE)]
        tiles = [tile for tile in pairs if not self.is_symmetric or tile[1].start >= tile[0].start]
        run_tiles(partial(self._fill, out, diagonal), tiles, n_jobs=n_jobs)
        return out

    def _fill(self, out: np.ndarray, diagonal: np.ndarray, tile: tuple[slice, slice]) -> None:
        rows, columns = tile
        values = self._tile(self.left.cut(rows), self.right.cut(columns), diagonal[rows])
        out[rows, columns] = values
        if self.is_symmetric and rows.start == columns.start:
            out[rows, columns] = np.triu(values) + np.triu(values, 1).T
        elif self.is_symmetric:
            out[columns, rows] = values.T

    def _tile(self, left: _Side, right: _Side, diagonal: np.ndarray) -> np.ndarray:
        products = left.rows @ right.rows.T
        rho, sine, values = products.copy(), np.empty_like(products), np.empty_like(products)
        correlations(rho, left.rows, right.rows, left.squares, right.squares, 1.0, 0.0, sine)
        sides = left.thresholds[:, np.newaxis], right.thresholds, left.tails[:, np.newaxis], right.tails
        flat = [spread(array, products.shape) for array in sides]
        orthant_moments(*flat, rho.ravel(), sine.ravel(), self.is_moment, values.ravel())
        values *= left.weights[:, np.newaxis]
        values *= right.weights
        if self.is_moment:
            values *= left.lengths[:, np.newaxis]
            values *= right.lengths
        else:
            pairs = left.rows, right.rows, left.norms, right.norms, left.units, right.units
            shifted_products(products, *pairs, self.shift, self.shift_rest)
            values *= products
        # The entries of equal rows are those of the diagonal to the last digit: else a singular matrix would look regular.
        i, j = np.nonzero((sine == 0.0) & (rho > 0.0))
        is_same = (left.rows[i] == right.rows[j]).all(axis=1) & (left.units[i] == right.units[j])
        values[i[is_same], j[is_same]] = diagonal[i[is_same]]
        return values


def bias_ntk(
    X: ArrayLike,
    Z: ArrayLike | None = None,
    *,
    bias: float,
    bias_scale: float = 1.0,
    scaled: bool = False,
    n_jobs: int | None = None,
) -> np.ndarray:
    """Tangent kernel of a wide ReLU layer at a constant bias, ``(<x_i, z_j> + s**2) P[<w, x_i> > B, <w, z_j> > B]``.

    The network is ``sum_r v_r relu(<w_r, x> - b_r) / sqrt(width)`` with fixed signs v_r, infinitely wide. The weights w
    start standard normal, the biases b at the constant B = `bias`; both are trained, and the biases learn s**2 times as
    fast, s = `bias_scale`.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Rows; float32 is accepted and everything is computed in float64.
    Z : array_like of shape (n', d) or None, default=None
        Other rows; None means X, and then the result is exactly symmetric.
    bias : float
        The threshold B, at least 0. A neuron is active on a row x with probability ``Q(B / |x|)``, Q the normal tail.
    bias_scale : float, default=1.0
        The factor s, at least 0; 0 means that the biases are not trained.
    scaled : bool, default=False
        Divide entry (i, j) by ``sqrt(Q(B / |x_i|) Q(B / |z_j|))``, so that it stays of order one whatever B.
    n_jobs : int or None, default=None
        Threads; None takes as many as the BLAS would, -1 all cores.

    Returns
    -------
    ndarray of shape (n, n'), float64
        The kernel.

    Raises
    ------
    TypeError
        If X or Z is sparse or not made of real numbers, or `scaled` is not a truth value.
    ValueError
        If X or Z is not a finite matrix, their widths differ, or an option is out of range.
    MemoryError
        If the kernel cannot fit in memory.
    OverflowError
        If a diagonal entry overflows; the message names the row and its norm.

    Notes
    -----
    The error is below 1e-13 (1 + E) of the entry itself, and usually some roundings: 2 E is the squared distance from the
    origin of the region of weights where both rows are active, and exp(-E) has such an error by rounding of E alone. It
    holds for nearly parallel and nearly antipodal rows, of equal norm or not: angles are taken from 2 x 2 determinants of
    the coordinates, and ``<x, z> + s**2`` with twice the precision where it cancels. Entries of equal rows are bit for bit
    those of the diagonal. A row of zeros is active nowhere, for relu'(0) = 0, and all its entries are 0, also at B = 0; so
    are those of rows shorter than 1e-100 B.

    Cost n n' d multiplications for the products and 0.1 to 0.4 microseconds per entry, the upper end at unequal norms.
    Compiling takes some seconds at the first call on a machine.

    References
    ----------
    :ref:`theory-orthant`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.kernels import bias_ntk
    >>> bias_ntk(np.eye(2), bias=0.0).round(4)
    array([[1.  , 0.25],
           [0.25, 1.  ]])
    >>> bias_ntk(np.eye(2), bias=2.0).round(4)
    array([[0.0455, 0.0005],
           [0.0005, 0.0455]])
    >>> bias_ntk(np.eye(2), bias=30.0, scaled=True).diagonal()
    array([2., 2.])
    """
    return _Kernel(X, Z, bias, scaled, is_moment=False, bias_scale=bias_scale).matrix(n_jobs)


def bias_nngp(
    X: ArrayLike, Z: ArrayLike | None = None, *, bias: float, scaled: bool = False, n_jobs: int | None = None
) -> np.ndarray:
    """Kernel of infinitely many ReLU features with a constant bias, ``E[relu(<w, x_i> - B) relu(<w, z_j> - B)]``.

    w is standard normal and B = `bias`. It is the mean of the Gram matrix of random features with ``scale=1/sqrt(width)``,
    and the covariance of the outputs of the network of `bias_ntk` at its start.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Rows; float32 is accepted and everything is computed in float64.
    Z : array_like of shape (n', d) or None, default=None
        Other rows; None means X, and then the result is exactly symmetric.
    bias : float
        The threshold B, at least 0.
    scaled : bool, default=False
        Divide entry (i, j) by ``sqrt(Q(B / |x_i|) Q(B / |z_j|))``, Q the normal tail, so that ratios survive any B.
    n_jobs : int or None, default=None
        Threads; None takes as many as the BLAS would, -1 all cores.

    Returns
    -------
    ndarray of shape (n, n'), float64
        The kernel.

    Raises
    ------
    TypeError
        If X or Z is sparse or not made of real numbers, or `scaled` is not a truth value.
    ValueError
        If X or Z is not a finite matrix, their widths differ, or an option is out of range.
    MemoryError
        If the kernel cannot fit in memory.
    OverflowError
        If a diagonal entry overflows; the message names the row and its norm.

    Notes
    -----
    Accuracy, equal rows and rows of zeros as for `bias_ntk`. Rows of equal norm cost 0.1 to 0.2 microseconds per entry,
    others up to a microsecond.

    References
    ----------
    :ref:`theory-orthant`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.kernels import bias_nngp
    >>> bias_nngp(np.eye(2), bias=1.0).round(5)
    array([[0.07534, 0.00694],
           [0.00694, 0.07534]])
    """
    return _Kernel(X, Z, bias, scaled, is_moment=True).matrix(n_jobs)
