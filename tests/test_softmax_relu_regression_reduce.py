"""The reduced problem has the values of the given one, and starts are nested."""

import numpy as np
import pytest
from scipy.special import softmax

from underdetermined.softmax_relu._reduce import reduce_problem
from underdetermined.softmax_relu._starts import check_start, draw_starts


def layers(n, m, d, seed):
    """Layers with a zero row, repeated directions and opposite ones."""
    rng = np.random.default_rng(seed)
    A1, A2 = rng.normal(size=(n, d)), rng.normal(size=(m, n)) + 5.0
    A1[2] = 0.0
    A1[3] = 3.0 * A1[1]
    A1[4] = -0.7 * A1[1]
    A1[5] = 1e-3 * A1[0]
    return A1, A2, rng.uniform(0.5, 1.0, n), rng.normal(size=d)


def parts(A1, A2, weights, x):
    """Fit and penalty of the pre-activations."""
    z = A1 @ x
    return softmax(A2 @ np.maximum(z, 0.0)), 0.5 * np.sum((weights * z) ** 2)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", [(7, 4, 3), (8, 3, 8), (6, 5, 20)])
@pytest.mark.parametrize("penalised", [True, False])
def test_values_are_those_of_the_given_problem(shape, seed, penalised):
    A1, A2, weights, x = layers(*shape, seed)
    reduced = reduce_problem(A1, A2, weights, penalised=penalised)
    fitted, penalty = parts(A1, A2, weights, x)
    s = reduced.start(x)
    same, also = parts(reduced.A1, reduced.A2, reduced.weights, s)
    np.testing.assert_allclose(same, fitted, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(also, penalty, rtol=1e-12)
    norms = np.linalg.norm(reduced.A1, axis=1)
    assert 0.7 < norms.min() <= norms.max() < 1.42
    np.testing.assert_allclose(reduced.A2.sum(axis=0), 0.0, atol=1e-10)
    assert 0.7 < np.sqrt(np.mean(np.sum(reduced.A2**2, axis=1))) < 1.5
    assert np.linalg.norm(reduced.restore(s)) <= np.linalg.norm(x) * (1 + 1e-14)
    np.testing.assert_allclose(A1 @ reduced.restore(s), A1 @ x, atol=1e-12)


def test_equal_directions_are_one_unit_and_zero_rows_none():
    A1, A2, weights, _ = layers(7, 4, 3, 0)
    reduced = reduce_problem(A1, A2, weights, penalised=True)
    np.testing.assert_array_equal(reduced.groups, [0, 1, -1, 1, 2, 0, 3])
    np.testing.assert_array_equal(reduced.units(np.array([0, 2])), [0, 4, 5])


def test_nearly_equal_directions_stay_apart():
    A1 = np.array([[1.0, 0.0], [1.0, 1e-12], [1.0, 2e-12]])
    reduced = reduce_problem(A1, np.eye(3), np.zeros(3), penalised=True)
    np.testing.assert_array_equal(reduced.groups, [0, 1, 2])


def test_unknowns_are_as_many_as_ranks():
    rng = np.random.default_rng(4)
    A1 = rng.normal(size=(9, 2)) @ rng.normal(size=(2, 5))
    A2 = rng.normal(size=(3, 9))
    assert reduce_problem(A1, A2, np.zeros(9), penalised=False).A1.shape == (9, 2)
    # Nothing is gained where a penalty makes all d <= n unknowns unique.
    assert reduce_problem(A1, A2, np.zeros(9), penalised=True).basis is None
    assert reduce_problem(A1.T, A2[:, :5], np.zeros(5), penalised=True).A1.shape == (5, 2)


def test_overflow_is_named():
    with pytest.raises(ValueError, match="together overflow"):
        reduce_problem(np.full((2, 2), 1e200), 1e200 * np.eye(2), np.zeros(2), penalised=True)


def test_starts_are_nested_and_scaled():
    A1, A2 = np.random.default_rng(0).normal(size=(6, 3)), np.eye(6)
    few, many = draw_starts(A1, A2, 2, 11), draw_starts(A1, A2, 5, 11)
    np.testing.assert_array_equal(few, many[:2])
    np.testing.assert_allclose([np.abs(A1 @ start).max() for start in many], 1.0, rtol=1e-15)
    assert not np.array_equal(draw_starts(A1, A2, 1, 12)[0], few[0])


@pytest.mark.parametrize(("factor", "spread"), [(1e5, 10.0), (1e-5, 0.1)])
def test_starts_neither_saturate_the_softmax_nor_leave_it_constant(factor, spread):
    rng = np.random.default_rng(0)
    A1, A2 = rng.normal(size=(6, 3)), factor * rng.normal(size=(4, 6))
    for start in draw_starts(A1, A2, 4, 0):
        np.testing.assert_allclose(np.ptp(A2 @ np.maximum(A1 @ start, 0.0)), spread)


def test_starts_without_pre_activations_are_left_alone():
    assert np.isfinite(draw_starts(np.zeros((2, 3)), np.eye(2), 1, 0)[0]).all()


@pytest.mark.parametrize("seed", ["x", -1, 1.5])
def test_seeds_that_are_none(seed):
    with pytest.raises((TypeError, ValueError), match="random_state"):
        draw_starts(np.eye(2), np.eye(2), 1, seed)


def test_one_start_serves_all_problems():
    np.testing.assert_array_equal(check_start([1, 2], 2, 3), [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]])
    with pytest.raises(ValueError, match=r"x0 has shape \(2, 2\): pass \(2,\) or \(2, 3\)"):
        check_start(np.eye(2), 2, 3)
