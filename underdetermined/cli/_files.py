"""The table that the options name, and checks of the files to be written."""

import argparse
import os
from pathlib import Path

from underdetermined._compat import check_matplotlib_support
from underdetermined.tables import Table, load_dataset, read_table


def check_data(options: argparse.Namespace) -> None:
    """Refuse options on the data that contradict each other or would have no effect."""
    if options.data is not None and options.dataset is not None:
        raise ValueError(f"DATA {options.data!r} and --dataset {options.dataset!r} are both given; give one")
    if options.data is None and (options.target is not None or options.header != "auto"):
        raise ValueError("--target and --header belong to a file; give DATA, or leave them out")


def check_written(option: str, path: Path | None) -> None:
    """Refuse, before any work is done, a file that cannot be written."""
    if path is None:
        return
    if not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
        raise ValueError(f"{option} {path}: the folder {path.parent} is missing or cannot be written")
    if path.is_dir():
        raise ValueError(f"{option} {path}: this is a folder; give the name of a file")


def check_plot(path: Path | None) -> None:
    """Refuse, before any work is done, a figure that cannot be drawn or written."""
    if path is None:
        return
    check_written("--plot", path)
    check_matplotlib_support("--plot")
    if path.suffix.lower() not in (".png", ".pdf", ".svg"):
        raise ValueError(f"--plot {path}: the name must end in .png, .pdf or .svg")


def read(options: argparse.Namespace) -> Table:
    """Read the table."""
    if options.data is not None:
        return read_table(options.data, target=options.target, header=options.header)
    return load_dataset(options.dataset or "diabetes")
