"""sampler="leverage": neurons drawn by their leverage on the training rows, each with a factor of its own."""

import numpy as np
import pytest
from estimator_data import answers, both, labels
from scipy import sparse
from sklearn.linear_model import Ridge

from underdetermined.estimators import RandomFeatureClassifier, RandomFeatureRegressor, RandomFeatures
from underdetermined.neurons import sample_leverage

LEVERAGE = {"sampler": "leverage", "random_state": 0}


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("width", [30, 300])
def test_regressor_is_ridge_on_the_features(data, width, fit_intercept):
    X, y = data
    network = RandomFeatureRegressor(width, alpha=0.1, fit_intercept=fit_intercept, **LEVERAGE).fit(X, y)
    features = RandomFeatures(width, **LEVERAGE).fit(X)
    assert np.ndim(network.feature_map_.scale) == 1
    ridge = Ridge(0.1, fit_intercept=fit_intercept, solver="svd").fit(features.transform(X), y)
    np.testing.assert_array_equal(network.random_weights_, features.random_weights_)
    np.testing.assert_allclose(network.predict(X + 0.1), ridge.predict(features.transform(X + 0.1)), rtol=0, atol=1e-9)


def test_layer_is_that_of_the_sampler(data):
    options = {"activation": "tanh", "weight_scale": 0.7, "bias_scale": 0.3}
    network = RandomFeatureRegressor(200, **LEVERAGE, **options).fit(*data)
    layer = sample_leverage(data[0], 200, seed=network._seed, **options)
    np.testing.assert_array_equal(network.feature_map_(data[0]), layer(data[0]))
    np.testing.assert_array_equal(network.random_weights_, layer.weights)
    np.testing.assert_array_equal(network.random_offset_, layer.biases)


@both
@pytest.mark.parametrize("solver", ["cholesky", "cholesky_qr", "qr", "svd", "mixed", "cg", "lsmr"])
@pytest.mark.parametrize("width", [30, 300])
def test_solvers_agree(data, model, solver, width):
    X, y = data[0], labels(data[1], model)
    expected = model(width, alpha=0.1, **LEVERAGE).fit(X, y)
    other = model(width, alpha=0.1, solver=solver, **LEVERAGE).fit(X, y)
    np.testing.assert_allclose(answers(other, X), answers(expected, X), rtol=0, atol=1e-7)


@both
@pytest.mark.parametrize("width", [20, 100, 700])
def test_widen_equals_a_fresh_fit(data, model, width):
    X, y = data[0], labels(data[1], model)
    fresh = model(width + 300, alpha=0.01, **LEVERAGE).fit(X, y)
    wider = model(width, alpha=0.01, **LEVERAGE).fit(X, y).widen(100).widen(200)
    np.testing.assert_array_equal(wider.random_weights_, fresh.random_weights_)
    np.testing.assert_array_equal(wider.feature_map_.scale, fresh.feature_map_.scale)
    np.testing.assert_allclose(answers(wider, X), answers(fresh, X), rtol=0, atol=1e-9)
    features = wider.feature_map_(X)
    np.testing.assert_allclose(wider._gram, features @ features.T, rtol=1e-12)  # a wrong one would only slow the refinement


@both
@pytest.mark.parametrize("width", ["auto", 30, 300])
@pytest.mark.parametrize("alpha", ["loo", 0.1])
def test_partial_fit_equals_fit(data, model, width, alpha):
    X, y = data[0], labels(data[1], model)
    X, y = np.vstack([X[:10], X, X[:10]]), np.concatenate([y[20:30], y, y[::-1][:10]])
    weight = np.random.default_rng(5).uniform(0.5, 2, len(y))
    whole = model(width, alpha=alpha, **LEVERAGE).fit(X, y, weight)
    pieces = model(width, alpha=alpha, **LEVERAGE)
    for part in (slice(0, 40), slice(40, 41), slice(41, 100)):
        pieces.partial_fit(X[part], y[part], sample_weight=weight[part])
    assert pieces.width_ == whole.width_
    np.testing.assert_allclose(answers(pieces, X), answers(whole, X), rtol=0, atol=1e-9)


@both
def test_weights_of_rows_are_repetitions(data, model):
    X, y = data[0], labels(data[1], model)
    counts = np.random.default_rng(2).integers(0, 4, len(y))
    weighted = model(120, **LEVERAGE).fit(X, y, counts)
    repeated = model(120, **LEVERAGE).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts, axis=0))
    np.testing.assert_allclose(answers(weighted, X), answers(repeated, X), rtol=0, atol=1e-9)


@both
@pytest.mark.parametrize("layout", [np.asfortranarray, sparse.csr_array])
def test_layout_and_threads_change_rounding_only(data, model, layout):
    X, y = data[0], labels(data[1], model)
    plain = model(300, alpha=0.01, n_jobs=1, **LEVERAGE).fit(X, y)
    other = model(300, alpha=0.01, n_jobs=2, **LEVERAGE).fit(layout(X), y)
    np.testing.assert_array_equal(other.random_weights_, plain.random_weights_)
    np.testing.assert_allclose(answers(other, X), answers(plain, X), rtol=0, atol=1e-10)


@both
@pytest.mark.parametrize("width", [30, 300])
def test_streaming_changes_rounding_only(data, model, monkeypatch, width):
    X, y = data[0], labels(data[1], model)
    dense = model(width, alpha=0.01, **LEVERAGE).fit(X, y)
    monkeypatch.setattr("underdetermined.estimators._base.DENSE_BYTES", 0)
    streamed = model(width, alpha=0.01, **LEVERAGE).fit(X, y)
    np.testing.assert_allclose(answers(streamed, X), answers(dense, X), rtol=0, atol=1e-10)


def test_float32_is_kept(data):
    X, y = data[0].astype(np.float32), data[1].astype(np.float32)
    single = RandomFeatureRegressor(300, alpha=0.1, **LEVERAGE).fit(X, y)
    assert single.coef_.dtype == single.predict(X).dtype == single.random_weights_.dtype == np.float32
    features = single.feature_map_(X).astype(np.float64)
    ridge = Ridge(0.1, solver="svd").fit(features, y)
    np.testing.assert_allclose(single.predict(X), ridge.predict(features), atol=2e-4)


@pytest.mark.parametrize("width", [30, 300])
def test_the_penalty_of_larger_systems_is_searched(data, monkeypatch, width):
    exact = RandomFeatureRegressor(width, **LEVERAGE).fit(*data)
    monkeypatch.setattr("underdetermined.estimators._penalty.EXACT_LOO_ORDER", 10)
    searched = RandomFeatureRegressor(width, **LEVERAGE).fit(*data)
    assert (searched.loo_path_.method, exact.loo_path_.method) == ("cholesky", "eigendecomposition")
    assert searched.loo_path_.error == pytest.approx(exact.loo_path_.error, rel=0.05)


def test_classifier_separates(data):
    X, y = data[0], labels(data[1], RandomFeatureClassifier)
    assert RandomFeatureClassifier(400, alpha=0, **LEVERAGE).fit(X, y).score(X, y) == 1.0


def test_one_row_and_rows_without_information():
    assert RandomFeatureRegressor(10, **LEVERAGE).fit([[1.0, 2.0]], [3.0]).predict([[1.0, 2.0]]) == pytest.approx([3.0])
    X = np.ones((20, 3))
    network = RandomFeatureRegressor(10, **LEVERAGE).fit(X, np.arange(20) % 2)
    np.testing.assert_allclose(network.predict(X), 0.5)
