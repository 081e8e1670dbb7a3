"""What a solve or a training run returns: the result, and how it was obtained."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Status(Enum):
    """How a solve or a training run ended; each member carries one sentence of advice.

    Attributes
    ----------
    advice : str
        What the status means and what to do about it.
    is_success : bool
        False where the promised accuracy was not reached; estimators then warn.
    """

    EXACT = ("exact", "The minimum-norm solution fits every equation to rounding; nothing to do.")
    LEAST_SQUARES = (
        "least_squares",
        "There are more equations than unknowns, so the sum of squares was minimised; widen the system to interpolate.",
    )
    REGULARIZED = ("regularized", "The penalised sum of squares was minimised; use alpha=0 to interpolate.")
    CONVERGED = ("converged", "The iteration reached the requested tolerance; lower tol for more digits.")
    RANK_DEFICIENT = (
        "rank_deficient",
        "Equations or unknowns depend on each other, so the solution was truncated at rcond; "
        "remove repeated rows or neurons, or use alpha > 0.",
    )
    INCONSISTENT = (
        "inconsistent",
        "Some equations contradict each other, so the sum of squares was minimised; "
        "average the targets of repeated rows, add a bias, or use alpha > 0.",
    )
    ILL_CONDITIONED = (
        "ill_conditioned",
        "The condition number leaves fewer than four digits of the coefficients; widen the system, or use alpha > 0.",
    )
    ESCALATED = (
        "escalated",
        "The requested method breaks down at this condition number, so the more stable one named by method was used; "
        "use method='auto'.",
    )
    MAX_ITER = (
        "max_iter",
        "The iteration stopped before the tolerance was reached; raise max_iter or tol, use alpha > 0, "
        "or use method='auto'.",
    )
    DIVERGED = (
        "diverged",
        "The loss overflowed, so training stopped at the last finite parameters; lower learning_rate, "
        "for a linear model below max_learning_rate.",
    )

    advice: str

    def __new__(cls, value: str, advice: str) -> Status:
        """Build a member whose value is its name in lower case."""
        member = object.__new__(cls)
        member._value_ = value
        member.advice = advice
        return member

    @property
    def is_success(self) -> bool:
        """Whether the promised accuracy was reached."""
        return self not in (Status.MAX_ITER, Status.DIVERGED)


@dataclass(frozen=True, eq=False)
class Solution:
    """Result of `solve`.

    Parameters
    ----------
    coef : ndarray of shape (m, k)
        Coefficients, one column per right-hand side.
    intercept : ndarray of shape (k,)
        Intercepts; zero unless one was fitted.
    method : str
        The rung that gave the answer, which may differ from the one asked for.
    status : Status
        How the solve ended.
    n_iter : int
        Refinements of a direct method, iterations of an iterative one; at least one.
    rank : int
        Numerical rank of the system that was solved (rows weighted, intercept eliminated, regularised if alpha > 0); the
        smaller dimension where the condition estimate shows full rank.
    condition : float
        Two-norm condition number of that system, a ratio of singular values of the matrix and not of its Gram matrix.
        Exact for ``svd``, an estimate otherwise, nan where the method gives none.
    residual_norm : ndarray of shape (k,)
        Euclidean norm of sqrt(sample_weight) * (targets - intercept - matrix @ coef).
    coef_norm : ndarray of shape (k,)
        Euclidean norms of the columns of `coef`.
    """

    coef: NDArray[np.float64]
    intercept: NDArray[np.float64]
    method: str
    status: Status
    n_iter: int
    rank: int
    condition: float
    residual_norm: NDArray[np.float64]
    coef_norm: NDArray[np.float64]

    @property
    def advice(self) -> str:
        """One sentence on what the status means and what to do about it."""
        return self.status.advice

    def __repr__(self) -> str:
        """Summarise in one line; the coefficients are not printed."""
        return (
            f"Solution(method={self.method!r}, status={self.status.name}, coef={self.coef.shape}, rank={self.rank}, "
            f"condition={self.condition:.2g}, residual_norm={_largest(self.residual_norm)}, "
            f"coef_norm={_largest(self.coef_norm)}, n_iter={self.n_iter})"
        )


# Eigenvalues of a tangent matrix, in units of the largest, along which a residual hardly moves; and how much of it may lie
# there before that is what training suffers from.
WEAK = 1e-8
_MOST = 0.5

_REMEDY = (
    "enlarge the rows or weight_scale, choose another activation, widen the network, merge rows that are equal or nearly so "
    "and average their targets, append a constant column if a row is zero, or use alpha > 0"
)
_LIMIT = "Training was stopped before the tolerance was reached"
_STALLS = {
    Status.INCONSISTENT: "No step lowers the loss",
    Status.ILL_CONDITIONED: "Rounding hides every decrease of the loss",
}
# What a status means where a loss was descended, and no linear system solved.
_TRAINING = {
    Status.EXACT: "The loss is at the level of rounding; nothing to do.",
    Status.LEAST_SQUARES: (
        "There are more residuals than parameters, and no step lowers the loss; widen the network to interpolate."
    ),
    Status.INCONSISTENT: (
        "No step lowers the loss: rows contradict each other, or the tangent matrix is singular to rounding; "
        + _REMEDY
        + "."
    ),
    Status.ILL_CONDITIONED: (
        "Rounding hides every decrease of the loss; scale rows and targets to about one, or widen the network."
    ),
    Status.CONVERGED: "Training reached the requested tolerance; lower tol or loss_tol for more digits.",
    Status.MAX_ITER: (
        f"{_LIMIT}; raise max_iter or the tolerance, widen the network, or use gauss_newton, "
        "whose steps do not depend on the condition number of the tangent matrix."
    ),
    Status.DIVERGED: (
        "The loss overflowed, so training stopped at the last finite parameters; lower learning_rate, "
        "for a linear model below max_learning_rate, or scale rows and targets to about one."
    ),
}


def _weakness(share: float) -> str:
    return f"{share:.0%} of the residual lies along eigenvalues of the tangent matrix below {WEAK:g} of the largest"


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Result of `gradient_descent` or `gauss_newton`.

    Parameters
    ----------
    theta : ndarray of shape (p,)
        Last parameters at which the loss is finite.
    value : ndarray of shape (n_iter + 1,)
        Loss at every step, the start included; with the penalty where one was asked for.
    gradient_norm : ndarray of shape (n_iter + 1,)
        Euclidean norm of its gradient.
    status : Status
        How the run ended, as `gradient_descent` and `gauss_newton` say.
    n_iter : int
        Steps taken; those rejected do not count.
    learning_rate : ndarray of shape (n_iter,) or None, default=None
        Learning rate of every step of gradient descent.
    damping : ndarray of shape (n_iter,) or None, default=None
        Damping of every Gauss-Newton step.
    n_rejected : int, default=0
        Steps that were tried and taken back because they did not lower the loss.
    weak_share : float, default=nan
        Share of the last residual rho along eigenvalues of the tangent matrix K = J J.T below 1e-8 of the largest,
        ``|mu (K + mu I)^-1 rho| / |rho|`` with mu = 1e-8 lambda_max(K). `gauss_newton` gives it where it fell short of its
        goal; nan elsewhere.
    state : dict or None, default=None
        What an optimiser needs to go on from here as if it had not stopped, for its argument `previous`.
    """

    theta: NDArray[np.float64]
    value: NDArray[np.float64]
    gradient_norm: NDArray[np.float64]
    status: Status
    n_iter: int
    learning_rate: NDArray[np.float64] | None = None
    damping: NDArray[np.float64] | None = None
    n_rejected: int = 0
    weak_share: float = nan
    state: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def advice(self) -> str:
        """What the status means for training and what to do about it, in a sentence or two."""
        if self.weak_share > _MOST:
            return f"{_STALLS.get(self.status, _LIMIT)}: {_weakness(self.weak_share)}; {_REMEDY}."
        return _TRAINING.get(self.status, self.status.advice)

    def __repr__(self) -> str:
        """Summarise in one line; parameters and losses are not printed."""
        return (
            f"Trajectory(status={self.status.name}, n_iter={self.n_iter}, value={self.value[-1]:.3g}, "
            f"gradient_norm={self.gradient_norm[-1]:.3g}, theta={self.theta.shape})"
        )


def _largest(norms: NDArray[np.float64]) -> str:
    """Format the largest of several norms."""
    return f"{float(norms.max(initial=0.0)):.3g}"
