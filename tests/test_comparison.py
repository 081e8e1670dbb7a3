"""The comparison: its numbers are those of scikit-learn's own tools on the same folds."""

import dataclasses
import json

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from underdetermined import RandomFeatureClassifier, RandomFeatureRegressor, Status
from underdetermined.comparison import _models, compare
from underdetermined.crossvalidation import distinct, to_unit_scale
from underdetermined.tables import Table, TableError, load_dataset


def small(name, n_rows):
    """A small part of an installed data set, spread over its rows."""
    table = load_dataset(name)
    return table.sample(np.linspace(0, len(table.target) - 1, n_rows).astype(int))


@pytest.fixture(scope="module")
def regression():
    return compare(small("diabetes", 90), width=200, folds=3, random_state=5)


@pytest.fixture(scope="module")
def classification():
    return compare(small("wine", 80), width=200, folds=3, random_state=5)


@pytest.mark.parametrize("name", ["regression", "classification"])
def test_interpolating_fit_reproduces_the_targets(name, request):
    comparison = request.getfixturevalue(name)
    exact, chosen = comparison.fits
    assert (exact.label, exact.alpha, exact.status) == ("interpolating", 0.0, Status.EXACT)
    assert exact.training_residual < 1e-10 < chosen.training_residual < 1
    assert exact.width == chosen.width == 200
    assert exact.rank == len(comparison.targets) - 1
    assert chosen.alpha == comparison.estimator.loo_path_.alpha


def test_regression_scores_agree_with_scikit_learn(regression):
    table = small("diabetes", 90)
    folds = KFold(3, shuffle=True, random_state=5)
    models = [RandomFeatureRegressor(200, alpha=alpha, random_state=5) for alpha in (0, "loo")] + [Ridge()]
    for model, score in zip(models, regression.scores, strict=False):
        expected = cross_val_score(make_pipeline(StandardScaler(), model), table.inputs, table.target, cv=folds)
        np.testing.assert_allclose(score.folds, expected, rtol=1e-6, err_msg=score.label)


def test_classification_scores_agree_with_scikit_learn(classification):
    table = small("wine", 80)
    model = make_pipeline(StandardScaler(), RandomFeatureClassifier(200, random_state=5))
    folds = StratifiedKFold(3, shuffle=True, random_state=5)
    expected = cross_val_score(model, table.inputs, table.target, cv=folds)
    assert classification.scores[1].folds == tuple(expected)


def test_training_residual_of_two_classes():
    table = small("breast_cancer", 60)
    comparison = compare(table, width=30, folds=2)
    signs = np.where(table.target == "malignant", 1.0, -1.0)
    values = comparison.pipeline.decision_function(table.inputs)
    expected = np.sqrt(np.sum((signs - np.sign(signs @ values) * values) ** 2) / np.sum((signs - signs.mean()) ** 2))
    assert comparison.fits[-1].training_residual == pytest.approx(expected)


def test_pipeline_is_the_last_fit(regression):
    table = small("diabetes", 90)
    misfit = np.linalg.norm(table.target - regression.pipeline.predict(table.inputs))
    size = np.linalg.norm(table.target - table.target.mean())
    assert regression.fits[-1].training_residual == pytest.approx(misfit / size)


@pytest.mark.parametrize("name", ["regression", "classification"])
def test_dictionary_is_json(name, request):
    comparison = request.getfixturevalue(name)
    found = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert found["task"] == name
    assert found["rows"] == len(comparison.targets)
    assert [score["label"] for score in found["scores"]] == [score.label for score in comparison.scores]
    assert found["fits"][1]["alpha"] == comparison.fits[1].alpha


def test_numbers_that_are_not_finite_become_null(regression):
    fit = dataclasses.replace(regression.fits[0], condition=float("nan"))
    assert dataclasses.replace(regression, fits=(fit,)).to_dict()["fits"][0]["condition"] is None


def test_fixed_penalties():
    table = small("diabetes", 60)
    alone = compare(table, width=100, folds=2, alpha=0.0)
    assert [fit.label for fit in alone.fits] == ["interpolating"]
    assert [score.label for score in alone.scores] == ["random features, interpolating", "Ridge", "MLPRegressor"]
    fixed = compare(table, width=100, folds=2, alpha=0.5)
    assert [fit.alpha for fit in fixed.fits] == [0.0, 0.5]
    assert fixed.is_success


def test_rows_are_drawn_and_noted():
    table = load_dataset("diabetes")
    comparison = compare(table, width=50, folds=2, max_rows=40, random_state=3)
    assert comparison.table.inputs.shape == (40, 10)
    assert any("40 of 442 rows" in note for note in comparison.notes)
    again = compare(table, width=50, folds=2, max_rows=40, random_state=3)
    np.testing.assert_array_equal(comparison.table.inputs, again.table.inputs)
    assert [score.folds for score in comparison.scores] == [score.folds for score in again.scores]


def test_contradicting_rows_are_noted():
    inputs = np.repeat(np.arange(20.0), 2)[:, np.newaxis]
    targets = np.arange(40.0)
    comparison = compare(Table(inputs, targets, ("x",), "y", "test"), width=64, folds=2)
    assert comparison.fits[0].status is Status.INCONSISTENT
    assert f"interpolating: {Status.INCONSISTENT.advice}" in comparison.notes
    assert comparison.fits[0].training_residual > 1e-3


def test_unconverged_mlp_is_noted_not_warned(monkeypatch):
    monkeypatch.setattr(_models, "_MLP_MAX_ITER", 2)
    comparison = compare(small("diabetes", 40), width=50, folds=2)
    assert [note for note in comparison.notes if note.startswith("MLPRegressor: stopped at its limit")]
    assert "at most 2 epochs" in comparison.scores[-1].settings


def test_progress_names_every_piece():
    lines = []
    compare(small("diabetes", 40), width=50, folds=2, progress=lines.append)
    assert lines[0].startswith("compile")
    assert lines[1] == "fit to all 40 rows: interpolating"
    assert lines[-1] == "MLPRegressor: fold 2 of 2"
    assert len(lines) == 3 + 4 * 2


def test_constant_column_is_harmless():
    table = small("diabetes", 40)
    inputs = np.column_stack([table.inputs, np.ones(40)])
    comparison = compare(Table(inputs, table.target, ("x",) * 11, "y", "test"), width=100, folds=2)
    assert comparison.fits[0].training_residual < 1e-10


def test_regression_of_text_is_refused():
    with pytest.raises(TableError, match="regression needs numbers"):
        compare(small("wine", 40), task="regression")


def test_numbers_can_be_classes():
    table = small("digits", 60)
    assert table.target.dtype.kind == "i"
    comparison = compare(table, task="classification", width=100, folds=2)
    assert comparison.scores[0].predictions.dtype.kind == "i"


def test_notes_that_differ_in_numbers_are_one():
    notes = ["a: 3 of 10 rows, of norm 1e-07.", "a: 12 of 8 rows, of norm 2.", "a: 3 of 10 columns.", "c: 3 of 10 columns."]
    assert distinct(notes) == [notes[0], *notes[2:]]


@pytest.mark.parametrize("exponent", [-1000, 990])
def test_unit_of_the_target_changes_no_ratio(exponent):
    targets, predictions = np.array([1.0, -2.0, 0.5]), np.array([0.9, -2.1, 0.75])
    scaled = to_unit_scale(np.ldexp(targets, exponent), np.ldexp(predictions, exponent))
    np.testing.assert_array_equal(scaled, to_unit_scale(targets, predictions))


def test_tiny_targets_are_compared_without_a_warning():
    X = np.random.default_rng(0).standard_normal((20, 2))
    found = compare(Table(X, 1e-300 * X[:, 0], ("a", "b"), "y", "tiny"), width=64, folds=2)
    assert found.fits[0].training_residual < 1e-10
    assert found.scores[2].mean > 0.9  # Ridge, for which the unit of a linear target plays no part
    assert all(np.isfinite(score.mean) for score in found.scores)
