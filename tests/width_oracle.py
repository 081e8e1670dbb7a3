"""Minimum widths by brute force: fresh features for every width and seed, and NumPy's singular values."""

import numpy as np
from scipy.stats import binomtest

from underdetermined.activations import get_activation
from underdetermined.weights import sample_gaussian


def features(X, activation, width, seed, index, *, weight_scale=None, bias_scale=1.0):
    """Features (n, width) of network `index`, without a factor."""
    weights, biases = sample_gaussian(X.shape[1], width, seed=(seed + 1) * 2**32 + index)
    scale = X.shape[1] ** -0.5 if weight_scale is None else weight_scale
    return get_activation(activation).value(X @ (scale * weights) + bias_scale * biases)


def numerical_rank(A):
    """Rank by singular values above max(n, m) eps s_max."""
    return int(np.linalg.matrix_rank(A)) if A.any() else 0


def gram_eigenvalues(A, rank):
    """The `rank` largest eigenvalues of A A.T / m, from the singular values."""
    singular = np.linalg.svd(A, compute_uv=False)[:rank]
    return np.pad(singular**2 / A.shape[1], (0, rank - singular.size))


def training_residual(A, targets):
    """Relative residual of NumPy's least squares."""
    remainder = targets - A @ np.linalg.lstsq(A, targets, rcond=max(A.shape) * np.finfo(float).eps)[0]
    return np.linalg.norm(remainder) / np.linalg.norm(targets)


def interval(successes, trials, confidence):
    """Clopper-Pearson interval by SciPy."""
    found = binomtest(successes, trials).proportion_ci(confidence, method="exact")
    return found.low, found.high



def holds(event, A, rank, threshold, smallest=None, targets=None):
    """Whether an event holds for features A; `smallest` is lambda_r of the kernel."""
    values = gram_eigenvalues(A, rank)
    return bool(
        {
            "rank": lambda: numerical_rank(A) == rank,
            "spectrum": lambda: values[-1] >= (1.0 - threshold) * smallest,
            "condition": lambda: values[0] <= threshold * values[-1],
            "residual": lambda: training_residual(A, targets) <= threshold,
        }[event]()
    )
