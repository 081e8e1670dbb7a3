"""The width that a sample of leverages suggests: an estimate, with its sampling error."""

from __future__ import annotations

from dataclasses import replace
from math import log
from typing import Any

import numpy as np

from underdetermined._validation import check_count
from underdetermined.blocks import single_threaded_blas
from underdetermined.bounds._bound import WidthBound
from underdetermined.bounds._clipping import Clipping, clip_leverage
from underdetermined.bounds._problem import WidthProblem
from underdetermined.bounds._tails import (
    Result,
    Tail,
    Target,
    constant_tail,
    no_width,
    read_target,
    resolved_assumption,
    sufficient_width,
    tail_costs,
    unresolved_reason,
)

_FEWEST = 512
_LEAST_PER_ROW, _MOST_PER_ROW = 64, 2048
_WORK = 2**34

_RESULT = Result(
    "leverage_sampled",
    "gaussian",
    "matrix Chernoff (Tropp 2012, Theorem 1.1) with the leverage clipped at a threshold that a sample suggests",
    "a sample of leverages says so",
)


def min_width_leverage_sampled(
    problem: WidthProblem,
    *,
    target: str | float = "rank",
    epsilon: float = 0.5,
    failure_probability: float = 0.1,
    n_samples: int | None = None,
    seed: int = 0,
) -> WidthBound:
    r"""Estimate a sufficient width from the leverages of a sample of neurons.

    .. math:: m \ge \frac{\tau}{(1 - \eta)\, c(\epsilon')} \log\frac{r}{\delta}, \qquad
       \eta = \lambda_{\max}\bigl(E[(1 - \tau / \ell)_+ z z^T]\bigr), \quad z = K^{+1/2} a, \quad \ell = |z|^2,

    with ``(1 - epsilon') (1 - eta) = 1 - epsilon``. The threshold tau is chosen on one half of the sample, eta measured
    on the other.

    Parameters
    ----------
    problem : WidthProblem
        The rows, the activation and the scales.
    target : {"rank", "spectrum"} or float, default="rank"
        Full attainable rank; ``G >= (1 - epsilon) K``; or a number, the largest condition number of G.
    epsilon : float, default=0.5
        For "spectrum", in (0, 1).
    failure_probability : float, default=0.1
        delta, in (0, 1).
    n_samples : int or None, default=None
        Neurons N, at least 512. None takes 2^34 / n^2, but at least 64 n and at most 2048 n, and never fewer than 8192.
    seed : int, default=0
        Of the sample; no network of the same seed has its neurons. The same seed gives the same estimate.

    Returns
    -------
    WidthBound
        An estimate; ``interval`` goes with a confidence of 95 % for eta, and the width is its upper end. Without a width
        where lambda is not resolved, or where rare neurons carry more of the kernel than the sample can measure.

    Raises
    ------
    TypeError
        If an option is of the wrong type.
    ValueError
        If an option is out of range.
    MemoryError
        If two n x n matrices and the tail of the sample, up to n N / 8 numbers, do not fit.

    Notes
    -----
    Dividing a neuron beyond the threshold by sqrt(l / tau), instead of leaving it out, is enough for the matrix Chernoff
    inequality and loses less. The inequality itself is proved; that eta is what the sample shows is not. The measured eta is
    the largest eigenvalue of an average, on average not below that of the mean, and the kernel that remains is checked
    along the weakest direction of the first half as well, so that a direction that no neuron of the sample has excited
    is noticed. About 3 N n r multiplications; memory O(n^2 + n N / 8).

    References
    ----------
    :ref:`How wide is wide enough <theory-minimum-width>`; J. A. Tropp, User-friendly tail bounds for sums of random
    matrices, 2012, Theorem 1.1.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.bounds import WidthProblem, min_width_leverage_sampled
    >>> problem = WidthProblem.from_data(np.random.default_rng(0).standard_normal((20, 3)))
    >>> bound = min_width_leverage_sampled(problem)
    >>> bound.kind, 20 < bound.width < 1000
    ('estimate', True)
    """
    event = read_target(target, epsilon, failure_probability)
    count = sample_size(problem.n_rows) if n_samples is None else check_count(n_samples, "n_samples", low=_FEWEST)
    check_count(seed, "seed", low=0)
    if problem.rank and not problem.is_resolved:
        return _estimate(no_width(_RESULT, unresolved_reason(problem), (resolved_assumption(problem),)))
    ratio = event.condition * problem.smallest / problem.largest if problem.rank else np.nan
    if problem.rank == 0 or ratio <= 1.0:
        # Both are settled without a sample.
        return _estimate(_width(problem, event, constant_tail(1.0), 0.0))
    # A condition number leaves epsilon open; the geometric middle of its range is where the threshold is chosen.
    planned = event.epsilon if np.isnan(ratio) else 1.0 - ratio**-0.5
    with single_threaded_blas():  # the threads take a tile each, and rounding must not depend on them
        found = clip_leverage(problem, count, seed, lambda tau, eta: float(tail_costs(tau, eta, planned)[0]))
    if found is None or found.high >= planned:
        return _unsettled(count, problem, found)
    ends = (found.high, found.low)
    bound, optimistic = (_width(problem, event, _tail(found, eta, count), log(found.square)) for eta in ends)
    if bound.width is None or optimistic.width is None:
        return _unsettled(count, problem, found)
    statement = _statement(bound, event, found, count)
    return _estimate(replace(bound, statement=statement, interval=(optimistic.width, bound.width)))


def sample_size(n_rows: int) -> int:
    """Number of neurons that are sampled for so many rows.

    Parameters
    ----------
    n_rows : int
        Rows n.

    Returns
    -------
    int
    """
    return max(8192, _LEAST_PER_ROW * n_rows, min(_MOST_PER_ROW * n_rows, _WORK // n_rows**2))


def _tail(found: Clipping, eta: float, count: int) -> Any:
    extra = {"eta_low": found.low, "eta_high": found.high, "largest_leverage": found.largest, "n_samples": float(count)}

    def tail(epsilon: float) -> Tail:
        costs, remaining = tail_costs(found.tau, eta, epsilon)
        return Tail(float(costs), found.tau, eta, float(remaining), extra)

    return tail


def _width(problem: WidthProblem, event: Target, lower: Any, log_spread: float) -> WidthBound:
    assumptions = (resolved_assumption(problem),)
    return sufficient_width(problem, event, _RESULT, assumptions, lower=lower, log_spread=log_spread)


def _estimate(bound: WidthBound) -> WidthBound:
    return replace(bound, kind="estimate")


def _unsettled(count: int, problem: WidthProblem, found: Clipping | None) -> WidthBound:
    """Say that the sample does not support a number."""
    seen = "" if found is None else f" (the largest leverage seen is {found.largest / problem.rank:.3g} times the mean)"
    reason = (
        f"no width, because rare neurons carry too much of the kernel for a sample of {count} to measure it{seen}: a larger "
        "n_samples may settle it, neurons drawn by leverage do not suffer from it, and an experiment gets round it"
    )
    return _estimate(no_width(_RESULT, reason, (resolved_assumption(problem),)))


def _statement(bound: WidthBound, event: Target, found: Clipping, count: int) -> str:
    return (
        f"With {bound.width} or more Gaussian neurons, {event.event(int(bound.details['rank']))} with probability at least "
        f"{1.0 - event.failure_probability:.6g}, if leverages are what {count} sampled neurons show: clipped at "
        f"{found.tau / bound.details['rank']:.3g} times their mean they keep at least {1.0 - found.high:.3g} of the kernel."
    )
