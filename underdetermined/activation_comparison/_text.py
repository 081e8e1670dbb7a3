"""A comparison of activations as plain text, at most 100 columns wide."""

from __future__ import annotations

from typing import Any

from underdetermined._layout import align, bullets, wrap
from underdetermined.activation_comparison._columns import COLUMNS

_LONGEST_NAME = 16  # more would push the table over 100 columns; a longer name gets a line of its own
_BEST = " *"


def comparison_text(comparison: Any) -> str:
    """Title, table, explanation of the columns, notes.

    Parameters
    ----------
    comparison : ActivationComparison
        The result.

    Returns
    -------
    str
        Several lines, without a line break at the end.
    """
    parts = [wrap(comparison.description), _table(comparison), _legend(comparison)]
    if comparison.notes:
        parts.append("notes\n" + bullets(comparison.notes))
    return "\n\n".join(parts)


def _table(comparison: Any) -> str:
    columns = [column for column in COLUMNS if comparison.has_targets or not column.needs_targets]
    cells = [
        ("", *(column.heading[0] for column in columns)),
        ("activation", *(column.heading[1] for column in columns)),
    ]
    long_names = {}
    for row in comparison.rows:
        name = row.activation + (_BEST if row is comparison.best else "")
        if len(name) > _LONGEST_NAME + len(_BEST):
            long_names[len(cells)] = name
            name = ""
        cells.append((name, *(column.cell(row) for column in columns)))
    lines = []
    for index, line in enumerate(align(cells, left=(0,)).splitlines()):
        lines += [long_names[index], line] if index in long_names else [line]
    return "\n".join(lines)


def _legend(comparison: Any) -> str:
    lines = [
        ("lambda max, min", "extreme eigenvalues; min over attainable targets, - if below n eps lambda max"),
        ("cond.", "condition number, lambda max / lambda min"),
        ("rank, attain. rank", "eigenvalues above n eps lambda max; dimension of the targets a large width fits"),
        ("trace, entr. rank", "effective ranks of the eigenvalues: sum / max, and exponential of their entropy"),
    ]
    if comparison.has_targets:
        trained = "the last layer"
        if comparison.kind == "ntk":
            trained = "both layers (approximate)"
        lines += [
            ("steps", f"gradient descent on {trained}, best rate, to that residual / |y|"),
            ("y in top 10", "share of |y|^2 in the 10 leading eigenvectors, which are learned first"),
        ]
    if comparison.best is not None:
        lines.append(("*", "best conditioned among those that attain most"))
    return align(lines, left=(0, 1))
