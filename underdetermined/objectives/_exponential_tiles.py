"""Exponentials of pre-activations in tiles of rows and neurons, each computed once and kept as long as it fits."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from underdetermined.activations import get_activation
from underdetermined.blocks import run_tiles, scratch, slices

FloatArray = NDArray[np.float64]
Group = tuple[slice, ...]
Block = list[slice]

# Rows of a tile, and neurons: a few panels for the threads, each wide enough for the BLAS.
ROWS, NEURONS = 256, (512, 2048)
# Entries of a block of rows: few where that keeps it in the cache, at most 128 MiB where one block spans many neurons.
CACHED, KEPT = 2**20, 2**24

# A product of two matrices with entries up to this does not overflow.
SAFE = 1e150

_exponential = get_activation("exp")


class ExponentialTiles:
    """E = exp(X W - c |x|^2) in tiles, every one of which has a place of its own in one buffer.

    The cuts depend on n and m alone, and sums over tiles have one order, so that no bit depends on the number of threads.
    Any number of threads may call the methods: those that need the buffer wait for each other.

    Parameters
    ----------
    inputs : ndarray of shape (n, d)
        X.
    shift : ndarray of shape (n,) or None
        c |x|^2; None where c is zero.
    weights : ndarray of shape (d, m)
        W.
    is_paired : bool
        Whether the second half of the neurons repeats the first with opposite coefficients.
    n_jobs : int or None
        Threads.
    keeps : bool, default=False
        Whether all tiles are to be kept where n m allows it: then no exponential is ever computed twice.
    """

    def __init__(
        self,
        inputs: FloatArray,
        shift: FloatArray | None,
        weights: FloatArray,
        is_paired: bool,
        n_jobs: int | None,
        *,
        keeps: bool = False,
    ) -> None:
        n, m = len(inputs), weights.shape[1]
        self.inputs, self.shift, self.weights, self.n_jobs = inputs, shift, weights, n_jobs
        half = m // 2 if is_paired else 0
        width = min(NEURONS[1], max(NEURONS[0], -(-(half or m) // 512) * 64))
        first = slices(half or m, width)
        # Neurons whose tiles go into one sum; a pair of panels that are cut alike and so rounded alike.
        self.groups = [(part, slice(part.start + half, part.stop + half)) if half else (part,) for part in first]
        self.panels = [part for position in zip(*self.groups, strict=True) for part in position]
        self.height = min(ROWS, n, max(8, KEPT // m))
        count = max(1, CACHED // (m * self.height))
        rows = slices(n, self.height)
        self.blocks = [rows[start : start + count] for start in range(0, len(rows), count)]
        self._keeps, self._done = keeps and n * m <= KEPT, False
        self._lock = Lock()
        self._buffer = np.empty(m * (n if self._keeps else min(n, count * self.height)))

    def compute(self, rows: slice, neurons: slice, out: FloatArray) -> FloatArray:
        """Compute a tile.

        Parameters
        ----------
        rows, neurons : slice
            Which one.
        out : ndarray of shape (rows, neurons)
            Where; C-contiguous.

        Returns
        -------
        ndarray of shape (rows, neurons)
            The same array.
        """
        np.matmul(self.inputs[rows], self.weights[:, neurons], out=out)
        if self.shift is not None:
            out -= self.shift[rows, np.newaxis]
        _exponential.apply(out)
        return out

    def _place(self, block: Block, rows: slice, neurons: slice) -> FloatArray:
        """Place of a tile in the buffer."""
        height, width = rows.stop - rows.start, neurons.stop - neurons.start
        first = rows.start if self._keeps else rows.start - block[0].start
        start = self.weights.shape[1] * first + height * neurons.start
        return self._buffer[start : start + height * width].reshape(height, width)

    def _tile(self, block: Block, rows: slice, neurons: slice) -> FloatArray:
        """A tile in its place in the buffer, computed unless it is there."""
        place = self._place(block, rows, neurons)
        return place if self._done else self.compute(rows, neurons, place)

    def sum_over_neurons(
        self,
        term: Callable[[slice, Group, list[FloatArray]], FloatArray],
        n_columns: int,
        *,
        after: Callable[[Block, FloatArray], object] | None = None,
    ) -> FloatArray:
        """Sum of terms, each of one tile or of a pair of tiles, finished block by block.

        Parameters
        ----------
        term : callable
            ``term(rows, group, tiles)``, with the panels of one group and their tiles, returns an array of shape
            (rows, n_columns).
        n_columns : int
            Columns of the sum.
        after : callable or None, default=None
            Called as ``after(block, total)`` after every block, when its tiles are in the buffer.

        Returns
        -------
        ndarray of shape (n, n_columns)
        """
        with nullcontext() if self._done else self._lock:
            return self._sum_over_neurons(term, n_columns, after)

    def _sum_over_neurons(
        self,
        term: Callable[[slice, Group, list[FloatArray]], FloatArray],
        n_columns: int,
        after: Callable[[Block, FloatArray], object] | None,
    ) -> FloatArray:
        total = np.empty((len(self.inputs), n_columns))
        for block in self.blocks:
            start, stop = block[0].start, block[-1].stop
            parts = np.empty((len(self.groups), stop - start, n_columns))

            def task(job: tuple[slice, int], block: Block = block, parts: FloatArray = parts) -> None:
                rows, index = job
                group, first = self.groups[index], block[0].start
                # Each thread has a floating-point state of its own.
                with np.errstate(over="ignore", invalid="ignore"):
                    tiles = [self._tile(block, rows, neurons) for neurons in group]
                    parts[index, rows.start - first : rows.stop - first] = term(rows, group, tiles)

            jobs = [(rows, index) for rows in block for index in range(len(self.groups))]
            run_tiles(task, jobs, n_jobs=self.n_jobs)
            with np.errstate(over="ignore", invalid="ignore"):
                np.sum(parts, axis=0, out=total[start:stop])
            if after is not None:
                after(block, total)
        self._done = self._keeps
        return total

    def visit_panels(
        self,
        add: Callable[[slice, slice, FloatArray], object],
        *,
        block: Block | None = None,
        panels: list[slice] | None = None,
    ) -> None:
        """Visit tiles panel by panel; a panel belongs to one thread, which goes down the rows.

        Parameters
        ----------
        add : callable
            Called as ``add(rows, neurons, tile)``; what it writes must belong to the neurons.
        block : list of slice or None, default=None
            Block whose tiles are in the buffer; None visits all rows.
        panels : list of slice or None, default=None
            Some of `panels`; None visits all of them.
        """

        def task(neurons: slice) -> None:
            with np.errstate(over="ignore", invalid="ignore"):
                for rows in block or [rows for found in self.blocks for rows in found]:
                    if block or self._done:
                        tile = self._place(block or self.blocks[0], rows, neurons)
                    else:
                        shape = (rows.stop - rows.start, neurons.stop - neurons.start)
                        tile = self.compute(rows, neurons, scratch(shape, np.dtype(np.float64)))
                    add(rows, neurons, tile)

        run_tiles(task, panels or self.panels, n_jobs=self.n_jobs)

    def extremes(self) -> tuple[float, float]:
        """Largest and smallest pre-activation.

        Returns
        -------
        largest, smallest : float
            Infinite only where a pre-activation itself overflows.
        """
        factors, parts = [], []
        for array in (self.inputs, self.weights):
            size = max(float(array.max()), -float(array.min()))
            # Powers of two, so that nothing is rounded.
            factors.append(2.0 ** (np.frexp(size)[1] - 1) if size > SAFE else 1.0)
            parts.append(array / factors[-1] if size > SAFE else array)
        inputs, weights = parts
        jobs = [(rows, neurons) for block in self.blocks for rows in block for neurons in self.panels]
        found = np.empty((len(jobs), 2))

        def task(index: int) -> None:
            rows, neurons = jobs[index]
            tile = inputs[rows] @ weights[:, neurons]
            with np.errstate(over="ignore", invalid="ignore"):
                tile *= factors[0]
                tile *= factors[1]
                if self.shift is not None:
                    tile -= self.shift[rows, np.newaxis]
            found[index] = tile.max(), tile.min()

        run_tiles(task, range(len(jobs)), n_jobs=self.n_jobs)
        return float(found[:, 0].max()), float(found[:, 1].min())
