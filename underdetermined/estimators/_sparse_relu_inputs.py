"""Rows as a sparse network sees them: on the unit sphere, so that one threshold is equally strict for all of them."""

from typing import Any

import numpy as np

__all__ = ["to_sphere"]


def to_sphere(inputs: Any, constant: float) -> np.ndarray:
    """Return ``(x, c) / |(x, c)|`` for every row x, with c the constant.

    Parameters
    ----------
    inputs : ndarray of shape (n, d)
        Finite rows.
    constant : float
        c, positive: the rows stay distinct, up to rounding.

    Returns
    -------
    ndarray of shape (n, d + 1)
        Rows of norm 1, float64.
    """
    lifted = np.column_stack([np.asarray(inputs, np.float64), np.full(len(inputs), constant)])
    lifted /= np.abs(lifted).max(axis=1, keepdims=True)  # a norm could overflow
    lifted /= np.linalg.norm(lifted, axis=1, keepdims=True)
    return lifted
