"""Leave-one-out errors of a whole grid of penalties, from one eigendecomposition.

With V the eigenvectors of the reduced Gram (eigenvalues lambda_i), seen in the space of weighted rows and orthogonal to the
intercept's direction if there is one, the residual operator of the ridge fit is

    I - H = V diag(alpha / (lambda + alpha)) V.T,

so c = V (V.T D y / (lambda + alpha)) and b_g = sum_i V_gi^2 / (lambda_i + alpha) in the notation of `_errors`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._linalg import EPS
from underdetermined._validation import check_memory
from underdetermined.leave_one_out._errors import LeftOut
from underdetermined.leave_one_out._grid import check_alphas, default_alphas
from underdetermined.leave_one_out._path import LeaveOneOutPath
from underdetermined.spectrum import decompose_lower
from underdetermined.system import LinearSystem, ReducedSystem

FloatArray = NDArray[np.float64]

# Columns of one product with the eigenvectors.
_COLUMNS = 256


def leave_one_out_path(
    system: LinearSystem, *, alphas: ArrayLike | None = None, within_squares: ArrayLike | None = None
) -> LeaveOneOutPath:
    """Exact leave-one-out error of the ridge solution for every penalty of a grid, without refitting.

    The error of one copy of row i is ``y_i - b_(-i) - a_i theta_(-i)``, where theta_(-i), b_(-i) minimise
    ``sum_j w_j |y_j - b - a_j theta|^2 + alpha |theta|^2`` with the weight of that copy taken away.

    Parameters
    ----------
    system : LinearSystem
        Features, targets, weights, whether an intercept is fitted, and the Gram matrix if the caller has it. Weight k means
        k copies of the row, one of which is left out at a time; a row of weight below one is left out whole.
    alphas : array_like of shape (n_alphas,), optional
        Penalties > 0. By default four to the decade, from 1e-12 to 1e3 times the mean diagonal of the Gram matrix (weighted,
        centred), but not below what its eigenvalues resolve, n eps lambda_max.
    within_squares : array_like of shape (n, k), or (n,) if k is 1, optional
        For rows that stand for several merged rows: the weighted sum of squares of their targets about the mean target. One
        value per row of positive weight.

    Returns
    -------
    LeaveOneOutPath

    Raises
    ------
    ValueError
        If a penalty is not positive and finite, or `within_squares` does not fit.
    MemoryError
        If the eigenvectors cannot fit in memory.

    See Also
    --------
    leave_one_out_search : The same errors at a few penalties, for systems that are too large for an eigendecomposition.

    Notes
    -----
    One eigendecomposition of the smaller side p, about 9 p^3 flops and 24 p^2 bytes, then 2 n p (1 + k) flops for each
    penalty. A tall system streams its n x m features by rows, another 2 n m^2 flops.

    References
    ----------
    D. M. Allen (1974), "The relationship between variable selection and data augmentation and a method for prediction",
    Technometrics 16; R. Rifkin, R. Lippert (2007), "Notes on regularized least squares", MIT-CSAIL-TR-2007-025.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.leave_one_out import leave_one_out_path
    >>> from underdetermined.system import LinearSystem
    >>> path = leave_one_out_path(LinearSystem(np.eye(3), [1.0, 2.0, 3.0]), alphas=[0.5])
    >>> path.errors.round(12)
    array([4.66666667])
    """
    rows = LeftOut(system, within_squares)
    reduced = ReducedSystem(system)
    if reduced.n_rows == 0:
        # One row and an intercept: nothing depends on the penalty.
        grid = check_alphas(alphas) if alphas is not None else default_alphas(1.0, 1.0, 1)
        return rows.path(grid, np.full(len(grid), rows.intercept_error()), np.full(len(grid), np.nan), "eigendecomposition")
    order = reduced.short_side
    check_memory(32 * order**2, f"the eigenvectors of a {order} x {order} Gram matrix")
    gram, _ = reduced.gram()
    scale = float(np.einsum("ii->", gram)) / reduced.n_rows
    # Rounding alone may make it indefinite: of float32 features, of features that hardly vary from row to row.
    spectrum = decompose_lower(gram, precision=None)
    values, vectors = np.maximum(spectrum.eigenvalues, 0.0), spectrum.eigenvectors
    del gram, spectrum  # the memory of the matrices is needed again
    assert vectors is not None
    grid = default_alphas(scale, float(values[0]), order) if alphas is None else check_alphas(alphas)
    sums = np.empty((len(system.targets), len(grid)))
    if reduced.is_wide:
        vectors = reduced.unreflect(vectors)
        filters = 1.0 / (values[:, np.newaxis] + grid)
        diagonal = (vectors * vectors) @ filters
        for block, dual in _filtered(vectors, filters, vectors.T @ rows.scaled):
            sums[:, block] = rows.inverse_sums(dual, diagonal[:, block], grid[block])
    else:
        # Directions that the features do not resolve carry rounding errors only.
        resolved = values > order * EPS * values[0]
        vectors = vectors[:, resolved]
        filters = 1.0 / (values[resolved, np.newaxis] + grid)
        coordinates = vectors.T @ reduced.to_short(reduced.targets)
        for part, tile in rows.row_tiles():
            image = tile @ vectors
            leverage = rows.unit[part, np.newaxis] ** 2 + (image * image) @ filters
            for block, fitted in _filtered(image, filters, coordinates):
                residual = rows.scaled[part, :, np.newaxis] - fitted
                sums[part, block] = rows.residual_sums(residual, leverage[:, block], part)
    return rows.path(grid, *rows.mean(sums), "eigendecomposition")


def _filtered(basis: FloatArray, filters: FloatArray, coordinates: FloatArray) -> Iterator[tuple[slice, FloatArray]]:
    """Compute basis @ (filter * coordinates) for blocks of filters: arrays of shape (n, k, block), one product each."""
    k, n_filters = coordinates.shape[1], filters.shape[1]
    step = max(1, _COLUMNS // k)
    for start in range(0, n_filters, step):
        part = slice(start, min(start + step, n_filters))
        right = coordinates[:, :, np.newaxis] * filters[:, np.newaxis, part]
        # There may be no coordinates at all, whose count then does not tell the other one.
        count = part.stop - part.start
        yield part, (basis @ right.reshape(len(right), k * count)).reshape(len(basis), k, count)
