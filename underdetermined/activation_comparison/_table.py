"""The comparison for a table of data: rows drawn, inputs standardised, targets centred."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from underdetermined.activation_comparison._compare import Choice, compare_activations
from underdetermined.activation_comparison._result import ActivationComparison, Kind
from underdetermined.tables import Table, TableError, Task


def compare_on_table(
    table: Table,
    *,
    task: Task | None = None,
    activations: Sequence[Choice] | None = None,
    kind: Kind = "nngp",
    width: int | None = None,
    bias_scale: float = 1.0,
    random_state: int = 0,
    max_rows: int | None = None,
    progress: Callable[[str], object] = lambda line: None,
) -> ActivationComparison:
    """Compare activations on a table: what ``underdetermined spectrum`` does.

    Parameters
    ----------
    table : Table
        The data. Inputs are standardised over the rows used.
    task : {"regression", "classification"}, default=None
        What the target is; None reads it off the target, see `Table.task`. Numbers are centred and scaled to unit
        variance. Classes become indicator columns, one for each class, which are centred.
    activations : sequence of str, Activation or callable, default=None
        What to compare; None takes the whole catalogue.
    kind : {"nngp", "ntk", "features"}, default="nngp"
        Which matrix; see `compare_activations`.
    width : int, default=None
        Neurons for ``kind="features"``.
    bias_scale : float, default=1.0
        Standard deviation of the hidden biases; 0 means none.
    random_state : int, default=0
        Seed of the choice of rows and of the hidden layer.
    max_rows : int, default=None
        Larger tables are reduced to this many rows, drawn at random. None keeps all.
    progress : callable, default=do nothing
        Called with one line of text before each activation.

    Returns
    -------
    ActivationComparison
        With the source of the table and notes on what was done to it.

    Raises
    ------
    TableError
        If the target is the same in every row, or text where numbers are needed.
    """
    notes = []
    n_rows = len(table.target)
    if max_rows is not None and n_rows > max_rows:
        rows = np.sort(np.random.default_rng(random_state).choice(n_rows, size=max_rows, replace=False))
        table = table.sample(rows)
        notes.append(f"{max_rows} of {n_rows} rows were used, drawn at random (--max-rows 0 uses all)")
    targets, treatment = _targets(table, task or table.task)
    notes.append(f"inputs are standardised; the target {table.target_name!r} is {treatment}")
    found = compare_activations(
        _standardised(table.inputs),
        targets,
        activations=activations,
        kind=kind,
        width=width,
        bias_scale=bias_scale,
        random_state=random_state,
        progress=progress,
    )
    return replace(found, source=table.source, notes=(*notes, *found.notes))


def _targets(table: Table, task: Task) -> tuple[NDArray[np.float64], str]:
    values, codes = np.unique(table.target, return_inverse=True)
    if len(values) < 2:
        raise TableError(f"the target is {values[0]} in every row: there is nothing to learn; use another target")
    if task == "classification":
        indicators = np.eye(len(values))[codes]
        return indicators - indicators.mean(axis=0), f"one centred indicator for each of its {len(values)} classes"
    if table.target.dtype.kind not in "fiu":
        raise TableError(
            f"the target {table.target_name!r} holds text ({str(table.target[0])!r}), and regression needs "
            "numbers; use the task classification or another target"
        )
    return _standardised(table.target[:, np.newaxis]), "centred and scaled to unit variance"


def _standardised(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns of mean zero and variance one; powers of two taken out before keep their squares within float64."""
    values = np.asarray(columns, dtype=np.float64)
    return StandardScaler().fit_transform(np.ldexp(values, -np.frexp(np.abs(values).max(axis=0))[1]))
