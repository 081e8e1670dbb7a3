"""E f(u)**2 and E f'(u)**2 for u ~ N(0, s), in closed form: the diagonals of the kernels."""

from collections.abc import Callable
from math import pi

import numpy as np

Pair = tuple[np.ndarray, np.ndarray]


def _bent(s: np.ndarray, slope: float) -> Pair:
    factor = 0.5 * (1.0 + slope * slope)
    return factor * s, np.full_like(s, factor)


def _wave(s: np.ndarray) -> Pair:
    """E sin(u)**2 and E cos(u)**2."""
    return -0.5 * np.expm1(-2 * s), 0.5 * (1 + np.exp(-2 * s))


def _erf(s: np.ndarray) -> Pair:
    root = np.sqrt(1 + 4 * s)
    return 2 / pi * np.arctan2(2 * s, root), 4 / pi / root


def _gelu(s: np.ndarray) -> Pair:
    root = np.sqrt(1 + 2 * s)
    part = 0.25 + np.arctan2(s, root) / (2 * pi) + s / (1 + s) / (pi * root)
    return s * part, part + s / (2 * pi * (1 + 2 * s)) / root


def _gaussian(s: np.ndarray) -> Pair:
    root = np.sqrt(1 + 2 * s)
    return 1 / root, s / (1 + 2 * s) / root


def _step(s: np.ndarray) -> Pair:
    return np.where(s > 0, 0.5, 0.0), np.zeros_like(s)


DIAGONALS: dict[str, Callable[[np.ndarray, tuple[float, ...]], Pair]] = {
    "identity": lambda s, parameters: (s.copy(), np.ones_like(s)),
    "relu": lambda s, parameters: _bent(s, 0.0),
    "leaky_relu": lambda s, parameters: _bent(s, parameters[0]),
    "abs": lambda s, parameters: (s.copy(), np.ones_like(s)),
    "step": lambda s, parameters: _step(s),
    "squared_relu": lambda s, parameters: (1.5 * s * s, 2 * s),
    "erf": lambda s, parameters: _erf(s),
    "gelu": lambda s, parameters: _gelu(s),
    "gaussian": lambda s, parameters: _gaussian(s),
    "sin": lambda s, parameters: _wave(s),
    "cos": lambda s, parameters: _wave(s)[::-1],
    "sin_cos": lambda s, parameters: (np.ones_like(s), np.ones_like(s)),
    "exp": lambda s, parameters: (np.exp(2 * s), np.exp(2 * s)),
}
