"""The report on the concentration of Gram matrices of exponentials against simulation, closed forms and mpmath."""

import json
from math import exp, expm1, inf, log, pi, sqrt
from statistics import NormalDist

import mpmath
import numpy as np
import pytest
from scipy.stats import binom

from underdetermined.exponential import concentration_report, draw_network
from underdetermined.kernels import exponential_ntk

pytestmark = pytest.mark.usefixtures("single_threaded_blas")


@pytest.fixture
def rows(rng):
    X = rng.standard_normal((5, 3))
    return X * (np.geomspace(0.2, 0.5, 5) / np.linalg.norm(X, axis=1))[:, None]


def sphere(n, d, norm=1.0):
    X = np.random.default_rng(0).standard_normal((n, d))
    return norm * X / np.linalg.norm(X, axis=1, keepdims=True)


def drawn_gram(X, width, seed, **options):
    """H at the start, by its definition."""
    hidden, _ = draw_network(X.shape[1], width, seed=seed, **options)
    E = np.exp(X @ hidden.weights)
    return (X @ X.T) * (E @ E.T) / width


def mpmath_report(X, t, draws):
    """Least and largest log relative error, log of the error norm, and log of the norm."""
    with mpmath.workdps(40):
        rows = [mpmath.matrix(row.tolist()) for row in X]
        pairs = [((x.T * z)[0], t**2 * ((x + z).T * (x + z))[0]) for x in rows for z in rows]
        relative = [mpmath.log(mpmath.expm1(s) / draws) / 2 for _, s in pairs]
        error = mpmath.log(mpmath.fsum(g**2 * (mpmath.exp(2 * s) - mpmath.exp(s)) for g, s in pairs) / draws) / 2
        norm = mpmath.log(mpmath.fsum(g**2 * mpmath.exp(s) for g, s in pairs)) / 2
        return [float(number) for number in (min(relative), max(relative), error, norm)]


@pytest.mark.parametrize(("norm", "rmse", "median", "width"), [
    (0.25, 0.017, 1.00, 2.8e3), (0.5, 0.041, 1.00, 1.7e4), (0.75, 0.092, 0.99, 8.5e4), (1.0, 0.23, 0.96, 5.4e5),
    (1.5, 2.8, 0.74, 8.1e7), (2.0, 94.0, 0.32, 8.9e10), (3.0, 2.1e6, 0.006, 4.3e19),
])  # fmt: skip
def test_known_table_of_norms(norm, rmse, median, width):
    report = concentration_report(sphere(16, 8, norm), 1000, symmetric=False)
    assert report.relative_error == pytest.approx(rmse, rel=0.03)
    assert report.median_ratio == pytest.approx(median, rel=0.05)
    assert report.width_for(0.01) == pytest.approx(width, rel=0.02)


@pytest.mark.parametrize(("norm", "condition"), [(0.5, 4.0), (1.0, 2.0)])
def test_condition_of_equicorrelated_rows_has_a_closed_form(norm, condition):
    n, rho, q = 6, 0.5, norm**2
    X = norm * np.linalg.cholesky(np.full((n, n), rho) + (1.0 - rho) * np.eye(n))
    report = concentration_report(X, 100)
    diagonal, other = q * exp(2 * q), rho * q * exp(q + rho * q)
    assert report.smallest_eigenvalue == pytest.approx(diagonal - other, rel=1e-12)
    assert report.largest_eigenvalue == pytest.approx(diagonal + (n - 1) * other, rel=1e-12)
    assert report.condition == pytest.approx((diagonal + (n - 1) * other) / (diagonal - other), rel=1e-12)
    assert report.condition > condition


@pytest.mark.parametrize("weight_scale", [0.5, 1.0, 30.0])
@pytest.mark.parametrize("symmetric", [False, True])
def test_numbers_are_those_of_multiple_precision(rows, weight_scale, symmetric):
    report = concentration_report(rows, 100, weight_scale=weight_scale, symmetric=symmetric)
    reference = mpmath_report(rows, weight_scale, 50 if symmetric else 100)
    found = [report.log_relative_errors[0], report.log_relative_errors[-1], report.log_error_norm, report.log_norm]
    np.testing.assert_allclose(found, reference, rtol=1e-12, atol=1e-12)


def test_errors_of_nearly_opposite_rows_keep_their_digits():
    X = np.array([[0.5, 0.25], [-0.5, -0.25 + 1e-9]])
    expected = 0.5 * log(expm1((X[0, 1] + X[1, 1]) ** 2) / 7)
    assert concentration_report(X, 7, symmetric=False).log_relative_errors[0] == pytest.approx(expected, rel=1e-14)


def test_entries_of_orthogonal_rows_have_no_relative_error():
    errors = concentration_report(np.eye(3), 10, symmetric=False).log_relative_errors
    np.testing.assert_allclose(errors, 0.5 * log(expm1(4.0) / 10), rtol=1e-14)


def test_eigenvalues_are_those_of_the_kernel(rows):
    report = concentration_report(rows, 10, weight_scale=1.5)
    values = np.linalg.eigvalsh(exponential_ntk(rows, weight_scale=1.5))
    assert (report.smallest_eigenvalue, report.largest_eigenvalue) == pytest.approx((values[0], values[-1]), rel=1e-10)
    assert report.log_norm == pytest.approx(log(np.linalg.norm(values)))


@pytest.mark.parametrize("symmetric", [False, True])
def test_errors_are_those_of_simulated_networks(rows, symmetric):
    report = concentration_report(rows, 40, weight_scale=0.8, symmetric=symmetric)
    limit = exponential_ntk(rows, weight_scale=0.8)
    drawn = np.array([drawn_gram(rows, 40, seed, weight_scale=0.8, symmetric=symmetric) for seed in range(3000)]) - limit
    squares = (drawn**2).sum(axis=(1, 2))
    assert abs(squares.mean() - exp(2 * report.log_error_norm)) < 4.0 * squares.std() / sqrt(3000)
    longest = (drawn[:, -1, -1] / limit[-1, -1]) ** 2
    assert abs(longest.mean() - report.relative_error**2) < 4.0 * longest.std() / sqrt(3000)
    assert report.relative_error_norm == pytest.approx(exp(report.log_error_norm) / np.linalg.norm(limit))


@pytest.mark.parametrize(("sigma", "draws"), [(1.0, 1), (2.0, 10), (3.0, 100), (4.0, 100), (4.0, 5000), (6.0, 1000)])
def test_median_ratio_is_near_that_of_simulated_averages(sigma, draws):
    g = np.random.default_rng(5).standard_normal((1000, draws))
    measured = log(np.median(np.exp(sigma * g).mean(axis=1))) - 0.5 * sigma**2
    report = concentration_report([[0.5 * sigma]], draws, symmetric=False)
    assert report.log_median_ratio == pytest.approx(measured, abs=0.25)


def test_one_draw_has_the_median_of_a_lognormal_variable():
    assert concentration_report([[1.0]], 1, symmetric=False).log_median_ratio == pytest.approx(-2.0, rel=1e-14)


def test_median_ratio_is_the_largest_draw_and_the_mean_of_the_others_below_it():
    sigma, draws, phi = 1.5, 3, NormalDist()
    top = phi.inv_cdf(0.5 ** (1 / draws))
    below = exp(0.5 * sigma**2) * phi.cdf(top - sigma) / phi.cdf(top)
    expected = (exp(sigma * top) + (draws - 1) * below) / draws / exp(0.5 * sigma**2)
    assert concentration_report([[0.75]], draws, symmetric=False).median_ratio == pytest.approx(expected, rel=1e-13)


def test_frozen_estimate_agrees_with_the_asymptotic_formula():
    draws, sigma = 10**6, 12.0
    b = sqrt(2 * log(draws))
    expected = sigma * (b - (log(log(draws)) + log(4 * pi)) / (2 * b) - log(log(2)) / b) - log(draws) - 0.5 * sigma**2
    report = concentration_report([[6.0]], draws, symmetric=False)
    assert report.is_frozen
    assert report.log_median_ratio == pytest.approx(expected, rel=0.02)


def test_largest_exponent_holds_in_simulation(rows):
    report, failures = concentration_report(rows, 50, symmetric=False, failure_probability=0.2), 0
    for seed in range(400):
        hidden, _ = draw_network(3, 50, symmetric=False, seed=seed)
        failures += bool((rows @ hidden.weights).max() > report.largest_exponent)
    assert binom.sf(failures - 1, 400, 0.2) > 1e-3
    assert failures > 0


@pytest.mark.parametrize("symmetric", [False, True])
def test_width_for_an_accuracy_is_the_least(rows, symmetric):
    width = int(concentration_report(rows, 2, symmetric=symmetric).width_for(0.1))
    step = 2 if symmetric else 1
    assert concentration_report(rows, width, symmetric=symmetric).relative_error <= 0.1
    assert concentration_report(rows, width - step, symmetric=symmetric).relative_error > 0.1


@pytest.mark.parametrize(("norm", "heavy", "frozen"), [(0.5, False, False), (1.1, True, False), (2.2, True, True)])
def test_tails_are_told_apart(norm, heavy, frozen):
    report = concentration_report([[norm]], 4096)
    assert (report.is_heavy_tailed, report.is_frozen) == (heavy, frozen)
    assert ("Frozen" in str(report)) == frozen


@pytest.mark.parametrize(("norms", "width", "factor"), [
    ([0.8, 0.9, 1.0], 4096, 1.0),
    ([8.0, 8.0, 8.0], 4096, 0.125),
    ([0.1, 0.1, 0.1], 4096, 10.0),
    ([0.0, 0.0, 2.0], 4096, 0.5),
    ([1.0, 1.0, 20.0], 4096, 0.5 * sqrt(log(2049)) / 20.0),
    ([0.0, 0.0, 0.0], 4096, 1.0),
])  # fmt: skip
def test_recommended_factor(norms, width, factor):
    X = np.zeros((3, 2))
    X[:, 0] = norms
    report = concentration_report(X, width)
    assert report.row_scale == pytest.approx(factor)
    assert f"{report.row_scale:.3g}" in str(report)
    scaled = concentration_report(report.row_scale * X, width)
    assert scaled.relative_error <= 1.0 + 1e-9
    assert scaled.row_scale == pytest.approx(1.0)


@pytest.mark.parametrize(("norm", "words"), [
    (1.0, "do not overflow"), (10.0, "no longer add up"), (120.0, "predictions alone"), (300.0, "exp overflows"),
])  # fmt: skip
def test_verdict_follows_the_largest_exponent(norm, words):
    assert words in concentration_report([[norm, 0.0]], 1024).verdict


@pytest.mark.parametrize("X", [
    np.zeros((2, 3)), [[1e3, 1e3]], [[1e-170]], [[5e-324]], [[1.0], [1.0], [0.0]], [[3]], [[30.0], [0.01]], np.eye(2) * 60,
])  # fmt: skip
@pytest.mark.parametrize("width", [1, 2**52])
def test_hostile_rows_give_a_report_that_fits_the_page(X, width):
    report = concentration_report(X, width, symmetric=False)
    assert max(len(line) for line in str(report).splitlines()) <= 100
    assert 0.0 < report.row_scale < inf
    assert "nan" not in str(report) + repr(report) + report._repr_html_()
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["width"] == width


def test_repeated_and_zero_rows_are_singular(rows):
    repeated = concentration_report(np.vstack([rows, rows[:1]]), 10)
    assert (repeated.smallest_eigenvalue, repeated.condition) == (0.0, inf)
    zero = concentration_report(np.vstack([rows, 0.0 * rows[:2]]), 10)
    assert "Repeated rows: 1," in str(repeated) and "Zero rows: 2," in str(zero)
    assert (repeated.zero_rows, repeated.repeated_rows, zero.zero_rows, zero.repeated_rows) == (0, 1, 2, 0)


@pytest.mark.parametrize(("change", "error", "words"), [
    ({"X": [[np.nan]]}, ValueError, "X has 1 NaN"),
    ({"X": [1.0]}, ValueError, "X has 1 dimensions"),
    ({"X": [[1e200]]}, ValueError, "inner products"),
    ({"weight_scale": 1e200}, ValueError, "squared norms"),
    ({"weight_scale": 0.0}, ValueError, "weight_scale"),
    ({"width": 3}, ValueError, "odd"),
    ({"width": 2**53 + 2}, ValueError, "beyond"),
    ({"symmetric": None}, TypeError, "symmetric"),
    ({"failure_probability": 1.0}, ValueError, "failure_probability"),
])  # fmt: skip
def test_bad_arguments_are_named(change, error, words):
    with pytest.raises(error, match=words):
        concentration_report(**{"X": [[1.0]], "width": 4, **change})


def test_accuracies_are_positive(rows):
    with pytest.raises(ValueError, match="relative_error"):
        concentration_report(rows, 10).width_for(0.0)
