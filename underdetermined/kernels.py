"""Kernels of infinitely wide two-layer networks: of the random features, and of training both layers.

>>> import numpy as np
>>> from underdetermined.kernels import nngp_kernel
>>> nngp_kernel(np.eye(2), activation="relu").round(4)
array([[0.5   , 0.1592],
       [0.1592, 0.5   ]])
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse

from underdetermined._expectation import DEGREES, DIAGONALS, Expectation
from underdetermined._kernels import CLOSED_FORMS, WORK_ROWS, correlations
from underdetermined._validation import check_matrix, check_memory, check_number
from underdetermined.activations import Activation, get_activation
from underdetermined.blocks import run_tiles, scratch, slices

__all__ = ["kernel_diagonal", "nngp_kernel", "ntk_kernel"]

_TILE = 192  # rows and columns of a tile: with its scratch memory it stays in the cache of one core
_KINDS = ("nngp", "ntk")
_ADVICE = "scale the inputs down (for example with StandardScaler) or lower weight_scale"

Callback = Callable[[np.ndarray], np.ndarray]


def nngp_kernel(
    X: ArrayLike,
    Z: ArrayLike | None = None,
    *,
    activation: str | Activation | Callback = "relu",
    weight_scale: float = 1.0,
    bias_scale: float = 0.0,
    n_jobs: int | None = None,
) -> np.ndarray:
    """Kernel of infinitely many random features, ``K[i, j] = E[f(<w, x_i> + b) f(<w, z_j> + b)]``.

    w has independent entries of law N(0, weight_scale**2) and b has law N(0, bias_scale**2). It is the mean of the Gram matrix
    of random features with ``scale=1/sqrt(width)``, and the limit of that matrix as the width grows.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Rows; float32 is accepted and everything is computed in float64.
    Z : array_like of shape (n', d) or None, default=None
        Other rows; None means X, and then the result is exactly symmetric.
    activation : str, callable or Activation, default="relu"
        f, as `get_activation` takes it.
    weight_scale : float, default=1.0
        Standard deviation of the hidden weights, positive.
    bias_scale : float, default=0.0
        Standard deviation of the biases, at least 0; 0 means no biases.
    n_jobs : int or None, default=None
        Threads; None takes as many as the BLAS would, -1 all cores.

    Returns
    -------
    ndarray of shape (n, n'), float64
        The kernel.

    Raises
    ------
    TypeError
        If X or Z is sparse, or not made of real numbers.
    ValueError
        If X or Z is not a finite matrix, their widths differ, an option is out of range, or a user's activation cannot be
        integrated to double precision.
    MemoryError
        If the kernel cannot fit in memory.
    OverflowError
        If a diagonal entry overflows; the message names the row and its norm.

    Notes
    -----
    The error is below 1e-12 ``sqrt(K(x, x) K(z, z))``, also for nearly parallel and antipodal rows and for tiny and huge
    norms. The diagonal of a symmetric kernel comes from a formula of its own.

    Closed forms serve identity, relu, leaky_relu, abs, step, squared_relu, erf, gelu, gaussian, sin, cos, sin_cos and exp: the
    products ``X @ Z.T``, n n' d multiplications, and some nanoseconds per entry. All others take Mehler's expansion, with as
    many terms as its error bound asks for each entry: tens to hundreds of nanoseconds, a few microseconds at correlations of
    0.98. Beyond, at kinks (elu, shifted_relu) or at norms of 3 and more, each entry is a quadrature, from tens of
    microseconds to milliseconds at norms of 1e6. Undeclared kinks of a callable are searched; declaring them saves that search.

    References
    ----------
    .. [1] Y. Cho and L. Saul, "Kernel methods for deep learning", NeurIPS 2009.
    .. [2] C. Williams, "Computing with infinite networks", NeurIPS 1996.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.kernels import nngp_kernel
    >>> X = np.array([[1.0, 0.0], [-1.0, 0.0]])
    >>> nngp_kernel(X, activation="relu")
    array([[0.5, 0. ],
           [0. , 0.5]])
    >>> nngp_kernel(X, np.ones((1, 2)), activation=np.tanh).round(6)
    array([[ 0.320545],
           [-0.320545]])
    """
    return _Problem(X, Z, activation, "nngp", weight_scale, bias_scale).matrix(n_jobs)


def ntk_kernel(
    X: ArrayLike,
    Z: ArrayLike | None = None,
    *,
    activation: str | Activation | Callback = "relu",
    weight_scale: float = 1.0,
    bias_scale: float = 0.0,
    n_jobs: int | None = None,
) -> np.ndarray:
    """Tangent kernel of an infinitely wide two-layer network, ``K[i, j] + (<x_i, z_j> + 1[bias_scale > 0]) K'[i, j]``.

    K is the `nngp_kernel` and K' the same expectation with f' in the place of f. The network is
    ``sum_j a_j f(<w_j, x> + b_j) / sqrt(width)`` with a_j of variance 1; both layers are trained, and the biases if there are any.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Rows; float32 is accepted and everything is computed in float64.
    Z : array_like of shape (n', d) or None, default=None
        Other rows; None means X, and then the result is exactly symmetric.
    activation : str, callable or Activation, default="relu"
        f, as `get_activation` takes it. A callable needs its derivative:
        ``Activation(name, function=f, function_derivative=df)``.
    weight_scale : float, default=1.0
        Standard deviation of the hidden weights, positive.
    bias_scale : float, default=0.0
        Standard deviation of the biases, at least 0; 0 means that there are none.
    n_jobs : int or None, default=None
        Threads; None takes as many as the BLAS would, -1 all cores.

    Returns
    -------
    ndarray of shape (n, n'), float64
        The kernel.

    Raises
    ------
    TypeError
        If X or Z is sparse, or not made of real numbers.
    ValueError
        If X or Z is not a finite matrix, their widths differ, an option is out of range, or a user's activation has no
        derivative or cannot be integrated to double precision.
    MemoryError
        If the kernel cannot fit in memory.
    OverflowError
        If a diagonal entry overflows; the message names the row and its norm.

    Notes
    -----
    Cost and accuracy as for `nngp_kernel`, K and K' each with an error below 1e-12 of the geometric mean of their own
    diagonal entries. Without closed form the cost is twice that of `nngp_kernel`. The derivative of ``step`` vanishes almost
    everywhere, so its tangent kernel is K.

    References
    ----------
    .. [1] A. Jacot, F. Gabriel and C. Hongler, "Neural tangent kernel: convergence and generalization in neural networks",
       NeurIPS 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.kernels import ntk_kernel
    >>> ntk_kernel(np.array([[1.0, 0.0], [0.0, 1.0]]), activation="relu").round(4)
    array([[1.    , 0.1592],
           [0.1592, 1.    ]])
    """
    return _Problem(X, Z, activation, "ntk", weight_scale, bias_scale).matrix(n_jobs)


def kernel_diagonal(
    X: ArrayLike,
    *,
    activation: str | Activation | Callback = "relu",
    kind: str = "nngp",
    weight_scale: float = 1.0,
    bias_scale: float = 0.0,
) -> np.ndarray:
    """Diagonal of a symmetric kernel: ``E f(u_i)**2``, and ``+ (<x_i, x_i> + 1[bias_scale > 0]) E f'(u_i)**2`` for the NTK.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Rows.
    activation : str, callable or Activation, default="relu"
        f, as `get_activation` takes it.
    kind : {"nngp", "ntk"}, default="nngp"
        Which kernel.
    weight_scale : float, default=1.0
        Standard deviation of the hidden weights, positive.
    bias_scale : float, default=0.0
        Standard deviation of the biases, at least 0.

    Returns
    -------
    ndarray of shape (n,), float64
        The diagonal, bit for bit that of `nngp_kernel` or `ntk_kernel` of X.

    Raises
    ------
    ValueError
        If `kind` is neither, or as in `ntk_kernel`.
    OverflowError
        If an entry overflows.

    Notes
    -----
    Cost O(n d); closed forms or, for the other activations, one quadrature per row.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.kernels import kernel_diagonal
    >>> kernel_diagonal(np.array([[3.0, 4.0]]), activation="relu", kind="ntk")
    array([25.])
    """
    if kind not in _KINDS:
        raise ValueError(f"kind={kind!r} is unknown: pass one of {', '.join(map(repr, _KINDS))}")
    return _Problem(X, None, activation, kind, weight_scale, bias_scale).diagonal()


@dataclass(frozen=True, eq=False)
class _Side:
    """The rows on one side of a kernel and their squared norms."""

    inputs: np.ndarray
    squares: np.ndarray

    @classmethod
    def check(cls, inputs: ArrayLike, name: str) -> "_Side":
        if issparse(inputs):
            raise TypeError(f"{name} is a sparse matrix: kernels are dense and so are their inputs; pass {name}.toarray()")
        matrix = np.ascontiguousarray(check_matrix(inputs, name), dtype=np.float64)
        with np.errstate(over="ignore"):
            return cls(matrix, np.einsum("ij,ij->i", matrix, matrix))

    def refuse(self, finite: np.ndarray, what: str) -> None:
        """Raise for the first row that is not finite."""
        if finite.all():
            return
        row = int(np.argmin(finite))
        peak = float(np.abs(self.inputs[row]).max())
        norm = peak * float(np.linalg.norm(self.inputs[row] / peak)) if peak else 0.0
        raise OverflowError(f"{what} overflows float64 on row {row}, whose norm is {norm:.3g}; {_ADVICE}.")


class _Problem:
    """A kernel to be computed: checked inputs and options."""

    def __init__(
        self, X: ArrayLike, Z: ArrayLike | None, activation: Any, kind: str, weight_scale: float, bias_scale: float
    ) -> None:
        self.activation = get_activation(activation)
        self.is_tangent = kind == "ntk"
        with np.errstate(over="ignore"):
            self.weight_variance = np.square(check_number(weight_scale, "weight_scale", low_open=True))
            self.bias_variance = np.square(check_number(bias_scale, "bias_scale"))
        self.has_bias = bias_scale > 0
        self.left = _Side.check(X, "X")
        self.is_symmetric = Z is None
        self.right = self.left if Z is None else _Side.check(Z, "Z")
        if self.left.inputs.shape[1] != self.right.inputs.shape[1]:
            raise ValueError(
                f"X has {self.left.inputs.shape[1]} columns and Z has {self.right.inputs.shape[1]}: they must have the same"
            )
        for side in (self.left, self.right):
            side.refuse(np.isfinite(self._variances(side)), "The variance weight_scale**2 |x|**2 + bias_scale**2")
        if self.is_tangent:
            self.activation.derivative(np.zeros(1))  # refuses an activation without one before any work is done
        self._has_closed_form = self.activation.function is None and self.activation.name in CLOSED_FORMS

    def _variances(self, side: _Side) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            return self.weight_variance * side.squares + self.bias_variance

    def _expectations(self) -> list[Expectation]:
        """K, and K' if it is needed, for the rows of the left side followed by those of the right."""
        sides = (self.left,) if self.is_symmetric else (self.left, self.right)
        scales = np.sqrt(np.concatenate([self._variances(side) for side in sides]))
        functions = (self.activation.value, self.activation.derivative)[: 1 + self.is_tangent]
        return [Expectation(f, scales, self.activation.kinks, str(self.activation)) for f in functions]

    def _closed_diagonal(self, side: _Side) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            parts = DIAGONALS[self.activation.name](self._variances(side), self.activation.parameters)
            return self._combined(side.squares, *parts)

    def _combined(self, products: np.ndarray, value: np.ndarray, *slope: np.ndarray) -> np.ndarray:
        return value + (products + self.has_bias) * slope[0] if self.is_tangent else value

    def _diagonals(self, expectations: list[Expectation]) -> list[np.ndarray]:
        """Diagonal of each side, refused where it overflows: the other entries are no larger, by Cauchy and Schwarz."""
        result = []
        start = 0
        for side in (self.left,) if self.is_symmetric else (self.left, self.right):
            if self._has_closed_form:
                diagonal = self._closed_diagonal(side)
            else:
                part = slice(start, start + side.squares.size)
                with np.errstate(over="ignore", invalid="ignore"):
                    diagonal = self._combined(side.squares, *(each.squares[part] for each in expectations))
                start = part.stop
            side.refuse(np.isfinite(diagonal), f"The kernel of activation={str(self.activation)!r}")
            result.append(diagonal)
        return result

    def diagonal(self) -> np.ndarray:
        return self._diagonals([] if self._has_closed_form else self._expectations())[0]

    def matrix(self, n_jobs: int | None) -> np.ndarray:
        n, m = self.left.squares.size, self.right.squares.size
        check_memory(8 * n * m, f"the {n} x {m} kernel")
        expectations = [] if self._has_closed_form else self._expectations()
        diagonals = self._diagonals(expectations)
        out = np.empty((n, m))
        cuts = slices(n, _TILE), slices(m, _TILE)
        tiles = [(I, J) for I in cuts[0] for J in cuts[1] if not self.is_symmetric or I.start <= J.start]
        if self._has_closed_form:
            run_tiles(lambda tile: self._closed_tile(out, *tile), tiles, n_jobs=n_jobs)
        else:
            self._expand(out, tiles, expectations, n_jobs)
        if self.is_symmetric:
            np.fill_diagonal(out, diagonals[0])
        return out

    def _store(self, out: np.ndarray, rows: slice, columns: slice, tile: np.ndarray) -> None:
        out[rows, columns] = tile
        if self.is_symmetric and rows.start == columns.start:
            out[rows, columns] = np.triu(tile) + np.triu(tile, 1).T
        elif self.is_symmetric:
            out[columns, rows] = tile.T

    def _sides(self, rows: slice, columns: slice) -> tuple[np.ndarray, ...]:
        left, right = self.left, self.right
        return left.inputs[rows], right.inputs[columns], left.squares[rows], right.squares[columns]

    def _closed_tile(self, out: np.ndarray, rows: slice, columns: slice) -> None:
        sides = self._sides(rows, columns)
        height, width = rows.stop - rows.start, columns.stop - columns.start
        memory = scratch((height + WORK_ROWS, width), out.dtype)
        tile = memory[:height]
        np.matmul(sides[0], sides[1].T, out=tile)
        variances = self.weight_variance, self.bias_variance
        parameters = np.array(self.activation.parameters)
        CLOSED_FORMS[self.activation.name](tile, *sides, *variances, int(self.is_tangent), parameters, memory[height:])
        self._store(out, rows, columns, tile)

    def _expand(
        self, out: np.ndarray, tiles: list[tuple[slice, slice]], expectations: list[Expectation], n_jobs: int | None
    ) -> None:
        """Fill the tiles with short expansions, then the entries that are left, as nan, with long ones or quadrature."""
        n = self.left.squares.size
        offset = 0 if self.is_symmetric else n
        needed = np.arange(offset + self.right.squares.size)
        out.fill(np.nan)
        for size in DEGREES:
            for expectation in expectations:
                expectation.extend(needed, size)
            is_needed = np.zeros(offset + self.right.squares.size, bool)
            pending = []

            def task(tile: tuple[slice, slice], is_last: bool = size == DEGREES[-1]) -> None:
                rows, columns = tile
                missing = np.isnan(out[rows, columns])
                if self.is_symmetric and rows.start == columns.start:
                    missing = np.triu(missing, 1)
                left, right = np.nonzero(missing)
                products, correlation, sine = (array[left, right] for array in self._correlations(rows, columns))
                pairs = correlation, sine, left + rows.start, right + columns.start + offset
                values = [expectation.pairs(*pairs, is_last=is_last) for expectation in expectations]
                entries = self._combined(products, *values)
                block = out[rows, columns].copy()
                block[left, right] = entries
                self._store(out, rows, columns, block)
                open_entries = np.isnan(entries)
                if open_entries.any():
                    pending.append(tile)
                    is_needed[pairs[2][open_entries]] = is_needed[pairs[3][open_entries]] = True

            run_tiles(task, tiles, n_jobs=n_jobs)
            tiles, needed = sorted(pending, key=lambda tile: (tile[0].start, tile[1].start)), np.flatnonzero(is_needed)
            if not tiles:
                return

    def _correlations(self, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        sides = self._sides(rows, columns)
        products = sides[0] @ sides[1].T
        correlation, sine = products.copy(), np.empty_like(products)
        correlations(correlation, *sides, self.weight_variance, self.bias_variance, sine)
        return products, correlation, sine
