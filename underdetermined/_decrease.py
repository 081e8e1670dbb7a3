"""What certificates of gradient descent share: the rate, what larger steps cost, and rows that rule them out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import ceil, exp, inf, isfinite, log, sqrt
from typing import Self

import numpy as np
from numpy.typing import NDArray

from underdetermined._validation import check_count, check_number

_ROUNDS, _SLACK = 200, 1e-9


class CertifiedDecrease:
    """Steps and losses, from the factor by which a certificate says every step takes the norm of the residual.

    Parameters
    ----------
    is_certified : bool
        Whether anything is proved.
    residual_norm : float
        Norm of the weighted residual at the start.
    """

    is_certified: bool
    residual_norm: float

    def n_steps(self, tol: float) -> float:
        """Steps after which the residual is certified to have fallen to a share.

        Parameters
        ----------
        tol : float
            The share, in (0, 1).

        Returns
        -------
        int or float
            Steps at `learning_rate`; inf without a certificate, or if it is too small for a number of steps.
        """
        tol = check_number(tol, "tol", low_open=True, high=1.0)
        contraction = self._log_factor() if self.is_certified else 0.0
        steps = log(tol) / contraction if contraction < 0.0 else inf
        return max(ceil(steps), 1) if isfinite(steps) else inf

    def loss_bound(self, step: int) -> float:
        """Certified bound on the loss after some steps at `learning_rate`.

        Parameters
        ----------
        step : int
            Steps from here.

        Returns
        -------
        float
            inf without a certificate.
        """
        step = check_count(step, "step", low=0)
        if not self.is_certified:
            return inf
        bound = self.residual_norm * (exp(step * self._log_factor()) if step else 1.0)
        return 0.5 * bound * bound

    def _log_factor(self) -> float:
        """Logarithm of the factor of one step, -inf for zero."""
        raise NotImplementedError


class LongestPath(ABC):
    """Path along which a residual falls, and the smallest singular value of the Jacobian, as slowly as can be.

    Parameters
    ----------
    lowest, highest : float
        Smallest and largest singular value at the start.
    """

    lowest: float
    highest: float

    @property
    @abstractmethod
    def h(self) -> float:
        """Share of the residual that could be fitted; the path ends if it is below 1."""

    @property
    @abstractmethod
    def end(self) -> float:
        """Smallest singular value at the end, mu."""

    @abstractmethod
    def slowed(self, efficiency: float) -> Self:
        """Path of steps that lower the residual by no more than this share of their first-order bound."""

    @property
    def top(self) -> float:
        """Largest singular value on the path, at most."""
        return self.highest + self.lowest - self.end

    def at(self, learning_rate: float) -> Self | None:
        """Path of steps beyond 1 / |J|^2, which make less of the gradient.

        How much less depends on the largest |J| on the path, and this on how much. So an end is assumed, and lowered until
        the path that follows from it ends no lower.

        Parameters
        ----------
        learning_rate : float
            Largest learning rate.

        Returns
        -------
        LongestPath or None
            None where the steps are too large for h < 1.
        """
        end = self.lowest
        for _ in range(_ROUNDS):
            theta = learning_rate * (self.highest + self.lowest - end) ** 2
            if theta >= 2.0:
                return None
            path = self.slowed(efficiency(theta, learning_rate * self.lowest**2))
            if path.h >= 1.0:
                return None
            if path.end >= end:
                return path
            end = max(path.end - _SLACK * self.lowest, 0.0)
        return None


def efficiency(theta: float, low: float) -> float:
    """Largest c with |rho| - |(I - A) rho| >= c sqrt(low) |A^(1/2) rho| for all A with eigenvalues in [low, theta].

    Parameters
    ----------
    theta : float
        In (0, 2).
    low : float
        In (0, theta].

    Returns
    -------
    float
        1 for theta up to 1, where nothing more is asked for.
    """
    if theta <= 1.0:
        return 1.0
    if theta + low < 2.0 and low * (2.0 - theta * low) <= 2.0 - theta:
        return sqrt(theta * (2.0 - theta - low) / (1.0 - theta * low))
    return (2.0 - theta) / sqrt(theta * low)


def repeated_rows(X: NDArray[np.float64], numbers: NDArray[np.intp]) -> str | None:
    """Why equal rows rule out a certificate.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Rows of positive weight.
    numbers : ndarray of shape (n,)
        Their numbers in the objective.

    Returns
    -------
    str or None
        A sentence that names the first such row; None where all rows differ.
    """
    _, first, inverse = np.unique(X, axis=0, return_index=True, return_inverse=True)
    originals = first[inverse.ravel()]
    repeated = np.flatnonzero(originals != np.arange(len(X)))
    if not repeated.size:
        return None
    row = repeated[0]
    return (
        f"Row {numbers[row]} repeats row {numbers[originals[row]]}{one_of(repeated)}: the tangent matrix is singular; "
        "merge equal rows."
    )


def one_of(rows: NDArray[np.intp]) -> str:
    """Say how many rows are like the first one, if it is not the only one.

    Parameters
    ----------
    rows : ndarray
        The rows.

    Returns
    -------
    str
    """
    return f", one of {rows.size} such rows" if rows.size > 1 else ""
