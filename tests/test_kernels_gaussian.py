"""Closed forms of Gaussian expectations against mpmath, with the moments of every pair as exact fractions of its floats."""

import itertools
from dataclasses import dataclass
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf
from scipy import special

from underdetermined._kernels import CLOSED_FORMS, WORK_ROWS, correlations

DIGITS = 40
SLOPE = 0.25
VARIANCES = [(1.0, 0.0), (0.3, 1.0), (2.0, 1e-4)]
SCALES = (1e-140, 1e-50, 1e-8, 1e-3, 1.0, 3.0, 10.0, 100.0, 1e4, 1e8, 1e50, 1e140)
# Where nothing overflows or underflows.
RANGE = {"exp": (1e-150, 2.0), "squared_relu": (1e-70, 1e70)}
NAMES = sorted(CLOSED_FORMS)
HOMOGENEOUS = {"identity": 1, "relu": 1, "leaky_relu": 1, "abs": 1, "step": 0, "squared_relu": 2}


def real(fraction):
    """A fraction as an mpmath number."""
    return mpf(fraction.numerator) / fraction.denominator


@dataclass(frozen=True)
class Moments:
    """Variances s1 and s2 and covariance c of a Gaussian pair, with what would cancel if taken from their roundings."""

    s1: mpf
    s2: mpf
    c: mpf
    sine: mpf
    half_distance: mpf
    half_distance_to_opposite: mpf

    @classmethod
    def of(cls, s1, s2, c):
        parts = s1, s2, c, (s1 * s2 - c * c) / (s1 * s2), (s1 + s2) / 2 - c, (s1 + s2) / 2 + c
        s1, s2, c, square, near, far = (real(Fraction(part)) for part in parts)
        return cls(s1, s2, c, mp.sqrt(square), near, far)


def inner(x, z):
    return sum((Fraction(float(a)) * Fraction(float(b)) for a, b in zip(x, z, strict=True)), Fraction(0))


def moments(x, z, variances):
    weight, bias = (Fraction(v) for v in variances)
    return Moments.of(*(weight * inner(*pair) + bias for pair in ((x, x), (z, z), (x, z))))


def arc_cosine(m):
    """K and K' of relu and both of step, from the note: n1, n2 the norms, theta the angle."""
    norms = mp.sqrt(m.s1) * mp.sqrt(m.s2)
    rho = m.c / norms
    theta = mp.atan2(m.sine, rho)
    relu = norms * (m.sine + (mp.pi - theta) * rho) / (2 * mp.pi)
    squared = norms**2 * (3 * m.sine * rho + (mp.pi - theta) * (1 + 2 * rho**2)) / (2 * mp.pi)
    return relu, (mp.pi - theta) / (2 * mp.pi), squared


def bent(slope):
    def formula(m):
        relu, step, _ = arc_cosine(m)
        return slope * m.c + (1 - slope) ** 2 * relu, slope + (1 - slope) ** 2 * step

    return formula


def erf(m):
    determinant = 1 + 2 * m.s1 + 2 * m.s2 + 4 * m.s1 * m.s2 * m.sine**2
    return 2 / mp.pi * mp.atan2(2 * m.c, mp.sqrt(determinant)), 4 / mp.pi / mp.sqrt(determinant)


def gaussian(m):
    determinant = 1 + m.s1 + m.s2 + m.s1 * m.s2 * m.sine**2
    return determinant ** mpf(-0.5), m.c * determinant ** mpf(-1.5)


def gelu(m):
    gap = m.s1 * m.s2 * m.sine**2
    root = mp.sqrt(1 + m.s1 + m.s2 + gap)
    angle = mp.atan2(m.c, root)
    first = m.s1 * (m.s2 + gap) / ((1 + m.s1) * 2 * mp.pi * root)
    value = first + m.c * (mpf(1) / 4 + angle / (2 * mp.pi) + m.c / ((1 + m.s2) * 2 * mp.pi * root))
    # E[Phi Phi], twice E[u phi(u) Phi(v)] and E[u phi(u) v phi(v)], each by Stein's lemma.
    rest = m.c / (2 * mp.pi * root) * (1 / (1 + m.s1) + 1 / (1 + m.s2) + 1 / root**2)
    return value, mpf(1) / 4 + angle / (2 * mp.pi) + rest


def waves(m):
    # exp(-(s1 + s2) / 2) times sinh c and cosh c.
    half = mp.exp(-min(m.half_distance, m.half_distance_to_opposite)) / 2
    odd = -half * mp.expm1(-2 * abs(m.c))
    return mp.sign(m.c) * odd, half + half * mp.exp(-2 * abs(m.c))


FORMULAS = {
    "identity": lambda m: (m.c, mpf(1)),
    "relu": bent(mpf(0)),
    "leaky_relu": bent(mpf(SLOPE)),
    "abs": bent(mpf(-1)),
    "step": lambda m: (arc_cosine(m)[1], mpf(0)),
    "squared_relu": lambda m: (arc_cosine(m)[2], 4 * arc_cosine(m)[0]),
    "erf": erf,
    "gaussian": gaussian,
    "gelu": gelu,
    "sin": waves,
    "cos": lambda m: waves(m)[::-1],
    "sin_cos": lambda m: (mp.exp(-m.half_distance),) * 2,
    "exp": lambda m: (mp.exp(m.half_distance_to_opposite),) * 2,
}


def apply(name, X, Z, variances, mode, products=None, slope=SLOPE):
    X, Z = np.ascontiguousarray(X), np.ascontiguousarray(Z)
    tile = X @ Z.T if products is None else products.copy()
    squares = [np.einsum("ij,ij->i", A, A) for A in (X, Z)]
    work = np.full((WORK_ROWS, len(Z)), np.nan)
    CLOSED_FORMS[name](tile, X, Z, *squares, *variances, mode, np.array([slope]), work)
    return tile


def rows_at_every_angle(rng, d, scale):
    """A row, and rows equal, opposite, parallel, antiparallel, at angles of every size to it, longer and shorter."""
    x = scale * rng.standard_normal(d)
    others = [x, -x, 2 * x, -3 * x, x * rng.uniform(0.5, 2), 1e-3 * scale * rng.standard_normal(d)]
    for angle in (1e-16, 1e-13, 1e-8, 1e-5, 1e-3, 0.03, 0.15, 0.24, 0.26, 0.5, 2.0):
        z = x + angle * np.linalg.norm(x) / np.sqrt(d) * rng.standard_normal(d)
        others.append(rng.choice([-1.0, 1.0]) * rng.uniform(0.7, 1.4) * z)
    return x[None], np.array(others)


def cases(name, variances):
    """Rows at every second scale; other variances take the scales between."""
    rng = np.random.default_rng(5)
    smallest, largest = RANGE.get(name, (0.0, np.inf))
    dimensions = itertools.cycle([1, 20, 2, 3, 20])
    scales = [scale for scale in SCALES if smallest <= scale <= largest]
    for scale, d in zip(scales[VARIANCES.index(variances) % 2 :: 2], dimensions, strict=False):
        yield rows_at_every_angle(rng, d, scale)


@pytest.mark.parametrize("variances", VARIANCES)
@pytest.mark.parametrize("name", NAMES)
def test_accuracy(name, variances):
    worst, n_pairs = 0.0, 0
    with mpmath.workdps(DIGITS):
        for X, Z in cases(name, variances):
            tiles = [apply(name, X, Z, variances, mode) for mode in (0, 1, 2)]
            diagonals = [[FORMULAS[name](moments(x, x, variances)) for x in A] for A in (X, Z)]
            for i, j in np.ndindex(tiles[0].shape):
                pair = moments(X[i], Z[j], variances)
                value, slope = FORMULAS[name](pair)
                scale, slope_scale = (mp.sqrt(abs(a * b)) for a, b in zip(diagonals[0][i], diagonals[1][j], strict=True))
                tangent = real(inner(X[i], Z[j])) + (variances[1] > 0)
                longest = mp.sqrt(real(inner(X[i], X[i])) * real(inner(Z[j], Z[j]))) + (variances[1] > 0)
                exact = (value, scale), (value + tangent * slope, scale + longest * slope_scale), (slope, slope_scale)
                # For exp, the rounding of s1 and s2 themselves is an error.
                rounding = 1 + (pair.s1 + pair.s2) / 8 if name == "exp" else mpf(1)
                for tile, (expected, size) in zip(tiles, exact, strict=True):
                    error = abs(mpf(float(tile[i, j])) - expected)
                    worst = max(worst, float(error / (size * rounding)) if size else float(error != 0) * np.inf)
                n_pairs += 1
    assert n_pairs > 30
    assert worst < 2e-14


def moments_of_floats(s1, s2, c):
    return Moments.of(*map(Fraction, (s1, s2, c)))


@pytest.mark.parametrize("moment", [(0.5, 2.0, 0.3), (3.0, 1.0, -1.5), (0.1, 0.2, 0.12)])
@pytest.mark.parametrize("name", sorted(set(NAMES) - {"step"}))
def test_the_second_formula_is_the_derivative_of_the_first(name, moment):
    # Price's theorem: the derivative of E[f(u) f(v)] with respect to c is E[f'(u) f'(v)].
    s1, s2, c = moment
    h = Fraction(1, 2**60)
    with mpmath.workdps(60):
        value = [FORMULAS[name](moments_of_floats(s1, s2, Fraction(c) + k * h))[0] for k in (-1, 1)]
        slope = FORMULAS[name](moments_of_floats(s1, s2, c))[1]
        assert abs((value[1] - value[0]) / (2 * real(h)) - slope) < mpf(10) ** -30


@pytest.mark.parametrize("moment", [(0.5, 2.0, 0.3), (3.0, 1.0, -1.5), (0.1, 0.2, 0.12)])
def test_the_formula_of_step_is_the_integral_of_the_density_at_0(moment):
    s1, s2, c = moment
    with mpmath.workdps(30):
        integral = mp.quad(lambda t: 1 / (2 * mp.pi * mp.sqrt(mpf(s1) * s2 - t * t)), [0, c])
        assert abs(FORMULAS["step"](moments_of_floats(s1, s2, c))[0] - mpf(1) / 4 - integral) < mpf(10) ** -25


FUNCTIONS = {
    "identity": lambda t: t,
    "erf": special.erf,
    "gaussian": lambda t: np.exp(-t * t / 2),
    "gelu": lambda t: t * special.ndtr(t),
    "sin": np.sin,
    "cos": np.cos,
    "sin_cos": lambda t: np.sin(t) + np.cos(t),
    "exp": np.exp,
}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_smooth_formulas_are_expectations(name):
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    weights = weights / weights.sum()
    s1, s2, c = 0.7, 0.5, -0.4
    u = np.sqrt(s1) * nodes[:, None]
    v = c / np.sqrt(s1) * nodes[:, None] + np.sqrt(s2 - c * c / s1) * nodes
    expected = np.einsum("i,j,ij", weights, weights, FUNCTIONS[name](u) * FUNCTIONS[name](v))
    with mpmath.workdps(30):
        assert float(FORMULAS[name](moments_of_floats(s1, s2, c))[0]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("variances", VARIANCES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", [0, 1, 2])
def test_an_entry_does_not_depend_on_its_tile(name, mode, variances, rng):
    X, Z = rng.standard_normal((5, 6)), rng.standard_normal((37, 6))
    Z[::4] = X[0] * (1 + 1e-9 * rng.standard_normal((10, 6)))
    products = X @ Z.T
    whole = apply(name, X, Z, variances, mode, products)
    part = apply(name, X[1:4], Z[5:20], variances, mode, products[1:4, 5:20])
    np.testing.assert_array_equal(part, whole[1:4, 5:20])
    single = [[apply(name, X[[i]], Z[[j]], variances, mode, products[i : i + 1, j : j + 1])[0, 0] for j in (0, 1, 36)]
              for i in range(5)]  # fmt: skip
    np.testing.assert_array_equal(single, whole[:, [0, 1, 36]])
    assert apply(name, X[:0], Z, variances, mode).shape == (0, 37)
    assert apply(name, X, Z[:0], variances, mode).shape == (5, 0)


@pytest.mark.parametrize("name", sorted(HOMOGENEOUS))
def test_homogeneous_forms_scale_exactly(name, rng):
    X, Z = rng.standard_normal((3, 4)), rng.standard_normal((9, 4))
    Z[0], Z[1] = X[0], -1.001 * X[1]
    products = X @ Z.T
    degree = HOMOGENEOUS[name]
    for mode, power in ((0, degree), (2, max(degree - 1, 0))):
        plain = apply(name, X, Z, (1.0, 0.0), mode, products)
        scaled = apply(name, 2.0**60 * X, 2.0**-90 * Z, (1.0, 0.0), mode, 2.0**-30 * products)
        np.testing.assert_array_equal(scaled, 2.0 ** (-30 * power) * plain)


@pytest.mark.parametrize(
    ("name", "value", "slope"),
    [("identity", 0, 1), ("relu", 0, 0.25), ("leaky_relu", 0, 0.390625), ("abs", 0, 0), ("step", 0, 0),
     ("squared_relu", 0, 0), ("sin", 0, None), ("cos", None, 0), ("erf", 0, None), ("gelu", 0, None)],
)  # fmt: skip
def test_zero_rows_without_bias(name, value, slope, rng):
    A = np.vstack([np.zeros((2, 3)), 1e-170 * rng.standard_normal(3), rng.standard_normal((6, 3))])
    for mode, expected in ((0, value), (2, slope)):
        tile = apply(name, A, A, (1.0, 0.0), mode)
        assert np.isfinite(tile).all()
        zero = np.concatenate([tile[:2].ravel(), tile[:, :2].ravel()])
        np.testing.assert_array_equal(zero, zero if expected is None else expected)
    np.testing.assert_array_equal(apply(name, A, A, (1.0, 0.0), 1)[:2], apply(name, A, A, (1.0, 0.0), 0)[:2])


@pytest.mark.parametrize("variances", VARIANCES)
def test_identities(variances, rng):
    X, Z = rng.standard_normal((4, 5)), rng.standard_normal((23, 5))
    Z[:4] = X * (1 + 1e-6)

    def kernel(name, products=None, slope=SLOPE, Z=Z):
        return apply(name, X, Z, variances, 0, products, slope)

    c = kernel("identity")
    close = {"rtol": 0, "atol": 1e-13}
    np.testing.assert_allclose(kernel("sin") + kernel("cos"), kernel("sin_cos"), **close)
    np.testing.assert_allclose(kernel("leaky_relu", slope=1.0), c, **close)
    np.testing.assert_array_equal(kernel("leaky_relu", slope=0.0), kernel("relu"))
    np.testing.assert_array_equal(kernel("leaky_relu", slope=-1.0), kernel("abs"))
    np.testing.assert_allclose(4 * kernel("relu") - c, kernel("abs"), **close)


def test_odd_parts(rng):
    X, Z = rng.standard_normal((4, 5)), rng.standard_normal((23, 5))
    Z[:4] = X * (1 + 1e-6)
    near, far = ({name: apply(name, X, sign * Z, (1.0, 0.0), 0) for name in NAMES} for sign in (1, -1))
    for name, total in (("step", 0.5), ("erf", 0.0), ("sin", 0.0)):
        np.testing.assert_allclose(near[name] + far[name], total, rtol=0, atol=1e-15)
    for name in ("relu", "gelu"):  # f(t) - f(-t) = t
        np.testing.assert_allclose(near[name] - far[name], X @ Z.T / 2, rtol=0, atol=1e-14)
    for name in ("abs", "cos", "gaussian"):
        np.testing.assert_allclose(near[name], far[name], rtol=0, atol=1e-14)


@pytest.mark.parametrize("variances", VARIANCES)
def test_correlations(variances):
    worst = 0.0
    with mpmath.workdps(DIGITS):
        for X, Z in cases("relu", variances):
            rho, sine = X @ Z.T, np.full((len(X), len(Z)), np.nan)
            squares = [np.einsum("ij,ij->i", A, A) for A in (X, Z)]
            correlations(rho, X, Z, *squares, *variances, sine)
            assert np.abs(rho).max() <= 1
            for j, z in enumerate(Z):
                pair = moments(X[0], z, variances)
                exact = pair.c / (mp.sqrt(pair.s1) * mp.sqrt(pair.s2))
                worst = max(worst, float(abs(mpf(float(rho[0, j])) - exact)))
                # The sine is right relative to itself wherever it is small.
                worst = max(worst, float(abs(mpf(float(sine[0, j])) - pair.sine) / max(pair.sine, mpf(10) ** -300)))
    assert worst < 1e-14


def test_correlations_of_zero_rows():
    A = np.array([[0.0, 0.0], [3.0, 4.0]])
    rho, sine = A @ A.T, np.full((2, 2), np.nan)
    correlations(rho, A, A, np.array([0.0, 25.0]), np.array([0.0, 25.0]), 1.0, 0.0, sine)
    np.testing.assert_array_equal(rho, [[0, 0], [0, 1]])
    np.testing.assert_array_equal(sine, [[1, 1], [1, 0]])


def test_the_sine_of_long_rows_that_differ_in_the_pivot(rng):
    x = rng.uniform(0.9, 0.99, 3000)
    x[7] = 1.0
    z = x + 1e-6 * (x == 1.0) + 1e-9 * rng.standard_normal(3000)
    rho, sine = np.array([[x @ z]]), np.zeros((1, 1))
    correlations(rho, x[None], z[None], np.array([x @ x]), np.array([z @ z]), 1.0, 0.0, sine)
    with mpmath.workdps(DIGITS):
        assert sine[0, 0] == pytest.approx(float(moments(x, z, (1.0, 0.0)).sine), rel=1e-14)


@pytest.mark.parametrize("square", [353.5, 354.2, 354.85])
def test_exp_near_overflow(square):
    x = np.array([[np.sqrt(square)]])
    with mpmath.workdps(DIGITS):
        expected = float(mp.exp(2 * mpf(x[0, 0]) ** 2))
    assert apply("exp", x, x, (1.0, 0.0), 0)[0, 0] == pytest.approx(expected, rel=1e-12)


def test_far_rows():
    X, Z = np.array([[60.0], [1e100]]), np.array([[-60.0], [1e90]])
    assert (apply("exp", X, -Z, (1.0, 0.0), 0) == np.inf).all()
    for mode in (0, 1, 2):
        assert not apply("sin_cos", X, Z, (1.0, 1.0), mode).any()
        np.testing.assert_array_equal(apply("sin", X[:1], Z[:1], (1.0, 0.0), mode), [[(-0.5, -1800.5, 0.5)[mode]]])


@pytest.mark.parametrize("name", sorted(HOMOGENEOUS))
def test_norms_whose_squares_are_denormal(name, rng):
    A = np.vstack([1e-155 * rng.standard_normal((4, 1)), rng.standard_normal((3, 1))])
    A = np.vstack([A, A])
    for mode in (0, 1, 2):
        assert np.isfinite(apply(name, A, A, (1.0, 0.0), mode)).all()
