"""Activations and their parts in multiple precision, each with its average over a Gaussian in closed form."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from mpmath import mp, mpf


def real(fraction):
    """A fraction as a number of the working precision."""
    return mpf(fraction.numerator) / fraction.denominator


@dataclass(frozen=True)
class Function:
    """f with its average over a Gaussian, ``mean(m, t) = E f(m + t g)``; its kinks; its parity, 1, -1 or 0."""

    value: Callable
    mean: Callable
    kinks: tuple = ()
    parity: int = 0


# Each mean falls back on the value when nothing varies.


def step_mean(m, t):
    return mp.erfc(-m / t / mp.sqrt(2)) / 2 if t else mpf(m > 0)


def relu_mean(m, t):
    return m * step_mean(m, t) + t * mp.npdf(m / t) if t else max(m, mpf(0))


def squared_mean(m, t):
    return (m * m + t * t) * step_mean(m, t) + m * t * mp.npdf(m / t) if t else max(m, mpf(0)) ** 2


def decay_mean(m, t):
    """Average of exp(v) over v < 0."""
    tail = step_mean(-m - t * t, t)
    return mp.exp(m + t * t / 2) * tail if tail else mpf(0)


def leaky(slope):
    slope = mpf(slope)
    return Function(
        lambda u: u if u > 0 else slope * u,
        lambda m, t: (1 - slope) * relu_mean(m, t) + slope * m,
        (0,),
        1 if slope == -1 else -1 if slope == 1 else 0,
    )


def leaky_slope(slope):
    slope = mpf(slope)
    return Function(
        lambda u: mpf(1) if u > 0 else slope,
        lambda m, t: (1 - slope) * step_mean(m, t) + slope,
        (0,),
        -1 if slope == -1 else 0,
    )


def shifted(function, c):
    c = Fraction(c)
    return Function(
        lambda u: function.value(u + real(c)), lambda m, t: function.mean(m + real(c), t), (-c,) if c else (0,)
    )


def root(t):
    return mp.sqrt(1 + 2 * t * t)


def bell(x):
    return mp.exp(-x * x)


STEP = Function(lambda u: mpf(u > 0), step_mean, (0,))
RELU = Function(lambda u: max(u, mpf(0)), relu_mean, (0,))
SQUARED = Function(lambda u: max(u, mpf(0)) ** 2, squared_mean, (0,))
TWICE_RELU = Function(lambda u: 2 * max(u, mpf(0)), lambda m, t: 2 * relu_mean(m, t), (0,))
ELU = Function(
    lambda u: u if u > 0 else mp.expm1(u),
    lambda m, t: relu_mean(m, t) + decay_mean(m, t) - step_mean(-m, t),
    (0,),
)
ELU_SLOPE = Function(
    lambda u: mpf(1) if u > 0 else mp.exp(u), lambda m, t: step_mean(m, t) + decay_mean(m, t), (0,)
)
ZERO = Function(lambda u: mpf(0), lambda m, t: mpf(0), (), -1)
ERF = Function(mp.erf, lambda m, t: mp.erf(m / root(t)), (), -1)
ERF_SLOPE = Function(
    lambda u: 2 / mp.sqrt(mp.pi) * bell(u), lambda m, t: 2 / mp.sqrt(mp.pi) * bell(m / root(t)) / root(t), (), 1
)
T_ERF = Function(
    lambda u: u * mp.erf(u), lambda m, t: m * ERF.mean(m, t) + t * t * ERF_SLOPE.mean(m, t), (), 1
)
T_ERF_SLOPE = Function(
    lambda u: mp.erf(u) + u * ERF_SLOPE.value(u),
    lambda m, t: ERF.mean(m, t) + m / root(t) ** 2 * ERF_SLOPE.mean(m, t),
    (),
    -1,
)
GAUSSIAN = Function(
    lambda u: mp.exp(-u * u / 2), lambda m, t: mp.exp(-m * m / (1 + t * t) / 2) / mp.sqrt(1 + t * t), (), 1
)
GAUSSIAN_SLOPE = Function(
    lambda u: -u * mp.exp(-u * u / 2), lambda m, t: -m / (1 + t * t) * GAUSSIAN.mean(m, t), (), -1
)


# tanh and relatives: poles at odd multiples of i pi / 2, and beyond a closed part a remainder like exp(-2 |t|).


@dataclass(frozen=True)
class Steep:
    """A function of definite parity as its closed part and the rest, which decays like exp(-2 |t|)."""

    value: Callable
    closed: Function

    def rest(self, t):
        """What the closed part leaves."""
        return self.value(t) - self.closed.value(t)


def log_cosh(a):
    return abs(a) + mp.log1p(mp.exp(-2 * abs(a)))


TANH = Steep(mp.tanh, ERF)
T_TANH = Steep(lambda a: a * mp.tanh(a), T_ERF)
LOG_COSH = Steep(log_cosh, T_ERF)
SQUARED_SECH = Steep(lambda a: mp.sech(a) ** 2, ZERO)
T_TANH_SLOPE = Steep(lambda a: mp.tanh(a) + a * mp.sech(a) ** 2, ERF)
