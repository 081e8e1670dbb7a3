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
from underdetermined.comparison import (
    Comparison,
    ExponentialComparison,
    SparseComparison,
    compare,
    compare_exponential,
    compare_sparse,
)
from underdetermined.displays import draw_comparison
from underdetermined.solvers import SOLVERS
from underdetermined.text import format_comparison

_MAX_ROWS = 3000
_RANDOM, _SPARSE, _EXPONENTIAL = "random-features", "sparse-relu", "exponential"
_TRAINED = {"learning_rate": "auto", "max_iter": 300, "tol": None}
# Options that not all models have, with what they are unless given.
_OWN: dict[str, dict[str, Any]] = {
    _RANDOM: {"activation": "relu", "alpha": "loo", "solver": "auto"},
    _SPARSE: {"bias": "auto", **_TRAINED},
    _EXPONENTIAL: {"alpha": 1.0, "solver": "gauss-newton", "row_scale": "auto", **_TRAINED},
}
_SOLVERS: dict[str, tuple[str, ...]] = {_RANDOM: ("auto", *SOLVERS), _EXPONENTIAL: ("gauss-newton", "gd")}

_DESCRIPTION = """\
Fit a wide network to a table and cross-validate it beside scikit-learn's
Ridge and a multilayer perceptron, on the same folds. Inputs are standardised
in each fold. --model random-features draws the hidden layer at random and
fits twice: exactly (alpha 0, the coefficients of smallest norm) and with the
penalty that leave-one-out chooses. --model sparse-relu trains the hidden
layer of a network that fires on few of its neurons, --model exponential that
of a network of exponentials.
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
        help=f"hidden neurons, an even number but for {_RANDOM}, or auto [auto]",
    )
    model.add_argument("--cv", type=integer(2), default=5, metavar="K", help="folds of the cross-validation [5]")
    add_seed(model)
    _add_own(fit)
    output = add_output(fit)
    output.add_argument("--save", type=Path, metavar="FILE", help="write the fitted pipeline, for joblib.load")


def _add_own(fit: argparse.ArgumentParser) -> None:
    """Add the options that not all models have; what they are unless given depends on the model."""
    random = fit.add_argument_group(f"with --model {_RANDOM}")
    add_activation(random, default=None)
    sparse = fit.add_argument_group(f"with --model {_SPARSE}")
    sparse.add_argument(
        "--bias",
        type=number_or_auto(0.0, low_open=False),
        metavar="B",
        help="all biases start at -B: the larger B, the fewer neurons fire; auto: as large as the width allows [auto]",
    )
    exponential = fit.add_argument_group(f"with --model {_EXPONENTIAL}")
    exponential.add_argument(
        "--row-scale",
        type=number_or_auto(0.0, low_open=True),
        metavar="C",
        help="factor of the standardised rows, or auto: norms near 0.75, where exponentials are tame [auto]",
    )
    solved = fit.add_argument_group(f"with --model {_RANDOM} or {_EXPONENTIAL}")
    solved.add_argument(
        "--alpha",
        type=alpha,
        metavar="F",
        help=f"{_RANDOM}: penalty of the second fit, or loo [loo]; {_EXPONENTIAL}: penalty of the way from the start, 0 "
        "interpolates [1]",
    )
    solved.add_argument(
        "--solver",
        choices=tuple(name for names in _SOLVERS.values() for name in names),
        metavar="S",
        help=f"{_RANDOM}: one of {', '.join(_SOLVERS[_RANDOM])} [auto]; {_EXPONENTIAL}: "
        f"{' or '.join(_SOLVERS[_EXPONENTIAL])} [gauss-newton]",
    )
    trained = fit.add_argument_group(f"with --model {_SPARSE} or {_EXPONENTIAL}")
    trained.add_argument(
        "--learning-rate",
        type=number_or_auto(0.0, low_open=True),
        metavar="R",
        help="step of gradient descent, or auto [auto]",
    )
    trained.add_argument("--max-iter", type=integer(1), metavar="N", help=f"most steps [{_TRAINED['max_iter']}]")
    trained.add_argument(
        "--tol",
        type=share,
        metavar="T",
        help="stop where the residual (with a penalty, the gradient) is this share of that at the start; if it is given and "
        f"not reached, the exit code is 1 [{_SPARSE}: 0.1, {_EXPONENTIAL}: 1e-8]",
    )


def _run(options: argparse.Namespace) -> int:
    own = _options_of_the_model(options)
    check_data(options)
    check_written("--save", options.save)
    check_plot(options.plot)
    table = read(options)
    progress = reporter(options)
    compare_model: dict[str, Callable[..., Comparison | SparseComparison | ExponentialComparison]] = {
        _RANDOM: compare,
        _SPARSE: compare_sparse,
        _EXPONENTIAL: compare_exponential,
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


def _options_of_the_model(options: argparse.Namespace) -> dict[str, Any]:
    """Take the options that the model has, and refuse those of the others."""
    model, own = options.model, dict(_OWN[options.model])
    for name in dict.fromkeys(name for defaults in _OWN.values() for name in defaults):
        given = getattr(options, name)
        if given is None:
            continue
        if name not in own:
            others = " or ".join(other for other, defaults in _OWN.items() if name in defaults)
            raise ValueError(
                f"--{name.replace('_', '-')} {given} has no effect on --model {model}; leave it out, or add --model {others}"
            )
        own[name] = given
    if "solver" in own and own["solver"] not in _SOLVERS[model]:
        raise ValueError(
            f"--solver {own['solver']} is not for --model {model}; leave it out, or give one of {', '.join(_SOLVERS[model])}"
        )
    if model == _EXPONENTIAL and own["alpha"] == "loo":
        raise ValueError(f"--alpha loo is not for --model {model}; leave it out, or give a number of at least 0")
    if model == _EXPONENTIAL and options.width != "auto" and options.width % 2:
        raise ValueError(f"--width {options.width} is odd, and --model {model} draws neurons in pairs; give an even number")
    if model == _EXPONENTIAL and own["solver"] != "gd" and own["learning_rate"] != "auto":
        raise ValueError(
            f"--learning-rate {own['learning_rate']} has no effect on --solver {own['solver']}; leave it out, or add "
            "--solver gd"
        )
    return own
