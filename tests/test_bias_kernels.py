"""Kernels of ReLU layers with a constant bias: against multiple precision, simulation, published values and identities."""

import numpy as np
import pytest
from mpmath import mp, mpf
from orthant_oracle import ANGLES, DIGITS, MATRICES, NORMS, ROWS, SCALARS, bias_pairs, form_labels, row_moments, tail
from scipy.sparse import csr_matrix
from scipy.special import erfcx, ndtr

from underdetermined import _validation
from underdetermined.kernels import bias_nngp, bias_ntk, orthant_probability

TOLERANCE = 1e-13
KERNELS = [bias_ntk, bias_nngp]
both_kernels = pytest.mark.parametrize("kernel", KERNELS)


@pytest.fixture
def rows(rng):
    """Rows of all lengths, some repeated, opposite, parallel, or zero; more than a tile."""
    X = rng.standard_normal((230, 5)) * rng.uniform(0.2, 3.0, (230, 1))
    X[200], X[210], X[220], X[229] = X[3], -X[4], 2.5 * X[5], 0.0
    X.flags.writeable = False
    return X


def planar(rho):
    """Two unit rows with a correlation."""
    return np.array([[1.0, 0.0], [rho, np.sqrt((1.0 - rho) * (1.0 + rho))]])


def test_random_entries_against_multiple_precision(rng):
    failed = {}
    with mp.workdps(DIGITS):
        for pair in bias_pairs(rng, len(ANGLES) * len(NORMS)):
            x, z = pair.x[np.newaxis], pair.z[np.newaxis]
            ntk = bias_ntk(x, z, bias=pair.bias, bias_scale=pair.bias_scale)[0, 0]
            nngp = bias_nngp(np.vstack([x, z]), bias=pair.bias)[1, 0]
            *exact, exponent = pair.reference()
            errors = pair.errors([ntk, nngp], exact, exponent)
            failed |= {str(pair): each for each in errors if not each <= TOLERANCE}
    assert not failed


def test_published_moments():
    for name, h, k, rho, text in SCALARS:
        pair = planar(rho) / np.maximum([[h], [k]], 1e-9)
        bias = float(max(h, k) > 0.0)
        moment = bias_nngp(pair, bias=bias)[0, 1] / np.linalg.norm(pair, axis=1).prod()
        probability = bias_ntk(pair, bias=bias)[0, 1] / (pair[0] @ pair[1] + 1.0)
        value = {"L": probability, "M": moment}[name]
        assert value == pytest.approx(float(text), rel=TOLERANCE * (1.0 + max(h, k) ** 2 / (1.0 + min(rho, 0.0))))


def test_published_matrices():
    found, expected = [], []
    for quantity, name, bias, text in MATRICES:
        matrix = {"ntk": bias_ntk, "nngp": bias_nngp}[quantity.rpartition(" ")[2]](ROWS[name], bias=bias)
        values, y = np.linalg.eigvalsh(matrix), form_labels(len(matrix))
        form = y @ np.linalg.solve(matrix, y)
        found.append({"smallest": values[0], "largest": values[-1], "inverse": form}[quantity.partition(" ")[0]])
        expected.append(float(text))
    assert len(MATRICES) + len(SCALARS) == 46
    np.testing.assert_allclose(found, expected, rtol=3e-12)


@pytest.mark.parametrize("bias", [0.0, 0.8, 2.0])
def test_simulated_layers(bias, rng):
    X = np.array([[1.0, 0.3, 0.0], [1.0, 0.0, 0.5], [0.8, -0.9, 0.5], [2.0, 1.0, 0.0]])
    draws = np.array([[simulated @ simulated.T for simulated in layer(X, bias, rng)] for _ in range(60)])
    for mean, error, exact in zip(
        draws.mean(axis=0),
        draws.std(axis=0) / np.sqrt(len(draws)),
        (bias_ntk(X, bias=bias, bias_scale=0.5) / (X @ X.T + 0.25), bias_nngp(X, bias=bias)),
        strict=True,
    ):
        assert (np.abs(mean - exact) <= 5.0 * error + 1e-12).all()


def layer(X, bias, rng, width=4000):
    """Masks and features of a random layer."""
    z = X @ rng.standard_normal((X.shape[1], width)) - bias
    return np.where(z > 0.0, z**0.0, 0.0) / np.sqrt(width), np.maximum(z, 0.0) / np.sqrt(width)


def test_no_bias_is_half_of_the_arc_cosine_kernels():
    angles = np.linspace(0.0, 3.1, 20)
    X = np.column_stack([np.cos(angles), np.sin(angles)])
    rest, cosine = np.pi - angles, np.cos(angles)
    np.testing.assert_allclose(bias_nngp(X[:1], X, bias=0.0)[0], (np.sin(angles) + rest * cosine) / (2 * np.pi), rtol=1e-11)
    np.testing.assert_allclose(bias_ntk(X[:1], X, bias=0.0, bias_scale=0.0)[0], cosine * rest / (2 * np.pi), rtol=1e-13)


def test_slope_in_the_correlation():
    rho, step, bias = 0.3, 1e-4, 1.4
    above, below = (bias_nngp(planar(rho + sign * step), bias=bias)[0, 1] for sign in (1.0, -1.0))
    assert (above - below) / (2.0 * step) == pytest.approx(orthant_probability(bias, bias, rho), rel=1e-7, abs=0.0)


@pytest.mark.parametrize("bias", [0.0, 0.7, 6.0, 30.0])
def test_diagonals(bias, rows):
    squares = (rows[:-1] ** 2).sum(axis=1)
    h = bias / np.sqrt(squares)
    tail = 0.5 * erfcx(h / np.sqrt(2.0))
    tangent, features = (np.diag(kernel(rows[:-1], bias=bias)) for kernel in KERNELS)
    tolerance = 1e-14 * (1.0 + h**2)
    assert (np.abs(tangent - (squares + 1.0) * ndtr(-h)) <= tolerance * tangent).all()
    assert (np.diag(bias_ntk(rows[:-1], bias=bias, scaled=True)) == pytest.approx(squares + 1.0, rel=1e-14, abs=0.0))
    expected = squares * ((1.0 + h * h) * tail - h / np.sqrt(2.0 * np.pi)) * np.exp(-0.5 * h * h)
    lost = (1.0 + h * h) ** 3
    assert (np.abs(features - expected) <= tolerance * lost * features).all()


@both_kernels
@pytest.mark.parametrize("bias", [0.5, 3.0])
def test_scaled_entries_are_entries_over_tails(kernel, bias, rows):
    tails = np.sqrt(ndtr(-bias / np.linalg.norm(rows[:-1], axis=1)))
    scaled, plain = (kernel(rows[:-1], bias=bias, scaled=flag) for flag in (True, False))
    is_normal = np.abs(plain) > 1e-280
    np.testing.assert_allclose((scaled * np.outer(tails, tails))[is_normal], plain[is_normal], rtol=1e-12)


@pytest.mark.parametrize("bias", [6.0, 30.0])
def test_scaled_entries_survive_any_bias(bias):
    for rho, length in ((0.9999, 1.0), (0.9, 1.0), (0.9999, 1.001), (0.97, 1.2)):
        x, z = planar(rho) * [[1.0], [length]]
        with mp.workdps(DIGITS):
            found, norms, both = row_moments(x, z, bias)
            scale = mp.sqrt(tail(bias / norms[0]) * tail(bias / norms[1]))
            expected = (both + 1) * found.probability / scale, norms[0] * norms[1] * found.moment / scale
            tolerance = TOLERANCE * float(1 + found.exponent)
        values = [kernel(x[np.newaxis], z[np.newaxis], bias=bias, scaled=True)[0, 0] for kernel in KERNELS]
        assert values == [pytest.approx(float(value), rel=tolerance) for value in expected]
        assert values[0] > 1e-100


def test_scaled_diagonals_at_any_bias():
    for bias in (0.0, 30.0, 1e99):
        np.testing.assert_allclose(bias_ntk(np.eye(2), bias=bias, scaled=True).diagonal(), 2.0, rtol=0.0)


@both_kernels
@pytest.mark.parametrize("scaled", [False, True])
def test_equal_rows_have_the_diagonal_bit_for_bit(kernel, scaled, rows):
    matrix = kernel(rows, bias=1.1, scaled=scaled)
    assert np.array_equal(matrix, matrix.T)
    assert matrix[200, 3] == matrix[3, 3] == matrix[200, 200]
    np.testing.assert_allclose(matrix[200], matrix[3], rtol=1e-13, atol=1e-15)
    assert np.array_equal(np.diag(kernel(rows, rows, bias=1.1, scaled=scaled)), np.diag(matrix))
    assert np.linalg.eigvalsh(kernel(rows[[3, 200]], bias=1.1, scaled=scaled))[0] == pytest.approx(0.0, abs=1e-15)


@both_kernels
@pytest.mark.parametrize("bias", [0.0, 1.0])
def test_rows_of_zeros_are_silent(kernel, bias, rows):
    for scaled in (False, True):
        matrix = kernel(rows, bias=bias, scaled=scaled)
        assert not matrix[-1].any()
        assert np.isfinite(matrix).all()


@both_kernels
def test_opposite_rows_share_no_neuron(kernel, rows):
    assert kernel(rows[[4, 210]], bias=0.0)[0, 1] == 0.0
    assert kernel(rows[[4, 210]], bias=1.0)[0, 1] == 0.0


def test_parallel_rows(rows):
    short, long = np.sort(np.linalg.norm(rows[[5, 220]], axis=1))
    entry = bias_ntk(rows[[5, 220]], bias=1.0)[0, 1] / (short * long + 1.0)
    assert entry == pytest.approx(ndtr(-1.0 / short), rel=1e-14, abs=0.0)


@both_kernels
def test_one_answer(kernel, rows):
    expected = kernel(rows, bias=0.9, n_jobs=1)
    others = np.asfortranarray(rows), rows.astype(">f8"), np.repeat(rows, 2, axis=1)[:, ::2]
    for other in others:
        assert np.array_equal(kernel(other, bias=0.9, n_jobs=3), expected)
    np.testing.assert_allclose(kernel(rows, rows[::-1], bias=0.9)[:, ::-1], expected, rtol=1e-12, atol=1e-14)
    single = np.float32(rows)
    assert np.array_equal(kernel(single, bias=0.9), kernel(single.astype(float), bias=0.9))
    assert kernel(np.array([[1, 2], [3, 4]]), bias=1).dtype == np.float64


@both_kernels
def test_powers_of_two_change_nothing(kernel, rows):
    expected = kernel(rows, bias=0.75)
    shift = {bias_ntk: {"bias_scale": 2.0**-200}, bias_nngp: {}}[kernel]
    assert np.array_equal(np.ldexp(kernel(np.ldexp(rows, -200), bias=0.75 * 2.0**-200, **shift), 400), expected)


@both_kernels
def test_extreme_lengths(kernel):
    x = np.array([[3.0, 4.0]])
    assert kernel(1e-300 * x, bias=0.0)[0, 0] >= 0.0
    assert kernel(1e-200 * x, 1e100 * x, bias=1.0)[0, 0] == 0.0
    assert np.isfinite(kernel(1e150 * x, 1e-150 * x, bias=0.0)).all()
    with pytest.raises(OverflowError, match=r"row 1, whose norm is 5e\+200"):
        kernel(np.vstack([x, 1e200 * x]), bias=1.0)
    with pytest.raises(OverflowError, match="row 0"):
        kernel(x, 1e200 * x, bias=1.0)


def test_a_bias_rate_of_its_own(rows):
    parts = [bias_ntk(rows, bias=1.0, bias_scale=scale) for scale in (0.0, 1.0, 2.0)]
    np.testing.assert_allclose(parts[2] - parts[0], 4.0 * (parts[1] - parts[0]), atol=1e-13)


def test_sums_that_cancel_keep_their_digits():
    # <x, z> = -1 + 2**-40 exactly, and 1 + <x, z> with it.
    x, z = np.array([[1.0, 2.0**-20]]), np.array([[-1.0, 2.0**-20]])
    with mp.workdps(DIGITS):
        angle = 2 * mp.atan(mpf(2) ** -20)
        expected = float(mpf(2) ** -40 * angle / (2 * mp.pi))
    assert bias_ntk(x, z, bias=0.0)[0, 0] == pytest.approx(expected, rel=1e-15, abs=0.0)
    scale = 1.0 + 2.0**-30
    inner = -scale**2
    left, right = np.array([[1.0, 0.5]]), np.array([[inner, 2.0**-59]])
    with mp.workdps(DIGITS):
        exact = float(mpf(inner) + mpf(2) ** -60 + mpf(scale) ** 2)
    probability = bias_ntk(left, right, bias=0.0, bias_scale=0.0)[0, 0] / (inner + 2.0**-60)
    found = bias_ntk(left, right, bias=0.0, bias_scale=scale)[0, 0]
    assert found == pytest.approx(exact * probability, rel=1e-14, abs=0.0)


@both_kernels
@pytest.mark.parametrize(
    ("change", "error_type", "text"),
    [
        ({"X": [[1.0, np.nan]]}, ValueError, "X has 1 NaN"),
        ({"X": [1.0, 2.0]}, ValueError, "X has 1 dimensions"),
        ({"X": np.zeros((0, 2))}, ValueError, "at least one row"),
        ({"X": csr_matrix(np.eye(2))}, TypeError, "X is a sparse matrix"),
        ({"Z": np.eye(3)}, ValueError, "X has 2 columns and Z has 3"),
        ({"Z": [[np.inf, 0.0]]}, ValueError, "Z has 1 NaN or infinite"),
        ({"bias": -1.0}, ValueError, "bias=-1.0 is out of range"),
        ({"bias": np.nan}, ValueError, "bias=nan"),
        ({"bias": "2"}, TypeError, "bias='2' is not a number"),
        ({"scaled": 1}, TypeError, "scaled=1 is not a truth value"),
        ({"n_jobs": 0}, ValueError, "n_jobs=0"),
    ],
)
def test_refusals(kernel, change, error_type, text):
    arguments = {"X": np.eye(2), "Z": None, "bias": 1.0} | change
    with pytest.raises(error_type, match=text):
        kernel(**arguments)


@pytest.mark.parametrize("scale", [-1.0, np.inf, 1e200])
def test_bias_scales_out_of_range(scale):
    with pytest.raises(ValueError, match="bias_scale"):
        bias_ntk(np.eye(2), bias=1.0, bias_scale=scale)


def test_no_bias_scale_is_no_other_kernel():
    with pytest.raises(TypeError, match="bias_scale=None is not a number"):
        bias_ntk(np.eye(2), bias=1.0, bias_scale=None)


@both_kernels
def test_too_much_memory(kernel, monkeypatch):
    monkeypatch.setattr(_validation, "available_memory", lambda: 1000)
    with pytest.raises(MemoryError, match="the 20 x 20 kernel needs 3200 bytes"):
        kernel(np.ones((20, 2)), bias=1.0)
