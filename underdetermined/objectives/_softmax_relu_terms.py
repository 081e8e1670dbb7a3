"""What a loss of softmax(y) has to say in the space of the logits y: value, fit, slopes and curvature weights."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from underdetermined.objectives._loss import quiet

FloatArray = NDArray[np.float64]

LOSSES = ("squared", "kl")
CURVATURES = ("exact", "clipped", "gauss-newton")

# Below it log1p loses less to cancellation than a difference of two logarithms.
_NEAR = 0.5


class Terms(NamedTuple):
    """A loss of f = softmax(y) and its derivatives; distributions lie along the first axis.

    Attributes
    ----------
    value : ndarray of shape ()  or (N,)
        The losses.
    fitted : ndarray of shape (m,) or (m, N)
        f.
    slopes : ndarray of the same shape
        q, the gradient in y; it sums to 0.
    weights : ndarray of the same shape
        p: the Hessian in y is v -> p (v - <f, v>), less f times its sum.
    """

    value: Any
    fitted: FloatArray
    slopes: FloatArray
    weights: FloatArray


def terms(logits: FloatArray, targets: FloatArray, loss: str) -> Terms:
    """Loss, fit, slopes and weights of one distribution, or of many at once.

    With c = f - b and s = <f, c>: q = f (c - s) and p = f^2 + q for the loss |c|^2 / 2, and q = c and p = f for
    sum b log(b / f), whose targets sum to 1.

    Parameters
    ----------
    logits : ndarray of shape (m,) or (m, N)
        y, any finite numbers.
    targets : ndarray of the same shape
        b.
    loss : {"squared", "kl"}
        Which loss.

    Returns
    -------
    Terms
    """
    shifted = logits - logits.max(axis=0)
    fitted = np.exp(shifted)
    total = fitted.sum(axis=0)
    fitted /= total
    residual = fitted - targets
    if loss == "kl":
        return Terms(_divergence(shifted - np.log(total), targets, residual), fitted, residual, fitted)
    slopes = fitted * (residual - inner(fitted, residual))
    return Terms(0.5 * inner(residual, residual), fitted, slopes, fitted * fitted + slopes)


def _divergence(log_fitted: FloatArray, targets: FloatArray, residual: FloatArray) -> Any:
    """Sum of b log(b / f) - b + f: every part is >= 0, so that a small divergence is not lost among large logarithms."""
    positive = targets > 0.0
    safe = np.where(positive, targets, 1.0)
    with quiet():
        # A share far below the rounding of its neighbours.
        relative = residual / safe
    near = positive & (np.abs(relative) < _NEAR)
    parts = targets * (np.log(safe) - log_fitted) + residual
    # An entry b = 0 counts f, also where log f is -inf.
    parts = np.where(positive, parts, residual)
    close = np.where(near, relative, 0.0)
    return np.where(near, targets * (close - np.log1p(close)), parts).sum(axis=0)


def curvature_weights(found: Terms, loss: str, curvature: str) -> FloatArray:
    """Weights p of the Hessian in y, or of one of its two positive semi-definite substitutes.

    Parameters
    ----------
    found : Terms
        From `terms`.
    loss : {"squared", "kl"}
        Which loss.
    curvature : {"exact", "clipped", "gauss-newton"}
        p, max(p, 0), or the weights f^2 of the Gauss-Newton matrix; the three are the same for "kl".

    Returns
    -------
    ndarray of shape (m,) or (m, N)

    Raises
    ------
    ValueError
        If the curvature is none of these.
    """
    if curvature not in CURVATURES:
        raise ValueError(f"curvature={curvature!r} is unknown: pass one of {', '.join(map(repr, CURVATURES))}")
    if curvature == "exact" or loss == "kl":
        return found.weights
    if curvature == "clipped":
        return np.maximum(found.weights, 0.0)
    return found.fitted * found.fitted


def bend(fitted: FloatArray, weights: FloatArray, change: FloatArray) -> FloatArray:
    """Multiply by the Hessian in y: E diag(p) E^T v with E = I - f 1^T.

    Parameters
    ----------
    fitted, weights : ndarray of shape (m,) or (m, N)
        f and p.
    change : ndarray of shape (m,) or (m, N)
        v, overwritten.

    Returns
    -------
    ndarray of the shape of `change`
        The same array, overwritten.
    """
    change -= inner(fitted, change)
    change *= weights
    change -= fitted * change.sum(axis=0)
    return change


def inner(left: FloatArray, right: FloatArray) -> Any:
    """Inner products along the first axis.

    Parameters
    ----------
    left, right : ndarray of shape (m,) or (m, N)
        Factors; the shapes broadcast.

    Returns
    -------
    ndarray of shape () or (N,)
    """
    return np.einsum("i...,i...->...", left, right)
