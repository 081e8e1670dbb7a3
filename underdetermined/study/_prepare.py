"""From a table to the rows and targets that the theory is about."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from underdetermined.tables import Table, TableError, Task

FloatArray = NDArray[np.float64]


def draw_rows(n_rows: int, max_rows: int | None, random_state: int) -> NDArray[np.intp]:
    """Numbers of the rows used: all, or as many as allowed, drawn at random.

    Parameters
    ----------
    n_rows : int
        Rows there are.
    max_rows : int or None
        Most rows to keep, at least 1; None keeps all.
    random_state : int
        Seed of the choice.

    Returns
    -------
    ndarray of int
        Ascending.

    Raises
    ------
    ValueError
        If `max_rows` is smaller than 1.
    """
    if max_rows is not None and max_rows < 1:
        raise ValueError(f"max_rows={max_rows!r} leaves no row: pass a whole number of at least 1, or None for all rows")
    if max_rows is None or n_rows <= max_rows:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(random_state).choice(n_rows, size=max_rows, replace=False))


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
    used = table.sample(draw_rows(len(table.target), max_rows, random_state))
    return _standardised(used.inputs), _prepare_target(used, task or table.task)


def _prepare_target(table: Table, task: Task) -> FloatArray:
    values, codes = np.unique(table.target, return_inverse=True)
    if len(values) < 2:
        raise TableError(f"the target is {values[0]} in every row: there is nothing to learn; use another target")
    if task == "classification":
        indicators = np.eye(len(values))[codes]
        return indicators - indicators.mean(axis=0)
    if table.target.dtype.kind not in "fiu":
        raise TableError(
            f"the target {table.target_name!r} holds text ({str(table.target[0])!r}), and regression needs "
            "numbers; use the task classification or another target"
        )
    return _standardised(table.target[:, np.newaxis])


def _standardised(columns: FloatArray) -> FloatArray:
    """Columns of mean zero and variance one; powers of two taken out before keep their squares within float64."""
    values = np.asarray(columns, dtype=np.float64)
    scaled: FloatArray = StandardScaler().fit_transform(np.ldexp(values, -np.frexp(np.abs(values).max(axis=0))[1]))
    return scaled
