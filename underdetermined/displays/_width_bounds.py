"""Rows that say for which widths each bound speaks, on an axis of widths that a curve may share."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10, nan
from typing import Any

from underdetermined.bounds import WidthBound

_NAMES = {
    "measured": "measured",
    "necessary": "attainable rank",
    "parameter_count": "parameter count",
    "numerical_rank": "numerical rank",
    "generic": "generic width",
    "chernoff": "matrix Chernoff",
    "leverage": "leverage",
    "truncated": "truncated leverage",
    "importance": "leverage weights",
    "leverage_sampled": "sampled leverage",
    "empirical": "experiment",
    "rule": "rule of thumb",
}
# Colour and marker say how well a statement is founded; both are needed where there is no colour.
_THEOREM, _ESTIMATE, _EMPIRICAL = ("#0072B2", "s"), ("#E69F00", "o"), ("#009E73", "D")
_NECESSARY, _NUMERICAL, _OTHER_WEIGHTS = ("#D55E00", "s"), ("#666666", "X"), ("#CC79A7", "s")
_GREY = "#666666"
# The axis reaches beyond the measured widths by at most these multiples of their own length.
_LEFT, _RIGHT = 0.35, 1.4
_SHORTEST = 0.7  # decades that the measured widths count for at least
_MARGIN = 0.07  # of the axis, at each end


def split_bounds(bounds: Sequence[WidthBound]) -> tuple[list[WidthBound], list[WidthBound]]:
    """Bounds that have a width for these data, smallest first, and those that have none.

    Left out are orders of growth, and a numerical rank that is the attainable one.
    """
    needed = {bound.width for bound in bounds if bound.role == "necessary"}
    numbers = [
        bound for bound in bounds if bound.kind != "order" and not (bound.role == "numerical" and bound.width in needed)
    ]
    drawn = [bound for bound in numbers if bound.is_applicable and bound.width is not None]
    kept = {id(bound) for bound in drawn}
    return sorted(drawn, key=_order), [bound for bound in numbers if id(bound) not in kept]


def promised_ratio(drawn: Sequence[WidthBound]) -> float:
    """Part of the smallest eigenvalue that sufficient bounds promise to keep, nan if they promise none or several."""
    kept = {1.0 - bound.details["epsilon"] for bound in drawn if bound.role == "sufficient" and "epsilon" in bound.details}
    return kept.pop() if len(kept) == 1 and max(kept) > 0.0 else nan


def _order(bound: WidthBound) -> tuple[bool, float]:
    return bound.role != "necessary", exponent(bound.width or 1)


def exponent(width: int) -> float:
    """Decimal logarithm of a width of any size; integers beyond the largest float have one too."""
    return log10(max(width, 1))


def width_text(width: int) -> str:
    """All digits of a width below a hundred thousand, two digits and a power of ten beyond."""
    if width < 100_000:
        return f"{width:,}"
    power = floor(exponent(width))
    mantissa = f"{10.0 ** (exponent(width) - power):.1f}"
    if mantissa == "10.0":
        mantissa, power = "1.0", power + 1
    return rf"${mantissa}\cdot 10^{{{power}}}$"


def name_of(name: str) -> str:
    """Name of a bound in words."""
    return _NAMES.get(name, name.replace("_", " "))


def _label(bound: WidthBound) -> str:
    if bound.kind == "empirical" or bound.role == "numerical":
        return name_of(bound.name)
    return f"{name_of(bound.name)} ({'necessary' if bound.role == 'necessary' else bound.kind})"


def _style(bound: WidthBound) -> tuple[str, str]:
    if bound.role in ("necessary", "numerical"):
        return _NECESSARY if bound.role == "necessary" else _NUMERICAL
    if bound.weights == "leverage":
        return _OTHER_WEIGHTS
    return {"theorem": _THEOREM, "empirical": _EMPIRICAL}.get(bound.kind, _ESTIMATE)


def width_limits(widths: Any, bounds: Sequence[WidthBound]) -> tuple[float, float]:
    """Ends of the axis as decimal logarithms: the measured widths, and the bounds that are not too far from them."""
    first, last = log10(min(widths)), log10(max(widths))
    length = max(last - first, _SHORTEST)
    lowest, highest = first - _LEFT * length, last + _RIGHT * length
    places = [exponent(bound.width) for bound in bounds if bound.width is not None]
    inside = [place for place in places if lowest <= place <= highest]
    low, high = min([first, *inside]), max([last, *inside])
    margin = _MARGIN * max(high - low, _SHORTEST)
    return low - margin, high + margin


def draw_rows(
    ax: Any, drawn: Sequence[WidthBound], others: Sequence[WidthBound], limits: tuple[float, float]
) -> dict[str, Any]:
    """Draw one row for each bound: a line over the widths of which it speaks, from a mark with the width."""
    marks = {bound.name: _draw_row(ax, row, bound, limits) for row, bound in enumerate(drawn)}
    rows = [*drawn, *others]
    ax.set(ylim=(len(rows) - 0.4, -0.6))
    ax.yaxis.tick_right()
    ax.set_yticks(range(len(rows)), [_label(bound) for bound in rows], fontsize="small")
    ax.tick_params(axis="y", length=0, pad=9)
    for row, label in list(enumerate(ax.get_yticklabels()))[len(drawn) :]:
        label.set_color(_GREY)
        place = {"xycoords": ("axes fraction", "data"), "ha": "right", "va": "center", "fontsize": "small"}
        ax.annotate("no width" if rows[row].width is None else "assumptions not met", (0.99, row), color=_GREY, **place)
    return marks


def row_handles(drawn: Sequence[WidthBound]) -> list[Any]:
    """Entries of a legend that say what the lines mean."""
    from matplotlib.lines import Line2D

    meanings: dict[str, tuple[Any, str]] = {
        "sufficient": ("-", "these widths suffice"),
        "necessary": (":", "these never do"),
    }
    roles = {bound.role for bound in drawn}
    kinds = [kind for role, kind in meanings.items() if role in roles]
    return [Line2D([], [], color=_GREY, linestyle=style, linewidth=2.5, label=label) for style, label in kinds]


def _draw_row(ax: Any, row: int, bound: WidthBound, limits: tuple[float, float]) -> Any:
    low, high = limits
    color, marker = _style(bound)
    place = exponent(bound.width or 1)
    is_inside = low <= place <= high
    shown = 10.0 ** min(max(place, low), high)
    is_necessary = bound.role == "necessary"
    if bound.role != "numerical":
        ends = [10.0**low, shown] if is_necessary else [shown, 10.0**high]
        ax.plot(ends, [row, row], color=color, linestyle=":" if is_necessary else "-", linewidth=2.5, solid_capstyle="butt")
    if is_inside and bound.interval is not None:
        between = [10.0 ** min(max(exponent(end), low), high) for end in bound.interval]
        ax.plot(between, [row, row], color=color, linewidth=9, alpha=0.35, solid_capstyle="butt")
    if not is_inside:
        marker = "<" if place < low else ">"
    (mark,) = ax.plot(
        shown, row, linestyle="none", color=color, marker=marker, markersize=8, markeredgewidth=2, clip_on=False, zorder=4,
        markerfacecolor="white" if bound.kind in ("estimate", "empirical") else color,
    )  # fmt: skip
    # The side of the mark without the line has room, unless the axis ends there.
    share = (place - low) / (high - low)
    is_right = share < 0.2 or (bound.role != "sufficient" and share < 0.8)
    ax.annotate(
        width_text(bound.width or 1), (shown, row), (12 if is_right else -12, 0), textcoords="offset points",
        ha="left" if is_right else "right", va="center", fontsize="small", zorder=5,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
    )  # fmt: skip
    return mark
