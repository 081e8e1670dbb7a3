"""Pre-activations of a hidden layer in float64, by tiles, before any exponential is taken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined._validation import check_matrix
from underdetermined.blocks import slices
from underdetermined.features import FeatureMap

FloatArray = NDArray[np.float64]

# Rows and neurons of a tile: a few of them stay in the cache of a core.
TILE = (256, 512)


def check_rows(feature_map: FeatureMap, X: Any) -> FloatArray:
    """Rows of X as float64.

    Parameters
    ----------
    feature_map : FeatureMap
        The hidden layer, with activation "exp".
    X : array_like of shape (n, d)
        Rows.

    Returns
    -------
    ndarray of shape (n, d)

    Raises
    ------
    TypeError, ValueError
        If X is not a finite matrix that fits the layer, or the layer has another activation.
    """
    if feature_map.activation.name != "exp":
        raise ValueError(f"the feature map has activation {feature_map.activation.name!r}: pass one with 'exp'")
    inputs = np.asarray(check_matrix(X, "X"), dtype=np.float64)
    if inputs.shape[1] != feature_map.n_inputs:
        raise ValueError(
            f"X has {inputs.shape[1]} columns and the feature map {feature_map.n_inputs} inputs: pass matching ones"
        )
    return inputs


def exponents(feature_map: FeatureMap, rows: FloatArray, neurons: slice) -> FloatArray:
    """Pre-activations <w_r, x> + b_r - c |x|^2, with c the row shift of the layer; nothing warns.

    Parameters
    ----------
    feature_map : FeatureMap
        The hidden layer.
    rows : ndarray of shape (t, d)
        Rows of the tile.
    neurons : slice
        Its u neurons.

    Returns
    -------
    ndarray of shape (t, u)
        A new array, infinite or nan where a product overflows.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        tile = rows @ np.asarray(feature_map.weights[:, neurons], dtype=np.float64)
        if feature_map.biases is not None:
            tile += feature_map.biases[neurons]
        if feature_map.row_shift:
            tile -= feature_map.row_shift * np.einsum("ij,ij->i", rows, rows)[:, np.newaxis]
    return tile


def tiles(n_rows: int, n_neurons: int) -> Iterator[tuple[slice, slice]]:
    """Tiles of rows and neurons, all neurons of a block of rows in turn.

    Parameters
    ----------
    n_rows, n_neurons : int
        What they cover.

    Yields
    ------
    rows : slice
        Rows of the tile.
    neurons : slice
        Its neurons.
    """
    for rows in slices(n_rows, TILE[0]):
        for neurons in slices(n_neurons, TILE[1]):
            yield rows, neurons
