"""Convex quadratic programs over h >= 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from underdetermined._linalg import EPS

FloatArray = NDArray[np.float64]

_EXCHANGES, _PATIENCE = 40, 3


def pivot(hessian: FloatArray, damping: float, slopes: FloatArray, hidden: FloatArray) -> FloatArray | None:
    """Minimise <r, h' - h> + <h' - h, (H + damping I) (h' - h)> / 2 over h' >= 0 by block pivoting.

    Parameters
    ----------
    hessian : ndarray of shape (k, k)
        H, symmetric.
    damping : float
        At least 0.
    slopes : ndarray of shape (k,)
        r.
    hidden : ndarray of shape (k,)
        h >= 0.

    Returns
    -------
    ndarray of shape (k,) or None
        h'; None where the matrix is not positive definite on a face that is met, or the exchanges do not end.

    Notes
    -----
    Solve on a guess of the free units; units that turn negative leave it and units with a negative slope join it, all at
    once as long as fewer are wrong each time, else one at a time. Each guess costs a Cholesky factor of the free units.
    """
    matrix = hessian + damping * np.eye(len(hidden))
    free = (hidden > 0.0) | (slopes < 0.0)
    fewest, patience = len(hidden) + 1, _PATIENCE
    for _ in range(_EXCHANGES):
        step = -hidden
        push = slopes - matrix[:, ~free] @ hidden[~free]
        if free.any():
            factor, info = lapack.dpotrf(matrix[np.ix_(free, free)], lower=1)
            if info != 0:
                return None
            step[free] = -lapack.dpotrs(factor, push[free], lower=1)[0]
        wrong = np.where(free, hidden + step < 0.0, matrix @ step + slopes < -EPS * np.abs(slopes).max())
        count = int(np.count_nonzero(wrong))
        if count == 0:
            return hidden + step
        if count < fewest:
            fewest, patience = count, _PATIENCE
        elif patience > 0:
            patience -= 1
        else:
            # Exchanging a single unit, always the last, ends for certain.
            last = int(np.flatnonzero(wrong)[-1])
            wrong = np.zeros_like(wrong)
            wrong[last] = True
        free = free ^ wrong
    return None
