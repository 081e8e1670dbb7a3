"""Loss and gradient of both layers, against multiple precision, repeated rows and the parts of the network."""

import threading
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from catalogue import DEFINITIONS
from two_layer_problems import BARE, FULL, exact_linearization, problem

from underdetermined import FeatureMap
from underdetermined.objectives import TwoLayer, _two_layer_tiles

OPTIONS = {"bare": BARE, "full": FULL, "biases": BARE | {"biases": True}, "intercept": BARE | {"intercept": True}}


@pytest.fixture
def small_tiles(monkeypatch):
    """Many panels of 16 neurons and many blocks of 5 rows."""
    monkeypatch.setattr(_two_layer_tiles, "NEURONS", (16, 16))
    monkeypatch.setattr(_two_layer_tiles, "ROWS", 5)
    monkeypatch.setattr(_two_layer_tiles, "CACHED", 1)


@pytest.fixture
def oracle():
    """The small problem whose values are known to 17 digits."""
    weights = np.array([[1.0, -0.5], [0.25, 0.75], [-0.5, 0.5], [1.0, 1.0]]).T
    X = [[0.5, 1.0], [-1.0, 0.25], [0.75, -0.5]]
    return TwoLayer(X, [1.0, -0.5, 0.0], FeatureMap(weights, activation="tanh", scale=1.0), [0.5, -1.0, 0.25, 0.75])


def test_values_known_to_17_digits(oracle):
    theta = oracle.initial()
    outputs = oracle.residual(theta) + oracle.targets
    expected = [0.03618525189795605, -0.67994357205649791, 0.61116934410145824]
    np.testing.assert_allclose(outputs[:, 0], expected, rtol=1e-12)
    value, gradient = oracle.value_and_gradient(theta)
    assert value == pytest.approx(0.66742326247643257, rel=1e-12)
    assert gradient[0] == pytest.approx(-0.11365727065413726, rel=1e-12)
    assert gradient[8 + 1] == pytest.approx(-0.7804727203208363, rel=1e-12)
    assert oracle.value(theta - 0.1 * gradient) == pytest.approx(0.38694924829965833, rel=1e-12)


def test_tangent_matrix_known_to_17_digits(oracle):
    theta = oracle.initial()
    line = oracle.linearize(theta)
    gram = line.gram()
    eigenvalues = np.linalg.eigvalsh(gram)
    assert gram[0, 0] == pytest.approx(2.097427140457714, rel=1e-12)
    assert gram[0, 1] == pytest.approx(-0.65554177629172939, rel=1e-12)
    assert eigenvalues[0] == pytest.approx(0.050716182002679516, rel=1e-12)
    assert eigenvalues[-1] == pytest.approx(4.76983569680414, rel=1e-12)
    step = -(line.jacobian.T @ np.linalg.solve(gram, line.residual))
    assert oracle.value(theta + step) == pytest.approx(0.0058761546616181202, rel=1e-10)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("options", OPTIONS)
def test_loss_and_gradient_in_multiple_precision(options, k):
    objective = problem(n=4, width=5, k=k, seed=k, **OPTIONS[options])
    theta = objective.initial() + 0.25
    rho, jacobian = exact_linearization(objective, DEFINITIONS["tanh"], theta)
    value, gradient = objective.value_and_gradient(theta)
    weighted = np.sqrt(objective.sample_weight)[:, None] * objective.residual(theta)
    np.testing.assert_allclose(weighted, rho.reshape(4, k), rtol=0, atol=1e-14)
    assert value == pytest.approx(0.5 * rho @ rho, rel=1e-14)
    np.testing.assert_allclose(gradient, jacobian.T @ rho, rtol=0, atol=1e-14 * np.abs(gradient).max())


@pytest.mark.parametrize(("layers", "trained"), [("hidden", slice(0, 32)), ("last", slice(32, 50))])
def test_a_layer_that_stays_has_no_parameters(layers, trained):
    both, one = problem(**FULL), problem(layers=layers, **FULL)
    value, gradient = both.value_and_gradient(both.initial())
    found, part = one.value_and_gradient(one.initial())
    assert found == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(part, gradient[trained], rtol=0, atol=1e-14 * np.abs(gradient).max())


@pytest.mark.parametrize("layers", ["both", "hidden", "last"])
def test_network_has_the_parameters_where_they_belong(layers):
    objective = problem(layers=layers, **FULL)
    theta = objective.initial() + 0.5
    layer, coef, intercept = objective.network(theta)
    shown = layer(objective.X) @ coef + intercept - objective.targets
    np.testing.assert_allclose(objective.residual(theta), shown, rtol=0, atol=1e-13)
    same = TwoLayer(objective.X, objective.targets, layer, coef, intercept=intercept, layers=layers)
    np.testing.assert_array_equal(same.initial(), theta)
    for array in (layer.weights, layer.biases, coef, intercept):
        array[...] = np.nan
    np.testing.assert_array_equal(objective.initial() + 0.5, theta)


def test_a_weight_counts_how_often_a_row_is_there():
    objective, count = problem(**BARE | {"intercept": True}), [1, 2, 0, 3, 1, 1]
    weighted = replace(objective, sample_weight=count)
    X, Y = (np.repeat(array, count, axis=0) for array in (objective.X, objective.targets))
    repeated = replace(objective, X=X, targets=Y, sample_weight=None)
    theta = objective.initial()
    value, gradient = weighted.value_and_gradient(theta)
    expected, slopes = repeated.value_and_gradient(theta)
    assert value == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(gradient, slopes, rtol=0, atol=1e-14 * np.abs(slopes).max())


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.usefixtures("small_tiles")
def test_many_tiles_make_one_loss(k):
    objective = problem("gelu", n=23, width=50, k=k, **FULL)
    layer, coef, intercept = objective.network(objective.initial())
    values, slopes = (scaled * layer.scale for scaled in map_both(layer, objective.X))
    residual = values @ coef + intercept - objective.targets
    weighted = objective.sample_weight[:, None] * residual
    back = (weighted @ coef.T) * slopes
    expected = [objective.X.T @ back, back.sum(axis=0), values.T @ weighted, weighted.sum(axis=0)]
    found, gradient = objective.value_and_gradient(objective.initial())
    assert found == pytest.approx(0.5 * (weighted * residual).sum(), rel=1e-13)
    exact = np.concatenate([part.ravel() for part in expected])
    np.testing.assert_allclose(gradient, exact, rtol=0, atol=1e-13 * np.abs(exact).max())


def map_both(layer, X):
    """Activations and derivatives of all neurons."""
    arguments = X @ layer.weights + layer.biases
    return layer.activation.value(arguments), layer.activation.derivative(arguments)


@pytest.mark.parametrize("k", [1, 2])
def test_no_bit_depends_on_threads_or_layout(k):
    objective = problem("silu", n=300, d=4, width=700, k=k, **FULL)
    theta = objective.initial()
    value, gradient = objective.value_and_gradient(theta)
    assert value == objective.value(theta)
    layer = replace(objective.feature_map, n_jobs=3, weights=np.asfortranarray(objective.feature_map.weights))
    spread = np.repeat(objective.sample_weight, 2)[::2]
    X, Y = np.asfortranarray(objective.X), np.repeat(objective.targets, 2, axis=1)[:, ::2]
    coef = np.asfortranarray(objective.coef)
    other = replace(objective, X=X, targets=Y, feature_map=layer, coef=coef, sample_weight=spread)
    found, slopes = other.value_and_gradient(np.repeat(theta, 2)[::2])
    assert found == value
    np.testing.assert_array_equal(slopes, gradient)
    line = objective.linearize(theta).residual
    np.testing.assert_array_equal(line, (np.sqrt(spread)[:, None] * objective.residual(theta)).ravel())


def test_memory_does_not_grow_with_rows_times_neurons():
    objective = problem(n=2000, width=3000, k=1, **FULL)
    theta = objective.initial()
    tracemalloc.start()
    objective.value_and_gradient(theta)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2000 * 3000 * 8 / 8


def test_it_may_be_called_from_many_threads():
    objective = problem(n=200, width=300, **FULL)
    theta, found = objective.initial(), []
    expected = objective.value_and_gradient(theta)[1]
    workers = [threading.Thread(target=lambda: found.append(objective.value_and_gradient(theta)[1])) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    np.testing.assert_array_equal(found, [expected] * 4)
