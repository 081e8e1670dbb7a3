"""The network that a training run changes in place, laid out for loops over neurons."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from underdetermined.features import FeatureMap
from underdetermined.objectives.sparse_relu import SparseReLU

FloatArray = NDArray[np.float64]


@dataclass(eq=False)
class Network:
    """Weights neuron by neuron, and the rows that have weight in the loss.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Rows with s_i > 0.
    targets : ndarray of shape (n, k)
        Their targets.
    sample_weight : ndarray of shape (n, 1)
        Their weights s_i.
    bias_scale : float
        sigma.
    weights : ndarray of shape (m, d)
        W, a row for each neuron.
    biases : ndarray of shape (m,)
        Biases.
    last : ndarray of shape (m, k)
        The v_r.
    row_norms : ndarray of shape (n,)
        Euclidean norms of the rows (x_i, sigma): how far z_ir moves at most when neuron r moves by 1.
    order : ndarray of int, shape (m,)
        The neuron of the objective that stands at each place: equal ones side by side, because they share their active rows.
    """

    rows: FloatArray
    targets: FloatArray
    sample_weight: FloatArray
    bias_scale: float
    weights: FloatArray
    biases: FloatArray
    last: FloatArray
    row_norms: FloatArray
    order: NDArray[np.intp]

    @property
    def mean_norm(self) -> float:
        """Mean of the norms; positive."""
        return max(float(np.mean(self.row_norms)), float(np.finfo(float).tiny))

    @classmethod
    def of(cls, objective: SparseReLU) -> Network:
        """Copy the start of an objective.

        Parameters
        ----------
        objective : SparseReLU
            Loss and start.

        Returns
        -------
        Network
        """
        layer, kept = objective.feature_map, objective.sample_weight > 0.0
        rows = np.ascontiguousarray(objective.X[kept])
        order = np.argsort(layer.weights[0], kind="stable")
        return cls(
            rows=rows,
            targets=objective.targets[kept],
            sample_weight=objective.sample_weight[kept, np.newaxis],
            bias_scale=objective.bias_scale,
            weights=np.ascontiguousarray(layer.weights.T[order]),
            biases=objective.biases[order],
            last=np.ascontiguousarray(objective.output_weights[order]),
            row_norms=np.hypot(np.linalg.norm(rows, axis=1), objective.bias_scale),
            order=order,
        )

    def feature_map(self, start: FeatureMap) -> FeatureMap:
        """Hidden layer as it is now.

        Parameters
        ----------
        start : FeatureMap
            The layer at the start, for everything but weights and biases.

        Returns
        -------
        FeatureMap
        """
        return replace(start, weights=np.ascontiguousarray(self.restored(self.weights).T), biases=self.restored(self.biases))

    def restored(self, values: FloatArray) -> FloatArray:
        """Values of all neurons in the order of the objective.

        Parameters
        ----------
        values : ndarray of shape (m, ...)
            Values in the order of this network.

        Returns
        -------
        ndarray
            A copy.
        """
        result = np.empty_like(values)
        result[self.order] = values
        return result
