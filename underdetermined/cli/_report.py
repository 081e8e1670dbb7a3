"""``underdetermined report``: everything about a table on one HTML page."""

import argparse
from pathlib import Path

from underdetermined._compat import check_matplotlib_support
from underdetermined._layout import align, bullets, wrap
from underdetermined.cli._arguments import add_activation, add_command, add_quiet, add_seed
from underdetermined.cli._exit_codes import NOT_COMPLETE, SUCCESS
from underdetermined.cli._files import check_data, check_written, read
from underdetermined.cli._printing import reporter
from underdetermined.report import report_html
from underdetermined.study import SCORE_MAX_ROWS, Study, findings, study

_OUTPUT = Path("underdetermined-report.html")

_DESCRIPTION = """\
Write one HTML page about a table: which targets no network can fit, how the
activations compare, how gradient descent goes, how many hidden neurons are
needed, and how the fitted network compares with scikit-learn's models. The
page needs no network and no other file, and shows how to repeat each number in
Python.
"""


def add_report(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    summary = "write one HTML page with everything about a table"
    report = add_command(commands, "report", _run, summary, _DESCRIPTION, SCORE_MAX_ROWS)
    model = report.add_argument_group("network")
    add_activation(model)
    add_seed(model)
    output = report.add_argument_group("output")
    output.add_argument(
        "--output", type=Path, default=_OUTPUT, metavar="FILE", help="the page; an existing file is replaced [%(default)s]"
    )
    add_quiet(output)


def _run(options: argparse.Namespace) -> int:
    check_data(options)
    check_written("--output", options.output)
    check_matplotlib_support("underdetermined report")
    table = read(options)
    progress = reporter(options)
    found = study(
        table,
        task=None if options.task == "auto" else options.task,
        activation=options.activation,
        random_state=options.seed,
        max_rows=options.max_rows or None,
        progress=progress,
    )
    progress("page")
    options.output.write_text(report_html(found), encoding="utf-8")
    progress("")
    print(_summary(found))
    print(f"\npage written to {options.output}")
    is_complete = not found.problems and found.scores is not None and found.scores.is_success
    return SUCCESS if is_complete else NOT_COMPLETE


def _summary(found: Study) -> str:
    result = findings(found)
    data = found.data
    title = f"{data.source}: {found.task} of {data.target_name!r}, {data.n_rows} rows, {data.n_inputs} inputs"
    parts = [wrap(title), wrap(result.sentence), align([(f.label, f.value, f.detail) for f in result.figures], left=(0, 2))]
    if found.problems:
        parts.append("missing\n" + bullets([f"{section}: {reason}" for section, reason in found.problems.items()]))
    # The page has true minus signs, which not every terminal knows.
    return "\n\n".join(parts).replace("\u2212", "-")
