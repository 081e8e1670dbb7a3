"""Bounds on the smallest eigenvalue of the kernel of exponentials: on their side, and equal to slow definitions."""

import json
from math import comb, factorial

import mpmath as mp
import numpy as np
import pytest
from eigenvalue_oracle import KINDS, lengthened, rows_of, unit
from exponential_kernel_oracle import exact_smallest
from scipy.sparse import eye_array
from scipy.stats import poisson

from underdetermined import _validation
from underdetermined.bounds import exponential_eigenvalue_bounds
from underdetermined.kernels import exponential_ntk

THREE = np.array([[0.5, 0.0], [0.25, 0.5], [-0.5, 0.25]])
LOWER = ("schur_gram", "schur_kernel", "series", "gershgorin", "coherence")
DUPLICATES = ([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]], "rows 0 and 2 are equal")
ZERO = ([[1.0, 2.0], [0.0, 0.0]], "row 1 of norm 0 has the kernel entry 0")


def values_of(result):
    return {bound.name: bound.value for bound in result.bounds}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("decades", "length", "scale"), [(0.0, 1.0, 1.0), (0.0, 0.4, 0.3), (0.5, 2.0, 0.7), (1.5, 1, 1)])
def test_bounds_are_on_their_side(rng, kind, decades, length, scale):
    X = length * lengthened(rows_of(kind, rng), rng, decades)
    result = exponential_eigenvalue_bounds(X, weight_scale=scale)
    assert result.best.value <= result.exact + result.rounding
    assert result.lowest_upper.value >= result.exact - result.rounding
    assert result.best.value <= result.lowest_upper.value


@pytest.mark.parametrize("length", [0.05, 1.0, 6.0, 15.0])
def test_the_exact_value_is_that_of_many_digits(rng, length):
    X = length * lengthened(rows_of("sphere", rng, n=6, d=3), rng, 0.1)
    exact = float(exact_smallest(X, digits=200))
    result = exponential_eigenvalue_bounds(X)
    assert result.is_resolved and abs(result.exact - exact) <= result.rounding <= 1e-6 * exact
    assert result.best.value <= exact <= result.lowest_upper.value


@pytest.mark.parametrize("gap", [1e-2, 1e-5, 1e-7, 1e-8, 1e-12, 3e-16])
@pytest.mark.parametrize(("length", "scale"), [(1.0, 1.0), (3.0, 1.0), (0.02, 5.0), (9.0, 1.0)])
def test_bounds_hold_where_digits_are_lost(gap, length, scale):
    X = length * np.array([[0.6, 0.8, 0.0], [0.6, 0.8 + gap, 0.0], [0.1, -0.7, 0.7], [-0.6 - gap, -0.8, 0.0]])
    exact = exact_smallest(X, scale, digits=400)
    result = exponential_eigenvalue_bounds(X, weight_scale=scale)
    assert abs(result.exact - exact) <= result.rounding
    assert all(result.bound(name).value <= exact for name in LOWER)
    assert result.lowest_upper.value >= exact


def test_parallel_rows_are_harmless():
    X = np.array([[1.0], [2.0], [-1.0], [0.5]])
    result = exponential_eigenvalue_bounds(X)
    assert 0.0 < result.best.value <= float(exact_smallest(X)) == pytest.approx(result.exact, rel=1e-9, abs=0.0)
    assert result.best.name == "schur_kernel" and result.bound("coherence").value == 0.0


@pytest.mark.parametrize(("n", "rho"), [(4, 0.2), (10, 0.6)])
def test_equal_angles_have_a_known_eigenvalue(n, rho):
    X = np.linalg.cholesky(np.full((n, n), rho) + (1.0 - rho) * np.eye(n))
    result = exponential_eigenvalue_bounds(X)
    assert result.exact == pytest.approx(np.e * (np.e - rho * np.exp(rho)), rel=1e-12, abs=0.0)
    # Powers of such cosines have the eigenvalue 1 - rho^k, so that nothing is lost in the series but rounding.
    assert result.bound("series").value == pytest.approx(result.exact, rel=1e-6, abs=0.0)


def problem_parts(X, scale):
    norms = np.linalg.norm(X, axis=1)
    return norms, unit(X) @ unit(X).T, (scale * norms) ** 2, exponential_ntk(X, weight_scale=scale).diagonal()


@pytest.mark.parametrize(("decades", "scale"), [(0.0, 1.0), (0.6, 0.8)])
def test_lower_bounds_are_their_slow_definitions(rng, decades, scale):
    X = lengthened(rows_of("sphere", rng, n=6, d=8), rng, decades)
    norms, cosines, growth, diagonal = problem_parts(X, scale)
    smallest = np.linalg.eigvalsh
    features = np.exp(scale**2 * ((X[:, np.newaxis] + X) ** 2).sum(axis=2) / 2.0)
    found = values_of(exponential_eigenvalue_bounds(X, weight_scale=scale))
    roots = np.sqrt(diagonal)
    gram = smallest(cosines * np.outer(roots, roots))[0]
    assert found["schur_gram"] == pytest.approx(gram, rel=1e-9, abs=0.0)
    plain = [smallest(X @ X.T)[0] * np.exp(2.0 * growth.min()), smallest(cosines)[0] * diagonal.min()]
    assert gram >= max(plain) * (1.0 - 1e-9)
    kernel = smallest(features * np.outer(roots * np.exp(-growth), roots * np.exp(-growth)))[0]
    assert found["schur_kernel"] == pytest.approx(kernel, rel=1e-9, abs=0.0)
    assert kernel >= smallest(features)[0] * norms.min() ** 2 * (1.0 - 1e-9)
    weights = [np.sqrt(diagonal * poisson.pmf(k, growth)) for k in range(60)]
    terms = [smallest(cosines ** (k + 1) * np.outer(weights[k], weights[k]))[0] for k in range(60)]
    assert found["series"] == pytest.approx(sum(terms), rel=1e-5, abs=0.0)
    others = np.array([(np.abs(cosines) ** (k + 1)).sum(axis=1) - 1.0 for k in range(60)])
    sums = [
        (diagonal * (poisson.pmf(np.arange(first, 60)[:, np.newaxis], growth) * (1.0 - others[first:])).sum(axis=0)).min()
        for first in range(60)
    ]
    assert found["gershgorin"] == pytest.approx(max(sums), rel=1e-3, abs=0.0)
    assert found["gershgorin"] <= max(sums)


@pytest.mark.parametrize("length", [0.5, 1.0, 2.0])
def test_discs_of_unit_rows_have_a_closed_form(rng, length):
    X = rows_of("sphere", rng, n=7, d=12)
    rho = np.abs(X @ X.T - np.eye(7)).max()
    first = int(np.ceil(np.log(12.0) / -np.log(rho)))
    tail = sum(length ** (2 * k) / factorial(k - 1) for k in range(first, first + 80))
    found = exponential_eigenvalue_bounds(length * X)
    assert found.bound("coherence").value == pytest.approx(np.exp(length**2) * tail / 2.0, rel=1e-6, abs=0.0)
    assert found.bound("coherence").value <= found.bound("gershgorin").value


def test_powers_of_few_columns_are_singular_and_left_out(rng):
    X = rows_of("sphere", rng, n=9, d=2)
    cosines = X @ X.T
    ranks = [np.linalg.matrix_rank(cosines**k) for k in range(1, 9)]
    assert ranks == [min(comb(k + 1, k), 9) for k in range(1, 9)]
    terms = [max(0.0, np.linalg.eigvalsh(cosines**k)[0]) / factorial(k - 1) for k in range(8, 40)]
    series = exponential_eigenvalue_bounds(X).bound("series").value
    assert 0.0 < series <= np.e * sum(terms) * (1.0 + 1e-9)


@pytest.mark.parametrize(("X", "reason"), [DUPLICATES, ZERO, ([[1.0], [1e-200]], "row 1 of norm 1e-200")])
def test_singular_kernels_say_why(X, reason):
    result = exponential_eigenvalue_bounds(X)
    assert all(result.bound(name).value == 0.0 and not result.bound(name).is_applicable for name in LOWER)
    assert not result.is_resolved
    assert reason in " ".join(str(result).split())


def test_one_row_is_its_own_eigenvalue():
    result = exponential_eigenvalue_bounds([[0.6, 0.8]], weight_scale=1.5)
    for name, value in values_of(result).items():
        assert value == pytest.approx(np.exp(2.0 * 1.5**2), rel=1e-5, abs=0.0), name


def test_the_table_reads_well():
    result = exponential_eigenvalue_bounds(THREE)
    lines = str(result).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0] == "3 rows of norms 0.5 to 0.559, 2 inputs; weight scale 1"
    assert lines[1].startswith("Smallest eigenvalue of the tangent kernel of exponentials: 0.167689")
    assert "schur_gram, not met: the 3 rows are linearly independent in 2 dimensions" in str(result)
    found = json.loads(json.dumps(result.to_dict()))
    assert found["weight_scale"] == 1.0 and found["best"] == "schur_kernel" and len(found["bounds"]) == 7
    assert result.exact == pytest.approx(0.16768856012922351, rel=1e-12, abs=0.0)
    features = 0.21007398559035465  # smallest eigenvalue of the kernel of the features
    assert result.bound("schur_kernel").value >= 0.25 * features * (1.0 - 1e-12)
    assert result._repr_html_().startswith("<div")


def test_order_type_and_layout_of_rows_do_not_matter(rng):
    X = np.float32(lengthened(rows_of("clusters", rng), rng, 0.3))
    one, other = (exponential_eigenvalue_bounds(rows) for rows in (X, np.asfortranarray(np.float64(X))[::-1]))
    for name, value in values_of(one).items():
        assert value == pytest.approx(other.bound(name).value, rel=1e-6, abs=1e-12)
    again = exponential_eigenvalue_bounds(X)
    assert values_of(again) == values_of(one)


@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_units_of_rows_and_weights_cancel(rng, scale):
    X = rows_of("sphere", rng)
    one = exponential_eigenvalue_bounds(X, weight_scale=0.5)
    other = exponential_eigenvalue_bounds(scale * X, weight_scale=0.5 / scale)
    for name, value in values_of(one).items():
        assert other.bound(name).value == pytest.approx(scale**2 * value, rel=1e-6, abs=0.0)


@pytest.mark.parametrize(
    ("X", "options", "error", "message"),
    [
        (THREE * np.nan, {}, ValueError, "X has 6 NaN or infinite entries"),
        (THREE[:0], {}, ValueError, "at least one row"),
        (eye_array(3), {}, TypeError, r"pass X.toarray\(\)"),
        (THREE, {"weight_scale": -1.0}, ValueError, "weight_scale=-1.0 is out of range"),
        (33.0 * THREE, {}, OverflowError, "whose norm is 18.4, and sums of such overflow: multiply the rows by 0.0542"),
        (1e3 * THREE, {}, OverflowError, "whose norm is 559"),
    ],
)
def test_hostile_input_is_refused(X, options, error, message):
    with pytest.raises(error, match=message):
        exponential_eigenvalue_bounds(X, **options)


def test_memory_is_checked_before_it_is_taken(monkeypatch):
    monkeypatch.setattr(_validation, "available_memory", lambda: 20 * 8 * 9 - 1)
    with pytest.raises(MemoryError, match="bounds on its smallest eigenvalue needs 1440 bytes"):
        exponential_eigenvalue_bounds(THREE)


def test_the_kernel_is_singular_only_for_equal_and_zero_rows():
    line = np.array([[1.0], [2.0], [-1.0], [0.5]])
    assert exact_smallest(line) > mp.mpf(10) ** -20
    assert abs(exact_smallest(np.array(DUPLICATES[0]) / 3.0)) < mp.mpf(10) ** -50
    assert exact_smallest(np.array(ZERO[0])) == 0
