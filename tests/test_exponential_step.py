"""The compiled step of networks with few inputs, against the products of the BLAS and the exponential of the package."""

import numpy as np
import pytest
from exponential_oracle import paired, problem

from underdetermined._kernels import VALUE, exponential_step
from underdetermined.objectives import Exponential, exponential


def step(inputs, weights, last, *, height=16, half=0, shift=0.0):
    """Residual for targets of zero, exponentials of the last rows, slopes of unit sample weights."""
    n, (d, m) = len(inputs), weights.shape
    buffer, residual, slopes = np.full((height, m), np.nan), np.full(n, np.nan), np.zeros((d, m))
    shifts, ones = np.full(n, shift), np.ones(n)
    exponential_step.step(inputs, shifts, 0.0 * ones, ones, weights, last, half, buffer, residual, slopes)
    return residual, buffer, slopes


@pytest.mark.parametrize("d", [1, 2, 3, 4])
@pytest.mark.parametrize(("n", "width"), [(1, 1), (3, 7), (16, 512), (18, 513), (200, 1100)])
@pytest.mark.parametrize("kind", [{}, {"weighted": True, "row_shift": 0.7, "uneven": True}])
def test_loops_and_products_agree(d, n, width, kind, monkeypatch):
    objective = problem(n=n, d=d, width=width, **kind)
    theta = objective.initial()
    found = objective.value_and_gradient(theta)
    monkeypatch.setattr(exponential, "MOST_INPUTS", 0)
    value, gradient = objective.value_and_gradient(theta)
    assert found[0] == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(found[1], gradient, rtol=0, atol=1e-12 * np.abs(gradient).max())


def test_loops_and_products_agree_on_pairs(monkeypatch):
    objective = paired(d=3, width=1040)
    theta = objective.initial() - 0.05 * objective.gradient(objective.initial())
    found = objective.value_and_gradient(theta)
    monkeypatch.setattr(exponential, "MOST_INPUTS", 0)
    value, gradient = objective.value_and_gradient(theta)
    assert found[0] == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(found[1], gradient, rtol=0, atol=1e-12 * np.abs(gradient).max())


def test_the_exponential_is_that_of_the_activation():
    exponents = np.concatenate(
        [np.linspace(-750.0, 715.0, 3001), [0.0, -0.0, 5e-324, 1e300, -1e300, np.inf, -np.inf, np.nan]]
    )
    expected = exponents.copy()
    VALUE["exp"](expected, np.empty(0), np.float64(1.0))
    _, tile, _ = step(np.ones((1, 1)), exponents[np.newaxis], np.ones(exponents.size), height=1)
    np.testing.assert_array_equal(tile[0], expected)
    # Without the extreme ones, where nothing is clamped.
    within = np.abs(exponents) < 690.0
    _, tile, _ = step(np.ones((1, 1)), exponents[np.newaxis, within], np.ones(within.sum()), height=1)
    np.testing.assert_array_equal(tile[0], expected[within])


@pytest.mark.parametrize("height", [1, 3, 4, 16, 50])
def test_rows_at_a_time_change_rounding_only(height):
    rng = np.random.default_rng(0)
    inputs, weights, last = rng.standard_normal((21, 3)), rng.standard_normal((3, 600)), rng.standard_normal(600)
    residual, _, slopes = step(inputs, weights, last, height=height, shift=0.25)
    activations = np.exp(inputs @ weights - 0.25)
    np.testing.assert_allclose(residual, activations @ last, rtol=0, atol=1e-12 * np.abs(activations @ last).max())
    known = inputs.T @ (residual[:, np.newaxis] * activations)
    np.testing.assert_allclose(slopes, known, rtol=0, atol=1e-12 * np.abs(known).max())


def test_slopes_without_rows_are_left_alone():
    residual = np.full(2, np.nan)
    arguments = [np.ones((2, 1)), np.zeros(2), np.ones(2), np.ones(2), np.zeros((1, 3)), np.ones(3)]
    exponential_step.step(*arguments, 0, np.empty((2, 3)), residual, np.empty((0, 3)))
    np.testing.assert_array_equal(residual, 2.0)


def test_strided_and_read_only_arguments_compile_nothing_new():
    objective = problem(d=3, n=20)
    theta = objective.initial()
    value, gradient = objective.value_and_gradient(theta)
    found = len(getattr(exponential_step.step, "signatures", ()))
    wide = np.repeat(objective.targets, 3, axis=1)[:, :1]
    weight = np.ones(40)[::2]
    X = np.asfortranarray(objective.X)
    for array in (wide, weight, X, theta):
        array.flags.writeable = False
    strided = Exponential(X, wide, objective.feature_map, objective.coef[:, :1], sample_weight=weight)
    again = strided.value_and_gradient(theta)
    assert again[0] == value
    np.testing.assert_array_equal(again[1], gradient)
    assert len(getattr(exponential_step.step, "signatures", ())) == found
