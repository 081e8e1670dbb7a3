"""Plain text in columns and in lists."""

import textwrap
from collections.abc import Sequence

WIDTH = 100


def align(rows: Sequence[Sequence[str]], *, left: Sequence[int]) -> str:
    """Columns two spaces apart, one line per row.

    Parameters
    ----------
    rows : sequence of sequences of str
        Cells; every row has the same number.
    left : sequence of int
        Columns that are flushed left; the others are flushed right.

    Returns
    -------
    str
        The lines, without spaces at their ends.

    Examples
    --------
    >>> from underdetermined.text import align
    >>> print(align([("width", "8"), ("rank", "16")], left=(0,)))
    width   8
    rank   16
    """
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if index in left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def bullets(sentences: Sequence[str]) -> str:
    """Sentences as a list, wrapped.

    Parameters
    ----------
    sentences : sequence of str
        One entry each.

    Returns
    -------
    str
        The list, each entry after a hyphen.

    Examples
    --------
    >>> from underdetermined.text import bullets
    >>> print(bullets(["first", "second"]))
    - first
    - second
    """
    return "\n".join(wrap(sentence, "- ", "  ") for sentence in sentences)


def wrap(text: str, first: str = "", later: str = "") -> str:
    """One paragraph in lines of at most 100 columns, broken between words only.

    Parameters
    ----------
    text : str
        The paragraph.
    first, later : str, default=""
        What the first line and the later ones start with.

    Returns
    -------
    str
        The lines.
    """
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=later,
        break_long_words=False,
        break_on_hyphens=False,
    )
