"""The loss of softmax(A2 relu(A1 x)) by its definition, for complex arguments, and problems to try it on."""

from types import SimpleNamespace

import numpy as np

STEP = 1e-30

P2 = (np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([[1.0, -1.0], [0.0, 2.0]]), np.array([0.25, 0.75]))
P3 = (
    np.array([[1.0, 0.0, -1.0], [2.0, 1.0, 0.0], [0.0, -1.0, 1.0]]),
    np.array([[1.0, 0.0, 1.0], [0.0, 1.0, -1.0], [-1.0, 1.0, 0.0]]),
    np.array([1.0 / 2.0, 1.0 / 3.0, 1.0 / 6.0]),
)
P4 = (
    np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 1.0, -1.0, 0.0], [1.0, 0.0, 0.0, -1.0], [0.0, 2.0, 1.0, 1.0]]),
    np.array([[1.0, 0.0, -1.0, 2.0], [0.0, 1.0, 1.0, 0.0], [2.0, -1.0, 0.0, 1.0], [-1.0, 1.0, 0.0, 0.0]]),
    np.array([0.1, 0.2, 0.3, 0.4]),
)


def random_problem(seed, *, sizes=None):
    """A problem of random shape with penalties, and a point."""
    rng = np.random.default_rng(seed)
    n, m, d = rng.integers(2, 9, 3) if sizes is None else sizes
    return SimpleNamespace(
        A1=rng.normal(size=(n, d)),
        A2=rng.normal(size=(m, n)) * 10.0 ** rng.uniform(-1.0, 0.5),
        b=rng.dirichlet(np.ones(m)),
        x=rng.normal(size=d),
        reg=rng.uniform(),
        weights=rng.normal(size=n),
    )


def hidden_units(z, smoothing, active=None):
    """rho(z) and rho'(z); kinks are decided by the real part."""
    if active is not None:
        return np.where(active, z, 0.0), np.where(active, 1.0, 0.0)
    if smoothing == 0.0:
        return np.where(z.real > 0.0, z, 0.0), np.where(z.real > 0.0, 1.0, 0.0)
    side = np.where(z.real > 0.0, 1.0, -1.0)
    decay = np.exp(-side * z / smoothing)
    slope = np.where(side > 0.0, 1.0 / (1.0 + decay), decay / (1.0 + decay))
    return np.where(side > 0.0, z, 0.0) + smoothing * np.log(1.0 + decay), slope


def softmax(logits):
    exponentials = np.exp(logits - logits.real.max())
    return exponentials / exponentials.sum()


def value(A1, A2, b, x, loss, smoothing=0.0, active=None, reg=0.0, weights=None):
    """Loss with penalties."""
    z = A1 @ x
    f = softmax(A2 @ hidden_units(z, smoothing, active)[0])
    squares = 0.0 if weights is None else np.sum((weights * z) ** 2)
    distance = 0.5 * np.sum((f - b) ** 2) if loss == "squared" else np.sum(b * np.log(b / f))
    return distance + 0.5 * squares + 0.5 * reg * np.sum(x**2)


def gradient(A1, A2, b, x, loss, smoothing=0.0, active=None, reg=0.0, weights=None):
    """Gradient by the chain rule with the m x m derivative of the softmax."""
    z = A1 @ x
    hidden, slopes = hidden_units(z, smoothing, active)
    f = softmax(A2 @ hidden)
    jacobian = (np.diag(f) - np.outer(f, f)) @ (A2 * slopes) @ A1
    outer = f - b if loss == "squared" else -b / f
    penalty = 0.0 if weights is None else A1.T @ (weights**2 * z)
    return jacobian.T @ outer + penalty + reg * x


def complex_step(function, x):
    """Derivatives of a function of real x by every coordinate, the last axis, exact to rounding."""
    return np.stack([np.imag(function(x + 1j * STEP * unit)) / STEP for unit in np.eye(len(x))], axis=-1)
