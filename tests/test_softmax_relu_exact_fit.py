"""Exact fits of compositions against linear programs, sign patterns and the proofs that come with the answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import binom

from underdetermined.softmax_relu import exact_fit, exact_fit_probability

pytestmark = pytest.mark.usefixtures("single_threaded_blas")

SHAPES = [(2, 1), (3, 4), (5, 8), (6, 6), (8, 14), (12, 9)]


def softmax(logits):
    shares = np.exp(logits - logits.max())
    return shares / shares.sum()


def draw(seed, m, n, scale=1.0):
    rng = np.random.default_rng(seed)
    return scale * rng.standard_normal((m, n)), rng.dirichlet(np.ones(m))


def program_says(A2, b):
    """Feasibility of A2 h + tau = log b, h >= 0, by a linear program."""
    m, n = A2.shape
    equations = np.hstack([A2, np.ones((m, 1))])
    bounds = [(0.0, None)] * n + [(None, None)]
    return linprog(np.zeros(n + 1), A_eq=equations, b_eq=np.log(b), bounds=bounds, method="highs-ipm").status == 0


@pytest.mark.parametrize(("m", "n"), SHAPES)
@pytest.mark.parametrize("seed", range(12))
def test_fits_are_found_where_a_linear_program_finds_them(m, n, seed):
    A2, b = draw([m, n, seed], m, n)
    found = exact_fit(A2, b)
    assert found.is_decided
    assert found.exists == program_says(A2, b)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e5])
@pytest.mark.parametrize("seed", range(8))
def test_a_fit_reproduces_the_shares(seed, scale):
    A2, b = draw(seed, 8, 40, scale)
    found = exact_fit(A2, b)
    assert found.hidden.min() >= 0.0
    assert np.count_nonzero(found.hidden) <= 7
    assert softmax(A2 @ found.hidden) == pytest.approx(b, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("seed", range(8))
def test_a_separator_proves_that_there_is_none(seed):
    A2, b = draw(seed, 12, 9)
    found = exact_fit(A2, b)
    v = found.separator / np.linalg.norm(found.separator)
    assert v.sum() == pytest.approx(0.0, abs=1e-13)
    assert (v @ A2).max() <= 1e-12
    assert v @ np.log(b) > 0.01
    assert "any fit would need" in found.reason


@pytest.mark.parametrize(("m", "n", "expected"), [(3, 4, 0.6875), (5, 8, 0.63671875), (8, 14, 0.604736328125)])
def test_fits_are_as_frequent_as_sign_patterns(m, n, expected):
    hits = sum(exact_fit(*draw([9, m, n, k], m, n)).exists for k in range(500))
    assert exact_fit_probability(n, m) == expected
    assert abs(hits / 500 - expected) < 4.0 * np.sqrt(expected * (1.0 - expected) / 500)


@pytest.mark.parametrize("m", [1, 2, 3, 10, 100])
@pytest.mark.parametrize("n", [1, 2, 19, 20, 250])
def test_the_probability_is_a_binomial_tail(n, m):
    assert exact_fit_probability(n, m) == pytest.approx(binom.sf(m - 2, n, 0.5), rel=1e-11, abs=1e-300)


def test_every_sign_pattern_of_a_small_layer_is_counted():
    A2, b = draw(4, 4, 6)
    signs = 1.0 - 2.0 * ((np.arange(64)[:, np.newaxis] >> np.arange(6)) & 1)
    assert sum(exact_fit(A2 * row, b).exists for row in signs) == round(64 * exact_fit_probability(6, 4))


def test_uniform_shares_are_fitted_by_zero():
    A2, _ = draw(1, 6, 2)
    assert np.array_equal(exact_fit(A2, np.full(6, 1.0 / 6.0)).hidden, np.zeros(2))


def test_a_share_of_zero_is_never_fitted():
    found = exact_fit(np.eye(3), [0.0, 0.5, 0.5])
    assert not found.exists
    assert found.is_decided
    assert "1 zeros" in found.reason
    assert found.residual == np.inf


def test_the_scale_of_columns_does_not_matter(rng):
    A2, b = draw(6, 6, 30)
    scales = 10.0 ** rng.uniform(-150, 150, 30)
    found, scaled = exact_fit(A2, b), exact_fit(A2 * scales, b)
    assert scaled.hidden * scales == pytest.approx(found.hidden, rel=1e-10)


@pytest.mark.parametrize("gap", [0.0, 1e-14, 1e-9])
def test_nearly_equal_columns_do_no_harm(gap, rng):
    A2, b = draw(7, 5, 20)
    twice = np.hstack([A2, A2 + gap * rng.standard_normal(A2.shape)])
    found = exact_fit(twice, b)
    assert softmax(twice @ found.hidden) == pytest.approx(b, rel=1e-11)


def test_a_layer_of_constant_columns_fits_nothing_but_equal_shares():
    assert not exact_fit(np.full((3, 4), 0.1), [0.2, 0.3, 0.5]).exists
    assert exact_fit(np.full((3, 4), 0.1), np.ones(3) / 3.0).exists


def test_a_column_that_is_constant_to_rounding_is_constant():
    assert not exact_fit(1.0 + np.finfo(float).eps * np.array([[0.0], [1.0], [0.0]]), [0.2, 0.6, 0.2]).exists


@pytest.mark.parametrize("margin", [1e-3, 1e-6, 1e-11])
def test_small_margins_are_decided(margin):
    found = exact_fit([[1.0], [0.0]], [0.5 - margin, 0.5 + margin])
    assert not found.exists
    assert found.is_decided is True
    assert exact_fit([[1.0], [0.0]], [0.5 + margin, 0.5 - margin]).exists


def test_one_share_is_always_fitted():
    assert exact_fit([[3.0, -1.0]], [1.0]).exists


@settings(max_examples=40, deadline=None)
@given(m=st.integers(2, 7), n=st.integers(1, 14), seed=st.integers(0, 2**31), power=st.floats(-3.0, 3.0))
def test_answers_are_proofs(m, n, seed, power):
    A2, b = draw(seed, m, n, 10.0**power)
    found = exact_fit(A2, b)
    v = np.zeros(m) if found.exists else found.separator / np.linalg.norm(found.separator)
    fitted = b if found.hidden is None else softmax(A2 @ found.hidden)
    assert (v @ A2).max() <= 1e-11 * np.abs(A2).max()
    assert fitted == pytest.approx(b, rel=1e-9)
    assert found.exists != (v @ np.log(b) > 0.0)


@pytest.mark.parametrize(
    ("A2", "b", "message"),
    [
        ([[1.0, np.nan]], [1.0], "A2 has 1 NaN"),
        ([1.0, 2.0], [1.0], "A2 has 1 dimensions"),
        (np.eye(2), [0.5, 0.6], "b sums to 1.1"),
        (np.eye(2), [1.5, -0.5], "negative entry -0.5"),
        (np.eye(2), [1.0], "b has shape"),
        (np.eye(2), np.full((2, 2), 0.5), "one composition"),
    ],
)
def test_bad_arguments_are_named(A2, b, message):
    with pytest.raises(ValueError, match=message):
        exact_fit(A2, b)


@pytest.mark.parametrize(("n", "m"), [(0, 3), (3, 0)])
def test_counts_must_be_positive(n, m):
    with pytest.raises(ValueError, match="at least 1"):
        exact_fit_probability(n, m)
