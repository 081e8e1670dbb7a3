"""How the parameters of a two-layer network lie in one vector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Layout:
    """Order of the trained parameters: weights and biases (d, m), coefficients (m, k), output biases (k,).

    Biases are the last row of the weights, and belong to a column of ones in the inputs.

    Parameters
    ----------
    n_inputs : int
        d, the column of ones included.
    width : int
        m.
    n_outputs : int
        k.
    has_hidden : bool
        Whether weights and biases are trained.
    has_last : bool
        Whether the coefficients are trained.
    has_intercept : bool
        Whether output biases are trained.
    """

    n_inputs: int
    width: int
    n_outputs: int
    has_hidden: bool
    has_last: bool
    has_intercept: bool

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Numbers of trained weights and biases, coefficients, output biases."""
        return (
            self.has_hidden * self.n_inputs * self.width,
            self.has_last * self.width * self.n_outputs,
            self.has_intercept * self.n_outputs,
        )

    @property
    def n_parameters(self) -> int:
        """Length p of the vector."""
        return sum(self.sizes)

    def split(self, theta: FloatArray) -> tuple[FloatArray | None, FloatArray | None, FloatArray | None]:
        """Views of the parts of a vector.

        Parameters
        ----------
        theta : ndarray of shape (p,)
            C-contiguous.

        Returns
        -------
        hidden : ndarray of shape (d, m) or None
            Weights and, as last row, biases; None if they are not trained.
        coef : ndarray of shape (m, k) or None
            Coefficients.
        intercept : ndarray of shape (k,) or None
            Output biases.
        """
        hidden, last, _ = self.sizes
        return (
            theta[:hidden].reshape(self.n_inputs, self.width) if self.has_hidden else None,
            theta[hidden : hidden + last].reshape(self.width, self.n_outputs) if self.has_last else None,
            theta[hidden + last :] if self.has_intercept else None,
        )
