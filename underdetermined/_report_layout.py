"""A report of labelled numbers, as text and as a table for notebooks."""

from collections.abc import Sequence
from html import escape

from underdetermined._layout import align, wrap

Section = tuple[str, list[tuple[str, str]]]


def as_text(description: str, sections: Sequence[Section], remarks: Sequence[str]) -> str:
    """Return the report as plain text.

    Parameters
    ----------
    description : str
        What it is about; the first paragraph.
    sections : sequence of (str, list of (str, str))
        Titles, each with its labels and values.
    remarks : sequence of str
        Sentences at the end.

    Returns
    -------
    str
        Several lines of at most 100 columns, without a line break at the end.
    """
    lines = align([(f"  {label}", value) for _, cells in sections for label, value in cells], left=(0,)).splitlines()
    parts, start = [wrap(description)], 0
    for title, cells in sections:
        parts.append("\n".join([title, *lines[start : start + len(cells)]]))
        start += len(cells)
    return "\n\n".join([*parts, "\n".join(wrap(remark) for remark in remarks)])


def as_html(description: str, sections: Sequence[Section], remarks: Sequence[str]) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    description : str
        What it is about; the first paragraph.
    sections : sequence of (str, list of (str, str))
        Titles, each with its labels and values.
    remarks : sequence of str
        Sentences at the end.

    Returns
    -------
    str
        One ``div``.
    """
    body = []
    for title, cells in sections:
        body.append(f'<tr><th colspan="2" scope="colgroup" style="text-align:left">{escape(title)}</th></tr>')
        body += [
            f'<tr><td style="text-align:left">{escape(label)}</td><td style="text-align:right">{escape(value)}</td></tr>'
            for label, value in cells
        ]
    paragraphs = "".join(f"<p>{escape(remark)}</p>" for remark in remarks)
    return f"<div><p>{escape(description)}</p>\n<table><tbody>\n{chr(10).join(body)}\n</tbody></table>\n{paragraphs}</div>"


def count(value: float) -> str:
    """Number of neurons as shown: in full while that is short.

    Parameters
    ----------
    value : float
        At least 0; inf for none.

    Returns
    -------
    str
    """
    return f"{value:.0f}" if value < 1e7 else f"{value:.3g}"
