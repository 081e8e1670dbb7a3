"""Catalogue of activations: facts, Hermite coefficients, names, user functions, compiled against NumPy twins."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

import mpmath
import numba
import numpy as np
import pytest
from catalogue import CATALOGUE, DEFINITIONS, EVERY

import underdetermined
from underdetermined._kernels import DERIVATIVE, VALUE
from underdetermined.activations import (
    Activation,
    geometric_hermite,
    get_activation,
    hermite,
    leaky_relu,
    names,
    shifted_relu,
)


def test_catalogue():
    assert len(names()) == 20
    assert set(names()) == set(DEFINITIONS) == set(VALUE) == set(DERIVATIVE)
    assert all(get_activation(name).name == name for name in names())


@pytest.mark.parametrize("name", DEFINITIONS)
def test_value_is_the_definition(name):
    points = np.random.default_rng(0).uniform(-6, 6, 40)
    with mpmath.workdps(30):
        expected = [float(DEFINITIONS[name](mpmath.mpf(x))) for x in points]
    np.testing.assert_allclose(CATALOGUE[name].value(points), expected, rtol=1e-14)


@pytest.mark.parametrize("form", EVERY)
def test_derivative_against_differences(form):
    activation = EVERY[form]
    points = np.linspace(-4, 4, 161) + 0.0123
    h = 1e-3
    near = [np.abs(points - kink) < 3 * h for kink in activation.kinks]
    points = points[~np.any([np.zeros(points.size, dtype=bool), *near], axis=0)]
    f = activation.value
    wide, narrow = (f(points + 2 * h) - f(points - 2 * h)) / (4 * h), (f(points + h) - f(points - h)) / (2 * h)
    size = 1 + np.abs(f(points)).max()
    np.testing.assert_allclose(activation.derivative(points), (4 * narrow - wide) / 3, atol=1e-9 * size)


# Facts


def parts(activation):
    t = np.linspace(-5, 5, 60)
    up, down = activation.value(t), activation.value(-t)
    return t, (up + down) / 2, (up - down) / 2


def misfit(t, part, degree):
    """Largest residual of the best polynomial of that degree, relative to the part; -1 stands for zero."""
    fitted = np.polynomial.Chebyshev.fit(t, part, max(degree, 0))(t) * (degree >= 0)
    return np.abs(part - fitted).max() / max(1.0, np.abs(part).max())


@pytest.mark.parametrize("form", EVERY)
def test_parity_facts(form):
    activation = EVERY[form]
    t, *both = parts(activation)
    degrees = (activation.even_degree, activation.odd_degree)
    known = [(part, degree) for part, degree in zip(both, degrees, strict=True) if degree is not None]
    unknown = [part for part, degree in zip(both, degrees, strict=True) if degree is None]
    assert all(misfit(t, part, degree) < 1e-13 for part, degree in known)
    assert all(misfit(t, part, degree - 1) > 1e-4 for part, degree in known if degree >= 0)
    assert all(misfit(t, part, 5) > 1e-6 for part in unknown)


@pytest.mark.parametrize("form", EVERY)
def test_homogeneity(form):
    activation = EVERY[form]
    t = np.linspace(-3, 3, 61)
    gaps = [np.abs(activation.value(2.5 * t) - 2.5**p * activation.value(t)).max() for p in range(4)]
    holds = [p for p in range(4) if gaps[p] < 1e-13]
    assert (activation.homogeneous in holds) or (activation.homogeneous is None and not holds)


@pytest.mark.parametrize("form", EVERY)
def test_bound(form):
    activation = EVERY[form]
    largest = np.abs(activation.value(np.linspace(-50, 50, 2001))).max()
    tight = {True: largest > 30, False: 0.999 * (activation.bound or 0) <= largest}
    assert largest <= (activation.bound or np.inf) or activation.bound == 0
    assert tight[activation.bound is None]


@pytest.mark.parametrize("form", EVERY)
def test_lipschitz(form):
    activation = EVERY[form]
    t = np.unique(np.concatenate([np.linspace(-200, 200, 401), np.linspace(-4, 4, 801)]))
    steepest = np.abs(np.diff(activation.value(t)) / np.diff(t)).max()
    tight = {True: steepest > 90, False: 0.999 * (activation.lipschitz or 0) <= steepest}
    assert tight[activation.lipschitz is None]
    assert steepest <= (1 + 1e-9) * max(activation.lipschitz or np.inf, activation.lipschitz == 0, 1e-12)


# Digits of the largest slope and the largest second derivative, cut off after the last one.
SLOPES = {
    "tanh": (1, 0.7698003589195010),
    "erf": (1.1283791670955126, 0.9678828980765734),
    "softplus": (1, 0.25),
    "gelu": (1.1289041451851549, 0.7978845608028654),
    "silu": (1.0998393201288669, 0.5),
    "sin": (1, 1),
    "cos": (1, 1),
    "sin_cos": (1.4142135623730950, 1.4142135623730950),
    "gaussian": (0.6065306597126334, 1),
    "sigmoid": (0.25, 0.0962250448649376),
}


@pytest.mark.parametrize("name", SLOPES)
def test_slopes_are_bounds_and_sharp(name):
    activation = CATALOGUE[name]
    for constant, lower in zip((activation.lipschitz, activation.curvature), SLOPES[name], strict=True):
        assert lower <= constant <= lower * (1 + 2e-15)


@pytest.mark.parametrize("form", EVERY)
def test_curvature(form):
    activation = EVERY[form]
    t = np.unique(np.concatenate([np.linspace(-200, 200, 401), np.linspace(-4, 4, 4001), [-1e-6, 1e-6]]))
    with np.errstate(over="ignore", invalid="ignore"):
        steepest = np.nanmax(np.abs(np.diff(activation.derivative(t)) / np.diff(t)))
    # The derivative of a step is 0 on both sides, but a step is no antiderivative of 0.
    unbounded = steepest > 90 or activation.name == "step"
    assert {True: unbounded, False: 0.999 * (activation.curvature or 0) <= steepest}[activation.curvature is None]
    assert steepest <= (1 + 1e-9) * max(activation.curvature or np.inf, activation.curvature == 0, 1e-12)


@pytest.mark.parametrize("form", EVERY)
def test_kinks(form):
    # A jump of f, f' or f'' makes the third difference quotient grow like 1/h at least.
    activation = EVERY[form]
    h = 1e-4
    assert activation.is_smooth == (not activation.kinks)
    thirds = [
        np.abs(np.diff(activation.value(centre + h * np.arange(-2.4, 3)), n=3)).max() / h**3
        for centre in (*activation.kinks, 0.3)
    ]
    assert all(third > 2e3 for third in thirds[:-1])
    assert thirds[-1] < 2e3


# Values, shapes and dtypes


@pytest.mark.parametrize("form", EVERY)
@pytest.mark.parametrize("method", ["value", "derivative"])
def test_shape_and_dtype(form, method):
    z = np.random.default_rng(5).standard_normal((3, 5))
    evaluate = getattr(EVERY[form], method)
    expected = evaluate(z)
    kept = z.copy()
    z.flags.writeable = False
    for view, reference in ((z, expected), (np.asfortranarray(z), expected), (z[::2, ::-1], expected[::2, ::-1])):
        got = evaluate(view)
        assert got.dtype == np.float64 and got.flags.c_contiguous and got.flags.writeable
        np.testing.assert_array_equal(got, reference)
    np.testing.assert_array_equal(z, kept)
    single = evaluate(z.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, evaluate(z.astype(np.float32).astype(float)), rtol=2e-6, atol=1e-7)
    assert evaluate(0.5).shape == () and evaluate(np.zeros((0, 4))).shape == (0, 4)
    assert evaluate([1, 2]).dtype == evaluate(np.float16(1)).dtype == np.float64


@pytest.mark.parametrize("form", EVERY)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_apply_overwrites(form, dtype):
    z = np.random.default_rng(6).standard_normal((4, 3)).astype(dtype)
    expected = EVERY[form].value(z)
    scaled = z.copy()
    EVERY[form].apply(z)
    np.testing.assert_array_equal(z, expected)
    EVERY[form].apply(scaled, 0.3)
    np.testing.assert_array_equal(scaled, dtype(0.3) * expected)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("form", EVERY)
def test_apply_derivative_overwrites(form, dtype):
    points = np.linspace(-3, 3, 12, dtype=dtype).reshape(3, 4)
    z, scaled = points.copy(), points.copy()
    EVERY[form].apply_derivative(z)
    EVERY[form].apply_derivative(scaled, 0.3)
    np.testing.assert_array_equal(z, EVERY[form].derivative(points))
    np.testing.assert_allclose(scaled, z * dtype(0.3), rtol=4 * np.finfo(dtype).eps)


def test_apply_rejects():
    relu = CATALOGUE["relu"]
    frozen = np.ones(3)
    frozen.flags.writeable = False
    for bad in (np.ones((4, 4)).T[:, :2], frozen):
        with pytest.raises(ValueError, match=r"contiguous and writeable.*use value"):
            relu.apply(bad)
    for bad in (np.ones(3, dtype=int), [1.0, 2.0]):
        with pytest.raises(TypeError, match=r"float64 or float32.*use value"):
            relu.apply(bad)
    for bad in (np.ones(2, dtype=complex), ["a"], None):
        with pytest.raises(TypeError, match="real numbers"):
            relu.value(bad)


# Names


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("leaky_relu(0.1)", leaky_relu(0.1)),
        (" shifted_relu ( 0.5 ) ", shifted_relu(0.5)),
        ("shifted_relu()", shifted_relu()),
        ("hermite(0,1,0.5)", hermite([0, 1, 0.5])),
        ("hermite(0, 1, 0.5, 0)", hermite([0, 1, 0.5])),
        ("hermite", geometric_hermite(0.5, 10)),
        ("geometric_hermite(0.7, 12)", geometric_hermite(0.7, 12)),
        ("leaky_relu", leaky_relu(0.01)),
        ("shifted_relu", shifted_relu(1.0)),
    ],
)
def test_forms(form, expected):
    assert get_activation(form) == expected
    assert get_activation(str(expected)) == expected
    assert hash(get_activation(form)) == hash(expected)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("rleu", r"unknown activation 'rleu'. Did you mean 'relu'\? Known: identity, relu, .* gaussian, hermite"),
        ("zzzz", r"unknown activation 'zzzz'. Known: identity"),
        ("", "Known: identity"),
        ("relu(", "Known: identity"),
        ("relu(1)", "takes no parameters"),
        ("leaky_relu(a)", "cannot read the parameters.*'a'"),
        ("leaky_relu(1, 2)", "cannot read the parameters"),
        ("shifted_relu(inf)", "must be finite"),
        ("geometric_hermite(1.5, 3)", "between 0 and 1"),
        ("geometric_hermite(0.5, 3.5)", "degree must be an integer"),
    ],
)
def test_unreadable_forms(form, message):
    with pytest.raises(ValueError, match=message):
        get_activation(form)


def test_wrong_constructions():
    with pytest.raises(TypeError, match="name, a callable or an Activation, got int"):
        get_activation(3)
    with pytest.raises(ValueError, match="not in the catalogue"):
        Activation("mine")
    with pytest.raises(ValueError, match="needs 1 parameters"):
        Activation("leaky_relu")
    for fact, value in (("curvature", -1.0), ("lipschitz", np.nan), ("bound", np.inf)):
        with pytest.raises(ValueError, match=f"{fact} of activation 'mine' is .*finite number"):
            Activation("mine", function=np.tanh, **{fact: value})
    with pytest.raises(ValueError, match=r"coefficients must be .*shape \(2, 2\)"):
        hermite(np.eye(2))
    with pytest.raises(ValueError, match="at most 201"):
        hermite(np.ones(202))


@pytest.mark.parametrize("form", EVERY)
def test_pickle(form):
    activation = EVERY[form]
    data = pickle.dumps(activation)
    assert pickle.loads(data) == activation
    assert len(data) < 600
    assert get_activation(activation) is activation


def test_catalogue_pickles_by_name():
    assert pickle.loads(pickle.dumps(CATALOGUE["tanh"])) is CATALOGUE["tanh"]
    changed = Activation("tanh", lipschitz=2.0)
    assert pickle.loads(pickle.dumps(changed)) == changed


# User functions


def bump(z):
    return np.exp(-np.abs(z))


def bump_derivative(z):
    return -np.sign(z) * np.exp(-np.abs(z))


def test_user_function():
    activation = get_activation(bump)
    z = np.random.default_rng(7).standard_normal((3, 2))
    np.testing.assert_array_equal(activation.value(z), bump(z))
    assert activation.name == "bump" and activation == get_activation(bump)
    assert activation.value(z.astype(np.float32)).dtype == np.float32
    expected = activation.value(z)
    activation.apply(z)
    np.testing.assert_array_equal(z, expected)
    with pytest.raises(ValueError, match="'bump' has no derivative.*function_derivative"):
        activation.derivative(z)


def test_user_function_with_facts():
    activation = Activation("bump", function=bump, function_derivative=bump_derivative, bound=1.0, kinks=(0.0,))
    np.testing.assert_array_equal(activation.derivative([-1.0, 2.0]), bump_derivative(np.array([-1.0, 2.0])))
    assert pickle.loads(pickle.dumps(activation)) == activation
    # E exp(-|s g|) = exp(s^2/2) erfc(s / sqrt 2)
    mean = float(mpmath.exp(2) * mpmath.erfc(mpmath.sqrt(2)))
    np.testing.assert_allclose(activation.hermite_coefficients(0, 2.0), [mean], rtol=1e-13)


def test_user_function_cannot_change_the_input():
    def spoil(z):
        z[...] = 7.0
        return z

    z = np.ones(3)
    np.testing.assert_array_equal(get_activation(spoil).value(z), [7.0, 7.0, 7.0])
    np.testing.assert_array_equal(z, [1.0, 1.0, 1.0])


@pytest.mark.parametrize("function", [np.sum, lambda z: z > 0, lambda z: z[:1], lambda z: z + 0j, lambda z: None])
def test_bad_user_functions(function):
    with pytest.raises(ValueError, match="must act elementwise and return floats"):
        get_activation(function).value(np.ones(3))


# Compilation

REPORT = """
import numpy as np
from underdetermined.activations import get_activation
for dtype in (np.float64, np.float32):
    points = np.array([-np.inf, -400.25, -3.0, -0.7, -0.0, 1e-30, 0.4, 1.3, 25.0, 1e6, 1e17, np.inf, np.nan], dtype=dtype)
    for form in {forms!r}:
        activation = get_activation(form)
        both = np.stack([points, points])
        activation.apply_with_derivative(*both)
        print(form, activation.value(points).tolist(), activation.derivative(points).tolist(), both.tolist())
"""


def run_python(script, **environment):
    # The package of this process, and its cache, not what may lie in the working directory.
    package = str(Path(underdetermined.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": package, **environment}
    command = [sys.executable, "-P", "-W", "error", "-c", script]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.splitlines()


def test_compiled_kernels_equal_their_python_twins(capsys):
    script = REPORT.format(forms=list(EVERY))
    exec(script, {})
    compiled, plain = capsys.readouterr().out.splitlines(), run_python(script, NUMBA_DISABLE_JIT="1")
    assert len(compiled) == 2 * len(EVERY)
    assert compiled == plain


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")
def test_second_process_finds_the_disk_cache():
    script = """
import numpy as np
from underdetermined._kernels import DERIVATIVE, VALUE
for table in (VALUE, DERIVATIVE):
    for name, kernel in table.items():
        kernel(np.ones(3), np.ones(1), 1.0)
        print(name, sum(kernel.stats.cache_hits.values()), sum(kernel.stats.cache_misses.values()))
"""
    exec(script, {})
    found = [line.split()[1:] for line in run_python(script)]
    assert found == [["1", "0"]] * 40


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_apply_scales(name, dtype):
    z = np.concatenate([np.linspace(-5, 5, 2000), [3e5, -3e16]]).astype(dtype)
    z = z[np.isfinite(get_activation(name).value(z))]
    scaled, plain = z.copy(), z.copy()
    get_activation(name).apply(scaled, 3.7e6)
    get_activation(name).apply(plain)
    np.testing.assert_allclose(scaled, plain * dtype(3.7e6), rtol=2 * np.finfo(dtype).eps)
