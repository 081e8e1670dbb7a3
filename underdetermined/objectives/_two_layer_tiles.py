"""Activations and derivatives of a hidden layer in tiles of rows and neurons, each pair computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from underdetermined.activations import Activation
from underdetermined.blocks import run_tiles, single_threaded_blas, slices
from underdetermined.objectives._loss import quiet

FloatArray = NDArray[np.float64]

# Neurons of a panel: a few panels for the threads, each wide enough for the BLAS. Fewest rows of a block.
NEURONS, ROWS = (256, 1024), 64
# Numbers of a block: few where that keeps it in the cache, and at most 128 MiB of activations and derivatives.
CACHED, KEPT = 2**18, 2**24


class TwoLayerTiles:
    """sigma(X W) and sigma'(X W) in panels of neurons and blocks of rows.

    The cuts depend on n and m alone, and sums over tiles have one order, so that no bit depends on the number of threads.
    Any number of threads may call the methods: they wait for each other while tiles are being computed.

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
    with_derivatives : bool
        Whether sigma' is wanted; without, there is an array of shape (rows, 0) in its place.
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
        with_derivatives: bool,
        keeps: bool = False,
    ) -> None:
        n, m = len(inputs), hidden.shape[1]
        self.inputs, self.n_jobs = inputs, n_jobs
        self._hidden, self._activation, self._with_derivatives = hidden, activation, with_derivatives
        self.panels = slices(m, min(NEURONS[1], max(NEURONS[0], -(-m // 512) * 64)))
        size = m * (1 + with_derivatives)
        height = min(n, max(ROWS, CACHED // size), max(1, KEPT // size))
        self.blocks = slices(n, height)
        self._keeps = keeps and n * size <= KEPT
        # Starts of the blocks whose tiles are in the buffers.
        self._ready: set[int] = set()
        self._lock = Lock()
        rows = n if self._keeps else height
        self._buffers = [self._empty(rows, index) for index in range(len(self.panels))]

    def _empty(self, n_rows: int, index: int) -> tuple[FloatArray, FloatArray]:
        width = self.panels[index].stop - self.panels[index].start
        return np.empty((n_rows, width)), np.empty((n_rows, width * self._with_derivatives))

    def _compute(self, rows: slice, index: int, values: FloatArray, derivatives: FloatArray) -> None:
        np.matmul(self.inputs[rows], self._hidden[:, self.panels[index]], out=values)
        if self._with_derivatives:
            self._activation.apply_with_derivative(values, derivatives)
        else:
            self._activation.apply(values)

    @property
    def _is_complete(self) -> bool:
        return self._keeps and len(self._ready) == len(self.blocks)

    def each_block(self) -> Iterator[slice]:
        """Go down the blocks of rows, with the BLAS held at one thread.

        Yields
        ------
        slice
            Rows, of which `visit` may be called until the next block is asked for.
        """
        with nullcontext() if self._is_complete else self._lock, single_threaded_blas():
            yield from self.blocks

    def visit(self, rows: slice, use: Callable[[int, FloatArray, FloatArray], object]) -> None:
        """Visit the tiles of a block, a task for each panel.

        Parameters
        ----------
        rows : slice
            The block, one that `each_block` has just yielded.
        use : callable
            Called as ``use(index, values, derivatives)`` with the place of the panel in `panels`; what it writes must belong
            to this panel alone.
        """
        first, is_ready = 0 if self._keeps else rows.start, rows.start in self._ready

        def task(index: int) -> None:
            values, derivatives = (array[rows.start - first : rows.stop - first] for array in self._buffers[index])
            # Each thread has a floating-point state of its own.
            with quiet():
                if not is_ready:
                    self._compute(rows, index, values, derivatives)
                use(index, values, derivatives)

        run_tiles(task, range(len(self.panels)), n_jobs=self.n_jobs)
        self._ready = self._ready | {rows.start} if self._keeps else {rows.start}

    def total(
        self, rows: slice, term: Callable[[int, FloatArray, FloatArray], FloatArray], n_columns: int
    ) -> FloatArray:
        """Sum over the panels of a block.

        Parameters
        ----------
        rows : slice
            The block, one that `each_block` has just yielded.
        term : callable
            ``term(index, values, derivatives)`` returns an array of shape (rows, n_columns).
        n_columns : int
            Columns of the sum.

        Returns
        -------
        ndarray of shape (rows, n_columns)
            A new array.
        """
        parts = np.empty((len(self.panels), rows.stop - rows.start, n_columns))

        def use(index: int, values: FloatArray, derivatives: FloatArray) -> None:
            parts[index] = term(index, values, derivatives)

        self.visit(rows, use)
        with quiet():
            return parts.sum(axis=0)

    def panel(self, index: int) -> tuple[FloatArray, FloatArray]:
        """All rows of a panel.

        Parameters
        ----------
        index : int
            Its place in `panels`.

        Returns
        -------
        values, derivatives : ndarray of shape (n, t)
            Not to be written to.
        """
        if self._is_complete:
            return self._buffers[index]
        found = self._empty(len(self.inputs), index)

        def task(rows: slice) -> None:
            with quiet():
                self._compute(rows, index, *(array[rows] for array in found))

        run_tiles(task, self.blocks, n_jobs=self.n_jobs)
        return found
