"""The lines of Python that give the numbers of a study again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from underdetermined.tables import DATASETS, Table, TableError, load_dataset, read_table


@dataclass(frozen=True)
class Snippet:
    """Lines of Python, and expressions with the values that they then have.

    Parameters
    ----------
    code : str
        Imports, the table and calls; complete by itself.
    results : tuple of (str, value)
        Expressions in the names of the code, and their values in the study.

    Examples
    --------
    >>> from underdetermined.study import Snippet
    >>> print(Snippet("x = 1", (("x + 1", 2),)))
    x = 1
    x + 1  # 2
    """

    code: str
    results: tuple[tuple[str, object], ...] = ()

    def __str__(self) -> str:
        """The code, and one line for each result."""
        return "\n".join([self.code, *(f"{expression}  # {_short(value)}" for expression, value in self.results)])


def make_snippet(loading: str, code: str, results: Sequence[tuple[str, object]]) -> Snippet:
    """Put imports first, then the table, then the rest.

    Parameters
    ----------
    loading : str
        Lines that make ``table``, as `loading_code` gives them.
    code : str
        Lines that use it; those that import names from modules go to the top.
    results : sequence of (str, value)
        Expressions and their values.

    Returns
    -------
    Snippet
        Complete by itself.
    """
    modules: dict[str, set[str]] = {}
    rest = []
    for line in f"{loading}\n{code}".splitlines():
        source, keyword, names = line.partition(" import ")
        if keyword and source.startswith("from "):
            modules.setdefault(source, set()).update(names.split(", "))
        else:
            rest.append(line)
    imports = [f"{source} import {', '.join(sorted(names))}" for source, names in sorted(modules.items())]
    return Snippet("\n".join([*imports, "", *rest]), tuple(results))


def loading_code(table: Table) -> str:
    """Lines that make the table again, tried before they are given.

    Parameters
    ----------
    table : Table
        A data set of scikit-learn, the content of a file, or any other table.

    Returns
    -------
    str
        A call of `load_dataset` or `read_table` if that gives this very table, else a comment in its place.
    """
    if table.source in DATASETS and _is_same(load_dataset(table.source), table):
        return f"from underdetermined.tables import load_dataset\ntable = load_dataset({table.source!r})"
    if Path(table.source).is_file():
        for header in ("auto", "yes", "no"):
            for target in (None, table.target_name):
                try:
                    found = read_table(table.source, target=target, header=header)
                except TableError:
                    continue
                if _is_same(found, table):
                    options = "".join(
                        f", {name}={value!r}"
                        for name, value, usual in (("target", target, None), ("header", header, "auto"))
                        if value != usual
                    )
                    return f"from underdetermined.tables import read_table\ntable = read_table({table.source!r}{options})"
    return (
        "from underdetermined.tables import Table\n"
        "# table = Table(inputs, target, input_names, target_name, source), as it was passed to the study"
    )


def _is_same(found: Table, table: Table) -> bool:
    return (
        found.input_names == table.input_names
        and found.target_name == table.target_name
        and np.array_equal(found.inputs, table.inputs)
        and np.array_equal(found.target, table.target)
    )


def _short(value: object) -> str:
    """A value as a comment: six digits are enough to compare."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple):
        return f"({', '.join(map(_short, value))})"
    return repr(value)
