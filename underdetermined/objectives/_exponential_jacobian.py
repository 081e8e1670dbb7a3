"""The Jacobian of a layer of exponentials as an operator, and its Gram matrix."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from underdetermined._linalg import add_outer_gram, mirror_lower
from underdetermined._matrix import TILE_ENTRIES
from underdetermined._validation import check_memory
from underdetermined.blocks import scratch, single_threaded_blas, slices
from underdetermined.objectives._exponential_pull_back import PullBack
from underdetermined.objectives._exponential_tiles import ExponentialTiles, Group

FloatArray = NDArray[np.float64]


class ExponentialJacobian(LinearOperator):
    """J of shape (n k, d m), J[(i, a), (j, r)] = sqrt(s_i) v_ra E_ir x_ij.

    Parameters
    ----------
    tiles : ExponentialTiles
        E.
    root : ndarray of shape (n, 1)
        Square roots of the sample weights.
    last : ndarray of shape (m, k)
        The v_r.

    Notes
    -----
    Where E has at most 2**24 entries it is kept, and a product with J and one with J.T cost 4 n m d flops; beyond that,
    exponentials are computed again and a pair costs 8 n m d. The matrix itself is never held.
    """

    def __init__(self, tiles: ExponentialTiles, root: FloatArray, last: FloatArray) -> None:
        self._tiles, self._root, self._last = tiles, root, last
        (n, d), (m, k) = tiles.inputs.shape, last.shape
        super().__init__(np.dtype(np.float64), (n * k, d * m))

    def _matmat(self, right: FloatArray) -> FloatArray:
        tiles, last = self._tiles, self._last
        (d, m), k = tiles.weights.shape, last.shape[1]
        directions = np.ascontiguousarray(right, dtype=np.float64).T.reshape(-1, d, m)

        def term(rows: slice, group: Group, found: list[FloatArray]) -> FloatArray:
            result = np.zeros((rows.stop - rows.start, k, len(directions)))
            for neurons, tile in zip(group, found, strict=True):
                change = scratch(tile.shape, tile.dtype)
                for column, direction in enumerate(directions):
                    np.matmul(tiles.inputs[rows], direction[:, neurons], out=change)
                    change *= tile
                    result[:, :, column] += change @ last[neurons]
            return result.reshape(len(result), -1)

        with single_threaded_blas(), _quiet():
            total = tiles.sum_over_neurons(term, k * len(directions))
            return (self._root * total).reshape(-1, len(directions))

    def _rmatmat(self, right: FloatArray) -> FloatArray:
        columns = np.asarray(right, dtype=np.float64).T
        result = np.empty((len(columns), self.shape[1]))
        with single_threaded_blas(), _quiet():
            for column, image in zip(columns, result, strict=True):
                product = PullBack(self._tiles, self._last)
                product.add(self._root * column.reshape(len(self._root), -1))
                image[:] = product.result().ravel()
        return result.T

    def _matvec(self, x: FloatArray) -> FloatArray:
        return self._matmat(np.reshape(x, (-1, 1)))[:, 0]

    def _rmatvec(self, x: FloatArray) -> FloatArray:
        return self._rmatmat(np.reshape(x, (-1, 1)))[:, 0]

    def _panel(self, neurons: slice) -> FloatArray:
        """Rows of E times the square roots of the sample weights."""
        panel = np.empty((len(self._root), neurons.stop - neurons.start))

        def add(rows: slice, _: slice, tile: FloatArray) -> None:
            np.multiply(tile, self._root[rows], out=panel[rows])

        self._tiles.visit_panels(add, panels=[neurons])
        return panel

    def column_tiles(self) -> Iterator[tuple[slice, FloatArray]]:
        """Stream J by columns: those of one input for a panel of neurons at a time.

        Yields
        ------
        columns : slice
            Columns of this tile; they come in the order of the panels.
        tile : ndarray of shape (n k, t)
            All rows of these columns.
        """
        (n, d), (m, k) = self._tiles.inputs.shape, self._last.shape
        for neurons in self._tiles.panels:
            panel = self._panel(neurons)
            for part in slices(panel.shape[1], max(64, TILE_ENTRIES // (n * k))):
                first = neurons.start + part.start
                last = self._last[first : neurons.start + part.stop]
                with _quiet():
                    block = (panel[:, np.newaxis, part] * last.T).reshape(n * k, -1)
                for j in range(d):
                    with _quiet():
                        tile = np.repeat(self._tiles.inputs[:, j], k)[:, np.newaxis] * block
                    yield slice(j * m + first, j * m + first + len(last)), tile

    def row_tiles(self) -> Iterator[tuple[slice, FloatArray]]:
        """Stream J by rows: all outputs of some samples at a time.

        Yields
        ------
        rows : slice
            Rows of this tile.
        tile : ndarray of shape (t, d m)
            All columns of these rows.
        """
        tiles, last = self._tiles, self._last
        (m, k), inputs = last.shape, self._root * tiles.inputs
        for rows in slices(len(inputs), max(1, TILE_ENTRIES // (self.shape[1] * k))):
            with _quiet():
                activations = tiles.compute(rows, slice(0, m), np.empty((rows.stop - rows.start, m)))
                outputs = activations[:, np.newaxis] * last.T
                tile = inputs[rows, np.newaxis, :, np.newaxis] * outputs[:, :, np.newaxis]
            yield slice(k * rows.start, k * rows.stop), tile.reshape(-1, self.shape[1])

    def gram(self) -> FloatArray:
        """J J.T, a new and exactly symmetric array.

        Returns
        -------
        ndarray of shape (n k, n k)

        Raises
        ------
        MemoryError
            If it cannot fit.
        """
        (n, _), k = self._tiles.inputs.shape, self._last.shape[1]
        check_memory(8 * n**2 * (2 if k == 1 else k**2 + 4), f"the {n * k} x {n * k} Gram matrix")
        inner = np.zeros((n, n), order="F")
        add_outer_gram(inner, self._tiles.inputs)
        with _quiet():
            return self._gram_of_one(inner) if k == 1 else self._gram_of_many(mirror_lower(inner))

    def _gram_of_one(self, inner: FloatArray) -> FloatArray:
        gram = np.zeros_like(inner)
        for neurons in self._tiles.panels:
            add_outer_gram(gram, self._panel(neurons) * self._last[neurons, 0])
        gram *= inner
        return mirror_lower(gram)

    def _gram_of_many(self, inner: FloatArray) -> FloatArray:
        n, k = len(inner), self._last.shape[1]
        result = np.zeros((n, k, n, k))
        pairs = [(a, b) for a in range(k) for b in range(a + 1)]
        for neurons in self._tiles.panels:
            panel, last = self._panel(neurons), self._last[neurons]
            for a, b in pairs:
                result[:, a, :, b] += (panel * (last[:, a] * last[:, b])) @ panel.T
        for a, b in pairs:
            # Rounded products of a symmetric matrix need not be symmetric.
            block = mirror_lower(result[:, a, :, b] * inner)
            result[:, a, :, b] = result[:, b, :, a] = block
        return result.reshape(n * k, n * k)


def _quiet() -> np.errstate:
    """Overflow gives inf or nan without a warning, as in every method of an objective."""
    return np.errstate(over="ignore", invalid="ignore")
