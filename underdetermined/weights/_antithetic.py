"""Gaussian neurons in pairs of opposite sign."""

from collections.abc import Callable

import numpy as np

from underdetermined.weights._blocks import Sample, check_arguments
from underdetermined.weights._gaussian import sample_gaussian
from underdetermined.weights._orthogonal import sample_orthogonal


def _with_opposites(sampler: Callable[..., Sample], n_inputs: int, width: int, seed: int, start: int) -> Sample:
    """Follow every neuron of a sampler by its opposite."""
    check_arguments(n_inputs, width, seed, start)
    first = start // 2
    weights, biases = sampler(n_inputs, -(-(start + width) // 2) - first, seed=seed, start=first)
    inside = slice(start - 2 * first, start - 2 * first + width)
    pairs = np.stack([weights, -weights], axis=-1).reshape(n_inputs, -1)
    return np.ascontiguousarray(pairs[:, inside]), np.stack([biases, -biases], axis=-1).reshape(-1)[inside]


def sample_antithetic(n_inputs: int, width: int, *, seed: int, start: int = 0) -> Sample:
    """Draw Gaussian weights in pairs w, -w.

    Every weight alone is standard Gaussian. The odd parts of the features of a pair cancel in averages, so that the Gram
    matrix of features with a large odd part, such as exponentials of short rows, has a smaller variance at a given width.

    Parameters
    ----------
    n_inputs : int
        Number of inputs d, at least 1.
    width : int
        Number of neurons m to draw, at least 1.
    seed : int
        Non-negative; the same seed gives the same network.
    start : int, default=0
        Index of the first neuron.

    Returns
    -------
    weights : ndarray of shape (n_inputs, width)
        Neurons 2 q and 2 q + 1 have opposite weights.
    biases : ndarray of shape (width,)
        Standard Gaussian, opposite in each pair.

    Raises
    ------
    ValueError
        If an argument is not an integer in its range.

    Notes
    -----
    Neuron 2 q is neuron q of `sample_gaussian` for the same seed. With an even or an odd activation and no intercept a pair
    is the same feature twice, up to its sign.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.weights import sample_antithetic
    >>> weights, _ = sample_antithetic(3, 6, seed=0)
    >>> np.array_equal(weights[:, 1::2], -weights[:, ::2])
    True
    """
    return _with_opposites(sample_gaussian, n_inputs, width, seed, start)


def sample_orthogonal_antithetic(n_inputs: int, width: int, *, seed: int, start: int = 0) -> Sample:
    """Draw weights in pairs w, -w, where the pairs are orthogonal in groups of d.

    Every weight alone is standard Gaussian. See `sample_antithetic` and `sample_orthogonal`; for positive features of
    short rows the two reductions of the variance add up.

    Parameters
    ----------
    n_inputs : int
        Number of inputs d, at least 1.
    width : int
        Number of neurons m to draw, at least 1.
    seed : int
        Non-negative; the same seed gives the same network.
    start : int, default=0
        Index of the first neuron.

    Returns
    -------
    weights : ndarray of shape (n_inputs, width)
        Neurons 2 q and 2 q + 1 have opposite weights.
    biases : ndarray of shape (width,)
        Standard Gaussian, opposite in each pair.

    Raises
    ------
    ValueError
        If an argument is not an integer in its range.

    Notes
    -----
    Neuron 2 q is neuron q of `sample_orthogonal` for the same seed. Cost O(d^2 m).

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.weights import sample_orthogonal_antithetic
    >>> weights, _ = sample_orthogonal_antithetic(3, 6, seed=0)
    >>> half = weights[:, ::2]
    >>> np.allclose(half.T @ half, np.diag(np.sum(half**2, axis=0)))
    True
    """
    return _with_opposites(sample_orthogonal, n_inputs, width, seed, start)
