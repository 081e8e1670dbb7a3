"""Sparse networks for tests, and a training step written out with whole arrays."""

from dataclasses import dataclass

import numpy as np

from underdetermined import FeatureMap
from underdetermined.active_sets import draw_network
from underdetermined.objectives import SparseReLU


def problem(*, seed=0, n=40, d=5, width=300, n_outputs=1, bias=1.0, bias_scale=1.0, amplitude=1.0, weighted=False):
    """A network that is far from its limit, on rows of different norms: two alike, one of zeros."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    X[3] *= 3.0
    X[5] = X[4]
    X[7] = 0.0
    hidden = FeatureMap(rng.standard_normal((d, width)), np.full(width, -bias))
    coef = rng.choice([-1.0, 1.0], (width, n_outputs))
    weights = rng.uniform(0.0, 2.0, n) * (np.arange(n) % 6 > 0) if weighted else None
    targets = amplitude * rng.standard_normal((n, n_outputs))
    return SparseReLU(X, targets, hidden, coef, sample_weight=weights, bias_scale=bias_scale)


def steep_problem():
    """Large targets on unit rows: at the automatic rate the loss soon rises."""
    rng = np.random.default_rng(2)
    X = rng.standard_normal((60, 8))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    hidden, coef = draw_network(8, 600, bias=2.0, seed=1)
    return SparseReLU(X, 3.0 * rng.standard_normal(60), hidden, coef)


@dataclass
class Reference:
    """Every step of a run, with whole arrays."""

    weights: np.ndarray
    biases: np.ndarray
    residual: np.ndarray
    value: np.ndarray
    active: np.ndarray
    live: np.ndarray
    path: np.ndarray


def train(objective, rate, steps):
    """Full-batch gradient descent as it is defined, one line for each formula."""
    X, Y, s, sigma = objective.X, objective.targets, objective.sample_weight[:, None], objective.bias_scale
    layer = objective.feature_map
    W, b, v = layer.weights.copy(), layer.biases.copy(), np.reshape(layer.scale, (-1, 1)) * objective.coef
    values, active, live, path = [], [], [], np.zeros(len(b))
    kept = s[:, 0] > 0.0
    for step in range(steps + 1):
        Z = X @ W + b
        residual = np.maximum(Z, 0.0) @ v - Y
        values.append(0.5 * np.sum(s * residual**2))
        active.append(np.mean(Z[kept] > 0.0))
        live.append(np.count_nonzero((Z[kept] > 0.0).any(axis=0)))
        C = (Z > 0.0) * ((s * residual) @ v.T) * (step < steps)
        dW, db = X.T @ C, sigma * C.sum(axis=0)
        W, b = W - rate * dW, b - rate * sigma * db
        path += rate * np.sqrt(np.sum(dW**2, axis=0) + db**2)
    return Reference(W, b, residual, np.array(values), np.array(active), np.array(live), path)


def tangent_matrix(objective):
    """H, entry by entry from the Jacobian of the weighted residual."""
    X, sigma, layer = objective.X, objective.bias_scale, objective.feature_map
    v = np.reshape(layer.scale, (-1, 1)) * objective.coef
    active = layer.weights.T @ X.T + layer.biases[:, None] > 0.0
    rows = np.hstack([X, np.full((len(X), 1), sigma)])
    jacobian = np.einsum("i,ra,ri,ij->iarj", np.sqrt(objective.sample_weight), v, active, rows)
    jacobian = jacobian.reshape(len(X) * v.shape[1], -1)
    return jacobian @ jacobian.T
