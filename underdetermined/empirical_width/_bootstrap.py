"""Percentile bootstrap over the seeds of an experiment."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._validation import as_float, check_count
from underdetermined.empirical_width._growth_result import Exponent

_RESAMPLES = 4000
_LEVELS = (0.025, 0.975)


def bootstrap_mean(values: NDArray[np.float64]) -> tuple[float, float]:
    """95 % percentile bootstrap of a mean.

    Parameters
    ----------
    values : ndarray of shape (s,)
        One value for each seed.

    Returns
    -------
    low, high : float
        nan with one seed, or where a value is not finite.
    """
    if values.size < 2 or not np.isfinite(values).all():
        return np.nan, np.nan
    drawn = np.random.default_rng(0).integers(values.size, size=(_RESAMPLES, values.size))
    low, high = np.quantile(values[drawn].mean(axis=1), _LEVELS)
    return float(low), float(high)


def bootstrap_exponent(sizes: ArrayLike, widths: ArrayLike, *, n_resamples: int = _RESAMPLES, seed: int = 0) -> Exponent:
    """Fit the power law width = c n**p to the widths of several seeds, with a bootstrap interval of p.

    The fit is least squares of log width on log n over all seeds. The interval has the 2.5 and 97.5 % percentiles of the
    fits to seeds that are drawn again, with replacement, within each n.

    Parameters
    ----------
    sizes : array_like of shape (k,)
        n, positive.
    widths : array_like of shape (k, s)
        Widths of s seeds for each n, positive; a size with a width that is nan is left out.
    n_resamples : int, default=4000
        Fits to drawn seeds.
    seed : int, default=0
        Seed of the draws.

    Returns
    -------
    Exponent
        Without an interval for one seed, without a value for fewer than two sizes.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range or the shapes do not fit.

    Notes
    -----
    The interval is for the scatter between seeds alone: it does not know of curvature, a slope that changes with n, which
    other sizes show. With few seeds a percentile bootstrap is too narrow, by a tenth or so with six.

    References
    ----------
    :ref:`theory-trainable-width`.

    Examples
    --------
    >>> from underdetermined.empirical_width import bootstrap_exponent
    >>> found = bootstrap_exponent([10, 20, 40], [[100, 100], [400, 400], [1600, 1600]])
    >>> round(found.value, 9), round(found.low, 9), round(found.high, 9), found.n_points
    (2.0, 2.0, 2.0, 3)
    """
    n, m = (np.asarray(as_float(values, name), dtype=np.float64) for values, name in ((sizes, "sizes"), (widths, "widths")))
    if n.ndim != 1 or m.ndim != 2 or len(m) != n.size or m.shape[1] == 0:
        raise ValueError(f"widths has shape {m.shape} and sizes {n.shape}: pass (k, s) with s >= 1 seeds, and (k,)")
    if n.min(initial=np.inf) <= 0.0 or np.nanmin(m, initial=np.inf) <= 0.0:
        raise ValueError("sizes and widths have a logarithm only if they are positive: pass positive ones")
    draws, first = check_count(n_resamples, "n_resamples"), check_count(seed, "seed", low=0)
    known = np.isfinite(m).all(axis=1)
    x, y = np.log(n[known]), np.log(m[known])
    x = x - x.mean() if x.size else x
    if x.size < 2 or not x.any():
        return Exponent(np.nan, np.nan, np.nan, x.size)
    slope = x / (x @ x)
    value = float(slope @ y.mean(axis=1))
    if y.shape[1] < 2:
        return Exponent(value, np.nan, np.nan, x.size)
    rng, fits = np.random.default_rng(first), np.zeros(draws)
    for weight, row in zip(slope, y, strict=True):
        fits += weight * row[rng.integers(row.size, size=(draws, row.size))].mean(axis=1)
    low, high = np.quantile(fits, _LEVELS)
    return Exponent(value, float(low), float(high), x.size)
