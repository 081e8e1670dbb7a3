"""Leave-one-out errors against refits, one for every copy of every row."""

import json
from functools import partial

import numpy as np
import pytest
import reference

from underdetermined.gram import gram_matrix
from underdetermined.leave_one_out import (
    default_alphas,
    leave_one_out_path,
    leave_one_out_search,
    subsample_rows,
)
from underdetermined.system import LinearSystem

ALPHAS = [1e-4, 0.1, 3.0]
SHAPES = [(7, 20), (16, 5), (10, 10), (11, 10), (2, 3)]

pytestmark = pytest.mark.usefixtures("single_threaded_blas")


def by_refits(matrix, targets, fit_intercept):
    return [reference.leave_one_out_error(matrix, targets, alpha, fit_intercept=fit_intercept) for alpha in ALPHAS]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("k", [1, 3])
def test_equals_refits(shape, fit_intercept, k, rng):
    matrix, targets = rng.standard_normal(shape), rng.standard_normal((shape[0], k))
    path = leave_one_out_path(LinearSystem(matrix, targets, fit_intercept=fit_intercept), alphas=ALPHAS)
    np.testing.assert_allclose(path.errors, by_refits(matrix, targets, fit_intercept), rtol=1e-8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_weight_is_a_number_of_copies(shape, fit_intercept, rng):
    matrix, targets = rng.standard_normal(shape), rng.standard_normal((shape[0], 2))
    weight = rng.integers(0, 4, shape[0])
    weight[:2] = 1, 3
    system = LinearSystem(matrix, targets, sample_weight=weight, fit_intercept=fit_intercept)
    copies = np.repeat(np.arange(shape[0]), weight)
    expected = by_refits(matrix[copies], targets[copies], fit_intercept)
    np.testing.assert_allclose(leave_one_out_path(system, alphas=ALPHAS).errors, expected, rtol=1e-8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_merged_rows_with_unequal_targets(shape, fit_intercept, rng):
    matrix, counts = rng.standard_normal(shape), rng.integers(1, 4, shape[0])
    group = np.repeat(np.arange(shape[0]), counts)
    targets = rng.standard_normal((len(group), 2))
    mean = np.stack([targets[group == g].mean(axis=0) for g in range(shape[0])])
    within = np.stack([((targets[group == g] - mean[g]) ** 2).sum(axis=0) for g in range(shape[0])])
    system = LinearSystem(matrix, mean, sample_weight=counts, fit_intercept=fit_intercept)
    path = leave_one_out_path(system, alphas=ALPHAS, within_squares=within)
    np.testing.assert_allclose(path.errors, by_refits(matrix[group], targets, fit_intercept), rtol=1e-8)


def test_light_row_is_left_out_whole(rng):
    matrix, targets = rng.standard_normal((6, 9)), rng.standard_normal((6, 1))
    path = leave_one_out_path(LinearSystem(matrix, targets, sample_weight=np.full(6, 0.5)), alphas=[0.5])
    assert path.errors[0] == pytest.approx(reference.leave_one_out_error(matrix, targets, 1.0))


def test_tiny_penalty_is_stable(matrix_with_condition, rng):
    """At alpha -> 0 residual and 1 - leverage vanish; their quotient tends to (K^-1 y)_i / (K^-1)_ii."""
    matrix, targets = matrix_with_condition(12, 30, 10.0), rng.standard_normal((12, 1))
    inverse = np.linalg.inv(matrix @ matrix.T)
    expected = np.mean(((inverse @ targets)[:, 0] / np.diag(inverse)) ** 2)
    path = leave_one_out_path(LinearSystem(matrix, targets), alphas=[1e-30, 1e-14])
    np.testing.assert_allclose(path.errors, expected, rtol=1e-8)


@pytest.mark.parametrize("shape", [(9, 20), (16, 5)])
def test_standard_error_is_that_of_a_mean(shape, rng):
    matrix, targets = rng.standard_normal(shape), rng.standard_normal((shape[0], 2))
    squares = []
    for row in range(shape[0]):
        others = np.arange(shape[0]) != row
        coef, intercept = reference.ridge(matrix[others], targets[others], alpha=0.5, fit_intercept=True)
        squares.append(np.mean((targets[row] - intercept - matrix[row] @ coef) ** 2))
    path = leave_one_out_path(LinearSystem(matrix, targets, fit_intercept=True), alphas=[0.5, 2.0])
    assert path.standard_errors[0] == pytest.approx(np.std(squares, ddof=1) / np.sqrt(shape[0]), rel=1e-8)
    assert path.standard_error == path.standard_errors[path.best]


def test_standard_error_of_weights_is_that_of_clusters(rng):
    """Under a huge penalty every prediction is 0 and z_i = y_i^2; the means of fresh targets spread as estimated."""
    weight = np.array([0.5, 2.0, 9.0] * 40)
    draws = rng.standard_normal((400, 120))
    paths = [leave_one_out_path(LinearSystem(np.eye(120), y, sample_weight=weight), alphas=[1e12]) for y in draws]
    spread = np.std([path.error for path in paths], ddof=1)
    assert np.mean([path.standard_error for path in paths]) == pytest.approx(spread, rel=0.15)
    deviations = weight * (draws[0] ** 2 - np.average(draws[0] ** 2, weights=weight))
    expected = np.sqrt(120 / 119 * np.sum(deviations**2)) / weight.sum()
    assert paths[0].standard_error == pytest.approx(expected, rel=1e-6)


def test_single_row_has_no_standard_error():
    path = leave_one_out_path(LinearSystem([[1.0, 2.0]], [3.0]), alphas=[1.0])
    assert path.error == pytest.approx(9.0)
    assert np.isnan(path.standard_error)
    assert path.to_dict()["standard_errors"] == [path.to_dict()["standard_error"]] == [None]


def test_given_gram_changes_nothing(rng):
    matrix, targets = rng.standard_normal((8, 20)), rng.standard_normal((8, 1))
    plain, given = (
        leave_one_out_path(LinearSystem(matrix, targets, fit_intercept=True, gram=gram))
        for gram in (None, gram_matrix(matrix))
    )
    np.testing.assert_allclose(plain.errors, given.errors, rtol=1e-10)


def test_default_grid_scales_with_the_gram(rng):
    matrix, targets = rng.standard_normal((8, 20)), rng.standard_normal((8, 1))
    one, other = (leave_one_out_path(LinearSystem(scale * matrix, targets)) for scale in (1.0, 1000.0))
    np.testing.assert_allclose(other.alphas, 1e6 * one.alphas, rtol=1e-12)
    np.testing.assert_allclose(other.errors, one.errors, rtol=1e-6)
    assert np.all(np.diff(one.alphas) > 0)
    assert one.alphas[-1] == pytest.approx(1e3 * np.mean(np.sum(matrix**2, axis=1)))


def test_default_grid_stops_where_eigenvalues_stop():
    resolution = 1000 * np.finfo(float).eps * 500.0
    assert resolution <= default_alphas(1.0, 500.0, 1000)[0] <= 2 * resolution
    assert default_alphas(1.0, 1.0, 10)[0] == pytest.approx(1e-12)
    assert len(default_alphas(1.0, 1e30, 10)) == 1
    np.testing.assert_array_equal(default_alphas(0.0, 0.0, 3), default_alphas(1.0, 0.0, 3))


def test_flat_curve_takes_the_largest_penalty():
    path = leave_one_out_path(LinearSystem(np.eye(4), np.zeros(4)))
    assert path.best == len(path.alphas) - 1
    assert path.alpha == path.alphas[-1]
    # Orthogonal rows predict nothing about each other, whatever the penalty.
    assert leave_one_out_path(LinearSystem(np.eye(4), np.arange(4.0)), alphas=[1.0, 2.0]).alpha == 2.0


def test_noise_is_rewarded_with_a_penalty(rng):
    matrix = rng.standard_normal((60, 200)) * np.geomspace(1, 1e-6, 200)
    clean = matrix @ rng.standard_normal((200, 1))
    noisy = clean + rng.standard_normal((60, 1))
    low, high = (leave_one_out_path(LinearSystem(matrix, y)).alpha for y in (clean, noisy))
    assert low < 0.1 * high


def test_one_row_and_an_intercept():
    path = leave_one_out_path(LinearSystem([[1.0, 2.0]], [3.0], fit_intercept=True))
    assert path.error == 0.0
    assert np.isnan(path.standard_error)


def test_indefinite_gram_counts_as_rounding(rng):
    """Such as rounding of float32 features makes them when a fit is extended."""
    matrix, targets = rng.standard_normal((8, 6)), rng.standard_normal((8, 1))
    gram = gram_matrix(np.hstack([matrix, np.zeros((8, 10))]))
    system = LinearSystem(np.hstack([matrix, np.zeros((8, 10))]), targets, gram=gram - 1e-7 * np.eye(8))
    alphas = [1e-7, 0.1, 1.0]  # the first would divide by zero
    exact = leave_one_out_path(LinearSystem(matrix, targets), alphas=alphas)
    np.testing.assert_allclose(leave_one_out_path(system, alphas=alphas).errors, exact.errors, rtol=1e-4)


def test_path_is_data(rng):
    path = leave_one_out_path(LinearSystem(rng.standard_normal((5, 8)), rng.standard_normal(5)), alphas=[2.0, 1.0])
    assert json.loads(json.dumps(path.to_dict())) == {
        "alphas": [1.0, 2.0],
        "errors": path.errors.tolist(),
        "standard_errors": path.standard_errors.tolist(),
        "best": path.best,
        "alpha": path.alpha,
        "error": path.error,
        "standard_error": path.standard_error,
        "n_rows": 5,
        "method": "eigendecomposition",
    }
    assert repr(path).startswith("LeaveOneOutPath(alpha=")


def test_subsample_is_fixed_and_without_repetition():
    rows = subsample_rows(1000, 100)
    np.testing.assert_array_equal(rows, subsample_rows(1000, 100))
    assert len(np.unique(rows)) == 100
    np.testing.assert_array_equal(subsample_rows(5, 5), np.arange(5))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(alphas=[]), "alphas is empty"),
        (dict(alphas=[1.0, 0.0]), "alphas has the entry 0.0: penalties must be > 0"),
        (dict(alphas=[np.nan]), "alphas has 1 NaN"),
        (dict(within_squares=[1.0, 2.0]), "within_squares has shape"),
        (dict(within_squares=[1.0, 2.0, -3.0]), "within_squares has the negative entry -3.0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        leave_one_out_path(LinearSystem(np.eye(3), [1.0, 2.0, 3.0]), **arguments)


@pytest.mark.parametrize("scale", [1e-120, 1e-60, 1e60, 1e120])
@pytest.mark.parametrize("shape", [(7, 20), (16, 5)])
def test_units_of_the_features_do_not_matter(scale, shape, rng):
    matrix, targets = rng.standard_normal(shape), rng.standard_normal(shape[0])
    expected = leave_one_out_path(LinearSystem(matrix, targets)).errors
    np.testing.assert_allclose(leave_one_out_path(LinearSystem(scale * matrix, targets)).errors, expected, rtol=1e-6)


@pytest.mark.parametrize("variation", [0.0, 1e-17, 1e-15, 1e-12])
def test_features_that_hardly_vary_predict_the_mean(variation, rng):
    matrix, targets = 1.0 + variation * rng.standard_normal((30, 90)), rng.standard_normal(30)
    path = leave_one_out_path(LinearSystem(matrix, targets, fit_intercept=True))
    by_means = np.mean((targets - (targets.sum() - targets) / 29) ** 2)
    assert path.error <= by_means * (1.0 + 1e-2)
    assert path.errors[-1] == pytest.approx(by_means, rel=1e-2)


@pytest.mark.parametrize("evaluate", [leave_one_out_path, partial(leave_one_out_search, start=1.0)])
@pytest.mark.parametrize(("weight", "expected"), [(4.0, 5.0 / 4.0 * (4.0 / 3.0) ** 2), (1.0, 0.0), (0.5, 0.0)])
def test_copies_of_one_row_are_predicted_by_the_others(evaluate, weight, expected):
    # Four copies with targets 1, 2, 3, 4 have scatter 5 about their mean; up to a weight of one nothing else is left.
    system = LinearSystem(np.ones((1, 3)), [2.5], sample_weight=[weight], fit_intercept=True)
    assert evaluate(system, within_squares=[5.0]).error == pytest.approx(expected, rel=1e-12)


def test_targets_whose_squares_overflow():
    with pytest.raises(ValueError, match=r"targets as large as 3e\+200 have squared errors that overflow: scale them down"):
        leave_one_out_path(LinearSystem(np.eye(3), [0.0, 3e200, 1.0]))


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_features_that_all_vanish_leave_the_mean_or_zero(fit_intercept):
    targets = np.array([1.0, 2.0, 6.0, 7.0])
    path = leave_one_out_path(LinearSystem(np.zeros((4, 1)), targets, fit_intercept=fit_intercept))
    left_out = (targets.sum() - targets) / 3.0 if fit_intercept else 0.0
    np.testing.assert_allclose(path.errors, np.mean((targets - left_out) ** 2))
