"""Bounds on the smallest eigenvalue: below or above it on all kinds of rows, and equal to their slow definitions."""

import mpmath as mp
import numpy as np
import pytest
from eigenvalue_oracle import (
    KINDS,
    closed_separation,
    exact_smallest,
    hermite_weights,
    lengthened,
    rows_of,
    slow_hermite,
    slow_jump,
    unit,
)
from orthant_oracle import MATRICES, ROWS
from scipy.optimize import linprog

from underdetermined.bounds import (
    EigenvalueProblem,
    eigenvalue_gershgorin,
    eigenvalue_hermite,
    eigenvalue_jump,
    eigenvalue_schur,
    eigenvalue_separation,
    eigenvalue_shifted,
    eigenvalue_trace,
    eigenvalue_upper,
    smallest_eigenvalue_bounds,
)
from underdetermined.bounds._eigenvalue_hermite import _tail_floor, _tails
from underdetermined.kernels import orthant_probability

LOWER = ("gershgorin", "shifted", "hermite", "jump", "separation", "schur")
SETTINGS = {0.0: [(0.0, 1.0), (2.0, 0.0), (5.0, 1.0)], 1.5: [(0.0, 0.0), (0.7, 2.5), (2.0, 1.0)]}


def problem(X, bias, scale=1.0):
    return EigenvalueProblem.from_data(X, bias=bias, bias_scale=scale)


def excesses(result):
    """By how much each bound is on the wrong side."""
    sides = {"lower": 1.0, "upper": -1.0}
    return {bound.name: sides[bound.kind] * (bound.value - result.exact) for bound in result.bounds}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("decades", SETTINGS)
def test_bounds_are_on_their_side(rng, kind, decades):
    for bias, scale in SETTINGS[decades]:
        result = smallest_eigenvalue_bounds(lengthened(rows_of(kind, rng), rng, decades), bias=bias, bias_scale=scale)
        assert max(excesses(result).values()) <= result.rounding
        assert result.best.value <= result.lowest_upper.value


@pytest.mark.parametrize(("name", "rows", "bias", "value"), [case for case in MATRICES if case[0] == "smallest of ntk"])
def test_the_exact_value_is_that_of_many_digits(name, rows, bias, value):
    result = smallest_eigenvalue_bounds(ROWS[rows], bias=bias)
    assert abs(result.exact - float(value)) <= min(result.rounding, 1e-12 * float(value))
    assert result.best.value <= float(value) <= result.lowest_upper.value


@pytest.mark.parametrize("gap", [1e-3, 1e-7, 1e-10, 1e-12, 1e-14, 3e-16])
@pytest.mark.parametrize(
    ("bias", "scale", "length"), [(0.0, 1.0, 1.0), (1.5, 0.0, 1.0), (2.0, 1.0, 3.0), (0.5, 1.0, 1.0 - 1e-15)]
)
def test_bounds_hold_where_digits_are_lost(gap, bias, scale, length):
    X = np.array([[0.6, 0.8, 0.0], [0.6 * length, (0.8 + gap) * length, 0.0], [0.1, -0.7, 0.7]])
    with mp.workdps(40):
        exact = exact_smallest(X, bias, scale)
    result = smallest_eigenvalue_bounds(X, bias=bias, bias_scale=scale)
    assert abs(result.exact - exact) <= result.rounding
    assert all(bound.value <= exact for bound in result.bounds if bound.kind == "lower")
    assert all(bound.value >= exact for bound in result.bounds if bound.kind == "upper")


def test_the_exact_value_keeps_its_digits_at_very_different_norms(rng):
    X = np.array([[1.0, 0.1], [2e4, 1e3], [-3.0, 20.0]])
    with mp.workdps(40):
        exact = exact_smallest(X, 2.0, 1.0)
    result = smallest_eigenvalue_bounds(X, bias=2.0)
    assert result.is_resolved
    assert abs(result.exact - exact) <= result.rounding <= 1e-11 * exact


@pytest.mark.parametrize(("n", "decades"), [(12, 0.0), (11, 0.0), (11, 1.0)])
@pytest.mark.parametrize("bias", [0.0, 2.0])
def test_gershgorin_and_its_shift_are_their_definitions(rng, bias, n, decades):
    X = lengthened(rows_of("sphere", rng, n=n, d=10), rng, decades)
    data = problem(X, bias)
    H, roots, off = data.kernel, np.sqrt(data.kernel.diagonal()), ~np.eye(n, dtype=bool)
    discs, shifts = [0.0], [0.0]
    for matrix, factors in ((H, np.ones(n)), (H / np.outer(roots, roots), roots**2)):
        discs.append(min(factors[i] * (matrix[i, i] - np.abs(matrix[i, off[i]]).sum()) for i in range(n)))
        # Largest v with v <= factor_i (H_ii - c - sum_j u_ij) and u_ij >= |H_ij - c|, as a linear programme in (v, c, u).
        rows, limits = [], []
        for i in range(n):
            rows.append(np.concatenate([[1.0, factors[i]], (np.arange(n * n) // n == i) * off.ravel() * factors[i]]))
            limits.append(factors[i] * matrix[i, i])
        for k in np.flatnonzero(off.ravel()):
            rows += [np.concatenate([[0.0, -sign], -1.0 * (np.arange(n * n) == k)]) for sign in (1.0, -1.0)]
            limits += [-sign * matrix.ravel()[k] for sign in (1.0, -1.0)]
        box = [(None, None), (0.0, None)] + [(0.0, None)] * (n * n)
        shifts.append(-linprog(np.eye(n * n + 2)[0] * -1.0, np.array(rows), np.array(limits), bounds=box).fun)
    assert eigenvalue_gershgorin(data).value == pytest.approx(max(discs), rel=1e-9, abs=1e-12 * H.max())
    assert eigenvalue_shifted(data).value == pytest.approx(max(shifts), rel=1e-6, abs=1e-9 * H.max())


@pytest.mark.parametrize(
    ("bias", "scale", "decades"), [(0.0, 1.0, 0.0), (0.8, 1.0, 0.4), (2.0, 0.0, 0.4), (1.5, 2.0, 0.0)]
)
def test_hermite_takes_most_of_the_sum_over_single_degrees(rng, bias, scale, decades):
    X = lengthened(rows_of("sphere", rng, n=8, d=5), rng, decades)
    slow = slow_hermite(X, bias, scale, 1500)
    tail = (np.sum(X**2, axis=1).max() + scale**2) * 0.4 / np.sqrt(1500)
    assert 0.9 * slow <= eigenvalue_hermite(problem(X, bias, scale)).value <= slow + tail


@pytest.mark.parametrize(("h", "k", "rho"), [(0.0, 0.0, 0.7), (1.0, 1.0, -0.8), (0.5, 2.0, 0.6), (3.0, 0.2, -0.5)])
def test_hermite_weights_expand_the_orthant(h, k, rho):
    series = hermite_weights(h, 150) * hermite_weights(k, 150) * rho ** np.arange(150)
    assert series.sum() == pytest.approx(float(orthant_probability(h, k, rho)), abs=1e-15)


@pytest.mark.parametrize("thresholds", [[0.0], [1.3], [6.0], [0.0, 0.5, 2.0, 4.0]])
def test_tails_of_hermite_weights(thresholds):
    degrees = np.array([0.0, 1.0, 2.0, 7.0, 60.0, 400.0])
    found = _tails(np.array(thresholds), degrees)
    for h, tails in zip(thresholds, found.T, strict=True):
        squares = hermite_weights(h, 401) ** 2
        exact = float(mp.erfc(mp.mpf(h) / mp.sqrt(2)) / 2) - np.array([squares[: int(k)].sum() for k in degrees])
        np.testing.assert_allclose(tails, exact, rtol=1e-10, atol=0.0)


@pytest.mark.parametrize("h", [0.0, 0.9, 3.0])
@pytest.mark.parametrize("degree", [100.0, 2e3, 1e4])
def test_the_closed_tail_is_a_fixed_share_of_the_sum(h, degree):
    exact = _tails(np.array([h]), np.array([degree]))
    assert 0.3 * exact <= _tail_floor(np.array([h]), degree) <= exact
    far = _tail_floor(np.array([h]), np.array(1e12))
    assert far * 1e6 == pytest.approx(0.3033 * np.exp(-(h**2) / 2.0) / (2.0 * np.pi), rel=1e-3, abs=0.0)


@pytest.mark.parametrize("decades", [0.0, 1.0])
@pytest.mark.parametrize(("bias", "scale"), [(0.0, 1.0), (0.8, 1.0), (2.0, 0.0), (4.0, 2.0)])
def test_jump_is_the_best_of_a_grid_and_below_single_rows(rng, bias, scale, decades):
    X = lengthened(rows_of("sphere", rng, n=6, d=3), rng, decades)
    data = problem(X, bias, scale)
    kappa = slow_jump(X, bias, scale, np.geomspace(1e-4, 8.0, 800))
    # With a_i = 1 the least a.T H a is the inverse of a diagonal entry of the inverse.
    assert (kappa <= 1.0 / np.linalg.inv(data.kernel).diagonal()).all()
    assert eigenvalue_jump(data).value == pytest.approx(1.0 / np.sum(1.0 / kappa), rel=2e-4, abs=0.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bias", [0.0, 0.6, 4.0])
def test_separation_is_not_below_the_closed_form_of_unit_rows(rng, kind, bias):
    X = rows_of(kind, rng, n=5)
    data = problem(X, bias)
    assert eigenvalue_separation(data).value >= closed_separation(X, bias) * (1.0 - 1e-6)
    assert eigenvalue_separation(data).value <= eigenvalue_jump(data).value


def test_antipodes_and_rows_on_a_line_need_a_bias(rng):
    X = unit(rng.standard_normal((4, 3)))
    for rows in (np.vstack([X, -X]), np.vstack([X, 2.0 * X])):
        assert eigenvalue_separation(problem(rows, 0.0)).value == eigenvalue_jump(problem(rows, 0.0)).value == 0.0
        assert eigenvalue_jump(problem(rows, 1.0)).value >= eigenvalue_separation(problem(rows, 1.0)).value > 0.0


def test_trainable_biases_separate_antipodes(rng):
    X = unit(rng.standard_normal((4, 3)))
    assert eigenvalue_hermite(problem(np.vstack([X, -X]), 0.0)).value > 0.0
    assert eigenvalue_hermite(problem(np.vstack([X, -X]), 0.0, 0.0)).value == 0.0


@pytest.mark.parametrize("decades", [0.0, 2.0])
def test_schur_is_the_better_of_two_products(rng, decades):
    X = lengthened(rows_of("sphere", rng, n=5, d=4), rng, decades)
    data = problem(X, 1.0)
    products = X @ X.T + 1.0
    lengths = np.sqrt(products.diagonal())
    tails = np.array([float(mp.erfc(1.0 / length / mp.sqrt(2)) / 2) for length in np.linalg.norm(X, axis=1)])
    plain = np.linalg.eigvalsh(products)[0] * tails.min()
    scaled = np.linalg.eigvalsh(products / np.outer(lengths, lengths))[0] * (tails * lengths**2).min()
    assert eigenvalue_schur(data).value == pytest.approx(max(plain, scaled), rel=1e-9, abs=0.0)
    assert eigenvalue_schur(problem(X, 1.0, 0.0)).value == 0.0


def test_schur_keeps_its_digits_at_very_different_norms():
    assert eigenvalue_schur(problem(np.diag([1e-9, 1.0, 1e3]), 0.0, 0.0)).value == pytest.approx(0.5e-18, rel=1e-9, abs=0.0)


@pytest.mark.parametrize("decades", [0.0, 2.0])
def test_upper_is_the_least_eigenvalue_of_a_pair(rng, decades):
    X = lengthened(rows_of("sphere", rng), rng, decades)
    H = problem(X, 0.7).kernel
    pairs = [np.linalg.eigvalsh(H[np.ix_([i, j], [i, j])])[0] for i in range(9) for j in range(i)]
    assert eigenvalue_upper(problem(X, 0.7)).value == pytest.approx(min(pairs), rel=1e-9, abs=0.0)
    assert eigenvalue_trace(problem(X, 0.7)).value == pytest.approx(np.trace(H) / 9, rel=1e-9, abs=0.0)


def test_bounds_scale_with_the_square_of_all_lengths(rng):
    X = lengthened(rows_of("clusters", rng), rng)
    one = smallest_eigenvalue_bounds(X, bias=1.0, bias_scale=0.5)
    # A power of two, so that nothing is rounded otherwise.
    other = smallest_eigenvalue_bounds(2.0**40 * X, bias=2.0**40, bias_scale=2.0**39)
    for bound in one.bounds:
        assert other.bound(bound.name).value == pytest.approx(2.0**80 * bound.value, rel=1e-9, abs=0.0)
    assert other.exact == pytest.approx(2.0**80 * one.exact, rel=1e-9, abs=0.0)


def test_order_of_rows_does_not_matter(rng):
    X = lengthened(rows_of("near duplicates", rng), rng)
    one, other = (smallest_eigenvalue_bounds(rows, bias=1.0) for rows in (X, X[::-1].copy(order="F")))
    for bound in one.bounds:
        assert other.bound(bound.name).value == pytest.approx(bound.value, rel=1e-6, abs=0.0)
