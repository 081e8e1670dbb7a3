"""Random hidden weights, drawn block by block from a counter-based generator.

Neuron j belongs to block ``j // block_length``, and every block has a random stream of its own, addressed by
(seed, block). So a weight depends on the seed, the number of inputs and its place, never on how many
neurons are drawn, in which order or by how many workers; a wider network contains the narrower one.
All samplers give weights with ``E[w w^T]`` the identity and standard Gaussian biases; scales are applied
by the caller.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc

from underdetermined.blocks import single_threaded_blas

__all__ = ["SAMPLERS", "sample_gaussian", "sample_sphere", "sample_orthogonal", "sample_sobol", "get_sampler"]

Sample = tuple[np.ndarray, np.ndarray]
BLOCK_LENGTH = 256
SOBOL_BLOCK_LENGTH = 1024
SOBOL_BITS = 32


def _generator(seed: int, block: int) -> np.random.Generator:
    key = np.random.SeedSequence(seed).generate_state(2, np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=np.array([0, 0, 0, block], np.uint64)))


def _gaussian_block(n_inputs: int, seed: int, block: int) -> Sample:
    rng = _generator(seed, block)
    return rng.standard_normal((BLOCK_LENGTH, n_inputs)), rng.standard_normal(BLOCK_LENGTH)


def _check(n_inputs: int, width: int, seed: int, start: int) -> None:
    for name, value, least in (
        ("n_inputs", n_inputs, 1),
        ("width", width, 1),
        ("seed", seed, 0),
        ("start", start, 0),
    ):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(f"{name}={value!r} must be an integer of at least {least}.")


def _assemble(blocks: Callable[[int], Sample], length: int, n_inputs: int, width: int, start: int) -> Sample:
    """Lay the neurons start ... start + width - 1 side by side."""
    weights, biases = np.empty((n_inputs, width)), np.empty(width)
    for block in range(start // length, -(-(start + width) // length)):
        block_weights, block_biases = blocks(block)
        first, last = max(start, block * length), min(start + width, (block + 1) * length)
        inside = slice(first - block * length, last - block * length)
        weights[:, first - start : last - start] = block_weights[inside].T
        biases[first - start : last - start] = block_biases[inside]
    return weights, biases


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
    _check(n_inputs, width, seed, start)
    return _assemble(partial(_gaussian_block, n_inputs, seed), BLOCK_LENGTH, n_inputs, width, start)


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
    _check(n_inputs, width, seed, start)

    def block(index: int) -> Sample:
        directions, biases = _gaussian_block(n_inputs, seed, index)
        return directions * (np.sqrt(n_inputs) / np.linalg.norm(directions, axis=1))[:, None], biases

    return _assemble(block, BLOCK_LENGTH, n_inputs, width, start)


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
    _check(n_inputs, width, seed, start)
    groups = -(-BLOCK_LENGTH // n_inputs)
    length = groups * n_inputs

    def block(index: int) -> Sample:
        rng = _generator(seed, index)
        with single_threaded_blas():  # rounding must not depend on the number of threads
            factor, triangle = np.linalg.qr(rng.standard_normal((groups, n_inputs, n_inputs)))
        factor *= np.where(np.diagonal(triangle, axis1=1, axis2=2) < 0, -1.0, 1.0)[:, None, :]
        directions = factor.transpose(0, 2, 1).reshape(length, n_inputs)
        norms = np.sqrt(rng.chisquare(n_inputs, length))
        return directions * norms[:, None], rng.standard_normal(length)

    return _assemble(block, length, n_inputs, width, start)


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
    _check(n_inputs, width, seed, start)
    if n_inputs + 1 > qmc.Sobol.MAXDIM:
        raise ValueError(
            f"sampler='sobol' serves at most {qmc.Sobol.MAXDIM - 1} inputs, got n_inputs={n_inputs}; "
            "use sampler='orthogonal' or 'gaussian'."
        )

    def block(index: int) -> Sample:
        engine = qmc.Sobol(n_inputs + 1, bits=SOBOL_BITS, seed=np.random.Generator(np.random.Philox(seed)))
        if index:
            engine.fast_forward(index * SOBOL_BLOCK_LENGTH)
        points = ndtri(
            engine.random(SOBOL_BLOCK_LENGTH) + 0.5 ** (SOBOL_BITS + 1)
        )  # half a step, so that 0 is never hit
        return points[:, :-1], points[:, -1]

    return _assemble(block, SOBOL_BLOCK_LENGTH, n_inputs, width, start)


SAMPLERS: dict[str, Callable[..., Sample]] = {
    "gaussian": sample_gaussian,
    "sphere": sample_sphere,
    "orthogonal": sample_orthogonal,
    "sobol": sample_sobol,
}


def get_sampler(name: str) -> Callable[..., Sample]:
    """Return the sampler of this name.

    Parameters
    ----------
    name : {"gaussian", "sphere", "orthogonal", "sobol"}
        A key of `SAMPLERS`.

    Returns
    -------
    callable
        ``sampler(n_inputs, width, *, seed, start=0) -> (weights, biases)``.

    Raises
    ------
    ValueError
        If there is no such sampler; the message lists them.

    Examples
    --------
    >>> from underdetermined.weights import get_sampler
    >>> get_sampler("sobol").__name__
    'sample_sobol'
    """
    if name not in SAMPLERS:
        raise ValueError(f"sampler={name!r} is unknown; choose one of {', '.join(map(repr, SAMPLERS))}.")
    return SAMPLERS[name]
