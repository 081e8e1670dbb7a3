"""How far the tangent matrix of a random network is from its expectation, and the width that is enough before any draw."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, hypot, inf, log, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr

from underdetermined._linalg import column_norms

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Concentration:
    """Bounds for H(0), an average of independent positive semi-definite matrices of norm at most R.

    Parameters
    ----------
    n_rows : int
        Order n of the matrices.
    n_draws : int
        Number of independent neurons.
    smallest, largest : float
        Extreme eigenvalues of the expectation.
    norm : float
        R, the largest eigenvalue of X X' + bias_scale**2.
    """

    n_rows: int
    n_draws: int
    smallest: float
    largest: float
    norm: float

    def halving_probability(self) -> float:
        """Bound on P[lambda_min(H(0)) <= lambda / 2]; Chernoff.

        Returns
        -------
        float
        """
        return self._tail(self.smallest, 0.5 * log(0.5) + 0.5)

    def doubling_probability(self) -> float:
        """Bound on P[lambda_max(H(0)) >= 2 lambda_max]; Chernoff.

        Returns
        -------
        float
        """
        return self._tail(self.largest, 2.0 * log(2.0) - 1.0)

    def deviation(self, failure_probability: float) -> float:
        """Bound on the two-norm of H(0) minus its expectation; Bernstein.

        Parameters
        ----------
        failure_probability : float
            How often it may be exceeded.

        Returns
        -------
        float
        """
        level = log(2.0 * self.n_rows / failure_probability)
        linear = self.norm * level / (3.0 * self.n_draws)
        return linear + hypot(linear, sqrt(2.0 * self.norm * level / self.n_draws) * sqrt(self.largest))

    def draws_for_half(self, failure_probability: float) -> float:
        """Number of draws for which the halving probability is at most the given one.

        Parameters
        ----------
        failure_probability : float
            The probability.

        Returns
        -------
        float
            inf where the smallest eigenvalue is zero.
        """
        exponent = 0.5 * log(0.5) + 0.5
        if self.smallest <= 0.0:
            return inf
        return self.norm / (self.smallest * exponent) * log(self.n_rows / failure_probability)

    def _tail(self, eigenvalue: float, exponent: float) -> float:
        if self.norm == 0.0:
            return 1.0
        return min(1.0, exp(log(self.n_rows) - self.n_draws * max(eigenvalue, 0.0) / self.norm * exponent))


def width_before_drawing(
    kernel: FloatArray, norms: FloatArray, *, bias: float, smallest: float, residual: float, copies: int,
    failure_probability: float,
) -> float:  # fmt: skip
    """Width at which gradient descent has rate lambda / 2 with high probability, before any neuron is drawn.

    With kappa the largest row norm and R the largest eigenvalue of |X X' + bias_scale**2|, p = lambda / (16 R), and tau such
    that a pre-activation is within tau of zero with probability p on the row where that is most probable,
    ``m = max(4 kappa**2 |rho|**2 / (tau lambda)**2, 16 R / (c lambda) log(2 n / delta))``, c = 2 log 2 - 1.

    Parameters
    ----------
    kernel : ndarray of shape (n, n)
        X X' + bias_scale**2.
    norms : ndarray of shape (n,)
        Norms of the rows.
    bias : float
        Threshold B.
    smallest : float
        Smallest eigenvalue lambda of the kernel of infinite width.
    residual : float
        Norm of the residual at the start.
    copies : int
        2 for a symmetric start, else 1.
    failure_probability : float
        delta.

    Returns
    -------
    float
        inf where lambda is zero.
    """
    if smallest <= 0.0:
        return inf
    size = np.abs(kernel)
    bound = float(np.linalg.eigvalsh(size)[-1])
    reach = float(column_norms(size).max())
    share = smallest / (16.0 * bound)
    positive = norms[norms > 0.0]

    def excess(log_tau: float) -> float:
        tau = exp(log_tau)
        # Differences of upper tails, which keep their digits where the threshold is far out.
        return float((ndtr((tau - bias) / positive) - ndtr(-(tau + bias) / positive)).max()) - share

    low, high = log(positive.min()) - 700.0, log(positive.max() + bias) + 5.0
    tau = exp(brentq(excess, max(low, -700.0), high, xtol=1e-10))
    with np.errstate(over="ignore"):
        by_path = float(np.square(2.0 * reach * residual / tau / smallest))
    # Chernoff for lambda_min >= 3/4 lambda, and for at most twice the expected number of neurons near their thresholds.
    log_term = log(2.0 * len(kernel) / failure_probability)
    by_draws = max(
        bound / (smallest * (0.75 * log(0.75) + 0.25)), 1.0 / (share * (2.0 * log(2.0) - 1.0))
    ) * log_term
    return max(by_path, copies * by_draws)
