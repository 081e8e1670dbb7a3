"""Objectives against explicit formulas, finite differences and the tangent kernel."""

from dataclasses import replace

import numpy as np
import pytest
from catalogue import EVERY
from scipy import sparse

from underdetermined import FeatureMap
from underdetermined.gram import gram_matrix, ntk_matrix
from underdetermined.objectives import LeastSquares, TwoLayer


def network(rng, activation="tanh", n=7, d=3, width=11, k=2, with_biases=True):
    """A small problem: objective and parameters."""
    biases = {True: rng.standard_normal(width)}.get(with_biases)
    layer = FeatureMap(rng.standard_normal((d, width)), biases, activation=activation)
    X, Y, coef = (rng.standard_normal(shape) for shape in ((n, d), (n, k), (width, k)))
    objective = TwoLayer(X, Y, layer, coef)
    return objective, objective.initial()


def slope(objective, theta, direction, step):
    """Fourth-order difference quotient along a direction."""
    values = [objective.value(theta + multiple * step * direction) for multiple in (-2, -1, 1, 2)]
    return np.array([1, -8, 8, -1]) @ values / (12 * step)


def check_gradient(objective, theta, rng, step=1e-3, rtol=1e-8):
    gradient = objective.gradient(theta)
    for _ in range(3):
        direction = rng.standard_normal(theta.size)
        scale = np.linalg.norm(gradient) * np.linalg.norm(direction) / np.sqrt(theta.size)
        rounding = 10 * np.finfo(float).eps * objective.value(theta) / step
        assert abs(slope(objective, theta, direction, step) - gradient @ direction) <= rtol * scale + rounding
    value, both = objective.value_and_gradient(theta)
    assert value == pytest.approx(objective.value(theta), rel=1e-14)
    np.testing.assert_array_equal(both, gradient)


SMOOTH = sorted(name for name, activation in EVERY.items() if not activation.kinks and name != "step")
KINKED = sorted(set(EVERY) - set(SMOOTH) - {"step"})


@pytest.mark.parametrize("with_biases", [True, False])
@pytest.mark.parametrize("name", SMOOTH)
def test_network_gradient(rng, name, with_biases):
    objective, theta = network(rng, EVERY[name], with_biases=with_biases)
    assert objective.n_parameters == theta.size == 11 * (3 + with_biases + 2)
    check_gradient(objective, 0.5 * theta, rng, step=3e-4, rtol=1e-7)


@pytest.mark.parametrize("name", KINKED)
def test_network_gradient_between_kinks(rng, name):
    """A step this small passes a kink of none of the 77 pre-activations."""
    objective, theta = network(rng, EVERY[name])
    check_gradient(objective, theta, rng, step=1e-7, rtol=1e-6)


def test_network_of_steps_trains_its_last_layer_only(rng):
    objective, theta = network(rng, "step")
    gradient = objective.gradient(theta)
    assert not gradient[: 11 * 4].any()
    features = objective.feature_map(objective.X)
    np.testing.assert_allclose(gradient[11 * 4 :], (features.T @ objective.residual(theta)).ravel(), atol=1e-13)


@pytest.mark.parametrize("with_biases", [True, False])
@pytest.mark.parametrize("name", ["relu", "gelu", "sin_cos"])
def test_squared_gradient_is_a_quadratic_form_of_the_tangent_kernel(rng, name, with_biases):
    """|J.T r|^2 = r.T J J.T r, with J J.T from a module that forms no gradient."""
    objective, theta = network(rng, name, k=1, with_biases=with_biases)
    layer, coef, _ = objective.network(theta)
    residual = objective.residual(theta)
    expected = float((residual.T @ ntk_matrix(layer, objective.X, coef) @ residual)[0, 0])
    assert np.linalg.norm(objective.gradient(theta)) ** 2 == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("k", [1, 2])
def test_network_with_a_factor_for_each_neuron(rng, k):
    objective, theta = network(rng, "tanh", k=k)
    factors = rng.uniform(0.2, 3.0, 11)
    scaled = TwoLayer(objective.X, objective.targets, replace(objective.feature_map, scale=factors), objective.coef)
    layer, coef, _ = scaled.network(theta)
    np.testing.assert_array_equal(layer.scale, factors)
    np.testing.assert_allclose(scaled.residual(theta), layer(scaled.X) @ coef - scaled.targets, atol=1e-13)
    check_gradient(scaled, theta, rng, step=3e-4, rtol=1e-7)


def test_network_is_what_its_parameters_say(rng):
    objective, theta = network(rng)
    layer, coef, intercept = objective.network(theta)
    assert intercept is None
    np.testing.assert_array_equal(layer.weights, objective.feature_map.weights)
    np.testing.assert_array_equal(layer.biases, objective.feature_map.biases)
    np.testing.assert_allclose(objective.residual(theta), layer(objective.X) @ coef - objective.targets, atol=1e-14)
    assert objective.value(theta) == pytest.approx(0.5 * (objective.residual(theta) ** 2).sum())
    moved = theta + 1.0
    layer, coef, _ = objective.network(moved)
    np.testing.assert_allclose(objective.residual(moved), layer(objective.X) @ coef - objective.targets, atol=1e-13)
    assert layer.scale == objective.feature_map.scale
    layer.weights[0] = 5.0
    np.testing.assert_array_equal(moved, theta + 1.0)


def test_single_precision_inputs_are_trained_in_double(rng):
    layer = FeatureMap(rng.standard_normal((2, 5)).astype(np.float32))
    objective = TwoLayer(rng.standard_normal((4, 2)).astype(np.float32), [1, 2, 3, 4], layer, np.ones(5))
    theta = objective.initial()
    double, coef, _ = objective.network(theta)
    assert (theta.dtype, double.weights.dtype) == (np.float64, np.float64)
    expected = double(objective.X) @ coef - objective.targets
    np.testing.assert_allclose(objective.residual(theta), expected, atol=1e-14)


FORMS = {
    "array": lambda A: A,
    "fortran": np.asfortranarray,
    "single": lambda A: A.astype(np.float32),
    "sparse": sparse.csr_array,
    "operator": lambda A: sparse.linalg.aslinearoperator(A),
}


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("form", FORMS)
def test_least_squares(rng, form, k):
    A, Y, theta = rng.standard_normal((6, 9)), rng.standard_normal((6, k)), rng.standard_normal(9 * k)
    A = A.astype(np.float32).astype(np.float64)
    objective = LeastSquares(FORMS[form](A), Y)
    coef = theta.reshape(9, k)
    assert objective.n_parameters == 9 * k
    np.testing.assert_allclose(objective.residual(theta), Y - A @ coef, atol=1e-13)
    np.testing.assert_allclose(objective.residual(coef), Y - A @ coef, atol=1e-13)
    assert objective.value(theta) == pytest.approx(0.5 * np.linalg.norm(Y - A @ coef) ** 2)
    np.testing.assert_allclose(objective.gradient(theta), (A.T @ (A @ coef - Y)).ravel(), atol=1e-12)
    check_gradient(objective, theta, rng)


def test_squared_gradient_of_least_squares_is_a_quadratic_form_of_the_gram_matrix(rng):
    layer = FeatureMap(rng.standard_normal((3, 20)))
    X, y = rng.standard_normal((8, 3)), rng.standard_normal(8)
    objective = LeastSquares(layer.operator(X), y)
    assert np.linalg.norm(objective.gradient(np.zeros(20))) ** 2 == pytest.approx(y @ gram_matrix(layer(X)) @ y)


def test_huge_parameters_overflow_in_silence(rng):
    A = rng.standard_normal((3, 4))
    for form in FORMS.values():
        objective = LeastSquares(form(A), np.ones(3))
        np.testing.assert_allclose(objective.residual(np.full(4, 1e200)), -(A.sum(axis=1) * 1e200)[:, None], rtol=1e-5)
        assert objective.value(np.full(4, 1e200)) == np.inf
        assert not np.isfinite(objective.gradient(np.full(4, 1.7e308))).all()
        assert np.isnan(objective.value(np.array([np.inf, -np.inf, 0.0, 0.0])))
    network_objective, theta = network(rng, "relu")
    assert network_objective.value(1e120 * theta) == np.inf
    assert not np.isfinite(network_objective.gradient(1e300 * theta)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LeastSquares([[1.0, np.nan]], [1.0]), "features has 1 NaN"),
        (lambda: LeastSquares([[1.0, 2.0]], [1.0, 2.0]), "targets has 2 rows"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
