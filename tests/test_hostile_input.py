"""What the estimators say to input that tries to break them."""

import numpy as np
import pytest
from estimator_data import answers, both, labels
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning

from underdetermined import Status
from underdetermined.estimators import RandomFeatureClassifier, RandomFeatureRegressor


@both
def test_unfinished_iterations_warn(data, model):
    X, y = data[0], labels(data[1], model)
    with pytest.warns(ConvergenceWarning, match="stopped after 2 iterations.*raise max_iter"):
        model(300, alpha=0, solver="lsmr", max_iter=2, random_state=0).fit(X, y)


@both
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_inputs(data, model, bad):
    X, y = data[0].copy(), labels(data[1], model)
    X[3, 1] = bad
    with pytest.raises(ValueError, match="Input X contains"):
        model().fit(X, y)


@both
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"width": 0}, "'width' parameter .* must be an int in the range"),
        ({"width": 2.5}, "'width' parameter"),
        ({"width": "wide"}, "'width' parameter .*'auto'"),
        ({"activation": "rely"}, "(?s)relu.*softplus"),
        ({"sampler": "uniform"}, "'sampler' parameter .*'gaussian'"),
        ({"weight_scale": 0}, "'weight_scale' parameter"),
        ({"bias_scale": -1}, "'bias_scale' parameter"),
        ({"alpha": -1}, "'alpha' parameter"),
        ({"alpha": "gcv"}, "'alpha' parameter .*'loo'"),
        ({"solver": "lu"}, "'solver' parameter"),
        ({"max_iter": 0}, "'max_iter' parameter"),
    ],
)
def test_bad_parameters_are_named(data, model, parameters, message):
    with pytest.raises(ValueError, match=message):
        model(**parameters).fit(data[0], labels(data[1], model))


@pytest.mark.parametrize(("alpha", "fit_intercept"), [("loo", True), (0, True), (1.0, True), (0, False)])
def test_one_row(alpha, fit_intercept):
    network = RandomFeatureRegressor(10, alpha=alpha, fit_intercept=fit_intercept, random_state=0)
    assert network.fit([[1.0, 2.0]], [3.0]).predict([[1.0, 2.0]]) == pytest.approx([3.0], abs=1e-9)


@both
def test_one_column(data, model):
    X, y = data[0][:, :1], labels(data[1], model)
    assert np.isfinite(answers(model(random_state=0).fit(X, y), X)).all()


@both
def test_constant_columns_and_zero_rows(data, model):
    X, y = data[0].copy(), labels(data[1], model)
    X[:, 0], X[5:9] = 1.0, 0.0
    for alpha in ("loo", 0):
        assert np.isfinite(answers(model(random_state=0, alpha=alpha).fit(X, y), X)).all()


@both
@pytest.mark.parametrize("alpha", ["loo", 0])
def test_inputs_without_any_information(model, alpha):
    X, y = np.ones((20, 3)), np.arange(20) % 2
    network = model(random_state=0, alpha=alpha).fit(X, y)
    expected = 0.5 if model is RandomFeatureRegressor else 0.0
    np.testing.assert_allclose(answers(network, X), expected, atol=1e-12)


def test_repeated_rows_with_unequal_targets_get_their_mean(data):
    X, y = data
    network = RandomFeatureRegressor(400, alpha=0, random_state=0).fit(np.vstack([X, X]), np.concatenate([y, y + 1]))
    np.testing.assert_allclose(network.predict(X), y + 0.5, atol=1e-9)
    assert network.solution_.status is Status.INCONSISTENT
    np.testing.assert_allclose(network.solution_.residual_norm, np.sqrt(160 * 0.25))


def test_repeated_rows_with_equal_targets_change_nothing(data):
    X, y = data
    once = RandomFeatureRegressor(400, alpha=0, random_state=0).fit(X, y)
    twice = RandomFeatureRegressor(400, alpha=0, random_state=0).fit(np.vstack([X, X]), np.concatenate([y, y]))
    np.testing.assert_allclose(twice.predict(X[:7] + 1), once.predict(X[:7] + 1), atol=1e-9)
    assert once.solution_.status is twice.solution_.status is Status.EXACT


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
def test_negative_zero_is_zero(container):
    X = container(np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, 1.0]]))
    network = RandomFeatureRegressor(50, alpha=0, random_state=0).fit(X, [0.0, 2.0, 5.0])
    np.testing.assert_allclose(network.predict(X), [1.0, 1.0, 5.0], atol=1e-9)
    assert network._rows.n_rows == 2


def test_overflowing_features_name_the_row(data):
    X, y = data[0].copy(), data[1]
    X[7] *= 1e4
    with pytest.raises(OverflowError, match="row 7 of X, whose norm"):
        RandomFeatureRegressor(activation="exp", random_state=0).fit(X, y)


def test_all_weights_zero(data):
    with pytest.raises(ValueError, match="at least one non-zero"):
        RandomFeatureRegressor(random_state=0).fit(*data, sample_weight=np.zeros(80))


@pytest.mark.parametrize("extra", [0, -1, 2.5, True])
def test_widen_needs_a_positive_integer(data, extra):
    network = RandomFeatureRegressor(50, random_state=0).fit(*data)
    with pytest.raises(ValueError, match="extra=.* must be an integer of at least 1"):
        network.widen(extra)


def test_partial_fit_refuses_another_layer(data):
    network = RandomFeatureRegressor(50, random_state=0).partial_fit(*data)
    with pytest.raises(ValueError, match="activation, sampler, .* changed since the first fit"):
        network.set_params(activation="tanh").partial_fit(*data)


def test_partial_fit_refuses_other_outputs(data):
    X, y = data
    network = RandomFeatureRegressor(50, random_state=0).partial_fit(X, y)
    with pytest.raises(ValueError, match="y has 2 outputs, but the rows seen before have 1"):
        network.partial_fit(X, np.stack([y, y], axis=1))


def test_partial_fit_knows_its_classes():
    X = np.arange(6.0).reshape(6, 1)
    network = RandomFeatureClassifier(50, random_state=0).partial_fit(X[:2], ["a", "a"], classes=["a", "b"])
    with pytest.raises(ValueError, match="labels that are not in classes: .*'c'"):
        network.partial_fit(X[2:3], ["c"])
    with pytest.raises(ValueError, match="differs from the first call"):
        network.partial_fit(X[2:3], ["a"], classes=["a", "c"])
    network.partial_fit(X[2:], ["a", "b", "b", "b"])
    np.testing.assert_array_equal(network.predict(X), ["a", "a", "a", "b", "b", "b"])


@both
def test_width_that_cannot_fit_says_how_many_bytes(data, model):
    with pytest.raises(MemoryError, match="32000000000000 bytes"):
        model(10**12, random_state=0).fit(data[0], labels(data[1], model))
