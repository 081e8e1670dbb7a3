"""Solvers of ``A @ coef = y``: one function, `solve`, and the ladder of methods behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from underdetermined._linalg import column_norms, rank_cutoff
from underdetermined._validation import check_number
from underdetermined.solution import Solution, Status
from underdetermined.solvers.direct import (
    CHOLESKY_LIMIT,
    CHOLESKY_QR_LIMIT,
    cholesky_qr,
    gram_cholesky,
    is_resolved,
)
from underdetermined.solvers.iterative import cg, lsmr, mixed
from underdetermined.solvers.orthogonal import qr, truncated_svd
from underdetermined.solvers.outcome import Breakdown, Outcome
from underdetermined.system import LinearSystem, ReducedSystem

__all__ = ["SOLVERS", "select_method", "solve"]

_Rung = Callable[..., "Outcome | Breakdown"]

# Each method with the one that takes over where it breaks down; None: it cannot break down.
SOLVERS: dict[str, tuple[_Rung, str | None]] = {
    "cholesky": (gram_cholesky, "cholesky_qr"),
    "cholesky_qr": (cholesky_qr, "qr"),
    "qr": (qr, None),
    "svd": (truncated_svd, None),
    "mixed": (mixed, "cholesky"),
    "cg": (cg, "qr"),
    "lsmr": (lsmr, None),
}
_ITERATIVE = frozenset({"cg", "lsmr"})
_DEFAULT_TOL = 1e-10


def select_method(condition: float, shape: tuple[int, int], *, rcond: float | None = None) -> str:
    """Name the rung of the ladder that a condition number calls for.

    Parameters
    ----------
    condition : float
        Condition number of the matrix (not of its Gram matrix), at least 1; inf if singular.
    shape : tuple of two int
        Shape of the matrix.
    rcond : float, optional
        Relative cut-off of the singular values, by default max(shape) * eps.

    Returns
    -------
    str
        ``"cholesky"`` up to 1e7, ``"cholesky_qr"`` up to 1e12, else ``"qr"``, which ends in the truncated SVD where singular
        values come near the cut-off.

    Notes
    -----
    ``solve(method="auto")`` climbs from the bottom, because the Cholesky factor is what estimates the condition number.

    Examples
    --------
    >>> from underdetermined.solvers import select_method
    >>> select_method(1e5, (3000, 12000)), select_method(1e9, (3000, 12000)), select_method(1e13, (3000, 12000))
    ('cholesky', 'cholesky_qr', 'qr')
    """
    cutoff = rank_cutoff(shape, rcond)
    for name, limit in (("cholesky", CHOLESKY_LIMIT), ("cholesky_qr", CHOLESKY_QR_LIMIT)):
        if is_resolved(condition, limit, cutoff):
            return name
    return "qr"


def solve(
    A: Any,
    y: ArrayLike | None = None,
    *,
    method: str = "auto",
    alpha: float = 0.0,
    rcond: float | None = None,
    tol: float = _DEFAULT_TOL,
    max_iter: int | None = None,
    sample_weight: ArrayLike | None = None,
    fit_intercept: bool = False,
) -> Solution:
    """Minimum-norm least-squares solution of A @ coef = y, or the ridge solution.

    Minimises ``sum_i w_i |y_i - b - a_i coef|^2 + alpha |coef|^2`` over `coef` (and b with `fit_intercept`). If alpha = 0
    leaves many minimisers, the one of smallest norm is returned: ``coef = A.T (A A.T)^-1 y`` for a wide matrix of full rank.

    Parameters
    ----------
    A : array_like, sparse matrix, LinearOperator or LinearSystem of shape (n, m)
        Matrix, wide or tall. Operators with ``column_tiles()`` (wide) or ``row_tiles()`` (tall) are streamed through them,
        others through products with blocks of the identity. Arrays are neither copied nor written to.
    y : array_like of shape (n,) or (n, k)
        Right-hand sides; omitted, with `sample_weight` and `fit_intercept`, if `A` is a `LinearSystem`.
    method : str, default="auto"
        - ``"auto"``: the ladder cholesky, cholesky_qr, qr, svd; the cheapest rung that keeps the accuracy of an SVD.
        - ``"cholesky"``: Cholesky factor of the Gram matrix, refined; up to condition numbers of about 1e7.
        - ``"cholesky_qr"``: shifted Cholesky-QR, three times; up to about 1e12.
        - ``"qr"``: Householder QR, with an SVD of the triangular factor if singular values come near the cut-off.
        - ``"svd"``: truncated SVD, the answer of LAPACK gelsd.
        - ``"mixed"``: float32 Gram and factor, float64 conjugate gradients and residuals; up to about 1e3.
        - ``"cg"``: conjugate gradients on the Gram with a randomised Nystrom preconditioner; the Gram is kept if it fits in
          memory.
        - ``"lsmr"``: matrix-free LSMR.

        A method that breaks down hands over to the next more stable one; `Solution.method` names the one that answered.
    alpha : float, default=0.0
        Ridge penalty, >= 0; the intercept is not penalised.
    rcond : float, optional
        Singular values <= rcond * s_max count as zero, in [0, 1); by default max(n, m) * eps, as in `numpy.linalg.lstsq`.
        With alpha > 0 these are the singular values sqrt(s^2 + alpha) of the penalised system.
    tol : float, default=1e-10
        For cg: |residual| <= tol |y|, or |A.T residual| <= tol |A| |residual| for a tall system. For lsmr:
        |residual| <= tol (|A| |coef| + |y|), or |A.T residual| <= tol |A| |residual|. The relative coefficient error is then
        up to tol times the condition number. The direct methods and mixed always work to rounding.
    max_iter : int, optional
        For cg and lsmr: most iterations, by default 10 p + 100 with p the smaller dimension. Direct methods ignore it: they
        never iterate more than ten times.
    sample_weight : array_like of shape (n,), optional
        Weight k means the row repeated k times, weight 0 the row absent.
    fit_intercept : bool, default=False
        Whether b is fitted; it is 0 otherwise.

    Returns
    -------
    Solution
        Coefficients of shape (m, k) with the rung taken, status, rank, condition and norms.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, shapes do not fit, or entries are not finite.
    MemoryError
        If the method needs a matrix that cannot fit in memory; the message has the number of bytes.

    Notes
    -----
    The coefficient error of the direct methods is about eps times the condition number, also where the Gram matrix, whose
    condition number is the square, is factored. Cost of the bottom rung: p^2 q + p^3 / 3 flops for p <= q, memory p^2.
    The same input gives the same answer: random preconditioners use a fixed seed.

    References
    ----------
    Å. Björck (1996), "Numerical Methods for Least Squares Problems", SIAM, sections 2.4 and 2.9.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined import solve
    >>> A = np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]])
    >>> solution = solve(A, [3.0, 3.0])
    >>> solution.coef[:, 0].round(12)
    array([1., 2., 1.])
    >>> solution.method, solution.status.name
    ('cholesky', 'EXACT')
    """
    if isinstance(A, LinearSystem):
        if y is not None or sample_weight is not None or fit_intercept:
            raise ValueError("y, sample_weight and fit_intercept belong to the LinearSystem: pass them to LinearSystem(...)")
        system = A
    else:
        if y is None:
            raise ValueError("y is missing: pass the targets, or a LinearSystem alone")
        system = LinearSystem(A, y, sample_weight=sample_weight, fit_intercept=fit_intercept)
    if method != "auto" and method not in SOLVERS:
        raise ValueError(f"method={method!r} is unknown: choose 'auto' or one of {', '.join(map(repr, SOLVERS))}")
    if rcond is not None:
        rcond = check_number(rcond, "rcond", high=1.0)
    tol = check_number(tol, "tol", high=1.0, low_open=True)
    if max_iter is not None and (isinstance(max_iter, bool) or int(max_iter) != max_iter or max_iter < 1):
        raise ValueError(f"max_iter={max_iter!r} is out of range: pass an integer >= 1 or None")
    reduced = ReducedSystem(system, alpha)
    if reduced.n_rows == 0:
        # One row and an intercept: the intercept takes the row and nothing is left to solve.
        theta = np.zeros((system.shape[1], system.targets.shape[1]))
        outcome = Outcome(theta, "cholesky" if method == "auto" else method, 1.0, 0, 1)
    else:
        cutoff = rank_cutoff((reduced.n_rows, reduced.n_unknowns), rcond)
        outcome = _climb(reduced, "cholesky" if method == "auto" else method, cutoff, tol, max_iter)
    return _describe(system, reduced, outcome, method, cutoff if reduced.n_rows else 0.0)


def _climb(reduced: ReducedSystem, method: str, cutoff: float, tol: float, max_iter: int | None) -> Outcome:
    """Run a method, and the one that takes over each time one breaks down."""
    function, successor = SOLVERS[method]
    if method in _ITERATIVE:
        result = function(reduced, cutoff, tol=tol, max_iter=max_iter)
    else:
        result = function(reduced, cutoff)
    if isinstance(result, Outcome):
        return result
    assert successor is not None, f"{method} is the last method and broke down at condition {result.condition}"
    return _climb(reduced, successor, cutoff, tol, max_iter)


def _describe(system: LinearSystem, reduced: ReducedSystem, outcome: Outcome, requested: str, cutoff: float) -> Solution:
    """Turn the outcome of a rung into a `Solution` of the original system."""
    coef = np.ascontiguousarray(outcome.theta[: reduced.n_unknowns])
    residual = system.residual(coef)
    intercept = system.optimal_intercept(residual)
    residual -= intercept
    if system.sample_weight is not None:
        residual *= np.sqrt(system.sample_weight)[:, np.newaxis]
    return Solution(
        coef=coef,
        intercept=intercept,
        method=outcome.method,
        status=_status(reduced, outcome, requested, cutoff),
        n_iter=outcome.n_iter,
        rank=outcome.rank,
        condition=outcome.condition,
        residual_norm=column_norms(residual),
        coef_norm=column_norms(coef),
    )


def _status(reduced: ReducedSystem, outcome: Outcome, requested: str, cutoff: float) -> Status:
    """Say how a solve ended; what matters most to the user comes first."""
    if not outcome.converged:
        return Status.MAX_ITER
    if outcome.rank < reduced.short_side:
        consistent = not reduced.is_wide or _is_consistent(reduced, outcome, cutoff)
        return Status.RANK_DEFICIENT if consistent else Status.INCONSISTENT
    if outcome.condition > CHOLESKY_QR_LIMIT:
        return Status.ILL_CONDITIONED
    if requested not in ("auto", outcome.method):
        return Status.ESCALATED
    if reduced.alpha > 0.0:
        return Status.REGULARIZED
    if outcome.method in _ITERATIVE:
        return Status.CONVERGED
    return Status.EXACT if reduced.is_wide else Status.LEAST_SQUARES


def _is_consistent(reduced: ReducedSystem, outcome: Outcome, cutoff: float) -> bool:
    """Whether a truncated solution still fits every equation, up to what truncation at the cut-off costs."""
    misfit = column_norms(reduced.residual(outcome.theta))
    return bool(np.all(misfit <= 100.0 * cutoff * column_norms(reduced.targets)))
