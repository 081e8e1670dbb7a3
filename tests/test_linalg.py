"""Triangular Gram matrices, Cholesky factors, condition estimates, softmax."""

import numpy as np
import pytest
from tolerances import EPS, backward_stable, rounding

from underdetermined._linalg import (
    add_outer_gram,
    cholesky_in_place,
    cholesky_solve,
    column_norms,
    inverse_scale,
    largest_eigenvalue,
    mirror_lower,
    rank_cutoff,
    solve_lower,
    symmetric_apply,
    vector_norm,
)


def test_rank_cutoff():
    assert rank_cutoff((3, 7)) == 7 * EPS
    assert rank_cutoff((3, 7), 0.0) == 0.0
    assert rank_cutoff((3, 7), 1e-3) == 1e-3


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("view", ["C", "F", "strided"])
def test_add_outer_gram_in_place(dtype, view, rng):
    tile = {
        "C": lambda a: a,
        "F": np.asfortranarray,
        "strided": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    }[view](rng.standard_normal((5, 9)).astype(dtype))
    gram = np.ones((5, 5), dtype=dtype, order="F")
    add_outer_gram(gram, tile)
    expected = np.tril(1.0 + tile @ tile.T)
    np.testing.assert_allclose(np.tril(gram), expected, rtol=10 * np.finfo(dtype).eps, atol=10 * np.finfo(dtype).eps)


@pytest.mark.parametrize("n", [1, 255, 256, 257, 600])
def test_mirror(n, rng):
    lower = np.asfortranarray(rng.standard_normal((n, n)))
    full = mirror_lower(lower.copy(order="F"))
    np.testing.assert_array_equal(full, full.T)
    np.testing.assert_array_equal(np.tril(full), np.tril(lower))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 3])
def test_cholesky_solves(dtype, k, rng):
    rows = rng.standard_normal((6, 20)).astype(dtype)
    gram = np.asfortranarray(rows @ rows.T)
    right = rng.standard_normal((6, k)).astype(dtype)
    # Only the lower triangle may be read.
    factor = cholesky_in_place(np.asfortranarray(np.tril(gram) + np.triu(np.full((6, 6), np.nan, dtype), 1)))
    rtol = 200 * np.finfo(dtype).eps
    np.testing.assert_allclose(gram @ cholesky_solve(factor, right), right, rtol=0, atol=rtol * np.abs(right).max())
    lower = np.tril(factor)
    np.testing.assert_allclose(lower @ solve_lower(factor, right), right, rtol=0, atol=rtol * np.abs(right).max())
    solved = solve_lower(factor, right, transposed=True)
    np.testing.assert_allclose(lower.T @ solved, right, rtol=0, atol=rtol * np.abs(right).max())
    np.testing.assert_allclose(
        symmetric_apply(np.asfortranarray(np.tril(gram)), right[:, 0]), gram @ right[:, 0], rtol=rtol, atol=rtol * 20
    )


@pytest.mark.parametrize("entries", [-1.0, 0.0, np.nan, np.inf])
def test_cholesky_reports_failure(entries):
    assert cholesky_in_place(np.asfortranarray(np.diag([1.0, entries]))) is None


@pytest.mark.parametrize("condition", [1.0, 1e3, 1e7])
def test_condition_estimate(condition, matrix_with_condition):
    matrix = matrix_with_condition(40, 60, condition)
    gram = np.asfortranarray(matrix @ matrix.T)
    top = largest_eigenvalue(lambda v: symmetric_apply(gram, v), 40)
    bottom = inverse_scale(cholesky_in_place(gram.copy(order="F")))
    # Lanczos estimates are from below, and close.
    assert 0.9 <= top <= 1.0 + rounding(60)
    assert 0.7 <= bottom / condition**2 <= 1.0 + backward_stable(condition**2)


def test_largest_eigenvalue_stops_early_and_reports_overflow():
    assert largest_eigenvalue(lambda v: 3.0 * v, 10) == pytest.approx(3.0)
    assert largest_eigenvalue(lambda v: 0.0 * v, 10) == 0.0
    assert largest_eigenvalue(lambda v: np.inf * np.abs(v), 10) == np.inf


def test_inverse_scale_of_singular_factor():
    assert inverse_scale(np.asfortranarray(np.diag([1.0, 0.0]))) == np.inf


@pytest.mark.parametrize("scale", [0.0, 1e-300, 1.0, 1e300])
def test_column_norms(scale):
    np.testing.assert_allclose(column_norms(scale * np.array([[3.0, 0.0], [4.0, 1.0]])), [5.0 * scale, scale], rtol=1e-15)
    assert np.isinf(column_norms(np.array([[np.inf], [1.0]])))[0]


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_vector_norm(scale):
    assert vector_norm(scale * np.array([3.0, -4.0])) == pytest.approx(5.0 * scale, rel=1e-15, abs=0.0)
    assert vector_norm(np.zeros(2)) == vector_norm(np.empty(0)) == 0.0
    assert vector_norm(np.array([scale, -np.inf])) == np.inf
    assert np.isnan(vector_norm(np.array([scale, np.nan])))
