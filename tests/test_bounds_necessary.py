"""Necessary and generic widths against ranks of features and of Jacobians."""

from itertools import cycle

import numpy as np
import pytest
from catalogue import EVERY
from width_problems import neurons

from underdetermined import Activation
from underdetermined.bounds import (
    WidthProblem,
    min_width_generic,
    min_width_necessary,
    min_width_numerical,
    min_width_parameters,
)

ALL = (min_width_necessary, min_width_parameters, min_width_generic, min_width_numerical)
ANALYTIC = [name for name, activation in EVERY.items() if activation.is_smooth]
KINKED = [name for name, activation in EVERY.items() if not activation.is_smooth]


def jacobian(problem, width, rng):
    """Derivatives (n, p) of the outputs of a network by the parameters of both layers."""
    augmented = problem.augmented
    weights, outer = rng.standard_normal((augmented.shape[1], width)), rng.standard_normal(width)
    z = augmented @ weights
    slopes = problem.activation.derivative(z) * outer
    return np.hstack([problem.activation.value(z)] + [slopes * column[:, np.newaxis] for column in augmented.T])


def relative_rank(matrix):
    return np.linalg.matrix_rank(matrix / (np.linalg.norm(matrix) or 1.0), tol=1e-9)


@pytest.mark.parametrize("shape", [(12, 2), (9, 3), (3, 5)])
@pytest.mark.parametrize("bias_scale", [0.0, 0.8])
@pytest.mark.parametrize("activation", ["relu", "abs", "squared_relu", "tanh", "exp", "shifted_relu", "sin_cos"])
def test_the_jacobian_counts_the_parameters(rng, activation, bias_scale, shape):
    problem = WidthProblem.from_data(rng.standard_normal(shape), activation=activation, bias_scale=bias_scale)
    result = min_width_parameters(problem)
    each = int(result.details["parameters"])
    widths = [*range(1, result.width + 1), 4 * result.width + 4]
    ranks = [max(relative_rank(jacobian(problem, width, rng)) for _ in range(20)) for width in widths]
    # No network has more directions, and below the bound almost no target is within reach.
    assert all(rank <= each * width for width, rank in zip(widths, ranks, strict=True))
    assert all(rank < problem.rank for rank in ranks[: result.width - 1])
    # Some width has them all, so that it is the width that was missing.
    assert ranks[-1] == problem.rank
    assert each * (result.width - 1) < problem.rank <= each * result.width


@pytest.mark.parametrize("bias_scale", [0.0, 1.0])
def test_a_step_has_no_use_for_hidden_parameters(rng, bias_scale):
    problem = WidthProblem.from_data(rng.standard_normal((9, 4)), activation="step", bias_scale=bias_scale)
    result = min_width_parameters(problem)
    assert (result.width, result.is_applicable) == (9, True)
    assert "finitely many values" in result.assumptions[0].statement


@pytest.mark.parametrize("bias_scale", [0.0, 1.0])
@pytest.mark.parametrize("name", ANALYTIC)
def test_generic_weights_have_the_rank(rng, name, bias_scale):
    problem = WidthProblem.from_data(rng.standard_normal((4, 3)), activation=name, bias_scale=bias_scale, weight_scale=1.0)
    result = min_width_generic(problem)
    assert (result.width, result.is_applicable, result.kind) == (max(1, problem.rank), True, "theorem")
    for seed in range(20):
        features = neurons(problem, result.width, seed=seed)
        assert np.linalg.matrix_rank(features, rtol=1e-11) == problem.rank


@pytest.mark.parametrize("name", KINKED)
def test_neurons_with_kinks_may_be_redundant(rng, name):
    problem = WidthProblem.from_data(rng.standard_normal((4, 3)), activation=name)
    result = min_width_generic(problem)
    assert (result.width, result.is_applicable, result.assumptions[0].is_met) == (None, False, False)


@pytest.mark.parametrize("name", ["relu", "step", "squared_relu", "leaky_relu"])
def test_as_many_relus_as_rows_do_fail(rng, name):
    problem = WidthProblem.from_data(rng.standard_normal((4, 2)), activation=name)
    ranks = [np.linalg.matrix_rank(neurons(problem, problem.rank, seed=seed), rtol=1e-11) for seed in range(100)]
    assert min(ranks) < problem.rank


@pytest.mark.parametrize("target", ["spectrum", 1e9])
def test_generic_weights_promise_no_eigenvalues(target):
    result = min_width_generic(WidthProblem.from_data(np.eye(3), activation="tanh"), target=target)
    assert result.width is None
    assert "eigenvalues" in result.statement


@pytest.mark.parametrize(
    ("activation", "width"),
    [
        (np.tanh, None),
        (Activation("t", function=np.tanh, lipschitz=1.0), 3),
        (Activation("t", function=np.tanh, is_smooth=True), 3),
        (Activation("t", function=np.abs, homogeneous=1, lipschitz=1.0), 4),
        (Activation("step", function=np.tanh, lipschitz=1.0), 3),
    ],
)
def test_what_is_known_of_a_callable_counts(rng, activation, width):
    problem = WidthProblem.from_data(rng.standard_normal((12, 2)), activation=activation)
    result = min_width_parameters(problem)
    assert (result.width, result.is_applicable) == (width, width is not None)
    assert ("declare lipschitz=" in result.statement) == (width is None)
    generic = min_width_generic(problem)
    assert (generic.width, generic.assumptions[0].is_met) == (None, None)


def test_duplicated_and_antipodal_rows_count_once(rng):
    X = rng.standard_normal((5, 3))
    rows = np.vstack([X, X, -X[:2]])
    for activation, rank in (("relu", 7), ("tanh", 5), ("exp", 7)):
        problem = WidthProblem.from_data(rows, activation=activation, bias_scale=0.0)
        assert min_width_necessary(problem).width == rank
        columns = neurons(problem, 60, seed=1)
        assert np.linalg.matrix_rank(columns, rtol=1e-11) == rank
        assert np.linalg.matrix_rank(columns[:, : rank - 1]) < rank


def test_the_numerical_rank_is_said_with_its_reason():
    X = np.linspace(0.0, 1.0, 40)[:, np.newaxis]
    problem = WidthProblem.from_data(X, activation="sin_cos")
    result = min_width_numerical(problem)
    eigenvalues = problem.spectrum.eigenvalues
    assert result.width == np.count_nonzero(eigenvalues > 40 * np.finfo(float).eps * eigenvalues[0])
    assert f"Only {result.width} of the 40" in result.statement
    assert (result.role, result.kind) == ("numerical", "estimate")
    assert min_width_necessary(problem).width == 40
    resolved = min_width_numerical(WidthProblem.from_data(np.eye(3)))
    assert (resolved.width, resolved.statement[:5]) == (3, "All 3")


@pytest.mark.parametrize(("name", "bias_scale"), list(zip(EVERY, cycle([0.0, 1.0]), strict=False)))
def test_every_activation_gets_an_answer(name, bias_scale):
    for rows in (np.eye(3), np.array([[2.0]]), np.zeros((2, 2)), np.array([[1.0], [-1.0], [1.0]])):
        problem = WidthProblem.from_data(rows, activation=name, bias_scale=bias_scale)
        for bound in ALL:
            result = bound(problem)
            assert result.statement.endswith(".")
            assert result.width is None or 1 <= result.width <= max(1, problem.rank)
            assert result.is_applicable == (result.width is not None)
            assert result.to_dict()["details"]["rank"] == problem.rank


@pytest.mark.parametrize("bound", ALL)
def test_options_are_checked(bound):
    problem = WidthProblem.from_data(np.eye(2))
    for options in ({"target": "no"}, {"epsilon": 2.0}, {"failure_probability": 0.0}):
        with pytest.raises(ValueError, match=next(iter(options))):
            bound(problem, **options)
