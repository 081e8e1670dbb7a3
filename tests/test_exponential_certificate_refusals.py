"""What certificates of exponential networks say where there is nothing to certify, and of arguments that make no sense."""

import json

import numpy as np
import pytest

from underdetermined import FeatureMap
from underdetermined.exponential import certify, draw_network
from underdetermined.objectives import Exponential


def problem(X, targets=None, *, width=400, n_outputs=1, **options):
    hidden, coef = draw_network(np.shape(X)[1], width, n_outputs, **options)
    return Exponential(X, np.full((len(X), n_outputs), 1e-3) if targets is None else targets, hidden, coef)


GOOD = np.array([[0.5, 0.0], [0.0, 0.5], [0.3, -0.4]])


@pytest.mark.parametrize(
    ("X", "words"),
    [
        (GOOD[[0, 1, 0, 2]], "Row 2 repeats row 0: the tangent matrix is singular"),
        (GOOD[[0, 1, 0, 0]], "Row 2 repeats row 0, one of 2 such rows"),
        (np.vstack([GOOD, np.zeros((2, 2))]), "Row 3 is zero, one of 2 such rows"),
        (np.vstack([GOOD, GOOD[0] + 1e-9]), "not certifiable in this precision"),
        (1e3 * GOOD, "squares of exponentials overflow; rescale the rows"),
        (1e200 * GOOD, "squares of exponentials overflow; rescale the rows"),
        (1e-150 * GOOD[:2], "out of the range of float64"),
    ],
)
def test_rows_that_cannot_be_certified_are_explained(X, words):
    found = certify(problem(X))
    assert not found.is_certified
    assert words in found.reason
    assert found.h == np.inf == found.width_needed == found.n_steps(0.5) == found.loss_bound(3)
    assert found.smallest_singular_value == 0.0 == found.max_learning_rate == found.rate


def test_rows_are_numbered_as_they_were_passed():
    objective = problem(GOOD[[0, 1, 1, 2]])
    X, weight = GOOD[[1, 0, 1, 1, 2]], [0.0, 1.0, 1.0, 1.0, 1.0]
    found = certify(Exponential(X, np.zeros(5), objective.feature_map, objective.coef, sample_weight=weight))
    assert "Row 3 repeats row 2:" in found.reason


def test_more_rows_than_parameters_are_refused():
    rng = np.random.default_rng(0)
    hidden = FeatureMap(rng.standard_normal((2, 2)), activation="exp")
    found = certify(Exponential(rng.standard_normal((6, 2)), np.zeros(6), hidden, [1.0, -1.0]))
    assert not found.is_certified
    assert "take more neurons" in found.reason


@pytest.mark.parametrize("n_outputs", [2, 3])
def test_outputs_that_depend_on_each_other_are_refused(n_outputs):
    hidden, coef = draw_network(2, 400)
    found = certify(Exponential(GOOD, np.zeros((3, n_outputs)), hidden, np.repeat(coef, n_outputs, axis=1)))
    assert "not certifiable in this precision" in found.reason


def test_a_last_layer_of_zeros_is_named():
    hidden, coef = draw_network(2, 400)
    assert "The last layer is zero" in certify(Exponential(GOOD, np.zeros(3), hidden, 0.0 * coef)).reason


@pytest.mark.parametrize("size", [1e200, 1e307])
def test_huge_targets_are_refused_without_a_width(size):
    found = certify(problem(GOOD, np.full(3, size)))
    assert not found.is_certified
    assert "take smaller targets" in found.reason


@pytest.mark.parametrize("factor", [1e-170, 1e170])
def test_last_layers_out_of_range_are_refused(factor):
    hidden, coef = draw_network(2, 400)
    found = certify(Exponential(GOOD, np.zeros(3), hidden, factor * coef))
    assert "out of the range of float64" in found.reason


@pytest.mark.parametrize("factor", [2.001, 3.0, 1e3])
def test_a_learning_rate_beyond_all_is_refused_with_the_largest(factor):
    targets = np.full(3, 1e-9)
    free = certify(problem(GOOD, targets))
    assert free.is_certified
    assert certify(problem(GOOD, targets), learning_rate=1.99 * free.learning_rate).is_certified
    found = certify(problem(GOOD, targets), learning_rate=factor * free.learning_rate)
    assert not found.is_certified
    assert f"learning_rate={found.learning_rate:.3g} is too large" in found.reason
    assert found.max_learning_rate == free.learning_rate
    assert found.learning_rate == factor * free.learning_rate


def test_larger_learning_rates_are_certified_for_smaller_residuals():
    free = certify(problem(GOOD))
    larger = certify(problem(GOOD), learning_rate=1.3 * free.learning_rate)
    assert larger.is_certified
    assert free.h < larger.h
    assert free.relative_step == pytest.approx(1.0)
    assert larger.relative_step == pytest.approx(1.3, rel=0.01)
    assert certify(problem(GOOD), learning_rate=0.1 * free.learning_rate).h == free.h


@pytest.mark.parametrize("learning_rate", [1e-320, 5e-324])
def test_a_learning_rate_too_small_to_count_takes_for_ever(learning_rate):
    found = certify(problem(GOOD), learning_rate=learning_rate)
    assert found.is_certified
    assert found.n_steps(0.5) == np.inf


def test_loss_and_steps_follow_from_the_rate():
    found = certify(problem(GOOD))
    norm = 1e-3 * np.sqrt(3.0)
    assert found.residual_norm == pytest.approx(norm, rel=1e-12)
    assert found.loss_bound(0) == pytest.approx(0.5 * norm**2)
    assert found.loss_bound(7) == pytest.approx(0.5 * norm**2 * (1.0 - found.rate) ** 7)
    steps, factor = found.n_steps(1e-3), np.sqrt(1.0 - found.rate)
    assert factor**steps <= 1e-3 < factor ** (steps - 1)


def test_one_step_may_do():
    # One row: the step 1 / |J|^2 fits the linear model at once.
    found = certify(Exponential([[0.5]], [1.0 - 1e-9], FeatureMap([[0.0]], activation="exp", scale=1.0), [1.0]))
    assert found.rate == pytest.approx(1.0)
    assert found.n_steps(1e-3) == 1


@pytest.mark.parametrize("size", [1e-3, 1e3])
def test_the_dictionary_goes_through_json(size):
    found = certify(problem(GOOD, np.full(3, size)))
    again = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert again["is_certified"] is (size < 1.0)
    assert again["h"] == found.h
    assert set(again) == set(found.__dataclass_fields__)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_bad_learning_rates_are_refused(value):
    with pytest.raises(ValueError, match="learning_rate"):
        certify(problem(GOOD), learning_rate=value)


def test_bad_arguments_are_refused():
    objective = problem(GOOD)
    with pytest.raises(TypeError, match="objective is a ndarray"):
        certify(np.eye(2))
    with pytest.raises(ValueError, match="theta has shape"):
        certify(objective, np.zeros(3))
    with pytest.raises(ValueError, match="theta has 800 NaN"):
        certify(objective, np.full(800, np.nan))
    with pytest.raises(ValueError, match="tol=1.5"):
        certify(objective).n_steps(1.5)
    with pytest.raises(ValueError, match="step=-1"):
        certify(objective).loss_bound(-1)
