"""Which degrees of an expansion have dominant diagonals: what Gershgorin's theorem leaves of the powers of cosines."""

from __future__ import annotations

import numpy as np

from underdetermined._linalg import EPS
from underdetermined.bounds._kernel_problem import FloatArray

_NEGLIGIBLE = -45.0


class Dominance:
    """Values ``g_ki = 1 - sum_j C_ij |rho_ij|^k`` of all rows, from pairs that shrink to those that still matter.

    Parameters
    ----------
    cosines : ndarray of shape (n, n)
        Upper bounds of C; the diagonal is not read.
    separations : ndarray of shape (n, n)
        Lower bounds of the distances of lines, ``|rho| = 1 - separation^2 / 2``.
    """

    def __init__(self, cosines: FloatArray, separations: FloatArray) -> None:
        n = len(cosines)
        is_pair = ~np.eye(n, dtype=bool)
        self.rows = np.nonzero(is_pair)[0]
        self.cosines = np.minimum(cosines[is_pair], 1.0)
        chords = np.maximum(separations[is_pair], 0.0)
        with np.errstate(divide="ignore"):
            self.logs = np.log1p(-np.minimum(chords**2 / 2.0, 1.0))
        self.base = np.full(n, 1.0 - 64.0 * EPS)
        is_parallel = self.logs == 0.0
        self.base -= np.bincount(self.rows[is_parallel], self.cosines[is_parallel], n)
        self._keep(~is_parallel)

    def _keep(self, chosen: np.ndarray) -> None:
        self.rows, self.cosines, self.logs = self.rows[chosen], self.cosines[chosen], self.logs[chosen]

    def at(self, degree: float) -> FloatArray:
        """g (n,) of a degree."""
        # The power zero is one, also of a cosine of zero.
        powers = np.exp(degree * self.logs) if degree else np.ones_like(self.logs)
        return self.base - np.bincount(self.rows, self.cosines * powers, self.base.size)

    def drop(self, degree: float) -> None:
        """Forget pairs whose powers are below rounding from this degree on."""
        if degree:
            self._keep(degree * self.logs > _NEGLIGIBLE)

    @property
    def is_constant(self) -> bool:
        """Whether no pair is left that changes with the degree."""
        return self.rows.size == 0
