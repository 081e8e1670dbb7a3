"""The expected tangent kernel against draws of networks, Hermite series, closed forms of erf, and the oracle values."""

import warnings

import mpmath
import numpy as np
import pytest

from underdetermined.activations import Activation, get_activation
from underdetermined.joint import draw_network, population_tangent
from underdetermined.kernels import kernel_diagonal, nngp_kernel, ntk_kernel

INITS = ("lecun", "he", "xavier", "kernel")


@pytest.fixture
def X():
    return np.random.default_rng(0).standard_normal((5, 3))


def tangent(X, hidden, coef, is_shifted):
    """The whole kernel of order n k from the Jacobian, sample by sample; k (k + 1) / 2 blocks as an array (k, k, n, n)."""
    z = X @ hidden.weights + (0.0 if hidden.biases is None else hidden.biases)
    features, slopes = hidden.activation.value(z), hidden.activation.derivative(z)
    inputs = X if hidden.biases is None else np.hstack([X, np.ones((len(X), 1))])
    k = coef.shape[1]
    jacobian = np.concatenate(
        [
            np.einsum("ir,ab->iarb", features, np.eye(k)).reshape(len(X), k, -1),
            np.einsum("ir,ra,ij->iarj", slopes, coef, inputs).reshape(len(X), k, -1),
        ],
        axis=2,
    )
    blocks = hidden.scale**2 * np.einsum("iap,jbp->abij", jacobian, jacobian)
    return blocks + is_shifted * np.eye(k)[:, :, np.newaxis, np.newaxis]


@pytest.mark.parametrize("output", ["random", "zero", "paired"])
@pytest.mark.parametrize(
    ("init", "activation", "bias_scale", "k"),
    [("lecun", "tanh", None, 1), ("he", "gelu", 0.0, 2), ("xavier", "softplus", 0.8, 2), ("kernel", "relu", 0.5, 1)],
)
def test_mean_over_draws(init, activation, bias_scale, k, output, X):
    options = {"init": init, "output": output, "activation": activation, "bias_scale": bias_scale}
    options |= {"weight_scale": 1.3, "coef_scale": 1.7}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        draws = [tangent(X, *draw_network(3, 12, k, seed=seed, **options), k > 1) for seed in range(160)]
    mean, deviation = np.mean(draws, axis=0), np.std(draws, axis=0) / np.sqrt(len(draws))
    expected = population_tangent(X, width=12, n_outputs=k, trained_intercept=k > 1, **options)
    expected = np.eye(k)[:, :, np.newaxis, np.newaxis] * expected
    # 4.8 deviations hold for all of some thousand normals; seeds are fixed.
    assert (abs(mean - expected) <= 4.8 * deviation + 1e-14).all()


@pytest.mark.parametrize("init", INITS)
@pytest.mark.parametrize("activation", ["tanh", "gelu", "softplus", "silu"])
def test_hermite_series(activation, init):
    rng, d, m, k = np.random.default_rng(2), 4, 30, 2
    X = rng.standard_normal((6, d)) * rng.uniform(0.2, 0.5, (6, 1))
    u, v, s = {
        "lecun": (d**-0.5, m**-0.5, 1.0),
        "he": ((2 / d) ** 0.5, (2 / m) ** 0.5, 1.0),
        "xavier": ((2 / (d + m)) ** 0.5, (2 / (m + k)) ** 0.5, 1.0),
        "kernel": (1.0, 1.0, m**-0.5),
    }[init]
    norms = np.linalg.norm(X, axis=1)
    cosines = X @ X.T / np.outer(norms, norms)
    coefficients = np.array([get_activation(activation).hermite_coefficients(300, u * norm) for norm in norms])
    expected = sum(
        (1 + (v / u) ** 2 * j) * np.outer(coefficients[:, j], coefficients[:, j]) * cosines**j for j in range(301)
    )
    found = population_tangent(X, width=m, n_outputs=k, init=init, activation=activation)
    np.testing.assert_allclose(found, s**2 * m * expected, rtol=1e-9)
    zero = sum(np.outer(coefficients[:, j], coefficients[:, j]) * cosines**j for j in range(301))
    found = population_tangent(X, width=m, n_outputs=k, init=init, activation=activation, output="zero")
    np.testing.assert_allclose(found, s**2 * m * zero, rtol=1e-9)


@pytest.mark.parametrize(("bias_scale", "trained"), [(0.0, None), (0.0, True), (0.6, None), (0.6, False), (0.6, True)])
@pytest.mark.parametrize("coef_scale", [0.0, 0.3, 1.0, 40.0])
def test_erf_in_closed_form(bias_scale, trained, coef_scale, X):
    t = 0.7
    with mpmath.workdps(30):
        gram = [[t**2 * mpmath.fdot(x, z) + bias_scale**2 for z in X] for x in X]
        inner = [[mpmath.fdot(x, z) + (bias_scale > 0 if trained is None else trained) for z in X] for x in X]
        kernel = lambda i, j: (  # noqa: E731
            2 / mpmath.pi * mpmath.asin(2 * gram[i][j] / mpmath.sqrt((1 + 2 * gram[i][i]) * (1 + 2 * gram[j][j])))
            + coef_scale**2 * inner[i][j] * 4 / mpmath.pi
            / mpmath.sqrt((1 + 2 * gram[i][i]) * (1 + 2 * gram[j][j]) - 4 * gram[i][j] ** 2)
        )  # fmt: skip
        expected = np.array([[float(kernel(i, j)) for j in range(5)] for i in range(5)])
    options = {"weight_scale": t, "bias_scale": bias_scale, "coef_scale": coef_scale, "trained_biases": trained}
    size = expected.diagonal().max()
    # The same kernel in closed form and by quadrature, tiles of a rectangle included.
    slope = lambda z: 2 / np.sqrt(np.pi) * np.exp(-(z**2))  # noqa: E731
    user = Activation("user", function=get_activation("erf").value, function_derivative=slope)
    for activation in ("erf", user):
        found = ntk_kernel(X, activation=activation, **options)
        np.testing.assert_allclose(found, expected, atol=2e-13 * size)
        np.testing.assert_array_equal(found, found.T)
        np.testing.assert_array_equal(kernel_diagonal(X, activation=activation, kind="ntk", **options), found.diagonal())
        np.testing.assert_allclose(ntk_kernel(X, X[1:3], activation=activation, **options), found[:, 1:3], atol=1e-13 * size)


@pytest.mark.parametrize("activation", ["relu", "gelu", "sin_cos", "tanh", "elu"])
def test_options_at_their_defaults_change_nothing(activation, X):
    for bias_scale in (0.0, 0.4):
        expected = ntk_kernel(X, activation=activation, bias_scale=bias_scale)
        options = {"coef_scale": 1.0, "trained_biases": bias_scale > 0}
        np.testing.assert_array_equal(ntk_kernel(X, activation=activation, bias_scale=bias_scale, **options), expected)


@pytest.mark.parametrize(
    ("name", "degree", "value"),
    [
        ("tanh", 1, 0.60570550960215883),
        ("tanh", 3, -0.1484371907872727),
        ("softplus", 0, 0.80605918334743978),
        ("gelu", 2, 0.29920671030107451),
        ("relu", 4, -0.081433751983819987),
        ("silu", 2, 0.24808519283030007),
    ],
)
def test_oracle_of_hermite_coefficients(name, degree, value):
    assert get_activation(name).hermite_coefficients(8)[degree] == pytest.approx(value, rel=1e-12)


def test_oracle_of_kernels_and_slopes():
    X = np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
    assert nngp_kernel(X, activation="erf")[0, 1] == pytest.approx(0.21634689593878546, rel=1e-12)
    assert nngp_kernel(X, activation="tanh")[0, 1] == pytest.approx(0.18632441320344809, rel=1e-11)
    assert get_activation("gelu").lipschitz == pytest.approx(1.1289041451851548, rel=1e-12)


def test_without_a_derivative_only_zero_outputs(X):
    found = population_tangent(X, width=4, activation=np.tanh, output="zero")
    np.testing.assert_allclose(found, population_tangent(X, width=4, output="zero"), rtol=1e-11)
    with pytest.raises(ValueError, match="has no derivative"):
        population_tangent(X, width=4, activation=np.tanh)


def test_rectangles_and_the_intercept(X):
    options = {"width": 10, "bias_scale": 0.3, "init": "he"}
    whole = population_tangent(X, **options)
    np.testing.assert_array_equal(whole, whole.T)
    np.testing.assert_allclose(population_tangent(X, X[:2], **options), whole[:, :2], rtol=1e-12)
    np.testing.assert_array_equal(population_tangent(X, **options, trained_intercept=True), whole + 1)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"width": 0}, ValueError, "width=0"),
        ({"width": 5, "output": "paired"}, ValueError, "width=5 is odd"),
        ({"init": "orthogonal"}, ValueError, "init='orthogonal'"),
        ({"n_outputs": 0}, ValueError, "n_outputs=0"),
        ({"bias_scale": np.inf}, ValueError, "bias_scale=inf"),
        ({"coef_scale": -1.0}, ValueError, "coef_scale=-1.0"),
        ({"trained_intercept": 1}, TypeError, "trained_intercept=1"),
        ({"X": np.ones(3)}, ValueError, "X has 1 dimensions"),
        ({"X": np.ones((2, 0))}, ValueError, "one column are needed"),
        ({"X": [[np.nan]]}, ValueError, "X has 1 NaN"),
        ({"X": [[1e200]], "activation": "relu"}, OverflowError, "row 0"),
        ({"X": [[1e153]], "activation": "relu", "width": 10**9}, OverflowError, "at width=1000000000"),
    ],
)
def test_refused(changed, error, message):
    with pytest.raises(error, match=message):
        population_tangent(**({"X": np.ones((3, 2)), "width": 4} | changed))


def test_refused_options_of_the_kernel(X):
    with pytest.raises(TypeError, match="trained_biases=1 is not a truth value"):
        ntk_kernel(X, trained_biases=1)
    for bad in (-1.0, np.nan, 1e200):
        with pytest.raises(ValueError, match="coef_scale="):
            ntk_kernel(X, coef_scale=bad)
