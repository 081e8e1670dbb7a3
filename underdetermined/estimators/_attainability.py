"""Why a wide fit is rank deficient: the rows responsible, and the part of the targets that no width can fit."""

from typing import Any

import numpy as np
from scipy.sparse import issparse

from underdetermined._linalg import column_norms
from underdetermined.attainability import Attainability, attainable_rank
from underdetermined.features import FeatureMap

__all__ = ["explain_rows", "unattainable_norms"]

_SPARSE_BYTES = 2**27  # sparse rows up to this size are made dense for an explanation
_NEAR = {np.dtype(np.float64): 1e-8, np.dtype(np.float32): 1e-6}
_RTOL = 1e-10


def explain_rows(inputs: Any, layer: FeatureMap) -> Attainability | None:
    """Find what networks with this activation can attain on these rows; None where that would take too much memory.

    Parameters
    ----------
    inputs : {ndarray, CSR array} of shape (n, d)
        Distinct rows, float64 or float32.
    layer : FeatureMap
        Hidden layer; only its activation and whether it has biases matter.

    Returns
    -------
    Attainability or None
    """
    if issparse(inputs):
        if 8 * inputs.shape[0] * inputs.shape[1] > _SPARSE_BYTES:
            return None
        inputs = inputs.toarray()
    bias = layer.biases is not None
    try:
        return attainable_rank(inputs, activation=layer.activation, bias=bias, near_tolerance=_NEAR[inputs.dtype])
    except MemoryError:  # an explanation that does not fit in memory is no reason to lose the fit
        return None


def unattainable_norms(attainability: Attainability, targets: np.ndarray, *, fit_intercept: bool) -> np.ndarray:
    """Norm of what stays of each column of targets, at every width, as a fraction of its own norm.

    With P the projection on the null vectors of the features, an output y is attained up to P y, and with an intercept b up
    to P (y - b 1), which is smallest at b = <P 1, P y> / |P 1|^2 and then orthogonal to P 1. It vanishes if and only if y is
    orthogonal to every null vector that is orthogonal to 1.

    Parameters
    ----------
    attainability : Attainability
        Of the rows.
    targets : ndarray of shape (n, k)
        One column for each output.
    fit_intercept : bool
        Whether every output has an intercept.

    Returns
    -------
    ndarray of shape (k,)
        Fractions; 0.0 where it is rounding.
    """
    sizes = column_norms(targets)
    left = attainability.unattainable_part(targets / np.where(sizes > 0.0, sizes, 1.0))
    if fit_intercept:
        ones = attainability.unattainable_part(np.full(len(targets), len(targets) ** -0.5))
        size = np.linalg.norm(ones)
        if size > _RTOL:
            ones /= size
            left = left - np.outer(ones, ones @ left)
    norms = column_norms(left)
    return np.where(norms > _RTOL, norms, 0.0)
