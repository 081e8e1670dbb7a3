"""The penalty of a two-layer network, in units of its tangent kernel, and the one that leave-one-out errors choose."""

import numpy as np

from underdetermined.blocks import slices
from underdetermined.estimators._rows import Rows
from underdetermined.features import FeatureMap
from underdetermined.leave_one_out import leave_one_out_path, subsample_rows
from underdetermined.objectives import TwoLayer
from underdetermined.system import LinearSystem

__all__ = ["choose_alpha", "tangent_size"]

# Rows whose tangent Gram matrix is decomposed, and rows of a block of features.
SUBSET, BLOCK = 1000, 1024
# Penalties that are tried: four to the decade, up to the largest.
PER_DECADE, LARGEST = 4, 100.0


def tangent_size(inputs: np.ndarray, weight: np.ndarray, layer: FeatureMap, coef: np.ndarray) -> float:
    """Mean squared norm of the gradient of one output: the mean diagonal of the tangent Gram matrix at the start.

    Parameters
    ----------
    inputs : ndarray of shape (n, d)
        Rows as the network sees them.
    weight : ndarray of shape (n,)
        Positive weights of the rows.
    layer : FeatureMap
        The hidden layer.
    coef : ndarray of shape (m, k)
        The last layer.

    Returns
    -------
    float
        The output bias counts as one parameter.
    """
    share = (np.reshape(layer.scale, (-1, 1)) * coef) ** 2
    share = share.mean(axis=1)
    sizes = np.empty(len(inputs))
    for rows in slices(len(inputs), BLOCK):
        part = inputs[rows]
        tile = part @ layer.weights if layer.biases is None else part @ layer.weights + layer.biases
        slopes = layer.activation.derivative(tile)
        layer.apply_activation(tile, slice(0, layer.width))
        squares = np.einsum("ij,ij->i", part, part) + (layer.biases is not None)
        sizes[rows] = np.einsum("ir,ir->i", tile, tile) + squares * ((slopes * slopes) @ share) + 1.0
    return float(np.average(sizes, weights=weight))


def choose_alpha(rows: Rows, layer: FeatureMap, coef: np.ndarray, bias: np.ndarray, size: float, least: float) -> float:
    """Penalty of the smallest leave-one-out error of the network linearised at its start.

    Parameters
    ----------
    rows : Rows
        Rows as the network sees them, and targets.
    layer : FeatureMap
        The hidden layer.
    coef : ndarray of shape (m, k)
        The last layer.
    bias : ndarray of shape (k,)
        The output bias.
    size : float
        `tangent_size`.
    least : float
        Smallest penalty that is tried, of the same units as the result.

    Returns
    -------
    float
        In units of `size`; of a thousand rows drawn at random where there are more.
    """
    kept = subsample_rows(rows.n_rows, SUBSET)
    # All outputs have tangent kernels of one distribution: the first one speaks for them.
    first = TwoLayer(rows.inputs[kept], np.zeros(len(kept)), layer, coef[:, :1], intercept=0.0)
    tangent = first.linearize(first.initial())
    outputs = TwoLayer(rows.inputs[kept], rows.targets[kept], layer, coef, intercept=bias)
    n, p = tangent.jacobian.shape
    system = LinearSystem(
        tangent.jacobian if n <= p else tangent.jacobian.matmat(np.eye(p)),
        -outputs.residual(outputs.initial()),
        sample_weight=rows.weight[kept],
        gram=tangent.gram() if n <= p else None,
    )
    alphas = np.geomspace(least, LARGEST, 1 + round(PER_DECADE * np.log10(LARGEST / least)))
    path = leave_one_out_path(system, alphas=size * alphas, within_squares=rows.scatter[kept])
    return path.alpha / size
