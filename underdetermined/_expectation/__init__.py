"""Gaussian expectations E[f(u) f(v)] for activations without a closed form, pair by pair, and diagonals for those with one.

Pairs take the shortest sum of Mehler's expansion that its own error bound allows; the few for which the largest degree
is not enough, nearly parallel ones at a kink or a steep rise of f, take a quadrature.
"""

import numpy as np

from underdetermined._kernels import mehler

from ._conditional import Smoothed, conditional_expectation
from ._diagonal import DIAGONALS
from ._pieces import Function
from ._rows import Rows
from ._smoothed import SMOOTHED

__all__ = ["DEGREES", "DIAGONALS", "SMOOTHED", "Expectation"]

DEGREES = (4 * mehler.CHAINS, 64 * mehler.CHAINS)  # numbers of coefficients: for most pairs, and for the rest
_TOLERANCE = 1e-14
_FLOOR = 2e-15  # rounding in what the coefficients leave of E f(n g)**2, which is 1
_SMALL = 0.02
_BATCH = 256


class Expectation:
    """E[f(u) f(v)] for pairs of rows with given standard deviations.

    ``extend`` first, with a number of coefficients and the rows that need them; then ``pairs``.
    """

    def __init__(
        self,
        function: Function,
        scales: np.ndarray,
        kinks: tuple[float, ...],
        name: str,
        smoothed: Smoothed | None = None,
    ) -> None:
        self._smoothed = smoothed
        with np.errstate(all="ignore"):
            self.rows = Rows(function, scales, kinks, name)
        self._position = np.zeros(scales.size, np.intp)

    @property
    def squares(self) -> np.ndarray:
        """E f(u)**2 of every row."""
        return self.rows.norms**2

    def extend(self, rows: np.ndarray, size: int) -> None:
        """Compute the first ``size`` coefficients of these rows, which replace all earlier ones."""
        with np.errstate(all="ignore"):
            coefficients = self.rows.coefficients(rows, size - 1)
        self._position[rows] = np.arange(rows.size)
        self._coefficients = coefficients.reshape(rows.size, -1, mehler.CHAINS)
        captured = np.cumsum(np.einsum("nbk,nbk->nb", self._coefficients, self._coefficients), axis=1)
        self._tails = np.sqrt(np.maximum(1.0 - captured, _FLOOR))
        self._tails[self.rows.norms[rows] == 0] = 0.0

    def pairs(
        self, correlation: np.ndarray, sine: np.ndarray, left: np.ndarray, right: np.ndarray, *, is_last: bool
    ) -> np.ndarray:
        """The expectations of the pairs (left[e], right[e]) of rows.

        Unless ``is_last``, nan where the expansion has not enough coefficients.
        """
        result = correlation.copy()
        work = np.empty(mehler.CHAINS)
        mehler.series(
            result, self._position[left], self._position[right], self._coefficients, self._tails, _TOLERANCE, work
        )
        open_pairs = np.flatnonzero(np.isnan(result)) if is_last else np.zeros(0, np.intp)
        # Closed averages may cancel where f is nearly linear.
        is_small = np.minimum(self.rows.scales[left[open_pairs]], self.rows.scales[right[open_pairs]]) < _SMALL
        for group, smoothed in ((open_pairs[is_small], None), (open_pairs[~is_small], self._smoothed)):
            for start in range(0, group.size, _BATCH):
                part = group[start : start + _BATCH]
                pair = correlation[part], sine[part], left[part], right[part]
                result[part] = self._by_quadrature(*pair, smoothed)
        norms = self.rows.norms
        result *= norms[left]
        result *= norms[right]
        return result

    def _by_quadrature(
        self,
        correlation: np.ndarray,
        sine: np.ndarray,
        left: np.ndarray,
        right: np.ndarray,
        smoothed: Smoothed | None,
    ) -> np.ndarray:
        rows = self.rows
        # The integration variable is that of the left row; a negative correlation mirrors the right one.
        mirrored = correlation < 0
        low = np.where(mirrored, -rows.high[right], rows.low[right])
        high = np.where(mirrored, -rows.low[right], rows.high[right])
        margin = np.minimum(1.5, 9 * sine)
        return conditional_expectation(
            rows.pieces,
            (rows.scales[left], rows.scales[right]),
            (np.maximum(rows.low[left], low) - margin, np.minimum(rows.high[left], high) + margin),
            (rows.norms[left], rows.norms[right]),
            correlation,
            sine,
            smoothed,
        )
