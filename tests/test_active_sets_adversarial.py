"""Active-set training on hostile networks, against a plain loop over all pairs in extended precision."""

from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

from underdetermined import FeatureMap
from underdetermined.active_sets import draw_network, train_active_sets
from underdetermined.objectives.sparse_relu import SparseReLU
from underdetermined.solution import Status

STRATEGIES = ("auto", "dense", "masked", "lists", "kernel")
LONG = np.longdouble


@dataclass(frozen=True)
class Case:
    """Rows, targets, a network, sample weights, and the scale of the biases."""

    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    biases: np.ndarray
    coef: np.ndarray
    scale: object = 1.0
    sample_weight: np.ndarray | None = None
    bias_scale: float = 1.0

    @cached_property
    def objective(self):
        """What the package trains."""
        layer = FeatureMap(self.weights, self.biases, "relu", self.scale)
        return SparseReLU(self.X, self.y, layer, self.coef, sample_weight=self.sample_weight, bias_scale=self.bias_scale)

    @cached_property
    def v(self):
        """Last layer times scales, shape (m, k)."""
        return self.coef.reshape(len(self.biases), -1) * np.reshape(self.scale, (-1, 1))

    @cached_property
    def s(self):
        """Sample weights."""
        return np.ones(len(self.X)) if self.sample_weight is None else self.sample_weight

    @cached_property
    def stable_rate(self):
        """One over the largest eigenvalue of the tangent matrix at the start, by its definition; 1 if that is 0."""
        size, active = self.v.shape[1] * len(self.X), (self.X @ self.weights + self.biases > 0).astype(float)
        products = (self.X @ self.X.T + self.bias_scale**2) * np.sqrt(np.outer(self.s, self.s))
        # The masks together first: products of rows of very different norm overflow nothing.
        matrix = np.einsum("ij,ra,rb,ir,jr->iajb", products, self.v, self.v, active, active).reshape(size, size)
        largest = float(np.linalg.eigvalsh(matrix)[-1])
        return 1.0 / largest if largest > 0 else 1.0


class Loop:
    """Gradient descent by the formulas: residuals, losses, masks at every step, then the last parameters.

    `size` bounds the terms of any output. `margin` says how close any pre-activation came to zero, relative to the largest
    terms that it ever had, whose rounding it carries.
    """

    def __init__(self, case, rates):
        X, v, s, sigma = case.X.astype(LONG), case.v.astype(LONG), case.s.astype(LONG), LONG(case.bias_scale)
        y = case.y.reshape(len(X), -1).astype(LONG)
        self.weights, self.biases = case.weights.astype(LONG), case.biases.astype(LONG)
        self.residual, self.value, self.masks = [], [], []
        self.size, self.margin, self.moved, largest = 0.0, np.inf, 0.0, LONG(0)
        for rate in (*rates, 0.0):
            z = np.dot(X, self.weights) + self.biases
            terms = np.dot(abs(X), abs(self.weights)) + abs(self.biases)
            largest = np.maximum(largest, terms)
            mask = z > 0
            residual = np.dot(z * mask, v) - y
            self.residual.append(residual.astype(float))
            self.value.append(float((s @ residual**2).sum() / 2))
            self.masks.append(mask)
            self.size = max(self.size, float(np.max(abs(y) + np.dot(terms, abs(v)))))
            # A pair of which all terms vanished at all times is zero in any arithmetic.
            some = largest > 0
            self.margin = min(self.margin, float(np.min(abs(z[some]) / largest[some], initial=np.inf)))
            c = s[:, np.newaxis] * np.dot(residual, v.T) * mask
            change, shift = LONG(rate) * np.dot(X.T, c), LONG(rate) * sigma**2 * c.sum(axis=0)
            self.weights, self.biases = self.weights - change, self.biases - shift
            self.moved += float(max(abs(change).max(), abs(shift).max()))


def train(case, rate, steps, strategy, **options):
    """Trajectory and the residuals of all steps."""
    residuals = []
    found = train_active_sets(
        case.objective,
        learning_rate=rate,
        max_iter=steps,
        strategy=strategy,
        callback=lambda step, state: residuals.append(np.array(state.residual)),
        **options,
    )
    return found, np.array(residuals)


def assert_follows(case, found, residuals, truth, rates, rounding=1e-12):
    """Residuals, losses, fractions and parameters of a run are those of the loop; it ends early only where all is fitted."""
    n, k = truth.residual[0].shape
    assert found.n_iter == len(rates) or found.value[-1] == 0.0
    truth = truth if found.n_iter == len(rates) else Loop(case, rates[: found.n_iter])
    allowed = rounding * truth.size
    np.testing.assert_allclose(residuals, truth.residual, rtol=0, atol=allowed)
    np.testing.assert_array_equal(found.residual, residuals[-1])
    largest = max(abs(residual).max() for residual in truth.residual)
    slack = case.s.sum() * k * (largest + allowed) * allowed
    np.testing.assert_allclose(found.value, truth.value, rtol=1e-11, atol=slack)
    # An error of the residuals moves the parameters at every step.
    reach = sum(rates) * abs(case.v).sum(axis=1).max() * (case.s @ (abs(case.X).max(axis=1) + case.bias_scale**2))
    for ours, theirs in ((found.feature_map.weights, truth.weights), (found.feature_map.biases, truth.biases)):
        atol = rounding * (abs(theirs).max() + truth.moved) + reach * allowed
        np.testing.assert_allclose(ours, theirs.astype(float), rtol=0, atol=float(atol))
    np.testing.assert_allclose(found.active_fraction, fractions(case, truth), rtol=1e-12)


def fractions(case, truth):
    """Active pairs over pairs, of the rows that have weight."""
    return [mask[case.s > 0].mean() for mask in truth.masks]


@st.composite
def hostile_cases(draw):
    """Narrow networks with all that is allowed: rows, weights and scales of any size, copies, antipodes and zeros."""
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    n, d, m, k = (draw(st.integers(1, most)) for most in (12, 5, 20, 3))
    X = rng.standard_normal((n, d)) * 10.0 ** (draw(st.sampled_from([0.0, 1.0, 3.0])) * rng.uniform(-1, 1, (n, 1)))
    copies = draw(st.lists(st.tuples(st.integers(0, n - 1), st.sampled_from([0.0, 1.0, -1.0])), max_size=4))
    for row, sign in copies:
        X[row] = sign * X[0]
    shift, jitter = draw(st.sampled_from([0.0, 0.5, 1.5, -0.7])), draw(st.sampled_from([0.0, 0.3]))
    coef = rng.choice([-1.0, 1.0], (m, k)) * 10.0 ** (draw(st.sampled_from([0.0, 1.0])) * rng.uniform(-1, 1, (m, k)))
    coef[draw(st.lists(st.integers(0, m - 1), max_size=2))] = 0.0
    counts = rng.integers(0, 3, n).astype(float)
    counts[rng.integers(n)] = 1.0
    return Case(
        X,
        rng.standard_normal((n, k)) * draw(st.sampled_from([0.0, 1e-6, 1.0, 1.0, 30.0])),
        rng.standard_normal((d, m)) * draw(st.sampled_from([1e-3, 1.0, 1.0, 50.0])),
        jitter * rng.standard_normal(m) - shift,
        coef,
        draw(st.sampled_from([m**-0.5, 1e-3, 1e3, 10.0 ** rng.uniform(-1, 1, m)])),
        draw(st.sampled_from([None, counts, 10.0 ** rng.uniform(-3, 3, n)])),
        draw(st.sampled_from([0.0, 0.1, 1.0, 1.0, 2.0])),
    )


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=hostile_cases(), factor=st.sampled_from([0.1, 1.0, 1.0, 1.9]), steps=st.sampled_from([1, 7, 25]))
def test_hostile_networks(case, factor, steps):
    rates = steps * [factor * case.stable_rate]
    truth = Loop(case, rates)
    # Otherwise rounding may decide whether a pair is active, or has grown with all the rest.
    assume(truth.margin > 1e-10 and truth.size < 1e4 * Loop(case, []).size)
    for strategy in STRATEGIES:
        note(strategy)
        found, residuals = train(case, rates[0], steps, strategy)
        assert_follows(case, found, residuals, truth, rates, 1e-11)


def dyadic_case(rng, bias_scale, n=6, d=3, m=9, k=2):
    """Small integers: sums are exact in any order for a few steps, and pre-activations are often exactly zero."""
    return Case(
        rng.integers(-1, 2, (n, d)).astype(float),
        rng.integers(-3, 4, (n, k)).astype(float),
        rng.integers(-2, 3, (d, m)).astype(float),
        rng.integers(-1, 2, m).astype(float),
        rng.choice([-1.0, 1.0], (m, k)),
        0.5,
        rng.permuted([0.0, 1.0, 4.0, 1.0, 4.0, 1.0]),
        bias_scale,
    )


@cache
def dyadic_runs(bias_scale):
    """Twenty cases, and what the loop makes of them."""
    rng = np.random.default_rng(20)
    cases = [dyadic_case(rng, bias_scale) for _ in range(20)]
    return [(case, Loop(case, 3 * [2.0**-6])) for case in cases]


@pytest.mark.parametrize("bias_scale", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_where_arithmetic_is_exact_so_is_the_trajectory(strategy, bias_scale):
    """A pair at exactly zero is inactive, in the output and in the gradient, in every strategy."""
    for case, truth in dyadic_runs(bias_scale):
        ties = np.dot(case.X, case.weights) + case.biases == 0
        assert ties.any() and truth.margin == 0
        found, residuals = train(case, 2.0**-6, 3, strategy)
        np.testing.assert_array_equal(residuals, truth.residual)
        np.testing.assert_array_equal(found.feature_map.weights, truth.weights.astype(float))
        np.testing.assert_array_equal(found.feature_map.biases, truth.biases.astype(float))
        np.testing.assert_allclose(found.active_fraction, fractions(case, truth), rtol=1e-12)


def narrow_case(rng, n=40, d=4, m=30, amplitude=5.0, bias=1.0, k=1):
    """Unit rows, and targets for which a few neurons have to move far."""
    X = rng.standard_normal((n, d))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    layer, coef = draw_network(d, m, k, bias=bias, seed=int(rng.integers(2**31)))
    y = amplitude * np.sin(3.0 * X @ rng.standard_normal((d, k)))
    return Case(X, y, layer.weights, layer.biases, coef, layer.scale)


@pytest.fixture(scope="module")
def narrow_run():
    """A case, rates and what the loop makes of them."""
    case = narrow_case(np.random.default_rng(20))
    rates = 300 * [0.3 * case.stable_rate]
    return case, rates, Loop(case, rates)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_narrow_network_for_300_steps(narrow_run, strategy):
    case, rates, truth = narrow_run
    flips = sum(np.count_nonzero(now != then) for now, then in zip(truth.masks[1:], truth.masks, strict=False))
    assert flips > truth.masks[0].sum() and truth.margin > 1e-9
    found, residuals = train(case, rates[0], 300, strategy)
    assert_follows(case, found, residuals, truth, rates)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_creeping_neuron_wakes_a_distant_sample_on_time(strategy):
    """A slow walk at a constant pace, driven by one row, until the other row wakes: no step of it is alarming."""
    X = np.array([[1.0], [0.01]])
    case = Case(X, np.array([1e6, 0.0]), np.array([[1.0]]), np.array([-1.0 + 1e-3]), np.ones((1, 1)), 1.0, None, 0.0)
    rates = 400 * [5e-7]
    truth = Loop(case, rates)
    woken = [bool(mask[1, 0]) for mask in truth.masks]
    assert not woken[100] and woken[-1] and truth.margin > 1e-9
    found, residuals = train(case, rates[0], 400, strategy)
    assert_follows(case, found, residuals, truth, rates)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_step_across_all_the_data(rng, strategy):
    """The step is so large that every neuron leaves whatever list it had at once, and some die."""
    case = narrow_case(rng, n=30, d=3, m=20, amplitude=1e3, bias=0.5)
    rates = 5 * [2.5 * case.stable_rate]
    truth = Loop(case, rates)
    live = [mask.any(axis=0).sum() for mask in truth.masks]
    assert live[-1] < live[0] and truth.margin > 1e-9
    found, residuals = train(case, rates[0], 5, strategy)
    assert_follows(case, found, residuals, truth, rates)
    np.testing.assert_array_equal(found.n_live, live)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_neuron_alive_on_rows_without_weight_alone_never_moves_but_counts(strategy):
    """The first neuron sees the unweighted row only: frozen, its output there stays; the second one wakes on that row."""
    X, s = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]), np.array([1.0, 0.0, 1.0])
    weights, biases = np.array([[-5.0, 0.3], [3.0, -0.4]]), np.array([0.0, 0.1])
    case = Case(X, np.array([2.0, 7.0, 1.0]), weights, biases, np.ones((2, 1)), 1.0, s)
    rates = 40 * [0.1]
    truth = Loop(case, rates)
    assert [mask[1, 1] for mask in truth.masks][:: len(rates)] == [False, True]
    found, residuals = train(case, 0.1, 40, strategy)
    assert_follows(case, found, residuals, truth, rates)
    np.testing.assert_array_equal(found.feature_map.weights[:, 0], weights[:, 0])
    np.testing.assert_allclose(residuals[0][1], [3.0 - 7.0])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_nobody_is_active(strategy):
    """No neuron fires anywhere: nothing moves and the loss stays."""
    case = Case(np.eye(3), np.ones(3), np.full((3, 4), -1.0), np.full(4, -2.0), np.ones((4, 1)))
    found, residuals = train(case, 0.5, 3, strategy)
    np.testing.assert_array_equal(residuals, -np.ones((len(residuals), 3, 1)))
    np.testing.assert_array_equal(found.feature_map.weights, case.weights)
    assert not found.n_live.any() and not found.active_fraction.any()


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("bias_scale", [0.0, 1.5])
def test_same_bits_for_any_threads_and_layout(rng, strategy, bias_scale):
    """More neurons than a block may hold, an uneven rest, and rows stored in every way there is."""
    X = rng.standard_normal((23, 5)).astype(np.float32).astype(float)
    layer, coef = draw_network(5, 1037, 2, bias=0.8, symmetric=False, seed=3)
    weights = layer.weights.astype(np.float32).astype(float)
    case = Case(X, rng.standard_normal((23, 2)), weights, layer.biases, coef, layer.scale, rng.random(23), bias_scale)
    rate, wide = 0.7 * case.stable_rate, np.zeros((46, 10))
    wide[::2, ::2] = X
    first, residuals = train(case, rate, 12, strategy, n_jobs=1)
    others = [(X, 5), (np.asfortranarray(X), 1), (wide[::2, ::2], 2), (X.astype(np.float32), 3)]
    for rows, n_jobs in others:
        found, same = train(replace(case, X=rows), rate, 12, strategy, n_jobs=n_jobs)
        np.testing.assert_array_equal(same, residuals)
        np.testing.assert_array_equal(found.feature_map.weights, first.feature_map.weights)
        np.testing.assert_array_equal(found.feature_map.biases, first.feature_map.biases)
        np.testing.assert_array_equal(found.value, first.value)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_run_in_two_parts_is_the_same_run(rng, strategy):
    """Lists that are made anew half-way change nothing but rounding."""
    case = narrow_case(rng, k=2)
    rate = 0.3 * case.stable_rate
    whole, residuals = train(case, rate, 60, strategy)
    half, first = train(case, rate, 30, strategy)
    layer = half.feature_map
    again, second = train(replace(case, weights=layer.weights, biases=layer.biases), rate, 30, strategy)
    np.testing.assert_array_equal(first, residuals[:31])
    np.testing.assert_allclose(second, residuals[30:], rtol=0, atol=1e-12 * abs(residuals).max())
    np.testing.assert_allclose(again.feature_map.weights, whole.feature_map.weights, rtol=0, atol=1e-11)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_arguments_and_states_are_left_alone(rng, strategy):
    """Nothing that was passed in is written to, and nothing that a callback kept changes later."""
    case = narrow_case(rng)
    given_arrays = (case.X, case.y, case.weights, case.biases, case.coef)
    copies, kept = [array.copy() for array in given_arrays], []

    def keep(step, state):
        layer = state.feature_map
        kept.append((state.residual, state.residual.copy(), layer.weights, layer.weights.copy(), state.value))

    found = train_active_sets(case.objective, learning_rate=0.02, max_iter=15, strategy=strategy, callback=keep)
    for array, copy in zip(given_arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
    for residual, residual_then, weights, weights_then, _ in kept:
        np.testing.assert_array_equal(residual, residual_then)
        np.testing.assert_array_equal(weights, weights_then)
    np.testing.assert_array_equal([value for *_, value in kept], found.value)
    assert not np.array_equal(kept[0][2], kept[-1][2])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_stopped_by_the_callback(rng, strategy):
    case = narrow_case(rng)
    stopped = train_active_sets(
        case.objective, learning_rate=0.02, max_iter=50, strategy=strategy, callback=lambda step, state: step == 7
    )
    whole, _ = train(case, 0.02, 7, strategy)
    assert stopped.n_iter == 7
    np.testing.assert_array_equal(stopped.value, whole.value)
    np.testing.assert_array_equal(stopped.feature_map.weights, whole.feature_map.weights)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_overflow_ends_the_run_without_a_warning(rng, strategy):
    """A step much too large diverges: the run says so, and its last parameters are finite."""
    case = narrow_case(rng, bias=0.0)
    found = train_active_sets(case.objective, learning_rate=1e200, max_iter=20, strategy=strategy)
    assert found.status is Status.DIVERGED
    assert np.isfinite(found.feature_map.weights).all() and np.isfinite(found.residual).all()
    assert np.isfinite(found.value).all() and len(found.value) == found.n_iter + 1


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_rates_that_were_chosen_are_those_that_were_used(rng, strategy):
    """The loop with the recorded rates makes the same run, also where the loss rose and the rate was lowered."""
    X = rng.standard_normal((25, 3)) * 10.0 ** rng.uniform(-1, 1, (25, 1))
    case = Case(X, 50.0 * np.sin(X).sum(axis=1), rng.standard_normal((3, 12)), np.full(12, -2.0), np.ones((12, 1)), 12**-0.5)
    found, residuals = train(case, "auto", 40, strategy)
    assert found.learning_rate[0] == pytest.approx(case.stable_rate, rel=1e-6)
    assert np.unique(found.learning_rate).size > 1 and (np.diff(found.learning_rate) <= 0).all()
    truth = Loop(case, found.learning_rate)
    assert truth.margin > 1e-10
    assert_follows(case, found, residuals, truth, found.learning_rate)
