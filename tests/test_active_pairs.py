"""Lists of active pairs and drawn networks."""

import numpy as np
import pytest
from scipy.stats import norm

from underdetermined import FeatureMap
from underdetermined.active_sets import active_pairs, draw_network


@pytest.mark.parametrize("margin", [0.0, 0.5])
@pytest.mark.parametrize(("n", "d", "width"), [(1, 1, 1), (37, 4, 90), (700, 3, 500)])
def test_pairs_are_those_of_the_whole_array(n, d, width, margin):
    rng = np.random.default_rng(n)
    X, hidden = rng.standard_normal((n, d)), FeatureMap(rng.standard_normal((d, width)), rng.standard_normal(width) - 1.0)
    z = (X @ hidden.weights + hidden.biases).T
    neurons, samples = np.nonzero(z > -margin)
    pairs = active_pairs(hidden, X, margin=margin)
    assert np.array_equal(pairs.samples, samples) and np.array_equal(pairs.neurons, neurons)
    np.testing.assert_allclose(pairs.z, z[neurons, samples], rtol=0, atol=1e-14 * np.abs(z).max())
    assert np.array_equal(pairs.per_neuron, (z > -margin).sum(axis=1))
    assert np.array_equal(pairs.per_sample, (z > -margin).sum(axis=0))
    assert pairs.n_pairs == len(samples) and f"{n} x {width}" in repr(pairs)


def test_zero_is_not_active():
    pairs = active_pairs(FeatureMap([[1.0, 2.0]], [-1.0, -1.0]), [[1.0], [0.5], [0.0]])
    assert pairs.indptr.tolist() == [0, 0, 1] and pairs.samples.tolist() == [0] and pairs.z.tolist() == [1.0]


def test_integers_and_single_precision_are_taken_exactly():
    hidden = FeatureMap(np.array([[1.0, -2.0]], np.float32))
    assert active_pairs(hidden, np.array([[1], [-1]])).z.tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("X", "margin", "message"),
    [([[1.0, 2.0]], 0.0, "2 columns.*1 inputs"), ([[np.inf]], 0.0, "X has 1 NaN"), ([[1.0]], -1.0, "margin=-1.0")],
)
def test_errors_name_argument_and_remedy(X, margin, message):
    with pytest.raises(ValueError, match=message):
        active_pairs(FeatureMap([[1.0]]), X, margin=margin)


def test_a_drawn_network_is_active_as_often_as_the_normal_tail_says():
    hidden, coef = draw_network(6, 40_000, bias=1.5, symmetric=False, seed=5)
    X = np.array([[1.0, 0, 0, 0, 0, 0], [0, 0.5, 0, 0, 0, 0]])
    share = active_pairs(hidden, X).per_sample / 40_000
    expected = norm.sf([1.5, 3.0])
    error = np.sqrt(expected / 40_000)
    assert np.all(np.abs(share - expected) < 4.0 * error)
    assert abs(coef.mean()) < 4.0 / np.sqrt(40_000) and set(coef.ravel()) == {-1.0, 1.0}


def test_a_symmetric_network_starts_at_zero():
    hidden, coef = draw_network(3, 10, 2, bias=0.0, seed=1)
    assert np.array_equal(hidden.weights[:, :5], hidden.weights[:, 5:]) and np.array_equal(coef[:5], -coef[5:])
    assert hidden.scale == 10**-0.5 and not np.signbit(hidden.biases).any()
    assert np.array_equal(draw_network(3, 20, 2, bias=0.0, seed=1)[1][:5], coef[:5])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 3}, "width=3 is odd.*symmetric=False"),
        ({"width": 0}, "width=0"),
        ({"bias": -1.0}, "bias=-1.0"),
        ({"bias": np.nan}, "bias=nan"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_a_network_that_cannot_be_drawn(arguments, message):
    with pytest.raises(ValueError, match=message):
        draw_network(**{"n_inputs": 2, "width": 4, "bias": 1.0, **arguments})
