"""Growth of trainable widths: columns are those of single searches, and exponents those of slow fits."""

import json

import numpy as np
import pytest
from scipy.stats import linregress

from underdetermined.bounds import growth_orders, minimum_width
from underdetermined.empirical_width import (
    TrainableWidthGrowth,
    bootstrap_exponent,
    fit_exponent,
    minimum_trainable_width,
    trainable_width_growth,
)

pytestmark = pytest.mark.usefixtures("single_threaded_blas")

FAST = {"n_seeds": 2, "max_steps": 150, "max_width": 60, "n_jobs": 1}


def labels(n, seed):
    """Rows in six dimensions with random labels."""
    rng = np.random.default_rng(seed)
    return 2.0 * rng.standard_normal((n, 6)), rng.choice([-1.0, 1.0], n)


class Recorded:
    """Problems, and what was asked for."""

    def __init__(self):
        self.calls = []

    def __call__(self, n, seed):
        """One problem."""
        self.calls.append((n, seed))
        return labels(n, seed)


def test_columns_are_those_of_single_searches():
    make = Recorded()
    growth = trainable_width_growth(make, [8, 4, 8], **FAST)
    assert growth.sizes.tolist() == [4, 8]
    assert growth.n_inputs.tolist() == [6, 6]
    assert [n for n, _ in make.calls] == [4, 4, 8, 8]
    assert len(set(make.calls)) == 4
    assert list(growth.widths) == ["both", "hidden", "last", "last, direct"]
    assert growth.max_steps == {"both": 150, "hidden": 150, "last": 150, "last, direct": 0}
    for (n, seed), place in zip(make.calls, [(0, 0), (0, 1), (1, 0), (1, 1)], strict=True):
        X, y = labels(n, seed)
        for name, options in {
            "both": {"max_steps": 150},
            "hidden": {"layers": "hidden", "max_steps": 150},
            "last": {"layers": "last", "max_steps": 150},
            "last, direct": {"layers": "last", "method": "direct"},
        }.items():
            found = minimum_trainable_width(X, y, n_seeds=1, seed=seed, max_width=60, **options)
            np.testing.assert_equal(growth.widths[name][place], found.widths[0])
            assert growth.parameters[name.split(",")[0]][place[0]] == found.parameter_width


def test_other_sizes_seeds_and_threads_change_nothing():
    options = {"layers": "last", "max_steps": 100, "has_bounds": False}
    growth = trainable_width_growth(labels, [4, 6, 9], n_seeds=3, n_jobs=2, **options)
    alone = trainable_width_growth(labels, [9], n_seeds=2, n_jobs=1, **options)
    for name, widths in growth.widths.items():
        np.testing.assert_array_equal(widths[2:, :2], alone.widths[name])
    other = trainable_width_growth(labels, [9], n_seeds=2, seed=1, **options)
    assert other.widths["last"].tolist() != alone.widths["last"].tolist()


def test_bounds_are_those_of_the_last_layer():
    make = Recorded()
    growth = trainable_width_growth(make, [5, 7], layers="last", init="he", weight_scale=0.5, bias_scale=0.25, **FAST)
    n, seed = make.calls[2]
    options = {"weight_scale": 0.5 * np.sqrt(2.0 / 6.0), "bias_scale": 0.25}
    found = minimum_width(labels(n, seed)[0], activation="tanh", target="spectrum", seed=seed, **options).bounds
    widths = {each.name: each.width for each in found if each.kind != "order" and each.name != "parameter_count"}
    assert set(growth.bounds) == set(widths)
    for name, width in widths.items():
        np.testing.assert_equal(growth.bounds[name][1], np.array(width, dtype=float))
    assert growth.exponents["necessary"] == fit_exponent([5, 7], [5, 7])
    with pytest.warns(UserWarning, match="init='xavier'"):
        assert trainable_width_growth(labels, [5], layers="last", init="xavier", **{**FAST, "max_width": 200}).bounds == {}


def test_gauss_newton_trains_hidden_layers_alone():
    growth = trainable_width_growth(labels, [6], method="gauss-newton", max_steps=30, n_seeds=1, has_bounds=False)
    assert growth.max_steps == {"both": 30, "hidden": 30, "last": 5000, "last, direct": 0}
    assert growth.method == "gauss-newton"
    assert growth.widths["last, direct"].tolist() == [[6.0]]


def test_interrupted_growth_keeps_what_is_finished():
    whole = trainable_width_growth(labels, [4, 6], layers="last", **FAST)
    lines = []

    def stop(line):
        {False: lines.append, True: _raise}[line.startswith("n = 6, last, direct, seed 0")](line)

    part = trainable_width_growth(labels, [4, 6], layers="last", progress=stop, **FAST)
    assert part.sizes.tolist() == [4]
    np.testing.assert_array_equal(part.widths["last"][0], whole.widths["last"][0])
    assert lines[0].startswith("n = 4, last, seed 0, training 1: network 0 of width 4 ")
    with pytest.raises(KeyboardInterrupt):
        trainable_width_growth(labels, [6], layers="last", progress=_raise, n_seeds=3, max_steps=50, n_jobs=2)


def _raise(line):
    raise KeyboardInterrupt


def growth_of(widths, sizes=(10, 20, 40)):
    """A growth of one curve."""
    sizes = np.array(sizes)
    return TrainableWidthGrowth(
        activation="tanh", init="lecun", method="gd", loss_tol=1e-8, max_steps={"both": 5000}, sizes=sizes,
        n_inputs=np.full(sizes.size, 4), widths={"both": np.asarray(widths, dtype=float)},
        parameters={"both": sizes / 5.0}, bounds={"chernoff": 100.0 * sizes**2},
    )  # fmt: skip


def test_growth_as_json():
    growth = growth_of([[2, 3], [4, 6], [8, np.nan]])
    stored = json.loads(json.dumps(growth.to_dict()))
    assert stored["widths"]["both"] == [[2.0, 3.0], [4.0, 6.0], [8.0, None]]
    np.testing.assert_allclose(growth.means["both"][:2], np.sqrt([6.0, 24.0]))
    assert stored["means"]["both"][2] is None
    assert stored["exponents"]["chernoff"]["value"] == pytest.approx(2.0)
    assert stored["exponents"]["both"]["n_points"] == 2
    assert (stored["n_seeds"], stored["sizes"], stored["max_steps"]) == (2, [10, 20, 40], {"both": 5000})
    summary = "TrainableWidthGrowth(activation='tanh', n from 10 to 40, 2 seeds, exponents: both 1 in ["
    assert repr(growth).startswith(summary)


def test_exponent_of_large_sizes_alone():
    growth = growth_of([[2, 2], [4, 4], [16, 16]])
    assert growth.exponent("both").value == pytest.approx(1.5)
    assert growth.exponent("both", smallest=20).value == pytest.approx(2.0)
    assert growth.exponent("both", smallest=20).n_points == 2
    with pytest.raises(KeyError, match="curve='last' was not measured"):
        growth.exponent("last")


def test_exponent_is_that_of_all_points(rng):
    sizes = np.array([10, 20, 50, 90])
    widths = 3.0 * sizes[:, np.newaxis] ** 1.3 * np.exp(0.3 * rng.standard_normal((4, 5)))
    found = bootstrap_exponent(sizes, widths)
    fit = linregress(np.log(np.repeat(sizes, 5)), np.log(widths.ravel()))
    assert found.value == pytest.approx(fit.slope)
    assert found.n_points == 4
    lost = np.vstack([widths, [1.0, np.nan, 1.0, 1.0, 1.0]])
    assert bootstrap_exponent([*sizes, 5], lost) == found


def test_interval_against_resampling_by_hand(rng):
    sizes, widths = np.array([10.0, 30.0, 50.0]), np.exp(rng.standard_normal((3, 6)))
    found = bootstrap_exponent(sizes, widths, n_resamples=20_000)
    fits = [
        np.polyfit(np.log(sizes), [np.log(rng.choice(row, 6)).mean() for row in widths], 1)[0] for _ in range(3000)
    ]
    # Percentiles of 3000 draws err by about 0.0028 / density, 0.06 of a standard deviation at these levels.
    assert np.abs(np.array([found.low, found.high]) - np.quantile(fits, [0.025, 0.975])).max() < 0.25 * np.std(fits)


def test_interval_covers_at_its_level(rng):
    sizes = np.array([10.0, 20.0, 40.0])
    noise = np.exp(0.2 * rng.standard_normal((400, 3, 25)))
    fits = [bootstrap_exponent(sizes, sizes[:, np.newaxis] * each, n_resamples=400) for each in noise]
    covered = np.mean([fit.low <= 1.0 <= fit.high for fit in fits])
    # With 25 seeds the percentile bootstrap is too narrow by about one per cent.
    assert abs(covered - 0.94) < 4 * np.sqrt(0.94 * 0.06 / 400)


def test_exponents_of_too_little():
    assert np.isnan(bootstrap_exponent([10, 20], [[4.0], [8.0]]).high)
    assert bootstrap_exponent([10, 20], [[4.0], [8.0]]).value == pytest.approx(1.0)
    assert np.isnan(bootstrap_exponent([10], [[4.0, 5.0]]).value)
    assert np.isnan(bootstrap_exponent([10, 10], [[4.0, 5.0], [4.0, 5.0]]).value)
    assert bootstrap_exponent([10, 20], [[np.nan, 1.0], [2.0, 3.0]]).n_points == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([10, 20], [4.0, 8.0]), "widths has shape"),
        (([10, 20, 30], [[4.0], [8.0]]), "widths has shape"),
        (([0, 20], [[4.0], [8.0]]), "positive"),
        (([10, 20], [[-4.0], [8.0]]), "positive"),
    ],
)
def test_exponents_refuse(arguments, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_exponent(*arguments)
    with pytest.raises(ValueError, match="n_resamples=0"):
        bootstrap_exponent([10], [[4.0]], n_resamples=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sizes": []}, "sizes is empty"),
        ({"sizes": [0]}, "sizes=0"),
        ({"layers": []}, "layers is empty"),
        ({"layers": ["both", "first"]}, "layers='first'"),
        ({"method": "luck"}, "method='luck'"),
        ({"method": "direct", "layers": "last"}, "method='direct' is unknown"),
        ({"n_seeds": 0}, "n_seeds=0"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_errors_name_argument_and_value(arguments, message):
    with pytest.raises(ValueError, match=message):
        trainable_width_growth(**({"make_problem": labels, "sizes": [4], "max_steps": 5} | arguments))


def test_the_order_of_the_literature_counts_parameters():
    order = next(each for each in growth_orders() if each.name == "subquadratic_2021")
    assert order.width is None
    assert "n^(3/2) parameters, n^(3/2) / d neurons" in order.statement
