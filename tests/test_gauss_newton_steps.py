"""Which Gauss-Newton steps are taken back, damped and bent."""

import numpy as np
import pytest
from residual_objectives import Residual, exponentials, linear, rosenbrock

from underdetermined.objectives import Exponential
from underdetermined.optimize import _gauss_newton, _tangent_system, gauss_newton
from underdetermined.optimize._tangent_system import TangentSystem, select_solver
from underdetermined.solution import Status


def arctan():
    """arctan(theta), from which undamped steps fly off beyond 1.3917."""
    return Residual(np.arctan, lambda theta: np.diag(1.0 / (1.0 + theta**2)), 1)


@pytest.fixture
def bends(monkeypatch):
    """The damping of every bend that is computed."""
    seen, correction = [], TangentSystem.correction

    def recorded(self, delta, ahead, part, damping):
        seen.append(damping)
        return correction(self, delta, ahead, part, damping)

    monkeypatch.setattr(TangentSystem, "correction", recorded)
    return seen


@pytest.fixture
def trials(monkeypatch):
    """The damping of every step that is computed."""
    seen, step = [], TangentSystem.step

    def recorded(self, damping, offset, alpha):
        seen.append(damping)
        return step(self, damping, offset, alpha)

    monkeypatch.setattr(TangentSystem, "step", recorded)
    return seen


def test_steps_that_lower_the_loss_by_next_to_nothing_are_taken_back():
    # The step leads from theta to about -theta, where the loss is hardly smaller.
    start = 1.391744
    ahead = start - np.arctan(start) * (1.0 + start**2)
    assert 0.0 < 1.0 - (np.arctan(ahead) / np.arctan(start)) ** 2 < 1e-5
    run = gauss_newton(arctan(), [start], damping=0.0, max_iter=1)
    assert run.n_rejected > 0
    assert run.value[1] < (1.0 - 1e-4) * run.value[0]


@pytest.mark.parametrize(("start", "damping"), [(1.0, 0.01), (1.2, 0.01), (1.38, 0.001), (1.35, 0.003)])
def test_dampings_follow_the_gain(start, damping):
    run = gauss_newton(arctan(), [start], damping=damping, max_iter=2)
    slope = 1.0 / (1.0 + start**2)
    step = -slope * np.arctan(start) / (slope**2 + damping)
    promised = np.arctan(start) ** 2 - (np.arctan(start) + slope * step) ** 2
    gain = (np.arctan(start) ** 2 - np.arctan(start + step) ** 2) / promised
    assert gain < 0.9
    assert run.n_rejected == 0
    assert run.damping[1] == pytest.approx(damping * max(1.0 / 3.0, 1.0 - (2.0 * gain - 1.0) ** 3), rel=1e-9)


def test_bends_begin_where_a_step_was_not_exact(bends):
    gauss_newton(arctan(), [1.2], damping=0.01, max_iter=1)
    assert not bends
    run = gauss_newton(arctan(), [1.2], damping=0.01, max_iter=2)
    np.testing.assert_array_equal(bends, run.damping[1:])


def test_bends_begin_where_a_step_was_taken_back(bends):
    run = gauss_newton(arctan(), [2.0], damping=0.0, max_iter=1)
    assert len(bends) == run.n_rejected > 0


def test_bends_end_where_steps_are_straight(bends):
    run = gauss_newton(arctan(), [1.2], damping=0.01)
    assert 0 < len(bends) < run.n_iter // 2
    bends.clear()
    gauss_newton(linear(np.eye(2, 5), np.ones(2)), np.zeros(5), damping=1.0)
    assert not bends


def test_bends_are_damped_by_the_penalty_too(bends):
    gauss_newton(rosenbrock(), [-1.2, 1.0], alpha=0.5, max_iter=20)
    assert bends
    assert min(bends) > 0.5


@pytest.mark.parametrize("solver", ["direct", "cg"])
@pytest.mark.parametrize("width", [40, 2])
def test_penalised_steps_away_from_the_start_are_those_of_the_normal_equations(rng, monkeypatch, width, solver):
    monkeypatch.setattr(_gauss_newton, "_BENT", 0.0)
    objective = exponentials(rng, width=width, symmetric=False, size=0.05)
    start, points = objective.initial(), {}
    run = gauss_newton(objective, start, alpha=3.0, max_iter=2, damping=100.0, solver=solver, callback=points.__setitem__)
    assert run.damping[1] > 5.0
    linearization = objective.linearize(points[1])
    jacobian = linearization.jacobian @ np.eye(objective.n_parameters)
    slope = jacobian.T @ linearization.residual + 3.0 * (points[1] - start)
    step = -np.linalg.solve(jacobian.T @ jacobian + (3.0 + run.damping[1]) * np.eye(len(start)), slope)
    np.testing.assert_allclose(points[2] - points[1], step, atol=1e-4 * np.linalg.norm(step))


def test_a_huge_first_damping_falls_at_once(trials):
    gauss_newton(linear(np.eye(2, 5), np.ones(2)), np.zeros(5), damping=1e250, loss_tol=1e-16)
    assert 3 < len(trials) < 20


def test_steps_below_rounding_are_not_tried(rng):
    first = exponentials(rng, width=100)
    objective = Exponential(30.0 * first.X, np.ones(12), first.feature_map, first.coef)
    run = gauss_newton(objective, objective.initial())
    assert (run.n_iter, run.n_rejected, run.status) == (0, 0, Status.ILL_CONDITIONED)


def test_trials_whose_jacobian_overflows_are_taken_back():
    cliff = Residual(
        lambda theta: 2.0 - np.minimum(theta, 1.0),
        lambda theta: np.where(theta < 0.9, -1.0, np.inf) * np.ones((1, 1)),
        1,
    )
    run = gauss_newton(cliff, [0.0], damping=0.0, max_iter=3)
    assert run.n_rejected > 0
    assert 0.0 < run.theta[0] < 0.9
    assert np.isfinite(run.gradient_norm).all()
    assert run.status in (Status.MAX_ITER, Status.ILL_CONDITIONED)


@pytest.mark.parametrize("solver", ["direct", "cg"])
def test_straight_residuals_have_no_bend(solver):
    system = TangentSystem(linear(np.eye(2, 5), np.ones(2)).linearize(np.zeros(5)), solver)
    found = system.correction(np.zeros(5), system.residual, 0.1, 1e-3)
    np.testing.assert_array_equal(found, np.zeros(5))


@pytest.mark.parametrize(("memory", "solver"), [(48 * 100**2, "direct"), (48 * 100**2 - 2, "cg"), (None, "direct")])
def test_the_solver_follows_the_memory(monkeypatch, memory, solver):
    monkeypatch.setattr(_tangent_system, "available_memory", lambda: memory)
    assert select_solver("auto", (100, 200)) == solver
    assert select_solver("cg", (100, 200)) == "cg"
