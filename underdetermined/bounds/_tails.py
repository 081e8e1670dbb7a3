"""From a threshold of the leverage to a width: the target, the lower tail, and the split of a condition number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import exp, log
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined._validation import check_number
from underdetermined.bounds._bound import Assumption, WidthBound, as_width, shown
from underdetermined.bounds._problem import WidthProblem

FloatArray = NDArray[np.float64]

_SERIES_BELOW = 0.02
_BISECTIONS = 50


@dataclass(frozen=True)
class Target:
    """The event that a width is to bring about, and how often it may fail.

    Parameters
    ----------
    kind : {"rank", "spectrum", "condition"}
        Rank r; ``G >= (1 - epsilon) K``; condition number of G at most `condition`.
    epsilon : float
        Part of the smallest eigenvalue that may be lost; 1 for the rank.
    failure_probability : float
        In (0, 1).
    condition : float
        Largest condition number; nan unless that is the target.
    """

    kind: str
    epsilon: float
    failure_probability: float
    condition: float

    def event(self, rank: int) -> str:
        """Describe the event in words.

        Parameters
        ----------
        rank : int
            Attainable rank.

        Returns
        -------
        str
        """
        if self.kind == "rank":
            return f"the features have rank {rank}"
        if self.kind == "spectrum":
            return f"the smallest eigenvalue of the Gram matrix is at least {1.0 - self.epsilon:.4g} of the kernel's"
        return f"the condition number of the Gram matrix is at most {self.condition:.6g}"


def read_target(target: Any, epsilon: Any, failure_probability: Any) -> Target:
    """Check the options that every bound takes.

    Parameters
    ----------
    target : {"rank", "spectrum"} or float
        A number is the largest condition number, above 1.
    epsilon : float
        In (0, 1).
    failure_probability : float
        In (0, 1).

    Returns
    -------
    Target

    Raises
    ------
    TypeError
        If an option is of the wrong type.
    ValueError
        If an option is out of range.
    """
    lost = check_number(epsilon, "epsilon", high=1.0, low_open=True)
    failure = check_number(failure_probability, "failure_probability", high=1.0, low_open=True)
    if isinstance(target, str):
        if target not in ("rank", "spectrum"):
            raise ValueError(f"target={target!r} is unknown: pass 'rank', 'spectrum' or a condition number above 1")
        return Target(target, 1.0 if target == "rank" else lost, failure, np.nan)
    if isinstance(target, bool) or not isinstance(target, Real):
        raise TypeError(f"target={target!r} is not a target: pass 'rank', 'spectrum' or a condition number above 1")
    return Target("condition", lost, failure, check_number(target, "target", low=1.0, low_open=True))


@dataclass(frozen=True)
class Tail:
    """What a lower tail costs: the width is cost log(r / failure probability).

    Parameters
    ----------
    cost : float
        ``tau / ((1 - eta) c(epsilon'))``; inf where nothing is promised.
    tau : float
        Largest leverage that counts.
    eta : float
        Part of the mean that neurons beyond it may hold.
    remaining : float
        epsilon' of ``(1 - epsilon') (1 - eta) = 1 - epsilon``.
    extra : dict of str to float
        Further numbers behind it.
    """

    cost: float
    tau: float
    eta: float
    remaining: float
    extra: dict[str, float] = field(default_factory=dict)


def chernoff_rate(epsilon: Any) -> FloatArray:
    """Rate c of the matrix Chernoff inequality, ``c(x) = x + (1 - x) log(1 - x)``, c(1) = 1.

    Parameters
    ----------
    epsilon : array_like
        In [0, 1].

    Returns
    -------
    ndarray
        Accurate to rounding; near 0 it is x^2 / 2 and the formula would cancel.
    """
    x = np.asarray(epsilon, dtype=np.float64)
    series = sum((x**k / (k * (k - 1)) for k in range(12, 1, -1)), np.zeros_like(x))
    with np.errstate(divide="ignore", invalid="ignore"):
        direct = x + (1.0 - x) * np.log1p(-x)
    return np.where(x < _SERIES_BELOW, series, np.where(x < 1.0, direct, 1.0))


def tail_costs(tau: Any, eta: Any, epsilon: float) -> tuple[FloatArray, FloatArray]:
    """Costs of several thresholds, and the epsilon' that each leaves.

    Parameters
    ----------
    tau, eta : array_like
        Thresholds, and what is beyond them.
    epsilon : float
        In (0, 1].

    Returns
    -------
    costs : ndarray
        inf where eta leaves nothing.
    remaining : ndarray
        epsilon'.
    """
    tau, eta = np.broadcast_arrays(np.asarray(tau, dtype=np.float64), np.asarray(eta, dtype=np.float64))
    lost = np.where(eta < epsilon, eta, 0.0)
    remaining = (epsilon - lost) / (1.0 - lost)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        costs = tau / ((1.0 - lost) * chernoff_rate(remaining))
    return np.where((eta < epsilon) & (costs < np.inf), costs, np.inf), remaining


def constant_tail(tau: float) -> Callable[[float], Tail]:
    """Tail of a leverage that never exceeds tau.

    Parameters
    ----------
    tau : float
        Bound of the leverage.

    Returns
    -------
    callable
        From epsilon to `Tail`.
    """

    def tail(epsilon: float) -> Tail:
        costs, remaining = tail_costs(tau, 0.0, epsilon)
        return Tail(float(costs), tau, 0.0, float(remaining))

    return tail


@dataclass(frozen=True)
class Result:
    """A theorem on sufficient widths, before it is evaluated.

    Parameters
    ----------
    name : str
        Name of the bound.
    weights : str
        "gaussian" or "leverage".
    reference : str
        Where it comes from.
    reason : str
        Why the width is enough, after "because".
    """

    name: str
    weights: str
    reference: str
    reason: str


def is_met(fact: Any, problem: WidthProblem) -> bool | None:
    """Whether an activation has a fact: what the catalogue leaves out is absent, what a callable does is not known.

    Parameters
    ----------
    fact : object
        None if it is not given.
    problem : WidthProblem
        Whose activation it is.

    Returns
    -------
    bool or None
    """
    if fact is not None:
        return True
    return False if problem.activation.function is None else None


def resolved_assumption(problem: WidthProblem) -> Assumption:
    """State that lambda is resolved.

    Parameters
    ----------
    problem : WidthProblem
        The problem.

    Returns
    -------
    Assumption
    """
    return Assumption("the smallest positive eigenvalue of the kernel is resolved in double precision", problem.is_resolved)


def unresolved_reason(problem: WidthProblem) -> str:
    """Say why there is no width.

    Parameters
    ----------
    problem : WidthProblem
        A problem whose lambda is not resolved.

    Returns
    -------
    str
    """
    return (
        f"no width, because lambda is not resolved: only {problem.numerical_rank} of the {problem.rank} positive "
        f"eigenvalues of the kernel exceed the cut-off {problem.rounding:.3g}, and the others are lost in rounding"
    )


def no_width(result: Result, reason: str, assumptions: tuple[Assumption, ...]) -> WidthBound:
    """State that a theorem gives no width.

    Parameters
    ----------
    result : Result
        The theorem.
    reason : str
        Why, as a clause.
    assumptions : tuple of Assumption
        What it assumes.

    Returns
    -------
    WidthBound
    """
    statement = f"{reason[0].upper()}{reason[1:]}."
    return WidthBound(result.name, None, "theorem", "sufficient", result.weights, statement, result.reference, assumptions)


def sufficient_width(
    problem: WidthProblem,
    target: Target,
    result: Result,
    assumptions: tuple[Assumption, ...],
    *,
    lower: Callable[[float], Tail],
    log_spread: float,
    rank: int | None = None,
) -> WidthBound:
    """Evaluate a theorem whose assumptions are met.

    Parameters
    ----------
    problem : WidthProblem
        The problem.
    target : Target
        What the width is to bring about.
    result : Result
        Which theorem.
    assumptions : tuple of Assumption
        What it assumes.
    lower : callable
        From epsilon to the lower `Tail`.
    log_spread : float
        log of a bound of ``E |a|^4 / lambda_max^2``, for the upper tail.
    rank : int or None, default=None
        Dimension of the space that it speaks of; None means the attainable rank.

    Returns
    -------
    WidthBound
    """
    r = problem.rank if rank is None else rank
    details = {"rank": float(r), "failure_probability": target.failure_probability}
    if r == 0:
        # No feature is ever different from zero: there is nothing to fit, and any network does.
        value, tail = 1.0, Tail(0.0, 0.0, 0.0, target.epsilon)
    elif target.kind == "condition":
        limit = problem.largest / problem.smallest
        if target.condition <= limit:
            reason = (
                f"no width, because the kernel itself has the condition number {limit:.6g}, and no bound promises a finite "
                f"network the {target.condition:.6g} that was asked for"
            )
            return no_width(result, reason, assumptions)
        value, tail, split = _split(target, r, target.condition / limit, lower, log_spread)
        details |= split
    else:
        tail = lower(target.epsilon)
        value = tail.cost * log(r / target.failure_probability)
        details["epsilon"] = target.epsilon
    width = as_width(value)
    details |= {"tau": tail.tau, "eta": tail.eta, "remaining_epsilon": tail.remaining, "lambda": problem.smallest}
    details |= tail.extra
    if width is None:
        reason = "no width, because the one that the theorem gives exceeds the range of double precision, 1.8e308"
        return no_width(result, reason, assumptions)
    neurons = {"gaussian": "Gaussian neurons", "leverage": "neurons drawn by leverage"}[result.weights]
    statement = (
        f"With {shown(width)} or more {neurons}, {target.event(r)} with probability at least "
        f"{1.0 - target.failure_probability:.6g}, because {result.reason}."
    )
    return WidthBound(
        result.name, width, "theorem", "sufficient", result.weights, statement, result.reference, assumptions, None, details
    )


def _split(
    target: Target, rank: int, ratio: float, lower: Callable[[float], Tail], log_spread: float
) -> tuple[float, Tail, dict[str, float]]:
    """Divide a condition number between the two ends of the spectrum: ``(1 + u) / (1 - epsilon) = ratio``."""
    failure = 0.5 * target.failure_probability
    largest_epsilon = 1.0 - 1.0 / ratio

    def both(part: float) -> tuple[float, float, Tail, float]:
        tail = lower(part * largest_epsilon)
        # (1 - epsilon) ratio - 1, without the cancellation.
        u = (1.0 - part) * (ratio - 1.0)
        exponent = log_spread - log(failure) - 2.0 * log(u)
        upper = exp(exponent) if exponent < 700.0 else np.inf
        return tail.cost * log(rank / failure), upper, tail, u

    # The lower tail gets cheaper with epsilon and the upper tail dearer: they are best where they meet.
    low, part, high = 0.0, 0.5, 1.0
    best, chosen, details = np.inf, lower(0.5 * largest_epsilon), {}
    for _ in range(_BISECTIONS):
        below, above, tail, u = both(part)
        if max(below, above) < best:
            best, chosen, details = max(below, above), tail, {"epsilon": part * largest_epsilon, "upper_excess": u}
        low, high = (part, high) if below > above else (low, part)
        part = 0.5 * (low + high)
    return best, chosen, details
