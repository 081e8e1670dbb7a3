"""How far rounding can take a Jacobian and a residual from those of exact arithmetic."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from underdetermined._linalg import EPS, column_norms, vector_norm
from underdetermined.features import FeatureMap
from underdetermined.objectives import TwoLayer

FloatArray = NDArray[np.float64]


def rounding_errors(objective: TwoLayer, hidden: FeatureMap, last: FloatArray) -> tuple[float, float]:
    """Bounds on the errors of the Jacobian, in the spectral norm, and of the weighted residual.

    Parameters
    ----------
    objective : TwoLayer
        The loss.
    hidden : FeatureMap
        The hidden layer.
    last : ndarray of shape (m, k)
        The output weights.

    Returns
    -------
    jacobian, residual : float
        Beside what products with exact activations lose. Infinite where nothing bounds the slopes of the activation, or
        where squares overflow.

    Notes
    -----
    A pre-activation is known up to e |x_i| |w_r|, e a few units of rounding, the activation up to that times its largest
    slope, and the derivative up to that times the largest second derivative.
    """
    activation, weight = hidden.activation, objective.sample_weight
    rows, neurons = column_norms(objective.X.T), column_norms(hidden.weights)
    if hidden.biases is not None:
        rows, neurons = np.hypot(rows, 1.0), np.hypot(neurons, hidden.biases)
    unit = (objective.X.shape[1] + 4) * EPS
    bend = np.inf if activation.curvature is None else activation.curvature
    slope = np.inf if activation.lipschitz is None else activation.lipschitz
    with np.errstate(over="ignore", invalid="ignore"):
        weighted = vector_norm(np.sqrt(weight) * rows)
        if np.isinf(slope) and np.isfinite(bend):
            slope = float(np.abs(activation.derivative(0.0))) + bend * float(rows.max() * neurons.max())
        if np.isinf(slope):
            return np.inf, np.inf
        sizes, scales = column_norms(last.T), np.broadcast_to(np.abs(hidden.scale), neurons.shape)
        jacobian = 0.0
        if objective.layers != "hidden":
            jacobian = slope * unit * weighted * vector_norm(scales * neurons)
        if objective.layers != "last":
            moved = bend * unit * vector_norm(np.sqrt(weight) * rows * rows) * vector_norm(sizes * neurons)
            jacobian = float(np.hypot(jacobian, moved + 8.0 * EPS * slope * weighted * vector_norm(sizes)))
        total = slope * float(sizes @ neurons) * weighted
        start = float(np.abs(activation.value(0.0))) * float(sizes.sum()) * float(np.sqrt(weight.sum()))
        residual = unit * total + (len(neurons) + 8) * EPS * (total + start)
    return float(jacobian), float(residual)
