"""Sums of Mehler's expansion: against plain sums, as short as the bound allows, nan where it allows none."""

import numpy as np
import pytest

from underdetermined._kernels.mehler import CHAINS, series

N_BLOCKS = 6


def coefficients(rng, n=5, decay=0.99):
    """Rows of norm below 1 and what every block of terms leaves of their squared norm of 1."""
    a = rng.standard_normal((n, N_BLOCKS * CHAINS)) * decay ** np.arange(N_BLOCKS * CHAINS)
    a *= 0.999 / np.linalg.norm(a, axis=1, keepdims=True)
    left = 1.0 - np.cumsum((a**2).reshape(n, N_BLOCKS, CHAINS).sum(axis=2), axis=1)
    return a, np.sqrt(left)


def summed(correlations, rows, columns, a, tails, tolerance):
    out = correlations.copy()
    series(out, rows, columns, a.reshape(len(a), -1, CHAINS), tails, tolerance, np.empty(CHAINS))
    return out


@pytest.mark.parametrize("tolerance", [1e-14, 1e-6])
def test_sum_is_within_its_tolerance_of_the_whole_series(rng, tolerance):
    a, tails = coefficients(rng)
    r = np.concatenate([rng.uniform(-0.8, 0.8, 300), [0.0, -0.0, 0.5, -0.5, 1e-200]])
    rows, columns = rng.integers(0, 5, (2, r.size))
    expected = np.sum(a[rows] * a[columns] * r[:, None] ** np.arange(a.shape[1]), axis=1)
    found = summed(r, rows, columns, a, tails, tolerance)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance + 1e-15)


def test_entries_out_of_reach_are_nan(rng):
    a, tails = coefficients(rng)
    found = summed(np.array([1.0, -1.0, 0.9999, 0.1, np.nan]), np.zeros(5, int), np.ones(5, int), a, tails, 1e-14)
    np.testing.assert_array_equal(np.isnan(found), [True, True, True, False, True])


def test_only_as_many_terms_as_the_bound_asks_for():
    a = np.ones((1, N_BLOCKS * CHAINS))
    tails = np.ones((1, N_BLOCKS))
    r = 10.0 ** np.array([-15.0 / CHAINS, -8.0 / CHAINS, -3.0 / CHAINS])
    terms = np.array([CHAINS, 2 * CHAINS, 5 * CHAINS])
    found = summed(r, np.zeros(3, int), np.zeros(3, int), a, tails, 1e-14)
    np.testing.assert_allclose(found, (1 - r**terms) / (1 - r), rtol=1e-13, atol=0)
    assert np.all(np.abs(found - (1 - r ** (terms + CHAINS)) / (1 - r)) < 1e-13)


def test_finite_expansions_are_exact_at_the_ends():
    a = np.zeros((2, N_BLOCKS * CHAINS))
    a[:, 40] = [0.6, 1.0]
    a[0, 41] = 0.8
    tails = np.ones((2, N_BLOCKS))
    tails[:, 1:] = 0.0
    found = summed(np.array([1.0, -1.0, -1.0]), np.array([0, 0, 0]), np.array([0, 0, 1]), a, tails, 1e-14)
    np.testing.assert_allclose(found, [1.0, 0.36 - 0.64, 0.6], atol=1e-15)


def test_an_entry_does_not_depend_on_its_neighbours(rng):
    a, tails = coefficients(rng)
    r = rng.uniform(-1, 1, 50)
    rows, columns = rng.integers(0, 5, (2, 50))
    whole = summed(r, rows, columns, a, tails, 1e-12)
    single = [summed(r[i : i + 1], rows[i : i + 1], columns[i : i + 1], a, tails, 1e-12)[0] for i in range(50)]
    np.testing.assert_array_equal(whole, single)
    np.testing.assert_array_equal(whole, summed(r, columns, rows, a, tails, 1e-12))
