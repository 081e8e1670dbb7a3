"""What a two-layer network is trained on, in its own units, and what a later fit needs to go on from there."""

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from underdetermined.estimators._rows import Rows, merge_rows
from underdetermined.estimators._targets import standardized_rows
from underdetermined.estimators._two_layer_rows import centre_and_scale, prepared_rows
from underdetermined.features import FeatureMap

__all__ = ["Network", "Problem", "Run", "Units", "fingerprint", "prepare"]

Network = tuple[FeatureMap, np.ndarray, Any]


@dataclass(frozen=True)
class Units:
    """Inputs of the network are ``scale * (x - centre)``, its outputs ``(y - mean) / unit``."""

    centre: np.ndarray
    scale: float
    mean: np.ndarray
    unit: np.ndarray


@dataclass(frozen=True)
class Problem:
    """Distinct rows in those units, and the rows held out: inputs, targets, weights."""

    rows: Rows
    units: Units
    held_out: tuple[np.ndarray, np.ndarray, np.ndarray] | None


@dataclass(frozen=True)
class Run:
    """A run to go on from: the network at its start, where it is now, and the best of its steps.

    Parameters
    ----------
    key : str
        Fingerprint of the data and the options.
    seeds : tuple of int
        Those of the network and of the rows held out.
    units : Units
        Of the network.
    start, end : tuple of FeatureMap, ndarray and ndarray
        Hidden layer, last layer and output bias at the start, and of the step that was kept.
    alpha : float
        The penalty.
    best : ndarray of shape (p,)
        Parameters of that step.
    scores : list of float
        Of the rows held out.
    """

    key: str
    seeds: tuple[int, int]
    units: Units
    start: Network
    end: Network
    alpha: float
    best: np.ndarray
    scores: list[float]


def fingerprint(arrays: tuple[np.ndarray | None, ...], options: Any) -> str:
    """Digest of some arrays and of a printable value."""
    digest = hashlib.sha256(repr(options).encode())
    for array in arrays:
        digest.update(b"-" if array is None else f"{array.dtype}{array.shape}".encode())
        digest.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def prepare(
    X: np.ndarray,
    columns: np.ndarray,
    weight: np.ndarray | None,
    is_held: np.ndarray | None,
    *,
    shared_unit: bool,
    row_scale: float | None,
    units: Units | None,
) -> Problem:
    """Merge, sort and scale rows.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Finite rows.
    columns : ndarray of shape (n, k)
        Finite targets.
    weight : ndarray of shape (n,) or None
        Sample weights.
    is_held : ndarray of shape (n,) or None
        True for rows to hold out.
    shared_unit : bool
        Whether all columns have one unit.
    row_scale : float or None
        Factor of the rows; None for that which takes their root mean square to one.
    units : Units or None
        Those of an earlier run; None for those of the rows at hand.

    Returns
    -------
    Problem
    """
    kept = slice(None) if is_held is None else ~is_held
    part = None if weight is None else weight[kept]
    if units is None:
        rows, mean, unit = standardized_rows(X[kept], columns[kept], part, shared_unit=shared_unit)
        centre, scale = centre_and_scale(rows.inputs, rows.weight)
        units = Units(centre, scale if row_scale is None else row_scale, mean, unit)
    else:
        rows = merge_rows(X[kept], (columns[kept] - units.mean) / units.unit, part)
    # In an order of their own: estimates of eigenvalues and random subsets depend on the order of the rows.
    order = np.lexsort(rows.inputs.T)
    inputs = prepared_rows(rows.inputs[order], units.centre, units.scale)
    held_out = None
    if is_held is not None:
        ones = np.ones(len(X)) if weight is None else weight
        targets = (columns[is_held] - units.mean) / units.unit
        held_out = prepared_rows(X[is_held], units.centre, units.scale), targets, ones[is_held]
    return Problem(Rows(inputs, rows.targets[order], rows.weight[order], rows.scatter[order]), units, held_out)
