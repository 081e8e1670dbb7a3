"""Values in the log domain against multiple precision, and the limits of exponents, just below and just above."""

import warnings

import mpmath
import numpy as np
import pytest

from underdetermined import FeatureMap
from underdetermined.exponential import check_exponents, draw_network, log_predict
from underdetermined.exponential._safety import PREDICTION_LIMIT, TRAINING_LIMIT


def in_multiple_precision(layer, coef, X, intercept):
    """f(X) term by term, with 60 digits."""
    weights, scale = layer.weights.astype(float), np.broadcast_to(layer.scale, layer.width)
    biases = np.zeros(layer.width) if layer.biases is None else layer.biases
    with mpmath.workdps(60):
        number = np.vectorize(mpmath.mpf, otypes=[object])
        z = number(X) @ number(weights) + number(biases) - (number(X) ** 2).sum(axis=1)[:, None] * layer.row_shift
        return np.vectorize(mpmath.exp, otypes=[object])(z) @ (number(scale)[:, None] * number(coef)) + number(intercept)


def assert_agree(found, expected, tolerance):
    sign, log_magnitude = found
    with mpmath.workdps(60):
        np.testing.assert_array_equal(sign, np.vectorize(mpmath.sign, otypes=[float])(expected))
        logs = np.vectorize(lambda f: mpmath.log(abs(f)), otypes=[object])(expected)
        assert np.abs((log_magnitude - logs).astype(float)).max() < tolerance


@pytest.mark.parametrize("size", [0.01, 1.0, 30.0, 1e3, 1e6])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_values_against_multiple_precision(size, n_outputs):
    layer, coef = draw_network(3, 41, n_outputs, symmetric=False, seed=1)
    rng = np.random.default_rng(2)
    X = size * rng.standard_normal((6, 3))
    offset = rng.standard_normal(n_outputs)
    found = log_predict(layer, coef, X, intercept=offset)
    largest = check_exponents(layer, X * (1e-6 / size)).largest * size / 1e-6
    assert_agree(found, in_multiple_precision(layer, coef, X, offset), 1e-13 * max(1.0, largest))


def test_unequal_scales_biases_and_coefficients():
    rng = np.random.default_rng(5)
    scale = rng.choice([-1.0, 1.0], 20) * 10.0 ** rng.uniform(-200, 200, 20)
    layer = FeatureMap(rng.standard_normal((2, 20)), 300 * rng.standard_normal(20), "exp", scale, row_shift=0.5)
    coef = rng.standard_normal((20, 2)) * 10.0 ** rng.uniform(-300, 300, (20, 2))
    coef[3:5] = 0.0
    X = rng.standard_normal((5, 2))
    assert_agree(log_predict(layer, coef, X), in_multiple_precision(layer, coef, X, np.zeros(2)), 1e-11)


def test_a_neuron_without_coefficient_hides_nothing():
    layer = FeatureMap([[5000.0, 1.0]], activation="exp", scale=1.0)
    sign, log_magnitude = log_predict(layer, [0.0, -1.0], [[1.0], [2.0]])
    np.testing.assert_array_equal(sign, -1.0)
    np.testing.assert_array_equal(log_magnitude, [[1.0], [2.0]])


def test_the_twentythird_oracle_value():
    layer = FeatureMap([[1200.0, 1180.0]], activation="exp", scale=1.0)
    sign, log_magnitude = log_predict(layer, [1.0, -1.0], [[1.0]])
    assert sign.item() == 1.0
    assert log_magnitude.item() == pytest.approx(1199.9999999979388, rel=1e-15)


def test_moderate_values_are_those_of_the_feature_map():
    layer, coef = draw_network(4, 1500, 2, symmetric=False)
    X = np.random.default_rng(0).standard_normal((600, 4))
    sign, log_magnitude = log_predict(layer, coef, X, intercept=2.0)
    np.testing.assert_allclose(sign * np.exp(log_magnitude), layer(X) @ coef + 2.0, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("size", [1.0, 1e5])
def test_a_symmetric_start_is_exactly_zero(size):
    layer, coef = draw_network(5, 3000, 2)
    X = size * np.random.default_rng(0).standard_normal((7, 5))
    sign, log_magnitude = log_predict(layer, coef, X)
    assert (sign == 0).all() and (log_magnitude == -np.inf).all()


def test_the_intercept_alone_is_left_of_a_symmetric_start():
    layer, coef = draw_network(5, 30)
    sign, log_magnitude = log_predict(layer, coef, np.ones((2, 5)), intercept=[-np.e])
    np.testing.assert_array_equal(sign, -1.0)
    np.testing.assert_array_equal(log_magnitude, 1.0)


def test_threads_and_layouts_change_nothing():
    layer, coef = draw_network(3, 2000, symmetric=False)
    one, many = (FeatureMap(layer.weights, activation="exp", n_jobs=n_jobs) for n_jobs in (1, 3))
    X = np.random.default_rng(0).standard_normal((700, 3))
    expected = log_predict(one, coef, X)[1]
    np.testing.assert_array_equal(log_predict(many, coef, X)[1], expected)
    np.testing.assert_allclose(log_predict(one, coef, np.asfortranarray(X))[1], expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(log_predict(one, coef, X.astype(np.float32)), log_predict(one, coef, X.astype(np.float32)))


def one_neuron(weight=1.0):
    return FeatureMap([[weight]], activation="exp", scale=1.0)


def test_the_limits_are_where_doubles_end():
    assert np.isfinite(np.exp(PREDICTION_LIMIT))
    with np.errstate(over="ignore"):
        assert np.exp(PREDICTION_LIMIT + 1e-9) == np.inf
    assert np.isfinite(1e3 * np.exp(2 * TRAINING_LIMIT))


@pytest.mark.parametrize(("exponent", "training"), [(350.0, True), (350.1, False), (709.78, False), (-1e300, True)])
def test_exponents_within_the_limit_pass(exponent, training):
    found = check_exponents(one_neuron(), [[exponent]], training=training)
    assert found.largest == found.smallest == exponent


@pytest.mark.parametrize(
    ("exponent", "training", "limit"), [(350.1, True, "350"), (709.79, False, "709.78"), (709.79, True, "350")]
)
def test_exponents_beyond_the_limit_are_refused(exponent, training, limit):
    with pytest.raises(OverflowError, match=f"max <w, x> = {exponent:.5g} > {limit}.* overflow"):
        check_exponents(one_neuron(), [[exponent]], training=training)


def test_the_message_has_the_norm_and_the_factor():
    with pytest.raises(OverflowError, match=r"812.4 > 709.78.*largest norm is 187.2; recommended.* factor of 0.00534"):
        check_exponents(one_neuron(812.4 / 187.2), [[187.2], [1.0]])
    with pytest.raises(OverflowError, match="is 2000; turn back$"):
        check_exponents(one_neuron(), [[2000.0]], remedy="turn back")


@pytest.mark.parametrize("layer", [FeatureMap([[1.0]], [800.0], "exp"), FeatureMap([[1e5]], activation="exp")])
def test_rows_of_norms_below_one_are_not_to_be_scaled(layer):
    row = [[0.01 * (layer.biases is None)]]
    with pytest.raises(OverflowError, match="> 709.78.*; recommended: smaller weights and biases$"):
        check_exponents(layer, row)


@pytest.mark.parametrize("row", [[1e308, 1e308], [1e308, -1e308], [-1e308, 1e308]])
def test_exponents_that_overflow_themselves_are_refused(row):
    layer = FeatureMap([[1e200, 1.0], [1e200, 1.0]], activation="exp")
    with pytest.raises(OverflowError, match="max <w, x> = inf"):
        check_exponents(layer, [row])
    with pytest.raises(OverflowError, match="rescale the rows"):
        log_predict(layer, [1.0, 1.0], [row])


def test_range_of_exponents():
    rng = np.random.default_rng(0)
    layer, _ = draw_network(3, 1100, symmetric=False)
    X = 0.1 * rng.standard_normal((520, 3))
    z = X @ layer.weights
    found = check_exponents(layer, X)
    np.testing.assert_allclose([found.largest, found.smallest, found.spread], [z.max(), z.min(), np.ptp(z)], rtol=1e-12)
    assert found.row_norm == pytest.approx(np.linalg.norm(X, axis=1).max())
    assert not found.is_wide


def test_rows_shifted_by_the_feature_map():
    layer = FeatureMap([[1.0]], activation="exp", row_shift=0.5)
    assert check_exponents(layer, [[10.0]]).largest == -40.0


@pytest.mark.parametrize(("spread", "is_wide"), [(36.0, False), (36.1, True)])
def test_neurons_too_far_apart(spread, is_wide):
    assert check_exponents(FeatureMap([[1.0, 0.0]], activation="exp"), [[spread]]).is_wide is is_wide


def test_rows_of_zeros():
    layer = one_neuron()
    assert check_exponents(layer, [[0.0]]).row_norm == 0.0
    assert log_predict(layer, [2.0], [[0.0]])[1].item() == pytest.approx(np.log(2))


@pytest.mark.parametrize("call", [lambda layer, X: check_exponents(layer, X), lambda layer, X: log_predict(layer, [1.0], X)])
@pytest.mark.parametrize(
    ("X", "message"), [([[np.nan]], "NaN"), ([[1.0, 2.0]], "2 columns"), (np.empty((0, 1)), "shape"), ([1.0], "dimensions")]
)
def test_rows_that_do_not_fit(call, X, message):
    with pytest.raises(ValueError, match=message):
        call(one_neuron(), X)


def test_arguments_that_do_not_fit():
    with pytest.raises(ValueError, match="'relu': pass one with 'exp'"):
        check_exponents(FeatureMap([[1.0]]), [[1.0]])
    with pytest.raises(ValueError, match="intercept"):
        log_predict(one_neuron(), [1.0], [[1.0]], intercept=np.nan)
    with pytest.raises(ValueError, match=r"intercept has shape \(2,\)"):
        log_predict(one_neuron(), [1.0], [[1.0]], intercept=[1.0, 2.0])
    with pytest.raises(ValueError, match="coef"):
        log_predict(one_neuron(), [1.0, 2.0], [[1.0]])


def test_nothing_warns():
    layer, coef = draw_network(2, 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        log_predict(layer, coef, 1e300 * np.eye(2) / np.abs(layer.weights).max())
