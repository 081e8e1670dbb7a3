"""Tiles of rows and neurons, in which losses of a hidden layer are computed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from underdetermined.blocks import scratch

FloatArray = NDArray[np.float64]

# Rows and neurons of a tile: two of them, activations and derivatives, stay in the cache of a core.
TILE = (256, 512)


def pre_activations(inputs: FloatArray, weights: FloatArray, biases: FloatArray | None) -> FloatArray:
    """X W + b in scratch memory of this thread.

    Parameters
    ----------
    inputs : ndarray of shape (n, d)
        X, the rows of the tile.
    weights : ndarray of shape (d, m)
        W, its neurons.
    biases : ndarray of shape (m,) or None
        b; None for none.

    Returns
    -------
    ndarray of shape (n, m)
    """
    tile = scratch((len(inputs), weights.shape[1]), np.dtype(np.float64))
    np.matmul(inputs, weights, out=tile)
    if biases is not None:
        tile += biases
    return tile


def outer(left: FloatArray, right: FloatArray) -> FloatArray:
    """left @ right.T; NumPy's product is slow where the inner dimension is one.

    Parameters
    ----------
    left : ndarray of shape (n, k)
        First factor.
    right : ndarray of shape (m, k)
        Second factor.

    Returns
    -------
    ndarray of shape (n, m)
    """
    return left * right.T if left.shape[1] == 1 else left @ right.T


def add_product(left: FloatArray, right: FloatArray, out: FloatArray) -> None:
    """Add left.T @ right to an array.

    SciPy's BLAS could add in place, but it holds the interpreter lock meanwhile: threads would wait for each other.

    Parameters
    ----------
    left : ndarray of shape (n, d)
        First factor.
    right : ndarray of shape (n, m)
        Second factor.
    out : ndarray of shape (d, m)
        Overwritten.
    """
    out += left.T @ right
