"""Activations and their derivatives written in one pass, against mpmath and against the two kernels alone."""

import re

import mpmath
import numpy as np
import pytest
from catalogue import EVERY
from numba import config, njit
from test_kernels_error_function import CASES as ERROR_FUNCTION
from test_kernels_exponential import CASES as EXPONENTIAL
from ulps import DTYPES, around, everywhere, worst_ulp

from underdetermined._kernels import PAIR
from underdetermined.activations import Activation, get_activation

ORACLE = {case.id: case.values for case in (*EXPONENTIAL, *ERROR_FUNCTION)} | {
    "sin": (None, mpmath.sin, 4),
    "sin'": (None, mpmath.cos, 8),
    "cos": (None, mpmath.cos, 4),
    "cos'": (None, lambda x: -mpmath.sin(x), 8),
    "sin_cos": (None, lambda x: mpmath.sin(x) + mpmath.cos(x), 4),
    "sin_cos'": (None, lambda x: mpmath.cos(x) - mpmath.sin(x), 8),
}
# Arguments where f or f' vanish, or formulas change.
QUARTERS = tuple(k * np.pi / 4 for k in (-5, -1, 1, 2, 3, 4, 6, 2001, 60_000_003))
SPECIAL = {
    "silu": (-1.2784645427610738, -1.0284645, -1.5284645),
    "gelu": (-0.7517915246935645, 0.7517915246935645),
    "sin": QUARTERS,
    "cos": QUARTERS,
    "sin_cos": (*QUARTERS, 1e14, 1e15),
}
NAMES = pytest.mark.parametrize("name", PAIR)


def pair(name, points):
    z, slope = points.copy(), np.full_like(points, np.nan)
    PAIR[name](z, slope)
    return z, slope


@pytest.mark.parametrize("dtype", DTYPES)
@NAMES
def test_accuracy(name, dtype):
    rng = np.random.default_rng(1)
    special = [around(center, dtype, rng)[::12] for center in SPECIAL.get(name, ())]
    points = np.concatenate([everywhere(dtype, rng)[::12], *special])
    with np.errstate(over="ignore"):
        points = points[np.isfinite(get_activation(name).value(points))]
    for index, key in enumerate((name, f"{name}'")):
        _, function, limit = ORACLE[key]
        assert worst_ulp(lambda z, *_: np.copyto(z, pair(name, z)[index]), function, points) <= limit  # noqa: B023


@pytest.mark.parametrize("dtype", DTYPES)
@NAMES
def test_limits_are_those_of_the_two_alone(name, dtype):
    points = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 1e30, -1e30], dtype=dtype)
    value, slope = pair(name, points)
    rounding = 3 * np.finfo(dtype).eps * (name == "sin_cos")
    np.testing.assert_allclose(value, get_activation(name).value(points), rtol=rounding)
    np.testing.assert_allclose(slope, get_activation(name).derivative(points), rtol=rounding)
    np.testing.assert_array_equal(np.signbit(value[3:5]), np.signbit(get_activation(name).value(points[3:5])))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", EVERY)
def test_both_are_the_two_alone(form, dtype):
    points = np.random.default_rng(2).uniform(-6, 6, (9, 31)).astype(dtype)
    value, slope = points.copy(), np.full_like(points, np.nan)
    EVERY[form].apply_with_derivative(value, slope)
    # Sums that cancel keep their absolute accuracy only where a zero is no zero of the series.
    rounding = {"rtol": 12 * np.finfo(dtype).eps, "atol": np.finfo(dtype).eps}
    np.testing.assert_allclose(value, EVERY[form].value(points), **rounding)
    np.testing.assert_allclose(slope, EVERY[form].derivative(points), **rounding)


@pytest.mark.parametrize("dtype", DTYPES)
@NAMES
def test_an_entry_does_not_depend_on_its_neighbours(name, dtype):
    points = np.tile(everywhere(dtype, np.random.default_rng(4)), 2)
    whole = pair(name, points)
    sevens = [pair(name, points[i : i + 7]) for i in range(0, points.size, 7)]
    np.testing.assert_array_equal(np.hstack(sevens), whole)
    assert pair(name, points[:0])[1].size == 0


def test_users_functions():
    user = Activation("user", function=np.square, function_derivative=lambda t: 2 * t)
    z, slope = np.array([1.0, -3.0]), np.empty(2)
    user.apply_with_derivative(z, slope)
    np.testing.assert_array_equal([z, slope], [[1, 9], [2, -6]])
    with pytest.raises(ValueError, match="has no derivative"):
        get_activation(np.square).apply_with_derivative(z, slope)


def test_rejected_arrays():
    tanh, z = get_activation("tanh"), np.ones((4, 4))
    for bad, error, message in (
        (np.ones((4, 4), np.float32), TypeError, "z is float64 and derivative is float32"),
        (np.ones((4, 4), int), TypeError, "got int64; use derivative"),
        (np.ones((2, 8)), ValueError, r"z has shape \(4, 4\) and derivative has \(2, 8\)"),
        (np.ones((4, 4)).T[:, :2], ValueError, "contiguous and writeable"),
    ):
        with pytest.raises(error, match=message):
            tanh.apply_with_derivative(z, bad)
        np.testing.assert_array_equal(z, 1.0)


@pytest.mark.skipif(bool(config.DISABLE_JIT), reason="nothing is compiled")
@pytest.mark.parametrize("name", ["silu", "gelu"])
def test_loop_is_vectorised(name):
    fresh = njit(nogil=True, error_model="numpy")(PAIR[name].py_func)
    fresh.compile("(float64[::1], float64[::1])")
    assert re.search(r"llvm\.fma\.v\d+f64", fresh.inspect_llvm(fresh.signatures[0]))
