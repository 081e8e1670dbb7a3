"""Two-layer networks that go on from their last fit: the run that was never interrupted, or a new one from there."""

import pickle

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from underdetermined.estimators import TwoLayerClassifier, TwoLayerRegressor

OPTIONS = {"width": 40, "alpha": 0.01, "tol": 1e-9, "random_state": 0, "n_jobs": 1}
RUNS = [
    {},
    {"alpha": "loo"},
    {"early_stopping": True, "n_iter_no_change": 100},
    {"solver": "gd"},
    {"solver": "gd", "alpha": 0.0, "learning_rate": 0.001},
    {"solver": "heavy-ball"},
]
unfinished = pytest.mark.filterwarnings("ignore:training ended after:sklearn.exceptions.ConvergenceWarning")


def regressor(**options):
    return TwoLayerRegressor(**{**OPTIONS, **options})


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((30, 4))
    return X, np.sin(X[:, 0]) + X[:, 1] + 5.0


@unfinished
@pytest.mark.parametrize("options", RUNS, ids=str)
def test_an_interrupted_run_is_the_whole_one(data, options):
    whole = regressor(max_iter=9, **options).fit(*data)
    parts = regressor(max_iter=4, warm_start=True, **options).fit(*data)
    parts = pickle.loads(pickle.dumps(parts)).set_params(max_iter=5).fit(*data)
    assert parts.n_iter_ == whole.n_iter_ == 9 and parts.best_iter_ == whole.best_iter_
    np.testing.assert_array_equal(parts.loss_curve_, whole.loss_curve_)
    np.testing.assert_array_equal(parts.validation_scores_, whole.validation_scores_)
    np.testing.assert_array_equal(parts.predict(data[0]), whole.predict(data[0]))
    assert parts.laziness_.linearization_error == whole.laziness_.linearization_error


@unfinished
def test_without_it_every_fit_begins_anew(data):
    network = regressor(max_iter=3)
    first = network.fit(*data).predict(data[0])
    np.testing.assert_array_equal(network.fit(*data).predict(data[0]), first)


@unfinished
def test_other_data_are_learned_from_the_network_of_the_last_fit(data):
    X, y = data
    network = regressor(warm_start=True, tol=1e-6).fit(X, y)
    before = network.predict(X)
    layer, center = network.feature_map_, network.row_center_
    network.set_params(max_iter=1).fit(X[:20] + 0.1, y[:20])
    np.testing.assert_array_equal(network.row_center_, center)
    assert network.n_iter_ == 1 and network.loss_curve_[0] < 0.05
    assert 0 < np.linalg.norm(network.feature_map_.weights - layer.weights) < 0.1 * np.linalg.norm(layer.weights)
    assert not np.array_equal(network.predict(X), before)


def test_another_penalty_is_another_run_from_there(data):
    network = regressor(warm_start=True, alpha=0.1, tol=1e-4).fit(*data)
    first = network.loss_curve_[-1]
    network.set_params(alpha=1e-3).fit(*data)
    assert network.loss_curve_[0] < first and network.alpha_ == 1e-3


def test_a_converged_run_stays_where_it_is(data):
    network = regressor(warm_start=True, tol=1e-4).fit(*data)
    before, n_iter = network.predict(data[0]), network.n_iter_
    assert network.fit(*data).n_iter_ == n_iter
    np.testing.assert_array_equal(network.predict(data[0]), before)


def test_shapes_that_changed_are_refused(data):
    X, y = data
    network = regressor(warm_start=True, tol=1e-3).fit(X, y)
    for rows, targets, width, now in (
        (X[:, :3], y, 40, "(3, 1, 40)"),
        (X, np.column_stack([y, y]), 40, "(4, 2, 40)"),
        (X, y, 42, "(4, 1, 42)"),
    ):
        with pytest.raises(
            ValueError, match="warm_start=True goes on from .* are [(]4, 1, 40[)], not .*: pass warm_start"
        ) as caught:
            network.set_params(width=width).fit(rows, targets)
        assert now in str(caught.value)


def test_more_steps_help_a_classifier(data):
    labels = np.digitize(data[1], [4.0, 5.0, 6.0])
    network = TwoLayerClassifier(**{**OPTIONS, "alpha": 0.0, "solver": "gd", "max_iter": 5}, warm_start=True)
    for n_steps in (5, 10, 15):
        with pytest.warns(ConvergenceWarning, match=f"after {n_steps} steps"):
            network.fit(data[0], labels)
    assert (np.diff(network.loss_curve_) < 0).all() and len(network.loss_curve_) == 16
