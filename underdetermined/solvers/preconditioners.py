"""Preconditioners of the Gram system: randomised Nystrom, and a float32 Cholesky factor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.linalg import qr as dense_qr

from underdetermined._linalg import EPS, cholesky_solve, column_norms

FloatArray = NDArray[np.float64]
Apply = Callable[[FloatArray], FloatArray]

_SKETCH_SEED = 20
_MIN_RANK = 64
_MAX_RANK = 400
# Entries of the random block: 128 MB, whatever the order.
_MAX_ENTRIES = 2**24


def nystrom(apply: Apply, order: int) -> Apply:
    """Preconditioner that flattens the leading part of a Gram spectrum, from one product with a random block.

    With the rank-l Nystrom approximation U diag(lambda) U.T of the Gram matrix,
    ``P^-1 = U diag(lambda_l / lambda) U.T + (I - U U.T)``; what remains is a condition number of about
    lambda_l / lambda_min. A ridge penalty belongs to the Gram matrix and therefore to lambda.

    Parameters
    ----------
    apply : callable
        Product with the Gram matrix, columns of length `order`.
    order : int
        Order of the Gram matrix; the rank is order / 8, at least 64, at most 400, less where memory is short.

    Returns
    -------
    callable
        Product with P^-1. The same for the same Gram matrix: the sketch has a fixed seed.

    References
    ----------
    Z. Frangella, J. A. Tropp, M. Udell (2023), "Randomized Nystrom preconditioning", SIAM J. Matrix Anal. Appl. 44,
    algorithm 2.1 and equation (1.3).
    """
    rank = min(order, max(_MIN_RANK, min(order // 8, _MAX_RANK)), max(1, _MAX_ENTRIES // order))
    block = np.random.Generator(np.random.Philox(_SKETCH_SEED)).standard_normal((order, rank))
    block, _ = dense_qr(block, mode="economic", overwrite_a=True, check_finite=False)
    image = apply(block)
    norm = float(np.linalg.norm(image))
    if not np.isfinite(norm) or norm == 0.0:
        return _identity
    # A shift at rounding level keeps the small matrix definite and is taken off the eigenvalues again.
    shift = np.sqrt(order) * EPS * norm
    image = image + shift * block
    core = block.T @ image
    values, vectors = eigh(0.5 * (core + core.T), check_finite=False)
    kept = values > 10.0 * EPS * values[-1]
    half = (image @ vectors[:, kept]) / np.sqrt(values[kept])
    left, singular, _ = np.linalg.svd(half, full_matrices=False)
    eigenvalues = np.maximum(singular**2 - shift, EPS * singular[0] ** 2)
    weights = (eigenvalues[-1] / eigenvalues - 1.0)[:, np.newaxis]

    def precondition(vectors: FloatArray) -> FloatArray:
        return vectors + left @ (weights * (left.T @ vectors))

    return precondition


def float32_factor(factor: NDArray[Any]) -> Apply:
    """Preconditioner from a float32 Cholesky factor: solve in float32, return float64.

    Parameters
    ----------
    factor : ndarray of shape (p, p), float32, Fortran order
        Lower Cholesky factor.

    Returns
    -------
    callable
        Columns are scaled to unit norm first, so that small residuals do not underflow.
    """

    def precondition(vectors: FloatArray) -> FloatArray:
        size = column_norms(vectors)
        size[size == 0.0] = 1.0
        return cholesky_solve(factor, (vectors / size).astype(np.float32)).astype(np.float64) * size

    return precondition


def _identity(vectors: FloatArray) -> FloatArray:
    return vectors.copy()
