"""The curvature and the worst path behind certificates of joint training, against definitions and closed forms."""

from dataclasses import replace

import mpmath
import numpy as np
import pytest
from joint_certificate_runs import Case, draw_case
from scipy.integrate import quad, solve_ivp

from underdetermined import FeatureMap
from underdetermined._decrease import efficiency
from underdetermined.joint import curvature_bound
from underdetermined.joint._curvature import Curvature, measure_curvature, row_moments
from underdetermined.joint._worst_path import WorstPath

pytestmark = pytest.mark.usefixtures("single_threaded_blas")

GROWING = Curvature(np.array([0.3, 0.1]), np.array([0.8, 1.1]), np.array([0.5, 0.6]))
CONSTANT = Curvature(np.array([2.0]), np.zeros(1), np.zeros(1))
NOWHERE = Curvature(*np.zeros((3, 1)))


def small_case(seed, **options):
    return draw_case(np.random.default_rng([41, seed]), widths=(4, 8), n_outputs=(1, 2), **options)


def moved(case, direction):
    """Parameters after a step in a direction, which is flat in the order of the Jacobian."""
    parameters = {name: values.copy() for name, values in case.parameters.items()}
    for name in case.trained:
        size = parameters[name].size
        parameters[name] = parameters[name] + direction[:size].reshape(parameters[name].shape)
        direction = direction[size:]
    return parameters


def steepest(case, rng, steps=12, h=1e-4):
    """Largest norm of the derivative of J in a unit direction that alternating maximisation finds."""
    direction, largest = rng.standard_normal(case.jacobian().shape[1]), 0.0
    for _ in range(steps):
        direction /= np.linalg.norm(direction)
        change = case.jacobian(moved(case, h * direction)) - case.jacobian(moved(case, -h * direction))
        values, right = np.linalg.svd(change / (2.0 * h), full_matrices=False)[1:]
        largest, direction = max(largest, values[0]), right[0]
    return largest


@pytest.mark.parametrize("seed", range(30))
def test_second_derivatives_are_within_the_curvature(seed):
    case = small_case(seed)
    assert steepest(case, np.random.default_rng(seed)) <= curvature_bound(case.objective(0.0)) * (1.0 + 1e-6) + 1e-9


@pytest.mark.parametrize("size", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("seed", range(8))
def test_the_jacobian_changes_no_faster(seed, size):
    case, rng = small_case(100 + seed), np.random.default_rng(seed)
    direction = rng.standard_normal(case.jacobian().shape[1])
    direction *= size / np.linalg.norm(direction)
    change = np.linalg.norm(case.jacobian(moved(case, direction)) - case.jacobian(), 2)
    assert change <= curvature_bound(case.objective(0.0), radius=size) * size * (1.0 + 1e-9)


def test_the_curvature_is_nearly_attained_by_some_networks():
    cases = [small_case(seed) for seed in range(30)]
    bounds = [curvature_bound(case.objective(0.0)) for case in cases]
    ratios = [steepest(case, np.random.default_rng(0)) / max(bound, 1e-9) for case, bound in zip(cases, bounds, strict=True)]
    assert max(ratios) > 0.95


@pytest.mark.parametrize("v", [0.0, 0.4, 7.0])
def test_one_elu_attains_the_curvature_with_both_layers(v):
    # Both derivatives are 1 to the left of zero.
    hidden = FeatureMap([[-1e-3], [0.0]], activation="elu", scale=0.7)
    case = Case(np.array([[1.2, 1.6]]), hidden, np.array([[v]]), None, np.array([2.0]), "both")
    bound = 0.5 * 0.7 * 2.0**0.5 * 2.0 * (2.0 * v + np.hypot(2.0 * v, 2.0))
    assert curvature_bound(case.objective(0.0)) == pytest.approx(bound, rel=1e-12)
    assert steepest(case, np.random.default_rng(1)) == pytest.approx(bound, rel=3e-3)


def test_the_curvature_of_the_hidden_layer_alone_is_attained():
    # tanh'' is largest where tanh^2 = 1/3.
    z = np.arctanh(3.0**-0.5)
    case = Case(np.array([[2.0]]), FeatureMap([[0.5 * z]], activation="tanh"), np.array([[3.0]]), None, np.ones(1), "hidden")
    assert curvature_bound(case.objective(0.0)) == pytest.approx(12.0 * 4.0 / 3.0**1.5, rel=1e-12)
    assert steepest(case, np.random.default_rng(1)) == pytest.approx(12.0 * 4.0 / 3.0**1.5, rel=1e-6)


def test_orthogonal_rows_have_the_constant_of_their_longest_row():
    # A hand computation: |X| = X_inf, so that second moments are no better than the product of these two.
    X = np.array([[0.5, 0.0], [0.0, 1.25]])
    hidden, coef = FeatureMap(np.ones((2, 3)), activation="tanh", scale=1.0), np.array([[1.0], [0.5], [0.0]])
    case = Case(X, hidden, coef, None, np.ones(2), "both")
    p = 4.0 / 3.0**1.5 * 1.25
    assert curvature_bound(case.objective(0.0)) == pytest.approx(1.25 * 0.5 * (p + np.hypot(p, 2.0)), rel=1e-12)


def test_the_curvature_is_below_the_product_of_largest_row_and_norm():
    # In float64, with |v| = 1: 2.0615874228901301 to be improved upon.
    X = np.array([[0.5, 1.0], [-1.0, 0.25], [0.75, -0.5]])
    p, norm = 4.0 / 3.0**1.5 * np.linalg.norm(X, axis=1).max(), np.linalg.norm(X, 2)
    assert 0.5 * norm * (p + np.hypot(p, 2.0)) == pytest.approx(2.0615874228901301, rel=1e-12)
    case = Case(X, FeatureMap(np.ones((2, 1)), activation="tanh", scale=1.0), np.ones((1, 1)), None, np.ones(3), "both")
    assert 1.8 < curvature_bound(case.objective(0.0)) < 2.0615874228901301


@pytest.mark.parametrize("seed", range(5))
def test_moments_of_rows_match_their_definitions(seed):
    rng = np.random.default_rng(seed)
    X, weight = rng.standard_normal((7, 3)), rng.uniform(0.0, 2.0, 7)
    first, second = row_moments(X, weight, has_biases=True)
    rows = np.sqrt(weight)[:, None] * np.column_stack([X, np.ones(7)])
    assert first == pytest.approx(np.linalg.norm(rows, 2), rel=1e-12)
    squares = np.array([np.outer(x, x).ravel() / np.sqrt(s) for x, s in zip(rows, weight, strict=True)])
    assert second == pytest.approx(np.linalg.norm(squares, 2), rel=1e-12)
    assert second <= first * np.linalg.norm(np.column_stack([X, np.ones(7)]), axis=1).max() * (1.0 + 1e-12)


def test_only_neurons_that_matter_are_kept():
    case = small_case(3, layers="both")
    scale = np.linspace(0.1, 2.0, case.feature_map.width)
    case.feature_map = replace(case.feature_map, scale=scale)
    case.coef = np.random.default_rng(0).uniform(1.0, 1.5, case.coef.shape) * (scale[:, np.newaxis] - 2.1) ** 2
    kept = measure_curvature(case.objective(0.0), case.scale * case.coef)
    bend, mix = kept.growth.max() / scale.max(), kept.mixing.max() / scale.max()
    assert 1 < kept.growth.size < scale.size
    sizes = np.linalg.norm(case.scale * case.coef, axis=1)
    every = Curvature(bend * sizes, bend * scale, mix * scale)
    lengths = np.geomspace(1e-3, 1e3, 20)
    np.testing.assert_allclose(kept.at(lengths), every.at(lengths), rtol=1e-12)


def beta(length):
    return float(GROWING.at(np.array([length]))[0])


@pytest.mark.parametrize("residual", [1e-8, 0.3, 1.1])
def test_the_worst_path_solves_its_equations(residual):
    path = WorstPath(GROWING, residual, 1.5, 4.0)
    sigma, decrease = solve_ivp(
        lambda length, state: [-beta(length), state[0]], (0.0, path.distance), [1.5, 0.0], rtol=1e-11, atol=1e-12
    ).y[:, -1]
    assert sigma == pytest.approx(path.end, rel=1e-4, abs=1e-5)
    assert residual * (1.0 - 1e-9) < decrease < residual * (1.0 + 1e-4)
    assert sigma >= path.end * (1.0 - 1e-9)
    assert path.top == 5.5 - path.end


def test_the_capacity_is_the_integral_up_to_the_zero():
    path = WorstPath(GROWING, 1.0, 1.5, 4.0)
    end = solve_ivp(
        lambda length, state: [-beta(length), state[0]], (0.0, 9.0), [1.5, 0.0], rtol=1e-11, atol=1e-12,
        events=type("Zero", (), {"terminal": True, "__call__": lambda self, length, state: state[0]})(),
    )  # fmt: skip
    assert path.capacity == pytest.approx(end.y[1, -1], rel=1e-4)
    assert path.capacity < end.y[1, -1]
    assert path.h == 1.0 / path.capacity


@pytest.mark.parametrize("share", [1e-9, 0.3, 0.9, 1.0 - 1e-9])
def test_a_constant_curvature_has_a_closed_form(share):
    path = WorstPath(CONSTANT, share * 9.0 / 4.0, 3.0, 10.0)
    root = np.sqrt(1.0 - share)
    assert path.h == pytest.approx(share, rel=1e-12)
    assert path.end == pytest.approx(3.0 * root, rel=1e-6)
    assert path.distance == pytest.approx(1.5 * share / (1.0 + root), rel=1e-6)


def test_the_path_is_shorter_than_the_one_in_a_ball():
    # sigma_0 = 3, |J| = 10, |rho| = 1/2, beta = 2: constants of a ball give R = 1/2, mu = 2 and a Hessian of at most 122.
    path = WorstPath(CONSTANT, 0.5, 3.0, 10.0)
    ball = mpmath.findroot(lambda r: (3 - 2 * r) * r - 1, 0.4)
    assert ball == pytest.approx(0.5)
    assert path.distance == pytest.approx((3.0 - 7.0**0.5) / 2.0, rel=1e-9)
    assert path.distance < 0.5 < 2.0 < path.end == pytest.approx(7.0**0.5, rel=1e-9)
    assert path.top**2 < 122.0


@pytest.mark.parametrize("share", [0.9, 0.99, 1.05])
@pytest.mark.parametrize("step", [0.3, 1.0])
def test_descent_on_a_parabola_needs_all_that_is_certified(share, step):
    # F = sigma t - beta t^2 / 2 has a zero of F = rho only up to rho = sigma^2 / (2 beta).
    sigma, bend, t = 3.0, 2.0, 0.0
    rho = share * sigma**2 / (2.0 * bend)
    path = WorstPath(CONSTANT, rho, sigma, sigma)
    rate = step / (sigma**2 if share > 1.0 else path.top**2)
    for _ in range(6000):
        t -= rate * (sigma * t - 0.5 * bend * t * t - rho) * (sigma - bend * t)
    assert (abs(sigma * t - 0.5 * bend * t * t - rho) < 1e-2 * rho) is (path.h < 1.0)
    assert (path.h < 1.0) is (share < 1.0)
    assert t <= min(path.distance, 1.5) * (1.0 + 1e-9)


@pytest.mark.parametrize("share", [0.01, 0.7, 0.99])
def test_newton_bounds_of_a_constant_curvature_are_those_of_kantorovich(share):
    rho = share * 9.0 / 4.0
    found = WorstPath(CONSTANT, rho, 3.0, 10.0).newton()
    with mpmath.workdps(400):
        t, bounds = mpmath.mpf(0), []
        for _ in range(len(found)):
            value = rho - 3 * t + t * t
            bounds.append(value)
            t += value / (3 - 2 * t)
        np.testing.assert_allclose(found[:6], [float(value) for value in bounds[:6]], rtol=1e-9)
    assert found[-1] < 1e-150


def test_newton_bounds_of_a_growing_curvature_follow_newton():
    found = WorstPath(GROWING, 1.0, 1.5, 4.0).newton()
    length, sigma = 0.0, 1.5
    for bound, following in zip(found[:4], found[1:5], strict=True):
        step = bound / sigma
        exact = quad(lambda u, end=length + step: (end - u) * beta(u), length, length + step, epsabs=0.0, epsrel=1e-10)[0]
        assert exact * (1.0 - 1e-9) < following < exact * (1.0 + 1e-3) + 1e-300
        sigma -= quad(beta, length, length + step)[0]
        length += step
    assert length <= WorstPath(GROWING, 1.0, 1.5, 4.0).distance * (1.0 + 1e-9)


@pytest.mark.parametrize("curvature", [GROWING, CONSTANT], ids=["growing", "constant"])
@pytest.mark.parametrize("theta", [1.0001, 1.2, 1.4])
def test_larger_steps_assume_no_more_than_follows(curvature, theta):
    start = WorstPath(curvature, 0.05, 1.5, 4.0)
    step = theta / start.top**2
    path = start.at(step)
    share = efficiency(step * path.top**2, step * 1.5**2)
    assert path.efficiency <= share * (1.0 + 1e-12)
    assert path.efficiency == pytest.approx(share, rel=1e-6)
    assert path.h >= start.h
    assert path.end <= start.end


def test_steps_that_are_too_large_have_no_path():
    assert WorstPath(CONSTANT, 0.5, 3.0, 10.0).at(0.021) is None
    assert WorstPath(CONSTANT, 2.2, 3.0, 10.0).at(0.015) is None


def test_a_jacobian_that_stays_has_the_path_of_least_squares():
    path = WorstPath(NOWHERE, 6.0, 3.0, 10.0)
    assert (path.h, path.end, path.distance, path.top) == (0.0, 3.0, 2.0, 10.0)
    assert path.newton() == (6.0, 0.0)


def test_slowed_paths_lose_more_of_the_smallest_singular_value():
    """With beta / c in place of beta and |rho| / c in place of |rho|: 3 R - 4 R^2 / 2 = 1."""
    path = WorstPath(CONSTANT, 0.5, 3.0, 10.0).slowed(0.5)
    assert (path.distance, path.end) == pytest.approx((0.5, 1.0), rel=1e-13)
