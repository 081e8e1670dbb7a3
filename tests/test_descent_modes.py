"""Every recurrence in closed form, against 50-digit arithmetic."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from underdetermined.descent import _modes
from underdetermined.descent._modes import (
    METHODS,
    WITH_MOMENTUM,
    gradient_descent_modes,
    gradient_flow_modes,
    momentum_modes,
    scaled,
)

EPS = np.finfo(float).eps
STEPS = np.array([0, 1, 2, 3, 10, 1001, 10**5, 10**8 + 1, 10**12], dtype=float)


def trained(method, eigenvalue, rate, momentum, n_steps):
    """Residuals of the scalar problem (theta - 0)^2 lambda / 2 from theta = 1, by the definition of each method."""
    with mp.workdps(50):
        gradient, rate, momentum = (lambda x: mp.mpf(eigenvalue) * x), mp.mpf(rate), mp.mpf(momentum)
        previous = theta = mp.mpf(1)
        path = [theta]
        for _ in range(n_steps):
            ahead = theta + momentum * (theta - previous)
            start = {"nesterov": ahead}.get(method, theta)
            previous, theta = theta, {"gradient_descent": theta}.get(method, ahead) - rate * gradient(start)
            path.append(theta)
        return path


def exact(method, eigenvalue, rate, momentum, n_steps):
    """The same after very many steps, by squaring the 2 x 2 companion matrix; exp for gradient flow."""
    with mp.workdps(50):
        h, beta = mp.mpf(eigenvalue) * mp.mpf(rate), mp.mpf(momentum)
        p, q = {
            "gradient_descent": (1 - h, mp.mpf(0)),
            "heavy_ball": (1 + beta - h, beta),
            "nesterov": ((1 + beta) * (1 - h), beta * (1 - h)),
            "gradient_flow": (mp.mpf(0), mp.mpf(0)),
        }[method]
        power = mp.matrix([[p, -q], [1, 0]]) ** int(n_steps) * mp.matrix([1, 1])
        return mp.exp(-h * n_steps) if method == "gradient_flow" else power[0]


def build(method, eigenvalues, rate, momentum=0.0):
    eigenvalues = np.atleast_1d(np.float64(eigenvalues))
    if method in WITH_MOMENTUM:
        return momentum_modes(method, eigenvalues, rate, momentum)
    return {"gradient_descent": gradient_descent_modes, "gradient_flow": gradient_flow_modes}[method](eigenvalues, rate)


def values(modes, steps):
    return scaled(*modes.factors(np.atleast_1d(np.float64(steps))))


def tolerance(modes, steps):
    """Relative to the envelope: rounding of logarithms, and of the phase of complex roots, which grows with time."""
    bound = np.array([modes.envelope(step) for step in steps]).T
    return bound * (1e-12 + 8 * EPS * steps * modes.angle[:, np.newaxis]) + 1e-300


def pairs(method, condition):
    """Rates and momenta: best ones, tiny ones, the stability limit and just below it; the largest eigenvalue is one."""
    root = np.sqrt(condition)
    best = {
        "heavy_ball": (4 / (1 + 1 / root) ** 2, ((root - 1) / (root + 1)) ** 2),
        "nesterov": (1.0, (root - 1) / (root + 1)),
    }.get(method, (2 / (1 + 1 / condition), 0.0))
    limits = {
        "heavy_ball": lambda beta: 2 * (1 + beta),
        "nesterov": lambda beta: 2 * (1 + beta) / (1 + 2 * beta),
    }.get(method, lambda beta: 2.0)
    momenta = {True: (0.0, 1e-10, 0.5, 0.999)}.get(method in WITH_MOMENTUM, (0.0,))
    return [best] + [(share * limits(beta), beta) for beta in momenta for share in (1e-6, 0.5, 0.9, 1 - 1e-9, 1.0)]


@pytest.mark.parametrize("condition", [1.0, 1e13])
@pytest.mark.parametrize("method", METHODS)
def test_factors_are_exact_powers(method, condition):
    eigenvalues = np.unique([0.0, 1 / condition, 0.3 / np.sqrt(condition), 0.5, 1.0])
    for rate, momentum in pairs(method, condition):
        modes = build(method, eigenvalues, rate, momentum)
        expected = [[exact(method, value, rate, momentum, step) for step in STEPS] for value in eigenvalues]
        error = np.abs(np.array(expected) - values(modes, STEPS)).astype(float)
        assert (error <= tolerance(modes, STEPS)).all(), (rate, momentum)


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("method", ["gradient_descent", *WITH_MOMENTUM])
def test_the_product_of_rate_and_eigenvalue_is_not_rounded(method, momentum):
    """At the stability limit and at h = 1 a rounding error of h itself would be all that is seen."""
    momentum = {"gradient_descent": 0.0}.get(method, momentum)
    limit = {"heavy_ball": 2 * (1 + momentum), "nesterov": 2 * (1 + momentum) / (1 + 2 * momentum)}.get(method, 2.0)
    for eigenvalue in (0.7, 1.3, 1.9):
        edge = limit * (1 - 1e-13) / eigenvalue, (10**11, 10**12 + 1), 1e-9
        for rate, steps, rtol in (edge, (1 / eigenvalue, (1, 2), 1e-5)):
            got = values(build(method, eigenvalue, rate, momentum), steps)[0]
            expected = [float(exact(method, eigenvalue, rate, momentum, step)) for step in steps]
            np.testing.assert_allclose(got, expected, rtol=rtol, atol={"heavy_ball": 1e-15}.get(method, 0.0))


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"gradient_flow"}))
def test_factors_are_those_of_training(method, rng):
    for _ in range(3):
        momentum = {True: rng.uniform(0, 0.999)}.get(method in WITH_MOMENTUM, 0.0)
        rate, eigenvalue = 10 ** rng.uniform(-4, 0.2), rng.uniform(0.5, 1.0)
        path = trained(method, eigenvalue, rate, momentum, 10**4)
        steps = np.array([1, 2, 7, 100, 999, 10**4], dtype=float)
        modes = build(method, eigenvalue, rate, momentum)
        error = np.abs(values(modes, steps)[0] - np.array([path[int(step)] for step in steps])).astype(float)
        assert (error <= tolerance(modes, steps)[0]).all()
        assert abs(exact(method, eigenvalue, rate, momentum, 777) - path[777]) <= 1e-40 * max(abs(x) for x in path)


@pytest.mark.parametrize("momentum", [0.04, 0.81, 0.998001])
@pytest.mark.parametrize("method", WITH_MOMENTUM)
def test_double_roots_are_passed_smoothly(method, momentum):
    """Real roots, a double root and complex roots follow each other within some units in the last place of h."""
    root = np.sqrt(momentum)
    doubles = {
        "heavy_ball": ((1 - root) ** 2, (1 + root) ** 2),
        "nesterov": (((1 - momentum) / (1 + momentum)) ** 2, 1.0),
    }[method]
    offsets = np.array([-1e-3, -1e-8, -1e-13, -2e-16, 0.0, 2e-16, 1e-13, 1e-8, 1e-3])
    steps = np.array([1.0, 2.0, 3.0, 30.0, 1001.0])
    for double in doubles:
        eigenvalues = double * (1.0 + offsets)
        modes = build(method, eigenvalues, 1.0, momentum)
        for row, bound, value in zip(values(modes, steps), tolerance(modes, steps), eigenvalues, strict=True):
            expected = np.array([exact(method, value, 1.0, momentum, step) for step in steps])
            assert (np.abs(row - expected).astype(float) <= bound).all()
        kinds = {*np.sign(modes.angle), *np.sign(modes.log_ratio)}
        assert {0.0, 1.0, -1.0} <= kinds, "both kinds of roots are met"


@pytest.mark.parametrize("method", WITH_MOMENTUM)
def test_exactly_double_root(method):
    """p = 1, q = 1/4 and z = 1/2 twice: every number is exact in floating point."""
    h, momentum = {"heavy_ball": (0.25, 0.25), "nesterov": (0.25, 1 / 3)}[method]
    modes = build(method, {"heavy_ball": h}.get(method, 1 - 0.75), 1.0, momentum)
    steps = np.array([1.0, 5.0, 60.0])
    expected = [float(exact(method, h, 1.0, momentum, step)) for step in steps]
    np.testing.assert_allclose(values(modes, steps)[0], expected, rtol=1e-12)
    assert np.isfinite(values(modes, steps)).all()


@pytest.mark.parametrize("method", WITH_MOMENTUM)
def test_no_momentum_is_gradient_descent(method):
    eigenvalues = np.array([0.0, 1e-9, 0.3, 1.0, 1.7, 2.0, 3.0])
    expected = values(build("gradient_descent", eigenvalues, 1.0), STEPS[:6])
    np.testing.assert_allclose(values(build(method, eigenvalues, 1.0), STEPS[:6]), expected, rtol=1e-12)


@pytest.mark.parametrize("method", ["gradient_descent", "nesterov"])
def test_one_step_can_be_the_last(method):
    """With h = 1 gradient descent, and Nesterov's method, have arrived."""
    factors = values(build(method, [0.5], 2.0, 0.6), STEPS)
    np.testing.assert_array_equal(factors, [np.where(STEPS == 0.0, 1.0, 0.0)])


@pytest.mark.parametrize("method", METHODS)
def test_step_zero_changes_nothing_and_zero_eigenvalues_stay(method):
    eigenvalues = np.array([0.0, 1e-300, 0.1, 1.0, 1.9, 4.0, 1e10, 1e300])
    for momentum in {True: (0.0, 0.25, 0.999)}.get(method in WITH_MOMENTUM, (0.0,)):
        factors = np.hstack([values(build(method, eigenvalues, rate, momentum), STEPS) for rate in (1.0, 1e200)])
        np.testing.assert_allclose(factors[:, [0, len(STEPS)]], 1.0, rtol=4 * EPS)
        np.testing.assert_allclose(factors[0], 1.0, rtol=4 * EPS)
        assert not np.isnan(factors).any()


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(METHODS),
    st.floats(0, 1e6) | st.floats(0, 5) | st.sampled_from([1.0, 2.0, 4.0]),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 50) | st.integers(0, 10**12),
)
def test_no_factor_is_nan(method, h, momentum, step):
    modes = build(method, h, 1.0, {True: momentum}.get(method in WITH_MOMENTUM, 0.0))
    mantissa, exponent = modes.factors(np.array([step], dtype=float))
    assert np.isfinite(mantissa).all()
    assert not np.isnan(exponent).any()
    assert not np.isnan(modes.envelope(step)).any()


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(METHODS),
    st.floats(1e-9, 1.0) | st.sampled_from([1e-4, 0.5, 1.0]),
    st.floats(0, 0.9999) | st.sampled_from([0.0, 0.25, 0.9]),
    st.integers(0, 10**4),
)
def test_envelope_bounds_all_that_follows_and_falls(method, share, momentum, start):
    momentum = {True: momentum}.get(method in WITH_MOMENTUM, 0.0)
    limit = {"heavy_ball": 2 + 2 * momentum, "nesterov": 2 * (1 + momentum) / (1 + 2 * momentum)}.get(method, 2.0)
    modes = build(method, share * limit, 1.0, momentum)
    steps = start + np.arange(50.0)
    bounds = np.array([modes.envelope(step)[0] for step in steps])
    assert (bounds[1:] <= bounds[:-1] * (1 + 1e-13)).all()
    assert (np.abs(values(modes, steps)[0]) <= bounds * (1 + 1e-9) + 1e-300).all()


@pytest.mark.parametrize(("method", "limit"), [("gradient_descent", 2.0), ("heavy_ball", 3.6), ("nesterov", 3.6 / 2.6)])
def test_growth_alternates_and_ends_at_infinity(method, limit):
    """Beyond the limit the dominant root passes -1, so that signs alternate."""
    momentum = {"gradient_descent": 0.0}.get(method, 0.8)
    modes = build(method, limit * (1 + 1e-3), 1.0, momentum)
    assert np.isinf(modes.envelope(7.0)).all()
    np.testing.assert_array_equal(values(modes, [10**9, 10**9 + 1]), [[np.inf, -np.inf]])
    inside = build(method, limit * (1 - 1e-3), 1.0, momentum)
    assert np.abs(values(inside, [10**9])).max() < 1e-300


def test_norms_ignore_what_is_absent_and_do_not_depend_on_blocks(monkeypatch):
    modes = build("heavy_ball", [5.0, 1.0, 0.1], 1.0, 0.5)
    energy, steps = np.array([0.0, 0.6, 0.4]), np.arange(1000.0)
    whole = modes.norms(energy, steps)
    alone = build("heavy_ball", [1.0, 0.1], 1.0, 0.5).norms(energy[1:], steps)
    np.testing.assert_allclose(whole, alone, rtol=1e-12)
    monkeypatch.setattr(_modes, "_BLOCK_ENTRIES", 7)
    np.testing.assert_array_equal(modes.norms(energy, steps), whole)
    assert modes.norms(np.array([1e-30, 0.6, 0.4]), np.array([1e5]))[0] == np.inf
    np.testing.assert_allclose(modes.norms(energy, steps[:20], 3.0), 3.0 * whole[:20], rtol=1e-15)
