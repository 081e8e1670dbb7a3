"""The search by Cholesky factors: against refits, against the eigendecomposition, and where it cannot work."""

import numpy as np
import pytest
import reference

from underdetermined import FeatureMap, _validation
from underdetermined.gram import gram_matrix
from underdetermined.leave_one_out import _search as search_module
from underdetermined.leave_one_out import leave_one_out_path, leave_one_out_search
from underdetermined.system import LinearSystem, ReducedSystem

EPS = np.finfo(float).eps
SHAPES = [(7, 20), (16, 5), (10, 10), (11, 10), (2, 3)]

pytestmark = pytest.mark.usefixtures("single_threaded_blas")


def at(system, alpha, **options):
    """The search confined to one penalty."""
    return leave_one_out_search(system, alpha, alphas=[alpha], **options)


@pytest.fixture
def noisy(rng):
    """Return a wide system whose error has a valley: decaying features, smooth targets and noise."""
    matrix = rng.standard_normal((60, 200)) * np.geomspace(1, 1e-6, 200)
    targets = matrix @ rng.standard_normal((200, 1)) + 0.3 * rng.standard_normal((60, 1))
    return LinearSystem(matrix, targets, fit_intercept=True)


# Against refits


@pytest.mark.parametrize("alpha", [1e-4, 0.1, 3.0])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("k", [1, 3])
def test_equals_refits(shape, fit_intercept, k, alpha, rng):
    matrix, targets = rng.standard_normal(shape), rng.standard_normal((shape[0], k))
    path = at(LinearSystem(matrix, targets, fit_intercept=fit_intercept), alpha)
    expected = reference.leave_one_out_error(matrix, targets, alpha, fit_intercept=fit_intercept)
    assert path.errors == pytest.approx(expected, rel=1e-8)
    assert (path.n_rows, path.method) == (shape[0], "cholesky")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_weight_is_a_number_of_copies_with_unequal_targets(shape, fit_intercept, rng):
    matrix, counts = rng.standard_normal(shape), rng.integers(1, 4, shape[0])
    group = np.repeat(np.arange(shape[0]), counts)
    targets = rng.standard_normal((len(group), 2))
    mean = np.stack([targets[group == g].mean(axis=0) for g in range(shape[0])])
    within = np.stack([((targets[group == g] - mean[g]) ** 2).sum(axis=0) for g in range(shape[0])])
    system = LinearSystem(matrix, mean, sample_weight=counts, fit_intercept=fit_intercept)
    expected = reference.leave_one_out_error(matrix[group], targets, 0.1, fit_intercept=fit_intercept)
    assert at(system, 0.1, within_squares=within).error == pytest.approx(expected, rel=1e-8)


def test_light_row_is_left_out_whole(rng):
    matrix, targets = rng.standard_normal((6, 9)), rng.standard_normal((6, 1))
    path = at(LinearSystem(matrix, targets, sample_weight=np.full(6, 0.5)), 0.5)
    assert path.error == pytest.approx(reference.leave_one_out_error(matrix, targets, 1.0))


def test_tiny_penalty_is_stable(matrix_with_condition, rng):
    """At alpha -> 0 residual and 1 - leverage vanish; their quotient tends to (K^-1 y)_i / (K^-1)_ii."""
    matrix, targets = matrix_with_condition(12, 30, 10.0), rng.standard_normal((12, 1))
    inverse = np.linalg.inv(matrix @ matrix.T)
    expected = np.mean(((inverse @ targets)[:, 0] / np.diag(inverse)) ** 2)
    path = leave_one_out_search(LinearSystem(matrix, targets), 1e-30, alphas=[1e-30, 1e-14])
    np.testing.assert_allclose(path.errors, expected, rtol=1e-8)


# Against the eigendecomposition


@pytest.mark.parametrize("condition", [1e1, 1e3, 1e5, 1e7])
@pytest.mark.parametrize("shape", [(40, 90), (90, 40)])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_equals_the_eigendecomposition(condition, shape, fit_intercept, matrix_with_condition, rng):
    matrix = matrix_with_condition(*shape, condition)
    weight, targets = rng.uniform(0.2, 3, shape[0]), rng.standard_normal((shape[0], 2))
    options = {"within_squares": rng.uniform(0, 1, (shape[0], 2))}
    system = LinearSystem(matrix, targets, sample_weight=weight, fit_intercept=fit_intercept)
    full = leave_one_out_path(system, **options)
    single = [at(system, alpha, **options) for alpha in full.alphas]
    gram, _ = ReducedSystem(system).gram()
    values = np.linalg.eigvalsh(gram).clip(0)
    # The bound of the docstring, once for each side.
    bound = 2 * 40 * EPS * (values[-1] + full.alphas) / (values[0] + full.alphas)
    assert (np.abs([path.error for path in single] / full.errors - 1) <= bound).all()
    assert (np.abs([path.standard_error for path in single] / full.standard_errors - 1) <= bound).all()


@pytest.mark.parametrize("shape", [(30, 80), (300, 20)])
@pytest.mark.parametrize("tile_size", [7, None])
def test_streamed_features_and_blocks_change_rounding_only(shape, tile_size, monkeypatch, rng):
    layer = FeatureMap(rng.standard_normal((3, shape[1])), rng.standard_normal(shape[1]), tile_size=tile_size)
    inputs, targets = rng.standard_normal((shape[0], 3)), rng.standard_normal(shape[0])
    weight = rng.uniform(0.5, 2, shape[0])
    whole, streamed = (
        LinearSystem(features, targets, sample_weight=weight, fit_intercept=True)
        for features in (layer(inputs), layer.operator(inputs))
    )
    expected = at(whole, 1e-3)
    monkeypatch.setattr(search_module, "_BLOCK", 7)
    found = at(streamed, 1e-3)
    np.testing.assert_allclose([found.error, found.standard_error], [expected.error, expected.standard_error], rtol=1e-9)


def test_penalties_in_turn_do_not_disturb_each_other(noisy):
    """They share one matrix, which every factorisation overwrites and the next one restores."""
    path = leave_one_out_search(noisy, 1e-6)
    assert len(path.alphas) > 5
    np.testing.assert_array_equal(path.errors, [at(noisy, alpha).error for alpha in path.alphas])


def test_gram_of_the_caller_is_used_and_kept(rng):
    matrix, targets = rng.standard_normal((8, 20)), rng.standard_normal((8, 1))
    gram = gram_matrix(matrix)
    before = gram.copy()
    plain, given = (at(LinearSystem(matrix, targets, fit_intercept=True, gram=g), 0.1) for g in (None, gram))
    assert plain.error == pytest.approx(given.error, rel=1e-12)
    np.testing.assert_array_equal(gram, before)


# The search


@pytest.mark.parametrize("place", [0, 0.3, 0.5, 0.8, 1])
def test_search_finds_the_minimum_of_the_grid(noisy, place):
    full = leave_one_out_path(noisy)
    path = leave_one_out_search(noisy, full.alphas[int(place * (len(full.alphas) - 1))])
    assert path.alpha == pytest.approx(full.alpha, rel=1e-12)
    assert 0 < path.best < len(path.alphas) - 1
    assert len(path.alphas) < len(full.alphas) / 3
    distance = np.abs(np.subtract.outer(np.log(path.alphas), np.log(full.alphas))).min(axis=1)
    np.testing.assert_allclose(distance, 0, atol=1e-12)


def test_search_that_starts_well_is_short(noisy):
    assert len(leave_one_out_search(noisy, leave_one_out_path(noisy).alpha).alphas) == 5


def test_search_stops_at_the_ends_of_the_grid(noisy):
    best = leave_one_out_path(noisy).alpha
    for factors in ([1, 2, 4, 8, 16, 32, 64], [1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1]):
        path = leave_one_out_search(noisy, best * factors[3], alphas=best * np.array(factors))
        assert path.alpha == pytest.approx(best)


def test_flat_curve_takes_the_largest_penalty():
    path = leave_one_out_search(LinearSystem(np.eye(4), np.zeros(4)), 1e-3)
    assert path.alpha == leave_one_out_path(LinearSystem(np.eye(4), np.zeros(4))).alphas[-1]


def test_one_row_and_an_intercept():
    path = leave_one_out_search(LinearSystem([[1.0, 2.0]], [3.0], fit_intercept=True), 0.2, alphas=[0.1, 1.0])
    assert (path.alpha, path.error) == (0.1, 0.0)
    assert np.isnan(path.standard_error)


# Where it cannot work


def test_indefinite_matrices_are_passed_over(noisy):
    """Such as rounding of float32 features makes them; the penalties above it are as good as ever."""
    gram = gram_matrix(noisy.matrix)
    smallest = np.linalg.eigvalsh(gram)[0]
    spoiled = LinearSystem(noisy.matrix, noisy.targets, gram=gram - (smallest + 1e-3) * np.eye(60))
    path = leave_one_out_search(spoiled, 1e-6)
    assert path.alphas[0] > 1e-3
    assert np.isfinite(path.errors).all()
    with pytest.raises(ValueError, match=r"alphas up to 1e-06 leave the Gram matrix indefinite.*at least"):
        at(spoiled, 1e-6)


@pytest.mark.parametrize(("fit_intercept", "needed"), [(False, 8 * 60**2), (True, 16 * 59**2)])
def test_memory_is_checked(fit_intercept, needed, monkeypatch):
    monkeypatch.setattr(_validation, "available_memory", lambda: needed - 1)
    system = LinearSystem(np.eye(60), np.ones(60), fit_intercept=fit_intercept)
    with pytest.raises(MemoryError, match=f"Gram matrix and its factor needs {needed} bytes"):
        leave_one_out_search(system, 1.0)


@pytest.mark.parametrize(
    ("start", "options", "error", "message"),
    [
        (0.0, {}, ValueError, r"start=0.0 is out of range: pass a finite number in \(0"),
        (-1.0, {}, ValueError, "start=-1.0 is out of range"),
        (np.nan, {}, ValueError, "start=nan is out of range"),
        (np.inf, {}, ValueError, "start=inf is out of range"),
        ("1", {}, TypeError, "start='1' is not a number"),
        (1.0, {"alphas": []}, ValueError, "alphas is empty"),
        (1.0, {"alphas": [1.0, -1.0]}, ValueError, "penalties must be > 0"),
        (1.0, {"within_squares": [1.0, 2.0]}, ValueError, "within_squares has shape"),
    ],
)
def test_bad_arguments(start, options, error, message):
    with pytest.raises(error, match=message):
        leave_one_out_search(LinearSystem(np.eye(3), [1.0, 2.0, 3.0]), start, **options)
