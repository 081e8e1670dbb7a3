"""The loss of the hidden layer, against the two-layer objective, differences and repeated rows."""

import numpy as np
import pytest
from sparse_networks import problem, train

from underdetermined import FeatureMap
from underdetermined.objectives import SparseReLU, TwoLayer
from underdetermined.optimize import gradient_descent


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_loss_and_gradient_are_those_of_two_layers_whose_last_one_is_fixed(n_outputs):
    objective = problem(n_outputs=n_outputs)
    both = TwoLayer(objective.X, objective.targets, objective.feature_map, objective.coef)
    value, gradient = both.value_and_gradient(both.initial())
    found, slopes = objective.value_and_gradient(objective.initial())
    assert found == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(slopes, gradient[: objective.n_parameters], rtol=0, atol=1e-13 * np.abs(gradient).max())


@pytest.mark.parametrize("bias_scale", [0.0, 0.5, 2.0])
def test_gradient_is_the_limit_of_differences(bias_scale):
    objective = problem(bias_scale=bias_scale, n_outputs=2, weighted=True, n=20, width=40)
    theta = objective.initial()
    direction = np.random.default_rng(1).standard_normal(theta.size)
    step = 1e-7
    slope = (objective.value(theta + step * direction) - objective.value(theta - step * direction)) / (2 * step)
    assert objective.gradient(theta) @ direction == pytest.approx(slope, rel=1e-6)


def test_a_weight_counts_how_often_a_row_is_there():
    objective = problem(n=12, width=30)
    count = np.array([1, 2, 3] * 4)
    weighted = SparseReLU(
        objective.X, objective.targets, objective.feature_map, objective.coef, sample_weight=count, bias_scale=0.7
    )
    repeated = SparseReLU(
        np.repeat(objective.X, count, axis=0),
        np.repeat(objective.targets, count, axis=0),
        objective.feature_map,
        objective.coef,
        bias_scale=0.7,
    )
    theta = weighted.initial()
    assert weighted.value(theta) == pytest.approx(repeated.value(theta), rel=1e-14)
    np.testing.assert_allclose(weighted.gradient(theta), repeated.gradient(theta), rtol=0, atol=1e-13)


@pytest.mark.parametrize("bias_scale", [0.0, 1.0, 2.0])
def test_gradient_descent_takes_the_steps_that_are_defined(bias_scale):
    objective = problem(bias_scale=bias_scale, weighted=True)
    reference = train(objective, 0.3, 20)
    trajectory = gradient_descent(objective, objective.initial(), learning_rate=0.3, max_iter=20)
    network = objective.network(trajectory.theta)
    np.testing.assert_allclose(network.weights, reference.weights, rtol=0, atol=1e-13)
    np.testing.assert_allclose(network.biases, reference.biases, rtol=0, atol=1e-13)
    np.testing.assert_allclose(trajectory.value, reference.value, rtol=1e-13)
    np.testing.assert_allclose(objective.residual(trajectory.theta), reference.residual, rtol=0, atol=1e-13)


def test_no_biases_are_zeros():
    hidden = FeatureMap([[1.0, -1.0]], scale=1.0)
    objective = SparseReLU([[2.0]], [0.0], hidden, [3.0, 1.0])
    assert objective.biases.tolist() == [0.0, 0.0]
    assert objective.value(objective.initial()) == 18.0


def test_the_derivative_at_zero_is_zero():
    objective = SparseReLU([[1.0]], [1.0], FeatureMap([[1.0]], [-1.0], scale=1.0), [1.0])
    assert objective.gradient(objective.initial()).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"feature_map": FeatureMap([[1.0, 1.0]], activation="tanh")}, "'tanh'.*'relu'"),
        ({"X": [[1.0, 2.0]]}, "2 columns.*1 inputs"),
        ({"coef": [[1.0, 1.0], [1.0, 1.0]]}, "coef has 2 columns.*1"),
        ({"coef": [1.0]}, "coef has 1 rows"),
        ({"sample_weight": [-1.0]}, "negative"),
        ({"bias_scale": -1.0}, "bias_scale=-1.0"),
        ({"targets": [np.nan]}, "targets has 1 NaN"),
        ({"coef": [1e308, 1.0], "feature_map": FeatureMap([[1.0, 1.0]], scale=1e10)}, "scale . coef"),
    ],
)
def test_errors_name_argument_and_remedy(change, message):
    arguments = {"X": [[1.0]], "targets": [0.0], "feature_map": FeatureMap([[1.0, 1.0]]), "coef": [1.0, 1.0], **change}
    with pytest.raises(ValueError, match=message):
        SparseReLU(**arguments)


def test_a_loss_that_overflows_is_infinite_without_a_warning():
    objective = SparseReLU([[1e200]], [0.0], FeatureMap([[1e100]], scale=1.0), [1.0])
    assert objective.value(objective.initial()) == np.inf
