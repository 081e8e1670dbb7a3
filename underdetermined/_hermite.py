"""Hermite expansion of an activation: a_k(s) = E[f(s g) h_k(g)] for g ~ N(0, 1).

h_k = He_k / sqrt(k!) are orthonormal under the Gaussian, so f(s g) = sum_k a_k(s) h_k(g) in mean square.
Three facts give every closed form below, phi being the Gaussian density:

- (h_{k-1} phi)' = -sqrt(k) h_k phi, hence sqrt(k) a_k(f) = E[(d/dg) f(s g) h_{k-1}(g)];
- exp(t g - t^2/2) = sum_k t^k h_k(g) / sqrt(k!), the generating function;
- g h_k = sqrt(k) h_{k-1} + sqrt(k+1) h_{k+1}.

Everything else is quadrature.
"""

from collections.abc import Callable
from math import ceil, erfc, exp, log, log2, pi, sqrt

import numpy as np

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_PANEL = 0.5


def _integrated(first: float, derivative: np.ndarray) -> np.ndarray:
    """Coefficients of a function from its mean and those of its derivative with respect to g."""
    return np.concatenate([[first], derivative[:-1] / np.sqrt(np.arange(1.0, derivative.size))])


def _times_g(coefficients: np.ndarray) -> np.ndarray:
    """Coefficients of g f(g); one fewer than given, because the last one needs its successor."""
    root = np.sqrt(np.arange(1.0, coefficients.size))
    shifted = np.concatenate([[0.0], root[:-1] * coefficients[:-2]])
    return shifted + root * coefficients[1:]


def _exponential(degree: int, scale: float, exponent: float) -> np.ndarray:
    """s^k / sqrt(k!) times exp(exponent), the common factor of exp, sin and cos."""
    k = np.arange(1.0, degree + 1)
    if scale < 20.0:
        return np.concatenate([[1.0], np.cumprod(scale / np.sqrt(k))]) * exp(exponent)
    # Either factor alone may overflow here; the loss of digits in the logarithm is harmless at such scales.
    with np.errstate(over="ignore", under="ignore"):
        return np.exp(np.concatenate([[0.0], np.cumsum(log(scale) - 0.5 * np.log(k))]) + exponent)


def _exp(degree: int, scale: float, parameters: tuple[float, ...]) -> np.ndarray:
    return _exponential(degree, scale, 0.5 * scale * scale)


def _sin_cos(degree: int, scale: float, parameters: tuple[float, ...]) -> np.ndarray:
    signs = np.array([1.0, 1.0, -1.0, -1.0])[np.arange(degree + 1) % 4]
    return signs * _exponential(degree, scale, -0.5 * scale * scale)


def _sin(degree: int, scale: float, parameters: tuple[float, ...]) -> np.ndarray:
    return _sin_cos(degree, scale, parameters) * (np.arange(degree + 1) % 2)


def _cos(degree: int, scale: float, parameters: tuple[float, ...]) -> np.ndarray:
    return _sin_cos(degree, scale, parameters) * (1 - np.arange(degree + 1) % 2)


def _gaussian(degree: int, scale: float, parameters: tuple[float, ...] = ()) -> np.ndarray:
    # E exp(-s^2 g^2/2) h_{2m}(g) = (1+s^2)^{-1/2} (-s^2/(1+s^2))^m sqrt((2m)!) / (2^m m!)
    spread = np.hypot(1.0, scale)
    decay = -((scale / spread) ** 2)
    m = np.arange(1.0, degree // 2 + 1)
    coefficients = np.zeros(degree + 1)
    coefficients[::2] = np.concatenate([[1.0], np.cumprod(decay * np.sqrt((2 * m - 1) / (2 * m)))]) / spread
    return coefficients


def _erf(degree: int, scale: float, parameters: tuple[float, ...] = ()) -> np.ndarray:
    return _integrated(0.0, 2 / sqrt(pi) * scale * _gaussian(degree + 1, sqrt(2) * scale)[: degree + 1])


def _gelu(degree: int, scale: float, parameters: tuple[float, ...]) -> np.ndarray:
    distribution = 0.5 * _erf(degree + 1, scale / sqrt(2))
    distribution[0] = 0.5
    return scale * _times_g(distribution)


def _step(degree: int, threshold: float) -> np.ndarray:
    """Coefficients of 1[g > t]: the integral of h_k phi over (t, inf) is h_{k-1}(t) phi(t) / sqrt(k)."""
    table = hermite_functions(degree, np.array([threshold]))[:, 0]
    functions = table * table[0]
    return _integrated(0.5 * erfc(threshold / sqrt(2)), functions)


def _ramp(degree: int, threshold: float) -> np.ndarray:
    """Coefficients of max(g - t, 0)."""
    step = _step(degree, threshold)
    density = exp(-0.5 * threshold * threshold) / sqrt(2 * pi)
    return _integrated(density - threshold * step[0], step)


def _leaky_relu(degree: int, scale: float, parameters: tuple[float, ...] = (0.0,)) -> np.ndarray:
    coefficients = (1.0 - parameters[0]) * _ramp(degree, 0.0)
    coefficients[1:2] += parameters[0]
    return scale * coefficients


def _squared_relu(degree: int, scale: float, parameters: tuple[float, ...]) -> np.ndarray:
    return scale * scale * _integrated(0.5, 2 * _ramp(degree, 0.0))


def _shifted_relu(degree: int, scale: float, parameters: tuple[float, ...]) -> np.ndarray:
    shift = parameters[0]
    if abs(shift) > 40.0 * scale:  # the kink is beyond every g that a double can weigh: a line, or nothing
        return _hermite(degree, scale, (shift, 1.0) if shift > 0 else (0.0,))
    return scale * _ramp(degree, -shift / scale)


def _hermite(degree: int, scale: float, parameters: tuple[float, ...]) -> np.ndarray:
    # E h_j(s g) h_k(g), j = k + 2m, is s^k sqrt(j!/k!) ((s^2-1)/2)^m / m!: a product, without cancellation.
    excess = (scale - 1.0) * (scale + 1.0)
    coefficients = np.zeros(degree + 1)
    for k in range(min(degree, len(parameters) - 1) + 1):
        j = np.arange(k + 2.0, len(parameters), 2)
        ratios = excess / (j - k) * np.sqrt(j * (j - 1.0))
        coefficients[k] = scale**k * np.dot(np.concatenate([[1.0], np.cumprod(ratios)]), parameters[k::2])
    return coefficients


CLOSED_FORMS: dict[str, Callable[[int, float, tuple[float, ...]], np.ndarray]] = {
    "identity": lambda degree, scale, parameters: _hermite(degree, scale, (0.0, 1.0)),
    "relu": lambda degree, scale, parameters: _leaky_relu(degree, scale),
    "leaky_relu": _leaky_relu,
    "abs": lambda degree, scale, parameters: _leaky_relu(degree, scale, (-1.0,)),
    "step": lambda degree, scale, parameters: _step(degree, 0.0),
    "squared_relu": _squared_relu,
    "shifted_relu": _shifted_relu,
    "hermite": _hermite,
    "sin": _sin,
    "cos": _cos,
    "sin_cos": _sin_cos,
    "exp": _exp,
    "gaussian": _gaussian,
    "erf": _erf,
    "gelu": _gelu,
}


def hermite_functions(degree: int, points: np.ndarray) -> np.ndarray:
    """h_k(g) sqrt(phi(g)), shape (degree + 1, points): orthonormal on the line and bounded by 1."""
    table = np.empty((degree + 1, points.size))
    table[0] = np.exp(-0.25 * points * points) * (2 * pi) ** -0.25
    table[1:2] = points * table[0]
    for k in range(1, degree):
        table[k + 1] = (points * table[k] - sqrt(k) * table[k - 1]) / sqrt(k + 1)
    return table


def quadrature(
    function: Callable[[np.ndarray], np.ndarray], degree: int, scale: float, kinks: tuple[float, ...]
) -> np.ndarray:
    """a_0 ... a_degree of ``function`` by Gauss-Legendre panels, split at the kinks.

    Panels shrink geometrically towards 0 and the kinks down to 1/scale, the width of the sharpest feature an
    activation shows there. Beyond 2 sqrt(degree) the Hermite functions decay like the Gaussian.
    """
    end = 2 * sqrt(degree) + 14.0
    panels = np.arange(-end, end + _PANEL, _PANEL)
    centres = np.array([0.0, *kinks]) / scale
    centres = centres[np.abs(centres) < end, None]
    halvings = 0.25 * _PANEL * 0.5 ** np.arange(min(60, ceil(log2(max(scale, 1.0)))) + 1)
    graded = centres + np.concatenate([-halvings, [0.0], halvings])
    edges = np.unique(np.concatenate([panels, graded.ravel()]).clip(-end, end))
    half = 0.5 * np.diff(edges)[:, None]
    points = (edges[:-1, None] + half * (1.0 + _NODES)).ravel()
    weights = (half * _WEIGHTS).ravel()
    table = hermite_functions(degree, points)
    return table @ (weights * table[0] * function(scale * points))
