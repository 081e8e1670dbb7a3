"""Bounds on the smallest eigenvalue of the tangent kernel of exponentials, beside its exact value."""

from __future__ import annotations

from numpy.typing import ArrayLike

from underdetermined.bounds._eigenvalue_products import eigenvalue_trace, eigenvalue_upper
from underdetermined.bounds._eigenvalues import EigenvalueBounds
from underdetermined.bounds._exponential_lower import coherence, gershgorin, schur_gram, schur_kernel, series
from underdetermined.bounds._exponential_problem import ExponentialProblem

_LOWER = (schur_gram, schur_kernel, series, gershgorin, coherence)
_UPPER = (eigenvalue_upper, eigenvalue_trace)


def exponential_eigenvalue_bounds(X: ArrayLike, *, weight_scale: float = 1.0) -> EigenvalueBounds:
    """Bound the smallest eigenvalue of the tangent kernel of exponentials, and compute it.

    The kernel is ``H_ij = <x_i, x_j> exp(t^2 |x_i + x_j|^2 / 2)``, t = `weight_scale`; `exponential_ntk` returns it. It is
    positive definite exactly where no row is zero and no two rows are equal: parallel rows do no harm.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Rows; integers and float32 are taken at face value, as float64.
    weight_scale : float, default=1.0
        Standard deviation t of the hidden weights at the start, positive.

    Returns
    -------
    EigenvalueBounds
        The exact value with its rounding errors, lower bounds "schur_gram", "schur_kernel", "series", "gershgorin" and
        "coherence", and upper bounds "upper" and "trace".

    Raises
    ------
    TypeError
        If X is sparse, or an argument is not a number where one is needed.
    ValueError
        If X is not a finite, non-empty matrix, or `weight_scale` is out of range.
    OverflowError
        If the kernel has entries beyond 1e280; the message has the row, its norm and a factor for the rows.
    MemoryError
        If twenty n x n matrices do not fit; the message has the number of bytes.

    Notes
    -----
    A lower bound stays below the eigenvalue of the rows as given, also where that is lost in rounding; rows that are equal
    or zero make all of them 0, and the table says which rows.

    With ``a_i = t^2 |x_i|^2``, ``rho_ij`` the cosines of the rows and ``p_k(a) = exp(-a) a^k / k!``,

    * "schur_gram" is ``lambda_min(sqrt(H_ii) rho_ij sqrt(H_jj))``, not below ``lambda_min(X X.T) min_i exp(2 a_i)``;
    * "schur_kernel" is the same with ``exp(-t^2 |x_i - x_j|^2 / 2)`` for the cosines, not below
      ``min_i |x_i|^2 lambda_min(exp(t^2 |x_i + x_j|^2 / 2))``;
    * "series" is ``sum_k lambda_min(D_k rho^(k + 1) D_k)``, powers by entry, with ``D_k^2 = diag(H_ii p_k(a_i))``;
    * "gershgorin" is ``max_K min_i H_ii sum_(k >= K) p_k(a_i) (1 - sum_j |rho_ij|^(k + 1))``;
    * "coherence" is the closed form ``min_i H_ii P(N_i >= K) / 2`` with N_i a Poisson variable of mean a_i, K the least
      degree with ``2 (n - 1) max |rho_ij|^(K + 1) <= 1``.

    The exact value takes two eigenvalue problems of order n, each Schur bound four, "series" up to 128, and "gershgorin"
    at most 100 passes over the matrix.

    References
    ----------
    :ref:`theory-exponential-gram`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.bounds import exponential_eigenvalue_bounds
    >>> found = exponential_eigenvalue_bounds(np.array([[0.5, 0.0], [0.25, 0.5], [-0.5, 0.25]]))
    >>> f"{found.exact:.6f}", found.best.name, found.best.value <= found.exact <= found.bound("upper").value
    ('0.167689', 'schur_kernel', True)
    """
    problem = ExponentialProblem.from_data(X, weight_scale=weight_scale)
    bounds = (*(result(problem) for result in _LOWER), *(result(problem) for result in _UPPER))
    return EigenvalueBounds(problem, *problem.smallest, bounds)
