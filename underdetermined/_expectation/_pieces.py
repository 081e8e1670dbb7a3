"""Where an activation is smooth: a partition of the line on whose panels it is a polynomial up to rounding.

Quadrature on such panels has no error to speak of, whatever the activation: a panel counts as resolved when the last
Legendre coefficients of the values at its nodes are rounding. Panels that are not are halved; where halving does not
help, at a kink or a jump, the point is searched by bisection and becomes an edge.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import ceil, log2

import numpy as np
from scipy.special import roots_legendre

Function = Callable[[np.ndarray], np.ndarray]


def gauss_legendre(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes, weights, and the matrix that takes values at the nodes to Legendre coefficients (from the right)."""
    nodes = roots_legendre(n)[0]
    # The weights of a library carry up to 1e-13 of relative error; those that integrate P_0 ... P_{n-1} exactly do not.
    coefficients = np.linalg.inv(np.polynomial.legendre.legvander(nodes, n - 1)).T
    return nodes, 2.0 * coefficients[:, 0], coefficients


NODES, WEIGHTS, _LEGENDRE = gauss_legendre(20)
_ROUNDING = 2e-14
_NOISE, _SHRINKING = 1e-11, 0.7  # f is known no better if halving a panel does not shrink so small a tail
_FINER = 3.0
_SUSPICIOUS_DEPTH = 12
_MAX_KINKS = 512
_MAX_PANELS = 2**14
_CHECK = 1e-12


@dataclass(frozen=True, eq=False)
class Pieces:
    """f and its partition: edges ascend, kinks are those edges where the panels beside them do not continue each other."""

    function: Function
    edges: np.ndarray
    kinks: np.ndarray

    @cached_property
    def bends(self) -> np.ndarray:
        """Kinks, and edges where much finer pieces end: what happens in those shows beyond once f is smoothed."""
        widths = np.diff(self.edges)
        ends = np.maximum(widths[1:] / widths[:-1], widths[:-1] / widths[1:]) > _FINER
        return np.union1d(self.kinks, self.edges[1:-1][ends])


def panel_points(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes of panels, shape (panels, nodes), and half the widths of the panels."""
    half = 0.5 * (right - left)
    return left[:, None] + half[:, None] * (1.0 + NODES), half


def edges_between(edges: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of the first edge above ``low``, and how many lie between ``low`` and ``high``."""
    first = np.searchsorted(edges, low, "right")
    return first, np.maximum(np.searchsorted(edges, high, "left") - first, 0)


def legendre_tail(values: np.ndarray) -> np.ndarray:
    """Largest of the last Legendre coefficients of values at the nodes, along the last axis."""
    return np.abs(values @ _LEGENDRE[:, -3:]).max(axis=-1)


def find_pieces(function: Function, reach: float, finest: float, kinks: tuple[float, ...], name: str) -> Pieces:
    """Partition [-reach, reach], with what is closer to 0 than the width ``finest`` left alone.

    Declared kinks and 0 are edges. Raises ValueError where f stays unresolved.
    """
    known = sorted({0.0, *(kink for kink in kinks if abs(kink) < reach)})
    for _ in range(_MAX_KINKS):
        edges, suspect = _bisected(function, reach, finest, np.array(known), name)
        suspect = suspect or _hidden(function, edges, np.array(known))
        if suspect is None:
            edges = _merged(function, edges, np.array(known))
            _check(function, edges, name, reach)
            return Pieces(function, edges, _bent(function, edges, np.array(known)))
        known = sorted({*known, _located(function, *suspect)})
    raise _unresolved(name, reach)


def _unresolved(name: str, reach: float) -> ValueError:
    return ValueError(
        f"activation {name!r} cannot be integrated to double precision on [{-reach:.3g}, {reach:.3g}]: it oscillates too "
        "fast, is noisy, or has too many kinks. Scale the inputs down, return float64, or declare the kinks: "
        "Activation(name, function=..., function_derivative=..., kinks=(...))"
    )


def _measure(function: Function, left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Legendre tail and largest magnitude on panels."""
    values = function(panel_points(left, right)[0])
    # Without its exponent, so that no tail overflows or vanishes.
    peak = np.abs(values).max(axis=1)
    unit = np.where(peak > 0, peak, 1.0)
    return legendre_tail(values / unit[:, None]) * unit, peak


def _start(reach: float, known: np.ndarray) -> np.ndarray:
    powers = reach * 0.5 ** np.arange(max(0, min(1100, ceil(log2(max(reach, 1.0))) + 2)))
    return np.unique(np.concatenate([known, -powers, powers, [-reach, reach]]))


def _bisected(
    function: Function, reach: float, finest: float, known: np.ndarray, name: str
) -> tuple[np.ndarray, tuple[float, float, float] | None]:
    """Edges of resolved panels; or, at the first sign of a kink, the panel that has it and the tolerance there."""
    edges = _start(reach, known)
    left, right = edges[:-1], edges[1:]
    envelope = _envelope(function, left, right, _measure(function, left, right)[1])
    before = np.full(left.size, np.inf)
    done = [np.array([reach])]
    total = 0
    for depth in range(2200):
        tail, peak = _measure(function, left, right)
        if not np.isfinite(peak).all():
            raise _unresolved(name, reach)
        width, far = right - left, np.maximum(np.abs(left), np.abs(right))
        # A mean square over Gaussian arguments weighs a panel by its relative width.
        limit = _ROUNDING * np.maximum(peak, envelope(left, right)) * np.sqrt(far / width)
        is_noise = (tail >= _SHRINKING * before) & (tail <= _NOISE * peak)
        is_tiny = (width <= 4e-16 * far) | ((width <= finest) & (depth > 0))
        is_fine = (tail <= limit) | is_noise | is_tiny
        done.append(left[is_fine])
        left, right, limit, width, tail = (array[~is_fine] for array in (left, right, limit, width, tail))
        total += int(np.count_nonzero(is_fine))
        if not left.size:
            return np.sort(np.concatenate(done)), None
        if depth >= _SUSPICIOUS_DEPTH:
            near = np.searchsorted(known, left - 4 * width) < np.searchsorted(known, right + 4 * width, "right")
            if not near.all():
                k = int(np.argmin(near))
                return edges, (float(left[k]), float(right[k]), float(limit[k]))
        if total + left.size > _MAX_PANELS:
            break
        middle = 0.5 * (left + right)
        left, right, before = np.concatenate([left, middle]), np.concatenate([middle, right]), np.tile(tail, 2)
    raise _unresolved(name, reach)


def _hidden(function: Function, edges: np.ndarray, known: np.ndarray) -> tuple[float, float, float] | None:
    """A panel across an edge that has a kink, one which the nodes beside the edge do not see."""
    left, right = edges[:-1], edges[1:]
    envelope = _envelope(function, left, right, _measure(function, left, right)[1])
    width = 0.5 * np.minimum(np.diff(edges)[:-1], np.diff(edges)[1:])
    middle = edges[1:-1]
    chosen = (width > 1e-12 * np.abs(middle)) & ~np.isin(middle, known)
    left, right = (middle - width)[chosen], (middle + width)[chosen]
    tail, peak = _measure(function, left, right)
    limit = _NOISE * np.maximum(peak, envelope(left, right))
    if not np.any(tail > limit):
        return None
    k = int(np.argmax(tail > limit))
    return float(left[k]), float(right[k]), float(_ROUNDING * peak[k])


def _envelope(
    function: Function, left: np.ndarray, right: np.ndarray, peak: np.ndarray
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Size of f at arguments that no centred Gaussian weighs much less than a panel, relative to which errors count.

    It is the largest magnitude on the given panels that lie wholly closer to 0, or 1 percent beyond the panel.
    """
    reach = right[-1]
    far = np.maximum(np.abs(left), np.abs(right))
    order = np.argsort(far)
    radius = np.concatenate([[0.0], far[order]])
    largest = np.concatenate([[0.0], np.maximum.accumulate(peak[order])])

    def size(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        inner = largest[np.searchsorted(radius, np.minimum(np.abs(a), np.abs(b)), "right") - 1]
        beyond = np.clip(np.where(np.abs(a) > np.abs(b), 1.01 * a, 1.01 * b), -reach, reach)
        return np.maximum(inner, np.abs(function(beyond)))

    return size


def _located(function: Function, left: float, right: float, limit: float) -> float:
    """The point in a panel that no halving resolves, as the shortest decimal that does not miss it."""
    while right - left > 4e-16 * max(abs(left), abs(right)):
        # Halves that overlap: no point is near the ends of all, where no node would see it.
        quarters = left + (right - left) * np.linspace(0.0, 1.0, 5)
        tail, _ = _measure(function, quarters[:3], quarters[2:])
        if tail.max() <= limit:
            break
        k = int(np.argmax(tail))
        if quarters[k] == left and quarters[k + 2] == right:
            break
        left, right = float(quarters[k]), float(quarters[k + 2])
    middle = 0.5 * (left + right)
    width = right - left
    for digits in range(1, 17):
        candidate = float(f"{middle:.{digits}g}")
        if left - width <= candidate <= right + width:
            return candidate
    return middle


def _merged(function: Function, edges: np.ndarray, kinks: np.ndarray) -> np.ndarray:
    """Drop edges, every other one in turn, where the two panels together are resolved as well."""
    idle = 0
    while idle < 2:
        candidates = np.arange(1 + idle, edges.size - 1, 2)
        candidates = candidates[~np.isin(edges[candidates], kinks)]
        drop = candidates[_continues(function, edges[candidates - 1], edges[candidates], edges[candidates + 1])]
        idle = 0 if drop.size else idle + 1
        edges = np.delete(edges, drop)
    return edges


def _bent(function: Function, edges: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Those of the known edges, 0 among them, where f does not go on as the same polynomial."""
    place = np.searchsorted(edges, known)
    here, inner = edges[place], (place > 0) & (place < edges.size - 1)
    left, right = edges[np.maximum(place - 1, 0)], edges[np.minimum(place + 1, edges.size - 1)]
    width = 0.5 * np.minimum(here - left, right - here)
    return known[inner][~_continues(function, (here - width)[inner], here[inner], (here + width)[inner])]


def _continues(function: Function, left: np.ndarray, middle: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Whether f on [left, right] is one polynomial, which also gives what the nodes of both parts see."""
    whole = panel_points(left, right)[0]
    parts = np.concatenate([panel_points(left, middle)[0], panel_points(middle, right)[0]], axis=1)
    values, seen = function(whole), function(parts)
    unit = np.maximum(np.abs(values).max(axis=1), np.abs(seen).max(axis=1))
    unit[unit == 0] = 1.0
    coefficients = (values / unit[:, None]) @ _LEGENDRE
    places = (parts - left[:, None]) / (0.5 * (right - left))[:, None] - 1.0
    fit = np.polynomial.legendre.legval(places, coefficients.T[:, :, None], tensor=False)
    error = np.maximum(np.abs(fit - seen / unit[:, None]).max(axis=1), np.abs(coefficients[:, -3:]).max(axis=1))
    return error <= _ROUNDING


def _check(function: Function, edges: np.ndarray, name: str, reach: float) -> None:
    """Compare the integral of f**2 over each panel with that over its halves; the tiny panels at a jump do not count."""
    left, right = edges[:-1], edges[1:]
    middle = 0.5 * (left + right)
    values = [function(panel_points(a, b)[0]) for a, b in ((left, right), (left, middle), (middle, right))]
    peak = np.max([np.abs(value).max(axis=1) for value in values], axis=0)
    unit = np.maximum(peak, _envelope(function, left, right, peak)(left, right))[:, None]
    unit[unit == 0] = 1.0
    whole, low, high = ((value / unit) ** 2 @ WEIGHTS for value in values)
    differs = np.abs(whole - 0.5 * (low + high)) > _CHECK
    if np.any(differs & (right - left > 1e-13 * np.maximum(np.abs(left), np.abs(right)))):
        raise _unresolved(name, reach)
