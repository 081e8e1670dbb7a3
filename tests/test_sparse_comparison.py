"""The comparison of a sparse network: its numbers are those of scikit-learn's own tools on the same folds."""

import dataclasses
import json

import matplotlib
import numpy as np
import pytest
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from underdetermined.comparison import compare_sparse
from underdetermined.displays import draw_comparison
from underdetermined.estimators import RandomFeatureRegressor, SparseReLUClassifier, SparseReLURegressor
from underdetermined.tables import TableError, load_dataset
from underdetermined.text import format_comparison

matplotlib.use("agg")

pytestmark = [
    pytest.mark.usefixtures("single_threaded_blas"),
    pytest.mark.filterwarnings("ignore:training ended after:sklearn.exceptions.ConvergenceWarning"),
]
OPTIONS = {"width": 512, "bias": 0.8, "max_iter": 20}


def small(name, n_rows):
    """A small part of an installed data set, spread over its rows."""
    table = load_dataset(name)
    return table.sample(np.linspace(0, len(table.target) - 1, n_rows).astype(int))


@pytest.fixture(scope="module")
def regression():
    return compare_sparse(small("diabetes", 60), **OPTIONS, folds=3, random_state=5)


@pytest.fixture(scope="module")
def classification():
    return compare_sparse(small("wine", 70), **OPTIONS, tol=0.4, folds=2, random_state=5)


def test_regression_scores_agree_with_scikit_learn(regression):
    table = small("diabetes", 60)
    folds = KFold(3, shuffle=True, random_state=5)
    models = SparseReLURegressor(**OPTIONS, random_state=5), RandomFeatureRegressor(random_state=5)
    for model, score in zip(models, regression.scores, strict=False):
        expected = cross_val_score(make_pipeline(StandardScaler(), model), table.inputs, table.target, cv=folds)
        np.testing.assert_allclose(score.folds, expected, rtol=1e-6, err_msg=score.label)
    assert regression.shown_score.label == "sparse ReLU"
    assert [score.label for score in regression.scores[1:]] == ["random features", "Ridge", "MLPRegressor"]


def test_classification_scores_agree_with_scikit_learn(classification):
    table = small("wine", 70)
    model = make_pipeline(StandardScaler(), SparseReLUClassifier(**OPTIONS, tol=0.4, random_state=5))
    folds = StratifiedKFold(2, shuffle=True, random_state=5)
    assert classification.shown_score.folds == tuple(cross_val_score(model, table.inputs, table.target, cv=folds))
    assert classification.scores[2].label == "RidgeClassifier"


def test_pipeline_is_the_fit(regression):
    table = small("diabetes", 60)
    misfit = np.linalg.norm(table.target - regression.pipeline.predict(table.inputs))
    assert regression.training_residual == pytest.approx(misfit / np.linalg.norm(table.target - table.target.mean()))
    # The estimator's loss is in units of the variance of the targets: the same number.
    assert regression.training_residual == pytest.approx(np.sqrt(2 * regression.estimator.loss_curve_[-1]))
    assert regression.seconds > 0


@pytest.mark.parametrize("name", ["regression", "classification"])
def test_dictionary_is_json(name, request):
    comparison = request.getfixturevalue(name)
    found = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    network = comparison.estimator
    assert (found["task"], found["model"], found["seed"]) == (name, "sparse-relu", 5)
    assert (found["fit"]["width"], found["fit"]["bias"]) == (512, 0.8)
    assert found["fit"]["trajectory"]["active_fraction"][-1] == network.active_fraction_
    assert found["fit"]["trajectory"]["n_live"][-1] == network.n_live_
    assert found["fit"]["certificate_text"] == comparison.certificate_text
    assert (found["fit"]["max_iter"], found["fit"]["tol"]) == (20, network.tol)


def test_certificate_or_why_there_is_none(regression, classification, monkeypatch):
    certificate = regression.estimator.certificate_
    assert not certificate.is_certified
    assert regression.certificate_text == f"none. {certificate.reason}"
    assert "outputs are 210, more than 128" in classification.certificate_text
    assert classification.to_dict()["fit"]["certificate"] is None
    proved = dataclasses.replace(certificate, is_certified=True, reason="It is near.", learning_rate=0.5, rate=0.2)
    monkeypatch.setattr(regression.estimator, "certificate_", proved)
    assert regression.certificate_text == "It is near. Every 7 steps at least halve it."  # 0.9**7 < 0.5 < 0.9**6


@pytest.mark.parametrize("name", ["regression", "classification"])
def test_text_shows_every_number(name, request):
    comparison = request.getfixturevalue(name)
    text = format_comparison(comparison)
    network = comparison.estimator
    run = network.trajectory_
    plain = " ".join(text.split())
    for word in (
        f"{run.active_fraction[0]:.2%} at the start, {run.active_fraction[-1]:.2%} at the end",
        f"{network.n_live_} of 512",
        f"{run.strategy}. {run.reason}",
        f"{comparison.training_residual:.1e}",
        f"learning rate {run.learning_rate[0]:.3g}",
        comparison.certificate_text,
    ):
        assert word in plain
    for score in comparison.scores:
        assert f"{score.label} " in text
        assert f"{score.mean:.3f}" in text
        assert score.settings in plain
    assert max(map(len, text.splitlines())) <= 100


def test_a_rate_that_was_lowered_is_shown(regression):
    network = regression.pipeline[-1]
    rates = np.geomspace(0.5, 0.25, network.trajectory_.n_iter)
    before = network.trajectory_
    network.trajectory_ = dataclasses.replace(before, learning_rate=rates)
    assert "learning rate  0.5, at the end 0.25" in format_comparison(regression)
    network.trajectory_ = before


def test_figure_shows_predictions_and_training(regression):
    figure = draw_comparison(regression)
    left, above, below = figure.axes[:3]
    assert left.get_title().startswith("sparse ReLU\nout of fold")
    assert left.get_xlabel() == "predicted target"
    assert above.get_shared_x_axes().joined(above, below)
    value = regression.estimator.trajectory_.value
    drawn = [line.get_ydata() for line in above.lines if len(line.get_ydata()) == len(value)]
    np.testing.assert_allclose(drawn[0], value / value[0])


def test_steps_that_run_out_are_noted_once(regression):
    notes = [note for note in regression.notes if note.startswith("sparse ReLU")]
    assert notes == ["sparse ReLU: stopped at its limit of steps before its residual had fallen to tol"]
    assert regression.is_success


def test_rows_that_are_idle_are_noted_once():
    found = compare_sparse(small("diabetes", 40), width=64, bias=1.8, max_iter=1, folds=2)
    notes = [note for note in found.notes if "without an active neuron" in note]
    assert len(notes) == 1
    assert "of 40 distinct rows" in notes[0]


def test_a_tolerance_that_was_asked_for_is_kept(classification):
    assert classification.is_success
    assert classification.training_residual <= 0.4 * 1.01
    short = compare_sparse(small("wine", 70), **OPTIONS | {"max_iter": 1}, tol=0.01, folds=2)
    assert not short.is_success


def test_automatic_choices():
    found = compare_sparse(small("diabetes", 30), width=1024, max_iter=2, folds=2, max_rows=20)
    assert f"bias {found.estimator.bias_:.2f} (auto)" in found.scores[0].settings
    assert found.estimator.bias_ > 0
    assert any("20 of 30 rows" in note for note in found.notes)


def test_progress_names_every_piece():
    lines = []
    compare_sparse(small("diabetes", 20), width=64, bias=0.0, max_iter=1, folds=2, progress=lines.append)
    assert lines[:2] == ["compile the kernels, once for all later fits", "fit to all 20 rows: sparse ReLU"]
    assert lines[-1] == "MLPRegressor: fold 2 of 2"
    assert len(lines) == 2 + 4 * 2


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"folds": 30}, TableError, "cannot make 30 folds"),
        ({"width": 65}, ValueError, "width"),
        ({"bias": 60.0}, ValueError, "bias=60"),
    ],
)
def test_what_cannot_be_used(options, error, message):
    with pytest.raises(error, match=message):
        compare_sparse(small("diabetes", 20), **{"width": 64, "bias": 0.0, "max_iter": 1} | options)
