"""How far kernels of finitely many positive features are from their limit."""

import numpy as np
from numpy.typing import ArrayLike

from underdetermined._validation import as_float, check_count, check_finite

_LARGEST_SQUARE = 709.0  # the variance itself overflows soon after
# Whether a sampler draws groups of orthogonal weights, and how many weights share a direction.
_SAMPLERS = {
    "gaussian": (False, 1),
    "antithetic": (False, 2),
    "orthogonal": (True, 1),
    "orthogonal_antithetic": (True, 2),
}


def positive_feature_variance(squared_norm: ArrayLike, n_inputs: int, sampler: str = "gaussian") -> float | np.ndarray:
    """Relative variance of a kernel entry of positive features, for one feature: over m it is that of m features.

    For weights of standard deviation t and rows x and z it depends on the sampler and ``s = t^2 |x + z|^2`` alone. It is
    the same for the features exp(<w, x>) themselves, for those of the softmax kernel and for those of the Gaussian kernel::

        gaussian                 exp(s) - 1
        antithetic               4 sinh(s / 2)^2
        orthogonal               exp(s) - 1 - (d - 1) c,    c = 1 - exp(-s) 1F1(d; d / 2; s / 2) >= 0
        orthogonal_antithetic    4 sinh(s / 2)^2 - 2 (d - 1) c

    Parameters
    ----------
    squared_norm : array_like of any shape
        s >= 0; 4 t^2 |x|^2 for a diagonal entry.
    n_inputs : int
        Number of inputs d, at least 1; it matters for orthogonal weights alone.
    sampler : {"gaussian", "antithetic", "orthogonal", "orthogonal_antithetic"}, default="gaussian"
        Distribution of the weights, as in `underdetermined.weights`.

    Returns
    -------
    float or ndarray of the shape of squared_norm
        m times the variance of an entry over the square of its mean; inf for s above 709.

    Raises
    ------
    TypeError, ValueError
        If an entry is negative or not finite, `n_inputs` is no positive integer, or the sampler is none of these.

    Notes
    -----
    Exact for whole groups: m a multiple of 2 for antithetic weights, of d for orthogonal ones, and of 2 d for both.
    It is computed as a series of positive terms, 2 s + 17 sqrt(s) + 60 of them. The relative error is a few times the
    machine epsilon, and n_inputs times that at worst, for short rows with "orthogonal_antithetic".

    The variance is that of a lognormal variable: an empirical one cannot be trusted where s is above log(m) / 2.

    References
    ----------
    :ref:`theory-positive-features`.

    Examples
    --------
    >>> from underdetermined.kernels import positive_feature_variance
    >>> round(positive_feature_variance(1.0, 64), 3)
    1.718
    >>> positive_feature_variance([0.25, 1.0], 64, "orthogonal_antithetic").round(3)
    array([0.004, 0.162])
    """
    squares = np.asarray(as_float(squared_norm, "squared_norm"), dtype=np.float64)
    check_finite(squares, "squared_norm")
    if squares.min(initial=0.0) < 0.0:
        raise ValueError(f"squared_norm has the negative entry {squares.min()}: pass weight_scale**2 * |x + z|**2")
    d = check_count(n_inputs, "n_inputs")
    if sampler not in _SAMPLERS:
        known = ", ".join(map(repr, _SAMPLERS))
        raise ValueError(f"sampler={sampler!r} has no known variance; choose one of {known}.")
    is_orthogonal, copies = _SAMPLERS[sampler]
    variance = _series(np.minimum(squares, _LARGEST_SQUARE), d if is_orthogonal else 1, copies)
    variance = np.where(squares > _LARGEST_SQUARE, np.inf, variance)
    return variance if variance.ndim else float(variance)


def _series(s: np.ndarray, d: int, copies: int) -> np.ndarray:
    """Sum exp(-s) s^k / k! (2^k - copies (1 + (d - 1) q_k)) over k >= 1, where no term is negative.

    1F1(d; d / 2; s / 2) has the terms s^k / k! p_k with p_k = 1 - q_k the product of (d + j) / (d + 2 j) over j < k.
    """
    largest = float(s.max(initial=0.0))
    doubled = np.exp(-s)  # exp(-s) (2 s)^k / k!
    plain = doubled.copy()  # exp(-s) s^k / k!
    total, p, q = np.zeros_like(s), 1.0, 0.0
    for k in range(1, int(2 * largest + 17 * largest**0.5) + 60):
        doubled = doubled * (2 * s / k)
        plain = plain * (s / k)
        total += doubled - copies * (1 + (d - 1) * q) * plain
        p, q = p * (d + k) / (d + 2 * k), q + p * k / (d + 2 * k)
    return total
