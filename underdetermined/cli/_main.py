"""The command ``underdetermined``: parse, call one function, print."""

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import joblib

import underdetermined
from underdetermined._compat import check_matplotlib_support
from underdetermined.activation_comparison import compare_on_table
from underdetermined.activations import get_activation, names
from underdetermined.comparison import compare
from underdetermined.displays import draw_comparison, draw_spectra
from underdetermined.doctor import examine
from underdetermined.solvers import SOLVERS
from underdetermined.tables import DATASETS, Table, load_dataset, read_table
from underdetermined.text import format_comparison, format_diagnosis

SUCCESS, NOT_CONVERGED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
FIT_MAX_ROWS, SPECTRUM_MAX_ROWS = 3000, 2000

_EXIT_CODES = """\
exit codes:
  0    done
  1    done, but a solver stopped before the accuracy it promises (see the notes)
  2    the command line or the data cannot be used; the message says why
  130  interrupted
"""

_FIT_DESCRIPTION = """\
Fit a wide network with a random hidden layer to a table: once exactly (alpha 0, the coefficients of
smallest norm) and once with the penalty that leave-one-out chooses. Cross-validate both beside
scikit-learn's Ridge and a multilayer perceptron, on the same folds. Inputs are standardised in each fold.
"""

_SPECTRUM_DESCRIPTION = """\
Compare activations on a table before anything is trained: the eigenvalues of the kernel matrix of each say how
fast gradient descent learns which part of the target, and which targets no network can fit on these rows. Inputs
are standardised, a numeric target is centred and scaled; of classes the centred indicators are taken.
"""


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
        code = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SUCCESS
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except (ValueError, MemoryError, ImportError, OSError) as error:
        print(f"underdetermined: error: {error}", file=sys.stderr)
        return BAD_INPUT
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="underdetermined",
        description="Wide random-feature networks, solved as under-determined linear systems.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {underdetermined.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_fit(commands)
    _add_spectrum(commands)
    doctor = commands.add_parser(
        "doctor",
        help="print versions, BLAS, kernel cache and memory, with advice",
        description="Print what decides speed on this machine, with advice where something is amiss.",
    )
    doctor.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    doctor.set_defaults(run=_doctor)
    return parser


def _add_fit(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    summary = "fit a table and compare with Ridge and an MLP"
    fit = _add_command(commands, "fit", _fit, summary, _FIT_DESCRIPTION, FIT_MAX_ROWS)
    model = fit.add_argument_group("network")
    model.add_argument(
        "--activation",
        type=_activation,
        default="relu",
        metavar="A",
        help=f"one of {', '.join(names())} [relu]",
    )
    model.add_argument(
        "--width", type=_width, default="auto", metavar="W", help="hidden neurons, or auto [auto]"
    )
    model.add_argument(
        "--alpha", type=_alpha, default="loo", metavar="F", help="penalty of the second fit, or loo [loo]"
    )
    model.add_argument("--solver", choices=("auto", *SOLVERS), default="auto", help="[auto]")
    model.add_argument(
        "--cv", type=_integer(2), default=5, metavar="K", help="folds of the cross-validation [5]"
    )
    _add_seed(model)
    output = _add_output(fit)
    output.add_argument(
        "--save", type=Path, metavar="FILE", help="write the fitted pipeline, for joblib.load"
    )


def _add_spectrum(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    summary = "compare activations by their spectra on a table"
    spectrum = _add_command(commands, "spectrum", _spectrum, summary, _SPECTRUM_DESCRIPTION, SPECTRUM_MAX_ROWS)
    model = spectrum.add_argument_group("network")
    model.add_argument(
        "--activations",
        type=_activations,
        nargs="+",
        metavar="A",
        help="names, separated by commas or spaces, with parameters in quotes: relu,'leaky_relu(0.1)'; DATA comes "
        f"before them; of {', '.join(names())} [all]",
    )
    model.add_argument(
        "--kind",
        choices=("nngp", "ntk", "features"),
        default="nngp",
        help="infinite width, last layer trained; infinite width, both layers trained; a finite random layer [nngp]",
    )
    model.add_argument(
        "--width", type=_integer(1), metavar="W", help="hidden neurons of --kind features [max(2 rows, 512)]"
    )
    model.add_argument("--no-bias", action="store_true", help="a hidden layer without biases")
    _add_seed(model)
    _add_output(spectrum)


def _add_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Callable[[argparse.Namespace], int],
    summary: str,
    description: str,
    max_rows: int,
) -> argparse.ArgumentParser:
    """Add a command that works on a table, with the options that choose the table."""
    command = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    _add_data(command, max_rows)
    return command


def _add_seed(model: "argparse._ArgumentGroup") -> None:
    model.add_argument("--seed", type=_integer(0), default=0, metavar="N", help="seed of everything random [0]")


def _add_data(command: argparse.ArgumentParser, max_rows: int) -> None:
    source = command.add_argument_group("data")
    source.add_argument(
        "data",
        nargs="?",
        metavar="DATA",
        help="CSV file (comma, semicolon or tab; gzip or plain; header or none); without it, --dataset",
    )
    source.add_argument(
        "--dataset", choices=DATASETS, default=None, help="data set installed with scikit-learn [diabetes]"
    )
    source.add_argument(
        "--target", metavar="COL", help="target column: a name, or a number (0 first, -1 last) [the last]"
    )
    source.add_argument(
        "--header", choices=("auto", "yes", "no"), default="auto", help="line 1 has names [auto]"
    )
    source.add_argument(
        "--task",
        choices=("auto", "regression", "classification"),
        default="auto",
        help="auto takes text, or a few whole numbers, for class labels [auto]",
    )
    source.add_argument(
        "--max-rows",
        type=_integer(0),
        default=max_rows,
        metavar="N",
        help="use at most N rows, drawn at random; 0 uses all [%(default)s]",
    )


def _add_output(command: argparse.ArgumentParser) -> "argparse._ArgumentGroup":
    output = command.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    output.add_argument("--plot", type=Path, metavar="FILE", help="draw the result as PNG, PDF or SVG")
    output.add_argument("--quiet", action="store_true", help="no progress on stderr")
    return output


def _integer(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {least}")
        return value

    return parse


def _width(text: str) -> int | str:
    return text if text == "auto" else _integer(1)(text)


def _alpha(text: str) -> float | str:
    if text == "loo":
        return text
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number of at least 0 nor 'loo'")
    return value


def _activation(text: str) -> str:
    try:
        get_activation(text)
    except (TypeError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def _activations(text: str) -> list[str]:
    """Names between commas, of which those inside parentheses separate parameters."""
    chosen = [_activation(name.strip()) for name in re.split(r",(?![^(]*\))", text) if name.strip()]
    if not chosen:
        raise argparse.ArgumentTypeError(f"{text!r} names no activation")
    return chosen


def _fit(options: argparse.Namespace) -> int:
    _check_outputs(options)
    table = _read(options)
    comparison = compare(
        table,
        task=None if options.task == "auto" else options.task,
        activation=options.activation,
        width=options.width,
        alpha=options.alpha,
        solver=options.solver,
        folds=options.cv,
        random_state=options.seed,
        max_rows=options.max_rows or None,
        progress=_reporter(options),
    )
    _end_progress(options)
    if options.save is not None:
        joblib.dump(comparison.pipeline, options.save)
    if options.plot is not None:
        draw_comparison(comparison).savefig(options.plot, dpi=150)
    if options.json:
        print(json.dumps(comparison.to_dict(), indent=2, allow_nan=False))
    else:
        print(format_comparison(comparison))
        if options.save is not None:
            print(f"\nsaved; in Python:\n  import joblib; model = joblib.load({str(options.save)!r})")
        if options.plot is not None:
            print(f"\nfigure written to {options.plot}")
    return SUCCESS if comparison.is_success else NOT_CONVERGED


def _spectrum(options: argparse.Namespace) -> int:
    _check_outputs(options)
    if options.width is not None and options.kind != "features":
        raise ValueError(f"--width {options.width} has no effect on --kind {options.kind}; add --kind features")
    table = _read(options)
    comparison = compare_on_table(
        table,
        task=None if options.task == "auto" else options.task,
        activations=[name for names in options.activations for name in names] if options.activations else None,
        kind=options.kind,
        width=options.width,
        bias_scale=0.0 if options.no_bias else 1.0,
        random_state=options.seed,
        max_rows=options.max_rows or None,
        progress=_reporter(options),
    )
    _end_progress(options)
    if options.plot is not None:
        draw_spectra(comparison).savefig(options.plot, dpi=150)
    if options.json:
        print(json.dumps(comparison.to_dict(), indent=2, allow_nan=False))
    else:
        print(comparison)
        if options.plot is not None:
            print(f"\nfigure written to {options.plot}")
    return SUCCESS


def _read(options: argparse.Namespace) -> Table:
    if options.data is not None:
        return read_table(options.data, target=options.target, header=options.header)
    return load_dataset(options.dataset or "diabetes")


def _check_outputs(options: argparse.Namespace) -> None:
    """Refuse what would fail only after the work is done, and options that would have no effect."""
    if options.data is not None and options.dataset is not None:
        raise ValueError(f"DATA {options.data!r} and --dataset {options.dataset!r} are both given; give one")
    if options.data is None and (options.target is not None or options.header != "auto"):
        raise ValueError("--target and --header belong to a file; give DATA, or leave them out")
    for option, path in (("--save", getattr(options, "save", None)), ("--plot", options.plot)):
        if path is not None and not (path.parent.is_dir() and os.access(path.parent, os.W_OK)):
            raise ValueError(f"{option} {path}: the folder {path.parent} is missing or cannot be written")
    if options.plot is not None:
        check_matplotlib_support("--plot")
        if options.plot.suffix.lower() not in (".png", ".pdf", ".svg"):
            raise ValueError(f"--plot {options.plot}: the name must end in .png, .pdf or .svg")


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
    elif line:
        print(line, file=sys.stderr, flush=True)


def _silent(line: str) -> None:
    pass


def _reporter(options: argparse.Namespace) -> Callable[[str], None]:
    return _silent if options.quiet else _progress


def _end_progress(options: argparse.Namespace) -> None:
    _reporter(options)("")


def _doctor(options: argparse.Namespace) -> int:
    diagnosis = examine()
    print(json.dumps(diagnosis.to_dict(), indent=2) if options.json else format_diagnosis(diagnosis))
    return SUCCESS
