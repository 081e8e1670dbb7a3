"""E[f(u) f(v)] of a Gaussian pair in multiple precision, by rules that converge geometrically at any angle and scale."""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil, inf, log, pi, sqrt

import numpy as np
from gaussian_averages import ZERO, Function, real
from mpmath import mp, mpf


@dataclass(frozen=True)
class Pair:
    """Variances and covariance of a Gaussian pair, as exact fractions."""

    left: Fraction
    right: Fraction
    both: Fraction

    def swapped(self):
        """The pair with its members exchanged."""
        return Pair(self.right, self.left, self.both)

    def divided(self, factor):
        """The pair divided by the square root of the factor."""
        return Pair(self.left / factor, self.right / factor, self.both / factor)

    def conditioned(self):
        """Standard deviation of u, and slope and width of v = slope u + width g; u must vary."""
        determinant = self.left * self.right - self.both**2
        return mp.sqrt(real(self.left)), real(self.both / self.left), mp.sqrt(real(determinant / self.left))


def one_dimensional(outer, inner, pair, digits, finer):
    """E[outer(u) inner(v)] for a pair, over u, with the closed average over v."""
    if not pair.left:
        return outer.value(mpf(0)) * inner.mean(mpf(0), mp.sqrt(real(pair.right)))
    deviation, slope, width = pair.conditioned()
    reach = deviation * mp.sqrt(2 * (digits + 12) * mp.log(10))
    cuts = {Fraction(0), *map(Fraction, outer.kinks)}
    if pair.both:
        cuts |= {Fraction(kink) * pair.left / pair.both for kink in inner.kinks}
    cuts = [real(cut) for cut in sorted(cuts) if abs(real(cut)) < reach]
    smoothing = width / abs(slope) if slope else mpf(inf)
    scales = [deviation, mpf(1), smoothing if inner.kinks else max(smoothing, 1 / abs(slope) if slope else mpf(inf))]
    scale = min(s for s in scales if s) / 10
    even = outer.parity * inner.parity == 1

    def integrand(u):
        value = outer.value(u)
        return value * inner.mean(slope * u, width) * mp.exp(-((u / deviation) ** 2) / 2) if value else value

    total = mpf(0) if even else half_line(integrand, cuts[0], -1, reach, scale, digits, finer)
    total += half_line(integrand, cuts[-1], 1, reach, scale, digits, finer)
    for left, right in zip(cuts[:-1], cuts[1:], strict=True):
        total += interval(integrand, left, right, scale, digits, finer)
    return (2 if even else 1) * total / (deviation * mp.sqrt(2 * mp.pi))


def spacing(digits, finer):
    """Step of the trapezoidal rule for a strip of analyticity that reaches to an angle of pi / 4."""
    return mpf(2 * pi * 0.7 / ((digits + 1) * log(10)) / finer)


def half_line(function, start, direction, reach, scale, digits, finer):
    """Integral away from start: the distance is t exp(-scale / t) with t = exp(x), structureless below the scale."""
    step, decay = spacing(digits, finer), (digits + 8) * finer * log(10)
    first = ceil(mp.log(scale / decay) / step)
    last = int(mp.log(reach * (1 + (finer - 1) / 4) + abs(start)) / step) + 1
    total = mpf(0)
    for i in range(first, last + 1):
        t = mp.exp(i * step)
        factor = mp.exp(-scale / t)
        total += function(start + direction * t * factor) * factor * (t + scale)
    return total * step


def interval(function, left, right, scale, digits, finer):
    """Integral between two cuts: the odds of the position are exp(x + 2 s sinh x), s the relative scale."""
    step, length = spacing(digits, finer), right - left
    relative = min(scale / length, mpf(0.3))
    bound = float(mp.log((digits + 8) * finer * log(10) / relative))
    total = mpf(0)
    for i in range(-int(bound / step), int(bound / step) + 1):
        x = i * step
        odds = mp.exp(x + 2 * relative * mp.sinh(x))
        position = left + length * odds / (1 + odds) if odds < 1 else right - length / (1 + odds)
        total += function(position) * odds / (1 + odds) ** 2 * (1 + 2 * relative * mp.cosh(x))
    return total * step * length


def steep_product(steep, pair, digits, finer):
    """E[f(u) f(v)]: closed part with f over the longer row, rest with closed part over the shorter, rest with rest."""
    if not pair.left:
        return steep.value(mpf(0)) ** 2
    closed = steep.closed
    whole = Function(steep.value, None, (), closed.parity or 1)
    rest = Function(steep.rest, None, (), closed.parity or 1)
    total = grid_product(steep, pair, digits, finer)
    if closed is not ZERO:
        total += one_dimensional(whole, closed, pair, digits, finer)
        total += one_dimensional(rest, closed, pair.swapped(), digits, finer)
    return total


def grid_product(steep, pair, digits, finer):
    """E[rest(u) rest(v)] on a grid in u, and over v by a Gauss rule when it hardly varies, otherwise on a grid."""
    deviation, slope, width = pair.conditioned()
    decay = (digits + 1) * log(10) * finer
    narrow = width < 0.06
    step = grid_step(deviation if narrow else width, decay)
    reach = min(mpf(decay / 2 + 4), deviation * sqrt(2 * decay))
    count = int(reach / step) + 1
    rests = rest_table(steep, step, count if narrow else int((decay / 2 + 4) / step) + 1, mp.prec)
    parity = steep.closed.parity if steep.closed is not ZERO else 1
    rule = gauss_rule(gauss_size(width, decay), mp.prec) if narrow else None
    integers = [int(mp.ldexp(rest, mp.prec)) for rest in rests]
    total = mpf(0)
    for i in range(count + 1):
        mean = slope * i * step
        if narrow:
            row = mp.fsum(weight * steep.rest(mean + width * node) for node, weight in rule)
        else:
            row = density_row(integers, parity, mean, step, width, smallest(rests[i], digits))
        total += rests[i] * row * mp.exp(-((i * step / deviation) ** 2) / 2) * (1 if i else 0.5)
    return 2 * total * step / (deviation * mp.sqrt(2 * mp.pi))


def grid_step(deviation, decay):
    """Largest step that suffices: shifting the line by i y gains 2 pi y / step, costs (y / deviation)^2 / 2, y < pi / 2."""
    variance = deviation**2
    if variance < pi**2 / (8 * decay):
        return deviation * mpf(pi * sqrt(2 / decay))
    return mpf(2) ** (mp.floor(8 * mp.log(pi**2 / (decay + 20 + 1.25 / variance), 2)) / 8)


@lru_cache(maxsize=8)
def rest_table(steep, step, count, precision):
    return [steep.rest(i * step) for i in range(count + 1)]


def smallest(rest, digits):
    """Weight that no longer counts beside a rest of this size, as a fixed-point integer."""
    size = abs(rest) * mpf(10) ** (digits + 4)
    return int(mp.ldexp(1 / size, mp.prec)) if size > 1 else 1 << mp.prec


def density_row(table, parity, mean, step, width, cutoff):
    """Trapezoidal sum of rest(v) times the density of v around its mean, in integers, outwards while it counts."""
    bits = mp.prec
    centre = int(mp.nint(mean / step))
    total = 0
    curvature = int(mp.ldexp(mp.exp(-((step / width) ** 2)), bits))
    start = int(mp.ldexp(mp.exp(-((centre * step - mean) ** 2) / (2 * width**2)), bits))
    for direction in (1, -1):
        offset = direction * (centre * step - mean)
        ratio = int(mp.ldexp(mp.exp(-step * (step + 2 * offset) / (2 * width**2)), bits))
        weight, j = start, centre
        if direction == -1:
            weight, j = weight * ratio >> bits, j - 1
            ratio = ratio * curvature >> bits
        while weight > cutoff and abs(j) < len(table):
            total += weight * (table[j] if j >= 0 else parity * table[-j])
            weight, j = weight * ratio >> bits, j + direction
            ratio = ratio * curvature >> bits
    return mp.ldexp(mpf(total), -2 * bits) * step / (width * mp.sqrt(2 * mp.pi))


def gauss_size(width, decay):
    """Nodes for a Gaussian average, of this width, of a function with poles at a distance of pi / 2."""
    n, size = 1, 0.0
    while n < 60 and 2 * n * float(mp.log(pi / 2 / width) if width else inf) - size < decay:
        n += 1
        size += log(n)
    return n + 1


@lru_cache(maxsize=64)
def gauss_rule(n, precision):
    """Nodes and weights of the Gauss rule of the standard Gaussian, by Newton's method from rounded nodes."""
    rule = []
    for start in np.polynomial.hermite_e.hermegauss(n)[0]:
        node = mpf(float(start))
        for _ in range(8):
            values = orthonormal(n + 1, node)
            node -= values[n] / (mp.sqrt(n) * values[n - 1])
        rule.append((node, 1 / (n * orthonormal(n, node)[n - 1] ** 2)))
    return rule


def orthonormal(count, g):
    """The first Hermite polynomials, normalised, at g."""
    values = [mpf(1), g]
    for k in range(1, count):
        values.append((g * values[k] - mp.sqrt(k) * values[k - 1]) / mp.sqrt(k + 1))
    return values[:count]


def polynomial_product(coefficients, pair):
    """E[p(u) p(v)] for a Hermite sum p, by Gauss rules that are exact."""
    if not pair.left:
        return mp.fdot(coefficients, orthonormal(len(coefficients), mpf(0))) ** 2
    deviation, slope, width = pair.conditioned()
    rule = gauss_rule(len(coefficients), mp.prec)

    def p(t):
        return mp.fdot(coefficients, orthonormal(len(coefficients), t))

    return mp.fsum(
        weight * p(deviation * node) * mp.fsum(w * p(slope * deviation * node + width * g) for g, w in rule)
        for node, weight in rule
    )


def hermite_products(coefficients, pair):
    values = [mpf(a) for a in coefficients]
    slopes = [a * mp.sqrt(k) for k, a in enumerate(values)][1:] or [mpf(0)]
    return polynomial_product(values, pair), polynomial_product(slopes, pair)
