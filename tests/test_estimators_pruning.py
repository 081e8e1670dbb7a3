"""prune: the same training predictions with fewer neurons, whatever the network was fitted to."""

import pickle

import numpy as np
import pytest
from estimator_data import answers, both, labels
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from underdetermined.estimators import RandomFeatureClassifier, RandomFeatureRegressor

ACTIVATIONS = ["relu", "erf", "sin_cos", "exp", "gelu"]


def places(part, whole):
    """Where the columns of one array stand in another."""
    equal = (part[:, :, None] == whole[:, None, :]).all(axis=0)
    assert (equal.sum(axis=1) == 1).all()
    return equal.argmax(axis=1)


def deviation(network, X, before):
    return np.linalg.norm(answers(network, X) - before) / np.linalg.norm(before - before.mean(axis=0))


@both
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("alpha", ["loo", 0])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_training_predictions_stay(data, model, activation, alpha, fit_intercept):
    X, y = data[0], labels(data[1], model)
    options = {"activation": activation, "alpha": alpha, "fit_intercept": fit_intercept}
    network = model(900, random_state=0, **options).fit(X, y)
    before, intercept = answers(network, X), network.intercept_
    assert network.prune() is network
    assert network.width_ == network.feature_map_.width == network.coef_.shape[-1] == network.random_offset_.size == 80
    assert deviation(network, X, before) < 1e-9
    np.testing.assert_array_equal(network.intercept_, intercept)
    assert network.score(X, y) == pytest.approx(model(900, random_state=0, **options).fit(X, y).score(X, y))


def test_coefficients_solve_the_square_system(data):
    X, y = data
    wide = RandomFeatureRegressor(900, random_state=0).fit(X, y)
    narrow = pickle.loads(pickle.dumps(wide)).prune()
    kept = places(narrow.random_weights_, wide.random_weights_)
    assert (np.diff(kept) > 0).all()
    features = wide.feature_map_(X)[:, kept]
    np.testing.assert_allclose(narrow.feature_map_(X), features, rtol=1e-13, atol=1e-15)
    expected = np.linalg.solve(features, wide.predict(X) - wide.intercept_)
    np.testing.assert_allclose(narrow.coef_, expected, rtol=0, atol=1e-9 * np.abs(expected).max())
    assert narrow.condition_ == pytest.approx(np.linalg.cond(features), rel=0.5)
    assert narrow.rank_ == 80 and narrow.alpha_ == wide.alpha_ and narrow.loo_path_.alpha == wide.alpha_


def test_chosen_neurons_are_better_than_the_first(data):
    X, y = data
    network = RandomFeatureRegressor(900, random_state=0).fit(X, y)
    first = np.linalg.cond(network.feature_map_(X)[:, :80])
    assert network.prune().condition_ < first / 5


@both
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_weighted_repeated_sparse_rows(data, model, container):
    X, y = np.vstack([data[0], data[0][:30]]), labels(np.append(data[1], data[1][30:60]), model)
    weight = np.random.default_rng(1).integers(0, 3, len(y)) * 0.7
    network = model(700, alpha=0.01, random_state=0).fit(container(X), y, weight)
    before = answers(network, X)
    network.prune()
    n_rows = network._rows.n_rows
    assert network.width_ == n_rows < 80
    seen = np.isin(X[:, 0], X[weight > 0, 0])
    assert deviation(network, X[seen], before[seen]) < 1e-9


def test_several_outputs(data):
    X, y = data[0], np.stack([data[1], 1e6 * data[1] ** 2, np.full(80, 3.0)], axis=1)
    network = RandomFeatureRegressor(500, random_state=0).fit(X, y)
    before = network.predict(X)
    after = network.prune().predict(X)
    assert (np.linalg.norm(after - before, axis=0) <= 1e-10 * np.linalg.norm(before, axis=0)).all()
    assert network.coef_.shape == (3, 80)


@both
@pytest.mark.parametrize("alpha", ["loo", 0])
def test_float32_stays_float32(data, model, alpha):
    X, y = data[0].astype(np.float32), labels(data[1], model)
    network = model(900, alpha=alpha, random_state=0).fit(X, y)
    before = answers(network, X)
    assert deviation(network.prune(), X, before) < 1e-5
    assert network.coef_.dtype == network.random_weights_.dtype == answers(network, X).dtype == np.float32


@both
def test_streamed_features_give_the_same_predictions(data, model, monkeypatch):
    X, y = data[0], labels(data[1], model)
    network = model(1100, random_state=0).fit(X, y)
    before = answers(network, X)
    condition = pickle.loads(pickle.dumps(network)).prune().condition_
    monkeypatch.setattr("underdetermined.estimators._pruning.DENSE_BYTES", 0)
    monkeypatch.setattr("underdetermined.features._operator.STREAM_BYTES", 0)
    network.prune()
    assert network.width_ == 80 and deviation(network, X, before) < 1e-9
    assert network.condition_ < 10 * condition


@pytest.mark.parametrize("width", [80, 120, 700])
def test_a_tournament_keeps_as_many_as_it_is_asked_for(data, width, monkeypatch):
    X, y = data
    network = RandomFeatureRegressor(1100, random_state=0).fit(X, y)
    before = network.predict(X)
    monkeypatch.setattr("underdetermined.estimators._pruning.DENSE_BYTES", 0)
    monkeypatch.setattr("underdetermined.features._operator.STREAM_BYTES", 0)
    assert network.prune(width).width_ == width
    assert deviation(network, X, before) < 1e-9


@pytest.mark.parametrize("width", [1, 20, 79])
def test_too_few_neurons_say_so_and_do_their_best(data, width):
    X, y = data
    weight = np.random.default_rng(1).uniform(0.1, 5, 80)
    network = RandomFeatureRegressor(600, alpha=0, random_state=0).fit(X, y, weight)
    before = network.predict(X) - network.intercept_
    with pytest.warns(ConvergenceWarning, match=rf"the {width} neurons kept change .* keep more neurons"):
        network.prune(width)
    features, root = network.feature_map_(X), np.sqrt(weight)
    expected = np.linalg.lstsq(root[:, None] * features, root * before, rcond=None)[0]
    np.testing.assert_allclose(network.coef_, expected, rtol=0, atol=1e-8 * np.abs(expected).max())
    left = np.linalg.norm(before - features @ expected)
    assert network.solution_.residual_norm == pytest.approx(left, rel=1e-6)


def test_neurons_that_repeat_each_other_leave_the_attainable_rank():
    """relu without biases on three antipodal pairs in the plane: three lines, and the two directions that they span."""
    X = np.array([[1.0, 0.0], [0.6, 0.8], [-0.6, 0.8], [-1.0, 0.0], [-0.6, -0.8], [0.6, -0.8]])
    network = RandomFeatureRegressor(300, bias_scale=0, alpha=0.01, random_state=0).fit(X, np.arange(6.0))
    before = network.predict(X)
    assert network.prune().width_ == 5
    np.testing.assert_allclose(network.predict(X), before, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dense_bytes", [0, 2**31])
def test_features_without_any_information_leave_one_neuron(monkeypatch, dense_bytes):
    monkeypatch.setattr("underdetermined.estimators._pruning.DENSE_BYTES", dense_bytes)
    network = RandomFeatureRegressor(20, bias_scale=0, random_state=0).fit(np.zeros((3, 2)), [1.0, 2.0, 6.0])
    assert network.prune().width_ == 1
    np.testing.assert_allclose(network.predict([[0.0, 0.0]]), 3.0)


@both
@pytest.mark.parametrize("seed", range(4))
def test_a_large_last_layer_that_the_intercept_cancels_is_no_excuse(model, seed):
    """Rows that hardly differ: an interpolating network takes coefficients that leave no digits for the predictions."""
    rng = np.random.default_rng(seed)
    X, y = 1e-6 * rng.standard_normal((20, 2)), labels(rng.standard_normal(20), model)
    network = model(400, activation="gaussian", alpha=0, random_state=0).fit(X, y)
    before = answers(network, X)
    with pytest.warns(ConvergenceWarning, match="change the training predictions"):
        network.prune()
    assert np.linalg.norm(answers(network, X) - before) > 1e-8 * np.linalg.norm(before)


def test_narrow_networks_stay_whole(data):
    X, y = data
    network = RandomFeatureRegressor(30, alpha=0.1, random_state=0).fit(X, y)
    before, coef = network.predict(X[:9] + 1), network.coef_
    assert network.prune().width_ == 30
    np.testing.assert_allclose(network.coef_, coef, rtol=0, atol=1e-10 * np.abs(coef).max())
    np.testing.assert_allclose(network.predict(X[:9] + 1), before, rtol=0, atol=1e-9)


def test_pruning_in_steps(data):
    X, y = data
    network = RandomFeatureRegressor(900, random_state=0).fit(X, y)
    before = network.predict(X)
    assert deviation(network.prune(200), X, before) < 1e-9 and network.width_ == 200
    assert deviation(network.prune(), X, before) < 1e-9 and network.width_ == 80


@pytest.mark.parametrize("width", [0, -1, 51, 2.0, True, "auto"])
def test_bad_widths_are_named(data, width):
    network = RandomFeatureRegressor(50, random_state=0).fit(*data)
    with pytest.raises(ValueError, match="width=.* must be an integer from 1 to width_=50, or None"):
        network.prune(width)
    assert network.width_ == 50


@both
@pytest.mark.parametrize("sampler", ["gaussian", "leverage"])
def test_partial_fit_returns_to_the_full_network(data, model, sampler):
    X, y = data[0], labels(data[1], model)
    options = {"width": 300, "alpha": 0.01, "sampler": sampler, "random_state": 0}
    pieces = pickle.loads(pickle.dumps(model(**options).partial_fit(X[:50], y[:50]).prune()))
    assert pieces.width_ == 50
    pieces.partial_fit(X[50:], y[50:])
    whole = model(**options).fit(X, y)
    np.testing.assert_array_equal(pieces.random_weights_, whole.random_weights_)
    np.testing.assert_allclose(answers(pieces, X), answers(whole, X), rtol=0, atol=1e-9)
    assert pieces.widen(10).width_ == 310


def test_widening_a_pruned_network_names_the_remedy(data):
    network = RandomFeatureRegressor(300, random_state=0).fit(*data).prune()
    with pytest.raises(ValueError, match="pruned to 80 neurons.*call fit or partial_fit"):
        network.widen(10)
    assert network.fit(*data).widen(10).width_ == 310


def test_partial_fit_of_a_pruned_network_refuses_another_layer(data):
    network = RandomFeatureRegressor(300, random_state=0).fit(*data).prune().set_params(activation="tanh")
    with pytest.raises(ValueError, match="activation, sampler, .* changed since the first fit"):
        network.partial_fit(*data)


def test_a_failed_selection_leaves_the_network_alone(data, monkeypatch):
    def refuse(*arguments):
        raise MemoryError("no room")

    monkeypatch.setattr("underdetermined.estimators._pruning.select_neurons", refuse)
    network = RandomFeatureRegressor(300, random_state=0).fit(*data)
    before = network.predict(data[0])
    with pytest.raises(MemoryError, match="no room"):
        network.prune()
    np.testing.assert_array_equal(network.predict(data[0]), before)
    assert network.widen(5).width_ == 305


def test_pickles_of_pruned_networks_are_small(data):
    X, y = data[0], labels(data[1], RandomFeatureClassifier)
    network = RandomFeatureClassifier(20_000, alpha=0.1, random_state=0).fit(X, y)
    large = len(pickle.dumps(network))
    stored = pickle.dumps(network.prune())
    assert len(stored) < large / 20
    np.testing.assert_array_equal(pickle.loads(stored).predict_proba(X), network.predict_proba(X))
