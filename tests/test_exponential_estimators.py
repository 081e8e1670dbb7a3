"""Networks of exponentials as estimators: against plain training, and what units, weights and repeats must not change."""

import pickle

import numpy as np
import pytest
from scipy.optimize import least_squares
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from underdetermined.estimators import ExponentialClassifier, ExponentialRegressor
from underdetermined.estimators._exponential_rows import choose_row_scale
from underdetermined.exponential import draw_network

OPTIONS = {"width": 200, "tol": 1e-4, "random_state": 0, "n_jobs": 1}
SEED = int(np.random.RandomState(0).randint(np.iinfo(np.int32).max))


def regressor(**options):
    return ExponentialRegressor(**{**OPTIONS, **options})


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((25, 6)) * [1.0, 2.0, 0.5, 1.0, 1.0, 1.0]
    return X, np.sin(X[:, 0]) + X[:, 1] + 5.0


@pytest.fixture(scope="module")
def fitted(data):
    return regressor().fit(*data)


class Plain:
    """The network of an estimator written down from the formula, at its start."""

    def __init__(self, network, X, Y, weight):
        self.constant = np.sqrt(np.average((X**2).sum(axis=1), weights=weight))
        self.scale = network.row_scale_
        self.mean = np.average(Y, axis=0, weights=weight)
        self.unit = np.sqrt(np.average((Y - self.mean) ** 2, axis=0, weights=weight))
        layer, coef = draw_network(X.shape[1] + 1, network.width, Y.shape[1], seed=SEED)
        self.start, self.last = layer.weights, coef / np.sqrt(network.width)
        self.inputs, self.targets, self.root = self.lift(X), (Y - self.mean) / self.unit, np.sqrt(weight)[:, None]

    def lift(self, rows):
        return self.scale * np.column_stack([rows, np.full(len(rows), self.constant)])

    def residual(self, W):
        return self.root * (np.exp(self.inputs @ W) @ self.last - self.targets)

    def gradient(self, W):
        return self.inputs.T @ (np.exp(self.inputs @ W) * (self.root * self.residual(W) @ self.last.T))

    def predict(self, W, rows):
        return self.mean + self.unit * (np.exp(self.lift(rows) @ W) @ self.last)


@pytest.fixture(scope="module")
def weighted(data):
    weight = np.random.default_rng(0).uniform(0.5, 2, 25)
    return data[0], np.column_stack([data[1], data[0][:, 0] ** 2 * 100]), weight


def test_gradient_descent_is_that_of_a_plain_loop(weighted):
    network = regressor(solver="gd", learning_rate=0.001, max_iter=20)
    with pytest.warns(ConvergenceWarning, match="after 20 steps"):
        network.fit(*weighted)
    plain = Plain(network, *weighted)
    W = plain.start
    for _ in range(20):
        W = W - 0.001 * plain.gradient(W)
    new = np.random.default_rng(1).standard_normal((10, 6))
    np.testing.assert_allclose(network.predict(new), plain.predict(W, new), rtol=1e-10)
    np.testing.assert_array_equal(network.learning_rate_, 0.001)


@pytest.mark.parametrize("solver", ["gauss-newton", "gd"])
def test_a_penalised_fit_is_the_minimum_that_scipy_finds(weighted, solver):
    network = regressor(width=20, alpha=5.0, tol=1e-8, solver=solver).fit(*weighted)
    plain = Plain(network, *weighted)

    def penalised(w):
        W = w.reshape(plain.start.shape)
        return np.concatenate([plain.residual(W).ravel(), np.sqrt(5.0) * (W - plain.start).ravel()])

    found = least_squares(penalised, plain.start.ravel(), xtol=1e-14, ftol=1e-14, gtol=1e-10)
    new = np.random.default_rng(1).standard_normal((10, 6))
    expected = plain.predict(found.x.reshape(plain.start.shape), new)
    np.testing.assert_allclose(network.predict(new), expected, rtol=1e-5)
    assert network.trajectory_.value[-1] == pytest.approx(found.cost, rel=1e-9)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_without_a_penalty_it_interpolates(data, n_outputs):
    X, Y = data[0], np.random.default_rng(0).standard_normal((25, 2))[:, :n_outputs]
    network = regressor(tol=1e-9, width=1000).fit(X, Y)
    np.testing.assert_allclose(network.predict(X).reshape(25, -1), Y, atol=1e-7)
    assert network.learning_rate_ is None and len(network.loss_curve_) == network.n_iter_ + 1


def test_the_loss_is_that_of_all_rows_in_units_of_the_variance(data):
    X, y = np.vstack([data[0], data[0][:10]]), np.concatenate([data[1], data[1][:10] + 1])
    weight = np.linspace(0.5, 2, len(y))
    network = regressor().fit(X, y, weight)
    variance = np.average((y - np.average(y, weights=weight)) ** 2, weights=weight)
    error = np.average((network.predict(X) - y) ** 2, weights=weight)
    np.testing.assert_allclose(network.loss_curve_[[0, -1]], [0.5, 0.5 * error / variance], rtol=1e-7)


def test_integer_weights_are_repeats_and_zero_is_absence(data):
    X, y = data
    weight = np.arange(len(y)) % 3
    weighted = regressor(alpha=0.1).fit(X, y, weight)
    repeated = regressor(alpha=0.1).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert weighted.row_scale_ == pytest.approx(repeated.row_scale_, rel=1e-14)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-8)


@pytest.mark.parametrize("factor", [2.0**-900, 2.0**900], ids=["tiny", "huge"])
def test_units_do_not_matter(data, fitted, factor):
    X, y = data
    np.testing.assert_array_equal(regressor().fit(X, y * factor).predict(X), fitted.predict(X) * factor)
    np.testing.assert_array_equal(regressor().fit(X * factor, y).predict(X * factor), fitted.predict(X))


@pytest.mark.parametrize("value", [0.0, 0.1, -1e300])
def test_constant_targets_are_predicted(data, value):
    network = regressor().fit(data[0], np.full(25, value))
    np.testing.assert_allclose(network.predict(data[0]), value, rtol=1e-15)
    assert network.n_iter_ == 1


@pytest.mark.parametrize(
    "X",
    [
        np.arange(6.0)[:, None],
        np.eye(6) * 1e-200,
        np.outer([1.0, -2, 3, -4, 5, -6], [1e150, 0, 1]),
        np.eye(6, dtype=int),
        np.vstack([np.zeros((1, 3)), 1e3 * np.random.default_rng(0).standard_normal((5, 3))]),
    ],
    ids=["one column", "tiny", "huge", "integers", "norms of 1e3 and a row of zeros"],
)
def test_unusual_rows_are_learned(X):
    network = ExponentialRegressor(1000, tol=1e-3, random_state=0, n_jobs=1).fit(X, np.arange(6.0))
    assert network.score(X, np.arange(6.0)) > 1 - 2e-6


def test_equal_rows_predict_their_mean():
    network = regressor().fit(np.zeros((4, 2)), [1.0, 2.0, 3.0, 4.0])
    np.testing.assert_allclose(network.predict(np.zeros((1, 2))), 2.5, rtol=1e-12)
    assert network.row_constant_ == 1.0


def test_one_row_is_predicted():
    assert regressor().fit([[1.0, 2.0]], [3.0]).predict([[1.0, 2.0]]) == pytest.approx(3.0)


def test_float32_gives_float32(data, fitted):
    X = data[0].astype(np.float32)
    predictions = regressor(alpha=0.1).fit(X, data[1]).predict(X)
    assert predictions.dtype == np.float32
    np.testing.assert_allclose(predictions, regressor(alpha=0.1).fit(*data).predict(data[0]), rtol=1e-4)


def test_threads_change_nothing(data, fitted):
    np.testing.assert_array_equal(regressor(n_jobs=2).fit(*data).predict(data[0]), fitted.predict(data[0]))


def test_rows_as_they_are(data):
    network = regressor(fit_bias=False, row_scale=0.125, alpha=1.0).fit(*data)
    assert network.row_constant_ is None and network.row_scale_ == 0.125 and network.feature_map_.n_inputs == 6
    direct = network.feature_map_(0.125 * data[0]) @ network.coef_ + network.intercept_
    np.testing.assert_allclose(network.predict(data[0]), direct, rtol=1e-12)


@pytest.mark.parametrize("width", [2, 100, 4096, 10**6])
@pytest.mark.parametrize("outlier", [1.0, 3.0, 1e6])
def test_the_rule_for_the_row_scale(width, outlier):
    norms = np.append(np.linspace(0.9, 1.1, 51), [outlier, 0.0, 0.0])
    scale = choose_row_scale(norms[:, None] * [[0.6, -0.8]], np.ones(54), width)
    largest, median = scale * max(outlier, 1.1), scale * np.sort(norms[norms > 0])[25]
    assert median <= 0.75 * (1 + 1e-12) and largest <= np.sqrt(np.log(width)) / 2 * (1 + 1e-12)
    assert np.isclose(median, 0.75) or np.isclose(largest, np.sqrt(np.log(width)) / 2)


def test_the_rule_takes_rows_of_zeros_and_of_subnormal_numbers():
    assert choose_row_scale(np.zeros((3, 2)), np.ones(3), 100) == 1.0
    assert np.isfinite(choose_row_scale(np.full((3, 2), 5e-324), np.ones(3), 100))


def test_certificates_of_the_start_and_of_the_end():
    X, y = np.eye(3), [1.0, 0.0, -1.0]
    wide = regressor(width=20000).fit(X, y)
    assert wide.certificate_.is_certified and wide.certified_step_ == 0
    assert wide.certificate_.residual_norm == pytest.approx(np.sqrt(3))
    later = regressor(tol=1e-10).fit(X, y)
    assert later.certificate_.is_certified and later.certified_step_ == later.n_iter_
    assert later.certificate_.residual_norm <= 1e-10 * np.sqrt(3)


def test_certificates_are_for_steps_as_large_as_those_taken():
    network = regressor(width=20000, solver="gd", row_scale=0.5).fit(np.eye(3), [1.0, 0.5, -1.0])
    rates = network.learning_rate_
    assert network.certificate_.is_certified and rates.min() < rates.max() == network.certificate_.learning_rate


def test_no_certificate_for_many_rows():
    rng = np.random.default_rng(0)
    network = regressor(alpha=100.0, width=10).fit(rng.standard_normal((171, 2)), rng.standard_normal((171, 3)))
    assert network.certificate_ is None and network.certified_step_ is None


def test_logarithms_of_predictions(data, fitted):
    sign, log_magnitude = fitted.predict_log(data[0])
    np.testing.assert_allclose(sign * np.exp(log_magnitude), fitted.predict(data[0]), rtol=1e-11)
    far = 1e4 * np.ones((1, 6))
    sign, log_magnitude = regressor().fit(data[0], np.column_stack([data[1]] * 2)).predict_log(far)
    assert sign.shape == log_magnitude.shape == (1, 2) and (log_magnitude > 1000).all()


def test_a_failed_fit_leaves_the_last_one(data):
    network = regressor().fit(*data)
    before = network.predict(data[0])
    with pytest.raises(OverflowError):
        network.set_params(row_scale=1e6).fit(data[0][:10], data[1][:10])
    np.testing.assert_array_equal(network.set_params(row_scale="auto").predict(data[0]), before)


def test_clones_and_pickles(data, fitted):
    assert not hasattr(clone(fitted), "feature_map_")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(data[0]), fitted.predict(data[0]))


def test_two_classes_are_one_column(data):
    X, y = data
    labels = np.where(y > np.median(y), "up", "down")
    network = ExponentialClassifier(**OPTIONS).fit(X, labels)
    values = regressor().fit(X, np.where(labels == "up", 1.0, -1.0)).predict(X)
    np.testing.assert_allclose(network.decision_function(X), values, rtol=1e-9)
    np.testing.assert_array_equal(network.predict(X), labels)
    assert network.coef_.shape == (1, 200)


def test_more_classes_are_one_column_each(data):
    X, y = data
    labels = np.digitize(y, np.quantile(y, [0.3, 0.6]))
    network = ExponentialClassifier(**{**OPTIONS, "width": 1000}).fit(X, labels)
    np.testing.assert_allclose(network.decision_function(X), np.eye(3)[labels], atol=1e-3)
    np.testing.assert_array_equal(network.predict(X), labels)
    np.testing.assert_allclose(network.intercept_, np.bincount(labels) / 25)
