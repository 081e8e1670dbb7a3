"""What a reader of the widths should know about the data."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from underdetermined.bounds._problem import WidthProblem

_FEW_ROWS = 4
_HANDFUL = 5
_MOST_OF_IT = 0.8
_LINE = 1e-12
_UNEQUAL = 1e6


def notes_on(problem: WidthProblem) -> tuple[str, ...]:
    """Sentences on rows that cannot be told apart or hardly so, and on eigenvalues that are not resolved.

    Parameters
    ----------
    problem : WidthProblem
        The data.

    Returns
    -------
    tuple of str
        None where there is nothing to say.
    """
    found = problem.attainability
    notes = []
    if found.deficiency:
        notes.append(
            f"Of {found.n_rows} dimensions of targets only {found.rank} can be attained, and all widths refer to "
            "these: a sufficient width fits every target that obeys the conditions below, and the attainable part of "
            "any other."
        )
        notes.append(found.explanation)
    if problem.rank and not problem.is_resolved:
        notes.append(_unresolved(problem))
    elif problem.rank:
        notes += _concentrated(problem)
    if found.near and not found.deficiency:
        rows = ", ".join(_rows(group.rows) for group in found.near[:3]) + (", ..." if len(found.near) > 3 else "")
        notes.append(
            f"Rows nearly coincide: {rows}. They count as different, but telling them apart makes lambda small and "
            "the widths large: merge them if they mean the same."
        )
    # Up to two dimensions a line offers without any kernel to speak of: one for each of its rays.
    if problem.rank > 2 and _on_a_line(problem):
        notes.append(
            "The rows lie on one line, so that the gaps between neighbours decide lambda. The eigenvalues of smooth "
            "activations fall geometrically there, and few are resolved; one with a kink, such as relu, resolves "
            "more of them."
        )
    return tuple(notes)


def _unresolved(problem: WidthProblem) -> str:
    p, r = problem.numerical_rank, problem.rank
    rest = "the other one is" if r - p == 1 else f"the other {r - p} are"
    start = (
        f"Numerically rank-deficient: of the {r} positive eigenvalues of the kernel {p} exceed its rounding errors, "
        f"{problem.rounding:.2g}; {rest} lost in rounding, and no width is computed from noise."
    )
    squares = _mean_squares(problem)
    low, high = int(squares.argmin()), int(squares.argmax())
    if squares[high] > _UNEQUAL * squares[low]:
        return (
            f"{start} The mean square of the features is {squares[high]:.2g} on row {high} and {squares[low]:.2g} on "
            f"row {low}: large rows hide the others. A bounded activation, or rows of one norm, resolve more."
        )
    return (
        f"{start} An activation with a kink, such as relu, a larger weight_scale, or merging rows that nearly "
        "coincide resolve more."
    )


def _mean_squares(problem: WidthProblem) -> NDArray[np.float64]:
    """Diagonal of the kernel."""
    spectrum = problem.spectrum
    if spectrum.eigenvectors is None:
        return np.ones(problem.n_rows)
    return (spectrum.eigenvectors**2) @ spectrum.resolved


def _concentrated(problem: WidthProblem) -> list[str]:
    """Name the rows that the smallest eigenvalue belongs to, if they are few."""
    vectors = problem.spectrum.eigenvectors
    if vectors is None:
        return []
    squares = vectors[:, problem.rank - 1] ** 2
    order = np.argsort(-squares, kind="stable")[:_FEW_ROWS]
    count = int(np.searchsorted(np.cumsum(squares[order]), _MOST_OF_IT)) + 1
    # Of a handful of rows, four are no news.
    if count > _FEW_ROWS or _HANDFUL * count > problem.n_rows:
        return []
    rows = np.sort(order[:count]).tolist()
    eigenvalue = float(problem.spectrum.eigenvalues[problem.rank - 1])
    who, them = (f"row {rows[0]}", "it") if count == 1 else (f"rows {_rows(rows)}", "them")
    return [
        f"The smallest eigenvalue of the kernel, lambda = {eigenvalue:.2g}, belongs to {who} "
        f"({squares[order[:count]].sum():.0%} of its eigenvector): without {them} lambda would be larger, and the "
        "theorems that contain it narrower."
    ]


def _on_a_line(problem: WidthProblem) -> bool:
    """Whether the rows differ along one direction only, and are more than two."""
    if problem.n_rows < 3:
        return False
    size = np.abs(problem.inputs).max()
    if size == 0.0:
        return False
    scaled = problem.inputs / size
    differences = scaled - scaled[0]
    far = differences[np.argmax(np.einsum("ij,ij->i", differences, differences))]
    length = np.linalg.norm(far)
    if length <= _LINE:
        return False
    direction = far / length
    return bool(np.abs(differences - np.outer(differences @ direction, direction)).max() <= _LINE)


def _rows(rows: object) -> str:
    listed = [str(row) for row in rows]  # type: ignore[attr-defined]
    shown = ", ".join(listed[:6])
    return f"({shown}, ... {len(listed)} in all)" if len(listed) > 6 else f"({shown})"
