"""What clipping the leverage loses: moments by quadrature, tails by simulation, each inequality by itself."""

from itertools import cycle

import mpmath as mp
import numpy as np
import pytest
from catalogue import DEFINITIONS, EVERY
from scipy.integrate import quad
from width_problems import corner_problem, neurons

from underdetermined import Activation
from underdetermined.activations import get_activation
from underdetermined.bounds import WidthProblem, min_width_leverage, min_width_truncated
from underdetermined.bounds._moments import has_moments, log_norms, moment_powers
from underdetermined.bounds._truncation import Concentration, Moments, concentration, leverage_moments

# The zero function has no leverage.
NONZERO = sorted(set(EVERY) - {"hermite(0.0)"})
LIPSCHITZ = [name for name in NONZERO if EVERY[name].lipschitz is not None]
EXACT = ("exp", "relu", "squared_relu", "abs", "identity", "leaky_relu", "step")
SAMPLE = 200_000


def norm_by_quadrature(name, variance, order):
    """(E |f(sqrt(s) g)|^q)^(1/q)."""
    mp.mp.dps = 30
    root, f = mp.sqrt(mp.mpf(variance)), DEFINITIONS[name]
    # The mass of exp and of high powers is far out.
    ends = [*range(-40, 0, 4), 0, *range(4, 44, 4)]
    integral = mp.quad(lambda g: abs(f(root * g)) ** order * mp.npdf(g), ends)
    return integral ** (mp.mpf(1) / order)


@pytest.mark.parametrize(("variance", "order"), [(0.04, 2), (1.0, 12), (6.0, 4)])
@pytest.mark.parametrize("name", EXACT)
def test_moments_in_closed_form(name, variance, order):
    found = log_norms(get_activation(name), np.array([variance]), float(order))[0]
    expected = norm_by_quadrature(name, variance, order)
    assert abs(found - mp.log(expected)) < 1e-9


@pytest.mark.parametrize("name", ["exp", "relu", "squared_relu"])
def test_moments_of_broken_order(name):
    found = log_norms(get_activation(name), np.array([0.7]), 4.6)[0]
    assert abs(found - mp.log(norm_by_quadrature(name, 0.7, 4.6))) < 1e-9


@pytest.mark.parametrize(("variance", "order"), [(0.04, 6), (6.0, 2)])
@pytest.mark.parametrize("name", sorted(set(DEFINITIONS) - {*EXACT, "hermite"}))
def test_moments_that_are_bounds(name, variance, order):
    found = log_norms(get_activation(name), np.array([variance]), float(order))[0]
    excess = float(found - mp.log(norm_by_quadrature(name, variance, order)))
    assert -1e-10 < excess < 2.5


@pytest.mark.parametrize(("degree", "order"), [(1, 30), (3, 20), (10, 8), (40, 4), (100, 4)])
def test_moments_of_polynomials_are_exact(degree, order):
    """Against the coefficients of the power, multiplied out."""
    mp.mp.dps = 800
    coefficients = np.cos(np.arange(degree + 1.0))
    rows = [[mp.mpf(1)], [mp.mpf(0), mp.mpf(1)]]
    for k in range(1, degree):
        up = [mp.mpf(0), *rows[k]]
        low = [*rows[k - 1], mp.mpf(0), mp.mpf(0)]
        rows.append([(a - mp.sqrt(k) * b) / mp.sqrt(k + 1) for a, b in zip(up, low, strict=True)])
    polynomial = [mp.mpf(0)] * (degree + 1)
    for row, c in zip(rows, coefficients.tolist(), strict=False):
        for power, value in enumerate(row):
            polynomial[power] += c * value
    variance = 1.7
    power = [mp.mpf(1)]
    for _ in range(order // 2):
        power = [
            mp.fsum(power[i] * polynomial[k - i] for i in range(max(0, k - degree), min(k, len(power) - 1) + 1))
            for k in range(len(power) + degree)
        ]
    # E P^2 of the root of the power, as a sum over its own monomials.
    gaussian = [mp.mpf(0) if k % 2 else mp.fac2(k - 1) * mp.mpf(variance) ** (k // 2) for k in range(2 * len(power))]
    moment = mp.fsum(a * b * gaussian[i + j] for i, a in enumerate(power) for j, b in enumerate(power) if (i + j) % 2 == 0)
    activation = EVERY["hermite"].__class__("hermite", tuple(coefficients.tolist()))
    found = log_norms(activation, np.array([variance, variance, 0.0]), float(order))
    assert abs(found[0] - mp.log(moment) / order) < 1e-10
    assert found[0] == found[1]
    assert found[2] == pytest.approx(np.log(abs(activation.value(0.0))), abs=1e-12)


@pytest.mark.parametrize("name", sorted(EVERY))
def test_moments_at_zero_variance_are_values(name):
    activation = EVERY[name]
    found = log_norms(activation, np.array([0.0, 1.0]), 4.0)
    with np.errstate(divide="ignore"):
        expected = np.log(np.abs(activation.value(0.0)))
    np.testing.assert_allclose(found[0], expected, atol=1e-12)
    assert not np.isnan(found[1])


def test_moments_out_of_range_are_logarithms():
    exp, relu = get_activation("exp"), get_activation("relu")
    assert log_norms(exp, np.array([1e6]), 100.0)[0] == 5e7
    assert np.isfinite(log_norms(relu, np.array([1e300]), 120.0)).all()
    assert np.isinf(log_norms(get_activation("hermite"), np.array([1e80]), 4.0)).all()


def test_what_is_not_declared_has_no_moments():
    bare = Activation("mine", function=np.tanh)
    assert not has_moments(bare)
    with pytest.raises(ValueError, match="declare its bound or lipschitz"):
        log_norms(bare, np.ones(1), 2.0)
    # A user's function of a catalogue name is not that of the catalogue.
    assert not has_moments(Activation("exp", function=np.tanh))
    assert has_moments(Activation("mine", function=np.square, homogeneous=2))
    assert (moment_powers(get_activation("hermite")) % 1.0 == 0.0).all()


@pytest.mark.parametrize("name", LIPSCHITZ)
def test_the_root_of_the_leverage_is_lipschitz(rng, name):
    problem = WidthProblem.from_data(rng.standard_normal((6, 2)), activation=name, bias_scale=0.5)
    slope = concentration(problem).lipschitz
    start, step = rng.standard_normal((3, 5000)), rng.standard_normal((3, 5000)) * 10.0 ** rng.uniform(-3, 1, 5000)
    roots = [
        np.sqrt(problem.leverage(problem.activation.value(problem.augmented @ weights))) for weights in (start, start + step)
    ]
    ratio = np.abs(roots[1] - roots[0]) / np.linalg.norm(step, axis=0)
    assert ratio.max() <= slope * (1.0 + 1e-9)
    assert slope <= 40.0 * max(ratio.max(), 1e-3 * slope)


@pytest.mark.parametrize("name", ["relu", "erf"])
def test_the_best_majorant_bounds_the_slope(rng, name):
    rows = np.vstack([rng.standard_normal((6, 2)), [[30.0, 0.0]]])
    problem = WidthProblem.from_data(rows, activation=name, bias_scale=0.5)
    slopes = [
        problem.activation.lipschitz * np.linalg.norm(np.sqrt(majorant)[:, np.newaxis] * problem.augmented, 2)
        for majorant in problem.majorants
    ]
    assert max(slopes) > 1.5 * min(slopes)
    assert concentration(problem).lipschitz == pytest.approx(min(slopes))


@pytest.mark.parametrize("rank", [1, 20])
@pytest.mark.parametrize("lipschitz", [0.3, 5.0])
def test_the_loss_is_the_integral_of_the_tail(rank, lipschitz):
    tau, eta = Concentration(rank, lipschitz).losses()
    for index in (0, 100, 350):
        t = np.sqrt(tau[index]) - np.sqrt(rank)
        expected = quad(
            lambda v: 2.0 * (np.sqrt(rank) + v) * np.exp(-0.5 * (v / lipschitz) ** 2), t, t + 40.0 * lipschitz, epsabs=0.0
        )[0]
        assert eta[index] == pytest.approx(expected, rel=1e-8)


def test_clipping_is_below_a_power():
    """(l - tau)_+ <= l^p (p - 1)^(p - 1) / (p^p tau^(p - 1)), with equality somewhere."""
    for p in (1.1, 2.0, 7.5):
        norm = 3.0
        tau, eta = Moments(np.array([p]), np.array([np.log(norm)])).losses(1.0)
        for threshold, loss in list(zip(tau[0], eta[0], strict=True))[10::20]:
            leverage = threshold * np.geomspace(0.5, 50.0, 20_001)
            excess = np.maximum(leverage - threshold, 0.0) / (leverage / norm) ** p
            assert 0.9999 * loss < excess.max() <= loss * (1.0 + 1e-9)


@pytest.mark.parametrize(("name", "bias_scale"), list(zip(NONZERO, cycle([0.0, 0.4]), strict=False)))
def test_the_losses_are_above_simulated_ones(name, bias_scale):
    problem = corner_problem(name, weight_scale=0.5, bias_scale=bias_scale)
    leverage = problem.leverage(neurons(problem, SAMPLE // 10, seed=4))
    curves = [leverage_moments(problem).losses(1.0)]
    curves += [found.losses() for found in [concentration(problem)] if found is not None]
    for tau, eta in curves:
        pick = np.linspace(0, tau.size - 1, 60).astype(int)
        for threshold, bound in zip(tau.flat[pick], eta.flat[pick], strict=True):
            lost = np.maximum(leverage - threshold, 0.0)
            assert lost.mean() - 4.0 * lost.std() / np.sqrt(lost.size) <= bound + 1e-12 * threshold


@pytest.mark.parametrize("name", ["relu", "squared_relu", "hermite", "erf", "gelu", "abs"])
def test_the_norms_of_the_leverage_are_above_simulated_ones(name):
    problem = corner_problem(name, weight_scale=0.5)
    moments = leverage_moments(problem)
    leverage = problem.leverage(neurons(problem, SAMPLE, seed=9))
    few = moments.powers < 4.0
    for p, bound in zip(moments.powers[few], moments.log_norms[few], strict=True):
        power = leverage**p
        low = power.mean() - 4.0 * power.std() / np.sqrt(SAMPLE)
        assert np.log(max(low, 1e-300)) <= p * bound
    # Not absurdly far above them either, or it would be worth nothing.
    assert moments.log_norms[few][0] < np.log(np.mean(leverage ** moments.powers[0])) / moments.powers[0] + 4.0


@pytest.mark.parametrize("name", ["relu", "gelu", "abs", "tanh"])
def test_the_root_of_the_leverage_concentrates(name):
    problem = corner_problem(name, weight_scale=0.5)
    found = concentration(problem)
    root = np.sqrt(problem.leverage(neurons(problem, SAMPLE, seed=6)))
    for steps in (0.25, 0.5, 1.0, 1.5):
        beyond = (root > np.sqrt(problem.rank) + steps * found.lipschitz).mean()
        assert beyond <= np.exp(-0.5 * steps**2) + 4.0 / np.sqrt(SAMPLE)


def test_the_threshold_is_the_best_of_its_kind():
    problem = corner_problem("relu")
    width = min_width_truncated(problem, target="spectrum", epsilon=0.5).width
    details = min_width_truncated(problem, target="spectrum", epsilon=0.5).details
    tau, eta, remaining = (details[key] for key in ("tau", "eta", "remaining_epsilon"))
    assert (1.0 - remaining) * (1.0 - eta) == pytest.approx(0.5)
    rate = remaining + (1.0 - remaining) * np.log1p(-remaining)
    assert width == int(np.ceil(tau / ((1.0 - eta) * rate) * np.log(10.0 * problem.rank)))
    mp.mp.dps = 20
    s = details["lipschitz"]
    for t in np.linspace(0.01, 12.0, 2000) * s:
        x = t / s
        tail = float(mp.sqrt(mp.pi / 2) * mp.erfc(x / mp.sqrt(2)))
        loss = 2 * s**2 * np.exp(-(x**2) / 2) + 2 * np.sqrt(problem.rank) * s * tail
        left = (0.5 - min(loss, 0.5)) / (1.0 - min(loss, 0.5))
        cost = (np.sqrt(problem.rank) + t) ** 2 * np.log(10.0 * problem.rank)
        cost /= max((1.0 - min(loss, 0.5)) * (left + (1.0 - left) * np.log1p(-left)), 1e-300)
        assert width <= cost * 1.001 + 1.0


@pytest.mark.parametrize("name", ["step", "erf", "gaussian", "sin_cos"])
def test_for_bounded_activations_it_is_near_the_largest_leverage(rng, name):
    problem = WidthProblem.from_data(rng.standard_normal((20, 3)), activation=name)
    assert min_width_truncated(problem).width < 1.5 * min_width_leverage(problem).width


@pytest.mark.parametrize(
    ("name", "factor"), [("relu", 3e3), ("gelu", 3e4), ("erf", 2e3), ("step", 300.0), ("squared_relu", 1e5)]
)
def test_it_says_something(name, factor):
    """A bound is worth having only if it is finite and not absurd, on rows that are well apart."""
    problem = corner_problem(name, rows=2.0 * np.vstack([np.eye(8), -np.eye(8)]))
    assert problem.rank <= min_width_truncated(problem).width <= factor * problem.rank
