"""The Jacobian of a two-layer network as an operator."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from underdetermined._matrix import TILE_ENTRIES
from underdetermined._validation import check_memory
from underdetermined.blocks import slices
from underdetermined.objectives._loss import quiet
from underdetermined.objectives._two_layer_gram import TwoLayerGram
from underdetermined.objectives._two_layer_layout import Layout
from underdetermined.objectives._two_layer_pull_back import PullBack
from underdetermined.objectives._two_layer_tiles import TwoLayerTiles

FloatArray = NDArray[np.float64]


class TwoLayerJacobian(LinearOperator):
    """J of shape (n k, p) in the order of a `Layout`.

    With t_i = sqrt(s_i), its entries in row (i, a) are t_i v_ra Phi'_ir x_ij for the weight (j, r), t_i scale_r Phi_ir for
    the coefficient (r, a), and t_i for the output bias a.

    Parameters
    ----------
    tiles : TwoLayerTiles
        Phi, Phi' and X, a column of ones included where there are biases.
    layout : Layout
        Which parameters there are.
    root : ndarray of shape (n, 1)
        Square roots of the sample weights.
    last : ndarray of shape (m, k)
        V, coefficients times scale.
    scale : ndarray of shape (m, 1) or (1, 1)
        Scale of the features.
    """

    def __init__(
        self, tiles: TwoLayerTiles, layout: Layout, root: FloatArray, last: FloatArray, scale: FloatArray
    ) -> None:
        self._tiles, self._layout, self._root, self._last = tiles, layout, root, last
        self._scale = np.broadcast_to(scale, (len(last), 1))
        super().__init__(np.dtype(np.float64), (len(root) * last.shape[1], layout.n_parameters))

    def _matmat(self, right: FloatArray) -> FloatArray:
        tiles, (n, k), count = self._tiles, (len(self._root), self._last.shape[1]), right.shape[1]
        with quiet():
            parts = [self._directions(column) for column in np.array(right.T, dtype=np.float64)]
        result = np.empty((n, k, count))
        for rows in tiles.each_block():

            def term(index: int, values: FloatArray, derivatives: FloatArray, rows: slice = rows) -> FloatArray:
                neurons, total = tiles.panels[index], np.zeros((rows.stop - rows.start, k, count))
                for column, (hidden, coef, _) in enumerate(parts):
                    if hidden is not None:
                        change = tiles.inputs[rows] @ hidden[:, neurons]
                        change *= derivatives
                        total[:, :, column] = change @ self._last[neurons]
                    if coef is not None:
                        total[:, :, column] += values @ coef[neurons]
                return total.reshape(len(total), -1)

            result[rows] = tiles.total(rows, term, k * count).reshape(-1, k, count)
        with quiet():
            for column, (_, _, intercept) in enumerate(parts):
                if intercept is not None:
                    result[:, :, column] += intercept
            result *= self._root[:, :, np.newaxis]
        return result.reshape(n * k, count)

    def _directions(self, column: FloatArray) -> tuple[FloatArray | None, FloatArray | None, FloatArray | None]:
        """Parts of a vector of parameters, those of the coefficients times scale."""
        hidden, coef, intercept = self._layout.split(column)
        return hidden, None if coef is None else self._scale * coef, intercept

    def _rmatmat(self, right: FloatArray) -> FloatArray:
        products = [PullBack(self._tiles, self._layout, self._last, self._scale) for _ in range(right.shape[1])]
        with quiet():
            weighted = self._root * np.array(right.T, dtype=np.float64).reshape(len(products), len(self._root), -1)
        for rows in self._tiles.each_block():
            for product, part in zip(products, weighted, strict=True):
                product.add(rows, part[rows])
        return np.stack([product.result() for product in products], axis=1)

    def _matvec(self, x: FloatArray) -> FloatArray:
        return self._matmat(np.reshape(x, (-1, 1)))[:, 0]

    def _rmatvec(self, x: FloatArray) -> FloatArray:
        return self._rmatmat(np.reshape(x, (-1, 1)))[:, 0]

    def column_tiles(self) -> Iterator[tuple[slice, FloatArray]]:
        """Stream J by columns: those of one input for some neurons, or of the coefficients of some neurons, at a time.

        Yields
        ------
        columns : slice
            Columns of this tile.
        tile : ndarray of shape (n k, t)
            All rows of these columns.
        """
        inputs, (m, k) = self._tiles.inputs, self._last.shape
        hidden, last, _ = self._layout.sizes
        for index, panel in enumerate(self._tiles.panels):
            values, derivatives = self._tiles.panel(index)
            for part in slices(values.shape[1], max(64, TILE_ENTRIES // (len(inputs) * k))):
                first, stop = panel.start + part.start, panel.start + part.stop
                if hidden:
                    with quiet():
                        factors = self._root[:, :, np.newaxis] * derivatives[:, np.newaxis, part] * self._last[first:stop].T
                    for j in range(len(inputs.T)):
                        with quiet():
                            tile = inputs[:, j, np.newaxis, np.newaxis] * factors
                        yield slice(j * m + first, j * m + stop), tile.reshape(len(inputs) * k, -1)
                if last:
                    with quiet():
                        features = self._root * values[:, part] * self._scale[first:stop, 0]
                        # Coefficients of one output do nothing for the others.
                        units = features[:, np.newaxis, :, np.newaxis] * np.eye(k)[:, np.newaxis]
                    yield slice(hidden + k * first, hidden + k * stop), units.reshape(len(inputs) * k, -1)
        if self._layout.has_intercept:
            ones = self._root[:, :, np.newaxis] * np.eye(k)
            yield slice(hidden + last, hidden + last + k), ones.reshape(-1, k)

    def dense(self) -> FloatArray:
        """J as a new array.

        Returns
        -------
        ndarray of shape (n k, p), C order

        Raises
        ------
        MemoryError
            If it cannot fit.
        """
        check_memory(8 * self.shape[0] * self.shape[1], "the {} x {} Jacobian".format(*self.shape))
        result = np.empty(self.shape)
        for columns, tile in self.column_tiles():
            result[:, columns] = tile
        return result

    def gram(self) -> FloatArray:
        """J J.T.

        Returns
        -------
        ndarray of shape (n k, n k)
            New and exactly symmetric.

        Raises
        ------
        MemoryError
            If it cannot fit.
        """
        return self._gram.full() if self._last.shape[1] > 1 else self._gram.mean_block()

    def output_gram(self) -> FloatArray:
        """Mean over the outputs of the diagonal blocks of J J.T.

        Returns
        -------
        ndarray of shape (n, n)
            New and exactly symmetric.

        Raises
        ------
        MemoryError
            If it cannot fit.
        """
        return self._gram.mean_block()

    @property
    def _gram(self) -> TwoLayerGram:
        return TwoLayerGram(self._tiles, self._layout, self._root, self._last, self._scale)
