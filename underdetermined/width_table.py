"""How many hidden neurons the rows of a table need: bounds, and on request an experiment beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from underdetermined._layout import align, bullets, wrap
from underdetermined.activations import Activation
from underdetermined.bounds import MinimumWidth, minimum_width
from underdetermined.empirical_width import EmpiricalWidth, WidthMeasurement, empirical_minimum_width, measure_widths
from underdetermined.tables import Table, draw_rows, standardise

_MEASURED_WIDTHS = 12
_MOST_MEASURED_SEEDS = 10
_NARROWEST, _WIDEST = 0.5, 8.0  # measured widths, in multiples of the attainable rank


@dataclass(frozen=True, eq=False, repr=False)
class TableWidth:
    """What `width_on_table` found.

    Parameters
    ----------
    source : str
        File or data set that the table came from.
    n_inputs : int
        Input columns.
    minimum : MinimumWidth
        Bounds on the width, that of the experiment among them if there was one, and which of them is recommended.
    empirical : EmpiricalWidth or None
        The experiment; None if there was none.
    measurement : WidthMeasurement or None
        Spectra of random networks at widths around it; None if there was no experiment.
    notes : tuple of str
        What was done to the table.
    """

    source: str
    n_inputs: int
    minimum: MinimumWidth
    empirical: EmpiricalWidth | None
    measurement: WidthMeasurement | None
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return everything in types that JSON knows.

        Returns
        -------
        dict
            Keys ``source``, ``rows``, ``inputs``, ``notes``, ``width`` (`MinimumWidth.to_dict`), ``empirical`` and
            ``measurement``, of which the last two are None without an experiment.
        """
        return {
            "source": self.source,
            "rows": self.minimum.problem.n_rows,
            "inputs": self.n_inputs,
            "width": self.minimum.to_dict(),
            "empirical": None if self.empirical is None else self.empirical.to_dict(),
            "measurement": None if self.measurement is None else self.measurement.to_dict(),
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        """Summarise in one line."""
        return f"<TableWidth of {self.source}: {self.minimum.recommended.width} neurons recommended>"

    def __str__(self) -> str:
        """Bounds, recommendation, experiment and notes, at most 100 columns wide."""
        described = self.minimum.description
        answer = str(self.minimum).removeprefix(wrap(described))
        parts = [wrap(f"{self.source}: {described}") + answer]
        if self.measurement is not None:
            parts.append(_measured_text(self.measurement))
        parts.append("data\n" + bullets(self.notes))
        return "\n\n".join(parts)


def width_on_table(
    table: Table,
    *,
    activation: str | Activation = "relu",
    target: Literal["rank", "spectrum"] | float = "rank",
    epsilon: float = 0.5,
    failure_probability: float = 0.1,
    weight_scale: float | Literal["auto"] = "auto",
    bias_scale: float = 1.0,
    n_seeds: int | None = None,
    random_state: int = 0,
    max_rows: int | None = None,
    progress: Callable[[str], object] = lambda line: None,
) -> TableWidth:
    """Bound the width that the rows of a table need: what ``underdetermined width`` does.

    Parameters
    ----------
    table : Table
        The data. Inputs are standardised over the rows used; the target column plays no part.
    activation : str or Activation, default="relu"
        Activation of the hidden layer.
    target : {"rank", "spectrum"} or float, default="rank"
        What the width is to reach, see `underdetermined.bounds.minimum_width`; a number above 1 is a condition number.
    epsilon : float, default=0.5
        What ``target="spectrum"`` may lose, in (0, 1).
    failure_probability : float, default=0.1
        Probability with which random weights may miss the target, in (0, 1).
    weight_scale : float or "auto", default="auto"
        Standard deviation of the hidden weights; "auto" is one over the root of the number of inputs.
    bias_scale : float, default=1.0
        Standard deviation of the hidden biases; 0 means none.
    n_seeds : int, default=None
        Random networks at each width of the experiment; None makes no experiment.
    random_state : int, default=0
        Seed of the choice of rows, of sampled estimates and of the experiment.
    max_rows : int, default=None
        Larger tables are reduced to this many rows, drawn at random. None keeps all.
    progress : callable, default=do nothing
        Called with one line of text before each piece of work.

    Returns
    -------
    TableWidth
        Bounds, recommendation, and the experiment if there was one.

    Raises
    ------
    ValueError
        If an option is out of its range.
    OverflowError
        If the kernel or a feature overflows.
    MemoryError
        If the kernel matrix of the rows does not fit.

    Notes
    -----
    Bounds cost an eigendecomposition of the kernel matrix, O(n^3), and a sample of neurons. The experiment costs as much
    for every network that it tries.

    Examples
    --------
    >>> from underdetermined.tables import load_dataset
    >>> from underdetermined.width_table import width_on_table
    >>> found = width_on_table(load_dataset("wine"), max_rows=20)
    >>> found.minimum.bound("necessary").width
    20
    """
    table, drawn = draw_rows(table, max_rows, random_state)
    notes = [f"{note}: all rows together need more" for note in drawn]
    notes.append(f"inputs are standardised; the target {table.target_name!r} plays no part")
    X = standardise(table.inputs)
    network: dict[str, Any] = {"activation": activation, "weight_scale": weight_scale, "bias_scale": bias_scale}
    progress("bounds on the width")
    minimum = minimum_width(
        X, target=target, epsilon=epsilon, failure_probability=failure_probability, seed=random_state, **network
    )
    empirical = measurement = None
    if n_seeds is None:
        notes.append("bounds promise more than chance needs; --measure finds the smallest width by experiment")
    else:
        empirical = empirical_minimum_width(
            X,
            event=target if isinstance(target, str) else "condition",
            epsilon=epsilon,
            condition=None if isinstance(target, str) else target,
            failure_probability=failure_probability,
            n_seeds=n_seeds,
            seed=random_state,
            progress=lambda line: progress(f"search: {line}"),
            **network,
        )
        if not empirical.is_complete:
            raise KeyboardInterrupt  # which ended the search; what it left undone is of no use here
        minimum = minimum.with_bound(empirical.as_bound())
        measurement = measure_widths(
            X,
            _measured_widths(minimum.problem.rank, empirical.as_bound().width),
            n_seeds=min(n_seeds, _MOST_MEASURED_SEEDS),
            seed=random_state,
            progress=lambda line: progress(f"measurement: {line}"),
            **network,
        )
    return TableWidth(table.source, table.inputs.shape[1], minimum, empirical, measurement, tuple(notes))


def _measured_widths(rank: int, found: int | None) -> list[int]:
    """Widths in equal ratios around the attainable rank, and beyond the width that the experiment found."""
    last = max(_WIDEST * rank, 2.0 * (found or 1))
    return np.unique(np.ceil(np.geomspace(max(1.0, _NARROWEST * rank), last, _MEASURED_WIDTHS)).astype(int)).tolist()


def _measured_text(measurement: WidthMeasurement) -> str:
    """Medians over the seeds, one line for each width."""
    rank, smallest, condition = (
        np.median(values, axis=1) for values in (measurement.rank, measurement.smallest, measurement.condition)
    )
    table = [("width", "rank", "smallest eigenvalue", "condition")]
    for row, width in enumerate(measurement.widths):
        table.append((f"{width}", f"{rank[row]:.0f}", _number(smallest[row]), _number(condition[row])))
    limit = _number(measurement.kernel_condition) if np.isfinite(measurement.kernel_condition) else "not resolved"
    return (
        wrap(f"measured, medians of {measurement.n_seeds} random networks at each width")
        + f"\n{align(table, left=())}\n"
        + wrap(
            "smallest eigenvalue: of the Gram matrix over the attainable targets, relative to infinite width; "
            f"condition: {limit} at infinite width"
        )
    )


def _number(value: float) -> str:
    return f"{value:.2g}" if np.isfinite(value) else "-"
