"""The display of spectra: what is drawn are the numbers, and what is not resolved is not drawn as a number."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from underdetermined.activation_comparison import compare_activations
from underdetermined.displays import SpectrumDisplay, draw_spectra
from underdetermined.spectrum import Spectrum

matplotlib.use("agg")

VALUES = np.array([8.0, 4.0, 2.0, 0.0, 0.0])
# More than a row of panels holds, and not so many that a figure takes seconds.
SEVEN = ["identity", "relu", "abs", "step", "erf", "sin_cos", "exp"]


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def spectrum():
    basis = np.linalg.qr(np.random.default_rng(1).standard_normal((5, 5)))[0]
    return Spectrum(VALUES, basis)


@pytest.fixture(scope="module")
def comparison():
    rng = np.random.default_rng(2)
    return compare_activations(rng.standard_normal((12, 3)), rng.standard_normal(12), activations=SEVEN)


def test_one_spectrum(spectrum):
    axes = Figure().subplots()
    display = SpectrumDisplay.from_spectrum(spectrum, np.arange(5.0), label="cubic", ax=axes)
    (line,), (strip,), (cut,), (energy,) = (
        display.lines_,
        display.unresolved_lines_,
        display.cutoff_lines_,
        display.energy_lines_,
    )
    np.testing.assert_array_equal(line.get_xydata(), [[1, 8], [2, 4], [3, 2]])
    np.testing.assert_array_equal(strip.get_xdata(), [4, 5])
    cutoff = 5 * np.finfo(float).eps * 8
    np.testing.assert_allclose(cut.get_ydata(), cutoff)
    assert (np.asarray(strip.get_ydata()) < cutoff).all()
    assert axes.get_ylim()[0] < strip.get_ydata()[0]
    share = np.cumsum((spectrum.eigenvectors.T @ np.arange(5.0)) ** 2)[:3] / 30.0
    np.testing.assert_allclose(energy.get_ydata(), share)
    assert (display.ax_, display.figure_, list(display.axes_)) == (axes, axes.figure, [axes])
    assert (axes.get_xscale(), axes.get_yscale(), display.energy_axes_[0].get_yscale()) == ("log", "log", "linear")
    assert axes.get_title() == "cubic\nrank 3 of 5"
    assert {text.get_text() for text in axes.texts} == {r"cut-off $n\,\epsilon\,\lambda_{\max}$", "2 of 5 not resolved"}
    assert "eigenvalue" in axes.get_ylabel()
    assert "first i eigenvectors" in display.energy_axes_[0].get_ylabel()


def test_without_targets_everything_resolved():
    display = SpectrumDisplay.from_spectrum(Spectrum(np.geomspace(1.0, 0.01, 50)), index_scale="linear")
    assert display.energy_lines_ == display.energy_axes_ == display.unresolved_lines_ == [None]
    assert display.ax_.get_xscale() == "linear"
    assert display.ax_.get_title() == ""
    assert [text.get_text()[:7] for text in display.ax_.texts] == ["cut-off"]


def test_zero_matrix_is_all_unresolved():
    display = SpectrumDisplay.from_spectrum(Spectrum(np.zeros(3)))
    assert len(display.lines_[0].get_xdata()) == 0
    np.testing.assert_array_equal(display.unresolved_lines_[0].get_xdata(), [1, 2, 3])
    display.figure_.canvas.draw()


def test_comparison_has_a_panel_for_each_activation(comparison):
    display = SpectrumDisplay.from_comparison(comparison)
    titles = dict(ax.get_title().split("\n") for ax in display.axes_)
    assert list(titles) == [row.activation for row in comparison.rows]
    mantissa, exponent = f"{comparison.best.condition:.1e}".split("e")
    assert titles[comparison.best.activation] == rf"condition ${mantissa}\cdot 10^{{{int(exponent)}}}$"
    assert titles["identity"] == "rank 4 of 12"
    for row, line, energy in zip(comparison.rows, display.lines_, display.energy_lines_, strict=True):
        values = row.spectrum.eigenvalues[: row.rank]
        np.testing.assert_array_equal(line.get_ydata(), values / values[0])
        np.testing.assert_allclose(energy.get_ydata(), np.cumsum(row.target_energy)[: row.rank], rtol=1e-12)
    display.figure_.canvas.draw()
    assert len([ax for ax in display.figure_.axes if ax.axison]) == 14
    boxes = [ax.title.get_window_extent() for ax in display.axes_]
    assert all(left.x1 < right.x0 for left, right in zip(boxes[:3], boxes[1:4], strict=True))


def test_failed_activations_have_no_panel():
    X = 100.0 * np.random.default_rng(0).standard_normal((6, 3))
    display = SpectrumDisplay.from_comparison(compare_activations(X, activations=["exp", "relu", "abs"]))
    assert [ax.get_title().partition("\n")[0] for ax in display.axes_] == ["relu", "abs"]


def test_axes_of_the_caller(comparison):
    some = compare_activations(np.eye(4), activations=["relu", "abs"])
    axes = Figure().subplots(1, 2)
    display = SpectrumDisplay.from_comparison(some, ax=axes)
    assert list(display.axes_) == list(axes)
    with pytest.raises(ValueError, match="ax has 2 Axes for 7 spectra"):
        SpectrumDisplay.from_comparison(comparison, ax=axes)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ([], {}, "no spectrum to draw"),
        ([Spectrum(VALUES)], {"labels": ["a", "b"]}, "labels has 2 entries for 1 spectra"),
        ([Spectrum(VALUES)], {"energies": []}, "energies has 0 entries for 1 spectra"),
    ],
)
def test_what_does_not_fit(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        SpectrumDisplay(arguments, **options).plot()


def test_unknown_scale(spectrum):
    with pytest.raises(ValueError, match="index_scale='cubic' is not known"):
        SpectrumDisplay([spectrum]).plot(index_scale="cubic")


def test_targets_need_eigenvectors():
    with pytest.raises(ValueError, match="no eigenvectors"):
        SpectrumDisplay.from_spectrum(Spectrum(VALUES), np.ones(5))


@pytest.mark.parametrize("count", [1, 6])
def test_figure_without_a_window(count, tmp_path):
    X = np.random.default_rng(0).standard_normal((12, 3))
    some = compare_activations(X, activations=["relu", "step", "erf", "identity", "gelu", "abs"][:count])
    figure = draw_spectra(some)
    figure.savefig(tmp_path / "figure.png", dpi=40)
    drawn = [ax for ax in figure.axes if ax.axison]
    assert len(drawn) == count
    assert plt.get_fignums() == []


def test_global_style_is_left_alone():
    before = dict(matplotlib.rcParams)
    some = compare_activations(np.eye(3), activations=["relu"])
    draw_spectra(some)
    SpectrumDisplay.from_comparison(some)
    assert dict(matplotlib.rcParams) == before
