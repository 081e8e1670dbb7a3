"""Width at which the Gram matrix of random exponentials keeps half of the smallest eigenvalue of its mean."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp, ndtr

from underdetermined._validation import check_number
from underdetermined.bounds._bound import Assumption, WidthBound, as_width, shown
from underdetermined.bounds._exponential_moment import relative_second_moment
from underdetermined.bounds._exponential_problem import ExponentialProblem
from underdetermined.bounds._tails import tail_costs

_EPSILON = 0.5
_THRESHOLDS = 64
# Covers the rounding of exponentials, tails and norms.
_SAFETY = 1e-9


@dataclass(frozen=True)
class _Rule:
    """What one theorem asks for: the width is cost times log(n / failure probability)."""

    cost: float
    reason: str
    reference: str
    details: dict[str, float]


def exponential_gram_width(
    X: ArrayLike, *, failure_probability: float = 0.1, weight_scale: float = 1.0, symmetric: bool = False
) -> WidthBound:
    """Width at which ``lambda_min(H(W)) >= lambda_min(H_inf) / 2`` at the start, with a probability that is chosen.

    H(W) is the Gram matrix of the gradients of a network of exponentials, ``sum_r v_r exp(<w_r, x>)`` with |v_r| = 1 over
    the root of the width, and H_inf = `exponential_ntk` its mean over Gaussian weights.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Rows; integers and float32 are taken at face value, as float64.
    failure_probability : float, default=0.1
        delta, in (0, 1).
    weight_scale : float, default=1.0
        Standard deviation t of the hidden weights, positive.
    symmetric : bool, default=False
        Whether the second half of the neurons repeats the first, so that twice as many are needed.

    Returns
    -------
    WidthBound
        The smaller of two widths, "width_second_moment" and "width_truncated" of its `details`. Without a width where the
        smallest eigenvalue is not resolved, as with equal rows or rows of zeros.

    Raises
    ------
    TypeError
        If X is sparse, or an argument is not a number or a truth value where one is needed.
    ValueError
        If X is not a finite, non-empty matrix, or an option is out of range.
    OverflowError
        If H_inf has entries beyond 1e280.
    MemoryError
        If twenty n x n matrices do not fit.

    Notes
    -----
    One neuron has the share ``A = diag(E) X X.T diag(E)``, ``E_i = exp(<w, x_i>)``, of mean H_inf. Its second moment
    relative to that, ``v = lambda_max(E (H_inf^-1/2 A H_inf^-1/2)^2)``, has a closed form; for a single row it is
    ``exp(4 t^2 |x|^2)``. By a matrix Bernstein inequality for the lower side alone, ``m >= 8 (v - 5 / 6) log(n / delta)``
    neurons are enough, none has to be truncated, and even ``H(W) >= H_inf / 2`` holds.

    The other width drops neurons with ``<w, x_j>`` beyond a threshold B_j, the same for all rows or in proportion to their
    norms, whichever is better. With Q the upper tail of the normal law, at most
    ``eta = sum_ij H_ii Q((B_j - 2 t^2 <x_i, x_j>) / (t |x_j|)) / lambda`` of lambda is lost. With
    ``tau = |diag(exp(B)) X|^2 / lambda`` and the epsilon of ``(1 - epsilon) (1 - eta) = 1 / 2``,
    ``m >= tau log(n / delta) / ((1 - eta) (epsilon + (1 - epsilon) log(1 - epsilon)))`` are enough; B is optimised. It is
    the smaller one for rows of norms of several units, where either number is astronomical.

    n^4 / 2 multiplications for v, seconds at 512 rows; beyond, v is bounded with some n^3, ten times larger or more.
    128 n^2 values of Q for the other width.

    References
    ----------
    :ref:`theory-exponential-gram`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.bounds import exponential_gram_width
    >>> bound = exponential_gram_width(0.5 * np.eye(3))
    >>> bound.width, bound.details["width_truncated"]
    (52, 350.0)
    """
    failure = check_number(failure_probability, "failure_probability", high=1.0, low_open=True)
    if not isinstance(symmetric, bool | np.bool_):
        raise TypeError(f"symmetric={symmetric!r} is not a truth value: pass True or False")
    problem = ExponentialProblem.from_data(X, weight_scale=weight_scale)
    n, (value, rounding) = problem.n_rows, problem.smallest
    is_resolved = not problem.flaw and value > 4.0 * rounding
    assumptions = (Assumption("the smallest eigenvalue of the kernel is resolved in double precision", is_resolved),)
    if not is_resolved:
        reason = problem.flaw or f"the smallest eigenvalue, {value:.3g}, is lost in rounding errors up to {rounding:.3g}"
        return _bound(None, f"No width, because {reason}.", "", assumptions, {})
    smallest = value - rounding
    rules = {"width_second_moment": _second_moment(problem), "width_truncated": _truncated(problem, smallest)}
    copies = 2 if symmetric else 1
    widths = {key: as_width(rule.cost * log(n / failure)) for key, rule in rules.items()}
    details = {"lambda": smallest, "failure_probability": failure}
    for key, rule in rules.items():
        width = widths[key]
        details |= rule.details | {key: inf if width is None else float(copies * width)}
    best = min(rules, key=lambda key: rules[key].cost)
    width = widths[best]
    if width is None:
        reason = f"the rows of norm {problem.norms.max():.3g} need more than 1.8e308 neurons; scale X down"
        return _bound(None, f"No width, because {reason}.", rules[best].reference, assumptions, details)
    width *= copies
    pairs = ", in pairs of equal weights," if symmetric else ","
    statement = (
        f"With {shown(width)} or more Gaussian neurons{pairs} the smallest eigenvalue of the Gram matrix is at least half "
        f"that of the kernel, {smallest:.4g}, with probability at least {1.0 - failure:.6g}, because {rules[best].reason}."
    )
    return _bound(width, statement, rules[best].reference, assumptions, details)


def _bound(
    width: int | None, statement: str, reference: str, assumptions: tuple[Assumption, ...], details: dict[str, float]
) -> WidthBound:
    return WidthBound(
        "exponential_gram", width, "theorem", "sufficient", "gaussian", statement, reference, assumptions, details=details
    )


def _second_moment(problem: ExponentialProblem) -> _Rule:
    """Matrix Bernstein inequality for ``1 - H_inf^-1/2 A H_inf^-1/2``, A the share of a neuron, which never exceeds 1."""
    second = relative_second_moment(problem)
    return _Rule(
        2.0 * (second - 1.0 + _EPSILON / 3.0) / _EPSILON**2,
        f"the second moment of a neuron is at most {second:.4g} times the kernel",
        "matrix Bernstein inequality, Tropp 2012",
        {"second_moment": second},
    )


def _truncated(problem: ExponentialProblem, smallest: float) -> _Rule:
    """Matrix Chernoff inequality for the neurons below a threshold."""
    norms, scale, diagonal = problem.norms, problem.weight_scale, problem.kernel.diagonal()
    lengths = scale * norms
    # Below, the longest row alone loses half of its diagonal entry; above, nothing more is to be gained.
    spread = float(logsumexp(np.log(diagonal))) - log(smallest)
    levels = 2.0 * float(lengths.max()) + np.linspace(0.0, sqrt(2.0 * (log(8.0 * problem.n_rows) + spread)), _THRESHOLDS)
    tilts = 2.0 * np.outer(lengths, lengths) * problem.cosines
    costs, thresholds, losses = [], [], []
    for shape in (lengths, np.full(problem.n_rows, lengths.max())):
        for level in levels:
            limits = level * shape
            peak = float(limits.max())
            beyond = ndtr((tilts - limits) / lengths).sum(axis=1)
            with np.errstate(over="ignore", under="ignore", divide="ignore"):
                eta = float(np.exp(np.log(diagonal) - log(smallest) + np.log(beyond)).sum()) * (1.0 + _SAFETY)
                top = float(np.linalg.norm(np.exp(limits - peak)[:, np.newaxis] * problem.inputs, 2))
                tau = float(np.exp(2.0 * (peak + np.log(top)) - log(smallest))) * (1.0 + _SAFETY)
            costs.append(float(tail_costs(tau, eta, _EPSILON)[0]))
            thresholds.append(peak)
            losses.append(eta)
    best = int(np.argmin(costs))
    return _Rule(
        costs[best],
        f"neurons with products beyond {thresholds[best]:.4g} hold at most {losses[best]:.3g} of the eigenvalue",
        "matrix Chernoff inequality, Tropp 2012, Theorem 1.1",
        {"threshold": thresholds[best], "eta": losses[best]},
    )
