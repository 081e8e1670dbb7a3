"""Steps of gradient descent that find their own length and do not raise the loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined._linalg import EPS, largest_eigenvalue, vector_norm
from underdetermined.optimize._common import evaluate, is_finite

FloatArray = NDArray[np.float64]
Found = tuple[FloatArray, float, FloatArray, float]

SHARE = 0.9
LONGEST_INTERVAL = 25
# Norm of a gradient beside |J| |residual| below which the residual is as good as orthogonal to the range of J.
STATIONARY = 1e-6
_FIRST_INTERVAL = 5
# Relative change of the eigenvalue between two looks from which looks become more frequent, and below which rarer.
_FAST, _SLOW = 0.1, 0.03
# Rounding of a loss, in units of eps |first residual| |residual|.
_NOISE = 1e3
_LARGEST_RATE = 1e150


class Descent(ABC):
    """Steps whose length is found, not given.

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
    """

    def __init__(self, objective: Any, first_value: float) -> None:
        self._objective = objective
        self._first_value = first_value
        self.n_rejected = 0
        self.is_overflown = False

    def state(self) -> dict[str, Any]:
        """What another object of this class needs to go on from here.

        Returns
        -------
        dict
        """
        return {name: value for name, value in vars(self).items() if name != "_objective"}

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from where another object of this class stopped.

        Parameters
        ----------
        state : dict
            What its `state` returned.
        """
        vars(self).update(state)

    @abstractmethod
    def step(self, theta: FloatArray, value: float, gradient: FloatArray) -> Found | None:
        """Find the next step.

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
            the loss, or where something overflows.
        """

    def is_stationary(self, theta: FloatArray, value: float, gradient: FloatArray) -> tuple[bool, bool]:
        """Whether a gradient vanishes beside |J| times the residual.

        Parameters
        ----------
        theta, gradient : ndarray of shape (p,)
            Parameters and the gradient there.
        value : float
            Loss there.

        Returns
        -------
        is_stationary : bool
        is_tall : bool
            Whether there are more residuals than parameters.
        """
        jacobian = self._objective.linearize(theta).jacobian
        threshold = STATIONARY * float(np.sqrt(tangent_eigenvalue(jacobian))) * float(np.sqrt(2.0 * abs(value)))
        return vector_norm(gradient) <= threshold, jacobian.shape[0] > jacobian.shape[1]

    def _try(self, following: FloatArray) -> tuple[float, FloatArray] | None:
        """Loss and gradient, if all is finite."""
        if not is_finite(0.0, following):
            return None
        reached, gradient = evaluate(self._objective, following)
        self.is_overflown = not is_finite(reached, gradient)
        return None if self.is_overflown else (reached, gradient)

    def _noise(self, value: float) -> float:
        return _NOISE * EPS * float(np.sqrt(abs(self._first_value))) * float(np.sqrt(abs(value)))


def is_tiny(rate: float, slope: float, size: float, value: float) -> bool:
    """Whether a step is lost in the rounding of parameters or loss.

    Parameters
    ----------
    rate, slope : float
        Learning rate and norm of the gradient.
    size, value : float
        Norm of the parameters and loss.

    Returns
    -------
    bool
    """
    return rate * slope <= EPS * size or rate * slope * slope <= EPS * value


class LineSteps(Descent):
    """Steps along the gradient, shortened until the loss does not rise."""

    def __init__(self, objective: Any, first_value: float) -> None:
        super().__init__(objective, first_value)
        self._rate = np.inf

    @abstractmethod
    def _prepare(self, theta: FloatArray, gradient: FloatArray) -> None:
        """Set the rate to try first; nan where it overflows."""

    @abstractmethod
    def _shorten(self, theta: FloatArray) -> None:
        """Set the rate to try after one that raised the loss."""

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
        self._prepare(theta, gradient)
        slope, size = vector_norm(gradient), vector_norm(theta)
        while True:
            self.is_overflown = not np.isfinite(self._rate)
            if self.is_overflown:
                return None
            with np.errstate(over="ignore", invalid="ignore"):
                following = theta - self._rate * gradient
            if np.array_equal(following, theta):
                return None
            found = self._try(following)
            if found is not None and found[0] <= value + self._noise(value):
                return following, *found, self._rate
            self.n_rejected += 1
            if is_tiny(self._rate, slope, size, value):
                return None
            self._shorten(theta)


class AutomaticRate(LineSteps):
    """A share of what the largest eigenvalue of the tangent matrix admits, looked at from time to time.

    Parameters
    ----------
    objective : Linearizable
        Loss to minimise.
    first_value : float
        Loss at the start.
    """

    def __init__(self, objective: Any, first_value: float) -> None:
        super().__init__(objective, first_value)
        self._eigenvalue, self._interval, self._age = np.nan, _FIRST_INTERVAL, 0

    @property
    def _admissible(self) -> float:
        """Share of the inverse eigenvalue; where nothing can move, any rate will do."""
        if not np.isfinite(self._eigenvalue):
            return np.nan
        return SHARE / self._eigenvalue if self._eigenvalue > 0.0 else 1.0

    def _prepare(self, theta: FloatArray, gradient: FloatArray) -> None:
        """Look at the eigenvalue again if it is time, and decide when to look next."""
        self._age += 1
        if np.isfinite(self._eigenvalue) and self._age <= self._interval:
            return
        before = self._eigenvalue
        self._look(theta)
        self._rate = float(np.minimum(self._admissible, 2.0 * self._rate))
        change = abs(self._eigenvalue / before - 1.0) if before > 0.0 else 0.5 * (_FAST + _SLOW)
        if change > _FAST:
            self._interval = max(1, self._interval // 2)
        elif change < _SLOW:
            self._interval = min(LONGEST_INTERVAL, 2 * self._interval)

    def _shorten(self, theta: FloatArray) -> None:
        if self._age > 1:
            self._look(theta)
        self._rate = float(np.minimum(0.5 * self._rate, self._admissible))

    def _look(self, theta: FloatArray) -> None:
        self._eigenvalue, self._age = tangent_eigenvalue(self._objective.linearize(theta).jacobian), 1


class CauchyRate(LineSteps):
    """|g|^2 / |J g|^2, which minimises the linearised loss along the gradient, or a half, a quarter, ... of it."""

    def _prepare(self, theta: FloatArray, gradient: FloatArray) -> None:
        length = vector_norm(gradient)
        if length == 0.0:
            self._rate = 1.0
            return
        with np.errstate(over="ignore", invalid="ignore"):
            change = vector_norm(self._objective.linearize(theta).jacobian.matvec(gradient / length))
        # A rate that overflows belongs to a loss that hardly depends on the parameters: any step that moves them will do.
        self._rate = min(1.0 / change / change, _LARGEST_RATE) if change > 1.0 / _LARGEST_RATE else _LARGEST_RATE

    def _shorten(self, theta: FloatArray) -> None:
        self._rate *= 0.5


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
