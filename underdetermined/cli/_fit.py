"""``underdetermined fit``: a table fitted, beside scikit-learn's models."""

import argparse
from pathlib import Path

import joblib

from underdetermined.cli._arguments import add_activation, add_command, add_output, add_seed, alpha, integer, width
from underdetermined.cli._exit_codes import NOT_COMPLETE, SUCCESS
from underdetermined.cli._files import check_data, check_plot, check_written, read
from underdetermined.cli._printing import print_figure, print_json, reporter
from underdetermined.comparison import compare
from underdetermined.displays import draw_comparison
from underdetermined.solvers import SOLVERS
from underdetermined.text import format_comparison

_MAX_ROWS = 3000

_DESCRIPTION = """\
Fit a wide network with a random hidden layer to a table: once exactly (alpha
0, the coefficients of smallest norm) and once with the penalty that
leave-one-out chooses. Cross-validate both beside scikit-learn's Ridge and a
multilayer perceptron, on the same folds. Inputs are standardised in each fold.
"""


def add_fit(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    summary = "fit a table and compare with Ridge and an MLP"
    fit = add_command(commands, "fit", _run, summary, _DESCRIPTION, _MAX_ROWS)
    model = fit.add_argument_group("network")
    add_activation(model)
    model.add_argument("--width", type=width, default="auto", metavar="W", help="hidden neurons, or auto [auto]")
    model.add_argument(
        "--alpha", type=alpha, default="loo", metavar="F", help="penalty of the second fit, or loo [loo]"
    )
    model.add_argument(
        "--solver",
        choices=("auto", *SOLVERS),
        default="auto",
        metavar="S",
        help=f"one of auto, {', '.join(SOLVERS)} [auto]",
    )
    model.add_argument("--cv", type=integer(2), default=5, metavar="K", help="folds of the cross-validation [5]")
    add_seed(model)
    output = add_output(fit)
    output.add_argument("--save", type=Path, metavar="FILE", help="write the fitted pipeline, for joblib.load")


def _run(options: argparse.Namespace) -> int:
    check_data(options)
    check_written("--save", options.save)
    check_plot(options.plot)
    table = read(options)
    progress = reporter(options)
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
        progress=progress,
    )
    progress("")
    if options.save is not None:
        joblib.dump(comparison.pipeline, options.save)
    if options.plot is not None:
        draw_comparison(comparison).savefig(options.plot, dpi=150)
    if options.json:
        print_json(comparison.to_dict())
    else:
        print(format_comparison(comparison))
        if options.save is not None:
            print(f"\nsaved; in Python:\n  import joblib; model = joblib.load({str(options.save)!r})")
        print_figure(options.plot)
    return SUCCESS if comparison.is_success else NOT_COMPLETE
