"""Many softmax-ReLU problems with the same layers, advanced together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._validation import check_finite
from underdetermined.objectives._softmax_relu_checks import (
    check_active,
    check_distributions,
    check_vector,
)
from underdetermined.objectives._softmax_relu_layers import SoftmaxReLULayers
from underdetermined.objectives._softmax_relu_point import SoftmaxReLUBatchPoint
from underdetermined.objectives.softmax_relu import SoftmaxReLU

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SoftmaxReLUBatch(SoftmaxReLULayers):
    """One `SoftmaxReLU` problem for each column of B: the distance of softmax(A2 max(A1 x_j, 0)) from b_j.

    The problems do not interact; together their products are products of matrices.

    Parameters
    ----------
    A1 : array_like or sparse matrix of shape (n, d)
        The hidden layer.
    A2 : array_like of shape (m, n)
        The output layer.
    B : array_like of shape (m, N)
        Targets, one problem in each column.
    loss : {"squared", "kl"}, default="squared"
        Which distance.
    reg : float, default=0.0
        Weight of the penalties |x_j|^2 / 2, at least 0.
    weights : array_like of shape (n,), a number or None, default=None
        The weights of the penalties |diag(w) A1 x_j|^2 / 2; None means 0.

    Raises
    ------
    TypeError, ValueError
        As `SoftmaxReLU`.

    Notes
    -----
    A value costs 2 n (d + m) flops for each column, a gradient twice that, a product with the Hessian 4 n (d + m).

    References
    ----------
    :ref:`theory-softmax-relu`.

    Examples
    --------
    >>> from underdetermined.objectives import SoftmaxReLUBatch
    >>> batch = SoftmaxReLUBatch([[1.0, 2.0], [3.0, -1.0]], [[1.0, -1.0], [0.0, 2.0]], [[0.25, 0.5], [0.75, 0.5]])
    >>> points = [[0.5, 0.1], [0.25, 0.2]]
    >>> print(batch.value(points).round(6))
    [0.036067 0.002483]
    >>> print(f"{batch.column(0).value([0.5, 0.25]):.6f}")
    0.036067
    """

    A1: Any
    A2: Any
    B: Any
    loss: str = "squared"
    reg: float = 0.0
    weights: Any = None

    def __init__(
        self, A1: Any, A2: ArrayLike, B: ArrayLike, *, loss: str = "squared", reg: float = 0.0, weights: Any = None
    ) -> None:
        """Validate and convert the arguments."""
        self._store_layers(A1, A2, loss, reg, weights)
        targets = check_distributions(B, self.n_outputs, self.loss, "B")
        if targets.ndim != 2:
            raise ValueError(f"B has shape {targets.shape}: pass one problem in each column, shape ({self.n_outputs}, N)")
        self._store(B=targets)

    @property
    def targets(self) -> FloatArray:
        """The targets B."""
        return self.B

    @property
    def n_problems(self) -> int:
        """Number N of problems."""
        return int(self.B.shape[1])

    def select(self, columns: ArrayLike) -> SoftmaxReLUBatch:
        """Take some of the problems; the layers are shared, not copied.

        Parameters
        ----------
        columns : array_like of shape (k,)
            Which, as integers or as a mask.

        Returns
        -------
        SoftmaxReLUBatch
        """
        return self._with(SoftmaxReLUBatch, B=np.ascontiguousarray(self.B[:, np.asarray(columns)]))

    def column(self, index: int) -> SoftmaxReLU:
        """Take one of the problems; the layers are shared, not copied.

        Parameters
        ----------
        index : int
            Which.

        Returns
        -------
        SoftmaxReLU
        """
        return self._with(SoftmaxReLU, b=np.ascontiguousarray(self.B[:, index]))

    def _with(self, kind: Any, **targets: FloatArray) -> Any:
        result = kind.__new__(kind)
        kept = {name: value for name, value in vars(self).items() if name != "B"}
        result._store(**kept, **targets)
        return result

    def value(self, X: ArrayLike, smoothing: ArrayLike = 0.0) -> FloatArray:
        """Losses with penalties.

        Parameters
        ----------
        X : array_like of shape (d, N)
            Parameters, one column for each problem.
        smoothing : float or array_like of shape (N,), default=0.0
            mu >= 0.

        Returns
        -------
        ndarray of shape (N,)
        """
        return self.at(X, smoothing).value

    def at(self, X: ArrayLike, smoothing: ArrayLike = 0.0, active: ArrayLike | None = None) -> SoftmaxReLUBatchPoint:
        """Everything at one point for each problem.

        Parameters
        ----------
        X : array_like of shape (d, N)
            Parameters, one column for each problem.
        smoothing : float or array_like of shape (N,), default=0.0
            mu >= 0; 0 for the ReLU.
        active : array_like of bool of shape (n, N) or None, default=None
            The units that are z, whatever its sign; the others are 0. `smoothing` has no meaning then.

        Returns
        -------
        SoftmaxReLUBatchPoint
        """
        points = check_vector(X, (self.n_parameters, self.n_problems), "X")
        mask = check_active(active, (self.n_hidden, self.n_problems))
        scales: FloatArray = np.asarray(smoothing, dtype=np.float64)
        if scales.shape not in ((), (self.n_problems,)):
            raise ValueError(
                f"smoothing has shape {scales.shape}: pass a number or one for each problem, ({self.n_problems},)"
            )
        check_finite(scales, "smoothing")
        if scales.min(initial=0.0) < 0.0:
            raise ValueError(f"smoothing has the negative entry {scales.min()}: pass numbers >= 0")
        return SoftmaxReLUBatchPoint(self, points, scales, mask)
