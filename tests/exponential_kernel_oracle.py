"""The tangent kernel of exponentials and its smallest eigenvalue in many digits, from rows as exact fractions."""

import mpmath as mp


def inner(x, z):
    return mp.fsum(mp.mpf(float(a)) * mp.mpf(float(b)) for a, b in zip(x, z, strict=True))


def kernel_entry(x, z, scale=1.0, shift=0.0):
    """``<x, z> exp(t^2 |x + z|^2 / 2 - c |x|^2 - c |z|^2)``."""
    with mp.workdps(max(60, mp.mp.dps)):
        product, squares = inner(x, z), inner(x, x) + inner(z, z)
        return product * mp.exp(mp.mpf(scale) ** 2 * (squares / 2 + product) - mp.mpf(shift) * squares)


def exact_smallest(X, scale=1.0, digits=60):
    """Smallest eigenvalue; norms that are far apart cost digits."""
    with mp.workdps(digits):
        kernel = mp.matrix([[kernel_entry(x, z, scale) for z in X] for x in X])
        return min(mp.eigsy(kernel, eigvals_only=True))
