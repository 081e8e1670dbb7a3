"""Random hidden weights, drawn block by block from a counter-based generator.

Neuron j belongs to block ``j // block_length``, and every block has a random stream of its own, addressed by
(seed, block). So a weight depends on the seed, the number of inputs and its place, never on how many
neurons are drawn, in which order or by how many workers; a wider network contains the narrower one.
All samplers give weights with ``E[w w^T]`` the identity and standard Gaussian biases; scales are applied
by the caller.
"""

from collections.abc import Callable

from underdetermined.weights._antithetic import sample_antithetic, sample_orthogonal_antithetic
from underdetermined.weights._blocks import Sample
from underdetermined.weights._gaussian import sample_gaussian, sample_sphere
from underdetermined.weights._orthogonal import sample_orthogonal
from underdetermined.weights._sobol import sample_sobol

__all__ = [
    "SAMPLERS",
    "get_sampler",
    "sample_antithetic",
    "sample_gaussian",
    "sample_orthogonal",
    "sample_orthogonal_antithetic",
    "sample_sobol",
    "sample_sphere",
]

SAMPLERS: dict[str, Callable[..., Sample]] = {
    "gaussian": sample_gaussian,
    "antithetic": sample_antithetic,
    "sphere": sample_sphere,
    "orthogonal": sample_orthogonal,
    "orthogonal_antithetic": sample_orthogonal_antithetic,
    "sobol": sample_sobol,
}


def get_sampler(name: str) -> Callable[..., Sample]:
    """Return the sampler of this name.

    Parameters
    ----------
    name : {"gaussian", "antithetic", "sphere", "orthogonal", "orthogonal_antithetic", "sobol"}
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
