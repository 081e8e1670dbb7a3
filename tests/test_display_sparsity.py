"""The display of a sparse training run: the curves are its numbers, and bounds are drawn only where they hold."""

from dataclasses import dataclass

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.special import ndtr
from sklearn.exceptions import NotFittedError

from underdetermined import RandomFeatureRegressor
from underdetermined.active_sets import draw_network, train_active_sets
from underdetermined.displays import SparsityDisplay
from underdetermined.estimators import SparseReLURegressor
from underdetermined.objectives import SparseReLU
from underdetermined.solution import Status
from underdetermined.sparsity import certify

matplotlib.use("agg")


@dataclass
class Run:
    """What the display reads of a trajectory."""

    value: np.ndarray
    active_fraction: np.ndarray
    n_live: np.ndarray
    learning_rate: np.ndarray
    coef: np.ndarray
    n_iter: int
    status: Status = Status.MAX_ITER


@dataclass
class Promise:
    """What the display reads of a certificate."""

    residual_norm: float
    is_certified: bool = True
    radius: float = 9.0
    rate: float = 0.25
    max_learning_rate: float = 0.5
    always_active: float = 0.02
    possibly_active: float = 0.03


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture
def run():
    return Run(
        value=np.array([8.0, 4.0, 1.0, 0.25]),
        active_fraction=np.array([0.025, 0.024, 0.024, 0.0225]),
        n_live=np.array([40, 40, 39, 38]),
        learning_rate=np.array([0.5, 0.4, 0.2]),
        coef=np.ones((50, 1)),
        n_iter=3,
    )


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def shown_ticks(axis):
    low, high = axis.get_view_interval()
    texts = (tick.label1.get_text() for tick in axis.get_major_ticks())
    return [text for text, place in zip(texts, axis.get_majorticklocs(), strict=True) if low <= place <= high]


def note(display):
    return display.ax_.get_legend().get_title().get_text()


def test_curves_are_the_numbers_of_the_run(run):
    axes = Figure().subplots(2, 1, sharex=True)
    display = SparsityDisplay.from_trajectory(run, expected=0.0228, ax=axes)
    np.testing.assert_array_equal(display.loss_.get_xydata(), [[0, 1.0], [1, 0.5], [2, 0.125], [3, 0.03125]])
    np.testing.assert_array_equal(display.active_.get_ydata(), run.active_fraction)
    np.testing.assert_allclose(display.live_.get_ydata(), [0.8, 0.8, 0.78, 0.76])
    assert set(display.expected_.get_ydata()) == {0.0228}
    assert display.certified_loss_ is display.certified_band_ is None
    assert (list(display.axes_), display.ax_, display.figure_) == (list(axes), axes[0], axes[0].figure)
    assert labels(axes[0]) == ["training loss"]
    assert labels(axes[1]) == [
        "active pairs: 2.5 % \u2192 2.25 %",
        "expected at the start: 2.28 %",
        "live neurons: 80 % \u2192 76 %",
    ]
    assert display.live_.axes is display.live_ax_
    assert [ax.get_yscale() for ax in (*axes, display.live_ax_)] == ["log", "linear", "linear"]
    assert [ax.get_ylabel() for ax in (*axes[1:], display.live_ax_)] == ["active pairs", "live neurons"]
    assert [ax.get_xlabel() for ax in axes] == ["", "step"]


def test_certified_bounds(run):
    display = SparsityDisplay.from_trajectory(run, certificate=Promise(residual_norm=4.0))
    factors = [1.0, (1 - 0.125) ** 2, (1 - 0.1) ** 2, (1 - 0.05) ** 2]
    np.testing.assert_allclose(display.certified_loss_.get_ydata(), np.cumprod(factors), rtol=1e-14)
    np.testing.assert_array_equal(display.certified_loss_.get_xdata(), [0, 1, 2, 3])
    band = display.certified_band_.get_paths()[0].vertices
    np.testing.assert_allclose([band[:, 1].min(), band[:, 1].max()], [0.02, 0.03])
    assert band[:, 0].min() == 0.0
    assert band[:, 0].max() == display.ax_.get_xlim()[1]
    assert "certified: 2 % to 3 %" in labels(display.axes_[1])


def test_certificate_of_a_later_step(run):
    promise = Promise(residual_norm=2**0.5, max_learning_rate=0.2)
    display = SparsityDisplay.from_trajectory(run, certificate=promise, certified_from=2)
    np.testing.assert_allclose(display.certified_loss_.get_xydata(), [[2, 0.125], [3, 0.125 * 0.95**2]])
    assert display.certified_band_.get_paths()[0].vertices[:, 0].min() == 2.0
    last = SparsityDisplay.from_trajectory(run, certificate=Promise(residual_norm=0.5**0.5), certified_from=3)
    np.testing.assert_allclose(last.certified_loss_.get_xydata(), [[3, 0.03125]])
    last.figure_.canvas.draw()


@pytest.mark.parametrize(
    ("promise", "reason"),
    [
        (Promise(4.0, is_certified=False, radius=0.05), "not certified at step 0: residual 4, radius 0.05"),
        (Promise(4.0, max_learning_rate=0.49), "not certified: learning rate 0.5, at most 0.49"),
    ],
)
def test_bounds_that_do_not_hold_are_not_drawn(run, promise, reason):
    display = SparsityDisplay.from_trajectory(run, certificate=promise)
    assert display.certified_loss_ is display.certified_band_ is None
    assert note(display) == reason


def test_certificate_of_another_step(run):
    with pytest.raises(ValueError, match=r"norm 1.41421, the run one of norm 4 at step 0: .* certified_from"):
        SparsityDisplay.from_trajectory(run, certificate=Promise(2**0.5))


@pytest.mark.parametrize("step", [-1, 4])
def test_step_outside_of_the_run(run, step):
    with pytest.raises(ValueError, match=f"certified_from={step} is not a step of the run: pass a number from 0 to 3"):
        SparsityDisplay.from_trajectory(run, certified_from=step)


def test_divergence_is_marked(run):
    run.value[3], run.status = np.inf, Status.DIVERGED
    display = SparsityDisplay.from_trajectory(run)
    np.testing.assert_array_equal(display.loss_.get_xdata(), [0, 1, 2])
    cross = display.ax_.lines[-1]
    np.testing.assert_array_equal(cross.get_xydata(), [[2, 0.125]])
    assert labels(display.ax_) == ["training loss", "diverged"]
    display.figure_.canvas.draw()


def test_network_that_dies(run):
    run.active_fraction[2:], run.n_live[2:] = 0.0, 0
    display = SparsityDisplay.from_trajectory(run)
    np.testing.assert_array_equal(display.active_.get_xdata(), [0, 1])
    assert labels(display.axes_[1])[:2] == ["active pairs: 2.5 % \u2192 0 %", "no pair is active at step 2"]
    np.testing.assert_allclose(display.live_.get_ydata(), [0.8, 0.8, 0.0, 0.0])
    mark = display.axes_[1].lines[-1]
    assert mark.get_xydata().tolist() == [[2, display.axes_[1].get_ylim()[0]]]


@pytest.mark.parametrize(
    ("losses", "text"), [([0.0, 0.0], "zero"), ([np.nan, 1.0], "not finite"), ([np.inf, 1.0], "not finite")]
)
def test_nothing_to_draw_is_said(losses, text):
    display = SparsityDisplay(losses, [0.0, 0.0], certified_losses=[0.0, 0.0], certified_fractions=(0.0, 0.0)).plot()
    display.figure_.canvas.draw()
    assert display.loss_.get_xdata().size == display.active_.get_xdata().size == 0
    assert display.ax_.texts[0].get_text() == f"the loss at the start is {text}"


@pytest.mark.parametrize("count", [1, 2, 3])
def test_short_runs_have_marks_and_whole_steps(count):
    display = SparsityDisplay(np.ones(count), np.full(count, 0.5)).plot()
    display.figure_.canvas.draw()
    assert display.loss_.get_marker() == "o"
    low, high = display.axes_[1].get_xlim()
    assert shown_ticks(display.axes_[1].xaxis) == ["0", "1", "2"][: max(count, 2)]


def test_long_runs_have_decades():
    display = SparsityDisplay(np.geomspace(1, 0.1, 5000), np.full(5000, 0.5)).plot()
    display.figure_.canvas.draw()
    assert display.loss_.get_marker() == "None"
    assert shown_ticks(display.axes_[1].xaxis) == ["0", "1", "10", "100", "1,000"]


@pytest.mark.parametrize(
    ("fractions", "ticks"),
    [
        ([1e-5, 1.1e-5], ["0.0009 %", "0.001 %", "0.0011 %", "0.0012 %"]),
        ([0.0228, 0.022], ["2 %", "2.1 %", "2.2 %", "2.3 %", "2.4 %", "2.5 %"]),
        ([1.0, 1.0], ["90 %", "95 %", "100 %", ""]),
        ([0.02, 0.2], ["2 %", "5 %", "10 %", "20 %"]),
        ([1e-5, 0.5], ["0.001 %", "0.01 %", "0.1 %", "1 %", "10 %"]),
    ],
)
def test_fractions_are_read_in_per_cent(fractions, ticks):
    ax = SparsityDisplay([1.0, 0.5], fractions).plot().axes_[1]
    ax.figure.canvas.draw()
    low, high = ax.get_ylim()
    assert low < min(fractions) / 1.05
    assert high > max(fractions) * 1.05
    assert shown_ticks(ax.yaxis) == ticks


def test_a_narrow_band_is_seen():
    display = SparsityDisplay([1, 0.5], [0.0677, 0.0675], live_fractions=[1, 1], certified_fractions=(0.065, 0.069)).plot()
    low, high = display.axes_[1].get_ylim()
    assert 0.0 < low < 0.065 < 0.069 < high < 0.08


def test_legends_cover_nothing(run):
    display = SparsityDisplay.from_trajectory(run, certificate=Promise(4.0), expected=0.0228)
    display.figure_.canvas.draw()
    frame = display.figure_.bbox
    assert labels(display.axes_[1])[-1].startswith("live neurons")
    for ax in display.axes_:
        box, panel = ax.get_legend().get_window_extent(), ax.get_window_extent()
        assert box.y0 >= panel.y1
        assert box.x1 <= frame.x1
        assert box.y1 <= frame.y1
    assert display.axes_[1].get_legend().get_window_extent().y1 <= display.ax_.get_window_extent().y0


def test_legend_of_narrow_axes_has_one_column(run):
    figure = Figure(figsize=(9, 4.5), layout="constrained")
    display = SparsityDisplay.from_trajectory(run, certificate=Promise(4.0), expected=0.0228, ax=figure.subplots(1, 2))
    figure.canvas.draw()
    assert [ax.get_xlabel() for ax in display.axes_] == ["step", "step"]
    assert display.axes_[1].get_legend().get_window_extent().x1 <= figure.bbox.x1


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([], []), {}, r"losses has shape \(0,\)"),
        (([[1.0]], [[1.0]]), {}, r"losses has shape \(1, 1\)"),
        (([1.0, 0.5], [0.1]), {}, r"active_fractions has shape \(1,\), losses \(2,\)"),
        (([1.0], [0.1]), {"live_fractions": [1.0, 1.0]}, r"live_fractions has shape \(2,\), losses \(1,\)"),
        (([1.0], [0.1]), {"expected": 2.28}, "expected=2.28 is not a fraction"),
        (([1.0], [0.1]), {"expected": np.nan}, "expected=nan is not a fraction"),
    ],
)
def test_what_does_not_fit(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        SparsityDisplay(*arguments, **options).plot()


def test_a_certified_training_run():
    hidden, coef = draw_network(4, 4000, bias=1.0)
    objective = SparseReLU(np.eye(4), [0.02, -0.02, 0.04, 0.02], hidden, coef)
    certificate = certify(objective)
    trajectory = train_active_sets(objective, max_iter=20)
    display = SparsityDisplay.from_trajectory(trajectory, certificate=certificate, expected=ndtr(-1.0))
    losses, bound = display.loss_.get_ydata(), display.certified_loss_.get_ydata()
    assert (losses <= bound[: losses.size] * (1 + 1e-12)).all()
    expected = [certificate.loss_bound(step) for step in range(21)] / trajectory.value[0]
    assert (bound >= expected * (1 - 1e-12)).all()  # the steps are shorter than those of the certificate
    band = display.certified_band_.get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose([band.min(), band.max()], [certificate.always_active, certificate.possibly_active])
    assert (trajectory.active_fraction >= band.min()).all()
    assert (trajectory.active_fraction <= band.max()).all()
    np.testing.assert_array_equal(display.live_.get_ydata(), trajectory.n_live / 4000)


@pytest.mark.parametrize(("normalize", "expected"), [(True, {ndtr(-1.5)}), (False, None)])
def test_training_of_an_estimator(normalize, expected):
    rng = np.random.default_rng(4)
    model = SparseReLURegressor(512, bias=1.5, normalize=normalize, max_iter=5, tol=0.99, random_state=0)
    model.fit(rng.standard_normal((20, 6)), rng.standard_normal(20))
    display = SparsityDisplay.from_estimator(model)
    np.testing.assert_allclose(display.loss_.get_ydata(), model.trajectory_.value / model.trajectory_.value[0])
    assert note(display).startswith("not certified at step 0: residual 4.5, radius ")
    assert (display.expected_ and set(display.expected_.get_ydata())) == expected


def test_estimators_without_a_trajectory():
    with pytest.raises(NotFittedError):
        SparsityDisplay.from_estimator(SparseReLURegressor())
    with pytest.raises(TypeError, match="RandomFeatureRegressor keeps no trajectory: pass a fitted SparseReLURegressor"):
        SparsityDisplay.from_estimator(RandomFeatureRegressor(8).fit(np.eye(3), np.ones(3)))


def test_two_axes_are_needed(run):
    with pytest.raises(ValueError, match="ax has 1 Axes: pass two"):
        SparsityDisplay.from_trajectory(run, ax=Figure().subplots())


def test_global_style_is_left_alone(run):
    before = dict(matplotlib.rcParams)
    display = SparsityDisplay.from_trajectory(run)
    assert dict(matplotlib.rcParams) == before
    assert display.axes_[1].xaxis.label.get_size() > before["font.size"]
