"""The display of a forecast: the curves are those of the forecast, and an approximation says so."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from underdetermined.descent import forecast_descent
from underdetermined.displays import DescentDisplay
from underdetermined.spectrum import Spectrum

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def system():
    rng = np.random.default_rng(3)
    features = rng.standard_normal((6, 9))
    return features @ features.T, rng.standard_normal(6)


@pytest.fixture
def axes():
    return Figure().subplots()


def run(gram, y, rate, steps):
    """Losses of gradient descent, actually run."""
    residual, losses = y.copy(), []
    for _ in range(steps + 1):
        losses.append(0.5 * residual @ residual)
        residual = residual - rate * gram @ residual
    return np.array(losses)


def labels(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_forecast_against_a_run(system, axes):
    gram, y = system
    forecast = forecast_descent(Spectrum.from_gram(gram), y)
    losses = run(gram, y, forecast.learning_rate, 60)
    display = DescentDisplay.from_forecast(forecast, losses, split=2, ax=axes)
    np.testing.assert_array_equal(display.measured_.get_xydata(), np.column_stack([np.arange(1.0, 61), losses[1:]]))
    steps = display.forecast_.get_xdata().astype(int)
    assert (steps[0], steps[-1]) == (1, 60)
    np.testing.assert_allclose(display.forecast_.get_ydata(), losses[steps], rtol=1e-9)
    values, vectors = np.linalg.eigh(gram)
    parts = 0.5 * ((1 - forecast.learning_rate * values) ** (2 * steps[:, None])) * (vectors.T @ y) ** 2
    np.testing.assert_allclose(display.early_.get_ydata(), parts[:, 4:].sum(axis=1), rtol=1e-8)
    np.testing.assert_allclose(display.late_.get_ydata(), parts[:, :4].sum(axis=1), rtol=1e-8)
    assert display.initial_.get_ydata()[0] == pytest.approx(0.5 * y @ y)
    assert display.measured_error < 1e-12
    assert (display.ax_, display.figure_) == (axes, axes.figure)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert labels(display)[0] == "forecast"
    assert "e-1" in labels(display)[1]
    assert "early: along the 2 leading eigenvectors" in labels(display)


def test_approximation_is_marked_with_its_error(system, axes):
    gram, y = system
    forecast = forecast_descent(Spectrum.from_gram(gram), y, is_exact=False)
    losses = run(1.1 * gram, y, forecast.learning_rate / 1.2, 50)
    display = DescentDisplay.from_forecast(forecast, losses, ax=axes)
    difference = np.abs(np.sqrt(2 * losses) - np.sqrt(2 * np.asarray(forecast.loss(np.arange(51))))) / np.linalg.norm(y)
    assert display.measured_error == pytest.approx(difference.max(), rel=1e-9)
    assert labels(display)[:2] == [
        "forecast, an approximation",
        f"measured: {100 * difference.max():.2g} % of $|r_0|$ away at most",
    ]
    assert display.forecast_.get_linestyle() == "--"


def test_some_measured_steps(system, axes):
    gram, y = system
    forecast = forecast_descent(Spectrum.from_gram(gram), y)
    losses = run(gram, y, forecast.learning_rate, 50)
    display = DescentDisplay.from_forecast(forecast, losses[[0, 10, 50]], [0, 10, 50], ax=axes)
    np.testing.assert_array_equal(display.measured_.get_xdata(), [10, 50])
    np.testing.assert_array_equal(display.forecast_.get_xdata(), np.arange(10, 51))
    assert display.measured_error < 1e-12


def test_forecast_alone_ends_where_it_settles(system):
    gram, y = system
    forecast = forecast_descent(Spectrum.from_gram(gram), y)
    display = DescentDisplay.from_forecast(forecast)
    assert display.measured_ is None
    last = display.forecast_.get_xdata()[-1]
    assert last == pytest.approx(forecast.steps_to_tolerance(1e-8), abs=1)
    assert display.figure_ is display.ax_.figure


def test_given_steps_are_kept(system, axes):
    gram, y = system
    display = DescentDisplay.from_forecast(forecast_descent(Spectrum.from_gram(gram), y), steps=[0, 3, 7], ax=axes)
    np.testing.assert_array_equal(display.forecast_.get_xdata(), [3, 7])


def test_unattainable_targets_end_at_their_floor(axes):
    forecast = forecast_descent(Spectrum.from_gram(np.diag([2.0, 1.0, 0.0])), np.ones(3))
    display = DescentDisplay.from_forecast(forecast, ax=axes)
    assert display.forecast_.get_ydata()[-1] == pytest.approx(0.5, rel=3e-3)
    assert display.forecast_.get_xdata()[-1] < 100


def test_divergence_and_flow_are_drawn(system):
    gram, y = system
    spectrum = Spectrum.from_gram(gram)
    wild = DescentDisplay.from_forecast(forecast_descent(spectrum, y, learning_rate=1.0))
    assert np.isfinite(wild.forecast_.get_ydata()).all()
    flow = DescentDisplay.from_forecast(forecast_descent(spectrum, y, method="gradient_flow"))
    flow.figure_.canvas.draw()
    assert (np.diff(flow.forecast_.get_ydata()) < 0).all()


@pytest.mark.parametrize(
    ("eigenvalues", "targets", "rate"),
    [
        ([1.0, 1.0], [1.0, 2.0], None),
        ([1e300, 1e299], [1.0, 2.0], 1e3),
        ([3.0, 1.0], [0.0, 0.0], None),
        ([3.0, 1.0], [1e200, 0.0], None),
    ],
    ids=["solved in one step", "overflows in one step", "nothing to learn", "loss overflows"],
)
@pytest.mark.parametrize("method", ["gradient_descent", "heavy_ball"])
def test_nothing_to_draw_is_said(eigenvalues, targets, rate, method):
    forecast = forecast_descent(Spectrum.from_gram(np.diag(eigenvalues)), targets, method=method, learning_rate=rate)
    display = DescentDisplay.from_forecast(forecast)
    display.figure_.canvas.draw()
    assert display.forecast_.get_xdata().size == 0
    assert "no loss after step 0" in display.ax_.texts[0].get_text()


@pytest.mark.parametrize("method", ["gradient_descent", "gradient_flow", "nesterov"])
def test_slow_runs_end_where_steps_are_not_numbers_any_more(method):
    forecast = forecast_descent(Spectrum.from_gram(np.diag([2.0, 1.0])), [1.0, 1.0], method=method, learning_rate=1e-30)
    assert DescentDisplay.from_forecast(forecast).forecast_.get_xdata()[-1] == 2.0**53


def test_plain_arrays(axes):
    display = DescentDisplay([1, 10, 100], [1.0, 0.1, 0.0]).plot(axes)
    np.testing.assert_array_equal(display.forecast_.get_xydata(), [[1, 1.0], [10, 0.1]])
    assert display.early_ is display.late_ is display.measured_ is None


def test_what_does_not_fit(system):
    forecast = forecast_descent(Spectrum.from_gram(system[0]), system[1])
    with pytest.raises(ValueError, match="one step for each loss"):
        DescentDisplay.from_forecast(forecast, [1.0, 0.5], [0, 1, 2])
    with pytest.raises(ValueError, match="split=7"):
        DescentDisplay.from_forecast(forecast, split=7)


def test_global_style_is_left_alone(system):
    before = dict(matplotlib.rcParams)
    DescentDisplay.from_forecast(forecast_descent(Spectrum.from_gram(system[0]), system[1]))
    assert dict(matplotlib.rcParams) == before


def test_a_part_far_below_the_loss_does_not_squeeze_it():
    spectrum = Spectrum(np.array([1.0, 1e-6]), np.eye(2))
    forecast = forecast_descent(spectrum, [1.0, 1.0], learning_rate=0.9)
    display = DescentDisplay.from_forecast(forecast, steps=[1, 10], split=1)
    assert display.early_.get_ydata().min() < 1e-15
    assert display.ax_.get_ylim()[0] > 1e-6
