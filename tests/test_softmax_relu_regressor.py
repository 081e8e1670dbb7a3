"""Softmax-ReLU networks as estimators: against the formula, and what weights, repeats, order and units must not change."""

import pickle

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, rel_entr, softmax
from sklearn.base import clone
from sklearn.metrics import d2_log_loss_score
from threadpoolctl import threadpool_limits

from underdetermined.estimators import SoftmaxReLURegressor

OPTIONS = {"width": 12, "alpha": 0.01, "random_state": 0}
SEED = int(np.random.RandomState(0).randint(np.iinfo(np.int32).max))
BOTH = pytest.mark.parametrize("loss", ["kl", "squared"])


def regressor(**options):
    return SoftmaxReLURegressor(**{**OPTIONS, **options})


@pytest.fixture(scope="module")
def data():
    """Rows, three of them repeated with other targets, shares with zeros, weights."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((40, 4)) * [1.0, 2.0, 0.5, 1.0] + [0.0, 5.0, 0.0, 0.0]
    shares = np.array([rng.multinomial(6, p) for p in softmax(np.column_stack([X[:, 0], X[:, 3], -X[:, 0]]), axis=1)]) / 6
    return np.vstack([X, X[:3]]), np.vstack([shares, np.eye(3)]), rng.uniform(0.5, 2, 43)


@pytest.fixture(scope="module")
def fitted(data):
    return regressor().fit(*data)


def lifted(network, X, weight):
    """Inputs of the network by its definition."""
    centred = X - np.average(X, axis=0, weights=weight)
    scaled = centred / np.sqrt(np.average((centred**2).mean(axis=1), weights=weight))
    return np.hstack([scaled, np.ones((len(X), 1 if network.fit_bias else 0))])


def hidden_weights(network):
    layer = network.feature_map_
    return layer.weights if layer.biases is None else np.vstack([layer.weights, layer.biases])


def objective(network, layer, X, Y, weight, smoothing):
    """Penalised mean loss by its definition, at a hidden layer of shape (p, width)."""
    z = lifted(network, X, weight) @ layer
    hidden = smoothing * np.logaddexp(0.0, z / smoothing)
    logs = log_softmax(hidden @ network.coef_.T + network.intercept_, axis=1)
    losses = {"kl": rel_entr(Y, np.exp(logs)).sum(axis=1), "squared": 0.5 * ((np.exp(logs) - Y) ** 2).sum(axis=1)}
    return np.average(losses[network.loss], weights=weight) + 0.5 * network.alpha * (layer**2).sum()


@BOTH
@pytest.mark.parametrize("fit_bias", [True, False])
def test_the_objective_is_that_of_the_definition(data, loss, fit_bias):
    network = regressor(loss=loss, fit_bias=fit_bias).fit(*data)
    value = objective(network, hidden_weights(network), *data, network.smoothing_)
    np.testing.assert_allclose(network.loss_curve_[-1], value, rtol=1e-12)


@BOTH
def test_training_ends_at_a_minimiser(data, loss):
    network = regressor(loss=loss, tol=1e-6).fit(*data)
    layer = hidden_weights(network)

    def value(flat):
        return objective(network, flat.reshape(layer.shape), *data, network.smoothing_)

    rest = minimize(value, layer.ravel(), method="L-BFGS-B")
    assert network.loss_curve_[-1] - 1e-7 < rest.fun
    directions = np.random.default_rng(0).standard_normal((20, layer.size))
    assert all(value(layer.ravel() + 1e-3 * way) > network.loss_curve_[-1] for way in directions)


def gradient(network, layer, X, Y, weight, smoothing):
    """By central differences of the definition."""
    steps = 1e-6 * np.eye(layer.size).reshape(-1, *layer.shape)
    ahead, behind = (
        np.array([objective(network, layer + sign * step, X, Y, weight, smoothing) for step in steps]) for sign in (1, -1)
    )
    return (ahead - behind) / 2e-6


@BOTH
def test_training_starts_at_the_draw_and_ends_where_the_gradient_has_fallen_to_tol(data, loss):
    network = regressor(loss=loss).fit(*data)
    end = hidden_weights(network)
    generator = np.random.default_rng(SEED)
    last = generator.standard_normal(network.coef_.shape) / np.sqrt(12)
    start = generator.standard_normal((12, len(end))).T / np.sqrt(len(end))
    np.testing.assert_allclose(network.coef_, last - last.mean(axis=0), rtol=1e-14)
    first = 30 * network.smoothing_
    np.testing.assert_allclose(first, 0.3 * np.sqrt(np.mean((lifted(network, *data[::2]) @ start) ** 2)), rtol=0.2)
    np.testing.assert_allclose(network.loss_curve_[0], objective(network, start, *data, first), rtol=1e-12)
    left = gradient(network, end, *data, network.smoothing_)
    assert np.linalg.norm(left) < 1e-3 * np.linalg.norm(gradient(network, start, *data, first))


def test_the_kkt_residual_combines_one_sided_gradients(data):
    X, Y, weight = data
    network = regressor(tol=1e-5).fit(X, Y, weight)
    layer, inputs = hidden_weights(network), lifted(network, X, weight)
    z = inputs @ layer
    fitted = softmax(np.maximum(z, 0) @ network.coef_.T + network.intercept_, axis=1)
    slopes = (weight / weight.sum())[:, None] * ((fitted - Y) @ network.coef_)

    def combination(theta):
        return inputs.T @ (theta * slopes) + network.alpha * layer

    np.testing.assert_allclose(network.kkt_residual_, np.linalg.norm(combination(expit(z / network.smoothing_))), rtol=1e-10)
    assert network.kkt_residual_ < 0.5 * np.linalg.norm(combination(z > 0))


@BOTH
def test_a_certified_network_is_a_local_minimiser(data, loss):
    """The multipliers make the gradients of the definition vanish, and no point nearby is lower."""
    X, Y, weight = data
    network = regressor(loss=loss, certify=True).fit(X, Y, weight)
    layer, inputs, found = hidden_weights(network), lifted(network, X, weight), network.certificate_
    order = np.lexsort(np.unique(X, axis=0).T)
    rows = np.unique(X, axis=0)[order]
    places = np.array([np.flatnonzero((rows == row).all(axis=1))[0] for row in X])
    theta = np.zeros((len(rows), 12))
    theta.flat[found.pinned] = found.multipliers / found.unit_slopes
    theta.flat[found.active] = 1.0
    logits = np.maximum(inputs @ layer, 0) @ network.coef_.T + network.intercept_
    fitted = softmax(logits, axis=1)
    residual = fitted - Y
    slopes = {"kl": residual, "squared": fitted * (residual - (fitted * residual).sum(axis=1, keepdims=True))}[loss]
    back = (weight / weight.sum())[:, None] * (slopes @ network.coef_)
    np.testing.assert_allclose(inputs.T @ (theta[places] * back) + network.alpha * layer, 0, atol=1e-13)
    assert found.is_certified and len(found.pinned) > 3 and network.smoothing_ == 0.0
    assert network.kkt_residual_ == found.kkt_residual < 1e-13
    directions = np.random.default_rng(0).standard_normal((30, *layer.shape))
    tiny = 1e-12
    value = objective(network, layer, X, Y, weight, tiny)
    np.testing.assert_allclose(network.loss_curve_[-1], value, rtol=1e-10)
    assert all(objective(network, layer + 1e-4 * way, X, Y, weight, tiny) > value for way in directions)


@pytest.mark.parametrize("alpha", [1.0, 1e3, 1e6, 1e9])
def test_large_penalties_are_certified(data, alpha):
    """The start shrinks with the network, so that widths of units fit both."""
    network = regressor(alpha=alpha, certify=True).fit(*data)
    assert network.certificate_.is_certified and np.abs(hidden_weights(network)).max() < 1 / alpha


@pytest.mark.parametrize("seed", range(4))
def test_a_fit_to_equal_targets_is_certified(data, seed):
    network = regressor(certify=True, random_state=seed).fit(data[0], np.tile([0.2, 0.3, 0.5], (43, 1)))
    assert network.certificate_.is_certified and network.loss_curve_[-1] < 1e-12


def test_a_certificate_changes_predictions_little(data, fitted):
    network = regressor(certify=True).fit(*data)
    assert np.abs(network.predict(data[0]) - fitted.predict(data[0])).max() < 0.02
    assert fitted.certificate_ is None and fitted.smoothing_ > 0


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_predictions_are_those_of_the_formula_and_on_the_simplex(data, fitted, dtype):
    X = np.vstack([data[0], 100 * data[0]]).astype(dtype)
    shares = fitted.predict(X)
    z = fitted.row_scale_ * (X.astype(float) - fitted.row_center_) @ fitted.feature_map_.weights + fitted.feature_map_.biases
    expected = softmax(np.maximum(z, 0) @ fitted.coef_.T + fitted.intercept_, axis=1)
    np.testing.assert_allclose(shares, expected, rtol=1e-5 if dtype == np.float32 else 1e-9, atol=1e-30)
    assert shares.dtype == dtype and shares.min() >= 0
    np.testing.assert_allclose(shares.sum(axis=1, dtype=float), 1, rtol=0, atol=3 * np.finfo(dtype).eps)


def test_weights_are_repeats(data):
    X, Y, _ = data
    counts = np.random.default_rng(1).integers(0, 4, len(X))
    repeated = regressor().fit(np.repeat(X, counts, axis=0), np.repeat(Y, counts, axis=0))
    weighted = regressor().fit(X, Y, 1e-200 * counts)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-7)
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-9)


def test_the_order_of_the_rows_does_not_matter(data, fitted):
    X, Y, weight = data
    order = np.random.default_rng(2).permutation(len(X))
    np.testing.assert_allclose(regressor().fit(X[order], Y[order], weight[order]).predict(X), fitted.predict(X), rtol=1e-7)


def test_units_and_places_of_the_inputs_do_not_matter(data, fitted):
    X, Y, weight = data
    np.testing.assert_allclose(
        regressor().fit(1024 * X + 2.0**10, Y, weight).predict(1024 * X + 2.0**10), fitted.predict(X), rtol=1e-6
    )
    assert np.isfinite(regressor().fit(1e300 * X, Y, weight).predict(1e300 * X)).all()


@pytest.mark.parametrize("width", [5, 150])
def test_layout_and_threads_change_no_bit(data, width):
    X, Y, weight = (np.tile(each, (20, *(1 for _ in each.shape[1:]))) for each in data)
    X = X + 1e-3 * np.random.default_rng(0).standard_normal(X.shape)
    networks = [regressor(width=width, max_iter=20, tol=0.5).fit(X, Y, weight)]
    networks.append(regressor(width=width, max_iter=20, tol=0.5).fit(np.asfortranarray(X), np.asfortranarray(Y), weight))
    with threadpool_limits(1):
        networks.append(regressor(width=width, max_iter=20, tol=0.5).fit(np.repeat(X, 2, axis=0)[::2], Y, weight))
    first, *others = (network.loss_curve_ for network in networks)
    assert all(np.array_equal(first, other) for other in others)


def test_threads_change_no_bit_of_long_sums():
    """A dot product of more than 10,000 terms is shared among the threads of the BLAS."""
    rng = np.random.default_rng(0)
    X, Y, predictions = rng.standard_normal((20, 60)), rng.dirichlet(np.ones(3), 20), []
    for count in (1, 2):
        with threadpool_limits(count):
            predictions.append(regressor(width=300, tol=0.1).fit(X, Y).predict(X))
    np.testing.assert_array_equal(*predictions)


def test_seeds(data, fitted):
    np.testing.assert_array_equal(regressor().fit(*data).predict(data[0]), fitted.predict(data[0]))
    assert not np.array_equal(regressor(random_state=1).fit(*data).coef_, fitted.coef_)
    drawn = regressor(random_state=np.random.RandomState(0)).fit(*data)
    np.testing.assert_array_equal(drawn.coef_, fitted.coef_)


def test_the_score_is_the_deviance_explained(data, fitted):
    X, Y, weight = data
    divergence = np.average(rel_entr(Y, fitted.predict(X)).sum(axis=1), weights=weight)
    mean = np.average(Y, axis=0, weights=weight)
    total = np.average(rel_entr(Y, mean).sum(axis=1), weights=weight)
    np.testing.assert_allclose(fitted.score(X, Y, weight), 1 - divergence / total, rtol=1e-12)
    assert 0.3 < fitted.score(X, Y, weight) < 1
    frozen = regressor(alpha=1e6).fit(*data)
    np.testing.assert_allclose(frozen.predict(X), np.tile(mean, (len(X), 1)), rtol=1e-6)
    np.testing.assert_allclose(frozen.score(X, Y, weight), 0, atol=1e-6)


def test_the_score_of_equal_targets(data, fitted):
    X = data[0]
    assert fitted.score(X, np.tile([0.2, 0.3, 0.5], (len(X), 1))) == 0.0
    one = regressor(alpha=1e9).fit(X, np.tile([0.2, 0.3, 0.5], (len(X), 1)))
    assert one.score(X, np.tile([0.2, 0.3, 0.5], (len(X), 1))) == 1.0


@pytest.mark.parametrize("names", [[0, 1, 2], ["c", "a", "b"], [-1.0, 7.0, 3.0]], ids=["ints", "strings", "floats"])
def test_labels_are_whole_shares(data, names):
    X, Y, weight = data
    labels = np.array(names)[Y.argmax(axis=1)]
    network = regressor().fit(X, labels, weight)
    indicators = (labels[:, None] == np.unique(names)).astype(float)
    np.testing.assert_array_equal(network.classes_, np.unique(names))
    np.testing.assert_array_equal(network.predict(X), regressor().fit(X, indicators, weight).predict(X))
    expected = d2_log_loss_score(labels, network.predict(X), sample_weight=weight, labels=network.classes_)
    np.testing.assert_allclose(network.score(X, labels, weight), expected, rtol=1e-10)
    assert (network.classes_[network.predict(X).argmax(axis=1)] == labels).mean() > 0.8
    assert not hasattr(network.fit(X, Y), "classes_")


def test_a_known_network_is_found():
    """Exact shares of a network of three units: all but little of the deviance is explained, on new rows too."""
    rng = np.random.default_rng(0)
    X, hidden, last = rng.standard_normal((600, 3)), rng.standard_normal((3, 3)), rng.standard_normal((3, 4))
    Y = softmax(2 * np.maximum(X @ hidden, 0) @ last, axis=1)
    network = regressor(width=60, alpha=1e-5).fit(X[:300], Y[:300])
    assert network.score(X[300:], Y[300:]) > 0.97


def test_a_penalty_of_zero_interpolates(data):
    X, Y, _ = data
    Y = (Y[:40] + 0.1) / 1.3
    network = regressor(width=100, alpha=0.0, tol=1e-4).fit(X[:40], Y)
    np.testing.assert_allclose(network.predict(X[:40]), Y, atol=0.02)


def test_clones_and_pickles(data, fitted):
    assert not hasattr(clone(fitted), "feature_map_")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(data[0]), fitted.predict(data[0]))
