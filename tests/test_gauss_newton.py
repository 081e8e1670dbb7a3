"""Gauss-Newton steps against dense formulas, and whole runs against other libraries."""

from dataclasses import replace

import numpy as np
import pytest
from residual_objectives import Residual, exponentials, linear, rosenbrock
from scipy.optimize import least_squares, minimize

from underdetermined.objectives import Exponential
from underdetermined.optimize import _gauss_newton, gauss_newton
from underdetermined.optimize._tangent_system import TangentSystem
from underdetermined.solution import Status

SOLVERS = ["direct", "cg", "auto"]


def dense(objective, theta):
    """Residual and Jacobian as arrays."""
    linearization = objective.linearize(theta)
    return linearization.residual, linearization.jacobian @ np.eye(objective.n_parameters)


def iterates(objective, theta, **options):
    """All iterates of a run, and the run."""
    seen = {}
    run = gauss_newton(objective, theta, callback=seen.__setitem__, **options)
    assert list(seen) == list(range(run.n_iter + 1))
    return list(seen.values()), run


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("shape", "status"), [((5, 20), Status.EXACT), ((20, 5), Status.LEAST_SQUARES)])
def test_an_undamped_step_solves_a_linear_problem(rng, shape, status, solver):
    matrix, targets, start = rng.standard_normal(shape), rng.standard_normal(shape[0]), rng.standard_normal(shape[1])
    run = gauss_newton(linear(matrix, targets), start, damping=0.0, solver=solver)
    expected = start + np.linalg.pinv(matrix) @ (targets - matrix @ start)
    np.testing.assert_allclose(run.theta, expected, rtol=1e-9)
    assert run.status is status
    assert run.n_iter < 10


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("shape", [(5, 20), (20, 5)])
def test_the_penalty_of_a_linear_problem_is_a_ridge(rng, shape, solver):
    matrix, targets, start = rng.standard_normal(shape), rng.standard_normal(shape[0]), rng.standard_normal(shape[1])
    run = gauss_newton(linear(matrix, targets), start, alpha=0.7, damping=0.0, solver=solver)
    ridge = np.linalg.solve(matrix.T @ matrix + 0.7 * np.eye(shape[1]), matrix.T @ (targets - matrix @ start))
    np.testing.assert_allclose(run.theta, start + ridge, rtol=1e-9)
    assert run.status is Status.REGULARIZED
    loss = 0.5 * np.sum((matrix @ run.theta - targets) ** 2) + 0.35 * np.sum((run.theta - start) ** 2)
    assert run.value[-1] == pytest.approx(loss, rel=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("alpha", [0.0, 0.3])
@pytest.mark.parametrize(("width", "k"), [(40, 1), (40, 3), (2, 1)])
def test_every_first_step_is_that_of_the_normal_equations(rng, width, k, alpha, solver):
    objective = exponentials(rng, width=width, k=k, symmetric=False, sample_weight=rng.uniform(0.5, 2.0, 12))
    start = objective.initial()
    run = gauss_newton(objective, start, alpha=alpha, max_iter=1, damping=500.0, solver=solver)
    residual, jacobian = dense(objective, start)
    assert (run.damping[0], run.n_rejected) == (500.0, 0)
    step = -np.linalg.solve(jacobian.T @ jacobian + (alpha + 500.0) * np.eye(len(start)), jacobian.T @ residual)
    np.testing.assert_allclose(run.theta - start, step, rtol=1e-4, atol=1e-5 * np.linalg.norm(step))


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_losses_and_gradients_of_the_record(rng, alpha):
    objective = exponentials(rng, k=2)
    points, run = iterates(objective, objective.initial(), alpha=alpha, max_iter=5)
    away = [point - points[0] for point in points]
    losses = [objective.value(p) + 0.5 * alpha * u @ u for p, u in zip(points, away, strict=True)]
    slopes = [np.linalg.norm(objective.gradient(p) + alpha * u) for p, u in zip(points, away, strict=True)]
    np.testing.assert_allclose(run.value[:4], losses[:4], rtol=1e-8)
    np.testing.assert_allclose(run.gradient_norm[:4], slopes[:4], rtol=1e-8)
    assert len(run.value) == len(run.gradient_norm) == run.n_iter + 1 == len(run.damping) + 1
    assert run.learning_rate is None
    assert (np.diff(run.value) < 0.0).all()
    np.testing.assert_array_equal(points[-1], run.theta)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("k", [1, 3])
def test_wide_networks_interpolate(rng, k, solver):
    objective = exponentials(rng, k=k)
    run = gauss_newton(objective, objective.initial(), loss_tol=1e-16, solver=solver)
    assert run.status is Status.CONVERGED
    assert run.value[-1] <= 1e-16 * run.value[0] < run.value[-2]
    assert run.n_iter < 25


@pytest.mark.parametrize("damping", ["auto", 1e3])
def test_the_last_steps_are_quadratic(rng, damping):
    objective = exponentials(rng, n=8, width=2000)
    run = gauss_newton(objective, objective.initial(), damping=damping)
    residuals = np.sqrt(run.value / run.value[0])
    before, after = residuals[:-1], residuals[1:]
    late = (before < 3e-2) & (after > 1e-12)
    assert run.status is Status.EXACT
    assert late.any()
    assert (after[late] < 10.0 * before[late] ** 1.7).all()
    assert residuals[-1] < 1e-13


@pytest.mark.parametrize("solver", ["direct", "cg"])
def test_the_damping_falls_with_the_loss(solver):
    # Of one eigenvalue, 1, and linear: a step leaves mu / (1 + mu) of the residual, and every one is worth its promise.
    run = gauss_newton(linear(np.eye(2, 5), np.array([3.0, 4.0])), np.zeros(5), damping=1.0, loss_tol=1e-24, solver=solver)
    expected, damping, loss = [], 1.0, 12.5
    while loss > 1e-23:
        expected.append((damping, loss))
        reduction = (damping / (1.0 + damping)) ** 2
        damping, loss = max(damping * reduction / 3.0, 1e-13), loss * reduction
    assert len(expected) == 4
    np.testing.assert_allclose(run.damping[:4], [damping for damping, _ in expected], rtol=1e-5)
    np.testing.assert_allclose(run.value[:4], [loss for _, loss in expected], rtol=1e-5)


def test_runs_end_at_the_level_of_rounding(rng):
    for seed in range(4):
        objective = exponentials(np.random.default_rng(seed), n=8, width=2000)
        run = gauss_newton(objective, objective.initial())
        residuals = np.sqrt(run.value / run.value[0])
        assert run.status is Status.EXACT
        assert 0 < residuals[-1] < 1e-14
        assert (residuals < 1.5e-14).sum() <= 3


def test_a_curved_valley_ends_at_its_solution():
    run = gauss_newton(rosenbrock(), [-1.2, 1.0])
    np.testing.assert_allclose(run.theta, [1.0, 1.0], rtol=1e-12)
    assert run.n_iter < 40


def test_a_tall_problem_has_the_least_squares_of_scipy(rng):
    objective = exponentials(rng, n=40, width=2, symmetric=False, size=1.0)
    start = objective.initial()
    run = gauss_newton(objective, start, max_iter=1000)
    best = least_squares(
        lambda theta: dense(objective, theta)[0],
        run.theta,
        jac=lambda theta: dense(objective, theta)[1],
        method="lm",
        ftol=1e-15,
        xtol=1e-15,
        gtol=1e-15,
    )
    assert run.status is Status.LEAST_SQUARES
    assert run.value[-1] == pytest.approx(best.cost, rel=1e-9)
    assert run.value[-1] < 0.9 * run.value[0]


def test_the_penalised_minimum_is_that_of_a_general_optimiser(rng):
    objective = exponentials(rng, n=6, width=10, symmetric=False)
    start = objective.initial()
    run = gauss_newton(objective, start, alpha=0.5, max_iter=500)

    def loss(theta):
        value, gradient = objective.value_and_gradient(theta)
        return value + 0.25 * (theta - start) @ (theta - start), gradient + 0.5 * (theta - start)

    other = minimize(loss, start, jac=True, method="L-BFGS-B", options=dict(ftol=0.0, gtol=1e-10))
    assert run.status is Status.REGULARIZED
    np.testing.assert_allclose(run.theta, other.x, atol=1e-5)
    assert run.value[-1] <= other.fun * (1.0 + 1e-12)


def test_solvers_agree(rng):
    objective = exponentials(rng, k=2)
    runs = [gauss_newton(objective, objective.initial(), max_iter=6, solver=solver) for solver in SOLVERS]
    for run in runs[1:]:
        np.testing.assert_allclose(run.theta, runs[0].theta, rtol=1e-5, atol=1e-6)


def test_the_same_run_twice_has_the_same_bits(rng):
    objective = exponentials(rng)
    single = Exponential(objective.X, objective.targets, objective.feature_map, objective.coef)
    runs = [gauss_newton(each, objective.initial()) for each in (objective, single)]
    np.testing.assert_array_equal(runs[0].theta, runs[1].theta)
    np.testing.assert_array_equal(runs[0].damping, runs[1].damping)


def test_rejected_steps_are_counted_and_the_loss_never_rises():
    steep = Residual(lambda theta: np.arctan(theta), lambda theta: np.diag(1.0 / (1.0 + theta**2)), 2)
    wild = gauss_newton(steep, [3.0, -2.0], damping=0.0)
    assert wild.n_rejected > 0
    assert (np.diff(wild.value) < 0.0).all()
    np.testing.assert_allclose(wild.theta, 0.0, atol=1e-12)


def test_tolerances_and_callback_end_the_run(rng):
    objective = exponentials(rng)
    start = objective.initial()
    free = gauss_newton(objective, start)
    by_gradient = gauss_newton(objective, start, tol=free.gradient_norm[2])
    by_loss = gauss_newton(objective, start, loss_tol=free.value[2] / free.value[0] * (1.0 + 1e-9))
    by_callback = gauss_newton(objective, start, callback=lambda step, theta: np.bool_(step == 2))
    by_count = gauss_newton(objective, start, max_iter=2)
    for run in (by_loss, by_callback, by_count):
        np.testing.assert_array_equal(run.theta, by_gradient.theta)
    statuses = [run.status for run in (by_gradient, by_loss, by_callback, by_count)]
    assert statuses == [Status.CONVERGED, Status.CONVERGED, Status.MAX_ITER, Status.MAX_ITER]
    at_once = gauss_newton(objective, start, max_iter=0)
    assert (at_once.n_iter, len(at_once.damping), at_once.status) == (0, 0, Status.MAX_ITER)


def test_parameters_of_the_caller_are_safe(rng):
    objective = exponentials(rng)
    start = objective.initial()
    before, kept = start.copy(), []
    run = gauss_newton(objective, start, max_iter=2, callback=lambda step, theta: kept.append(theta))
    run.theta[0] = 7.0
    gauss_newton(objective, start, max_iter=0).theta[0] = 7.0
    np.testing.assert_array_equal(start, before)
    assert [theta.flags.writeable for theta in kept] == [False] * 3
    assert kept[-1][0] != 7.0


def test_float32_start_and_weights_of_zero(rng):
    objective = exponentials(rng, sample_weight=np.r_[0.0, 1.0, np.ones(10)])
    whole = exponentials(np.random.default_rng(0))
    weighted = replace(whole, sample_weight=np.r_[np.zeros(2), np.ones(10)])
    fewer = replace(whole, X=whole.X[2:], targets=whole.targets[2:], sample_weight=None)
    runs = [gauss_newton(each, whole.initial(), max_iter=5) for each in (weighted, fewer)]
    np.testing.assert_allclose(runs[0].value[:3], runs[1].value[:3], rtol=1e-7)
    assert gauss_newton(objective, objective.initial().astype(np.float32), max_iter=1).theta.dtype == np.float64


@pytest.mark.parametrize("solver", ["direct", "cg"])
@pytest.mark.parametrize("shape", [(4, 9), (9, 4)])
def test_the_bend_of_a_step_is_the_second_derivative_along_it(rng, shape, solver):
    # Difference quotients of a quadratic function are exact.
    slopes, bends = rng.standard_normal(shape), rng.standard_normal((shape[0], shape[1], shape[1]))
    bends += bends.transpose(0, 2, 1)
    curved = Residual(
        lambda theta: 1.0 + slopes @ theta + 0.5 * (bends @ theta) @ theta, lambda theta: slopes + bends @ theta, shape[1]
    )
    theta, delta = rng.standard_normal(shape[1]), rng.standard_normal(shape[1])
    system = TangentSystem(curved.linearize(theta), solver)
    found = system.correction(delta, curved.function(theta + 0.1 * delta), 0.1, 0.4)
    jacobian = curved.jacobian(theta)
    expected = -np.linalg.solve(jacobian.T @ jacobian + 0.4 * np.eye(shape[1]), jacobian.T @ ((bends @ delta) @ delta)) / 2.0
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.linalg.norm(expected))


def test_the_bend_of_exponentials_is_near_their_second_derivative(rng):
    objective = exponentials(rng, k=2, sample_weight=rng.uniform(0.5, 2.0, 12))
    theta, delta = objective.initial(), 0.3 * rng.standard_normal(objective.n_parameters)
    tiny = 1e-3
    ahead, behind = (dense(objective, theta + sign * tiny * delta)[0] for sign in (1.0, -1.0))
    residual, jacobian = dense(objective, theta)
    second = (ahead - 2.0 * residual + behind) / tiny**2
    expected = -0.5 * jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + 0.4 * np.eye(24), second)
    system = TangentSystem(objective.linearize(theta), "direct")
    found = system.correction(delta, dense(objective, theta + 0.1 * delta)[0], 0.1, 0.4)
    assert np.linalg.norm(found - expected) < 0.1 * np.linalg.norm(expected)


def test_bent_steps_need_fewer_iterations(monkeypatch):
    problems = [exponentials(np.random.default_rng(seed), n=30, width=60, size=1.0) for seed in range(3)]

    def total():
        runs = [gauss_newton(each, each.initial(), loss_tol=1e-16) for each in problems]
        assert {run.status for run in runs} == {Status.CONVERGED}
        return sum(run.n_iter for run in runs)

    bent = total()
    monkeypatch.setattr(_gauss_newton, "_BENT", 0.0)
    assert bent < 0.8 * total()
