"""Axes of the pictures of widths: room for rows below a curve, and numbers on short logarithmic axes."""

from __future__ import annotations

from math import log10
from typing import Any

_LINE_SPACING = 1.5
_POINTS_PER_INCH = 72.0
_MOST_SHARE = 0.6  # of the axes that rows may take
_FEW_DECADES = 1.7


def row_height() -> float:
    """Inches that one row of text takes."""
    import matplotlib

    return _LINE_SPACING * matplotlib.rcParams["font.size"] / _POINTS_PER_INCH


def split_axes(ax: Any, height: float) -> Any:
    """Give the lower part of axes, of a height in inches, to new ones with the same x axis."""
    figure = ax.figure
    left, bottom, width, full = ax.get_position().bounds
    share = min(_MOST_SHARE, height / (full * figure.get_size_inches()[1]))
    spec = ax.get_subplotspec()
    if spec is None:
        ax.set_position([left, bottom + share * full, width, (1.0 - share) * full])
        return figure.add_axes([left, bottom, width, 0.97 * share * full], sharex=ax)
    upper, lower = spec.subgridspec(2, 1, height_ratios=[1.0 - share, share], hspace=0.0)
    ax.set_subplotspec(upper)
    return figure.add_subplot(lower, sharex=ax)


def label_decades(axis: Any) -> None:
    """Write plain numbers between the powers of ten where there are few of them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    if log10(high / low) < _FEW_DECADES:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}" if 1e-3 < value < 1e6 else f"{value:.0e}"))
    axis.set_minor_formatter(NullFormatter())
