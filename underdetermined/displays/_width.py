"""What a width buys: measurements against the width, beside the widths that bounds name, and the growth of both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from underdetermined._compat import check_matplotlib_support
from underdetermined.bounds import WidthBound
from underdetermined.displays._width_axes import label_decades, row_height, split_axes
from underdetermined.displays._width_bounds import draw_rows, promised_ratio, row_handles, split_bounds, width_limits
from underdetermined.displays._width_growth import draw_growth
from underdetermined.displays._width_trainable import draw_trainable_growth
from underdetermined.empirical_width import TrainableWidthGrowth, WidthGrowth, WidthMeasurement

_BLUE, _VERMILION = "#0072B2", "#D55E00"
_FONT_SIZE = 14
_CURVE_HEIGHT, _LABEL_HEIGHT = 4.0, 0.9  # inches
_GROWTH_SIZE, _TRAINED_SIZE = (10.5, 6.2), (13.0, 6.4)
_REACH = 300.0  # the band is followed this far beyond the medians
_NOTHING = "not resolved in floating point:\ndraw quantity='rank'"
_WORST = {"smallest": 0.0, "condition": np.inf, "residual": np.inf, "rank": 0.0}
_LABELS = {
    "smallest": "smallest eigenvalue $\\lambda_r(G)$,\nrelative to infinite width",
    "condition": "condition number\nof the Gram matrix",
    "residual": "training residual,\nrelative to the targets",
    "rank": "numerical rank of the features",
}


class WidthDisplay:
    """What is measured at each width, above the widths that bounds name; or the growth of both with the number of rows.

    Parameters
    ----------
    source : WidthMeasurement, WidthGrowth or TrainableWidthGrowth
        What is drawn: measurements at some widths, or minimum widths, of the last layer or of trained networks, for some
        numbers of rows.
    bounds : sequence of WidthBound, default=()
        Bounds for the same data, such as the ``bounds`` of `underdetermined.bounds.MinimumWidth`; for measurements only.
        Orders of growth have no width and are left out.
    quantity : {"smallest", "condition", "residual", "rank"}, default="smallest"
        What is drawn of a measurement.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curve, or the growth.
    bounds_ax_ : matplotlib Axes or None
        Axes below it with one row for each bound; None if there is no bound.
    figure_ : matplotlib Figure
        Figure that holds them.
    line_ : matplotlib Line2D or None
        Median over the seeds; None for a growth.
    band_ : matplotlib PolyCollection or None
        From the 10th to the 90th percentile of the seeds; None for one seed, where nothing is resolved, or for a growth.
    marks_ : dict of str to matplotlib Line2D
        The mark of each bound, by name, or each curve of a growth.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.displays import WidthDisplay
    >>> from underdetermined.empirical_width import measure_widths
    >>> X = np.random.default_rng(0).standard_normal((10, 3))
    >>> display = WidthDisplay.from_measurement(measure_widths(X, [10, 20, 40, 80], n_seeds=5))
    >>> display.ax_.get_xlabel()
    'width, number of hidden neurons'
    """

    def __init__(
        self,
        source: WidthMeasurement | WidthGrowth | TrainableWidthGrowth,
        bounds: Sequence[WidthBound] = (),
        *,
        quantity: Literal["smallest", "condition", "residual", "rank"] = "smallest",
    ) -> None:
        self.source = source
        self.bounds = bounds
        self.quantity = quantity

    @classmethod
    def from_measurement(
        cls,
        measurement: WidthMeasurement,
        bounds: Sequence[WidthBound] = (),
        *,
        quantity: Literal["smallest", "condition", "residual", "rank"] = "smallest",
        ax: Any = None,
    ) -> WidthDisplay:
        """Draw measurements against the width, and below them what bounds say of it.

        Parameters
        ----------
        measurement : WidthMeasurement
            What `underdetermined.empirical_width.measure_widths` returned.
        bounds : sequence of WidthBound, default=()
            Bounds for the same data. A line covers the widths for which a bound speaks: those that suffice, or, dotted,
            those that do not. A width far beyond the measured ones becomes an arrow at the edge, with its value.
        quantity : {"smallest", "condition", "residual", "rank"}, default="smallest"
            Smallest attainable eigenvalue of the Gram matrix divided by that of infinite width, condition number,
            relative training residual, or numerical rank.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure. If there are bounds, its lower part is given to them.

        Returns
        -------
        WidthDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the quantity is not known, or is the residual and no targets were given.
        """
        return cls(measurement, bounds, quantity=quantity).plot(ax)

    @classmethod
    def from_growth(cls, growth: WidthGrowth | TrainableWidthGrowth, *, ax: Any = None) -> WidthDisplay:
        """Draw minimum widths against the number of rows, with the exponents of growth in the legend.

        Parameters
        ----------
        growth : WidthGrowth or TrainableWidthGrowth
            What `underdetermined.empirical_width.width_growth` or `trainable_width_growth` returned. Trainable widths have a
            dot for each seed and stand beside parameter counts, bounds for the last layer and the order n^(3/2) / d of the
            literature, which begins at the first of them because its constant is not known.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        WidthDisplay
            The display, drawn.
        """
        return cls(growth).plot(ax)

    def plot(self, ax: Any = None) -> WidthDisplay:
        """Draw on logarithmic axes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        WidthDisplay
            This display.

        Raises
        ------
        ValueError
            If the quantity is not known, or was not measured.
        """
        check_matplotlib_support("WidthDisplay.plot")
        import matplotlib.pyplot as plt

        self.line_: Any = None
        self.band_: Any = None
        self.bounds_ax_: Any = None
        self.marks_: dict[str, Any] = {}
        with plt.rc_context({"font.size": _FONT_SIZE} if ax is None else {}):
            if isinstance(self.source, WidthGrowth):
                self.ax_ = plt.subplots(figsize=_GROWTH_SIZE, layout="constrained")[1] if ax is None else ax
                self.marks_ = draw_growth(self.ax_, self.source)
            elif isinstance(self.source, TrainableWidthGrowth):
                self.ax_ = plt.subplots(figsize=_TRAINED_SIZE, layout="constrained")[1] if ax is None else ax
                self.marks_ = draw_trainable_growth(self.ax_, self.source)
            else:
                self._draw_measurement(self.source, ax)
        self.figure_ = self.ax_.figure
        return self

    def _draw_measurement(self, measurement: WidthMeasurement, ax: Any) -> None:
        import matplotlib.pyplot as plt

        values = _values(measurement, self.quantity)
        drawn, others = split_bounds(self.bounds)
        limits = width_limits(measurement.widths, drawn)
        rows_height = row_height() * (len(drawn) + len(others))
        if ax is None:
            size = (10.0, _CURVE_HEIGHT + _LABEL_HEIGHT + rows_height)
            _, ax = plt.subplots(figsize=size, layout="constrained")
        self.ax_ = below = ax
        handles = []
        if rows_height:
            self.bounds_ax_ = below = split_axes(ax, rows_height)
            self.marks_ = draw_rows(below, drawn, others, limits)
            handles = row_handles(drawn)
            for mark in self.marks_.values():
                if mark.get_marker() not in "<>":
                    ax.axvline(mark.get_xdata()[0], color=mark.get_color(), linewidth=1.3, alpha=0.6, zorder=1)
        promised = promised_ratio(drawn) if self.quantity == "smallest" else np.nan
        self._draw_curve(measurement, values, promised)
        rank = measurement.attainable_rank
        if rank > 10.0 ** limits[0]:
            label = f"fewer neurons than the\nattainable rank $r$ = {rank:,}"
            handles.append(ax.axvspan(10.0 ** limits[0], rank, color="0.9", zorder=0, label=label))
        ax.set(xscale="log", xlim=(10.0 ** limits[0], 10.0 ** limits[1]))
        below.set_xlabel("width, number of hidden neurons")
        ax.tick_params(which="both", labelbottom=below is ax)
        label_decades(below.xaxis)
        curves = [handle for handle in ax.get_legend_handles_labels()[0] if handle not in handles]
        # Above the names of the bounds there is room that nothing else takes.
        beside = {} if below is ax else {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0}
        ax.legend(handles=[*curves, *handles], frameon=below is ax, fontsize="small", **beside)

    def _draw_curve(self, measurement: WidthMeasurement, values: NDArray[np.float64], promised: float) -> None:
        ax, is_log = self.ax_, self.quantity != "rank"
        widths = np.asarray(measurement.widths, dtype=np.float64)
        median = np.median(values, axis=1)
        low, high = np.quantile(values, (0.1, 0.9), axis=1, method="inverted_cdf")
        shown = np.isfinite(median) & ((median > 0.0) | (not is_log))
        level, level_text = _level(measurement, self.quantity)
        floor, top = _range(np.append(median[shown], (level, promised)), np.append(low, high), is_log=is_log)
        n_seeds = values.shape[1]
        label = "one seed" if n_seeds == 1 else f"median of {n_seeds} seeds"
        style: dict[str, Any] = {"color": _BLUE, "marker": "o", "markersize": 5, "linewidth": 2.2, "zorder": 4}
        (self.line_,) = ax.plot(widths[shown], median[shown], label=label if shown.any() else "_nothing", **style)
        if not shown.any():
            ax.text(0.5, 0.5, _NOTHING, transform=ax.transAxes, ha="center", va="center")
        elif n_seeds > 1:
            low, high = np.clip(low, floor, top), np.clip(high, floor, top)
            style = {"color": _BLUE, "alpha": 0.22, "linewidth": 0, "label": "10 to 90 % of seeds"}
            self.band_ = ax.fill_between(widths, low, high, **style)
        if np.isfinite(level):
            ax.axhline(level, color="black", linestyle="--", linewidth=1.3, zorder=2, label=level_text)
        if np.isfinite(promised) and np.isfinite(level):
            label = f"what suffices keeps {promised:.3g}"
            ax.axhline(promised, color="black", linestyle=":", linewidth=1.6, zorder=2, label=label)
        if not shown.all():
            edge = np.full((~shown).sum(), top if self.quantity == "condition" else floor)
            style = {"color": _VERMILION, "markersize": 7, "markeredgewidth": 2, "clip_on": False, "zorder": 4}
            ax.plot(widths[~shown], edge, "x", label="not resolved", **style)
        ax.set(yscale="log" if is_log else "linear", ylim=(floor, top), ylabel=_LABELS[self.quantity])
        if is_log:
            label_decades(ax.yaxis)


def _values(measurement: WidthMeasurement, quantity: str) -> NDArray[np.float64]:
    """Values for each width and seed, with those that are not resolved at the bad end."""
    if quantity not in _LABELS:
        raise ValueError(f"quantity={quantity!r} is not known: pass one of {', '.join(map(repr, _LABELS))}")
    found = getattr(measurement, quantity)
    if found is None:
        raise ValueError(f"quantity={quantity!r} was not measured: pass targets to measure_widths")
    values = np.asarray(found, dtype=np.float64)
    # Below the attainable rank the r-th eigenvalue is rounding.
    is_lost = np.isnan(values) | ((quantity == "smallest") & (measurement.rank < measurement.attainable_rank))
    return np.where(is_lost, _WORST[quantity], values)


def _level(measurement: WidthMeasurement, quantity: str) -> tuple[float, str]:
    """Value that is reached in the end, nan if it is not known, and its name."""
    if quantity == "smallest":
        return (1.0 if np.isfinite(measurement.kernel_smallest) else np.nan), "infinite width"
    if quantity == "condition":
        return measurement.kernel_condition, "infinite width"
    if quantity == "rank":
        return measurement.attainable_rank, "attainable rank $r$"
    return np.nan, ""


def _range(places: NDArray[np.float64], band: NDArray[np.float64], *, is_log: bool) -> tuple[float, float]:
    """Ends of the axis: all of `places`, and the band as far as it stays near them."""
    places = places[np.isfinite(places)]
    if not is_log:
        return 0.0, 1.08 * float(places.max(initial=1.0))
    if not places.size:
        return 0.1, 10.0
    near = (band >= places.min() / _REACH) & (band <= places.max() * _REACH)
    inside = np.append(places, band[near])
    room = max((inside.max() / inside.min()) ** 0.06, 1.3)
    return float(inside.min() / room), float(inside.max() * room)
