"""The tangent Gram matrix of a two-layer network, without its Jacobian."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from underdetermined._linalg import add_outer_gram, mirror_lower
from underdetermined._validation import check_memory
from underdetermined.blocks import run_tiles, slices
from underdetermined.objectives._loss import quiet
from underdetermined.objectives._two_layer_layout import Layout
from underdetermined.objectives._two_layer_tiles import TwoLayerTiles

FloatArray = NDArray[np.float64]

# Rows of a product of which only the lower triangle is wanted.
_ROWS = 128


class TwoLayerGram:
    """The blocks K_ab of J J.T of shape (n, n), one for each pair of outputs.

    With t_i = sqrt(s_i), V the coefficients times scale and o the entrywise product,

        K_ab = t t.T o {X X.T o (Phi' diag(v_ra v_rb) Phi'.T) + [a = b] (Phi diag(scale_r^2) Phi.T + [output biases])},

    of which only the lower triangles are computed.

    Parameters
    ----------
    tiles : TwoLayerTiles
        Phi, Phi' and X.
    layout : Layout
        Which parameters there are: the first term belongs to the hidden layer, the second to the last one.
    root : ndarray of shape (n, 1)
        t.
    last : ndarray of shape (m, k)
        V.
    scale : ndarray of shape (m, 1)
        Scale of the features.
    """

    def __init__(
        self, tiles: TwoLayerTiles, layout: Layout, root: FloatArray, last: FloatArray, scale: FloatArray
    ) -> None:
        self._tiles, self._layout, self._root, self._last, self._scale = tiles, layout, root, last, scale

    def mean_block(self) -> FloatArray:
        """Mean of the K_aa, which is K itself for one output.

        Returns
        -------
        ndarray of shape (n, n)
        """
        n = len(self._root)
        check_memory(3 * 8 * n**2, f"the {n} x {n} Gram matrix")
        with quiet():
            factors = _root_mean_square(self._last)
            hidden, last = self._zeros(), self._zeros()
            for index, neurons in enumerate(self._tiles.panels):
                values, derivatives = self._tiles.panel(index)
                if self._layout.has_hidden:
                    add_outer_gram(hidden, derivatives * factors[neurons])
                self._add_features(last, values, neurons)
            if self._layout.has_hidden:
                hidden *= self._inner()
                last += hidden
            return mirror_lower(self._weighted(last))

    def full(self) -> FloatArray:
        """K.

        Returns
        -------
        ndarray of shape (n k, n k)
        """
        n, k = len(self._root), self._last.shape[1]
        check_memory(8 * n**2 * (k**2 + 4), f"the {n * k} x {n * k} Gram matrix")
        result, features = np.zeros((n, k, n, k)), self._zeros()
        pairs = [(a, b) for a in range(k) for b in range(a + 1)]
        with quiet():
            for index, neurons in enumerate(self._tiles.panels):
                values, derivatives = self._tiles.panel(index)
                self._add_features(features, values, neurons)
                if self._layout.has_hidden:
                    self._add_pairs(result, pairs, derivatives, self._last[neurons])
            inner = self._inner()
            for a, b in pairs:
                block = result[:, a, :, b] * inner
                if a == b:
                    block += features
                # Rounded products of a symmetric matrix need not be symmetric.
                block = mirror_lower(self._weighted(block) if a == b else block * self._root * self._root.T)
                result[:, a, :, b] = result[:, b, :, a] = block
        return result.reshape(n * k, n * k)

    def _zeros(self) -> FloatArray:
        return np.zeros((len(self._root), len(self._root)), order="F")

    def _inner(self) -> FloatArray:
        """Lower X X.T."""
        inner = self._zeros()
        add_outer_gram(inner, self._tiles.inputs)
        return inner

    def _add_features(self, gram: FloatArray, values: FloatArray, neurons: slice) -> None:
        if self._layout.has_last:
            add_outer_gram(gram, values * self._scale[neurons, 0])

    def _add_pairs(
        self, result: FloatArray, pairs: list[tuple[int, int]], derivatives: FloatArray, last: FloatArray
    ) -> None:
        def task(job: tuple[int, int, slice]) -> None:
            a, b, rows = job
            with quiet():
                scaled = derivatives[rows] * (last[:, a] * last[:, b])
                result[rows, a, : rows.stop, b] += scaled @ derivatives[: rows.stop].T

        jobs = [(a, b, rows) for a, b in pairs for rows in slices(len(derivatives), _ROWS)]
        run_tiles(task, jobs, n_jobs=self._tiles.n_jobs)

    def _weighted(self, lower: FloatArray) -> FloatArray:
        """A diagonal block with its output bias and the sample weights."""
        if self._layout.has_intercept:
            lower += 1.0
        lower *= self._root
        lower *= self._root.T
        return lower


def _root_mean_square(rows: FloatArray) -> FloatArray:
    """Root mean square of each row, scaled so that squares do not overflow."""
    size = np.abs(rows).max(axis=1, keepdims=True)
    size[size == 0.0] = 1.0
    return size[:, 0] * np.sqrt(np.mean((rows / size) ** 2, axis=1))
