"""Largest and smallest eigenvalue of a Gram matrix, with bounds on their errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas, eigvalsh_tridiagonal
from scipy.optimize import brentq
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

from underdetermined._linalg import EPS, cholesky_in_place, cholesky_solve, rank_cutoff
from underdetermined._matrix import as_matrix
from underdetermined._validation import check_count, check_memory, check_number, check_symmetric
from underdetermined.lanczos._process import LanczosProcess, as_unit_operator, power_of_two, random_directions

FloatArray = NDArray[np.float64]

# Probability, over the random starting vector, that a bound fails.
_FAILURE = 1e-6
# A Ritz value never lies below the smallest eigenvalue: further below zero than this, in cut-offs, it is no rounding error.
_ROUNDING_CUTOFFS = 1000.0
# Roundings beside the n of a sum of n products.
_CONSTANT = 20.0


@dataclass(frozen=True)
class ExtremeEigenvalues:
    """Extreme eigenvalues of a Gram matrix, each with a bound on its absolute error.

    Parameters
    ----------
    largest, smallest : float
        Largest and smallest eigenvalue; ``smallest`` is nan if it is not resolved.
    largest_error, smallest_error : float
        Bounds on the absolute errors. They hold but for a probability of 1e-6 each, over the random starting vector. If the
        smallest eigenvalue is not resolved, ``smallest_error`` bounds the eigenvalue itself.
    largest_residual, smallest_residual : float
        Norms |K u - theta u| with the unit vector u that was found: some eigenvalue is certainly as near as that.
        ``smallest_residual`` is nan where the smallest eigenvalue is not resolved.
    cutoff : float
        ``n eps lambda_max``, which a resolved eigenvalue exceeds.
    method : str
        How the smallest one was found: "cholesky", by inverse iterations with a factorisation, or "lanczos".
    n_iter : tuple of two int
        Lanczos steps for the largest and for the smallest one.
    """

    largest: float
    smallest: float
    largest_error: float
    smallest_error: float
    largest_residual: float
    smallest_residual: float
    cutoff: float
    method: str
    n_iter: tuple[int, int]

    @property
    def is_resolved(self) -> bool:
        """Whether the smallest eigenvalue exceeds the cut-off and its own error bound."""
        return bool(np.isfinite(self.smallest))

    @property
    def condition(self) -> float:
        """Condition number; inf if the smallest eigenvalue is not resolved."""
        return self.largest / self.smallest if self.is_resolved else np.inf

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as numbers that JSON can hold.

        Returns
        -------
        dict
            One key for each field, and ``is_resolved`` and ``condition``; None stands for what is not resolved.
        """
        fields = {**vars(self), "is_resolved": self.is_resolved, "condition": self.condition, "n_iter": list(self.n_iter)}
        return {key: None if isinstance(value, float) and not np.isfinite(value) else value for key, value in fields.items()}


def extreme_eigenvalues(
    gram: Any, *, tol: float = 1e-8, max_iter: int = 500, seed: int = 0
) -> ExtremeEigenvalues:
    """Largest and smallest eigenvalue of a symmetric positive semi-definite matrix or operator, with error bounds.

    After j Lanczos steps from a unit vector v, with Ritz values theta_i and coefficients beta_i, the next basis vector
    p(K) v, p(t) = prod_i (t - theta_i) / beta_i, has norm one. So p(lambda_max) <= 1 / delta if v has a component of at
    least delta along an eigenvector of lambda_max, and p increases beyond the largest Ritz value: the root of
    p(t) = 1 / delta bounds lambda_max from above, as the Ritz value does from below.

    Parameters
    ----------
    gram : array_like, sparse matrix or LinearOperator of shape (n, n)
        Gram matrix. For arrays the smallest eigenvalue comes from a Cholesky factor; nothing is written to.
    tol : float, default=1e-8
        Steps end when the error bound is at most tol times the eigenvalue, or at the level of rounding, n eps lambda_max.
        The error itself is then much smaller as a rule.
    max_iter : int, default=500
        Largest number of Lanczos steps for each eigenvalue; the bounds say what was reached.
    seed : int, default=0
        Seed of the starting vector.

    Returns
    -------
    ExtremeEigenvalues

    Raises
    ------
    TypeError
        If a number has the wrong type.
    ValueError
        If the matrix is not square, finite and symmetric, or has an eigenvalue too negative for rounding; if a number is
        out of range.
    MemoryError
        If a copy of the matrix, or the Lanczos basis, cannot fit.

    Notes
    -----
    For arrays n^3 / 3 flops in the Cholesky factorisation and 2 n^2 a step; memory n^2 numbers and n for each step.
    Rounding, the backward error of the factorisation included, enters the bounds as n eps lambda_max. For operators the
    smallest eigenvalue takes about sqrt(condition) steps, and is left unresolved where they do not suffice.

    References
    ----------
    J. L. M. van Dorsselaer, M. E. Hochstenbach, H. A. van der Vorst, "Computing probabilistic bounds for extreme eigenvalues
    of symmetric matrices with the Lanczos method", SIAM J. Matrix Anal. Appl. 22 (2000).

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.lanczos import extreme_eigenvalues
    >>> extremes = extreme_eigenvalues(np.diag([4.0, 3.0, 0.5]))
    >>> round(extremes.largest, 6), round(extremes.smallest, 6), extremes.is_resolved
    (4.0, 0.5, True)
    """
    tol = check_number(tol, "tol", high=1.0)
    max_iter = check_count(max_iter, "max_iter")
    is_operator = isinstance(gram, LinearOperator) or issparse(gram)
    return (_of_operator if is_operator else _of_matrix)(gram, tol, max_iter, seed)


@dataclass(frozen=True)
class _End:
    """One end of the spectrum: a Ritz value, how far beyond it the eigenvalue may lie, residual norm and steps."""

    value: float
    error: float
    residual: float
    steps: int


def _of_matrix(gram: Any, tol: float, max_iter: int, seed: int) -> ExtremeEigenvalues:
    """Largest eigenvalue by Lanczos steps, smallest one by Lanczos steps with the inverse."""
    gram = check_symmetric(gram, "gram")
    n, precision = gram.shape[0], float(np.finfo(gram.dtype).eps)
    check_memory(8 * n * n, f"the Cholesky factor of the {n} x {n} Gram matrix")
    scale = power_of_two(max(float(gram.max()), -float(gram.min())))
    work = np.empty((n, n), order="F")
    np.multiply(gram, 1.0 / scale, out=work, dtype=np.float64)
    start = random_directions(n, 1, seed)

    process = LanczosProcess(lambda v: blas.dsymv(1.0, work, v[:, 0], lower=1)[:, np.newaxis], start, min(n, max_iter))
    _grow(process, lambda: _is_known(ritz_bracket(process, largest=True), max(tol, _rounding(n))))
    top, lowest = _end(process, largest=True), _end(process, largest=False)
    _refuse_negative(lowest.value, top.value, n, precision)
    factor = cholesky_in_place(work)
    if factor is None:
        return _result(scale, n, top, _End(0.0, 0.0, 0.0, 0), "cholesky")

    inverse = LanczosProcess(lambda v: cholesky_solve(factor, v), start, min(n, max_iter))
    # The factor is that of a matrix which differs by rounding of its largest eigenvalue.
    floor = _rounding(n) * top.value

    def is_done() -> bool:
        value, error = ritz_bracket(inverse, largest=True)
        return _is_known((value, error), max(tol, floor * value))

    _grow(inverse, is_done)
    value, error = ritz_bracket(inverse, largest=True)
    vector, _ = inverse.ritz_vector(largest=True)
    residual = float(np.linalg.norm(gram @ (vector / scale) - vector / value))
    bottom = _End(1.0 / value, 1.0 / value - 1.0 / (value + error), residual, inverse.steps)
    return _result(scale, n, top, bottom, "cholesky")


def _of_operator(gram: Any, tol: float, max_iter: int, seed: int) -> ExtremeEigenvalues:
    """Both ends from one Lanczos process."""
    matrix = as_matrix(gram, "gram")
    n = matrix.shape[0]
    if matrix.shape != (n, n):
        raise ValueError(f"gram has shape {matrix.shape}: pass a square symmetric operator")
    start = random_directions(n, 1, seed)
    multiply, scale = as_unit_operator(matrix.matmat, start)
    process = LanczosProcess(multiply, start, min(n, max_iter))

    def is_done() -> bool:
        top, bottom = ritz_bracket(process, largest=True), ritz_bracket(process, largest=False)
        floor = _rounding(n) * top[0]
        # A Ritz value below the floor settles that the smallest eigenvalue is not resolved.
        return _is_known(top, max(tol, _rounding(n))) and (
            bottom[0] <= floor or _is_known(bottom, max(tol, floor / bottom[0]))
        )

    _grow(process, is_done)
    top, bottom = _end(process, largest=True), _end(process, largest=False)
    _refuse_negative(bottom.value, top.value, n)
    return _result(scale, n, top, bottom, "lanczos")


def _rounding(n: int) -> float:
    """Rounding of products and factorisations, relative to the largest eigenvalue; for few rows constants count."""
    return rank_cutoff((n, n)) + _CONSTANT * EPS


def _grow(process: LanczosProcess, is_done: Callable[[], bool]) -> None:
    """Take steps until the ends are known well enough, looking more rarely as that becomes more work."""
    while not process.is_exhausted:
        process.step()
        if process.steps % (1 + process.steps // 20) == 0 and is_done():
            return


def _is_known(bracket: tuple[float, float], tol: float) -> bool:
    value, error = bracket
    return error <= tol * abs(value)


def _end(process: LanczosProcess, *, largest: bool) -> _End:
    """All about one end of the spectrum of the operator itself."""
    return _End(*ritz_bracket(process, largest=largest), process.ritz_vector(largest=largest)[1], process.steps)


def ritz_bracket(process: LanczosProcess, *, largest: bool) -> tuple[float, float]:
    """Extreme Ritz value, and how far the eigenvalue may be beyond it: the root of p(t) = 1 / delta.

    Parameters
    ----------
    process : LanczosProcess
        Steps from one random direction.
    largest : bool
        Which end.

    Returns
    -------
    value, distance : float
        The bound is wrong with probability 1e-6 at most.
    """
    coupling = process.off_diagonal[0]
    ritz = eigvalsh_tridiagonal(process.diagonal[0], coupling[:-1])
    value = float(ritz[-1] if largest else ritz[0])
    if coupling[-1] == 0.0:
        return value, 0.0
    with np.errstate(divide="ignore"):
        log_distances = np.log(np.sort(np.abs(ritz - value)))
    # A uniform direction has a component below delta with probability at most delta sqrt(2 n / pi).
    target = float(np.log(coupling).sum() - np.log(_FAILURE * np.sqrt(np.pi / (2.0 * process.order))))
    # In x = log(t - value), log p(t) is at least steps * x, and not less steep than x, the term of the Ritz value itself.
    high = target / process.steps
    low = target - float(np.logaddexp(log_distances[1:], high).sum())
    root = brentq(lambda x: np.logaddexp(log_distances, x).sum() - target, low - 1.0, high + 1.0)
    return value, float(np.exp(root))


def _refuse_negative(lowest: float, largest: float, n: int, precision: float = EPS) -> None:
    """Raise if a Ritz value, which no eigenvalue exceeds at this end, is too negative for rounding at a precision."""
    if lowest < -_ROUNDING_CUTOFFS * n * precision * max(largest, 0.0):
        raise ValueError(
            f"gram has an eigenvalue of {lowest / max(abs(largest), abs(lowest)):.3g} times its largest magnitude or less: "
            "it is not positive semi-definite, so not a Gram matrix; pass features times their transpose, or a kernel matrix"
        )


def _result(scale: float, n: int, top: _End, bottom: _End, method: str) -> ExtremeEigenvalues:
    """Put the ends together in the units of the matrix."""
    # Both ends are rounded on their own, and they may be one eigenvalue.
    largest = max(0.0, top.value, bottom.value)
    cutoff, floor = rank_cutoff((n, n)) * largest, _rounding(n) * largest
    error = bottom.error + floor
    is_resolved = bottom.value > max(cutoff, error)
    return ExtremeEigenvalues(
        largest=scale * largest,
        smallest=scale * bottom.value if is_resolved else np.nan,
        largest_error=scale * (top.error + floor),
        smallest_error=scale * (error if is_resolved else max(bottom.value, 0.0) + floor),
        largest_residual=scale * top.residual,
        smallest_residual=scale * bottom.residual if is_resolved else np.nan,
        cutoff=scale * cutoff,
        method=method,
        n_iter=(top.steps, bottom.steps),
    )
