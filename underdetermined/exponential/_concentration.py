"""How far the Gram matrix of a drawn network of exponentials is from its expectation, by exact formulas."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist
from scipy.special import log_ndtr, logsumexp, ndtri

from underdetermined._linalg import column_norms, rank_cutoff
from underdetermined._validation import check_count, check_finite, check_matrix, check_memory, check_number
from underdetermined.exponential._concentration_result import ConcentrationReport

FloatArray = NDArray[np.float64]

_WIDEST = 2**53


def concentration_report(
    X: ArrayLike, width: int, *, weight_scale: float = 1.0, symmetric: bool = True, failure_probability: float = 0.1
) -> ConcentrationReport:
    """Report how well the tangent Gram matrix of a drawn network of exponentials stands for its expectation.

    With weights w_r ~ N(0, t^2 I), scale 1 / sqrt(m) and coefficients +-1 the Gram matrix at the start is
    H_ij = <x_i, x_j> mean_r exp(<w_r, x_i + x_j>), an average of log-normal variables. So each entry has the relative
    standard error sqrt((exp(t^2 |x_i + x_j|^2) - 1) / m), which only small norms keep small.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Rows.
    width : int
        Number of neurons m; even if `symmetric`.
    weight_scale : float, default=1.0
        Standard deviation t of the weights, positive.
    symmetric : bool, default=True
        Whether each neuron is there twice, with opposite signs; then only m / 2 draws are independent.
    failure_probability : float, default=0.1
        How often each statement with a probability may fail.

    Returns
    -------
    ConcentrationReport

    Raises
    ------
    TypeError, ValueError
        If an argument is not finite or out of range, such as a width beyond 2**53.
    MemoryError
        If matrices of n rows and columns do not fit in memory.

    See Also
    --------
    underdetermined.bounds.exponential_gram_width : Width that keeps half of the smallest eigenvalue.

    Notes
    -----
    Nothing is drawn: every error is the exact one, and no magnitude overflows. The median of an entry is an
    approximation: with M the median of the largest of m standard normal draws, the largest one contributes
    exp(sigma M) / m, and the others the mean that they have below M. Eigenvalues need
    a decomposition of order n, the rest n**2 exponentials.

    References
    ----------
    :ref:`theory-exponential`, on heavy tails.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.exponential import concentration_report
    >>> concentration_report(np.eye(3), 4096)
    <ConcentrationReport: 3 rows, width 4096, relative error at most 0.162, condition 1>
    """
    inputs = np.asarray(check_matrix(X, "X"), dtype=np.float64)
    n, d = inputs.shape
    width, weight_scale = check_count(width, "width"), check_number(weight_scale, "weight_scale", low_open=True)
    if width > _WIDEST:
        raise ValueError(f"width={width} is beyond {_WIDEST}, where counts have no exact floats: pass a smaller one")
    if not isinstance(symmetric, bool | np.bool_):
        raise TypeError(f"symmetric={symmetric!r} is not a truth value: pass True or False")
    if symmetric and width % 2:
        raise ValueError(f"width={width} is odd: a symmetric start takes an even number; pass one, or symmetric=False")
    delta = check_number(failure_probability, "failure_probability", low_open=True, high=1.0)
    draws = width // 2 if symmetric else width
    check_memory(48 * n**2, f"the {n} x {n} matrices of entries and their errors")
    with np.errstate(over="ignore", invalid="ignore"):
        linear, scaled = inputs @ inputs.T, weight_scale * inputs
        log_variance = cdist(scaled, -scaled, "sqeuclidean")
    check_finite(linear, "the matrix of inner products of the rows of X")
    check_finite(log_variance, "the squared norms of weight_scale * (x_i + x_j)")
    largest = float(log_variance.max())
    values = _eigenvalues(linear, log_variance, largest)
    errors = _log_relative_errors(linear, log_variance, draws)
    norms = column_norms(inputs.T)
    return ConcentrationReport(
        n_rows=n,
        n_inputs=d,
        width=width,
        weight_scale=weight_scale,
        symmetric=bool(symmetric),
        failure_probability=delta,
        row_norms=np.quantile(norms, [0.0, 0.5, 1.0]),
        zero_rows=int((norms == 0.0).sum()),
        repeated_rows=int((norms > 0.0).sum()) - len(np.unique(inputs[norms > 0.0], axis=0)),
        log_relative_errors=errors,
        largest_log_variance=largest,
        log_median_ratio=_log_median_ratio(largest, draws),
        log_error_norm=_log_error_norm(linear, log_variance, draws),
        log_norm=float(np.log(np.linalg.norm(values)) + 0.5 * largest) if values.any() else -np.inf,
        smallest_eigenvalue=_times_exp(float(values[0]), 0.5 * largest),
        largest_eigenvalue=_times_exp(float(values[-1]), 0.5 * largest),
        condition=float(values[-1] / values[0]) if values[0] > 0.0 else np.inf,
        largest_exponent=max(0.0, -float(ndtri(delta / (n * draws)))) * 0.5 * float(np.sqrt(largest)),
    )


def _eigenvalues(linear: FloatArray, log_variance: FloatArray, largest: float) -> FloatArray:
    """Eigenvalues of the expectation divided by its largest exponential, 0 where they are lost in rounding."""
    values = np.linalg.eigvalsh(linear * np.exp(0.5 * (log_variance - largest)))
    return np.where(values > rank_cutoff(linear.shape) * values[-1], values, 0.0)


def _times_exp(number: float, exponent: float) -> float:
    with np.errstate(over="ignore"):
        return number and float(np.exp(np.log(number) + exponent))


def _log_excess(log_variance: FloatArray) -> FloatArray:
    """log(exp(s) - 1), which does not overflow."""
    with np.errstate(divide="ignore"):
        excess: FloatArray = log_variance + np.log(-np.expm1(-log_variance))
    return excess


def _log_relative_errors(linear: FloatArray, log_variance: FloatArray, draws: int) -> FloatArray:
    """Logarithms of the least, the median and the largest relative standard error of the entries that are not 0."""
    entries = np.tril(linear) != 0.0
    if not entries.any():
        return np.full(3, -np.inf)
    least, middle, most = np.quantile(log_variance[entries], [0.0, 0.5, 1.0], method="nearest")
    return 0.5 * (_log_excess(np.array([least, middle, most])) - np.log(draws))


def _log_error_norm(linear: FloatArray, log_variance: FloatArray, draws: int) -> float:
    """Logarithm of the root mean square of the Frobenius norm of H minus its expectation."""
    terms = log_variance + _log_excess(log_variance)
    if not (linear.any() and np.isfinite(terms).any()):
        return -np.inf
    # Squares of the inner products as weights, relative to the largest one: they neither overflow nor vanish together.
    size = float(np.abs(linear).max())
    return 0.5 * (float(logsumexp(terms, b=(linear / size) ** 2)) - float(np.log(draws))) + float(np.log(size))


def _log_median_ratio(log_variance: float, draws: int) -> float:
    """Logarithm of the typical ratio of an average of exp(sigma g) to its expectation."""
    sigma = float(np.sqrt(log_variance))
    # Median of the largest draw: Phi(top)**draws = 1/2.
    top = -float(ndtri(-np.expm1(-np.log(2.0) / draws)))
    with np.errstate(divide="ignore"):
        rest = np.log1p(-1.0 / draws) + log_ndtr(top - sigma) - log_ndtr(top)
    return float(np.logaddexp(sigma * top - np.log(draws) - 0.5 * log_variance, rest))
