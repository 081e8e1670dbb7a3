"""Bounds on the derivatives of a loss of softmax(y) that hold for every y, in terms of the range of a direction."""

from __future__ import annotations

from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from underdetermined.softmax_relu.constants.psd import curvature_range

FloatArray = NDArray[np.float64]

_BLOCK = 512
# Largest third central moment of a variable of range 1.
_SKEW = 1.0 / (6.0 * sqrt(3.0))


class LogitConstants(NamedTuple):
    """For a direction v in the space of the logits, with range R(v) = max v - min v, and for every fit f.

    Attributes
    ----------
    slope : float
        The first derivative along v is at most slope R(v).
    lower : float
        The second derivative along v is at least -lower R(v)^2.
    product : float
        The second derivative along v and w is at most product R(v) R(w).
    third : float
        The third derivative along v is at most third R(v)^3.
    """

    slope: float
    lower: float
    product: float
    third: float


def logit_constants(objective: Any) -> LogitConstants:
    """Constants of a loss and its targets.

    Parameters
    ----------
    objective : SoftmaxReLU
        Its `loss` and `b` are used.

    Returns
    -------
    LogitConstants
    """
    if objective.loss == "kl":
        return LogitConstants(slope=1.0, lower=0.0, product=0.25, third=_SKEW)
    spread = float(objective.b.max() - objective.b.min())
    return LogitConstants(
        slope=0.25 * (1.0 + spread),
        lower=0.25 * (0.5 + spread),
        product=0.25 * (1.0 + spread),
        third=0.75 + (0.5 + _SKEW) * 0.5 * (1.0 + spread),
    )


def lower_curvature(objective: Any, fitted: FloatArray) -> float:
    """A constant `lower` that holds for one fit only.

    Parameters
    ----------
    objective : SoftmaxReLU
        Its `loss` and `b` are used.
    fitted : ndarray of shape (m,)
        f.

    Returns
    -------
    float
        At most the one of `logit_constants`.
    """
    if objective.loss == "kl":
        return 0.0
    gamma, _ = curvature_range(fitted, objective.b)
    # Half of the mass on one outcome, or more, keeps a variance below that of a coin.
    heaviest = max(float(fitted.max()), 0.5)
    return gamma * heaviest * (1.0 - heaviest)


def diameter(rows: FloatArray) -> np.float64:
    """Largest distance between two rows; its powers may overflow to inf.

    Parameters
    ----------
    rows : ndarray of shape (m, d)
        Rows.

    Returns
    -------
    numpy.float64

    Notes
    -----
    m^2 d flops by blocks. Rows are centred first, so that squares of distances lose no digits of the largest.
    """
    centred = rows - rows.mean(axis=0)
    size = float(np.abs(centred).max(initial=0.0))
    if size == 0.0:
        return np.float64(0.0)
    centred /= size
    squares = np.einsum("ij,ij->i", centred, centred)
    largest = 0.0
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        products = centred[part] @ centred[start:].T
        largest = max(largest, float(np.max(squares[part, np.newaxis] + squares[start:] - 2.0 * products)))
    return np.float64(size * sqrt(largest))
