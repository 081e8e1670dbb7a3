"""Pruned networks: the same steps, the same outputs, the same expected kernel."""

import numpy as np
import pytest

from underdetermined import FeatureMap
from underdetermined.active_sets import draw_network
from underdetermined.objectives import SparseReLU
from underdetermined.optimize import gradient_descent
from underdetermined.sparsity import prune_dead, prune_everywhere, prune_random, tangent_matrix

pytestmark = pytest.mark.usefixtures("single_threaded_blas")


@pytest.fixture
def network():
    return draw_network(6, 600, 2, bias=2.0, seed=2)


@pytest.fixture
def sphere(rng):
    X = np.abs(rng.standard_normal((8, 6)))
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def test_training_is_the_same_without_dead_neurons(network, sphere, rng):
    hidden, coef = network
    smaller, last, kept = prune_dead(hidden, coef, sphere)
    assert 0 < smaller.width == len(kept) < 200
    targets = rng.standard_normal((8, 2))
    whole = SparseReLU(sphere, targets, hidden, coef)
    part = SparseReLU(sphere, targets, smaller, last)
    rate = 1.0 / np.linalg.eigvalsh(tangent_matrix(whole))[-1]
    first = gradient_descent(whole, whole.initial(), learning_rate=rate, max_iter=100)
    second = gradient_descent(part, part.initial(), learning_rate=rate, max_iter=100)
    np.testing.assert_allclose(second.value, first.value, rtol=1e-12)
    weights = whole.network(first.theta).weights
    np.testing.assert_allclose(part.network(second.theta).weights, weights[:, kept], rtol=1e-11, atol=1e-13)
    dead = np.setdiff1d(np.arange(600), kept)
    assert (weights[:, dead] == hidden.weights[:, dead]).all()


@pytest.mark.parametrize("radius", [0.8, 1.0, 3.0])
def test_outputs_are_the_same_everywhere_in_the_ball(radius, rng):
    hidden, coef = draw_network(2, 400, bias=2.4)
    smaller, last, kept = prune_everywhere(hidden, coef, radius)
    X = rng.standard_normal((2000, 2))
    X *= radius / np.linalg.norm(X, axis=1, keepdims=True)
    np.testing.assert_allclose(smaller(X) @ last, hidden(X) @ coef, atol=1e-14)
    # Every neuron that is kept is active somewhere: in the direction of its weights.
    directions = hidden.weights[:, kept] / np.linalg.norm(hidden.weights[:, kept], axis=0)
    assert (radius * np.einsum("ir,ir->r", directions, hidden.weights[:, kept]) + hidden.biases[kept] > 0.0).all()


def test_a_neuron_that_only_touches_zero_is_dropped():
    hidden = FeatureMap([[3.0, 3.0], [4.0, 4.0]], [-5.0001, -4.9999], scale=1.0)
    assert prune_everywhere(hidden, [1.0, 1.0])[2].tolist() == [1]


def test_random_pruning_keeps_the_expected_kernel(sphere):
    hidden, coef = draw_network(6, 2000, bias=1.0, symmetric=False)
    whole = tangent_matrix(SparseReLU(sphere, np.zeros(8), hidden, coef))
    found = []
    for seed in range(60):
        smaller, last, _ = prune_random(hidden, coef, 0.1, seed=seed)
        assert smaller.width == 200
        found.append(tangent_matrix(SparseReLU(sphere, np.zeros(8), smaller, last)))
    error = np.std(found, axis=0) / np.sqrt(len(found))
    assert np.abs((np.mean(found, axis=0) - whole) / error).max() < 4.5


def test_random_pruning_is_reproducible_and_scales_each_factor():
    hidden = FeatureMap(np.ones((2, 10)), np.zeros(10), "relu", np.arange(1.0, 11.0))
    first, second = (prune_random(hidden, np.ones(10), 0.4, seed=5) for _ in range(2))
    assert (first[2] == second[2]).all()
    np.testing.assert_allclose(first[0].scale, np.arange(1.0, 11.0)[first[2]] * np.sqrt(2.5))
    assert (prune_random(hidden, np.ones(10), 0.4, seed=6)[2] != first[2]).any()
    assert prune_random(hidden, np.ones(10), 1.0)[0].width == 10
    assert prune_random(hidden, np.ones(10), 1e-9)[0].width == 1
    one = prune_random(hidden, np.ones(10), 0.14)
    np.testing.assert_allclose(one[0].scale, np.arange(1.0, 11.0)[one[2]] * np.sqrt(10.0))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda h, c: prune_dead(h, c, np.zeros((2, 6))), ValueError, "no neuron is active on a row"),
        (lambda h, c: prune_dead(h, c, np.ones((2, 5))), ValueError, "X has 5 columns"),
        (lambda h, c: prune_dead(h, c[:5], np.ones((2, 6))), ValueError, "coef has 5 rows"),
        (lambda h, c: prune_dead(h, c, np.full((2, 6), np.nan)), ValueError, "X has 12 NaN"),
        (lambda h, c: prune_everywhere(h, c, 1e-3), ValueError, "no neuron is active on an input of norm at most 0.001"),
        (lambda h, c: prune_everywhere(h, c, -1.0), ValueError, "radius=-1.0"),
        (lambda h, c: prune_random(h, c, 0.0), ValueError, "fraction=0.0"),
        (lambda h, c: prune_random(h, c, 1.5), ValueError, "fraction=1.5"),
        (lambda h, c: prune_random(h, c, 0.5, seed=0.5), TypeError, "seed=0.5"),
        (lambda h, c: prune_everywhere(h.weights, c), TypeError, "feature_map is a ndarray"),
        (lambda h, c: prune_random(FeatureMap(h.weights, None, "tanh"), c, 0.5), ValueError, "'relu'"),
    ],
)
def test_bad_arguments_are_refused(call, error, words, network):
    with pytest.raises(error, match=words):
        call(*network)
