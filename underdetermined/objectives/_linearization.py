"""A residual to first order, as Gauss-Newton steps and learning rates need it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator


@dataclass(frozen=True, eq=False)
class Linearization:
    """The residual rho of a loss |rho|^2 / 2 at one vector of parameters, and its Jacobian there.

    To first order the residual at theta + delta is rho + J delta. Residuals of n rows and k outputs are flattened row by
    row to q = n k numbers.

    Parameters
    ----------
    residual : ndarray of shape (q,)
        rho; weighted by the square roots of the sample weights.
    jacobian : LinearOperator of shape (q, p)
        J.
    gram : callable
        ``gram()`` builds J J.T, shape (q, q), as a new and exactly symmetric array.
    """

    residual: NDArray[np.float64]
    jacobian: LinearOperator
    gram: Callable[[], NDArray[np.float64]]
