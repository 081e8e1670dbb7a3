"""Exact leave-one-out error of ridge regression over a grid of penalties, from one eigendecomposition.

With D = diag(sqrt(w)), u = D 1 / |D 1| and V the eigenvectors of the reduced Gram (eigenvalues lambda_i), seen in the space
of weighted rows and orthogonal to u if an intercept is fitted, the residual operator of the ridge fit is

    I - H = V diag(alpha / (lambda + alpha)) V.T.

Leaving out one copy of row g (a share delta_g = min(1, w_g) of its weight) turns its residual e_g into
e_g / (1 - delta_g H_gg / w_g). A row that stands for w_g merged copies, with their mean target and with sum of squares s_g
about it, contributes

    (w_g e_g^2 + s_g) / (1 - delta_g H_gg / w_g)^2.

For w_g <= 1 the factors alpha in e_g and in 1 - H_gg cancel: e_g / (1 - H_gg) = c_g / b_g with
c = V (V.T D y / (lambda + alpha)) and b_g = sum_i V_gi^2 / (lambda_i + alpha), which is stable down to alpha -> 0, where
numerator and denominator of the first form vanish.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh

from underdetermined._linalg import EPS
from underdetermined._validation import as_float, check_finite, check_memory
from underdetermined.system import LinearSystem, ReducedSystem

FloatArray = NDArray[np.float64]

DEFAULT_SUBSAMPLE = 2500
_SUBSAMPLE_SEED = 20
_DECADES = (-12.0, 3.0)
_STEPS_PER_DECADE = 4
# Relative differences of errors below this are ties, and the larger penalty wins.
_TIE = 1e-6
# Columns of one product with the eigenvectors.
_COLUMNS = 256


@dataclass(frozen=True, eq=False)
class LeaveOneOutPath:
    """Leave-one-out error for a grid of penalties.

    Parameters
    ----------
    alphas : ndarray of shape (n_alphas,)
        Penalties, increasing.
    errors : ndarray of shape (n_alphas,)
        Mean squared error of predicting each left-out copy of a row, averaged over copies and outputs.
    best : int
        Position of the smallest error; the largest penalty among ties.
    n_rows : int
        Rows that were left out in turn.
    """

    alphas: FloatArray
    errors: FloatArray
    best: int
    n_rows: int

    @property
    def alpha(self) -> float:
        """Penalty with the smallest error."""
        return float(self.alphas[self.best])

    @property
    def error(self) -> float:
        """Smallest error."""
        return float(self.errors[self.best])

    def to_dict(self) -> dict[str, Any]:
        """Return the path as lists and numbers.

        Returns
        -------
        dict
            Keys ``alphas``, ``errors``, ``best``, ``alpha``, ``error`` and ``n_rows``.
        """
        return {
            "alphas": self.alphas.tolist(),
            "errors": self.errors.tolist(),
            "best": self.best,
            "alpha": self.alpha,
            "error": self.error,
            "n_rows": self.n_rows,
        }

    def __repr__(self) -> str:
        """Summarise in one line."""
        return (
            f"LeaveOneOutPath(alpha={self.alpha:.3g}, error={self.error:.3g}, n_alphas={len(self.alphas)}, "
            f"n_rows={self.n_rows})"
        )


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

    Notes
    -----
    One eigendecomposition of the smaller side p, about 9 p^3 flops and 24 p^2 bytes, then 2 n p (1 + k) flops for each
    penalty. A tall system needs its n x m features once more, in the eigenbasis.

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
    n, k = system.targets.shape
    within = _check_within(within_squares, n, k)
    reduced = ReducedSystem(system)
    weights = np.ones(n) if system.sample_weight is None else system.sample_weight
    scaled = system.targets * np.sqrt(weights)[:, np.newaxis]
    if reduced.n_rows == 0:
        # One row and an intercept: nothing is left to predict from, and nothing depends on the penalty.
        grid = _check_alphas(alphas) if alphas is not None else default_alphas(1.0, 1.0, 1)
        return LeaveOneOutPath(grid, np.zeros(len(grid)), len(grid) - 1, n)
    order = reduced.short_side
    check_memory(32 * order**2, f"the eigenvectors of a {order} x {order} Gram matrix")
    gram, _ = reduced.gram()
    scale = float(np.einsum("ii->", gram)) / reduced.n_rows
    values, vectors = eigh(gram, lower=True, overwrite_a=True, check_finite=False, driver="evd")
    values = np.maximum(values, 0.0)
    if alphas is None:
        grid = default_alphas(scale, float(values[-1]), order)
    else:
        grid = _check_alphas(alphas)
    if reduced.is_wide:
        errors = _wide_errors(reduced.unreflect(vectors), values, scaled, weights, within, grid)
    else:
        image = system.matrix.matmat(vectors) * np.sqrt(weights)[:, np.newaxis]
        unit = np.sqrt(weights / weights.sum()) if system.fit_intercept else np.zeros(n)
        errors = _tall_errors(image, values, scaled, weights, within, grid, unit)
    errors /= k * weights.sum()
    ties = errors <= errors.min() * (1.0 + _TIE) + (EPS * np.abs(system.targets).max()) ** 2
    return LeaveOneOutPath(grid, errors, int(np.flatnonzero(ties)[-1]), n)


def subsample_rows(n_rows: int, size: int = DEFAULT_SUBSAMPLE) -> NDArray[np.intp]:
    """Rows for the cheaper rule: a random subset that is the same every time.

    The penalty found on the subset is meant to be used unchanged on all rows. In the Gaussian-process reading of ridge
    regression alpha is the variance of the noise and the Gram matrix, a sum over neurons, is the covariance of the signal;
    neither depends on the number of rows. This is a rule, not a theorem: with more rows a slightly smaller penalty may win.

    Parameters
    ----------
    n_rows : int
        Rows to choose from.
    size : int, default=2500
        Rows to choose.

    Returns
    -------
    ndarray of shape (min(size, n_rows),)
        Increasing positions.
    """
    if size >= n_rows:
        return np.arange(n_rows)
    generator = np.random.Generator(np.random.Philox(_SUBSAMPLE_SEED))
    return np.sort(generator.choice(n_rows, size, replace=False, shuffle=False))


def default_alphas(scale: float, top: float, order: int) -> FloatArray:
    """Grid of penalties, four to the decade from 1e-12 to 1e3 times `scale`, where the eigenvalues resolve them.

    Parameters
    ----------
    scale : float
        Mean diagonal of the Gram matrix.
    top : float
        Its largest eigenvalue.
    order : int
        Its order n; penalties below n eps lambda_max are left out.

    Returns
    -------
    ndarray of shape (n_alphas,)
        Increasing.
    """
    if not scale > 0.0:
        scale = 1.0
    low, high = _DECADES
    grid = scale * np.logspace(low, high, int(round((high - low) * _STEPS_PER_DECADE)) + 1)
    return grid[grid >= min(order * EPS * top, grid[-1])]


def _wide_errors(
    basis: FloatArray,
    values: FloatArray,
    scaled: FloatArray,
    weights: FloatArray,
    within: FloatArray | None,
    alphas: FloatArray,
) -> FloatArray:
    """Sums of squared leave-one-out errors from an orthonormal basis of the space of residuals."""
    filters = 1.0 / (values[:, np.newaxis] + alphas)
    leverages = (basis * basis) @ filters
    coordinates = basis.T @ scaled
    share = np.minimum(weights, 1.0) / weights
    # (1 - delta H / w) / alpha; the first term is exactly zero for weights up to one.
    left = np.outer(1.0 - share, 1.0 / alphas) + share[:, np.newaxis] * leverages
    errors = np.empty(len(alphas))
    for part, dual in _filtered(basis, filters, coordinates):
        squares = (dual**2).sum(axis=1)
        if within is not None:
            squares += within.sum(axis=1)[:, np.newaxis] / alphas[part] ** 2
        errors[part] = (squares / left[:, part] ** 2).sum(axis=0)
    return errors


def _tall_errors(
    image: FloatArray,
    values: FloatArray,
    scaled: FloatArray,
    weights: FloatArray,
    within: FloatArray | None,
    alphas: FloatArray,
    unit: FloatArray,
) -> FloatArray:
    """Sums of squared leave-one-out errors from the features in the eigenbasis of their column Gram."""
    image = image - np.outer(unit, unit @ image)
    scaled = scaled - np.outer(unit, unit @ scaled)
    # Directions that the features do not resolve carry rounding errors only.
    resolved = values > len(values) * EPS * values[-1]
    image, values = image[:, resolved], values[resolved]
    filters = 1.0 / (values[:, np.newaxis] + alphas)
    leverages = unit[:, np.newaxis] ** 2 + (image * image) @ filters
    coordinates = image.T @ scaled
    left = np.maximum(1.0 - (np.minimum(weights, 1.0) / weights)[:, np.newaxis] * leverages, EPS)
    errors = np.empty(len(alphas))
    for part, fitted in _filtered(image, filters, coordinates):
        squares = ((scaled[:, :, np.newaxis] - fitted) ** 2).sum(axis=1)
        if within is not None:
            squares += within.sum(axis=1)[:, np.newaxis]
        errors[part] = (squares / left[:, part] ** 2).sum(axis=0)
    return errors


def _filtered(basis: FloatArray, filters: FloatArray, coordinates: FloatArray) -> Iterator[tuple[slice, FloatArray]]:
    """Compute basis @ (filter * coordinates) for blocks of filters: arrays of shape (n, k, block), one product each."""
    k, n_filters = coordinates.shape[1], filters.shape[1]
    step = max(1, _COLUMNS // k)
    for start in range(0, n_filters, step):
        part = slice(start, min(start + step, n_filters))
        right = coordinates[:, :, np.newaxis] * filters[:, np.newaxis, part]
        yield part, (basis @ right.reshape(len(right), -1)).reshape(len(basis), k, -1)


def _check_alphas(alphas: ArrayLike) -> FloatArray:
    """Penalties as an increasing float64 vector."""
    grid = np.sort(np.asarray(as_float(alphas, "alphas"), dtype=np.float64).ravel())
    if grid.size == 0:
        raise ValueError("alphas is empty: pass at least one penalty, or None for the default grid")
    check_finite(grid, "alphas")
    if grid[0] <= 0.0:
        raise ValueError(f"alphas has the entry {grid[0]}: penalties must be > 0")
    return grid


def _check_within(within_squares: ArrayLike | None, n: int, k: int) -> FloatArray | None:
    """Sums of squares within groups, shape (n, k)."""
    if within_squares is None:
        return None
    within = np.asarray(as_float(within_squares, "within_squares"), dtype=np.float64)
    within = within[:, np.newaxis] if within.ndim == 1 else within
    if within.shape != (n, k):
        raise ValueError(f"within_squares has shape {np.shape(within_squares)}: pass one value per row and output, {(n, k)}")
    check_finite(within, "within_squares")
    if within.min() < 0.0:
        raise ValueError(f"within_squares has the negative entry {within.min()}: sums of squares are >= 0")
    return within
