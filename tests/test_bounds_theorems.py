"""Sufficient widths against formulas in many digits, simulated networks and problems that can be solved by hand."""

from dataclasses import replace
from itertools import cycle, product

import mpmath as mp
import numpy as np
import pytest
from catalogue import EVERY
from width_problems import corner_problem, gram_matrices, lower_limit, neurons, whitened

from underdetermined import Activation, Spectrum
from underdetermined.bounds import (
    WidthProblem,
    min_width_chernoff,
    min_width_importance,
    min_width_leverage,
    min_width_truncated,
)
from underdetermined.bounds._tails import chernoff_rate, read_target, tail_costs
from underdetermined.bounds._theorems import log_spread

SUFFICIENT = (min_width_chernoff, min_width_leverage, min_width_truncated, min_width_importance)
BOUNDED = ("erf", "tanh", "sin_cos", "gaussian", "step")


def exact_rate(epsilon):
    """c(epsilon) in so many digits that nothing cancels."""
    mp.mp.dps = 700
    x = mp.mpf(epsilon)
    return x + (1 - x) * mp.log(1 - x)


def with_spectrum(problem, eigenvalues):
    """The same problem with another, diagonal kernel."""
    return replace(problem, spectrum=Spectrum(np.array(eigenvalues), np.eye(len(eigenvalues))))


@pytest.mark.parametrize("epsilon", [1e-300, 1e-150, 1e-9, 1e-3, 0.0199, 0.0201, 0.3, 0.999, 1.0 - 1e-15])
def test_the_rate_keeps_its_digits(epsilon):
    # Below 1e-154 the rate is not a normal number.
    assert abs(float(chernoff_rate(epsilon)) - exact_rate(epsilon)) <= 1e-13 * exact_rate(epsilon) + 1e-300
    assert chernoff_rate(1.0) == 1.0


@pytest.mark.parametrize(("target", "epsilon"), [("rank", 0.5), ("spectrum", 0.5), ("spectrum", 0.01)])
@pytest.mark.parametrize("failure", [0.3, 1e-6])
def test_chernoff_is_the_formula(target, epsilon, failure):
    problem = with_spectrum(corner_problem("sin_cos"), [3.0, 1.0, 0.5, 1e-3])
    width = min_width_chernoff(problem, target=target, epsilon=epsilon, failure_probability=failure).width
    rate = mp.mpf(1) if target == "rank" else exact_rate(epsilon)
    expected = 4 * 2 / mp.mpf(1e-3) / rate * mp.log(4 / mp.mpf(failure))
    assert width == int(mp.ceil(expected))
    assert isinstance(width, int)


@pytest.mark.parametrize("activation", BOUNDED)
def test_leverage_is_never_above_chernoff(rng, activation):
    problem = WidthProblem.from_data(rng.standard_normal((20, 3)), activation=activation)
    for target in ("rank", "spectrum", 3.0 * problem.largest / problem.smallest):
        chernoff, leverage = (f(problem, target=target) for f in (min_width_chernoff, min_width_leverage))
        assert leverage.width <= chernoff.width
    assert leverage.details["tau"] < 0.8 * chernoff.details["tau"]


@pytest.mark.parametrize("activation", BOUNDED)
def test_no_neuron_exceeds_the_leverage_of_the_theorem(activation):
    problem = corner_problem(activation)
    leverage = problem.leverage(neurons(problem, 200_000, seed=5))
    tau = min_width_leverage(problem).details["tau"]
    assert leverage.max() <= tau <= 40.0 * leverage.max()


@pytest.mark.parametrize(
    ("activation", "bound"),
    [
        ("erf", min_width_chernoff),
        ("step", min_width_chernoff),
        ("erf", min_width_leverage),
        ("sin_cos", min_width_leverage),
        ("gaussian", min_width_leverage),
        ("step", min_width_leverage),
        ("relu", min_width_truncated),
        ("gelu", min_width_truncated),
        ("squared_relu", min_width_truncated),
        ("hermite(0, 1, 0.5)", min_width_truncated),
        ("exp", min_width_truncated),
    ],
)
@pytest.mark.parametrize("target", ["rank", "spectrum"])
def test_networks_of_that_width_rarely_fail(activation, bound, target):
    problem = corner_problem(activation, weight_scale=0.5, bias_scale=0.3)
    width = bound(problem, target=target, epsilon=0.7, failure_probability=0.2).width
    trials = 60
    smallest = whitened(problem, gram_matrices(problem, min(width, 20_000), trials, seed=2))[:, 0]
    failed = np.count_nonzero(smallest < {"rank": 1e-12, "spectrum": 0.3}[target])
    assert lower_limit(failed, trials) <= 0.2


def draw_coupons(rng, kinds, draws, trials):
    """Counts of each kind among independent uniform draws."""
    return rng.multinomial(draws, np.full(kinds, 1.0 / kinds), size=trials)


@pytest.mark.parametrize("failure", [0.5, 0.1, 0.02])
def test_the_rank_of_coupons_shows_that_the_tail_is_sharp(rng, failure):
    """Neurons that are unit vectors have leverage r each: the width is that of the coupon collector."""
    kinds, trials = 30, 20_000
    problem = with_spectrum(WidthProblem.from_data(np.eye(kinds), activation="relu", bias_scale=0.0), np.ones(kinds))
    width = min_width_importance(problem, failure_probability=failure).width
    missing = (draw_coupons(rng, kinds, width, trials) == 0).any(axis=1).mean()
    assert 0.5 * failure < missing < failure
    fewer = (draw_coupons(rng, kinds, int(0.8 * width), trials) == 0).any(axis=1).mean()
    assert fewer > 1.3 * failure


@pytest.mark.parametrize("epsilon", [0.3, 0.6, 0.9])
def test_the_spectrum_of_coupons(rng, epsilon):
    kinds, trials = 20, 20_000
    problem = with_spectrum(WidthProblem.from_data(np.eye(kinds), activation="relu", bias_scale=0.0), np.ones(kinds))
    width = min_width_importance(problem, target="spectrum", epsilon=epsilon, failure_probability=0.2).width
    counts = draw_coupons(rng, kinds, width, trials)
    assert (counts * kinds < (1.0 - epsilon) * width).any(axis=1).mean() < 0.2
    counts = draw_coupons(rng, kinds, width // 4, trials)
    assert (counts * kinds < (1.0 - epsilon) * (width // 4)).any(axis=1).mean() > 0.2


@pytest.mark.parametrize("activation", ["relu", "exp", "erf"])
def test_neurons_drawn_by_leverage_from_a_pool(rng, activation):
    """Given a pool, the theorem holds for the pool's own kernel."""
    problem = WidthProblem.from_data(rng.standard_normal((15, 2)), activation=activation)
    pool = neurons(problem, 3000, seed=0)
    problem = replace(problem, spectrum=Spectrum.from_gram(pool @ pool.T / 3000))
    leverage = problem.leverage(pool)
    assert leverage.sum() == pytest.approx(15 * 3000)
    width = min_width_importance(problem, target="spectrum", epsilon=0.6, failure_probability=0.1).width
    trials, failed = 300, 0
    for _ in range(trials):
        drawn = rng.choice(3000, size=width, p=leverage / leverage.sum())
        chosen = pool[:, drawn] * np.sqrt(15.0 / leverage[drawn])
        failed += whitened(problem, chosen @ chosen.T / width)[0] < 0.4
    assert lower_limit(failed, trials) <= 0.1
    assert width < 15 * 40


@pytest.mark.parametrize("bound", SUFFICIENT)
def test_a_condition_number_is_split_in_the_best_way(bound):
    problem = corner_problem("erf")
    limit = problem.largest / problem.smallest
    target, failure = 4.0 * limit, 0.2
    result = bound(problem, target=target, failure_probability=failure)
    epsilon, u = result.details["epsilon"], result.details["upper_excess"]
    assert (1.0 + u) / (1.0 - epsilon) == pytest.approx(4.0, rel=1e-12)

    def width(part):
        lower = bound(problem, target="spectrum", epsilon=part, failure_probability=failure / 2).width
        excess = (1.0 - part) * 4.0 - 1.0
        spread = {True: np.log(4 * problem.spectrum.trace / problem.largest), False: log_spread(problem)}
        upper = 2.0 * np.exp(spread[bound is min_width_importance]) / (failure * excess**2)
        return max(lower, upper)

    best = min(map(width, np.linspace(0.01, 0.74, 40)))
    assert 0.9 * best <= result.width <= best + 1.0
    assert result.width == pytest.approx(width(epsilon), rel=1e-6, abs=1.0)


@pytest.mark.parametrize("activation", ["erf", "relu", "step", "exp"])
def test_networks_of_that_width_are_well_conditioned(activation):
    problem = corner_problem(activation, weight_scale=0.5, bias_scale=0.3)
    target = 5.0 * problem.largest / problem.smallest
    width = min_width_truncated(problem, target=target, failure_probability=0.2).width
    grams = gram_matrices(problem, min(width, 20_000), 60, seed=8)
    assert lower_limit(np.count_nonzero(np.linalg.cond(grams) > target), 60) <= 0.2


@pytest.mark.parametrize("activation", ["erf", "relu", "gelu", "squared_relu", "hermite(0, 1, 0.5)", "elu", "step"])
def test_the_spread_bounds_the_fourth_moment(activation):
    problem = corner_problem(activation, weight_scale=0.5)
    squares = (neurons(problem, 100_000, seed=1) ** 2).sum(axis=0) ** 2
    bound = np.exp(log_spread(problem)) * problem.largest**2
    assert squares.mean() - 4.0 * squares.std() / np.sqrt(squares.size) <= bound <= 40.0 * squares.mean()


@pytest.mark.parametrize("bound", SUFFICIENT)
def test_asking_for_more_takes_more(bound):
    problem = corner_problem("tanh")
    limit = problem.largest / problem.smallest
    demands = [
        {"failure_probability": 0.5},
        {},
        {"failure_probability": 1e-9},
        {"failure_probability": 1e-9, "target": "spectrum", "epsilon": 0.9},
        {"failure_probability": 1e-9, "target": "spectrum", "epsilon": 0.1},
        {"failure_probability": 1e-9, "target": "spectrum", "epsilon": 1e-3},
    ]
    widths = [bound(problem, **demand).width for demand in demands]
    assert widths == sorted(widths)
    assert len(set(widths)) == len(widths)
    conditions = [bound(problem, target=factor * limit).width for factor in (1e9, 100.0, 2.0, 1.1, 1.0 + 1e-6)]
    assert conditions == sorted(conditions)


@pytest.mark.parametrize("bound", SUFFICIENT)
def test_a_condition_number_below_the_kernels_is_not_promised(bound):
    problem = corner_problem("erf")
    for factor in (0.5, 1.0):
        result = bound(problem, target=max(1.0 + 1e-9, factor * problem.largest / problem.smallest))
        assert result.width is None
        assert "the kernel itself has the condition number" in result.statement


@pytest.mark.parametrize(("name", "bias_scale"), list(zip(sorted(EVERY), cycle([0.0, 0.4]), strict=False)))
def test_every_activation_gets_an_answer(name, bias_scale):
    problem = corner_problem(name, weight_scale=0.5, bias_scale=bias_scale)
    limit = np.nan_to_num(problem.largest / problem.smallest)
    for bound, target in product(SUFFICIENT, ("rank", "spectrum", 3.0 * limit + 1.1)):
        is_given = bound in (min_width_truncated, min_width_importance) or problem.activation.bound is not None
        result = bound(problem, target=target)
        assert (result.width is not None) == result.is_applicable == is_given
        assert (result.kind, result.role) == ("theorem", "sufficient")
        assert result.statement.endswith(".")
        assert not {"nan", "inf"} & set(result.statement.replace(",", " ").split())
        assert (result.width or 1) >= 1


@pytest.mark.parametrize("bound", SUFFICIENT)
def test_order_and_repetition_of_rows_do_not_matter(rng, bound):
    X = rng.standard_normal((7, 3))
    twice = np.repeat(X, 2, axis=0)
    widths = [
        bound(WidthProblem.from_data(rows, activation="erf"), target="spectrum").width for rows in (X, X[::-1], twice, -X)
    ]
    np.testing.assert_allclose(widths, widths[0], rtol=1e-6)


@pytest.mark.parametrize("target", ["rank", "spectrum", 1e30])
def test_an_unresolved_kernel_gives_no_width(target):
    X = np.linspace(0.0, 1.0, 40)[:, np.newaxis]
    problem = WidthProblem.from_data(X, activation="sin_cos")
    for bound in SUFFICIENT[:3]:
        result = bound(problem, target=target)
        assert (result.width, result.assumptions[-1].is_met) == (None, False)
        assert f"only {problem.numerical_rank} of the 40 positive eigenvalues" in result.statement
    result = min_width_importance(problem, target=target)
    p = problem.numerical_rank
    expected = {"rank": p * np.log(10.0 * p), "spectrum": p * np.log(10.0 * p) / float(exact_rate(0.5)), 1e30: None}[target]
    assert result.width == (expected and int(np.ceil(expected)))
    assert ("lambda is not resolved" in result.statement) == (expected is None)


def test_facts_of_a_callable_are_used_and_asked_for(rng):
    X = rng.standard_normal((6, 2))
    problems = [
        WidthProblem.from_data(X, activation=activation)
        for activation in (np.tanh, Activation("t", function=np.tanh, bound=1.0, lipschitz=1.0), "tanh")
    ]
    for bound in SUFFICIENT[:3]:
        bare, declared, named = (bound(problem) for problem in problems)
        assert (bare.width, bare.is_applicable, bare.assumptions[0].is_met) == (None, False, None)
        assert "declare bound=" in bare.statement
        assert declared.width == pytest.approx(named.width, rel=1e-6)
    assert min_width_importance(problems[0]).width == min_width_importance(problems[2]).width
    unbounded = min_width_chernoff(WidthProblem.from_data(X, activation="relu"))
    assert (unbounded.width, unbounded.assumptions[0].is_met) == (None, False)
    assert "relu is not bounded" in unbounded.statement


def test_a_width_out_of_range_is_none():
    problem = with_spectrum(corner_problem("erf"), np.full(4, 1e-307))
    result = min_width_chernoff(problem, target="spectrum", epsilon=1e-3)
    assert result.width is None
    assert "1.8e308" in result.statement
    large = min_width_chernoff(with_spectrum(problem, np.full(4, 1e-250)))
    assert large.width > 10**250
    assert isinstance(large.width, int)


@pytest.mark.parametrize("rows", [np.zeros((3, 2)), np.array([[0.0]])])
def test_nothing_to_fit_takes_one_neuron(rows):
    problem = WidthProblem.from_data(rows, activation="relu", bias_scale=0.0)
    widths = {bound(problem, target=target).width for bound in SUFFICIENT[2:] for target in ("rank", "spectrum", 2.0)}
    assert widths == {1}


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"target": "ranks"}, ValueError, "target='ranks'"),
        ({"target": True}, TypeError, "target=True"),
        ({"target": None}, TypeError, "target=None"),
        ({"target": 1.0}, ValueError, "target=1.0"),
        ({"target": np.inf}, ValueError, "target=inf"),
        ({"target": np.nan}, ValueError, "target=nan"),
        ({"epsilon": 0.0}, ValueError, "epsilon=0.0"),
        ({"epsilon": 1.0}, ValueError, "epsilon=1.0"),
        ({"epsilon": "a"}, TypeError, "epsilon='a'"),
        ({"failure_probability": 0}, ValueError, "failure_probability=0"),
        ({"failure_probability": 1.0}, ValueError, r"failure_probability=1\.0"),
    ],
)
def test_options_out_of_range_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        min_width_chernoff(corner_problem("erf"), **options)


def test_costs_of_thresholds():
    costs, remaining = tail_costs([2.0, 2.0, 2.0], [0.0, 0.25, 0.5], 0.5)
    rate = float(exact_rate(mp.mpf(1) / 3))
    np.testing.assert_allclose(costs, [2.0 / float(exact_rate(0.5)), 2.0 / (0.75 * rate), np.inf])
    np.testing.assert_allclose((1.0 - remaining) * (1.0 - np.array([0.0, 0.25, 0.0])), 0.5)
    assert read_target(np.float32(2.5), 0.5, 0.1).condition == 2.5
