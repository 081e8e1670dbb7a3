"""The constants and the worst path behind certificates of exponential networks, each against a slow definition."""

import numpy as np
import pytest
from exponential_certificate_runs import draw_case, residual_in
from scipy.integrate import solve_ivp

from underdetermined import FeatureMap
from underdetermined._decrease import efficiency
from underdetermined.exponential._growth import exponential_error, measure_growth
from underdetermined.exponential._worst_path import WorstPath

pytestmark = pytest.mark.usefixtures("single_threaded_blas")

CASES = [draw_case(np.random.default_rng([17, index]), widths=(50, 300)) for index in range(12)]


def growth_of(case):
    kept = case.weight > 0.0
    return measure_growth(case.X[kept], case.weight[kept], case.feature_map, case.last)


def slow_growth(case):
    """alpha, beta and b from their definitions, neuron by neuron."""
    D = np.sqrt(case.weight)[:, np.newaxis] * case.exponentials(case.feature_map.weights)
    G, sizes = case.X @ case.X.T, np.linalg.norm(case.last, axis=1)
    found = []
    for column, size in zip(D.T, sizes, strict=True):
        scaled = column[:, np.newaxis] * case.X
        curved = column[:, np.newaxis] * G**2 * column
        found.append(
            size * np.array([
                np.linalg.norm(scaled @ case.X[case.weight > 0.0].T, axis=0).max(),
                np.sqrt(np.linalg.eigvalsh(curved)[-1]),
                np.linalg.norm(scaled, 2),
            ])
        )  # fmt: skip
    return np.max(found, axis=0)


@pytest.mark.parametrize("case", CASES)
def test_constants_match_their_definitions(case):
    growth = growth_of(case)
    alpha, beta, b = slow_growth(case)
    assert alpha < growth.activation < alpha * (1.0 + 1e-10)
    assert beta < growth.curvature < beta * 1.02
    assert b < growth.gradient < b * (1.0 + 1e-10)
    assert growth.curvature <= growth.activation * (1.0 + 1e-12)


@pytest.mark.parametrize("case", CASES)
def test_second_derivatives_are_within_the_curvature(case):
    beta, rng = growth_of(case).curvature, np.random.default_rng(0)
    (d, m), roots = case.feature_map.weights.shape, np.sqrt(case.weight)[:, np.newaxis]
    E = case.exponentials(case.feature_map.weights)
    largest = np.argmax(np.linalg.norm(case.last, axis=1) * np.linalg.norm(roots * E, axis=0))
    for row in case.X:
        alone = np.zeros((d, m))
        alone[:, largest] = row
        for direction in (alone, rng.standard_normal((d, m))):
            second = roots * ((E * (case.X @ direction) ** 2) @ case.last)
            assert np.linalg.norm(second) <= beta * np.sum(direction**2)


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_within_the_growth(case):
    growth, rng = growth_of(case), np.random.default_rng(1)
    E, roots, kept = case.exponentials(case.feature_map.weights), np.sqrt(case.weight)[:, np.newaxis], case.weight > 0.0
    for direction in ("random", "smallest", "largest"):
        rho = roots * residual_in(case, direction, rng)
        gradient = case.X.T @ (E * ((roots * rho) @ case.last.T))
        assert np.abs(case.X[kept] @ gradient).max() <= growth.activation
        assert np.linalg.norm(gradient, axis=0).max() <= growth.gradient


def test_constants_of_very_different_neurons_need_few_of_them():
    # A thousand neurons of weight one beside one that dominates: the same constants as of that one alone.
    rng = np.random.default_rng(4)
    case = draw_case(rng, widths=(1000,), n_outputs=(1,))
    case.feature_map.weights[:, 700] *= 4.0
    alpha, beta, b = slow_growth(case)
    growth = growth_of(case)
    assert growth.activation == pytest.approx(alpha, rel=1e-9)
    assert growth.gradient == pytest.approx(b, rel=1e-9)
    assert beta < growth.curvature < 1.02 * beta


def test_neurons_with_small_traces_may_matter_most():
    # A hundred neurons alike on all rows, and one that is large on one row alone and comes last by the trace.
    weights = np.zeros((8, 101))
    weights[:, 100] = -9.0
    weights[0, 100] = 0.5 * np.log(7.0)
    growth = measure_growth(np.eye(8), np.ones(8), FeatureMap(weights, activation="exp", scale=1.0), np.ones((101, 1)))
    for value in (growth.activation, growth.curvature, growth.gradient):
        assert value == pytest.approx(np.sqrt(7.0), rel=1e-9)


def test_the_error_of_exponentials_is_allowed_for():
    # Against long double, rows and weights large enough for visible errors.
    rng = np.random.default_rng(2)
    case = draw_case(rng, widths=(1000,), n_outputs=(1,))
    case.X *= 10.0
    shift = np.longdouble(case.feature_map.row_shift) * np.sum(case.X.astype(np.longdouble) ** 2, axis=1)
    exact = np.exp(case.X.astype(np.longdouble) @ case.feature_map.weights - shift[:, np.newaxis])
    error = np.abs(case.exponentials(case.feature_map.weights) / exact - 1.0).max()
    assert 1e-16 < error <= exponential_error(case.X, case.feature_map)


@pytest.mark.parametrize("seed", range(10))
def test_constants_hold_in_exact_arithmetic(seed):
    # Exponents of size 100, whose rounding shows in the exponentials.
    rng = np.random.default_rng([6, seed])
    X, weights = rng.standard_normal((3, 20)), 10.0 * rng.standard_normal((20, 1))
    rows = X.astype(np.longdouble)
    exact = np.sqrt(((rows @ rows.T) ** 2 @ np.exp(rows @ weights) ** 2).max())
    growth = measure_growth(X, np.ones(3), FeatureMap(weights, activation="exp", scale=1.0), np.ones((1, 1)))
    assert exact <= growth.activation <= exact * (1.0 + 1e-11)


@pytest.mark.parametrize(("alpha", "beta", "share"), [(1.0, 1.0, 1.0), (3.0, 0.5, 1.0), (2.0, 1.9, 0.6)])
@pytest.mark.parametrize("h", [1e-6, 0.3, 0.97])
def test_the_worst_path_solves_its_equations(alpha, beta, share, h):
    lowest, highest = 0.7, 2.0
    size = h * share * lowest**2 / (alpha + 2.0 * beta / share)
    path = WorstPath(alpha, beta, size, lowest, highest, share)
    assert path.h == pytest.approx(h, rel=1e-12)

    def slopes(_, state):
        sigma, kappa, _ = state
        return [-beta / share * np.exp(kappa), alpha * np.exp(kappa) / sigma, -share * sigma]

    end = solve_ivp(slopes, (0.0, path.distance), [lowest, 0.0, size], rtol=1e-11, atol=1e-15).y[:, -1]
    assert path.end == pytest.approx(end[0], rel=1e-7)
    assert path.drift == pytest.approx(end[1], rel=1e-6)
    assert abs(end[2]) < 1e-8 * size
    assert path.top == pytest.approx(highest + lowest - end[0], rel=1e-9)


@pytest.mark.parametrize("theta", [0.2, 1.0, 1.01, 1.3, 1.9, 1.99])
@pytest.mark.parametrize("ratio", [1e-6, 0.05, 0.3, 0.9, 1.0])
def test_steps_are_as_efficient_as_their_worst_spectrum(theta, ratio):
    low = ratio * theta
    c = efficiency(theta, low)
    share = 1.0 - np.concatenate([[0.0], np.geomspace(1e-9, 1.0, 20001)])
    size = np.sqrt(share * (1.0 - low) ** 2 + (1.0 - share) * (1.0 - theta) ** 2)
    found = ((1.0 - size) / np.sqrt(low * (share * low + (1.0 - share) * theta))).min()
    assert c <= found * (1.0 + 1e-9) + 1e-12
    assert c == pytest.approx(min(found, 1.0), rel=1e-3)
    rng = np.random.default_rng(3)
    eigenvalues, weights = rng.uniform(low, theta, (500, 6)), rng.dirichlet(np.full(6, 0.3), 500)
    size = np.sqrt(np.sum(weights * (1.0 - eigenvalues) ** 2, axis=1))
    slope = np.sqrt(low * np.sum(weights * eigenvalues, axis=1))
    assert (1.0 - size >= c * slope * (1.0 - 1e-12)).all()


@pytest.mark.parametrize("step", [0.3, 1.0, 1.5, 1.9])
def test_the_path_of_large_steps_keeps_what_it_assumed(step):
    start = WorstPath(2.0, 1.5, 1e-5, 0.3, 1.0)
    path = start.at(step)
    theta = step * path.top**2
    assert path.efficiency <= efficiency(theta, step * 0.09) * (1.0 + 1e-12)
    assert path.efficiency == pytest.approx(efficiency(theta, step * 0.09), rel=1e-6)
    assert path.h >= start.h
