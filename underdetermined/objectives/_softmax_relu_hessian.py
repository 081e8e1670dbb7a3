"""Dense Hessians of softmax-ReLU objectives: the centred Jacobian, and symmetric products with signed weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import blas

from underdetermined._linalg import EPS, mirror_lower
from underdetermined._validation import check_memory
from underdetermined.objectives._loss import quiet

FloatArray = NDArray[np.float64]

# A unit whose slope is below the square of the rounding changes no digit of a product.
_FLAT = EPS * EPS


def centred_jacobian(point: Any, basis: FloatArray | None) -> FloatArray:
    """K_c = (I - 1 f^T) A2 diag(t) A1, or K_c times a basis; units that are flat are left out.

    Parameters
    ----------
    point : SoftmaxReLUPoint
        Where.
    basis : ndarray of shape (d, k) or None
        Columns.

    Returns
    -------
    ndarray of shape (m, d) or (m, k)

    Raises
    ------
    MemoryError
        If it does not fit.
    """
    objective, slopes = point.objective, point.slopes
    columns = objective.n_parameters if basis is None else basis.shape[1]
    n_outputs = len(point.fitted)
    check_memory(8 * n_outputs * columns, f"the {n_outputs} x {columns} Jacobian")
    units = np.flatnonzero(slopes > _FLAT)
    output, hidden, factors = objective.A2, objective.A1, slopes
    if len(units) < len(slopes):
        output, hidden, factors = output[:, units], hidden[units], slopes[units]
    with quiet():
        if basis is not None:
            hidden = hidden @ basis
        if not np.all(factors == 1.0):
            output = output * factors
        jacobian = output @ hidden
        jacobian -= point.fitted @ jacobian
    return jacobian


def weighted_gram(rows: list[FloatArray], weights: list[FloatArray]) -> FloatArray:
    """Sum of w_i a_i a_i^T over the rows a_i of some matrices, with weights of any sign; exactly symmetric.

    Parameters
    ----------
    rows : list of ndarray of shape (k_j, d)
        Matrices.
    weights : list of ndarray of shape (k_j,)
        One weight for each row.

    Returns
    -------
    ndarray of shape (d, d), Fortran order

    Raises
    ------
    MemoryError
        If it does not fit.

    Notes
    -----
    Rows of one sign are scaled by the roots of their weights and multiplied with themselves: half the flops of a general
    product.
    """
    size = rows[0].shape[1]
    check_memory(8 * size * size, f"the {size} x {size} Hessian")
    result = np.zeros((size, size), order="F")
    for matrix, factors in zip(rows, weights, strict=True):
        for sign in (1.0, -1.0):
            some = np.flatnonzero(sign * factors > 0.0)
            if some.size == 0:
                continue
            part = matrix if some.size == len(matrix) else matrix[some]
            scaled = part * np.sqrt(sign * factors[some])[:, np.newaxis]
            result = blas.dsyrk(sign, scaled.T, beta=1.0, c=result, trans=0, lower=1, overwrite_c=1)
    return mirror_lower(result)
