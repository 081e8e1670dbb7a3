"""Orthant moments of a Gaussian pair to 20 digits, by one conditional quadrature; values to compare with; pairs of rows.

L = P[U >= h, V >= k] and M = E[(U - h)+ (V - k)+] are integrals over U, with the conditional moment of V in closed form. The
package integrates over correlations instead. Rows of inputs are taken as exact fractions, so that angles are right to the
last digit however small.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise

import numpy as np
from mpmath import mp, mpf
from mpmath.calculus.quadrature import GaussLegendre

DIGITS = 25
PRECISION = 100

# Moment, thresholds, correlation, value to 16 digits.
SCALARS = (
    ("L", 0, 0, 0.5, "0.3333333333333333"),
    ("L", 0, 0, -0.75, "0.1150267280813079"),
    ("L", 1, 1, 0.5, "0.06251409470966383"),
    ("L", 1, 1, -0.5, "3.782302072854264e-3"),
    ("L", 2, 2, 0.75, "8.499946510199067e-3"),
    ("L", 2, 2, -0.5, "3.243971016711721e-6"),
    ("L", 3, 3, 0.9375, "7.503800211305206e-4"),
    ("L", 4, 4, 0, "1.003067559251965e-9"),
    ("L", 6, 6, 0.5, "3.893588066959816e-13"),
    ("L", 6, 6, -0.5, "6.713245623786572e-35"),
    ("L", 1.5, 1.5, 0.9990234375, "0.06452391868526041"),
    ("L", 0.5, 0.5, -0.9990234375, "9.038699554599520e-117"),
    ("L", 1, 2, 0.25, "7.684039101321355e-3"),
    ("L", 0.5, 3, 0.875, "1.349895870593892e-3"),
    ("L", 2, 2.5, -0.25, "1.652069890454981e-5"),
    ("M", 0, 0, 0.5, "0.3044988905221147"),
    ("M", 1, 1, 0.5, "0.02813697549906320"),
    ("M", 1, 1, -0.5, "3.971386672208181e-4"),
    ("M", 2, 2, 0, "7.209203092743765e-5"),
    ("M", 3, 3, 0.75, "5.457360100656265e-5"),
    ("M", 6, 6, 0.5, "2.052959219559438e-14"),
    ("M", 6, 6, 1, "4.844576745511828e-11"),
    ("M", 0.5, 0.5, -0.9990234375, "3.401733093133600e-122"),
    ("M", 1, 2, 0.25, "2.085664765272739e-3"),
    ("M", 0.5, 3, 0.875, "9.900836364086878e-4"),
)

# Quantity, rows, bias, value to 16 digits; the labels of the form are +1, -1, +1, ...
MATRICES = (
    ("smallest of ntk", "two60", 1, "0.2235393657984184"),
    ("smallest of ntk", "pent", 1, "0.2195515462008484"),
    ("smallest of ntk", "hexagon", 0, "0.1666666666666667"),
    ("smallest of ntk", "hexagon", 1, "0.1335505258067769"),
    ("smallest of ntk", "oct", 0, "0.1464466094067262"),
    ("smallest of ntk", "oct", 2, "0.02088209486199574"),
    ("smallest of ntk", "cross", 0, "0.5000000000000000"),
    ("smallest of ntk", "cross", 1, "0.2669675286628039"),
    ("smallest of ntk", "simplex3", 1.5, "0.1330807487936858"),
    ("smallest of ntk", "onb5", 2, "0.04498269539269885"),
    ("smallest of ntk", "arc4", 1, "1.932399465567354e-3"),
    ("smallest of ntk", "arc4", 3, "3.541390282055959e-5"),
    ("smallest of ntk", "mixed3", 1, "0.1981221282623944"),
    ("smallest of ntk", "cube8", 1, "0.1430558888920521"),
    ("largest of ntk", "hexagon", 1, "0.5086350940647599"),
    ("largest of ntk", "arc4", 1, "0.6902230650812990"),
    ("largest of ntk", "mixed3", 1, "1.793401462887618"),
    ("smallest of nngp", "oct", 1, "2.600703081249486e-3"),
    ("smallest of nngp", "mixed3", 1, "0.03135536645427146"),
    ("inverse form of ntk", "arc4", 1, "1.049915113189400e+3"),
    ("inverse form of ntk", "pent", 0.5, "13.70682222212243"),
)


def _circle(*angles):
    return np.column_stack([np.cos(angles), np.sin(angles)])


def _polygon(count):
    return _circle(*(2.0 * np.pi * np.arange(count) / count))


_CORNERS = np.array([[a, b, c] for a in (1.0, -1.0) for b in (1.0, -1.0) for c in (1.0, -1.0)])
ROWS = {
    "two60": _circle(0.0, np.pi / 3.0),
    "pent": _polygon(5),
    "hexagon": _polygon(6),
    "oct": _polygon(8),
    "cross": np.vstack([np.eye(2), -np.eye(2)]),
    "simplex3": _CORNERS[_CORNERS.prod(axis=1) > 0.0] / np.sqrt(3.0),
    "onb5": np.eye(5),
    "arc4": _circle(0.0, 0.01, 1.0, 2.5),
    "mixed3": np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]),
    "cube8": _CORNERS / np.sqrt(3.0),
}


def form_labels(n):
    """The labels 1, -1, 1, ..."""
    return (-1.0) ** np.arange(n)


def tail(t):
    """Q(t)."""
    return mp.erfc(t / mp.sqrt(2)) / 2


def density(t):
    """Density of one standard normal variable."""
    return mp.exp(-t * t / 2) / mp.sqrt(2 * mp.pi)


@dataclass(frozen=True)
class Moments:
    """L and M, and E, half the squared distance of the orthant from the origin."""

    probability: mpf
    moment: mpf
    exponent: mpf


@cache
def _nodes():
    """The Gauss-Legendre rule with 24 nodes, on [0, 1]."""
    return [((1 + x) / 2, w / 2) for x, w in GaussLegendre(mp).calc_nodes(4, PRECISION)]


def moments(h, k, rho, sine):
    """Both moments for mpf thresholds, of which the larger is at least 0, and 0 <= sine."""
    h, k = max(h, k), min(h, k)
    if not sine:
        if rho < 0:
            return Moments(mpf(0), mpf(0), mp.inf)
        return Moments(tail(h), (1 + h * k) * tail(h) - k * density(h), h * h / 2)
    start, slope = (k - rho * h) / sine, rho / sine
    exponent = (h * h + max(start, mpf(0)) ** 2) / 2
    if exponent > 1000:
        return Moments(mpf(0), mpf(0), exponent)
    rate = 1 + h + max(-slope * start, mpf(0)) + max(-slope, mpf(0))
    points = {t / rate for t in (0, 0.25, 1, 3, 8, 20, 60)} | {mpf(t) for t in (0.5, 2, 5, 9, 16)}
    points |= {(start + t) / slope for t in (-12, -7, -4, -2, -1, 0, 1, 2, 4, 7, 12) if slope}
    points = sorted(t for t in points if 0 <= t < 16) + [mpf(16)]
    scale = mp.exp(exponent)
    first = second = mpf(0)
    for left, right in pairwise(points):
        for node, weight in _nodes():
            t = left + (right - left) * node
            z = start - slope * t
            above = tail(z)
            f = (right - left) * weight * density(h + t) * scale
            first += f * above
            second += f * t * sine * (density(z) - z * above)
    return Moments(first / scale, second / scale, exponent)


def row_moments(x, z, bias):
    """Moments of a pair of rows at a bias, their norms and their inner product."""
    x, z = ([Fraction(float(t)) for t in row] for row in (x, z))
    squares = [sum(a * b for a, b in zip(p, q, strict=True)) for p, q in ((x, x), (z, z), (x, z))]
    first, second, both = (mpf(t.numerator) / t.denominator for t in squares)
    rest = squares[0] * squares[1] - squares[2] ** 2
    product = first * second
    sine = mp.sqrt(mpf(rest.numerator) / rest.denominator / product)
    norms = mp.sqrt(first), mp.sqrt(second)
    bias = mpf(float(bias))
    return moments(bias / norms[0], bias / norms[1], both / mp.sqrt(product), sine), norms, both


@dataclass(frozen=True)
class BiasPair:
    """Two rows with a bias and a bias scale, and a word on how they lie."""

    kind: str
    x: np.ndarray
    z: np.ndarray
    bias: float
    bias_scale: float

    def __str__(self):
        scales = f"bias={self.bias!r}, bias_scale={self.bias_scale!r}"
        return f"{self.kind}: x={self.x.tolist()}, z={self.z.tolist()}, {scales}"

    def reference(self):
        """Both kernels, and E."""
        found, norms, both = row_moments(self.x, self.z, self.bias)
        shift = mpf(float(self.bias_scale)) ** 2
        return (both + shift) * found.probability, norms[0] * norms[1] * found.moment, found.exponent

    def errors(self, entries, exact, exponent):
        """Relative errors of entries in units of 1 + E; in units of 1e-290 where the entry is smaller."""
        unit = 1 + min(exponent, mpf(800))
        return [
            float(abs(mpf(float(got)) - value) / max(abs(value), mpf(10) ** -290) / unit)
            for got, value in zip(entries, exact, strict=True)
        ]


def _unit(row):
    return row / np.linalg.norm(row)


ANGLES = {
    "anyhow": lambda rng, x: _unit(rng.standard_normal(len(x))),
    "parallel": lambda rng, x: _unit(x + 10.0 ** rng.uniform(-4.5, 0.0) * _unit(rng.standard_normal(len(x)))),
    "antipodal": lambda rng, x: -_unit(x + 10.0 ** rng.uniform(-4.5, 0.0) * _unit(rng.standard_normal(len(x)))),
}
NORMS = {
    "unit": lambda rng: (1.0, 1.0),
    "equal": lambda rng: (rng.uniform(0.3, 3.0),) * 2,
    "unequal": lambda rng: tuple(rng.uniform(0.5, 2.0, 2)),
    "close": lambda rng: (1.0, 1.0 + 10.0 ** rng.uniform(-15.0, -1.0)),
    "far": lambda rng: tuple(10.0 ** rng.uniform(-2.0, 2.0, 2)),
}


def bias_pairs(rng, count):
    """Yield pairs of all angles and norms in turn, biases from 0 to 6, correlations to within 1e-9 of 1 and -1."""
    kinds = [(angle, norm) for norm in NORMS for angle in ANGLES]
    for i in range(count):
        angle, norm = kinds[i % len(kinds)]
        x = _unit(rng.standard_normal(int(rng.choice([2, 3, 5, 20, 60]))))
        z = ANGLES[angle](rng, x)
        first, second = NORMS[norm](rng)
        bias = float(rng.choice([0.0, 10.0 ** rng.uniform(-4.0, 0.0), *rng.uniform(0.0, 6.0, 4)]))
        # Beyond the reach of floats there is nothing to compare: closer to the origin, most antipodes are within it.
        distance = bias / min(first, second) / np.sqrt(max(0.5 * (1.0 + x @ z), 1e-12))
        bias *= min(1.0, rng.uniform(0.0, 30.0) / max(distance, 1e-300))
        yield BiasPair(f"{angle}, {norm}", first * x, second * z, bias, float(rng.choice([1.0, 1.0, 0.0, 0.3, 2.0])))
