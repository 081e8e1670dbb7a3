"""What neighbour lists must hold at any time."""

from itertools import cycle

import numpy as np
import pytest
from sparse_networks import problem, steep_problem, train

from underdetermined.active_sets import _train, draw_network, train_active_sets
from underdetermined.active_sets._blocks import workers
from underdetermined.active_sets._engine import Engine
from underdetermined.active_sets._gram_lists import GramBlock
from underdetermined.active_sets._lists import ListBlock
from underdetermined.active_sets._network import Network
from underdetermined.active_sets._train import BLOCKS
from underdetermined.objectives import SparseReLU


def unlisted_excess(block, network):
    """How far a row outside the list of a live neuron is above -(skin - used) times its norm, at most."""
    z = network.weights[block.neurons] @ network.rows.T + network.biases[block.neurons, np.newaxis]
    left = (block.skin - block.used)[:, np.newaxis] * network.row_norms
    outside = np.zeros(z.shape, bool)
    outside[block.live] = True
    for r in block.live:
        first = block.room.start[r]
        outside[r, block.samples[first : first + block.count[r]]] = False
    return np.max((z + left)[outside], initial=-np.inf)


@pytest.mark.parametrize("kind", [ListBlock, GramBlock])
@pytest.mark.parametrize("bias_scale", [0.3, 2.0])
def test_what_is_not_listed_is_beyond_what_is_left_of_the_skin(kind, bias_scale):
    """Also where the speed changes all the time, so that skins are chosen, used up and cut in turn."""
    objective = problem(amplitude=0.3, width=200, bias=0.5, bias_scale=bias_scale)
    network, rng = Network.of(objective), np.random.default_rng(0)
    with workers(1) as run:
        engine = Engine(network, run, kind)
        outputs = engine.begin()
        for _ in range(12):
            rate = 0.05 * 10.0 ** rng.uniform(-2.0, 0.0)
            for _ in range(8):
                outputs = engine.step(rate, network.sample_weight * (outputs - network.targets))
                engine.finish()
                assert max(unlisted_excess(block, network) for block in engine.blocks) <= 1e-12


@pytest.mark.parametrize("bias_scale", [0.0, 1.0])
def test_lists_have_a_margin_for_rounding(bias_scale):
    """A pre-activation and its double sum of roundings are within what a list has room for."""
    network = Network.of(problem(d=30, width=50, bias_scale=bias_scale))
    block = ListBlock(network, slice(0, 50))
    exact = network.weights.astype(np.longdouble) @ network.rows.T.astype(np.longdouble) + network.biases[:, np.newaxis]
    error = np.abs(network.weights @ network.rows.T + network.biases[:, np.newaxis] - exact).max(axis=1)
    steps = 1024 * np.finfo(float).eps * np.linalg.norm(network.weights, axis=1)
    assert np.all(block._thresholds(np.arange(50))[0] >= 2 * error + steps)


@pytest.mark.parametrize("name", BLOCKS)
def test_undone_steps_leave_nothing_behind(name):
    """Small steps that stay within the lists, and large ones that refresh all lists and kill most neurons."""
    network = Network.of(problem(amplitude=0.3, width=300, n_outputs=2, bias=2.0))
    with workers(1) as run:
        engine = Engine(network, run, BLOCKS[name])
        outputs = engine.begin()
        for rate in (1e-6, 1e-3, 1e3):
            for _ in range(3):
                outputs = engine.step(2e-2, network.sample_weight * (outputs - network.targets))
            engine.finish()
            weights, biases, path = network.weights.copy(), network.biases.copy(), engine.path
            live = engine.total("n_live")
            engine.step(rate, network.sample_weight * (outputs - network.targets))
            engine.undo()
            np.testing.assert_allclose(engine.begin(), outputs, rtol=0, atol=1e-13)
            engine.finish()
            np.testing.assert_allclose(network.weights, weights, rtol=0, atol=1e-14)
            np.testing.assert_allclose(network.biases, biases, rtol=0, atol=1e-14)
            assert np.array_equal(engine.path, path)
            assert engine.total("n_live") == live


@pytest.mark.parametrize("kind", [ListBlock, GramBlock])
def test_lists_become_shorter_when_the_network_slows_down(kind):
    network = Network.of(problem(width=200, n=200))
    with workers(1) as run:
        engine = Engine(network, run, kind)
        outputs, visited = engine.begin(), []
        for rate in 10 * [3e-2] + 30 * [1e-7]:
            outputs = engine.step(rate, network.sample_weight * (outputs - network.targets))
            visited.append(engine.total("n_visited"))
    assert visited[-1] < 1.1 * engine.total("n_active") < visited[8]


@pytest.mark.parametrize("kind", [ListBlock, GramBlock])
def test_lists_cannot_lend_more_than_is_left_of_their_skin(kind):
    """A skin that would suit the present speed, but of which the larger part is used up, stays as it is."""
    network = Network.of(problem())
    block = kind(network, slice(0, 300))
    block.begin(np.zeros(network.targets.shape))
    block.speed[:] = 1.0
    best = block._best_skins(np.arange(300))[0]
    block.speed[:] *= (0.3 * block.skin[0] / best) ** 2
    block.used[:] = 0.9 * block.skin
    left = block.skin - block.used
    best = block._best_skins(np.arange(300))
    assert np.all(left < best) and np.all(best < 0.4 * block.skin)
    block._trim()
    assert np.all(block.skin - block.used <= left)


@pytest.mark.parametrize("kind", [ListBlock, GramBlock])
def test_shorter_lists_keep_the_network(kind):
    network = Network.of(problem(width=100, n_outputs=2))
    block, out = kind(network, slice(0, 100)), np.zeros((40, 2))
    block.begin(out)
    for _ in range(3):
        block.step(1e-3, out - network.targets, out)
    block.finish()
    weights, biases, count = network.weights.copy(), network.biases.copy(), block.count.sum()
    block.skin[:] = block.used[:] = 0.0
    block._shorten(block.live.copy())
    block.finish()
    np.testing.assert_allclose(network.weights, weights, rtol=0, atol=1e-14)
    np.testing.assert_allclose(network.biases, biases, rtol=0, atol=1e-14)
    assert block.count.sum() < count


def test_equal_neurons_stand_side_by_side():
    hidden, coef = draw_network(5, 60, bias=1.0)
    network = Network.of(SparseReLU(np.eye(5), np.ones(5), hidden, coef))
    assert np.array_equal(network.weights[::2], network.weights[1::2])
    assert np.array_equal(network.last[::2], -network.last[1::2])
    assert np.array_equal(network.restored(network.weights), hidden.weights.T)


def test_a_change_of_strategy_leaves_no_trace(monkeypatch):
    names = cycle(["lists", "kernel", "dense", "masked"])
    monkeypatch.setattr(_train, "step_costs", lambda *_: {**dict.fromkeys(BLOCKS, 1.0), next(names): 0.1})
    objective = problem(amplitude=3.0)
    reference = train(objective, 0.05, 70)
    result = train_active_sets(objective, learning_rate=0.05, max_iter=70)
    assert result.strategy == "lists" and result.reason.startswith("After 64 steps")
    np.testing.assert_allclose(result.feature_map.weights, reference.weights, rtol=0, atol=1e-12)
    np.testing.assert_allclose(result.residual, reference.residual, rtol=0, atol=1e-12)
    np.testing.assert_allclose(result.drift, reference.path, rtol=1e-3, atol=1e-14)


def test_steps_that_are_taken_back_are_visits():
    result = train_active_sets(steep_problem(), max_iter=40, strategy="dense")
    fell = np.append(False, np.diff(result.learning_rate) < 0.0)
    turns = result.n_visited[1:] / (60 * 600)
    assert fell.any() and np.all(turns[~fell] == 1) and np.all(turns[fell] >= 3)
