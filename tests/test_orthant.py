"""Probabilities of orthants: against multiple precision, SciPy, identities, and at the ends of every range."""

import numpy as np
import pytest
from mpmath import mp, mpf
from orthant_oracle import DIGITS, SCALARS, moments, tail
from scipy.special import ndtr
from scipy.stats import multivariate_normal

from underdetermined.kernels import orthant_probability

TOLERANCE = 1e-13


@pytest.fixture(autouse=True)
def digits():
    """Work with the digits of the reference."""
    with mp.workdps(DIGITS):
        yield


def exact(h, k, rho):
    """The probability and E in multiple precision, for any signs of the thresholds."""
    h, k, rho = mpf(float(h)), mpf(float(k)), mpf(float(rho))
    sine = mp.sqrt((1 - rho) * (1 + rho))
    both_low = max(h, k) < 0
    found = moments(*((-h, -k) if both_low else (h, k)), rho, sine)
    return (1 - tail(-h) - tail(-k) + found.probability, mpf(0)) if both_low else (found.probability, found.exponent)


def error(h, k, rho):
    """Relative error in units of 1 + E, absolute near the smallest floats."""
    value, exponent = exact(h, k, rho)
    got = mpf(float(orthant_probability(h, k, rho)))
    return float(abs(got - value) / max(value, mpf(10) ** -290) / (1 + min(exponent, mpf(800))))


SIZES = {
    "plain": lambda rng: rng.uniform(0.0, 6.0, 2),
    "small": lambda rng: 10.0 ** rng.uniform(-6.0, 0.0, 2),
    "equal": lambda rng: np.full(2, rng.uniform(0.0, 6.0)),
    "close": lambda rng: rng.uniform(0.0, 6.0) * np.array([1.0, 1.0 + 10.0 ** rng.uniform(-15.0, -1.0)]),
    "one zero": lambda rng: np.array([rng.uniform(0.0, 6.0), 0.0]),
}
CORRELATIONS = (
    lambda rng: rng.uniform(-1.0, 1.0),
    lambda rng: 1.0 - 10.0 ** rng.uniform(-12.0, 0.0),
    lambda rng: 10.0 ** rng.uniform(-12.0, 0.0) - 1.0,
)


@pytest.mark.parametrize("kind", SIZES)
def test_probabilities_against_multiple_precision(kind, rng):
    signs = [(1, 1), (1, -1), (-1, 1), (-1, -1), (1, 1), (1, -1), (1, 1)]
    cases = [(*(SIZES[kind](rng) * sign), CORRELATIONS[i % 3](rng)) for i, sign in enumerate(signs)]
    assert not {case: found for case in cases for found in [error(*case)] if not found <= TOLERANCE}


def test_published_values():
    for name, h, k, rho, text in SCALARS:
        size = 1.0 + max(h, k) ** 2 / (1.0 + min(rho, 0.0))
        got = orthant_probability(h, k, rho)
        assert name == "M" or abs(got / float(text) - 1.0) <= TOLERANCE * size


def test_the_reference_has_the_published_values():
    for name, *arguments, text in SCALARS[::2]:
        h, k, rho = map(mpf, arguments)
        found = moments(h, k, rho, mp.sqrt(1 - rho**2))
        assert abs({"L": found.probability, "M": found.moment}[name] / mpf(text) - 1) < 5e-16


def test_all_signs_against_scipy(rng):
    h, k = rng.uniform(-2.0, 2.0, (2, 40))
    rho = rng.uniform(-0.9, 0.9, 40)
    expected = [multivariate_normal.cdf([-a, -b], cov=[[1.0, r], [r, 1.0]]) for a, b, r in zip(h, k, rho, strict=True)]
    np.testing.assert_allclose(orthant_probability(h, k, rho), expected, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize("rho", [-1.0, -0.999999, -0.7, 0.0, 0.3, 0.999999, 1.0])
def test_the_four_orthants_fill_the_plane(rho, rng):
    h, k = rng.standard_normal((2, 200))
    total = sum(orthant_probability(a * h, b * k, a * b * rho) for a in (1, -1) for b in (1, -1))
    np.testing.assert_allclose(total, 1.0, rtol=1e-14)
    halves = orthant_probability(h, k, rho) + orthant_probability(h, -k, -rho)
    np.testing.assert_allclose(halves, ndtr(-h), rtol=1e-13)


def test_independence_and_the_ends(rng):
    h, k = rng.uniform(-6.0, 6.0, (2, 200))
    np.testing.assert_allclose(orthant_probability(h, k, 0.0), ndtr(-h) * ndtr(-k), rtol=1e-14)
    np.testing.assert_allclose(orthant_probability(h, k, 1.0), ndtr(-np.maximum(h, k)), rtol=1e-14)
    between = np.where(h + k < 0.0, ndtr(-k) - ndtr(h), 0.0)
    np.testing.assert_allclose(orthant_probability(h, k, -1.0), between, rtol=1e-12, atol=1e-16)


def test_symmetry_is_exact(rng):
    h, k = rng.uniform(-4.0, 4.0, (2, 300))
    rho = rng.uniform(-1.0, 1.0, 300)
    assert np.array_equal(orthant_probability(h, k, rho), orthant_probability(k, h, rho))


def test_derivative_in_the_correlation_is_the_density():
    h, k, rho, step = 1.2, 0.4, np.linspace(-0.9, 0.9, 7), 1e-5
    slope = (orthant_probability(h, k, rho + step) - orthant_probability(h, k, rho - step)) / (2.0 * step)
    rest = 1.0 - rho**2
    density = np.exp(-(h * h - 2.0 * rho * h * k + k * k) / (2.0 * rest)) / (2.0 * np.pi * np.sqrt(rest))
    np.testing.assert_allclose(slope, density, rtol=1e-6)


def test_infinite_and_huge_thresholds():
    inf = np.inf
    assert orthant_probability([inf, inf, 1e300], [0.0, -inf, 1.0], 0.5).tolist() == [0.0, 0.0, 0.0]
    np.testing.assert_allclose(orthant_probability([-inf, -1e300, -50.0], 1.0, 0.5), ndtr(-1.0), rtol=1e-15)
    assert orthant_probability(-inf, -inf, -1.0) == 1.0


def test_shapes():
    assert orthant_probability(1.0, np.ones((2, 1)), np.zeros(3)).shape == (2, 3)
    assert orthant_probability(np.zeros((0, 3)), 1.0, 0.0).shape == (0, 3)
    assert np.isscalar(orthant_probability(1, 2, 0))
    many = np.linspace(-3.0, 3.0, 70_001)
    found = orthant_probability(many, 0.5, np.float32(0.25))
    assert np.array_equal(found[[0, 40_000, 70_000]], orthant_probability(many[[0, 40_000, 70_000]], 0.5, 0.25))
    assert (np.diff(found) < 0.0).all()


@pytest.mark.parametrize(
    ("arguments", "error_type", "text"),
    [
        ((np.nan, 0.0, 0.0), ValueError, "h has 1 NaN"),
        ((0.0, 0.0, [0.5, -1.5]), ValueError, "rho=-1.5 is not a correlation"),
        ((0.0, 0.0, np.nan), ValueError, "rho has 1 NaN"),
        (([1, 2], [1, 2, 3], 0.0), ValueError, r"shapes \(2,\), \(3,\), \(\)"),
        ((0.0, 1j, 0.0), TypeError, "k has dtype complex128"),
    ],
)
def test_refusals(arguments, error_type, text):
    with pytest.raises(error_type, match=text):
        orthant_probability(*arguments)
