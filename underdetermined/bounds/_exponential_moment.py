"""Second moment of one exponential neuron's share of the tangent Gram matrix, relative to the kernel."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
from numpy.linalg import eigh, eigvalsh

from underdetermined._linalg import EPS, mirror_lower
from underdetermined.bounds._exponential_problem import ExponentialProblem
from underdetermined.bounds._kernel_problem import FloatArray
from underdetermined.bounds._majorant import diagonal_majorants

# Up to so many rows the second moment is computed exactly, which takes n^4 operations.
_EXACT_ROWS = 512
_SAFETY = 1e-9


def relative_second_moment(problem: ExponentialProblem) -> float:
    """Upper bound of ``v = lambda_max(E (H^-1/2 A H^-1/2)^2)``, A = ``diag(E) X X.T diag(E)`` for ``E_i = exp(<w, x_i>)``.

    Parameters
    ----------
    problem : ExponentialProblem
        Rows and the kernel H = E A.

    Returns
    -------
    float
        At least 1; inf where it overflows or the kernel of unit diagonal is not resolved.

    Notes
    -----
    With C the kernel of unit diagonal, Gamma the Gaussian kernel and ``P_ik = exp(t^2 <x_i, x_k>)``,

        v = lambda_max(C^-1/2 (Gamma o S) C^-1/2),  S_ij = sum_kl P_ik P_jk rho_ik (C^-1 o Gamma)_kl rho_jl P_il P_jl,

    because the mean of four exponentials is an exponential. With a diagonal matrix D above C^-1 in its place the sum over l
    is gone, and ``S = U D U.T`` with ``U_ik = rho_ik P_ik^2``: n^3 operations, at any number of rows. The smaller is taken.
    """
    n, d = problem.inputs.shape
    values, vectors = eigh(problem.normalised)
    error = n * EPS * float(values[-1]) + 2.0 * float(np.linalg.norm(problem.errors)) * sqrt(n)
    smallest = float(values[0]) - error
    if smallest <= 4.0 * error:
        return inf
    # Columns in the order of descending eigenvalues.
    whitening = (vectors / np.sqrt(values))[:, ::-1]
    unit = (64.0 + 2.0 * d + 2.0 * n) * 4.0 * EPS * (1.0 + float(problem.growth.max()))
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        candidates = [_majorised(problem, majorant, unit) for majorant in diagonal_majorants(whitening, smallest)]
        if n <= _EXACT_ROWS:
            candidates.append(_exact(problem, whitening, unit))
    best = inf
    for moments, rounding in candidates:
        if np.isfinite(moments).all() and np.isfinite(rounding):
            top = float(eigvalsh(whitening.T @ moments @ whitening)[-1])
            # The true C is at least 1 - error / smallest times the computed one, on either side and within its inverse.
            best = min(best, (top / (1.0 - error / smallest) + rounding / smallest) / (1.0 - error / smallest))
    return max(1.0, best) * (1.0 + _SAFETY)


def _products(problem: ExponentialProblem) -> FloatArray:
    """Exponents ``t^2 <x_i, x_k>`` (n, n)."""
    lengths = problem.weight_scale * problem.norms
    return problem.cosines * np.outer(lengths, lengths)


def _majorised(problem: ExponentialProblem, majorant: FloatArray, unit: float) -> tuple[FloatArray, float]:
    """Gamma o (U D U.T), and a bound of its rounding errors."""
    tilted = problem.cosines * np.exp(2.0 * _products(problem))
    moments = problem.gaussian * ((tilted * majorant) @ tilted.T)
    return moments, unit * float(np.trace(moments))


def _exact(problem: ExponentialProblem, whitening: FloatArray, unit: float) -> tuple[FloatArray, float]:
    """Gamma o S, and a bound of its rounding errors."""
    inverse = (whitening @ whitening.T) * problem.gaussian
    powers = np.exp(_products(problem))
    tilted = problem.cosines * powers
    lower = np.zeros_like(powers)
    for i, row in enumerate(powers):
        middle = tilted[i][:, np.newaxis] * inverse * row
        lower[i, : i + 1] = np.einsum("jl,jl->j", powers[: i + 1] @ middle, tilted[: i + 1])
    moments = problem.gaussian * mirror_lower(lower)
    # By Cauchy and Schwarz, with the sums over k and over l as norms of vectors.
    squares = tilted**2 @ (powers**2).T
    sizes = problem.gaussian * np.sqrt(squares * squares.T)
    return moments, unit * float(np.linalg.norm(inverse) * np.linalg.norm(sizes))
