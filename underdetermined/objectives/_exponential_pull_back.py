"""Products with the transposed Jacobian of a layer of exponentials, summed block by block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from underdetermined.objectives._exponential_tiles import Block, ExponentialTiles
from underdetermined.objectives._tiles import add_product, outer

FloatArray = NDArray[np.float64]


class PullBack:
    """The sum X.T (E o (R V.T)) of shape (d, m) over blocks of rows.

    Parameters
    ----------
    tiles : ExponentialTiles
        E and X.
    last : ndarray of shape (m, k)
        V.
    """

    def __init__(self, tiles: ExponentialTiles, last: FloatArray) -> None:
        self._tiles, self._last = tiles, last
        d, m = tiles.weights.shape
        # Panel by panel, so that BLAS can add to each in place.
        self._slopes = np.zeros(d * m)

    def _panel(self, neurons: slice) -> FloatArray:
        d = len(self._tiles.weights)
        return self._slopes[d * neurons.start : d * neurons.stop].reshape(d, -1)

    def add(self, weighted: FloatArray, block: Block | None = None) -> None:
        """Add the terms of some rows.

        Parameters
        ----------
        weighted : ndarray of shape (rows, k)
            R, of these rows.
        block : list of slice or None, default=None
            Block whose tiles are in the buffer; None for all rows.
        """
        first, stop = (block[0].start, block[-1].stop) if block else (0, len(self._tiles.inputs))
        inputs, is_single = self._tiles.inputs[first:stop], self._last.shape[1] == 1
        if is_single:
            # One output: factors of the rows go to X, which is narrow, and those of the neurons come last.
            with np.errstate(over="ignore", invalid="ignore"):
                inputs = weighted * inputs

        def add(rows: slice, neurons: slice, tile: FloatArray) -> None:
            local = slice(rows.start - first, rows.stop - first)
            factors = tile if is_single else outer(weighted[local], self._last[neurons]) * tile
            add_product(inputs[local], factors, self._panel(neurons))

        self._tiles.visit_panels(add, block=block)

    def result(self) -> FloatArray:
        """Return the sum.

        Returns
        -------
        ndarray of shape (d, m)
            A new array.
        """
        total = np.empty(self._tiles.weights.shape)
        for neurons in self._tiles.panels:
            factors = self._last[neurons, 0] if self._last.shape[1] == 1 else 1.0
            with np.errstate(over="ignore", invalid="ignore"):
                np.multiply(self._panel(neurons), factors, out=total[:, neurons])
        return total
