"""Hidden units: ReLU, softplus, or a linear map that extends one cell of the ReLU."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class Units(NamedTuple):
    """Values and derivatives of hidden units.

    Attributes
    ----------
    hidden : ndarray of the shape of z
        h = rho(z).
    slopes : ndarray of the shape of z
        t = rho'(z), of type bool where it is 0 or 1 for all; the derivative of max(z, 0) at 0 is 0.
    second : ndarray of the shape of z or None
        rho''(z), None where it is 0 for all.
    """

    hidden: FloatArray
    slopes: Any
    second: FloatArray | None


def units(z: FloatArray, smoothing: Any, active: NDArray[np.bool_] | None) -> Units:
    """Evaluate the hidden units.

    Parameters
    ----------
    z : ndarray of shape (n,) or (n, N)
        Pre-activations.
    smoothing : float or ndarray of shape (N,)
        mu: the units are mu log(1 + exp(z / mu)), and max(z, 0) where it is 0.
    active : ndarray of bool, shape of z, or None
        If given, h = z where it is true and 0 elsewhere, whatever the sign of z.

    Returns
    -------
    Units
    """
    if active is not None:
        return Units(active * z, active, None)
    if not np.any(smoothing):
        return Units(np.maximum(z, 0.0), z > 0.0, None)
    smooth = np.asarray(smoothing) > 0.0
    scale = np.where(smooth, smoothing, 1.0)
    # One exponential, of a negative number, serves all three; fresh memory would take as long as the arithmetic.
    decay = np.abs(z)
    decay /= -scale
    np.exp(decay, out=decay)
    decay *= smooth
    hidden = np.log1p(decay)
    hidden *= scale
    slopes = decay + 1.0
    np.divide(1.0, slopes, out=slopes)
    decay *= slopes
    second = decay * slopes
    second /= scale
    np.copyto(slopes, decay, where=z <= 0.0)
    hidden += np.maximum(z, 0.0, out=decay)
    return Units(hidden, slopes, second)
