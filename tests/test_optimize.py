"""First-order methods: their definitions, what they record, and how they end."""

import numpy as np
import pytest

from underdetermined import FeatureMap
from underdetermined.objectives import LeastSquares, TwoLayer
from underdetermined.optimize import METHODS, gradient_descent
from underdetermined.solution import Status


class Quartic:
    """sum(theta^4) / 4 with the three members that an objective needs, and no more."""

    n_parameters = 2

    def value(self, theta):
        return float((theta**4).sum()) / 4

    def gradient(self, theta):
        return theta**3


START = np.array([0.9, -0.7])


@pytest.mark.parametrize("method", METHODS)
def test_steps_are_those_of_the_definition(method):
    momentum = {"gradient_descent": 0.0}.get(method, 0.8)
    previous = theta = START
    expected = [theta]
    for _ in range(30):
        ahead = theta + momentum * (theta - previous)
        slope = {"nesterov": ahead}.get(method, theta) ** 3
        previous, theta = theta, ahead - 0.3 * slope
        expected.append(theta)
    seen = {}
    run = gradient_descent(
        Quartic(), START, learning_rate=0.3, max_iter=30, method=method, momentum=momentum, callback=seen.__setitem__
    )
    assert list(seen) == list(range(31))
    np.testing.assert_allclose(list(seen.values()), expected, rtol=1e-13)
    np.testing.assert_array_equal(run.theta, seen[30])
    np.testing.assert_allclose(run.value, [(theta**4).sum() / 4 for theta in expected], rtol=1e-12)
    np.testing.assert_allclose(run.gradient_norm, [np.linalg.norm(theta**3) for theta in expected], rtol=1e-12)
    assert (run.status, run.n_iter) == (Status.MAX_ITER, 30)


@pytest.mark.parametrize("method", METHODS)
def test_training_stops_at_the_tolerance(method):
    momentum = {"gradient_descent": 0.0}.get(method, 0.5)
    run = gradient_descent(Quartic(), START, learning_rate=0.5, max_iter=10**5, tol=1e-4, method=method, momentum=momentum)
    assert run.status is Status.CONVERGED
    assert run.gradient_norm[-1] <= 1e-4 < run.gradient_norm[:-1].min()
    assert len(run.value) == len(run.gradient_norm) == run.n_iter + 1
    assert run.gradient_norm[-1] == pytest.approx(np.linalg.norm(run.theta**3))
    at_once = gradient_descent(Quartic(), START, learning_rate=0.5, max_iter=9, tol=run.gradient_norm[0], method=method)
    assert (at_once.status, at_once.n_iter) == (Status.CONVERGED, 0)
    np.testing.assert_array_equal(at_once.theta, START)


@pytest.mark.parametrize("method", METHODS)
def test_divergence_ends_at_the_last_finite_parameters(method):
    momentum = {"gradient_descent": 0.0}.get(method, 0.5)
    seen = []
    run = gradient_descent(
        Quartic(),
        START,
        learning_rate=20.0,
        max_iter=10**4,
        method=method,
        momentum=momentum,
        callback=lambda step, theta: seen.append(theta),
    )
    assert run.status is Status.DIVERGED
    assert not run.status.is_success
    assert "learning_rate" in run.advice
    assert 0 < run.n_iter < 100
    assert np.isfinite(run.value).all()
    assert np.isfinite(run.gradient_norm).all()
    assert run.value[-1] == Quartic().value(run.theta)
    np.testing.assert_array_equal(run.theta, seen[-1])
    assert len(run.value) == run.n_iter + 1 == len(seen)


@pytest.mark.parametrize("rate", [3.0, 1e30, 1e200, 1e308])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["array", "operator", "network"])
def test_divergence_of_every_objective_is_silent(rng, kind, method, rate):
    X, y = rng.standard_normal((6, 2)), rng.standard_normal(6)
    layer = FeatureMap(rng.standard_normal((2, 9)), activation="relu", scale=3.0)
    objective = {
        "array": LeastSquares(layer(X), y),
        "operator": LeastSquares(layer.operator(X), y),
        "network": TwoLayer(X, y, layer, np.ones(9)),
    }[kind]
    start = rng.standard_normal(objective.n_parameters)
    momentum = {"gradient_descent": 0.0}.get(method, 0.9)
    run = gradient_descent(objective, start, learning_rate=rate, max_iter=10**4, method=method, momentum=momentum)
    assert run.status is Status.DIVERGED
    assert np.isfinite(objective.value(run.theta))


def test_objectives_never_see_parameters_that_overflowed():
    class Strict(Quartic):
        def value(self, theta):
            assert np.isfinite(theta).all()
            return float(np.abs(theta).max())

        def gradient(self, theta):
            return -1e200 * theta

    run = gradient_descent(Strict(), START, learning_rate=1e200, max_iter=3)
    assert (run.status, run.n_iter) == (Status.DIVERGED, 0)


def test_parameters_of_the_caller_are_safe():
    start = START.copy()
    run = gradient_descent(Quartic(), start, learning_rate=0.1, max_iter=3)
    np.testing.assert_array_equal(start, START)
    run.theta[0] = 7.0
    none = gradient_descent(Quartic(), start, learning_rate=0.1, max_iter=0)
    none.theta[0] = 7.0
    np.testing.assert_array_equal(start, START)
    assert (none.n_iter, none.status, len(none.value)) == (0, Status.MAX_ITER, 1)

    seen = []
    gradient_descent(Quartic(), start, learning_rate=0.1, max_iter=2, callback=lambda step, theta: seen.append(theta))
    assert [theta.flags.writeable for theta in seen] == [False] * 3


def test_least_squares_converges_to_the_smallest_solution(wide_system):
    matrix, targets = wide_system(5.0, k=2)
    run = gradient_descent(LeastSquares(matrix, targets), np.zeros(100), learning_rate=1.9, max_iter=10**4, tol=1e-13)
    assert run.status is Status.CONVERGED
    np.testing.assert_allclose(run.theta.reshape(50, 2), np.linalg.pinv(matrix) @ targets, atol=1e-10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(learning_rate=0.0), "learning_rate=0.0 is out of range"),
        (dict(learning_rate=np.nan), "learning_rate=nan is out of range"),
        (dict(max_iter=-1), "max_iter=-1 is not a number of steps"),
        (dict(max_iter=2.5), "max_iter=2.5 is not a number of steps"),
        (dict(max_iter=True), "max_iter=True is not a number of steps"),
        (dict(tol=-1e-9), "tol=-1e-09 is out of range"),
        (dict(method="adam"), "method='adam' is unknown"),
        (dict(momentum=0.5), "momentum=0.5 has no effect on 'gradient_descent'"),
        (dict(momentum=1.0, method="nesterov"), "momentum=1.0 is out of range"),
        (dict(theta=[1.0]), r"theta has shape \(1,\): pass all parameters of the objective, shape \(2,\)"),
        (dict(theta=[1.0, np.inf]), "theta has 1 NaN or infinite"),
        (dict(theta=[1e100, 0.0]), "the loss or its gradient is not finite at theta"),
    ],
)
def test_bad_arguments(arguments, message):
    arguments = dict(learning_rate=0.1, max_iter=2, theta=START) | arguments
    with pytest.raises(ValueError, match=message):
        gradient_descent(Quartic(), arguments.pop("theta"), **arguments)
