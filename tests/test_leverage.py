"""Leverage scores against their definition, and neurons drawn by them against the Gram matrix of their pool."""

import numpy as np
import pytest
from mpmath import mp
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator
from threadpoolctl import threadpool_info, threadpool_limits

from underdetermined import FeatureMap, gram_matrix
from underdetermined.neurons import _row_space, leverage_scores, sample_leverage
from underdetermined.weights import sample_gaussian


def exact_scores(A, digits=60):
    """The definition in many digits; A has full row rank."""
    with mp.workdps(digits):
        exact = mp.matrix(A.tolist())
        solved = mp.inverse(exact * exact.T) * exact
        return np.array([float(mp.fdot(exact[:, j], solved[:, j])) for j in range(A.shape[1])])


@pytest.mark.parametrize("condition", [1.0, 1e3, 1e6, 1e10, 1e13])
@pytest.mark.parametrize("shape", [(12, 30), (12, 12)])
def test_scores_are_the_definition(matrix_with_condition, condition, shape):
    A = matrix_with_condition(*shape, condition)
    scores = leverage_scores(A)
    # A Gram matrix is trusted up to a condition number of 1e4, and squares it.
    error = 100 * np.finfo(float).eps * max(condition, min(condition, 1e4) ** 2)
    np.testing.assert_allclose(scores, exact_scores(A), rtol=0, atol=error)
    assert scores.sum() == pytest.approx(12, abs=12 * error)
    assert scores.min() >= 0 and scores.max() <= 1


@pytest.mark.parametrize("shape", [(9, 40), (40, 9), (20, 20)])
@pytest.mark.parametrize("size", [1e-310, 1e-200, 1.0, 1e200])
def test_scores_of_deficient_features_add_up_to_their_rank(rng, shape, size):
    n, m = shape
    left, right = rng.integers(-3, 4, (n, 5)), rng.integers(-3, 4, (5, m))
    A = (left @ right).astype(float)
    expected = (np.linalg.qr(np.linalg.svd(A)[2][:5].T)[0] ** 2).sum(axis=1)
    np.testing.assert_allclose(leverage_scores(size * A), expected, atol=1e-11)


def test_scores_know_what_cannot_be_spared():
    A = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 2.0, 2.0, 0.0], [0.0, 1.0, 1.0, 0.0]])
    np.testing.assert_allclose(leverage_scores(A), [1.0, 0.5, 0.5, 0.0], atol=1e-15)
    np.testing.assert_array_equal(leverage_scores(np.zeros((3, 4))), np.zeros(4))
    np.testing.assert_array_equal(leverage_scores(np.zeros((4, 3))), np.zeros(3))


@pytest.mark.parametrize("condition", [10.0, 1e9])
def test_scores_do_not_change_with_the_basis_of_the_rows(rng, matrix_with_condition, condition):
    A = matrix_with_condition(10, 35, condition)
    turn = np.linalg.qr(rng.standard_normal((10, 10)))[0]
    np.testing.assert_allclose(leverage_scores(turn @ A), leverage_scores(A), atol=1e-14 * condition)


@pytest.mark.parametrize("shape", [(15, 50), (50, 15)])
@pytest.mark.parametrize("condition", [10.0, 1e9])
def test_scores_of_every_form_are_the_same(matrix_with_condition, shape, condition, monkeypatch):
    A = matrix_with_condition(*shape, condition)
    expected, tolerance = leverage_scores(A), 1e-13 * condition
    forms = [np.asfortranarray(A), A[:, ::-1], A.tolist(), sparse.csr_array(A), aslinearoperator(A)]
    for form in forms:
        np.testing.assert_allclose(np.sort(leverage_scores(form)), np.sort(expected), atol=tolerance)
    monkeypatch.setattr("underdetermined._matrix.TILE_ENTRIES", 1)
    monkeypatch.setattr("underdetermined._matrix._MIN_TILE", 7)
    np.testing.assert_allclose(leverage_scores(A), expected, atol=tolerance)
    single = A.astype(np.float32)
    np.testing.assert_array_equal(leverage_scores(single), leverage_scores(single.astype(np.float64)))


@pytest.mark.parametrize("activation", ["relu", "erf"])
@pytest.mark.parametrize("n", [20, 90])
def test_scores_of_a_streamed_layer(rng, activation, n):
    weights, biases = sample_gaussian(2, 60, seed=0)
    X = rng.standard_normal((n, 2))
    layer = FeatureMap(weights, biases, activation, tile_size=13)
    A = layer(X)
    # The last resolved directions are partly rounding errors of either.
    np.testing.assert_allclose(leverage_scores(layer.operator(X)), leverage_scores(A), atol=1e-2)
    assert leverage_scores(layer.operator(X)).sum() == pytest.approx(
        np.linalg.matrix_rank(A, rtol=max(A.shape) * 2.22e-16), abs=0.1
    )


def test_both_factorisations_agree(matrix_with_condition, monkeypatch):
    A = matrix_with_condition(20, 70, 1e3)
    expected = leverage_scores(A)
    monkeypatch.setattr(_row_space, "GRAM_CONDITION", 1.0)
    np.testing.assert_allclose(leverage_scores(A), expected, atol=1e-9)


def test_scores_that_cannot_be_computed():
    with pytest.raises(ValueError, match="features has 1 NaN or infinite entries"):
        leverage_scores([[1.0, np.nan]])
    with pytest.raises(ValueError, match="at least one row and one column"):
        leverage_scores(np.empty((0, 3)))
    with pytest.raises(ValueError, match="features has 1 dimensions"):
        leverage_scores([1.0, 2.0])
    with pytest.raises(TypeError, match="complex"):
        leverage_scores(np.ones((2, 2), complex))
    huge = FeatureMap(np.ones((1, 2_000_000))).operator(np.zeros((1_000_000, 1)))
    with pytest.raises(MemoryError, match="1000000 x 1000000 Gram matrix and its eigenvectors needs 32000000000000 bytes"):
        leverage_scores(huge)


@pytest.fixture(scope="module")
def rows():
    return np.random.default_rng(5).standard_normal((12, 3))


def pool_of(X, size, activation="relu", seed=0, bias_scale=1.0):
    weights, biases = sample_gaussian(X.shape[1], size, seed=seed)
    return FeatureMap(weights * X.shape[1] ** -0.5, bias_scale * biases, activation)


def test_drawn_neurons_are_of_the_pool_with_their_factors(rows):
    pool = pool_of(rows, 500)
    layer = sample_leverage(rows, 40, pool=500)
    place = [int(np.flatnonzero((pool.weights == column[:, np.newaxis]).all(axis=0))[0]) for column in layer.weights.T]
    np.testing.assert_array_equal(layer.biases, pool.biases[place])
    scores = leverage_scores(pool(rows))[place]
    np.testing.assert_allclose(layer.scale, np.sqrt(12 / (scores * 40 * 500)), rtol=1e-9)


@pytest.mark.parametrize("activation", ["relu", "erf", "exp"])
def test_mean_gram_matrix_is_that_of_the_pool(rows, activation):
    n_draws = 20_000
    A = pool_of(rows, 300, activation)(rows)
    layer = sample_leverage(rows, n_draws, activation=activation, pool=300)
    features = layer(rows) * np.sqrt(n_draws)
    products = features[:, np.newaxis] * features
    error = products.std(axis=2) / np.sqrt(n_draws)
    assert np.abs(products.mean(axis=2) - A @ A.T).max() <= 5 * error.max()
    assert (np.abs(products.mean(axis=2) - A @ A.T) <= 5 * error).all()


@pytest.mark.parametrize("activation", ["relu", "sin_cos", "exp"])
def test_matrix_chernoff_holds_with_the_rank(rows, activation):
    """Given the pool, r log(r / delta) / c(epsilon) draws suffice, and no draw has a leverage score above r."""
    r, epsilon, delta, n_seeds = 12, 0.5, 0.2, 100
    width = int(np.ceil(r * np.log(r / delta) / (epsilon + (1 - epsilon) * np.log(1 - epsilon))))
    failures = []
    for seed in range(n_seeds):
        pool = pool_of(rows, 64, activation, seed=seed)(rows)
        layer = sample_leverage(rows, width, activation=activation, pool=64, seed=seed)
        whitened = np.linalg.solve(np.linalg.cholesky(pool @ pool.T), layer(rows))
        np.testing.assert_allclose(width * (whitened**2).sum(axis=0), r, rtol=1e-5)
        failures.append(np.linalg.svd(whitened, compute_uv=False)[-1] ** 2 < 1 - epsilon)
    assert np.mean(failures) <= delta


def test_drawn_neurons_do_better_than_as_many_random_ones():
    """The exponential has rare neurons that matter; at four neurons a row, random ones miss them."""
    X = np.random.default_rng(3).standard_normal((40, 5))
    smallest = []
    for seed in range(9):
        inverse = np.linalg.inv(np.linalg.cholesky(gram_matrix(pool_of(X, 640, "exp", seed).operator(X))))
        random = inverse @ pool_of(X, 160, "exp", 100 + seed)(X)
        drawn = inverse @ sample_leverage(X, 160, activation="exp", seed=seed, pool=640)(X)
        smallest.append([np.linalg.svd(features, compute_uv=False)[-1] ** 2 for features in (random, drawn)])
    random, drawn = np.median(smallest, axis=0)
    assert drawn > 5 * random > 0


@pytest.mark.parametrize("shift", [0, 200])
def test_a_wider_layer_begins_with_the_same_neurons(rows, shift):
    narrow, wide = (sample_leverage(rows, width, seed=7 + shift) for width in (30, 90))
    np.testing.assert_array_equal(wide.weights[:, :30], narrow.weights)
    np.testing.assert_array_equal(wide.biases[:30], narrow.biases)
    np.testing.assert_allclose(wide.scale[:30] * np.sqrt(3), narrow.scale, rtol=1e-14)
    assert not np.array_equal(sample_leverage(rows, 30, seed=8 + shift).weights, narrow.weights)


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_threads_and_layout_do_not_change_what_is_drawn(activation):
    X = np.random.default_rng(2).standard_normal((150, 2))
    first = sample_leverage(X, 200, activation=activation, n_jobs=1)
    with threadpool_limits(3):
        others = [
            sample_leverage(form, 200, activation=activation, n_jobs=3) for form in (X, np.asfortranarray(X), X.tolist())
        ]
    for other in others:
        np.testing.assert_array_equal(other.weights, first.weights)
        np.testing.assert_array_equal(other.scale, first.scale)


def test_scores_of_a_pool_are_computed_on_one_thread(rows):
    """They decide what is drawn, so that rounding must not depend on the number of threads."""
    seen = set()

    def activation(z):
        seen.update(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")
        return np.tanh(z)

    with threadpool_limits(3):
        sample_leverage(rows, 5, activation=activation)
    assert seen == {1}


def test_deficient_pools_are_drawn_on_what_is_resolved(rng):
    X = np.repeat(rng.standard_normal((10, 2)), 2, axis=0)
    layer = sample_leverage(X, 400, activation="erf", bias_scale=0.0)
    assert layer.biases is None
    assert np.isfinite(layer.scale).all()
    assert np.linalg.matrix_rank(layer(X)) <= 10
    np.testing.assert_array_equal(layer(X)[::2], layer(X)[1::2])


def test_layers_that_are_zero_are_drawn_evenly():
    layer = sample_leverage(np.zeros((3, 2)), 50, bias_scale=0.0, pool=64)
    np.testing.assert_allclose(layer.scale, np.full(50, 50**-0.5), rtol=1e-14)
    assert len(np.unique(layer.weights[0])) > 20


def test_forms_and_scales_of_the_inputs(rows):
    dense = sample_leverage(np.where(rows > 0, rows, 0), 30, weight_scale=2.0, bias_scale=0.5)
    parse = sample_leverage(sparse.csc_array(np.where(rows > 0, rows, 0)), 30, weight_scale=2.0, bias_scale=0.5)
    np.testing.assert_array_equal(parse.weights, dense.weights)
    drawn = sample_gaussian(3, 1024, seed=0)
    assert np.isin(dense.weights[0], 2.0 * drawn[0][0]).all()
    assert np.isin(dense.biases, 0.5 * drawn[1]).all()
    single = sample_leverage(rows.astype(np.float32), 30, activation=np.tanh)
    assert single.weights.dtype == np.float64
    whole = sample_leverage(np.ones((2, 3), int), 1)
    assert (whole.width, whole.n_inputs) == (1, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"width": 0}, ValueError, "width=0 is out of range: pass an integer of at least 1"),
        ({"width": 2.0}, TypeError, r"width=2\.0"),
        ({"width": True}, TypeError, "width=True"),
        ({"pool": 0}, ValueError, "pool=0 is out of range: pass an integer of at least 1"),
        ({"seed": -1}, ValueError, "seed=-1"),
        ({"weight_scale": 0.0}, ValueError, "weight_scale=0.0 is out of range"),
        ({"weight_scale": "big"}, TypeError, "weight_scale='big' is not a number"),
        ({"bias_scale": -1.0}, ValueError, "bias_scale=-1.0 is out of range"),
        ({"X": np.ones(3)}, ValueError, r"X has shape \(3,\): pass a matrix"),
        ({"X": np.ones((0, 3))}, ValueError, r"X has shape \(0, 3\)"),
        ({"X": [[np.nan]]}, ValueError, "X contains NaN"),
        ({"X": [[1e200]], "activation": "exp"}, OverflowError, "'exp' overflows float64"),
        ({"X": np.ones((1, 5)), "pool": 10**13}, MemoryError, "needs 800000000000000 bytes"),
        ({"X": np.ones((1, 5)), "width": 10**13}, MemoryError, "needs 720000000000000 bytes"),
    ],
)
def test_draws_that_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        sample_leverage(**{"X": np.ones((2, 2)), "width": 3, **arguments})
