"""Widths as plain text, at most 100 columns wide."""

from __future__ import annotations

from typing import Any

from underdetermined._layout import align, bullets, wrap
from underdetermined.bounds._bound import WidthBound
from underdetermined.bounds._recommend import count_neurons, format_ratio, format_width

TITLES = {
    "necessary": "needed: fewer cannot do",
    "numerical": "visible in double precision",
    "sufficient": "enough",
}
NEURONS = {"gaussian": "random", "leverage": "drawn by leverage", "any": "any"}


def ordered(bounds: list[WidthBound], role: str) -> list[WidthBound]:
    """Bounds of a role that have a width, the narrowest first.

    Parameters
    ----------
    bounds : list of WidthBound
        All bounds.
    role : str
        The role.

    Returns
    -------
    list of WidthBound
    """
    chosen = (bound for bound in bounds if bound.role == role and bound.width is not None)
    return sorted(chosen, key=lambda bound: bound.width or 0)


def missing(bounds: list[WidthBound]) -> list[str]:
    """Why results have no width, those of one reason together.

    Parameters
    ----------
    bounds : list of WidthBound
        All bounds.

    Returns
    -------
    list of str
        One sentence for each reason.
    """
    names: dict[str, list[str]] = {}
    for bound in bounds:
        if bound.width is None and bound.role != "order":
            names.setdefault(bound.statement, []).append(bound.name)
    return [f"{', '.join(those)}: {statement}" for statement, those in names.items()]


def doubts(bounds: list[WidthBound]) -> list[str]:
    """Assumptions behind widths that are not met, or of which it is not known.

    Parameters
    ----------
    bounds : list of WidthBound
        All bounds.

    Returns
    -------
    list of str
    """
    words = {False: "not met", None: "not known"}
    return [
        f"{bound.name}, {words[each.is_met]}: {each.statement}."
        for bound in bounds
        for each in bound.assumptions
        if bound.width is not None and not each.is_met
    ]


def orders(bounds: list[WidthBound]) -> list[str]:
    """Orders of growth with their sources.

    Parameters
    ----------
    bounds : list of WidthBound
        All bounds.

    Returns
    -------
    list of str
    """
    return [f"{bound.statement.rstrip('.')} ({bound.reference})." for bound in bounds if bound.role == "order"]


def times_rank(bound: WidthBound, rank: int) -> str:
    """Width over the attainable rank.

    Parameters
    ----------
    bound : WidthBound
        The bound.
    rank : int
        Attainable rank r.

    Returns
    -------
    str
        Empty where there is nothing to divide.
    """
    return format_ratio(bound.width, rank) if bound.width is not None and rank else ""


def interval_text(bound: WidthBound) -> str:
    """Interval of an estimate or of a measurement.

    Parameters
    ----------
    bound : WidthBound
        The bound.

    Returns
    -------
    str
        Empty if there is none.
    """
    if bound.interval is None:
        return ""
    low, high = (format_width(width) for width in bound.interval)
    return f"{low} to {high}"


def width_text(result: Any) -> str:
    """Question, table, recommendation, and what is behind it.

    Parameters
    ----------
    result : MinimumWidth
        The result.

    Returns
    -------
    str
        Several lines, without a line break at the end.
    """
    parts = [
        f"{wrap(result.description)}\n{wrap(question(result))}",
        _table(result),
        f"recommended: {count_neurons(result.recommended.width)}\n{wrap(result.reason)}",
    ]
    for title, lines in (
        ("notes", result.notes),
        ("without a width", missing(result.bounds)),
        ("assumptions", doubts(result.bounds)),
        ("growth in the literature, orders only", orders(result.bounds)),
    ):
        if lines:
            parts.append(f"{title}\n{bullets(lines)}")
    return "\n\n".join(parts)


def question(result: Any) -> str:
    """What a sufficient width brings about, in one sentence.

    Parameters
    ----------
    result : MinimumWidth
        The result.

    Returns
    -------
    str
    """
    probability = 1.0 - result.failure_probability
    return f"How many neurons until, with probability {probability:.6g}, {result.event}?"


def _table(result: Any) -> str:
    cells: list[tuple[str, ...]] = [("", "width", "width / r", "kind", "95 % interval", "neurons")]
    titles = {}
    for role, title in TITLES.items():
        chosen = ordered(result.bounds, role)
        if role == "numerical" and result.problem.is_resolved or not chosen:
            continue
        titles[len(cells)] = title
        for bound in chosen:
            star = " *" if bound is result.recommended else ""
            cells.append(
                (
                    f"  {bound.name}{star}",
                    format_width(bound.width),
                    times_rank(bound, result.problem.rank),
                    bound.kind,
                    interval_text(bound),
                    NEURONS[bound.weights],
                )
            )
    lines = []
    for index, line in enumerate(align(cells, left=(0, 3, 4, 5)).splitlines()):
        lines += [titles[index], line] if index in titles else [line]
    return "\n".join(lines)
