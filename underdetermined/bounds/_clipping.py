"""A sample of neurons: where to clip their leverage, and how much of the kernel that costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np
from numpy.linalg import eigh  # SciPy's, for one eigenvalue, fails where multiplicities are high
from numpy.typing import NDArray

from underdetermined._linalg import add_outer_gram
from underdetermined._validation import check_memory
from underdetermined.blocks import run_tiles, slices, thread_count
from underdetermined.bounds._problem import WidthProblem
from underdetermined.features import FeatureMap
from underdetermined.weights import sample_gaussian

FloatArray = NDArray[np.float64]

TILE = 1024
QUANTILE = 1.96  # of the normal distribution: intervals of 95 %
_CANDIDATES = 16
_SEEN = 10  # so many neurons of one half lie beyond every threshold that is tried, so that the other half sees some too
_TAIL = 8  # at most this part of the neurons lies beyond a threshold
_STREAM = 0x5EED


@dataclass(frozen=True)
class Clipping:
    """A threshold of the leverage, and the loss of kernel that it causes, with sampling errors.

    Parameters
    ----------
    tau : float
        The threshold.
    low, high : float
        Interval for ``eta = lambda_max(E[(1 - tau / l)_+ K^{+1/2} a a.T K^{+1/2}])``.
    largest : float
        Largest leverage in the sample.
    square : float
        Mean of |a|^4 / lambda_max^2 over one half of the sample, plus its sampling error.
    """

    tau: float
    low: float
    high: float
    largest: float
    square: float


def clip_leverage(
    problem: WidthProblem, n_samples: int, seed: int, cost: Callable[[float, float], float]
) -> Clipping | None:
    """Choose a threshold on one half of a sample of neurons, and measure its loss on the other half.

    Parameters
    ----------
    problem : WidthProblem
        Resolved, of rank at least 1.
    n_samples : int
        Neurons, at least 160.
    seed : int
        Of the sample, which has a stream of its own: no network of this seed has its neurons.
    cost : callable
        ``cost(tau, eta)``, what the threshold is chosen to minimise; inf where it is of no use.

    Returns
    -------
    Clipping or None
        None if no threshold is of any use on the first half.

    Notes
    -----
    The first half gives the order of the leverages, and with it the candidates; for each one the loss along the worst
    direction, and its error. It also gives the direction in which least is left. The second half gives the loss again, as
    the largest eigenvalue of an average, whose mean is not below that of the mean, and what is left in the direction of the
    first half, an average without bias. The latter notices what the former cannot: kernel that no neuron of the second
    half has shown. About 3 n_samples n p multiplications; memory for n_samples p / 8 numbers and three p x p matrices.
    """
    half = n_samples // 2
    p = problem.numerical_rank
    most = half // _TAIL
    held = 2 * thread_count() * TILE * (problem.n_rows + p)
    check_memory(8 * (3 * p * p + 2 * most * p + held), f"a sample of {n_samples} leverages")
    stream = int(np.random.SeedSequence([seed, _STREAM]).generate_state(1, np.uint64)[0])

    first = _First(problem, stream, half, most)
    chosen = first.choose(cost)
    if chosen is None:
        return None
    tau, beyond = chosen
    direction = first.weakest(tau, beyond)

    left, tail, largest, fourth = [], [], float(first.leverage.max()), []
    size = sqrt(problem.spectrum.largest - problem.rounding)
    for features, white in _white_tiles(problem, stream, range(half, 2 * half)):
        leverage = np.einsum("ij,ij->j", white, white)
        largest = max(largest, float(leverage.max()))
        left.append(_kept(leverage, tau) * (direction @ white) ** 2)
        tail.append(_scaled_tail(white, leverage, tau))
        features /= size  # the fourth power of a feature soon overflows
        fourth.append(np.einsum("ij,ij->j", features, features) ** 2)
    eta, error = _loss(np.hstack(tail), half)
    kept, kept_error = _mean(np.concatenate(left))
    square, square_error = _mean(np.concatenate(fourth))
    high = max(eta + QUANTILE * error, 1.0 - kept + QUANTILE * kept_error)
    low = max(0.0, 1.0 - kept - QUANTILE * kept_error)
    return Clipping(tau, low, high, largest, square + QUANTILE * square_error)


class _First:
    """What the first half of the sample says."""

    def __init__(self, problem: WidthProblem, stream: int, half: int, most: int) -> None:
        p = problem.numerical_rank
        self.half = half
        self.gram = np.zeros((p, p), order="F")
        parts = []
        for _, white in _white_tiles(problem, stream, range(half)):
            parts.append(np.einsum("ij,ij->j", white, white))
            add_outer_gram(self.gram, white)
        self.leverage = np.concatenate(parts)
        # The stable order makes ties, and with them the answer, the same everywhere.
        order = np.argsort(-self.leverage, kind="stable")[: most + 1]
        self.sorted = self.leverage[order]
        kept = np.zeros(half, dtype=bool)
        kept[order] = True
        # Neurons come by number; their columns go where their leverage ranks them.
        place, start = np.argsort(order), 0
        self.tail = np.empty((p, most + 1))
        for _, white in _white_tiles(problem, stream, range(half), kept):
            self.tail[:, place[start : start + white.shape[1]]] = white
            start += white.shape[1]

    def choose(self, cost: Callable[[float, float], float]) -> tuple[float, int] | None:
        """Threshold of least cost, and how many neurons are beyond it."""
        found = []
        counts = np.unique(np.geomspace(min(_SEEN, self.tail.shape[1] - 1), self.tail.shape[1] - 1, _CANDIDATES).astype(int))
        for count in counts.tolist():
            tau = float(self.sorted[count])
            if tau == 0.0:
                # Clipping at zero leaves nothing, however little of it the sample shows.
                break
            eta, error = _loss(_scaled_tail(self.tail[:, :count], self.sorted[:count], tau), self.half)
            found.append((tau, count, eta, QUANTILE * error))
        # The other half takes the upper end of an interval about another centre: two errors are safer than one.
        for margin in (2.0, 1.0) if found else ():
            value, tau, count = min((cost(tau, eta + margin * error), tau, count) for tau, count, eta, error in found)
            if value < np.inf:
                return tau, count
        return None

    def weakest(self, tau: float, count: int) -> FloatArray:
        """Direction in which the clipped neurons leave least."""
        tail = _scaled_tail(self.tail[:, :count], self.sorted[:count], tau)
        left = np.tril(self.gram) - np.tril(tail @ tail.T)
        return eigh(left)[1][:, 0]


def _white_tiles(
    problem: WidthProblem, stream: int, neurons: range, kept: NDArray[np.bool_] | None = None
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Features (n, t) of the neurons, tile by tile and in order, and the same whitened (p, t)."""
    d = problem.inputs.shape[1]
    transposed = np.ascontiguousarray(problem.whitening.T)
    found: dict[int, tuple[FloatArray, FloatArray]] = {}

    def compute(start: int) -> None:
        stop = min(start + TILE, neurons.stop)
        weights, biases = sample_gaussian(d, stop - start, seed=stream, start=start)
        if kept is not None:
            chosen = kept[start - neurons.start : stop - neurons.start]
            if not chosen.any():
                return
            weights, biases = weights[:, chosen], biases[chosen]
        layer = FeatureMap(
            problem.weight_scale * weights,
            problem.bias_scale * biases if problem.bias_scale else None,
            problem.activation,
            scale=1.0,
            n_jobs=1,
        )
        features = layer(problem.inputs)
        found[start] = features, transposed @ features

    starts = list(range(neurons.start, neurons.stop, TILE))
    for part in slices(len(starts), 2 * thread_count()):
        run_tiles(compute, starts[part])
        for start in starts[part]:
            if start in found:
                yield found.pop(start)


def _kept(leverage: FloatArray, tau: float) -> FloatArray:
    """Factor min(1, tau / l) of every neuron."""
    return tau / np.maximum(leverage, tau)


def _scaled_tail(white: FloatArray, leverage: FloatArray, tau: float) -> FloatArray:
    """Columns beyond tau, times the root of what is clipped off, 1 - tau / l."""
    beyond = leverage > tau
    return white[:, beyond] * np.sqrt(1.0 - tau / leverage[beyond])


def _loss(tail: FloatArray, count: int) -> tuple[float, float]:
    """Largest eigenvalue of the average of `count` outer products, all but these columns zero, and its error."""
    if not tail.shape[1]:
        return 0.0, 0.0
    p, k = tail.shape
    gram = tail.T @ tail if k < p else tail @ tail.T
    values, vectors = eigh(gram)
    top = max(0.0, float(values[-1]))
    # For k < p the eigenvector belongs to the columns: tail.T u = sqrt(top) vector.
    along = sqrt(top) * vectors[:, -1] if k < p else vectors[:, -1] @ tail
    eta = top / count
    variance = max(0.0, float((along**4).sum()) / count - eta**2)
    return eta, sqrt(variance / count)


def _mean(values: FloatArray) -> tuple[float, float]:
    """Mean and its standard error."""
    mean, error = float(values.mean()), float(values.std()) / sqrt(len(values))
    return (mean, error) if isfinite(mean) and isfinite(error) else (np.inf, np.inf)
