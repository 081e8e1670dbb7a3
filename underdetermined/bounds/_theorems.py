"""Theorems on sufficient widths: matrix Chernoff, its leverage form, and importance sampling."""

from __future__ import annotations

from math import log

import numpy as np
from scipy.special import logsumexp

from underdetermined.bounds._bound import Assumption, WidthBound
from underdetermined.bounds._moments import has_moments, log_norms
from underdetermined.bounds._problem import WidthProblem
from underdetermined.bounds._tails import (
    Result,
    Target,
    constant_tail,
    is_met,
    no_width,
    read_target,
    resolved_assumption,
    sufficient_width,
    unresolved_reason,
)

_CHERNOFF = "Ahlswede and Winter 2002; Tropp 2012, Theorem 1.1"


def log_spread(problem: WidthProblem) -> float:
    """Logarithm of a bound of ``E |a|^4 / lambda_max^2``, which decides how far the largest eigenvalue of G may stray.

    Parameters
    ----------
    problem : WidthProblem
        One whose activation has moments.

    Returns
    -------
    float
        inf where nothing bounds it.

    Notes
    -----
    ``E |a|^4 <= n sum_i E f_i^4``.
    """
    if not has_moments(problem.activation) or problem.largest == 0.0:
        return np.inf
    logs = 4.0 * log_norms(problem.activation, problem.variances, 4.0)
    return float(logsumexp(logs)) + log(problem.n_rows) - 2.0 * log(problem.largest)


def min_width_chernoff(
    problem: WidthProblem, *, target: str | float = "rank", epsilon: float = 0.5, failure_probability: float = 0.1
) -> WidthBound:
    """Width from the matrix Chernoff inequality, ``m >= n B^2 log(r / delta) / (lambda c(epsilon))``, for ``|f| <= B``.

    Parameters
    ----------
    problem : WidthProblem
        Rows, activation and spectrum of the kernel.
    target : {"rank", "spectrum"} or float, default="rank"
        What the width is to bring about; a number is the largest condition number, above 1.
    epsilon : float, default=0.5
        Part of the smallest eigenvalue that may be lost, for "spectrum".
    failure_probability : float, default=0.1
        delta, in (0, 1).

    Returns
    -------
    WidthBound
        Without a width for an activation that is not bounded.

    Notes
    -----
    O(1) work. ``c(x) = x + (1 - x) log(1 - x)``, and epsilon = 1 for the rank. For "spectrum" it speaks of the smallest
    eigenvalue alone; the other theorems keep every eigenvalue.

    References
    ----------
    :ref:`How wide is wide enough <theory-minimum-width>`, the lower tail.

    Examples
    --------
    >>> from underdetermined.bounds import WidthProblem, min_width_chernoff
    >>> min_width_chernoff(WidthProblem.from_data([[0.0], [1.0], [3.0]], activation="erf")).width
    275
    """
    chosen = read_target(target, epsilon, failure_probability)
    reason = "no column of features is longer than sqrt(n) B"
    result = Result("chernoff", "gaussian", _CHERNOFF, reason)
    bound = problem.activation.bound
    tau = np.nan if bound is None else problem.n_rows * bound**2 / problem.smallest
    return _bounded(problem, chosen, result, tau)


def min_width_leverage(
    problem: WidthProblem, *, target: str | float = "rank", epsilon: float = 0.5, failure_probability: float = 0.1
) -> WidthBound:
    """Width from the largest leverage, ``m >= tau log(r / delta) / c(epsilon)`` with ``tau = B^2 trace D >= sup a.T K^+ a``.

    Parameters
    ----------
    problem : WidthProblem
        Rows, activation and spectrum of the kernel.
    target : {"rank", "spectrum"} or float, default="rank"
        What the width is to bring about; a number is the largest condition number, above 1.
    epsilon : float, default=0.5
        Part of every eigenvalue that may be lost, for "spectrum".
    failure_probability : float, default=0.1
        delta, in (0, 1).

    Returns
    -------
    WidthBound
        Without a width for an activation that is not bounded. Never larger than that of `min_width_chernoff`.

    Notes
    -----
    D is the diagonal majorant of K^+ with the smallest trace; the majorants take n^2 r multiplications, once for a problem.

    References
    ----------
    :ref:`How wide is wide enough <theory-minimum-width>`, leverage.

    Examples
    --------
    >>> from underdetermined.bounds import WidthProblem, min_width_leverage
    >>> min_width_leverage(WidthProblem.from_data([[0.0], [1.0], [3.0]], activation="erf")).width
    258
    """
    chosen = read_target(target, epsilon, failure_probability)
    reason = "no neuron has a leverage above B^2 times the trace of a diagonal majorant of the inverse kernel"
    result = Result("leverage", "gaussian", _CHERNOFF, reason)
    bound = problem.activation.bound
    traces = [float(majorant.sum()) for majorant in problem.majorants]
    tau = np.nan if bound is None or not traces else bound**2 * min(traces)
    return _bounded(problem, chosen, result, tau)


def _bounded(problem: WidthProblem, target: Target, result: Result, tau: float) -> WidthBound:
    """Either theorem on bounded activations."""
    bound = problem.activation.bound
    limit = "|f| <= B" if bound is None else f"|f| <= {bound:.6g}"
    assumptions = (
        Assumption(f"the activation is bounded, {limit}", is_met(bound, problem)),
        resolved_assumption(problem),
    )
    if bound is None:
        known = "is not bounded" if problem.activation.function is None else "has no declared bound"
        remedy = "" if problem.activation.function is None else "; if it is bounded, declare bound= on its Activation"
        return no_width(result, f"no width, because {problem.activation} {known}{remedy}", assumptions)
    if not problem.is_resolved:
        return no_width(result, unresolved_reason(problem), assumptions)
    return sufficient_width(
        problem, target, result, assumptions, lower=constant_tail(tau), log_spread=log_spread(problem)
    )


def min_width_importance(
    problem: WidthProblem, *, target: str | float = "rank", epsilon: float = 0.5, failure_probability: float = 0.1
) -> WidthBound:
    """Width for weights drawn by leverage, ``m >= r log(r / delta) / c(epsilon)``, whatever the kernel.

    Parameters
    ----------
    problem : WidthProblem
        Rows, activation and spectrum of the kernel.
    target : {"rank", "spectrum"} or float, default="rank"
        What the width is to bring about; a number is the largest condition number, above 1.
    epsilon : float, default=0.5
        Part of every eigenvalue that may be lost, for "spectrum".
    failure_probability : float, default=0.1
        delta, in (0, 1).

    Returns
    -------
    WidthBound
        For neurons whose density is proportional to their leverage l, with factors ``sqrt(r / l)``. If lambda is not
        resolved it speaks of the numerical rank and the space of the resolved eigenvectors.

    Notes
    -----
    O(n) work. Such a neuron has leverage r exactly, so tau = r.

    References
    ----------
    :ref:`How wide is wide enough <theory-importance>`, importance sampling.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.bounds import WidthProblem, min_width_importance
    >>> min_width_importance(WidthProblem.from_data(np.eye(3), activation="relu")).width
    11
    """
    chosen = read_target(target, epsilon, failure_probability)
    p = problem.numerical_rank
    space = "" if problem.is_resolved else " on the eigenvectors that are resolved"
    reason = f"after re-weighting every neuron has the leverage {p}{space}"
    result = Result("importance", "leverage", _CHERNOFF, reason)
    assumptions = (
        Assumption("the weights are drawn with a density proportional to the leverage, with factors that undo it", True),
    )
    if chosen.kind == "condition" and not problem.is_resolved:
        return no_width(result, unresolved_reason(problem), (*assumptions, resolved_assumption(problem)))
    spread = np.inf
    if p:
        # E |a|^4 r / l <= r lambda_max trace K, because l >= |a|^2 / lambda_max.
        trace = problem.spectrum.trace + problem.n_rows * problem.rounding
        spread = log(p) + log(trace) - log(problem.largest)
    return sufficient_width(
        problem, chosen, result, assumptions, lower=constant_tail(float(p)), log_spread=spread, rank=p
    )
