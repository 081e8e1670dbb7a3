"""E f(m + w q), q ~ N(0, 1), in closed form: what the quadrature of nearly parallel pairs otherwise spends its time on.

``SMOOTHED[name](m, w, parameters)`` returns it for f and, as second function, for f'; w > 0.
"""

from collections.abc import Callable
from math import pi, sqrt

import numpy as np
from scipy.special import erfcx, ndtr

Mean = Callable[[np.ndarray, np.ndarray, tuple[float, ...]], np.ndarray]


def _ramp(m: np.ndarray, w: np.ndarray) -> np.ndarray:
    a = m / w
    return m * ndtr(a) + w * (np.exp(-0.5 * a * a) / sqrt(2 * pi))


def _decay(m: np.ndarray, w: np.ndarray) -> np.ndarray:
    """E exp(v) 1[v < 0] for v = m + w q."""
    a = m / w
    b = a + w
    near = 0.5 * np.exp(-0.5 * a * a) * erfcx(np.maximum(b, 0.0) / sqrt(2))
    return np.where(b > 0, near, np.exp(np.minimum(m + 0.5 * w * w, 0.0)) * ndtr(-b))


SMOOTHED: dict[str, tuple[Mean, Mean]] = {
    "shifted_relu": (lambda m, w, p: _ramp(m + p[0], w), lambda m, w, p: ndtr((m + p[0]) / w)),
    "elu": (lambda m, w, p: _ramp(m, w) + _decay(m, w) - ndtr(-m / w), lambda m, w, p: ndtr(m / w) + _decay(m, w)),
}
