"""Small pieces of HTML; every text that comes in is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite, isnan

MISSING = "\u2013"
_SUPERSCRIPTS = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")


@dataclass(frozen=True)
class Markup:
    """Text that is HTML already, and stays as it is.

    Parameters
    ----------
    html : str
        The piece.
    """

    html: str


Cell = str | Markup


def render(cell: Cell) -> str:
    """Turn a cell into HTML.

    Parameters
    ----------
    cell : str or Markup
        Plain text is escaped.

    Returns
    -------
    str
    """
    return cell.html if isinstance(cell, Markup) else escape(cell)


def number(value: float | None, digits: int = 3) -> str:
    """Write a number with few digits, all of a large one below a million, and powers of ten as such.

    Parameters
    ----------
    value : float or None
        The number.
    digits : int, default=3
        Significant digits.

    Returns
    -------
    str
        A dash for None and nan, "never ends" signs for infinities.
    """
    if value is None or isnan(value):
        return MISSING
    if not isfinite(value):
        return "\u221e" if value > 0 else "\u2212\u221e"
    if 1e3 <= abs(value) < 1e6:
        return f"{value:,.0f}".replace("-", "\u2212")
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    mantissa = mantissa.replace("-", "\u2212")
    if not exponent:
        return mantissa
    power = "10" + str(int(exponent)).translate(_SUPERSCRIPTS)
    return power if mantissa == "1" else f"{mantissa}\u00b7{power}"


def table(
    heading: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    *,
    left: Sequence[int] = (0,),
    wrap: Sequence[int] = (),
    best: int | None = None,
    tall: bool = False,
) -> str:
    """Build a table that scrolls inside its box.

    Parameters
    ----------
    heading : sequence of str
        One for each column.
    rows : sequence of sequences of str or Markup
        The first cell of a row names it.
    left : sequence of int, default=(0,)
        Columns flushed left; the others hold numbers.
    wrap : sequence of int, default=()
        Columns of long text.
    best : int or None, default=None
        Row to mark.
    tall : bool, default=False
        Whether to scroll up and down as well.

    Returns
    -------
    str
    """
    names = [" ".join(["left"] * (index in left) + ["wrap"] * (index in wrap)) for index in range(len(heading))]
    attributes = [f' class="{name}"' if name else "" for name in names]
    head = "".join(f'<th scope="col"{a}>{escape(text)}</th>' for a, text in zip(attributes, heading, strict=True))
    body = []
    for index, row in enumerate(rows):
        cells = [f"<td{a}>{render(cell)}</td>" for a, cell in zip(attributes, row, strict=True)]
        cells[0] = f'<th scope="row"{attributes[0]}>{render(row[0])}</th>'
        body.append(f"<tr{' class=best' if index == best else ''}>{''.join(cells)}</tr>")
    box = "scroll tall" if tall else "scroll"
    return (
        f'<div class="{box}" tabindex="0"><table class="plain"><thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(body)
        + "\n</tbody></table></div>"
    )


def notes(sentences: Sequence[str]) -> str:
    """List sentences; nothing if there are none.

    Parameters
    ----------
    sentences : sequence of str
        One entry each.

    Returns
    -------
    str
    """
    return "<ul class=notes>" + "".join(f"<li>{escape(text)}</li>" for text in sentences) + "</ul>" if sentences else ""


def lead(text: str) -> str:
    """First paragraph of a section.

    Parameters
    ----------
    text : str
        The paragraph.

    Returns
    -------
    str
    """
    return f'<p class="lead">{escape(text)}</p>'


def remark(text: str) -> str:
    """Paragraph in the margin's voice.

    Parameters
    ----------
    text : str
        The paragraph.

    Returns
    -------
    str
    """
    return f'<p class="faint">{escape(text)}</p>'


def warning(text: str) -> str:
    """Paragraph that must not be overlooked.

    Parameters
    ----------
    text : str
        The paragraph.

    Returns
    -------
    str
    """
    return f'<p class="warn">{escape(text)}</p>'


def picture(address: str, size: tuple[int, int], text: str, caption: str, *, kind: str = "") -> str:
    """Figure on white paper.

    Parameters
    ----------
    address : str
        Inline address of the image.
    size : tuple of two int
        Width and height.
    text : str
        What is seen, for those who do not see it.
    caption : str
        What it says.
    kind : {"", "wide", "small"}, default=""
        "wide" scrolls on a phone rather than become illegible; "small" stays below the width of the page.

    Returns
    -------
    str
    """
    name = f' class="{kind}"' if kind else ""
    measures = f'width="{size[0]}" height="{size[1]}"'
    return (
        f'<figure><div class="paper"><img{name} src="{address}" {measures} alt="{escape(text)}"></div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
