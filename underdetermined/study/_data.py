"""What a table holds, and what is odd about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from underdetermined.tables import Table, Task

_SHOWN_GROUPS = 5


@dataclass(frozen=True)
class ColumnSummary:
    """One column of numbers.

    Parameters
    ----------
    name : str
        Its name.
    mean, spread : float
        Mean and standard deviation over all rows; inf where they overflow.
    least, most : float
        Smallest and largest entry.
    n_values : int
        Different entries; 1 means that the column is constant.
    """

    name: str
    mean: float
    spread: float
    least: float
    most: float
    n_values: int

    @property
    def is_constant(self) -> bool:
        """Whether all rows agree."""
        return self.n_values == 1


@dataclass(frozen=True)
class DataSummary:
    """What a table holds, and what is odd about it.

    Parameters
    ----------
    source, target_name : str
        Where the table came from, and its target.
    task : {"regression", "classification"}
        What is fitted.
    n_rows, n_inputs : int
        Size of the table.
    inputs : tuple of ColumnSummary
        One for each input.
    target : ColumnSummary or None
        The target of a regression.
    classes : tuple of (str, int)
        The classes and their numbers of rows; empty for regression.
    duplicates : tuple of tuple of int
        Groups of rows with equal inputs.
    contradictions : tuple of tuple of int
        Those of them whose targets are not all the same.
    """

    source: str
    target_name: str
    task: Task
    n_rows: int
    n_inputs: int
    inputs: tuple[ColumnSummary, ...]
    target: ColumnSummary | None
    classes: tuple[tuple[str, int], ...]
    duplicates: tuple[tuple[int, ...], ...]
    contradictions: tuple[tuple[int, ...], ...]

    @property
    def constant_inputs(self) -> tuple[str, ...]:
        """Names of the inputs that are the same in every row."""
        return tuple(column.name for column in self.inputs if column.is_constant)

    @property
    def n_repeated(self) -> int:
        """Rows that repeat an earlier row."""
        return sum(len(group) - 1 for group in self.duplicates)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know, in sentences."""
        treatment = "one centred indicator for each class" if self.task == "classification" else "standardised as well"
        found = [
            "Inputs are standardised before every fit: mean 0 and variance 1, over the rows that are used. For spectra, "
            f"descent and widths the target is {treatment}; scores are those of the target as it is."
        ]
        if self.constant_inputs:
            count = len(self.constant_inputs)
            what = "1 input is" if count == 1 else f"{count} inputs are"
            found.append(f"{what} the same in every row ({_listed(self.constant_inputs)}) and cannot help any model.")
        if self.duplicates:
            repeated = "1 row repeats" if self.n_repeated == 1 else f"{self.n_repeated} rows repeat"
            found.append(f"{repeated} the inputs of an earlier row: {_groups(self.duplicates)}.")
        else:
            found.append("No two rows have the same inputs.")
        if self.contradictions:
            rows = sum(map(len, self.contradictions))
            found.append(
                f"{rows} rows with equal inputs have different targets: {_groups(self.contradictions)}. No model whatsoever "
                "fits them all; the best one predicts their mean."
            )
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Everything as numbers, text and lists.

        Returns
        -------
        dict
            Ready for `json.dumps`; None stands for statistics that overflow.
        """
        found = asdict(self) | {"constant_inputs": list(self.constant_inputs), "notes": list(self.notes)}
        for column in (*found["inputs"], *filter(None, [found["target"]])):
            column.update({key: None for key in ("mean", "spread") if not np.isfinite(column[key])})
        return found


def summarise_table(table: Table, *, task: Task | None = None) -> DataSummary:
    """Summarise a table: its columns, constant ones, equal rows, and equal rows that contradict each other.

    Parameters
    ----------
    table : Table
        The data; all its rows are looked at.
    task : {"regression", "classification"}, default=None
        What the target is; None reads it off the target, see `Table.task`.

    Returns
    -------
    DataSummary
        Row numbers start at 0.

    Notes
    -----
    O(n d + n log n).

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.study import summarise_table
    >>> from underdetermined.tables import Table
    >>> table = Table(np.array([[1.0], [2.0], [1.0]]), np.array([0.5, 1.0, 3.5]), ("x",), "y", "three points")
    >>> summarise_table(table).contradictions
    ((0, 2),)
    """
    task = task or table.task
    values, counts = np.unique(table.target, return_counts=True)
    duplicates = _equal_rows(table.inputs)
    is_numeric = table.target.dtype.kind in "fiu"
    n_rows, n_inputs = table.inputs.shape
    return DataSummary(
        table.source,
        table.target_name,
        task,
        n_rows,
        n_inputs,
        tuple(_summary(name, column) for name, column in zip(table.input_names, table.inputs.T, strict=True)),
        _summary(table.target_name, table.target) if task == "regression" and is_numeric else None,
        tuple((_label(value), int(count)) for value, count in zip(values, counts, strict=True))
        if task == "classification"
        else (),
        duplicates,
        tuple(group for group in duplicates if np.unique(table.target[list(group)]).size > 1),
    )


def _summary(name: str, column: np.ndarray) -> ColumnSummary:
    values = np.asarray(column, dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, spread = float(values.mean()), float(values.std())
    spread = spread if np.isfinite(spread) else np.inf
    if abs(mean) <= values.size * np.finfo(float).eps * np.abs(values).max():  # a centred column, up to rounding
        mean = 0.0
    return ColumnSummary(name, mean, spread, float(values.min()), float(values.max()), int(np.unique(values).size))


def _equal_rows(inputs: np.ndarray) -> tuple[tuple[int, ...], ...]:
    groups: dict[bytes, list[int]] = {}
    for number, row in enumerate(np.ascontiguousarray(inputs) + 0.0):  # the sum makes 0.0 of -0.0
        groups.setdefault(row.tobytes(), []).append(number)
    return tuple(tuple(rows) for rows in groups.values() if len(rows) > 1)


def _label(value: Any) -> str:
    """A class as text; a whole number has no decimals."""
    return str(int(value)) if value.dtype.kind == "f" and value == np.round(value) else str(value)


def _listed(names: tuple[str, ...]) -> str:
    more = len(names) - _SHOWN_GROUPS
    return ", ".join(names[:_SHOWN_GROUPS]) + (f" and {more} more" if more > 0 else "")


def _groups(groups: tuple[tuple[int, ...], ...]) -> str:
    shown = []
    for rows in groups[:_SHOWN_GROUPS]:
        listed = ", ".join(map(str, rows[:_SHOWN_GROUPS]))
        shown.append(f"({listed}, ... {len(rows)} in all)" if len(rows) > _SHOWN_GROUPS else f"({listed})")
    more = len(groups) - _SHOWN_GROUPS
    return "rows " + ", ".join(shown) + (f" and {more} more groups" if more > 0 else "")
