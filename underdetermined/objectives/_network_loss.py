"""What losses of a network share: checked arguments, and values from residuals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._validation import check_finite, check_matrix, check_sample_weight, check_targets
from underdetermined.features import FeatureMap

FloatArray = NDArray[np.float64]


class NetworkLoss(ABC):
    """The loss sum_i s_i |f(x_i) - y_i|^2 / 2 of f(x) = sum_r v_r sigma(<w_r, x> + b_r), v_r = scale_r coef_r.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Inputs.
    targets : array_like of shape (n,) or (n, k)
        Y.
    feature_map : FeatureMap
        The hidden layer at the start.
    coef : array_like of shape (m,) or (m, k)
        The last layer.
    sample_weight : array_like of shape (n,), a number or None
        s.
    """

    X: Any
    targets: Any
    feature_map: FeatureMap
    coef: Any
    sample_weight: Any

    def _check_network(self, activation: str | None) -> None:
        """Validate the arguments, and replace them by float64 arrays of the shapes that the formula has.

        The activation has to be the one named; None takes any.
        """
        inputs = np.ascontiguousarray(check_matrix(self.X, "X"), dtype=np.float64)
        n, layer = len(inputs), self.feature_map
        if activation is not None and layer.activation.name != activation:
            raise ValueError(f"the feature map has activation {layer.activation.name!r}: pass one with {activation!r}")
        if inputs.shape[1] != layer.n_inputs:
            raise ValueError(
                f"X has {inputs.shape[1]} columns and the feature map {layer.n_inputs} inputs: pass matching ones"
            )
        targets = check_targets(self.targets, n)
        coef = check_targets(self.coef, layer.width, "coef")
        if coef.shape[1] != targets.shape[1]:
            raise ValueError(
                f"coef has {coef.shape[1]} columns and the targets {targets.shape[1]}: pass one for each output"
            )
        weight = np.ones(n) if self.sample_weight is None else check_sample_weight(self.sample_weight, n)
        biases = None if layer.biases is None else np.asarray(layer.biases, dtype=np.float64)
        weights, scale = (np.asarray(each, dtype=np.float64) for each in (layer.weights, layer.scale))
        for name, value in (
            ("X", inputs),
            ("targets", targets),
            ("coef", coef),
            # Dot products add strided numbers in another order.
            ("sample_weight", np.ascontiguousarray(weight)),
            ("feature_map", replace(layer, weights=weights, biases=biases, scale=scale)),
        ):
            object.__setattr__(self, name, value)
        with np.errstate(over="ignore"):
            check_finite(self.output_weights, "scale * coef")

    @cached_property
    def output_weights(self) -> FloatArray:
        """The v_r as the rows of an array of shape (m, k), which is read-only."""
        result = np.reshape(self.feature_map.scale, (-1, 1)) * self.coef
        result.flags.writeable = False
        return result

    @abstractmethod
    def residual(self, theta: ArrayLike) -> FloatArray:
        """Residual f(X) - Y, not weighted."""

    @abstractmethod
    def value_and_gradient(self, theta: ArrayLike) -> tuple[float, FloatArray]:
        """Loss and gradient from one residual."""

    def _loss(self, residual: FloatArray) -> float:
        with np.errstate(over="ignore", invalid="ignore"):
            return 0.5 * float(self.sample_weight @ np.einsum("ia,ia->i", residual, residual))

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
        return self._loss(self.residual(theta))

    def gradient(self, theta: ArrayLike) -> FloatArray:
        """Gradient of the loss.

        Parameters
        ----------
        theta : array_like of shape (p,)
            Parameters.

        Returns
        -------
        ndarray of shape (p,)
        """
        return self.value_and_gradient(theta)[1]
