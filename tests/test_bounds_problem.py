"""What a question about the width is made of, and what it refuses."""

import json
from dataclasses import replace

import mpmath as mp
import numpy as np
import pytest
from catalogue import EVERY
from kernel_oracle import kernels
from scipy.sparse import csr_array

from underdetermined import FeatureMap, Spectrum, nngp_kernel
from underdetermined.activations import get_activation
from underdetermined.bounds import Assumption, WidthBound, WidthProblem
from underdetermined.weights import sample_gaussian


def features(problem, width, seed):
    """Features of Gaussian neurons, without a factor."""
    weights, biases = sample_gaussian(problem.inputs.shape[1], width, seed=seed)
    layer = FeatureMap(problem.weight_scale * weights, problem.bias_scale * biases, problem.activation, scale=1.0)
    return layer(problem.inputs)


@pytest.mark.parametrize("bias_scale", [0.0, 0.7])
@pytest.mark.parametrize("activation", ["relu", "erf", "cos", "step", "hermite(0, 1, 0.5)"])
def test_the_leverage_is_that_of_the_kernel(rng, activation, bias_scale):
    X = rng.standard_normal((6, 3))
    problem = WidthProblem.from_data(np.vstack([X, X[:2], -X[:3]]), activation=activation, bias_scale=bias_scale)
    kernel = nngp_kernel(problem.inputs, activation=activation, weight_scale=3**-0.5, bias_scale=bias_scale)
    inverse = np.linalg.pinv(kernel, rcond=1e-10, hermitian=True)
    columns = features(problem, 50, 3)
    expected = np.einsum("it,ij,jt->t", columns, inverse, columns)
    assert problem.rank == np.linalg.matrix_rank(kernel, rtol=1e-10)
    assert problem.is_resolved
    np.testing.assert_allclose(problem.leverage(columns), expected, rtol=1e-8)
    np.testing.assert_allclose(problem.whitening @ problem.whitening.T, inverse, atol=1e-9 * np.abs(inverse).max())


@pytest.mark.parametrize("activation", ["relu", "tanh", "abs"])
def test_the_mean_leverage_is_the_rank(rng, activation):
    problem = WidthProblem.from_data(rng.standard_normal((8, 3)), activation=activation)
    leverage = problem.leverage(features(problem, 100_000, 1))
    assert abs(leverage.mean() - problem.rank) < 5.0 * leverage.std() / np.sqrt(leverage.size)


def test_augmented_rows_have_the_variances_of_the_pre_activations(rng):
    X = rng.standard_normal((4, 3))
    problem = WidthProblem.from_data(X, activation="identity", weight_scale=2.0, bias_scale=0.5)
    np.testing.assert_allclose(problem.augmented @ problem.augmented.T, 4.0 * X @ X.T + 0.25)
    np.testing.assert_allclose(problem.variances, np.diag(4.0 * X @ X.T + 0.25))
    bare = WidthProblem.from_data(X, activation="identity", bias_scale=0.0)
    assert bare.augmented.shape == (4, 3)
    assert bare.weight_scale == 3**-0.5


@pytest.mark.parametrize("condition", [1e1, 1e6, 1e12])
def test_majorants_dominate_the_inverse(matrix_with_condition, condition):
    root = matrix_with_condition(12, 20, np.sqrt(condition))
    kernel = root @ root.T
    problem = WidthProblem.from_data(np.eye(12), activation="relu", bias_scale=0.0)
    problem = replace(problem, spectrum=Spectrum.from_gram(kernel))
    mp.mp.dps = 50
    exact = mp.matrix(root.tolist()) * mp.matrix(root.T.tolist())
    assert problem.majorants[0][0] >= 1.0 / problem.smallest * (1.0 - 1e-15)
    for majorant in problem.majorants:
        # diag(D) >= K^-1 if and only if K >= diag(D)^-1.
        gap = exact - mp.diag([1 / mp.mpf(value) for value in majorant.tolist()])
        least = min(mp.eigsy(gap, eigvals_only=True))
        assert least > -mp.mpf(10) ** -40
        # It dominates for every kernel that differs by rounding from the one that was computed.
        assert least > 0.5 * problem.rounding


@pytest.mark.parametrize("activation", ["relu", "erf", "exp"])
def test_majorants_dominate_on_attainable_targets(rng, activation):
    X = np.vstack([rng.standard_normal((5, 2)), np.zeros((2, 2))])
    problem = WidthProblem.from_data(np.vstack([X, X[:3], -X[:2], 2.0 * X[:1]]), activation=activation, bias_scale=0.0)
    inverse = problem.whitening @ problem.whitening.T
    assert len(problem.majorants) == 3
    for majorant in problem.majorants:
        assert np.linalg.eigvalsh(np.diag(majorant) - inverse).min() > -1e-10 * majorant.max()


def test_the_scaled_majorant_is_the_best_for_a_diagonal_kernel():
    problem = WidthProblem.from_data(np.eye(4), activation="relu", bias_scale=0.0)
    spectrum = Spectrum(np.array([8.0, 4.0, 2.0, 1.0]), np.eye(4))
    constant, sums, scaled = replace(problem, spectrum=spectrum).majorants
    np.testing.assert_allclose(constant, 1.0, rtol=1e-12)
    for majorant in (sums, scaled):
        np.testing.assert_allclose(majorant, [0.125, 0.25, 0.5, 1.0], rtol=1e-10)


def test_noise_does_not_raise_the_rank():
    problem = WidthProblem.from_data(np.array([[1.0], [2.0], [2.0]]), activation="relu")
    noisy = replace(problem, spectrum=Spectrum(np.array([3.0, 1.0, 1e-9]), np.eye(3)))
    assert (noisy.numerical_rank, noisy.is_resolved, noisy.smallest) == (2, True, 1.0 - noisy.rounding)


def test_an_unresolved_kernel_says_so():
    X = np.linspace(0.0, 1.0, 40)[:, np.newaxis]
    problem = WidthProblem.from_data(X, activation="sin_cos")
    assert (problem.rank, problem.is_resolved, problem.majorants) == (40, False, ())
    assert 3 < problem.numerical_rank < 20
    assert np.isnan(problem.smallest)
    assert problem.whitening.shape == (40, problem.numerical_rank)


@pytest.mark.parametrize(
    ("activation", "scale"), [("relu", 1.0), ("elu", 1.0), ("squared_relu", 4.0), ("exp", 4.0), ("exp", 8.0)]
)
def test_rounding_bounds_the_errors_of_the_eigenvalues(rng, activation, scale):
    X = scale * rng.standard_normal((3, 2))
    problem = WidthProblem.from_data(X, activation=activation, weight_scale=1.0)
    entries = [[kernels(activation, x, z, 1.0, 1.0, digits=24)[0] for x in X] for z in X]
    mp.mp.dps = 40
    exact = sorted(mp.eigsy(mp.matrix(entries), eigvals_only=True), reverse=True)
    errors = [abs(a - b) for a, b in zip(exact, problem.spectrum.eigenvalues.tolist(), strict=True)]
    assert max(errors) < 0.6 * problem.rounding
    assert problem.rounding < 1e-12 * problem.largest


@pytest.mark.parametrize("bias_scale", [0.0, 1.0])
@pytest.mark.parametrize("name", sorted(EVERY))
def test_every_activation_has_a_problem(rng, name, bias_scale):
    problem = WidthProblem.from_data(rng.standard_normal((5, 2)), activation=name, bias_scale=bias_scale)
    assert problem.numerical_rank <= problem.rank <= 5
    assert problem.activation == get_activation(name)


@pytest.mark.parametrize(
    "X",
    [
        np.array([[3.0]]),
        np.array([[1], [-1], [1]]),
        np.ones((4, 3), dtype=np.float32),
        np.zeros((2, 2)),
        np.array([[0.0], [2.0]]),
        [[True, False], [False, True]],
        np.asfortranarray(np.arange(6.0).reshape(3, 2) / 3.0),
    ],
)
@pytest.mark.parametrize("activation", ["relu", "erf", "exp", "step"])
@pytest.mark.parametrize("bias_scale", [0.0, 1.0])
def test_degenerate_rows_are_taken(X, activation, bias_scale):
    problem = WidthProblem.from_data(X, activation=activation, bias_scale=bias_scale)
    assert problem.is_resolved
    assert problem.inputs.dtype == np.float64
    assert problem.whitening.shape == (problem.n_rows, problem.rank)
    assert all(np.isfinite(majorant).all() for majorant in problem.majorants)


def test_the_rows_are_not_kept_by_reference(rng):
    X = rng.standard_normal((4, 2))
    problem = WidthProblem.from_data(X)
    X[:] = 0.0
    assert np.abs(problem.inputs).min() > 0.0
    assert not problem.inputs.flags.writeable


@pytest.mark.parametrize("scale", [1e-100, 1e-30, 1e30, 1e100])
def test_the_scale_of_homogeneous_rows_cancels(rng, scale):
    X = rng.standard_normal((6, 3))
    problems = [WidthProblem.from_data(s * X, activation="relu", bias_scale=0.0) for s in (1.0, scale)]
    traces = [[majorant.sum() * problem.largest for majorant in problem.majorants] for problem in problems]
    np.testing.assert_allclose(traces[1], traces[0], rtol=1e-9)


@pytest.mark.parametrize(
    ("X", "options", "error", "message"),
    [
        (np.full((3, 2), 100.0), {"activation": "exp"}, OverflowError, "StandardScaler"),
        (np.full((3, 2), 1e200), {"activation": "relu"}, OverflowError, "scale the inputs down"),
        (np.full((9, 1), 1.2e154), {"bias_scale": 0.0, "activation": "identity"}, ValueError, "scale X down"),
        (1e-150 * np.eye(2), {"bias_scale": 0.0}, ValueError, "scale X up"),
        (np.array([[np.nan, 1.0]]), {}, ValueError, "X has 1 NaN"),
        (np.array([[np.inf, 1.0]]), {}, ValueError, "X has 1 NaN or infinite"),
        (np.zeros((0, 2)), {}, ValueError, "at least one row"),
        (np.zeros((2, 0)), {}, ValueError, "at least one row"),
        (np.zeros(3), {}, ValueError, "1 dimensions"),
        (np.array([["a"]]), {}, TypeError, "real numbers"),
        (np.array([[1j]]), {}, TypeError, "real numbers"),
        (csr_array(np.eye(2)), {}, TypeError, r"pass X\.toarray\(\)"),
        (np.eye(2), {"activation": "rleu"}, ValueError, "Did you mean 'relu'"),
        (np.eye(2), {"activation": 3}, TypeError, "activation must be"),
        (np.eye(2), {"weight_scale": "big"}, ValueError, "weight_scale='big'"),
        (np.eye(2), {"weight_scale": 0.0}, ValueError, "weight_scale=0.0"),
        (np.eye(2), {"weight_scale": -1}, ValueError, "weight_scale=-1"),
        (np.eye(2), {"weight_scale": None}, TypeError, "weight_scale=None"),
        (np.eye(2), {"bias_scale": -0.5}, ValueError, "bias_scale=-0.5"),
        (np.eye(2), {"bias_scale": np.nan}, ValueError, "bias_scale=nan"),
    ],
)
def test_what_cannot_be_answered_is_explained(X, options, error, message):
    with pytest.raises(error, match=message):
        WidthProblem.from_data(X, **options)


def test_too_many_rows_are_refused_in_bytes():
    with pytest.raises(MemoryError, match=r"the kernel of 3000000 rows.*432000000000000 bytes"):
        WidthProblem.from_data(np.zeros((3_000_000, 1)))


@pytest.mark.parametrize("columns", [np.zeros((3, 2)), np.zeros(4), np.full((4, 1), np.nan)])
def test_features_of_other_rows_are_refused(columns):
    with pytest.raises(ValueError, match="features ha"):
        WidthProblem.from_data(np.eye(4)).leverage(columns)


def test_a_bound_without_eigenvectors_is_refused():
    problem = replace(WidthProblem.from_data(np.eye(2)), spectrum=Spectrum(np.array([2.0, 1.0])))
    with pytest.raises(ValueError, match="no eigenvectors"):
        problem.whitening  # noqa: B018


def test_a_bound_applies_if_all_is_known_to_hold():
    facts = [(), (True,), (True, True), (True, False), (None,)]
    bounds = [
        WidthBound("rule", 3, "estimate", "sufficient", "any", "s.", "r", tuple(Assumption("a", met) for met in each))
        for each in facts
    ]
    assert [bound.is_applicable for bound in bounds] == [True, True, True, False, False]
    assert not replace(bounds[0], width=None).is_applicable


def test_a_bound_becomes_plain_json():
    details = {"tau": np.float64(2.0), "lambda": np.nan}
    bound = WidthBound("x", 10**30, "theorem", "sufficient", "any", "s.", "r", (Assumption("a", None),), (1, 2), details)
    read = json.loads(json.dumps(bound.to_dict(), allow_nan=False))
    assert read["width"] == 10**30
    assert read["details"] == {"tau": 2.0, "lambda": None}
    assert read["assumptions"] == [{"statement": "a", "is_met": None}]
    assert (read["interval"], read["is_applicable"]) == ([1, 2], False)
