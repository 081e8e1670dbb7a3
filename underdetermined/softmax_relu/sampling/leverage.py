"""Leverage scores of the rows of a softmax-ReLU Hessian, from above, without forming the rows."""

from __future__ import annotations

from math import ceil, log, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from underdetermined._linalg import rank_cutoff
from underdetermined.softmax_relu.sampling.sample_size import sample_size

FloatArray = NDArray[np.float64]

# A random product of this many dimensions or more would underestimate squares of norms by half with the given probability.
_HALF = 0.5 * (log(2.0) - 0.5)
_BLOCK = 2048
# Error of the rough Hessian that the second scores come from.
_ROUGH = 0.5


class HessianRows:
    """The rows a_i = sqrt(p_i) e_i^T K_c of a point, where p_i > 0, and the rest of its Hessian.

    Parameters
    ----------
    point : SoftmaxReLUPoint
        Where.
    basis : ndarray of shape (d, k) or None
        If given, the rows are a_i^T basis.

    Attributes
    ----------
    rest : ndarray of shape (k, k)
        What the penalties and the bend of the units add to the sum of a_i a_i^T; positive semi-definite.
    """

    def __init__(self, point: Any, basis: FloatArray | None) -> None:
        objective = point.objective
        weights = point.curvature_weights("clipped")
        seen = np.flatnonzero(weights > 0.0)
        self._roots = np.sqrt(weights[seen])
        units = np.flatnonzero(point.slopes)
        hidden = objective.rows(units)
        hidden = hidden if isinstance(hidden, np.ndarray) else hidden.toarray()
        hidden = hidden if basis is None else hidden @ basis
        self._hidden = hidden * point.slopes[units, np.newaxis]
        self._mean = (point.fitted @ objective.A2)[units]
        is_whole = (len(seen), len(units)) == objective.A2.shape
        self._output = objective.A2 if is_whole else objective.A2[np.ix_(seen, units)]
        self.rest = _rest(point, basis)

    def __len__(self) -> int:
        return len(self._roots)

    @property
    def order(self) -> int:
        """Number of columns."""
        return len(self.rest)

    def sizes(self) -> FloatArray:
        """Squares of norms of the rows before the product with A1, up to rounding: they tell heavy rows from light ones."""
        squares = np.einsum("ij,ij->i", self._output, self._output) - 2.0 * (self._output @ self._mean)
        return self._roots**2 * (squares + self._mean @ self._mean)

    def take(self, which: NDArray[np.intp]) -> FloatArray:
        """Some of the rows.

        Parameters
        ----------
        which : ndarray of int, shape (s,)
            Positions among the rows with p_i > 0.

        Returns
        -------
        ndarray of shape (s, k)
        """
        return self._roots[which, np.newaxis] * ((self._output[which] - self._mean) @ self._hidden)

    def squares(self, right: FloatArray) -> FloatArray:
        """Squares of the norms of the products of all rows with some vectors.

        Parameters
        ----------
        right : ndarray of shape (k, r)
            Vectors.

        Returns
        -------
        ndarray of shape (len(self),)
        """
        narrow = self._hidden @ right
        shift = self._mean @ narrow
        result = np.empty(len(self))
        for start in range(0, len(self), _BLOCK):
            part = slice(start, start + _BLOCK)
            tile = self._output[part] @ narrow
            tile -= shift
            np.einsum("ij,ij->i", tile, tile, out=result[part])
        result *= self._roots**2
        return result

    def sampled(self, scores: FloatArray, size: int, rng: np.random.Generator) -> FloatArray:
        """Sum of a_i a_i^T, estimated from rows drawn in proportion to scores, with the rest.

        Parameters
        ----------
        scores : ndarray of shape (len(self),)
            Probabilities, up to a factor.
        size : int
            Number of draws, with replacement.
        rng : numpy.random.Generator
            Randomness.

        Returns
        -------
        ndarray of shape (k, k)
        """
        probabilities = scores / scores.sum()
        counts = rng.multinomial(size, probabilities)
        which = np.flatnonzero(counts)
        rows = self.take(which) * np.sqrt(counts[which] / (size * probabilities[which]))[:, np.newaxis]
        return rows.T @ rows + self.rest


def scores_from_above(rows: HessianRows, failure_probability: float, rng: np.random.Generator) -> FloatArray:
    """Numbers that are all at least the leverage scores a_i^T H^+ a_i, with a probability.

    Parameters
    ----------
    rows : HessianRows
        The rows a_i, and the rest of H.
    failure_probability : float
        Probability that one of them is smaller.
    rng : numpy.random.Generator
        Randomness.

    Returns
    -------
    ndarray of shape (len(rows),)
        Their sum is what `sample_size` takes as rank; 1 at most each.

    Notes
    -----
    Any subset of the rows gives a matrix below H, and so scores from above, whatever the subset. The first has half of its
    rows heavy ones and half random ones. Where it pays, a rough Hessian is drawn by these scores, and its own scores, with
    its error allowed for, replace them.
    """
    share = failure_probability / 3.0
    rough = sample_size(1.0, _ROUGH, share, dimension=rows.order)
    size = min(ceil(sqrt(rough * rows.order * len(rows))), len(rows))
    order = np.argpartition(-rows.sizes(), size // 2)
    heavy, others = np.split(order, [size // 2])
    chosen = np.concatenate([heavy, rng.choice(others, size - len(heavy), replace=False)])
    part = rows.take(chosen)
    scores = _scores(rows, part.T @ part + rows.rest, share, rng)
    size = sample_size(scores.sum(), _ROUGH, share, dimension=rows.order)
    if size >= len(rows):
        return scores
    second = np.minimum((1.0 + _ROUGH) * _scores(rows, rows.sampled(scores, size, rng), share, rng), 1.0)
    return second if second.sum() < scores.sum() else scores


def _scores(rows: HessianRows, below: FloatArray, failure_probability: float, rng: np.random.Generator) -> FloatArray:
    """The scores a_i^T M^-1 a_i of a matrix M, from above; 1 at most."""
    values, vectors = eigh(below)
    # A direction that M does not see has scores beyond 1, unless the rows do not see it either.
    cut = max(rank_cutoff(below.shape) * float(values[-1]), np.finfo(np.float64).tiny)
    right = vectors / np.sqrt(np.maximum(values, cut))
    factor = 1.0
    n_vectors = ceil(log(len(rows) / failure_probability) / _HALF)
    if n_vectors < rows.order:
        right = right @ (rng.standard_normal((rows.order, n_vectors)) / sqrt(n_vectors))
        factor = 2.0
    return np.minimum(factor * rows.squares(right), 1.0)


def _rest(point: Any, basis: FloatArray | None) -> FloatArray:
    """What the penalties and the bend of the units add to the clipped Hessian."""
    objective, kinks = point.objective, point.kink_weights("clipped")
    order = objective.n_parameters if basis is None else basis.shape[1]
    result = np.zeros((order, order)) if basis is not None else objective.reg * np.eye(order)
    if basis is not None:
        result += objective.reg * (basis.T @ basis)
    if kinks is not None:
        which = np.flatnonzero(kinks)
        near = objective.rows(which)
        near = near if basis is None else near @ basis
        near = (near if isinstance(near, np.ndarray) else near.toarray()) * np.sqrt(kinks[which])[:, np.newaxis]
        result += near.T @ near
    return result
