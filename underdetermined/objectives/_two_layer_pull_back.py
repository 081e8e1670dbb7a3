"""Products with the transposed Jacobian of a two-layer network, summed block by block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from underdetermined.objectives._tiles import outer
from underdetermined.objectives._two_layer_layout import Layout
from underdetermined.objectives._two_layer_tiles import TwoLayerTiles

FloatArray = NDArray[np.float64]


class PullBack:
    """J.T R of shape (p,), for a matrix R of shape (n, k): sums over blocks of rows.

    Parameters
    ----------
    tiles : TwoLayerTiles
        Activations Phi, derivatives Phi' and inputs X.
    layout : Layout
        Which parameters there are.
    last : ndarray of shape (m, k)
        V, coefficients times scale.
    scale : ndarray of shape (m, 1) or (1, 1)
        Scale of the features.
    """

    def __init__(self, tiles: TwoLayerTiles, layout: Layout, last: FloatArray, scale: FloatArray) -> None:
        self._tiles, self._last, self._scale = tiles, last, scale
        self._total = np.zeros(layout.n_parameters)
        self._hidden, self._coef, self._intercept = layout.split(self._total)

    def add(self, right: FloatArray, block: slice | None = None) -> None:
        """Add the terms of some rows.

        Parameters
        ----------
        right : ndarray of shape (rows, k)
            R, of these rows.
        block : slice or None, default=None
            Rows whose tiles are in the buffer; None for all rows.
        """
        inputs, is_single = self._tiles.inputs if block is None else self._tiles.inputs[block], self._last.shape[1] == 1
        first = 0 if block is None else block.start
        with np.errstate(over="ignore", invalid="ignore"):
            if self._intercept is not None:
                self._intercept += right.sum(axis=0)
            if is_single:
                # One output: factors of the rows go to X, which is narrow, and those of the neurons come last.
                inputs = right * inputs

        def add(rows: slice, neurons: slice, values: FloatArray, derivatives: FloatArray | None) -> None:
            local = slice(rows.start - first, rows.stop - first)
            if self._coef is not None:
                self._coef[neurons] += values.T @ right[local]
            if self._hidden is not None and derivatives is not None:
                factors = derivatives if is_single else outer(right[local], self._last[neurons]) * derivatives
                self._hidden[:, neurons] += inputs[local].T @ factors

        self._tiles.visit(add, block)

    def result(self) -> FloatArray:
        """Return the sum; to be called once.

        Returns
        -------
        ndarray of shape (p,)
            A new array.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            if self._hidden is not None and self._last.shape[1] == 1:
                self._hidden *= self._last[:, 0]
            if self._coef is not None:
                self._coef *= self._scale
        return self._total
