"""E[f(n g) f(n' g')] of nearly parallel pairs, by conditioning on g: one integral over g of f(n g) phi(g) F(g).

With r the correlation and s = sqrt(1 - r**2), F(g) = E_q f(n' (r g + s q)) is f smoothed on the scale w = n' s. Where f is
a polynomial on all that F(g) sees, a Gauss-Hermite rule of a few nodes is exact; elsewhere the inner integral is cut at the
edges of the pieces of f. The outer integral is cut at the edges of f(n g) and, on the scale of s, around the kinks and
the ends of the fine pieces, which F blurs.
Nothing degenerates as s tends to 0, where F becomes f(n' r g).
"""

from collections.abc import Callable

import numpy as np
from scipy.special import roots_hermitenorm

from ._pieces import Pieces, edges_between, gauss_legendre

_POINTS, _WEIGHTS, _ = gauss_legendre(26)  # f is of degree 20 on its pieces, and two factors meet
_GAUSS_POINTS, _GAUSS_WEIGHTS = roots_hermitenorm(14)
_GAUSS_WEIGHTS /= np.sqrt(2 * np.pi)
Smoothed = Callable[[np.ndarray, np.ndarray], np.ndarray]

_END = 8.75  # the Gaussian beyond is below 1e-17 of the whole
_GRID = np.linspace(-_END, _END, 6)
_STEP = 1.75
_BATCH = 2**17  # points of an inner integral that are handled at once: a few arrays of them fit the cache


def _density(points: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * points * points) * (2 * np.pi) ** -0.5


def _smoothed(pieces: Pieces, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """E_q f(mean + spread q) for q ~ N(0, 1)."""
    edges = pieces.edges
    low, high = mean - _END * spread, mean + _END * spread
    first, count = edges_between(edges, low, high)
    widths = np.diff(edges, prepend=-np.inf, append=np.inf)
    narrowest = np.minimum(widths[first], widths[np.minimum(first + count, widths.size - 1)])
    _, bent = edges_between(pieces.kinks, low, high)
    is_plain = (count == 0) | ((count == 1) & (bent == 0) & (high - low <= narrowest))
    result = np.empty(mean.size)
    for chosen in _chunks(np.flatnonzero(is_plain), _GAUSS_POINTS.size):
        points = mean[chosen, None] + spread[chosen, None] * _GAUSS_POINTS
        result[chosen] = pieces.function(points) @ _GAUSS_WEIGHTS
    rest = np.flatnonzero(~is_plain)
    for inside in np.unique(count[rest]):
        here = rest[count[rest] == inside]
        for chosen in _chunks(here, (inside + _GRID.size) * _POINTS.size):
            own = edges[first[chosen, None] + np.arange(inside)]
            # A spread of 0 leaves no edge strictly between; one that is merely tiny may round to the ends.
            own = np.clip((own - mean[chosen, None]) / spread[chosen, None], -_END, _END)
            cuts = np.sort(np.concatenate([own, np.broadcast_to(_GRID, (chosen.size, _GRID.size))], axis=1), axis=1)
            half = 0.5 * np.diff(cuts)[:, :, None]
            points = cuts[:, :-1, None] + half * (1.0 + _POINTS)
            values = pieces.function(mean[chosen, None, None] + spread[chosen, None, None] * points)
            values *= _density(points)
            result[chosen] = np.einsum("epk,k,ep->e", values, _WEIGHTS, half[:, :, 0], optimize=False)
    return result


def _chunks(indices: np.ndarray, points_each: int) -> list[np.ndarray]:
    size = max(1, _BATCH // int(points_each))
    return [indices[start : start + size] for start in range(0, indices.size, size)]


def _outer_panels(
    pieces: Pieces,
    outer: np.ndarray,
    inner: np.ndarray,
    correlation: np.ndarray,
    sine: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Panels (pair, left, right) of the integral over g."""
    pairs = np.arange(outer.size)
    with np.errstate(all="ignore"):
        turned = inner * correlation
        zone = pieces.bends / turned[:, None]
        cuts = [
            zone[:, :, None] + (sine / np.abs(correlation))[:, None, None] * _GRID,
            low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, 2 + int(np.max(high - low) / _STEP)),
        ]
    owner = [np.repeat(pairs, cut[0].size) for cut in cuts]
    flat = [cut.ravel() for cut in cuts]
    for scale in (outer, np.abs(turned)):
        # The partition of f, seen from g; a negative correlation mirrors it.
        sign = np.ones(outer.size) if scale is outer else np.sign(correlation)
        ends = np.sort(np.stack([sign * low * scale, sign * high * scale]), axis=0)
        first, count = edges_between(pieces.edges, ends[0], ends[1])
        pair = np.repeat(pairs, count)
        number = np.arange(pair.size) - np.repeat(np.cumsum(count) - count, count)
        owner.append(pair)
        flat.append(sign[pair] * pieces.edges[first[pair] + number] / scale[pair])
    pair, cut = np.concatenate(owner), np.concatenate(flat)
    cut = np.clip(np.nan_to_num(cut, nan=0.0), low[pair], high[pair])
    order = np.lexsort((cut, pair))
    pair, cut = pair[order], cut[order]
    keep = (pair[1:] == pair[:-1]) & (cut[1:] > cut[:-1])
    return pair[:-1][keep], cut[:-1][keep], cut[1:][keep]


def conditional_expectation(
    pieces: Pieces,
    scales: tuple[np.ndarray, np.ndarray],
    ranges: tuple[np.ndarray, np.ndarray],
    norms: tuple[np.ndarray, np.ndarray],
    correlation: np.ndarray,
    sine: np.ndarray,
    smoothed: Smoothed | None = None,
) -> np.ndarray:
    """E[f(n g) f(n' g')] / (norm norm') for every pair, all arguments of shape (pairs,).

    ranges are the ends of the integral, in terms of the first factor; where they are empty the result is 0.
    smoothed(m, w) is E f(m + w q) in closed form, where there is one.
    """
    # The steeper factor is the outer one: its panels then resolve the other as well.
    swap = scales[0] < scales[1]
    turn = swap & (correlation < 0)
    low, high = np.where(turn, -ranges[1], ranges[0]), np.where(turn, -ranges[0], ranges[1])
    outer, inner = np.where(swap, scales[::-1], scales)
    unit = np.where(swap, norms[::-1], norms)
    pair, left, right = _outer_panels(pieces, outer, inner, correlation, sine, low, np.maximum(low, high))
    half = 0.5 * (right - left)[:, None]
    points = left[:, None] + half * (1.0 + _POINTS)
    values = pieces.function(outer[pair, None] * points) / unit[0][pair, None] * _density(points) * (half * _WEIGHTS)
    pair = np.repeat(pair, _POINTS.size)
    points, values = points.ravel(), values.ravel()
    keep = np.flatnonzero(values)
    pair, points, values = pair[keep], points[keep], values[keep]
    mean, spread = (inner * correlation)[pair] * points, (inner * sine)[pair]
    with np.errstate(all="ignore"):
        if smoothed is None:
            inner_values = _smoothed(pieces, mean, spread)
        else:
            inner_values = smoothed(mean, spread)
        return np.bincount(pair, values * (inner_values / unit[1][pair]), outer.size)
