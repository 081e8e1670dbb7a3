"""Small dense linear algebra: rank cut-off, triangular Gram matrices, Cholesky factors, condition estimates, softmax.

A "lower Gram" is a Fortran-ordered square array of which only the lower triangle is meaningful. LAPACK works on such a
triangle directly; filling in the other half costs a pass over memory, so it is done once, where a matrix leaves the package.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, eigvalsh_tridiagonal, lapack

Array = NDArray[Any]
EPS = float(np.finfo(np.float64).eps)

_MIRROR_BLOCK = 256
_START_SEED = 20


def rank_cutoff(shape: tuple[int, ...], rcond: float | None = None) -> float:
    """Relative cut-off below which a singular value counts as zero: the one place where this is decided.

    ``cutoff = max(n, m) * eps`` unless `rcond` is given; a singular value s counts as zero when s <= cutoff * s_max, as in
    `numpy.linalg.lstsq`.

    Parameters
    ----------
    shape : tuple of two int
        Shape (n, m) of the matrix.
    rcond : float or None
        The user's cut-off, in [0, 1).

    Returns
    -------
    float
    """
    return max(shape) * EPS if rcond is None else rcond


def add_outer_gram(gram: Array, tile: Array) -> None:
    """Add tile @ tile.T to a lower Gram, in place.

    Parameters
    ----------
    gram : ndarray of shape (n, n), Fortran order
        Lower Gram, overwritten.
    tile : ndarray of shape (n, t), same dtype
        Any memory order; copied only if it is neither C- nor Fortran-contiguous.
    """
    syrk = blas.ssyrk if gram.dtype == np.float32 else blas.dsyrk
    if tile.flags.f_contiguous:
        result = syrk(1.0, tile, beta=1.0, c=gram, trans=0, lower=1, overwrite_c=1)
    else:
        result = syrk(1.0, np.ascontiguousarray(tile).T, beta=1.0, c=gram, trans=1, lower=1, overwrite_c=1)
    # BLAS returns the array it was given; anything else would mean that the sum went into a hidden copy.
    if result is not gram and not np.shares_memory(result, gram):
        gram[...] = result


def mirror_lower(gram: Array) -> Array:
    """Fill the upper triangle from the lower one, in place and block by block, so that the matrix is exactly symmetric.

    Parameters
    ----------
    gram : ndarray of shape (n, n)
        Lower Gram, overwritten.

    Returns
    -------
    ndarray of shape (n, n)
        The same array.
    """
    n = gram.shape[0]
    for start in range(0, n, _MIRROR_BLOCK):
        stop = min(start + _MIRROR_BLOCK, n)
        gram[:start, start:stop] = gram[start:stop, :start].T
        diagonal = gram[start:stop, start:stop]
        diagonal[...] = np.tril(diagonal) + np.tril(diagonal, -1).T
    return gram


def cholesky_in_place(gram: Array) -> Array | None:
    """Lower Cholesky factor of a lower Gram, which is overwritten; None where it is not numerically positive definite.

    Parameters
    ----------
    gram : ndarray of shape (n, n), Fortran order, float64 or float32
        Lower Gram.

    Returns
    -------
    ndarray or None
        The factor in the lower triangle; the other triangle is unspecified.
    """
    potrf = lapack.spotrf if gram.dtype == np.float32 else lapack.dpotrf
    factor, info = potrf(gram, lower=1, clean=0, overwrite_a=1)
    # An overflowed Gram can pass through LAPACK as inf or nan on the diagonal.
    if info != 0 or not np.isfinite(np.einsum("ii->", factor)):
        return None
    return factor


def solve_lower(factor: Array, right: Array, *, transposed: bool = False) -> Array:
    """Solve L x = b, or L.T x = b, with a lower triangular L.

    Parameters
    ----------
    factor : ndarray of shape (n, n), Fortran order
        L in the lower triangle; the rest is not read.
    right : ndarray of shape (n, k)
        Right-hand sides.
    transposed : bool, default=False
        Solve with L.T.

    Returns
    -------
    ndarray of shape (n, k)
    """
    single = factor.dtype == np.float32
    if right.shape[1] == 1:
        trsv = blas.strsv if single else blas.dtrsv
        return trsv(factor, right[:, 0], lower=1, trans=int(transposed))[:, np.newaxis]
    trsm = blas.strsm if single else blas.dtrsm
    return trsm(1.0, factor, right, lower=1, trans_a=int(transposed))


def cholesky_solve(factor: Array, right: Array) -> Array:
    """Solve L L.T x = b.

    Parameters
    ----------
    factor : ndarray of shape (n, n), Fortran order
        L in the lower triangle.
    right : ndarray of shape (n, k)
        Right-hand sides.

    Returns
    -------
    ndarray of shape (n, k)
    """
    return solve_lower(factor, solve_lower(factor, right), transposed=True)


def symmetric_apply(gram: Array, vector: Array) -> Array:
    """Product of a lower Gram with a vector.

    Parameters
    ----------
    gram : ndarray of shape (n, n), Fortran order
        Lower Gram.
    vector : ndarray of shape (n,)
        Vector.

    Returns
    -------
    ndarray of shape (n,)
    """
    symv = blas.ssymv if gram.dtype == np.float32 else blas.dsymv
    return symv(1.0, gram, vector, lower=1)


def largest_eigenvalue(apply: Callable[[Array], Array], n: int, *, steps: int = 8, dtype: Any = np.float64) -> float:
    """Largest eigenvalue of a symmetric positive semi-definite operator, from below, by a few Lanczos steps.

    Parameters
    ----------
    apply : callable
        Vector of shape (n,) to vector of shape (n,).
    n : int
        Order of the operator.
    steps : int, default=8
        Number of applications; with 8 the estimate is typically within 5 % for the spectra met here, and exact in the case
        that matters, an eigenvalue far away from the others.
    dtype : dtype, default=float64
        Type of the vectors.

    Returns
    -------
    float
        nan or inf where an application overflows.
    """
    steps = min(steps, n)
    nrm2 = blas.snrm2 if dtype == np.float32 else blas.dnrm2
    vector = np.random.Generator(np.random.Philox(_START_SEED)).standard_normal(n).astype(dtype)
    vector /= np.linalg.norm(vector)
    basis = np.zeros((steps, n), dtype=dtype)
    diagonal, off_diagonal = [], []
    for step in range(steps):
        basis[step] = vector
        image = apply(vector)
        if not np.isfinite(image.sum()):
            return float(np.abs(image).max())
        diagonal.append(float(vector @ image))
        # Full orthogonalisation, twice: the basis is tiny, and ghost eigenvalues would spoil the estimate.
        for _ in range(2):
            image = image - basis[: step + 1].T @ (basis[: step + 1] @ image)
        # BLAS scales inside its norm; a sum of squares would overflow long before the eigenvalue does.
        norm = float(nrm2(image))
        if norm <= 10.0 * np.finfo(dtype).eps * abs(diagonal[0]) or step + 1 == steps:
            break
        off_diagonal.append(norm)
        vector = image / dtype(norm)
    return float(eigvalsh_tridiagonal(np.array(diagonal), np.array(off_diagonal[: len(diagonal) - 1]))[-1])


def inverse_scale(factor: Array, *, steps: int = 8) -> float:
    """Largest eigenvalue of (L L.T)^-1, an estimate from below.

    Parameters
    ----------
    factor : ndarray of shape (n, n), Fortran order
        L in the lower triangle.
    steps : int, default=8
        Lanczos steps.

    Returns
    -------
    float
        1 / lambda_min; inf where L is singular to working precision.
    """

    def apply(vector: Array) -> Array:
        return cholesky_solve(factor, vector[:, np.newaxis])[:, 0]

    with np.errstate(all="ignore"):
        scale = largest_eigenvalue(apply, factor.shape[0], steps=steps, dtype=factor.dtype.type)
    return scale if np.isfinite(scale) else np.inf


def column_norms(array: Array) -> Array:
    """Euclidean norms of the columns, safe from overflow and underflow of the squares.

    Parameters
    ----------
    array : ndarray of shape (n, k)
        Columns.

    Returns
    -------
    ndarray of shape (k,)
    """
    largest = np.abs(array).max(axis=0, initial=0.0)
    scale = np.where((largest > 0.0) & np.isfinite(largest), largest, 1.0)
    return scale * np.linalg.norm(array / scale, axis=0)


def vector_norm(vector: Array) -> float:
    """Euclidean norm, safe from overflow and underflow of the squares.

    Parameters
    ----------
    vector : ndarray of shape (n,)
        Numbers.

    Returns
    -------
    float
    """
    largest = float(np.abs(vector).max(initial=0.0))
    return largest * float(np.linalg.norm(vector / largest)) if 0.0 < largest < np.inf else largest
