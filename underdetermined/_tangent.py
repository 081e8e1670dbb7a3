"""What both forms of the two-layer neural tangent kernel need: checked arguments, and tiles of features and derivatives.

Feature maps come as arguments only, so that this stays below the module that builds matrices from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

from underdetermined._validation import as_float, check_finite, check_shape
from underdetermined.activations import get_activation
from underdetermined.blocks import run_tiles, slices

# Rows that one thread takes at a time.
ROWS = 256


class SymmetricOperator(LinearOperator):
    """A real symmetric operator given by its product with columns of a float64 array; complex ones are two real ones."""

    def __init__(self, order: int, multiply: Callable[[np.ndarray], np.ndarray]) -> None:
        super().__init__(np.dtype(np.float64), (order, order))
        self._multiply = multiply

    def _matmat(self, vectors: np.ndarray) -> np.ndarray:
        if np.iscomplexobj(vectors):
            return self._matmat(vectors.real) + 1j * self._matmat(vectors.imag)
        return self._multiply(np.asarray(vectors, dtype=np.float64))

    def _adjoint(self) -> SymmetricOperator:
        return self

    _transpose = _adjoint


def check_tangent(feature_map: Any, X: Any, coef: ArrayLike | None) -> tuple[Any, NDArray[np.float64]]:
    """Check the arguments of a tangent kernel.

    Parameters
    ----------
    feature_map : FeatureMap
        The hidden layer.
    X : {array_like, sparse array} of shape (n, n_inputs)
        Rows.
    coef : array_like of shape (width,) or (width, 1), or None
        Output weights; None means ones.

    Returns
    -------
    inputs : ndarray or csr_array of shape (n, n_inputs) or (n, n_inputs + 1), float64
        X, and a column of ones if the layer has biases, so that <x, z> becomes <x, z> + 1.
    weights : ndarray of shape (width,), float64
        Output weights.

    Raises
    ------
    ValueError
        If a shape does not fit, an entry is not finite, or the activation has no derivative.
    """
    inputs = feature_map.operator(X).inputs
    check_shape(inputs.shape, "X")
    feature_map.activation.derivative(np.zeros(1))
    ones = np.ones((inputs.shape[0], int(feature_map.biases is not None)))
    if sparse.issparse(inputs):
        inputs = sparse.hstack([sparse.csr_array(inputs, dtype=np.float64), sparse.csr_array(ones)], format="csr")
    else:
        inputs = np.hstack([inputs.astype(np.float64, copy=False), ones])
    width = feature_map.width
    weights = np.ones(width) if coef is None else np.asarray(as_float(coef, "coef"), dtype=np.float64)
    if weights.shape not in ((width,), (width, 1)):
        raise ValueError(
            f"coef has shape {weights.shape}: pass one output weight per neuron, shape ({width},); several outputs have one "
            "kernel each"
        )
    check_finite(weights, "coef")
    return inputs, weights.reshape(-1)


def tangent_tiles(feature_map: Any, X: Any, coef: NDArray[np.float64]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Stream features and derivatives by blocks of neurons; one product with the weights serves both.

    Parameters
    ----------
    feature_map : FeatureMap
        The hidden layer.
    X : {array_like, sparse array} of shape (n, n_inputs)
        Rows.
    coef : ndarray of shape (width,)
        Output weights.

    Yields
    ------
    features : ndarray of shape (n, t), float64
        Features of all rows; the next step reuses the array.
    derivatives : ndarray of shape (n, t), float64
        Derivatives of the features with respect to their arguments, times coef; the next step reuses the array.
    """
    layer = replace(feature_map, activation=get_activation("identity"), scale=1.0)
    memory = np.empty(0)
    for neurons, arguments in layer.operator(X).column_tiles():
        if arguments.size > memory.size:
            memory = np.empty(arguments.size, arguments.dtype)
        features = memory[: arguments.size].reshape(arguments.shape)

        def fill(
            rows: slice, neurons: slice = neurons, arguments: np.ndarray = arguments, features: np.ndarray = features
        ) -> None:
            # Errors of floating point are handled by thread; the caller refuses what overflows.
            with np.errstate(all="ignore"):
                features[rows] = arguments[rows]
                feature_map.apply_activation(features[rows], neurons)
                feature_map.apply_derivative(arguments[rows], neurons)
                arguments[rows] *= coef[neurons]

        run_tiles(fill, slices(len(arguments), ROWS), n_jobs=feature_map.n_jobs)
        yield features.astype(np.float64, copy=False), arguments.astype(np.float64, copy=False)


def refuse_overflow(
    values: NDArray[np.float64], feature_map: Any, inputs: Any, what: str = "the neural tangent kernel"
) -> None:
    """Raise if a kernel of hidden features, or its product with vectors, is not finite.

    Parameters
    ----------
    values : ndarray of shape (n, k)
        Rows of the kernel or of the product.
    feature_map : FeatureMap
        The hidden layer, to be named.
    inputs : ndarray or csr_array of shape (n, d)
        Rows, whose size is to be named.
    what : str, default="the neural tangent kernel"
        Name of the kernel.

    Raises
    ------
    OverflowError
        If an entry is not finite.
    """
    with np.errstate(all="ignore"):
        total = values.sum()
    if not np.isfinite(total) and not np.isfinite(values).all():
        raise OverflowError(
            f"{what} of activation={feature_map.activation.name!r} overflows float64 for inputs as large "
            f"as {abs(inputs).max():.3g}; scale them down (for example with StandardScaler) or lower weight_scale."
        )
