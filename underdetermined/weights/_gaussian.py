"""Neurons that are independent of each other: Gaussian ones, and the same directions on a sphere."""

from functools import partial

import numpy as np

from underdetermined.weights._blocks import BLOCK_LENGTH, Sample, assemble, check_arguments, generator


def gaussian_block(n_inputs: int, seed: int, block: int) -> Sample:
    rng = generator(seed, block)
    return rng.standard_normal((BLOCK_LENGTH, n_inputs)), rng.standard_normal(BLOCK_LENGTH)


def sample_gaussian(n_inputs: int, width: int, *, seed: int, start: int = 0) -> Sample:
    """Draw independent standard Gaussian weights, ``w_j ~ N(0, I_d)``.

    Parameters
    ----------
    n_inputs : int
        Number of inputs d, at least 1.
    width : int
        Number of neurons m to draw, at least 1.
    seed : int
        Non-negative; the same seed gives the same network.
    start : int, default=0
        Index of the first neuron: neurons ``start ... start + width - 1`` of the endless network of this seed.

    Returns
    -------
    weights : ndarray of shape (n_inputs, width)
        One column for each neuron, float64.
    biases : ndarray of shape (width,)
        Standard Gaussian.

    Raises
    ------
    ValueError
        If an argument is not an integer in its range.

    Notes
    -----
    Cost d m normal variates.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.weights import sample_gaussian
    >>> wide, _ = sample_gaussian(3, 1000, seed=0)
    >>> tail, _ = sample_gaussian(3, 10, seed=0, start=990)
    >>> np.array_equal(wide[:, 990:], tail)
    True
    """
    check_arguments(n_inputs, width, seed, start)
    return assemble(partial(gaussian_block, n_inputs, seed), BLOCK_LENGTH, n_inputs, width, start)


def sample_sphere(n_inputs: int, width: int, *, seed: int, start: int = 0) -> Sample:
    """Draw weights uniformly from the sphere of radius sqrt(d), so that ``E[w w^T]`` is the identity.

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
        Columns of norm sqrt(n_inputs).
    biases : ndarray of shape (width,)
        Standard Gaussian.

    Raises
    ------
    ValueError
        If an argument is not an integer in its range.

    Notes
    -----
    The directions are those of `sample_gaussian` for the same seed.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.weights import sample_sphere
    >>> weights, _ = sample_sphere(4, 5, seed=0)
    >>> np.allclose(np.linalg.norm(weights, axis=0), 2.0)
    True
    """
    check_arguments(n_inputs, width, seed, start)

    def block(index: int) -> Sample:
        directions, biases = gaussian_block(n_inputs, seed, index)
        return directions * (np.sqrt(n_inputs) / np.linalg.norm(directions, axis=1))[:, None], biases

    return assemble(block, BLOCK_LENGTH, n_inputs, width, start)
