"""Piecewise kernels against their definition in exact arithmetic, and Hermite sums against mpmath."""

import mpmath
import numpy as np
import pytest

from underdetermined._kernels.piecewise import DERIVATIVE, VALUE

DTYPES = (np.float64, np.float32)
SLOPE, SHIFT = 0.01, 0.1

# name, parameters, f and f' in exact numbers
DEFINITIONS = {
    "identity": ((), lambda t: t, lambda t: 1),
    "relu": ((), lambda t: max(t, 0), lambda t: t > 0),
    "leaky_relu": ((SLOPE,), lambda t: max(t, t * SLOPE), lambda t: 1 if t > 0 else SLOPE),
    "abs": ((), abs, lambda t: (t > 0) - (t < 0)),
    "step": ((), lambda t: t > 0, lambda t: 0),
    "squared_relu": ((), lambda t: max(t, 0) ** 2, lambda t: 2 * max(t, 0)),
    "shifted_relu": ((SHIFT,), lambda t: max(t + SHIFT, 0), lambda t: t + SHIFT > 0),
}
COEFFICIENTS = {
    "constant": [2.5],
    "line": [0.0, -1.5],
    "trailing zeros": [1.0, 0.5, -2.0, 0.0, 0.0],
    "cubic": [0.0, 0.0, 0.0, 1.0],
    "degree 12": np.random.default_rng(3).standard_normal(13).tolist(),
    "degree 60": np.random.default_rng(4).standard_normal(61).tolist(),
    "degree 200": [0.0] * 200 + [1.0],
}


def applied(kernel, points, parameters=()):
    z = points.copy()
    kernel(z, np.array(parameters, dtype=np.float64), z.dtype.type(1))
    return z


def worst_error(got, exact):
    """Largest error in units in the last place; beyond the range of the type the infinity must be exact."""
    info = np.finfo(got.dtype)
    units = [mpmath.mpf(2) ** (max(mpmath.frexp(e)[1] - 1, info.minexp) - info.nmant) for e in exact]
    rounded = np.array([float(e) for e in exact])
    inside = np.abs(rounded) <= float(info.max) * (1 - 1e-6)
    outside = np.abs(rounded) > float(info.max) * (1 + 1e-6)
    np.testing.assert_array_equal(got[outside], np.copysign(np.inf, rounded[outside]).astype(got.dtype))
    rows = np.flatnonzero(inside)
    return max(float(abs(mpmath.mpf(float(got[i])) - exact[i]) / units[i]) for i in rows)


def sample(dtype, rng, size=150):
    top = np.log(float(np.finfo(dtype).max))
    signs = rng.choice([-1.0, 1.0], size)
    parts = (
        2 * rng.standard_normal(size),
        signs * np.exp(rng.uniform(-80, top, size)),
        [0.0, -0.0, np.finfo(dtype).tiny, -np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max, -SHIFT, SHIFT],
        np.nextafter(dtype(-SHIFT), np.array([-1, 1], dtype=dtype)),
    )
    return np.concatenate([np.asarray(part, dtype=dtype) for part in parts])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", DEFINITIONS)
def test_definitions(name, dtype):
    parameters, value, derivative = DEFINITIONS[name]
    points = sample(dtype, np.random.default_rng(5))
    with mpmath.workprec(3000):
        numbers = [mpmath.mpf(float(x)) for x in points]
        assert worst_error(applied(VALUE[name], points, parameters), [mpmath.mpf(value(t)) for t in numbers]) <= 1.5
        exact = [mpmath.mpf(derivative(t)) for t in numbers]
        assert worst_error(applied(DERIVATIVE[name], points, parameters), exact) <= 0.5


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", DEFINITIONS)
def test_nan_and_infinities(name, dtype):
    parameters, value, derivative = DEFINITIONS[name]
    points = np.array([np.nan, np.inf, -np.inf], dtype=dtype)
    for kernel, definition in ((VALUE[name], value), (DERIVATIVE[name], derivative)):
        expected = [np.nan, float(definition(np.inf)), float(definition(-np.inf))]
        np.testing.assert_array_equal(applied(kernel, points, parameters), np.array(expected, dtype=dtype))


@pytest.mark.parametrize(
    ("name", "at_zero"), [("relu", 0.0), ("leaky_relu", SLOPE), ("abs", 0.0), ("step", 0.0), ("squared_relu", 0.0)]
)
def test_derivative_at_the_kink(name, at_zero):
    got = applied(DERIVATIVE[name], np.array([0.0, -0.0]), DEFINITIONS[name][0])
    np.testing.assert_array_equal(got, [at_zero, at_zero])


def hermite_polynomials(degree, x):
    """h_0(x) ... h_degree(x), normalised, in the working precision of mpmath."""
    values = [mpmath.mpf(1), x]
    for k in range(1, degree):
        values.append((x * values[k] - mpmath.sqrt(k) * values[k - 1]) / mpmath.sqrt(k + 1))
    return values[: degree + 1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("label", COEFFICIENTS)
def test_hermite_against_mpmath(label, dtype):
    coefficients = COEFFICIENTS[label]
    degree = len(coefficients) - 1
    rng = np.random.default_rng(6)
    # h_k of the highest degree has its zeros here: the sum is far smaller than its terms at some of the points.
    zeros = np.polynomial.hermite_e.hermegauss(min(degree, 40) + 1)[0]
    points = np.concatenate([sample(dtype, rng, 25), zeros.astype(dtype)])
    with mpmath.workprec(400):
        tables = [hermite_polynomials(degree, mpmath.mpf(float(x))) for x in points]
        values = [mpmath.fdot(zip(map(mpmath.mpf, coefficients), table, strict=True)) for table in tables]
        weights = [mpmath.sqrt(k) * a for k, a in enumerate(coefficients)]
        slopes = [mpmath.fdot(zip(weights[1:], table[:-1], strict=True)) for table in tables]
        assert worst_error(applied(VALUE["hermite"], points, coefficients), values) <= 4
        assert worst_error(applied(DERIVATIVE["hermite"], points, coefficients), slopes) <= 8


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("coefficients", "limits", "slopes"),
    [
        ([2.0], [2, 2], [0, 0]),
        ([0.0], [0, 0], [0, 0]),
        ([0, -1.0], [np.inf, -np.inf], [-1, -1]),
        ([1, 1, 3.0], [np.inf, np.inf], [-np.inf, np.inf]),
        ([1, 1, 3.0, -1.0, 0.0], [np.inf, -np.inf], [-np.inf, -np.inf]),
    ],
)
def test_hermite_limits(coefficients, limits, slopes, dtype):
    points = np.array([-np.inf, np.inf, np.nan], dtype=dtype)
    np.testing.assert_array_equal(applied(VALUE["hermite"], points, coefficients), [*limits, np.nan])
    np.testing.assert_array_equal(applied(DERIVATIVE["hermite"], points, coefficients), [*slopes, np.nan])


def test_hermite_blocks():
    # More entries than the scratch holds, not a multiple of it.
    points = np.random.default_rng(11).standard_normal(1000)
    coefficients = COEFFICIENTS["degree 12"]
    parts = [applied(VALUE["hermite"], part, coefficients) for part in np.split(points, [1, 7, 300])]
    np.testing.assert_array_equal(applied(VALUE["hermite"], points, coefficients), np.concatenate(parts))
