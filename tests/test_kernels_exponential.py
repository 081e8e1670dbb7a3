"""exp, tanh, sigmoid, softplus, silu and elu kernels against mpmath and SciPy."""

import re

import mpmath
import numpy as np
import pytest
from numba import config, njit
from scipy import special
from ulps import DTYPES, EXPONENTIAL_TAIL, applied, around, everywhere, worst_ulp

from underdetermined._kernels.exponential import DERIVATIVE, VALUE


def logistic(x):
    return 1 / (1 + mpmath.exp(-x))


VALUE_REFERENCE = {
    "exp": mpmath.exp,
    "tanh": mpmath.tanh,
    "sigmoid": logistic,
    "softplus": lambda x: max(x, 0) + mpmath.log1p(mpmath.exp(-abs(x))),
    "silu": lambda x: x * logistic(x),
    "elu": lambda x: mpmath.expm1(min(x, 0)) + max(x, 0),
}
DERIVATIVE_REFERENCE = {
    "exp": mpmath.exp,
    "tanh": lambda x: mpmath.sech(x) ** 2,
    "sigmoid": lambda x: logistic(x) * logistic(-x),
    "softplus": logistic,
    "silu": lambda x: logistic(x) * (1 + x * logistic(-x)),
    "elu": lambda x: mpmath.exp(min(x, 0)),
}
CASES = [pytest.param(VALUE[name], VALUE_REFERENCE[name], 4, id=name) for name in VALUE] + [
    pytest.param(DERIVATIVE[name], DERIVATIVE_REFERENCE[name], 8, id=f"{name}'") for name in DERIVATIVE
]
KERNELS = [pytest.param(case.values[0], id=case.id) for case in CASES]


def top(dtype):
    """The largest argument whose exponential is finite is this or its neighbour."""
    return dtype(mpmath.log(mpmath.mpf(float(np.finfo(dtype).max))))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kernel", "function", "limit"), CASES)
def test_accuracy(kernel, function, limit, dtype):
    points = everywhere(dtype, np.random.default_rng(1))
    below_overflow = points[points <= np.nextafter(top(dtype), dtype(0))]
    assert worst_ulp(kernel, function, below_overflow) <= limit


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softplus", "silu", "elu"])
def test_positive_arguments_beyond_overflow(name, dtype):
    points = np.exp(np.linspace(np.log(float(top(dtype))), np.log(float(np.finfo(dtype).max)), 30)[:-1]).astype(dtype)
    assert worst_ulp(VALUE[name], VALUE_REFERENCE[name], points) <= 4
    assert worst_ulp(DERIVATIVE[name], DERIVATIVE_REFERENCE[name], points) <= 8


@pytest.mark.parametrize("dtype", DTYPES)
def test_exp_overflows_where_it_must(dtype):
    below, above = np.nextafter(top(dtype), dtype(0)), np.nextafter(top(dtype), dtype(np.inf))
    got = applied(VALUE["exp"], np.array([below, above, 1e4, np.finfo(dtype).max], dtype=dtype))
    np.testing.assert_array_equal(np.isinf(got), [False, True, True, True])
    assert worst_ulp(VALUE["exp"], mpmath.exp, np.array([below])) <= 2


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("kernel", "function", "limit"), [case for case in CASES if case.id not in ("tanh", "elu", "tanh'")]
)
def test_denormal_results(kernel, function, limit, dtype):
    points = np.linspace(-EXPONENTIAL_TAIL[dtype], np.log(float(np.finfo(dtype).tiny)), 80).astype(dtype)
    got = np.abs(applied(kernel, points))
    assert ((got > 0) & (got < np.finfo(dtype).tiny)).sum() > 20
    assert worst_ulp(kernel, function, points) <= min(limit, 2)


@pytest.mark.parametrize("dtype", DTYPES)
def test_silu_derivative_near_its_zero(dtype):
    points = around(-1.2784645427610738, dtype, np.random.default_rng(2))
    assert worst_ulp(DERIVATIVE["silu"], DERIVATIVE_REFERENCE["silu"], points) <= 8


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("kernels", "name", "expected"),
    [
        (VALUE, "exp", [np.inf, 0, np.nan, 1, 1]),
        (VALUE, "tanh", [1, -1, np.nan, 0.0, -0.0]),
        (VALUE, "sigmoid", [1, 0, np.nan, 0.5, 0.5]),
        (VALUE, "softplus", [np.inf, 0, np.nan, np.log(2), np.log(2)]),
        (VALUE, "silu", [np.inf, 0, np.nan, 0, 0]),
        (VALUE, "elu", [np.inf, -1, np.nan, 0.0, -0.0]),
        (DERIVATIVE, "exp", [np.inf, 0, np.nan, 1, 1]),
        (DERIVATIVE, "tanh", [0, 0, np.nan, 1, 1]),
        (DERIVATIVE, "sigmoid", [0, 0, np.nan, 0.25, 0.25]),
        (DERIVATIVE, "softplus", [1, 0, np.nan, 0.5, 0.5]),
        (DERIVATIVE, "silu", [1, 0, np.nan, 0.5, 0.5]),
        (DERIVATIVE, "elu", [1, 0, np.nan, 1, 1]),
    ],
)
def test_limits(kernels, name, expected, dtype):
    got = applied(kernels[name], np.array([np.inf, -np.inf, np.nan, 0.0, -0.0], dtype=dtype))
    np.testing.assert_array_equal(got, np.array(expected, dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["tanh", "elu"])
def test_sign_of_zero(name, dtype):
    np.testing.assert_array_equal(np.signbit(applied(VALUE[name], np.array([0.0, -0.0], dtype=dtype))), [False, True])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_in_place_on_exactly_the_given_entries(kernel, dtype):
    whole = np.random.default_rng(3).standard_normal(40).astype(dtype)
    expected = whole.copy()
    expected[5:28] = applied(kernel, whole[5:28])
    assert kernel(whole[5:28], np.zeros(0), whole.dtype.type(1)) is None
    np.testing.assert_array_equal(whole, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kernel", KERNELS)
def test_an_entry_does_not_depend_on_the_size_of_its_array(kernel, dtype):
    points = everywhere(dtype, np.random.default_rng(4))
    points = np.concatenate([points, points])[:1000]
    whole = applied(kernel, points)
    sevens = np.concatenate([applied(kernel, points[i : i + 7]) for i in range(0, points.size, 7)])
    ones = np.concatenate([applied(kernel, points[i : i + 1]) for i in range(points.size)])
    np.testing.assert_array_equal(sevens, whole)
    np.testing.assert_array_equal(ones, whole)
    assert applied(kernel, points[:0]).size == 0


@pytest.mark.parametrize(
    ("name", "function"),
    [("exp", np.exp), ("tanh", np.tanh), ("sigmoid", special.expit), ("silu", lambda x: x * special.expit(x))],
)
def test_against_scipy(name, function):
    points = np.linspace(-700, 700, 2_001)
    np.testing.assert_allclose(applied(VALUE[name], points), function(points), rtol=1e-15, atol=0)


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")
@pytest.mark.parametrize("kernel", KERNELS)
def test_loop_is_vectorised(kernel):
    fresh = njit(nogil=True, error_model="numpy")(kernel.py_func)
    fresh.compile("(float64[::1], float64[::1], float64)")
    assert re.search(r"llvm\.fma\.v\d+f64", fresh.inspect_llvm(fresh.signatures[0]))
