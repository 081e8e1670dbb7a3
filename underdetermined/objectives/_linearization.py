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
    output_gram : callable or None, default=None
        ``output_gram()`` builds the mean B over the k outputs of the (n, n) blocks of J J.T that belong to one of them, as a
        new and exactly symmetric array: J J.T is near B kron I_k where tangents of different outputs hardly overlap.
    dense : callable or None, default=None
        ``dense()`` builds J as a new C-contiguous array of shape (q, p), for p < q.
    n_outputs : int, default=1
        k, which `output_gram` needs to be of use.
    """

    residual: NDArray[np.float64]
    jacobian: LinearOperator
    gram: Callable[[], NDArray[np.float64]]
    output_gram: Callable[[], NDArray[np.float64]] | None = None
    dense: Callable[[], NDArray[np.float64]] | None = None
    n_outputs: int = 1
