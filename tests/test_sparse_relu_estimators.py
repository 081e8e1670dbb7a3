"""Sparse ReLU networks as estimators: against a plain loop, and what units, weights and repeats must not change."""

import pickle

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.base import clone

from underdetermined.active_sets import draw_network
from underdetermined.estimators import SparseReLUClassifier, SparseReLURegressor
from underdetermined.estimators._sparse_relu_bias import choose_bias

OPTIONS = {"width": 200, "bias": 0.5, "max_iter": 100, "tol": 0.6, "random_state": 0, "n_jobs": 1}


def regressor(**options):
    return SparseReLURegressor(**{**OPTIONS, **options})


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((40, 3)) * [1.0, 2.0, 0.5]
    return X, np.sin(X[:, 0]) + X[:, 1] + 5.0


@pytest.fixture(scope="module")
def fitted(data):
    return regressor().fit(*data)


def plain_fit(X, Y, weight, network, *, rate, steps, bias_scale, seed):
    """Gradient descent on the dense network, written down from the formula; returns a function of rows."""
    constant = np.sqrt(np.average((X**2).sum(axis=1), weights=weight))

    def lift(rows):
        rows = np.column_stack([rows, np.full(len(rows), constant)])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    Z, mean = lift(X), np.average(Y, axis=0, weights=weight)
    unit = np.sqrt(np.average((Y - mean) ** 2, axis=0, weights=weight))
    layer, signs = draw_network(Z.shape[1], network.width, Y.shape[1], bias=network.bias, seed=seed)
    W, b, v = layer.weights.copy(), layer.biases.copy(), signs / np.sqrt(network.width)

    def outputs(rows):
        return np.maximum(rows @ W + b, 0) @ v

    for _ in range(steps):
        back = ((outputs(Z) - (Y - mean) / unit) * weight[:, None]) @ v.T * (Z @ W + b > 0)
        W, b = W - rate * Z.T @ back, b - rate * bias_scale**2 * back.sum(axis=0)
    return lambda rows: mean + unit * outputs(lift(rows))


@pytest.mark.parametrize("train_biases", [True, False])
def test_predictions_are_those_of_a_plain_loop(data, train_biases):
    X, Y = data[0], np.column_stack([data[1], data[0] ** 2 * 100])
    weight = np.random.default_rng(0).uniform(0.5, 2, len(X))
    network = regressor(learning_rate=0.02, tol=0, max_iter=20, train_biases=train_biases)
    with pytest.warns(UserWarning, match="after 20 steps"):
        network.fit(X, Y, weight)
    seed = int(np.random.RandomState(0).randint(np.iinfo(np.int32).max))
    expected = plain_fit(X, Y, weight, network, rate=0.02, steps=20, bias_scale=float(train_biases), seed=seed)
    new = np.random.default_rng(1).standard_normal((10, 3))
    np.testing.assert_allclose(network.predict(new), expected(new), rtol=1e-10)


def test_the_loss_is_that_of_all_rows_in_units_of_the_variance(data):
    X, y = np.vstack([data[0], data[0][:20]]), np.concatenate([data[1], data[1][:20] + 1])
    weight = np.linspace(0.5, 2, len(y))
    network = regressor().fit(X, y, weight)
    variance = np.average((y - np.average(y, weights=weight)) ** 2, weights=weight)
    error = np.average((network.predict(X) - y) ** 2, weights=weight)
    np.testing.assert_allclose(network.loss_curve_[[0, -1]], [0.5, 0.5 * error / variance], rtol=1e-10)
    assert len(network.loss_curve_) == network.n_iter_ + 1


def test_integer_weights_are_repeats_and_zero_is_absence(data):
    X, y = data
    weight = np.arange(len(y)) % 3
    weighted = regressor().fit(X, y, weight)
    repeated = regressor().fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-10)


@pytest.mark.parametrize("factor", [2.0**-900, 2.0**900], ids=["tiny", "huge"])
def test_units_do_not_matter(data, fitted, factor):
    X, y = data
    np.testing.assert_array_equal(regressor().fit(X, y * factor).predict(X), fitted.predict(X) * factor)
    np.testing.assert_array_equal(regressor().fit(X * factor, y).predict(X * factor), fitted.predict(X))


def test_a_large_mean_does_not_matter(data, fitted):
    shifted = regressor().fit(data[0], data[1] + 2.0**20)
    np.testing.assert_allclose(shifted.predict(data[0]) - 2.0**20, fitted.predict(data[0]), atol=1e-8)


def test_outputs_keep_their_order_and_units(data):
    X, y = data
    both = regressor(tol=0.4).fit(X, np.column_stack([y, -1000 * y]))
    assert both.predict(X).shape == (40, 2)
    assert both.score(X, np.column_stack([y, -1000 * y])) > 0.8
    assert both.coef_.shape == (2, 200) and both.intercept_.shape == (2,)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e300])
def test_constant_targets_are_predicted(data, value):
    network = regressor().fit(data[0], np.full(40, value))
    np.testing.assert_allclose(network.predict(data[0]), value, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(
    "X",
    [np.arange(6.0)[:, None], np.eye(6) * 1e-200, np.outer(np.arange(1.0, 7), [1e150, 0, 1]), np.eye(6, dtype=int)],
    ids=["one column", "tiny", "huge", "integers"],
)
def test_unusual_rows_are_learned(X):
    network = SparseReLURegressor(2000, random_state=0, n_jobs=1).fit(X, np.arange(6.0))
    assert network.score(X, np.arange(6.0)) > 0.98


def test_equal_rows_predict_their_mean():
    network = regressor(bias="auto").fit(np.zeros((4, 2)), [1.0, 2.0, 3.0, 4.0])
    np.testing.assert_allclose(network.predict(np.zeros((1, 2))), 2.5, rtol=1e-12)


def test_float32_gives_float32(data, fitted):
    X = data[0].astype(np.float32)
    predictions = regressor().fit(X, data[1]).predict(X)
    assert predictions.dtype == np.float32
    np.testing.assert_allclose(predictions, fitted.predict(data[0]), rtol=1e-3)


@pytest.mark.parametrize("n_jobs", [2, None])
def test_threads_change_nothing(data, fitted, n_jobs):
    assert (regressor(n_jobs=n_jobs).fit(*data).predict(data[0]) == fitted.predict(data[0])).all()


def test_neurons_that_never_fire_stay_as_they_were_drawn(data):
    network = regressor(width=1000, bias=2.0).fit(*data)
    seed = int(np.random.RandomState(0).randint(np.iinfo(np.int32).max))
    drawn = draw_network(4, 1000, bias=2.0, seed=seed)[0].weights
    moved = (network.feature_map_.weights != drawn).any(axis=0)
    assert network.n_live_ <= moved.sum() < 1000
    assert network.active_fraction_ < 0.1


def test_rows_as_they_are(data):
    network = regressor(normalize=False).fit(*data)
    assert network.row_constant_ is None and network.feature_map_.n_inputs == 3
    direct = network.feature_map_(data[0]) @ network.coef_ + network.intercept_
    np.testing.assert_allclose(network.predict(data[0]), direct, rtol=1e-13)


@pytest.mark.parametrize("width", [1000, 4096, 20000, 10**6])
def test_the_rule_for_the_bias(width):
    norms = np.random.default_rng(0).uniform(0.9, 1.1, 50)
    bias = choose_bias(np.append(norms, 0.0), np.ones(51), width, width // 2)
    cap = np.sqrt((norms**2).mean() * np.log(width) / 2)
    expected = width // 2 * norm.sf(bias / norms.min())
    assert bias <= cap * (1 + 1e-12) and expected >= 128 * (1 - 1e-12)
    assert np.isclose(bias, cap) or np.isclose(expected, 128)


@pytest.mark.parametrize(("norms", "n_independent"), [([1.0], 256), ([1.0], 1), ([0.0, 0.0], 5000)])
def test_the_rule_takes_no_threshold_where_there_is_no_room(norms, n_independent):
    assert choose_bias(np.array(norms), np.ones(len(norms)), 2 * n_independent, n_independent) == 0.0


def test_the_bias_is_stored(data, fitted):
    assert fitted.bias_ == 0.5
    automatic = regressor(width=2000, bias="auto").fit(*data)
    assert automatic.bias_ == pytest.approx(norm.isf(128 / 1000))
    assert automatic.active_fraction_ == automatic.trajectory_.active_fraction[-1] > 0


def test_certificates_are_for_small_problems(data, fitted):
    assert fitted.certificate_.residual_norm == pytest.approx(np.sqrt(40))
    assert fitted.certificate_.learning_rate == max(fitted.learning_rate_)
    assert regressor(learning_rate=0.01).fit(*data).certificate_.learning_rate == 0.01
    assert regressor().fit(data[0], np.tile(data[1][:, None], 4)).certificate_ is None


@pytest.mark.parametrize("strategy", ["dense", "masked", "lists", "kernel"])
def test_the_network_is_the_one_whose_residual_was_recorded(data, strategy):
    network = regressor(strategy=strategy, tol=0.3).fit(*data)
    error = network.predict(data[0]) - data[1]
    distinct = np.unique(data[0], axis=0, return_index=True)[1]
    np.testing.assert_allclose(
        np.sort(network.trajectory_.residual[:, 0]), np.sort(error[distinct] / data[1].std()), atol=1e-12
    )


def test_a_failed_fit_leaves_the_last_one(data):
    network = regressor().fit(*data)
    before = network.predict(data[0])
    with pytest.raises(ValueError, match="none of 200 neurons active on any row"):
        network.set_params(bias=40.0).fit(data[0][:10], data[1][:10])
    np.testing.assert_array_equal(network.predict(data[0]), before)


def test_clones_and_pickles(data, fitted):
    assert not hasattr(clone(fitted), "feature_map_")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(data[0]), fitted.predict(data[0]))


def test_two_classes_are_one_column(data):
    X, y = data
    labels = np.where(y > np.median(y), "up", "down")
    network = SparseReLUClassifier(**OPTIONS).fit(X, labels)
    values = regressor().fit(X, np.where(labels == "up", 1.0, -1.0)).predict(X)
    np.testing.assert_allclose(network.decision_function(X), values, rtol=1e-12)
    np.testing.assert_array_equal(network.predict(X), np.where(values > 0, "up", "down"))
    assert network.coef_.shape == (1, 200)


def test_more_classes_are_one_column_each(data):
    X, y = data
    labels = np.digitize(y, np.quantile(y, [0.3, 0.6]))
    network = SparseReLUClassifier(**OPTIONS).fit(X, labels)
    values = network.decision_function(X)
    np.testing.assert_array_equal(network.predict(X), values.argmax(axis=1))
    np.testing.assert_allclose(network.intercept_, np.bincount(labels) / 40)
    assert network.score(X, labels) > 0.8


def test_columns_of_a_classifier_keep_their_proportions(data):
    X, labels = data[0], np.array([0] * 2 + [1] * 19 + [2] * 19)
    unit = np.sqrt(np.mean([p * (1 - p) for p in np.bincount(labels) / 40]))
    network = SparseReLUClassifier(**{**OPTIONS, "tol": 0.9}).fit(X, labels)
    np.testing.assert_allclose(abs(network.coef_), unit, rtol=1e-12)
