"""Values of an exponential network as signs and logarithms, which do not overflow."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._validation import as_float, check_finite, check_targets
from underdetermined.blocks import run_tiles, slices
from underdetermined.exponential._exponents import TILE, check_rows, exponents
from underdetermined.features import FeatureMap

FloatArray = NDArray[np.float64]


def log_predict(
    feature_map: FeatureMap, coef: ArrayLike, X: Any, *, intercept: ArrayLike = 0.0
) -> tuple[FloatArray, FloatArray]:
    """Sign and logarithm of f(x) = intercept + sum_r v_r exp(<w_r, x>) with v_r = scale_r coef_r.

    With u_ra = <w_r, x> + ln|v_ra| and c_a its maximum over the neurons, P_a = sum_r sign(v_ra) exp(u_ra - c_a) has terms of
    at most 1, and sign f_a = sign P_a, ln|f_a| = c_a + ln|P_a|. The intercept is one more term.

    Parameters
    ----------
    feature_map : FeatureMap
        The hidden layer, with activation "exp".
    coef : array_like of shape (m,) or (m, k)
        The last layer.
    X : array_like of shape (n, d)
        Rows.
    intercept : array_like of shape (k,) or a number, default=0.0
        Added to every value.

    Returns
    -------
    sign : ndarray of shape (n, k)
        -1, 0 or 1.
    log_magnitude : ndarray of shape (n, k)
        ln|f(x)|, -inf where f(x) is 0.

    Raises
    ------
    OverflowError
        If an exponent <w_r, x> itself overflows float64.
    TypeError, ValueError
        If an argument is not finite, shapes do not fit, or the activation is not "exp".

    See Also
    --------
    check_exponents : Whether the values would overflow.

    Notes
    -----
    The logarithm is off by about eps sum_r exp(u_r - c) |u_r| / |P|, so by more where terms cancel. Where the second half of
    the neurons repeats the first one with opposite coefficients, as at a symmetric start, f is 0 exactly: the halves are
    subtracted before anything is summed. Cost 2 n m d flops and n m k exponentials; memory O(n (d + k) + d m).

    References
    ----------
    :ref:`theory-exponential`.

    Examples
    --------
    >>> from underdetermined import FeatureMap
    >>> from underdetermined.exponential import log_predict
    >>> hidden = FeatureMap([[1.0, 1.0]], [0.0, -1.0], activation="exp", scale=1.0)
    >>> sign, log_magnitude = log_predict(hidden, [1.0, -2.0], [[1000.0]])
    >>> sign.item(), round(log_magnitude.item(), 4)
    (1.0, 998.6691)
    """
    inputs = check_rows(feature_map, X)
    last = check_targets(coef, feature_map.width, "coef")
    offset = as_float(intercept, "intercept").astype(np.float64)
    check_finite(offset, "intercept")
    if offset.shape not in ((), last.shape[1:]):
        raise ValueError(f"intercept has shape {offset.shape}: pass a number, or shape {last.shape[1:]}")
    factors = np.broadcast_to(np.reshape(feature_map.scale, (-1, 1)), (feature_map.width, 1)).astype(np.float64)
    signs = np.sign(factors) * np.sign(last)
    with np.errstate(divide="ignore"):
        logs = np.log(np.abs(factors)) + np.log(np.abs(last))
    half = feature_map.width // 2
    is_paired = 2 * half == feature_map.width and np.array_equal(signs[:half], -signs[half:])
    is_paired = is_paired and np.array_equal(logs[:half], logs[half:])
    starts = (0, half) if is_paired else (0,)
    # Not -inf, whose difference with itself is no number.
    peak = np.full((len(inputs), last.shape[1]), -np.finfo(np.float64).max)
    total = np.zeros_like(peak)

    def task(rows: slice) -> None:
        for part in slices(half if is_paired else feature_map.width, TILE[1]):
            parts = [slice(part.start + start, part.stop + start) for start in starts]
            tiles = [_finite(exponents(feature_map, inputs[rows], neurons)) for neurons in parts]
            for a in range(last.shape[1]):
                shifted = [tile + logs[part, a] for tile in tiles]
                highest = np.maximum.reduce([peak[rows, a], *(tile.max(axis=1) for tile in shifted)])
                with np.errstate(over="ignore"):
                    terms = np.exp(shifted[0] - highest[:, np.newaxis])
                    for tile in shifted[1:]:
                        terms -= np.exp(tile - highest[:, np.newaxis])
                    total[rows, a] *= np.exp(peak[rows, a] - highest)
                total[rows, a] += terms @ signs[part, a]
                peak[rows, a] = highest

    run_tiles(task, slices(len(inputs), TILE[0]), n_jobs=feature_map.n_jobs)
    with np.errstate(divide="ignore"):
        return _add(np.sign(total), peak + np.log(np.abs(total)), np.sign(offset), np.log(np.abs(offset)))


def _finite(tile: FloatArray) -> FloatArray:
    if not np.isfinite(tile).all():
        raise OverflowError(
            "an exponent <w, x> overflows float64, so that even the logarithm of a value does: rescale the rows of X"
        )
    return tile


def _add(sign: Any, log: Any, other_sign: Any, other_log: Any) -> tuple[FloatArray, FloatArray]:
    """Sum of two arrays of numbers that are given by signs and logarithms."""
    peak = np.maximum(np.maximum(log, other_log), -np.finfo(np.float64).max)
    with np.errstate(divide="ignore", over="ignore"):
        total = sign * np.exp(log - peak) + other_sign * np.exp(other_log - peak)
        return np.sign(total), peak + np.log(np.abs(total))
