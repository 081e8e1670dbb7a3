"""Products with the transposed Jacobian of a two-layer network, summed block by block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from underdetermined.objectives._loss import quiet
from underdetermined.objectives._tiles import outer
from underdetermined.objectives._two_layer_layout import Layout
from underdetermined.objectives._two_layer_tiles import TwoLayerTiles

FloatArray = NDArray[np.float64]


class PullBack:
    """The gradient X.T (Phi' o (R V.T)), scale Phi.T R and 1.T R of a residual R, in the order of a `Layout`.

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

    def add(self, rows: slice, right: FloatArray) -> None:
        """Add the terms of a block of rows.

        Parameters
        ----------
        rows : slice
            One that the tiles have just yielded.
        right : ndarray of shape (rows, k)
            R, of these rows.
        """
        inputs, is_single = self._tiles.inputs[rows], right.shape[1] == 1
        with quiet():
            if self._intercept is not None:
                self._intercept += right.sum(axis=0)
            if is_single:
                # One output: factors of the rows go to X, which is narrow, and those of the neurons come last.
                inputs = right * inputs

        def use(index: int, values: FloatArray, derivatives: FloatArray) -> None:
            neurons = self._tiles.panels[index]
            if self._coef is not None:
                self._coef[neurons] += values.T @ right
            if self._hidden is not None:
                factors = derivatives
                if not is_single:
                    factors = outer(right, self._last[neurons])
                    factors *= derivatives
                self._hidden[:, neurons] += inputs.T @ factors

        self._tiles.visit(rows, use)

    def result(self) -> FloatArray:
        """Return the sum; to be called once.

        Returns
        -------
        ndarray of shape (p,)
            A new array.
        """
        with quiet():
            if self._hidden is not None and self._last.shape[1] == 1:
                self._hidden *= self._last[:, 0]
            if self._coef is not None:
                self._coef *= self._scale
        return self._total
