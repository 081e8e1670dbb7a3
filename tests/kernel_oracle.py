"""Infinite-width kernels to more than 30 digits: quadratures in multiple precision, split at kinks, safe at any angle.

K = E[f(u) f(v)] and K' = E[f'(u) f'(v)] for the Gaussian pair that two rows of inputs give. The variances and the
covariance are exact fractions of the floats, so that the angle between nearly parallel rows is right to the last digit.
The pair is conditioned on its longer row: v = slope u + width g. Most activations f have an average over g in closed
form, which leaves an integral over u. It is cut at zero and at every kink, of f or of the average, and
each piece is integrated by the trapezoidal rule in the logarithm of the distance from its ends: that converges
geometrically however steep f is and however close the rows are. tanh and its relatives are the sum of
such an f (erf t or t erf t) and of a remainder that decays like exp(-2 |t|), whose part is a sum over a grid in the
plane. Hermite sums take exact Gauss rules; sin, cos and exp the characteristic function. Nothing is expanded in
correlations, and no closed form of a kernel is used but those of the characteristic function.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import inf

import gaussian_averages as parts
import mpmath
from gaussian_averages import real
from gaussian_quadrature import Pair, one_dimensional, polynomial_product, steep_product
from mpmath import mp, mpf

from underdetermined.activations import get_activation

DIGITS = 32
GUARD = 18
NEGLIGIBLE = mpf(10) ** -40


def gaussian_pair(x, z, weight_scale, bias_scale):
    """The pair that belongs to two rows, and their inner product."""
    x, z = ([Fraction(float(t)) for t in row] for row in (x, z))
    weight, bias = (Fraction(float(t)) ** 2 for t in (weight_scale, bias_scale))
    squares = [sum(a * b for a, b in zip(p, q, strict=True)) for p, q in ((x, x), (z, z), (x, z))]
    return Pair(*(weight * square + bias for square in squares)), squares[2]


def closed_products(function, derivative):
    """Kernels of an activation that has a closed average, and so has its derivative."""

    def products(pair, digits, finer):
        return tuple(one_dimensional(f, f, pair, digits, finer) for f in (function, derivative))

    return products


def steep_products(function, derivative, finish):
    """Kernels of a relative of tanh: finish adds to those of the functions of t / 2 what they leave out."""

    def products(pair, digits, finer):
        quarter = pair.divided(4)
        return finish(*(steep_product(f, quarter, digits, finer) for f in (function, derivative)), real(quarter.both))

    return products


def gelu_products(pair, digits, finer):
    """Kernels of gelu(t) = (a + a erf a) / sqrt(2) with a = t / sqrt(2)."""
    half = pair.divided(2)
    value, slope = closed_products(parts.T_ERF, parts.T_ERF_SLOPE)(half, digits, finer)
    return (real(half.both) + value) / 2, (1 + slope) / 4


def tanh_products(pair, digits, finer):
    """Kernels of tanh."""
    return tuple(steep_product(f, pair, digits, finer) for f in (parts.TANH, parts.SQUARED_SECH))


def wave_products(name):
    """Kernels of sin, cos, their sum and exp, from E cos(w) = exp(-var(w) / 2) and E exp(w) = exp(var(w) / 2)."""

    def products(pair, digits, finer):
        difference, total = (real(pair.left + pair.right + 2 * sign * pair.both) / 2 for sign in (-1, 1))
        if name == "exp":
            return mp.exp(total), mp.exp(total)
        difference, total = mp.exp(-difference), mp.exp(-total)
        odd, even = (difference - total) / 2, (difference + total) / 2
        return {"sin": (odd, even), "cos": (even, odd), "sin_cos": (difference, difference)}[name]

    return products


def hermite_products(*coefficients):
    """Kernels of a Hermite sum; h_k' = sqrt(k) h_(k-1)."""

    def products(pair, digits, finer):
        values = [mpf(a) for a in coefficients]
        slopes = [a * mp.sqrt(k) for k, a in enumerate(values)][1:] or [mpf(0)]
        return polynomial_product(values, pair), polynomial_product(slopes, pair)

    return products


PRODUCTS = {
    "identity": lambda: closed_products(parts.leaky(1), parts.leaky_slope(1)),
    "relu": lambda: closed_products(parts.RELU, parts.STEP),
    "leaky_relu": lambda slope: closed_products(parts.leaky(slope), parts.leaky_slope(slope)),
    "abs": lambda: closed_products(parts.leaky(-1), parts.leaky_slope(-1)),
    "step": lambda: closed_products(parts.STEP, parts.ZERO),
    "squared_relu": lambda: closed_products(parts.SQUARED, parts.TWICE_RELU),
    "shifted_relu": lambda c: closed_products(parts.shifted(parts.RELU, c), parts.shifted(parts.STEP, c)),
    "elu": lambda: closed_products(parts.ELU, parts.ELU_SLOPE),
    "erf": lambda: closed_products(parts.ERF, parts.ERF_SLOPE),
    "gaussian": lambda: closed_products(parts.GAUSSIAN, parts.GAUSSIAN_SLOPE),
    "gelu": lambda: gelu_products,
    "tanh": lambda: tanh_products,
    "sigmoid": lambda: steep_products(parts.TANH, parts.SQUARED_SECH, lambda k, s, c: ((1 + k) / 4, s / 16)),
    "softplus": lambda: steep_products(parts.LOG_COSH, parts.TANH, lambda k, s, c: (c + k, (1 + s) / 4)),
    "silu": lambda: steep_products(parts.T_TANH, parts.T_TANH_SLOPE, lambda k, s, c: (c + k, (1 + s) / 4)),
    "sin": lambda: wave_products("sin"),
    "cos": lambda: wave_products("cos"),
    "sin_cos": lambda: wave_products("sin_cos"),
    "exp": lambda: wave_products("exp"),
    "hermite": hermite_products,
}


def relative(error, scale):
    """An error as a multiple of the scale of its kernel; a scale below 1e-40, as far beyond a kink, counts as zero."""
    if scale > NEGLIGIBLE:
        return float(error / scale)
    return inf if error > NEGLIGIBLE else 0.0


@dataclass(frozen=True)
class Reference:
    """Both kernels of a pair of rows, and what their errors are relative to: the mean of their diagonals."""

    nngp: mpf
    ntk: mpf
    nngp_scale: mpf
    ntk_scale: mpf

    def errors(self, nngp, ntk):
        """Errors of floats, relative to the scales."""
        both = ((nngp, self.nngp, self.nngp_scale), (ntk, self.ntk, self.ntk_scale))
        with mpmath.workdps(DIGITS):
            return [relative(abs(mpf(float(value)) - exact), scale) for value, exact, scale in both]


def kernels(form, x, z, weight_scale=1.0, bias_scale=0.0, *, digits=DIGITS, finer=1):
    """Both kernels of two rows, nngp and ntk; finer quadratures use more points for the same digits."""
    pair, inner = gaussian_pair(x, z, weight_scale, bias_scale)
    activation = get_activation(form)
    with mpmath.workdps(digits + GUARD):
        longer = pair if pair.left >= pair.right else pair.swapped()
        value, slope = PRODUCTS[activation.name](*activation.parameters)(longer, digits, finer)
        return value, value + (real(inner) + (bias_scale > 0)) * slope


def reference(form, x, z, weight_scale=1.0, bias_scale=0.0, *, digits=DIGITS, check=False):
    """Kernels with the scale of their errors; check compares with a coarser quadrature, to all digits but seven."""
    values = kernels(form, x, z, weight_scale, bias_scale, digits=digits)
    diagonals = [kernels(form, row, row, weight_scale, bias_scale, digits=18) for row in (x, z)]
    with mpmath.workdps(digits + GUARD):
        scales = [mp.sqrt(a * b) for a, b in zip(*diagonals, strict=True)]
        if check:
            coarse = kernels(form, x, z, weight_scale, bias_scale, digits=digits, finer=0.85)
            for value, other, scale in zip(values, coarse, scales, strict=True):
                assert abs(value - other) <= mpf(10) ** (7 - digits) * scale, (form, x, z, weight_scale, bias_scale)
        return Reference(*values, *scales)
