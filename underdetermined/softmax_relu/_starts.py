"""Where descents start."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._validation import as_float, check_finite

Array = NDArray[np.float64]

# Differences of logits at a start: with larger ones the softmax hardly changes, with smaller ones hardly anything does.
_SPREAD = (0.1, 10.0)


def check_start(x0: ArrayLike, n_parameters: int, n_problems: int | None) -> Array:
    """Check the first start.

    Parameters
    ----------
    x0 : array_like of shape (d,), or (d, N) where there are N problems
        Point given by the user; one vector is the start of all problems.
    n_parameters : int
        d.
    n_problems : int or None
        N; None for a single vector b.

    Returns
    -------
    ndarray of shape (d,), or (d, N)
        A copy.

    Raises
    ------
    ValueError
        If the shape does not fit or an entry is not finite.
    """
    start = np.array(as_float(x0, "x0"), dtype=np.float64)
    check_finite(start, "x0")
    shapes = [(n_parameters,)] if n_problems is None else [(n_parameters,), (n_parameters, n_problems)]
    if start.shape not in shapes:
        raise ValueError(f"x0 has shape {start.shape}: pass {' or '.join(map(str, shapes))}, one entry per column of A1")
    if n_problems is not None and start.ndim == 1:
        return np.repeat(start[:, np.newaxis], n_problems, axis=1)
    return start


def draw_starts(A1: Any, A2: Array, count: int, random_state: Any) -> list[Array]:
    """Gaussian starts: the largest pre-activation is 1, unless logits would then differ by more than 10 or less than 0.1.

    Parameters
    ----------
    A1 : ndarray or sparse array of shape (n, d)
        Hidden layer.
    A2 : ndarray of shape (m, n)
        Output layer.
    count : int
        Number of starts.
    random_state : None, int, sequence of int, or Generator
        What `numpy.random.default_rng` takes.

    Returns
    -------
    list of `count` ndarray of shape (d,)
        The first ones do not depend on `count`.

    Raises
    ------
    TypeError, ValueError
        If `random_state` is no seed.
    """
    try:
        generator = np.random.default_rng(random_state)
    except (TypeError, ValueError) as error:
        raise type(error)(f"random_state={random_state!r} is no seed: pass None, an int >= 0 or a Generator") from error
    return [_scaled(A1, A2, generator.standard_normal(A1.shape[1])) for _ in range(count)]


def _scaled(A1: Any, A2: Array, start: Array) -> Array:
    z = A1 @ start
    largest = float(np.abs(z).max())
    if not 0.0 < largest < np.inf:
        return start
    spread = float(np.ptp(A2 @ np.maximum(z / largest, 0.0)))
    return start / largest * (np.clip(spread, *_SPREAD) / spread if spread > 0.0 else 1.0)
