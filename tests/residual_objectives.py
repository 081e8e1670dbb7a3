"""Sums of squares with dense Jacobians, for tests of the optimisers."""

from types import SimpleNamespace

import numpy as np
from scipy.sparse.linalg import aslinearoperator

from underdetermined.exponential import draw_network
from underdetermined.objectives import Exponential


class Residual:
    """One half of the squared norm of a function that is given with its Jacobian."""

    def __init__(self, function, jacobian, n_parameters):
        self.function, self.jacobian, self.n_parameters = function, jacobian, n_parameters

    def value(self, theta):
        return 0.5 * float(self.function(theta) @ self.function(theta))

    def gradient(self, theta):
        return self.jacobian(theta).T @ self.function(theta)

    def linearize(self, theta):
        jacobian = self.jacobian(theta)
        return SimpleNamespace(
            residual=self.function(theta), jacobian=aslinearoperator(jacobian), gram=lambda: jacobian @ jacobian.T
        )


def linear(matrix, targets):
    """A theta - y."""
    return Residual(lambda theta: matrix @ theta - targets, lambda theta: matrix, matrix.shape[1])


def rosenbrock():
    """(10 (b - a^2), 1 - a): the usual curved valley, zero at (1, 1)."""
    return Residual(
        lambda theta: np.array([10.0 * (theta[1] - theta[0] ** 2), 1.0 - theta[0]]),
        lambda theta: np.array([[-20.0 * theta[0], 10.0], [-1.0, 0.0]]),
        2,
    )


def powers():
    """theta^3, whose Jacobian vanishes with it."""
    return Residual(lambda theta: theta**3, lambda theta: np.diag(3.0 * theta**2), 2)


def exponentials(rng, n=12, d=3, width=400, k=1, *, size=0.3, symmetric=True, **options):
    """A network of exponentials on random rows of norm one and random targets."""
    rows = rng.standard_normal((n, d))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    hidden, coef = draw_network(d, width, k, symmetric=symmetric, seed=int(rng.integers(1000)))
    return Exponential(rows, size * rng.standard_normal((n, k)), hidden, coef, **options)
