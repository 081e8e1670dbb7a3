"""Two-layer networks as estimators: against plain training, and what units, weights, repeats and order must not change."""

import pickle

import numpy as np
import pytest
from scipy.optimize import least_squares
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from underdetermined.estimators import TwoLayerClassifier, TwoLayerRegressor
from underdetermined.joint import draw_network

OPTIONS = {"width": 40, "alpha": 0.1, "random_state": 0, "n_jobs": 1}
SEED = int(np.random.RandomState(0).randint(np.iinfo(np.int32).max))


def regressor(**options):
    return TwoLayerRegressor(**{**OPTIONS, **options})


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((25, 4)) * [1.0, 2.0, 0.5, 1.0] + [0.0, 5.0, 0.0, 0.0]
    return X, np.sin(X[:, 0]) + X[:, 1] + 5.0


@pytest.fixture(scope="module")
def fitted(data):
    return regressor().fit(*data)


@pytest.fixture(scope="module")
def weighted(data):
    weight = np.random.default_rng(0).uniform(0.5, 2, 25)
    return data[0], np.column_stack([data[1], data[0][:, 0] ** 2 * 100]), weight


class Plain:
    """The network of an estimator written down from the formula, with all parameters in one vector."""

    def __init__(self, X, Y, weight, width, bias_scale, **draw):
        self.center = np.average(X, axis=0, weights=weight)
        self.scale = 1 / np.sqrt(np.average(((X - self.center) ** 2).mean(axis=1), weights=weight))
        self.mean = np.average(Y, axis=0, weights=weight)
        self.unit = np.sqrt(np.average((Y - self.mean) ** 2, axis=0, weights=weight))
        layer, coef = draw_network(X.shape[1], width, Y.shape[1], bias_scale=bias_scale, seed=SEED, **draw)
        biases = [] if layer.biases is None else [layer.biases]
        self.hidden = np.vstack([layer.weights, *biases]).shape
        self.start = np.concatenate([layer.weights.ravel(), *biases, coef.ravel(), np.zeros(Y.shape[1])])
        self.inputs, self.targets, self.root = self.lift(X), (Y - self.mean) / self.unit, np.sqrt(weight)[:, None]

    def lift(self, rows):
        extra = self.hidden[0] - rows.shape[1]
        return np.hstack([self.scale * (rows - self.center), np.ones((len(rows), extra))])

    def parts(self, theta):
        hidden, k = theta[: np.prod(self.hidden)], self.targets.shape[1]
        return hidden.reshape(self.hidden), theta[hidden.size : -k].reshape(-1, k), theta[-k:]

    def outputs(self, theta, inputs):
        hidden, coef, bias = self.parts(theta)
        return np.tanh(inputs @ hidden) @ coef + bias

    def residual(self, theta):
        return self.root * (self.outputs(theta, self.inputs) - self.targets)

    def gradient(self, theta):
        hidden, coef, _ = self.parts(theta)
        features, back = np.tanh(self.inputs @ hidden), self.root * self.residual(theta)
        slopes = self.inputs.T @ ((back @ coef.T) * (1 - features**2))
        return np.concatenate([slopes.ravel(), (features.T @ back).ravel(), back.sum(axis=0)])

    def jacobian(self):
        """Derivatives of the outputs by all parameters at the start, by central differences: shape (k, n, p)."""
        sides = ((self.start + step, self.start - step) for step in 1e-5 * np.eye(len(self.start)))
        columns = [self.outputs(ahead, self.inputs) - self.outputs(behind, self.inputs) for ahead, behind in sides]
        return np.array(columns).T / 2e-5

    def tangent_size(self):
        return np.average((self.jacobian() ** 2).sum(axis=2).mean(axis=0), weights=self.root[:, 0] ** 2)

    def predict(self, theta, rows):
        return self.mean + self.unit * self.outputs(theta, self.lift(rows))


NEW = np.random.default_rng(1).standard_normal((10, 4))


@pytest.mark.parametrize("bias_scale", [None, 0.0, 1.0])
def test_gradient_descent_is_that_of_a_plain_loop(weighted, bias_scale):
    network = regressor(solver="gd", learning_rate=0.001, max_iter=20, alpha=0.0, bias_scale=bias_scale)
    with pytest.warns(ConvergenceWarning, match="after 20 steps"):
        network.fit(*weighted)
    plain = Plain(*weighted, 40, bias_scale, output="paired")
    theta = plain.start
    for _ in range(20):
        theta = theta - 0.001 * plain.gradient(theta)
    np.testing.assert_allclose(network.predict(NEW), plain.predict(theta, NEW), rtol=1e-10)
    np.testing.assert_array_equal(network.learning_rate_, 0.001)


@pytest.mark.parametrize("solver", ["gauss-newton", "gd"])
def test_a_penalised_fit_is_the_minimum_that_scipy_finds(weighted, solver):
    network = regressor(width=10, alpha=1.0, tol=1e-6, solver=solver, output="random", max_iter=1000).fit(*weighted)
    plain = Plain(*weighted, 10, 1.0, output="random")
    root = np.sqrt(plain.tangent_size())

    def penalised(theta):
        return np.concatenate([plain.residual(theta).ravel(), root * (theta - plain.start)])

    found = least_squares(penalised, plain.start, xtol=1e-14, ftol=1e-14, gtol=1e-10)
    np.testing.assert_allclose(network.predict(NEW), plain.predict(found.x, NEW), rtol=1e-5)
    assert network.trajectory_.value[-1] == pytest.approx(found.cost, rel=1e-8)


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("output", ["random", "zero", "paired"])
def test_without_a_penalty_it_interpolates(data, n_outputs, output):
    X, Y = data[0], np.random.default_rng(0).standard_normal((25, 2))[:, :n_outputs]
    network = regressor(alpha=0.0, tol=1e-9, width=100, output=output).fit(X, Y)
    np.testing.assert_allclose(network.predict(X).reshape(25, -1), Y, atol=1e-7)
    assert network.learning_rate_ is None and len(network.loss_curve_) == network.n_iter_ + 1


def test_the_loss_is_that_of_all_rows_in_units_of_the_variance(data):
    X, y = np.vstack([data[0], data[0][:10]]), np.concatenate([data[1], data[1][:10] + 1])
    weight = np.linspace(0.5, 2, len(y))
    network = regressor(alpha=0.0).fit(X, y, weight)
    variance = np.average((y - np.average(y, weights=weight)) ** 2, weights=weight)
    error = np.average((network.predict(X) - y) ** 2, weights=weight)
    np.testing.assert_allclose(network.loss_curve_[[0, -1]], [0.5, 0.5 * error / variance], rtol=1e-7)


def test_the_penalty_of_leave_one_out_is_that_of_leaving_rows_out(data):
    network = regressor(alpha="loo", width=10).fit(*data)
    X, Y = data[0], data[1][:, None]
    plain = Plain(X, Y, np.ones(25), 10, 1.0, output="paired")
    J = plain.jacobian()[0]
    alphas, errors = np.geomspace(1e-3, 1e2, 21), []
    for penalty in alphas * plain.tangent_size():
        left = [
            plain.targets[i, 0] - J[i] @ np.linalg.lstsq(
                np.vstack([np.delete(J, i, 0), np.sqrt(penalty) * np.eye(J.shape[1])]),
                np.append(np.delete(plain.targets[:, 0], i), np.zeros(J.shape[1])),
            )[0]
            for i in range(25)
        ]  # fmt: skip
        errors.append(np.square(left).mean())
    assert network.alpha_ == pytest.approx(alphas[np.argmin(errors)], rel=1e-6)


@pytest.mark.parametrize("options", [{}, {"alpha": "loo"}, {"early_stopping": True}, {"solver": "gd", "max_iter": 2000}])
def test_integer_weights_are_repeats_and_order_does_not_matter(data, options):
    X, y = data
    weight = np.arange(len(y)) % 3
    one = regressor(**options).fit(X, y, weight)
    rows = np.random.default_rng(0).permutation(np.repeat(np.arange(len(y)), weight))
    other = regressor(**options).fit(X[rows], y[rows])
    assert one.row_scale_ == pytest.approx(other.row_scale_, rel=1e-14)
    np.testing.assert_allclose(one.predict(X), other.predict(X), rtol=1e-8)


@pytest.mark.parametrize("factor", [2.0**-900, 2.0**900], ids=["tiny", "huge"])
def test_units_do_not_matter(data, fitted, factor):
    X, y = data
    np.testing.assert_array_equal(regressor().fit(X, y * factor).predict(X), fitted.predict(X) * factor)
    np.testing.assert_array_equal(regressor().fit(X * factor, y).predict(X * factor), fitted.predict(X))


@pytest.mark.parametrize("value", [0.0, 0.1, -1e300])
@pytest.mark.parametrize("alpha", [0.0, 0.1, "loo"])
def test_constant_targets_are_predicted(data, value, alpha):
    network = regressor(alpha=alpha).fit(data[0], np.full(25, value))
    np.testing.assert_allclose(network.predict(data[0]), value, rtol=1e-15, atol=1e-15)
    assert network.n_iter_ == 1


@pytest.mark.parametrize("value", [0.1, -1e300, 1e-300])
def test_constant_columns_change_nothing(data, value):
    wide = np.column_stack([data[0], np.full(25, value)])
    network = regressor(tol=1e-8).fit(wide, data[1])
    np.testing.assert_array_equal(network.row_center_[-1], value)
    other = regressor(tol=1e-8).fit(np.column_stack([data[0], np.zeros(25)]), data[1])
    np.testing.assert_array_equal(network.predict(wide), other.predict(np.column_stack([data[0], np.zeros(25)])))


@pytest.mark.parametrize(
    "X",
    [
        np.arange(6.0)[:, None],
        np.eye(6) * 1e-200,
        np.eye(6) * 1e-310,
        np.outer([1.0, -2, 3, -4, 5, -6], [1e150, 0, 1]),
        np.outer([1.0, -1.0, 0.5, -0.5, 0.2, -0.2], [1.7e308, 0.0]),
        np.eye(6, dtype=int),
        1e8 + np.eye(6),
    ],
    ids=["one column", "tiny", "subnormal", "huge", "largest", "integers", "far from zero"],
)
def test_unusual_rows_are_learned(X):
    network = TwoLayerRegressor(200, alpha=0.0, tol=1e-3, random_state=0, n_jobs=1).fit(X, np.arange(6.0))
    assert network.score(X, np.arange(6.0)) > 1 - 2e-6


@pytest.mark.parametrize("alpha", [0.0, 1.0, "loo"])
def test_equal_rows_predict_their_mean(alpha):
    network = regressor(alpha=alpha).fit(np.ones((4, 2)), [1.0, 2.0, 3.0, 4.0])
    np.testing.assert_allclose(network.predict([[1.0, 1.0]]), 2.5, rtol=1e-12)
    assert network.row_scale_ == 1.0


@pytest.mark.parametrize("alpha", [0.0, 1.0, "loo"])
def test_one_row_is_predicted(alpha):
    assert regressor(alpha=alpha).fit([[1.0, 2.0]], [3.0]).predict([[1.0, 2.0]]) == pytest.approx(3.0)


def test_float32_gives_float32(data, fitted):
    X = data[0].astype(np.float32)
    predictions = regressor().fit(X, data[1]).predict(X)
    assert predictions.dtype == np.float32
    np.testing.assert_allclose(predictions, fitted.predict(data[0]), rtol=1e-4)


@pytest.mark.parametrize("solver", ["gauss-newton", "gd", "heavy-ball"])
def test_threads_change_nothing(data, solver):
    one, two = (regressor(solver=solver, n_jobs=n, tol=0.1, max_iter=500).fit(*data) for n in (1, 2))
    np.testing.assert_array_equal(one.predict(data[0]), two.predict(data[0]))


def test_rows_as_they_are(data):
    network = regressor(bias_scale=None, row_scale=0.125, sampler="orthogonal").fit(*data)
    assert network.row_scale_ == 0.125 and network.feature_map_.biases is None
    inputs = 0.125 * (data[0] - data[0].mean(axis=0))
    direct = network.feature_map_(inputs) @ network.coef_ + network.intercept_
    np.testing.assert_allclose(network.predict(data[0]), direct, rtol=1e-12)


@pytest.mark.parametrize("activation", ["gelu", "sin", "softplus", "gaussian", "relu", "exp"])
@pytest.mark.parametrize("init", ["he", "kernel"])
def test_activations_and_initialisations_are_those_asked_for(data, activation, init):
    network = regressor(activation=activation, init=init, weight_scale=0.5, bias_scale=0.0, alpha=1.0).fit(*data)
    drawn = {"activation": activation, "init": init, "weight_scale": 0.5, "output": "paired", "seed": SEED}
    layer, _ = draw_network(4, 40, bias_scale=0.0, **drawn)
    assert network.feature_map_.activation.name == activation and network.feature_map_.scale == layer.scale
    assert network.score(*data) > 0.1
    assert np.linalg.norm(network.feature_map_.weights - layer.weights) < np.linalg.norm(layer.weights)


def test_clones_and_pickles(data, fitted):
    assert not hasattr(clone(fitted), "feature_map_")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(data[0]), fitted.predict(data[0]))


def test_two_classes_are_one_column(data):
    X, y = data
    labels = np.where(y > np.median(y), "up", "down")
    network = TwoLayerClassifier(**OPTIONS, tol=1e-3).fit(X, labels)
    values = regressor(tol=1e-3).fit(X, np.where(labels == "up", 1.0, -1.0)).predict(X)
    np.testing.assert_allclose(network.decision_function(X), values, rtol=1e-9)
    assert network.coef_.shape == (1, 40) and network.score(X, labels) > 0.9


def test_more_classes_are_one_column_each(data):
    X, y = data
    labels = np.digitize(y, np.quantile(y, [0.3, 0.6]))
    network = TwoLayerClassifier(**{**OPTIONS, "width": 400, "alpha": 0.0}).fit(X, labels)
    np.testing.assert_allclose(network.decision_function(X), np.eye(3)[labels], atol=1e-2)
    np.testing.assert_array_equal(network.predict(X), labels)
    assert network.coef_.shape == (3, 400)
