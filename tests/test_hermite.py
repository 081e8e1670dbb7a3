"""Hermite coefficients: closed forms and quadrature against mpmath, parity, Parseval, extreme scales."""

from functools import cache

import mpmath
import numpy as np
import pytest
from catalogue import CATALOGUE, DEFINITIONS, EVERY, normalised

from underdetermined._hermite import hermite_functions
from underdetermined.activations import Activation, geometric_hermite


def test_hermite_functions_are_orthonormal():
    points, step = np.linspace(-25, 25, 1001, retstep=True)
    table = hermite_functions(60, points)
    np.testing.assert_allclose(step * table @ table.T, np.eye(61), atol=1e-13)


def mean_square(activation, scale):
    """E f(s g)^2, the mean of another activation."""
    square = Activation("square", function=lambda z: activation.value(z) ** 2, kinks=activation.kinks)
    return square.hermite_coefficients(0, scale)[0]


@cache
def tanh_sinh(degree, left, right, half=24):
    """Points g, weights under the normal density and h_0(g) ... h_degree(g) of a tanh-sinh rule on an interval."""
    rule, length = [], (right - left) / 2
    for i in range(-7 * half // 2, 7 * half // 2 + 1):
        t = mpmath.mpf(i) / half
        u = mpmath.pi / 2 * mpmath.sinh(t)
        g = (left + right) / 2 + length * mpmath.tanh(u)
        weight = length * mpmath.pi / 2 * mpmath.cosh(t) / mpmath.cosh(u) ** 2 / half * mpmath.npdf(g)
        rule.append((g, weight, mpmath.matrix(normalised(degree, g))))
    return rule


def reference_coefficients(definition, degree, scale, kinks, ends=16.0):
    """E[f(s g) h_k(g)] and E[f(s g)^2] by tanh-sinh quadrature on both sides of the kinks, at 25 digits."""
    cuts = [-mpmath.mpf(ends), *(mpmath.mpf(kink) / scale for kink in kinks or (0,)), mpmath.mpf(ends)]
    total, square = mpmath.matrix(degree + 1, 1), mpmath.mpf(0)
    for left, right in zip(cuts[:-1], cuts[1:], strict=True):
        for g, weight, polynomials in tanh_sinh(degree, left, right):
            value = definition(scale * g)
            square += weight * value**2
            total += weight * value * polynomials
    return np.array([float(a) for a in total]), float(square)


@pytest.mark.parametrize("scale", [0.3, 3.0])
@pytest.mark.parametrize("name", DEFINITIONS)
def test_hermite_coefficients(name, scale):
    activation = CATALOGUE[name]
    with mpmath.workdps(25):
        expected, square = reference_coefficients(DEFINITIONS[name], 9, mpmath.mpf(scale), activation.kinks)
    norm = np.sqrt(square)
    got = activation.hermite_coefficients(9, scale)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13 * norm)
    many = activation.hermite_coefficients(250, scale)
    np.testing.assert_allclose(many[:10], got, rtol=0, atol=1e-14 * norm)
    assert 0.95 * square <= np.sum(many**2) <= (1 + 1e-12) * square


@pytest.mark.parametrize("form", EVERY)
def test_hermite_closed_form_equals_quadrature(form):
    activation = EVERY[form]
    user = Activation("user", function=activation.value, kinks=activation.kinks)
    for scale in (0.01, 1.0, 2.0, 6.0):
        got, expected = (a.hermite_coefficients(60, scale) for a in (activation, user))
        norm = np.sqrt(mean_square(activation, scale))
        np.testing.assert_allclose(got, expected, rtol=0, atol=3e-14 * max(norm, np.linalg.norm(expected)))


@pytest.mark.parametrize("form", EVERY)
def test_hermite_coefficients_respect_parity(form):
    activation = EVERY[form]
    coefficients = activation.hermite_coefficients(30, 1.5)
    for first, limit in ((0, activation.even_degree), (1, activation.odd_degree)):
        beyond = coefficients[first::2][0 if limit == -1 else (limit or 0) // 2 + 1 :]
        assert (not beyond.any()) == (limit is not None)


@pytest.mark.parametrize("form", EVERY)
@pytest.mark.parametrize("degree", [0, 1, 2])
def test_hermite_coefficients_of_low_degree_and_zero_scale(form, degree):
    activation = EVERY[form]
    full = activation.hermite_coefficients(7)
    np.testing.assert_allclose(activation.hermite_coefficients(degree), full[: degree + 1], atol=1e-14)
    np.testing.assert_array_equal(activation.hermite_coefficients(degree, 0.0), [activation.value(0.0), *np.zeros(degree)])


@pytest.mark.parametrize("name", ["tanh", "sin", "gaussian", "shifted_relu", "erf", "silu"])
@pytest.mark.parametrize("scale", [1e-300, 1e-8, 40.0, 1e4])
def test_hermite_coefficients_at_extreme_scales(name, scale):
    coefficients = CATALOGUE[name].hermite_coefficients(300, scale)
    assert np.sum(coefficients**2) <= 1.05 * mean_square(CATALOGUE[name], scale) + 1e-30


@pytest.mark.parametrize(
    ("degree", "scale", "message"),
    [(-1, 1.0, "degree"), (2.5, 1.0, "degree"), (3, -1.0, "scale"), (3, np.nan, "scale"), (3, np.inf, "scale")],
)
def test_hermite_coefficients_reject(degree, scale, message):
    with pytest.raises(ValueError, match=message):
        CATALOGUE["relu"].hermite_coefficients(degree, scale)


def test_hermite_coefficients_overflow():
    with pytest.raises(ValueError, match="overflows at scale=50"):
        CATALOGUE["exp"].hermite_coefficients(3, 50.0)


def test_designed_activation():
    activation = geometric_hermite(0.6, 20)
    np.testing.assert_allclose(activation.hermite_coefficients(20) ** 2, 0.4 * 0.6 ** np.arange(21), rtol=1e-13)
