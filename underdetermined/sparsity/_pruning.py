"""Networks of some of the neurons of another: those that matter on given rows, those that matter at all, or random ones."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._linalg import EPS, column_norms
from underdetermined._validation import check_count, check_no_row_shift, check_number, check_targets
from underdetermined.active_sets import active_pairs
from underdetermined.features import FeatureMap

Pruned = tuple[FeatureMap, NDArray[np.float64], NDArray[np.intp]]


def prune_dead(feature_map: FeatureMap, coef: ArrayLike, X: ArrayLike) -> Pruned:
    """Drop the neurons that are inactive on all rows; gradient descent on these rows is the same without them.

    Parameters
    ----------
    feature_map : FeatureMap
        Hidden layer with the activation "relu".
    coef : array_like of shape (m,) or (m, k)
        Last layer.
    X : array_like of shape (n, d)
        The training rows.

    Returns
    -------
    feature_map : FeatureMap
        The live neurons, each with the factor that it had.
    coef : ndarray of shape (live, k)
        Their last layer.
    kept : ndarray of int, shape (live,)
        Which ones they are, in rising order.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit, or no neuron is active on any row.

    Notes
    -----
    A neuron without an active row has no gradient, so that full-batch gradient descent without momentum and decay never
    moves it. On other rows it may be active: predictions there may change. Cost n d m.

    References
    ----------
    :ref:`theory-sparse-pruning`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined import FeatureMap
    >>> from underdetermined.sparsity import prune_dead
    >>> hidden = FeatureMap(np.array([[1.0, -1.0, 2.0]]), np.full(3, -0.5), "relu", 1.0)
    >>> prune_dead(hidden, [1.0, 1.0, 1.0], [[1.0], [2.0]])[2]
    array([0, 2])
    """
    last = _checked(feature_map, coef)
    is_live = active_pairs(feature_map, X).per_neuron > 0
    return _take(feature_map, last, is_live, "is active on a row of X: lower the bias, or do not prune")


def prune_everywhere(feature_map: FeatureMap, coef: ArrayLike, radius: float = 1.0) -> Pruned:
    """Drop the neurons that are inactive on every input of norm at most `radius`: ``|w_r| radius + beta_r <= 0``.

    Parameters
    ----------
    feature_map : FeatureMap
        Hidden layer with the activation "relu".
    coef : array_like of shape (m,) or (m, k)
        Last layer.
    radius : float, default=1.0
        Largest norm of an input.

    Returns
    -------
    feature_map : FeatureMap
        The other neurons, each with the factor that it had.
    coef : ndarray of shape (kept, k)
        Their last layer.
    kept : ndarray of int, shape (kept,)
        Which ones they are, in rising order.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit, or no neuron is left.

    Notes
    -----
    With Gaussian weights in d dimensions and a bias -B the expected share is the chi-square distribution function with d
    degrees of freedom at (B / radius)**2: much in low dimension, hardly anything beyond B**2. Cost d m.

    References
    ----------
    :ref:`theory-sparse-pruning`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined import FeatureMap
    >>> from underdetermined.sparsity import prune_everywhere
    >>> hidden = FeatureMap(np.array([[1.0, -1.0, 2.0]]), np.full(3, -1.5), "relu", 1.0)
    >>> prune_everywhere(hidden, [1.0, 1.0, 1.0])[2]
    array([2])
    """
    last = _checked(feature_map, coef)
    radius = check_number(radius, "radius")
    weights = np.asarray(feature_map.weights, dtype=np.float64)
    biases = 0.0 if feature_map.biases is None else np.asarray(feature_map.biases, dtype=np.float64)
    # Rounded up, so that rounding of a pre-activation does not make a dropped neuron active.
    reach = (1.0 + 4.0 * EPS * (len(weights) + 2)) * radius * column_norms(weights)
    is_active = reach + biases > 0.0
    return _take(feature_map, last, is_active, f"is active on an input of norm at most {radius:g}: raise radius")


def prune_random(feature_map: FeatureMap, coef: ArrayLike, fraction: float, seed: int = 0) -> Pruned:
    """Keep a random share of the neurons and scale them up, so that the expected kernel stays the same.

    Parameters
    ----------
    feature_map : FeatureMap
        Hidden layer with the activation "relu".
    coef : array_like of shape (m,) or (m, k)
        Last layer.
    fraction : float
        Share p of the neurons to keep, in (0, 1]; at least one is kept.
    seed : int, default=0
        Seed of the choice.

    Returns
    -------
    feature_map : FeatureMap
        The chosen neurons, their factors times sqrt(m / kept), which is close to 1 / sqrt(p).
    coef : ndarray of shape (kept, k)
        Their last layer.
    kept : ndarray of int, shape (kept,)
        Which ones they are, in rising order.

    Raises
    ------
    TypeError, ValueError
        If an argument does not fit.

    Notes
    -----
    Independent neurons stay independent: all that holds for the width m holds for the width kept. A symmetric start is not
    symmetric any more, and its output not zero. Cost d m.

    References
    ----------
    :ref:`theory-sparse-pruning`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined import FeatureMap
    >>> from underdetermined.sparsity import prune_random
    >>> hidden = FeatureMap(np.ones((2, 100)), np.zeros(100))
    >>> smaller, coef, kept = prune_random(hidden, np.ones(100), 0.25)
    >>> smaller.width, smaller.scale, len(kept)
    (25, 0.2, 25)
    """
    last = _checked(feature_map, coef)
    fraction = check_number(fraction, "fraction", low_open=True, high=np.nextafter(1.0, 2.0))
    seed = check_count(seed, "seed", low=0)
    kept = max(1, round(fraction * feature_map.width))
    is_kept = np.zeros(feature_map.width, dtype=bool)
    is_kept[np.random.default_rng(seed).choice(feature_map.width, kept, replace=False)] = True
    smaller, last, chosen = _take(feature_map, last, is_kept, "is left")
    return replace(smaller, scale=smaller.scale * sqrt(feature_map.width / kept)), last, chosen


def _checked(feature_map: FeatureMap, coef: ArrayLike) -> NDArray[np.float64]:
    """Last layer of shape (m, k), of a map with the right activation."""
    if not isinstance(feature_map, FeatureMap):
        raise TypeError(f"feature_map is a {type(feature_map).__name__}: pass a FeatureMap with the activation 'relu'")
    if str(feature_map.activation) != "relu":
        raise ValueError(f"the activation is {feature_map.activation}: pass a feature map with the activation 'relu'")
    check_no_row_shift(feature_map.row_shift, "pruning")
    return check_targets(coef, feature_map.width, "coef")


def _take(feature_map: FeatureMap, coef: Any, is_kept: NDArray[np.bool_], event: str) -> Pruned:
    """Network of the neurons that are marked."""
    kept = np.flatnonzero(is_kept)
    if not kept.size:
        raise ValueError(f"no neuron {event}")
    return feature_map.take(kept), coef[kept], kept
