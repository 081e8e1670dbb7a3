"""Displays: what is drawn are the numbers of the result."""

import dataclasses

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from underdetermined import RandomFeatureRegressor
from underdetermined.comparison import compare
from underdetermined.displays import LeaveOneOutDisplay, draw_comparison
from underdetermined.tables import load_dataset

matplotlib.use("agg")


@pytest.fixture
def axes():
    return Figure().subplots()


@pytest.fixture(scope="module")
def estimator():
    table = load_dataset("diabetes")
    return RandomFeatureRegressor(64, random_state=0).fit(table.inputs[:60], table.target[:60])


def test_path_of_an_estimator(estimator, axes):
    display = LeaveOneOutDisplay.from_estimator(estimator, ax=axes, color="black")
    np.testing.assert_array_equal(display.line_.get_xdata(), estimator.loo_path_.alphas)
    np.testing.assert_array_equal(display.line_.get_ydata(), estimator.loo_path_.errors)
    assert display.chosen_.get_xdata() == [estimator.alpha_]
    assert display.chosen_.get_ydata() == pytest.approx([estimator.loo_path_.error])
    assert display.line_.get_color() == "black"
    assert (display.ax_, display.figure_) == (axes, axes.figure)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


def test_zero_is_drawn_at_the_edge(axes):
    display = LeaveOneOutDisplay([1.0, 0.0, 0.1], [3.0, 1.0, 2.0], chosen=0.0).plot(axes)
    np.testing.assert_allclose(display.line_.get_xdata(), [0.01, 0.1, 1.0])
    np.testing.assert_allclose(display.line_.get_ydata(), [1.0, 2.0, 3.0])
    np.testing.assert_allclose([*display.chosen_.get_xdata(), *display.chosen_.get_ydata()], [0.01, 1.0])


def test_band_is_one_standard_error(estimator, axes):
    path = estimator.loo_path_
    band = LeaveOneOutDisplay.from_estimator(estimator, ax=axes).band_.get_paths()[0].vertices
    for edge in (path.errors - path.standard_errors, path.errors + path.standard_errors):
        drawn = [np.abs(np.log(band / point)).sum(axis=1).min() for point in zip(path.alphas, edge, strict=True)]
        np.testing.assert_allclose(drawn, 0, atol=1e-9)


def test_limit_is_marked_where_the_curve_reaches_it(axes):
    level, steep = ([1e-3, 1e-2, 1e-1], [1.0, 0.99, 0.5]), ([1e-3, 1e-2, 1e-1], [1.0, 0.8, 0.5])
    for path, method, reached in [
        (level, None, True),
        (level, "eigendecomposition", True),
        (level, "subset", True),
        (level, "cholesky", False),  # a search knows its neighbourhood only
        (steep, "eigendecomposition", False),
        (([0.0, 1e-2], [1.0, 0.5]), "cholesky", True),
        (([1e-2], [1.0]), None, False),
    ]:
        display = LeaveOneOutDisplay(*path, chosen=1e-2, method=method, n_rows=7).plot(axes)
        assert (display.limit_ is not None) == reached
    display = LeaveOneOutDisplay(*level, chosen=0.1, limit="least squares").plot(axes)
    np.testing.assert_array_equal(display.limit_.get_ydata(), [1.0, 1.0])
    assert "least squares: 1" in [text.get_text() for text in axes.get_legend().get_texts()]


@pytest.mark.parametrize(("width", "limit"), [(64, "interpolation"), (20, "least squares")])
def test_limit_of_an_estimator(width, limit, axes):
    table = load_dataset("diabetes")
    model = RandomFeatureRegressor(width, random_state=0).fit(table.inputs[:60], table.target[:60])
    LeaveOneOutDisplay.from_estimator(model, ax=axes)
    assert f"\u2190 {limit}" in [text.get_text() for text in axes.texts]
    assert axes.get_legend().get_title().get_text() == "exact: each of 60 rows left out"


@pytest.mark.parametrize(
    ("order", "caption"),
    [(30, "exact, penalties searched: each of 60 rows left out"), (10, "estimate: each of a subset of 60 rows left out")],
)
def test_caption_says_how_large_systems_were_treated(order, caption, axes, monkeypatch):
    monkeypatch.setattr("underdetermined.estimators._penalty.EXACT_LOO_ORDER", 10)
    monkeypatch.setattr("underdetermined.estimators._penalty.SEARCH_LOO_ORDER", order)
    table = load_dataset("diabetes")
    model = RandomFeatureRegressor(30, random_state=0).fit(table.inputs[:60], table.target[:60])
    LeaveOneOutDisplay.from_estimator(model, ax=axes)
    assert axes.get_legend().get_title().get_text() == caption


def test_single_penalty_without_standard_error(axes):
    model = RandomFeatureRegressor(8, random_state=0).fit([[1.0]], [2.0])
    display = LeaveOneOutDisplay.from_estimator(model, ax=axes)
    assert display.band_ is None
    display.figure_.canvas.draw()


def test_zero_errors_need_no_logarithm(axes):
    display = LeaveOneOutDisplay([0.1, 1.0], [0.0, 0.0], chosen=1.0, standard_errors=[0.0, 0.0]).plot(axes)
    display.figure_.canvas.draw()
    some = LeaveOneOutDisplay([0.1, 1.0], [0.0, 2.0], chosen=0.1, standard_errors=[0.0, 1.0]).plot(Figure().subplots())
    some.figure_.canvas.draw()


def test_curve_keeps_clear_of_the_legend():
    errors, spread = np.array([1.0, 0.99, 0.5, 1.0]), np.full(4, 0.1)
    options = {"standard_errors": spread, "method": "eigendecomposition", "n_rows": 1000}
    display = LeaveOneOutDisplay([1e-3, 1e-2, 1e-1, 1.0], errors, chosen=1e-1, **options).plot()
    display.figure_.canvas.draw()
    legend = display.ax_.get_legend().get_window_extent()
    assert display.ax_.transData.transform(np.column_stack(display.line_.get_data()))[:, 1].max() < legend.y0
    plt.close(display.figure_)


def test_new_figure_without_axes():
    display = LeaveOneOutDisplay([0.1, 1.0], [2.0, 3.0], chosen=0.1).plot()
    assert display.figure_ is display.ax_.figure
    plt.close(display.figure_)


def test_fixed_penalty_has_no_path():
    model = RandomFeatureRegressor(8, alpha=1.0, random_state=0).fit([[0.0], [1.0], [2.0]], [0.0, 1.0, 0.0])
    with pytest.raises(ValueError, match="fit it with alpha='loo'"):
        LeaveOneOutDisplay.from_estimator(model)


def test_regression_figure(tmp_path):
    comparison = compare(load_dataset("diabetes"), width=64, folds=2, max_rows=60)
    figure = draw_comparison(comparison)
    scatter, path = figure.axes
    points = scatter.collections[0].get_offsets()
    np.testing.assert_allclose(points, np.column_stack([comparison.scores[1].predictions, comparison.targets]))
    assert scatter.get_xlabel() == "predicted target"
    assert f"R\u00b2 {comparison.scores[1].mean:.3f}" in scatter.get_title()
    assert path.get_xlabel() == "penalty alpha"
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_confusion_matrix_without_path():
    comparison = compare(load_dataset("wine"), width=64, folds=2, alpha=0.1)
    (axes,) = draw_comparison(comparison).axes
    counts = [int(text.get_text()) for text in axes.texts]
    assert sum(counts) == 178
    right = np.sum(comparison.scores[1].predictions == comparison.targets)
    assert counts[0] + counts[4] + counts[8] == right


def test_global_style_is_left_alone(estimator):
    before = dict(matplotlib.rcParams)
    draw_comparison(compare(load_dataset("diabetes"), width=32, folds=2, max_rows=40))
    assert dict(matplotlib.rcParams) == before


def test_long_names_of_classes_leave_room_for_the_matrix():
    table = load_dataset("wine")
    names = np.array(["short", "exactly sixteen!", "a name of a class that goes on and on"])
    table = dataclasses.replace(table, target=names[np.unique(table.target, return_inverse=True)[1]])
    (axes,) = draw_comparison(compare(table, width=32, folds=2, alpha=0.1)).axes
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert shown == ["a name of a cla\u2026", "exactly sixteen!", "short"]
