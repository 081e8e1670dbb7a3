"""Learning rate and momentum of the heavy ball from the extreme eigenvalues of the tangent matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigvalsh

from underdetermined._linalg import vector_norm
from underdetermined._validation import available_memory
from underdetermined.optimize._learning_rate import Descent, Found, is_tiny, tangent_eigenvalue

FloatArray = NDArray[np.float64]

# Margins of the largest and the smallest eigenvalue, which move along the run.
_ABOVE, _BELOW = 1.2, 0.8
# Smallest eigenvalue that is believed, and that is assumed where none is computed, in units of the largest.
_FLOOR = 1e-6
# Largest order of a matrix whose eigenvalues are computed, and after how many steps they are computed again.
_LARGEST_ORDER, _INTERVAL = 2000, 100


class AutomaticMomentum(Descent):
    """Heavy-ball steps that begin anew, from the best parameters so far, where the loss rises above the last beginning's.

    With L = 1.2 lambda_max and mu^2 = 0.8 lambda_min the rate is 4 / (sqrt(L) + mu)^2 and the momentum
    beta = ((sqrt(L) - mu) / (sqrt(L) + mu))^2. The first step of every beginning has the rate divided by 1 + beta: from
    there on no part of a linear residual exceeds its start, as it would threefold after a full step without momentum.

    Parameters
    ----------
    objective : Linearizable
        Loss to minimise.
    first_value : float
        Loss at the start.
    """

    def __init__(self, objective: Any, first_value: float) -> None:
        super().__init__(objective, first_value)
        self._caution = 1.0
        self._rate = self._momentum = np.nan
        self._age = 0
        self._before: FloatArray | None = None
        self._best: tuple[FloatArray, float, FloatArray] | None = None
        self._beginning = np.inf

    def step(self, theta: FloatArray, value: float, gradient: FloatArray) -> Found | None:
        """As the class above says.

        Parameters
        ----------
        theta, gradient : ndarray of shape (p,)
            Parameters and the gradient there.
        value : float
            Loss there.

        Returns
        -------
        tuple or None
            Next parameters, their loss and gradient, and the rate.
        """
        if self._best is None or value < self._best[1]:
            self._best = theta, value, gradient
        if self._before is None:
            self._beginning = value
        if self._before is None or self._age >= _INTERVAL:
            self._look(theta)
        while True:
            self.is_overflown = not np.isfinite(self._rate)
            if self.is_overflown:
                return None
            rate = self._rate / (1.0 + self._momentum) if self._before is None else self._rate
            with np.errstate(over="ignore", invalid="ignore"):
                following = theta - rate * gradient
                if self._before is not None:
                    following += self._momentum * (theta - self._before)
            if self._before is None and np.array_equal(following, theta):
                return None
            found = self._try(following)
            if found is not None and found[0] <= self._beginning + self._noise(self._beginning):
                self._before, self._age = theta, self._age + 1
                return following, *found, rate
            self.n_rejected += 1
            if self._before is None:
                # Not even a step without momentum lowers the loss: the eigenvalue is that of a curved place.
                self._caution *= 2.0
                if is_tiny(rate, vector_norm(gradient), vector_norm(theta), value):
                    return None
            theta, value, gradient = self._best
            self._before, self._beginning = None, value
            self._look(theta)

    def _look(self, theta: FloatArray) -> None:
        """Rate and momentum for the eigenvalues at some parameters."""
        smallest, largest = _extreme_eigenvalues(self._objective.linearize(theta))
        if not np.isfinite(largest):
            self._rate = np.nan
            return
        top = float(np.sqrt(_ABOVE * self._caution * largest))
        bottom = float(np.sqrt(_BELOW * max(smallest, _FLOOR * largest)))
        self._rate = 4.0 / (top + bottom) ** 2 if top > 0.0 else 1.0
        self._momentum = ((top - bottom) / (top + bottom)) ** 2 if top > 0.0 else 0.0
        self._age = 0


def _extreme_eigenvalues(linearization: Any) -> tuple[float, float]:
    """Smallest and largest eigenvalue of J J.T, or of J.T J where that is smaller; zero for a smallest that is too dear."""
    jacobian, known = linearization.jacobian, getattr(linearization, "smallest_eigenvalue", None)
    if known is not None:
        # That of a penalised loss is its penalty.
        return known, tangent_eigenvalue(jacobian)
    order, memory = min(jacobian.shape), available_memory()
    if order > _LARGEST_ORDER or (memory is not None and 24 * order**2 > memory // 2):
        return 0.0, tangent_eigenvalue(jacobian)
    with np.errstate(over="ignore", invalid="ignore"):
        if jacobian.shape[0] <= jacobian.shape[1]:
            gram = linearization.gram()
        else:
            gram = jacobian.rmatmat(jacobian.matmat(np.eye(order)))
    if not np.isfinite(gram).all():
        return 0.0, np.nan
    values = eigvalsh(gram, check_finite=False)
    return float(values[0]), float(values[-1])
