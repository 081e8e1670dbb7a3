"""The pairs of a neuron and a sample whose pre-activation is positive, or nearly so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._kernels import active_set
from underdetermined._validation import check_matrix, check_memory, check_no_row_shift, check_number
from underdetermined.blocks import run_tiles, scratch, slices
from underdetermined.features import FeatureMap

FloatArray = NDArray[np.float64]

# Numbers in a tile of pre-activations: 1 MB, which fits the cache of a core.
TILE_SIZE = 2**17


@dataclass(frozen=True, eq=False)
class ActivePairs:
    """Pairs of neurons and samples, neuron by neuron.

    Parameters
    ----------
    indptr : ndarray of int64, shape (m + 1,)
        The pairs of neuron r are those from indptr[r] to indptr[r + 1].
    samples : ndarray of int32, shape (n_pairs,)
        Sample of each pair, increasing for each neuron.
    z : ndarray of shape (n_pairs,)
        Pre-activation of each pair.
    n_samples : int
        Number n of samples.
    """

    indptr: NDArray[np.int64]
    samples: NDArray[np.int32]
    z: FloatArray
    n_samples: int

    @property
    def n_pairs(self) -> int:
        """Number of pairs."""
        return int(self.indptr[-1])

    @property
    def neurons(self) -> NDArray[np.int64]:
        """Neuron of each pair."""
        return np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))

    @property
    def per_neuron(self) -> NDArray[np.int64]:
        """Pairs of each neuron, shape (m,)."""
        return np.diff(self.indptr)

    @property
    def per_sample(self) -> NDArray[np.int64]:
        """Pairs of each sample, shape (n,)."""
        return np.bincount(self.samples, minlength=self.n_samples)

    def __repr__(self) -> str:
        """Summarise in one line; the pairs are not printed."""
        n, m = self.n_samples, len(self.indptr) - 1
        return f"ActivePairs({self.n_pairs} of {n} x {m}, {self.n_pairs / (n * m):.3g})"


def active_pairs(
    feature_map: FeatureMap, X: ArrayLike, *, margin: float = 0.0, n_jobs: int | None = None
) -> ActivePairs:
    """Find the pairs with z_ir = <x_i, w_r> + b_r > -margin.

    Parameters
    ----------
    feature_map : FeatureMap
        The hidden layer; its activation is not looked at.
    X : array_like of shape (n, d)
        Inputs.
    margin : float, default=0.0
        At least 0; with 0 these are the active pairs of a ReLU layer.
    n_jobs : int or None, default=None
        Threads, as in `underdetermined.blocks.thread_count`.

    Returns
    -------
    ActivePairs
        Compressed lists, the same for any number of threads.

    Raises
    ------
    TypeError, ValueError
        If X is not a finite matrix with as many columns as the map has inputs, `margin` is out of range, or the map has a
        row shift.
    MemoryError
        If the pairs cannot fit.

    Notes
    -----
    Cost 2 n d m flops, in tiles of 1 MB: no n x m array. The result takes 12 bytes for each pair.

    References
    ----------
    :ref:`theory-sparse-relu`.

    Examples
    --------
    >>> from underdetermined import FeatureMap
    >>> from underdetermined.active_sets import active_pairs
    >>> pairs = active_pairs(FeatureMap([[1.0, -1.0]], [-1.0, -1.0]), [[2.0], [3.0], [-4.0]])
    >>> pairs.indptr, pairs.samples, pairs.z
    (array([0, 2, 3]), array([0, 1, 2], dtype=int32), array([1., 2., 3.]))
    """
    inputs = np.ascontiguousarray(check_matrix(X, "X"), dtype=np.float64)
    if inputs.shape[1] != feature_map.n_inputs:
        raise ValueError(
            f"X has {inputs.shape[1]} columns and the feature map {feature_map.n_inputs} inputs: pass matching ones"
        )
    check_no_row_shift(feature_map.row_shift, "active_pairs")
    margin = check_number(margin, "margin")
    n, m = len(inputs), feature_map.width
    weights = np.ascontiguousarray(feature_map.weights.T, dtype=np.float64)
    biases = np.zeros(m) if feature_map.biases is None else np.asarray(feature_map.biases, dtype=np.float64)
    tiles = slices(m, max(1, TILE_SIZE // n))
    found: list[tuple[NDArray[np.int32], FloatArray]] = [(np.empty(0, np.int32), np.empty(0))] * len(tiles)
    indptr = np.zeros(m + 1, np.int64)
    scales = np.zeros(n)

    def task(place: int) -> None:
        neurons = tiles[place]
        thresholds = np.array([np.full(neurons.stop - neurons.start, margin), np.zeros(neurons.stop - neurons.start)])
        count = indptr[neurons.start + 1 : neurons.stop + 1]
        samples, z = collect(weights[neurons], biases[neurons], inputs, thresholds, scales, count)
        found[place] = samples.copy(), z.copy()

    run_tiles(task, range(len(tiles)), n_jobs=n_jobs)
    np.cumsum(indptr, out=indptr)
    check_memory(12 * int(indptr[-1]), "the list of active pairs")
    return ActivePairs(indptr, np.concatenate([s for s, _ in found]), np.concatenate([z for _, z in found]), n)


def pre_activations(weights: FloatArray, biases: FloatArray, inputs: FloatArray) -> FloatArray:
    """Tile of W X.T + b, a row for each neuron, in scratch memory of this thread.

    Parameters
    ----------
    weights : ndarray of shape (b, d)
        Weights, a row for each neuron.
    biases : ndarray of shape (b,)
        Biases.
    inputs : ndarray of shape (n, d)
        Inputs.

    Returns
    -------
    ndarray of shape (b, n)
    """
    tile = scratch((len(weights), len(inputs)), np.dtype(np.float64))
    with np.errstate(over="ignore", invalid="ignore"):
        np.matmul(weights, inputs.T, out=tile)
        tile += biases[:, np.newaxis]
    return tile


def collect(
    weights: FloatArray,
    biases: FloatArray,
    inputs: FloatArray,
    thresholds: FloatArray,
    scales: FloatArray,
    count: NDArray[np.int64],
) -> tuple[NDArray[np.int32], FloatArray]:
    """Pairs of some neurons with z_i > -(thresholds[0] + thresholds[1] scales[i]).

    Parameters
    ----------
    weights, biases, inputs : ndarray
        As in `pre_activations`.
    thresholds : ndarray of shape (2, b)
        Of each neuron.
    scales : ndarray of shape (n,)
        Of each sample.
    count : ndarray of int, shape (b,)
        To be overwritten by the number of pairs of each neuron.

    Returns
    -------
    samples : ndarray of int32
        Samples, neuron by neuron.
    z : ndarray
        Pre-activations. Both are views of new arrays.
    """
    tile = scratch((len(weights), len(inputs)), np.dtype(np.float64))
    with np.errstate(over="ignore", invalid="ignore"):
        np.matmul(weights, inputs.T, out=tile)
    # One more place, because a pair is written before it is known whether it counts.
    samples, z = np.empty(tile.size + 1, np.int32), np.empty(tile.size + 1)
    total = active_set.collect(tile, biases, thresholds, scales, count, samples, z)
    return samples[:total], z[:total]
