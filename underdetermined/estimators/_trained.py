"""What estimators share that train a network by descending its loss: what is refused, certified and advised."""

from collections.abc import Callable
from typing import Any

import numpy as np

from underdetermined._linalg import column_norms
from underdetermined.solution import Trajectory

__all__ = ["CERTIFIED_SIZE", "ROUNDING", "certificates", "check_weights", "remedy_for_rows"]

# Distinct rows times outputs up to which a certificate, an eigenvalue problem of that size or two, is cheap.
CERTIFIED_SIZE = 512
# Sums of sample weights beyond which losses, or squares of them in Gram matrices, leave float64.
WEIGHTS = (1e-150, 1e290)
# A loss, in units of the variance of the targets, that is nothing but rounding: it need not fall any further.
ROUNDING = 1e-28
# Longest row over the median one, and largest column over the smallest, beyond which one hides the others.
UNEVEN_ROWS, UNEVEN_COLUMNS = 10.0, 100.0


def check_weights(weight: np.ndarray | None) -> None:
    """Refuse sample weights so small or large that losses leave float64; `alpha` makes their size matter.

    Parameters
    ----------
    weight : ndarray of shape (n,) or None
        Weights, at least 0.

    Raises
    ------
    ValueError
        If their sum is not zero, and below 1e-150 or above 1e290.
    """
    if weight is None:
        return
    with np.errstate(over="ignore"):
        total = float(weight.sum())
    low, high = WEIGHTS
    if not (total == 0.0 or low <= total <= high):
        raise ValueError(
            f"sample_weight sums up to {total:.3g}, outside of {low:g} to {high:g}, where losses keep their digits: "
            "multiply the weights by a constant, and alpha with them."
        )


def certificates(certify: Callable[..., Any], objective: Any, trajectory: Trajectory) -> tuple[Any, int | None]:
    """What holds from the start on, or else from the end, and the step that it speaks of.

    Parameters
    ----------
    certify : callable
        ``certify(objective, theta, learning_rate=rate)``; without theta it speaks of the start.
    objective : Exponential or TwoLayer
        Loss, and the network at the start.
    trajectory : Trajectory
        What the solver returned.

    Returns
    -------
    certificate
        For steps as large as the largest that was taken; None for more than 512 distinct rows times outputs.
    step : int or None
        The step.
    """
    if objective.targets.size > CERTIFIED_SIZE:
        return None, None
    rates = trajectory.learning_rate
    rate = None if rates is None or not len(rates) else float(rates.max())
    first = certify(objective, learning_rate=rate)
    if first.is_certified:
        return first, 0
    return certify(objective, trajectory.theta, learning_rate=rate), trajectory.n_iter


def remedy_for_rows(rows: np.ndarray) -> str | None:
    """Say what to do about rows or columns of very unequal size, which training fits slowly if at all.

    Parameters
    ----------
    rows : ndarray of shape (n, d)
        Finite rows.

    Returns
    -------
    str or None
        None where sizes are even.
    """
    rows = np.asarray(rows, dtype=np.float64)
    norms, columns = column_norms(rows.T), column_norms(rows)
    longest, median = norms.max(), np.median(norms)
    if longest > UNEVEN_ROWS * median:
        return f"remove or transform long rows of X, the longest of which has {longest / median:.3g} times the median norm"
    columns = columns[columns > 0.0]
    if len(columns) and columns.max() > UNEVEN_COLUMNS * columns.min():
        return f"standardise the columns of X, whose sizes differ by a factor of up to {columns.max() / columns.min():.3g}"
    return None
