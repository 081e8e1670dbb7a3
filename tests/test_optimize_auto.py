"""Gradient descent with an automatic rate, and the stops that every rate has."""

import numpy as np
import pytest
from residual_objectives import Residual, exponentials, linear, powers, rosenbrock
from test_optimize import START, Quartic

from underdetermined.exponential import draw_network
from underdetermined.objectives import Exponential
from underdetermined.optimize import gradient_descent
from underdetermined.solution import Status


def largest(objective, theta):
    return float(np.linalg.eigvalsh(objective.linearize(theta).gram())[-1])


def test_the_first_rate_is_that_of_the_largest_eigenvalue(rng):
    objective = exponentials(rng, n=8)
    start = objective.initial()
    run = gradient_descent(objective, start, learning_rate="auto", max_iter=1)
    assert run.learning_rate[0] == pytest.approx(0.9 / largest(objective, start), rel=1e-9)
    np.testing.assert_array_equal(run.theta, start - run.learning_rate[0] * objective.gradient(start))


@pytest.mark.parametrize("width", [2, 4, 50, 1000])
def test_losses_never_rise_and_rates_follow_the_eigenvalue(rng, width):
    objective = exponentials(rng, n=8, width=width, size=1.0)
    points = {}
    run = gradient_descent(objective, objective.initial(), learning_rate="auto", max_iter=120, callback=points.__setitem__)
    assert (np.diff(run.value) <= 0.0).all()
    assert len(run.learning_rate) == run.n_iter == 120
    admissible = np.array([0.9 / largest(objective, points[step]) for step in range(120)])
    # The eigenvalue is up to 25 steps old, and as many steps change it by some per cent.
    assert (run.learning_rate <= 1.3 * admissible).all()
    assert run.damping is None


def test_a_wide_network_converges_at_the_rate_of_its_kernel(rng):
    objective = exponentials(rng, n=6, d=6, width=4000, size=0.1)
    run = gradient_descent(objective, objective.initial(), learning_rate="auto", max_iter=3000, loss_tol=1e-16)
    assert run.status is Status.CONVERGED
    assert run.value[-1] <= 1e-16 * run.value[0] < run.value[-2]
    eigenvalues = np.linalg.eigvalsh(objective.linearize(run.theta).gram())
    expected = np.log(1e-16) / (2.0 * np.log1p(-0.9 * eigenvalues[0] / eigenvalues[-1]))
    assert run.n_iter < 1.3 * expected


def test_a_step_that_raises_the_loss_is_taken_back():
    # Far out, the residual's own curvature is many times that of the Gram matrix.
    bend = Residual(lambda theta: np.array([10.0 + 5.0 * theta[0] ** 2]), lambda theta: np.array([[10.0 * theta[0]]]), 1)
    run = gradient_descent(bend, [0.01], learning_rate="auto", max_iter=50)
    assert run.n_rejected > 0
    assert (np.diff(run.value) <= 1e-12 * run.value[0]).all()
    assert run.value[-1] < run.value[0]


def test_a_curved_valley_is_followed_downhill():
    run = gradient_descent(rosenbrock(), [-1.2, 1.0], learning_rate="auto", max_iter=3000)
    assert (np.diff(run.value) <= 1e-12 * np.sqrt(run.value[0] * run.value[:-1])).all()
    assert run.value[-1] < 0.1 * run.value[0]


def test_a_growing_eigenvalue_is_noticed():
    # K grows from 1 to 10^8 along the way: no fixed rate serves both ends.
    steep = Residual(lambda theta: np.exp(theta) - 1e4, lambda theta: np.diag(np.exp(theta)), 1)
    run = gradient_descent(steep, [0.0], learning_rate="auto", max_iter=20000, loss_tol=1e-16)
    assert run.status is Status.CONVERGED
    assert run.theta[0] == pytest.approx(np.log(1e4), rel=1e-8)
    assert run.learning_rate[0] / run.learning_rate[-1] > 1e4


def test_a_contradiction_ends_where_rounding_hides_the_rest(rng):
    row = rng.standard_normal((1, 6))
    objective = linear(np.r_[row, row], np.array([1.0, 3.0]))
    run = gradient_descent(objective, np.zeros(6), learning_rate="auto", max_iter=200)
    assert run.value[-1] == pytest.approx(1.0)
    assert run.gradient_norm[-1] < 1e-10


def test_steps_below_rounding_are_not_called_converged():
    rng = np.random.default_rng(1)
    hidden, coef = draw_network(3, 64)
    objective = Exponential(10.0 * rng.standard_normal((6, 3)), rng.standard_normal(6), hidden, coef)
    run = gradient_descent(objective, objective.initial(), learning_rate="auto", max_iter=200)
    assert run.status is Status.ILL_CONDITIONED
    assert run.value[-1] > 0.1 * run.value[0]


def test_loss_that_overflows_at_every_step_diverges():
    cliff = Residual(lambda theta: np.where(theta == 1.0, 1.0, np.inf) * np.ones(1), lambda theta: np.ones((1, 1)), 1)
    run = gradient_descent(cliff, [1.0], learning_rate="auto", max_iter=10)
    assert (run.status, run.n_iter) == (Status.DIVERGED, 0)
    np.testing.assert_array_equal(run.theta, [1.0])


@pytest.mark.parametrize("rate", [0.1, "auto"])
def test_loss_tolerance_and_callback_end_the_run(rate):
    problem = powers()
    free = gradient_descent(problem, START, learning_rate=rate, max_iter=20)
    share = free.value[7] / free.value[0] * (1.0 + 1e-12)
    by_loss = gradient_descent(problem, START, learning_rate=rate, max_iter=20, loss_tol=share)
    by_callback = gradient_descent(
        problem, START, learning_rate=rate, max_iter=20, callback=lambda step, theta: np.bool_(step == 7)
    )
    assert (by_loss.status, by_loss.n_iter) == (Status.CONVERGED, 7)
    assert (by_callback.status, by_callback.n_iter) == (Status.MAX_ITER, 7)
    np.testing.assert_array_equal(by_loss.theta, by_callback.theta)
    np.testing.assert_array_equal(by_loss.learning_rate, free.learning_rate[:7])


def test_constant_rates_are_recorded():
    run = gradient_descent(Quartic(), START, learning_rate=0.3, max_iter=4)
    np.testing.assert_array_equal(run.learning_rate, [0.3] * 4)
    assert (run.damping, run.n_rejected) == (None, 0)


@pytest.mark.parametrize("factor", [1e-150, 1e-8, 1e8, 1e150])
def test_targets_of_any_size_end_silently(rng, factor):
    objective = exponentials(rng, size=factor)
    run = gradient_descent(objective, objective.initial(), learning_rate="auto", max_iter=50)
    assert np.isfinite(run.value).all()
    assert np.isfinite(run.theta).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(learning_rate="fast"), ValueError, "learning_rate='fast': pass a number greater than 0, 'auto' or 'cauchy'"),
        (dict(learning_rate="auto"), TypeError, "learning_rate='auto' needs objective.linearize, which Quartic does not"),
        (dict(learning_rate="auto", method="nesterov", momentum=0.5), ValueError, "does not fit method='nesterov'"),
        (dict(learning_rate="auto", method="adam"), (TypeError, ValueError), "learning_rate='auto'|method='adam'"),
        (dict(loss_tol=-1.0), ValueError, "loss_tol=-1.0 is out of range"),
    ],
)
def test_bad_arguments(arguments, error, message):
    arguments = dict(learning_rate=0.1, max_iter=2) | arguments
    with pytest.raises(error, match=message):
        gradient_descent(Quartic(), START, **arguments)


@pytest.mark.parametrize(
    ("matrix", "targets", "status"),
    [
        ([[1.0, 2.0], [1.0, 2.0]], [1.0, 3.0], Status.INCONSISTENT),
        ([[1.0], [2.0]], [1.0, 3.0], Status.LEAST_SQUARES),
        ([[1.0, 2.0], [2.0, 1.0]], [1.0, 3.0], Status.EXACT),
    ],
)
def test_every_end_has_its_status(matrix, targets, status):
    problem = linear(np.array(matrix), np.array(targets))
    run = gradient_descent(problem, np.zeros(len(matrix[0])), learning_rate="auto", max_iter=3000)
    assert run.status is status
    assert run.n_iter < 3000


def test_steps_that_leave_the_parameters_as_they_are_end_the_run():
    matrix = np.diag([1e20, 1.0])
    run = gradient_descent(linear(matrix, np.array([1e20, 1.0])), [1.0, 0.5], learning_rate="auto", max_iter=9)
    assert (run.n_iter, run.status) == (0, Status.INCONSISTENT)
    np.testing.assert_array_equal(run.theta, [1.0, 0.5])


def looks_of(problem):
    """Every point at which a problem is linearised from now on."""
    seen, linearize = [], problem.linearize

    def recorded(theta):
        seen.append(theta)
        return linearize(theta)

    problem.linearize = recorded
    return seen


def test_a_constant_eigenvalue_is_looked_at_every_25_steps():
    problem = linear(np.diag([1.0, 0.01]), np.ones(2))
    seen = looks_of(problem)
    run = gradient_descent(problem, np.zeros(2), learning_rate="auto", max_iter=200)
    assert (run.n_iter, run.n_rejected) == (200, 0)
    # At steps 0, 5, 15, 35 and then all 25.
    assert len(seen) == 4 + 165 // 25


def test_an_eigenvalue_that_changes_fast_is_looked_at_often_and_rates_recover_slowly():
    bend = Residual(lambda theta: np.array([10.0 + 5.0 * theta[0] ** 2]), lambda theta: np.array([[10.0 * theta[0]]]), 1)
    seen = looks_of(bend)
    run = gradient_descent(bend, [0.01], learning_rate="auto", max_iter=50)
    assert len(seen) > 30
    assert run.n_rejected < 100
    assert (run.learning_rate[1:] <= 2.0 * run.learning_rate[:-1]).all()


def test_a_step_that_is_taken_back_makes_the_eigenvalue_new():
    steep = Residual(lambda theta: np.exp(theta) - 1e4, lambda theta: np.diag(np.exp(theta)), 1)
    run = gradient_descent(steep, [0.0], learning_rate="auto", max_iter=300)
    # Halving alone, from 0.9 to 1e-8, takes 26.
    assert run.n_rejected < 20
    assert run.status is Status.EXACT
