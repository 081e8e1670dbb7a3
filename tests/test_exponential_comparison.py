"""The comparison of a network of exponentials: its numbers are those of scikit-learn's own tools on the same folds."""

import dataclasses
import json

import matplotlib
import numpy as np
import pytest
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from underdetermined.comparison import compare_exponential
from underdetermined.displays import draw_comparison
from underdetermined.estimators import ExponentialClassifier, ExponentialRegressor
from underdetermined.tables import load_dataset
from underdetermined.text import format_comparison

matplotlib.use("agg")

pytestmark = [
    pytest.mark.usefixtures("single_threaded_blas"),
    pytest.mark.filterwarnings("ignore:training ended after:sklearn.exceptions.ConvergenceWarning"),
]
OPTIONS = {"width": 128, "max_iter": 30}


def small(name, n_rows):
    """A small part of an installed data set, spread over its rows."""
    table = load_dataset(name)
    return table.sample(np.linspace(0, len(table.target) - 1, n_rows).astype(int))


@pytest.fixture(scope="module")
def regression():
    return compare_exponential(small("diabetes", 40), **OPTIONS, folds=3, random_state=5)


@pytest.fixture(scope="module")
def interpolation():
    return compare_exponential(small("diabetes", 20), **OPTIONS, alpha=0.0, folds=2)


@pytest.fixture(scope="module")
def descent():
    options = OPTIONS | {"max_iter": 60}
    return compare_exponential(small("diabetes", 20), **options, solver="gd", alpha=0.0, row_scale=0.2, folds=2)


@pytest.fixture(scope="module")
def classification():
    return compare_exponential(small("wine", 40), **OPTIONS, tol=0.1, folds=2, random_state=5)


def test_regression_scores_agree_with_scikit_learn(regression):
    table = small("diabetes", 40)
    model = make_pipeline(StandardScaler(), ExponentialRegressor(**OPTIONS, alpha=1.0, random_state=5))
    folds = KFold(3, shuffle=True, random_state=5)
    expected = cross_val_score(model, table.inputs, table.target, cv=folds)
    np.testing.assert_allclose(regression.shown_score.folds, expected, rtol=1e-6)
    assert [score.label for score in regression.scores] == ["exponential", "random features", "Ridge", "MLPRegressor"]


def test_classification_scores_agree_with_scikit_learn(classification):
    table = small("wine", 40)
    network = ExponentialClassifier(**OPTIONS, alpha=1.0, tol=0.1, random_state=5)
    folds = StratifiedKFold(2, shuffle=True, random_state=5)
    expected = cross_val_score(make_pipeline(StandardScaler(), network), table.inputs, table.target, cv=folds)
    assert classification.shown_score.folds == tuple(expected)
    assert classification.estimator.tol == 0.1
    assert classification.is_success


@pytest.mark.parametrize("name", ["regression", "interpolation", "descent"])
def test_residual_is_that_of_the_predictions(name, request):
    comparison = request.getfixturevalue(name)
    targets = comparison.targets
    misfit = np.linalg.norm(targets - comparison.pipeline.predict(comparison.table.inputs))
    expected = misfit / np.linalg.norm(targets - targets.mean())
    assert comparison.training_residual == pytest.approx(expected, rel=1e-4)
    assert comparison.seconds > 0


@pytest.mark.parametrize("name", ["regression", "interpolation", "descent", "classification"])
def test_dictionary_is_json(name, request):
    comparison = request.getfixturevalue(name)
    network = comparison.estimator
    run = network.trajectory_
    found = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert found["model"] == "exponential"
    fit = found["fit"]
    assert (fit["width"], fit["solver"], fit["alpha"]) == (128, network.solver, network.alpha)
    assert (fit["row_scale"], fit["certified_step"]) == (network.row_scale_, network.certified_step_)
    assert (fit["max_iter"], fit["tol"]) == (network.max_iter, network.tol)
    trajectory = fit["trajectory"]
    assert (trajectory["status"], trajectory["n_rejected"]) == (run.status.value, run.n_rejected)
    assert len(trajectory["value"]) == run.n_iter + 1
    rates = {"gd": "learning_rate", "gauss-newton": "damping"}[network.solver]
    assert trajectory.pop(rates) == getattr(run, rates).tolist()
    assert None in trajectory.values()
    assert fit["certificate_text"] == comparison.certificate_text


@pytest.mark.parametrize("name", ["regression", "interpolation", "descent", "classification"])
def test_text_shows_every_number(name, request):
    comparison = request.getfixturevalue(name)
    text = format_comparison(comparison)
    plain = " ".join(text.split())
    network, run = comparison.estimator, comparison.estimator.trajectory_
    for word in (
        f"128 {network.row_scale_:.3g} {network.solver} {run.n_iter} {comparison.training_residual:.1e}",
        f"loss {run.value[0]:.3g} at the start, {run.value[-1]:.3g} at the end",
        f"steps taken back {run.n_rejected}",
        comparison.certificate_text,
    ):
        assert word in plain
    for score in comparison.scores:
        assert score.settings in plain
        assert f"{score.mean:.3f}" in text
    assert max(map(len, text.splitlines())) <= 100


def test_settings_say_what_was_chosen(regression, descent):
    assert regression.scores[0].settings == "width 128, gauss-newton, alpha 1, row scale auto"
    assert descent.scores[0].settings == "width 128, gd, alpha 0, row scale 0.2"
    assert "with the penalty" in format_comparison(regression)
    assert "with the penalty" not in format_comparison(descent)


def test_certificate_or_why_there_is_none(interpolation, descent, monkeypatch):
    certificate = interpolation.estimator.certificate_
    assert certificate.is_certified
    text = interpolation.certificate_text
    assert text.startswith(f"gradient descent from step {interpolation.estimator.certified_step_} on fits all targets. ")
    assert certificate.reason in text
    assert f"every {certificate.n_steps(0.5):,} steps at least halve it" in text
    monkeypatch.setattr(interpolation.estimator, "certified_step_", 0)
    assert interpolation.certificate_text.startswith("gradient descent from the start on fits")
    assert not descent.estimator.certificate_.is_certified
    assert descent.certificate_text == f"none, neither at the start nor at the end. {descent.estimator.certificate_.reason}"
    monkeypatch.setattr(descent.estimator, "certificate_", None)
    assert descent.certificate_text.startswith("not computed: the distinct rows times outputs are more than")
    assert descent.to_dict()["fit"]["certificate"] is None


def test_steps_are_described(descent):
    network = descent.estimator
    before = network.trajectory_
    network.trajectory_ = dataclasses.replace(before, learning_rate=before.learning_rate[:0])
    assert "learning rate     none" in format_comparison(descent)
    network.trajectory_ = dataclasses.replace(before, learning_rate=np.array([0.5, 0.25]), n_rejected=3)
    assert "learning rate     0.5, at the end 0.25\nsteps taken back  3\n" in format_comparison(descent)
    network.trajectory_ = before


@pytest.mark.parametrize(
    ("name", "title", "scale"),
    [("interpolation", "Gauss-Newton", "linear"), ("descent", "gradient descent", "symlog")],
)
def test_figure_shows_predictions_and_training(name, title, scale, request):
    comparison = request.getfixturevalue(name)
    left, right = draw_comparison(comparison).axes
    assert left.get_title().startswith("exponential\nout of fold")
    assert right.get_title().endswith(title)
    run = comparison.estimator.trajectory_
    for line, values in zip(right.lines, (run.value, run.gradient_norm), strict=True):
        np.testing.assert_allclose(line.get_ydata(), values / values[0])
    assert (right.get_xscale(), right.get_yscale()) == (scale, "log")


def test_notes_and_success_where_steps_run_out(descent):
    assert descent.is_success
    assert "exponential: stopped at its limit of steps before its residual had fallen to tol" in descent.notes
    assert not dataclasses.replace(descent, tol=1e-3).is_success
