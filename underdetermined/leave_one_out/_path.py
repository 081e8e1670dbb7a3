"""What a leave-one-out evaluation returns: penalties, errors, their standard errors, and how they were obtained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


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
    standard_errors : ndarray of shape (n_alphas,)
        How far `errors` may be from the error on new rows by the chance that picked these: with z_i the mean squared
        error of the w_i copies of row i and W = sum_i w_i, it is sqrt(n / (n - 1) sum_i w_i^2 (z_i - error)^2) / W, without
        weights the standard deviation of the squared errors over sqrt(n). Errors of the same rows at two penalties move
        together, so their difference is known far better than this. nan for a single row.
    method : {"eigendecomposition", "cholesky", "subset"}
        "eigendecomposition": every penalty of the grid, exact. "cholesky": exact too, but only for the penalties that a
        search visited. "subset": exact for a random subset of the rows, which stands for all of them.
    """

    alphas: FloatArray
    errors: FloatArray
    best: int
    n_rows: int
    standard_errors: FloatArray
    method: str

    @property
    def alpha(self) -> float:
        """Penalty with the smallest error."""
        return float(self.alphas[self.best])

    @property
    def error(self) -> float:
        """Smallest error."""
        return float(self.errors[self.best])

    @property
    def standard_error(self) -> float:
        """Standard error of the smallest error."""
        return float(self.standard_errors[self.best])

    def to_dict(self) -> dict[str, Any]:
        """Return the path as lists and numbers.

        Returns
        -------
        dict
            Keys ``alphas``, ``errors``, ``standard_errors``, ``best``, ``alpha``, ``error``, ``standard_error``, ``n_rows``
            and ``method``; a standard error that is not defined is None.
        """
        return {
            "alphas": self.alphas.tolist(),
            "errors": self.errors.tolist(),
            "standard_errors": [_or_none(value) for value in self.standard_errors],
            "best": self.best,
            "alpha": self.alpha,
            "error": self.error,
            "standard_error": _or_none(self.standard_error),
            "n_rows": self.n_rows,
            "method": self.method,
        }

    def __repr__(self) -> str:
        """Summarise in one line."""
        return (
            f"LeaveOneOutPath(alpha={self.alpha:.3g}, error={self.error:.3g} +- {self.standard_error:.2g}, "
            f"n_alphas={len(self.alphas)}, n_rows={self.n_rows}, method={self.method!r})"
        )


def _or_none(value: float) -> float | None:
    """Replace nan, which JSON does not know."""
    return None if np.isnan(value) else float(value)
