"""Networks of exponentials for tests: the small one with known values, random ones, and definitions in long precision."""

import mpmath
import numpy as np

from underdetermined import FeatureMap
from underdetermined.objectives import Exponential

mpmath.mp.dps = 40

SMALL_X = [[0.5, 0.0], [0.25, 0.5], [-0.5, 0.25]]
SMALL_WEIGHTS = [[1.0, -1.0, 0.5, 0.0], [2.0, 0.5, -1.0, 1.0]]
SMALL_SIGNS = [1.0, -1.0, 1.0, -1.0]
SMALL_TARGETS = [1.0, 0.0, -1.0]


def small():
    """Three rows, four neurons, one output, scale 1."""
    hidden = FeatureMap(SMALL_WEIGHTS, activation="exp", scale=1.0)
    return Exponential(SMALL_X, SMALL_TARGETS, hidden, SMALL_SIGNS)


def problem(*, seed=0, n=30, d=4, width=60, n_outputs=1, weighted=False, row_shift=0.0, uneven=False, norm=0.8, n_jobs=None):
    """Rows of different norms, two alike and one of zeros where there are enough; weights with zeros among them."""
    rng = np.random.default_rng(seed)
    X = norm * rng.standard_normal((n, d)) / np.sqrt(d)
    if n > 7:
        X[5], X[7] = X[4], 0.0
    scale = rng.uniform(0.5, 2.0, width) / np.sqrt(width) if uneven else None
    weights = rng.standard_normal((d, width))
    hidden = FeatureMap(weights, activation="exp", scale=scale, row_shift=row_shift, n_jobs=n_jobs)
    coef = rng.choice([-1.0, 1.0], (width, n_outputs)) if not uneven else rng.standard_normal((width, n_outputs))
    sample_weight = rng.uniform(0.1, 2.0, n) * (np.arange(n) % 6 != 1) if weighted else None
    return Exponential(X, rng.standard_normal((n, n_outputs)), hidden, coef, sample_weight=sample_weight)


def paired(*, seed=0, n=40, d=5, width=1400, n_outputs=1):
    """A network of pairs whose outputs cancel at the start."""
    rng = np.random.default_rng(seed)
    weights, coef = rng.standard_normal((d, width // 2)), rng.choice([-1.0, 1.0], (width // 2, n_outputs))
    hidden = FeatureMap(np.hstack([weights, weights]), activation="exp")
    return Exponential(
        rng.standard_normal((n, d)) / np.sqrt(d), rng.standard_normal((n, n_outputs)), hidden, np.vstack([coef, -coef])
    )


def output_weights(objective):
    """V, (m, k)."""
    return np.broadcast_to(objective.feature_map.scale, len(objective.coef))[:, np.newaxis] * objective.coef


def weighted_residual(objective, weights):
    """rho of shape (n, k) in one line; works in complex numbers too, where it is analytic."""
    X = objective.X
    shift = objective.feature_map.row_shift * np.sum(X**2, axis=1, keepdims=True)
    f = np.exp(X @ weights - shift) @ output_weights(objective)
    return np.sqrt(objective.sample_weight)[:, np.newaxis] * (f - objective.targets)


class Exact:
    """Residual, loss, gradient and Gram matrix by their definitions, in 40 digits."""

    def __init__(self, objective):
        X, W, v = objective.X, objective.feature_map.weights, output_weights(objective)
        (n, d), (m, k) = X.shape, v.shape
        shift = mpmath.mpf(objective.feature_map.row_shift)
        activations = [
            [mpmath.exp(mpmath.fdot(X[i], W[:, r]) - shift * mpmath.fdot(X[i], X[i])) for r in range(m)] for i in range(n)
        ]
        s = objective.sample_weight
        residual = [[mpmath.fdot(activations[i], v[:, a]) - objective.targets[i, a] for a in range(k)] for i in range(n)]
        pulled = [[s[i] * mpmath.fdot(residual[i], v[r]) * activations[i][r] for i in range(n)] for r in range(m)]
        root = [mpmath.sqrt(number) for number in s]
        inner = [[mpmath.fdot(X[i], X[j]) * root[i] * root[j] for j in range(n)] for i in range(n)]
        products = {
            (a, b): [mpmath.mpf(v[r, a]) * mpmath.mpf(v[r, b]) for r in range(m)] for a in range(k) for b in range(k)
        }
        gram = [
            [
                inner[i][j] * mpmath.fsum(products[a, b][r] * activations[i][r] * activations[j][r] for r in range(m))
                for j in range(n)
                for b in range(k)
            ]
            for i in range(n)
            for a in range(k)
        ]
        self.residual = np.array(residual, dtype=float)
        self.loss = float(mpmath.fsum(s[i] * residual[i][a] ** 2 for i in range(n) for a in range(k)) / 2)
        self.gradient = np.array([[mpmath.fdot(pulled[r], X[:, j]) for r in range(m)] for j in range(d)], dtype=float)
        self.gram = np.array(gram, dtype=float)
