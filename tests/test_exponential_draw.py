"""Drawing networks of exponentials."""

import numpy as np
import pytest
from scipy.stats import kstest

from underdetermined.exponential import draw_network
from underdetermined.weights import SAMPLERS


def test_symmetric_network_is_zero_in_pairs():
    hidden, coef = draw_network(3, 10, 2, seed=4)
    np.testing.assert_array_equal(hidden.weights[:, :5], hidden.weights[:, 5:])
    np.testing.assert_array_equal(coef[:5], -coef[5:])
    assert coef.shape == (10, 2)
    assert set(coef.ravel()) == {-1.0, 1.0}
    assert hidden.activation.name == "exp"
    assert hidden.biases is None


def test_weights_are_gaussian_with_the_scale_asked_for():
    hidden, coef = draw_network(20, 500, weight_scale=0.3, symmetric=False, seed=1)
    assert kstest(hidden.weights.ravel() / 0.3, "norm").pvalue > 1e-3
    assert abs(coef.sum()) < 4.0 * np.sqrt(500)
    assert hidden.scale == pytest.approx(500**-0.5)
    assert draw_network(2, 6, scale=1.0)[0].scale == 1.0


def test_wider_networks_contain_narrower_ones():
    (narrow, few), (wide, many) = (draw_network(4, m, 3, symmetric=False, seed=7) for m in (30, 700))
    np.testing.assert_array_equal(narrow.weights, wide.weights[:, :30])
    np.testing.assert_array_equal(few, many[:30])


def test_seeds_differ_and_repeat():
    first, again, other = (draw_network(4, 8, symmetric=False, seed=seed)[0].weights for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).min() > 0.0


def test_signs_are_independent_of_weights():
    hidden, coef = draw_network(1, 4000, symmetric=False, seed=3)
    assert abs(np.corrcoef(hidden.weights[0], coef[:, 0])[0, 1]) < 4.0 / np.sqrt(4000)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_serves(sampler):
    hidden, _ = draw_network(3, 64, sampler=sampler, weight_scale=2.0)
    np.testing.assert_array_equal(hidden.weights[:, :32], 2.0 * SAMPLERS[sampler](3, 32, seed=0)[0])


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"n_inputs": 0}, ValueError, "n_inputs"),
        ({"width": 2.0}, TypeError, "width"),
        ({"n_outputs": 0}, ValueError, "n_outputs"),
        ({"width": 3}, ValueError, "width=3 is odd"),
        ({"weight_scale": 0.0}, ValueError, "weight_scale"),
        ({"weight_scale": 1.7e308}, ValueError, "weights must be finite"),
        ({"scale": -1.0}, ValueError, "scale"),
        ({"scale": float("nan")}, ValueError, "scale"),
        ({"sampler": "uniform"}, ValueError, "choose one of"),
        ({"symmetric": 1}, TypeError, "symmetric"),
        ({"seed": -1}, ValueError, "seed"),
        ({"seed": 0.5}, TypeError, "seed"),
    ],
)
def test_bad_arguments_are_named(change, error, words):
    with pytest.raises(error, match=words):
        draw_network(**{"n_inputs": 3, "width": 40, **change})
