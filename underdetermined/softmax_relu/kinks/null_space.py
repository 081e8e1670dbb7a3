"""The parameters at which pinned units stay on their kinks, from the Gram matrix of their rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
from scipy.sparse import diags_array, issparse

from underdetermined._linalg import EPS
from underdetermined._validation import check_memory

FloatArray = NDArray[np.float64]


class NullSpace:
    """The null space of some rows R, dense or sparse, without a basis of it.

    The rows are brought to norm one and R R.T is factored by Cholesky with pivots; a row whose distance from the span of the
    others is below the root of the rounding, relative to its norm, is left out. Every solution is refined once.

    Parameters
    ----------
    rows : ndarray or CSR array of shape (k, D)
        The rows.
    norms : ndarray of shape (k,)
        Their norms; rows of norm 0 are left out.

    Attributes
    ----------
    independent : ndarray of shape (rank,)
        Indices of the rows that are kept.

    Raises
    ------
    MemoryError
        If the Gram matrix cannot fit.

    Notes
    -----
    k^3 / 3 flops once, and 4 k^2 and four products with R for a projection. Memory 8 k^2 bytes.
    """

    def __init__(self, rows: Any, norms: FloatArray) -> None:
        k = rows.shape[0]
        check_memory(8 * k * k, f"the {k} x {k} Gram matrix of the pinned rows")
        inverse = np.divide(1.0, norms, out=np.zeros(k), where=norms > 0.0)
        units = diags_array(inverse).tocsr() @ rows if issparse(rows) else rows * inverse[:, np.newaxis]
        gram = units @ units.T
        gram = np.asfortranarray(gram.toarray() if issparse(gram) else gram)
        rank, factor = 0, gram
        if k:
            factor, pivots, rank, _ = lapack.dpstrf(gram, lower=1, tol=k * EPS, overwrite_a=1)
        self.independent = pivots[:rank] - 1 if k else np.zeros(0, dtype=np.intp)
        self._rows = units[self.independent]
        self._inverse = inverse[self.independent]
        self._factor = np.asfortranarray(factor[:rank, :rank])
        self._k = k

    @property
    def rank(self) -> int:
        """Number of independent rows."""
        return len(self.independent)

    def _combine(self, right: FloatArray) -> FloatArray:
        """(R R.T)^-1 times a vector, R of the rows that are kept, of norm one."""
        return lapack.dpotrs(self._factor, right, lower=1)[0]

    def project(self, vector: FloatArray) -> FloatArray:
        """Nearest vector in the null space.

        Parameters
        ----------
        vector : ndarray of shape (D,)
            Vector.

        Returns
        -------
        ndarray of shape (D,)
        """
        if self.rank == len(vector):
            return np.zeros(len(vector))
        result = vector
        if self.rank:
            for _ in range(2):
                result = result - self._rows.T @ self._combine(self._rows @ result)
        return result

    def multipliers(self, gradient: FloatArray) -> FloatArray:
        """The v that minimise |g + R.T v|, 0 at the rows that are left out.

        Parameters
        ----------
        gradient : ndarray of shape (D,)
            Vector g.

        Returns
        -------
        ndarray of shape (k,)
        """
        result = np.zeros(self._k)
        if self.rank:
            found, rest = np.zeros(self.rank), gradient
            for _ in range(2):
                found = found - self._combine(self._rows @ rest)
                rest = gradient + self._rows.T @ found
            result[self.independent] = self._inverse * found
        return result
