"""``underdetermined fit``: a table fitted, beside scikit-learn's models."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib

from underdetermined.cli._arguments import (
    add_activation,
    add_command,
    add_output,
    add_seed,
    alpha,
    integer,
    number_or_auto,
    share,
    width,
)
from underdetermined.cli._exit_codes import NOT_COMPLETE, SUCCESS
from underdetermined.cli._files import check_data, check_plot, check_written, read
from underdetermined.cli._printing import print_figure, print_json, reporter
from underdetermined.comparison import Comparison, SparseComparison, compare, compare_sparse
from underdetermined.displays import draw_comparison
from underdetermined.solvers import SOLVERS
from underdetermined.text import format_comparison

_MAX_ROWS = 3000
_RANDOM, _SPARSE = "random-features", "sparse-relu"
# Options that only one of the models has, with what they are unless given.
_OWN: dict[str, dict[str, Any]] = {
    _RANDOM: {"activation": "relu", "alpha": "loo", "solver": "auto"},
    _SPARSE: {"bias": "auto", "learning_rate": "auto", "max_iter": 300, "tol": None},
}

_DESCRIPTION = """\
Fit a wide network to a table and cross-validate it beside scikit-learn's
Ridge and a multilayer perceptron, on the same folds. Inputs are standardised
in each fold. --model random-features draws the hidden layer at random and
fits twice: exactly (alpha 0, the coefficients of smallest norm) and with the
penalty that leave-one-out chooses. --model sparse-relu trains the hidden
layer of a network that fires on few of its neurons.
"""


def add_fit(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    summary = "fit a table and compare with Ridge and an MLP"
    fit = add_command(commands, "fit", _run, summary, _DESCRIPTION, _MAX_ROWS)
    model = fit.add_argument_group("network")
    model.add_argument(
        "--model", choices=tuple(_OWN), default=_RANDOM, metavar="M", help=f"one of {', '.join(_OWN)} [{_RANDOM}]"
    )
    model.add_argument(
        "--width",
        type=width,
        default="auto",
        metavar="W",
        help=f"hidden neurons, an even number with {_SPARSE}, or auto [auto]",
    )
    model.add_argument("--cv", type=integer(2), default=5, metavar="K", help="folds of the cross-validation [5]")
    add_seed(model)
    random = fit.add_argument_group(f"with --model {_RANDOM}")
    add_activation(random, default=None)
    random.add_argument("--alpha", type=alpha, metavar="F", help="penalty of the second fit, or loo [loo]")
    random.add_argument(
        "--solver", choices=("auto", *SOLVERS), metavar="S", help=f"one of auto, {', '.join(SOLVERS)} [auto]"
    )
    sparse = fit.add_argument_group(f"with --model {_SPARSE}")
    sparse.add_argument(
        "--bias",
        type=number_or_auto(0.0, low_open=False),
        metavar="B",
        help="all biases start at -B: the larger B, the fewer neurons fire; auto: as large as the width allows [auto]",
    )
    sparse.add_argument(
        "--learning-rate",
        type=number_or_auto(0.0, low_open=True),
        metavar="R",
        help="step of gradient descent, or auto [auto]",
    )
    sparse.add_argument("--max-iter", type=integer(1), metavar="N", help=f"most steps [{_OWN[_SPARSE]['max_iter']}]")
    sparse.add_argument(
        "--tol",
        type=share,
        metavar="T",
        help="stop where the residual is this share of that at the start; if it is given and the steps run out before, "
        "the exit code is 1 [0.1]",
    )
    output = add_output(fit)
    output.add_argument("--save", type=Path, metavar="FILE", help="write the fitted pipeline, for joblib.load")


def _run(options: argparse.Namespace) -> int:
    own = _options_of_the_model(options)
    check_data(options)
    check_written("--save", options.save)
    check_plot(options.plot)
    table = read(options)
    progress = reporter(options)
    run: Callable[..., Comparison | SparseComparison] = compare_sparse if options.model == _SPARSE else compare
    comparison = run(
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


def _options_of_the_model(options: argparse.Namespace) -> dict[str, Any]:
    """Take the options that the model has, and refuse those of the other one."""
    for model, defaults in _OWN.items():
        for name in defaults:
            given = getattr(options, name)
            if given is not None and model != options.model:
                raise ValueError(
                    f"--{name.replace('_', '-')} {given} has no effect on --model {options.model}; leave it out, or add "
                    f"--model {model}"
                )
    own = {name: getattr(options, name) for name in _OWN[options.model]}
    return {name: _OWN[options.model][name] if given is None else given for name, given in own.items()}
