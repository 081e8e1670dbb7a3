"""Rates that are found: Cauchy's, and rate and momentum of the heavy ball."""

import numpy as np
import pytest
from residual_objectives import Residual, exponentials, linear, powers, rosenbrock

from underdetermined.objectives import LeastSquares
from underdetermined.optimize import _heavy_ball, gradient_descent
from underdetermined.solution import Status


def spectrum(rng, values, n_parameters=40):
    """A wide linear problem whose tangent matrix has these eigenvalues, with a residual of one in each direction."""
    left = np.linalg.qr(rng.standard_normal((len(values), len(values))))[0]
    right = np.linalg.qr(rng.standard_normal((n_parameters, len(values))))[0]
    return linear(left * np.sqrt(values) @ right.T, left @ np.ones(len(values)))


def heavy_ball(objective, start, **options):
    return gradient_descent(objective, start, learning_rate="auto", method="heavy_ball", **options)


@pytest.mark.parametrize("k", [1, 3])
def test_cauchy_rates_minimise_the_linearised_loss(rng, k):
    objective = exponentials(rng, k=k, sample_weight=rng.uniform(0.5, 2.0, 12))
    start = objective.initial()
    run = gradient_descent(objective, start, learning_rate="cauchy", max_iter=1)
    gradient, linear_model = objective.gradient(start), objective.linearize(start)
    change = linear_model.jacobian @ gradient
    rates = run.learning_rate[0] * np.array([1.0, 0.999, 1.001])
    losses = [0.5 * np.sum((linear_model.residual - rate * change) ** 2) for rate in rates]
    assert losses[0] < min(losses[1:])
    assert run.n_rejected == 0
    np.testing.assert_allclose(run.theta, start - rates[0] * gradient, rtol=1e-14)


def test_cauchy_steps_of_a_linear_problem_are_those_of_steepest_descent(rng):
    objective = spectrum(rng, np.array([1.0, 0.3, 0.1]))
    theta, matrix = np.zeros(40), objective.jacobian(None)
    run = gradient_descent(objective, theta, learning_rate="cauchy", max_iter=20)
    for value in run.value:
        gradient = objective.gradient(theta)
        assert value == pytest.approx(objective.value(theta), rel=1e-9)
        theta = theta - gradient * (gradient @ gradient) / np.sum((matrix @ gradient) ** 2)


def test_cauchy_rates_are_halved_where_the_residual_curves():
    # A Newton step for arctan overshoots from beyond 1.39.
    steep = Residual(lambda theta: np.arctan(theta), lambda theta: np.diag(1.0 / (1.0 + theta**2)), 1)
    run = gradient_descent(steep, [3.0], learning_rate="cauchy", max_iter=30, loss_tol=1e-20)
    assert run.n_rejected > 0
    assert (np.diff(run.value) < 0.0).all()
    assert run.status is Status.CONVERGED


@pytest.mark.parametrize("learning_rate", ["auto", "cauchy"])
def test_where_nothing_moves_the_status_says_so(learning_rate):
    flat = Residual(lambda theta: np.ones(2), lambda theta: np.zeros((2, 3)), 3)
    run = gradient_descent(flat, np.zeros(3), learning_rate=learning_rate, max_iter=5)
    assert (run.status, run.n_iter) == (Status.INCONSISTENT, 0)


@pytest.mark.parametrize("condition", [4.0, 73.0, 1000.0])
def test_the_rate_of_convergence_is_that_of_the_square_root_of_the_condition_number(rng, condition):
    objective = spectrum(rng, np.geomspace(1.0, 1.0 / condition, 12))
    run = heavy_ball(objective, np.zeros(40), max_iter=10**4, loss_tol=1e-8)
    root = np.sqrt(1.5 * condition)
    expected = np.log(1e-4) / np.log((root - 1.0) / (root + 1.0))
    assert run.status is Status.CONVERGED
    assert run.n_rejected == 0
    assert 0.8 * expected < run.n_iter < 1.4 * expected + 5
    plain = gradient_descent(objective, np.zeros(40), learning_rate="auto", max_iter=10**5, loss_tol=1e-8)
    assert run.n_iter < plain.n_iter


def test_rate_and_momentum_are_those_of_the_formula(rng):
    objective = spectrum(rng, np.array([9.0, 2.0, 1.0]))
    points = []
    run = heavy_ball(objective, np.zeros(40), max_iter=4, callback=lambda step, theta: points.append(theta))
    top, bottom = np.sqrt(1.2 * 9.0), np.sqrt(0.8)
    rate, momentum = 4.0 / (top + bottom) ** 2, ((top - bottom) / (top + bottom)) ** 2
    np.testing.assert_allclose(run.learning_rate, [rate / (1.0 + momentum), rate, rate, rate], rtol=1e-9)
    for before, here, after in zip(points, points[1:], points[2:], strict=False):
        expected = here - rate * objective.gradient(here) + momentum * (here - before)
        np.testing.assert_allclose(after, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("width", [20, 400])
def test_networks_converge_sooner_than_by_gradient_descent(rng, width):
    objective = exponentials(rng, n=8, d=6, width=width)
    start = objective.initial()
    plain = gradient_descent(objective, start, learning_rate="auto", max_iter=10**4, loss_tol=1e-8)
    run = heavy_ball(objective, start, max_iter=10**4, loss_tol=1e-8)
    assert run.status is plain.status is Status.CONVERGED
    assert run.n_iter < 0.5 * plain.n_iter
    assert len(run.learning_rate) == run.n_iter == len(run.value) - 1


def test_a_loss_that_rises_begins_anew_from_the_best(rng):
    run = heavy_ball(rosenbrock(), [-1.2, 1.0], max_iter=20000, loss_tol=1e-12)
    assert run.n_rejected > 0
    assert run.status is Status.CONVERGED
    assert run.value.max() <= run.value[0]


def test_singular_and_large_matrices_have_a_floor(rng, monkeypatch):
    objective = spectrum(rng, np.array([1.0, 0.1, 0.0]))
    singular = heavy_ball(objective, np.zeros(40), max_iter=2)
    root = np.sqrt(0.8e-6)
    assert singular.learning_rate[1] == pytest.approx(4.0 / (np.sqrt(1.2) + root) ** 2, rel=1e-6)
    regular = spectrum(rng, np.array([1.0, 0.1, 0.05]))
    assert heavy_ball(regular, np.zeros(40), max_iter=2).learning_rate[1] < 0.9 * singular.learning_rate[1]
    monkeypatch.setattr(_heavy_ball, "_LARGEST_ORDER", 2)
    large = heavy_ball(regular, np.zeros(40), max_iter=2)
    assert large.learning_rate[1] == pytest.approx(singular.learning_rate[1], rel=1e-6)


def test_tall_problems_reach_their_least_squares(rng):
    matrix, targets = rng.standard_normal((30, 5)), rng.standard_normal(30)
    run = heavy_ball(linear(matrix, targets), np.zeros(5), max_iter=2000, tol=1e-10)
    assert run.status is Status.CONVERGED
    np.testing.assert_allclose(run.theta, np.linalg.lstsq(matrix, targets)[0], rtol=1e-9)


def test_overflow_is_named():
    wall = Residual(lambda theta: 1.0 + theta, lambda theta: np.full((1, 1), np.inf), 1)
    wall.gradient = lambda theta: 1.0 + theta
    run = heavy_ball(wall, [1.0], max_iter=5)
    assert (run.status, run.n_iter) == (Status.DIVERGED, 0)


def test_flat_bottoms_end_the_run():
    run = heavy_ball(powers(), [0.5, 0.4], max_iter=3000)
    assert run.value[-1] < 1e-6 * run.value[0]


def test_arguments_that_do_not_fit(rng):
    objective = exponentials(rng)
    start = objective.initial()
    with pytest.raises(ValueError, match="momentum=0.5 has no effect where the learning rate is found"):
        heavy_ball(objective, start, max_iter=1, momentum=0.5)
    with pytest.raises(ValueError, match="learning_rate='cauchy' does not fit method='heavy_ball'"):
        gradient_descent(objective, start, learning_rate="cauchy", max_iter=1, method="heavy_ball")
    plain = LeastSquares([[1.0, 2.0]], [5.0])
    with pytest.raises(TypeError, match="learning_rate='cauchy' needs objective.linearize"):
        gradient_descent(plain, np.zeros(2), learning_rate="cauchy", max_iter=1)


def test_a_smallest_eigenvalue_that_is_known_is_taken(rng):
    objective = spectrum(rng, np.array([1.0, 0.1, 0.05]))
    inner = objective.linearize

    def linearize(theta):
        result = inner(theta)
        result.smallest_eigenvalue = 0.3
        return result

    objective.linearize = linearize
    rate = heavy_ball(objective, np.zeros(40), max_iter=2).learning_rate[1]
    assert rate == pytest.approx(4.0 / (np.sqrt(1.2) + np.sqrt(0.24)) ** 2, rel=1e-6)
