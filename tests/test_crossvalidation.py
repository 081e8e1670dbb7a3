"""Cross-validation beside scikit-learn's own."""

import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict, cross_val_score

from underdetermined.crossvalidation import Score, cross_validate, make_splits, recorded_warnings
from underdetermined.tables import TableError


class Complaining(RegressorMixin, BaseEstimator):
    """Predicts the mean and warns each time it is fitted."""

    def fit(self, X, y):
        warnings.warn("Maximum iterations (5) reached", ConvergenceWarning, stacklevel=2)
        warnings.warn("two\n  lines", UserWarning, stacklevel=2)
        self.mean_ = float(np.mean(y))
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


@pytest.fixture
def regression(request):
    rng = np.random.default_rng(1)
    inputs = rng.standard_normal((40, 3))
    return inputs, inputs @ [1.0, -2.0, 0.5] + 0.1 * rng.standard_normal(40)


@pytest.fixture
def classification(regression):
    inputs, targets = regression
    return inputs, np.where(targets > 0, "up", "down")


def test_regression_agrees_with_scikit_learn(regression):
    inputs, targets = regression
    splits = make_splits(targets, "regression", 4, 7)
    score = cross_validate(Ridge(), inputs, targets, splits, label="r", settings="s", task="regression")
    folds = KFold(4, shuffle=True, random_state=7)
    np.testing.assert_allclose(score.folds, cross_val_score(Ridge(), inputs, targets, cv=folds), rtol=1e-12)
    np.testing.assert_allclose(score.predictions, cross_val_predict(Ridge(), inputs, targets, cv=folds), rtol=1e-12)
    assert score.mean == pytest.approx(np.mean(score.folds))
    assert score.spread == pytest.approx(np.std(score.folds))
    assert score.seconds > 0
    assert score.notes == ()


def test_classification_agrees_with_scikit_learn(classification):
    inputs, labels = classification
    splits = make_splits(labels, "classification", 3, 7)
    model = LogisticRegression()
    score = cross_validate(model, inputs, labels, splits, label="r", settings="s", task="classification")
    folds = StratifiedKFold(3, shuffle=True, random_state=7)
    assert score.folds == tuple(cross_val_score(model, inputs, labels, cv=folds))
    assert score.predictions.tolist() == cross_val_predict(model, inputs, labels, cv=folds).tolist()


def test_model_is_not_touched_and_progress_is_told(regression):
    inputs, targets = regression
    lines = []
    model = Ridge()
    splits = make_splits(targets, "regression", 2, 0)
    cross_validate(
        model, inputs, targets, splits, label="Ridge", settings="", task="regression", progress=lines.append
    )
    assert not hasattr(model, "coef_")
    assert lines == ["Ridge: fold 1 of 2", "Ridge: fold 2 of 2"]


def test_warnings_become_notes_once(regression):
    inputs, targets = regression
    splits = make_splits(targets, "regression", 3, 0)
    score = cross_validate(Complaining(), inputs, targets, splits, label="", settings="", task="regression")
    assert score.notes == ("stopped at its limit of epochs before it converged", "two lines")


def test_recorded_warnings_carry_the_label():
    notes = []
    with recorded_warnings(notes, "fit"):
        warnings.warn("odd", UserWarning, stacklevel=1)
    assert notes == ["fit: odd"]


@pytest.mark.parametrize(
    ("targets", "task", "folds", "message"),
    [
        (np.array([1.0]), "regression", 2, "1 row cannot make 2 folds"),
        (np.arange(9.0), "regression", 5, "9 rows cannot make 5 folds"),
        (np.zeros(20), "regression", 5, "the target is 0.0 in every row"),
        (np.array(["a"] * 20), "classification", 5, "the target is a in every row"),
        (np.array(["a"] * 20 + ["b"] * 4), "classification", 5, "class 'b' has 4 rows, fewer than the 5 folds"),
    ],
)
def test_folds_that_cannot_be_made(targets, task, folds, message):
    with pytest.raises(TableError, match=message):
        make_splits(targets, task, folds, 0)


def test_score_is_plain_data():
    score = Score("m", "s", (1.0, 3.0), 0.5, np.zeros(2), ())
    assert (score.mean, score.spread) == (2.0, 1.0)
