"""From residuals and leverages to leave-one-out errors, the same for every way of computing them.

With D = diag(sqrt(w)) and H the hat matrix of the weighted ridge fit, intercept included, leaving out one copy of row g (a
share delta_g = min(1, w_g) of its weight) turns its residual e_g into e_g / (1 - delta_g H_gg / w_g). A row that stands for
w_g merged copies, with their mean target and with sum of squares s_g about it, contributes

    (w_g e_g^2 + s_g) / (1 - delta_g H_gg / w_g)^2.

For w_g <= 1 a factor alpha cancels: sqrt(w_g) e_g = alpha c_g and 1 - H_gg = alpha b_g, where c = B D y, b_g = B_gg and B is
the inverse of the Gram matrix plus alpha on the space of residuals. That form is stable down to alpha -> 0, where e_g and
1 - H_gg vanish.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._linalg import EPS
from underdetermined._matrix import Matrix, Tile
from underdetermined._validation import as_float, check_finite
from underdetermined.leave_one_out._path import LeaveOneOutPath
from underdetermined.system import LinearSystem

FloatArray = NDArray[np.float64]

# Relative differences of errors below this are ties, and the larger penalty wins.
_TIE = 1e-6
# Sums of squares of targets up to this size are far from overflow.
_LARGEST = 1e150


class LeftOut:
    """Weights, merged copies and scale of a system, and the sums of its leave-one-out errors.

    Parameters
    ----------
    system : LinearSystem
        Whose rows are left out.
    within_squares : array_like of shape (n, k), or (n,) if k is 1, optional
        Sums of squares of merged targets about their mean.

    Attributes
    ----------
    scaled : ndarray of shape (n, k)
        Targets times the square roots of the weights, without the part that the intercept takes.
    unit : ndarray of shape (n,)
        Direction of the intercept among weighted rows; zeros if none is fitted.
    """

    def __init__(self, system: LinearSystem, within_squares: ArrayLike | None) -> None:
        n, self._n_outputs = system.targets.shape
        self._matrix: Matrix = system.matrix
        self._within = _check_within(within_squares, n, self._n_outputs)
        self._weights = np.ones(n) if system.sample_weight is None else system.sample_weight
        self._share = np.minimum(self._weights, 1.0) / self._weights
        largest = float(np.abs(system.targets).max())
        if largest > _LARGEST:
            raise ValueError(f"targets as large as {largest:.3g} have squared errors that overflow: scale them down")
        self._rounding = (EPS * largest) ** 2
        self._root = np.sqrt(self._weights)
        self.unit = self._root / np.sqrt(self._weights.sum()) if system.fit_intercept else np.zeros(n)
        scaled = system.targets * self._root[:, np.newaxis]
        self.scaled = scaled - np.outer(self.unit, self.unit @ scaled)

    def row_tiles(self) -> Iterator[Tile]:
        """Weighted rows of the features, without the part along the intercept's direction."""
        centre = self._matrix.rmatmat((self.unit * self._root)[:, np.newaxis])[:, 0]
        for part, tile in self._matrix.row_tiles():
            yield part, tile * self._root[part, np.newaxis] - np.outer(self.unit[part], centre)

    def inverse_sums(self, dual: FloatArray, diagonal: FloatArray, alphas: FloatArray) -> FloatArray:
        """Sum of squared errors of the copies of every row, (n, a), from c of shape (n, k, a) and b of shape (n, a)."""
        # (1 - delta H / w) / alpha; the first term is exactly zero for weights up to one.
        left = np.outer(1.0 - self._share, 1.0 / alphas) + self._share[:, np.newaxis] * diagonal
        # Divided first: of large Gram matrices the squares of both would underflow.
        within = np.sqrt(self._within)[:, np.newaxis] / alphas / left
        return ((dual / left[:, np.newaxis, :]) ** 2).sum(axis=1) + within**2

    def residual_sums(self, residual: FloatArray, leverage: FloatArray, part: slice) -> FloatArray:
        """Same for some of the rows, (t, a), from weighted residuals (t, k, a) and the diagonal of H (t, a)."""
        squares = (residual**2).sum(axis=1) + self._within[part, np.newaxis]
        left = np.maximum(1.0 - self._share[part, np.newaxis] * leverage, EPS)
        return squares / left**2

    def intercept_error(self) -> float:
        """Error of a single row and an intercept: its copies predict one another, and one alone has nothing to predict."""
        left = 1.0 - self._share
        sums = np.where(left > 0.0, self._within / np.maximum(left, EPS) ** 2, 0.0)
        return float(self.mean(sums[:, np.newaxis])[0][0])

    def mean(self, sums: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean over copies and outputs, and its standard error, from the sums of all rows: both of shape (a,)."""
        n, total = len(sums), self._weights.sum()
        sums = sums / self._n_outputs
        errors = sums.sum(axis=0) / total
        if n == 1:
            return errors, np.full_like(errors, np.nan)
        spread = ((sums - np.outer(self._weights, errors)) ** 2).sum(axis=0)
        return errors, np.sqrt(n / (n - 1.0) * spread) / total

    def best(self, errors: FloatArray) -> int:
        """Position of the smallest error, the last one among ties."""
        ties = errors <= errors.min() * (1.0 + _TIE) + self._rounding
        return int(np.flatnonzero(ties)[-1])

    def path(self, alphas: FloatArray, errors: FloatArray, standard_errors: FloatArray, method: str) -> LeaveOneOutPath:
        """Path of these penalties, which must increase."""
        return LeaveOneOutPath(alphas, errors, self.best(errors), len(self._weights), standard_errors, method)


def _check_within(within_squares: ArrayLike | None, n: int, k: int) -> FloatArray:
    """Sums of squares within groups, over all outputs: shape (n,)."""
    if within_squares is None:
        return np.zeros(n)
    within = np.asarray(as_float(within_squares, "within_squares"), dtype=np.float64)
    within = within[:, np.newaxis] if within.ndim == 1 else within
    if within.shape != (n, k):
        raise ValueError(f"within_squares has shape {np.shape(within_squares)}: pass one value per row and output, {(n, k)}")
    check_finite(within, "within_squares")
    if within.min() < 0.0:
        raise ValueError(f"within_squares has the negative entry {within.min()}: sums of squares are >= 0")
    return within.sum(axis=1)
