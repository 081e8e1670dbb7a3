"""E[f(n g) f(n' g')] of nearly parallel pairs, by conditioning on g: one integral over g of f(n g) phi(g) F(g).

With r the correlation and s = sqrt(1 - r**2), F(g) = E_q f(n' (r g + s q)) is f smoothed on the scale w = n' s. The outer
integral is cut at the edges of f(n g) and, on the scale of s, around the kinks and the ends of the fine pieces, which F
blurs.
Nothing degenerates as s tends to 0, where F becomes f(n' r g).
"""

from collections.abc import Callable

import numpy as np

from ._average import GRID, POINTS, WEIGHTS, average, density
from ._pieces import Pieces, edges_between

Smoothed = Callable[[np.ndarray, np.ndarray], np.ndarray]

_STEP = 1.75


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
            zone[:, :, None] + (sine / np.abs(correlation))[:, None, None] * GRID,
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
    smoothed(m, w) is E f(m + w q), where there is something faster than quadrature.
    """
    # The steeper factor is the outer one: its panels then resolve the other as well.
    swap = scales[0] < scales[1]
    turn = swap & (correlation < 0)
    low, high = np.where(turn, -ranges[1], ranges[0]), np.where(turn, -ranges[0], ranges[1])
    outer, inner = np.where(swap, scales[::-1], scales)
    unit = np.where(swap, norms[::-1], norms)
    pair, left, right = _outer_panels(pieces, outer, inner, correlation, sine, low, np.maximum(low, high))
    half = 0.5 * (right - left)[:, None]
    points = left[:, None] + half * (1.0 + POINTS)
    values = pieces.function(outer[pair, None] * points) / unit[0][pair, None] * density(points) * (half * WEIGHTS)
    pair = np.repeat(pair, POINTS.size)
    points, values = points.ravel(), values.ravel()
    keep = np.flatnonzero(values)
    pair, points, values = pair[keep], points[keep], values[keep]
    mean, spread = (inner * correlation)[pair] * points, (inner * sine)[pair]
    with np.errstate(all="ignore"):
        if smoothed is None:
            inner_values = average(pieces, mean, spread)
        else:
            inner_values = smoothed(mean, spread)
        return np.bincount(pair, values * (inner_values / unit[1][pair]), outer.size)
