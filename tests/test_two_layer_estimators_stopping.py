"""Early stopping of two-layer networks: which rows are held out, and which step is kept."""

import warnings

import numpy as np
import pytest

from underdetermined.estimators import TwoLayerClassifier, TwoLayerRegressor
from underdetermined.estimators._two_layer_validation import Validation, held_out_rows

OPTIONS = {"width": 40, "alpha": 1e-3, "early_stopping": True, "validation_fraction": 0.3, "random_state": 0, "n_jobs": 1}


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((60, 3))
    return X, X[:, 0] + 0.5 * rng.standard_normal(60)


def test_shares_of_rows_and_of_classes(rng):
    X, labels = rng.standard_normal((100, 2)), np.repeat(["a", "b", "c", "d"], [50, 46, 3, 1])
    held = held_out_rows(X, None, labels, 0.2, 0)
    counts = {label: int(held[labels == label].sum()) for label in "abcd"}
    assert counts == {"a": 10, "b": 9, "c": 1, "d": 0}
    assert held_out_rows(X, None, None, 0.2, 0).sum() == 20
    assert (held_out_rows(X, None, None, 0.2, 1) != held_out_rows(X, None, None, 0.2, 0)).any()


def test_equal_rows_stay_together_and_absent_ones_are_nowhere(rng):
    distinct = rng.standard_normal((30, 2))
    group = rng.integers(0, 30, 200)
    weight = (np.arange(200) % 4 > 0).astype(float)
    held = held_out_rows(distinct[group], weight, None, 0.4, 0)
    assert not held[weight == 0].any()
    present = weight > 0
    assert not set(group[held]) & set(group[present & ~held])
    assert len(set(group[held])) == round(0.4 * len(set(group[present])))


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="early_stopping=True holds rows out, and 1 distinct rows are too few"):
        TwoLayerRegressor(**OPTIONS).fit(np.ones((5, 2)), np.arange(5.0))


def test_the_best_step_is_kept_and_the_run_ends_after_it(data):
    network = TwoLayerRegressor(**OPTIONS, n_iter_no_change=4).fit(*data)
    scores = network.validation_scores_
    assert len(scores) == network.n_iter_ + 1 and network.best_iter_ == np.argmax(scores)
    assert network.n_iter_ == network.best_iter_ + 4 < 100
    full = TwoLayerRegressor(**{**OPTIONS, "early_stopping": False}).fit(*data)
    assert full.validation_scores_ is None and full.best_iter_ == full.n_iter_


@pytest.mark.parametrize("solver", ["gauss-newton", "gd"])
def test_scores_are_those_of_the_rows_held_out(data, solver):
    X, y = data
    weight = np.random.default_rng(0).uniform(0.5, 2.0, 60)
    network = TwoLayerRegressor(**OPTIONS, solver=solver, tol=0.1).fit(X, y, weight)
    random = np.random.RandomState(0)
    _, seed = (random.randint(np.iinfo(np.int32).max) for _ in range(2))
    held = held_out_rows(X, weight, None, 0.3, seed)
    mean = np.average(y[~held], weights=weight[~held])
    variance = np.average((y[~held] - mean) ** 2, weights=weight[~held])
    score = 1 - np.average((network.predict(X[held]) - y[held]) ** 2, weights=weight[held]) / variance
    assert network.validation_scores_[network.best_iter_] == pytest.approx(score, rel=1e-10)
    assert network.intercept_ != pytest.approx(np.average(y, weights=weight), rel=1e-6)


def test_it_predicts_noisy_targets_better_than_training_to_the_end(data):
    X, y = data
    new = np.random.default_rng(6).standard_normal((500, 3))
    stopped = TwoLayerRegressor(**OPTIONS).fit(X, y)
    ended = TwoLayerRegressor(**{**OPTIONS, "early_stopping": False}).fit(X, y)
    assert stopped.score(new, new[:, 0]) > 0.8 > ended.score(new, new[:, 0])


def test_stopping_early_is_silent(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TwoLayerRegressor(**OPTIONS, tol=0.0).fit(*data)


def test_a_classifier_keeps_all_classes(data):
    labels = np.digitize(data[1], [-1.0, 0.0, 1.0])
    network = TwoLayerClassifier(**OPTIONS).fit(data[0], labels)
    assert len(network.classes_) == 4 and network.decision_function(data[0]).shape == (60, 4)
    assert network.validation_scores_.max() > 0.05


def test_the_first_of_equal_scores_is_best_and_overflow_never_is():
    scores = iter([0.1, 0.5, 0.5, -np.inf])
    validation = Validation(lambda theta: next(scores), patience=2)
    assert [validation(step, np.array([step])) for step in range(4)] == [False, False, False, True]
    assert validation.best == 1 and validation.best_step == 1
