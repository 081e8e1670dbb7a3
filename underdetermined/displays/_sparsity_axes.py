"""Axes of the picture of a sparse training run: steps from 0 on, fractions in per cent, legends above."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROOMY = 24  # font sizes across from which on a legend has two columns
_WIDE = 5.0  # ratio of fractions from which on their axis is logarithmic
_CLOSE = 0.1  # of a fraction that is seen above and below it at least
_FULL = 1.06  # where a linear axis ends at most
_ROOM = 1.5  # above and below, as a ratio, on a logarithmic axis
_FEW_DECADES = 2.0


def last_place(count: int) -> float:
    """Right end of the axis of a number of steps, the start included."""
    return 1.05 * max(count - 1, 1)


def scale_steps(ax: Any, count: int) -> None:
    """Steps 0 and 1 beside each other, then decades."""
    from matplotlib.ticker import FuncFormatter, SymmetricalLogLocator

    ax.set_xscale("symlog", linthresh=1.0, linscale=0.3)
    subs = (1.0, 2.0, 5.0) if count <= 100 else (1.0,)
    ax.xaxis.set_major_locator(SymmetricalLogLocator(base=10.0, linthresh=1.0, subs=subs))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.xaxis.set_minor_locator(SymmetricalLogLocator(base=10.0, linthresh=1.0, subs=list(range(2, 10))))
    ax.set_xlim(-0.15, last_place(count))


def fraction_axis(values: NDArray[np.float64]) -> tuple[float, float, bool]:
    """Ends of an axis with all fractions that are positive, and whether it should be logarithmic."""
    places = values[np.isfinite(values) & (values > 0.0)]
    if not places.size:
        return 0.0, 1.0, False
    low, high = float(places.min()), float(places.max())
    if high > _WIDE * low:
        return low / _ROOM, high * _ROOM, True
    room = max(0.1 * (high - low), _CLOSE * high)
    return max(low - room, 0.0), min(high + room, _FULL), False


def label_percent(axis: Any) -> None:
    """Write fractions in per cent, between the powers of ten too where there are few of them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    low, high = axis.get_view_interval()
    if axis.get_scale() == "linear":
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    elif np.log10(high / low) < _FEW_DECADES:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100.0 * value:.10g} %" if value < 1.0 + 1e-9 else ""))
    axis.set_minor_formatter(NullFormatter())


def legend_above(ax: Any, **options: Any) -> None:
    """Put the legend above the axes, where it covers no curve."""
    from matplotlib import rcParams

    columns = 2 if ax.get_window_extent().width * 72.0 / ax.figure.dpi > _ROOMY * rcParams["font.size"] else 1
    place = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "borderaxespad": 0.2, "alignment": "left"}
    spacing = {"handlelength": 1.9, "handletextpad": 0.6, "columnspacing": 1.2, "borderpad": 0.2}
    ax.legend(ncols=columns, frameon=False, fontsize="small", title_fontsize="small", **place, **spacing, **options)
