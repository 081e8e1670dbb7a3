"""The tangent Gram matrix of a two-layer network, without its Jacobian."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from underdetermined._linalg import add_outer_gram, column_norms
from underdetermined._validation import check_memory
from underdetermined.blocks import run_tiles, slices
from underdetermined.objectives._loss import quiet
from underdetermined.objectives._two_layer_layout import Layout
from underdetermined.objectives._two_layer_tiles import TwoLayerTiles

FloatArray = NDArray[np.float64]

# Rows of a product of which only the upper triangle is wanted.
_ROWS = 64


class TwoLayerGram:
    """The blocks K_ab of J J.T of shape (n, n), one for each pair of outputs.

    With t_i = sqrt(s_i), V the coefficients times scale and o the entrywise product,

        K_ab = t t.T o {X X.T o (Phi' diag(v_ra v_rb) Phi'.T) + [a = b] (Phi diag(scale_r^2) Phi.T + [output biases])},

    of which only the upper triangles are computed.

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
        check_memory(2 * 8 * n**2, f"the {n} x {n} Gram matrix")
        hidden, total = _zeros(n if self._layout.has_hidden else 0), self._last_layer()
        with quiet():
            factors = column_norms(self._last.T) / np.sqrt(self._last.shape[1])
            for neurons, values, derivatives, memory in self._panels():
                if self._layout.has_last:
                    add_outer_gram(total, self._weighted(values, self._scale[neurons, 0], memory))
                if self._layout.has_hidden:
                    add_outer_gram(hidden, self._weighted(derivatives, factors[neurons], memory))
            # The lower triangle in Fortran order is the upper one in C order.
            total, hidden = total.T, hidden.T
            for part, inner in self._inner_products():
                if self._layout.has_hidden:
                    inner *= hidden[part, part.start :]
                    total[part, part.start :] += inner
                _mirror(total, part)
        return total

    def full(self) -> FloatArray:
        """K.

        Returns
        -------
        ndarray of shape (n k, n k)
        """
        n, k = len(self._root), self._last.shape[1]
        one, other = np.tril_indices(k)
        check_memory(8 * n**2 * (k**2 + len(one) + 1), f"the {n * k} x {n * k} Gram matrix")
        blocks, last = np.zeros((len(one), n, n)), self._last_layer()
        with quiet():
            for neurons, values, derivatives, memory in self._panels():
                if self._layout.has_last:
                    add_outer_gram(last, self._weighted(values, self._scale[neurons, 0], memory))
                if self._layout.has_hidden:
                    slopes = self._weighted(derivatives, 1.0, memory)
                    self._add_pairs(blocks, slopes, (self._last[neurons, one] * self._last[neurons, other]).T)
            for part, inner in self._inner_products():
                blocks[:, part, part.start :] *= inner
                blocks[one == other, part, part.start :] += last.T[part, part.start :]
                _mirror(blocks, part)
        found = np.empty((k, k), dtype=np.intp)
        found[one, other] = found[other, one] = range(len(one))
        result = np.empty((n, k, n, k))
        # Few rows at a time, so that transposed copies are made in the cache.
        for part in slices(n, 16):
            result[part] = blocks[found, part].transpose(2, 0, 3, 1)
        return result.reshape(n * k, n * k)

    def _panels(self) -> Iterator[tuple[slice, FloatArray, FloatArray, FloatArray]]:
        """Neurons, Phi, Phi', and memory for an array of that shape."""
        n, panels = len(self._root), self._tiles.panels
        memory = np.empty(n * (panels[0].stop - panels[0].start))
        for index, neurons in enumerate(panels):
            values, derivatives = self._tiles.panel(index)
            yield neurons, values, derivatives, memory[: values.size].reshape(values.shape)

    def _weighted(self, panel: FloatArray, factors: FloatArray | float, out: FloatArray) -> FloatArray:
        np.multiply(panel, factors, out=out)
        out *= self._root
        return out

    def _last_layer(self) -> FloatArray:
        """What output biases contribute, where the rest of the last layer is added."""
        result = _zeros(len(self._root))
        if self._layout.has_intercept:
            add_outer_gram(result, self._root)
        return result

    def _inner_products(self) -> Iterator[tuple[slice, FloatArray]]:
        """Upper X X.T by blocks of rows."""
        inputs = self._tiles.inputs
        for part in slices(len(inputs), _ROWS):
            yield part, inputs[part] @ inputs[part.start :].T

    def _add_pairs(self, blocks: FloatArray, slopes: FloatArray, factors: FloatArray) -> None:
        """Add the upper Phi' diag(c) Phi'.T of some neurons for each row c of the factors."""

        def task(part: slice) -> None:
            with quiet():
                scaled = (factors[:, np.newaxis] * slopes[part]).reshape(-1, factors.shape[1])
                product = scaled @ slopes[part.start :].T
                blocks[:, part, part.start :] += product.reshape(len(factors), -1, product.shape[1])

        run_tiles(task, slices(len(slopes), _ROWS), n_jobs=self._tiles.n_jobs)


def _zeros(order: int) -> FloatArray:
    return np.zeros((order, order), order="F")


def _mirror(blocks: FloatArray, part: slice) -> None:
    """Fill the lower triangles from some rows of the upper ones, so that matrices are exactly symmetric."""
    blocks[..., part.stop :, part] = np.swapaxes(blocks[..., part, part.stop :], -1, -2)
    corner = np.triu(blocks[..., part, part])
    blocks[..., part, part] = corner + np.swapaxes(np.triu(corner, 1), -1, -2)
