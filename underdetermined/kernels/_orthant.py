"""Probability of an orthant under a standard normal pair."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erf, erfcx, ndtr

from underdetermined._kernels import orthant_moments
from underdetermined._validation import as_float
from underdetermined.blocks import slices

_BLOCK = 1 << 16
_FAR = 40.0  # beyond, one tail has vanished even beside the smallest float


def scaled_tail(thresholds: np.ndarray) -> np.ndarray:
    """``exp(t**2 / 2) Q(t)`` of thresholds t >= 0."""
    return 0.5 * erfcx(np.sqrt(0.5) * thresholds)


def spread(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A flat copy of a broadcast array: writable even where a view would do, as each kind of array is compiled for."""
    return np.array(np.broadcast_to(array, shape), order="C").ravel()


def orthant_probability(h: ArrayLike, k: ArrayLike, rho: ArrayLike) -> np.ndarray:
    """Probability that both of two standard normal variables reach a threshold, ``P[U >= h, V >= k]``.

    Parameters
    ----------
    h, k : array_like
        Thresholds, any real or infinite numbers; they broadcast with each other and with `rho`.
    rho : array_like
        Correlation of U and V, in [-1, 1].

    Returns
    -------
    ndarray of the common shape, float64
        The probabilities.

    Raises
    ------
    TypeError
        If an argument is not made of real numbers.
    ValueError
        If an argument has a NaN, a correlation is out of range, or the shapes do not broadcast.

    Notes
    -----
    The error is below 1e-13 (1 + E) of the probability itself, however small, and usually some roundings: 2 E is the
    squared distance of the orthant from the origin, in coordinates in which U and V have become independent, and exp(-E)
    has such an error by rounding of E alone. A correlation near 1 or -1 knows less of the angle than the rows that it was
    computed from; `bias_ntk` takes angles from the rows.

    Thresholds whose sum is negative are reflected. The cost is 0.1 to 0.4 microseconds each, and up to some microseconds
    where thresholds of unlike sign need a quadrature because the difference of two parts would lose digits.

    Compiling takes some seconds at the first call on a machine.

    References
    ----------
    :ref:`theory-orthant`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.kernels import orthant_probability
    >>> orthant_probability(0.0, 0.0, np.array([-1.0, 0.0, 0.5, 1.0])).round(6)
    array([0.      , 0.25    , 0.333333, 0.5     ])
    >>> print(f"{orthant_probability(6.0, 6.0, -0.5):.6e}")
    6.713246e-35
    """
    arrays = [as_float(each, name).astype(np.float64) for each, name in ((h, "h"), (k, "k"), (rho, "rho"))]
    for array, name in zip(arrays, ("h", "k", "rho"), strict=True):
        if np.isnan(array).any():
            raise ValueError(f"{name} has {np.isnan(array).sum()} NaN entries: remove or impute them")
    outside = np.abs(arrays[2]) > 1.0
    if outside.any():
        raise ValueError(f"rho={float(arrays[2][outside].flat[0])!r} is not a correlation: pass numbers in [-1, 1]")
    try:
        shape = np.broadcast_shapes(*(array.shape for array in arrays))
    except ValueError:
        shapes = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(f"h, k and rho have the shapes {shapes}: pass shapes that broadcast") from None
    flat = [spread(array, shape) for array in arrays]
    result = np.empty(flat[0].size)
    for part in slices(result.size, _BLOCK):
        result[part] = _probabilities(*(array[part] for array in flat))
    return result.reshape(shape)[()]


def _probabilities(h: np.ndarray, k: np.ndarray, rho: np.ndarray) -> np.ndarray:
    low, high = np.clip(np.minimum(h, k), -_FAR, _FAR), np.clip(np.maximum(h, k), -_FAR, _FAR)
    # The probability at rho = -1 and what grows from there, which is that of the opposite thresholds.
    base = np.where(high < 0.0, 0.5 * (erf(-np.sqrt(0.5) * low) + erf(-np.sqrt(0.5) * high)), ndtr(-high) - ndtr(low))
    is_likely = low + high < 0.0
    low, high = np.where(is_likely, -high, low), np.where(is_likely, -low, high)
    sine = np.sqrt((1.0 - rho) * (1.0 + rho))
    grown = np.empty_like(rho)
    orthant_moments(high, low, scaled_tail(np.abs(high)), scaled_tail(np.abs(low)), rho, sine, False, grown)
    grown *= np.exp(-0.25 * (low * low + high * high))
    return np.minimum(np.where(is_likely, base, 0.0) + grown, 1.0)
