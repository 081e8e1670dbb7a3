"""Gradient descent on a narrow network, without the overhead of the general one: an experiment takes millions of steps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from underdetermined._linalg import largest_eigenvalue
from underdetermined.features import FeatureMap

FloatArray = NDArray[np.float64]

# Share of 1 / lambda_max that is the step, and the number of steps after which the eigenvalue is computed again.
SHARE = 0.9
_INTERVAL = 50


class NarrowNetwork:
    """The loss of `underdetermined.objectives.TwoLayer` for "both" and "hidden", with the same parameters.

    All features are in one tile in memory, on one thread, and nothing is validated.

    Parameters
    ----------
    inputs : ndarray of shape (n, d)
        Rows.
    targets : ndarray of shape (n, k)
        Targets.
    layer : FeatureMap
        Hidden layer at the start, with one factor for all neurons.
    coef : ndarray of shape (m, k)
        Last layer at the start.
    layers : {"both", "hidden"}
        What is trained.
    """

    def __init__(self, inputs: FloatArray, targets: FloatArray, layer: FeatureMap, coef: FloatArray, layers: str) -> None:
        self._inputs, self._weights = inputs, layer.weights
        if layer.biases is not None:
            self._inputs = np.column_stack([inputs, np.ones(len(inputs))])
            self._weights = np.vstack([layer.weights, layer.biases])
        self._turned = np.ascontiguousarray(self._inputs.T)
        self._targets, self._activation, self._scale = targets, layer.activation, float(layer.scale)
        self._coef, self._has_last = coef, layers == "both"
        self._values, self._derivatives, self._pushed = np.empty((3, len(inputs), layer.width))

    def initial(self) -> FloatArray:
        """Parameters at the start."""
        return np.concatenate([self._weights.ravel(), self._coef.ravel() if self._has_last else ()])

    def value_and_gradient(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Loss and gradient.

        Parameters
        ----------
        theta : ndarray of shape (p,)
            Parameters.

        Returns
        -------
        value : float
            L(theta).
        gradient : ndarray of shape (p,)
            Its gradient.
        """
        last = self._evaluate(theta)
        residual = self._values @ last
        residual -= self._targets
        return 0.5 * float(np.vdot(residual, residual)), self._pull_back(residual, last)

    def tangent_eigenvalue(self, theta: FloatArray) -> float:
        """Largest eigenvalue of J J.T, from below, by eight Lanczos steps.

        Parameters
        ----------
        theta : ndarray of shape (p,)
            Parameters.

        Returns
        -------
        float
        """
        last = self._evaluate(theta)

        def apply(vector: FloatArray) -> FloatArray:
            return self._push_forward(self._pull_back(vector.reshape(self._targets.shape), last), last).ravel()

        return largest_eigenvalue(apply, self._targets.size)

    def _evaluate(self, theta: FloatArray) -> FloatArray:
        """Fill in activations and derivatives, and return the last layer times the factor of the features."""
        hidden = self._weights.size
        np.matmul(self._inputs, theta[:hidden].reshape(self._weights.shape), out=self._values)
        self._activation.apply_with_derivative(self._values, self._derivatives)
        return self._scale * (theta[hidden:].reshape(self._coef.shape) if self._has_last else self._coef)

    def _pull_back(self, residual: FloatArray, last: FloatArray) -> FloatArray:
        """J.T times a residual: sum_a X.T diag(r_a) Phi' diag(v_a) for the weights, in one product of matrices."""
        d, k = len(self._turned), residual.shape[1]
        weighted = (self._turned * residual.T[:, np.newaxis]).reshape(k * d, -1)
        hidden = ((weighted @ self._derivatives).reshape(k, d, -1) * last.T[:, np.newaxis]).sum(axis=0)
        if not self._has_last:
            return hidden.ravel()
        return np.concatenate([hidden.ravel(), (self._scale * (self._values.T @ residual)).ravel()])

    def _push_forward(self, direction: FloatArray, last: FloatArray) -> FloatArray:
        """J times a direction."""
        hidden = self._weights.size
        np.matmul(self._inputs, direction[:hidden].reshape(self._weights.shape), out=self._pushed)
        self._pushed *= self._derivatives
        result = self._pushed @ last
        if self._has_last:
            result += self._values @ (self._scale * direction[hidden:].reshape(self._coef.shape))
        return result


def descend(network: NarrowNetwork, goal: float, max_steps: int) -> tuple[float, int]:
    """Gradient descent with the step 0.9 / lambda_max(J J.T), until the loss is at most a goal.

    The eigenvalue is computed again after 50 steps, and wherever a step does not lower the loss: that step is taken back,
    and the next one is at most half as long. Steps at most double each time the eigenvalue is computed again.

    Parameters
    ----------
    network : NarrowNetwork
        Loss, and where it starts.
    goal : float
        Loss at which training stops.
    max_steps : int
        Largest number of steps; those taken back do not count.

    Returns
    -------
    loss : float
        Loss at the end.
    n_steps : int
        Steps taken.
    """
    theta = network.initial()
    steps, rate, age = 0, np.inf, _INTERVAL
    with np.errstate(over="ignore", invalid="ignore"):
        value, gradient = network.value_and_gradient(theta)
        while value > goal and steps < max_steps:
            if age == _INTERVAL:
                rate, age = min(2.0 * rate, _longest(network, theta)), 0
            following = theta - rate * gradient
            reached, slope = network.value_and_gradient(following)
            if reached < value:
                theta, value, gradient = following, reached, slope
                steps, age = steps + 1, age + 1
                continue
            if np.array_equal(following, theta) or not rate > 0.0:
                break
            rate, age = min(0.5 * rate, _longest(network, theta)), 0
    return value, steps


def _longest(network: NarrowNetwork, theta: FloatArray) -> float:
    """Step that the largest eigenvalue admits; where nothing can move, any will do."""
    eigenvalue = network.tangent_eigenvalue(theta)
    return SHARE / eigenvalue if eigenvalue > 0.0 else 1.0
