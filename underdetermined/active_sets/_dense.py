"""Gradient steps by two matrix products over blocks of neurons: best where many pairs are active."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from underdetermined._kernels import masks
from underdetermined.active_sets._engine import Block
from underdetermined.active_sets._network import Network
from underdetermined.active_sets._pairs import TILE_SIZE, pre_activations
from underdetermined.blocks import slices

FloatArray = NDArray[np.float64]


class DenseBlock(Block):
    """Neurons of a block, with one bit for each pair: whether it is active.

    Parameters
    ----------
    network : Network
        Network to train; the block changes its own neurons.
    neurons : slice
        Which ones.
    """

    def __init__(self, network: Network, neurons: slice) -> None:
        super().__init__(network, neurons)
        self.bits = np.zeros((len(self.biases), -(-len(network.rows) // 8)), np.uint8)
        self.tiles = slices(len(self.biases), max(1, TILE_SIZE // len(network.rows)))

    def begin(self, out: FloatArray) -> None:
        """Write the outputs of the weights as they are to `out`."""
        self._reset(out)
        for part in self.tiles:
            self._forward(part, out)

    def step(self, rate: float, residual: FloatArray, out: FloatArray) -> None:
        """Take a step down the gradient of the weighted residual, and write the outputs after it to `out`."""
        self._reset(out)
        self.path_before[:] = self.path
        network = self.network
        self.before, self.weights = self.weights, self.before
        self.biases_before, self.biases = self.biases, self.biases_before
        for part in self.tiles:
            factors = np.empty((part.stop - part.start, len(network.rows)))
            masks.masked_factors(self.bits[part], self.last[part], residual, factors)
            with np.errstate(over="ignore", invalid="ignore"):
                change, sums = factors @ network.rows, network.bias_scale * factors.sum(axis=1)
                self.weights[part] = self.before[part] - rate * change
                self.biases[part] = self.biases_before[part] - rate * network.bias_scale * sums
                self.path[part] += rate * np.hypot(np.linalg.norm(change, axis=1), sums)
            self._forward(part, out)

    def _reset(self, out: FloatArray) -> None:
        out[:] = 0.0
        self.n_active = self.n_live = 0
        self.n_visited = len(self.biases) * len(self.network.rows)

    def _forward(self, part: slice, out: FloatArray) -> None:
        tile = pre_activations(self.weights[part], self.biases[part], self.network.rows)
        bits = self.bits[part]
        self.n_active += masks.pack_signs(tile, bits)
        self.n_live += int(np.count_nonzero(bits.any(axis=1)))
        with np.errstate(over="ignore", invalid="ignore"):
            np.maximum(tile, 0.0, out=tile)
            out += tile.T @ self.last[part]
