"""erf, gelu and gaussian kernels against mpmath and SciPy."""

import re

import mpmath
import numpy as np
import pytest
from numba import config, njit
from scipy import special
from ulps import DTYPES, GAUSSIAN_TAIL, applied, around, everywhere, worst_ulp

from underdetermined._kernels.error_function import DERIVATIVE, VALUE


def distribution(x):
    clipped = min(max(x, -10_000), 10_000)  # mpmath cannot take larger numbers, and the value is 0 or 1 long before
    return mpmath.erfc(-clipped / mpmath.sqrt(2)) / 2


VALUE_REFERENCE = {
    "erf": mpmath.erf,
    "gelu": lambda x: x * distribution(x),
    "gaussian": lambda x: mpmath.exp(-(x**2) / 2),
}
DERIVATIVE_REFERENCE = {
    "erf": lambda x: 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-(x**2)),
    "gelu": lambda x: distribution(x) + x * mpmath.npdf(x),
    "gaussian": lambda x: -x * mpmath.exp(-(x**2) / 2),
}
CASES = [pytest.param(VALUE[name], VALUE_REFERENCE[name], 4, id=name) for name in VALUE] + [
    pytest.param(DERIVATIVE[name], DERIVATIVE_REFERENCE[name], 8, id=f"{name}'") for name in DERIVATIVE
]
KERNELS = [pytest.param(case.values[0], id=case.id) for case in CASES]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kernel", "function", "limit"), CASES)
def test_accuracy(kernel, function, limit, dtype):
    assert worst_ulp(kernel, function, everywhere(dtype, np.random.default_rng(1))) <= limit


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kernel", "function", "limit"), [case for case in CASES if case.id != "erf"])
def test_tail_down_to_denormal_results(kernel, function, limit, dtype):
    points = -np.linspace(0.5, 1, 300).astype(dtype) * dtype(GAUSSIAN_TAIL[dtype])
    got = np.abs(applied(kernel, points))
    assert ((got > 0) & (got < np.finfo(dtype).tiny)).sum() > 5
    assert worst_ulp(kernel, function, points) <= limit


@pytest.mark.parametrize("dtype", DTYPES)
def test_gelu_derivative_near_its_zero(dtype):
    points = around(-0.7517915246935645, dtype, np.random.default_rng(2))
    assert worst_ulp(DERIVATIVE["gelu"], DERIVATIVE_REFERENCE["gelu"], points) <= 8


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("kernels", "name", "expected"),
    [
        (VALUE, "erf", [1, -1, np.nan, 0]),
        (VALUE, "gelu", [np.inf, 0, np.nan, 0]),
        (VALUE, "gaussian", [0, 0, np.nan, 1]),
        (DERIVATIVE, "erf", [0, 0, np.nan, 2 / np.sqrt(np.pi)]),
        (DERIVATIVE, "gelu", [1, 0, np.nan, 0.5]),
        (DERIVATIVE, "gaussian", [0, 0, np.nan, 0]),
    ],
)
def test_limits(kernels, name, expected, dtype):
    got = applied(kernels[name], np.array([np.inf, -np.inf, np.nan, 0], dtype=dtype))
    np.testing.assert_array_equal(got, np.array(expected, dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_erf_is_odd_and_never_beyond_one(dtype):
    points = np.linspace(0, 7, 20_001, dtype=dtype)
    got = applied(VALUE["erf"], points)
    assert got.max() == 1
    np.testing.assert_array_equal(applied(VALUE["erf"], -points), -got)
    np.testing.assert_array_equal(np.signbit(applied(VALUE["erf"], np.array([0.0, -0.0], dtype=dtype))), [False, True])


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
    ("kernel", "function"),
    [
        (VALUE["erf"], special.erf),
        (VALUE["gelu"], lambda x: x * special.ndtr(x)),
        (VALUE["gaussian"], lambda x: np.exp(-(x**2) / 2)),
        (DERIVATIVE["gelu"], lambda x: special.ndtr(x) + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)),
    ],
    ids=["erf", "gelu", "gaussian", "gelu'"],
)
def test_against_scipy(kernel, function):
    points = np.linspace(-9, 9, 20_001)
    np.testing.assert_allclose(applied(kernel, points), function(points), rtol=1e-13, atol=1e-16)


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")
@pytest.mark.parametrize("kernel", KERNELS)
def test_loop_is_vectorised(kernel):
    fresh = njit(nogil=True, error_model="numpy")(kernel.py_func)
    fresh.compile("(float64[::1], float64[::1], float64)")
    assert re.search(r"llvm\.fma\.v\d+f64", fresh.inspect_llvm(fresh.signatures[0]))
