"""Feature maps with a row shift, against the formula; who takes them and who refuses them."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from underdetermined import FeatureMap, gram_matrix
from underdetermined.active_sets import active_pairs
from underdetermined.gram import extend_gram, gram_operator, ntk_matrix, ntk_operator
from underdetermined.objectives import SparseReLU, TwoLayer
from underdetermined.sparsity import prune_dead, prune_everywhere, prune_random

FORMS = {"dense": np.asarray, "fortran": np.asfortranarray, "csr_array": sparse.csr_array, "csr_matrix": sparse.csr_matrix}


@pytest.fixture
def layer(rng):
    return FeatureMap(rng.standard_normal((4, 60)), rng.standard_normal(60), "exp", row_shift=0.7)


def exponents(layer, X):
    """Pre-activations in extended precision."""
    X, weights = X.astype(np.longdouble), layer.weights.astype(np.longdouble)
    biases = 0.0 if layer.biases is None else layer.biases
    return X @ weights + biases - np.longdouble(layer.row_shift) * (X**2).sum(axis=1)[:, np.newaxis]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [None, 2.0, np.linspace(0.5, 1.5, 60)], ids=["default", "number", "array"])
def test_features_are_those_of_the_formula(form, scale, layer, rng):
    layer = replace(layer, scale=scale)
    X = rng.standard_normal((33, 4)) * rng.uniform(0.01, 3.0, (33, 1))
    expected = layer.scale * np.exp(exponents(layer, X))
    features = layer(FORMS[form](X))
    assert features.dtype == np.float64
    np.testing.assert_allclose(features, expected.astype(float), rtol=1e-13)


@pytest.mark.parametrize("form", FORMS)
def test_single_precision(form, layer, rng):
    X = rng.standard_normal((33, 4)).astype(np.float32)
    single = layer.astype(np.float32)
    features = single(FORMS[form](X))
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, single.scale * np.exp(exponents(single, X)).astype(float), rtol=2e-5)


@pytest.mark.parametrize("activation", ["tanh", "relu", "identity", "sin_cos"])
def test_any_activation_is_shifted(activation, layer, rng):
    layer = replace(layer, activation=activation, scale=1.0)
    X = rng.standard_normal((9, 4))
    expected = layer.activation.value(exponents(layer, X).astype(float))
    np.testing.assert_allclose(layer(X), expected, rtol=1e-13, atol=1e-13)


def test_tiles_and_threads_change_nothing_but_rounding(layer, rng):
    X = rng.standard_normal((70, 4))
    expected, vectors = layer(X), rng.standard_normal((60, 2))
    for size in (1, 7, 64):
        np.testing.assert_allclose(replace(layer, tile_size=size)(X), expected, rtol=1e-14)
    for n_jobs in (1, 2):
        operator = replace(layer, n_jobs=n_jobs).operator(X)
        np.testing.assert_allclose(operator @ vectors, expected @ vectors, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(operator.T @ X, expected.T @ X, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(np.hstack([tile for _, tile in operator.column_tiles()]), expected, rtol=1e-14)
        np.testing.assert_allclose(np.vstack([tile.copy() for _, tile in operator.row_tiles()]), expected, rtol=1e-14)


def test_copies_keep_the_shift(layer, rng):
    X = rng.standard_normal((5, 4))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(layer))(X), layer(X))
    np.testing.assert_allclose(layer.take([7, 7, 0])(X), layer(X)[:, [7, 7, 0]], rtol=1e-15)
    assert layer.astype(np.float32).row_shift == 0.7
    assert "row_shift=0.7" in repr(layer)
    assert FeatureMap([[1.0]]).row_shift == 0.0


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("size", [1e2, 1e4, 1e15, 1e150])
def test_long_rows_vanish_and_do_not_overflow(size, dtype, layer, rng):
    X = (rng.standard_normal((20, 4)) * min(size, {np.float64: 1e150, np.float32: 1e30}[dtype])).astype(dtype)
    for rows in (X, sparse.csr_array(X)):
        np.testing.assert_array_equal(layer(rows), np.zeros((20, 60), dtype))
    with pytest.raises(OverflowError, match="overflow"):
        replace(layer, row_shift=0.0)(X)


def test_exponents_reach_their_bound_and_overflow_is_found_there(layer):
    # exp(|w|^2 / (4 c)) at x = w / (2 c), and no more however long the row.
    weight = np.zeros((4, 1))
    weight[1] = 40.0
    peak = replace(layer.take([0]), weights=weight, biases=None, scale=1.0)
    assert peak(weight.T / 1.4)[0, 0] == pytest.approx(np.exp(40.0**2 / 2.8), rel=1e-12)
    steep = replace(peak, weights=1.2 * weight)
    with pytest.raises(OverflowError, match="activation='exp' overflows float64 on row 1 of X, whose norm is 34.3"):
        steep(np.vstack([np.zeros(4), 1.2 * weight.T / 1.4]))
    assert steep(np.full((1, 4), 1e4))[0, 0] == 0.0


def test_overflow_is_found_where_an_activation_grows_downwards():
    # The square of -1e200, far below any <w, x>.
    layer = FeatureMap([[1.0]], activation="hermite(0.0, 0.0, 1.0)", row_shift=1.0)
    assert np.isfinite(layer([[1e70]])).all()
    with pytest.raises(OverflowError, match="activation='hermite' overflows float64 on row 0 of X"):
        layer([[1e100]])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("dtype", "unit"), [(np.float64, 1e150), (np.float32, 1e20)])
def test_the_unit_of_the_rows_does_not_matter(form, dtype, unit, layer, rng):
    # The squares of these rows are no float32 numbers.
    X = rng.standard_normal((12, 4)).astype(dtype)
    other = FeatureMap((layer.weights / unit).astype(dtype), layer.biases.astype(dtype), "exp", row_shift=0.7 / unit**2)
    np.testing.assert_allclose(other(FORMS[form](X * dtype(unit))), layer.astype(dtype)(X), rtol=1e4 * np.finfo(dtype).eps)


def test_rows_beyond_all_measure_are_refused(layer):
    with pytest.raises(OverflowError, match="so large that X @ weights may overflow"):
        layer(np.full((1, 4), 8e307))


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, "half", True])
def test_bad_shifts_are_named(value):
    with pytest.raises((TypeError, ValueError), match="row_shift="):
        FeatureMap([[1.0]], row_shift=value)


def test_tangent_and_gram_matrices_honour_the_shift(layer, rng):
    X, coef = rng.standard_normal((8, 4)), rng.standard_normal(60)
    E = layer.scale * np.exp(exponents(layer, X)).astype(float)
    expected = E @ E.T + (X @ X.T + 1.0) * ((E * coef**2) @ E.T)
    np.testing.assert_allclose(ntk_matrix(layer, X, coef), expected, rtol=1e-12)
    np.testing.assert_allclose(ntk_operator(layer, X, coef) @ np.eye(8), expected, rtol=1e-12)
    np.testing.assert_allclose(gram_operator(layer, X) @ np.eye(8), E @ E.T, rtol=1e-12)
    extended = extend_gram(gram_matrix(layer(X[:5])), layer.operator(X))
    np.testing.assert_allclose(extended, E @ E.T, rtol=1e-12)


REFUSALS = {
    "TwoLayer": lambda layer: TwoLayer(np.eye(4), np.ones(4), layer, np.ones(60)),
    "SparseReLU": lambda layer: SparseReLU(np.eye(4), np.ones(4), layer, np.ones(60)),
    "active_pairs": lambda layer: active_pairs(layer, np.eye(4)),
    "dead": lambda layer: prune_dead(layer, np.ones(60), np.eye(4)),
    "everywhere": lambda layer: prune_everywhere(layer, np.ones(60)),
    "random": lambda layer: prune_random(layer, np.ones(60), 0.5),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_knows_of_no_shift_refuses_it(name, layer):
    REFUSALS[name](replace(layer, activation="relu", row_shift=0.0))
    with pytest.raises(ValueError, match=r"takes no row shift, and the feature map has row_shift=0\.7: pass one with 0"):
        REFUSALS[name](replace(layer, activation="relu"))
