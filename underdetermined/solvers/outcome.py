"""What a rung hands back, and the refinement that the direct rungs share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from underdetermined._linalg import EPS
from underdetermined.system import ReducedSystem

FloatArray = NDArray[np.float64]
GramSolver = Callable[[FloatArray], FloatArray]

MAX_REFINEMENTS = 10


@dataclass(frozen=True, eq=False)
class Outcome:
    """Result of one rung on a `ReducedSystem`.

    Parameters
    ----------
    theta : ndarray of shape (q or p, k)
        Solution of the reduced system, with the entries that belong to the penalty.
    method : str
        Name of the rung.
    condition : float
        Estimated or exact condition number.
    rank : int
        Numerical rank.
    n_iter : int
        Refinements or iterations.
    converged : bool
        Whether the promised accuracy was reached.
    """

    theta: FloatArray
    method: str
    condition: float
    rank: int
    n_iter: int
    converged: bool = True


@dataclass(frozen=True)
class Breakdown:
    """A rung that could not do its work, with the condition number it saw (inf if it saw none)."""

    condition: float


def refine(
    reduced: ReducedSystem, solve_gram: GramSolver, condition: float, norm: float, theta: FloatArray | None = None
) -> tuple[FloatArray, int, bool]:
    """Correct a solution with its own residual until the corrections are down to rounding, or stall.

    Each correction is the previous one times about eps cond^2 (the error of the factor); the attainable error is
    floor = eps cond, plus eps cond^2 |residual| / (|A| |theta|) for a least-squares fit. Stopping needs the error that is
    *left*, which the observed rate of the corrections predicts.

    Parameters
    ----------
    reduced : ReducedSystem
        System to solve.
    solve_gram : callable
        Approximate solver of the p x p Gram system, (p, k) to (p, k).
    condition, norm : float
        Condition number and two-norm of the matrix.
    theta : ndarray, optional
        Where to start; by default the solution that `solve_gram` gives.

    Returns
    -------
    theta : ndarray
        Refined solution.
    n_refinements : int
        Corrections made, at least one.
    reached : bool
        Whether the corrections went down to the floor.
    """
    if theta is None:
        theta = reduced.correction(solve_gram, reduced.targets)
    previous = 1.0
    for step in range(1, MAX_REFINEMENTS + 1):
        residual = reduced.residual(theta)
        update = reduced.correction(solve_gram, residual)
        theta = theta + update
        size = np.linalg.norm(theta, axis=0)
        change = np.linalg.norm(update, axis=0)
        if not np.isfinite(change).all():
            return theta, step, False
        misfit = 0.0 if reduced.is_wide else np.linalg.norm(residual, axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            floor = EPS * condition * (1.0 + np.nan_to_num(condition * misfit / (norm * size), posinf=np.inf))
        # Each right-hand side has its own floor; a column without any solution (zero targets) is at its floor.
        excess = float(np.max(np.where(change > 0.0, change / np.maximum(floor * size, np.finfo(float).tiny), 0.0)))
        relative = float(np.max(np.where(change > 0.0, change / np.maximum(size, np.finfo(float).tiny), 0.0)))
        rate = relative / previous
        if excess * min(rate, 1.0) <= 0.1:
            return theta, step, True
        if rate > 0.5:
            return theta, step, excess <= 30.0
        previous = relative
    return theta, MAX_REFINEMENTS, False
