"""Spectra of random networks at given widths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

import numpy as np
from numpy.typing import ArrayLike

from underdetermined._validation import check_count, check_memory
from underdetermined.activations import Activation
from underdetermined.blocks import run_tiles, single_threaded_blas, thread_count
from underdetermined.bounds import WidthProblem
from underdetermined.empirical_width._events import Network, attainable_part
from underdetermined.empirical_width._measurement import WidthMeasurement
from underdetermined.empirical_width._neurons import network_seed

# Matrices of n x n numbers that a running network takes at most: sums, a factor of the features and its decomposition.
MATRICES = 16


def measure_widths(
    X: ArrayLike,
    widths: Sequence[int],
    *,
    activation: str | Activation | Callable[[np.ndarray], np.ndarray] = "relu",
    weight_scale: float | str = "auto",
    bias_scale: float = 1.0,
    targets: ArrayLike | None = None,
    n_seeds: int = 10,
    seed: int = 0,
    n_jobs: int | None = None,
    progress: Callable[[str], object] | None = None,
) -> WidthMeasurement:
    r"""Measure rank, smallest eigenvalue, condition and training residual of random networks of several widths.

    Of :math:`G = \frac1m \sum_{j \le m} a_j a_j^T`, where :math:`a_j = \sigma(X w_j + b_j)` are the features of neuron j
    on the n rows, and K = E G its limit, with r the attainable rank: the numerical rank,
    :math:`\lambda_r(G) / \lambda_r(K)`, :math:`\lambda_1(G) / \lambda_r(G)`, and
    :math:`\min_\alpha |A \alpha - Y_a| / |Y|` with Y_a the attainable part of the targets Y.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Rows.
    widths : sequence of int
        Widths m; they are sorted, and repetitions dropped.
    activation : str, callable or Activation, default="relu"
        As `get_activation` takes it.
    weight_scale : float or "auto", default="auto"
        Standard deviation of the hidden weights; "auto" is 1 / sqrt(d).
    bias_scale : float, default=1.0
        Standard deviation of the biases; 0 means no biases.
    targets : array_like of shape (n,) or (n, k) or None, default=None
        Targets Y, not all zero, for the training residual.
    n_seeds : int, default=10
        Networks at each width.
    seed : int, default=0
        Seed of the experiment. Network j is drawn with ``sample_gaussian(seed=(seed + 1) * 2**32 + j)``, so that no two
        experiments, and no estimator, share a network.
    n_jobs : int or None, default=None
        Threads, each with networks of its own; see `underdetermined.blocks.thread_count`. Results do not depend on it.
    progress : callable or None, default=None
        Called with a line of text after each network.

    Returns
    -------
    WidthMeasurement

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range or does not fit.
    OverflowError
        If features or kernel overflow.
    MemoryError
        If the matrices do not fit; the message has the number of bytes.

    Notes
    -----
    For each network n^2 m flops for the widest m, once, and 4/3 n^3 for each width; with targets 2 n^2 m and a pivoted QR
    factorisation for each width besides, and as much and singular values where the Gram matrix does not resolve lambda_r.
    Memory of 16 n x n matrices for each thread, whatever the width.

    References
    ----------
    :ref:`How wide is wide enough <theory-minimum-width>`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.empirical_width import measure_widths
    >>> X = np.random.default_rng(0).standard_normal((10, 3))
    >>> measured = measure_widths(X, [5, 10, 400], activation="sin_cos", n_seeds=3)
    >>> measured.rank[:2].tolist(), bool(measured.smallest[2].min() > 0.1)
    ([[5, 5, 5], [10, 10, 10]], True)
    """
    problem = WidthProblem.from_data(X, activation=activation, weight_scale=weight_scale, bias_scale=bias_scale)
    sizes = sorted({check_count(width, "widths") for width in widths})
    if not sizes:
        raise ValueError("widths is empty: pass at least one width")
    seeds, first = check_count(n_seeds, "n_seeds"), check_count(seed, "seed", low=0)
    wanted = None if targets is None else attainable_part(problem, targets)
    n, r = problem.n_rows, problem.rank
    threads = min(seeds, thread_count(n_jobs))
    check_memory(8 * n * n * MATRICES * threads, f"the spectra of {threads} networks at once on {n} rows")
    shape = (len(sizes), seeds)
    eigenvalues = {name: np.full(shape, np.nan) for name in ("first", "last")}
    rank, residual = np.zeros(shape, dtype=np.int64), np.full(shape, np.nan)
    done = count(1)

    def task(index: int) -> None:
        network = Network.build(problem, network_seed(first, index), is_kept=True)
        for place, width in enumerate(sizes):
            network.nested.keep(width)
            values = network.eigenvalues(width)
            rank[place, index] = np.count_nonzero(values)
            eigenvalues["first"][place, index], eigenvalues["last"][place, index] = values[[0, -1]] if r else (0.0, 0.0)
            if wanted is not None:
                residual[place, index] = network.residual(width, wanted)
        if progress is not None:
            progress(f"network {next(done)} of {seeds} measured at {len(sizes)} widths")

    with single_threaded_blas():
        run_tiles(task, range(seeds), n_jobs=n_jobs)
    limit = float(problem.spectrum.eigenvalues[r - 1]) if problem.is_resolved and r else np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        condition = np.where(rank == r, eigenvalues["first"] / eigenvalues["last"], np.inf) if r else np.ones(shape)
    return WidthMeasurement(
        activation=str(problem.activation),
        n_rows=n,
        attainable_rank=r,
        kernel_smallest=limit,
        kernel_condition=problem.spectrum.largest / limit if limit > 0.0 else np.inf,
        weight_scale=problem.weight_scale,
        bias_scale=problem.bias_scale,
        seed=first,
        widths=np.array(sizes),
        rank=rank,
        smallest=eigenvalues["last"] / limit,
        condition=condition,
        residual=None if wanted is None else residual,
    )
