"""The comparison of a two-layer network: its numbers are those of scikit-learn's own tools on the same folds."""

import dataclasses
import json
from math import inf

import matplotlib
import numpy as np
import pytest
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from underdetermined.comparison import TrialOptions, compare, compare_exponential, compare_sparse, compare_two_layer
from underdetermined.displays import draw_comparison
from underdetermined.estimators import TwoLayerClassifier, TwoLayerRegressor
from underdetermined.estimators._trained import CERTIFIED_SIZE
from underdetermined.joint import laziness_report
from underdetermined.objectives import TwoLayer
from underdetermined.solution import Status
from underdetermined.tables import load_dataset
from underdetermined.text import format_comparison

matplotlib.use("agg")

pytestmark = [
    pytest.mark.usefixtures("single_threaded_blas"),
    pytest.mark.filterwarnings("ignore:training ended after:sklearn.exceptions.ConvergenceWarning"),
]
NAMES = ["regression", "interpolation", "stopped", "classification"]
WIDTH = 64


def small(name, n_rows):
    """A small part of an installed data set, spread over its rows."""
    table = load_dataset(name)
    return table.sample(np.linspace(0, len(table.target) - 1, n_rows).astype(int))


@pytest.fixture(scope="module")
def regression():
    return compare_two_layer(small("diabetes", 40), width=WIDTH, folds=3, random_state=5)


@pytest.fixture(scope="module")
def interpolation():
    return compare_two_layer(small("diabetes", 12), width=256, weight_scale=2.0, alpha=0.0, tol=1e-6, folds=2)


@pytest.fixture(scope="module")
def stopped():
    options = {"solver": "gd", "alpha": 0.0, "early_stopping": True, "activation": "gelu", "init": "he"}
    return compare_two_layer(small("diabetes", 30), width=WIDTH, **options, folds=2)


@pytest.fixture(scope="module")
def classification():
    return compare_two_layer(small("wine", 40), width=WIDTH, tol=0.01, alpha=0.1, folds=2, random_state=5)


@pytest.fixture(params=NAMES)
def comparison(request):
    return request.getfixturevalue(request.param)


def test_regression_scores_agree_with_scikit_learn(regression):
    table = small("diabetes", 40)
    model = make_pipeline(StandardScaler(), TwoLayerRegressor(WIDTH, random_state=5))
    expected = cross_val_score(model, table.inputs, table.target, cv=KFold(3, shuffle=True, random_state=5))
    np.testing.assert_allclose(regression.shown_score.folds, expected, rtol=1e-6)
    assert [score.label for score in regression.scores] == ["two-layer", "random features", "Ridge", "MLPRegressor"]


def test_classification_scores_agree_with_scikit_learn(classification):
    table = small("wine", 40)
    network = TwoLayerClassifier(WIDTH, tol=0.01, alpha=0.1, random_state=5)
    folds = StratifiedKFold(2, shuffle=True, random_state=5)
    expected = cross_val_score(make_pipeline(StandardScaler(), network), table.inputs, table.target, cv=folds)
    assert classification.shown_score.folds == tuple(expected)
    assert classification.is_success


def test_options_reach_the_network(interpolation, stopped):
    network = interpolation.estimator
    assert (network.width, network.weight_scale, network.alpha, network.tol) == (256, 2.0, 0.0, 1e-6)
    network = stopped.estimator
    assert (network.solver, network.activation, network.init) == ("gd", "gelu", "he")
    assert (network.early_stopping, network.max_iter) == (True, None)
    assert network.tol == TwoLayerRegressor().tol
    assert (interpolation.tol, stopped.tol) == (1e-6, None)


def test_residual_is_that_of_the_predictions(comparison):
    targets = comparison.targets
    classes = getattr(comparison.estimator, "classes_", None)
    fitted = targets if classes is None else (targets[:, np.newaxis] == classes).astype(float)
    predict = comparison.pipeline.predict if classes is None else comparison.pipeline.decision_function
    misfit = np.linalg.norm(fitted - predict(comparison.table.inputs))
    expected = misfit / np.linalg.norm(fitted - fitted.mean(axis=0))
    assert comparison.training_residual == pytest.approx(expected, rel=1e-4, abs=1e-12)


def test_dictionary_is_json(comparison):
    network, run = comparison.estimator, comparison.estimator.trajectory_
    found = json.loads(json.dumps(comparison.to_dict(), allow_nan=False))
    assert found["model"] == "two-layer"
    fit = found["fit"]
    for name in ("activation", "init", "weight_scale", "solver", "early_stopping", "max_iter", "tol"):
        assert fit[name] == getattr(network, name)
    assert (fit["alpha"], fit["row_scale"], fit["best_step"]) == (network.alpha_, network.row_scale_, network.best_iter_)
    assert (fit["certificate"], fit["laziness"]) == (network.certificate_.to_dict(), network.laziness_.to_dict())
    assert (fit["certified_step"], fit["certificate_text"]) == (network.certified_step_, comparison.certificate_text)
    assert fit["trajectory"]["status"] == run.status.value
    assert len(fit["trajectory"]["value"]) == run.n_iter + 1
    assert (fit["validation_scores"] is None) == (not network.early_stopping)


def test_scores_of_early_stopping_are_json(stopped, monkeypatch):
    expected = stopped.estimator.validation_scores_.tolist()
    assert stopped.to_dict()["fit"]["validation_scores"] == expected
    monkeypatch.setattr(stopped.estimator, "validation_scores_", np.array([-inf, 0.5]))
    assert stopped.to_dict()["fit"]["validation_scores"] == [None, 0.5]


def test_text_shows_every_number(comparison):
    text = format_comparison(comparison)
    plain = " ".join(text.split())
    network, run = comparison.estimator, comparison.estimator.trajectory_
    for word in (
        f"{network.width} {network.activation} {network.alpha_:.3g} {network.solver} {run.n_iter} "
        f"{comparison.training_residual:.1e}",
        f"loss {run.value[0]:.3g} at the start, {run.value[-1]:.3g} at the end",
        f"outcome {comparison.outcome_text}",
        f"steps taken back {run.n_rejected}",
        f"certificate {comparison.certificate_text}",
        f"laziness {comparison.laziness_text}",
        comparison.validation_text,
    ):
        assert word in plain
    for score in comparison.scores:
        assert score.settings in plain
        assert f"{score.mean:.3f}" in text
    assert max(map(len, text.splitlines())) <= 100


def test_settings_say_what_was_chosen(regression, interpolation, stopped):
    assert regression.scores[0].settings == "tanh, width 64, lecun, gauss-newton, alpha by leave-one-out"
    assert interpolation.scores[0].settings == "tanh, width 256, lecun, weights times 2, gauss-newton, alpha 0"
    assert stopped.scores[0].settings == "gelu, width 64, he, gd, alpha 0, early stopping"
    assert "with the penalty" in format_comparison(regression)
    assert "with the penalty" not in format_comparison(stopped)


def test_certificate_or_why_there_is_none(interpolation, regression, monkeypatch):
    network = interpolation.estimator
    certificate = network.certificate_
    assert certificate.is_certified
    text = interpolation.certificate_text
    assert text.startswith(f"gradient descent from step {network.certified_step_} on fits all targets. {certificate.reason}")
    assert f"{certificate.n_steps(0.5):,} steps at least halve it" in text
    steps = certificate.n_newton_steps(1e-8)
    assert text.endswith(f"Undamped Gauss-Newton steps bring it to 1e-08 of itself in {steps} or fewer.")
    monkeypatch.setattr(network, "alpha", "loo")
    assert interpolation.certificate_text.startswith("gradient descent without the penalty from step")
    monkeypatch.setattr(network, "certificate_", dataclasses.replace(certificate, newton_residuals=()))
    assert "Gauss-Newton" not in interpolation.certificate_text
    refused = regression.estimator.certificate_
    assert regression.certificate_text == f"none, neither at the start nor at the end. {refused.reason}"
    monkeypatch.setattr(regression.estimator, "certificate_", None)
    size = f"not computed: the distinct rows times outputs are more than {CERTIFIED_SIZE}; underdetermined.joint.certify"
    assert regression.certificate_text.startswith(size)


def test_laziness_is_that_of_the_report(interpolation, monkeypatch):
    network = interpolation.estimator
    report = network.laziness_
    assert interpolation.laziness_text.startswith(f"{report.verdict} Moved, over the size at the start: hidden weights ")
    for movement in report.movements[:3]:
        assert f"{movement.name} {movement.relative:.2g}" in interpolation.laziness_text
    assert f"output bias from 0 to {report.movements[3].distance:.2g}." in interpolation.laziness_text
    hidden, rows = network.feature_map_, small("diabetes", 12).inputs
    still = TwoLayer(rows[:3], rows[:3, :1], hidden, np.zeros((256, 1)), intercept=0.0)
    monkeypatch.setattr(network, "laziness_", laziness_report(still, still.initial()))
    assert interpolation.laziness_text.endswith("output weights 0, output bias 0.")


def test_early_stopping_is_no_failure(stopped, monkeypatch):
    network, run = stopped.estimator, stopped.estimator.trajectory_
    assert run.status is Status.MAX_ITER and run.n_iter == network.best_iter_ + 10
    assert stopped.is_success and dataclasses.replace(stopped, tol=1e-9).is_success
    assert stopped.outcome_text == "Stopped early: 10 steps did not predict the rows left out any better."
    score = network.validation_scores_[network.best_iter_]
    assert score == network.validation_scores_.max()
    assert stopped.validation_text.startswith(f"step {network.best_iter_} was kept; it explains {score:.3f} of the variance")
    monkeypatch.setattr(network, "n_iter_no_change", 11)
    assert stopped.outcome_text == "The limit of steps was reached."
    assert stopped.is_success and not dataclasses.replace(stopped, tol=1e-9).is_success


def test_stalls_are_explained(regression, monkeypatch):
    stalled = dataclasses.replace(regression.estimator.trajectory_, status=Status.INCONSISTENT)
    monkeypatch.setattr(regression.estimator, "trajectory_", stalled)
    assert regression.outcome_text == stalled.advice
    assert regression.is_success and not dataclasses.replace(regression, tol=1e-3).is_success


def test_figure_shows_predictions_and_training(interpolation):
    left, right = draw_comparison(interpolation).axes
    assert left.get_title().startswith("two-layer\nout of fold")
    assert right.get_title().endswith("Gauss-Newton")
    run = interpolation.estimator.trajectory_
    for line, values in zip(right.lines, (run.value, run.gradient_norm), strict=True):
        np.testing.assert_allclose(line.get_ydata(), values / values[0])


def test_figure_shows_the_rows_left_out(stopped, monkeypatch):
    right = draw_comparison(stopped).axes[1]
    assert right.get_title().endswith("gradient descent")
    network = stopped.estimator
    errors = 1.0 - network.validation_scores_
    np.testing.assert_allclose(right.lines[2].get_ydata(), errors / errors[0])
    np.testing.assert_allclose(right.lines[3].get_xdata(), network.best_iter_)
    monkeypatch.setattr(network, "solver", "heavy-ball")
    assert draw_comparison(stopped).axes[1].get_title().endswith("heavy ball")


def test_every_comparison_takes_the_same_trial():
    trial = TrialOptions(task="regression", folds=2, random_state=1, max_rows=20, progress=lambda line: None)
    table = small("diabetes", 40)
    found = [
        compare(table, width=16, alpha=0, **trial),
        compare_sparse(table, width=64, bias=0.5, max_iter=2, **trial),
        compare_exponential(table, width=64, max_iter=2, **trial),
        compare_two_layer(table, width=16, max_iter=2, **trial),
    ]
    for comparison in found:
        assert len(comparison.targets) == 20
        assert comparison.estimator.random_state == 1
        ridge = comparison.scores[-2]
        assert ridge.folds == found[0].scores[-2].folds and len(ridge.folds) == 2


@pytest.mark.parametrize("compare_any", [compare, compare_sparse, compare_exponential, compare_two_layer])
def test_unknown_arguments_are_refused(compare_any):
    with pytest.raises(TypeError, match="fold"):
        compare_any(small("diabetes", 20), fold=3)


@pytest.mark.parametrize(("alpha", "what"), [("loo", "gradient"), (0.0, "residual")])
def test_the_note_names_what_did_not_reach_the_tolerance(alpha, what):
    found = compare_two_layer(small("diabetes", 12), width=16, max_iter=1, folds=2, alpha=alpha, tol=1e-9)
    assert found.notes[0] == f"two-layer: stopped at its limit of steps before its {what} had fallen to tol"
