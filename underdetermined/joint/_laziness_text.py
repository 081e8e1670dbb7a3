"""The report on laziness as text and as a table for notebooks."""

from __future__ import annotations

from math import isfinite
from typing import Any

from underdetermined._report_layout import Section, as_html, as_text

# Linearisation errors up to which a run is called lazy, and from which it is not.
_LAZY, _NOT_LAZY = 0.1, 0.5


def report_text(report: Any) -> str:
    """Return the table as plain text.

    Parameters
    ----------
    report : LazinessReport
        The report.

    Returns
    -------
    str
        Several lines of at most 100 columns, without a line break at the end.
    """
    return as_text(_description(report), _sections(report), _remarks(report))


def report_html(report: Any) -> str:
    """Return the table as HTML.

    Parameters
    ----------
    report : LazinessReport
        The report.

    Returns
    -------
    str
        One ``div``.
    """
    return as_html(_description(report), _sections(report), _remarks(report))


def verdict(report: Any) -> str:
    """Whether the run was lazy, in one sentence.

    Parameters
    ----------
    report : LazinessReport
        The report.

    Returns
    -------
    str
    """
    error = report.linearization_error
    if not isfinite(error):
        return "The outputs did not change, so that there is nothing to call lazy."
    if not any(movement.name.startswith("hidden") and movement.distance for movement in report.movements):
        return "Lazy: the hidden layer stayed, and the outputs are linear in everything else."
    share = f"{100.0 * error:.2g} % of the change" if error < 0.995 else f"{error:.2g} times as much as the change"
    missed = f"the network linearised at the start misses {share} of the outputs."
    if error <= _LAZY:
        return f"Lazy: {missed}"
    if error < _NOT_LAZY:
        return f"Partly lazy: {missed}"
    return f"Not lazy: {missed} Whether the features became better is another question."


def _description(report: Any) -> str:
    counts = ((report.n_rows, "row"), (report.n_inputs, "input"), (report.n_outputs, "output"))
    sizes = ", ".join(f"{number} {word}{'' if number == 1 else 's'}" for number, word in counts)
    return f"{sizes}, {report.width} neurons; loss at the end {report.relative_loss:.3g} of that at the start"


def _sections(report: Any) -> list[Section]:
    moved = [(movement.name, _movement(movement)) for movement in report.movements]
    shares = [*((movement.name, movement.share) for movement in report.movements), ("higher order", report.higher_order)]
    return [
        ("movement over size at the start: of the layer, and of the neuron that moved most", moved),
        ("share of the change of the outputs", [(name, _known(share, ".3g")) for name, share in shares]),
        (
            "end beside start",
            [
                ("linearisation error of the outputs", _known(report.linearization_error, ".3g")),
                ("alignment of the tangent kernels", _known(report.kernel_alignment, ".5g")),
                ("alignment of the tangent kernels, centred", _known(report.centred_alignment, ".5g")),
            ],
        ),
    ]


def _movement(movement: Any) -> str:
    if not isfinite(movement.relative):
        return f"from 0 to {movement.distance:.3g}"
    return f"{movement.relative:.3g}, {movement.largest:.3g}"


def _known(value: float, form: str) -> str:
    return f"{value:{form}}" if isfinite(value) else "undefined"


def _remarks(report: Any) -> list[str]:
    remarks = [report.verdict]
    if report.kernel_rows < report.n_rows:
        remarks.append(f"Alignments are of {report.kernel_rows} rows drawn at random.")
    if report.is_certified is None:
        return remarks
    if not report.is_certified:
        return [*remarks, "Not certified, which says nothing of laziness."]
    if not report.covers_run:
        return [*remarks, "The certificate is not of this run: it was issued elsewhere, or the steps were not of its kind."]
    drift = f"along the whole path the Jacobian stayed within {report.jacobian_drift:.3g} sigma_0 of the first one"
    return [
        *remarks,
        f"Certified, hence lazy in this sense: {drift}, sigma_0 being its smallest singular value. A certified run is never "
        "a feature-learning claim.",
    ]
