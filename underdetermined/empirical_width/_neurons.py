"""The endless random network of one seed: Gram matrices and singular values of its first neurons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from underdetermined._linalg import add_outer_gram
from underdetermined.bounds import WidthProblem
from underdetermined.features import FeatureMap
from underdetermined.weights import sample_gaussian

FloatArray = NDArray[np.float64]

# Neurons are summed in chunks of so many features at least, within these numbers of neurons.
_CHUNK_FEATURES = 2**17
_SHORTEST, _LONGEST = 256, 2048
_SEEDS = 2**32


def network_seed(seed: int, index: int) -> int:
    """Seed of one network of an experiment, ``(seed + 1) 2**32 + index``: no two experiments share a network.

    Parameters
    ----------
    seed : int
        Seed of the experiment, at least 0.
    index : int
        Number of the network, from 0 to 2**32 - 1.

    Returns
    -------
    int
        What `sample_gaussian` takes; different from every seed below 2**32, as estimators draw them.
    """
    return (seed + 1) * _SEEDS + index


@dataclass(frozen=True, eq=False)
class Neurons:
    """Neurons 0, 1, 2, ... of one seed on the rows of a problem.

    Parameters
    ----------
    problem : WidthProblem
        Rows, activation and scales.
    seed : int
        Seed of `sample_gaussian`.
    """

    problem: WidthProblem
    seed: int

    @property
    def chunk(self) -> int:
        """Neurons summed at once: a block or several of `sample_gaussian`.

        Sums are cut at its multiples, so that a Gram matrix is the same to the last bit whatever narrower one it was made
        from.
        """
        blocks = _CHUNK_FEATURES // (self.problem.n_rows * _SHORTEST)
        return min(_SHORTEST * max(1, blocks), _LONGEST)

    def features(self, start: int, stop: int) -> FloatArray:
        """Features of the neurons from `start` to `stop`, without a factor.

        Parameters
        ----------
        start, stop : int
            Range of neurons.

        Returns
        -------
        ndarray of shape (n, stop - start)
        """
        problem = self.problem
        weights, biases = sample_gaussian(problem.inputs.shape[1], stop - start, seed=self.seed, start=start)
        weights *= problem.weight_scale
        biases *= problem.bias_scale
        used = biases if problem.bias_scale > 0.0 else None
        out = np.empty((problem.n_rows, stop - start))
        return FeatureMap(weights, used, problem.activation, 1.0, n_jobs=1)(problem.inputs, out=out)

    def add(self, total: FloatArray, start: int, stop: int) -> None:
        """Add the products a_j a_j^T of a range of neurons to a lower Gram, in place.

        Parameters
        ----------
        total : ndarray of shape (n, n), Fortran order
            Overwritten.
        start, stop : int
            Range of neurons; `start` is a multiple of the chunk.
        """
        for first in range(start, stop, self.chunk):
            with np.errstate(all="ignore"):
                add_outer_gram(total, self.features(first, min(first + self.chunk, stop)))

    def factor(self, width: int) -> FloatArray:
        """Square root L of the sum of a_j a_j^T, as accurate as the features themselves.

        Parameters
        ----------
        width : int
            Number of neurons m.

        Returns
        -------
        ndarray of shape (n, min(n, m))
            ``L @ L.T`` is the sum; singular values and left singular vectors are those of the features.

        Notes
        -----
        QR of blocks of neurons, 2 n^2 m flops; memory of about 10 n^2 numbers whatever the width.
        """
        n = self.problem.n_rows
        block = max(4 * n, self.chunk)
        result = np.empty((n, 0))
        for first in range(0, width, block):
            result = np.hstack([result, self.features(first, min(first + block, width))])
            if result.shape[1] > n:
                result = np.asarray(np.linalg.qr(result.T, mode="r")).T
        return result


class NestedGram:
    """Gram matrices of the first neurons of one seed, each made from the sum that is kept of fewer neurons.

    Parameters
    ----------
    neurons : Neurons
        The network.
    is_kept : bool
        Whether to keep a sum, 8 n^2 bytes; otherwise all neurons are summed every time, with the same result.
    """

    def __init__(self, neurons: Neurons, *, is_kept: bool) -> None:
        self._neurons = neurons
        self._is_kept = is_kept
        self._known = 0
        self._sum: FloatArray | None = None

    def keep(self, width: int) -> None:
        """Move the sum that is kept to a width, up to whole chunks.

        Parameters
        ----------
        width : int
            Later widths are mostly at least this one; a smaller one starts from the first neuron again.
        """
        known = width - width % self._neurons.chunk
        if not self._is_kept or known == self._known:
            return
        n = self._neurons.problem.n_rows
        if self._sum is None or known < self._known:
            self._sum, self._known = np.zeros((n, n), order="F"), 0
        self._neurons.add(self._sum, self._known, known)
        self._known = known

    def gram(self, width: int) -> FloatArray:
        """Average of a_j a_j^T over the first neurons.

        Parameters
        ----------
        width : int
            Number of neurons m.

        Returns
        -------
        ndarray of shape (n, n), Fortran order
            A lower Gram of its own.

        Raises
        ------
        OverflowError
            If an entry overflows.
        """
        n = self._neurons.problem.n_rows
        if self._sum is not None and self._known <= width:
            total, known = self._sum.copy(order="F"), self._known
        else:
            total, known = np.zeros((n, n), order="F"), 0
        self._neurons.add(total, known, width)
        total /= width
        if not np.isfinite(total.sum()):
            activation = str(self._neurons.problem.activation)
            raise OverflowError(
                f"the Gram matrix of {width} neurons with activation={activation!r} overflows: scale X down, with "
                "StandardScaler, for example, or lower weight_scale and bias_scale"
            )
        return total
