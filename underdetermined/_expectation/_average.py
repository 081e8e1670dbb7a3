"""E f(m + w q), q ~ N(0, 1), by quadrature: f smoothed on the scale w.

Where f is a polynomial on all that the average sees, a Gauss-Hermite rule of a few nodes is exact; elsewhere the integral
is cut at the edges of the pieces of f.
"""

import numpy as np
from scipy.special import roots_hermitenorm

from ._pieces import Function, Pieces, edges_between, gauss_legendre

POINTS, WEIGHTS, _ = gauss_legendre(26)  # f is of degree 20 on its pieces, and two factors meet
_GAUSS_POINTS, _GAUSS_WEIGHTS = roots_hermitenorm(14)
_GAUSS_WEIGHTS /= np.sqrt(2 * np.pi)

END = 8.75  # the Gaussian beyond is below 1e-17 of the whole
GRID = np.linspace(-END, END, 6)
_BATCH = 2**17  # points of an inner integral that are handled at once: a few arrays of them fit the cache


def density(points: np.ndarray) -> np.ndarray:
    """Of the standard Gaussian."""
    return np.exp(-0.5 * points * points) * (2 * np.pi) ** -0.5


def is_plain(pieces: Pieces, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Whether f is a polynomial up to rounding on all that the averages see."""
    low, high = mean - END * spread, mean + END * spread
    first, count = edges_between(pieces.edges, low, high)
    widths = np.diff(pieces.edges, prepend=-np.inf, append=np.inf)
    narrowest = np.minimum(widths[first], widths[np.minimum(first + count, widths.size - 1)])
    _, bent = edges_between(pieces.kinks, low, high)
    return (count == 0) | ((count == 1) & (bent == 0) & (high - low <= narrowest))


def plain_average(function: Function, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """The average of a polynomial."""
    result = np.empty(mean.size)
    for chosen in _chunks(np.arange(mean.size), _GAUSS_POINTS.size):
        result[chosen] = function(mean[chosen, None] + spread[chosen, None] * _GAUSS_POINTS) @ _GAUSS_WEIGHTS
    return result


def average(pieces: Pieces, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """The average, whatever f."""
    plain = is_plain(pieces, mean, spread)
    result = np.empty(mean.size)
    result[plain] = plain_average(pieces.function, mean[plain], spread[plain])
    rest = np.flatnonzero(~plain)
    first, count = edges_between(pieces.edges, (mean - END * spread)[rest], (mean + END * spread)[rest])
    for inside in np.unique(count):
        here = np.flatnonzero(count == inside)
        for part in _chunks(here, (inside + GRID.size) * POINTS.size):
            chosen = rest[part]
            own = pieces.edges[first[part, None] + np.arange(inside)]
            # A spread of 0 leaves no edge strictly between; one that is merely tiny may round to the ends.
            own = np.clip((own - mean[chosen, None]) / spread[chosen, None], -END, END)
            cuts = np.sort(np.concatenate([own, np.broadcast_to(GRID, (chosen.size, GRID.size))], axis=1), axis=1)
            half = 0.5 * np.diff(cuts)[:, :, None]
            points = cuts[:, :-1, None] + half * (1.0 + POINTS)
            values = pieces.function(mean[chosen, None, None] + spread[chosen, None, None] * points)
            values *= density(points)
            result[chosen] = np.einsum("epk,k,ep->e", values, WEIGHTS, half[:, :, 0], optimize=False)
    return result


def _chunks(indices: np.ndarray, points_each: int) -> list[np.ndarray]:
    size = max(1, _BATCH // int(points_each))
    return [indices[start : start + size] for start in range(0, indices.size, size)]
