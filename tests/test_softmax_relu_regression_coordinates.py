"""What callbacks, and certificates of softmax-ReLU regressions, are given: all in the coordinates of the user."""

import numpy as np
import pytest

from underdetermined.objectives import SoftmaxReLU
from underdetermined.softmax_relu import softmax_relu_regression


def test_a_callback_with_other_parameters_is_given_points():
    rng = np.random.default_rng(0)
    seen = []

    def look(xk, intermediate_result=None):
        seen.append((xk, intermediate_result))

    A1, A2 = rng.normal(size=(8, 3)), rng.normal(size=(4, 8))
    softmax_relu_regression(A1, A2, rng.dirichlet(np.ones(4)), reg=0.01, x0=rng.normal(size=3), callback=look)
    assert {(xk.shape, other) for xk, other in seen} == {((3,), None)}


def test_directions_of_descent_are_those_of_the_user():
    """More unknowns than units: the solver works in the space of the rows, with rows of other norms."""
    rng = np.random.default_rng(1)
    A1, A2, b = 100.0 * rng.normal(size=(4, 9)), rng.normal(size=(5, 4)), rng.dirichlet(np.ones(5))
    with pytest.warns(UserWarning, match="no unit is active at x0"):
        result = softmax_relu_regression(A1, A2, b, reg=0.5, x0=np.zeros(9), options={"maxiter": 0})
    down = result.certificate.descent_direction
    assert down.shape == (9,)
    objective = SoftmaxReLU(A1, A2, b, reg=0.5)
    step = 1e-6 * down / np.linalg.norm(down)
    assert objective.value(result.x + step) < objective.value(result.x)


def test_slopes_of_pinned_units_are_those_of_the_user():
    rng = np.random.default_rng(2)
    A1 = np.geomspace(0.1, 100.0, 12)[:, np.newaxis] * rng.normal(size=(12, 4))
    A2, b = rng.normal(size=(6, 12)), rng.dirichlet(np.ones(6))
    result = softmax_relu_regression(A1, A2, b, reg=0.1, x0=rng.normal(size=4))
    pinned = result.certificate.pinned
    assert len(pinned) > 0
    point = SoftmaxReLU(A1, A2, b, reg=0.1).at(result.x)
    np.testing.assert_allclose(result.certificate.unit_slopes, point.unit_slopes[pinned], rtol=1e-8)
