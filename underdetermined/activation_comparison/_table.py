"""The comparison for a table of data: rows drawn, inputs standardised, targets centred."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from underdetermined.activation_comparison._compare import Choice, compare_activations
from underdetermined.activation_comparison._result import ActivationComparison, Kind
from underdetermined.tables import Table, Task, centred_targets, draw_rows, standardise

_INDICATORS = "one centred indicator for each of its {} classes"


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
    ValueError
        If `max_rows` is smaller than 1, or an option is refused by `compare_activations`.
    """
    table, notes = draw_rows(table, max_rows, random_state)
    task = task or table.task
    targets = centred_targets(table, task)
    is_regression = task == "regression"
    treatment = "centred and scaled to unit variance" if is_regression else _INDICATORS.format(targets.shape[1])
    notes += (f"inputs are standardised; the target {table.target_name!r} is {treatment}",)
    found = compare_activations(
        standardise(table.inputs),
        targets,
        activations=activations,
        kind=kind,
        width=width,
        bias_scale=bias_scale,
        random_state=random_state,
        progress=progress,
    )
    return replace(found, source=table.source, notes=(*notes, *found.notes))
