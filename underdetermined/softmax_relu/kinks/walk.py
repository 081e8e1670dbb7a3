"""A quadratic model along a ray, with the kinks on the way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["first_kink", "rise", "walk"]

FloatArray = NDArray[np.float64]


def walk(
    z: FloatArray, change: FloatArray, unit_slopes: FloatArray, slope: float, bend: float, longest: float
) -> tuple[float, float, NDArray[np.intp]]:
    """Minimise the model slope t + bend t^2 / 2 along a ray, with a jump of its slope at every kink, up to its first rise.

    Parameters
    ----------
    z, change : ndarray of shape (H,)
        Pre-activations at the start, and what one length adds to them.
    unit_slopes : ndarray of shape (H,)
        r.
    slope, bend : float
        First and second derivative at the start.
    longest : float
        Largest length.

    Returns
    -------
    length, decrease : float
        Where the model turns, and by how much it has fallen there.
    stops : ndarray of int
        The unit at whose kink it turns, if it does at a kink.
    """
    none = np.zeros(0, dtype=np.intp)
    times = _times(z, change)
    order = np.flatnonzero(times < longest)
    order = order[np.argsort(times[order], kind="stable")]
    start, decrease = 0.0, 0.0
    for index in [*order.tolist(), -1]:
        end = longest if index < 0 else float(times[index])
        turn = -slope / bend if bend > 0.0 else np.inf
        if turn <= end:
            turn = max(turn, start)
            return turn, decrease - rise(slope, bend, start, turn), none
        decrease -= rise(slope, bend, start, end)
        start = end
        if index < 0:
            break
        slope += float(unit_slopes[index] * abs(change[index]))
        if slope + bend * end >= 0.0:
            return end, decrease, np.array([index], dtype=np.intp)
    return start, decrease, none


def _times(z: FloatArray, change: FloatArray) -> FloatArray:
    """When the units reach their kinks."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(z * change < 0.0, -z / change, np.inf)


def first_kink(z: FloatArray, change: FloatArray) -> tuple[float, int]:
    """Find the first kink on the way.

    Parameters
    ----------
    z, change : ndarray of shape (H,)
        Pre-activations at the start, and what one length adds to them.

    Returns
    -------
    length : float
        Where it is; inf if there is none.
    unit : int
        Whose it is.
    """
    times = _times(z, change)
    unit = int(times.argmin())
    return float(times[unit]), unit


def rise(slope: float, bend: float, start: float, end: float) -> float:
    """Change of slope t + bend t^2 / 2 from one length to another.

    Parameters
    ----------
    slope, bend : float
        Derivatives at length 0.
    start, end : float
        Lengths.

    Returns
    -------
    float
    """
    return (end - start) * (slope + 0.5 * bend * (end + start))
