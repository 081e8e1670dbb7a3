"""Docstrings are written to be read in a terminal; this makes them reStructuredText for the pages.

Outside code, a name that ends in an underscore (a fitted attribute) would be a reference, and bars around an absolute
value would be a substitution: both get a backslash. Members that come from a library are left out.
"""

import re
from typing import Any

import public_names

_CODE = re.compile(r"(``.+?``|:\w+:`.+?`|`.+?`|\*\*.+?\*\*)")
_SPECIAL = re.compile(r"(?<=\w)_(?!\w)|\|")


def escape(lines: list[str]) -> list[str]:
    """The lines with backslashes where needed; doctests and indented blocks of code or mathematics stay."""
    result: list[str] = []
    block_indent: int | None = None
    in_doctest = False
    for line in lines:
        indent = len(line) - len(line.lstrip())
        if line.strip():
            if block_indent is not None and indent <= block_indent:
                block_indent = None
            in_doctest = in_doctest or line.lstrip().startswith(">>>")
        else:
            in_doctest = False
        if block_indent is None and not in_doctest and not line.lstrip().startswith(".. "):
            parts = _CODE.split(line)
            line = "".join(part if index % 2 else _SPECIAL.sub(r"\\\g<0>", part) for index, part in enumerate(parts))
        if block_indent is None and re.match(r"\s*\.\. (math|code-block)::|.*::$", line):
            block_indent = indent
        result.append(line)
    return result


def process_docstring(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Called by autodoc, after numpydoc."""
    lines[:] = escape(lines)


def skip_member(app: Any, what: str, name: str, value: Any, skip: bool, options: Any) -> bool | None:
    """Called by autodoc for every member of a class."""
    try:
        home = public_names.home(value)
    except AttributeError:  # not a function: a constant, or a member of an enumeration
        return None
    return None if str(home).startswith("underdetermined") else True
