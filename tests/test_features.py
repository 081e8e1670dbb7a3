"""Feature maps: values against the definition, operators against arrays, rounding alone between tile shapes."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

from underdetermined.activations import get_activation, names
from underdetermined.features import FeatureMap
from underdetermined.weights import sample_gaussian


@pytest.fixture
def layer():
    weights, biases = sample_gaussian(5, 1300, seed=0)
    return FeatureMap(weights / np.sqrt(5), biases, "tanh")


@pytest.fixture
def X():
    return np.random.default_rng(1).standard_normal((600, 5))


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_features_are_the_definition(name, dtype, X):
    weights, biases = sample_gaussian(5, 40, seed=0)
    X = X[:50].astype(dtype)
    weights, biases = weights.astype(dtype) / 4, biases.astype(dtype)
    features = FeatureMap(weights, biases, name, scale=0.5)(X)
    z = X.astype(np.float64) @ weights.astype(np.float64) + biases
    expected = 0.5 * get_activation(name).value(z)
    tolerance = 200 * np.finfo(dtype).eps
    smooth = np.abs(z) > 1e-5  # a step may fall on either side of its jump when z is rounded
    assert features.dtype == dtype
    np.testing.assert_allclose(features[smooth], expected[smooth], rtol=tolerance, atol=tolerance)


def test_default_scale_averages_over_neurons(X):
    weights, _ = sample_gaussian(5, 50_000, seed=0)
    features = FeatureMap(weights, activation="identity")(X[:3])
    np.testing.assert_allclose(features @ features.T, X[:3] @ X[:3].T, atol=0.2)


@pytest.mark.parametrize("activation", ["tanh", "relu", np.tanh])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("tile_size", [100, None])
def test_factors_of_neurons_multiply_columns(X, activation, dtype, tile_size):
    weights, biases = (array.astype(dtype) for array in sample_gaussian(5, 1300, seed=0))
    factors = np.linspace(-2.0, 3.0, 1300)
    plain = FeatureMap(weights, biases, activation, scale=1.0)
    layer = FeatureMap(weights, biases, activation, scale=factors.tolist(), tile_size=tile_size)
    X, rng, eps = X.astype(dtype), np.random.default_rng(3), float(np.finfo(dtype).eps)
    expected = plain(X).astype(np.float64) * factors
    assert layer.scale.dtype == layer(X).dtype == dtype
    np.testing.assert_allclose(layer(X), expected, rtol=10 * eps, atol=10 * eps)
    right, left = rng.standard_normal((1300, 2)).astype(dtype), rng.standard_normal((600, 2)).astype(dtype)
    np.testing.assert_allclose(layer.operator(X) @ right, expected @ right, atol=1e4 * eps)
    np.testing.assert_allclose(layer.operator(X).rmatmat(left), expected.T @ left, atol=1e4 * eps)
    np.testing.assert_allclose(layer.astype(np.float64)(X.astype(np.float64)), expected, rtol=0, atol=200 * eps)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(layer))(X), layer(X))


def test_equal_factors_are_one_factor(layer, X):
    other = FeatureMap(layer.weights, layer.biases, "tanh", scale=np.full(1300, layer.scale))
    np.testing.assert_allclose(other(X), layer(X), rtol=4e-16)


@pytest.mark.parametrize("scale", [None, 0.5, np.geomspace(0.1, 10.0, 1300)], ids=["default", "number", "array"])
@pytest.mark.parametrize("with_biases", [True, False])
def test_taken_neurons_are_columns(layer, X, scale, with_biases):
    biases = {True: layer.biases}.get(with_biases)
    layer = FeatureMap(layer.weights, biases, "gelu", scale=scale, n_jobs=2, tile_size=64)
    chosen = [1299, 0, 7, 7, 500]
    part = layer.take(chosen)
    assert (part.width, part.n_jobs, part.tile_size, part.activation) == (5, 2, 64, layer.activation)
    assert part.weights.flags.c_contiguous
    np.testing.assert_allclose(part(X), layer(X)[:, chosen], rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(part.take(np.array([2], dtype=np.uint8))(X), part(X)[:, [2]], rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(
    ("neurons", "error", "message"),
    [
        ([], ValueError, r"neurons has shape \(0,\): pass a vector of at least one index"),
        (3, ValueError, r"neurons has shape \(\)"),
        ([[1, 2]], ValueError, r"neurons has shape \(1, 2\)"),
        ([True, False], TypeError, "neurons has dtype bool: pass integers, such as np.flatnonzero"),
        ([1.0], TypeError, "neurons has dtype float64"),
        ([0, 1300], IndexError, r"neurons reaches from 0 to 1300: pass numbers of 0 \.\.\. 1299"),
        ([-1], IndexError, "neurons reaches from -1 to -1"),
    ],
)
def test_neurons_that_cannot_be_taken(layer, neurons, error, message):
    with pytest.raises(error, match=message):
        layer.take(neurons)


@pytest.mark.parametrize("tile_size", [1, 64, 4096, None])
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray])
def test_tiles_threads_and_layout_change_rounding_only(layer, X, tile_size, n_jobs, layout):
    X = X[: 600 if tile_size != 1 else 7]
    expected = np.tanh(X @ layer.weights + layer.biases) / np.sqrt(1300)
    other = FeatureMap(layer.weights, layer.biases, "tanh", tile_size=tile_size, n_jobs=n_jobs)
    np.testing.assert_allclose(other(layout(X)), expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("tile_size", [100, None])
def test_operator_is_the_matrix(layer, X, dtype, tile_size):
    rng = np.random.default_rng(2)
    layer = FeatureMap(layer.weights, layer.biases, "relu", tile_size=tile_size)
    X = X.astype(dtype)
    operator, matrix = layer.operator(X), layer(X)
    tolerance = 100 * float(np.finfo(dtype).eps)
    assert isinstance(operator, LinearOperator) and operator.shape == matrix.shape and operator.dtype == dtype
    for product, reference in [
        (operator.matvec, matrix),
        (operator.matmat, matrix),
        (operator.rmatvec, matrix.T),
        (operator.rmatmat, matrix.T),
    ]:
        columns = {"matvec": (), "rmatvec": ()}.get(product.__name__, (3,))
        other = rng.standard_normal((reference.shape[1], *columns)).astype(dtype)
        result = product(other)
        assert result.dtype == dtype
        np.testing.assert_allclose(result, reference @ other, rtol=0, atol=tolerance * np.abs(reference @ other).max())
    u, v = rng.standard_normal(1300), rng.standard_normal(600)
    assert operator.matvec(u) @ v == pytest.approx(u @ operator.rmatvec(v), rel=tolerance)
    np.testing.assert_array_equal(operator.to_dense(), matrix)


@pytest.mark.parametrize("tile_size", [100, 5000, None])
def test_streams_cover_the_matrix(layer, X, tile_size):
    operator = FeatureMap(layer.weights, layer.biases, "tanh", tile_size=tile_size).operator(X)
    matrix = layer(X)
    columns = np.concatenate([tile.copy() for _, tile in operator.column_tiles()], axis=1)
    rows = np.concatenate([tile.copy() for _, tile in operator.row_tiles()], axis=0)
    np.testing.assert_allclose(columns, matrix, rtol=0, atol=1e-15)
    np.testing.assert_allclose(rows, matrix, rtol=0, atol=1e-15)


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sparse_inputs(layer, X, kind, dtype):
    X = np.where(X > 0.7, X, 0.0).astype(dtype)
    result = layer(kind(X))
    assert result.dtype == dtype
    np.testing.assert_allclose(result, layer(X), rtol=0, atol=10 * np.finfo(dtype).eps)
    v = np.ones(1300, dtype)
    np.testing.assert_allclose(layer.operator(kind(X)) @ v, layer(X) @ v, atol=1e3 * np.finfo(dtype).eps)


def test_read_only_integer_and_list_inputs(layer):
    X = np.arange(10).reshape(2, 5)
    X.flags.writeable = False
    np.testing.assert_array_equal(layer(X), layer(X.astype(float)))
    np.testing.assert_array_equal(layer(X.tolist()), layer(X.astype(float)))


def test_callable_activation(layer, X):
    theirs = FeatureMap(layer.weights, layer.biases, np.tanh)
    np.testing.assert_allclose(theirs(X), layer(X), rtol=0, atol=1e-16)


def test_out_is_filled_and_checked(layer, X):
    out = np.full((600, 1300), np.nan)
    assert layer(X, out=out) is out
    np.testing.assert_array_equal(out, layer(X))
    for wrong in [out[:, :-1], out.astype(np.float32), np.asfortranarray(out)]:
        with pytest.raises(ValueError, match="out must be C-contiguous with shape"):
            layer(X, out=wrong)


def test_no_rows(layer):
    assert layer(np.empty((0, 5))).shape == (0, 1300)


def test_pickle_keeps_the_map(layer, X):
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(layer))(X), layer(X))


@pytest.mark.parametrize("activation", ["exp", "squared_relu"])
def test_overflow_names_the_row_and_its_norm(activation):
    X = np.ones((5, 1))
    X[3] = 1e160
    with pytest.raises(OverflowError, match=r"row 3 of X, whose norm is 1e\+160; scale the inputs down"):
        FeatureMap(np.array([[1.0, -1.0]]), activation=activation)(X)


def test_overflow_of_the_product_is_an_error():
    with pytest.raises(OverflowError, match="row of norm 1.41e[+]308, so large that X @ weights may overflow"):
        FeatureMap(np.full((2, 2), 5.0))(np.full((1, 2), 1e308))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_inputs(layer, X, bad):
    X[2, 2] = bad
    with pytest.raises(ValueError, match="X contains NaN or infinity"):
        layer(X)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": np.ones(3)}, r"weights must have shape \(n_inputs, width\).*got shape \(3,\)"),
        ({"weights": np.ones((3, 0))}, "neither of them 0"),
        ({"weights": np.full((1, 1), np.nan)}, "weights must be finite"),
        ({"biases": np.ones(3)}, r"biases must have shape \(2,\).*got \(3,\)"),
        ({"biases": np.array([0, np.inf])}, "biases must be finite"),
        ({"scale": 0.0}, "scale=0.0 must be finite and not zero"),
        ({"scale": np.nan}, "scale=nan must be finite"),
        ({"scale": [1.0, 0.0]}, "scale=0.0 ... 1.0 must be finite and not zero"),
        ({"scale": [1.0, np.inf]}, "must be finite and not zero"),
        ({"scale": [1.0]}, r"scale must be a number or have shape \(2,\), one for each neuron, got \(1,\)"),
        ({"tile_size": 0}, "tile_size=0 must be at least 1"),
        ({"activation": "rely"}, "relu"),
        ({"weights": np.ones((1, 2), complex)}, "must be real"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        FeatureMap(**{"weights": np.ones((1, 2)), **arguments})


@pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 5, 1)])
def test_wrong_inputs_are_named(layer, shape):
    with pytest.raises(ValueError, match=r"X must have shape \(n_samples, 5\)"):
        layer(np.ones(shape))


def test_matrix_that_cannot_fit_says_how_many_bytes():
    with pytest.raises(MemoryError, match="32000000000000 bytes"):
        FeatureMap(np.ones((1, 2_000_000)))(np.zeros((2_000_000, 1)))
