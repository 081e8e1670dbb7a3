"""Gauss-Newton on networks trained in both layers: many outputs, few parameters, stalls."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from underdetermined import FeatureMap
from underdetermined.joint import draw_network
from underdetermined.objectives import TwoLayer
from underdetermined.optimize import _tangent_system, gauss_newton, gradient_descent
from underdetermined.optimize._tangent_system import select_solver
from underdetermined.solution import Status


def network(rng, n=25, d=3, width=60, k=1, targets=None, **options):
    rows = rng.standard_normal((n, d))
    hidden, coef = draw_network(d, width, k, bias_scale=0.0, seed=int(rng.integers(1000)))
    return TwoLayer(rows, rng.standard_normal((n, k)) if targets is None else targets, hidden, coef, **options)


@pytest.mark.parametrize("weighted", [False, True])
def test_steps_by_conjugate_gradients_are_those_of_the_factor(rng, monkeypatch, weighted):
    monkeypatch.setattr(_tangent_system, "_CG_TOL_OF_OUTPUTS", 1e-10)
    weights = {True: rng.uniform(0.1, 3.0, 25), False: None}[weighted]
    objective = network(rng, k=4, sample_weight=weights)
    start = objective.initial()
    runs = [gauss_newton(objective, start, solver=each, damping=1.0, max_iter=3) for each in ("cg", "direct")]
    np.testing.assert_allclose(runs[0].theta, runs[1].theta, rtol=1e-6, atol=1e-8)


def test_the_matrix_of_one_output_saves_most_iterations(rng, monkeypatch):
    objective, counts = network(rng, n=30, width=100, k=4), []
    inner = _tangent_system.conjugate_gradients

    def counting(*arguments, **options):
        result = inner(*arguments, **options | dict(rtol=1e-6))
        counts.append(result[1])
        return result

    monkeypatch.setattr(_tangent_system, "conjugate_gradients", counting)
    gauss_newton(objective, objective.initial(), solver="cg", damping=1.0, max_iter=1)
    with_it = counts.pop(0)
    counts.clear()
    monkeypatch.setattr(_tangent_system, "nystrom", lambda apply, order: lambda vectors: vectors.copy())
    monkeypatch.setattr(_tangent_system.TangentSystem, "_of_outputs", lambda self, damping: None)
    gauss_newton(objective, objective.initial(), solver="cg", damping=1.0, max_iter=1)
    assert 1 < with_it < 0.3 * counts[0]


@pytest.mark.parametrize(("n_outputs", "rows", "solver"), [(1, 20000, "direct"), (10, 2000, "cg"), (2, 200, "direct")])
def test_many_outputs_choose_conjugate_gradients(monkeypatch, n_outputs, rows, solver):
    monkeypatch.setattr(_tangent_system, "available_memory", lambda: None)
    assert select_solver("auto", (n_outputs * rows, 50000), n_outputs) == solver
    assert select_solver("direct", (n_outputs * rows, 50000), n_outputs) == "direct"


def test_a_network_of_many_outputs_tells_their_number(rng):
    objective = network(rng, n=120, width=100, k=10)
    auto, cg = (gauss_newton(objective, objective.initial(), solver=each, max_iter=1) for each in ("auto", "cg"))
    np.testing.assert_array_equal(auto.theta, cg.theta)


def test_classes_are_fitted_without_the_whole_matrix(rng):
    labels = np.eye(6)[rng.integers(6, size=40)]
    objective = network(rng, n=40, width=150, k=6, targets=labels)
    run = gauss_newton(objective, objective.initial(), solver="cg", loss_tol=1e-12)
    assert run.status is Status.CONVERGED
    assert run.n_iter < 25
    np.testing.assert_allclose(objective.residual(run.theta), 0.0, atol=1e-5)


def test_few_parameters_reach_the_minimum_of_scipy(rng):
    teacher = network(rng, n=80, d=2, width=3)
    targets = -teacher.residual(teacher.initial()) - teacher.targets + 0.05 * rng.standard_normal((80, 1))
    objective = TwoLayer(teacher.X, -targets, teacher.feature_map, teacher.coef)
    start = objective.initial() + 0.3 * rng.standard_normal(12)
    run = gauss_newton(objective, start, max_iter=300)
    best = least_squares(
        lambda theta: objective.linearize(theta).residual,
        run.theta,
        jac=lambda theta: objective.linearize(theta).dense(),
        method="lm",
    )
    assert run.status is Status.LEAST_SQUARES
    assert run.value[-1] == pytest.approx(best.cost, rel=1e-9)
    assert run.value[-1] < 0.5 * run.value[0]
    assert np.isnan(run.weak_share)


@pytest.mark.parametrize("width", [3, 60])
def test_matrices_are_formed_once_for_every_iterate(rng, monkeypatch, width):
    objective, calls = network(rng, n=80, d=2, width=width), []
    inner = _tangent_system.DampedGram.__init__

    def counting(self, gram):
        calls.append(gram.shape)
        inner(self, gram)

    monkeypatch.setattr(_tangent_system.DampedGram, "__init__", counting)
    run = gauss_newton(objective, objective.initial(), damping=0.0, max_iter=6)
    assert run.n_rejected > 0
    assert len(calls) == run.n_iter + 1
    assert set(calls) == {(min(80, objective.n_parameters),) * 2}


def test_a_stall_is_explained_by_the_spectrum(rng):
    # Rows that nearly coincide, with unrelated targets: no smooth network of this width tells them apart in a few steps.
    rows = np.repeat(rng.standard_normal((10, 3)), 2, axis=0)
    rows[1::2] += 1e-6 * rng.standard_normal((10, 3))
    hidden, coef = draw_network(3, 40, bias_scale=0.0)
    objective = TwoLayer(rows, rng.standard_normal(20), hidden, coef)
    run = gauss_newton(objective, objective.initial(), max_iter=15, loss_tol=1e-12)
    assert run.status is not Status.CONVERGED
    assert run.weak_share > 0.9
    assert "below 1e-08 of the largest" in run.advice
    for remedy in ("weight_scale", "another activation", "widen the network"):
        assert remedy in run.advice


@pytest.mark.parametrize("output", ["random", "zero"])
@pytest.mark.parametrize("rate", ["auto", "cauchy"])
@pytest.mark.parametrize(("inputs", "targets"), [(1.0, 1e150), (1e-200, 1.0), (1e-160, 1.0), (1.0, 1e-200), (1e100, 1.0)])
def test_extreme_numbers_end_with_a_status(rng, rate, inputs, targets, output):
    hidden, coef = draw_network(3, 64, output=output)
    objective = TwoLayer(inputs * rng.standard_normal((6, 3)), targets * rng.standard_normal(6), hidden, coef)
    for method in {"auto": ["gradient_descent", "heavy_ball"], "cauchy": ["gradient_descent"]}[rate]:
        run = gradient_descent(objective, objective.initial(), learning_rate=rate, method=method, max_iter=5)
        assert isinstance(run.status, Status)
        assert np.isfinite(run.theta).all()
    assert np.isfinite(gauss_newton(objective, objective.initial(), max_iter=5).theta).all()


@pytest.mark.parametrize("solver", ["direct", "cg"])
@pytest.mark.parametrize(("row", "target", "alpha"), [(1e-150, 1e10, 0.0), (1e-150, 1e10, 1e-299), (1e-100, 1e100, 1e-199)])
def test_steps_whose_squares_overflow_are_exact(row, target, alpha, solver):
    hidden = FeatureMap(np.eye(2), activation="identity", scale=1.0)
    objective = TwoLayer([[row, 0.0]], [target], hidden, [0.0, 0.0], layers="last")
    run = gauss_newton(objective, [0.0, 0.0], alpha=alpha, solver=solver)
    np.testing.assert_allclose(run.theta, [target / row / (1.0 + alpha / row / row), 0.0], rtol=1e-5)


@pytest.mark.parametrize("solver", ["direct", "cg"])
def test_overflow_of_a_step_or_its_bend_is_silent(solver):
    hidden = FeatureMap(np.eye(2), activation="identity", scale=1.0)
    for row, target in ((1e-150, 1e10), (1e-100, 1e100), (1e-150, 1e150)):
        objective = TwoLayer([[row, 0.0], [0.0, row]], [target, -target], hidden, [1.0, 1.0])
        run = gauss_newton(objective, objective.initial(), solver=solver, max_iter=5)
        assert np.isfinite(run.theta).all() and (np.diff(run.value) < 0.0).all()


@pytest.mark.parametrize("solver", ["direct", "cg"])
def test_a_step_that_overflows_is_taken_back_and_shortened(solver):
    hidden = FeatureMap(np.eye(2), activation="identity", scale=1.0)
    objective = TwoLayer([[1e-150, 0.0], [0.0, 1e-158]], [1e10, 1e153], hidden, [0.0, 0.0], layers="last")
    run = gauss_newton(objective, [0.0, 0.0], damping=0.0, max_iter=3, solver=solver)
    assert run.n_rejected > 0 and run.n_iter > 0 and np.isfinite(run.theta).all()
