"""The program: parse the words, run the command that they name, turn errors into exit codes."""

import argparse
import os
import sys
from collections.abc import Sequence

import underdetermined
from underdetermined.cli._doctor import add_doctor
from underdetermined.cli._exit_codes import BAD_INPUT, EXIT_CODES, INTERRUPTED, SUCCESS
from underdetermined.cli._fit import add_fit
from underdetermined.cli._report import add_report
from underdetermined.cli._spectrum import add_spectrum
from underdetermined.cli._width import add_width

_COMMANDS = (add_fit, add_spectrum, add_width, add_report, add_doctor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, default=None
        Words after the program's name; None takes them from the process.

    Returns
    -------
    int
        The exit code; see ``underdetermined --help``.
    """
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SUCCESS
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, OverflowError, MemoryError, ImportError, OSError) as error:
        print(f"underdetermined: error: {error}", file=sys.stderr)
        return BAD_INPUT
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="underdetermined",
        description="Wide random-feature networks, solved as under-determined linear systems.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {underdetermined.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in _COMMANDS:
        add(commands)
    return parser
