"""The last layer alone: linear least squares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._matrix import as_matrix
from underdetermined._validation import check_targets
from underdetermined.objectives._loss import half_square

FloatArray = NDArray[np.float64]

_SAFE = 1e100


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """The loss of a linear model, L(theta) = |A theta - Y|^2 / 2, summed over rows and outputs.

    Parameters
    ----------
    features : array_like, sparse matrix or LinearOperator of shape (n, m)
        A, such as ``feature_map(X)``, or ``feature_map.operator(X)`` if that does not fit in memory. Stored as a `Matrix`.
    targets : array_like of shape (n,) or (n, k)
        Y, stored as (n, k).

    Raises
    ------
    TypeError, ValueError
        If an argument is not finite or the shapes do not fit.

    Notes
    -----
    theta is the m x k matrix of coefficients, flattened row by row: simply the m coefficients for one output. A loss costs
    2 n m k flops, a loss and its gradient twice as many.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.objectives import LeastSquares
    >>> objective = LeastSquares([[1.0, 2.0]], [3.0])
    >>> objective.value(np.zeros(2)), objective.gradient(np.zeros(2))
    (4.5, array([-3., -6.]))
    """

    features: Any
    targets: Any

    def __post_init__(self) -> None:
        """Validate and convert the arguments."""
        matrix = as_matrix(self.features, "features")
        object.__setattr__(self, "features", matrix)
        object.__setattr__(self, "targets", check_targets(self.targets, matrix.shape[0]))

    @property
    def n_parameters(self) -> int:
        """Number m k of coefficients."""
        return self.features.shape[1] * self.targets.shape[1]

    def residual(self, theta: ArrayLike) -> FloatArray:
        """Residual Y - A theta.

        Parameters
        ----------
        theta : array_like of shape (m k,) or (m, k)
            Coefficients.

        Returns
        -------
        ndarray of shape (n, k)
        """
        coef = np.asarray(theta, dtype=np.float64).reshape(-1, self.targets.shape[1])
        return self.targets - _product(self.features.matmat, coef, self.features.shape[0])

    def value(self, theta: ArrayLike) -> float:
        """Loss.

        Parameters
        ----------
        theta : array_like of shape (m k,)
            Coefficients.

        Returns
        -------
        float
        """
        return half_square(self.residual(theta))

    def gradient(self, theta: ArrayLike) -> FloatArray:
        """Gradient A.T (A theta - Y).

        Parameters
        ----------
        theta : array_like of shape (m k,)
            Coefficients.

        Returns
        -------
        ndarray of shape (m k,)
        """
        return self.value_and_gradient(theta)[1]

    def value_and_gradient(self, theta: ArrayLike) -> tuple[float, FloatArray]:
        """Loss and gradient from one residual.

        Parameters
        ----------
        theta : array_like of shape (m k,)
            Coefficients.

        Returns
        -------
        value : float
            L(theta).
        gradient : ndarray of shape (m k,)
            Its gradient.
        """
        residual = self.residual(theta)
        gradient = _product(self.features.rmatmat, -residual, self.features.shape[1])
        return half_square(residual), gradient.ravel()


def _product(apply: Callable[[FloatArray], FloatArray], right: FloatArray, n_rows: int) -> FloatArray:
    """Linear map of a matrix that may be huge, as in a diverging run: operators refuse results that are not finite."""
    largest = max(float(right.max()), -float(right.min()))
    if largest <= _SAFE:
        return apply(right)
    if not np.isfinite(largest):
        return np.full((n_rows, right.shape[1]), np.nan)
    with np.errstate(over="ignore"):
        return apply(right / largest) * largest
