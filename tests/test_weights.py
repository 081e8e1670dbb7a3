"""Hidden weights: distribution, reproducibility, and independence of how they are drawn."""

import numpy as np
import pytest
from scipy import stats

from underdetermined.weights import SAMPLERS, get_sampler

all_samplers = pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)


@all_samplers
@pytest.mark.parametrize("n_inputs", [1, 3, 64, 300])
def test_pieces_equal_the_whole(sampler, n_inputs):
    weights, biases = sampler(n_inputs, 2500, seed=7)
    for start, width in [(0, 1), (0, 300), (255, 2), (1023, 3), (2499, 1), (700, 1800)]:
        piece, piece_biases = sampler(n_inputs, width, seed=7, start=start)
        np.testing.assert_array_equal(piece, weights[:, start : start + width])
        np.testing.assert_array_equal(piece_biases, biases[start : start + width])


@all_samplers
def test_weights_are_white(sampler):
    weights, biases = sampler(5, 40_000, seed=1)
    assert weights.shape == (5, 40_000) and weights.dtype == np.float64
    error = weights @ weights.T / 40_000 - np.eye(5)
    assert np.abs(error).max() < 6 * np.sqrt(2 / 40_000)
    assert np.abs(weights.mean(axis=1)).max() < 6 / np.sqrt(40_000)
    assert abs(biases.mean()) < 6 / np.sqrt(40_000)
    assert abs(biases.std() - 1) < 6 / np.sqrt(80_000)
    assert np.abs(weights @ biases).max() / 40_000 < 6 / np.sqrt(40_000)


@pytest.mark.parametrize("name", ["gaussian", "antithetic", "orthogonal", "orthogonal_antithetic", "sobol"])
def test_each_weight_is_gaussian(name):
    weights, biases = SAMPLERS[name](3, 20_000, seed=2)
    for coordinate in [*weights, biases]:
        assert stats.kstest(coordinate, "norm").pvalue > 1e-4


@pytest.mark.parametrize("name", ["gaussian", "antithetic", "orthogonal", "orthogonal_antithetic"])
def test_norms_are_chi_distributed(name):
    weights, _ = SAMPLERS[name](6, 20_000, seed=3)
    assert stats.kstest(np.linalg.norm(weights, axis=0), stats.chi(6).cdf).pvalue > 1e-4


@pytest.mark.parametrize(("name", "half"), [("antithetic", "gaussian"), ("orthogonal_antithetic", "orthogonal")])
def test_pairs_are_opposite(name, half):
    weights, biases = SAMPLERS[name](5, 701, seed=6)
    first, first_biases = SAMPLERS[half](5, 351, seed=6)
    np.testing.assert_array_equal(weights[:, ::2], first)
    np.testing.assert_array_equal(biases[::2], first_biases)
    np.testing.assert_array_equal(weights[:, 1::2], -first[:, :350])
    np.testing.assert_array_equal(biases[1::2], -first_biases[:350])
    assert weights.flags.c_contiguous


def test_sphere_norms():
    weights, _ = SAMPLERS["sphere"](7, 1000, seed=4)
    np.testing.assert_allclose(np.linalg.norm(weights, axis=0), np.sqrt(7), rtol=1e-14)


@pytest.mark.parametrize("n_inputs", [2, 5, 100, 300])
def test_groups_of_orthogonal_weights(n_inputs):
    weights, _ = SAMPLERS["orthogonal"](n_inputs, 4 * n_inputs, seed=5)
    for group in np.split(weights / np.linalg.norm(weights, axis=0), 4, axis=1):
        np.testing.assert_allclose(group.T @ group, np.eye(n_inputs), atol=1e-12)


def test_sobol_balances_better_than_chance():
    errors = {
        name: np.median(
            [
                np.abs(weights @ weights.T / 4096 - np.eye(4)).max()
                for weights, _ in (SAMPLERS[name](4, 4096, seed=seed) for seed in range(5))
            ]
        )
        for name in ("gaussian", "sobol")
    }
    assert errors["sobol"] < errors["gaussian"] / 5


@all_samplers
def test_seeds_differ(sampler):
    assert not np.isclose(sampler(4, 8, seed=0)[0], sampler(4, 8, seed=1)[0]).any()


@all_samplers
@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"n_inputs": 0}, "n_inputs"),
        ({"width": 0}, "width"),
        ({"width": 2.5}, "width"),
        ({"width": True}, "width"),
        ({"seed": -1}, "seed"),
        ({"start": -1}, "start"),
    ],
)
def test_bad_arguments_are_named(sampler, arguments, name):
    with pytest.raises(ValueError, match=f"{name}=.* must be an integer"):
        sampler(**{"n_inputs": 2, "width": 3, "seed": 0, "start": 0, **arguments})


def test_sobol_refuses_more_dimensions_than_it_has():
    with pytest.raises(ValueError, match="n_inputs=21201; use sampler='orthogonal'"):
        SAMPLERS["sobol"](21201, 1, seed=0)


def test_unknown_sampler_lists_the_known_ones():
    with pytest.raises(ValueError, match="sampler='halton' is unknown; choose one of 'gaussian', 'antithetic'"):
        get_sampler("halton")
