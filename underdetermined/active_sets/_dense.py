"""Gradient steps by two matrix products over blocks of neurons: best where many pairs are active."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from underdetermined._kernels import active_set
from underdetermined.active_sets._blocks import Run, neuron_blocks
from underdetermined.active_sets._network import Network
from underdetermined.active_sets._pairs import TILE_SIZE, pre_activations
from underdetermined.blocks import slices

FloatArray = NDArray[np.float64]


class DenseBlock:
    """Neurons of a block, with one bit for each pair: whether it is active.

    Parameters
    ----------
    network : Network
        Network to train; the block changes its own neurons.
    neurons : slice
        Which ones.
    """

    def __init__(self, network: Network, neurons: slice) -> None:
        self.network = network
        self.weights, self.biases, self.last = network.weights[neurons], network.biases[neurons], network.last[neurons]
        self.path = np.zeros(len(self.biases))
        self.bits = np.zeros((len(self.biases), -(-len(network.rows) // 8)), np.uint8)
        self.tiles = slices(len(self.biases), max(1, TILE_SIZE // len(network.rows)))
        self.n_active = 0

    def forward(self, out: FloatArray) -> None:
        """Write the outputs to `out`."""
        out[:] = 0.0
        self.n_active = 0
        for part in self.tiles:
            self._forward(part, out)

    def _forward(self, part: slice, out: FloatArray) -> None:
        tile = pre_activations(self.weights[part], self.biases[part], self.network.rows)
        self.n_active += active_set.pack_signs(tile, self.bits[part])
        with np.errstate(over="ignore", invalid="ignore"):
            np.maximum(tile, 0.0, out=tile)
            out += tile.T @ self.last[part]

    def step(self, rate: float, residual: FloatArray, out: FloatArray) -> None:
        """Take a step down the gradient of the weighted residual, and write the outputs after it to `out`."""
        network = self.network
        out[:] = 0.0
        self.n_active = 0
        for part in self.tiles:
            factors = np.empty((part.stop - part.start, len(network.rows)))
            active_set.masked_factors(self.bits[part], self.last[part], residual, factors)
            with np.errstate(over="ignore", invalid="ignore"):
                change, sums = factors @ network.rows, network.bias_scale * factors.sum(axis=1)
                self.weights[part] -= rate * change
                self.biases[part] -= rate * network.bias_scale * sums
                self.path[part] += rate * np.hypot(np.linalg.norm(change, axis=1), sums)
            self._forward(part, out)

    @property
    def n_live(self) -> int:
        """Neurons that are active somewhere."""
        return int(np.count_nonzero(self.bits.any(axis=1)))


class Dense:
    """All blocks of a network.

    Parameters
    ----------
    network : Network
        Network to train in place.
    run : callable
        Threads, from `workers`.
    """

    def __init__(self, network: Network, run: Run) -> None:
        self.network, self.run = network, run
        cuts = neuron_blocks(len(network.weights))
        self.outputs = np.zeros((len(cuts), *network.targets.shape))
        self.blocks = [DenseBlock(network, cut) for cut in cuts]
        self.pairs = list(zip(self.blocks, self.outputs, strict=True))

    def begin(self) -> FloatArray:
        """Outputs at the start, shape (n, k)."""
        self.run(lambda pair: pair[0].forward(pair[1]), self.pairs)
        return self.outputs.sum(axis=0)

    def step(self, rate: float, residual: FloatArray) -> FloatArray:
        """Take one step and return the outputs after it, shape (n, k)."""
        self.run(lambda pair: pair[0].step(rate, residual, pair[1]), self.pairs)
        return self.outputs.sum(axis=0)

    def finish(self) -> None:
        """Bring the weights of the network up to date."""

    @property
    def n_active(self) -> int:
        """Active pairs."""
        return sum(block.n_active for block in self.blocks)

    @property
    def n_visited(self) -> int:
        """Pairs whose pre-activation the last step computed."""
        return len(self.network.weights) * len(self.network.rows)

    @property
    def n_live(self) -> int:
        """Neurons that are active somewhere."""
        return sum(block.n_live for block in self.blocks)

    @property
    def path(self) -> FloatArray:
        """Length of the path of every neuron, shape (m,)."""
        return np.concatenate([block.path for block in self.blocks])
