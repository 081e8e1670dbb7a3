"""Gradient steps on neighbour lists: exact, at the cost of the pairs that are active or nearly so."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined._kernels import active_set
from underdetermined._validation import check_memory
from underdetermined.active_sets._engine import Block
from underdetermined.active_sets._network import Network
from underdetermined.active_sets._pairs import TILE_SIZE, collect, pre_activations
from underdetermined.active_sets._room import Room
from underdetermined.blocks import slices

FloatArray = NDArray[np.float64]
Indices = NDArray[np.int64]

# Steps after which all lists are built anew, so that roundings of single steps cannot add up without end.
_RENEWAL = 1024
# Steps from one batch of refreshes to the next one.
_BATCH = 8
# Steps after which skins that are too large are looked for, besides those of a batch: the first skins are blind.
_TRIMS = (1, 2, 4)
# Skin before any step was taken, in units of the mean positive pre-activation.
_FIRST_SKIN = 0.5
# Room for a path to be longer than foreseen.
_RESERVE = 1.5
# A list is worth shortening if its skin is this many mean positive pre-activations too large.
_WORTH_A_TRIM = 0.1


class ListBlock(Block):
    """Neurons of a block with their lists.

    The list of a neuron holds every sample with z > -skin |(x, sigma)| at its last refresh. While the path of
    (w, b / sigma) since then is at most the skin, no other sample can be active.

    Parameters
    ----------
    network : Network
        Network to train; the block changes its own neurons.
    neurons : slice
        Which ones.
    has_skin : bool, default=True
        False refreshes every neuron at every step.
    """

    # Cost of a pre-activation in a refresh relative to one in a list.
    refresh_cost = 0.2

    def __init__(self, network: Network, neurons: slice, has_skin: bool = True) -> None:
        super().__init__(network, neurons)
        self.has_skin = has_skin
        size, (n, d) = neurons.stop - neurons.start, network.rows.shape
        self.room, self.count = Room(size), np.zeros(size, np.int64)
        self.samples, self.z = np.empty(0, np.int32), np.empty(0)
        self.skin, self.used, self.speed = (np.zeros(size) for _ in range(3))
        self.scratch = np.empty(n, np.int32), np.empty(n), np.empty(d), np.empty(size, np.int64)
        self.live, self.retired = np.arange(size), np.empty(0, np.int64)
        self.excess, self.age, self.decay = 1.0, 0, 1.0

    def begin(self, out: FloatArray) -> None:
        """Build all lists and write the outputs to `out`."""
        out[:] = 0.0
        self.live, self.retired = np.arange(len(self.biases)), np.empty(0, np.int64)
        self._set_excess(pre_activations(self.weights[:16], self.biases[:16], self.network.rows))
        self.used[:], self.speed[:], self.age, self.decay = 0.0, 0.0, 0, 1.0
        self.skin[:] = _FIRST_SKIN * self.excess / self.network.mean_norm if self.has_skin else 0.0
        self.n_active = self._refresh(self.live, out)
        self.n_visited = len(self.live) * len(self.network.rows)
        self._drop_dead()

    def step(self, rate: float, residual: FloatArray, out: FloatArray) -> None:
        """Take a step down the gradient of the weighted residual, and write the outputs after it to `out`."""
        out[:] = 0.0
        self.path_before[:] = self.path
        self.age += 1
        if self.age % _RENEWAL == 0:
            # No skin holds an infinite path.
            self.used[self.live] = np.inf
        is_batch = self.age % _BATCH == 0
        if self.has_skin and (is_batch or self.age - 1 in _TRIMS):
            self._trim()
        # Refreshes come together, at every few steps: a batch costs hardly more than a single one.
        horizon = self._path_ahead(_BATCH) if is_batch else 0.0
        before = float(self.speed[self.live].sum())
        stales, dead, self.n_active, self.n_visited = self._advance(rate, residual, horizon, out)
        if before > 0.0:
            self.decay = min(1.0, float(self.speed[self.live].sum()) / before)
        if stales:
            stale = self.scratch[3][:stales]
            self._choose_skins(stale)
            self.n_active += self._refresh(stale, out)
            self.n_visited += stales * len(self.network.rows)
        self.retired = self.retired[:0]
        if stales or dead:
            self._drop_dead()

    def _advance(
        self, rate: float, residual: FloatArray, horizon: float, out: FloatArray
    ) -> tuple[int, int, int, int]:
        """Step within the lists: how many neurons are stale, without outputs yet, or dead; active and visited pairs."""
        network = self.network
        self.before, self.weights = self.weights, self.before
        self.biases_before, self.biases = self.biases, self.biases_before
        # The other buffer is two steps old: what has died since is not there yet.
        self.weights[self.retired], self.biases[self.retired] = self.before[self.retired], self.biases_before[self.retired]
        return active_set.step(
            network.rows, network.bias_scale, self.before, self.biases_before, self.weights, self.biases, self.last,
            residual, rate, self.live, self.room.start, self.count, self.samples, self.z, horizon, self.skin, self.used,
            self.speed, self.path, out, *self.scratch,
        )  # fmt: skip

    def _set_excess(self, z: FloatArray) -> None:
        positive = z[z > 0.0]
        if positive.size:
            self.excess = float(positive.mean())

    def _choose_skins(self, stale: Indices) -> None:
        """Balance the pairs that a skin adds to every step against the refreshes that it saves.

        Near zero there are about active / (mean positive z) pairs for each unit of z. With skin s a neuron visits that
        number times s |x| pairs more in each step, and is refreshed every s / speed steps. A skin beyond what is left of
        the path, if speeds go on falling as they do, saves nothing.
        """
        self.used[stale] = 0.0
        if self.has_skin:
            self.skin[stale] = self._best_skins(stale)

    def _best_skins(self, neurons: Indices) -> FloatArray:
        density = max(self.n_active, 1) / max(len(self.live), 1) / self.excess * self.network.mean_norm
        with np.errstate(over="ignore", invalid="ignore"):
            balanced = np.sqrt(self.refresh_cost * len(self.network.rows) * self.speed[neurons] / density)
            return np.minimum(balanced, _RESERVE * self._path_ahead(_RENEWAL) * self.speed[neurons])

    def _path_ahead(self, steps: int) -> float:
        """Path of the next steps in units of the last one, if it goes on to decay as it did."""
        decay = self.decay
        return float(steps) if decay == 1.0 else decay * (1.0 - decay**steps) / (1.0 - decay)

    def _trim(self) -> None:
        """Shorten lists whose skin is far too large for the present speed.

        What is not listed has z <= -(skin - used) |(x, sigma)| by now, so that any smaller skin may start here.
        """
        best, left = self._best_skins(self.live), self.skin[self.live] - self.used[self.live]
        wide = left > np.maximum(2.0 * best, best + _WORTH_A_TRIM * self.excess / self.network.mean_norm)
        if np.count_nonzero(wide) <= len(self.live) // 4:
            return
        neurons = self.live[wide]
        self.skin[neurons], self.used[neurons] = best[wide], 0.0
        self._shorten(neurons)

    def _shorten(self, neurons: Indices) -> None:
        """Drop what the skins of some neurons no longer reach, and close the gaps."""
        network = self.network
        active_set.trim(
            neurons, self._thresholds(neurons), network.row_norms, self.room.start, self.count, self.samples, self.z
        )
        start, self.room = self.room.start, Room(len(self.count))
        if self.room.reserve(np.arange(len(self.count)), self.count):
            self._move(start)

    def _thresholds(self, neurons: Indices) -> FloatArray:
        """Rounding and skins of some neurons; the rounding of both sides of the comparison, and of the steps in between."""
        network, skin = self.network, self.skin[neurons]
        with np.errstate(over="ignore", invalid="ignore"):
            size = (np.linalg.norm(self.weights[neurons], axis=1) + skin) * np.max(network.row_norms, initial=0.0)
            size += np.abs(self.biases[neurons])
        return np.array([4.0 * (network.rows.shape[1] + 8 + _RENEWAL) * np.finfo(float).eps * size, skin])

    def _refresh(self, neurons: Indices, out: FloatArray) -> int:
        """Build the lists of some neurons anew and add their outputs; returns how many pairs are active."""
        network, active = self.network, 0
        for part in slices(len(neurons), max(1, TILE_SIZE // len(network.rows))):
            named = neurons[part]
            weights, biases = self.weights[named], self.biases[named]
            thresholds = self._thresholds(named) if self.has_skin else np.zeros((2, len(named)))
            count = np.empty(len(named), np.int64)
            samples, z = collect(weights, biases, network.rows, thresholds, network.row_norms, count)
            self._make_room(named, count)
            self.count[named] = count
            active += active_set.place(
                samples, z, named, self.room.start, self.count, self.samples, self.z, self.last, out
            )
        return active

    def _make_room(self, neurons: Indices, count: Indices) -> None:
        """Make room for new lists of some neurons."""
        start = self.room.start
        self.count[neurons] = 0
        if self.room.reserve(neurons, count):
            self._move(start)

    def _move(self, start: Indices) -> None:
        """Move all lists from their old places."""
        check_memory(12 * self.room.length, "the neighbour lists")
        self.samples, self.z = self._moved(start, self.samples), self._moved(start, self.z)

    def _moved(self, start: Indices, values: NDArray[Any]) -> NDArray[Any]:
        new = np.zeros(self.room.length, values.dtype)
        active_set.move(start, self.count, values, self.room.start, new)
        return new

    def _drop_dead(self) -> None:
        """A neuron without active samples has no gradient: it never moves again."""
        found = self.scratch[3]
        size = active_set.find_live(self.live, self.room.start, self.count, self.z, found)
        if size < len(self.live):
            live = found[:size].copy()
            self.retired = np.setdiff1d(self.live, live, assume_unique=True)
            self.live = live
        self.n_live = len(self.live)
