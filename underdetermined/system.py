"""LinearSystem: features and targets, validated once; ReducedSystem: the plain system that the solvers see.

Row weights, the intercept and the ridge penalty are removed before any solver runs, so a solver knows only
"the minimum-norm least-squares solution of one matrix":

* weights multiply rows and targets by their square roots, D = diag(sqrt(w));
* the intercept b minimises the sum of squares for given coefficients. With u = D 1 / |D 1| and the Householder reflection
  H with H u = -e_1, the first row of H D A theta + b H D 1 = H D y is the only one that contains b, so the other rows are a
  system for theta alone. It has n - 1 independent rows whenever possible, where centred rows would be singular;
* the penalty alpha |theta|^2 appends sqrt(alpha) I: columns to a wide system, whose minimum-norm solution
  (theta, z) has A theta + sqrt(alpha) z = y and therefore theta = A.T (A A.T + alpha I)^-1 y; rows to a tall one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import blas

from underdetermined._linalg import symmetric_apply
from underdetermined._matrix import Matrix, Tile, as_matrix, dense_gram, lower_gram, tile_slices
from underdetermined._validation import check_matrix, check_memory, check_number, check_sample_weight, check_targets

__all__ = ["LinearSystem"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LinearSystem:
    """The weighted least-squares problem sum_i w_i |y_i - b - a_i theta|^2, validated.

    Parameters
    ----------
    matrix : array_like, sparse matrix or LinearOperator of shape (n, m)
        Features. Stored as a `Matrix`; rows of weight zero are dropped.
    targets : array_like of shape (n,) or (n, k)
        Right-hand sides; stored as float64 of shape (n, k).
    sample_weight : array_like of shape (n,), optional
        Weight k means the row repeated k times, weight 0 the row absent.
    fit_intercept : bool, default=False
        Whether b is fitted; it is zero otherwise and never penalised.
    gram : array_like of shape (n, n), optional
        ``gram_matrix(matrix)`` if the caller has it: of the rows as given, not weighted, not centred. Used by wide systems.

    Raises
    ------
    TypeError, ValueError
        If a shape does not fit, an entry is not finite, a weight is negative or all are zero.
    """

    matrix: Any
    targets: Any
    _: KW_ONLY
    sample_weight: Any = None
    fit_intercept: bool = False
    gram: Any = None

    def __post_init__(self) -> None:
        """Validate and convert the arguments."""
        matrix = as_matrix(self.matrix)
        n_rows = matrix.shape[0]
        targets = check_targets(self.targets, n_rows)
        gram, weight = self.gram, self.sample_weight
        if gram is not None:
            gram = np.asarray(check_matrix(gram, "gram"), dtype=np.float64)
            if gram.shape != (n_rows, n_rows):
                raise ValueError(f"gram has shape {gram.shape}: pass gram_matrix(matrix), shape {(n_rows, n_rows)}")
        if weight is not None:
            weight = check_sample_weight(weight, n_rows)
            keep = weight > 0.0
            if not keep.all():
                matrix, targets, weight = matrix.select_rows(keep), targets[keep], weight[keep]
                gram = None if gram is None else gram[np.ix_(keep, keep)]
        for name, value in (("matrix", matrix), ("targets", targets), ("sample_weight", weight), ("gram", gram)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "fit_intercept", bool(self.fit_intercept))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows of positive weight, and columns."""
        return self.matrix.shape

    @property
    def is_underdetermined(self) -> bool:
        """Whether there are at least as many unknown coefficients as equations left for them."""
        return self.shape[0] - int(self.fit_intercept) <= self.shape[1]

    def residual(self, coef: ArrayLike, intercept: ArrayLike = 0.0) -> FloatArray:
        """Compute targets - intercept - matrix @ coef.

        Parameters
        ----------
        coef : array_like of shape (m, k)
            Coefficients.
        intercept : array_like of shape (k,) or float, default=0
            Intercepts.

        Returns
        -------
        ndarray of shape (n, k)
        """
        return self.targets - self.matrix.matmat(np.asarray(coef, dtype=np.float64)) - intercept

    def optimal_intercept(self, residual: FloatArray) -> FloatArray:
        """Weighted mean of targets - matrix @ coef: the best intercept for these coefficients, or zeros if none is fitted.

        Parameters
        ----------
        residual : ndarray of shape (n, k)
            Residual without intercept.

        Returns
        -------
        ndarray of shape (k,)
        """
        if not self.fit_intercept:
            return np.zeros(self.targets.shape[1])
        return np.average(residual, axis=0, weights=self.sample_weight)


class ReducedSystem:
    """A `LinearSystem` without weights, intercept and penalty, seen from its short side.

    With p the smaller and q the larger dimension, ``short_tiles`` streams the matrix as p x t pieces, whether it is wide
    (columns) or tall (transposed rows); every solver is written once in that picture.

    Parameters
    ----------
    system : LinearSystem
        What to reduce.
    alpha : float
        Ridge penalty, >= 0.

    Attributes
    ----------
    shape : tuple of two int
        Rows and columns, with those that the penalty adds.
    targets : ndarray of shape (shape[0], k)
        Right-hand sides.
    n_unknowns : int
        Width m of the original matrix.
    is_wide : bool
        Whether rows are the short side.
    """

    def __init__(self, system: LinearSystem, alpha: float = 0.0) -> None:
        self.alpha = check_number(alpha, "alpha")
        self._root = np.sqrt(self.alpha)
        self._matrix: Matrix = system.matrix
        self._gram: FloatArray | None = system.gram
        n, self.n_unknowns = system.shape
        self._skip = int(system.fit_intercept)
        self.n_rows = n - self._skip
        self.is_wide = self.n_rows <= self.n_unknowns
        self._scale = None if system.sample_weight is None else np.sqrt(system.sample_weight)
        self._mirror: FloatArray | None = None
        if self._skip:
            unit = np.ones(n) if self._scale is None else self._scale.copy()
            unit /= np.linalg.norm(unit)
            unit[0] += 1.0
            # H = I - mirror mirror.T, so that H u = -e_1.
            self._mirror = unit / np.sqrt(unit[0])
        if self._gram is not None and not self.is_wide:
            raise ValueError(
                f"gram has shape {self._gram.shape} and the system has only {self.n_unknowns} columns: pass gram=None; "
                "the Gram matrix of the rows serves only systems with more columns than rows"
            )
        self.targets = self._transform(system.targets)
        extra = min(self.n_rows, self.n_unknowns) if self.alpha > 0.0 else 0
        self._extra_columns, self._extra_rows = (extra, 0) if self.is_wide else (0, extra)
        self.shape = (self.n_rows + self._extra_rows, self.n_unknowns + self._extra_columns)
        if self._extra_rows:
            self.targets = np.vstack([self.targets, np.zeros((extra, self.targets.shape[1]))])

    @property
    def short_side(self) -> int:
        """Order p of the Gram matrix."""
        return min(self.n_rows, self.n_unknowns)

    @property
    def is_plain(self) -> bool:
        """Whether the rows are those of the original matrix."""
        return self._scale is None and self._mirror is None

    @property
    def is_held(self) -> bool:
        """Whether the matrix is an array in memory, rather than sparse or an operator."""
        return self._matrix.array is not None

    def _transform(self, values: FloatArray) -> FloatArray:
        """Map n rows to the n_rows reduced ones; never writes into its argument."""
        if self._scale is not None:
            values = values * self._scale[:, np.newaxis]
        if self._mirror is not None:
            values = (values - np.outer(self._mirror, self._mirror @ values))[1:]
        return values

    def unreflect(self, values: FloatArray) -> FloatArray:
        """Map reduced rows back to weighted rows: the transpose of the reflection that removed the intercept."""
        if self._mirror is None:
            return values
        values = np.vstack([np.zeros((1, values.shape[1])), values])
        values -= np.outer(self._mirror, self._mirror @ values)
        return values

    def _transform_back(self, values: FloatArray) -> FloatArray:
        """Transpose of `_transform`."""
        values = self.unreflect(values)
        if self._scale is not None:
            values = values * self._scale[:, np.newaxis]
        return values

    def matmat(self, theta: FloatArray) -> FloatArray:
        """Product with columns of length shape[1]."""
        result = self._transform(self._matrix.matmat(theta[: self.n_unknowns]))
        if self._extra_columns:
            result += self._root * theta[self.n_unknowns :]
        if self._extra_rows:
            result = np.vstack([result, self._root * theta])
        return result

    def rmatmat(self, rows: FloatArray) -> FloatArray:
        """Product of the transpose with columns of length shape[0]."""
        result = self._matrix.rmatmat(self._transform_back(rows[: self.n_rows]))
        if self._extra_columns:
            result = np.vstack([result, self._root * rows])
        if self._extra_rows:
            result += self._root * rows[self.n_rows :]
        return result

    def residual(self, theta: FloatArray) -> FloatArray:
        """Right-hand sides minus the product with `theta`."""
        return self.targets - self.matmat(theta)

    def correction(self, solve_gram: Callable[[FloatArray], FloatArray], residual: FloatArray) -> FloatArray:
        """Least-squares minimum-norm update for a residual, given a solver for the p x p Gram matrix."""
        if self.is_wide:
            return self.rmatmat(solve_gram(residual))
        return solve_gram(self.rmatmat(residual))

    def to_short(self, rows: FloatArray) -> FloatArray:
        """Right-hand sides of the Gram system: the residual itself, or its normal-equation image if tall."""
        return rows if self.is_wide else self.rmatmat(rows)

    def gram_apply(self, vectors: FloatArray) -> FloatArray:
        """Product of the Gram matrix with columns of length p, through the matrix."""
        if self.is_wide:
            return self.matmat(self.rmatmat(vectors))
        return self.rmatmat(self.matmat(vectors))

    def row_tiles(self) -> Iterator[Tile]:
        """Tiles of whole reduced rows, without those of the penalty."""
        if self.is_plain:
            yield from self._matrix.row_tiles()
            return
        image = np.zeros(self.n_unknowns)
        if self._mirror is not None:
            # One pass for mirror.T D A, a second one for the rows: a reflection needs all rows at once.
            weighted = self._mirror if self._scale is None else self._mirror * self._scale
            image = self._matrix.rmatmat(weighted[:, np.newaxis])[:, 0]
        for part, tile in self._matrix.row_tiles():
            if self._scale is not None:
                tile = tile * self._scale[part, np.newaxis]
            if self._mirror is not None:
                tile = tile - np.outer(self._mirror[part], image)
                tile = tile[1:] if part.start == 0 else tile
            if len(tile):
                yield slice(max(part.start - self._skip, 0), part.stop - self._skip), tile

    def column_tiles(self) -> Iterator[Tile]:
        """Tiles of whole reduced columns, without those of the penalty."""
        for part, tile in self._matrix.column_tiles():
            yield part, self._transform(tile)

    def short_tiles(self) -> Iterator[Tile]:
        """Tiles of shape (p, t) of the wide orientation, those of the penalty last; never write into them."""
        if self.is_wide:
            yield from self.column_tiles()
        else:
            for part, tile in self.row_tiles():
                yield part, tile.T
        if self.alpha > 0.0:
            p, offset = self.short_side, max(self.n_rows, self.n_unknowns)
            for part in tile_slices(p, p):
                tile = np.zeros((p, part.stop - part.start))
                tile[np.arange(part.start, part.stop), np.arange(part.stop - part.start)] = self._root
                yield slice(offset + part.start, offset + part.stop), tile

    def to_short_dense(self) -> FloatArray:
        """Build the wide orientation in memory, transposed: a new Fortran-ordered array of shape (q, p)."""
        p, q = min(self.shape), max(self.shape)
        check_memory(8 * p * q, f"a copy of the {self.shape[0]} x {self.shape[1]} matrix")
        dense = np.empty((p, q))
        for part, tile in self.short_tiles():
            dense[:, part] = tile
        return dense.T

    def gram(self, *, dtype: Any = np.float64) -> tuple[NDArray[Any], float]:
        """Lower Gram of the short side with alpha on its diagonal, and how many digits its reduction cancelled.

        Parameters
        ----------
        dtype : dtype, default=float64
            Precision of the products.

        Returns
        -------
        gram : ndarray of shape (p, p), Fortran order
            A new array; only the lower triangle is meaningful.
        growth : float
            Factor >= 1 by which rounding errors of the Gram of the original rows exceed those of the reduced ones.
        """
        growth = 1.0
        if not self.is_wide:
            gram = self._tall_gram(dtype)
        elif self._gram is not None:
            gram = np.array(self._gram, dtype=dtype, order="F")
            gram, growth = self._reduce(gram)
        elif self._matrix.array is not None and dtype == np.float64:
            gram = dense_gram(self._matrix.array)
            gram, growth = self._reduce(gram)
        else:
            gram = lower_gram(self._matrix.column_tiles(), self._matrix.shape[0], dtype=dtype)
            gram, growth = self._reduce(gram)
        gram[np.diag_indices_from(gram)] += dtype(self.alpha)
        return gram, growth

    def _tall_gram(self, dtype: Any) -> NDArray[Any]:
        if self.is_plain and self._matrix.array is not None and dtype == np.float64:
            return dense_gram(self._matrix.array.T)
        return lower_gram(((part, tile.T) for part, tile in self.row_tiles()), self.n_unknowns, dtype=dtype)

    def _reduce(self, gram: NDArray[Any]) -> tuple[NDArray[Any], float]:
        """Turn the lower Gram of the original rows into that of the reduced rows, destroying it."""
        if self._scale is not None:
            scale = self._scale.astype(gram.dtype)
            gram *= scale[:, np.newaxis]
            gram *= scale
        if self._mirror is None:
            return gram, 1.0
        before = float(np.einsum("ii->", gram))
        mirror = self._mirror.astype(gram.dtype)
        # H G H = G - v z.T - z v.T with z = G v - (v.T G v / 2) v: one symmetric rank-two update of a triangle.
        image = symmetric_apply(gram, mirror)
        image = image - gram.dtype.type(0.5 * float(mirror @ image)) * mirror
        rank_two = blas.ssyr2 if gram.dtype == np.float32 else blas.dsyr2
        gram = np.array(rank_two(-1.0, mirror, image, a=gram, lower=1, overwrite_a=1)[1:, 1:], order="F")
        after = float(np.einsum("ii->", gram))
        return gram, max(before / after, 1.0) if after > 0.0 else np.inf
