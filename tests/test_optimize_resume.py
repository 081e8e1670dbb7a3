"""Runs that were interrupted and go on as if they had not been."""

import pickle

import numpy as np
import pytest
from residual_objectives import exponentials, linear, rosenbrock

from underdetermined import FeatureMap
from underdetermined.objectives import TwoLayer
from underdetermined.optimize import gauss_newton, gradient_descent
from underdetermined.solution import Status, Trajectory

WAYS = {
    "constant": (gradient_descent, dict(learning_rate=1e-3)),
    "heavy ball": (gradient_descent, dict(learning_rate=1e-3, method="heavy_ball", momentum=0.9)),
    "nesterov": (gradient_descent, dict(learning_rate=1e-3, method="nesterov", momentum=0.9)),
    "auto": (gradient_descent, dict(learning_rate="auto")),
    "cauchy": (gradient_descent, dict(learning_rate="cauchy")),
    "auto heavy ball": (gradient_descent, dict(learning_rate="auto", method="heavy_ball")),
    "gauss-newton": (gauss_newton, {}),
    "penalised": (gauss_newton, dict(alpha=0.1)),
    "cg": (gauss_newton, dict(solver="cg", damping=10.0)),
}


def assert_same(run, other):
    assert (run.status, run.n_iter, run.n_rejected) == (other.status, other.n_iter, other.n_rejected)
    for name in ("theta", "value", "gradient_norm", "learning_rate", "damping"):
        np.testing.assert_array_equal(getattr(run, name), getattr(other, name))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("first", [0, 1, 7])
def test_the_run_is_the_same_to_the_last_bit(rng, way, first):
    optimiser, options = WAYS[way]
    objective = exponentials(rng, n=10, width=12, size=1.0)
    start = objective.initial()
    whole = optimiser(objective, start, max_iter=12, **options)
    part = optimiser(objective, start, max_iter=first, **options)
    part = pickle.loads(pickle.dumps(part))
    assert part.n_iter == first
    assert_same(optimiser(objective, previous=part, max_iter=12 - first, **options), whole)
    assert_same(optimiser(objective, None, previous=part, max_iter=12 - first, **options), whole)


def test_rejected_steps_and_callbacks_go_on():
    seen, later = [], []
    whole = gauss_newton(rosenbrock(), [-1.2, 1.0], damping=0.0, max_iter=9, callback=lambda step, _: seen.append(step))
    part = gauss_newton(rosenbrock(), [-1.2, 1.0], damping=0.0, callback=lambda step, _: step == 4)
    assert (part.n_iter, part.status) == (4, Status.MAX_ITER)
    rest = gauss_newton(rosenbrock(), previous=part, max_iter=5, callback=lambda step, _: later.append(step))
    assert_same(rest, whole)
    assert part.n_rejected > 0
    assert seen == [*range(5), *later]


@pytest.mark.parametrize(
    ("optimiser", "options", "targets"),
    [(gauss_newton, dict(damping=10.0), [0.7]), (gradient_descent, dict(learning_rate="auto"), [0.7, -1e8])],
)
def test_runs_that_ended_by_themselves_end_there_again(optimiser, options, targets):
    layer = FeatureMap([[0.3, -0.4, 0.8]], activation="tanh", scale=1.0)
    objective = TwoLayer([[1.1]] * len(targets), targets, layer, [0.2, 0.5, -0.3])
    whole = optimiser(objective, objective.initial(), max_iter=400, **options)
    assert whole.status in (Status.EXACT, Status.INCONSISTENT) and whole.n_rejected > 0
    assert_same(optimiser(objective, previous=whole, max_iter=100, **options), whole)


def test_the_goal_refers_to_the_first_start(rng):
    objective = exponentials(rng)
    part = gauss_newton(objective, objective.initial(), max_iter=3)
    rest = gauss_newton(objective, previous=part, loss_tol=1e-16)
    assert rest.status is Status.CONVERGED
    assert rest.value[-1] <= 1e-16 * rest.value[0] == 1e-16 * part.value[0]
    again = gauss_newton(objective, previous=rest, loss_tol=1e-16)
    assert (again.status, again.n_iter) == (Status.CONVERGED, rest.n_iter)


def test_what_does_not_fit_is_refused(rng):
    objective, other = exponentials(rng), exponentials(rng, width=10)
    start = objective.initial()
    run = gauss_newton(objective, start, max_iter=1)
    with pytest.raises(ValueError, match="previous is a run of gauss_newton and cannot go on as gradient_descent"):
        gradient_descent(objective, previous=run, learning_rate="auto", max_iter=1)
    descent = gradient_descent(objective, start, learning_rate="auto", max_iter=1)
    with pytest.raises(ValueError, match="learning_rate='auto' and cannot go on as .* learning_rate='cauchy'"):
        gradient_descent(objective, previous=descent, learning_rate="cauchy", max_iter=1)
    with pytest.raises(ValueError, match="previous has 1200 parameters and the objective 30: pass the objective"):
        gauss_newton(other, previous=run)
    with pytest.raises(ValueError, match="pass the objective and the penalty that it was trained with"):
        gauss_newton(exponentials(rng), previous=run)
    with pytest.raises(ValueError, match="theta and previous exclude each other"):
        gauss_newton(objective, start, previous=run)
    with pytest.raises(ValueError, match="theta is missing"):
        gauss_newton(objective)
    with pytest.raises(TypeError, match="previous is a int"):
        gauss_newton(objective, previous=3)
    bare = Trajectory(start, run.value, run.gradient_norm, run.status, 1)
    with pytest.raises(ValueError, match="nothing that can be resumed"):
        gauss_newton(objective, previous=bare)


def test_the_start_of_the_caller_is_not_needed(rng):
    matrix = rng.standard_normal((4, 9))
    start = np.ones(9)
    part = gauss_newton(linear(matrix, np.ones(4)), start, alpha=0.5, max_iter=1, damping=3.0)
    start[:] = 7.0
    whole = gauss_newton(linear(matrix, np.ones(4)), np.ones(9), alpha=0.5, max_iter=3, damping=3.0)
    assert_same(gauss_newton(linear(matrix, np.ones(4)), previous=part, alpha=0.5, max_iter=2), whole)
