"""The sections on the data, on what can be fitted, and on how it is learned."""

from __future__ import annotations

from math import isinf

from underdetermined.report._html import Cell, lead, notes, number, remark, table, warning
from underdetermined.study import ColumnSummary, Study

_SHOWN_CLASSES = 30


def data_section(study: Study) -> str:
    """Rows, columns, classes, and what is odd about them.

    Parameters
    ----------
    study : Study
        The study.

    Returns
    -------
    str
    """
    data = study.data
    what = f"{len(data.classes)} classes" if data.classes else "a number"
    parts = [lead(f"{data.n_rows:,} rows and {data.n_inputs} inputs; the target {data.target_name!r} is {what}.")]
    parts += [warning(text) for text in data.notes if text.endswith("predicts their mean.")]
    parts.append(notes([text for text in data.notes if not text.endswith("predicts their mean.")]))
    heading = ("column", "mean", "std", "least", "most", "values", "")
    rows = [] if data.target is None else [_column(data.target, "target")]
    rows += [_column(column, "constant" if column.is_constant else "") for column in data.inputs]
    parts.append(table(heading, rows, left=(0, 6), wrap=(), tall=len(rows) > 12))
    if data.classes:
        shown = data.classes[:_SHOWN_CLASSES]
        classes = [(name, f"{count:,}", number(100 * count / data.n_rows)) for name, count in shown]
        parts.append(table(("class", "rows", "percent"), classes, tall=len(shown) > 12))
        if len(data.classes) > len(shown):
            parts.append(remark(f"{len(data.classes) - len(shown)} more classes are not listed."))
    return "\n".join(parts)


def _column(column: ColumnSummary, mark: str) -> tuple[Cell, ...]:
    figures = (column.mean, column.spread, column.least, column.most)
    return (column.name, *(number(value) for value in figures), f"{column.n_values:,}", mark)


def attainability_section(study: Study) -> str:
    """Which targets can never be fitted, and which rows are to blame.

    Parameters
    ----------
    study : Study
        The study.

    Returns
    -------
    str
    """
    rows = []
    for found, lost in zip(study.attainability, study.lost, strict=True):
        rows.append(
            (
                f"{study.activation}, {'with' if found.bias else 'without'} biases",
                f"{found.rank:,} of {found.n_rows:,}",
                f"{found.deficiency:,}",
                str(len(found.groups)),
                number(lost if lost > 1e-12 else 0.0),
            )
        )
    with_bias = study.attainability[0]
    parts = [
        lead(
            "Some targets no network of one hidden layer can fit, whatever its width and however it is trained, because the "
            "activation ties rows together. Each tie is one linear condition on the targets."
        )
    ]
    if with_bias.deficiency:
        parts.append(warning(with_bias.explanation))
    parts.append(
        table(("network", "attainable dimensions", "conditions", "groups of tied rows", "share of this target lost"), rows)
    )
    if not with_bias.deficiency:
        parts.append(remark(with_bias.explanation))
    bare = study.attainability[1]
    if bare.explanation != with_bias.explanation and bare.deficiency:
        parts.append(remark(bare.explanation))
    parts.append(
        remark(
            "Row numbers start at 0 and count the rows used. The share is the norm of the part of the target that stays as "
            "a residual, relative to the norm of the target; everything else in this report is for networks with biases."
        )
    )
    return "\n".join(parts)


def spectra_section(study: Study, figure: str) -> str:
    """Activations by their spectra.

    Parameters
    ----------
    study : Study
        The study; its spectra are there.
    figure : str
        The picture.

    Returns
    -------
    str
    """
    assert study.spectra is not None
    best = study.spectra.best
    ending = "" if best is None else f" Best conditioned here: {best.activation}."
    return "\n".join(
        [
            lead(
                "Before anything is trained, the eigenvalues of the infinite-width kernel on these rows say how fast "
                "gradient descent learns which part of the target: large eigenvalues first, small ones last, and those "
                f"below the cut-off never.{ending}"
            ),
            study.spectra._repr_html_(),
            figure,
        ]
    )


def descent_section(study: Study, figure: str) -> str:
    """Gradient descent, forecast and run.

    Parameters
    ----------
    study : Study
        The study; its descent is there.
    figure : str
        The picture.

    Returns
    -------
    str
    """
    run = study.descent
    assert run is not None
    last, rate = run.trajectory.n_iter, run.forecast.learning_rate
    course = [(f"{step:,}", *(number(value, 6) for value in values)) for step, *values in run.course]
    steps = [(number(tolerance), "never" if isinf(count) else _steps(count)) for tolerance, count in run.steps]
    floor = run.forecast.unresolved_fraction
    stays = ""
    if floor > 1e-12:
        stays = f" A share of {number(floor, 2)} of the residual lies along unresolved eigenvalues and stays."
    approximation = "diverges" if isinf(run.kernel_error) else f"stays within {number(run.kernel_error, 2)} of |y|"
    return "\n".join(
        [
            lead(
                f"The last layer of {run.width:,} random {study.activation} neurons was trained for {last:,} steps. The "
                f"forecast, made before the first step from {run.forecast.spectrum.n_rows} eigenvalues, is never further "
                f"from the measured residual than {number(run.error, 1)} of |y|."
            ),
            figure,
            '<div class="beside">',
            table(("step", "residual / |y|, run", "forecast", "forecast, infinite width"), course),
            table(("residual / |y|", "steps, forecast"), steps),
            "</div>",
            remark(
                f"Learning rate 1 / largest eigenvalue = {number(rate, 4)}, coefficients start at zero. "
                f"The forecast from the infinite-width kernel, which has not seen the layer, {approximation}.{stays}"
            ),
        ]
    )


def _steps(count: float) -> Cell:
    return f"{count:,.0f}" if count < 1e7 else number(count)
