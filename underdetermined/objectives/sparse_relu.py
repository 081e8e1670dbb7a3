"""The hidden layer of a ReLU network with a fixed last layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._validation import check_no_row_shift, check_number
from underdetermined.blocks import run_tiles, slices
from underdetermined.features import FeatureMap
from underdetermined.objectives._network_loss import NetworkLoss
from underdetermined.objectives._tiles import TILE, outer, pre_activations

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SparseReLU(NetworkLoss):
    """The loss of a ReLU network whose hidden layer alone is trained, L = sum_i s_i |f(x_i) - y_i|^2 / 2.

    The network is f(x) = sum_r v_r max(<w_r, x> + b_r, 0) with v_r = scale_r coef_r, which stays. The parameters are W,
    flattened, and then b / bias_scale: so the biases learn at bias_scale^2 times the rate of the weights. With
    ``bias_scale=0`` they are no parameters.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Inputs.
    targets : array_like of shape (n,) or (n, k)
        Y, stored as (n, k).
    feature_map : FeatureMap
        The hidden layer at the start, with activation "relu". No biases stands for biases of zero.
    coef : array_like of shape (m,) or (m, k)
        The last layer, stored as (m, k).
    sample_weight : array_like of shape (n,), a number or None, default=None
        Weights s_i of the rows, at least 0; None means 1. A weight of 2 is a row that is there twice.
    bias_scale : float, default=1.0
        sigma >= 0; the tangent kernel is that of the rows (x, sigma).

    Raises
    ------
    TypeError, ValueError
        If an argument, or scale times coef, is not finite, shapes do not fit, the activation is not "relu", or the
        feature map has a row shift.

    Notes
    -----
    The derivative of max(z, 0) at 0 is 0. Everything is float64. A loss costs 2 n m (d + k) flops, its gradient
    6 n m d, as pre-activations are computed again rather than kept: memory O(p + n k), whatever n m is.
    `underdetermined.active_sets.train_active_sets` takes the same steps at the cost of the active pairs.

    References
    ----------
    :ref:`theory-sparse-relu`.

    Examples
    --------
    >>> from underdetermined import FeatureMap
    >>> from underdetermined.objectives import SparseReLU
    >>> hidden = FeatureMap([[1.0, -1.0]], [-1.0, -1.0], scale=1.0)
    >>> objective = SparseReLU([[2.0]], [0.0], hidden, [3.0, 1.0])
    >>> objective.value_and_gradient(objective.initial())
    (4.5, array([18.,  0.,  9.,  0.]))
    """

    X: Any
    targets: Any
    feature_map: FeatureMap
    coef: Any
    sample_weight: Any = None
    bias_scale: float = 1.0

    def __post_init__(self) -> None:
        """Validate and convert the arguments."""
        check_no_row_shift(self.feature_map.row_shift, "SparseReLU")
        self._check_network("relu")
        layer = self.feature_map
        if layer.biases is None:
            object.__setattr__(self, "feature_map", replace(layer, biases=np.zeros(layer.width)))
        object.__setattr__(self, "bias_scale", check_number(self.bias_scale, "bias_scale"))

    @property
    def biases(self) -> FloatArray:
        """Biases of the feature map, zeros where it has none."""
        return np.asarray(self.feature_map.biases)

    @property
    def n_parameters(self) -> int:
        """Number d m of weights, and m of biases if they are trained."""
        layer = self.feature_map
        return layer.width * (layer.n_inputs + (self.bias_scale > 0.0))

    def initial(self) -> FloatArray:
        """Parameters of the feature map.

        Returns
        -------
        ndarray of shape (p,)
            A new array.
        """
        layer = self.feature_map
        biases = [self.biases / self.bias_scale] if self.bias_scale > 0.0 else []
        return np.concatenate([layer.weights.ravel(), *biases])

    def network(self, theta: ArrayLike) -> FeatureMap:
        """Hidden layer of these parameters.

        Parameters
        ----------
        theta : array_like of shape (p,)
            Parameters.

        Returns
        -------
        FeatureMap
            Its features times `coef` are the outputs.
        """
        weights, biases = self._layer(np.array(theta, dtype=np.float64))
        return replace(self.feature_map, weights=weights, biases=biases)

    def _layer(self, theta: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Weights (d, m), a view, and biases (m,)."""
        parameters = np.asarray(theta, dtype=np.float64)
        if parameters.shape != (self.n_parameters,):
            raise ValueError(f"theta has shape {parameters.shape}: pass all parameters, shape ({self.n_parameters},)")
        layer = self.feature_map
        hidden = layer.n_inputs * layer.width
        biases = self.biases if self.bias_scale == 0.0 else self.bias_scale * parameters[hidden:]
        return parameters[:hidden].reshape(layer.n_inputs, layer.width), biases

    def residual(self, theta: ArrayLike) -> FloatArray:
        """Residual f(X) - Y, not weighted.

        Parameters
        ----------
        theta : array_like of shape (p,)
            Parameters.

        Returns
        -------
        ndarray of shape (n, k)
        """
        weights, biases = self._layer(theta)
        last, result = self.output_weights, -self.targets

        def task(rows: slice) -> None:
            # Each thread has a floating-point state of its own.
            with np.errstate(over="ignore", invalid="ignore"):
                for neurons in slices(self.feature_map.width, TILE[1]):
                    tile = pre_activations(self.X[rows], weights[:, neurons], biases[neurons])
                    np.maximum(tile, 0.0, out=tile)
                    result[rows] += tile @ last[neurons]

        run_tiles(task, slices(len(self.X), TILE[0]), n_jobs=self.feature_map.n_jobs)
        return result

    def value_and_gradient(self, theta: ArrayLike) -> tuple[float, FloatArray]:
        """Loss and gradient from one residual.

        With c_ir = s_i <v_r, res_i> where neuron r is active on row i, else 0: X.T c for W, and bias_scale times the sums of
        the columns of c for the biases.

        Parameters
        ----------
        theta : array_like of shape (p,)
            Parameters.

        Returns
        -------
        value : float
            L(theta).
        gradient : ndarray of shape (p,)
            Its gradient.
        """
        weights, biases = self._layer(theta)
        residual = self.residual(theta)
        layer, last = self.feature_map, self.output_weights
        gradient = np.zeros(self.n_parameters)
        hidden = layer.n_inputs * layer.width
        slopes, bias_slopes = gradient[:hidden].reshape(layer.n_inputs, layer.width), gradient[hidden:]
        with np.errstate(over="ignore", invalid="ignore"):
            weighted = self.sample_weight[:, np.newaxis] * residual

        def task(neurons: slice) -> None:
            with np.errstate(over="ignore", invalid="ignore"):
                for rows in slices(len(self.X), TILE[0]):
                    tile = pre_activations(self.X[rows], weights[:, neurons], biases[neurons])
                    back = np.where(tile > 0.0, outer(weighted[rows], last[neurons]), 0.0)
                    slopes[:, neurons] += self.X[rows].T @ back
                    if bias_slopes.size:
                        bias_slopes[neurons] += self.bias_scale * back.sum(axis=0)

        run_tiles(task, slices(layer.width, TILE[1]), n_jobs=layer.n_jobs)
        return self._loss(residual), gradient
