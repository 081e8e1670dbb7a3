"""Gradient steps on neighbour lists in kernel space: pre-activations change by Gram matrices of single lists."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from underdetermined._kernels import active_set
from underdetermined._validation import check_memory
from underdetermined.active_sets._cost import gram_limit
from underdetermined.active_sets._lists import ListBlock
from underdetermined.active_sets._network import Network
from underdetermined.active_sets._room import Room

FloatArray = NDArray[np.float64]
Indices = NDArray[np.int64]


class GramBlock(ListBlock):
    """Lists whose weights wait: neuron r is its weights at the last refresh minus coefficients times the rows of its list.

    A step with a active and c listed samples costs 2 a c flops and no row of X where the list is short, and 2 (a + c) d
    flops on rows where it is longer than half the number of inputs.

    Parameters
    ----------
    network : Network
        Network to train; the block changes its own neurons.
    neurons : slice
        Which ones.
    """

    # A listed pair costs little by itself, but its Gram entries must come from memory.
    refresh_cost = 0.03

    def __init__(self, network: Network, neurons: slice) -> None:
        super().__init__(network, neurons)
        self.gram, self.coefficients, self.coefficients_before = np.empty(0), np.empty(0), np.empty(0)
        self.gram_room = Room(len(self.biases))
        self.work = np.empty(len(network.rows))
        self.limit = gram_limit(network.rows.shape[1])
        self.moved: list[tuple[Indices, FloatArray, FloatArray]] = []
        self.moving = self.live

    def begin(self, out: FloatArray) -> None:
        """Build all lists and write the outputs to `out`."""
        self.coefficients[:] = 0.0
        self.moved = []
        super().begin(out)

    def _advance(
        self, rate: float, residual: FloatArray, horizon: float, out: FloatArray
    ) -> tuple[int, int, int, int]:
        # Of what has died since, the coefficients before the last step are not those before this one.
        self.moved, self.moving = [], self.live
        network = self.network
        chosen, factors, total, stale = self.scratch
        return active_set.step_gram(
            network.rows, network.bias_scale, network.row_norms, self.last, residual, rate, self.live, self.room.start,
            self.count, self.samples, self.z, self.limit, self.gram_room.start, self.gram, self.coefficients,
            self.coefficients_before, horizon, self.skin, self.used, self.speed, self.path, out, chosen, factors, self.work,
            total, stale,
        )  # fmt: skip

    def _refresh(self, neurons: Indices, out: FloatArray) -> int:
        network = self.network
        if len(self.coefficients):
            before, biases_before = self._with(self.coefficients_before, neurons)
            self.moved.append((neurons.copy(), before, biases_before))
            self.weights[neurons], self.biases[neurons] = self._with(self.coefficients, neurons)
        active = super()._refresh(neurons, out)
        self._make_gram_room(neurons)
        active_set.fill_gram(
            network.rows, network.bias_scale, neurons, self.room.start, self.count, self.samples, self.limit,
            self.gram_room.start, self.gram, self.coefficients,
        )  # fmt: skip
        return active

    def _with(self, coefficients: FloatArray, neurons: Indices) -> tuple[FloatArray, FloatArray]:
        """Weights and biases of some neurons with the given coefficients."""
        network = self.network
        weights, biases = self.weights[neurons], self.biases[neurons]
        active_set.add_rows(
            network.rows, network.bias_scale, neurons, self.room.start, self.count, self.samples, coefficients, weights,
            biases, self.scratch[2],
        )  # fmt: skip
        return weights, biases

    def _move(self, start: Indices) -> None:
        super()._move(start)
        self.coefficients = self._moved(start, self.coefficients)
        self.coefficients_before = self._moved(start, self.coefficients_before)

    def _shorten(self, neurons: Indices) -> None:
        every = np.arange(len(self.count))
        self.weights, self.biases = self._with(self.coefficients, every)
        # What does not live needs no list any more.
        kept = np.zeros(len(every), bool)
        kept[self.live] = True
        self.count[~kept] = 0
        self.coefficients[:], self.coefficients_before[:] = 0.0, 0.0
        super()._shorten(neurons)
        self.gram_room = Room(len(every))
        if self.gram_room.reserve(every, self._gram_sizes()):
            self.gram = np.empty(self.gram_room.length)
        active_set.fill_gram(
            self.network.rows, self.network.bias_scale, self.live, self.room.start, self.count, self.samples,
            self.limit, self.gram_room.start, self.gram, self.coefficients,
        )  # fmt: skip

    def _gram_sizes(self) -> Indices:
        return np.where(self.count <= self.limit, self.count**2, 0)

    def _make_gram_room(self, neurons: Indices) -> None:
        start, sizes = self.gram_room.start, self._gram_sizes()
        if self.gram_room.reserve(neurons, sizes[neurons]):
            check_memory(8 * self.gram_room.length, "the Gram matrices of the neighbour lists")
            # Those of the named neurons are about to be filled.
            sizes[neurons] = 0
            old, self.gram = self.gram, np.empty(self.gram_room.length)
            active_set.move(start, sizes, old, self.gram_room.start, self.gram)

    def undo(self) -> None:
        """Go back to the weights before the last step; `begin` must follow."""
        weights, biases = self._with(self.coefficients, np.arange(len(self.biases)))
        weights[self.moving], biases[self.moving] = self._with(self.coefficients_before, self.moving)
        for neurons, before, biases_before in self.moved:
            weights[neurons], biases[neurons] = before, biases_before
        self.weights, self.biases, self.path = weights, biases, self.path_before.copy()

    def finish(self) -> None:
        """Bring the weights of the network up to date."""
        weights, biases = self._with(self.coefficients, np.arange(len(self.biases)))
        self.network.weights[self.neurons], self.network.biases[self.neurons] = weights, biases
