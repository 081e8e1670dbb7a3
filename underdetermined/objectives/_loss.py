"""The loss that all objectives of this folder share."""

import numpy as np
from numpy.typing import NDArray


def half_square(residual: NDArray[np.float64]) -> float:
    """One half of the sum of squares; inf or nan where it overflows.

    Parameters
    ----------
    residual : ndarray of shape (n, k)
        Targets minus outputs.

    Returns
    -------
    float
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return 0.5 * float(np.vdot(residual, residual))


def quiet() -> np.errstate:
    """Context in which overflow gives inf or nan without a warning, as in every method of an objective.

    Returns
    -------
    errstate
    """
    return np.errstate(over="ignore", invalid="ignore")
