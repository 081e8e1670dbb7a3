"""What moves a network: blocks of neurons that take a step each, whichever way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from underdetermined.active_sets._blocks import Run, neuron_blocks
from underdetermined.active_sets._network import Network

FloatArray = NDArray[np.float64]


class Block:
    """Neurons of a block, at the last step and at the one before.

    Parameters
    ----------
    network : Network
        Network to train; the block changes its own neurons.
    neurons : slice
        Which ones.
    """

    def __init__(self, network: Network, neurons: slice) -> None:
        self.network, self.neurons = network, neurons
        self.weights, self.biases = network.weights[neurons].copy(), network.biases[neurons].copy()
        self.before, self.biases_before = self.weights.copy(), self.biases.copy()
        self.last = network.last[neurons]
        self.path, self.path_before = np.zeros(len(self.biases)), np.zeros(len(self.biases))
        self.n_active = self.n_visited = self.n_live = 0

    def begin(self, out: FloatArray) -> None:
        """Write the outputs of the weights as they are to `out`."""
        raise NotImplementedError

    def step(self, rate: float, residual: FloatArray, out: FloatArray) -> None:
        """Take a step down the gradient of the weighted residual, and write the outputs after it to `out`."""
        raise NotImplementedError

    def undo(self) -> None:
        """Go back to the weights before the last step; `begin` must follow."""
        self.path = self.path_before.copy()
        self.weights, self.biases = self.before.copy(), self.biases_before.copy()

    def finish(self) -> None:
        """Bring the weights of the network up to date."""
        self.network.weights[self.neurons], self.network.biases[self.neurons] = self.weights, self.biases


class Engine:
    """All blocks of a network, on threads.

    Parameters
    ----------
    network : Network
        Network to train in place.
    run : callable
        Threads, from `workers`.
    block : callable
        Makes a block from the network and a slice of neurons.
    """

    def __init__(self, network: Network, run: Run, block: Callable[[Network, slice], Block]) -> None:
        self.run, self.network = run, network
        self.blocks = [block(network, cut) for cut in neuron_blocks(len(network.weights))]
        # Outputs of every block on its own, summed in one order.
        self.outputs = np.zeros((len(self.blocks), *network.targets.shape))
        self.pairs = list(zip(self.blocks, self.outputs, strict=True))

    def begin(self) -> FloatArray:
        """Outputs of the weights as they are, shape (n, k)."""
        self.run(lambda pair: pair[0].begin(pair[1]), self.pairs)
        return self.outputs.sum(axis=0)

    def step(self, rate: float, residual: FloatArray) -> FloatArray:
        """Take one step and return the outputs after it, shape (n, k)."""
        self.run(lambda pair: pair[0].step(rate, residual, pair[1]), self.pairs)
        return self.outputs.sum(axis=0)

    def undo(self) -> None:
        """Go back to the weights before the last step; `begin` must follow."""
        for block in self.blocks:
            block.undo()

    def finish(self) -> None:
        """Bring the weights of the network up to date."""
        for block in self.blocks:
            block.finish()

    def total(self, name: str) -> int:
        """Sum of a counter, such as "n_active", over the blocks."""
        return sum(getattr(block, name) for block in self.blocks)

    @property
    def path(self) -> FloatArray:
        """Length of the path of every neuron, shape (m,)."""
        return np.concatenate([block.path for block in self.blocks])
