"""The top of the ladder: Householder QR, and the truncated SVD of its triangular factor.

B = L Q.T with L lower triangular of order p, for the p x q wide orientation B of the matrix. Q is kept where the matrix
fits in memory twice; otherwise it is dropped block by block, and a wide system is solved by the semi-normal equations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack, svd

from underdetermined._linalg import cholesky_solve, largest_eigenvalue, solve_lower
from underdetermined._validation import available_memory, check_memory
from underdetermined.solvers.direct import factor_condition, is_resolved
from underdetermined.solvers.outcome import Outcome, refine
from underdetermined.system import ReducedSystem

FloatArray = NDArray[np.float64]

# An operator is turned into an array only if that is small; an array in memory may be copied once.
_SMALL_BYTES = 2**27
# Up to here the semi-normal equations are as good as Q, and better under a large penalty, where the coefficients are small
# beside the entries that belong to the penalty: they compute the former by themselves.
_HARMLESS = 10.0


@dataclass(frozen=True, eq=False)
class _Factors:
    """L, with Q.T y of a tall system, or the product with Q of a wide one where Q is kept."""

    lower: FloatArray
    projected: FloatArray | None = None
    apply_q: Callable[[FloatArray], FloatArray] | None = None


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
        Its method is ``"svd"`` where singular values came near the cut-off.

    Notes
    -----
    2 p^2 q flops (2.5 in blocks); memory p q, or 12 p^2 in blocks.
    """
    factors = _householder(reduced)
    lower = factors.lower
    with np.errstate(all="ignore"):
        top = largest_eigenvalue(lambda v: lower @ (lower.T @ v), len(lower), steps=6)
        condition = factor_condition(top, lower) if np.einsum("ii->i", lower).all() else np.inf
    # The estimate is from below and the cut-off decides the answer, so anything near it is left to the SVD.
    if not is_resolved(10.0 * condition, np.inf, cutoff):
        return _truncated(reduced, factors, cutoff)
    keeps_q = condition > _HARMLESS or reduced.alpha == 0.0
    if keeps_q and factors.projected is not None:
        return Outcome(solve_lower(lower, factors.projected, transposed=True), "qr", condition, len(lower), 1)
    if keeps_q and factors.apply_q is not None:
        return Outcome(factors.apply_q(solve_lower(lower, reduced.targets)), "qr", condition, len(lower), 1)
    theta, n_iter, _ = refine(reduced, lambda r: cholesky_solve(lower, r), condition, np.sqrt(top))
    return Outcome(theta, "qr", condition, len(lower), n_iter)


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
    return _truncated(reduced, _householder(reduced), cutoff)


def _truncated(reduced: ReducedSystem, factors: _Factors, cutoff: float) -> Outcome:
    """Solve with the singular values of L = V diag(s) U.T that exceed cutoff * s_max."""
    left, values, right = svd(factors.lower, check_finite=False)
    rank = int(np.count_nonzero(values > cutoff * values[0]))
    left, values, right = left[:, :rank], values[:rank, np.newaxis], right[:rank]
    if rank == 0:
        return Outcome(np.zeros((reduced.shape[1], reduced.targets.shape[1])), "svd", np.inf, 0, 1)
    condition = float(values[0, 0] / values[-1, 0])
    keeps_q = condition > _HARMLESS or reduced.alpha == 0.0
    if keeps_q and factors.projected is not None:
        return Outcome(left @ ((right @ factors.projected) / values), "svd", condition, rank, 1)
    if keeps_q and factors.apply_q is not None:
        theta = factors.apply_q(right.T @ ((left.T @ reduced.targets) / values))
        return Outcome(theta, "svd", condition, rank, 1)

    def solve_gram(rows: FloatArray) -> FloatArray:
        return left @ (((left.T @ rows) / values) / values)

    theta, n_iter, _ = refine(reduced, solve_gram, condition, float(values[0, 0]))
    return Outcome(theta, "svd", condition, rank, n_iter)


def _householder(reduced: ReducedSystem) -> _Factors:
    """Factor the matrix, keeping Q where that is affordable."""
    p, q = min(reduced.shape), max(reduced.shape)
    available = available_memory()
    fits = available is None or 3 * 8 * p * q < available
    if fits and (reduced.is_held or 8 * p * q <= _SMALL_BYTES):
        packed, tau = _factor(reduced.to_short_dense())
        lower = np.asfortranarray(np.triu(packed[:p]).T)
        if reduced.is_wide:
            return _Factors(lower, apply_q=lambda z: _multiply_q(packed, tau, _padded(z, q), "N"))
        return _Factors(lower, projected=_multiply_q(packed, tau, reduced.targets, "T")[:p])
    n_targets = 0 if reduced.is_wide else reduced.targets.shape[1]
    check_memory(8 * 12 * p * (p + n_targets), f"twelve {p} x {p} blocks of a QR factorisation")
    stack = np.zeros((0, p + n_targets))
    for block in _blocks(reduced, n_targets, 4 * p):
        # Stacking a block under the factor so far and factoring again gives the factor of everything up to here.
        stack = _triangle(np.vstack([stack, block]), p)
    return _Factors(np.asfortranarray(stack[:, :p].T), projected=stack[:, p:].copy() if n_targets else None)


def _blocks(reduced: ReducedSystem, n_targets: int, n_rows: int) -> Iterator[FloatArray]:
    """Transposed tiles, beside their right-hand sides if the system is tall, joined to at least n_rows rows."""
    pending: list[FloatArray] = []
    for part, tile in reduced.short_tiles():
        pending.append(np.hstack([tile.T, reduced.targets[part]]) if n_targets else np.array(tile.T))
        if sum(map(len, pending)) >= n_rows:
            yield np.vstack(pending)
            pending = []
    if pending:
        yield np.vstack(pending)


def _triangle(block: FloatArray, p: int) -> FloatArray:
    """Upper triangular factor of the first p columns, and the matching rows of the others."""
    packed, tau = _factor(np.array(block[:, :p], order="F"))
    rows = min(p, len(block))
    result = np.zeros((p, block.shape[1]))
    result[:rows, :p] = np.triu(packed[:rows])
    if block.shape[1] > p:
        result[:rows, p:] = _multiply_q(packed, tau, block[:, p:], "T")[:rows]
    return result


def _factor(dense: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Householder QR of a Fortran-ordered array, in place: packed reflectors and R, and their scales."""
    lwork = int(lapack.dgeqrf_lwork(*dense.shape)[0])
    packed, tau, _, info = lapack.dgeqrf(dense, lwork=lwork, overwrite_a=1)
    assert info == 0, f"LAPACK dgeqrf refused argument {-info}"
    return packed, tau


def _multiply_q(packed: FloatArray, tau: FloatArray, right: FloatArray, trans: str) -> FloatArray:
    """Product with Q ("N") or Q.T ("T") from packed reflectors."""
    right = np.asfortranarray(right)
    lwork = int(lapack.dormqr("L", trans, packed, tau, right, -1)[1][0])
    return lapack.dormqr("L", trans, packed, tau, right, lwork)[0]


def _padded(top: FloatArray, n_rows: int) -> FloatArray:
    """Zeros below, up to n_rows rows."""
    return np.vstack([top, np.zeros((n_rows - len(top), top.shape[1]))])
