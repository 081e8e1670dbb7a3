"""The softmax and the Gaussian kernel, and the variance of their positive features: closed forms, tables, simulation."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from underdetermined.kernels import gaussian_kernel, positive_feature_variance, softmax_kernel
from underdetermined.weights import get_sampler

KERNELS = {
    softmax_kernel: lambda x, z: mpmath.exp(mpmath.fdot(x, z)),
    gaussian_kernel: lambda x, z: mpmath.exp(-mpmath.fsum((a - b) ** 2 for a, b in zip(x, z, strict=True)) / 2),
}
SHIFTS = {softmax_kernel: 0.5, gaussian_kernel: 1.0}
both_kernels = pytest.mark.parametrize("kernel", KERNELS)
EXAMPLE = np.array([[0.5, 0.0], [0.25, 0.5], [-0.5, 0.25]])


def closed_form(s, d, sampler):
    """The four formulas at 60 digits."""
    with mpmath.workdps(60):
        s, c = mpmath.mpf(s), 1 - mpmath.exp(-mpmath.mpf(s)) * mpmath.hyp1f1(d, mpmath.mpf(d) / 2, mpmath.mpf(s) / 2)
        return {
            "gaussian": mpmath.expm1(s),
            "antithetic": 4 * mpmath.sinh(s / 2) ** 2,
            "orthogonal": mpmath.expm1(s) - (d - 1) * c,
            "orthogonal_antithetic": 4 * mpmath.sinh(s / 2) ** 2 - 2 * (d - 1) * c,
        }[sampler]


SAMPLERS = ["gaussian", "antithetic", "orthogonal", "orthogonal_antithetic"]
all_samplers = pytest.mark.parametrize("sampler", SAMPLERS)


@both_kernels
@pytest.mark.parametrize("size", [1e-3, 0.5, 4.0])
def test_kernels_against_multiple_precision(kernel, size, rng):
    X, Z, t = size * rng.standard_normal((5, 3)), size * rng.standard_normal((4, 3)), 0.7
    expected = [[float(KERNELS[kernel](x, z)) for z in t * Z] for x in t * X]
    np.testing.assert_allclose(kernel(X, Z, weight_scale=t), expected, rtol=1e-13)


@both_kernels
def test_symmetric_kernels(kernel, rng):
    X = rng.standard_normal((300, 7))
    K = kernel(X)
    np.testing.assert_array_equal(K, K.T)
    np.testing.assert_allclose(K, kernel(X, X.copy()), rtol=1e-12)
    assert np.linalg.eigvalsh(K)[0] > -1e-12 * np.trace(K)


@both_kernels
@pytest.mark.parametrize("n", [1, 2, 700])
def test_layout_and_type_of_the_rows_do_not_matter(kernel, n, rng):
    X = (0.3 * rng.standard_normal((n, 5))).astype(np.float32)
    expected = kernel(X.astype(float), X[:1].astype(float))
    np.testing.assert_array_equal(kernel(X, X[:1]), expected)
    np.testing.assert_array_equal(kernel(np.asfortranarray(X), X[:1].tolist()), expected)
    integers = np.arange(6).reshape(3, 2)
    np.testing.assert_array_equal(kernel(integers, weight_scale=0.1), kernel(integers.astype(float), weight_scale=0.1))


def test_gaussian_kernel_is_exact_for_near_rows_far_away(rng):
    X = 1e3 + 1e-2 * rng.standard_normal((20, 3))
    expected = np.exp(-((X[:, None] - X[None]) ** 2).sum(axis=2) / 2)
    np.testing.assert_allclose(gaussian_kernel(X), expected, rtol=1e-12)
    np.testing.assert_array_equal(gaussian_kernel(X).diagonal(), np.ones(20))


def test_softmax_kernel_overflow_has_number_and_remedy():
    X = np.array([[1.0, 0.0], [30.0, 0.0]])
    message = r"<x, z> is 900 > 709.78 for row 1 of X and row 1 of Z, of norms 30 and 30; scale the inputs down"
    with pytest.raises(OverflowError, match=message):
        softmax_kernel(X)
    # <x, z> is 0, but what its products of infinities sum up to depends on their order.
    for x, z in (([1e200, 1e200], [1e200, -1e200]), ([1e200, 1e200], [-1e200, 1e200])):
        with pytest.raises(OverflowError, match="longest rows of X and Z have norms of 1.41e[+]200 and 1.41e[+]200; scale"):
            softmax_kernel([x], [z])
    with pytest.raises(OverflowError, match="weight_scale=1e[+]300, and the longest"):
        softmax_kernel([[1e9]], weight_scale=1e300)
    assert softmax_kernel(X, -X)[1, 1] == 0.0
    assert np.isfinite(softmax_kernel(X, weight_scale=0.88)).all()


@both_kernels
def test_hostile_arguments(kernel, monkeypatch):
    for X, Z, scale, error, message in (
        ([[np.nan]], None, 1.0, ValueError, "X has 1 NaN"),
        ([[1.0]], [[np.inf]], 1.0, ValueError, "Z has 1 NaN"),
        (np.ones((0, 2)), None, 1.0, ValueError, "X has shape"),
        ([1.0], None, 1.0, ValueError, "X has 1 dimensions"),
        ([[1.0]], [[1.0, 2.0]], 1.0, ValueError, "X has 1 columns and Z has 2"),
        ([[1.0]], None, 0.0, ValueError, "weight_scale=0.0 is out of range"),
        ([[1.0]], None, "auto", TypeError, "weight_scale='auto' is not a number"),
        (sparse.eye(3), None, 1.0, TypeError, r"X\.toarray\(\)"),
    ):
        with pytest.raises(error, match=message):
            kernel(X, Z, weight_scale=scale)
    monkeypatch.setattr("underdetermined._validation.available_memory", lambda: 1000)
    with pytest.raises(MemoryError, match="80000 bytes"):
        kernel(np.zeros((100, 1)))


@both_kernels
@all_samplers
def test_positive_features_have_the_kernel_as_their_mean(kernel, sampler):
    t, d, m = 0.8, 3, 60_000
    weights = t * get_sampler(sampler)(d, m, seed=3)[0]
    X = np.array([[0.3, -0.2, 0.1], [0.0, 0.5, -0.4], [0.0, 0.0, 0.0]])
    features = np.exp(X @ weights - SHIFTS[kernel] * t**2 * (X**2).sum(axis=1)[:, np.newaxis])
    exact = kernel(X, weight_scale=t)
    s = t**2 * ((X[:, None] + X[None]) ** 2).sum(axis=2)
    error = features @ features.T / m - exact
    deviation = exact * np.sqrt(positive_feature_variance(s, d, sampler) / m)
    assert (np.abs(error) <= 5 * deviation + 1e-13).all()


@all_samplers
@pytest.mark.parametrize("d", [1, 2, 3, 8, 64, 1000])
def test_variance_against_the_closed_form(sampler, d):
    squares = np.array([0.0, 1e-6, 1e-3, 0.25, 1.0, 2.0, 4.0, 10.0, 100.0, 700.0])
    expected = [float(closed_form(s, d, sampler)) for s in squares]
    np.testing.assert_allclose(positive_feature_variance(squares, d, sampler), expected, rtol=2e-13)


@all_samplers
@pytest.mark.parametrize("d", [2, 5])
def test_variance_against_simulation(sampler, d):
    # Whole groups are independent. Bounded norms: at s = 0.6 the fourth moment of a group is one that can be estimated.
    s, groups = 0.6, 20_000
    weights, _ = get_sampler(sampler)(d, 2 * d * groups, seed=11)
    means = np.exp(np.sqrt(s) * weights[0]).reshape(groups, 2 * d).mean(axis=1) / np.exp(s / 2)
    squares = (means - 1.0) ** 2
    measured, error = 2 * d * squares.mean(), 2 * d * squares.std() / np.sqrt(groups)
    assert abs(measured - positive_feature_variance(s, d, sampler)) < 4.5 * error
    assert error < 0.05 * measured


@given(st.floats(0.0, 60.0), st.integers(1, 300))
@settings(max_examples=40, deadline=None)
def test_no_reduction_hurts(s, d):
    plain, opposite, orthogonal, both = (positive_feature_variance(s, d, sampler) for sampler in SAMPLERS)
    slack = 1e-12 * plain
    assert 0.0 <= both <= opposite + slack
    assert both <= orthogonal + slack
    assert max(opposite, orthogonal) <= plain + slack


def test_table_of_many_inputs():
    # Of the limits: exp(s) - 1, 4 sinh(s / 2)^2, and these less s^2 / 2 and s^2.
    s = np.array([0.25, 1.0, 2.0, 4.0])
    table = np.array([positive_feature_variance(s, 10**7, sampler) for sampler in SAMPLERS])
    limits = np.array([np.expm1(s), 4 * np.sinh(s / 2) ** 2, np.expm1(s) - s**2 / 2, 4 * np.sinh(s / 2) ** 2 - s**2])
    np.testing.assert_allclose(table, limits, rtol=1e-6, atol=5e-6)
    rounded = [[0.284, 1.72, 6.39, 53.6], [0.063, 1.09, 5.52, 52.6], [0.253, 1.22, 4.39, 45.6], [0.0003, 0.086, 1.52, 36.6]]
    np.testing.assert_allclose(table, rounded, rtol=0.006, atol=5e-5)


def test_values_of_the_example():
    q = ((EXAMPLE[0] + EXAMPLE[1]) ** 2).sum()
    assert softmax_kernel(EXAMPLE)[0, 1] == pytest.approx(1.1331484530668263, rel=1e-14)
    assert positive_feature_variance(q, 2) == pytest.approx(1.2535347872132085, rel=1e-14)
    # Variance of a summand of the tangent kernel, <x, z>^2 exp(q) times this; 1F1 from what orthogonal weights save.
    assert (EXAMPLE[0] @ EXAMPLE[1]) ** 2 * np.exp(q) * positive_feature_variance(q, 2) == pytest.approx(
        0.044138816405732384, rel=1e-13
    )
    saved = positive_feature_variance(q, 2, "orthogonal") - positive_feature_variance(q, 2)
    assert saved * np.exp(q) == pytest.approx(-0.14250350596303592, rel=1e-13)


def test_variance_shapes_and_limits():
    assert isinstance(positive_feature_variance(1, 4), float)
    assert positive_feature_variance(np.ones((2, 3)), 4, "orthogonal").shape == (2, 3)
    assert positive_feature_variance([], 4).shape == (0,)
    np.testing.assert_array_equal(positive_feature_variance([0.0, 1e4], 4, "antithetic"), [0.0, np.inf])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0, 2), "squared_norm has the negative entry -1.0"),
        ((np.nan, 2), "squared_norm has 1 NaN"),
        ((1.0, 0), "n_inputs=0"),
        ((1.0, 2, "sphere"), "sampler='sphere' has no known variance; choose one of 'gaussian', 'antithetic'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        positive_feature_variance(*arguments)


@pytest.mark.parametrize(("X", "Z"), [([[1e200]], None), ([[1.0]], [[0.0], [-1e200]])])
def test_gaussian_kernel_overflow_has_number_and_remedy(X, Z):
    with pytest.raises(OverflowError, match="Gaussian kernel overflow .*: weight_scale=2, .* norm 1e.200; scale") as caught:
        gaussian_kernel(X, Z, weight_scale=2)
    assert "bias" not in str(caught.value)
