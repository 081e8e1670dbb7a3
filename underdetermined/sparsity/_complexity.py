"""The complexity of a fit by the kernel of infinite width: what labels cost, beyond how many there are."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr

from underdetermined._linalg import column_norms, mirror_lower
from underdetermined._validation import check_matrix, check_memory, check_number, check_targets
from underdetermined.kernels import bias_ntk

FloatArray = NDArray[np.float64]

CONDITION_LIMIT = 1e13


def complexity_measure(X: ArrayLike, y: ArrayLike, *, bias: float, bias_scale: float = 1.0) -> Any:
    """Twice the Rademacher complexity of the smallest linearised class that fits the labels.

    ``G_B = 2 sqrt(tr(H) y' H^-1 y) / n`` with H the tangent kernel of infinite width with bias -B, `bias_ntk`; for rows of
    norm one and ``bias_scale=1`` this is ``sqrt(8 Q(B) y' H^-1 y / n)``.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Rows, no two of them equal.
    y : array_like of shape (n,) or (n, k)
        Labels.
    bias : float
        Threshold B >= 0: biases start at -B.
    bias_scale : float, default=1.0
        Biases learn at the square of this times the rate of the weights; 0 keeps them.

    Returns
    -------
    float or ndarray of shape (k,)
        One number for each column of labels; inf, with a warning, where the condition number exceeds 1e13 or the kernel is
        not numerically positive definite.

    Raises
    ------
    TypeError, ValueError
        If an argument is not finite or the shapes do not fit.
    MemoryError
        If the kernel matrix does not fit in memory.

    Warns
    -----
    RuntimeWarning
        If the kernel cannot be inverted reliably.

    Notes
    -----
    The functions x -> <grad f(x), Delta> with |Delta| <= rho have empirical Rademacher complexity at most
    rho sqrt(tr H) / n, and the smallest rho that fits the labels is sqrt(y' H^-1 y). Both factors are evaluated relative to
    the activity, so that nothing underflows for large B. For rows of norm one and B to infinity, G_B tends to
    2 sqrt(mean(y**2)); it says something where it is small beside that. The relative error is about the condition number
    times 1e-16. Cost: n**2 kernel entries and an eigenvalue decomposition of order n.

    References
    ----------
    :ref:`theory-complexity`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.sparsity import complexity_measure
    >>> round(complexity_measure(np.eye(2), [1.0, 1.0], bias=30.0), 6)
    2.0
    """
    inputs = np.asarray(check_matrix(X, "X"), dtype=np.float64)
    n = len(inputs)
    targets = check_targets(y, n, "y")
    bias, bias_scale = check_number(bias, "bias"), check_number(bias_scale, "bias_scale")
    check_memory(24 * n**2, f"the {n} x {n} kernel matrix")
    log_activity = log_row_activity(inputs, bias)
    result = _measure(inputs, targets, bias, bias_scale, log_activity)
    return float(result[0]) if np.ndim(y) == 1 else result


def log_row_activity(X: FloatArray, bias: float) -> FloatArray:
    """Logarithm of the probability that a Gaussian neuron is active, for each row; -inf for a row of zeros.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Rows.
    bias : float
        Threshold B.

    Returns
    -------
    ndarray of shape (n,)
    """
    norms = column_norms(X.T)
    with np.errstate(divide="ignore", over="ignore"):
        return np.where(norms > 0.0, log_ndtr(-bias / np.where(norms > 0.0, norms, 1.0)), -np.inf)


def _measure(
    X: FloatArray, targets: FloatArray, bias: float, bias_scale: float, log_activity: FloatArray
) -> FloatArray:
    infinite = np.full(targets.shape[1], np.inf)
    top = float(log_activity.max())
    if not np.isfinite(log_activity).all():
        idle = np.flatnonzero(~np.isfinite(log_activity))
        _warn(f"{idle.size} rows are never active, the first is row {idle[0]}: drop rows of zeros or lower the bias")
        return infinite
    kernel = bias_ntk(X, bias=bias, bias_scale=bias_scale, scaled=True)
    # The trace and the labels, both relative to the most active row.
    trace = float(np.diag(kernel) @ np.exp(log_activity - top))
    scale = np.sqrt(np.diag(kernel))
    if not scale.all():
        _warn("a row is zero and biases are not trained: drop it or take bias_scale > 0")
        return infinite
    values, vectors = np.linalg.eigh(mirror_lower(kernel / np.outer(scale, scale)))
    if not values[0] * CONDITION_LIMIT > values[-1]:
        _warn(
            f"the kernel has a condition number beyond {CONDITION_LIMIT:.0e}: merge rows that are equal or nearly so, or "
            "train the biases"
        )
        return infinite
    with np.errstate(over="ignore", invalid="ignore"):
        labels = targets * (np.exp(0.5 * (top - log_activity)) / scale)[:, np.newaxis]
        labels[targets == 0.0] = 0.0
        parts = vectors.T @ labels / np.sqrt(values)[:, np.newaxis]
        result = 2.0 * np.sqrt(trace) * column_norms(parts) / len(X)
    if not np.isfinite(result).all():
        _warn("rows of very different norm, some of which are next to never active: lower the bias or normalise the rows")
        return np.where(np.isfinite(result), result, np.inf)
    return result


def _warn(reason: str) -> None:
    warnings.warn(f"The complexity measure is infinite: {reason}.", RuntimeWarning, stacklevel=4)
