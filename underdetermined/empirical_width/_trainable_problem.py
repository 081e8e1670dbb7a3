"""One training of the experiment on trainable widths: a network of some width and seed, and how far its loss falls."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

from underdetermined._linalg import rank_cutoff
from underdetermined.activations import Activation
from underdetermined.empirical_width._trainable_descent import SHARE, NarrowNetwork, descend
from underdetermined.empirical_width._trainable_result import Training
from underdetermined.features import FeatureMap
from underdetermined.gram import gram_matrix
from underdetermined.joint import draw_network
from underdetermined.objectives import TwoLayer
from underdetermined.optimize import gauss_newton
from underdetermined.solution import Status

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TrainableProblem:
    """Data, what is trained and how, and what counts as success.

    Parameters
    ----------
    inputs : ndarray of shape (n, d)
        Rows.
    targets : ndarray of shape (n, k)
        Targets, not all zero.
    layers, method : str
        What is trained, and how.
    loss_tol : float
        Relative loss that counts as success.
    max_steps : int
        Steps of a training.
    drawn : dict
        Options of `draw_network`; its activation is an `Activation`.
    """

    inputs: FloatArray
    targets: FloatArray
    layers: str
    method: str
    loss_tol: float
    max_steps: int
    drawn: dict[str, Any]

    @property
    def size(self) -> float:
        """Square of the norm of the targets, to which losses are relative."""
        return float(np.vdot(self.targets, self.targets))

    @property
    def is_biased(self) -> bool:
        """Whether biases count: trained ones, or random ones that stay."""
        scale = self.drawn["bias_scale"]
        return scale is not None and (self.layers != "last" or scale > 0.0)

    def parameter_width(self, rank: int) -> int:
        """Width from which on the trained parameters are as many as the dimensions of attainable targets.

        Parameters
        ----------
        rank : int
            Dimension of the attainable targets of one output.

        Returns
        -------
        int
        """
        k = self.targets.shape[1]
        if self.layers == "last":
            return max(1, rank)
        rows = np.column_stack([self.inputs, np.ones(len(self.inputs))]) if self.is_biased else self.inputs
        activation: Activation = self.drawn["activation"]
        # A homogeneous neuron stays the same if one layer is multiplied and the other one divided.
        is_scaled = activation.homogeneous is not None and activation.homogeneous >= 1
        each = int(np.linalg.matrix_rank(rows)) + (k - is_scaled if self.layers == "both" else 0)
        return max(1, ceil(rank * k / max(1, each)))

    def train(self, width: int, seed: int) -> Training:
        """Draw a network and train it.

        Parameters
        ----------
        width : int
            Number of neurons m.
        seed : int
            Seed of `draw_network`.

        Returns
        -------
        Training
        """
        layer, coef = draw_network(self.inputs.shape[1], width, self.targets.shape[1], seed=seed, **self.drawn)
        layer = replace(layer, n_jobs=1)
        if self.method == "direct":
            return self._solved(layer)
        return self._descended(layer, coef) if self.layers == "last" else self._trained(layer, coef)

    def _trained(self, layer: FeatureMap, coef: FloatArray) -> Training:
        """Train hidden layers step by step."""
        if self.method == "gd":
            goal = 0.5 * self.loss_tol * self.size
            network = NarrowNetwork(self.inputs, self.targets, layer, coef, self.layers)
            value, n_steps = descend(network, goal, self.max_steps)
            return Training(layer.width, 2.0 * value / self.size, n_steps if value <= goal else None)
        objective = TwoLayer(self.inputs, self.targets, layer, coef, layers=self.layers)
        start = objective.initial()
        zero, first = 0.5 * self.size, objective.value(start)
        if first <= self.loss_tol * zero:
            return Training(layer.width, first / zero, 0)
        # The optimiser measures a loss by the first one.
        run = gauss_newton(objective, start, max_iter=self.max_steps, loss_tol=self.loss_tol * zero / first)
        is_reached = run.status is Status.CONVERGED
        return Training(layer.width, float(run.value[-1]) / zero, run.n_iter if is_reached else None)

    def _descended(self, layer: FeatureMap, coef: FloatArray) -> Training:
        """Gradient descent on the last layer in closed form, r_T = (I - eta Phi Phi^T)^T r_0."""
        features = layer.operator(self.inputs)
        values, vectors = np.linalg.eigh(gram_matrix(features))
        parts = np.sum((vectors.T @ (features @ coef - self.targets)) ** 2, axis=1) / self.size
        shrinkage = np.log1p(-SHARE * np.clip(values / values[-1], 0.0, 1.0)) if values[-1] > 0.0 else np.zeros(len(values))

        def loss(step: int) -> float:
            return float(np.exp(2 * step * shrinkage) @ parts)

        last = loss(self.max_steps)
        if last > self.loss_tol:
            return Training(layer.width, last, None)
        low, high = -1, self.max_steps
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if loss(middle) <= self.loss_tol else (middle, high)
        return Training(layer.width, loss(high), high)

    def _solved(self, layer: FeatureMap) -> Training:
        """Least squares on the last layer."""
        n = len(self.inputs)
        factor = layer(self.inputs)
        cutoff = rank_cutoff(factor.shape)
        if layer.width > n:
            factor = np.asarray(np.linalg.qr(factor.T, mode="r")).T
        # A pivoted QR shows the range for a fraction of the cost of singular vectors.
        left, triangle, _ = qr(factor, mode="economic", pivoting=True, check_finite=False)
        sizes = np.abs(np.diag(triangle))
        basis = left[:, sizes > cutoff * sizes.max()]
        rest = float(np.linalg.norm(self.targets - basis @ (basis.T @ self.targets)) ** 2) / self.size
        return Training(layer.width, rest, 0 if rest <= self.loss_tol else None)
