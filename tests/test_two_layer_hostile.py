"""Two layers under arguments that do not fit, numbers that overflow, and memory that is not there."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from two_layer_problems import FULL, problem

from underdetermined import Activation, FeatureMap, _validation
from underdetermined.objectives import TwoLayer, _two_layer_tiles

HIDDEN = FeatureMap([[1.0, -1.0, 0.5], [0.5, 2.0, 0.0]], [0.0, 1.0, -1.0], "tanh")
WITHOUT = FeatureMap(np.eye(2), activation=Activation("mine", function=np.tanh))


def build(X=((1.0, 2.0),), targets=(1.0,), hidden=HIDDEN, coef=(1.0, 2.0, 3.0), **options):
    """The objective, of one row unless told otherwise."""
    return TwoLayer(X, targets, hidden, coef, **options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: build(X=[[1.0]]), "X has 1 columns and the feature map 2 inputs"),
        (lambda: build(X=[[1.0, np.inf]]), "X has 1 NaN or infinite"),
        (lambda: build(X=[[np.nan, 1.0]]), "X has 1 NaN or infinite"),
        (lambda: build(X=np.empty((0, 2)), targets=[]), "at least one row"),
        (lambda: build(X=[1.0, 2.0]), "X has 1 dimensions"),
        (lambda: build(targets=[[1.0], [2.0]]), "targets has 2 rows"),
        (lambda: build(targets=[np.nan]), "targets has 1 NaN"),
        (lambda: build(coef=np.ones(4)), "coef has 4 rows"),
        (lambda: build(coef=np.ones((3, 2))), "coef has 2 columns and the targets 1"),
        (lambda: build(coef=[1.0, np.inf, 0.0]), "coef has 1 NaN"),
        (lambda: build(intercept=[1.0, 2.0]), r"intercept has shape \(2,\): pass a number, or one for each output"),
        (lambda: build(intercept=np.nan), "intercept has 1 NaN"),
        (lambda: build(layers="first"), "layers='first' is unknown: choose one of 'both', 'hidden', 'last'"),
        (lambda: build(layers=["both"]), r"layers=\['both'\] is unknown"),
        (lambda: build(sample_weight=[-1.0]), "sample_weight has the negative entry"),
        (lambda: build(sample_weight=[0.0]), "sample_weight is zero for every row"),
        (lambda: build(hidden=replace(HIDDEN, biases=None, row_shift=0.5)), "TwoLayer takes no row shift"),
        (lambda: build(hidden=WITHOUT, coef=[1.0, 1.0]), "activation 'mine' has no derivative"),
        (lambda: build().value(np.zeros(3)), r"theta has shape \(3,\): pass all parameters, shape \(12,\)"),
        (lambda: build().linearize(np.zeros((12, 1))), r"theta has shape \(12, 1\)"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("argument", ["X", "targets", "coef", "intercept", "sample_weight"])
def test_words_are_no_numbers(argument):
    with pytest.raises((TypeError, ValueError), match=argument):
        build(**{argument: "many"})


def test_output_weights_that_overflow_are_refused():
    with pytest.raises(ValueError, match=r"scale \* coef has 1 NaN or infinite entries"):
        build(hidden=replace(HIDDEN, scale=1e200), coef=[1e200, 1.0, 1.0])


@pytest.mark.parametrize("layers", ["both", "hidden", "last"])
@pytest.mark.parametrize("size", [1e100, 1e160, 1e300, 1.7e308, np.inf, np.nan])
@pytest.mark.parametrize("name", ["tanh", "relu", "squared_relu", "exp", "softplus"])
def test_huge_parameters_overflow_in_silence(name, size, layers):
    objective = problem(name, n=5, width=30, k=2, layers=layers, **FULL)
    theta = np.full(objective.n_parameters, size)
    value, gradient = objective.value_and_gradient(theta)
    assert not value < 0.0
    assert gradient.shape == theta.shape
    assert objective.residual(theta).shape == (5, 2)
    line = objective.linearize(theta)
    assert line.gram().shape == (10, 10)
    assert line.output_gram().shape == (5, 5)
    assert line.dense().shape == (10, theta.size)
    assert (line.jacobian @ theta).shape == (10,)
    assert (line.jacobian.T @ np.full(10, 1e200)).shape == theta.shape


@pytest.mark.parametrize("size", [1e-150, 1e150])
def test_last_layers_of_any_size_have_a_gram_matrix(size):
    """The squares of the coefficients alone would overflow or vanish; the mean over outputs is taken with care."""
    objective = problem(n=4, width=6, k=3, layers="hidden")
    scaled = replace(objective, coef=objective.coef * size, X=objective.X)
    plain = objective.linearize(objective.initial()).output_gram()
    found = scaled.linearize(scaled.initial()).output_gram()
    np.testing.assert_allclose(found / size / size, plain, rtol=1e-13)


def test_dead_neurons_and_rows_are_harmless():
    objective = problem(n=5, width=6, k=2, biases=True)
    rows = objective.X.copy()
    rows[1] = rows[0]
    rows[2] = 0.0
    rows[:, 1] = 3.0
    coef = objective.coef.copy()
    coef[2] = 0.0
    again = replace(objective, X=rows, coef=coef)
    line = again.linearize(again.initial())
    gram, jacobian = line.gram(), line.dense()
    np.testing.assert_allclose(gram, jacobian @ jacobian.T, rtol=0, atol=1e-14 * gram.max())
    np.testing.assert_allclose(gram[:2], gram[2:4], rtol=0, atol=1e-14 * gram.max())
    assert np.linalg.matrix_rank(gram) == 8


@pytest.mark.parametrize("kind", [int, np.float32, list])
def test_arguments_of_any_type_of_number(kind):
    rng = np.random.default_rng(0)
    X, Y, weights = (rng.integers(-3, 4, shape) for shape in ((5, 2), (5, 2), (2, 3)))
    coef, intercept = rng.integers(1, 4, (3, 2)), np.array([1, 2])
    convert = {list: lambda array: array.tolist()}.get(kind, lambda array: array.astype(kind))
    hidden = FeatureMap(weights.astype({np.float32: np.float32}.get(kind, float)), activation="tanh", scale=0.5)
    found = TwoLayer(
        convert(X), convert(Y), hidden, convert(coef), intercept=convert(intercept), sample_weight=convert(np.arange(5))
    )
    expected = TwoLayer(
        X * 1.0, Y * 1.0, FeatureMap(weights * 1.0, None, "tanh", 0.5), coef, intercept=intercept, sample_weight=range(5)
    )
    value, gradient = found.value_and_gradient(found.initial())
    assert value == expected.value(expected.initial())
    np.testing.assert_array_equal(gradient, expected.gradient(expected.initial()))
    assert gradient.dtype == np.float64


def test_one_number_begins_every_output_bias():
    objective = problem(k=3)
    np.testing.assert_array_equal(replace(objective, intercept=2).initial()[-3:], [2.0, 2.0, 2.0])


def test_arguments_are_not_written_to_and_may_change_later():
    objective = problem(**FULL)
    given = [np.array(each) for each in (objective.X, objective.targets, objective.coef, objective.intercept)]
    X, Y, coef, intercept = given
    again = TwoLayer(X, Y, objective.feature_map, coef, intercept=intercept)
    theta = again.initial()
    theta.flags.writeable = False
    before = again.value_and_gradient(theta)[1]
    again.linearize(theta).gram()
    intercept[:] = np.nan
    np.testing.assert_array_equal(again.initial(), theta)
    np.testing.assert_array_equal(again.gradient(theta), before)


@pytest.mark.parametrize("k", [1, 3])
def test_memory_that_is_not_there_is_named(monkeypatch, k):
    objective = problem(n=40, width=90, k=k)
    line = objective.linearize(objective.initial())
    monkeypatch.setattr(_validation, "available_memory", lambda: 10**4)
    for call, name in ((line.gram, "Gram matrix"), (line.output_gram, "40 x 40 Gram matrix"), (line.dense, "Jacobian")):
        with pytest.raises(MemoryError, match=f"{name} needs [0-9]+ bytes"):
            call()


def test_a_wide_network_is_computed_row_by_row(monkeypatch):
    objective = problem(n=60, width=3000, k=2, **FULL)
    theta = objective.initial()
    expected = objective.value_and_gradient(theta)
    monkeypatch.setattr(_two_layer_tiles, "KEPT", 10)
    tracemalloc.start()
    value, gradient = objective.value_and_gradient(theta)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * 3000 * 8
    assert value == pytest.approx(expected[0], rel=1e-14)
    np.testing.assert_allclose(gradient, expected[1], rtol=0, atol=1e-14 * np.abs(gradient).max())


def test_a_user_s_activation_is_trained():
    mine = Activation("mine", function=np.arctan, function_derivative=lambda z: 1.0 / (1.0 + z * z))
    objective = problem(mine, n=30, width=300, **FULL)
    rng = np.random.default_rng(0)
    direction, step = rng.standard_normal(objective.n_parameters), 1e-5
    theta = objective.initial()
    ahead, behind = (objective.value(theta + sign * step * direction) for sign in (1, -1))
    assert objective.gradient(theta) @ direction == pytest.approx((ahead - behind) / (2 * step), rel=1e-7)
