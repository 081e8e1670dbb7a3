"""A loss with a penalty on the distance from where training starts, for gradient descent."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from underdetermined.objectives import Linearization

__all__ = ["Penalized"]


@dataclass(frozen=True, eq=False)
class PenalizedLinearization(Linearization):
    """A linearization of more equations than parameters, whose squared singular values have a known lower bound.

    Parameters
    ----------
    residual, jacobian, gram
        As in `Linearization`.
    smallest_eigenvalue : float
        No eigenvalue of J.T J is below it.
    """

    smallest_eigenvalue: float = 0.0


@dataclass(frozen=True, eq=False)
class Penalized:
    """The loss L + alpha |theta - theta_0|^2 / 2, with theta_0 the parameters at the start.

    Parameters
    ----------
    objective : Exponential or TwoLayer
        L; theta_0 is its `initial`.
    alpha : float
        Penalty, positive.
    """

    objective: Any
    alpha: float

    @property
    def n_parameters(self) -> int:
        """Length of theta."""
        return self.objective.n_parameters

    @cached_property
    def _start(self) -> np.ndarray:
        return self.objective.initial()

    def _offset(self, theta: np.ndarray) -> np.ndarray:
        return theta - self._start

    def value(self, theta: np.ndarray) -> float:
        """Loss with the penalty."""
        return self.value_and_gradient(theta)[0]

    def gradient(self, theta: np.ndarray) -> np.ndarray:
        """Its gradient."""
        return self.value_and_gradient(theta)[1]

    def value_and_gradient(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Both from one pass over the rows."""
        value, gradient = self.objective.value_and_gradient(theta)
        offset = self._offset(theta)
        with np.errstate(over="ignore", invalid="ignore"):
            return value + 0.5 * self.alpha * float(offset @ offset), gradient + self.alpha * offset

    def linearize(self, theta: np.ndarray) -> PenalizedLinearization:
        """Residual and Jacobian with the penalty as p more equations; the Gram matrix, of order q + p, is not offered."""
        plain, root = self.objective.linearize(theta), np.sqrt(self.alpha)
        q, p = plain.jacobian.shape
        jacobian = LinearOperator(
            (q + p, p),
            matvec=lambda v: np.concatenate([plain.jacobian.matvec(v), root * v]),
            rmatvec=lambda u: plain.jacobian.rmatvec(u[:q]) + root * u[q:],
            dtype=np.float64,
        )
        residual = np.concatenate([plain.residual, root * self._offset(theta)])
        return PenalizedLinearization(residual, jacobian, _no_gram, smallest_eigenvalue=self.alpha)


def _no_gram() -> np.ndarray:
    raise NotImplementedError("a penalised loss has no Gram matrix: pass alpha to gauss_newton")
