"""Gram matrices of nested networks, made from one another, and square roots of bounded size."""

import numpy as np
import pytest
from width_oracle import features

from underdetermined.bounds import WidthProblem
from underdetermined.empirical_width._neurons import NestedGram, Neurons, network_seed

pytestmark = pytest.mark.usefixtures("single_threaded_blas")


@pytest.fixture
def neurons(rng, monkeypatch):
    """Network 2 of experiment 5 on six rows, summed in chunks of 16 neurons."""
    monkeypatch.setattr("underdetermined.empirical_width._neurons._SHORTEST", 16)
    monkeypatch.setattr("underdetermined.empirical_width._neurons._LONGEST", 16)
    return Neurons(WidthProblem.from_data(rng.standard_normal((6, 3)), activation="tanh"), network_seed(5, 2))


def test_features_are_those_of_the_sampler(neurons):
    expected = features(neurons.problem.inputs, "tanh", 50, 5, 2)
    np.testing.assert_allclose(neurons.features(0, 50), expected, rtol=1e-13)
    np.testing.assert_allclose(neurons.features(17, 30), expected[:, 17:30], rtol=1e-13)


@pytest.mark.parametrize("kept", [[], [40], [16, 100], [100, 16], [100, 3], [90, 0]])
def test_gram_is_the_same_to_the_last_bit_whatever_was_kept(neurons, kept):
    nested, fresh = NestedGram(neurons, is_kept=True), NestedGram(neurons, is_kept=False)
    for width in kept:
        nested.keep(width)
    for width in (5, 16, 45, 100, 130):
        gram = nested.gram(width)
        np.testing.assert_array_equal(gram, fresh.gram(width))
        A = features(neurons.problem.inputs, "tanh", width, 5, 2)
        np.testing.assert_allclose(np.tril(gram), np.tril(A @ A.T / width), rtol=1e-12)


def test_a_gram_matrix_may_be_overwritten(neurons):
    nested = NestedGram(neurons, is_kept=True)
    nested.keep(32)
    first = nested.gram(32).copy()
    nested.gram(32)[...] = np.nan
    np.testing.assert_array_equal(nested.gram(32), first)


def test_nothing_is_kept_where_it_should_not_be(neurons):
    nested = NestedGram(neurons, is_kept=False)
    nested.keep(64)
    assert nested._sum is None


@pytest.mark.parametrize("width", [3, 6, 24, 25, 500])
def test_factor_is_a_small_square_root(neurons, width):
    factor = neurons.factor(width)
    assert factor.shape == (6, min(6, width))
    A = features(neurons.problem.inputs, "tanh", width, 5, 2)
    np.testing.assert_allclose(factor @ factor.T, A @ A.T, rtol=1e-11)


def test_seeds_of_networks_never_collide():
    seeds = [network_seed(seed, index) for seed in (0, 1, 7) for index in (0, 1, 2**32 - 1)]
    assert len(set(seeds)) == len(seeds)
    assert min(seeds) >= 2**32
