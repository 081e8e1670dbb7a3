"""The tangent kernel of exponentials: many digits, its definition by simulation, identities, and hostile input."""

import mpmath as mp
import numpy as np
import pytest
from exponential_kernel_oracle import inner, kernel_entry
from scipy.sparse import eye_array

from underdetermined import _validation
from underdetermined.kernels import exponential_ntk, nngp_kernel

THREE = np.array([[0.5, 0.0], [0.25, 0.5], [-0.5, 0.25]])


def test_three_rows_by_hand():
    kernel = exponential_ntk(THREE)
    expected = {(0, 0): 0.41218031767503204, (0, 1): 0.18764722500001534, (0, 2): -0.25793585187477567}
    for place, value in expected.items():
        assert kernel[place] == pytest.approx(value, rel=1e-14, abs=0.0)
    assert kernel[1, 2] == 0.0
    values = np.linalg.eigvalsh(kernel)
    assert values[[0, -1]] == pytest.approx([0.16768856012922351, 0.82831861924337802], rel=1e-13, abs=0.0)


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.5, 1.0, 4.0])
@pytest.mark.parametrize(("scale", "norm"), [(1.0, 0.7), (0.2, 3.0), (1.0, 12.0), (3.0, 5.0)])
def test_entries_in_many_digits(rng, shift, scale, norm):
    X = norm * rng.standard_normal((5, 4)) / 2.0
    X[1], X[2] = X[0] * (1.0 + 1e-9), -X[0] + 1e-7
    shift *= scale**2
    kernel = exponential_ntk(X, X[:3] + 0.1, weight_scale=scale, row_shift=shift)
    for i in range(5):
        for j in range(3):
            x, z = X[i], X[j] + 0.1
            exact = kernel_entry(x, z, scale, shift)
            squares = inner(x, x) + inner(z, z)
            # Exponents of a few hundred have rounding errors of their own size; the product has those of its terms.
            unit = 2.0**-53 * float(40 + 8 * min(scale**2 * squares, 4096))
            limit = unit * (abs(exact) + mp.sqrt(inner(x, x) * inner(z, z)) * abs(exact / inner(x, z)))
            assert abs(mp.mpf(float(kernel[i, j])) - exact) <= limit + 1e-300


@pytest.mark.parametrize("far", [1e3, 1e6])
def test_a_shift_keeps_the_digits_of_close_rows_far_away(far):
    # Thirds, because products of dyadic numbers would be exact.
    X = np.array([[far, 0.0], [far + 0.5, 0.25], [far, 1.0]]) / 3.0
    kernel = exponential_ntk(X, row_shift=1.0)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert kernel[i, j] == pytest.approx(float(kernel_entry(X[i], X[j], 1.0, 1.0)), rel=1e-14, abs=0.0)


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (0.5, 0.1), (1.0, 0.5)])
def test_it_is_the_mean_of_gram_matrices(rng, scale, shift):
    X = 0.3 * rng.standard_normal((4, 3))
    products, squares = X @ X.T, (X**2).sum(axis=1)
    # A relative variance of exp(t^2 |x + z|^2) - 1 per neuron, known exactly.
    distances = squares[:, np.newaxis] + squares + 2.0 * products
    m = 200_000
    E = np.exp(scale * X @ rng.standard_normal((3, m)) - shift * squares[:, np.newaxis])
    kernel = exponential_ntk(X, weight_scale=scale, row_shift=shift)
    errors = np.abs(kernel) * np.sqrt(np.expm1(scale**2 * distances) / m)
    assert (np.abs(products * (E @ E.T) / m - kernel) <= 5.0 * errors).all()


def test_it_is_the_linear_kernel_times_that_of_the_features(rng):
    X = rng.standard_normal((30, 5))
    features = nngp_kernel(X, activation="exp", weight_scale=0.7)
    np.testing.assert_allclose(exponential_ntk(X, weight_scale=0.7), X @ X.T * features, rtol=1e-12)


def test_shifts_are_softmax_and_gaussian_kernels(rng):
    X, t = rng.standard_normal((20, 3)), 0.8
    products = X @ X.T
    distances = ((X[:, np.newaxis] - X) ** 2).sum(axis=2)
    softmax = exponential_ntk(X, weight_scale=t, row_shift=t**2 / 2.0)
    gaussian = exponential_ntk(X, weight_scale=t, row_shift=t**2)
    np.testing.assert_allclose(softmax, products * np.exp(t**2 * products), rtol=1e-12)
    np.testing.assert_allclose(gaussian, products * np.exp(-(t**2) * distances / 2.0), rtol=1e-12)


def test_long_and_short_rows_agree_across_the_change_of_formula(rng):
    directions = rng.standard_normal((6, 4))
    X = np.vstack([44.0 * directions / np.linalg.norm(directions, axis=1, keepdims=True), 2.0 * directions])
    apart = np.array([[exponential_ntk(x[np.newaxis], z[np.newaxis], row_shift=1.0)[0, 0] for z in X] for x in X])
    np.testing.assert_allclose(exponential_ntk(X, row_shift=1.0), apart, rtol=1e-11, atol=1e-13 * apart.max())


@pytest.mark.parametrize(("n", "rho"), [(5, 0.3), (12, 0.7)])
def test_equal_angles_have_known_eigenvalues(n, rho):
    X = np.linalg.cholesky(np.full((n, n), rho) + (1.0 - rho) * np.eye(n))
    values = np.linalg.eigvalsh(exponential_ntk(X))
    assert values[0] == pytest.approx(np.e * (np.e - rho * np.exp(rho)), rel=1e-12, abs=0.0)
    assert values[-1] == pytest.approx(np.e * (np.e + (n - 1) * rho * np.exp(rho)), rel=1e-12, abs=0.0)


def test_weight_scale_is_a_scale_of_the_rows(rng):
    X = rng.standard_normal((9, 3))
    np.testing.assert_allclose(
        exponential_ntk(X, weight_scale=0.6), exponential_ntk(0.6 * X) / 0.36, rtol=1e-12
    )


@pytest.mark.parametrize("shift", [0.0, 30.0])
def test_symmetry_threads_and_layout_change_nothing(rng, shift):
    X = rng.standard_normal((400, 3))
    kernel = exponential_ntk(X, row_shift=shift, n_jobs=1)
    assert (kernel == kernel.T).all()
    assert (kernel == exponential_ntk(np.asfortranarray(X), row_shift=shift, n_jobs=3)).all()
    np.testing.assert_allclose(exponential_ntk(X, X, row_shift=shift), kernel, rtol=1e-12, atol=1e-14)


def test_integers_float32_and_zero_rows():
    X = [[1, 2], [0, 0], [1, -1]]
    kernel = exponential_ntk(X)
    assert (kernel == exponential_ntk(np.array(X, np.float32))).all()
    assert not kernel[1].any() and kernel.dtype == np.float64


@pytest.mark.parametrize(
    ("X", "options", "error", "message"),
    [
        (THREE * np.nan, {}, ValueError, "X has 6 NaN or infinite entries"),
        (THREE[0], {}, ValueError, "X has 1 dimensions"),
        (THREE[:0], {}, ValueError, "at least one row"),
        (eye_array(3), {}, TypeError, r"pass X.toarray\(\)"),
        (THREE, {"Z": np.eye(3)}, ValueError, "X has 2 columns and Z has 3"),
        (THREE, {"Z": 1j * THREE}, TypeError, "Z has dtype complex128"),
        (THREE, {"weight_scale": 0.0}, ValueError, "weight_scale=0.0 is out of range"),
        (THREE, {"row_shift": -1.0}, ValueError, "row_shift=-1.0 is out of range"),
        (THREE, {"row_shift": True}, TypeError, "row_shift=True is not a number"),
        (40.0 * THREE, {}, OverflowError, r"exp\(1006\) on row 1 of X, whose norm is 22.4.*multiply the rows by 0.0447"),
        (THREE, {"Z": 1e3 * THREE}, OverflowError, "on row 1 of Z"),
        (THREE, {"weight_scale": 1e9}, OverflowError, "lower weight_scale"),
        (1e200 * THREE, {"row_shift": 1.0}, OverflowError, r"exp\(inf\) on row 0 of X, whose norm is 5e\+199"),
    ],
)
def test_hostile_input_is_refused(X, options, error, message):
    with pytest.raises(error, match=message):
        exponential_ntk(X, **options)


def test_the_longest_rows_that_fit_do():
    row = np.array([[18.7, 0.0]])
    for X in (row, np.vstack([row, -row, [[0.0, 18.7]]])):
        assert np.isfinite(exponential_ntk(X)).all()
    assert np.isfinite(exponential_ntk(np.array([[1e153, 0.0], [0.0, -1e153]]), row_shift=1.0)).all()


def test_memory_is_checked_before_it_is_taken(monkeypatch):
    monkeypatch.setattr(_validation, "available_memory", lambda: 8 * 3 * 3 - 1)
    with pytest.raises(MemoryError, match="the 3 x 3 kernel needs 72 bytes"):
        exponential_ntk(THREE)
