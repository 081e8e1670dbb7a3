"""The layers of softmax-ReLU objectives, and the penalties reg |x|^2 / 2 + |diag(w) A1 x|^2 / 2."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from underdetermined._linalg import column_norms
from underdetermined._validation import check_number
from underdetermined.objectives._loss import quiet
from underdetermined.objectives._softmax_relu_checks import (
    check_hidden_matrix,
    check_loss,
    check_output_matrix,
    check_unit_weights,
)
from underdetermined.objectives._softmax_relu_terms import inner

FloatArray = NDArray[np.float64]


class SoftmaxReLULayers:
    """What one problem and a batch of them do alike; points of a batch are columns."""

    A1: Any
    A2: Any
    loss: str
    reg: float
    weights: Any

    def _store_layers(self, A1: Any, A2: ArrayLike, loss: str, reg: float, weights: Any) -> None:
        """Check and store all but the targets."""
        hidden = check_hidden_matrix(A1, "A1")
        n_units = hidden.shape[0]
        output = check_output_matrix(A2, n_units, "A2", f"A1 has {n_units} rows")
        units = check_unit_weights(weights, n_units)
        self._store(A1=hidden, A2=output, loss=check_loss(loss), reg=check_number(reg, "reg"), weights=units)

    def _store(self, **values: Any) -> None:
        # The classes are frozen.
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def n_parameters(self) -> int:
        """Length d of x."""
        return int(self.A1.shape[1])

    @property
    def n_hidden(self) -> int:
        """Number n of hidden units, and of kinks."""
        return int(self.A1.shape[0])

    @property
    def n_outputs(self) -> int:
        """Number m of outputs."""
        return len(self.A2)

    @cached_property
    def row_norms(self) -> FloatArray:
        """Norms of the rows of A1, by which |z_i| becomes a distance to a kink."""
        result = _sparse_row_norms(self.A1) if sparse.issparse(self.A1) else column_norms(self.A1.T)
        result.flags.writeable = False
        return result

    def hidden(self, x: ArrayLike) -> FloatArray:
        """Pre-activations z = A1 x.

        Parameters
        ----------
        x : array_like of shape (d,) or (d, k)
            One or several points.

        Returns
        -------
        ndarray of shape (n,) or (n, k)
        """
        with quiet():
            return self.A1 @ np.asarray(x, dtype=np.float64)

    def hidden_adjoint(self, slopes: ArrayLike) -> FloatArray:
        """Product A1^T g.

        Parameters
        ----------
        slopes : array_like of shape (n,) or (n, k)
            One or several g.

        Returns
        -------
        ndarray of shape (d,) or (d, k)
        """
        with quiet():
            return self.A1.T @ np.asarray(slopes, dtype=np.float64)

    def rows(self, indices: ArrayLike) -> Any:
        """Rows of A1, the normals of some kinks.

        Parameters
        ----------
        indices : array_like of shape (k,)
            Which, as integers or as a mask.

        Returns
        -------
        ndarray of shape (k, d), or csr_array where A1 is sparse
        """
        which = np.asarray(indices)
        return self.A1[which if which.dtype == np.bool_ else which.astype(np.intp)]

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


def _sparse_row_norms(matrix: Any) -> FloatArray:
    """Norms of the rows of a CSR matrix, safe from overflow of the squares."""
    row = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    largest = np.zeros(matrix.shape[0])
    np.maximum.at(largest, row, np.abs(matrix.data))
    safe = np.where(largest > 0.0, largest, 1.0)
    return largest * np.sqrt(np.bincount(row, (matrix.data / safe[row]) ** 2, minlength=len(largest)))
