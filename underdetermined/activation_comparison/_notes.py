"""What a reader of a comparison should know, in sentences, each said once for all activations that it concerns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isinf

from underdetermined._linalg import EPS
from underdetermined.activation_comparison._result import ActivationRow
from underdetermined.attainability import Attainability

_SHOWN_GROUPS, _SHOWN_ROWS = 3, 6


def notes_on(
    rows: Sequence[ActivationRow], reasons: Sequence[Attainability | None], *, width: int | None
) -> tuple[str, ...]:
    """Sentences on targets that cannot be attained, on what is not resolved, and on failures.

    Parameters
    ----------
    rows : sequence of ActivationRow
        The comparison.
    reasons : sequence of Attainability or None
        One for each row.
    width : int or None
        Neurons of a finite layer.

    Returns
    -------
    tuple of str
        The notes; none where there is nothing to say.
    """
    known = [(row, reason) for row, reason in zip(rows, reasons, strict=True) if reason is not None]
    n_rows = max((reason.n_rows for _, reason in known), default=0)
    narrow = width is not None and width < n_rows
    notes = [*_ties(known), *_coincidences(known)]
    if narrow:
        notes.append(f"{width} neurons give a rank of at most {width} on {n_rows} rows; a wider layer can fit more")
    fading = [row for row in rows if row.spectrum is not None and not row.is_resolved]
    if fading and not narrow:
        notes.append(
            f"{_listed(fading, rows)}: some attainable targets have eigenvalues below n eps lambda max. A wide network can "
            "fit them in theory; in double precision neither a solver nor gradient descent does"
        )
    stuck = [row for row in rows if row.steps is not None and isinf(row.steps[-1])]
    if stuck:
        floors = [(row.residual_floor or 0.0, row.activation) for row in stuck]
        lost = [(row.unattainable or 0.0, row.activation) for row in stuck]
        rest = "which no width attains" if _range(floors) == _range(lost) else f"and no width attains {_range(lost)}"
        notes.append(
            f"{_listed(stuck, rows)}: where steps says never, the part of y along eigenvectors that are not resolved stays, "
            f"{_range(floors)} of |y|, {rest}"
        )
    notes.extend(f"{row.activation}: {row.error}" for row in rows if row.error is not None)
    return tuple(notes)


def _ties(known: Sequence[tuple[ActivationRow, Attainability]]) -> Iterable[str]:
    """Why targets cannot be attained: one sentence on equal rows, and one explanation for each other set of ties."""
    duplicates = {
        group.rows: None for _, reason in known for group in reason.groups if group.kind == "duplicate"
    }
    if duplicates:
        repeated = sum(len(group) for group in duplicates) - len(duplicates)
        count = "1 row repeats" if repeated == 1 else f"{repeated} rows repeat"
        yield (
            f"{count} another row, {_groups(list(duplicates))}: every activation gives equal rows equal outputs, so that "
            "the matrix is singular; merge them and average their targets"
        )
    explained: dict[object, list[tuple[ActivationRow, Attainability]]] = {}
    for row, reason in known:
        ties = tuple((group.kind, group.rows) for group in reason.groups if group.kind != "duplicate")
        if ties:
            explained.setdefault((ties, reason.rank), []).append((row, reason))
    for members in explained.values():
        row, reason = members[0]
        others = ", ".join(other.activation for other, _ in members[1:])
        yield f"{row.activation}: {reason.explanation}" + (f" For the same rows: {others}." if others else "")


def _coincidences(known: Sequence[tuple[ActivationRow, Attainability]]) -> Iterable[str]:
    near: dict[tuple[int, ...], list[str]] = {}
    for row, reason in known:
        for group in reason.near:
            near.setdefault(group.rows, []).append(row.activation)
    if near:
        concerned = list(dict.fromkeys(label for labels in near.values() for label in labels))
        whom = "every activation" if len(concerned) == len(known) else ", ".join(concerned)
        yield (
            f"rows nearly coincide, {_groups(list(near))}, for {whom}: they count as different, but their difference "
            "belongs to the smallest eigenvalues"
        )


def _groups(groups: Sequence[tuple[int, ...]]) -> str:
    """The first few groups, with their first few rows."""
    shown = [
        "(" + ", ".join(map(str, rows[:_SHOWN_ROWS])) + (", ...)" if len(rows) > _SHOWN_ROWS else ")")
        for rows in groups[:_SHOWN_GROUPS]
    ]
    more = len(groups) - _SHOWN_GROUPS
    return ", ".join(shown) + (f" and {more} groups more" if more > 0 else "")


def _listed(chosen: Sequence[ActivationRow], rows: Sequence[ActivationRow]) -> str:
    if len(chosen) == len(rows) > 1:
        return "every activation"
    return ", ".join(row.activation for row in chosen)


def _range(values: Sequence[tuple[float, str]]) -> str:
    """Smallest and largest, with the activations that they belong to."""
    rounded = [(float(f"{value:.2g}") if value > EPS * 1e3 else 0.0, label) for value, label in values]
    least, most = (choose(rounded, key=lambda pair: pair[0]) for choose in (min, max))
    return f"{least[0]:.2g}" if least[0] == most[0] else f"{least[0]:.2g} ({least[1]}) to {most[0]:.2g} ({most[1]})"
