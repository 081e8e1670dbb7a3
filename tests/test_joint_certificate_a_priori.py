"""Certificates of networks that are not drawn yet, against draws and hand computations."""

import numpy as np
import pytest

from underdetermined.bounds import WidthProblem, min_width_leverage
from underdetermined.joint import certify, certify_a_priori, draw_network
from underdetermined.objectives import TwoLayer

pytestmark = pytest.mark.usefixtures("single_threaded_blas")

CASES = [
    ({"activation": "tanh", "output": "zero"}, 1),
    ({"activation": "gelu", "output": "paired", "bias_scale": 0.0}, 1),
    ({"activation": "sin", "output": "random", "bias_scale": 0.7}, 2),
    ({"activation": "softplus", "output": "zero", "weight_scale": 2.0, "coef_scale": 3.0}, 2),
    ({"activation": "erf", "output": "paired", "init": "he", "weight_scale": 0.8}, 3),
]


def rows(n=4, d=5, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    return X * np.sqrt(d) / np.linalg.norm(X, axis=1, keepdims=True)


@pytest.mark.parametrize(("options", "k"), CASES)
def test_draws_keep_what_is_promised(options, k):
    X, targets = rows(), np.random.default_rng(1).standard_normal((4, k))
    weight = np.array([0.5, 1.0, 2.0, 0.0])
    found = certify_a_priori(X, targets, **options, sample_weight=weight)
    assert found.is_certified
    assert found.width == found.width_needed
    for seed in range(2):
        network = draw_network(5, found.width, k, **options, seed=seed)
        drawn = certify(TwoLayer(X, targets, *network, sample_weight=weight, intercept=0.0))
        assert drawn.is_certified
        assert drawn.smallest_singular_value >= found.smallest_singular_value
        assert drawn.largest_singular_value <= found.largest_singular_value
        assert drawn.residual_norm <= found.residual_norm * (1.0 + 1e-9)
        assert drawn.curvature <= found.curvature
        assert drawn.h <= found.h
        assert drawn.distance <= found.distance
        assert drawn.pl_constant >= found.pl_constant
        assert drawn.max_learning_rate >= found.max_learning_rate


def test_the_constants_of_a_zero_last_layer_by_hand():
    # sigma_0^2 = m (1 - epsilon) lambda, beta(0) = |X| sup|f'|, rho = y.
    X, y = 2.0 * np.eye(3), np.array([1.0, -2.0, 0.5])
    problem = WidthProblem.from_data(X, activation="tanh", weight_scale=3**-0.5, bias_scale=0.0)
    found = certify_a_priori(X, y)
    width = min_width_leverage(problem, target="spectrum", epsilon=found.epsilon, failure_probability=0.05).width
    assert found.smallest_eigenvalue == pytest.approx(problem.smallest, rel=1e-9)
    square = found.width * (1.0 - found.epsilon) * problem.smallest
    assert found.smallest_singular_value**2 == pytest.approx(square, rel=1e-6)
    assert found.width <= width * 1.05
    assert found.curvature == pytest.approx(2.0, rel=1e-9)
    assert found.residual_norm == pytest.approx(np.linalg.norm(y), rel=1e-6)
    assert found.failure_probability == 0.1


@pytest.mark.parametrize(("output", "step"), [("zero", 1), ("paired", 2)])
def test_narrower_networks_are_not_certified_and_wider_ones_are(output, step):
    X, y = rows(), np.ones(4)
    least = certify_a_priori(X, y, output=output)
    below, above = (certify_a_priori(X, y, width, output=output) for width in (least.width - step, 4 * least.width))
    assert not below.is_certified
    assert below.width_needed == least.width == above.width_needed
    assert str(least.width) in below.reason
    assert above.is_certified
    assert above.h < least.h


def test_certainty_costs_neurons():
    X, y = rows(), np.ones(4)
    widths = [certify_a_priori(X, y, failure_probability=delta).width for delta in (0.5, 1e-6)]
    assert widths == sorted(widths)
    assert widths[1] < 10 * widths[0]


def test_the_type_is_shown_and_everything_is_in_the_dictionary():
    found = certify_a_priori(rows(), np.ones(4))
    assert repr(found).startswith("APrioriCertificate(is_certified=True, is_newton_certified=True, ")
    assert {"width", "failure_probability", "smallest_eigenvalue", "epsilon"} <= set(found.to_dict())
    assert found.n_newton_steps(1e-9) <= 8
    assert found.n_steps(1e-3) < np.inf
