"""sin, cos and sin_cos kernels against mpmath, over the whole range and near every kind of zero."""

import mpmath
import numpy as np
import pytest

from underdetermined._kernels.trigonometric import DERIVATIVE, VALUE

DTYPES = (np.float64, np.float32)
EMPTY = np.zeros(0)
CASES = [
    pytest.param(VALUE["sin"], lambda s, c: s, 4, id="sin"),
    pytest.param(VALUE["cos"], lambda s, c: c, 4, id="cos"),
    pytest.param(VALUE["sin_cos"], lambda s, c: s + c, 4, id="sin_cos"),
    pytest.param(DERIVATIVE["sin"], lambda s, c: c, 8, id="sin'"),
    pytest.param(DERIVATIVE["cos"], lambda s, c: -s, 8, id="cos'"),
    pytest.param(DERIVATIVE["sin_cos"], lambda s, c: c - s, 8, id="sin_cos'"),
]


def applied(kernel, points):
    z = points.copy()
    kernel(z, EMPTY, z.dtype.type(1))
    return z


def spacing(exact, dtype):
    """Unit in the last place of the dtype at an mpmath number."""
    info = np.finfo(dtype)
    return mpmath.mpf(2) ** (max(mpmath.frexp(exact)[1] - 1, info.minexp) - info.nmant)


def worst_error(kernel, points, combine, sines):
    pairs = zip(applied(kernel, points), sines, strict=True)
    errors = [(mpmath.mpf(float(got)), combine(*pair)) for got, pair in pairs]
    return max(float(abs(got - exact) / spacing(exact, points.dtype)) for got, exact in errors)


def sample(dtype, rng):
    """Points of every size up to 1e15, and the neighbours of multiples of pi/4, where the zeros are."""
    size = 250
    multiples = np.concatenate([np.arange(60.0), np.exp(rng.uniform(0, np.log(1.2e15), size)).round()])
    with mpmath.workprec(200):
        zeros = np.array([float(mpmath.pi / 4 * int(k)) for k in multiples])
    zeros = zeros.astype(dtype)
    signs = rng.choice([-1.0, 1.0], size)
    parts = [
        2 * rng.standard_normal(size),
        signs * np.exp(rng.uniform(-80, np.log(1e15), size)),
        rng.uniform(-2e5, 2e5, size),
        [1e15, -1e15, 2.0**17, np.nextafter(np.float32(2**17), np.float32(np.inf)), 1e-310, 5e-324],
        zeros,
        np.nextafter(zeros, dtype(np.inf)),
        np.nextafter(-zeros, dtype(np.inf)),
    ]
    return np.concatenate([np.asarray(part, dtype=dtype) for part in parts])


@pytest.fixture(scope="module", params=DTYPES, ids=["float64", "float32"])
def points_and_sines(request):
    points = sample(request.param, np.random.default_rng(7))
    with mpmath.workprec(300):
        exact = [mpmath.mpf(float(x)) for x in points]
        return points, [(mpmath.sin(x), mpmath.cos(x)) for x in exact]


@pytest.mark.parametrize(("kernel", "combine", "limit"), CASES)
def test_accuracy_up_to_1e15(points_and_sines, kernel, combine, limit):
    points, sines = points_and_sines
    assert worst_error(kernel, points, combine, sines) <= limit


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kernel", "combine", "limit"), CASES)
def test_accuracy_beyond_1e15(kernel, combine, limit, dtype):
    rng = np.random.default_rng(8)
    top = 0.99 * np.log(float(np.finfo(dtype).max))
    points = (np.exp(rng.uniform(np.log(1e15), top, 60)) * rng.choice([-1.0, 1.0], 60)).astype(dtype)
    with mpmath.workprec(1300):
        exact = [mpmath.mpf(float(x)) for x in points]
        sines = [(mpmath.sin(x), mpmath.cos(x)) for x in exact]
        assert worst_error(kernel, points, combine, sines) <= limit


@pytest.mark.parametrize("name", ["sin_cos"])
def test_zeros_of_sin_cos_beyond_1e15(name):
    # The double nearest (4 k - 1) pi/4: adding sin and cos would leave no digit.
    with mpmath.workprec(1300):
        points = np.array([float((4 * mpmath.mpf(2) ** k - 1) * mpmath.pi / 4) for k in range(49, 900, 50)])
        sines = [(mpmath.sin(x), mpmath.cos(x)) for x in map(mpmath.mpf, points.tolist())]
        assert worst_error(VALUE[name], points, lambda s, c: s + c, sines) <= 4


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kernel", "combine", "limit"), CASES)
def test_limits(kernel, combine, limit, dtype):
    got = applied(kernel, np.array([np.inf, -np.inf, np.nan, 0.0, -0.0], dtype=dtype))
    assert np.isnan(got[:3]).all()
    np.testing.assert_array_equal(got[3:], combine(0.0, 1.0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kernel", "combine", "limit"), CASES)
def test_an_entry_does_not_depend_on_its_neighbours(kernel, combine, limit, dtype):
    rng = np.random.default_rng(9)
    points = rng.standard_normal(1031).astype(dtype)
    mixed = points.copy()
    mixed[::7] = dtype(1e20)
    kept = np.arange(points.size) % 7 != 0
    got = applied(kernel, mixed)
    np.testing.assert_array_equal(got[kept], applied(kernel, points)[kept])
    np.testing.assert_array_equal(
        got[kept], np.concatenate([applied(kernel, points[i : i + 1]) for i in np.flatnonzero(kept)])
    )
    with mpmath.workprec(300):
        exact = combine(mpmath.sin(mpmath.mpf(float(dtype(1e20)))), mpmath.cos(mpmath.mpf(float(dtype(1e20)))))
        np.testing.assert_allclose(got[::7], float(exact), rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", ["sin", "cos", "sin_cos"])
def test_float32_agrees_with_float64_kernel(name):
    # A denser comparison than mpmath allows: the float64 kernel is the reference.
    points = np.linspace(-300, 300, 5001, dtype=np.float32)
    exact = applied(VALUE[name], points.astype(np.float64))
    error = np.abs(applied(VALUE[name], points) - exact) / np.spacing(np.abs(exact).astype(np.float32))
    assert error.max() <= 2.1
