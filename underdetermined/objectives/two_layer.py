"""Both layers of a two-layer network, trained together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._validation import check_matrix, check_no_row_shift, check_targets
from underdetermined.blocks import run_tiles, slices
from underdetermined.features import FeatureMap
from underdetermined.objectives._loss import half_square
from underdetermined.objectives._tiles import TILE, outer, pre_activations

FloatArray = NDArray[np.float64]
Layers = tuple[FloatArray, FloatArray | None, FloatArray]


@dataclass(frozen=True, eq=False)
class TwoLayer:
    """The loss of a two-layer network, L = |f(X) - Y|^2 / 2 with f(x) = sum_j scale_j a_j sigma(<w_j, x> + b_j).

    The parameters are all of W, b and a, in this order, flattened. Biases are trained if the feature map has them.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Inputs.
    targets : array_like of shape (n,) or (n, k)
        Y, stored as (n, k).
    feature_map : FeatureMap
        The hidden layer at the start: its activation and scale stay, its weights and biases are where `initial` begins.

    Raises
    ------
    TypeError, ValueError
        If an argument is not finite, the shapes do not fit, or the feature map has a row shift.

    Notes
    -----
    The parameters are those of the formula, with nothing but `FeatureMap.scale` in front, so that the tangent kernel at
    the start is `ntk_matrix` of the feature map: hidden weights of a larger ``weight_scale`` are not trained any faster.

    A loss costs 2 n m (d + k) flops and n m activations; its gradient 4 n m (d + k) and two activations more, as
    pre-activations are computed again rather than kept: memory O(p + n k), whatever n m is. Everything is float64.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined import FeatureMap
    >>> from underdetermined.objectives import TwoLayer
    >>> objective = TwoLayer([[2.0]], [1.0], FeatureMap([[1.0, -1.0]], scale=1.0))
    >>> theta = objective.initial([3.0, 0.0])
    >>> objective.value(theta), objective.gradient(theta)
    (12.5, array([30.,  0., 10.,  0.]))
    """

    X: Any
    targets: Any
    feature_map: FeatureMap

    def __post_init__(self) -> None:
        """Validate and convert the arguments."""
        inputs = np.ascontiguousarray(check_matrix(self.X, "X"), dtype=np.float64)
        if inputs.shape[1] != self.feature_map.n_inputs:
            raise ValueError(
                f"X has {inputs.shape[1]} columns and the feature map {self.feature_map.n_inputs} inputs: pass matching ones"
            )
        check_no_row_shift(self.feature_map.row_shift, "TwoLayer")
        # A user's activation may lack a derivative: better to learn that before training.
        self.feature_map.activation.derivative(np.zeros(1))
        object.__setattr__(self, "X", inputs)
        object.__setattr__(self, "targets", check_targets(self.targets, len(inputs)))

    @property
    def n_parameters(self) -> int:
        """Number d m of hidden weights, m of biases if there are any, and m k of coefficients."""
        layer = self.feature_map
        return layer.width * (layer.n_inputs + (layer.biases is not None) + self.targets.shape[1])

    def initial(self, coef: ArrayLike) -> FloatArray:
        """Parameters at the start: weights and biases of the feature map, and the given last layer.

        Parameters
        ----------
        coef : array_like of shape (m,) or (m, k)
            Coefficients a, such as random signs or standard Gaussian numbers.

        Returns
        -------
        ndarray of shape (p,)
            A new array.

        Raises
        ------
        TypeError, ValueError
            If the coefficients are not finite or their shape does not fit.
        """
        layer, k = self.feature_map, self.targets.shape[1]
        last = check_targets(coef, layer.width, "coef")
        if last.shape[1] != k:
            raise ValueError(f"coef has {last.shape[1]} columns and the targets {k}: pass one for each output")
        biases = () if layer.biases is None else (layer.biases,)
        return np.concatenate([layer.weights.ravel(), *biases, last.ravel()])

    def network(self, theta: ArrayLike) -> tuple[FeatureMap, FloatArray]:
        """Network of these parameters.

        Parameters
        ----------
        theta : array_like of shape (p,)
            Parameters.

        Returns
        -------
        feature_map : FeatureMap
            Its hidden layer, whose features times the coefficients are the outputs.
        coef : ndarray of shape (m, k)
            Its last layer.
        """
        weights, biases, coef = self._layers(np.array(theta, dtype=np.float64))
        return replace(self.feature_map, weights=weights, biases=biases), coef

    def _layers(self, theta: ArrayLike) -> Layers:
        """Views of weights (d, m), biases (m,) or None, coefficients (m, k)."""
        parameters = np.asarray(theta, dtype=np.float64)
        if parameters.shape != (self.n_parameters,):
            raise ValueError(f"theta has shape {parameters.shape}: pass all parameters, shape ({self.n_parameters},)")
        layer = self.feature_map
        hidden, last = layer.n_inputs * layer.width, parameters.size - layer.width * self.targets.shape[1]
        biases = parameters[hidden:last] if layer.biases is not None else None
        return (
            parameters[:hidden].reshape(layer.n_inputs, layer.width),
            biases,
            parameters[last:].reshape(layer.width, -1),
        )

    def residual(self, theta: ArrayLike) -> FloatArray:
        """Residual Y - f(X).

        Parameters
        ----------
        theta : array_like of shape (p,)
            Parameters.

        Returns
        -------
        ndarray of shape (n, k)
        """
        layers = self._layers(theta)
        layer, coef = self.feature_map, layers[2]
        result = self.targets.copy()

        def task(rows: slice) -> None:
            # Each thread has a floating-point state of its own.
            with np.errstate(over="ignore", invalid="ignore"):
                for neurons in slices(layer.width, TILE[1]):
                    tile = self._pre_activations(layers, rows, neurons)
                    layer.apply_activation(tile, neurons)
                    result[rows] -= tile @ coef[neurons]

        run_tiles(task, slices(len(self.X), TILE[0]), n_jobs=layer.n_jobs)
        return result

    def _pre_activations(self, layers: Layers, rows: slice, neurons: slice) -> FloatArray:
        weights, biases, _ = layers
        return pre_activations(self.X[rows], weights[:, neurons], None if biases is None else biases[neurons])

    def value(self, theta: ArrayLike) -> float:
        """Loss.

        Parameters
        ----------
        theta : array_like of shape (p,)
            Parameters.

        Returns
        -------
        float
        """
        return half_square(self.residual(theta))

    def gradient(self, theta: ArrayLike) -> FloatArray:
        """Gradient with respect to W, b and a.

        Parameters
        ----------
        theta : array_like of shape (p,)
            Parameters.

        Returns
        -------
        ndarray of shape (p,)
        """
        return self.value_and_gradient(theta)[1]

    def value_and_gradient(self, theta: ArrayLike) -> tuple[float, FloatArray]:
        """Loss and gradient from one residual.

        With R the residual, A the features and S the derivatives: -A.T R for a, -X.T ((R a.T) o S) scale for W, and the sum
        over rows of the latter bracket for b.

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
        layers = self._layers(theta)
        residual = self.residual(theta)
        gradient = np.zeros(self.n_parameters)
        slopes, bias_slopes, last_slopes = self._layers(gradient)
        layer, coef = self.feature_map, layers[2]
        with np.errstate(over="ignore"):
            # One factor for all neurons, or one for each.
            scaled, ones = np.reshape(layer.scale, (-1, 1)) * coef, np.ones(len(residual))

        def task(neurons: slice) -> None:
            with np.errstate(over="ignore", invalid="ignore"):
                for rows in slices(len(self.X), TILE[0]):
                    tile = self._pre_activations(layers, rows, neurons)
                    back = layer.activation.derivative(tile)
                    back *= outer(residual[rows], scaled[neurons])
                    layer.apply_activation(tile, neurons)
                    last_slopes[neurons] -= tile.T @ residual[rows]
                    slopes[:, neurons] -= self.X[rows].T @ back
                    if bias_slopes is not None:
                        bias_slopes[neurons] -= ones[rows] @ back

        run_tiles(task, slices(layer.width, TILE[1]), n_jobs=layer.n_jobs)
        return half_square(residual), gradient
