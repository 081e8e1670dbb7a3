"""Progress on standard error, JSON and the names of written files on standard output."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def reporter(options: argparse.Namespace) -> Callable[[str], None]:
    """What takes lines of progress; an empty line ends it."""
    return _silent if options.quiet else _progress


def print_json(content: dict[str, Any]) -> None:
    """Print one JSON object; NaN and infinity, which JSON has not, are refused."""
    print(json.dumps(content, indent=2, allow_nan=False))


def print_figure(path: Path | None) -> None:
    """Say where the figure is, if there is one."""
    if path is not None:
        print(f"\nfigure written to {path}")


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
    elif line:
        print(line, file=sys.stderr, flush=True)


def _silent(line: str) -> None:
    pass
