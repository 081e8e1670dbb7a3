"""The display of widths: curves are the measurements, rows are the bounds, and nothing collides or leaves the axis."""

from dataclasses import replace
from fractions import Fraction

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from underdetermined.bounds import Assumption, WidthBound, minimum_width
from underdetermined.displays import WidthDisplay
from underdetermined.displays._width_bounds import width_text
from underdetermined.displays._width_growth import _STYLES
from underdetermined.displays._width_trainable import _CURVES
from underdetermined.empirical_width import (
    Exponent,
    TrainableWidthGrowth,
    WidthGrowth,
    WidthMeasurement,
    measure_widths,
)

matplotlib.use("agg")
WIDTHS = [5, 10, 20, 40, 80]


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture
def axes():
    return Figure(figsize=(8, 6)).subplots()


def bound(name, width, kind="theorem", role="sufficient", **options):
    return WidthBound(name, width, kind, role, "gaussian", "A statement.", "none", **options)


@pytest.fixture(scope="module")
def measurement():
    """Ten rows, eleven seeds; below ten neurons nothing is resolved, and at ten the fourth seed is not."""
    rng = np.random.default_rng(5)
    smallest = np.sort(rng.uniform(0.01, 1.0, (len(WIDTHS), 11)), axis=0)
    rank = np.full(smallest.shape, 10)
    rank[0], rank[1, 3] = 5, 9
    condition = np.where(rank == 10, 100.0 / smallest, np.inf)
    return WidthMeasurement(
        activation="relu", n_rows=10, attainable_rank=10, kernel_smallest=0.2, kernel_condition=90.0, weight_scale=1.0,
        bias_scale=1.0, seed=0, widths=np.array(WIDTHS), rank=rank, smallest=smallest, condition=condition,
        residual=np.where(rank == 10, 1e-14, 0.3),
    )  # fmt: skip


@pytest.fixture(scope="module")
def growth():
    sizes = np.array([50, 100, 200])
    widths = {
        "necessary": sizes.astype(float),
        "generic": sizes.astype(float),
        "chernoff": np.array([np.nan, 1e6, 8e6]),
        "leverage": np.full(3, np.nan),
    }
    one, three = Exponent(1.0, 1.0, 1.0, 3), Exponent(3.0, np.nan, np.nan, 2)
    none = Exponent(np.nan, np.nan, np.nan, 0)
    measured_exponent = Exponent(1.1, 0.9, 1.3, 3)
    exponents = {"necessary": one, "generic": one, "chernoff": three, "leverage": none, "measured": measured_exponent}
    measured = np.array([200.0, 430.0, 900.0])
    return WidthGrowth(
        activation="erf", target="spectrum", epsilon=0.25, failure_probability=0.1, n_seeds=20, sizes=sizes, widths=widths,
        measured=measured, lower=0.9 * measured, upper=np.array([np.nan, 440.0, 910.0]), exponents=exponents,
    )  # fmt: skip


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def rows(display):
    return [label.get_text() for label in display.bounds_ax_.get_yticklabels()]


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_median_and_band(measurement, axes):
    display = WidthDisplay.from_measurement(measurement, ax=axes)
    assert (display.ax_, display.figure_, display.bounds_ax_, display.marks_) == (axes, axes.figure, None, {})
    # With eleven seeds the 10th and 90th percentiles are the second and the tenth value.
    resolved = np.sort(np.where(measurement.rank == 10, measurement.smallest, 0.0), axis=1)[1:]
    np.testing.assert_array_equal(display.line_.get_xydata(), np.column_stack([WIDTHS[1:], resolved[:, 5]]))
    corners = display.band_.get_paths()[0].vertices
    for width, values in zip(WIDTHS[1:], resolved, strict=True):
        drawn = corners[corners[:, 0] == width, 1]
        assert (drawn.min(), drawn.max()) == (values[1], values[9])
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert legend(display)[:4] == ["median of 11 seeds", "10 to 90 % of seeds", "infinite width", "not resolved"]
    assert "smallest eigenvalue" in axes.get_ylabel()


def test_infinite_conditions_are_at_the_top(measurement, axes):
    display = WidthDisplay.from_measurement(measurement, quantity="condition", ax=axes)
    np.testing.assert_array_equal(display.line_.get_xdata(), WIDTHS[1:])
    np.testing.assert_allclose(display.line_.get_ydata(), np.median(measurement.condition[1:], axis=1))
    lost = next(line for line in axes.lines if line.get_label() == "not resolved")
    np.testing.assert_array_equal(lost.get_xydata(), [[5, axes.get_ylim()[1]]])
    level = next(line for line in axes.lines if line.get_label() == "infinite width")
    assert level.get_ydata()[0] == 90.0


def test_ranks_are_on_a_linear_axis(measurement, axes):
    display = WidthDisplay.from_measurement(measurement, quantity="rank", ax=axes)
    np.testing.assert_array_equal(display.line_.get_xydata(), [[5, 5], [10, 10], [20, 10], [40, 10], [80, 10]])
    assert axes.get_yscale() == "linear"
    assert axes.get_ylim()[0] == 0.0


def test_residuals(measurement, axes):
    display = WidthDisplay.from_measurement(measurement, quantity="residual", ax=axes)
    np.testing.assert_array_equal(display.line_.get_ydata(), [0.3, 1e-14, 1e-14, 1e-14, 1e-14])
    assert axes.get_ylim()[0] < 1e-14 < 0.3 < axes.get_ylim()[1]


def test_one_seed_has_no_band(measurement):
    single = {name: getattr(measurement, name)[:, :1] for name in ("rank", "smallest", "condition", "residual")}
    display = WidthDisplay.from_measurement(replace(measurement, **single))
    assert display.band_ is None
    assert legend(display)[0] == "one seed"


def test_one_width(measurement):
    single = {name: getattr(measurement, name)[2:3] for name in ("widths", "rank", "smallest", "condition", "residual")}
    display = WidthDisplay.from_measurement(replace(measurement, **single), [bound("chernoff", 10**6)])
    assert len(display.line_.get_xdata()) == 1
    display.figure_.canvas.draw()


def test_nothing_is_resolved(measurement):
    unresolved = replace(measurement, smallest=np.full((5, 11), np.nan), kernel_smallest=np.nan, kernel_condition=np.inf)
    bounds = [bound("numerical_rank", 7, role="numerical"), bound("chernoff", None)]
    display = WidthDisplay.from_measurement(unresolved, bounds)
    assert "quantity='rank'" in texts(display.ax_)[0]
    assert display.band_ is None
    assert legend(display)[0] == "not resolved"
    assert rows(display) == ["numerical rank", "matrix Chernoff (theorem)"]
    assert texts(display.bounds_ax_) == ["7", "no width"]
    display.figure_.canvas.draw()


def test_rows_are_the_bounds_in_order(measurement):
    bounds = [
        bound("chernoff", 3000),
        bound("du_2019", None, kind="order", role="order"),
        bound("generic", None),
        bound("empirical", 33, kind="empirical", interval=(30, 41)),
        bound("necessary", 10, role="necessary"),
        bound("numerical_rank", 10, kind="estimate", role="numerical"),
        bound("leverage_sampled", 70, kind="estimate"),
        bound("truncated", 80, assumptions=(Assumption("never true", False),)),
    ]
    display = WidthDisplay.from_measurement(measurement, bounds)
    names = ["attainable rank (necessary)", "experiment", "sampled leverage (estimate)", "matrix Chernoff (theorem)"]
    assert rows(display) == [*names, "generic width (theorem)", "truncated leverage (theorem)"]
    assert texts(display.bounds_ax_) == ["10", "33", "70", "3,000", "no width", "assumptions not met"]
    assert list(display.marks_) == ["necessary", "empirical", "leverage_sampled", "chernoff"]
    places = [mark.get_xydata()[0].tolist() for mark in display.marks_.values()]
    np.testing.assert_allclose(places[:3], [[10, 0], [33, 1], [70, 2]], rtol=1e-12)
    # The line of the sufficient width leads to wider networks, that of the necessary one to narrower ones.
    ends = {line.get_ydata()[0]: line.get_xdata() for line in display.bounds_ax_.lines if line.get_linestyle() in "-:"}
    low, high = display.ax_.get_xlim()
    np.testing.assert_allclose(ends[0], [low, 10], rtol=1e-12)
    np.testing.assert_allclose(ends[2], [70, high], rtol=1e-12)


@pytest.mark.parametrize("width", [10**8, 10**30, 10**400], ids=width_text)
def test_far_widths_are_arrows_and_leave_room_for_the_curve(measurement, width):
    display = WidthDisplay.from_measurement(measurement, [bound("chernoff", width), bound("leverage", 900)])
    mark = display.marks_["chernoff"]
    low, high = display.ax_.get_xlim()
    assert mark.get_marker() == ">"
    assert mark.get_xdata()[0] == pytest.approx(high)
    assert np.log(80 / 5) / np.log(high / low) > 0.3
    assert texts(display.bounds_ax_)[1] == width_text(width)
    assert display.bounds_ax_.get_xlim() == (low, high)


def test_far_narrow_widths_too(measurement):
    wide = replace(measurement, widths=np.array(WIDTHS) * 10**6)
    display = WidthDisplay.from_measurement(wide, [bound("parameter_count", 2, role="necessary"), bound("generic", 10)])
    low, high = display.ax_.get_xlim()
    assert display.marks_["parameter_count"].get_marker() == display.marks_["generic"].get_marker() == "<"
    assert display.marks_["parameter_count"].get_xdata()[0] == pytest.approx(low)
    # Ten neurons suffice, and so do all that are shown.
    suffices = next(line for line in display.bounds_ax_.lines if line.get_linestyle() == "-")
    np.testing.assert_allclose(suffices.get_xydata(), [[low, 1], [high, 1]], rtol=1e-12)


@pytest.mark.parametrize("width", [1, 12, 99_999, 100_000, 123_456, 999_999, 10**30 - 1, 11 * 10**399], ids=width_text)
def test_widths_as_text(width):
    mantissa, _, power = width_text(width).strip("$}").replace(",", "").partition(r"\cdot 10^{")
    value = Fraction(mantissa) * 10 ** int(power or 0)
    assert abs(value / width - 1) <= Fraction(1, 20)
    assert 1 <= float(mantissa) < (10 if power else 10**5)


def test_what_bounds_promise_is_drawn(measurement):
    promises = [bound("chernoff", 90, details={"epsilon": 0.75}), bound("leverage", 50, details={"epsilon": 0.75})]
    assert "what suffices keeps 0.25" in legend(WidthDisplay.from_measurement(measurement, promises))
    differ = [promises[0], bound("leverage", 50, details={"epsilon": 0.5})]
    assert not [text for text in legend(WidthDisplay.from_measurement(measurement, differ)) if "keeps" in text]
    rank = [bound("chernoff", 90, details={"epsilon": 1.0})]
    assert not [text for text in legend(WidthDisplay.from_measurement(measurement, rank)) if "keeps" in text]


def test_no_two_labels_overlap(measurement):
    bounds = [bound(f"number_{place}", 50 + place) for place in range(9)]
    display = WidthDisplay.from_measurement(measurement, bounds)
    display.figure_.canvas.draw()
    labels = [*display.bounds_ax_.get_yticklabels(), *display.bounds_ax_.texts, *display.ax_.get_legend().get_texts()]
    boxes = [label.get_window_extent() for label in labels]
    assert not [(a, b) for a, box in enumerate(boxes) for b, other in enumerate(boxes[:a]) if box.overlaps(other)]
    page = display.figure_.bbox
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 for box in boxes)


def test_growth(growth, axes):
    display = WidthDisplay.from_growth(growth, ax=axes)
    assert display.line_ is display.band_ is display.bounds_ax_ is None
    assert set(display.marks_) == {"measured", "necessary", "generic", "chernoff"}
    assert display.marks_["generic"] is display.marks_["necessary"]
    np.testing.assert_array_equal(display.marks_["chernoff"].get_xydata(), [[100, 1e6], [200, 8e6]])
    np.testing.assert_array_equal(display.marks_["measured"].get_ydata(), growth.measured)
    sign = "\N{PLUS-MINUS SIGN}"
    labels = ["3.00  matrix Chernoff", f"1.10 {sign} 0.20  measured", f"1.00 {sign} 0.00  attainable rank, generic width"]
    assert legend(display) == labels
    assert [label.get_text() for label in axes.get_xticklabels()] == ["50", "100", "200"]
    assert axes.get_title() == r"erf: $\lambda_r(G) \geq 0.75\,\lambda_r(K)$ with probability 0.9"
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


def test_curves_that_coincide_are_one(growth):
    display = WidthDisplay.from_growth(replace(growth, measured=growth.widths["generic"].copy()))
    assert display.marks_["measured"] is display.marks_["generic"]
    assert legend(display)[1].endswith("  measured, attainable rank, generic width")


@pytest.mark.parametrize(
    ("target", "text"), [("rank", "attainable rank"), (50.0, "condition number at most 50")], ids=["rank", "condition"]
)
def test_growth_says_what_was_asked(growth, target, text):
    assert text in WidthDisplay.from_growth(replace(growth, target=target)).ax_.get_title()


def test_curves_of_a_growth_differ_without_colour(growth):
    names = [name for name in _STYLES if name not in ("measured", "necessary")]
    widths = {name: (place + 2.0) * growth.sizes for place, name in enumerate(names)}
    exponents = dict.fromkeys(["measured", *names], Exponent(1.0, 1.0, 1.0, 3))
    display = WidthDisplay.from_growth(replace(growth, widths=widths, exponents=exponents))
    lines = display.marks_.values()
    assert len({line.get_marker() for line in lines}) == len({str(line._dash_pattern) for line in lines}) == len(_STYLES) - 1


def test_from_real_results(axes):
    X = np.random.default_rng(0).standard_normal((12, 3))
    measurement = measure_widths(X, [6, 12, 24, 48], activation="erf", n_seeds=3)
    found = minimum_width(X, activation="erf", target="spectrum")
    display = WidthDisplay.from_measurement(measurement, found.bounds, ax=axes)
    np.testing.assert_allclose(display.line_.get_ydata()[-2:], np.median(measurement.smallest[-2:], axis=1), rtol=1e-12)
    drawn = {one.name for one in found.bounds if one.is_applicable} - {"numerical_rank"}
    assert set(display.marks_) == drawn
    assert "what suffices keeps 0.5" in legend(display)


@pytest.mark.parametrize("quantity", ["smallest", "condition", "rank"])
def test_rows_that_no_width_tells_from_zero(quantity):
    zero, options = np.zeros((3, 2)), {"activation": "erf", "bias_scale": 0.0}
    measurement = measure_widths(zero, [2, 4], n_seeds=2, **options)
    display = WidthDisplay.from_measurement(measurement, minimum_width(zero, **options).bounds, quantity=quantity)
    display.figure_.canvas.draw()
    assert not [text for text in legend(display) if text.startswith("fewer neurons")]


def test_axes_without_a_grid_are_split_too(measurement):
    ax = Figure().add_axes([0.1, 0.1, 0.5, 0.8])
    display = WidthDisplay.from_measurement(measurement, [bound("chernoff", 100), bound("leverage", 90)], ax=ax)
    lower, upper = display.bounds_ax_.get_position(), ax.get_position()
    assert lower.y0 == pytest.approx(0.1)
    assert lower.y1 <= upper.y0
    assert upper.y1 == pytest.approx(0.9)


def test_what_does_not_fit(measurement):
    with pytest.raises(ValueError, match="quantity='loss' is not known: pass one of 'smallest'"):
        WidthDisplay.from_measurement(measurement, quantity="loss")
    with pytest.raises(ValueError, match="pass targets to measure_widths"):
        WidthDisplay.from_measurement(replace(measurement, residual=None), quantity="residual")
    assert not plt.get_fignums()


def test_global_style_is_left_alone(measurement, growth):
    before = dict(matplotlib.rcParams)
    WidthDisplay.from_measurement(measurement, [bound("chernoff", 100)])
    WidthDisplay.from_growth(growth)
    assert dict(matplotlib.rcParams) == before


@pytest.fixture
def trained():
    """Three sizes, two seeds; one seed of the last layer finds no width at the largest size."""
    sizes = np.array([10, 20, 40])
    both = np.array([[4.0, 4.0], [8.0, 8.0], [15.0, 17.0]])
    last = np.array([[20.0, 20.0], [80.0, 80.0], [320.0, np.nan]])
    return TrainableWidthGrowth(
        activation="tanh", init="lecun", method="gauss-newton", loss_tol=1e-6, sizes=sizes, n_inputs=np.array([3, 3, 3]),
        max_steps={"both": 200, "last": 5000, "last, direct": 0},
        widths={"both": both, "last": last, "last, direct": np.column_stack([sizes, sizes]).astype(float)},
        parameters={"both": sizes / 4.0, "last": sizes.astype(float)},
        bounds={"chernoff": 1e3 * sizes, "leverage": np.full(3, np.nan), "necessary": sizes.astype(float)},
    )  # fmt: skip


def test_trainable_widths_beside_what_is_known(trained, axes):
    display = WidthDisplay.from_growth(trained, ax=axes)
    assert (display.ax_, display.line_, display.bounds_ax_) == (axes, None, None)
    assert set(display.marks_) == {"both", "last", "last, direct", "chernoff", "parameters", "order"}
    np.testing.assert_allclose(display.marks_["both"].get_xydata(), [[10, 4], [20, 8], [40, np.sqrt(15 * 17)]])
    np.testing.assert_allclose(display.marks_["last"].get_xydata(), [[10, 20], [20, 80]])
    np.testing.assert_allclose(display.marks_["parameters"].get_ydata(), [2.5, 5.0, 10.0])
    np.testing.assert_allclose(display.marks_["order"].get_ydata(), 4.0 * np.array([1.0, 2.0, 4.0]) ** 1.5)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert "tanh, lecun" in axes.get_title()
    assert "1e-06" in axes.get_title()
    texts_shown = legend(display)
    found = trained.exponents["both"]
    assert f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]  both layers,\nGauss-Newton, T = 200" in texts_shown
    assert any("last layer,\ngradient descent, T = 5,000,\nnot every seed at n = 40" in text for text in texts_shown)
    assert any(text.endswith("last layer, bound: matrix Chernoff") for text in texts_shown)
    assert "parameter count of both layers" in texts_shown


def test_dots_of_trainable_widths_are_the_seeds(trained, axes):
    WidthDisplay.from_growth(trained, ax=axes)
    dots = [line.get_ydata() for line in axes.lines if line.get_linestyle() == "None" and line.get_color() == "black"]
    np.testing.assert_array_equal(np.column_stack(dots), trained.widths["both"])


def test_trainable_widths_of_the_last_layer_alone(trained, axes):
    widths, parameters = ({"last": each["last"]} for each in (trained.widths, trained.parameters))
    alone = replace(trained, widths=widths, parameters=parameters, bounds={})
    assert set(WidthDisplay.from_growth(alone, ax=axes).marks_) == {"last"}


def test_curves_of_trainable_widths_differ_without_colour():
    styles = [(str(style), marker) for _, _, style, marker in _CURVES.values()]
    assert len({style for style, _ in styles}) == len({marker for _, marker in styles}) == len(styles)


def test_legend_of_trainable_widths_is_inside_the_figure(trained):
    display = WidthDisplay.from_growth(trained)
    display.figure_.canvas.draw()
    box, figure = display.ax_.get_legend().get_window_extent(), display.figure_.bbox
    assert box.x1 <= figure.x1
    assert box.y0 >= figure.y0
