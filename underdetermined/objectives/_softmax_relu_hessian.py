"""Dense Hessians of softmax-ReLU objectives: the centred Jacobian, and symmetric products with signed weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined._linalg import EPS
from underdetermined.objectives._loss import quiet
from underdetermined.objectives._softmax_relu_memory import check_large, working_memory

FloatArray = NDArray[np.float64]

# A unit whose slope is below the square of the rounding changes no digit of a product.
_FLAT = EPS**2
# A row below this part of the largest one is lost in its rounding.
_NEGLIGIBLE = 1e-3 * EPS


def centred_jacobian(point: Any, basis: FloatArray | None) -> FloatArray:
    """K_c = (I - 1 f^T) A2 diag(t) A1, or K_c times a basis.

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
    ones = np.ones(len(point.fitted))
    n_columns = _n_columns(point, basis)
    check_large(len(ones), n_columns, "Jacobian")
    result = np.empty((len(ones), n_columns))
    with quiet():
        _fill(result, point, basis, slice(None), ones)
    return result


def hessian(point: Any, basis: FloatArray | None, curvature: str) -> FloatArray:
    """K_c^T diag(p) K_c + A1^T diag(rho'' r + w^2) A1 + reg I, or its restriction to a basis; exactly symmetric.

    Parameters
    ----------
    point : SoftmaxReLUPoint
        Where.
    basis : ndarray of shape (d, k) or None
        Columns.
    curvature : {"exact", "clipped", "gauss-newton"}
        Which weights.

    Returns
    -------
    ndarray of shape (d, d) or (k, k)

    Raises
    ------
    MemoryError
        If it, or the rows that it is the product of, do not fit.

    Notes
    -----
    All rows are scaled by the roots of their weights and sorted by the signs: what is left are two products of a matrix with
    itself, each at half the flops of a general product.
    """
    weights = point.curvature_weights(curvature)
    order = np.argsort(weights < 0.0, kind="stable")
    roots = np.sqrt(np.abs(weights))[order]
    kinks, which = _kinks(point, curvature)
    above, below = which[kinks[which] > 0.0], which[kinks[which] < 0.0]
    n_columns = _n_columns(point, basis)
    n_rows = len(order) + len(above) + len(below)
    check_large(n_rows, n_columns, "Jacobian")
    check_large(n_columns, n_columns, "Hessian")
    # Rows of positive weight first: kinks, outputs; then outputs, kinks.
    outputs = slice(len(above), len(above) + len(order))
    split = len(above) + len(order) - int(np.count_nonzero(weights < 0.0))
    rows, spare = working_memory((n_rows, n_columns), (n_columns, n_columns) if split < n_rows else (0, 0))
    with quiet():
        _fill(rows[outputs], point, basis, order, roots)
        for part, some in ((rows[: outputs.start], above), (rows[outputs.stop :], below)):
            if some.size == 0:
                continue
            normals = point.objective.rows(some)
            part[...] = _dense(normals if basis is None else normals @ basis)
            part *= np.sqrt(np.abs(kinks[some]))[:, np.newaxis]
        result = rows[:split].T @ rows[:split]
        if split < n_rows:
            result -= np.matmul(rows[split:].T, rows[split:], out=spare)
        if basis is None:
            result.flat[:: n_columns + 1] += point.objective.reg
        elif point.objective.reg:
            result += point.objective.reg * (basis.T @ basis)
    return result


def _fill(out: FloatArray, point: Any, basis: FloatArray | None, order: Any, factors: FloatArray) -> None:
    """Write rows of K_c, or of K_c times a basis, in some order and scaled; units that are flat are left out."""
    output, hidden, slopes = point.objective.A2, point.objective.A1, point.slopes
    units = np.flatnonzero(slopes > _FLAT)
    check_large(2 * len(output), len(units), "part of the output layer, twice,")
    if len(units) < len(slopes):
        output, hidden, slopes = output.take(units, axis=1), hidden[units], slopes[units]
    centred = output[order] - point.fitted @ output
    centred *= factors[:, np.newaxis]
    centred *= slopes
    if basis is not None:
        m, n, d, k = len(centred), len(units), *basis.shape
        # The cheaper of the two ways to multiply three matrices.
        if m * d * (n + k) < n * k * (d + m):
            centred, hidden = centred @ hidden, basis
        else:
            hidden = hidden @ basis
    if isinstance(hidden, np.ndarray):
        np.matmul(centred, hidden, out=out)
    else:
        out[...] = centred @ hidden


def _kinks(point: Any, curvature: str) -> tuple[FloatArray, NDArray[np.intp]]:
    """Weights of the rows of A1, and which of them are not lost in the rounding of the largest."""
    kinks = point.kink_weights(curvature)
    if kinks is None:
        return np.zeros(0), np.zeros(0, dtype=np.intp)
    norms = point.objective.row_norms
    sizes = np.abs(kinks) * (norms / max(float(norms.max()), np.finfo(np.float64).tiny)) ** 2
    return kinks, np.flatnonzero(sizes > _NEGLIGIBLE * sizes.max())


def _n_columns(point: Any, basis: FloatArray | None) -> int:
    return int(point.objective.n_parameters if basis is None else basis.shape[1])


def _dense(rows: Any) -> FloatArray:
    return rows if isinstance(rows, np.ndarray) else rows.toarray()
