"""Growth of widths with the number of rows: fitted exponents, and the columns that they are fitted to."""

import json

import numpy as np
import pytest
from scipy.stats import linregress, t

from underdetermined.bounds import minimum_width
from underdetermined.empirical_width import empirical_minimum_width, fit_exponent, width_growth

pytestmark = pytest.mark.usefixtures("single_threaded_blas")

FAST = {"n_seeds": 8, "failure_probability": 0.3}


def sphere(n, seed):
    """Rows on the unit sphere of three dimensions."""
    X = np.random.default_rng(seed).standard_normal((n, 3))
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def interrupt(line):
    """Progress that ends the run."""
    raise KeyboardInterrupt


def test_exponent_is_that_of_scipy(rng):
    sizes = np.array([10, 20, 50, 90, 200])
    widths = 3.0 * sizes**1.7 * np.exp(0.1 * rng.standard_normal(5))
    found, fit = fit_exponent(sizes, widths), linregress(np.log(sizes), np.log(widths))
    margin = t.ppf(0.975, 3) * fit.stderr
    assert (found.value, found.low, found.high) == pytest.approx((fit.slope, fit.slope - margin, fit.slope + margin))
    assert found.n_points == 5


def test_interval_of_the_exponent_covers_at_its_level(rng):
    sizes = np.geomspace(10, 1000, 6)
    noise = np.exp(0.2 * rng.standard_normal((2000, 6)))
    fits = [fit_exponent(sizes, sizes**1.5 * factors) for factors in noise]
    covered = np.mean([fit.low <= 1.5 <= fit.high for fit in fits])
    assert abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 2000)


def test_exponent_of_too_few_points():
    assert fit_exponent([10, 20, 40], [5.0, np.nan, 80.0]).value == pytest.approx(2.0)
    assert np.isnan(fit_exponent([10, 20, 40], [5.0, np.nan, 80.0]).high)
    assert np.isnan(fit_exponent([10, 20], [np.nan, 80.0]).value)
    assert fit_exponent([10, 20], [np.nan, 80.0]).n_points == 1


@pytest.mark.parametrize("target", ["rank", "spectrum", 1e5])
def test_columns_are_those_of_single_calls(target):
    growth = width_growth(sphere, [12, 6, 9, 6], activation="erf", target=target, seed=2, **FAST)
    assert growth.sizes.tolist() == [6, 9, 12]
    event = {"event": "condition", "condition": target} if target == 1e5 else {"event": target}
    for place, size in enumerate([6, 9, 12]):
        X = sphere(size, 2 + place)
        found = empirical_minimum_width(X, activation="erf", seed=2, **event, **FAST)
        assert (growth.measured[place], growth.lower[place]) == (found.width, found.lower)
        bounds = minimum_width(X, activation="erf", target=target, failure_probability=0.3, seed=2).bounds
        widths = {bound.name: bound.width for bound in bounds if bound.kind != "order"}
        assert set(growth.widths) == set(widths)
        for name, width in widths.items():
            np.testing.assert_equal(growth.widths[name][place], np.nan if width is None else float(width))
    assert growth.exponents["measured"] == fit_exponent(growth.sizes, growth.measured)
    assert set(growth.exponents) == {*growth.widths, "measured"}


def test_necessary_width_grows_linearly():
    growth = width_growth(sphere, [5, 10, 20], target="rank", **FAST)
    assert growth.exponents["necessary"].value == pytest.approx(1.0, abs=1e-12)
    assert repr(growth).startswith("WidthGrowth(activation='relu', target='rank', n from 5 to 20")


def test_interrupted_growth_keeps_what_is_finished():
    whole = width_growth(sphere, [5, 8], **FAST)

    def at_eight(line):
        return {"n = 5,": len, "n = 8,": interrupt}[line[:6]](line)

    part = width_growth(sphere, [5, 8], progress=at_eight, **FAST)
    assert part.sizes.tolist() == [5]
    assert part.measured[0] == whole.measured[0]
    with pytest.raises(KeyboardInterrupt):
        width_growth(sphere, [8], progress=interrupt, **FAST)


def test_growth_as_json():
    growth = width_growth(sphere, [4, 6], max_width=6, **FAST)
    stored = json.loads(json.dumps(growth.to_dict()))
    assert stored["measured"] == [None, None]
    assert stored["exponents"]["measured"] == {"value": None, "low": None, "high": None, "n_points": 0}
    assert stored["sizes"] == [4, 6]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"sizes": []}, ValueError, "sizes is empty"),
        ({"sizes": [0]}, ValueError, "sizes=0"),
        ({"seed": -1}, ValueError, "seed=-1"),
        ({"target": "luck"}, ValueError, "luck"),
        ({"target": 0.5}, ValueError, "0.5"),
    ],
)
def test_errors_name_argument_and_value(arguments, error, message):
    with pytest.raises(error, match=message):
        width_growth(**({"make_inputs": sphere, "sizes": [4]} | arguments))
