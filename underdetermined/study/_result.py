"""What a study holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined.activation_comparison import ActivationComparison
from underdetermined.attainability import Attainability
from underdetermined.comparison import Comparison
from underdetermined.study._data import DataSummary
from underdetermined.study._descent import DescentRun
from underdetermined.study._snippets import Snippet
from underdetermined.study._width import WidthStudy
from underdetermined.tables import Table, Task

SECTIONS = ("data", "attainability", "spectra", "descent", "width", "scores")


@dataclass(frozen=True, eq=False, repr=False)
class Study:
    """Everything that a report on a table shows, computed.

    A section that could not be computed is None, and `problems` says why.

    Parameters
    ----------
    table : Table
        The data, all of it.
    task : {"regression", "classification"}
        What is fitted.
    activation : str
        Activation of the hidden layer.
    max_rows : int or None
        Most rows that are fitted, and looked at for attainability.
    random_state : int
        Seed of everything random.
    inputs, targets : ndarray of shape (n, d) and (n, k)
        Rows on which spectra, descent and widths were computed, as `prepare_table` gives them.
    data : DataSummary
        What the table holds.
    attainability : tuple of Attainability
        Targets that can be attained with biases, and without.
    lost : tuple of float
        For each of them, the norm of the part of the targets that no width attains, relative to that of the targets.
    spectra : ActivationComparison or None
        Activations by their spectra.
    descent : DescentRun or None
        Gradient descent, forecast and run.
    width : WidthStudy or None
        Bounds on the width, and measured ones.
    scores : Comparison or None
        Cross-validation beside scikit-learn's models.
    problems : dict of str to str
        Why a section is None.
    snippets : dict of str to Snippet
        For each section the lines of Python that give its numbers.
    seconds : dict of str to float
        Time that each section took.
    versions : dict of str to str
        Of Python and of the libraries.
    """

    table: Table
    task: Task
    activation: str
    max_rows: int | None
    random_state: int
    inputs: NDArray[np.float64]
    targets: NDArray[np.float64]
    data: DataSummary
    attainability: tuple[Attainability, ...]
    lost: tuple[float, ...]
    spectra: ActivationComparison | None
    descent: DescentRun | None
    width: WidthStudy | None
    scores: Comparison | None
    problems: dict[str, str]
    snippets: dict[str, Snippet]
    seconds: dict[str, float]
    versions: dict[str, str]

    @property
    def n_rows(self) -> int:
        """Rows on which spectra, descent and widths were computed."""
        return self.inputs.shape[0]

    def to_dict(self) -> dict[str, Any]:
        """The study as numbers, text, lists and dictionaries.

        Returns
        -------
        dict
            One key for each section, and the settings.
        """
        parts = {"spectra": self.spectra, "descent": self.descent, "width": self.width, "scores": self.scores}
        return {
            "source": self.table.source,
            "task": self.task,
            "activation": self.activation,
            "max_rows": self.max_rows,
            "random_state": self.random_state,
            "rows_of_spectra": self.n_rows,
            "data": self.data.to_dict(),
            "attainability": [found.to_dict() for found in self.attainability],
            "unattainable": list(self.lost),
            **{name: None if part is None else part.to_dict() for name, part in parts.items()},
            "problems": self.problems,
            "snippets": {name: str(snippet) for name, snippet in self.snippets.items()},
            "seconds": self.seconds,
            "versions": self.versions,
        }

    def __repr__(self) -> str:
        """Summarise in one line."""
        return (
            f"<Study of {self.table.source}: {self.data.n_rows} rows, {self.data.n_inputs} inputs, {self.task}, "
            f"{self.activation}; {len(SECTIONS) - len(self.problems)} of {len(SECTIONS)} sections>"
        )
