"""What the theorem says of a path, as the numbers of a certificate."""

from __future__ import annotations

from typing import Any

import numpy as np

from underdetermined._linalg import EPS
from underdetermined.joint._worst_path import WorstPath


def conclude(begin: WorstPath, norm: float, learning_rate: float | None, advice: str) -> dict[str, Any]:
    """Apply the theorem to bounds of its constants.

    Parameters
    ----------
    begin : WorstPath
        Path of infinitely small steps, from a Jacobian that is not singular.
    norm : float
        Norm of the residual.
    learning_rate : float or None
        Largest learning rate; None: the largest without a loss.
    advice : str
        What to do if nothing is certified.

    Returns
    -------
    dict
        Arguments of a certificate, but for the width that is needed.
    """
    if begin.h >= 1.0:
        return refuse(f"h = {begin.h:.3g} is not below 1: {advice}.", learning_rate, begin, norm, h=begin.h)
    # Up to here steps are as good as infinitely small ones.
    full = (1.0 - 16.0 * EPS) / begin.top**2
    step = full if learning_rate is None else learning_rate
    path = begin if step <= full else begin.at(step)
    newton = begin.newton()
    if path is None:
        reason = f"learning_rate={learning_rate:.3g} is too large to be certified: pass {full:.3g} or less."
        known = {"h": begin.h, "max_learning_rate": full, "newton_residuals": newton}
        return refuse(reason, learning_rate, begin, norm, **known)
    decrease = path.efficiency * step * path.end**2
    return {
        **_constants(begin, norm),
        "is_certified": True,
        "reason": f"h = {path.h:.3g} is below 1, for a residual of norm {norm:.3g}.",
        "h": path.h,
        "distance": path.distance,
        "pl_constant": path.end**2,
        "learning_rate": step,
        "relative_step": step * path.top**2,
        "max_learning_rate": max(full, step),
        "rate": (1.0 - 4.0 * EPS) * decrease * (2.0 - decrease),
        "newton_residuals": newton,
    }


def refuse(
    reason: str, learning_rate: float | None, path: WorstPath | None = None, norm: float = np.nan, **known: Any
) -> dict[str, Any]:
    """Certify nothing.

    Parameters
    ----------
    reason : str
        Why.
    learning_rate : float or None
        The one that was asked for.
    path : WorstPath or None, default=None
        Bounds of the constants, as far as they are known.
    norm : float, default=nan
        Norm of the residual.
    **known : float or tuple
        What else is known.

    Returns
    -------
    dict
        Arguments of a certificate, but for the width that is needed.
    """
    constants = {
        "residual_norm": norm,
        "smallest_singular_value": 0.0,
        "largest_singular_value": np.nan,
        "curvature": np.nan,
    }
    return {
        **(constants if path is None else _constants(path, norm)),
        "is_certified": False,
        "reason": reason,
        **dict.fromkeys(("h", "distance", "relative_step"), np.inf),
        **dict.fromkeys(("pl_constant", "max_learning_rate", "rate"), 0.0),
        "learning_rate": 0.0 if learning_rate is None else learning_rate,
        "newton_residuals": (),
        **known,
    }


def _constants(path: WorstPath, norm: float) -> dict[str, float]:
    return {
        "residual_norm": norm,
        "smallest_singular_value": path.lowest,
        "largest_singular_value": path.highest,
        "curvature": float(path.curvature.at(np.zeros(1))[0]),
    }
