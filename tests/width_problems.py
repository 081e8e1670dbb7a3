"""Small problems of the width, and how often networks of a given width fail on them."""

import numpy as np

from underdetermined import FeatureMap
from underdetermined.bounds import WidthProblem
from underdetermined.weights import sample_gaussian

# Rows far apart, so that the widths of the theorems are small enough to be tried.
CORNERS = np.sqrt(3.0) * np.vstack([np.eye(3), -np.eye(3)[:1]])


def corner_problem(activation, *, weight_scale=1.0, bias_scale=0.5, rows=CORNERS):
    """Problem of a few rows with a well-conditioned kernel."""
    return WidthProblem.from_data(rows, activation=activation, weight_scale=weight_scale, bias_scale=bias_scale)


def neurons(problem, count, *, seed, start=0):
    """Features (n, count) of Gaussian neurons, without a factor."""
    weights, biases = sample_gaussian(problem.inputs.shape[1], count, seed=seed, start=start)
    scaled = problem.bias_scale * biases if problem.bias_scale else None
    return FeatureMap(problem.weight_scale * weights, scaled, problem.activation, scale=1.0)(problem.inputs)


def gram_matrices(problem, width, trials, *, seed):
    """Gram matrices (trials, n, n) of independent networks."""
    each = []
    for trial in range(trials):
        features = neurons(problem, width, seed=seed, start=trial * width)
        each.append(features @ features.T / width)
    return np.array(each)


def whitened(problem, grams):
    """Eigenvalues (trials, p) of K^{+1/2} G K^{+1/2}, ascending."""
    return np.linalg.eigvalsh(problem.whitening.T @ grams @ problem.whitening)


def lower_limit(failures, trials):
    """Frequency of failures less three standard errors: the true probability is hardly smaller."""
    frequency = failures / trials
    return frequency - 3.0 * np.sqrt(max(frequency * (1.0 - frequency), 1.0 / trials) / trials)
