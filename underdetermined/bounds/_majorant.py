"""Diagonal matrices above the pseudo-inverse of a kernel: they turn the leverage of a neuron into a sum over the rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def diagonal_majorants(whitening: FloatArray, smallest: float) -> tuple[FloatArray, ...]:
    """Find vectors D with ``diag(D) >= K^+`` in the order of symmetric matrices.

    Three of them, each the smallest for some kernel: the constant ``1 / lambda``; the row sums of ``|K^+|``, by Gershgorin's
    theorem; and ``s**2 lambda_max(S^-1 K^+ S^-1)`` with ``s**2`` the diagonal of K^+ and S = diag(s). K^+ is taken larger
    than computed, by the factor that the rounding of lambda allows.

    Parameters
    ----------
    whitening : ndarray of shape (n, r)
        W with ``W @ W.T = K^+`` as computed, columns in the order of descending eigenvalues.
    smallest : float
        Lower bound of lambda, the smallest positive eigenvalue of K.

    Returns
    -------
    tuple of three ndarray of shape (n,)
        Non-negative.

    Notes
    -----
    n^2 r multiplications and one largest eigenvalue; three n x n matrices.
    """
    inverse = whitening @ whitening.T
    # The last column has norm lambda**-1/2, and K^+ <= (K computed)^+ lambda / (lambda - error of the eigenvalues).
    inflation = 1.0 / (smallest * float(whitening[:, -1] @ whitening[:, -1]))
    n = inverse.shape[0]
    squares = np.diag(inverse).copy()
    size = np.sqrt(squares)
    seen = size > 0.0
    scaled = inverse / np.where(seen, size, 1.0)
    scaled /= np.where(seen, size, 1.0)[:, np.newaxis]
    top = float(np.linalg.eigvalsh(scaled)[-1])
    # Room for the rounding of the eigenvalue itself.
    top *= 1.0 + 1e-12 * n
    return np.full(n, 1.0 / smallest), inflation * np.abs(inverse).sum(axis=1), inflation * top * squares
