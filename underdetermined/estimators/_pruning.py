"""The same training predictions with fewer neurons: which to keep, and their last layer."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from underdetermined._linalg import column_norms
from underdetermined.features import FeatureMap, FeatureOperator
from underdetermined.neurons import select_neurons
from underdetermined.solution import Solution
from underdetermined.solvers import solve

__all__ = ["TOLERANCE", "Pruned", "prune_layer"]

# Relative deviation of the training predictions above which an estimator warns. Coefficients that are stored as float32 lose
# digits in proportion to the condition number of the kept neurons, so less can be asked of them.
TOLERANCE = {np.dtype(np.float64): 1e-8, np.dtype(np.float32): 1e-4}
# Features up to this size compete all at once, which takes six times as much, and larger ones in a tournament.
DENSE_BYTES = 2**29


@dataclass(frozen=True, eq=False)
class Pruned:
    """A network with fewer neurons.

    Parameters
    ----------
    layer : FeatureMap
        The neurons kept, in their old order and with their old scale.
    solution : Solution
        Last layer; its residual is the difference from the training predictions of the wide network.
    deviation : float
        Largest norm of that difference among the outputs, as a fraction of the norm of the predictions, with or without the
        intercept, whichever is smaller.
    """

    layer: FeatureMap
    solution: Solution
    deviation: float


def prune_layer(
    layer: FeatureMap, inputs: Any, coef: np.ndarray, width: int | None, weight: np.ndarray, intercept: np.ndarray
) -> Pruned:
    """Keep `width` neurons and solve for the last layer that repeats ``layer(inputs) @ coef``.

    Parameters
    ----------
    layer : FeatureMap
        Neurons to choose from.
    inputs : {ndarray, CSR array} of shape (n, d)
        Distinct training rows.
    coef : ndarray of shape (layer.width, k)
        Last layer, as it is stored.
    width : int or None
        Neurons to keep; None keeps as many as the numerical rank of the features.
    weight : ndarray of shape (n,)
        Weights of the rows, which matter where the neurons are too few to repeat every prediction.
    intercept : ndarray of shape (k,)
        What the wide network adds to its last layer.

    Returns
    -------
    Pruned

    Notes
    -----
    The selection takes some 6 n^2 m operations and six times the memory of the n x m features; beyond 512 MiB of them it is
    a tournament, with at least twice as many columns at a time as are kept. Then a system of order `width` is solved.
    """
    operator = layer.operator(inputs)
    predictions = operator.matmat(coef.astype(np.float64))
    neurons = _select(operator, width)
    kept = layer.take(neurons if len(neurons) else [0])  # where every feature is zero, one neuron keeps it a network
    features = kept(inputs)
    is_plain = kept.width >= len(weight) or bool((weight == weight[0]).all())
    solution = solve(features, predictions, sample_weight=None if is_plain else weight)
    stored = solution.coef.astype(coef.dtype).astype(np.float64)
    difference = column_norms(predictions - features @ stored)
    # Last layer and intercept may be large and of opposite sign: then the predictions are what counts.
    size = np.minimum(column_norms(predictions), column_norms(predictions + intercept))
    deviation = float((difference / np.where(size > 0.0, size, 1.0)).max())
    return Pruned(kept, replace(solution, residual_norm=difference), deviation)


def _select(operator: FeatureOperator, width: int | None) -> np.ndarray:
    """Return the neurons to keep, ascending."""
    n, m = operator.shape
    if 8 * n * m <= DENSE_BYTES:
        return np.sort(select_neurons(operator, width))
    # A tournament: what was best so far meets the next neurons, as many as are kept, so that few columns are held at a time.
    most = n if width is None else max(n, width)
    neurons, columns = np.empty(0, dtype=np.intp), np.empty((n, 0))
    for part, tile in operator.column_tiles():
        neurons, columns = np.append(neurons, np.arange(part.start, part.stop)), np.hstack([columns, tile])
        if len(neurons) >= 2 * most or part.stop == m:
            found = select_neurons(columns, None if width is None else min(most, len(neurons)))
            neurons, columns = neurons[found], columns[:, found]
    return np.sort(neurons if width is None else neurons[select_neurons(columns, width)])
