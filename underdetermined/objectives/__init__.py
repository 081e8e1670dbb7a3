"""Losses that can be trained: what an optimiser needs to know of them."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from underdetermined.objectives._linearization import Linearization
from underdetermined.objectives._softmax_relu_batch import SoftmaxReLUBatch
from underdetermined.objectives._softmax_relu_point import SoftmaxReLUBatchPoint, SoftmaxReLUPoint
from underdetermined.objectives._softmax_relu_shared import SharedSoftmaxReLU
from underdetermined.objectives._softmax_relu_shared_point import SharedSoftmaxReLUPoint
from underdetermined.objectives.exponential import Exponential
from underdetermined.objectives.least_squares import LeastSquares
from underdetermined.objectives.softmax_relu import SoftmaxReLU
from underdetermined.objectives.sparse_relu import SparseReLU
from underdetermined.objectives.two_layer import TwoLayer

__all__ = [
    "Exponential",
    "LeastSquares",
    "Linearizable",
    "Linearization",
    "Objective",
    "SharedSoftmaxReLU",
    "SharedSoftmaxReLUPoint",
    "SoftmaxReLU",
    "SoftmaxReLUBatch",
    "SoftmaxReLUBatchPoint",
    "SoftmaxReLUPoint",
    "SparseReLU",
    "TwoLayer",
]


class Objective(Protocol):
    """A differentiable loss L of one vector of parameters.

    For finite parameters a method neither raises nor warns: a loss that overflows is inf or nan, and the optimiser stops
    there. An objective may also have a method ``value_and_gradient(theta)``: an optimiser then calls it where it needs both.
    """

    def __init__(self) -> None:
        """Protocols have no instances; this keeps their generic signature out of the documentation."""

    @property
    def n_parameters(self) -> int:
        """Length p of the vector of parameters."""
        raise NotImplementedError

    def value(self, theta: NDArray[Any]) -> float:
        """Loss L(theta).

        Parameters
        ----------
        theta : ndarray of shape (p,)
            Parameters; never written to.

        Returns
        -------
        float
        """
        raise NotImplementedError

    def gradient(self, theta: NDArray[Any]) -> NDArray[np.float64]:
        """Gradient of the loss.

        Parameters
        ----------
        theta : ndarray of shape (p,)
            Parameters; never written to.

        Returns
        -------
        ndarray of shape (p,)
            A new array.
        """
        raise NotImplementedError


class Linearizable(Objective, Protocol):
    """An objective |rho|^2 / 2 that knows its residual vector to first order, as `gauss_newton` needs it."""

    def linearize(self, theta: NDArray[Any]) -> Linearization:
        """Residual, Jacobian and Gram matrix.

        Parameters
        ----------
        theta : ndarray of shape (p,)
            Parameters; never written to.

        Returns
        -------
        Linearization
        """
        raise NotImplementedError
