"""Gram matrices: streams equal products, exactly symmetric, extended and widened."""

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator
from tolerances import rounding

from underdetermined import _matrix
from underdetermined.gram import column_gram, extend_gram, gram_matrix, widen_gram

KINDS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "strided": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "float32": lambda a: a.astype(np.float32),
    "sparse": sparse.csr_array,
    "csc matrix": sparse.csc_matrix,
    "operator": aslinearoperator,
    "list": lambda a: a.tolist(),
}


@pytest.fixture(params=[2**22, 1])
def tile_entries(request, monkeypatch):
    """Run with one tile, and with tiles of the smallest size."""
    monkeypatch.setattr(_matrix, "TILE_ENTRIES", request.param)
    monkeypatch.setattr(_matrix, "_MIN_TILE", 3)


@pytest.mark.usefixtures("tile_entries")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(4, 11), (11, 4), (1, 5), (5, 1)])
def test_gram_matrix(kind, shape, rng):
    # Few bits, so that float32 and every order of summation give the same numbers.
    features = rng.integers(-8, 9, shape) / 4.0
    for function, expected in ((gram_matrix, features @ features.T), (column_gram, features.T @ features)):
        result = function(KINDS[kind](features))
        assert result.dtype == np.float64
        np.testing.assert_array_equal(result, result.T)
        np.testing.assert_array_equal(result, expected)


def test_gram_is_as_accurate_as_an_exact_sum(rng):
    features = rng.standard_normal((6, 500))
    size = np.linalg.norm(features, axis=1)
    error = np.abs(gram_matrix(features) - reference.gram(features)) / np.outer(size, size)
    assert error.max() <= rounding(500)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 9), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_extend_equals_gram_of_all_rows(n_known, n_new, m, seed):
    features = np.random.default_rng(seed).standard_normal((n_known + n_new, m))
    result = extend_gram(gram_matrix(features[:n_known]), features)
    np.testing.assert_array_equal(result, result.T)
    np.testing.assert_allclose(result, gram_matrix(features), rtol=0, atol=rounding(m) * np.abs(features).max() ** 2 * m)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 9), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_widen_equals_gram_of_all_neurons(n, m, extra, seed):
    features = np.random.default_rng(seed).standard_normal((n, m + extra))
    known = gram_matrix(features[:, :m])
    before = known.copy()
    result = widen_gram(known, features[:, m:])
    np.testing.assert_array_equal(known, before)
    np.testing.assert_array_equal(result, result.T)
    scale = np.abs(features).max() ** 2 * (m + extra)
    np.testing.assert_allclose(result, gram_matrix(features), rtol=0, atol=rounding(m + extra) * scale)


def test_wrong_shapes():
    with pytest.raises(ValueError, match="gram has 3 rows and features only 2"):
        extend_gram(np.eye(3), np.ones((2, 4)))
    with pytest.raises(ValueError, match=r"gram has shape \(3, 3\) and extra_features 2 rows"):
        widen_gram(np.eye(3), np.ones((2, 4)))


def test_gram_that_cannot_fit():
    rows = 2**24
    features = np.broadcast_to(np.ones(1), (rows, 1))
    with pytest.raises(MemoryError, match=rf"the {rows} x {rows} Gram matrix needs {8 * rows**2} bytes"):
        gram_matrix(features)


def test_input_is_not_written(rng):
    features = rng.standard_normal((4, 9))
    features.flags.writeable = False
    gram_matrix(features)
    column_gram(features)
