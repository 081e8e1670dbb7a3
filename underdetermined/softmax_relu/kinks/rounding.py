"""How large the rounding of a gradient and of an objective is."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from underdetermined._linalg import EPS, vector_norm

__all__ = ["TOLERANCE", "Rounding", "rounding"]

FloatArray = NDArray[np.float64]

# Residuals of Newton's method end below a tenth of this share of the scale.
TOLERANCE = 2e-14
_PROBES, _SEED, _BLOCK = 4, 88, 1 << 20


class Rounding(NamedTuple):
    """What rounding does to an objective at one point.

    Attributes
    ----------
    gradient : float
        Size of what is summed in the gradient, whose rounding is a few EPS of this.
    value : float
        Rounding of the objective.
    """

    gradient: float
    value: float


def rounding(point: Any, held: NDArray[np.bool_]) -> Rounding:
    """Size of what is summed in a gradient and in the objective.

    Logits y are sums of |A2| |h|, slopes r sums of |A2| times their errors, and the gradient moves by H times the rounding
    of x. All three are taken together; signs of the last are drawn.

    Parameters
    ----------
    point : SoftmaxReLUPoint
        Where.
    held : ndarray of bool of shape (H,)
        Pinned units.

    Returns
    -------
    Rounding

    Notes
    -----
    Two passes over |A2| in blocks, and four products with the Hessian at once.
    """
    objective = point.objective
    output = objective.A2
    n_outputs, n_units = output.shape
    hidden = np.abs(point.hidden.reshape(-1, n_units))
    weights = np.abs(point.curvature_weights()) + point.curvature_weights("gauss-newton")
    weights = weights.reshape(-1, n_outputs)
    fitted = np.asarray(point.fitted).reshape(-1, n_outputs)
    rows = max(1, _BLOCK // n_units)
    parts = [slice(start, start + rows) for start in range(0, n_outputs, rows)]
    logits = np.concatenate([hidden @ np.abs(output[part]).T for part in parts], axis=1)
    # What moves all logits alike moves nothing: each is felt against the mean of the others.
    mean = (fitted * logits).sum(axis=1, keepdims=True)
    apart = (1.0 - 2.0 * fitted) * logits + mean
    errors = weights * (1.0 + np.maximum(apart, 0.0))
    errors += fitted * errors.sum(axis=1, keepdims=True)
    spread = float(errors.sum())
    slopes = np.zeros_like(hidden)
    for part in parts:
        slopes += errors[:, part] @ np.abs(output[part])
    terms = (slopes.ravel() * objective.row_norms)[held | (point.slopes > 0.0)]
    signs = np.random.Generator(np.random.Philox(_SEED)).choice((-1.0, 1.0), size=(point.x.size, _PROBES))
    changes = point.hessp(signs * point.x[:, np.newaxis])
    moved = max(vector_norm(column) for column in changes.T)
    return Rounding(
        vector_norm(terms) + vector_norm(point.gradient_of_penalty) + moved,
        4.0 * EPS * (abs(float(point.value)) + np.sqrt(float(point.loss)) * spread),
    )
