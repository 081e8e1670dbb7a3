"""The direct rungs: refined Gram-Cholesky, shifted Cholesky-QR, Householder QR, truncated SVD.

All of them find a lower triangular L with L L.T = B B.T, where B is the p x q wide orientation of the matrix (A if wide,
A.T if tall), more accurately from rung to rung. A wide system is then solved by the semi-normal equations
theta = B.T (L L.T)^-1 y, whose error is eps cond once L is as good as Householder's; a tall one by theta = L.T^-1 (Q.T y).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, lapack, svd

from underdetermined._linalg import (
    EPS,
    add_outer_gram,
    cholesky_in_place,
    cholesky_solve,
    inverse_scale,
    largest_eigenvalue,
    solve_lower,
    symmetric_apply,
)
from underdetermined._validation import check_memory
from underdetermined.solvers.outcome import Breakdown, Outcome, refine
from underdetermined.system import ReducedSystem

FloatArray = NDArray[np.float64]

# The ladder (theory, section 8): a refined Gram solve loses nothing up to 1e7, three Cholesky-QR steps up to 1e12.
CHOLESKY_LIMIT = 1e7
CHOLESKY_QR_LIMIT = 1e12
# Condition numbers from factors are estimates from below.
_SAFETY = 3.0


def is_resolved(condition: float, limit: float, cutoff: float) -> bool:
    """Whether a rung with this limit may be trusted, and nothing has to be truncated.

    Parameters
    ----------
    condition : float
        Estimated condition number.
    limit : float
        Largest condition number that the rung handles.
    cutoff : float
        Relative rank cut-off.

    Returns
    -------
    bool
    """
    return condition <= limit and _SAFETY * condition * cutoff < 1.0


def gram_cholesky(reduced: ReducedSystem, cutoff: float) -> Outcome | Breakdown:
    """Cholesky factor of the Gram matrix, refined with residuals of the original equations.

    Parameters
    ----------
    reduced : ReducedSystem
        System to solve.
    cutoff : float
        Relative rank cut-off.

    Returns
    -------
    Outcome or Breakdown
        Breakdown if the factorisation fails, the condition number exceeds 1e7 or the refinement stalls.

    Notes
    -----
    p^2 q + p^3 / 3 flops, memory p^2 (8 bytes an entry) and one tile.
    """
    gram, growth = reduced.gram()
    top = largest_eigenvalue(lambda v: symmetric_apply(gram, v), len(gram), steps=6)
    factor = cholesky_in_place(gram)
    if factor is None or not np.isfinite(top):
        return Breakdown(np.inf)
    condition = _condition(top, factor)
    if not is_resolved(condition * np.sqrt(growth), CHOLESKY_LIMIT, cutoff):
        return Breakdown(condition)
    theta, n_iter, reached = refine(reduced, lambda r: cholesky_solve(factor, r), condition, np.sqrt(top))
    if not reached:
        return Breakdown(condition)
    return Outcome(theta, "cholesky", condition, len(factor), n_iter)


def cholesky_qr(reduced: ReducedSystem, cutoff: float) -> Outcome | Breakdown:
    """Shifted Cholesky-QR, three times, tile by tile.

    Parameters
    ----------
    reduced : ReducedSystem
        System to solve.
    cutoff : float
        Relative rank cut-off.

    Returns
    -------
    Outcome or Breakdown
        Breakdown beyond a condition number of about 1e12.

    Notes
    -----
    5 p^2 q flops in three passes over the matrix, memory 3 p^2 and one tile: the orthogonal factor is never stored.

    References
    ----------
    T. Fukaya, R. Kannan, Y. Nakatsukasa, Y. Yamamoto, Y. Yanagisawa (2020), "Shifted Cholesky QR for computing the QR
    factorization of ill-conditioned matrices", SIAM J. Sci. Comput. 42.
    """
    gram, growth = reduced.gram()
    p, q = len(gram), max(reduced.shape)
    check_memory(16 * p * p, f"two more {p} x {p} factors")
    top = largest_eigenvalue(lambda v: symmetric_apply(gram, v), p, steps=6)
    if not np.isfinite(top) or top <= 0.0:
        return Breakdown(np.inf)
    # Just above the rounding errors of the Gram, enough to make it definite; the next two steps undo it. The published
    # shift bounds errors that grow with q; blocked sums do not, and a smaller shift reaches larger condition numbers.
    gram[np.diag_indices(p)] += 11.0 * (p + p * (p + 1.0) / q) * EPS * growth * top
    factor = cholesky_in_place(gram)
    if factor is None:
        return Breakdown(np.inf)
    projected = np.zeros((p, reduced.targets.shape[1]))
    for step in range(2):
        inner = np.zeros((p, p), order="F")
        for part, tile in reduced.short_tiles():
            rows = blas.dtrsm(1.0, factor, tile, lower=1)
            add_outer_gram(inner, rows)
            if step and not reduced.is_wide:
                projected += rows @ reduced.targets[part]
        inner_factor = cholesky_in_place(inner)
        if inner_factor is None:
            return Breakdown(np.inf)
        if step and not reduced.is_wide:
            projected = solve_lower(inner_factor, projected)
        factor = _multiply_lower(factor, inner_factor)
        condition = _condition(top, factor)
        if not is_resolved(condition, CHOLESKY_QR_LIMIT, cutoff):
            return Breakdown(condition)
    start = None if reduced.is_wide else solve_lower(factor, projected, transposed=True)
    theta, n_iter, reached = refine(reduced, lambda r: cholesky_solve(factor, r), condition, np.sqrt(top), start)
    if not reached:
        return Breakdown(condition)
    return Outcome(theta, "cholesky_qr", condition, p, n_iter)


def qr(reduced: ReducedSystem, cutoff: float) -> Outcome:
    """Householder QR; the triangular factor gets a truncated SVD when it is close to singular.

    Parameters
    ----------
    reduced : ReducedSystem
        System to solve.
    cutoff : float
        Relative rank cut-off.

    Returns
    -------
    Outcome

    Notes
    -----
    2 p^2 q flops, memory p q for an array and 2 p^2 plus a few tiles for an operator.
    """
    factor, projected = _householder(reduced)
    p = len(factor)
    with np.errstate(all="ignore"):
        top = largest_eigenvalue(lambda v: factor @ (factor.T @ v), p, steps=6)
        condition = _condition(top, factor) if np.einsum("ii->i", factor).all() else np.inf
    # The estimate is from below and the cut-off decides the answer, so anything near it is left to the SVD.
    if not is_resolved(10.0 * condition, np.inf, cutoff):
        return _truncated(reduced, factor, projected, cutoff)
    start = None if projected is None else solve_lower(factor, projected, transposed=True)
    theta, n_iter, _ = refine(reduced, lambda r: cholesky_solve(factor, r), condition, np.sqrt(top), start)
    return Outcome(theta, "qr", condition, p, n_iter)


def truncated_svd(reduced: ReducedSystem, cutoff: float) -> Outcome:
    """Minimum-norm least-squares solution from the singular values above the cut-off, as LAPACK gelsd.

    Parameters
    ----------
    reduced : ReducedSystem
        System to solve.
    cutoff : float
        Relative rank cut-off.

    Returns
    -------
    Outcome

    Notes
    -----
    2 p^2 q flops for the triangular factor and about 20 p^3 for its SVD.
    """
    factor, projected = _householder(reduced)
    return _truncated(reduced, factor, projected, cutoff)


def _truncated(
    reduced: ReducedSystem, factor: FloatArray, projected: FloatArray | None, cutoff: float
) -> Outcome:
    """Solve with the singular values of L that exceed cutoff * s_max, then refine within their span."""
    left, values, right = svd(np.tril(factor), overwrite_a=True, check_finite=False)
    rank = int(np.count_nonzero(values > cutoff * values[0]))
    left, values, right = left[:, :rank], values[:rank], right[:rank]
    if rank == 0:
        return Outcome(np.zeros((reduced.shape[1], reduced.targets.shape[1])), "svd", np.inf, 0, 1)

    def solve_gram(rows: FloatArray) -> FloatArray:
        weights = (left.T @ rows) / values[:, np.newaxis]
        return left @ (weights / values[:, np.newaxis])

    condition = float(values[0] / values[-1])
    start = None if projected is None else left @ ((right @ projected) / values[:, np.newaxis])
    theta, n_iter, _ = refine(reduced, solve_gram, condition, float(values[0]), start)
    return Outcome(theta, "svd", condition, rank, n_iter)


def _householder(reduced: ReducedSystem) -> tuple[FloatArray, FloatArray | None]:
    """Factor L of B = L Q.T, and Q.T y if the system is tall, from blocks of at least p columns of B.

    Each block is stacked under the factor so far and factored again, so memory is O(p^2 + p tile) and the result is a
    Householder QR of the whole matrix.
    """
    p = min(reduced.shape)
    n_targets = 0 if reduced.is_wide else reduced.targets.shape[1]
    stack = np.zeros((0, p + n_targets))
    pending: list[FloatArray] = []
    n_pending = 0
    check_memory(8 * 12 * p * (p + n_targets), f"twelve {p} x {p} blocks of a QR factorisation")
    for part, tile in reduced.short_tiles():
        block = np.array(tile.T)
        if n_targets:
            block = np.hstack([block, reduced.targets[part]])
        pending.append(block)
        n_pending += len(block)
        if n_pending >= 4 * p:
            stack = _triangle(np.vstack([stack, *pending]), p)
            pending, n_pending = [], 0
    if pending:
        stack = _triangle(np.vstack([stack, *pending]), p)
    factor = np.asfortranarray(stack[:, :p].T)
    return factor, stack[:, p:].copy() if n_targets else None


def _triangle(block: FloatArray, p: int) -> FloatArray:
    """Upper triangular factor of the first p columns, and the matching rows of the others."""
    work = np.asfortranarray(block)
    lwork = int(lapack.dgeqrf_lwork(*work[:, :p].shape)[0])
    packed, tau, _, info = lapack.dgeqrf(work[:, :p], lwork=lwork, overwrite_a=0)
    if info != 0:
        raise np.linalg.LinAlgError(f"LAPACK dgeqrf refused argument {-info}")
    result = np.zeros((p, block.shape[1]))
    rows = min(p, len(block))
    result[:rows, :p] = np.triu(packed)[:rows]
    if block.shape[1] > p:
        others = work[:, p:]
        lwork = int(lapack.dormqr("L", "T", packed, tau, others, -1)[1][0])
        result[:rows, p:] = lapack.dormqr("L", "T", packed, tau, others, lwork)[0][:rows]
    return result


def _multiply_lower(left: FloatArray, right: FloatArray) -> FloatArray:
    """Product of two lower triangular factors, as a lower triangular factor; overwrites `left` where it can."""
    return blas.dtrmm(1.0, right, np.asfortranarray(np.tril(left)), side=1, lower=1, overwrite_b=1)


def _condition(top: float, factor: FloatArray) -> float:
    """Condition number of the matrix from lambda_max of its Gram and the Cholesky factor."""
    with np.errstate(all="ignore"):
        value = float(np.sqrt(top * inverse_scale(factor)))
    return max(value, 1.0) if np.isfinite(value) else np.inf
