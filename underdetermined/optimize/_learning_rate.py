"""The automatic learning rate: a share of what the largest eigenvalue of the tangent Gram matrix admits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined._linalg import EPS, largest_eigenvalue
from underdetermined.optimize._common import evaluate, is_finite, norm

FloatArray = NDArray[np.float64]

SHARE = 0.9
LONGEST_INTERVAL = 25
# Norm of a gradient beside |J| |residual| below which the residual is as good as orthogonal to the range of J.
STATIONARY = 1e-6
_FIRST_INTERVAL = 5
# Relative change of the eigenvalue between two looks from which looks become more frequent, and below which rarer.
_FAST, _SLOW = 0.1, 0.03
# Rounding of a loss, in units of eps |first residual| |residual|.
_NOISE = 1e3


class AutomaticRate:
    """Steps of gradient descent that lower the loss.

    Parameters
    ----------
    objective : Linearizable
        Loss to minimise.
    first_value : float
        Loss at the start, which scales the rounding of later ones.

    Attributes
    ----------
    n_rejected : int
        Steps that were taken back.
    is_overflown : bool
        Whether the last step failed because something was not finite.
    is_tall : bool
        Whether there are more residuals than parameters.
    """

    def __init__(self, objective: Any, first_value: float) -> None:
        self._objective = objective
        self._first_value = first_value
        self._rate, self._eigenvalue, self._interval, self._age = np.inf, np.nan, _FIRST_INTERVAL, 0
        self.n_rejected = 0
        self.is_overflown = self.is_tall = False

    def step(
        self, theta: FloatArray, value: float, gradient: FloatArray
    ) -> tuple[FloatArray, float, FloatArray, float] | None:
        """Find a step that does not raise the loss.

        Parameters
        ----------
        theta, gradient : ndarray of shape (p,)
            Parameters and the gradient there.
        value : float
            Loss there.

        Returns
        -------
        tuple or None
            Next parameters, their loss and gradient, and the rate. None where no step that can be told from rounding lowers
            the loss, or where the eigenvalue overflows.
        """
        self._refresh_on_schedule(theta)
        slope, size = norm(gradient), norm(theta)
        while True:
            self.is_overflown = not np.isfinite(self._eigenvalue)
            if self.is_overflown:
                return None
            with np.errstate(over="ignore", invalid="ignore"):
                following = theta - self._rate * gradient
            if np.array_equal(following, theta):
                return None
            if is_finite(0.0, following):
                reached, next_gradient = evaluate(self._objective, following)
                self.is_overflown = not is_finite(reached, next_gradient)
                if not self.is_overflown and reached <= value + self._noise(value):
                    self._age += 1
                    return following, reached, next_gradient, self._rate
            self.n_rejected += 1
            if self._rate * slope <= EPS * size or self._rate * slope**2 <= EPS * value:
                return None
            if self._age > 0:
                self._look(theta)
            self._rate = min(0.5 * self._rate, self._admissible)

    def is_stationary(self, value: float, gradient: FloatArray) -> bool:
        """Whether a gradient vanishes beside |J| times the residual.

        Parameters
        ----------
        value : float
            Loss.
        gradient : ndarray of shape (p,)
            Gradient there.

        Returns
        -------
        bool
        """
        return norm(gradient) <= STATIONARY * float(np.sqrt(self._eigenvalue)) * float(np.sqrt(2.0 * abs(value)))

    @property
    def _admissible(self) -> float:
        """Share of the inverse eigenvalue; where nothing can move, any rate will do."""
        return SHARE / self._eigenvalue if self._eigenvalue > 0.0 else 1.0

    def _noise(self, value: float) -> float:
        return _NOISE * EPS * float(np.sqrt(abs(self._first_value))) * float(np.sqrt(abs(value)))

    def _refresh_on_schedule(self, theta: FloatArray) -> None:
        """Look at the eigenvalue again if it is time, and decide when to look next."""
        if np.isfinite(self._eigenvalue) and self._age < self._interval:
            return
        before = self._eigenvalue
        self._look(theta)
        self._rate = min(self._admissible, 2.0 * self._rate)
        change = abs(self._eigenvalue / before - 1.0) if before > 0.0 else 0.5 * (_FAST + _SLOW)
        if change > _FAST:
            self._interval = max(1, self._interval // 2)
        elif change < _SLOW:
            self._interval = min(LONGEST_INTERVAL, 2 * self._interval)

    def _look(self, theta: FloatArray) -> None:
        jacobian = self._objective.linearize(theta).jacobian
        self._eigenvalue, self._age, self.is_tall = tangent_eigenvalue(jacobian), 0, jacobian.shape[0] > jacobian.shape[1]


def tangent_eigenvalue(jacobian: Any) -> float:
    """Largest eigenvalue of J J.T, from below, by eight Lanczos steps from a fixed start.

    Parameters
    ----------
    jacobian : LinearOperator of shape (q, p)
        J.

    Returns
    -------
    float
        nan or inf where a product overflows.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return largest_eigenvalue(lambda v: jacobian.matvec(jacobian.rmatvec(v)), jacobian.shape[0])
