"""Two-layer problems with every option, and their residuals and Jacobians in multiple precision."""

import functools

import mpmath
import numpy as np

from underdetermined import FeatureMap
from underdetermined.objectives import TwoLayer

# Whether there are biases, an output bias, weights of the rows and a factor for each neuron.
FULL = {"biases": True, "intercept": True, "weighted": True, "factors": True}
BARE = dict.fromkeys(FULL, False)


def problem(activation="tanh", n=6, d=3, width=8, k=2, *, layers="both", seed=0, n_jobs=1, **options):
    """A random objective; options not named are off."""
    rng = np.random.default_rng(seed)
    wanted = BARE | options
    weights, biases, coef = rng.standard_normal((d, width)), rng.standard_normal(width), rng.standard_normal((width, k))
    X, Y, intercept = rng.standard_normal((n, d)), rng.standard_normal((n, k)), rng.standard_normal(k)
    layer = FeatureMap(
        weights,
        biases if wanted["biases"] else None,
        activation,
        scale=rng.uniform(0.5, 2.0, width) if wanted["factors"] else 0.7,
        n_jobs=n_jobs,
    )
    return TwoLayer(
        X,
        Y,
        layer,
        coef,
        intercept=intercept if wanted["intercept"] else None,
        layers=layers,
        sample_weight=rng.uniform(0.5, 2.0, n) if wanted["weighted"] else None,
    )


def exact_model(objective, definition):
    """The weighted residual (q,) as a function of all parameters, numbers of mpmath; of an objective with layers="both"."""
    layer, (n, d), k = objective.feature_map, objective.X.shape, objective.targets.shape[1]
    m, has_biases = layer.width, layer.biases is not None
    X, Y, s = (mpmath.matrix(array.tolist()) for array in (objective.X, objective.targets, objective.sample_weight))
    scale = [mpmath.mpf(float(factor)) for factor in np.broadcast_to(layer.scale, m)]
    sigma = functools.cache(definition)

    def residual(theta):
        weights, rest = theta[: d * m], theta[d * m :]
        biases, rest = (rest[:m], rest[m:]) if has_biases else ([0] * m, rest)
        coef, intercept = rest[: m * k], rest[m * k :] or [0] * k
        result = []
        for i in range(n):
            features = [
                scale[r] * sigma(biases[r] + mpmath.fsum(X[i, j] * weights[j * m + r] for j in range(d))) for r in range(m)
            ]
            for a in range(k):
                output = intercept[a] + mpmath.fsum(features[r] * coef[r * k + a] for r in range(m))
                result.append(mpmath.sqrt(s[i]) * (output - Y[i, a]))
        return result

    return residual


def exact_linearization(objective, definition, theta=None):
    """Weighted residual and Jacobian by central differences of 1e-12 in 45 digits."""
    with mpmath.workdps(45):
        residual = exact_model(objective, definition)
        start = [mpmath.mpf(float(number)) for number in (objective.initial() if theta is None else theta)]
        step, columns = mpmath.mpf(10) ** -12, []
        for index in range(len(start)):
            ends = [start[:index] + [start[index] + sign * step] + start[index + 1 :] for sign in (1, -1)]
            ahead, behind = map(residual, ends)
            columns.append([float((a - b) / (2 * step)) for a, b in zip(ahead, behind, strict=True)])
        return np.array([float(number) for number in residual(start)]), np.array(columns).T
