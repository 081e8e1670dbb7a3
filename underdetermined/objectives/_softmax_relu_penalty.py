"""The penalties of softmax-ReLU objectives: reg |x|^2 / 2 + |diag(w) A1 x|^2 / 2."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined.objectives._softmax_relu_terms import inner

FloatArray = NDArray[np.float64]


class SoftmaxReLUPenalty:
    """What one problem and a batch of them do alike; points of a batch are columns."""

    A1: Any
    reg: float
    weights: Any

    @property
    def is_penalized(self) -> bool:
        """Whether there is any penalty."""
        return bool(self.reg) or self.weights is not None

    @cached_property
    def _squares(self) -> Any:
        return None if self.weights is None else self.weights**2

    def squared_weights(self, ndim: int) -> Any:
        """The squares w^2, as a column where points are columns.

        Parameters
        ----------
        ndim : {1, 2}
            Dimensions of the pre-activations.

        Returns
        -------
        ndarray of shape (n,) or (n, 1), or None
        """
        return self._squares if ndim == 1 or self._squares is None else self._squares[:, np.newaxis]

    def penalty(self, x: FloatArray, z: FloatArray) -> Any:
        """Value of the penalties.

        Parameters
        ----------
        x : ndarray of shape (d,) or (d, N)
            Points.
        z : ndarray of shape (n,) or (n, N)
            A1 x.

        Returns
        -------
        ndarray of shape () or (N,)
        """
        result = 0.5 * self.reg * inner(x, x) if self.reg else np.zeros(x.shape[1:])
        squares = self.squared_weights(z.ndim)
        return result if squares is None else result + 0.5 * inner(squares * z, z)

    def penalty_gradient(self, x: FloatArray, z: FloatArray) -> FloatArray:
        """Gradient of the penalties.

        Parameters
        ----------
        x : ndarray of shape (d,) or (d, N)
            Points.
        z : ndarray of shape (n,) or (n, N)
            A1 x.

        Returns
        -------
        ndarray of the shape of x
        """
        squares = self.squared_weights(z.ndim)
        result = self.reg * x
        return result if squares is None else result + self.A1.T @ (squares * z)
