"""``underdetermined width``: how many hidden neurons a table needs."""

import argparse
from typing import Any

from underdetermined.cli._arguments import add_activation, add_command, add_output, add_seed, goal, integer, real
from underdetermined.cli._exit_codes import SUCCESS
from underdetermined.cli._files import check_data, check_plot, read
from underdetermined.cli._printing import print_figure, print_json, reporter
from underdetermined.displays import WidthDisplay
from underdetermined.width_table import width_on_table

_MAX_ROWS, _MEASURED_ROWS = 1000, 300  # an experiment decomposes matrices by the hundred
_EPSILON, _SEEDS = 0.5, 40

_DESCRIPTION = """\
Say how many random hidden neurons suffice for these rows, and how many are
necessary: theorems whose assumptions are checked on the data, estimates marked
as estimates, and with --measure an experiment. One of them is recommended, and
the text says why. Inputs are standardised; the target column is left aside.
"""


def add_width(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    summary = "say how many hidden neurons a table needs, and why"
    width = add_command(
        commands, "width", _run, summary, _DESCRIPTION, _MAX_ROWS, has_task=False, measured_rows=_MEASURED_ROWS
    )
    model = width.add_argument_group("network")
    add_activation(model)
    model.add_argument("--no-bias", action="store_true", help="a hidden layer without biases")
    model.add_argument(
        "--weight-scale",
        type=real(0.0, float("inf")),
        metavar="S",
        help="standard deviation of the hidden weights [1 / sqrt(inputs)]",
    )
    add_seed(model)
    question = width.add_argument_group("question")
    question.add_argument(
        "--goal",
        type=goal,
        default="rank",
        metavar="G",
        help="rank: every attainable target can be fitted; spectrum: besides, the smallest eigenvalue of the Gram matrix is "
        "at least 1 - E of that at infinite width; a number above 1: the condition number of the Gram matrix is at most "
        "that [rank]",
    )
    question.add_argument(
        "--epsilon", type=real(0.0, 1.0), metavar="E", help=f"what --goal spectrum may lose, between 0 and 1 [{_EPSILON}]"
    )
    question.add_argument(
        "--failure-probability",
        type=real(0.0, 1.0),
        default=0.1,
        metavar="P",
        help="how often random weights may miss the goal, between 0 and 1 [%(default)s]",
    )
    question.add_argument("--measure", action="store_true", help="find the smallest width by experiment as well")
    question.add_argument(
        "--seeds", type=integer(1), metavar="N", help=f"random networks that --measure tries at each width [{_SEEDS}]"
    )
    add_output(width, "draw what --measure finds beside the bounds, as PNG, PDF or SVG; implies --measure")


def _run(options: argparse.Namespace) -> int:
    _check_question(options)
    check_data(options)
    check_plot(options.plot)
    table = read(options)
    is_measured = options.measure or options.plot is not None
    max_rows = options.max_rows
    if max_rows is None:
        max_rows = _MEASURED_ROWS if is_measured else _MAX_ROWS
    progress = reporter(options)
    found = width_on_table(
        table,
        activation=options.activation,
        target=options.goal,
        epsilon=_EPSILON if options.epsilon is None else options.epsilon,
        failure_probability=options.failure_probability,
        weight_scale="auto" if options.weight_scale is None else options.weight_scale,
        bias_scale=0.0 if options.no_bias else 1.0,
        n_seeds=(options.seeds or _SEEDS) if is_measured else None,
        random_state=options.seed,
        max_rows=max_rows or None,
        progress=progress,
    )
    progress("")
    if options.plot is not None and found.measurement is not None:
        figure: Any = WidthDisplay.from_measurement(
            found.measurement,
            found.minimum.bounds,
            quantity="condition" if isinstance(options.goal, float) else "smallest",
        ).figure_
        figure.savefig(options.plot, dpi=150)
    if options.json:
        print_json(found.to_dict())
    else:
        print(found)
        print_figure(options.plot)
    return SUCCESS


def _check_question(options: argparse.Namespace) -> None:
    """Refuse options that would have no effect, and a goal given as the target column."""
    if options.epsilon is not None and options.goal != "spectrum":
        asked = options.goal if isinstance(options.goal, str) else f"{options.goal:g}"
        raise ValueError(f"--epsilon {options.epsilon:g} has no effect on --goal {asked}; add --goal spectrum")
    if options.seeds is not None and not options.measure and options.plot is None:
        raise ValueError(f"--seeds {options.seeds} has no effect without an experiment; add --measure")
    if options.data is None and options.target is not None:
        try:
            goal(options.target)
        except argparse.ArgumentTypeError:
            return
        raise ValueError(
            f"--target {options.target} is a column of a file; what the width is to reach is --goal {options.target}"
        )
