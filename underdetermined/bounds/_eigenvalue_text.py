"""Bounds on an eigenvalue as plain text, at most 100 columns wide, and as HTML."""

from __future__ import annotations

from html import escape
from typing import Any

from underdetermined._layout import align, bullets, wrap
from underdetermined.bounds._eigenvalue_bound import EigenvalueBound

# Colours are those of the page, or translucent, so that light and dark notebooks both show them well.
_STYLE = """
.underdetermined-eigenvalue{max-width:100%;color:inherit}
.underdetermined-eigenvalue .table{overflow-x:auto}
.underdetermined-eigenvalue table{border-collapse:collapse;font-size:0.9em;font-variant-numeric:tabular-nums;color:inherit}
.underdetermined-eigenvalue tr,.underdetermined-eigenvalue th,.underdetermined-eigenvalue td{background:none;color:inherit}
.underdetermined-eigenvalue th,.underdetermined-eigenvalue td{text-align:left;padding:0.2em 0.6em}
.underdetermined-eigenvalue .number{text-align:right;white-space:nowrap}
.underdetermined-eigenvalue thead th{border-bottom:1px solid rgba(128,128,128,.7)}
.underdetermined-eigenvalue tbody th{font-weight:normal}
.underdetermined-eigenvalue tr.exact{background:rgba(0,158,115,.25)}
.underdetermined-eigenvalue p{margin:0.5em 0.6em;max-width:60em}
"""
_HEAD = ("", "bound", "/ exact", "kind")


def eigenvalue_text(result: Any) -> str:
    """Data, table, and what the results rest on.

    Parameters
    ----------
    result : EigenvalueBounds
        The result.

    Returns
    -------
    str
        Several lines, without a line break at the end.
    """
    parts = [
        f"{wrap(result.description)}\n{wrap(_question(result))}",
        align([_HEAD, *(cells for cells, _ in _rows(result))], left=(0, 3)),
    ]
    silent = _silent(result)
    if silent:
        parts.append(f"without a bound\n{bullets(silent)}")
    return "\n\n".join(parts)


def eigenvalue_html(result: Any) -> str:
    """Table with every bound, its statement and what it rests on.

    Parameters
    ----------
    result : EigenvalueBounds
        The result.

    Returns
    -------
    str
        One ``div`` with its style inside.
    """
    head = "".join(
        f'<th scope="col"{_number(column)}>{escape(title)}</th>' for column, title in enumerate((*_HEAD, "statement"))
    )
    body = []
    for (name, *cells), bound in _rows(result):
        statement = "" if bound is None else bound.statement
        opening = '<tr class="exact">' if bound is None else "<tr>"
        columns = "".join(f"<td{_number(column)}>{escape(cell)}</td>" for column, cell in enumerate((*cells, statement), 1))
        body.append(f'{opening}<th scope="row">{escape(name)}</th>{columns}</tr>')
    notes = "".join(f"<p>{escape(line)}</p>" for line in _silent(result))
    return (
        f'<div class="underdetermined-eigenvalue"><style>{_STYLE}</style>\n'
        f"<p>{escape(result.description)}.<br>{escape(_question(result))}</p>\n"
        f'<div class="table"><table><thead><tr>{head}</tr></thead>\n<tbody>{"".join(body)}</tbody></table></div>\n'
        f"{notes}</div>"
    )


def _number(column: int) -> str:
    return ' class="number"' if column in (1, 2) else ""


def _question(result: Any) -> str:
    resolved = "" if result.is_resolved else ", which is within its rounding errors"
    return (
        f"Smallest eigenvalue of the {result.problem.kernel_name}: "
        f"{result.exact:.6g}, with rounding errors up to {result.rounding:.2g}{resolved}."
    )


def _rows(result: Any) -> list[tuple[tuple[str, ...], EigenvalueBound | None]]:
    """Cells of the table in ascending order: lower bounds that say something, the exact value, upper bounds."""
    ordered = sorted(result.bounds, key=lambda bound: bound.value)
    rows: list[tuple[tuple[str, ...], EigenvalueBound | None]] = [
        (_cells(bound, result), bound) for bound in ordered if bound.kind == "lower" and bound.value > 0.0
    ]
    rows.append((("exact", f"{result.exact:.6g}", "", "computed"), None))
    rows += [(_cells(bound, result), bound) for bound in ordered if bound.kind == "upper"]
    return rows


def _cells(bound: EigenvalueBound, result: Any) -> tuple[str, ...]:
    ratio = f"{bound.value / result.exact:.3g}" if result.is_resolved else ""
    return bound.name, f"{bound.value:.6g}", ratio, bound.kind


def _silent(result: Any) -> list[str]:
    """Why results say nothing, those of one reason together."""
    names: dict[str, list[str]] = {}
    for bound in result.bounds:
        for assumption in bound.assumptions:
            if not assumption.is_met:
                names.setdefault(assumption.statement, []).append(bound.name)
    return [f"{', '.join(those)}, not met: {statement}." for statement, those in names.items()]
