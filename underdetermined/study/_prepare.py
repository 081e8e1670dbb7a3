"""From a table to the rows and targets that the theory is about."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from underdetermined.tables import Table, Task, centred_targets, draw_rows, standardise

FloatArray = NDArray[np.float64]


def prepare_table(
    table: Table, *, task: Task | None = None, max_rows: int | None = None, random_state: int = 0
) -> tuple[FloatArray, FloatArray]:
    """Rows and targets as the theory sees them: inputs standardised, targets centred.

    Parameters
    ----------
    table : Table
        The data.
    task : {"regression", "classification"}, default=None
        What the target is; None reads it off the target, see `Table.task`.
    max_rows : int, default=None
        Larger tables are reduced to this many rows, drawn at random. None keeps all.
    random_state : int, default=0
        Seed of the choice of rows.

    Returns
    -------
    inputs : ndarray of shape (n, d)
        Each column has mean zero and variance one over the rows used; constant columns are zero.
    targets : ndarray of shape (n, k)
        For regression one column of mean zero and variance one; for classes one centred indicator a class.

    Raises
    ------
    TableError
        If the target is the same in every row used, or text where numbers are needed.
    ValueError
        If `max_rows` is smaller than 1.

    Notes
    -----
    The rows are those that `underdetermined.comparison.compare` and
    `underdetermined.activation_comparison.compare_on_table` draw for the same `max_rows` and `random_state`.

    Examples
    --------
    >>> from underdetermined.study import prepare_table
    >>> from underdetermined.tables import load_dataset
    >>> inputs, targets = prepare_table(load_dataset("wine"), max_rows=100)
    >>> inputs.shape, targets.shape
    ((100, 13), (100, 3))
    """
    used, _ = draw_rows(table, max_rows, random_state)
    return standardise(used.inputs), centred_targets(used, task or table.task)
