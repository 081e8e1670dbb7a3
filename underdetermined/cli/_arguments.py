"""Options that several commands share, and what their words may be."""

import argparse
import re
from collections.abc import Callable
from math import inf
from pathlib import Path

from underdetermined.activations import get_activation, names
from underdetermined.cli._exit_codes import EXIT_CODES
from underdetermined.tables import DATASETS


def add_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    description: str,
    max_rows: int,
    *,
    has_task: bool = True,
    measured_rows: int | None = None,
) -> argparse.ArgumentParser:
    """Add a command that works on a table, with the options that choose the table.

    Where `measured_rows` limits an experiment, the command chooses between both limits: ``max_rows`` is None unless given.
    """
    command = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    _add_data(command, max_rows, has_task, measured_rows)
    return command


def _add_data(command: argparse.ArgumentParser, max_rows: int, has_task: bool, measured_rows: int | None) -> None:
    usual = f"{max_rows}" if measured_rows is None else f"{max_rows}; {measured_rows} with an experiment"
    source = command.add_argument_group("data")
    source.add_argument(
        "data",
        nargs="?",
        metavar="DATA",
        help="CSV file (comma, semicolon or tab; gzip or plain; header or none); without it, --dataset",
    )
    source.add_argument(
        "--dataset",
        choices=DATASETS,
        metavar="NAME",
        help=f"data set installed with scikit-learn: one of {', '.join(DATASETS)} [diabetes]",
    )
    source.add_argument(
        "--target", metavar="COL", help="target column: a name, or a number (0 first, -1 last) [the last]"
    )
    source.add_argument(
        "--header", choices=("auto", "yes", "no"), default="auto", help="line 1 has names [auto]"
    )
    if has_task:
        source.add_argument(
            "--task",
            choices=("auto", "regression", "classification"),
            default="auto",
            help="auto takes text, or a few whole numbers, for class labels [auto]",
        )
    source.add_argument(
        "--max-rows",
        type=integer(0),
        default=max_rows if measured_rows is None else None,
        metavar="N",
        help=f"use at most N rows, drawn at random; 0 uses all [{usual}]",
    )


def add_activation(model: "argparse._ArgumentGroup") -> None:
    """Add ``--activation``."""
    model.add_argument("--activation", type=activation, default="relu", metavar="A", help=f"{activation_help()} [relu]")


def activation_help() -> str:
    """What ``--activation`` may be."""
    return f"one of {', '.join(names())}"


def add_seed(model: "argparse._ArgumentGroup") -> None:
    """Add ``--seed``."""
    model.add_argument("--seed", type=integer(0), default=0, metavar="N", help="seed of everything random [0]")


def add_output(
    command: argparse.ArgumentParser, plot: str = "draw the result as PNG, PDF or SVG"
) -> "argparse._ArgumentGroup":
    """Add the options that say what is printed and drawn."""
    output = command.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    output.add_argument("--plot", type=Path, metavar="FILE", help=plot)
    add_quiet(output)
    return output


def add_quiet(output: "argparse._ArgumentGroup") -> None:
    """Add ``--quiet``."""
    output.add_argument("--quiet", action="store_true", help="no progress on stderr")


def integer(least: int) -> Callable[[str], int]:
    """Read a whole number of at least `least`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
        return value

    return parse


def real(low: float, high: float) -> Callable[[str], float]:
    """Read a number between `low` and `high`, both excluded."""
    bounds = f"a number above {low:g}" if high == float("inf") else f"a number between {low:g} and {high:g}"

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = low
        if not low < value < high:
            raise argparse.ArgumentTypeError(f"{text!r} is not {bounds}")
        return value

    return parse


def number_or(low: float, *words: str, low_open: bool) -> Callable[[str], float | str]:
    """Read a finite number from `low` on, or one of some words."""
    expected = " nor ".join([number_from(low, low_open=low_open), *map(repr, words)])

    def parse(text: str) -> float | str:
        if text in words:
            return text
        try:
            value = float(text)
        except ValueError:
            value = -inf
        if not low <= value < inf or (low_open and value == low):
            raise argparse.ArgumentTypeError(f"{text!r} is neither {expected}")
        return value

    return parse


def number_from(low: float, *, low_open: bool) -> str:
    """What to call a number from `low` on."""
    return f"a number {'above' if low_open else 'of at least'} {low:g}"


def share(text: str) -> float:
    """Read a number from 0 on that is below 1."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 0 and below 1")
    return value


def width(text: str) -> int | str:
    """Read a number of neurons, or ``auto``."""
    return text if text == "auto" else integer(1)(text)


def goal(text: str) -> float | str:
    """Read what a width must reach: ``rank``, ``spectrum`` or a condition number."""
    if text in ("rank", "spectrum"):
        return text
    try:
        return real(1.0, float("inf"))(text)
    except argparse.ArgumentTypeError:
        message = f"{text!r} is neither 'rank', 'spectrum' nor a condition number above 1"
        raise argparse.ArgumentTypeError(message) from None


def activation(text: str) -> str:
    """Check the name of an activation."""
    try:
        get_activation(text)
    except (TypeError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def activations(text: str) -> list[str]:
    """Read names between commas, of which those inside parentheses separate parameters."""
    chosen = [activation(name.strip()) for name in re.split(r",(?![^(]*\))", text) if name.strip()]
    if not chosen:
        raise argparse.ArgumentTypeError(f"{text!r} names no activation")
    return chosen
