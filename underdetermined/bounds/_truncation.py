"""Sufficient widths for unbounded activations: the leverage is clipped at a threshold, and what that loses is bounded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sqrt

import numpy as np
from numpy.linalg import eigvalsh  # SciPy's, for one eigenvalue, fails where multiplicities are high
from numpy.typing import NDArray
from scipy.special import erfc, logsumexp

from underdetermined.bounds._bound import Assumption, WidthBound
from underdetermined.bounds._moments import has_moments, log_norms, moment_powers
from underdetermined.bounds._problem import WidthProblem
from underdetermined.bounds._tails import (
    Result,
    Tail,
    is_met,
    no_width,
    read_target,
    resolved_assumption,
    sufficient_width,
    tail_costs,
    unresolved_reason,
)
from underdetermined.bounds._theorems import log_spread

FloatArray = NDArray[np.float64]

# Thresholds in units of the Lipschitz constant: beyond 38 the tail of a Gaussian is not a normal number.
_STEPS = np.linspace(0.0, 38.0, 1901)
# Parts of the largest loss that is allowed.
_LOSSES = np.concatenate([np.geomspace(1e-6, 0.1, 40), np.linspace(0.12, 0.98, 44)])


@dataclass(frozen=True)
class Concentration:
    """The root of the leverage as a Lipschitz function of a Gaussian vector.

    Parameters
    ----------
    rank : int
        r, the mean of the leverage.
    lipschitz : float
        Bound S of the Lipschitz constant of sqrt(l).
    """

    rank: int
    lipschitz: float

    def losses(self) -> tuple[FloatArray, FloatArray]:
        """Thresholds tau and bounds of what clipping there loses, ``eta >= E (l - tau)_+``.

        Returns
        -------
        tau, eta : ndarray

        Notes
        -----
        With Z = sqrt(l) and ``P(Z > sqrt(r) + t) <= exp(-t^2 / (2 S^2))``, ``tau = (sqrt(r) + t)^2``:
        ``E (l - tau)_+ = int_t^inf 2 (sqrt(r) + v) P(Z > sqrt(r) + v) dv``.
        """
        s, root = self.lipschitz, sqrt(self.rank)
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            tau = (root + s * _STEPS) ** 2
            eta = 2.0 * s * (s * np.exp(-0.5 * _STEPS**2) + root * sqrt(0.5 * pi) * erfc(_STEPS / sqrt(2.0)))
        return tau, np.where(np.isnan(eta), np.inf, eta)

    def tail(self, epsilon: float) -> Tail:
        """Cheapest threshold.

        Parameters
        ----------
        epsilon : float
            In (0, 1].

        Returns
        -------
        Tail
        """
        tau, eta = self.losses()
        return _cheapest(tau, eta, epsilon, {"lipschitz": np.full(tau.size, self.lipschitz)})


@dataclass(frozen=True)
class Moments:
    """Bounds of the norms of the leverage, ``log_norms[j] >= log (E l^p)^(1/p)`` for p = powers[j].

    Parameters
    ----------
    powers : ndarray of shape (k,)
        p > 1.
    log_norms : ndarray of shape (k,)
        inf where nothing is known.
    """

    powers: FloatArray
    log_norms: FloatArray

    def losses(self, epsilon: float) -> tuple[FloatArray, FloatArray]:
        """Thresholds tau and bounds of what clipping there loses, for every power and several losses below epsilon.

        Parameters
        ----------
        epsilon : float
            In (0, 1].

        Returns
        -------
        tau, eta : ndarray of shape (k, number of losses)

        Notes
        -----
        ``(l - tau)_+ <= l^p (p - 1)^(p - 1) / (p^p tau^(p - 1))``, with equality at l = p tau / (p - 1).
        """
        eta = epsilon * _LOSSES
        p = self.powers[:, np.newaxis]
        exponent = (p * self.log_norms[:, np.newaxis] - p * np.log(p) - np.log(eta)) / (p - 1.0) + np.log(p - 1.0)
        with np.errstate(over="ignore"):
            tau = np.exp(exponent)
        return tau, np.broadcast_to(eta, tau.shape)

    def tail(self, epsilon: float) -> Tail:
        """Cheapest power and threshold.

        Parameters
        ----------
        epsilon : float
            In (0, 1].

        Returns
        -------
        Tail
        """
        tau, eta = self.losses(epsilon)
        return _cheapest(tau, eta, epsilon, {"power": np.broadcast_to(self.powers[:, np.newaxis], tau.shape)})


def _cheapest(tau: FloatArray, eta: FloatArray, epsilon: float, extra: dict[str, FloatArray]) -> Tail:
    """The threshold of least cost."""
    costs, remaining = tail_costs(tau, eta, epsilon)
    best = int(np.argmin(costs))
    numbers = {key: float(values.flat[best]) for key, values in extra.items()}
    cost, threshold, loss, left = (float(values.flat[best]) for values in (costs, tau, eta, remaining))
    return Tail(cost, threshold, loss, left, numbers)


def concentration(problem: WidthProblem) -> Concentration | None:
    """Lipschitz constant of the root of the leverage, ``S^2 = L^2 min_D lambda_max(X~.T D X~)``.

    Parameters
    ----------
    problem : WidthProblem
        Resolved, of rank at least 1.

    Returns
    -------
    Concentration or None
        None for an activation without a Lipschitz constant.

    Notes
    -----
    n d min(n, d) multiplications for each majorant.
    """
    slope = problem.activation.lipschitz
    if slope is None:
        return None
    with np.errstate(over="ignore"):
        tops = [_largest_square(np.sqrt(majorant)[:, np.newaxis] * problem.augmented) for majorant in problem.majorants]
        return Concentration(problem.rank, float(slope * np.sqrt(min(tops))))


def _largest_square(matrix: FloatArray) -> float:
    """Largest eigenvalue of matrix.T @ matrix, rounded up; inf where it overflows."""
    gram = matrix.T @ matrix if matrix.shape[0] > matrix.shape[1] else matrix @ matrix.T
    if not np.isfinite(gram).all():
        return np.inf
    top = float(eigvalsh(gram)[-1])
    return max(0.0, top) * (1.0 + 1e-12 * max(matrix.shape))


def leverage_moments(problem: WidthProblem) -> Moments | None:
    """Norms of the leverage, ``(E l^p)^(1/p) <= sum_i D_i (E |f_i|^(2 p))^(1/p)``, by Minkowski's inequality.

    Parameters
    ----------
    problem : WidthProblem
        Resolved, of rank at least 1.

    Returns
    -------
    Moments or None
        None for an activation of which no moments are known.

    Notes
    -----
    O(n) work for each of at most 40 powers; for polynomials O(n p degree^(1/2)).
    """
    if not has_moments(problem.activation):
        return None
    powers = moment_powers(problem.activation)
    norms = np.empty(powers.size)
    # A majorant or a moment may be zero, and a moment of a polynomial out of range.
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = [np.log(majorant) for majorant in problem.majorants]
        for j, p in enumerate(powers.tolist()):
            squares = 2.0 * log_norms(problem.activation, problem.variances, 2.0 * p)
            norms[j] = np.min([logsumexp(weight + squares) for weight in weights])
    return Moments(powers, np.where(np.isnan(norms), np.inf, norms))


def min_width_truncated(
    problem: WidthProblem, *, target: str | float = "rank", epsilon: float = 0.5, failure_probability: float = 0.1
) -> WidthBound:
    """Width for activations that need not be bounded, ``m >= tau log(r / delta) / ((1 - eta) c(epsilon'))``.

    tau is a threshold at which the leverage ``l = a.T K^+ a`` is clipped, ``eta >= E (l - tau)_+`` bounds what that loses,
    and ``(1 - epsilon') (1 - eta) = 1 - epsilon``. Two bounds of eta are known, from the Lipschitz constant of f and from
    its moments; the threshold is optimised for both and the smaller width is returned.

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
        Without a width for a callable that declares neither a bound, nor a Lipschitz constant, nor a degree of homogeneity.

    Notes
    -----
    The majorants take n^2 r multiplications, once for a problem; the rest is O(n d min(n, d)).

    References
    ----------
    :ref:`How wide is wide enough <theory-minimum-width>`, truncation.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.bounds import WidthProblem, min_width_truncated
    >>> min_width_truncated(WidthProblem.from_data(np.eye(3), activation="relu")).details["eta"] < 1
    True
    """
    chosen = read_target(target, epsilon, failure_probability)
    activation = problem.activation
    fact = "the activation has a Lipschitz constant, or moments that are known"
    known: bool | None = has_moments(activation) or is_met(None, problem)
    assumptions = (Assumption(fact, known), resolved_assumption(problem))
    result = Result("truncated", "gaussian", "Tropp 2012, Theorem 1.1; Tsirelson, Ibragimov and Sudakov 1976", "")
    if not known:
        reason = (
            f"no width, because nothing is known of the growth of {activation}: declare bound= or lipschitz= on its "
            "Activation"
        )
        return no_width(result, reason, assumptions)
    if not problem.is_resolved:
        return no_width(result, unresolved_reason(problem), assumptions)
    candidates: list[tuple[str, Callable[[float], Tail]]] = []
    if problem.rank:
        by_slope, by_moments = concentration(problem), leverage_moments(problem)
        if by_slope is not None:
            candidates.append(("the root of the leverage is a Lipschitz function of Gaussian weights", by_slope.tail))
        if by_moments is not None:
            candidates.append(("the moments of the features bound those of the leverage", by_moments.tail))
    spread = log_spread(problem)
    bounds = [
        sufficient_width(
            problem, chosen, Result(result.name, result.weights, result.reference, reason), assumptions,
            lower=tail, log_spread=spread,
        )
        for reason, tail in candidates or [("every feature is zero", _nothing)]
    ]
    return min(bounds, key=lambda bound: np.inf if bound.width is None else bound.width)


def _nothing(epsilon: float) -> Tail:
    """Tail of a leverage that is zero."""
    return Tail(0.0, 0.0, 0.0, epsilon)
