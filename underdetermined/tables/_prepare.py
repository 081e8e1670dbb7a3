"""From the rows of a table to what the theory is about: rows drawn, inputs standardised, targets centred."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.preprocessing import StandardScaler

from underdetermined.tables._table import Table, TableError, Task


def draw_rows(table: Table, max_rows: int | None, random_state: int) -> tuple[Table, tuple[str, ...]]:
    """Reduce a table to so many of its rows, drawn at random.

    Parameters
    ----------
    table : Table
        The data.
    max_rows : int or None
        Most rows to keep, at least 1; None keeps all.
    random_state : int
        Seed of the choice.

    Returns
    -------
    table : Table
        The rows used, in the order in which they stood.
    notes : tuple of str
        One sentence that says how many were drawn; empty if all rows were kept.

    Raises
    ------
    ValueError
        If `max_rows` is smaller than 1.

    Examples
    --------
    >>> from underdetermined.tables import draw_rows, load_dataset
    >>> drawn, notes = draw_rows(load_dataset("wine"), 100, 0)
    >>> drawn.inputs.shape
    (100, 13)
    """
    if max_rows is not None and max_rows < 1:
        raise ValueError(f"max_rows={max_rows!r} leaves no row: pass a whole number of at least 1, or None for all rows")
    n_rows = len(table.target)
    if max_rows is None or n_rows <= max_rows:
        return table, ()
    rows = np.sort(np.random.default_rng(random_state).choice(n_rows, size=max_rows, replace=False))
    return table.sample(rows), (f"{max_rows} of {n_rows} rows were used, drawn at random (--max-rows 0 uses all)",)


def standardise(columns: ArrayLike) -> NDArray[np.float64]:
    """Give every column mean zero and variance one.

    Parameters
    ----------
    columns : array_like of shape (n, d)
        Finite numbers, of any size.

    Returns
    -------
    ndarray of shape (n, d)
        What `sklearn.preprocessing.StandardScaler` makes of them; constant columns are zero.

    Examples
    --------
    >>> from underdetermined.tables import standardise
    >>> standardise([[1e300, 5.0], [-1e300, 5.0]]).tolist()
    [[1.0, 0.0], [-1.0, 0.0]]
    """
    values = np.asarray(columns, dtype=np.float64)
    # Powers of two taken out beforehand change no digit, and keep the squares within float64.
    scaled: NDArray[np.float64] = StandardScaler().fit_transform(np.ldexp(values, -np.frexp(np.abs(values).max(axis=0))[1]))
    return scaled


def centred_targets(table: Table, task: Task) -> NDArray[np.float64]:
    """Return the targets that spectra, descent and widths are about.

    Parameters
    ----------
    table : Table
        The rows used.
    task : {"regression", "classification"}
        What the target is.

    Returns
    -------
    ndarray of shape (n, k)
        For regression one column of mean zero and variance one; for classes one centred indicator a class.

    Raises
    ------
    TableError
        If the target is the same in every row, or text where numbers are needed.

    Examples
    --------
    >>> from underdetermined.tables import centred_targets, load_dataset
    >>> centred_targets(load_dataset("wine"), "classification").shape
    (178, 3)
    """
    values, codes = np.unique(table.target, return_inverse=True)
    if len(values) < 2:
        raise TableError(f"the target is {values[0]} in every row: there is nothing to learn; use another target")
    if task == "classification":
        indicators = np.eye(len(values))[codes]
        return indicators - indicators.mean(axis=0)
    return standardise(numeric_target(table)[:, np.newaxis])


def numeric_target(table: Table) -> NDArray[np.float64]:
    """Return the target of a regression.

    Parameters
    ----------
    table : Table
        The data.

    Returns
    -------
    ndarray of shape (n,)
        The target as float64.

    Raises
    ------
    TableError
        If it is text.

    Examples
    --------
    >>> from underdetermined.tables import load_dataset, numeric_target
    >>> numeric_target(load_dataset("diabetes"))[:2].tolist()
    [151.0, 75.0]
    """
    if table.target.dtype.kind not in "fiu":
        raise TableError(
            f"the target {table.target_name!r} holds text ({str(table.target[0])!r}), and regression needs "
            "numbers; use the task classification or another target"
        )
    return table.target.astype(np.float64)
