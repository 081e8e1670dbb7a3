"""``underdetermined spectrum``: activations compared by their spectra."""

import argparse

from underdetermined.activation_comparison import compare_on_table
from underdetermined.activations import names
from underdetermined.cli._arguments import activations, add_command, add_output, add_seed, integer
from underdetermined.cli._exit_codes import SUCCESS
from underdetermined.cli._files import check_data, check_plot, read
from underdetermined.cli._printing import print_figure, print_json, reporter
from underdetermined.displays import draw_spectra

_MAX_ROWS = 2000

_DESCRIPTION = """\
Compare activations on a table before anything is trained: the eigenvalues of
the kernel matrix of each say how fast gradient descent learns which part of
the target, and which targets no network can fit on these rows. Inputs are
standardised, a numeric target is centred and scaled; of classes the centred
indicators are taken.
"""


def add_spectrum(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    summary = "compare activations by their spectra on a table"
    spectrum = add_command(commands, "spectrum", _run, summary, _DESCRIPTION, _MAX_ROWS)
    model = spectrum.add_argument_group("network")
    model.add_argument(
        "--activations",
        type=activations,
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
        "--width", type=integer(1), metavar="W", help="hidden neurons of --kind features [max(2 rows, 512)]"
    )
    model.add_argument("--no-bias", action="store_true", help="a hidden layer without biases")
    add_seed(model)
    add_output(spectrum)


def _run(options: argparse.Namespace) -> int:
    check_data(options)
    check_plot(options.plot)
    if options.width is not None and options.kind != "features":
        raise ValueError(f"--width {options.width} has no effect on --kind {options.kind}; add --kind features")
    table = read(options)
    progress = reporter(options)
    comparison = compare_on_table(
        table,
        task=None if options.task == "auto" else options.task,
        activations=[name for chosen in options.activations for name in chosen] if options.activations else None,
        kind=options.kind,
        width=options.width,
        bias_scale=0.0 if options.no_bias else 1.0,
        random_state=options.seed,
        max_rows=options.max_rows or None,
        progress=progress,
    )
    progress("")
    if options.plot is not None:
        draw_spectra(comparison).savefig(options.plot, dpi=150)
    if options.json:
        print_json(comparison.to_dict())
    else:
        print(comparison)
        print_figure(options.plot)
    return SUCCESS
