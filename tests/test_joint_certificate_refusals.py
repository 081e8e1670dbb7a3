"""Certificates that are refused, with the reason, and hostile input."""

import json
from dataclasses import replace

import numpy as np
import pytest

from underdetermined.activations import Activation
from underdetermined.joint import JointCertificate, PLPath, certify, certify_a_priori, curvature_bound, draw_network
from underdetermined.objectives import LeastSquares, TwoLayer

pytestmark = [pytest.mark.usefixtures("single_threaded_blas"), pytest.mark.filterwarnings("error")]


def problem(activation="tanh", *, n=4, d=3, width=300, bias_scale=None, X=None, **options):
    rng = np.random.default_rng(2)
    X = rng.standard_normal((n, d)) if X is None else np.asarray(X, dtype=np.float64)
    hidden, coef = draw_network(X.shape[1], width, activation=activation, bias_scale=bias_scale, seed=1)
    objective = TwoLayer(X, np.zeros(len(X)), hidden, coef, **options)
    outputs = objective.residual(objective.initial())
    return replace(objective, targets=outputs + 1e-3 * rng.standard_normal(outputs.shape))


def refused(objective, **options):
    found = certify(objective, **options)
    assert not found.is_certified
    assert (found.rate, found.max_learning_rate, found.pl_constant, found.n_steps(0.1)) == (0.0, 0.0, 0.0, np.inf)
    assert (found.loss_bound(3), found.newton_loss_bound(3), found.n_newton_steps(0.1)) == (np.inf, np.inf, np.inf)
    return found.reason


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "abs", "step"])
@pytest.mark.parametrize("layers", ["both", "hidden"])
def test_kinks_are_refused_with_the_reason(activation, layers):
    objective = problem("leaky_relu(0.2)" if activation == "leaky_relu" else activation, layers=layers)
    assert "has a kink" in refused(objective)
    assert curvature_bound(objective) == np.inf


@pytest.mark.parametrize(("activation", "layers"), [("squared_relu", "both"), ("exp", "both"), ("exp", "last")])
def test_slopes_without_a_bound_are_refused(activation, layers):
    reason = refused(problem(activation, layers=layers))
    assert "bounded slope" in reason or "Lipschitz" in reason


@pytest.mark.parametrize(("activation", "layers"), [("squared_relu", "hidden"), ("relu", "last"), ("elu", "both")])
def test_what_has_a_bound_is_certified(activation, layers):
    objective = problem(activation, layers=layers, width=3000)
    objective.targets[:] = objective.targets + objective.residual(objective.initial()) * (1.0 - 1e-3)
    assert certify(objective).is_certified


def test_activations_of_users_are_certified_if_they_give_their_constants():
    def drawn(**facts):
        return Activation("user", function=np.tanh, function_derivative=lambda z: 1.0 - np.tanh(z) ** 2, **facts)

    assert "Lipschitz" in refused(problem(drawn()))
    assert "bounded slope" in refused(problem(drawn(curvature=0.77)))
    found = certify(problem(drawn(curvature=4.0 / 3.0**1.5, lipschitz=1.0)))
    assert found.h == pytest.approx(certify(problem()).h, rel=1e-9)


def test_equal_rows_are_named():
    objective = problem(n=5)
    objective.X[3] = objective.X[1]
    assert refused(objective).startswith("Row 3 repeats row 1: ")
    objective.X[4] = objective.X[1]
    assert refused(objective).startswith("Row 3 repeats row 1, one of 2 such rows: ")
    weighted = replace(objective, sample_weight=[0.0, 0.0, 1.0, 1.0, 1.0])
    assert refused(weighted).startswith("Row 4 repeats row 3: ")


def test_rows_that_are_tied_by_parity_are_named():
    X = [[1.0, 0.5], [-1.0, -0.5], [0.3, 2.0]]
    assert "odd" in refused(problem(X=X))
    assert "even" in refused(problem("cos", X=X, intercept=0.0))
    assert "odd" in refused(problem(X=X, intercept=0.0, layers="hidden"))
    assert certify(problem(X=X, intercept=0.0, width=4000)).smallest_singular_value > 0.1
    assert certify(problem(X=X, bias_scale=1.0)).smallest_singular_value > 0.1
    assert certify(problem("gelu", X=X)).smallest_singular_value > 0.1


def test_zero_rows_are_named():
    X = [[1.0, 0.5], [0.0, 0.0]]
    assert "is zero" in refused(problem(X=X))
    assert certify(problem("cos", X=X, layers="last")).is_certified
    assert certify(problem(X=X, bias_scale=1.0)).smallest_singular_value > 0.1


def test_constant_columns_and_one_row_are_harmless():
    X = np.column_stack([np.random.default_rng(0).standard_normal((3, 2)), np.ones(3), np.zeros(3)])
    assert certify(problem(X=X, width=20_000)).is_certified
    assert certify(problem(X=[[1.0, 2.0]])).is_certified


def test_too_few_parameters_are_refused():
    assert "20 residuals and 8 parameters" in refused(problem(n=20, d=3, width=2))


def test_rounding_is_allowed_for():
    X = np.array([[1.0, 0.5], [1.0, 0.5 + 1e-9], [0.3, 2.0]])
    assert "not certifiable in this precision" in refused(problem(X=X))
    assert certify(problem(X=X)).largest_singular_value > 1.0


@pytest.mark.parametrize("scale", [1e-160, 1e160])
def test_numbers_out_of_range_are_refused(scale):
    objective = problem()
    tiny = replace(objective, feature_map=replace(objective.feature_map, scale=scale))
    assert "out of the range" in refused(tiny)


def test_a_last_layer_of_zeros_leaves_nothing_to_the_hidden_layer():
    objective = problem()
    assert "rounding" in refused(replace(objective, coef=np.zeros((300, 1)), layers="hidden"))
    assert certify(replace(objective, coef=np.zeros((300, 1)))).smallest_singular_value > 0.0


def test_learning_rates_that_are_too_large_say_so():
    objective = problem(width=4000)
    found = certify(objective, learning_rate=1.0)
    assert not found.is_certified
    assert found.is_newton_certified
    assert found.reason.startswith("learning_rate=1 is too large")
    assert found.max_learning_rate == pytest.approx(certify(objective).max_learning_rate)


def test_wrong_arguments_are_named():
    objective = problem()
    for function in (certify, curvature_bound, PLPath):
        with pytest.raises(TypeError, match="TwoLayer"):
            function(LeastSquares(np.eye(2), np.ones(2)))
    with pytest.raises(ValueError, match="theta has shape"):
        certify(objective, np.zeros(3))
    with pytest.raises(ValueError, match="theta has 1 NaN"):
        certify(objective, np.where(np.arange(objective.n_parameters) == 5, np.nan, 0.1))
    with pytest.raises(ValueError, match="learning_rate"):
        certify(objective, learning_rate=0.0)
    with pytest.raises(ValueError, match="radius"):
        curvature_bound(objective, radius=-1.0)
    with pytest.raises(ValueError, match="every"):
        PLPath(objective, every=0)
    with pytest.raises(ValueError, match="step"):
        certify(objective).newton_loss_bound(-1)


def test_too_much_memory_is_refused_in_bytes(monkeypatch):
    monkeypatch.setattr("underdetermined._validation.available_memory", lambda: 200)
    with pytest.raises(MemoryError, match="bytes"):
        certify(problem())


@pytest.mark.parametrize("width", [20, 4000])
def test_everything_is_said_in_one_line_and_in_json(width):
    found = certify(problem(width=width))
    assert repr(found).startswith(f"JointCertificate(is_certified={width == 4000}, is_newton_certified={width == 4000}, ")
    assert "\n" not in repr(found)
    read = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert read["reason"] == found.reason
    assert read["newton_residuals"] == list(found.newton_residuals)
    assert set(read) == {*JointCertificate.__dataclass_fields__, "is_newton_certified"}


def test_bounds_of_losses_fall():
    found = certify(problem(width=4000))
    assert found.loss_bound(0) == pytest.approx(0.5 * found.residual_norm**2)
    assert found.loss_bound(found.n_steps(1e-3)) <= 1e-6 * found.loss_bound(0) * (1.0 + 1e-9)
    steps = found.n_newton_steps(1e-12)
    assert found.newton_loss_bound(steps) <= 1e-24 * found.loss_bound(0) < found.newton_loss_bound(steps - 1)
    assert found.newton_loss_bound(10**6) == found.newton_loss_bound(len(found.newton_residuals))


def test_hostile_input_before_drawing_is_named():
    with pytest.raises(ValueError, match="X has 1 NaN"):
        certify_a_priori([[1.0, np.nan]], [1.0])
    with pytest.raises(ValueError, match="failure_probability"):
        certify_a_priori(np.eye(2), [1.0, 2.0], failure_probability=1.0)
    with pytest.raises(ValueError, match="output"):
        certify_a_priori(np.eye(2), [1.0, 2.0], output="none")
    with pytest.raises(ValueError, match="odd"):
        certify_a_priori(np.eye(2), [1.0, 2.0], 3, output="paired")
    for options, word in (
        ({"activation": "relu"}, "kink"), ({"init": "xavier"}, "xavier"), ({"X": np.ones((2, 2))}, "repeats"),
        ({"X": [[1.0, 0.0], [-1.0, 0.0]]}, "above rounding"), ({"width": 2}, "too few"),
    ):  # fmt: skip
        found = certify_a_priori(**{"X": np.eye(2), "targets": [1.0, 2.0], **options})
        assert not found.is_certified
        assert word in found.reason
        assert json.dumps(found.to_dict(), allow_nan=False)
