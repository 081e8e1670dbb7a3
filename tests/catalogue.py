"""Every activation that the tests run over, and the catalogue in exact terms."""

import mpmath

from underdetermined.activations import geometric_hermite, get_activation, hermite, leaky_relu, names, shifted_relu

CATALOGUE = {name: get_activation(name) for name in names()}
FAMILIES = [leaky_relu(0.3), leaky_relu(-1), leaky_relu(1), shifted_relu(-0.7), shifted_relu(0), hermite([0, 2])]
FAMILIES += [hermite([3]), hermite([0, 0]), hermite([1, 0, 0.5]), hermite([0, 1, 0, 2]), geometric_hermite(0.8, 5)]
EVERY = {**CATALOGUE, **{str(activation): activation for activation in FAMILIES}}

DEFINITIONS = {
    "identity": lambda t: t,
    "relu": lambda t: max(t, 0),
    "leaky_relu": lambda t: max(t, t * 0.01),
    "abs": abs,
    "step": lambda t: mpmath.mpf(t > 0),
    "squared_relu": lambda t: max(t, 0) ** 2,
    "shifted_relu": lambda t: max(t + 1, 0),
    "erf": mpmath.erf,
    "tanh": mpmath.tanh,
    "sigmoid": lambda t: 1 / (1 + mpmath.exp(-t)),
    "softplus": lambda t: mpmath.log1p(mpmath.exp(t)),
    "silu": lambda t: t / (1 + mpmath.exp(-t)),
    "gelu": lambda t: t * mpmath.ncdf(t),
    "elu": lambda t: max(t, 0) + mpmath.expm1(min(t, 0)),
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "sin_cos": lambda t: mpmath.sin(t) + mpmath.cos(t),
    "exp": mpmath.exp,
    "gaussian": lambda t: mpmath.exp(-t * t / 2),
    "hermite": lambda t: mpmath.fdot(zip(CATALOGUE["hermite"].parameters, normalised(10, t), strict=True)),
}


def normalised(degree, g):
    """h_0(g) ... h_degree(g)."""
    values = [mpmath.mpf(1), g]
    for k in range(1, degree):
        values.append((g * values[k] - mpmath.sqrt(k) * values[k - 1]) / mpmath.sqrt(k + 1))
    return values[: degree + 1]
