"""Infinite-width kernels: sampled features, other forms of the same activation, identities, hostile input."""

from math import exp, expm1, log1p, tanh

import numpy as np
import pytest
from catalogue import CATALOGUE, EVERY
from scipy import special
from scipy.integrate import quad
from scipy.sparse import csr_array

from underdetermined._validation import available_memory
from underdetermined.activations import Activation, get_activation
from underdetermined.kernels import _problem, kernel_diagonal, nngp_kernel, ntk_kernel

BOTH = pytest.mark.parametrize("kernel", [nngp_kernel, ntk_kernel])
FORMS = ["relu", "erf", "gelu", "sin_cos", "tanh", "softplus", "elu", "shifted_relu(-0.7)", "hermite(0, 1, 0.5)"]
USERS = {
    "relu": (lambda t: np.maximum(t, 0), lambda t: 1.0 * (t > 0)),
    "step": (lambda t: 1.0 * (t > 0), lambda t: 0.0 * t),
    "tanh": (np.tanh, lambda t: np.cosh(np.clip(t, -300, 300)) ** -2),
    "erf": (special.erf, lambda t: 2 / np.sqrt(np.pi) * np.exp(-t * t)),
    "gelu": (lambda t: t * special.ndtr(t), lambda t: special.ndtr(t) + t * np.exp(-t * t / 2) / np.sqrt(2 * np.pi)),
    "shifted_relu": (lambda t: np.maximum(t + 1, 0), lambda t: 1.0 * (t > -1)),
    "elu": (lambda t: np.where(t > 0, t, np.expm1(np.minimum(t, 0))), lambda t: np.exp(np.minimum(t, 0))),
    "gaussian": (lambda t: np.exp(-t * t / 2), lambda t: -t * np.exp(-t * t / 2)),
    "squared_relu": (lambda t: np.maximum(t, 0) ** 2, lambda t: 2 * np.maximum(t, 0)),
}

PLAIN = {
    "tanh": tanh,
    "sigmoid": lambda t: 1 / (1 + exp(-t)),
    "softplus": lambda t: log1p(exp(t)),
    "silu": lambda t: t / (1 + exp(-t)),
    "elu": lambda t: t if t > 0 else expm1(t),
    "shifted_relu": lambda t: max(t + 1, 0),
}


@pytest.fixture
def X(rng):
    """Rows of all kinds: plain, parallel, antipodal, nearly parallel, zero, repeated, small, large."""
    X = rng.standard_normal((12, 3))
    X[1], X[2], X[3] = 2.0 * X[0], -X[0], X[0] + 1e-7 * X[4]
    X[5], X[6] = 0.0, X[4]
    X[7] *= 1e-6
    X[8] *= 30.0
    X[9] = -1.5 * X[8] + 1e-3 * X[10]
    return X


def assert_close(found, expected, diagonal, tolerance=1e-13):
    """Compare relative to the geometric mean of the diagonal entries."""
    left, right = map(np.sqrt, diagonal)
    scale = np.outer(left, right)
    np.testing.assert_array_less(np.abs(found - expected), tolerance * scale + 1e-300)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bias_scale", [0.0, 0.8])
def test_sampled_features(form, bias_scale, rng):
    activation, X, width = get_activation(form), rng.standard_normal((4, 2)), 40000
    z = 0.9 * X @ rng.standard_normal((2, width)) + bias_scale * rng.standard_normal(width)
    f, slope = activation.value(z), activation.derivative(z)
    inner = X @ X.T + (bias_scale > 0)
    samples = f[:, None] * f
    for kernel, terms in ((nngp_kernel, samples), (ntk_kernel, samples + inner[:, :, None] * slope[:, None] * slope)):
        found = kernel(X, activation=form, weight_scale=0.9, bias_scale=bias_scale)
        allowed = 5 * terms.std(axis=2) / np.sqrt(width) + 1e-3 * np.sqrt(np.outer(np.diag(found), np.diag(found)))
        assert np.all(np.abs(found - terms.mean(axis=2)) < allowed)


@pytest.mark.parametrize("name", PLAIN)
def test_quadrature_in_the_plane(name):
    X = np.array([[0.7, -0.4], [0.5, 0.9]])
    definition, kinks = PLAIN[name], CATALOGUE[name].kinks or (0.0,)
    n, m = np.linalg.norm(X, axis=1)
    rho = X[0] @ X[1] / (n * m)
    sine = np.sqrt(1 - rho**2)

    def inner(g):
        cuts = np.clip([(k / m - rho * g) / sine for k in kinks], -8.5, 8.5)
        value = lambda q: definition(m * (rho * g + sine * q)) * np.exp(-q * q / 2)  # noqa: E731
        return quad(value, -8.5, 8.5, points=cuts, epsabs=1e-13, epsrel=1e-12, limit=200)[0]

    outer = lambda g: definition(n * g) * np.exp(-g * g / 2) * inner(g) / (2 * np.pi)  # noqa: E731
    cuts = [k / n for k in kinks]
    exact = quad(outer, -8.5, 8.5, points=cuts, epsabs=1e-12, epsrel=1e-12, limit=200)[0]
    found = nngp_kernel(X, activation=name)
    assert abs(found[0, 1] - exact) < 1e-12 * np.sqrt(found[0, 0] * found[1, 1])


@pytest.mark.parametrize(("kernel", "bias_scale"), [(nngp_kernel, 0.5), (ntk_kernel, 0.0)])
@pytest.mark.parametrize("name", USERS)
def test_users_functions_equal_the_catalogue(kernel, name, bias_scale, X):
    function, slope = USERS[name]
    user = Activation("user", function=function, function_derivative=slope)
    expected = kernel(X, activation=name, bias_scale=bias_scale)
    diagonal = np.diag(expected)
    kind = kernel.__name__.partition("_")[0]
    np.testing.assert_array_equal(diagonal, kernel_diagonal(X, activation=name, kind=kind, bias_scale=bias_scale))
    assert_close(kernel(X, activation=user, bias_scale=bias_scale), expected, (diagonal, diagonal), 3e-13)
    Z = X[::-1]
    assert_close(kernel(X, Z, activation=user, bias_scale=bias_scale), expected[:, ::-1], (diagonal, diagonal[::-1]), 3e-13)


@pytest.mark.parametrize(("name", "size"), [("erf", 20.0), ("relu", 20.0), ("gelu", 1e6), ("tanh", 1e6)])
def test_many_nearly_parallel_rows(name, size):
    X = np.linspace(-size, size, 30)[:, np.newaxis]
    function, slope = USERS[name]
    user = Activation("user", function=function, function_derivative=slope)
    expected = ntk_kernel(X, activation=name, bias_scale=1.0)
    diagonal = np.diag(expected)
    assert_close(ntk_kernel(X, activation=user, bias_scale=1.0), expected, (diagonal, diagonal), 5e-14)


@BOTH
@pytest.mark.parametrize("form", EVERY)
def test_symmetric_positive_and_bounded(kernel, form, X):
    X = X / 10.0
    K = kernel(X, activation=EVERY[form], weight_scale=0.5, bias_scale=0.3)
    np.testing.assert_array_equal(K, K.T)
    assert np.linalg.eigvalsh(K)[0] >= -1e-14 * np.trace(K)
    assert_close(K, 0.0, (np.diag(K), np.diag(K)), 1 + 1e-14)
    np.testing.assert_allclose(K[4], K[6], rtol=1e-13, atol=1e-15 * K[4, 4])
    rectangular = kernel(X[:5], X, activation=EVERY[form], weight_scale=0.5, bias_scale=0.3)
    assert_close(rectangular, K[:5], (np.diag(K)[:5], np.diag(K)))


@pytest.mark.parametrize("form", [form for form in EVERY if EVERY[form].homogeneous])
def test_homogeneous_along_rays(form, X):
    degree = EVERY[form].homogeneous
    scale = 10.0 ** np.linspace(-40, 40, len(X))
    K = nngp_kernel(X, activation=EVERY[form])
    scaled = nngp_kernel(scale[:, None] * X, activation=EVERY[form])
    diagonal = np.diag(scaled)
    assert_close(scaled, K * np.outer(scale**degree, scale**degree), (diagonal, diagonal))


@BOTH
@pytest.mark.parametrize("form", ["relu", "gelu", "tanh", "shifted_relu(-0.7)", "hermite(0, 1, 0.5)"])
def test_layout_threads_tiles_and_dtype_do_not_matter(kernel, form, X, rng, monkeypatch):
    X = np.vstack([X, rng.standard_normal((6, 3))])
    K = kernel(X, activation=form, n_jobs=1)
    np.testing.assert_array_equal(K, kernel(np.asfortranarray(X), activation=form, n_jobs=3))
    np.testing.assert_array_equal(K, kernel(np.repeat(X, 2, axis=0)[::2], activation=form))
    monkeypatch.setattr(_problem, "_TILE", 5)
    diagonal = np.diag(K)
    tiled = kernel(X, activation=form, n_jobs=3)
    assert_close(tiled, K, (diagonal, diagonal))
    np.testing.assert_array_equal(tiled, tiled.T)
    single = X.astype(np.float32)
    np.testing.assert_array_equal(kernel(single, activation=form), kernel(single.astype(float), activation=form))
    np.testing.assert_array_equal(kernel((10 * X).astype(int), activation=form).dtype, np.float64)


def test_tangent_kernel_of_step_is_its_kernel(X):
    np.testing.assert_array_equal(ntk_kernel(X, activation="step"), nngp_kernel(X, activation="step"))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [1e-140, 1e6, 1e100])
def test_extreme_norms_are_finite(form, size, X):
    form = form if size < 1e30 else form.replace("hermite(0, 1, 0.5)", "identity")
    K = ntk_kernel(X[:5] * size, activation=form)
    assert np.isfinite(K).all()
    assert_close(K, 0.0, (np.diag(K), np.diag(K)), 1 + 1e-14)


@BOTH
def test_rejected_input(kernel):
    X = np.ones((3, 2))
    for bad, error, message in (
        (np.ones(3), ValueError, "X has 1 dimensions"),
        (np.ones((0, 2)), ValueError, "at least one row"),
        (np.array([[1.0, np.nan]]), ValueError, "X has 1 NaN"),
        ([["a"]], TypeError, "real numbers"),
        (csr_array(X), TypeError, r"X.toarray\(\)"),
        (np.array([[1e200, 1.0]]), OverflowError, "row 0, whose norm is 1e\\+200"),
    ):
        with pytest.raises(error, match=message):
            kernel(bad)
    with pytest.raises(ValueError, match="Z has 3"):
        kernel(X, np.ones((2, 3)))
    with pytest.raises(ValueError, match="Z has 1 NaN"):
        kernel(X, [[np.inf, 1.0]])
    for option in ({"weight_scale": 0.0}, {"weight_scale": np.inf}, {"bias_scale": -1.0}, {"activation": "rleu"}):
        with pytest.raises(ValueError, match=next(iter(option))):
            kernel(X, **option)
    with pytest.raises(ValueError, match="kind='gram'"):
        kernel_diagonal(X, kind="gram")


@BOTH
@pytest.mark.parametrize("activation", ["exp", Activation("e", function=np.exp, function_derivative=np.exp)], ids=str)
def test_overflow_is_refused(kernel, activation):
    with pytest.raises(OverflowError, match="StandardScaler"):
        kernel(np.array([[1.0], [30.0]]), activation=activation)
    with pytest.raises(OverflowError, match="StandardScaler"):
        kernel(np.array([[1.0]]), np.array([[-30.0]]), activation=activation)


@pytest.mark.skipif(available_memory() is None, reason="the free memory is unknown here")
def test_memory_is_checked_first():
    X = np.zeros((10**6, 1))
    with pytest.raises(MemoryError, match="the 1000000 x 1000000 kernel needs 8000000000000 bytes"):
        nngp_kernel(X)


def test_a_tangent_kernel_needs_a_derivative():
    with pytest.raises(ValueError, match="has no derivative"):
        ntk_kernel(np.ones((2, 2)), activation=np.tanh)


def test_an_activation_that_is_nan_somewhere_is_refused():
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="returned nan"):
        nngp_kernel(np.ones((2, 2)), activation=lambda t: np.where(t > -1, t, np.nan))
