"""Hidden neurons drawn by their leverage scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import issparse

from underdetermined._validation import check_count, check_memory, check_number
from underdetermined.activations import Activation
from underdetermined.blocks import single_threaded_blas
from underdetermined.features import FeatureMap
from underdetermined.neurons._leverage import leverage_scores
from underdetermined.weights import sample_gaussian

# Neurons of a pool for every row, and in any pool.
POOL_PER_ROW = 16
SMALLEST_POOL = 1024
# Tells the stream of the draws from that of the weights of the same seed.
_DRAWS = 1


def sample_leverage(
    X: Any,
    width: int,
    *,
    activation: str | Activation | Callable[[np.ndarray], np.ndarray] = "relu",
    weight_scale: float | str = "auto",
    bias_scale: float = 1.0,
    row_shift: float = 0.0,
    pool: int | None = None,
    seed: int = 0,
    n_jobs: int | None = None,
) -> FeatureMap:
    """Draw hidden neurons from a pool of Gaussian ones in proportion to their leverage scores.

    With l_j the scores of the pool and p_j = l_j / sum(l), `width` neurons are drawn independently, with replacement, and
    the factor of a drawn neuron is ``1 / sqrt(width p_j pool)``. The mean of their Gram matrix is the average over the pool,
    whose mean is the infinite-width kernel.

    Parameters
    ----------
    X : {array_like, sparse array} of shape (n, d)
        Rows that the scores refer to.
    width : int
        Number of draws m, at least 1. The same neuron may be drawn more than once.
    activation : str, callable or Activation, default="relu"
        As `get_activation` takes it.
    weight_scale : float or "auto", default="auto"
        Standard deviation of the hidden weights in the pool; "auto" is ``1 / sqrt(d)``.
    bias_scale : float, default=1.0
        Standard deviation of the biases in the pool; 0 means no biases.
    row_shift : float, default=0.0
        As `FeatureMap` takes it.
    pool : int or None, default=None
        Neurons in the pool; None is ``max(16 n, 1024)``.
    seed : int, default=0
        Non-negative; the pool is the network of `sample_gaussian` with this seed.
    n_jobs : int or None, default=None
        Threads, as `FeatureMap` takes them. They do not change the result.

    Returns
    -------
    FeatureMap
        The drawn neurons, in float64, each with a factor of its own. A wider layer of the same seed and rows begins with the
        same neurons.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range or an entry is not finite.
    MemoryError
        If the weights of the pool or of the result, or an n x n matrix, cannot fit.

    Notes
    -----
    3 n^2 pool + 10 n^3 flops and two passes over the features of the pool, which are never held all at once. Given the pool,
    the matrix Chernoff bound holds with the rank r of the pool in place of the largest leverage score, whatever the
    spectrum: for ``width >= r log(r / delta) / c(epsilon)`` the Gram matrix is at least 1 - epsilon times that of the pool,
    with probability 1 - delta. Where the pool is numerically deficient, this holds on its resolved part.

    If every feature of the pool is zero, neurons are drawn evenly.

    References
    ----------
    :ref:`theory-minimum-width`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined import gram_matrix
    >>> from underdetermined.neurons import sample_leverage
    >>> X = np.linspace(-1.0, 1.0, 20)[:, np.newaxis]
    >>> layer = sample_leverage(X, 200, activation="sin_cos", weight_scale=4.0, bias_scale=0.0)
    >>> layer.width, layer.scale.shape, layer(X).shape
    (200, (200,), (20, 200))
    """
    rows = np.asarray(X, dtype=np.float64, order="C") if not issparse(X) else X.astype(np.float64).tocsr()
    if rows.ndim != 2 or 0 in rows.shape:
        raise ValueError(f"X has shape {rows.shape}: pass a matrix with at least one row and one column")
    n, d = rows.shape
    size = max(POOL_PER_ROW * n, SMALLEST_POOL) if pool is None else pool
    width, size = check_count(width, "width"), check_count(size, "pool")
    check_memory(16 * d * size, f"a pool of {size} hidden neurons with {d} inputs each")
    check_memory(8 * (d + 4) * width, f"{width} hidden neurons with {d} inputs each")
    weights, biases = sample_gaussian(d, size, seed=seed)
    weights *= d**-0.5 if weight_scale == "auto" else check_number(weight_scale, "weight_scale", low_open=True)
    biases *= check_number(bias_scale, "bias_scale")
    layer = FeatureMap(weights, biases if bias_scale else None, activation, n_jobs=n_jobs, row_shift=row_shift)
    with single_threaded_blas():  # scores must not depend on the number of threads
        scores = leverage_scores(layer.operator(rows))
    scores = scores if scores.any() else np.ones(size)
    ends = np.cumsum(scores)
    uniform = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(_DRAWS,)))).random(width)
    drawn = np.searchsorted(ends, uniform * ends[-1], side="right")
    factors = np.sqrt(ends[-1] / (scores[drawn] * width * size))
    return FeatureMap(
        np.take(weights, drawn, axis=1),
        biases[drawn] if bias_scale else None,
        activation,
        scale=factors,
        n_jobs=n_jobs,
        row_shift=row_shift,
    )
