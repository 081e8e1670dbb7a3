"""Endless networks: every block of neurons has a random stream of its own."""

from collections.abc import Callable

import numpy as np

Sample = tuple[np.ndarray, np.ndarray]
BLOCK_LENGTH = 256


def generator(seed: int, block: int) -> np.random.Generator:
    """Return the random stream of a block."""
    key = np.random.SeedSequence(seed).generate_state(2, np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=np.array([0, 0, 0, block], np.uint64)))


def check_arguments(n_inputs: int, width: int, seed: int, start: int) -> None:
    """Refuse what is not an integer in its range."""
    for name, value, least in (
        ("n_inputs", n_inputs, 1),
        ("width", width, 1),
        ("seed", seed, 0),
        ("start", start, 0),
    ):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(f"{name}={value!r} must be an integer of at least {least}.")


def assemble(blocks: Callable[[int], Sample], length: int, n_inputs: int, width: int, start: int) -> Sample:
    """Lay the neurons start ... start + width - 1 side by side."""
    weights, biases = np.empty((n_inputs, width)), np.empty(width)
    for block in range(start // length, -(-(start + width) // length)):
        block_weights, block_biases = blocks(block)
        first, last = max(start, block * length), min(start + width, (block + 1) * length)
        inside = slice(first - block * length, last - block * length)
        weights[:, first - start : last - start] = block_weights[inside].T
        biases[first - start : last - start] = block_biases[inside]
    return weights, biases
