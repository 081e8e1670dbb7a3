"""The smallest trainable width: each way to train against a slow one, and the search on success that is known."""

import json

import numpy as np
import pytest

from underdetermined.activations import get_activation
from underdetermined.empirical_width import TrainableWidth, Training, minimum_trainable_width
from underdetermined.empirical_width._trainable import _Search
from underdetermined.empirical_width._trainable_descent import NarrowNetwork, descend
from underdetermined.empirical_width._trainable_problem import TrainableProblem
from underdetermined.joint import draw_network
from underdetermined.objectives import TwoLayer
from underdetermined.optimize import gauss_newton, gradient_descent

pytestmark = pytest.mark.usefixtures("single_threaded_blas")


def rows(n, d=3, seed=0):
    """Rows of norm 2 sqrt(d), and labels."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d))
    return X * (2.0 * np.sqrt(d) / np.linalg.norm(X, axis=1, keepdims=True)), rng.choice([-1.0, 1.0], n)


def problem(X, Y, layers, method, *, activation="tanh", loss_tol=1e-8, max_steps=200, **drawn):
    """A problem that is not searched."""
    options = {"init": "lecun", "output": "random", "weight_scale": 1.0, "coef_scale": 1.0, "bias_scale": None} | drawn
    options["activation"] = get_activation(activation)
    return TrainableProblem(X, Y.reshape(len(X), -1), layers, method, loss_tol, max_steps, options)


def networks(X, Y, layers, width, *, seed=3, **drawn):
    """The narrow network, and the objective that it stands for."""
    layer, coef = draw_network(X.shape[1], width, Y.shape[1], seed=seed, **drawn)
    return NarrowNetwork(X, Y, layer, coef, layers), TwoLayer(X, Y, layer, coef, layers=layers)


@pytest.mark.parametrize("layers", ["both", "hidden"])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("bias_scale", [None, 0.5])
@pytest.mark.parametrize(("activation", "init"), [("tanh", "lecun"), ("gelu", "kernel"), ("relu", "he")])
def test_narrow_network_is_the_objective(layers, k, bias_scale, activation, init, rng):
    X, Y = rng.standard_normal((7, 3)), rng.standard_normal((7, k))
    narrow, objective = networks(X, Y, layers, 5, activation=activation, init=init, bias_scale=bias_scale)
    np.testing.assert_array_equal(narrow.initial(), objective.initial())
    theta = objective.initial() + 0.1 * rng.standard_normal(objective.n_parameters)
    value, gradient = narrow.value_and_gradient(theta)
    expected, slopes = objective.value_and_gradient(theta)
    assert value == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-11, atol=1e-12)
    largest = np.linalg.eigvalsh(objective.linearize(theta).gram())[-1]
    assert 0.98 * largest <= narrow.tangent_eigenvalue(theta) <= (1.0 + 1e-12) * largest


def descended(objective, goal, max_steps):
    """The rule of `descend`, with exact eigenvalues and nothing clever; also how many steps were taken back."""
    theta, rate, age, steps, rejected = objective.initial(), np.inf, 50, 0, 0
    while objective.value(theta) > goal and steps < max_steps:
        longest = 0.9 / np.linalg.eigvalsh(objective.linearize(theta).gram())[-1]
        rate, age = (min(2.0 * rate, longest), 0) if age == 50 else (rate, age)
        following = theta - rate * objective.gradient(theta)
        is_lower = objective.value(following) < objective.value(theta)
        theta, steps, age = (following, steps + 1, age + 1) if is_lower else (theta, steps, 0)
        rate, rejected = (rate, rejected) if is_lower else (min(0.5 * rate, longest), rejected + 1)
    return objective.value(theta), steps, rejected


@pytest.mark.parametrize(
    ("layers", "coef_scale", "size", "seed", "least"),
    [("both", 1e-3, 5.0, 3, 1), ("both", 3.0, 30.0, 0, 2), ("hidden", 3.0, 5.0, 3, 0)],
)
def test_descent_follows_its_rule(layers, coef_scale, size, seed, least):
    # With six rows eight Lanczos steps are exact.
    X, y = rows(6)
    narrow, objective = networks(X, size * y[:, np.newaxis], layers, 8, coef_scale=coef_scale, seed=seed)
    goal = 1e-3 * objective.value(objective.initial())
    value, steps, rejected = descended(objective, goal, 400)
    assert rejected >= least
    found = descend(narrow, goal, 400)
    assert found[1] == steps
    assert found[0] == pytest.approx(value, rel=1e-8)


def test_descent_ends_where_rounding_hides_every_decrease():
    X, y = rows(3)
    narrow, _ = networks(X, y[:, np.newaxis], "both", 40)
    value, steps = descend(narrow, 0.0, 100_000)
    assert value < 1e-25
    assert steps < 100_000


@pytest.mark.parametrize(("activation", "bias_scale", "k"), [("tanh", None, 1), ("gelu", 0.7, 3)])
def test_closed_form_of_the_last_layer(activation, bias_scale, k):
    X, _ = rows(6)
    Y = np.random.default_rng(1).standard_normal((6, k))
    layer, coef = draw_network(3, 30, k, activation=activation, bias_scale=bias_scale, seed=5)
    objective = TwoLayer(X, Y, layer, coef, layers="last")
    largest = np.linalg.eigvalsh(layer(X) @ layer(X).T)[-1]
    run = gradient_descent(objective, objective.initial(), learning_rate=0.9 / largest, max_iter=150)
    losses = 2.0 * run.value / np.sum(Y**2)
    options = {"activation": activation, "bias_scale": bias_scale, "max_steps": 150}
    missed = problem(X, Y, "last", "gd", loss_tol=0.5 * losses[-1], **options).train(30, 5)
    assert (missed.width, missed.n_steps, missed.is_reached) == (30, None, False)
    assert missed.loss == pytest.approx(losses[-1], rel=1e-9)
    for step, tol in ((0, 1.01 * losses[0]), *((step, np.sqrt(losses[step - 1] * losses[step])) for step in (71, 150))):
        found = problem(X, Y, "last", "gd", loss_tol=tol, **options).train(30, 5)
        assert found.n_steps == step
        assert found.loss == pytest.approx(losses[step], rel=1e-9)


@pytest.mark.parametrize("width", [1, 4, 5, 30])
@pytest.mark.parametrize("k", [1, 2])
def test_least_squares_of_the_last_layer(width, k, rng):
    X, Y = rng.standard_normal((5, 2)), rng.standard_normal((5, k))
    layer, _ = draw_network(2, width, k, seed=9)
    features = layer(X)
    rest = Y - features @ np.linalg.lstsq(features, Y, rcond=None)[0]
    found = problem(X, Y, "last", "direct", max_steps=0).train(width, 9)
    assert found.loss == pytest.approx(np.sum(rest**2) / np.sum(Y**2), rel=1e-9, abs=1e-20)
    assert found.is_reached == (width >= 5)


@pytest.mark.parametrize("layers", ["both", "hidden"])
def test_gauss_newton_is_that_of_the_optimiser(layers):
    X, y = rows(8, 6)
    layer, coef = draw_network(6, 20, 1, seed=2)
    objective = TwoLayer(X, y, layer, coef, layers=layers)
    start = objective.initial()
    run = gauss_newton(objective, start, max_iter=50, loss_tol=4.0 * 1e-8 / objective.value(start))
    found = problem(X, y, layers, "gauss-newton", max_steps=50).train(20, 2)
    assert (found.n_steps, found.width) == (run.n_iter, 20)
    assert found.loss == pytest.approx(run.value[-1] / 4.0, rel=1e-6)
    assert problem(X, y, layers, "gauss-newton", max_steps=1).train(20, 2).n_steps is None
    outputs = layer(X) @ coef[:, 0]
    assert problem(X, outputs + 1e-9 * y, layers, "gauss-newton").train(20, 2).n_steps == 0


class Known:
    """A problem whose networks succeed at known widths."""

    def __init__(self, succeeds, output="random"):
        self.succeeds, self.drawn, self.widths = succeeds, {"output": output}, []

    def train(self, width, seed):
        """Succeed or not."""
        self.widths.append(width)
        return Training(width, 0.5, 7 if self.succeeds(width) else None)


def threshold(trainings):
    """Width that a search has found."""
    return TrainableWidth("both", "gd", "tanh", "lecun", 1e-8, 1, 0.04, 99, 1, 1, 0, 1, (trainings,)).widths[0]


@pytest.mark.parametrize("first", [1, 2, 7, 150, 1000])
@pytest.mark.parametrize("least", [1, 2, 3, 7, 8, 150, 151, 999])
def test_search_finds_the_threshold(first, least):
    known = Known(lambda width: width >= least)
    found = threshold(_Search(known, first, 4000, 0.04, None).run(0, 0))
    assert least <= found <= max(least + 1, 1.04 * least) - (least < 25)
    assert len(known.widths) == len(set(known.widths)) <= 22
    assert threshold(_Search(Known(lambda width: width >= least), first, 4000, 1e-9, None).run(0, 0)) == least


def test_search_ends_at_its_limit():
    known = Known(lambda width: False)
    assert np.isnan(threshold(_Search(known, 3, 50, 0.04, None).run(0, 0)))
    assert known.widths == [3, 6, 12, 24, 48, 50]
    assert threshold(_Search(Known(lambda width: width >= 50), 3, 50, 0.04, None).run(0, 0)) == 50


def test_search_among_even_widths():
    known = Known(lambda width: width >= 23, output="paired")
    assert threshold(_Search(known, 5, 401, 1e-9, None).run(0, 0)) == 24
    assert not any(width % 2 for width in known.widths)


def test_threshold_lies_above_the_last_failure():
    trainings = tuple(Training(width, 0.1, steps) for width, steps in ((2, 5), (4, None), (5, 9), (8, 9)))
    assert threshold(trainings) == 5


@pytest.mark.parametrize(
    ("layers", "options", "expected"),
    [
        ("both", {}, 5),  # 20 / (3 + 1)
        ("hidden", {}, 7),  # 20 / 3
        ("last", {}, 20),
        ("both", {"bias_scale": 0.0}, 4),  # 20 / (4 + 1)
        ("both", {"activation": "relu", "bias_scale": 0.0}, 5),  # one parameter less
        ("hidden", {"activation": "relu", "bias_scale": 0.0}, 5),
    ],
)
def test_parameter_counts(layers, options, expected, rng):
    X, y = rng.standard_normal((20, 3)), rng.standard_normal(20)
    assert problem(X, y, layers, "gd", **options).parameter_width(20) == expected
    # A column that depends on the others adds no parameters that count.
    assert problem(np.column_stack([X, X[:, 0] - X[:, 1]]), y, layers, "gd", **options).parameter_width(20) == expected


def test_parameter_count_of_several_outputs(rng):
    X, Y = rng.standard_normal((20, 3)), rng.standard_normal((20, 4))
    assert [problem(X, Y, each, "gd").parameter_width(20) for each in ("both", "hidden", "last")] == [12, 27, 20]


def test_thresholds_are_those_of_an_exhaustive_search():
    X, y = rows(10, 6, seed=4)
    found = minimum_trainable_width(X, y, n_seeds=3, max_steps=400, resolution=1e-9, seed=1)
    for tried, width in zip(found.trainings, found.widths, strict=True):
        index = found.trainings.index(tried)
        each = problem(X, y, "both", "gd", max_steps=400)
        fresh = [each.train(m, 2 * 2**32 + index) for m in (int(width) - 1, int(width))]
        assert [one.is_reached for one in fresh] == [False, True]
        assert fresh[1] in tried
    assert found.mean == pytest.approx(found.widths.mean())
    assert found.interval[0] <= found.mean <= found.interval[1]
    assert found.parameter_width == 2


def test_widths_of_the_note():
    """Rows of norm 2 sqrt(10), 5000 steps on the last layer: means of six seeds that were computed elsewhere."""
    for n, expected in ((12, 14.8), (20, 26.5), (32, 56.0)):
        widths = [minimum_trainable_width(*rows(n, 10, seed), layers="last", n_seeds=1, seed=seed).mean for seed in range(6)]
        assert np.mean(widths) == pytest.approx(expected, rel=0.15)


def test_threads_and_layout_change_nothing():
    X, y = rows(8, 6)
    options = {"n_seeds": 3, "max_steps": 300}
    one = minimum_trainable_width(X, y, n_jobs=1, **options)
    two = minimum_trainable_width(np.asfortranarray(X), y[:, np.newaxis], n_jobs=2, **options)
    assert one.trainings == two.trainings
    singles = minimum_trainable_width(X.astype(np.float32).astype(np.float64), y.astype(np.int64), **options)
    assert minimum_trainable_width(X.astype(np.float32), y, **options).trainings == singles.trainings


def test_interruption_passes():
    def interrupt(line):
        assert "training 1: network 0 of width 2" in line
        raise KeyboardInterrupt

    X, y = rows(8)
    with pytest.raises(KeyboardInterrupt):
        minimum_trainable_width(X, y, n_jobs=1, max_steps=20, progress=interrupt)


def test_result_as_json():
    X, y = rows(6)
    found = minimum_trainable_width(X, y, layers="last", max_steps=1, max_width=8, n_seeds=2)
    stored = json.loads(json.dumps(found.to_dict()))
    assert (stored["widths"], stored["mean"], stored["interval"]) == ([None, None], None, [None, None])
    assert [each["width"] for each in stored["trainings"][0]] == [6, 8]
    assert stored["trainings"][0][0]["n_steps"] is None
    summary = "TrainableWidth(layers='last', method='gd', activation='tanh', n_rows=6, max_steps=1, mean nan in [nan, nan]"
    assert repr(found).startswith(summary)
    assert np.isnan(minimum_trainable_width(X, y, layers="last", method="direct", n_seeds=1).interval).all()


def test_one_row_and_constant_columns(rng):
    assert minimum_trainable_width([[1.0, 2.0]], [3.0], n_seeds=2).widths.tolist() == [1.0, 1.0]
    X = np.column_stack([rng.standard_normal((6, 2)), np.ones(6), np.zeros(6)])
    found = minimum_trainable_width(X, rng.standard_normal(6), layers="last", method="direct", n_seeds=2)
    assert found.widths.tolist() == [6.0, 6.0]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"layers": "first"}, ValueError, "layers='first' is unknown"),
        ({"method": "direct"}, ValueError, "method='direct' does not fit layers='both': pass 'gd' or 'gauss-newton'"),
        ({"method": "gauss-newton", "layers": "last"}, ValueError, "pass 'gd' or 'direct'"),
        ({"method": "direct", "layers": "last", "max_steps": 5}, ValueError, "takes no steps"),
        ({"targets": np.zeros(5)}, ValueError, "all zero"),
        ({"targets": np.ones(4)}, ValueError, "targets has 4 rows"),
        ({"targets": [1.0, 2.0, np.nan, 1.0, 1.0]}, ValueError, "NaN"),
        ({"X": np.ones(5)}, ValueError, "X has 1 dimensions"),
        ({"X": np.zeros((0, 2)), "targets": []}, ValueError, "at least one row"),
        ({"loss_tol": 0.0}, ValueError, "loss_tol=0.0"),
        ({"loss_tol": 1.0}, ValueError, "loss_tol=1.0"),
        ({"max_steps": 0}, ValueError, "max_steps=0"),
        ({"n_seeds": 0}, ValueError, "n_seeds=0"),
        ({"resolution": 0.0}, ValueError, "resolution=0.0"),
        ({"max_width": 0}, ValueError, "max_width=0"),
        ({"seed": -1}, ValueError, "seed=-1"),
        ({"init": "lucky"}, ValueError, "init='lucky'"),
        ({"activation": "lucky"}, ValueError, "lucky"),
        ({"activation": np.sin}, ValueError, "has no derivative"),
        ({"X": [[1.0], [1.0], [2.0], [3.0], [4.0]]}, ValueError, r"unattainable at any width.*Rows \(0, 1\) are equal"),
        ({"X": np.arange(-2.0, 3.0)[:, np.newaxis]}, ValueError, "unattainable"),
    ],
)
def test_errors_name_argument_and_value(arguments, error, message):
    X = np.random.default_rng(0).standard_normal((5, 2))
    with pytest.raises(error, match=message):
        minimum_trainable_width(**({"X": X, "targets": np.array([1.0, -1.0, 1.0, 1.0, -1.0])} | arguments))


def test_biases_that_stay_at_zero_are_none():
    X, y = np.array([[-2.0], [-1.0], [1.0], [2.0]]), np.array([1.0, 2.0, 1.0, 2.0])
    with pytest.raises(ValueError, match="unattainable"):
        minimum_trainable_width(X, y, layers="last", method="direct", bias_scale=0.0)
    assert minimum_trainable_width(X, y, layers="last", method="direct", bias_scale=1.0, n_seeds=1).mean == 4.0
    assert minimum_trainable_width(X, y, bias_scale=0.0, n_seeds=1, max_steps=1, max_width=2).parameter_width == 2


def test_memory_is_checked_before_anything_is_trained(monkeypatch):
    monkeypatch.setattr("underdetermined._validation.available_memory", lambda: 10_000)
    X, y = rows(40)
    with pytest.raises(MemoryError, match="training of 1 networks at once on 40 rows needs 102400 bytes"):
        minimum_trainable_width(X, y, n_seeds=1)
