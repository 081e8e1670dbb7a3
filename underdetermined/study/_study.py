"""Compute everything that a report shows, section by section."""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from time import perf_counter
from typing import Any

import numpy as np

import underdetermined
from underdetermined.activation_comparison import compare_on_table
from underdetermined.activations import get_activation
from underdetermined.attainability import attainable_rank
from underdetermined.comparison import compare
from underdetermined.study._data import summarise_table
from underdetermined.study._descent import run_descent
from underdetermined.study._prepare import prepare_table
from underdetermined.study._reproduce import snippets_of
from underdetermined.study._result import Study
from underdetermined.study._width import study_width
from underdetermined.tables import Table, Task

SCORE_MAX_ROWS = 3000
KERNEL_MAX_ROWS = 450
_MOST_FOLDS = 5
_LIBRARIES = ("numpy", "scipy", "scikit-learn", "numba", "matplotlib")


def study(
    table: Table,
    *,
    task: Task | None = None,
    activation: str = "relu",
    max_rows: int | None = SCORE_MAX_ROWS,
    random_state: int = 0,
    progress: Callable[[str], object] | None = None,
) -> Study:
    """Study a table: what can be fitted, how fast it is learned, how many neurons it takes, and how well it predicts.

    Parameters
    ----------
    table : Table
        The data.
    task : {"regression", "classification"}, default=None
        What to fit; None reads it off the target, see `Table.task`.
    activation : str, default="relu"
        Activation of the hidden layer, by name.
    max_rows : int or None, default=3000
        Most rows for attainability and the cross-validated scores, drawn at random from larger tables; None takes all.
    random_state : int, default=0
        Seed of everything random.
    progress : callable or None, default=None
        Called with one line of text before each piece of work.

    Returns
    -------
    Study
        All results; a section that this table does not allow is None, with the reason in ``problems``.

    Raises
    ------
    TableError
        If the target is the same in every row, or text where numbers are needed.
    ValueError
        If the activation is not known, or `max_rows` or `random_state` is out of range.

    Notes
    -----
    The data are summarised over all rows; attainability and scores are computed on at most `max_rows` of them, and what
    needs eigenvalues (spectra, descent, widths) on at most 450, drawn at random: these parts cost O(n^3) for each
    activation and each random network.

    References
    ----------
    :ref:`theory-attainability`, :ref:`theory-descent` and :ref:`theory-minimum-width`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.study import study
    >>> from underdetermined.tables import Table
    >>> x = np.arange(12.0)[:, np.newaxis]
    >>> found = study(Table(x, np.sin(x[:, 0]), ("x",), "sin x", "a wave"))
    >>> found
    <Study of a wave: 12 rows, 1 inputs, regression, relu; 6 of 6 sections>
    >>> found.attainability[0].rank
    12
    """
    report: Callable[[str], object] = (lambda line: None) if progress is None else progress
    task = task or table.task
    _check(activation, max_rows, random_state)
    rows = KERNEL_MAX_ROWS if max_rows is None else min(KERNEL_MAX_ROWS, max_rows)
    problems: dict[str, str] = {}
    seconds: dict[str, float] = {}

    def section(name: str, compute: Callable[[], Any], *, is_needed: bool = False) -> Any:
        report(name)
        start = perf_counter()
        try:
            return compute()
        except (ValueError, ArithmeticError, MemoryError) as error:
            if is_needed:
                raise
            problems[name] = str(error)
            return None
        finally:
            seconds[name] = perf_counter() - start

    def told(name: str) -> Callable[[str], object]:
        return lambda line: report(line if line.startswith(name) else f"{name}: {line}")

    inputs, targets = prepare_table(table, task=task, max_rows=rows, random_state=random_state)
    data = section("data", lambda: summarise_table(table, task=task), is_needed=True)
    X, y = prepare_table(table, task=task, max_rows=max_rows, random_state=random_state)
    ranks = section(
        "attainability",
        lambda: tuple(attainable_rank(X, activation=activation, bias=bias) for bias in (True, False)),
        is_needed=True,
    )
    lost = tuple(float(np.linalg.norm(found.unattainable_part(y)) / np.linalg.norm(y)) for found in ranks)
    settings: dict[str, Any] = {"random_state": random_state}
    spectra = section(
        "spectra",
        lambda: compare_on_table(table, task=task, max_rows=rows, progress=told("spectra"), **settings),
    )
    descent = section("descent", lambda: run_descent(inputs, targets, activation=activation, **settings))
    width = section(
        "width", lambda: study_width(inputs, activation=activation, progress=told("width"), **settings)
    )
    folds = _folds(data, min(len(table.target), max_rows or len(table.target)))
    scores = section(
        "scores",
        lambda: compare(
            table,
            task=task,
            activation=activation,
            folds=folds,
            max_rows=max_rows,
            progress=told("scores"),
            **settings,
        ),
    )
    found = Study(
        table=table,
        task=task,
        activation=activation,
        max_rows=max_rows,
        random_state=random_state,
        inputs=inputs,
        targets=targets,
        data=data,
        attainability=ranks,
        lost=lost,
        spectra=spectra,
        descent=descent,
        width=width,
        scores=scores,
        problems=problems,
        snippets={},
        seconds=seconds,
        versions=_versions(),
    )
    found.snippets.update(snippets_of(found, rows=rows, folds=folds))
    return found


def _check(activation: Any, max_rows: Any, random_state: Any) -> None:
    """Refuse early what would otherwise fail in every section."""
    if not isinstance(activation, str):
        raise TypeError(f"activation={activation!r} is not a name: pass one, such as 'relu', that a snippet can repeat")
    get_activation(activation)
    for name, value, least in (("max_rows", max_rows, 2), ("random_state", random_state, 0)):
        if name == "max_rows" and value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(f"{name}={value!r} is out of range: pass a whole number of at least {least}")


def _folds(data: Any, n_rows: int) -> int:
    """Five folds, or as many as a small table allows: two rows each, and every class in each."""
    rarest = min((count for _, count in data.classes), default=n_rows)
    return max(2, min(_MOST_FOLDS, n_rows // 2, rarest))


def _versions() -> dict[str, str]:
    found = {"underdetermined": underdetermined.__version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found
