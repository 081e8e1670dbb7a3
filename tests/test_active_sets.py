"""Training on active sets: every strategy against steps with whole arrays."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sparse_networks import problem, steep_problem, tangent_matrix, train

from underdetermined import FeatureMap
from underdetermined.active_sets import (
    draw_network,
    largest_tangent_eigenvalue,
    tangent_operator,
    train_active_sets,
)
from underdetermined.objectives import SparseReLU

STRATEGIES = ["dense", "masked", "lists", "kernel", "auto"]
CASES = {
    "narrow": {"amplitude": 5.0},
    "biases stay": {"bias_scale": 0.0},
    "biases learn faster": {"bias_scale": 2.0, "n_outputs": 2, "weighted": True},
    "sparse": {"bias": 2.0, "width": 600, "n_outputs": 3},
    "no threshold": {"bias": 0.0},
    "more dimensions than rows": {"n": 12, "d": 30, "weighted": True},
}


@pytest.fixture(scope="module", params=CASES, ids=lambda name: name.replace(" ", "-"))
def case(request):
    objective = problem(**CASES[request.param])
    rate = 1.0 / np.linalg.eigvalsh(tangent_matrix(objective))[-1]
    return objective, rate, train(objective, rate, 120)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_trajectory_is_the_dense_one(case, strategy):
    objective, rate, reference = case
    result = train_active_sets(objective, learning_rate=rate, max_iter=120, strategy=strategy, n_jobs=1)
    scale = np.abs(reference.weights).max()
    np.testing.assert_allclose(result.feature_map.weights, reference.weights, rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(result.feature_map.biases, reference.biases, rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(result.residual, reference.residual, rtol=0, atol=1e-12)
    np.testing.assert_allclose(result.value, reference.value, rtol=1e-11, atol=1e-24)
    np.testing.assert_allclose(result.active_fraction, reference.active, rtol=1e-12)
    np.testing.assert_allclose(result.drift, reference.path, rtol=1e-3, atol=1e-14)
    assert result.n_live.tolist() == reference.live.tolist()
    assert result.n_iter == 120


def test_masks_change_a_lot_in_the_narrow_case():
    objective = problem(**CASES["narrow"])
    active = [objective.X @ layer.weights + layer.biases > 0.0 for layer in (objective.feature_map, last_layer(objective))]
    assert np.mean(active[0] != active[1]) > 0.05


def last_layer(objective):
    rate = 1.0 / np.linalg.eigvalsh(tangent_matrix(objective))[-1]
    return train_active_sets(objective, learning_rate=rate, max_iter=120, strategy="dense").feature_map


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_any_number_of_threads_gives_the_same_bits(strategy):
    objective = problem(width=900, n_outputs=2)
    one, three = (
        train_active_sets(objective, learning_rate=0.2, max_iter=30, strategy=strategy, n_jobs=jobs) for jobs in (1, 3)
    )
    assert np.array_equal(one.feature_map.weights, three.feature_map.weights)
    assert np.array_equal(one.value, three.value)
    assert np.array_equal(one.n_visited, three.n_visited)


@pytest.mark.parametrize("strategy", ["lists", "kernel"])
def test_few_pairs_are_visited_in_a_wide_network(strategy):
    hidden, coef = draw_network(20, 4000, bias=2.0, seed=3)
    X = np.random.default_rng(4).standard_normal((100, 20))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    objective = SparseReLU(X, 0.05 * X[:, 0], hidden, coef)
    result = train_active_sets(objective, max_iter=100, strategy=strategy)
    assert result.n_visited[1:].mean() < 0.04 * 100 * 4000
    assert result.value[-1] < 1e-3 * result.value[0]


@pytest.mark.parametrize("strategy", ["lists", "kernel"])
def test_lists_last_longer_than_their_renewal(strategy):
    objective = problem(n=10, width=60, amplitude=0.3)
    reference = train(objective, 0.1, 1100)
    result = train_active_sets(objective, learning_rate=0.1, max_iter=1100, strategy=strategy, n_jobs=1)
    every = 10 * result.n_live
    assert result.n_visited[1024] >= every[1024] > result.n_visited[1025]
    np.testing.assert_allclose(result.feature_map.weights, reference.weights, rtol=0, atol=1e-11)
    np.testing.assert_allclose(result.residual, reference.residual, rtol=0, atol=1e-11)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_automatic_rate_never_lets_the_loss_rise(strategy):
    hidden, coef = draw_network(8, 600, bias=2.0, seed=1)
    rng = np.random.default_rng(2)
    X = rng.standard_normal((60, 8))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    objective = SparseReLU(X, 3.0 * rng.standard_normal(60), hidden, coef)
    fixed = train_active_sets(objective, learning_rate=1.0 / largest_tangent_eigenvalue(objective), max_iter=60)
    result = train_active_sets(objective, max_iter=60, strategy=strategy)
    assert np.any(np.diff(fixed.value) > 0.0)
    assert np.all(np.diff(result.value) <= 1e-12)
    assert np.all(np.diff(result.learning_rate) <= 0.0) and result.learning_rate[-1] < result.learning_rate[0]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_step_that_is_taken_back_leaves_no_trace(strategy):
    objective = steep_problem()
    result = train_active_sets(objective, max_iter=40, strategy=strategy)
    assert np.any(np.diff(result.learning_rate) < 0.0)
    # The recorded rates alone must lead to the same network.
    network, path = objective, np.zeros(600)
    for rate in result.learning_rate:
        reference = train(network, rate, 1)
        path += reference.path
        layer = FeatureMap(reference.weights, reference.biases, scale=objective.feature_map.scale)
        network = replace(network, feature_map=layer)
    np.testing.assert_allclose(result.feature_map.weights, reference.weights, rtol=0, atol=1e-11)
    np.testing.assert_allclose(result.residual, reference.residual, rtol=0, atol=1e-11)
    np.testing.assert_allclose(result.drift, path, rtol=1e-3, atol=1e-12)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_divergence_ends_at_the_last_finite_network(strategy):
    result = train_active_sets(problem(), learning_rate=1e200, max_iter=50, strategy=strategy)
    assert result.status.name == "DIVERGED"
    assert np.isfinite(result.value).all() and len(result.value) == result.n_iter + 1
    assert np.isfinite(result.feature_map.weights).all() and np.isfinite(result.residual).all()
    assert "lower learning_rate" in result.advice


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_finite_loss_of_infinite_weights_is_no_step(strategy):
    objective = SparseReLU([[1.0, -1.0]], [-1e10], FeatureMap([[1.0], [-2.0]], [0.0], scale=1.0), [1.0])
    result = train_active_sets(objective, learning_rate=1e300, max_iter=3, strategy=strategy)
    assert result.status.name == "DIVERGED" and result.n_iter == 0
    assert np.array_equal(result.feature_map.weights, [[1.0], [-2.0]])


def test_training_stops_at_the_tolerance():
    hidden, coef = draw_network(3, 2000, bias=1.0)
    objective = SparseReLU(np.eye(3), [0.1, -0.2, 0.3], hidden, coef)
    result = train_active_sets(objective, tol=1e-2)
    assert result.status.name == "CONVERGED"
    assert result.value[-1] <= 1e-4 * result.value[0] < result.value[-2]


def test_a_callback_sees_the_run_and_ends_it():
    objective = problem(weighted=True)
    seen = []

    def callback(step, state):
        seen.append((step, state.value, state.active_fraction, state.n_live, state.residual, state.feature_map))
        return np.bool_(step == 3)

    result = train_active_sets(objective, learning_rate=0.1, callback=callback, strategy="kernel")
    reference = train(objective, 0.1, 3)
    assert [entry[0] for entry in seen] == [0, 1, 2, 3] and result.n_iter == 3
    np.testing.assert_allclose([entry[1] for entry in seen], reference.value, rtol=1e-12)
    np.testing.assert_allclose(seen[3][4], reference.residual, rtol=0, atol=1e-13)
    np.testing.assert_allclose(seen[3][5].weights, reference.weights, rtol=0, atol=1e-13)
    assert seen[3][3] == reference.live[3]


def test_a_network_without_active_pairs_stays_as_it_is():
    hidden, coef = draw_network(4, 50, bias=60.0)
    objective = SparseReLU(np.eye(4), np.ones(4), hidden, coef)
    for strategy in STRATEGIES:
        result = train_active_sets(objective, max_iter=3, strategy=strategy)
        assert result.n_live.tolist() == [0, 0, 0, 0]
        assert np.array_equal(result.feature_map.weights, hidden.weights)


@pytest.mark.parametrize("weighted", [False, True])
def test_tangent_operator_is_the_matrix(weighted):
    objective = problem(n_outputs=2, weighted=weighted, bias_scale=1.5)
    matrix = tangent_matrix(objective)
    np.testing.assert_allclose(tangent_operator(objective) @ np.eye(80), matrix, rtol=0, atol=1e-13 * np.abs(matrix).max())
    assert largest_tangent_eigenvalue(objective) == pytest.approx(np.linalg.eigvalsh(matrix)[-1], rel=1e-3)


def test_the_choice_of_a_strategy_follows_the_activity():
    chosen = {}
    for bias in (0.0, 1.5, 3.0):
        hidden, coef = draw_network(64, 2000, bias=bias)
        X = np.random.default_rng(0).standard_normal((1000, 64)) / 8.0
        objective = SparseReLU(X, 1e-3 * X[:, 0], hidden, coef)
        result = train_active_sets(objective, learning_rate=1e-3, max_iter=0)
        chosen[bias] = result.strategy
        assert repr(result.strategy) in result.reason
    assert chosen == {0.0: "dense", 1.5: "lists", 3.0: "kernel"}


def test_a_result_describes_itself():
    result = train_active_sets(problem(), learning_rate=0.1, max_iter=2)
    assert json.loads(json.dumps(result.to_dict()))["n_iter"] == 2
    assert "n_iter=2" in repr(result) and result.advice == result.status.advice


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strategy": "fast"}, "strategy='fast'.*'lists'"),
        ({"learning_rate": "slow"}, "learning_rate='slow'.*'auto'"),
        ({"learning_rate": 0.0}, "learning_rate=0.0"),
        ({"max_iter": -1}, "max_iter=-1"),
        ({"tol": -1.0}, "tol=-1.0"),
    ],
)
def test_errors_name_argument_and_remedy(arguments, message):
    with pytest.raises(ValueError, match=message):
        train_active_sets(problem(), **arguments)
