"""Gaussian expectations E[f(u) f(v)] for activations without a closed form, pair by pair, and diagonals for those with one.

Pairs take the shortest sum of Mehler's expansion that its own error bound allows; the few for which the largest degree
is not enough, nearly parallel ones at a kink or a steep rise of f, take a quadrature: a double one, or where many ask for
similar inner integrals a single one with a table of them.
"""

from collections.abc import Iterator
from threading import Lock

import numpy as np

from underdetermined._kernels import mehler

from ._average import END
from ._conditional import Smoothed, conditional_expectation
from ._diagonal import DIAGONALS
from ._pieces import Function
from ._rows import Rows
from ._smoothed import SMOOTHED
from ._table import Table

__all__ = ["DEGREES", "DIAGONALS", "SMOOTHED", "Expectation"]

DEGREES = (4 * mehler.CHAINS, 64 * mehler.CHAINS)  # numbers of coefficients: for most pairs, and for the rest
_TOLERANCE = 1e-14
_FLOOR = 2e-15  # rounding in what the coefficients leave of E f(n g)**2, which is 1
_SMALL = 0.02
_BATCH = 64
_MANY = 128  # pairs that are worth a table, times the edges in view, with which the cost of a double quadrature grows
_MAX_EDGES = 256
_USUAL = 6.0, 15.0  # where else a row has its mass, tables would have to be of higher relative accuracy
_ROUNDED = 1e-6  # a table at spreads below this part of a bend of f would see the rounding of its means


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
            self._finest = max(_SMALL, float(scales[scales > 0].min(initial=np.inf)))
        low, high = self.rows.low, self.rows.high
        self._is_usual = (np.maximum(low, -high) < _USUAL[0]) & (np.maximum(-low, high) < _USUAL[1])
        self._position = np.zeros(scales.size, np.intp)
        self._tables: dict[int, Table] = {}
        self._lock = Lock()

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
        mehler.series(result, self._position[left], self._position[right], self._coefficients, self._tails, _TOLERANCE, work)
        open_pairs = np.flatnonzero(np.isnan(result)) if is_last else np.zeros(0, np.intp)
        for group, smoothed in self._groups(open_pairs, sine, left, right):
            for start in range(0, group.size, _BATCH):
                part = group[start : start + _BATCH]
                result[part] = self._by_quadrature(correlation[part], sine[part], left[part], right[part], smoothed)
                part = part[np.isnan(result[part])]
                if part.size:
                    result[part] = self._by_quadrature(correlation[part], sine[part], left[part], right[part], None)
        norms = self.rows.norms
        result *= norms[left]
        result *= norms[right]
        return result

    def _groups(
        self, chosen: np.ndarray, sine: np.ndarray, left: np.ndarray, right: np.ndarray
    ) -> Iterator[tuple[np.ndarray, Smoothed | None]]:
        """The chosen pairs in groups, each with what gives its inner integrals."""
        scale = np.minimum(self.rows.scales[left[chosen]], self.rows.scales[right[chosen]])
        # Closed averages may cancel where f is nearly linear.
        is_small = scale < _SMALL
        yield chosen[is_small], None
        chosen, scale = chosen[~is_small], scale[~is_small]
        if self._smoothed is not None:
            yield chosen, self._smoothed
            return
        is_parallel = sine[chosen] == 0
        yield chosen[is_parallel], lambda mean, spread: self.rows.function(mean)
        chosen, scale = chosen[~is_parallel], scale[~is_parallel]
        is_usual = self._is_usual[left[chosen]] & self._is_usual[right[chosen]]
        yield chosen[~is_usual], None
        chosen, scale = chosen[is_usual], scale[is_usual]
        octave = np.frexp(scale * sine[chosen])[1]
        for each in np.unique(octave):
            group = chosen[octave == each]
            yield group, self._table(int(each), group.size)

    def _table(self, octave: int, count: int) -> Table | None:
        """A table for this octave of spreads, if that pays for so many pairs."""
        pieces, least = self.rows.pieces, 2.0 ** (octave - 1)
        in_view = np.count_nonzero(np.abs(pieces.edges) < END * least)
        is_rounded = least < _ROUNDED * np.abs(pieces.bends).max(initial=0.0)
        if count * in_view < _MANY or is_rounded or pieces.edges.size > _MAX_EDGES:
            return None
        with self._lock:
            if octave not in self._tables:
                self._tables[octave] = Table(pieces, least, self._finest)
            return self._tables[octave]

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
