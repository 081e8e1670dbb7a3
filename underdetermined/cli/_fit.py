"""``underdetermined fit``: a table fitted, beside scikit-learn's models."""

import argparse
from collections.abc import Callable
from pathlib import Path

import joblib

from underdetermined.cli._arguments import add_command, add_output, add_seed, integer, width
from underdetermined.cli._exit_codes import NOT_COMPLETE, SUCCESS
from underdetermined.cli._files import check_data, check_plot, check_written, read
from underdetermined.cli._fit_options import EXPONENTIAL, MODELS, RANDOM, SPARSE, TWO_LAYER, add_own, options_of_the_model
from underdetermined.cli._printing import print_figure, print_json, reporter
from underdetermined.comparison import (
    Comparison,
    ExponentialComparison,
    SparseComparison,
    TwoLayerComparison,
    compare,
    compare_exponential,
    compare_sparse,
    compare_two_layer,
)
from underdetermined.displays import draw_comparison
from underdetermined.text import format_comparison

_MAX_ROWS = 3000

_DESCRIPTION = """\
Fit a wide network to a table and cross-validate it beside scikit-learn's
Ridge and a multilayer perceptron, on the same folds. Inputs are standardised
in each fold. --model random-features draws the hidden layer at random and
fits twice: exactly (alpha 0, the coefficients of smallest norm) and with the
penalty that leave-one-out chooses. --model sparse-relu trains the hidden
layer of a network that fires on few of its neurons, --model exponential that
of a network of exponentials, and --model two-layer both layers of a network
with any activation.
"""


def add_fit(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    summary = "fit a table and compare with Ridge and an MLP"
    fit = add_command(commands, "fit", _run, summary, _DESCRIPTION, _MAX_ROWS)
    model = fit.add_argument_group("network")
    model.add_argument(
        "--model", choices=MODELS, default=RANDOM, metavar="M", help=f"one of {', '.join(MODELS)} [{RANDOM}]"
    )
    model.add_argument(
        "--width",
        type=width,
        default="auto",
        metavar="W",
        help=f"hidden neurons, an even number but for {RANDOM}, or auto [auto]",
    )
    model.add_argument("--cv", type=integer(2), default=5, metavar="K", help="folds of the cross-validation [5]")
    add_seed(model)
    add_own(fit)
    output = add_output(fit)
    output.add_argument("--save", type=Path, metavar="FILE", help="write the fitted pipeline, for joblib.load")


def _run(options: argparse.Namespace) -> int:
    own = options_of_the_model(options)
    check_data(options)
    check_written("--save", options.save)
    check_plot(options.plot)
    table = read(options)
    progress = reporter(options)
    compare_model: dict[str, Callable[..., Comparison | SparseComparison | ExponentialComparison | TwoLayerComparison]] = {
        RANDOM: compare,
        SPARSE: compare_sparse,
        EXPONENTIAL: compare_exponential,
        TWO_LAYER: compare_two_layer,
    }
    comparison = compare_model[options.model](
        table,
        task=None if options.task == "auto" else options.task,
        width=options.width,
        folds=options.cv,
        random_state=options.seed,
        max_rows=options.max_rows or None,
        progress=progress,
        **own,
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
