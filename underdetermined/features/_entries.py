"""Entries of inputs and weights, dense or sparse: their dtype and their size."""

from typing import Any

import numpy as np
from scipy.sparse import issparse


def largest(values: Any) -> float:
    """Largest magnitude as a Python float: nan if there is a nan, 0.0 if there is no entry."""
    entries = values.data if issparse(values) else values
    if entries is None or not entries.size:
        return 0.0
    return max(float(entries.max()), -float(entries.min()))


def largest_row_norm(values: Any) -> float:
    """Largest Euclidean norm of a row, inf or nan if an entry is."""
    if not issparse(values):
        norm = float(np.einsum("ij,ij->i", values, values).max(initial=0.0)) ** 0.5
        if np.isfinite(norm):
            return norm
    peak = largest(values)
    if not 0 < peak < np.inf:
        return peak
    scaled = values / peak  # now its square cannot overflow
    return peak * float((scaled.power(2) if issparse(values) else scaled**2).sum(axis=1).max()) ** 0.5


def as_float(values: Any) -> Any:
    """Keep float64 and float32 (dense or CSR), turn anything else real into float64."""
    if issparse(values):
        values = values.tocsr()
    else:
        values = np.asarray(values)
    if values.dtype == np.float64 or values.dtype == np.float32:
        return values
    if np.iscomplexobj(values):
        raise ValueError("Complex data not supported: inputs and weights must be real.")
    return values.astype(np.float64)
