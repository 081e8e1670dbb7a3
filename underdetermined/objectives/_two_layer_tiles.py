"""Activations and derivatives of a hidden layer in tiles of rows and neurons, each pair computed once."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from underdetermined.activations import Activation
from underdetermined.blocks import run_tiles, single_threaded_blas, slices

FloatArray = NDArray[np.float64]
Tile = tuple[FloatArray, FloatArray | None]

# Neurons of a panel: a few for the threads, each wide enough for the BLAS. Rows of a block.
NEURONS, ROWS = (256, 1024), (64, 256)
# Numbers of a block: few where that keeps it in the cache, and at most 128 MiB of activations and derivatives.
CACHED, KEPT = 2**20, 2**24


class TwoLayerTiles:
    """sigma(X W) and, if asked for, sigma'(X W), in panels of neurons and blocks of rows.

    The cuts depend on n and m alone, and sums over tiles have one order, so that no bit depends on the number of threads.
    Any number of threads may call the methods: they wait for each other while the buffer is being filled.

    Parameters
    ----------
    inputs : ndarray of shape (n, d)
        X; a column of ones stands for biases.
    hidden : ndarray of shape (d, m)
        W.
    activation : Activation
        sigma.
    n_jobs : int or None
        Threads.
    with_derivative : bool
        Whether sigma' is wanted.
    keeps : bool, default=False
        Whether all tiles are to be kept where they fit in 128 MiB: then none is ever computed twice.
    """

    def __init__(
        self,
        inputs: FloatArray,
        hidden: FloatArray,
        activation: Activation,
        n_jobs: int | None,
        *,
        with_derivative: bool,
        keeps: bool = False,
    ) -> None:
        n, m = len(inputs), hidden.shape[1]
        self.inputs, self.hidden, self.n_jobs = inputs, hidden, n_jobs
        self._activation = activation
        count = 2 if with_derivative else 1
        self.panels = slices(m, min(NEURONS[1], max(NEURONS[0], -(-m // 512) * 64)))
        height = min(n, ROWS[1], max(ROWS[0], CACHED // (count * m)), max(1, KEPT // (count * m)))
        self.blocks = slices(n, height)
        self._keeps, self._done = keeps and count * n * m <= KEPT, False
        self._lock = Lock()
        size = n if self._keeps else height
        self._buffers = [np.empty((count, size, part.stop - part.start)) for part in self.panels]

    def _tile(self, rows: slice, index: int) -> Tile:
        """A tile in its place in the buffer, computed unless it is there."""
        place = self._place(rows, index)
        if not self._done:
            values, derivatives = place
            np.matmul(self.inputs[rows], self.hidden[:, self.panels[index]], out=values)
            if derivatives is None:
                self._activation.apply(values)
            else:
                derivatives[:] = values
                self._activation.apply_derivative(derivatives)
                self._activation.apply(values)
        return place

    def _place(self, rows: slice, index: int) -> Tile:
        first = 0 if self._keeps else rows.start
        found = self._buffers[index][:, rows.start - first : rows.stop - first]
        return found[0], found[1] if len(found) == 2 else None

    def sum_over_neurons(
        self,
        term: Callable[[slice, slice, FloatArray, FloatArray | None], FloatArray],
        n_columns: int,
        after: Callable[[slice, FloatArray], object] | None = None,
    ) -> FloatArray:
        """Sum of terms, each of one tile, finished block by block.

        Parameters
        ----------
        term : callable
            ``term(rows, neurons, values, derivatives)`` returns an array of shape (rows, n_columns).
        n_columns : int
            Columns of the sum.
        after : callable or None, default=None
            Called as ``after(rows, total)`` with the sum of every block, when its tiles are in the buffer.

        Returns
        -------
        ndarray of shape (n, n_columns)
        """
        total = np.empty((len(self.inputs), n_columns))
        with self._lock, single_threaded_blas():
            for rows in self.blocks:
                parts = np.empty((len(self.panels), rows.stop - rows.start, n_columns))

                def task(index: int, rows: slice = rows, parts: FloatArray = parts) -> None:
                    # Each thread has a floating-point state of its own.
                    with np.errstate(over="ignore", invalid="ignore"):
                        parts[index] = term(rows, self.panels[index], *self._tile(rows, index))

                run_tiles(task, range(len(self.panels)), n_jobs=self.n_jobs)
                with np.errstate(over="ignore", invalid="ignore"):
                    np.sum(parts, axis=0, out=total[rows])
                if after is not None:
                    after(rows, total[rows])
            self._done = self._keeps
        return total

    def visit(
        self, add: Callable[[slice, slice, FloatArray, FloatArray | None], object], block: slice | None = None
    ) -> None:
        """Visit tiles; a panel belongs to one thread, which goes down the rows.

        Parameters
        ----------
        add : callable
            Called as ``add(rows, neurons, values, derivatives)``; what it writes must belong to the neurons.
        block : slice or None, default=None
            Rows whose tiles are in the buffer, while it is held; None visits all rows.
        """
        if block is None and not self._done:
            with self._lock, single_threaded_blas():
                self._visit(add, self.blocks, self._tile)
                self._done = self._keeps
        else:
            self._visit(add, [block or slice(0, len(self.inputs))], self._place)

    def _visit(
        self,
        add: Callable[[slice, slice, FloatArray, FloatArray | None], object],
        blocks: list[slice],
        found: Callable[[slice, int], Tile],
    ) -> None:
        def task(index: int) -> None:
            with np.errstate(over="ignore", invalid="ignore"):
                for rows in blocks:
                    add(rows, self.panels[index], *found(rows, index))

        with single_threaded_blas():
            run_tiles(task, range(len(self.panels)), n_jobs=self.n_jobs)

    def panel(self, index: int) -> Tile:
        """All rows of one panel.

        Parameters
        ----------
        index : int
            Its place in `panels`.

        Returns
        -------
        values : ndarray of shape (n, t)
            Not to be written to.
        derivatives : ndarray of shape (n, t) or None
            Likewise.
        """
        if self._done:
            return self._place(slice(0, len(self.inputs)), index)
        with self._lock, single_threaded_blas():
            tiles = [[np.array(part) for part in self._tile(rows, index) if part is not None] for rows in self.blocks]
        found = [np.concatenate(parts) for parts in zip(*tiles, strict=True)]
        return found[0], found[1] if len(found) == 2 else None
