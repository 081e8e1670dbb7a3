"""Systems with one Gram matrix and many dampings."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from underdetermined._linalg import cholesky_in_place, cholesky_solve

FloatArray = NDArray[np.float64]


class DampedGram:
    """Solver of (G + c I) x = b for a Gram matrix G, which stays as it is.

    Parameters
    ----------
    gram : ndarray of shape (q, q)
        G, exactly symmetric.
    """

    def __init__(self, gram: FloatArray) -> None:
        # The lower triangle in the order of LAPACK is the upper one in that of C.
        self.gram = gram if gram.flags.f_contiguous else gram.T
        self._damping = np.nan
        self._factor: FloatArray | None = None

    def solver(self, damping: float) -> Callable[[FloatArray], FloatArray] | None:
        """Solver for one damping; the factor of the last one is kept.

        Parameters
        ----------
        damping : float
            c >= 0.

        Returns
        -------
        callable or None
            Right-hand sides of shape (q, t) to solutions. None where the matrix is not numerically positive definite.
        """
        if damping != self._damping:
            # Dropped first, so that only one factor takes memory.
            self._factor = None
            shifted = np.array(self.gram, order="F")
            shifted[np.diag_indices_from(shifted)] += damping
            self._factor, self._damping = cholesky_in_place(shifted), damping
        factor = self._factor
        return None if factor is None else partial(cholesky_solve, factor)
