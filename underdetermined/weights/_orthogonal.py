"""Gaussian neurons that are orthogonal in groups."""

import numpy as np

from underdetermined.blocks import single_threaded_blas
from underdetermined.weights._blocks import BLOCK_LENGTH, Sample, assemble, check_arguments, generator


def sample_orthogonal(n_inputs: int, width: int, *, seed: int, start: int = 0) -> Sample:
    """Draw weights that are orthogonal in groups of d, each with the norm of a Gaussian vector.

    Every weight alone is standard Gaussian, but d consecutive ones are mutually orthogonal, which lowers the
    variance of the Gram matrix at a given width (Yu et al. 2016, Orthogonal random features).

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
        Neurons ``q d ... (q + 1) d - 1`` are mutually orthogonal for every q.
    biases : ndarray of shape (width,)
        Standard Gaussian.

    Raises
    ------
    ValueError
        If an argument is not an integer in its range.

    Notes
    -----
    Each group is the Q of a Gaussian matrix, made Haar-distributed by the signs of the diagonal of R, times
    independent chi-distributed norms. Cost O(d^2 m).

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.weights import sample_orthogonal
    >>> weights, _ = sample_orthogonal(3, 3, seed=0)
    >>> np.allclose(weights.T @ weights, np.diag(np.sum(weights**2, axis=0)))
    True
    """
    check_arguments(n_inputs, width, seed, start)
    groups = -(-BLOCK_LENGTH // n_inputs)
    length = groups * n_inputs

    def block(index: int) -> Sample:
        rng = generator(seed, index)
        with single_threaded_blas():  # rounding must not depend on the number of threads
            factor, triangle = np.linalg.qr(rng.standard_normal((groups, n_inputs, n_inputs)))
        factor *= np.where(np.diagonal(triangle, axis1=1, axis2=2) < 0, -1.0, 1.0)[:, None, :]
        directions = factor.transpose(0, 2, 1).reshape(length, n_inputs)
        norms = np.sqrt(rng.chisquare(n_inputs, length))
        return directions * norms[:, None], rng.standard_normal(length)

    return assemble(block, length, n_inputs, width, start)
