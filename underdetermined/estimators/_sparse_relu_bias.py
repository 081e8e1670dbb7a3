"""The rule for a threshold: as high as the width allows without starving a row of active neurons."""

import numpy as np
from scipy.special import ndtri

__all__ = ["ACTIVE_DRAWS", "choose_bias"]

# Independent active neurons that every row should expect. With fewer than about this many, the tangent kernel of the drawn
# network is so far from its limit that test errors show it; with more, a step costs more and they change little.
ACTIVE_DRAWS = 128


def choose_bias(norms: np.ndarray, weight: np.ndarray, width: int, n_independent: int) -> float:
    """Return the largest threshold that is at most r sqrt(log(width) / 2) and leaves every row 128 active draws.

    Neuron and row of norm |x| are active together with probability Q(B / |x|), Q the tail of the standard Gaussian; r is the
    root mean square norm. Rows of norm 0 cannot be active at any threshold and do not count.

    Parameters
    ----------
    norms : ndarray of shape (n,)
        Euclidean norms of the rows.
    weight : ndarray of shape (n,)
        Weights of the rows, positive.
    width : int
        Number of neurons.
    n_independent : int
        How many of them are drawn independently: half of them in an antisymmetric network.

    Returns
    -------
    float
        B, at least 0.
    """
    positive = norms > 0
    if not positive.any() or n_independent <= 2 * ACTIVE_DRAWS:
        return 0.0
    scale = float(norms.max())
    typical = scale * float(np.sqrt(np.average((norms[positive] / scale) ** 2, weights=weight[positive])))
    cap = typical * float(np.sqrt(np.log(width) / 2))
    return min(cap, float(norms[positive].min()) * -float(ndtri(ACTIVE_DRAWS / n_independent)))
