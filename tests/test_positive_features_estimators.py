"""Positive random features in the estimators: kernels, samplers, and what else a hidden layer goes through."""

import pickle

import numpy as np
import pytest
from estimator_data import answers, both, labels
from scipy import sparse
from sklearn.base import clone

from underdetermined.estimators import RandomFeatureRegressor, RandomFeatures
from underdetermined.kernels import gaussian_kernel, positive_feature_variance, softmax_kernel
from underdetermined.neurons import sample_leverage

KERNELS = {"positive_softmax": softmax_kernel, "positive_gaussian": gaussian_kernel}
SAMPLERS = ["gaussian", "antithetic", "sphere", "orthogonal", "orthogonal_antithetic", "sobol", "leverage"]
all_samplers = pytest.mark.parametrize("sampler", SAMPLERS)
all_activations = pytest.mark.parametrize("activation", KERNELS)


@pytest.fixture
def data(rng):
    X = 0.6 * rng.standard_normal((40, 4))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2]


@all_activations
@pytest.mark.parametrize("sampler", ["gaussian", "antithetic", "orthogonal", "orthogonal_antithetic"])
def test_error_of_the_kernel_is_the_predicted_one(activation, sampler, data):
    X, t, m = data[0], 0.5, 800
    kernel = KERNELS[activation](X, weight_scale=t)
    s = t**2 * ((X[:, None] + X[None]) ** 2).sum(axis=2)
    expected = (kernel**2 * positive_feature_variance(s, 4, sampler)).sum() / m
    layers = [
        RandomFeatures(m, activation=activation, sampler=sampler, weight_scale=t, random_state=seed) for seed in range(60)
    ]
    grams = (features @ features.T for features in (layer.fit_transform(X) for layer in layers))
    squares = np.array([((gram - kernel) ** 2).sum() for gram in grams])
    assert abs(squares.mean() - expected) < 5 * squares.std() / np.sqrt(60)
    assert squares.std() < 3 * squares.mean()


@all_activations
@all_samplers
def test_every_sampler_approximates_the_kernel(activation, sampler, rng):
    # The sphere has another kernel, which is near this one for many inputs.
    X = rng.standard_normal((20, 50))
    features = RandomFeatures(
        20_000, activation=activation, sampler=sampler, weight_scale=0.05, random_state=0
    ).fit_transform(X)
    kernel = KERNELS[activation](X, weight_scale=0.05)
    assert features.min() > 0.0
    assert np.linalg.norm(features @ features.T - kernel) < 0.05 * np.linalg.norm(kernel)


@all_activations
def test_layer_has_the_shift_of_its_scale_and_no_biases(activation, data):
    X = data[0]
    shift = {"positive_softmax": 0.5, "positive_gaussian": 1.0}[activation]
    automatic = RandomFeatures(7, activation=activation, bias_scale=3.0, random_state=0).fit(X)
    assert automatic.feature_map_.row_shift == shift / 4
    assert automatic.feature_map_.biases is None
    np.testing.assert_array_equal(automatic.random_offset_, np.zeros(7))
    assert str(automatic.feature_map_.activation) == "exp"
    given = RandomFeatures(7, activation=activation, weight_scale=0.3, random_state=0).fit(X)
    assert given.feature_map_.row_shift == pytest.approx(shift * 0.09, rel=1e-15)


@both
@all_activations
@all_samplers
def test_widen_and_partial_fit_equal_a_fresh_fit(model, activation, sampler, data):
    X, y = data[0], labels(data[1], model)
    options = {"activation": activation, "sampler": sampler, "alpha": 0.01, "random_state": 0}
    fresh = model(131, **options).fit(X, y)
    classes = {} if model is RandomFeatureRegressor else {"classes": np.unique(y)}
    grown = model(131, **options).partial_fit(X[:25], y[:25], **classes).partial_fit(X[25:], y[25:])
    np.testing.assert_allclose(answers(grown, X), answers(fresh, X), rtol=1e-8, atol=1e-8)
    widened = model(100, **options).fit(X, y).widen(31)
    np.testing.assert_array_equal(widened.random_weights_, fresh.random_weights_)
    assert widened.feature_map_.row_shift == fresh.feature_map_.row_shift
    np.testing.assert_allclose(answers(widened, X), answers(fresh, X), rtol=1e-8, atol=1e-8)


@both
@all_activations
def test_pruned_network_repeats_its_predictions(model, activation, data):
    X, y = data[0], labels(data[1], model)
    network = model(300, activation=activation, alpha=0.01, random_state=0).fit(X, y)
    before = answers(network, X)
    network.prune()
    assert network.width_ <= 40
    np.testing.assert_allclose(answers(network, X), before, rtol=1e-6, atol=1e-6)


@both
@all_activations
@pytest.mark.parametrize("sampler", ["gaussian", "leverage"])
def test_automatic_width_is_the_rule(model, activation, sampler, data):
    network = model(activation=activation, sampler=sampler, random_state=0).fit(data[0], labels(data[1], model))
    assert network.width_ == 512
    assert "because the bounds do not speak of positive features" in network.width_bound_.statement


def test_leverage_draws_from_positive_features(data):
    X = data[0]
    layer = RandomFeatures(30, activation="positive_gaussian", sampler="leverage", random_state=0).fit(X).feature_map_
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    expected = sample_leverage(X, 30, activation="exp", weight_scale=0.5, bias_scale=0.0, row_shift=0.25, seed=seed)
    np.testing.assert_array_equal(layer.weights, expected.weights)
    np.testing.assert_array_equal(layer.scale, expected.scale)
    assert expected.row_shift == layer.row_shift == 0.25


@all_activations
def test_interpolation_and_ridge_agree_with_the_kernel(activation, data):
    # With many features of a small scale, ridge regression is that of the kernel.
    X, y = data
    network = RandomFeatureRegressor(
        40_000, activation=activation, sampler="sobol", alpha=0.1, fit_intercept=False, weight_scale=0.25, random_state=0
    ).fit(X[:30], y[:30])
    kernel = KERNELS[activation](X, X[:30], weight_scale=0.25)
    expected = kernel[30:] @ np.linalg.solve(kernel[:30] + 0.1 * np.eye(30), y[:30])
    np.testing.assert_allclose(network.predict(X[30:]), expected, atol=5e-3)
    exact = RandomFeatureRegressor(2000, activation=activation, weight_scale=1.0, alpha=0, random_state=0).fit(X, y)
    np.testing.assert_allclose(exact.predict(X), y, atol=1e-8)
    assert exact.attainability_ is None


@both
@all_activations
def test_sparse_single_precision_pickled_and_cloned(model, activation, data):
    X, y = data[0], labels(data[1], model)
    network = model(200, activation=activation, alpha=0.01, random_state=0)
    expected = answers(network.fit(X, y), X)
    for same in (clone(network).fit(sparse.csr_array(X), y), pickle.loads(pickle.dumps(network))):
        np.testing.assert_allclose(answers(same, X), expected, rtol=1e-7, atol=1e-9)
    single = answers(clone(network).fit(X.astype(np.float32), y), X.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, atol=2e-3)


@all_activations
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array, sparse.csr_matrix])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_long_rows_are_warned_of_and_do_not_overflow(activation, form, dtype, data):
    X = form((1e15 * data[0]).astype(dtype))
    layer = RandomFeatures(100, activation=activation, random_state=0)
    with pytest.warns(UserWarning, match=rf"'{activation}' with 100 neurons misses most of its kernel: .* > 1.52; scale"):
        layer.fit(X)
    assert layer.transform(X).max() == 0.0
    np.testing.assert_array_equal(layer.fit(form(data[0].astype(dtype))).transform(X).max(), 0.0)


def test_warning_begins_where_the_kernel_is_missed(rng):
    # Median row norms of sqrt(log(m) / 2) over the scale; the samples of a longer diagonal entry are frozen.
    X = rng.standard_normal((9, 3))
    X *= np.sqrt(np.log(200) / 2) / np.linalg.norm(X, axis=1)[:, np.newaxis]
    X[:4] = 0.0
    layer = RandomFeatures(200, activation="positive_softmax", weight_scale=1.0, random_state=0)
    layer.fit(0.99 * X)
    with pytest.warns(UserWarning, match="times weight_scale is 1.64 > 1.63; scale the inputs to norms of about 1"):
        layer.fit(1.01 * X)


@pytest.mark.parametrize("activation", ["positive_softmax", "positive_gaussian"])
def test_row_shifts_that_overflow_are_refused(activation):
    with pytest.raises(OverflowError, match=f"weight_scale=1e.200, whose square .*'{activation}', overflows .* lower it"):
        RandomFeatures(8, activation=activation, weight_scale=1e200).fit([[1.0], [2.0]])


def test_long_rows_are_warned_of_once(data):
    X, y = 10.0 * data[0], data[1]
    network = RandomFeatureRegressor(100, activation="positive_softmax", weight_scale=1.0, alpha=1.0, random_state=0)
    with pytest.warns(UserWarning, match="misses most of its kernel"):
        network.fit(X, y)
    network.widen(20)  # warnings are errors
    assert network.feature_map_.width == 120


def test_leverage_scores_are_those_of_shifted_features():
    # Without the shift the long row overflows; with it, its features are zero and change no score.
    options = {"activation": "exp", "weight_scale": 1.0, "bias_scale": 0.0, "row_shift": 0.5}
    layer, short = sample_leverage([[0.1], [1e3]], 50, **options), sample_leverage([[0.1]], 50, **options)
    np.testing.assert_array_equal(layer.weights, short.weights)
    np.testing.assert_allclose(layer.scale, short.scale, rtol=1e-10)


@pytest.mark.parametrize("width", [8, "auto"])
def test_names_like_those_of_positive_features_are_refused(width):
    with pytest.raises(ValueError, match="unknown activation 'positive_sofmax': .* 'positive_softmax' and"):
        RandomFeatures(width, activation="positive_sofmax").fit([[1.0], [2.0]])
