"""Slow definitions of the bounds on the smallest eigenvalue, and that eigenvalue in many digits."""

from functools import cache

import mpmath as mp
import numpy as np
from orthant_oracle import row_moments
from scipy.special import ndtr


def unit(X):
    """Rows over their norms."""
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def rows_of(kind, rng, n=9, d=4):
    """Unit rows of one kind; close pairs have distances of 1e-5 to 0.1."""
    X = rng.standard_normal((n, d))
    small = 10.0 ** rng.uniform(-5.0, -1.0)
    angles = 2.0 * np.pi * np.arange(n) / n + 0.1
    return unit(
        {
            "sphere": lambda: X,
            "clusters": lambda: X[np.arange(n) % 3] * 4.0 + 0.5 * rng.standard_normal((n, d)),
            "near duplicates": lambda: np.vstack([X, X[0] + small * X[1]]),
            "near antipodes": lambda: np.vstack([X, -X[0] + small * X[1]]),
            "circle": lambda: np.column_stack([np.cos(angles), np.sin(angles)]),
            "few rows": lambda: X[:d],
            "antipodes": lambda: np.vstack([X, -X]),
        }[kind]()
    )


KINDS = ("sphere", "clusters", "near duplicates", "near antipodes", "circle", "few rows", "antipodes")


def lengthened(X, rng, decades=1.0):
    """The same directions with norms that spread over so many decades."""
    return X * 10.0 ** rng.uniform(-decades / 2, decades / 2, (len(X), 1))


def exact_smallest(X, bias, bias_scale):
    """Smallest eigenvalue as a multiple-precision number, from rows as exact fractions."""
    n = len(X)
    kernel = mp.matrix(n, n)
    for i in range(n):
        for j in range(i + 1):
            found, _, product = row_moments(X[i], X[j], bias)
            kernel[i, j] = kernel[j, i] = (product + mp.mpf(bias_scale) ** 2) * found.probability
    return min(mp.eigsy(kernel, eigvals_only=True))


@cache
def hermite_weights(h, count):
    """c_k(h) for k below `count`, of which the squares sum to Q(h), by Hermite polynomials of mpmath."""
    h = mp.mpf(h)
    density = mp.exp(-h * h / 2) / mp.sqrt(2 * mp.pi)
    weights, before, now = [mp.erfc(h / mp.sqrt(2)) / 2], mp.mpf(0), mp.mpf(1)
    for k in range(1, count):
        weights.append(density * now / mp.sqrt(mp.factorial(k)))
        before, now = now, h * now - (k - 1) * before
    return np.array([float(weight) for weight in weights])


def slow_hermite(X, bias, bias_scale, count):
    """Sum over degrees below `count`, each with dominance of its own; what is left out is the tail."""
    extended = unit(np.column_stack([X, np.full(len(X), bias_scale)]))
    norms = np.linalg.norm(X, axis=1)
    cosines, products = np.abs(unit(X) @ unit(X).T), np.abs(extended @ extended.T)
    weights = np.array([hermite_weights(round(bias / length, 14), count) for length in norms])
    total = np.zeros(len(X))
    for k in range(count):
        others = products * cosines**k
        np.fill_diagonal(others, 0.0)
        dominance = 1.0 - others.sum(axis=1)
        total += weights[:, k] ** 2 * dominance * (dominance.min() >= 0.0)
    return ((norms**2 + bias_scale**2) * total).min()


def slow_jump(X, bias, bias_scale, widths):
    """The kappa_i, over a grid of widths, row by row."""
    norms, directions, n = np.linalg.norm(X, axis=1), unit(X), len(X)
    h = bias / norms
    kappa = np.empty(n)
    for i in range(n):
        others = np.arange(n) != i
        rho = directions[others] @ directions[i]
        s, offset = np.sqrt(1.0 - rho**2), h[others] - rho * h[i]
        reach = np.abs(rho) * widths[:, np.newaxis]
        crossings = (ndtr((offset + reach) / s) - ndtr((offset - reach) / s)).sum(axis=1)
        above, below = ndtr(-h[i]) - ndtr(-h[i] - widths), ndtr(widths - h[i]) - ndtr(-h[i])
        kappa[i] = (above * below / (above + below) * (1.0 - crossings)).max()
    return (norms**2 + bias_scale**2) * kappa


def closed_separation(X, bias):
    """The closed bound for unit rows, of two-sided chords and, where it is allowed, of one-sided ones."""
    n = len(X)
    others = ~np.eye(n, dtype=bool)
    near, far = (np.linalg.norm(X[:, None] - sign * X, axis=2)[others].min() for sign in (1.0, -1.0))
    choices = [min(near, far)]
    one_sided = min(near, bias * np.sqrt(np.e))
    if bias > 0.0 and one_sided * np.sqrt(2.0 * np.pi) / (4.0 * (n - 1)) <= bias:
        choices.append(one_sided)
    best = 0.0
    for delta in choices:
        h = delta * np.sqrt(2.0 * np.pi) / (4.0 * (n - 1))
        best = max(best, delta * np.exp(-(bias**2) / 2.0 - bias * h - h**2 / 2.0) / (8.0 * n * (n - 1)))
    return best
