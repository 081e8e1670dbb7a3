"""When the residual stays below a tolerance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from underdetermined.descent._modes import Modes

FloatArray = NDArray[np.float64]

_FIRST_BLOCK = 64
_WHOLE = 2.0**53


def settling_step(modes: Modes, energy: FloatArray, tol: float) -> float:
    """Smallest step from which on the residual stays within a tolerance.

    A bound on all later residuals is bisected; then the steps before it are evaluated, last one first.

    Parameters
    ----------
    modes : Modes
        Factors along the eigenvectors.
    energy : ndarray of shape (n,)
        Fraction of the squared norm of the residual along each of them at step 0.
    tol : float
        Relative to the norm at step 0.

    Returns
    -------
    float
        inf if there is none.
    """
    end, block = _first_bounded(modes, energy, tol), _FIRST_BLOCK
    # Beyond 2^53 neighbouring floats are more than one step apart.
    while 0.0 < end < _WHOLE:
        candidates = np.arange(max(0.0, end - block), end)
        above = np.flatnonzero(modes.norms(energy, candidates) > tol)
        if above.size:
            return float(candidates[above[-1]]) + 1.0
        end, block = float(candidates[0]), 2 * block
    return end


def _first_bounded(modes: Modes, energy: FloatArray, tol: float) -> float:
    """First step at which the bound on all later residuals is within the tolerance."""
    present = energy > 0.0

    def is_bounded(step: float) -> bool:
        with np.errstate(over="ignore"):
            return bool(np.sqrt((energy[present] * modes.envelope(step)[present] ** 2).sum()) <= tol)

    if is_bounded(0.0):
        return 0.0
    # The search below would find out too, after doubling the step a thousand times.
    if np.sqrt(energy[present & (modes.log_radius >= 0.0)].sum()) > tol:
        return np.inf
    above, below = 0.0, 1.0
    while not is_bounded(below):
        above, below = below, 2.0 * below
        if not np.isfinite(below):
            return np.inf
    while True:
        middle = np.floor(0.5 * (above + below))
        if middle in (above, below):
            return below
        above, below = (above, middle) if is_bounded(middle) else (middle, below)
