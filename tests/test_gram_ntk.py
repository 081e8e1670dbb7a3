"""Finite-width tangent kernels against Jacobians, and both operators against their matrices."""

import tracemalloc

import numpy as np
import pytest
from catalogue import EVERY
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from underdetermined import Activation, FeatureMap, gram_matrix
from underdetermined.gram import gram_operator, ntk_matrix, ntk_operator
from underdetermined.kernels import nngp_kernel, ntk_kernel

SMOOTH = ["tanh", "gelu", "erf", "sin_cos", "exp", "softplus"]


@pytest.fixture
def network(rng):
    """Return a function that draws inputs, a feature map and output weights."""

    def build(activation="tanh", n=7, d=3, width=11, bias=True, **options):
        X = rng.standard_normal((n, d))
        weights = rng.standard_normal((d, width))
        biases = rng.standard_normal(width) if bias else None
        return X, FeatureMap(weights, biases, activation, **options), rng.standard_normal(width)

    return build


def jacobian(X, layer, coef):
    """Derivatives of sum_j coef_j scale sigma(<w_j, x_i> + b_j): shape (n, d m), then (n, m) twice."""
    arguments = X @ layer.weights + (0.0 if layer.biases is None else layer.biases)
    inner = layer.scale * layer.activation.derivative(arguments) * coef
    by_weights = (X[:, :, np.newaxis] * inner[:, np.newaxis]).reshape(len(X), -1)
    by_biases = inner[:, : 0 if layer.biases is None else None]
    return np.hstack([by_weights, by_biases, layer.scale * layer.activation.value(arguments)])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("form", EVERY)
def test_ntk_is_the_jacobian_times_its_transpose(form, bias, network):
    X, layer, coef = network(EVERY[form], bias=bias)
    J = jacobian(X, layer, coef)
    kernel = ntk_matrix(layer, X, coef)
    size = np.linalg.norm(J, axis=1)
    assert np.abs(kernel - J @ J.T).max() <= 1e-14 * size.max() ** 2
    np.testing.assert_array_equal(kernel, kernel.T)
    assert np.linalg.eigvalsh(kernel)[0] >= -1e-14 * size.max() ** 2 * len(X)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_ntk_with_a_factor_for_each_neuron(network, rng, dtype):
    X, plain, coef = network("gelu", width=700)
    factors = rng.uniform(0.2, 3.0, 700)
    layer = FeatureMap(plain.weights, plain.biases, "gelu", scale=factors, tile_size=90).astype(dtype)
    J = jacobian(X, layer, coef)
    kernel = ntk_matrix(layer, X, coef)
    np.testing.assert_allclose(kernel, J @ J.T, atol=2e-14 * kernel.max())
    right = rng.standard_normal((7, 2))
    np.testing.assert_allclose(ntk_operator(layer, X, coef) @ right, kernel @ right, atol=1e-12 * kernel.max())
    single = ntk_matrix(layer, X.astype(np.float32), coef)
    np.testing.assert_allclose(single, kernel, atol=1e-5 * kernel.max())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", SMOOTH)
def test_ntk_against_finite_differences(name, bias, network):
    X, layer, coef = network(name, bias=bias)
    d, m = layer.weights.shape
    theta = np.concatenate([layer.weights.ravel(), coef, layer.biases if bias else []])

    def output(theta):
        weights, coef, biases = np.split(theta, [d * m, d * m + m])
        moved = FeatureMap(weights.reshape(d, m), biases if bias else None, name, scale=layer.scale)
        return moved(X) @ coef

    h = 1e-5
    steps = h * np.eye(theta.size)
    J = np.array([(output(theta + step) - output(theta - step)) / (2 * h) for step in steps]).T
    np.testing.assert_allclose(ntk_matrix(layer, X, coef), J @ J.T, rtol=0, atol=1e-7 * (J**2).sum(axis=1).max())


def test_ntk_of_step_is_its_gram(network):
    X, layer, coef = network("step")
    np.testing.assert_array_equal(ntk_matrix(layer, X, coef), gram_matrix(layer.operator(X)))


def test_mean_over_output_weights(network, rng):
    """Ones stand for random output weights: their kernels have that mean."""
    X, layer, _ = network("relu", n=4, width=6)
    kernels = np.array([ntk_matrix(layer, X, rng.standard_normal(6)) for _ in range(2000)])
    error = np.abs(kernels.mean(axis=0) - ntk_matrix(layer, X)) / (kernels.std(axis=0) / np.sqrt(2000) + 1e-12)
    assert error.max() < 5.0


@pytest.mark.parametrize("bias_scale", [0.0, 0.7])
@pytest.mark.parametrize("name", ["relu", "gelu", "sin_cos", "step"])
def test_mean_is_the_kernel_of_infinite_width(name, bias_scale, rng):
    X = rng.standard_normal((5, 3))
    options = {"activation": name, "weight_scale": 0.8, "bias_scale": bias_scale}

    def draw():
        biases = bias_scale * rng.standard_normal(300) if bias_scale else None
        return FeatureMap(0.8 * rng.standard_normal((3, 300)), biases, name)

    layers = [draw() for _ in range(200)]
    pairs = [
        (nngp_kernel(X, **options), np.array([gram_matrix(layer.operator(X)) for layer in layers])),
        (ntk_kernel(X, **options), np.array([ntk_matrix(layer, X, rng.standard_normal(300)) for layer in layers])),
    ]
    worst = [np.abs((drawn.mean(0) - kernel) / (drawn.std(0) / np.sqrt(200) + 1e-12)).max() for kernel, drawn in pairs]
    assert max(worst) < 5.0


FORMS = {
    "F": np.asfortranarray,
    "strided": lambda a: np.repeat(a, 2, axis=0)[::2],
    "list": lambda a: a.tolist(),
    "csr array": sparse.csr_array,
    "csc matrix": sparse.csc_matrix,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bias", [True, False])
def test_forms_of_the_inputs(form, bias, network):
    X, layer, coef = network(n=9, bias=bias)
    expected = ntk_matrix(layer, X, coef)
    vectors = np.linspace(-1.0, 1.0, 18).reshape(9, 2)
    np.testing.assert_allclose(ntk_matrix(layer, FORMS[form](X), coef), expected, rtol=1e-13)
    np.testing.assert_allclose(ntk_operator(layer, FORMS[form](X), coef) @ vectors, expected @ vectors, atol=1e-13)
    np.testing.assert_allclose(gram_operator(layer, FORMS[form](X)) @ vectors, layer(X) @ (layer(X).T @ vectors), atol=1e-13)


def test_float32_inputs(network):
    X, layer, coef = network(n=9)
    X32 = X.astype(np.float32)
    eye = np.eye(9)
    results = [ntk_matrix(layer, X32, coef), ntk_operator(layer, X32, coef) @ eye, gram_operator(layer, X32) @ eye]
    assert {result.dtype for result in results} == {np.dtype(np.float64)}
    np.testing.assert_allclose(results[0], ntk_matrix(layer, X, coef), rtol=0, atol=1e-5)
    np.testing.assert_allclose(results[1], results[0], rtol=0, atol=1e-13)


@given(st.integers(1, 9), st.integers(1, 5), st.integers(1, 12), st.integers(1, 7), st.integers(1, 3), st.booleans())
@settings(max_examples=40, deadline=None)
def test_nothing_depends_on_tiles_and_threads(n, d, width, tile_size, n_jobs, bias):
    rng = np.random.default_rng(n + 10 * d + 100 * width)
    X, weights, coef = rng.standard_normal((n, d)), rng.standard_normal((d, width)), rng.standard_normal((width, 1))
    biases = rng.standard_normal(width) if bias else None
    whole = FeatureMap(weights, biases, "gelu", n_jobs=1)
    cut = FeatureMap(weights, biases, "gelu", n_jobs=n_jobs, tile_size=tile_size)
    expected = ntk_matrix(whole, X, coef)
    close = {"rtol": 0, "atol": 1e-14 * np.abs(expected).max() * width}
    np.testing.assert_allclose(ntk_matrix(cut, X, coef[:, 0]), expected, **close)
    np.testing.assert_allclose(ntk_operator(cut, X, coef) @ np.eye(n), expected, **close)
    np.testing.assert_allclose(gram_operator(cut, X) @ np.eye(n), gram_matrix(whole.operator(X)), **close)


def test_rows_beyond_one_part(network):
    X, layer, coef = network("relu", n=600, width=40)
    expected = ntk_matrix(layer, X, coef)
    J = jacobian(X, layer, coef)
    np.testing.assert_allclose(expected, J @ J.T, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ntk_operator(layer, X, coef) @ X, expected @ X, rtol=0, atol=1e-11)


@pytest.mark.parametrize("build", [ntk_operator, gram_operator])
def test_operators_are_symmetric(build, network, rng):
    X, layer, _ = network("relu", n=30)
    operator = build(layer, X)
    u, v = rng.standard_normal((2, 30))
    assert operator.shape == (30, 30)
    assert operator.dtype == np.float64
    assert (operator @ u) @ v == pytest.approx(u @ (operator.T @ v), rel=1e-12)
    assert (operator @ u) @ v == pytest.approx(u @ (operator.H @ v), rel=1e-12)
    np.testing.assert_allclose(operator @ u, (operator @ np.stack([u, v], axis=1))[:, 0], rtol=1e-13)


@pytest.mark.parametrize("build", [ntk_operator, gram_operator])
def test_complex_vectors_are_two_real_ones(build, network, rng):
    X, layer, _ = network("relu", n=6)
    operator = build(layer, X)
    u, v = rng.standard_normal((2, 6))
    np.testing.assert_allclose(operator @ (u + 1j * v), operator @ u + 1j * (operator @ v), rtol=1e-14)


def peak(function):
    """Bytes that a call holds at most."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory(network):
    X, layer, coef = network("relu", n=300, width=20000, tile_size=256)
    # The features take 48 MB, and the Jacobian would take 240 MB.
    assert peak(lambda: ntk_matrix(layer, X, coef)) < 8 * (2 * 300**2 + 6 * 300 * 256) + 2**20
    X, layer, coef = network("relu", n=4000, width=64)
    assert peak(lambda: ntk_operator(layer, X, coef) @ X[:, :1]) < 8 * 4000**2 / 8


@pytest.mark.parametrize("build", [ntk_matrix, ntk_operator])
def test_wrong_arguments(build, network):
    X, layer, coef = network()
    for bad in (coef[:5], np.ones((11, 2)), np.ones((1, 11))):
        with pytest.raises(ValueError, match=r"coef has shape .*: pass one output weight per neuron, shape \(11,\)"):
            build(layer, X, bad)
    with pytest.raises(ValueError, match="coef has 1 NaN or infinite entries"):
        build(layer, X, np.where(np.arange(11) == 3, np.nan, coef))
    with pytest.raises(TypeError, match="coef has dtype complex128"):
        build(layer, X, coef + 1j)
    with pytest.raises(ValueError, match=r"X must have shape \(n_samples, 3\)"):
        build(layer, X[:, :2])
    with pytest.raises(ValueError, match="X contains NaN"):
        build(layer, np.where(X > 0, np.nan, X))
    with pytest.raises(ValueError, match=r"X has shape \(0, 3\)"):
        build(layer, X[:0])
    bare = Activation("square", function=np.square)
    with pytest.raises(ValueError, match="activation 'square' has no derivative"):
        build(FeatureMap(layer.weights, None, bare), X)


def test_overflow_names_the_size_of_the_inputs(network):
    X, layer, coef = network("exp", n=4, bias=False)
    X[2] *= 300.0
    message = f"kernel of activation='exp' overflows float64 for inputs as large as {np.abs(X).max():.3g}"
    with pytest.raises(OverflowError, match=message):
        ntk_matrix(layer, X, coef)
    with pytest.raises(OverflowError, match=message):
        ntk_operator(layer, X, coef) @ np.eye(4)[2]


def test_gram_operator_refuses_what_its_matrix_cannot_be(network):
    X, layer, _ = network("relu", n=4)
    with pytest.raises(OverflowError, match="the Gram matrix of activation='relu' overflows float64 for inputs as large as"):
        gram_operator(layer, 1e200 * X) @ np.ones(4)
    with pytest.raises(ValueError, match=r"X has shape \(0, 3\)"):
        gram_operator(layer, X[:0])


def test_matrix_that_cannot_fit():
    rows = 2**22
    X = np.broadcast_to(np.ones(1), (rows, 1))
    with pytest.raises(MemoryError, match=f"the {rows} x {rows} neural tangent kernel .* needs {16 * rows**2} bytes"):
        ntk_matrix(FeatureMap([[1.0]]), X)


def test_users_activation(network):
    X, layer, coef = network("tanh")
    own = Activation("own", function=np.tanh, function_derivative=lambda z: 1.0 - np.tanh(z) ** 2)
    same = FeatureMap(layer.weights, layer.biases, own)
    np.testing.assert_allclose(ntk_matrix(same, X, coef), ntk_matrix(layer, X, coef), rtol=1e-13)


def test_inputs_are_not_written(network):
    X, layer, coef = network()
    for array in (X, coef):
        array.flags.writeable = False
    ntk_matrix(layer, X, coef)
    ntk_operator(layer, X, coef) @ X
