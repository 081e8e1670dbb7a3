"""The size of rows, of which nothing overflows on the way."""

import numpy as np

__all__ = ["root_mean_square_norm"]


def root_mean_square_norm(inputs: np.ndarray, weight: np.ndarray) -> float:
    """Root of the weighted mean of the squared Euclidean norms of the rows; nothing overflows on the way.

    Parameters
    ----------
    inputs : ndarray of shape (n, d)
        Finite rows.
    weight : ndarray of shape (n,)
        Weights of the rows, not all zero.

    Returns
    -------
    float
        Zero where all rows are zero.
    """
    largest = float(np.abs(inputs).max(initial=0.0))
    if largest == 0.0:
        return 0.0
    relative = inputs / largest
    return largest * float(np.sqrt(np.average(np.einsum("ij,ij->i", relative, relative), weights=weight)))
