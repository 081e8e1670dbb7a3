"""Quasi-random Gaussian neurons."""

import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc

from underdetermined.weights._blocks import Sample, assemble, check_arguments

SOBOL_BLOCK_LENGTH = 1024
SOBOL_BITS = 32


def sample_sobol(n_inputs: int, width: int, *, seed: int, start: int = 0) -> Sample:
    """Draw quasi-random Gaussian weights: a scrambled Sobol sequence through the normal quantile.

    Parameters
    ----------
    n_inputs : int
        Number of inputs d, at least 1 and at most 21200, what SciPy has direction numbers for.
    width : int
        Number of neurons m to draw, at least 1.
    seed : int
        Non-negative; the same seed gives the same network.
    start : int, default=0
        Index of the first neuron.

    Returns
    -------
    weights : ndarray of shape (n_inputs, width)
        Each column alone is standard Gaussian.
    biases : ndarray of shape (width,)
        The last coordinate of the same sequence.

    Raises
    ------
    ValueError
        If an argument is not an integer in its range, or n_inputs is above 21200.

    Notes
    -----
    A Gram entry is then a quasi-Monte-Carlo average, closest to its limit at widths that are powers of two.

    Examples
    --------
    >>> from underdetermined.weights import sample_sobol
    >>> weights, biases = sample_sobol(2, 1024, seed=0)
    >>> bool(abs(weights.mean()) < 1e-3)
    True
    """
    check_arguments(n_inputs, width, seed, start)
    if n_inputs + 1 > qmc.Sobol.MAXDIM:
        raise ValueError(
            f"sampler='sobol' serves at most {qmc.Sobol.MAXDIM - 1} inputs, got n_inputs={n_inputs}; "
            "use sampler='orthogonal' or 'gaussian'."
        )

    def block(index: int) -> Sample:
        engine = qmc.Sobol(n_inputs + 1, bits=SOBOL_BITS, seed=np.random.Generator(np.random.Philox(seed)))
        if index:
            engine.fast_forward(index * SOBOL_BLOCK_LENGTH)
        points = ndtri(engine.random(SOBOL_BLOCK_LENGTH) + 0.5 ** (SOBOL_BITS + 1))  # half a step, so that 0 is never hit
        return points[:, :-1], points[:, -1]

    return assemble(block, SOBOL_BLOCK_LENGTH, n_inputs, width, start)
