"""What a rung hands back, and the refinement that the direct rungs share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from underdetermined._linalg import EPS, column_norms
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

    Each correction is a fraction of the one before, about eps cond^2 for a factor of a rounded Gram matrix; the attainable
    error is floor = eps cond, plus eps cond^2 |residual| / (|A| |theta|) for a least-squares fit. Stopping needs the error
    that is *left*, which the observed rate of the corrections predicts. A wide system is also refined until its residual is
    down to eps |A| |theta|: with the error at its floor, it may still be cond times that.

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
        size, change, misfit = (column_norms(x) for x in (theta, update, residual))
        if not np.isfinite(change).all():
            return theta, step, False
        # What rounding leaves, for the coefficients and for the residual; each right-hand side has its own.
        lowest = EPS * condition * size
        unfinished = misfit / _positive(EPS * norm * size)
        if not reduced.is_wide:
            lowest, unfinished = lowest + EPS * condition**2 * misfit / norm, 0.0 * unfinished
        excess = float(np.max(change / _positive(lowest)))
        relative = float(np.max(change / _positive(size)))
        rate = relative / previous
        if max(excess, float(np.max(unfinished))) * min(rate, 1.0) <= 0.1:
            return theta, step, True
        if rate > 0.5:
            return theta, step, excess <= 30.0
        previous = relative
    return theta, MAX_REFINEMENTS, False


def _positive(values: FloatArray) -> FloatArray:
    """Keep zero out of denominators; a zero there comes with a zero above it."""
    return np.maximum(values, np.finfo(np.float64).tiny)
