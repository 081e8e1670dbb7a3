"""A comparison of activations as one self-contained piece of HTML, for notebooks."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from underdetermined.activation_comparison._columns import COLUMNS, FLOOR, Column

# Colours are those of the page, or translucent, so that light and dark notebooks both show them well.
_STYLE = """
.underdetermined-comparison{max-width:100%;overflow-x:auto;color:inherit}
.underdetermined-comparison table{border-collapse:collapse;font-size:0.9em;font-variant-numeric:tabular-nums;color:inherit}
.underdetermined-comparison caption{caption-side:top;text-align:left;padding:0.3em 0.6em;color:inherit}
.underdetermined-comparison tr,.underdetermined-comparison th,.underdetermined-comparison td{background:none;color:inherit}
.underdetermined-comparison th,.underdetermined-comparison td{text-align:right;padding:0.2em 0.6em;white-space:nowrap}
.underdetermined-comparison thead th{border-bottom:1px solid rgba(128,128,128,.7);vertical-align:bottom;cursor:help}
.underdetermined-comparison tbody th{text-align:left;font-weight:normal}
.underdetermined-comparison tbody tr:nth-child(even){background:rgba(128,128,128,.09)}
.underdetermined-comparison tbody tr.best{background:rgba(0,158,115,.25)}
.underdetermined-comparison tbody tr.best th{font-weight:bold}
.underdetermined-comparison td.error{text-align:left;white-space:normal;font-style:italic}
.underdetermined-comparison ul{margin:0.4em 0 0.4em 1.4em;padding:0;max-width:60em}
"""
_WIDTH, _HEIGHT, _POINTS = 96, 24, 48


def comparison_html(comparison: Any) -> str:
    """Table with explanations in the headings' tooltips, and the notes below.

    Parameters
    ----------
    comparison : ActivationComparison
        The result.

    Returns
    -------
    str
        One ``div`` with its style inside.
    """
    columns = [column for column in (*COLUMNS, FLOOR) if comparison.has_targets or not column.needs_targets]
    head = "".join(
        [
            '<th scope="col" style="text-align:left" title="a star marks the best conditioned among those that '
            'attain most targets">activation</th>',
            '<th scope="col" style="text-align:left" title="eigenvalues against their number, both logarithmic, from '
            'lambda max down to n eps lambda max (dashed); unresolved ones are faint">spectrum</th>',
            *map(_heading, columns),
        ]
    )
    body = "\n".join(_row(comparison, row, columns) for row in comparison.rows)
    notes = "".join(f"<li>{escape(note)}</li>" for note in comparison.notes)
    return (
        f'<div class="underdetermined-comparison"><style>{_STYLE}</style>\n<table>'
        f"<caption>{escape(comparison.description)}</caption>\n<thead><tr>{head}</tr></thead>\n"
        f"<tbody>\n{body}\n</tbody></table>\n" + (f"<ul>{notes}</ul>" if notes else "") + "</div>"
    )


def _heading(column: Column) -> str:
    lines = "<br>".join(escape(line) for line in column.heading if line)
    return f'<th scope="col" title="{escape(column.explanation)}">{lines}</th>'


def _row(comparison: Any, row: Any, columns: list[Column]) -> str:
    is_best = row is comparison.best
    star = " &#9733;" if is_best else ""
    name = f'<th scope="row">{escape(row.activation)}{star}</th>'
    if row.error is not None:
        return f'<tr>{name}<td class="error" colspan="{len(columns) + 1}">{escape(row.error)}</td></tr>'
    cells = "".join(_cell(column, row) for column in columns)
    opening = '<tr class="best">' if is_best else "<tr>"
    return f"{opening}{name}<td>{_sparkline(row)}</td>{cells}</tr>"


def _cell(column: Column, row: Any) -> str:
    detail = column.detail(row)
    hint = f' title="{escape(detail)}"' if detail else ""
    return f"<td{hint}>{escape(column.cell(row))}</td>"


def _sparkline(row: Any) -> str:
    """Eigenvalues against their number, both logarithmic, from lambda max at the top to the cut-off at the dashed line."""
    values, rank = np.asarray(row.spectrum.eigenvalues), row.spectrum.rank
    if rank == 0:
        return ""
    n = len(values)
    chosen = np.unique(np.geomspace(1, n, _POINTS).round().astype(int)) - 1
    bottom = row.spectrum.cutoff
    level = np.log(np.maximum(values[chosen], bottom) / bottom) / np.log(values[0] / bottom)
    x = 2 + (_WIDTH - 4) * np.log(chosen + 1) / max(np.log(n), 1.0)
    y = 2 + (_HEIGHT - 6) * (1 - level)
    resolved = chosen < rank
    lines = "".join(
        f'<polyline fill="none" stroke="currentColor" stroke-opacity="{opacity}" stroke-width="1.6" points="'
        + " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x[mask], y[mask], strict=True))
        + '"/>'
        for mask, opacity in ((resolved, 1), (~resolved, 0.3))
        if mask.any()
    )
    base = 2 + _HEIGHT - 6
    cut = (
        f'<line x1="2" y1="{base}" x2="{_WIDTH - 2}" y2="{base}" stroke="currentColor" stroke-opacity="0.45" '
        'stroke-width="1" stroke-dasharray="3 2"/>'
    )
    return f'<svg width="{_WIDTH}" height="{_HEIGHT}" role="img" aria-label="spectrum">{cut}{lines}</svg>'
