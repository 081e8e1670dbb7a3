"""Lower bounds on the smallest eigenvalue of the tangent kernel of exponentials, from its factors and from its power series.

With the weights of Poisson laws, ``p_k(a) = exp(-a) a^k / k!``, the kernel is
``H_ij = sqrt(H_ii H_jj) sum_k sqrt(p_k(a_i) p_k(a_j)) rho_ij^(k + 1)``, and every term is positive semi-definite.
"""

from __future__ import annotations

from math import comb, inf, log

import numpy as np
from scipy.special import gammainc, gammaln, xlogy

from underdetermined._linalg import EPS
from underdetermined.bounds._dominance import Dominance
from underdetermined.bounds._eigenvalue_bound import EigenvalueBound, lower_bound
from underdetermined.bounds._exponential_problem import ExponentialProblem
from underdetermined.bounds._kernel_problem import SMALLEST, FloatArray, smallest_scaled

_TERMS = 64  # of the power series, each with an eigenvalue problem of its own
_NEGLIGIBLE = 1e-6
_DEGREES = np.unique(np.concatenate([np.arange(60.0), np.round(60.0 * 1.09 ** np.arange(40.0))]))
_FULL = 0.999
# Covers the rounding of tails of Poisson laws and of powers of cosines.
_SAFETY = 1e-9


def schur_gram(problem: ExponentialProblem) -> EigenvalueBound:
    """Cosines between the roots of the diagonal, ``lambda_min >= lambda_min(sqrt(H_ii) rho_ij sqrt(H_jj))``.

    Parameters
    ----------
    problem : ExponentialProblem
        Rows and kernel.

    Returns
    -------
    EigenvalueBound
        Not below ``lambda_min(X X.T) min_i exp(2 a_i)``.
    """
    n, d = problem.inputs.shape
    statement = "H is the entrywise product of a linear kernel and a Gaussian one, whose diagonal is one."
    condition = f"the {n} rows are linearly independent in {d} dimensions, beyond rounding"
    return lower_bound(problem, "schur_gram", _schur_gram, statement, condition)


def _schur_gram(problem: ExponentialProblem) -> float:
    return 0.0 if problem.n_rows > problem.inputs.shape[1] else _schur(problem, problem.cosines, problem.norms)


def schur_kernel(problem: ExponentialProblem) -> EigenvalueBound:
    """Gaussian kernel between the roots of the diagonal, ``lambda_min >= lambda_min(sqrt(H_ii) Gamma_ij sqrt(H_jj))``.

    Parameters
    ----------
    problem : ExponentialProblem
        Rows and kernel.

    Returns
    -------
    EigenvalueBound
        Not below ``min_i |x_i|^2`` times the smallest eigenvalue of the kernel of the features,
        ``exp(t^2 |x_i + x_j|^2 / 2)``.
    """
    statement = "H is the entrywise product of a Gaussian kernel and the cosines of the rows, whose diagonal is one."
    condition = "the Gaussian kernel is positive definite beyond rounding"
    return lower_bound(problem, "schur_kernel", _schur_kernel, statement, condition)


def _schur_kernel(problem: ExponentialProblem) -> float:
    return _schur(problem, problem.gaussian, np.exp(problem.growth))


def _schur(problem: ExponentialProblem, unit: FloatArray, roots: FloatArray) -> float:
    """Schur's bound for a factor of unit diagonal between the roots of the diagonal of H, or between others.

    Nothing beats the roots of the diagonal but for rounding, which harms others less where norms are far apart.
    """
    errors = np.full(problem.n_rows, problem.angle_error)
    diagonal = problem.kernel.diagonal()
    candidates = [
        (value - error) * float((diagonal / each**2).min())
        for each in (np.sqrt(diagonal), roots)
        for value, error in [smallest_scaled(unit, each, errors)]
    ]
    return max(candidates) * (1.0 - 4.0 * float(problem.errors.max()))


def series(problem: ExponentialProblem) -> EigenvalueBound:
    """Sum of the smallest eigenvalues of the terms of the power series, by Weyl's inequality.

    Parameters
    ----------
    problem : ExponentialProblem
        Rows and kernel.

    Returns
    -------
    EigenvalueBound
        Over the 64 terms that can hold most.
    """
    statement = "No smallest eigenvalue of a sum is below the sum of those of its terms, here of the power series."
    condition = "some term of the power series is positive definite beyond rounding"
    return lower_bound(problem, "series", _series, statement, condition)


def _series(problem: ExponentialProblem) -> float:
    n, d = problem.inputs.shape
    diagonal, total = problem.kernel.diagonal(), 0.0
    # A power k of the cosines is a Gram matrix of monomials, of which there are so many.
    powers = np.array([k for k in range(1, int(_last(problem)) + 2) if comb(d + k - 1, k) >= n])
    if powers.size == 0:
        return 0.0
    weights = np.array([_poisson(problem.growth, k - 1.0) for k in powers]) * diagonal
    least = weights.min(axis=1)
    for j in np.argsort(-least, kind="stable")[:_TERMS]:
        if least[j] <= max(_NEGLIGIBLE * total, SMALLEST):
            break
        power = int(powers[j])
        errors = np.full(n, power * problem.angle_error)
        value, error = smallest_scaled(problem.cosines**power, np.sqrt(weights[j]), errors)
        total += max(0.0, value - error)
    return total * (1.0 - _SAFETY - 4.0 * float(problem.errors.max()))


def _poisson(mean: FloatArray, count: float) -> FloatArray:
    with np.errstate(under="ignore"):
        return np.exp(xlogy(count, mean) - mean - gammaln(count + 1.0))


def _last(problem: ExponentialProblem) -> float:
    """Degree beyond which the weights of all rows are below rounding."""
    peak = float(problem.growth.max())
    return peak + 10.0 * peak**0.5 + 40.0


def gershgorin(problem: ExponentialProblem) -> EigenvalueBound:
    """Terms in which the diagonal dominates, ``lambda_min >= max_K min_i H_ii sum_(k >= K) p_k(a_i) g_ki``.

    Parameters
    ----------
    problem : ExponentialProblem
        Rows and kernel.

    Returns
    -------
    EigenvalueBound
        ``g_ki = 1 - sum_j |rho_ij|^(k + 1)`` may be negative for some of the rows, at short ones that need low degrees.
    """
    statement = "High powers of the cosines have dominant diagonals; the other terms are positive semi-definite."
    condition = "from some power of the cosines on the diagonal exceeds the sum of the other entries of its row"
    return lower_bound(problem, "gershgorin", _gershgorin, statement, condition)


def _gershgorin(problem: ExponentialProblem) -> float:
    dominance = Dominance(np.abs(problem.cosines) + problem.angle_error, problem.separations - problem.angle_error)
    shares = []
    for degree in _DEGREES[_last(problem) >= _DEGREES]:
        shares.append(dominance.at(degree))
        dominance.drop(degree)
        if shares[-1].min() >= _FULL or dominance.is_constant:
            break
    g, tails = np.array(shares), np.array([_tail(problem.growth, degree) for degree in _DEGREES[: len(shares)]])
    # Summed by parts: each block of degrees has the g of its first one, and what they gain holds for all that follow.
    gains = np.diff(g, axis=0).clip(min=0.0) * tails[1:]
    later = np.vstack([np.cumsum(gains[::-1], axis=0)[::-1], np.zeros(problem.n_rows)])
    first = g * tails
    sums = first + later - _SAFETY * (np.abs(first) + later)
    return float((problem.kernel.diagonal() * sums).min(axis=1).max()) * (1.0 - 4.0 * float(problem.errors.max()))


def _tail(mean: FloatArray, degree: float) -> FloatArray:
    """Chance that a Poisson variable is at least the degree."""
    return gammainc(degree, mean) if degree > 0.0 else np.ones_like(mean)


def coherence(problem: ExponentialProblem) -> EigenvalueBound:
    """Closed form from the largest cosine rho, ``lambda_min >= min_i H_ii P(N_i >= K) / 2``.

    Parameters
    ----------
    problem : ExponentialProblem
        Rows and kernel.

    Returns
    -------
    EigenvalueBound
        N_i is a Poisson variable of mean ``a_i`` and ``K + 1 >= log(2 (n - 1)) / log(1 / rho)``. For unit rows and t = 1 it
        is ``(e / 2) sum_(k >= K) 1 / k!``.
    """
    statement = "From the power on that halves n - 1 of the largest cosine, every diagonal is twice the rest of its row."
    return lower_bound(problem, "coherence", _coherence, statement, "no two rows are parallel or nearly so")


def _coherence(problem: ExponentialProblem) -> float:
    n, degree = problem.n_rows, 0.0
    if n > 1:
        lines = problem.separations + 2.0 * np.eye(n) - problem.angle_error
        gap = float(lines.min().clip(0.0, 2.0**0.5)) ** 2 / 2.0
        rate = -float(np.log1p(-gap)) if gap < 1.0 else inf
        degree = max(0.0, np.ceil(log(2.0 * (n - 1.0)) * (1.0 + 8.0 * EPS) / rate) - 1.0) if rate > 0.0 else inf
    if degree == inf:
        return 0.0
    chances = _tail(problem.growth, degree)
    share = 1.0 if n == 1 else 0.5
    return share * float((problem.kernel.diagonal() * chances).min()) * (1.0 - _SAFETY - 4.0 * float(problem.errors.max()))
