"""The Jacobian of a two-layer network as an operator, as an array, and its Gram matrix."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from underdetermined._linalg import add_outer_gram, mirror_lower
from underdetermined._matrix import tile_slices
from underdetermined._validation import check_memory
from underdetermined.blocks import slices
from underdetermined.objectives._two_layer_layout import Layout
from underdetermined.objectives._two_layer_pull_back import PullBack
from underdetermined.objectives._two_layer_tiles import TwoLayerTiles

FloatArray = NDArray[np.float64]


class TwoLayerJacobian(LinearOperator):
    """J of shape (n k, p) in the order of a `Layout`.

    With t_i = sqrt(s_i), its entries in row (i, a) are t_i v_ra Phi'_ir x_ij for the weight (j, r), t_i scale_r Phi_ir for the
    coefficient (r, a), and t_i for the output bias a.

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
        k = self._last.shape[1]
        parts = [self._layout.split(np.array(column, dtype=np.float64)) for column in np.transpose(right)]
        coefs = [None if coef is None else self._scale * coef for _, coef, _ in parts]

        def term(rows: slice, neurons: slice, values: FloatArray, derivatives: FloatArray | None) -> FloatArray:
            result = np.zeros((rows.stop - rows.start, k, len(parts)))
            for column, (hidden, _, _) in enumerate(parts):
                if hidden is not None and derivatives is not None:
                    change = self._tiles.inputs[rows] @ hidden[:, neurons]
                    change *= derivatives
                    result[:, :, column] += change @ self._last[neurons]
                coef = coefs[column]
                if coef is not None:
                    result[:, :, column] += values @ coef[neurons]
            return result.reshape(len(result), -1)

        total = self._tiles.sum_over_neurons(term, k * len(parts)).reshape(-1, k, len(parts))
        with _quiet():
            for column, (_, _, intercept) in enumerate(parts):
                if intercept is not None:
                    total[:, :, column] += intercept
            total *= self._root[:, :, np.newaxis]
        return total.reshape(self.shape[0], -1)

    def _rmatmat(self, right: FloatArray) -> FloatArray:
        columns = np.asarray(right, dtype=np.float64).T
        result = np.empty((len(columns), self.shape[1]))
        for column, image in zip(columns, result, strict=True):
            product = PullBack(self._tiles, self._layout, self._last, self._scale)
            with _quiet():
                weighted = self._root * column.reshape(len(self._root), -1)
            product.add(weighted)
            image[:] = product.result()
        return result.T

    def _matvec(self, x: FloatArray) -> FloatArray:
        return self._matmat(np.reshape(x, (-1, 1)))[:, 0]

    def _rmatvec(self, x: FloatArray) -> FloatArray:
        return self._rmatmat(np.reshape(x, (-1, 1)))[:, 0]

    def column_tiles(self) -> Iterator[tuple[slice, FloatArray]]:
        """Stream J by columns.

        Yields
        ------
        columns : slice
            Columns of this tile.
        tile : ndarray of shape (n k, t)
            All rows of these columns.
        """
        for columns in tile_slices(self.shape[1], self.shape[0]):
            units = np.zeros((self.shape[1], columns.stop - columns.start))
            units[columns] = np.eye(columns.stop - columns.start)
            yield columns, self._matmat(units)

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
        (n, d), (m, k) = self._tiles.inputs.shape, self._last.shape
        check_memory(8 * self.shape[0] * self.shape[1], f"the {self.shape[0]} x {self.shape[1]} Jacobian")
        result = np.zeros((n, k, self.shape[1]))
        hidden, last, _ = self._layout.sizes
        slopes = result[:, :, :hidden].reshape(n, k, d, -1) if hidden else None
        coefs = result[:, :, hidden : hidden + last].reshape(n, k, -1, k) if last else None

        def add(rows: slice, neurons: slice, values: FloatArray, derivatives: FloatArray | None) -> None:
            for a in range(k):
                if slopes is not None and derivatives is not None:
                    back = self._root[rows] * derivatives * self._last[neurons, a]
                    slopes[rows, a, :, neurons] = self._tiles.inputs[rows, :, np.newaxis] * back[:, np.newaxis]
                if coefs is not None:
                    coefs[rows, a, neurons, a] = self._root[rows] * values * self._scale[neurons, 0]

        self._tiles.visit(add)
        if self._layout.has_intercept:
            for a in range(k):
                result[:, a, hidden + last + a] = self._root[:, 0]
        return result.reshape(self.shape)

    def output_gram(self) -> FloatArray:
        """Mean over the outputs of the diagonal blocks of J J.T, a new and exactly symmetric array.

        Returns
        -------
        ndarray of shape (n, n)

        Raises
        ------
        MemoryError
            If it cannot fit.
        """
        n = len(self._root)
        check_memory(8 * n**2 * 3, f"the {n} x {n} Gram matrix")
        with _quiet():
            size = np.abs(self._last).max(axis=1, keepdims=True)
            size[size == 0.0] = 1.0
            # Squares of the quotients cannot overflow.
            factors = size[:, 0] * np.sqrt(np.mean((self._last / size) ** 2, axis=1))
            gram = self._weighted_gram(factors)
            if gram is not None:
                inner = np.zeros((n, n), order="F")
                add_outer_gram(inner, self._tiles.inputs)
                gram *= inner
            last = self._feature_gram()
            total = last if gram is None else gram if last is None else gram + last
            assert total is not None
            return self._finish(total)

    def _finish(self, lower: FloatArray) -> FloatArray:
        """Output biases, sample weights, and the other triangle."""
        if self._layout.has_intercept:
            lower += 1.0
        lower *= self._root
        lower *= self._root.T
        return mirror_lower(lower)

    def _weighted_gram(self, factors: FloatArray) -> FloatArray | None:
        """Lower Phi' diag(factors^2) Phi'.T."""
        if not self._layout.has_hidden:
            return None
        gram = np.zeros((len(self._root), len(self._root)), order="F")
        for index, neurons in enumerate(self._tiles.panels):
            derivatives = self._tiles.panel(index)[1]
            assert derivatives is not None
            add_outer_gram(gram, derivatives * factors[neurons])
        return gram

    def _feature_gram(self) -> FloatArray | None:
        """Lower Gram matrix of the scaled features."""
        if not self._layout.has_last:
            return None
        gram = np.zeros((len(self._root), len(self._root)), order="F")
        for index, neurons in enumerate(self._tiles.panels):
            add_outer_gram(gram, self._tiles.panel(index)[0] * self._scale[neurons, 0])
        return gram

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
        return self.output_gram() if self._last.shape[1] == 1 else self._gram_of_many()

    def _gram_of_many(self) -> FloatArray:
        n, k = len(self._root), self._last.shape[1]
        check_memory(8 * n**2 * (k**2 + 4), f"the {n * k} x {n * k} Gram matrix")
        result = np.zeros((n, k, n, k))
        pairs = [(a, b) for a in range(k) for b in range(a + 1)]
        with _quiet():
            if self._layout.has_hidden:
                for index, neurons in enumerate(self._tiles.panels):
                    derivatives, last = self._tiles.panel(index)[1], self._last[neurons]
                    assert derivatives is not None
                    for a, b in pairs:
                        scaled = derivatives * (last[:, a] * last[:, b])
                        for rows in slices(n, 128):
                            result[rows, a, : rows.stop, b] += scaled[rows] @ derivatives[: rows.stop].T
                inner = self._tiles.inputs @ self._tiles.inputs.T
                for a, b in pairs:
                    result[:, a, :, b] *= inner
            features = self._feature_gram()
            for a, b in pairs:
                block = result[:, a, :, b]
                if a == b and features is not None:
                    block = block + features
                if a == b and self._layout.has_intercept:
                    block = block + 1.0
                block = mirror_lower(self._root * block * self._root.T)
                result[:, a, :, b] = result[:, b, :, a] = block
        return result.reshape(n * k, n * k)


def _quiet() -> np.errstate:
    """Overflow gives inf or nan without a warning, as in every method of an objective."""
    return np.errstate(over="ignore", invalid="ignore")
