"""Gradient steps on neighbour lists: exact, at the cost of the pairs that are active or nearly so."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from underdetermined._kernels import active_set
from underdetermined._validation import check_memory
from underdetermined.active_sets._blocks import Run, neuron_blocks
from underdetermined.active_sets._network import Network
from underdetermined.active_sets._pairs import TILE_SIZE, pre_activations
from underdetermined.blocks import slices

FloatArray = NDArray[np.float64]
Indices = NDArray[np.int64]

# Roundings of a pre-activation, in units of (d + 8) eps times the largest size of its terms, of both sides of a comparison.
_ROUNDINGS = 4.0
# Skin before any step was taken, in units of the mean positive pre-activation.
_FIRST_SKIN = 0.25
# Cost of a pre-activation in a refresh relative to one in a list.
REFRESH_COST = 0.3


class ListBlock:
    """Neurons of a block with their lists.

    The list of a neuron holds every sample with z > -skin |(x, sigma)| at its last refresh. While the path of
    (w, b / sigma) since then is at most the skin, no other sample can be active.

    Parameters
    ----------
    network : Network
        Network to train; the block changes its own neurons.
    neurons : slice
        Which ones.
    has_skin : bool
        False refreshes every neuron at every step.
    """

    def __init__(self, network: Network, neurons: slice, has_skin: bool) -> None:
        self.network, self.has_skin = network, has_skin
        self.weights, self.biases, self.last = network.weights[neurons], network.biases[neurons], network.last[neurons]
        size, (n, d) = neurons.stop - neurons.start, network.rows.shape
        self.live = np.arange(size)
        self.start, self.capacity, self.count = (np.zeros(size, np.int64) for _ in range(3))
        self.samples, self.z = np.empty(0, np.int32), np.empty(0)
        self.skin, self.used, self.speed, self.path = (np.zeros(size) for _ in range(4))
        self.scratch = np.empty(n, np.int32), np.empty(n), np.empty(d), np.empty(size, np.int64)
        self.excess = 1.0
        self.n_active = self.n_visited = 0

    def begin(self, out: FloatArray) -> None:
        """Build all lists and add the outputs to `out`."""
        out[:] = 0.0
        self._set_excess(pre_activations(self.weights[:16], self.biases[:16], self.network.rows))
        if self.has_skin:
            self.skin[:] = _FIRST_SKIN * self.excess / max(float(np.mean(self.network.row_norms)), 1e-300)
        self.n_active = self._refresh(self.live, out)
        self.n_visited = len(self.live) * len(self.network.rows)
        self._drop_dead()

    def step(self, rate: float, residual: FloatArray, out: FloatArray) -> None:
        """Take a step down the gradient of the weighted residual, and write the outputs after it to `out`."""
        out[:] = 0.0
        network = self.network
        chosen, factors, total, stale = self.scratch
        stales, self.n_active, self.n_visited = active_set.step(
            network.rows, network.bias_scale, self.weights, self.biases, self.last, residual, rate, self.live, self.start,
            self.count, self.samples, self.z, self.skin, self.used, self.speed, self.path, out, chosen, factors, total,
            stale,
        )  # fmt: skip
        if stales:
            self._choose_skins(stale[:stales])
            self.n_active += self._refresh(stale[:stales], out)
            self.n_visited += stales * len(network.rows)
        self._drop_dead()

    def _set_excess(self, z: FloatArray) -> None:
        positive = z[z > 0.0]
        if positive.size:
            self.excess = float(positive.mean())

    def _choose_skins(self, stale: Indices) -> None:
        """Balance the pairs that a skin adds to every step against the refreshes that it saves.

        Near zero there are about active / (mean positive z) pairs for each unit of z. With skin s a neuron visits that
        number times s |x| pairs more in each step, and is refreshed every s / speed steps.
        """
        self.used[stale] = 0.0
        if self.has_skin:
            network = self.network
            density = max(self.n_active, 1) / len(self.live) / self.excess * float(np.mean(network.row_norms))
            self.skin[stale] = np.sqrt(REFRESH_COST * len(network.rows) * self.speed[stale] / density)

    def _refresh(self, neurons: Indices, out: FloatArray) -> int:
        """Build the lists of some neurons anew and add their outputs; returns how many pairs are active."""
        network, active = self.network, 0
        n, d = network.rows.shape
        largest = float(np.max(network.row_norms, initial=0.0))
        for part in slices(len(neurons), max(1, TILE_SIZE // n)):
            named = neurons[part]
            weights, biases = self.weights[named], self.biases[named]
            tile = pre_activations(weights, biases, network.rows)
            skin = self.skin[named]
            size = (np.linalg.norm(weights, axis=1) + skin) * largest + np.abs(biases)
            margin = _ROUNDINGS * (d + 8) * np.finfo(float).eps * size if self.has_skin else np.zeros(len(named))
            thresholds = np.array([margin, skin])
            count = np.empty(len(named), np.int64)
            active_set.count_above(tile, thresholds, network.row_norms, count)
            self._make_room(named, count)
            active += active_set.fill_lists(
                tile, thresholds, network.row_norms, named, self.start, self.count, self.samples, self.z, self.last, out
            )
        return active

    def _make_room(self, neurons: Indices, count: Indices) -> None:
        """Move the lists apart if one of the new ones would not fit; a quarter more than needed keeps that rare."""
        if np.all(count <= self.capacity[neurons]):
            return
        self.count[neurons] = 0
        self.capacity[neurons] = np.maximum(self.capacity[neurons], count + count // 4 + 4)
        start = np.cumsum(self.capacity) - self.capacity
        total = int(start[-1] + self.capacity[-1])
        check_memory(12 * total, "the neighbour lists")
        samples, z = np.empty(total, np.int32), np.empty(total)
        active_set.move_lists(self.start, self.count, self.samples, self.z, start, samples, z)
        self.start, self.samples, self.z = start, samples, z

    def _drop_dead(self) -> None:
        """A neuron without active samples has no gradient: it never moves again."""
        found = self.scratch[3]
        size = active_set.find_live(self.live, self.start, self.count, self.z, found)
        if size < len(self.live):
            self.live = found[:size].copy()


class Lists:
    """All blocks of a network.

    Parameters
    ----------
    network : Network
        Network to train in place.
    run : callable
        Threads, from `workers`.
    has_skin : bool, default=True
        False refreshes every neuron at every step: the forward pass is dense, the backward pass sees active pairs only.
    """

    def __init__(self, network: Network, run: Run, has_skin: bool = True) -> None:
        self.run = run
        cuts = neuron_blocks(len(network.weights))
        self.outputs = np.zeros((len(cuts), *network.targets.shape))
        self.blocks = [ListBlock(network, cut, has_skin) for cut in cuts]
        self.pairs = list(zip(self.blocks, self.outputs, strict=True))

    def begin(self) -> FloatArray:
        """Outputs at the start, shape (n, k)."""
        self.run(lambda pair: pair[0].begin(pair[1]), self.pairs)
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
        return sum(block.n_visited for block in self.blocks)

    @property
    def n_live(self) -> int:
        """Neurons that are active somewhere."""
        return sum(len(block.live) for block in self.blocks)

    @property
    def path(self) -> FloatArray:
        """Length of the path of every neuron, shape (m,)."""
        return np.concatenate([block.path for block in self.blocks])
