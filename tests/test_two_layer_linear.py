"""Jacobian, its transpose and the tangent Gram matrix of both layers, against multiple precision and whole arrays."""

import threading
from functools import cache
from time import sleep

import numpy as np
import pytest
from catalogue import DEFINITIONS, EVERY
from two_layer_problems import BARE, FULL, exact_linearization, problem

from underdetermined import Activation
from underdetermined.gram import ntk_matrix
from underdetermined.objectives import _two_layer_gram, _two_layer_tiles


@pytest.fixture(params=["kept", "computed again"])
def small_tiles(request, monkeypatch):
    """Many tiles, kept or not."""
    for name, value in {"NEURONS": (16, 16), "ROWS": 5, "CACHED": 1}.items():
        monkeypatch.setattr(_two_layer_tiles, name, value)
    monkeypatch.setattr(_two_layer_tiles, "KEPT", {"kept": 2**24}.get(request.param, 500))
    monkeypatch.setattr(_two_layer_gram, "_ROWS", 7)


def check(objective, rho, jacobian, rtol=1e-14):
    """Everything a linearization offers."""
    n, k = objective.targets.shape
    line, size = objective.linearize(objective.initial()), np.abs(jacobian).max()
    gram = jacobian @ jacobian.T
    blocks = gram.reshape(n, k, n, k)
    columns = np.full(jacobian.shape, np.nan)
    for part, tile in line.jacobian.column_tiles():
        columns[:, part] = tile
    for found in (line.jacobian @ np.eye(jacobian.shape[1]), (line.jacobian.T @ np.eye(n * k)).T, columns, line.dense()):
        np.testing.assert_allclose(found, jacobian, rtol=0, atol=rtol * size)
    np.testing.assert_allclose(line.residual, rho, rtol=0, atol=rtol * max(1.0, np.abs(rho).max()))
    expected = np.mean([blocks[:, a, :, a] for a in range(k)], axis=0)
    for found, exact in ((line.gram(), gram), (line.output_gram(), expected)):
        np.testing.assert_allclose(found, exact, rtol=0, atol=10 * rtol * np.abs(gram).max())
        np.testing.assert_array_equal(found, found.T)
    assert line.dense().flags.c_contiguous
    return line


@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_every_activation_in_multiple_precision(name):
    objective = problem(EVERY[name], n=3, d=2, width=4, k=3, seed=3, **FULL)
    rho, jacobian = exact_linearization(objective, DEFINITIONS[name])
    check(objective, rho, jacobian, rtol=3e-14)


@pytest.mark.parametrize("name", ["tanh", "gelu", "sin_cos", "softplus", "erf"])
def test_one_output_without_options_in_multiple_precision(name):
    objective = problem(EVERY[name], n=4, d=2, width=5, k=1, seed=4)
    check(objective, *exact_linearization(objective, DEFINITIONS[name]))


OPTIONS = [BARE | {name: True} for name in FULL] + [FULL]


@cache
def exact_both(**options):
    return exact_linearization(problem(**options), DEFINITIONS["tanh"])


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("layers", ["both", "hidden", "last"])
def test_every_option(options, k, layers):
    """Of the Jacobian of both layers, those columns that belong to the one that is trained."""
    objective = problem(n=4, d=2, width=5, k=k, layers=layers, **options)
    rho, jacobian = exact_both(n=4, d=2, width=5, k=k, **options)
    n_hidden = 5 * (2 + options["biases"])
    trained = {"both": slice(None), "hidden": slice(n_hidden), "last": slice(n_hidden, None)}[layers]
    check(objective, rho, jacobian[:, trained])


def whole_arrays(objective):
    """Weighted residual and Jacobian, (n, k, p) in one array, as the formula reads."""
    layer, coef, intercept = objective.network(objective.initial())
    (n, k), m, root = objective.targets.shape, layer.width, np.sqrt(objective.sample_weight)[:, None]
    inputs = np.hstack([objective.X, np.ones((n, 1))])
    arguments = inputs @ np.vstack([layer.weights, layer.biases])
    last = coef * layer.scale[:, None]
    slopes = (root * layer.activation.derivative(arguments))[:, None, :] * last.T
    hidden = (inputs[:, None, :, None] * slopes[:, :, None, :]).reshape(n, k, -1)
    features = layer.activation.value(arguments)
    coefs = np.einsum("ir,ab->iarb", root * features * layer.scale, np.eye(k)).reshape(n, k, m * k)
    units = root[:, :, None] * np.eye(k)
    rho = root * (features @ last + intercept - objective.targets)
    return rho.ravel(), np.concatenate([hidden, coefs, units], axis=2).reshape(n * k, -1)


@pytest.mark.parametrize("n_jobs", [1, 3])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.usefixtures("small_tiles")
def test_many_tiles_make_one_jacobian(k, n_jobs):
    objective = problem("gelu", n=13, width=35, k=k, n_jobs=n_jobs, **FULL)
    line = check(objective, *whole_arrays(objective), rtol=3e-14)
    rng = np.random.default_rng(1)
    ahead, back = rng.standard_normal((line.jacobian.shape[1], 3)), rng.standard_normal((13 * k, 3))
    np.testing.assert_allclose(line.jacobian @ ahead[:, 0], line.dense() @ ahead[:, 0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(line.jacobian @ ahead, line.dense() @ ahead, rtol=0, atol=1e-12)
    np.testing.assert_allclose(line.jacobian.T @ back, line.dense().T @ back, rtol=0, atol=1e-12)


@pytest.mark.parametrize("with_biases", [True, False])
@pytest.mark.parametrize("name", ["relu", "gelu", "sin_cos", "abs"])
def test_gram_matrix_of_one_output_is_the_tangent_kernel_of_the_network(name, with_biases):
    """Another module builds it from features and derivatives of a FeatureMap."""
    objective = problem(name, n=30, d=4, width=300, k=1, biases=with_biases, factors=True)
    layer, coef, _ = objective.network(objective.initial())
    gram = objective.linearize(objective.initial()).gram()
    np.testing.assert_allclose(gram, ntk_matrix(layer, objective.X, coef), rtol=0, atol=1e-13 * gram.max())


def test_the_gradient_is_the_transposed_jacobian_of_the_residual():
    objective = problem("silu", n=70, width=600, k=2, **FULL)
    line = objective.linearize(objective.initial())
    gradient = objective.gradient(objective.initial())
    np.testing.assert_allclose(line.jacobian.T @ line.residual, gradient, rtol=0, atol=1e-13 * np.abs(gradient).max())


@pytest.mark.usefixtures("small_tiles")
def test_a_linearization_outlives_its_parameters():
    objective = problem(n=23, width=50, **FULL)
    theta = objective.initial()
    line = objective.linearize(theta)
    before = line.gram()
    theta[:] = 0.0
    np.testing.assert_array_equal(line.gram(), before)
    np.testing.assert_allclose(line.dense() @ line.dense().T, before, atol=1e-12)


def test_outputs_that_share_no_hidden_neuron_have_no_other_blocks():
    """Each output has neurons of its own: then K is block-diagonal, and the mean of blocks is all there is."""
    objective = problem(n=5, width=8, k=2, layers="hidden")
    coef = objective.coef * np.repeat(np.eye(2), 4, axis=0)
    separate = type(objective)(objective.X, objective.targets, objective.feature_map, coef, layers="hidden")
    blocks = separate.linearize(separate.initial()).gram().reshape(5, 2, 5, 2)
    assert not blocks[:, 0, :, 1].any()
    np.testing.assert_allclose(
        separate.linearize(separate.initial()).output_gram(), (blocks[:, 0, :, 0] + blocks[:, 1, :, 1]) / 2, rtol=1e-13
    )


@pytest.mark.usefixtures("small_tiles")
def test_products_may_be_asked_for_from_many_threads():
    """An activation that waits, so that one product is always in the midst of another one."""

    def slow(z):
        sleep(1e-4)
        return np.tanh(z)

    waiting = Activation("slow", function=slow, function_derivative=lambda z: 1.0 - np.tanh(z) ** 2)
    objective = problem(waiting, n=23, width=50, **FULL)
    line, found = objective.linearize(objective.initial()), []
    right = np.random.default_rng(0).standard_normal(46)
    expected = line.jacobian.T @ right

    def work(delay):
        sleep(delay)
        found.append(line.jacobian.T @ right)

    workers = [threading.Thread(target=work, args=(3e-4 * index,)) for index in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    np.testing.assert_array_equal(found, [expected] * 4)


@pytest.mark.parametrize("size", [2.0**-600, 2.0**600])
def test_coefficients_whose_squares_leave_the_range_of_numbers(size):
    """Sample weights bring them back: to the last bit, as these are powers of two."""
    plain = problem(n=5, width=8, k=1, layers="hidden")
    weight = np.full(5, size**-1.0)
    large = type(plain)(plain.X, plain.targets, plain.feature_map, size * plain.coef, layers="hidden", sample_weight=weight)
    expected = plain.linearize(plain.initial()).gram()
    np.testing.assert_array_equal(large.linearize(large.initial()).gram() / size, expected)
