"""Widths as one self-contained piece of HTML, for notebooks and reports."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import log10
from typing import Any

from underdetermined.bounds._bound import WidthBound
from underdetermined.bounds._recommend import count_neurons, format_width
from underdetermined.bounds._text import (
    NEURONS,
    TITLES,
    doubts,
    interval_text,
    missing,
    ordered,
    orders,
    question,
    times_rank,
)

# Colours are those of the page, or translucent, so that light and dark notebooks both show them well.
_STYLE = """
.underdetermined-width{max-width:100%;color:inherit}
.underdetermined-width .table{overflow-x:auto}
.underdetermined-width table{border-collapse:collapse;font-size:0.9em;font-variant-numeric:tabular-nums;color:inherit}
.underdetermined-width tr,.underdetermined-width th,.underdetermined-width td{background:none;color:inherit}
.underdetermined-width th,.underdetermined-width td{text-align:left;padding:0.2em 0.6em;white-space:nowrap}
.underdetermined-width .number{text-align:right}
.underdetermined-width thead th{border-bottom:1px solid rgba(128,128,128,.7);vertical-align:bottom}
.underdetermined-width tbody th{font-weight:normal;cursor:help}
.underdetermined-width tr.role th{font-style:italic;padding-top:0.7em;cursor:auto}
.underdetermined-width tr.chosen{background:rgba(0,158,115,.25)}
.underdetermined-width tr.chosen th{font-weight:bold}
.underdetermined-width p,.underdetermined-width ul{margin:0.5em 0.6em;padding:0;max-width:60em}
.underdetermined-width ul{margin-left:1.6em}
.underdetermined-width summary{margin:0.5em 0.6em;cursor:pointer}
.underdetermined-width svg{display:block}
"""
_LENGTH, _HEIGHT, _EDGE = 200, 18, 8
# Necessary and theorem, estimate, measurement: hue and shape both tell them apart.
_COLOURS = {"theorem": "#0072b2", "estimate": "#d55e00", "empirical": "#009e73"}


def width_html(result: Any) -> str:
    """Table with every width on one logarithmic scale, the recommendation, and the notes.

    Parameters
    ----------
    result : MinimumWidth
        The result.

    Returns
    -------
    str
        One ``div`` with its style inside.
    """
    head = (
        '<tr><th scope="col">result</th><th scope="col" class="number">width</th>'
        '<th scope="col" class="number">width / r</th><th scope="col">on a logarithmic scale</th>'
        '<th scope="col">kind</th><th scope="col">95&nbsp;% interval</th>'
        '<th scope="col">neurons</th></tr>'
    )
    return (
        f'<div class="underdetermined-width"><style>{_STYLE}</style>\n'
        f"<p>{escape(result.description)}.<br>{escape(question(result))}</p>\n"
        f'<div class="table"><table><thead>{head}</thead>\n<tbody>\n{_body(result)}\n</tbody></table></div>\n'
        f"<p><b>Recommended: {count_neurons(result.recommended.width)}.</b> {escape(result.reason)}</p>\n"
        + _list(result.notes)
        + _folded("Without a width", missing(result.bounds))
        + _folded("Assumptions", doubts(result.bounds))
        + _folded("Growth in the literature, orders only", orders(result.bounds))
        + "</div>"
    )


def _body(result: Any) -> str:
    shown = [bound for role in TITLES for bound in _shown(result, role)]
    scale = _Scale(shown)
    lines = []
    for role, title in TITLES.items():
        bounds = _shown(result, role)
        if bounds:
            lines.append(f'<tr class="role"><th colspan="7" scope="colgroup">{escape(title)}</th></tr>')
        lines += [_row(result, bound, scale) for bound in bounds]
    return "\n".join(lines)


def _shown(result: Any, role: str) -> list[WidthBound]:
    is_idle = role == "numerical" and result.problem.is_resolved
    return [] if is_idle else ordered(result.bounds, role)


def _row(result: Any, bound: WidthBound, scale: _Scale) -> str:
    is_chosen = bound is result.recommended
    opening = '<tr class="chosen">' if is_chosen else "<tr>"
    star = " &#9733;" if is_chosen else ""
    hint = escape(f"{bound.statement} {bound.reference}")
    return (
        f'{opening}<th scope="row" title="{hint}">{escape(bound.name)}{star}</th>'
        f'<td class="number">{format_width(bound.width)}</td>'
        f'<td class="number">{times_rank(bound, result.problem.rank)}</td>'
        f"<td>{scale.draw(bound)}</td><td>{escape(bound.kind)}</td><td>{interval_text(bound)}</td>"
        f"<td>{NEURONS[bound.weights]}</td></tr>"
    )


class _Scale:
    """All widths of a table on one logarithmic axis."""

    def __init__(self, bounds: list[WidthBound]) -> None:
        ends = [width for bound in bounds for width in (bound.width, *(bound.interval or ())) if width]
        # log10 of a Python integer has no upper limit.
        self.low = log10(min(ends, default=1))
        self.high = max(log10(max(ends, default=1)), self.low + 1.0)

    def place(self, width: int) -> float:
        return _EDGE + (_LENGTH - 2 * _EDGE) * (log10(width) - self.low) / (self.high - self.low)

    def draw(self, bound: WidthBound) -> str:
        assert bound.width is not None
        middle, x = _HEIGHT / 2, self.place(bound.width)
        colour = _COLOURS.get(bound.kind, "currentColor")
        parts = [
            f'<line x1="{_EDGE}" y1="{middle}" x2="{_LENGTH - _EDGE}" y2="{middle}" stroke="currentColor" '
            'stroke-opacity="0.2"/>'
        ]
        if bound.interval is not None:
            start, end = (self.place(width) for width in bound.interval)
            parts.append(
                f'<line x1="{start:.1f}" y1="{middle}" x2="{end:.1f}" y2="{middle}" stroke="{colour}" stroke-width="4" '
                'stroke-opacity="0.5"/>'
            )
        # What is needed points up from below, what is enough is a disc.
        if bound.role == "necessary":
            parts.append(f'<path d="M{x - 4:.1f},3 L{x + 4:.1f},{middle} L{x - 4:.1f},{_HEIGHT - 3} Z" fill="{colour}"/>')
        else:
            fill = colour if bound.kind == "theorem" else "none"
            parts.append(
                f'<circle cx="{x:.1f}" cy="{middle}" r="4" fill="{fill}" stroke="{colour}" stroke-width="2"/>'
            )
        label = f"width {format_width(bound.width)}"
        return f'<svg width="{_LENGTH}" height="{_HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _list(sentences: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in sentences)}</ul>\n" if sentences else ""


def _folded(title: str, sentences: Sequence[str]) -> str:
    return f"<details><summary>{escape(title)}</summary>{_list(sentences)}</details>\n" if sentences else ""
