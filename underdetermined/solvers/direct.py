"""The two lower rungs of the ladder, both on Gram matrices: refined Cholesky, and shifted Cholesky-QR.

They find a lower triangular L with L L.T = B B.T, where B is the p x q wide orientation of the matrix (A if wide, A.T if
tall). A wide system is then solved by the semi-normal equations theta = B.T (L L.T)^-1 y, whose error is eps cond once L is
as good as Householder's; a tall one by theta = L.T^-1 (Q.T y). Refinement brings the residual down as well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

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
# Semi-normal equations leave a residual of about (eps cond)^2, which exceeds rounding from here on.
_EXPLICIT_LIMIT = 1e9
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
    condition = factor_condition(top, factor)
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
    5 p^2 q flops in three passes over the matrix, or 6 in four for a wide one beyond 1e9; memory 4 p^2 and one tile: the
    orthogonal factor is never stored.

    References
    ----------
    T. Fukaya, R. Kannan, Y. Nakatsukasa, Y. Yamamoto, Y. Yanagisawa (2020), "Shifted Cholesky QR for computing the QR
    factorization of ill-conditioned matrices", SIAM J. Sci. Comput. 42.
    """
    gram, growth = reduced.gram()
    p, q = len(gram), max(reduced.shape)
    check_memory(24 * p * p, f"three more {p} x {p} factors")
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
    outer = last = factor
    for step in range(2):
        inner = np.zeros((p, p), order="F")
        for part, tile in reduced.short_tiles():
            rows = blas.dtrsm(1.0, factor, tile, lower=1)
            add_outer_gram(inner, rows)
            if step and not reduced.is_wide:
                projected += rows @ reduced.targets[part]
        next_factor = cholesky_in_place(inner)
        if next_factor is None:
            return Breakdown(np.inf)
        if step and not reduced.is_wide:
            projected = solve_lower(next_factor, projected)
        outer, last, factor = factor, next_factor, _multiply_lower(factor, next_factor)
        condition = factor_condition(top, factor)
        if not is_resolved(condition, CHOLESKY_QR_LIMIT, cutoff):
            return Breakdown(condition)
    if reduced.is_wide and condition > _EXPLICIT_LIMIT:
        # theta = Q L^-1 y with L = outer last and Q.T = last^-1 (outer^-1 B), one more pass.
        theta = np.empty((q, projected.shape[1]))
        coordinates = solve_lower(last, solve_lower(factor, reduced.targets), transposed=True)
        for part, tile in reduced.short_tiles():
            theta[part] = blas.dtrsm(1.0, outer, tile, lower=1).T @ coordinates
        return Outcome(theta, "cholesky_qr", condition, p, 1)
    start = None if reduced.is_wide else solve_lower(factor, projected, transposed=True)
    theta, n_iter, reached = refine(reduced, lambda r: cholesky_solve(factor, r), condition, np.sqrt(top), start)
    if not reached:
        return Breakdown(condition)
    return Outcome(theta, "cholesky_qr", condition, p, n_iter)


def factor_condition(top: float, factor: FloatArray) -> float:
    """Condition number of a matrix from its squared norm and the Cholesky factor of its Gram matrix, from below.

    Parameters
    ----------
    top : float
        Largest eigenvalue of the Gram matrix.
    factor : ndarray of shape (p, p), Fortran order
        Lower factor.

    Returns
    -------
    float
        At least 1; inf where the factor is singular.
    """
    with np.errstate(all="ignore"):
        value = float(np.sqrt(top * inverse_scale(factor)))
    return max(value, 1.0) if np.isfinite(value) else np.inf


def _multiply_lower(left: FloatArray, right: FloatArray) -> FloatArray:
    """Product of two lower triangular factors, as a lower triangular factor; overwrites `left` where it can."""
    return blas.dtrmm(1.0, right, np.asfortranarray(np.tril(left)), side=1, lower=1, overwrite_b=1)
