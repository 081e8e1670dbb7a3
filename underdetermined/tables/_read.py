"""Tables from CSV files.

The reader accepts what people export from a spreadsheet: gzip or plain, a header or none, comma, semicolon or
tab. Everything that cannot be fitted (a missing cell, text among the inputs, a single column) is refused with
the line, the column and what to do.
"""

import csv
import gzip
import io
import os
import zlib
from collections.abc import Sequence
from typing import Literal

import numpy as np

from underdetermined.tables._datasets import DATASETS
from underdetermined.tables._table import Table, TableError

_GZIP_MAGIC = b"\x1f\x8b"
_MISSING = frozenset({"", "na", "n/a", "nan", "null", "?"})


def read_table(
    path: str | os.PathLike[str],
    *,
    target: str | None = None,
    header: Literal["auto", "yes", "no"] = "auto",
) -> Table:
    """Read a comma-, semicolon- or tab-separated file, gzipped or not.

    Parameters
    ----------
    path : path-like
        The file. Compression is recognised from its content, not from its name.
    target : str, default=None
        Name of the target column, or its number: 0 is the first column, -1 the last. None takes the last.
        A name that looks like a number is tried as a name first.
    header : {"auto", "yes", "no"}, default="auto"
        Whether the first line holds column names. "auto" says yes when none of its cells is a number and at
        least one is text.

    Returns
    -------
    Table
        Every cell is finite; a target of mostly text is kept as text.

    Raises
    ------
    TableError
        If the file cannot be opened or decoded, has no data, fewer than two columns or lines of different
        length, if a cell is missing, if an input is not a finite number, or if there is no such target.

    Notes
    -----
    The file is held as text, about 100 bytes a cell, before it becomes an array of 8 bytes a cell. Comma is
    the separator unless tabs or semicolons divide the first lines into the same number of cells.

    Examples
    --------
    >>> import os, tempfile
    >>> from underdetermined.tables import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "points.csv")
    ...     with open(path, "w") as file:
    ...         _ = file.write("x;y\\n1;2\\n3;6\\n")
    ...     table = read_table(path)
    >>> table.input_names, table.target_name, table.target.tolist()
    (('x',), 'y', [2.0, 6.0])
    """
    rows, lines = _parse(_read_text(path), str(path))
    names, rows, lines = _split_header(rows, lines, header, str(path))
    if len(names) < 2:
        raise TableError(
            f"{path}: only one column; at least one input and one target are needed "
            "(recognised separators: comma, semicolon, tab)"
        )
    column = _target_column(names, target, str(path))
    input_columns = [index for index in range(len(names)) if index != column]
    cells = np.array(rows, dtype=object)
    _refuse_missing(cells, names, lines, str(path))
    inputs = _numbers(cells[:, input_columns], [names[index] for index in input_columns], lines, str(path))
    return Table(
        inputs,
        _target_values(cells[:, column], names[column], lines, str(path)),
        tuple(names[index] for index in input_columns),
        names[column],
        str(path),
    )


def _read_text(path: str | os.PathLike[str]) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read()
        if content.startswith(_GZIP_MAGIC):
            content = gzip.decompress(content)
    except FileNotFoundError:
        remedy = f"; data sets by name: --dataset {{{','.join(DATASETS)}}}" if str(path) in DATASETS else ""
        raise TableError(f"{path}: no such file{remedy}") from None
    except (EOFError, zlib.error) as error:
        raise TableError(f"{path}: the gzip stream is damaged ({error})") from error
    except OSError as error:
        raise TableError(f"{path}: cannot be read ({error.strerror or error})") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError(f"{path}: not UTF-8 (byte {error.start}); save the table as CSV in UTF-8") from error


def _parse(text: str, path: str) -> tuple[list[list[str]], list[int]]:
    """Cells, stripped, of the lines that hold any, and the number of each line in the file."""
    delimiter = _delimiter(text)
    rows: list[list[str]] = []
    lines: list[int] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        for record in reader:
            cells = [cell.strip() for cell in record]
            if any(cells):
                rows.append(cells)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise TableError(f"{path}, line {reader.line_num}: not a table of text ({error})") from error
    if not rows:
        raise TableError(f"{path}: the file is empty")
    width = len(rows[0])
    for row, line in zip(rows, lines, strict=True):
        if len(row) != width:
            raise TableError(
                f"{path}, line {line}: {len(row)} cells where the first line has {width}; "
                "every line needs the same number, and a cell that contains the separator needs quotes"
            )
    return rows, lines


def _delimiter(text: str) -> str:
    """The first of tab and semicolon that cuts the first lines evenly, else the comma."""
    start = [line for line in text[:65536].splitlines()[:20] if line.strip()]
    for candidate in "\t;":
        widths = {len(record) for record in csv.reader(start, delimiter=candidate)}
        if len(widths) == 1 and widths.pop() > 1:
            return candidate
    return ","


def _split_header(
    rows: list[list[str]], lines: list[int], header: str, path: str
) -> tuple[list[str], list[list[str]], list[int]]:
    first = rows[0]
    is_text = [_number(cell) is None and cell.lower() not in _MISSING for cell in first]
    is_number = [_number(cell) is not None and cell.lower() not in _MISSING for cell in first]
    if header == "no" or (header == "auto" and (any(is_number) or not any(is_text))):
        return [f"column {index}" for index in range(len(first))], rows, lines
    if len(rows) == 1:
        raise TableError(f"{path}: a header ({', '.join(first)}) and no rows below it")
    names = [name or f"column {index}" for index, name in enumerate(first)]
    return names, rows[1:], lines[1:]


def _target_column(names: Sequence[str], target: str | None, path: str) -> int:
    if target is None:
        return len(names) - 1
    matches = [index for index, name in enumerate(names) if name == target]
    if len(matches) > 1:
        numbers = ", ".join(str(index) for index in matches)
        raise TableError(f"{path}: columns {numbers} are all named {target!r}; give the number of one")
    if matches:
        return matches[0]
    try:
        index = int(target)
    except ValueError:
        index = len(names)
    if -len(names) <= index < len(names):
        return index % len(names)
    shown = ", ".join(names[:30]) + (", ..." if len(names) > 30 else "")
    raise TableError(
        f"{path}: no column {target!r}; the columns are {shown} "
        f"(or a number from {-len(names)} to {len(names) - 1})"
    )


def _refuse_missing(cells: np.ndarray, names: Sequence[str], lines: Sequence[int], path: str) -> None:
    missing = np.frompyfunc(lambda cell: cell.lower() in _MISSING, 1, 1)(cells).astype(bool)
    if missing.any():
        row, column = np.argwhere(missing)[0]
        count = int(missing.sum())
        raise TableError(
            f"{path}, line {lines[row]}, column {names[column]!r}: missing value ({cells[row, column]!r}; "
            f"{count} in the table); remove these rows or fill them in first, for example with "
            "sklearn.impute.SimpleImputer"
        )


def _numbers(
    cells: np.ndarray, names: Sequence[str], lines: Sequence[int], path: str, *, is_target: bool = False
) -> np.ndarray:
    try:
        values = cells.astype(np.float64)
    except ValueError:
        is_text = np.frompyfunc(lambda cell: _number(cell) is None, 1, 1)(cells).astype(bool)
        row, column = np.argwhere(is_text)[0]
        where = f"{path}, line {lines[row]}, column {names[column]!r}: {cells[row, column]!r}"
        raise TableError(
            f"{where} is not a number; {_text_remedy(cells[row, column], lines[row], is_target)}"
        ) from None
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        where = f"{path}, line {lines[row]}, column {names[column]!r}: {cells[row, column]!r}"
        raise TableError(f"{where} is not finite; remove the row or cap the value")
    return values


def _text_remedy(cell: str, line: int, is_target: bool) -> str:
    if _number(cell.replace(",", ".")) is not None:
        return "write decimal points, not decimal commas"
    if line == 1:
        return "if line 1 holds the column names, say --header yes"
    if is_target:
        return "the rest of the target is mostly numbers: correct this cell, or label every class with text"
    return (
        "encode categories as numbers first (for example sklearn.preprocessing.OneHotEncoder), "
        "or name this column as the target"
    )


def _target_values(cells: np.ndarray, name: str, lines: Sequence[int], path: str) -> np.ndarray:
    is_text = np.array([_number(cell) is None for cell in cells])
    if is_text.mean() > 0.5:  # labels; a column of numbers with some text in it is a mistake to point at
        return cells.astype(str)
    return _numbers(cells[:, np.newaxis], [name], lines, path, is_target=True)[:, 0]


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
