"""Tangent kernels as a user would write them from the theory: whole arrays, weight scale one, no biases."""

from math import pi

import numpy as np


def expressions(library):
    """Name -> function of X that returns the tangent kernel, in the functions of an array library."""
    arcsin = library.arcsin

    def covariances(X):
        products = X @ X.T
        squares = library.diagonal(products)
        return products, squares[:, None], squares[None, :]

    def relu(X):
        c, s1, s2 = covariances(X)
        norms = library.sqrt(s1 * s2)
        rho = library.clip(c / norms, -1.0, 1.0)
        theta = library.arccos(rho)
        return norms * (library.sin(theta) + (pi - theta) * rho) / (2 * pi) + c * (pi - theta) / (2 * pi)

    def erf(X):
        c, s1, s2 = covariances(X)
        scale = (1 + 2 * s1) * (1 + 2 * s2)
        return 2 / pi * arcsin(2 * c / library.sqrt(scale)) + c * (4 / pi) / library.sqrt(scale - 4 * c**2)

    def sin_cos(X):
        c, s1, s2 = covariances(X)
        return (1 + c) * library.exp(c - (s1 + s2) / 2)

    def gelu(X):
        c, s1, s2 = covariances(X)
        scale = (1 + s1) * (1 + s2)
        root = library.sqrt(scale - c**2)
        both = 0.25 + arcsin(c / library.sqrt(scale)) / (2 * pi)
        value = s1 * (root**2 - 1 - s1) / ((1 + s1) * 2 * pi * root) + c * (both + c / ((1 + s2) * 2 * pi * root))
        slope = both + c / (2 * pi * root) * (1 / (1 + s1) + 1 / (1 + s2)) + c / (2 * pi * root**3)
        return value + c * slope

    return {"relu": relu, "erf": erf, "sin_cos": sin_cos, "gelu": gelu}


IN_NUMPY = expressions(np)
