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
    """

    rows: FloatArray
    targets: FloatArray
    sample_weight: FloatArray
    bias_scale: float
    weights: FloatArray
    biases: FloatArray
    last: FloatArray
    row_norms: FloatArray

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
        return cls(
            rows=rows,
            targets=objective.targets[kept],
            sample_weight=objective.sample_weight[kept, np.newaxis],
            bias_scale=objective.bias_scale,
            weights=np.array(layer.weights.T, order="C"),
            biases=objective.biases.copy(),
            last=np.ascontiguousarray(objective.output_weights),
            row_norms=np.hypot(np.linalg.norm(rows, axis=1), objective.bias_scale),
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
        return replace(start, weights=np.array(self.weights.T, order="C"), biases=self.biases.copy())
