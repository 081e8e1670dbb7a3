"""A table: inputs and one target, both complete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Task = Literal["regression", "classification"]

_MOST_CLASSES = 20
_FEWEST_ROWS_PER_CLASS = 5


class TableError(ValueError):
    """A table that cannot be read or used; the message names the place and the remedy."""


@dataclass(frozen=True)
class Table:
    """Inputs and one target, both complete.

    Parameters
    ----------
    inputs : ndarray of shape (n_rows, n_inputs)
        Finite numbers, float64.
    target : ndarray of shape (n_rows,)
        Finite numbers, or text when the column holds class labels.
    input_names : tuple of str
        One name per input column.
    target_name : str
        Name of the target column.
    source : str
        The file or data set the table came from.
    """

    inputs: np.ndarray
    target: np.ndarray
    input_names: tuple[str, ...]
    target_name: str
    source: str

    @property
    def task(self) -> Task:
        """``"classification"`` or ``"regression"``, read off the target.

        Text is a class label. Numbers are class labels when they are whole, take between 2 and 20 values, and
        every value stands for at least five rows on average.
        """
        if self.target.dtype.kind not in "fiu":
            return "classification"
        values = np.unique(self.target)
        few = 2 <= len(values) <= min(_MOST_CLASSES, len(self.target) // _FEWEST_ROWS_PER_CLASS)
        return "classification" if few and np.all(values == np.round(values)) else "regression"

    def sample(self, rows: np.ndarray) -> Table:
        """The same table with the given rows only.

        Parameters
        ----------
        rows : ndarray of int
            Row numbers, in the order wanted.

        Returns
        -------
        Table
            A new table; this one is unchanged.
        """
        return Table(self.inputs[rows], self.target[rows], self.input_names, self.target_name, self.source)
