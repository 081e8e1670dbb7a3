"""Softmax of a ReLU layer, fitted to one distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined.objectives._softmax_relu_checks import (
    check_active,
    check_distributions,
    check_smoothing,
    check_vector,
)
from underdetermined.objectives._softmax_relu_layers import SoftmaxReLULayers
from underdetermined.objectives._softmax_relu_point import SoftmaxReLUPoint

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SoftmaxReLU(SoftmaxReLULayers):
    """The distance of f(x) = softmax(A2 max(A1 x, 0)) from a distribution b, as a function of x.

    With loss "squared" it is |f - b|^2 / 2, with "kl" sum_i b_i log(b_i / f_i), plus reg |x|^2 / 2 + |diag(w) A1 x|^2 / 2.

    Parameters
    ----------
    A1 : array_like or sparse matrix of shape (n, d)
        The hidden layer.
    A2 : array_like of shape (m, n)
        The output layer.
    b : array_like of shape (m,)
        Targets. For "kl" they are >= 0 and sum to 1.
    loss : {"squared", "kl"}, default="squared"
        Which distance.
    reg : float, default=0.0
        Weight of the penalty |x|^2 / 2, at least 0.
    weights : array_like of shape (n,), a number or None, default=None
        The weights w; None means 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is not finite, shapes do not fit, b is no distribution where the loss needs one, or A2 is sparse.

    Notes
    -----
    The derivative of max(z, 0) at 0 is 0. With a `smoothing` mu > 0 the units are mu log(1 + exp(z / mu)) instead, and with
    a mask `active` they are z and 0: the smooth function that agrees with the loss on one cell. Everything is float64. A
    value costs 2 n (d + m) flops, a gradient twice that, a product with the Hessian 4 n (d + m).

    References
    ----------
    :ref:`theory-softmax-relu`.

    Examples
    --------
    >>> from underdetermined.objectives import SoftmaxReLU
    >>> objective = SoftmaxReLU([[1.0, 2.0], [3.0, -1.0]], [[1.0, -1.0], [0.0, 2.0]], [0.25, 0.75])
    >>> point = objective.at([0.5, 0.25])
    >>> print(f"{point.value:.12f}", point.gradient.round(6))
    0.036067080442 [ 0.171609 -0.107256]
    >>> print(point.hessian().round(4))
    [[-0.7996  0.4998]
     [ 0.4998 -0.3124]]
    """

    A1: Any
    A2: Any
    b: Any
    loss: str = "squared"
    reg: float = 0.0
    weights: Any = None

    def __init__(
        self, A1: Any, A2: ArrayLike, b: ArrayLike, *, loss: str = "squared", reg: float = 0.0, weights: Any = None
    ) -> None:
        """Validate and convert the arguments."""
        self._store_layers(A1, A2, loss, reg, weights)
        targets = check_distributions(b, self.n_outputs, self.loss, "b")
        if targets.ndim != 1:
            raise ValueError(f"b has shape {targets.shape}: pass one distribution, shape ({self.n_outputs},)")
        self._store(b=targets)

    @property
    def targets(self) -> FloatArray:
        """The targets b."""
        return self.b

    def value(self, x: ArrayLike, smoothing: float = 0.0) -> float:
        """Loss with penalties.

        Parameters
        ----------
        x : array_like of shape (d,)
            Parameters.
        smoothing : float, default=0.0
            mu >= 0.

        Returns
        -------
        float
        """
        return float(self.at(x, smoothing).value)

    def gradient(self, x: ArrayLike) -> FloatArray:
        """Gradient of the loss with penalties; at a kink, that of the side where the unit is not active.

        Parameters
        ----------
        x : array_like of shape (d,)
            Parameters.

        Returns
        -------
        ndarray of shape (d,)
        """
        return self.at(x).gradient

    def at(self, x: ArrayLike, smoothing: float = 0.0, active: ArrayLike | None = None) -> SoftmaxReLUPoint:
        """Everything at one point: value, gradient and Hessian share what they have in common.

        Parameters
        ----------
        x : array_like of shape (d,)
            Parameters.
        smoothing : float, default=0.0
            mu >= 0; 0 for the ReLU.
        active : array_like of bool of shape (n,) or None, default=None
            The units that are z, whatever its sign; the others are 0. `smoothing` has no meaning then.

        Returns
        -------
        SoftmaxReLUPoint
        """
        mask = check_active(active, (self.n_hidden,))
        return SoftmaxReLUPoint(self, check_vector(x, (self.n_parameters,), "x"), check_smoothing(smoothing), mask)
