"""The iterative methods: preconditioned conjugate gradients on the Gram, the same with a float32 factor, LSMR.

All start from zero, so every iterate of a wide system lies in its row space and the limit has minimum norm.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas
from scipy.sparse.linalg import LinearOperator
from scipy.sparse.linalg import lsmr as scipy_lsmr

from underdetermined._linalg import (
    EPS,
    cholesky_in_place,
    column_norms,
    inverse_scale,
    largest_eigenvalue,
    symmetric_apply,
)
from underdetermined._validation import available_memory
from underdetermined.solvers.direct import is_resolved
from underdetermined.solvers.outcome import Breakdown, Outcome, refine
from underdetermined.solvers.preconditioners import Apply, float32_factor, nystrom
from underdetermined.system import ReducedSystem

FloatArray = NDArray[np.float64]

# A float32 factor of the Gram, whose condition number is the square, still preconditions well up to here.
MIXED_LIMIT = 2e3
_MIXED_INNER_TOL = 1e-8
_MAX_INNER = 50
_CG_INNER_TOL = 1e-8


def conjugate_gradients(
    apply: Apply, precondition: Apply, right: FloatArray, *, rtol: float, smallest: float, max_iter: int
) -> tuple[FloatArray, int, bool]:
    """Preconditioned conjugate gradients for several right-hand sides at once, from zero.

    Stops when sqrt(r.T P^-1 r) <= rtol times its start for every column; with P close to the Gram matrix that is the
    relative error of the coefficients.

    Parameters
    ----------
    apply : callable
        Product with the positive semi-definite matrix.
    precondition : callable
        Product with P^-1.
    right : ndarray of shape (p, k)
        Right-hand sides.
    rtol : float
        Reduction to reach.
    smallest : float
        Curvature, relative to the squared length of a direction, below which the matrix counts as singular.
    max_iter : int
        Most iterations.

    Returns
    -------
    solution : ndarray of shape (p, k)
    n_iter : int
        Iterations made.
    broken : bool
        Whether a direction without curvature ended the iteration: the matrix is numerically singular.
    """
    solution = np.zeros_like(right)
    residual = right.copy()
    direction = precondition(residual)
    energy = np.einsum("ij,ij->j", residual, direction)
    goal = rtol**2 * energy
    for step in range(1, max_iter + 1):
        image = apply(direction)
        curvature = np.einsum("ij,ij->j", direction, image)
        active = energy > goal
        if np.any(active & ~(curvature > smallest * np.einsum("ij,ij->j", direction, direction))):
            return solution, step, True
        length = np.where(active, energy / np.where(active, curvature, 1.0), 0.0)
        solution += length * direction
        residual -= length * image
        image = precondition(residual)
        renewed = np.einsum("ij,ij->j", residual, image)
        if not np.any(active & (renewed > goal)):
            return solution, step, False
        direction = image + np.where(active, renewed / np.where(active, energy, 1.0), 0.0) * direction
        energy = np.where(active, renewed, 0.0)
    return solution, max_iter, False


def cg(reduced: ReducedSystem, cutoff: float, *, tol: float, max_iter: int | None) -> Outcome | Breakdown:
    """Conjugate gradients on the Gram system with a randomised Nystrom preconditioner.

    Parameters
    ----------
    reduced : ReducedSystem
        System to solve.
    cutoff : float
        Relative rank cut-off; unused, because CG has no singular values.
    tol : float
        See `underdetermined.solve`.
    max_iter : int or None
        Most iterations.

    Returns
    -------
    Outcome or Breakdown
        Breakdown where the Gram is numerically singular, or the residual of the original equations stops falling; without
        room for the Gram, LSMR takes over at once.

    Notes
    -----
    The Gram matrix is formed if it takes at most half of the memory available, p^2 flops an iteration; else every iteration
    makes two passes over the matrix. Every cycle restarts from the residual of the original equations, so the squared
    condition number slows the iteration down but does not limit its accuracy.
    """
    p = reduced.short_side
    limit = 10 * p + 100 if max_iter is None else int(max_iter)
    memory = available_memory()
    gram, apply = None, reduced.gram_apply
    if memory is None or 8 * p * p <= memory // 2:
        gram, _ = reduced.gram()

        def apply(vectors: FloatArray) -> FloatArray:
            if vectors.shape[1] == 1:
                return symmetric_apply(gram, vectors[:, 0])[:, np.newaxis]
            return blas.dsymm(1.0, gram, vectors, lower=1)

    precondition = nystrom(apply, p)
    top = largest_eigenvalue(lambda v: apply(v[:, np.newaxis])[:, 0], p, steps=6)
    theta = np.zeros((reduced.shape[1], reduced.targets.shape[1]))
    residual, n_iter, previous = reduced.targets, 0, np.inf
    while True:
        error = _misfit(reduced, theta, residual, np.sqrt(top), tol)
        if error <= 1.0:
            return Outcome(theta, "cg", np.nan, p, max(n_iter, 1))
        if n_iter >= limit:
            return Outcome(theta, "cg", np.nan, p, n_iter, converged=False)
        part, steps, broken = conjugate_gradients(
            apply,
            precondition,
            reduced.to_short(residual),
            rtol=_CG_INNER_TOL,
            smallest=4.0 * EPS * top,
            max_iter=limit - n_iter,
        )
        n_iter += steps
        if broken or not error <= 0.5 * previous:
            return lsmr(reduced, cutoff, tol=tol, max_iter=max_iter) if gram is None else Breakdown(np.inf)
        previous = error
        theta = theta + (reduced.rmatmat(part) if reduced.is_wide else part)
        residual = reduced.residual(theta)


def _misfit(reduced: ReducedSystem, theta: FloatArray, residual: FloatArray, norm: float, tol: float) -> float:
    """How far the residual is from its goal, as a factor: the largest over the columns.

    The goal is tol |y|, or |A.T r| <= tol |A| |r| for a tall system, but never below what rounding leaves.
    """
    size = column_norms(residual)
    rounding = 10.0 * EPS * norm * column_norms(theta)
    tiny = np.finfo(np.float64).tiny
    factor = size / np.maximum(np.maximum(tol * column_norms(reduced.targets), rounding), tiny)
    if not reduced.is_wide:
        normal = column_norms(reduced.rmatmat(residual))
        factor = np.minimum(factor, normal / np.maximum(max(tol, 10.0 * EPS) * norm * size, tiny))
    return float(factor.max())


def mixed(reduced: ReducedSystem, cutoff: float) -> Outcome | Breakdown:
    """Gram and Cholesky factor in float32, conjugate gradients and residuals in float64, to full float64 accuracy.

    Parameters
    ----------
    reduced : ReducedSystem
        System to solve.
    cutoff : float
        Relative rank cut-off.

    Returns
    -------
    Outcome or Breakdown
        Breakdown if the float32 factor fails or its condition estimate exceeds 2e3 for the matrix, 4e6 for the Gram.

    Notes
    -----
    Half the cost and half the memory of the float64 Gram, then about ten passes over the matrix.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        gram, growth = reduced.gram(dtype=np.float32)
        top = largest_eigenvalue(lambda v: symmetric_apply(gram, v), len(gram), steps=6, dtype=np.float32)
    factor = cholesky_in_place(gram) if np.isfinite(top) else None
    if factor is None:
        return Breakdown(np.inf)
    condition = max(float(np.sqrt(top * inverse_scale(factor))), 1.0)
    if not is_resolved(condition * np.sqrt(growth), MIXED_LIMIT, cutoff):
        return Breakdown(condition)
    precondition = float32_factor(factor)
    count = 0

    def solve_gram(right: FloatArray) -> FloatArray:
        nonlocal count
        solution, steps, _ = conjugate_gradients(
            reduced.gram_apply, precondition, right, rtol=_MIXED_INNER_TOL, smallest=0.0, max_iter=_MAX_INNER
        )
        count += steps
        return solution

    theta, _, reached = refine(reduced, solve_gram, condition, float(np.sqrt(top)))
    if not reached:
        return Breakdown(condition)
    return Outcome(theta, "mixed", condition, len(factor), count)


def lsmr(reduced: ReducedSystem, cutoff: float, *, tol: float, max_iter: int | None) -> Outcome:
    """LSMR on the original equations, one right-hand side after the other; nothing but products with the matrix.

    Parameters
    ----------
    reduced : ReducedSystem
        System to solve.
    cutoff : float
        Relative rank cut-off; unused, because LSMR truncates nothing.
    tol : float
        See `underdetermined.solve`.
    max_iter : int or None
        Most iterations for each right-hand side.

    Returns
    -------
    Outcome
        Its condition number is the estimate that LSMR makes on the way.
    """
    p = reduced.short_side
    limit = 10 * p + 100 if max_iter is None else int(max_iter)
    operator = LinearOperator(
        reduced.shape,
        matvec=lambda v: reduced.matmat(v.reshape(-1, 1))[:, 0],
        rmatvec=lambda v: reduced.rmatmat(v.reshape(-1, 1))[:, 0],
        dtype=np.float64,
    )
    columns, n_iter, condition, converged = [], 1, 1.0, True
    for target in reduced.targets.T:
        result = scipy_lsmr(operator, np.ascontiguousarray(target), atol=tol, btol=tol, conlim=0.0, maxiter=limit)
        columns.append(result[0])
        n_iter = max(n_iter, int(result[2]))
        condition = max(condition, float(result[6]))
        # Codes 0, 1, 2 and their rounding-level twins 4 and 5 are answers; 7 is the iteration limit.
        converged = converged and result[1] in (0, 1, 2, 4, 5)
    return Outcome(np.stack(columns, axis=1), "lsmr", condition, p, n_iter, converged)
