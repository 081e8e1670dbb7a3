"""The report on sparsity as text and as a table for notebooks."""

from __future__ import annotations

from typing import Any

import numpy as np

from underdetermined._report_layout import Section, as_html, as_text, count


def report_text(report: Any) -> str:
    """Return the table as plain text.

    Parameters
    ----------
    report : SparsityReport
        The report.

    Returns
    -------
    str
        Several lines of at most 100 columns, without a line break at the end.
    """
    return as_text(_description(report), _sections(report), [_remark(report)])


def report_html(report: Any) -> str:
    """Return the table as HTML.

    Parameters
    ----------
    report : SparsityReport
        The report.

    Returns
    -------
    str
        One ``div``.
    """
    return as_html(_description(report), _sections(report), [_remark(report)])


def _description(report: Any) -> str:
    rows, inputs = (
        f"{number} {word}{'' if number == 1 else 's'}"
        for number, word in ((report.n_rows, "row"), (report.n_inputs, "input"))
    )
    biases = f"biases learn at scale {report.bias_scale:.3g}" if report.bias_scale else "biases are not trained"
    start = "symmetric start" if report.symmetric else "independent neurons"
    return f"{rows}, {inputs}; bias {report.bias:.3g}, width {report.width}, {start}; {biases}"


def _sections(report: Any) -> list[Section]:
    share = 100.0 * report.failure_probability
    activity = [
        ("active neurons, expected share", _percent(report.mean_activity)),
        ("least and most active row, expected share", _range(report.activity, report.activity, _percent)),
        (f"active neurons of every row, but for {share:.3g} %", _range(report.fewest_active, report.most_active, count)),
        ("probability that some row has none, at most", f"{report.idle_probability:.3g}"),
        ("neurons that are active on any row, expected at most", count(report.live_bound)),
        ("neurons inactive on all inputs of such norms, expected share", _percent(report.prunable_everywhere)),
    ]
    cost = [
        ("operations of a step, dense", f"{report.dense_flops:.3g}"),
        ("operations of a step, active pairs alone", f"{report.active_flops:.3g}"),
    ]
    kernel = [
        ("smallest eigenvalue", f"{report.smallest_eigenvalue:.4g}"),
        ("largest eigenvalue", f"{report.largest_eigenvalue:.4g}"),
        ("condition number", f"{report.condition:.4g}"),
    ]
    width = [
        ("probability that the smallest eigenvalue is halved, at most", f"{report.halving_probability:.3g}"),
        ("probability that the largest eigenvalue is doubled, at most", f"{report.doubling_probability:.3g}"),
        (f"distance of the kernels in norm, at most, but for {share:.3g} %", f"{report.deviation:.3g}"),
        (f"width that keeps half the smallest eigenvalue, but for {share:.3g} %", count(report.width_for_half)),
        (f"width that proves convergence before any draw, but for {share:.3g} %", count(report.width_before_drawing)),
    ]
    sections = [
        ("activity at the start", activity),
        ("cost", cost),
        ("tangent kernel of infinite width", kernel),
        ("kernel at this width", width),
    ]
    if report.complexity is not None:
        shown = report.complexity if len(report.complexity) <= 5 else [report.complexity.min(), report.complexity.max()]
        word = "each output" if len(report.complexity) <= 5 else "least and largest of all outputs"
        label = "complexity measure" if len(report.complexity) == 1 else f"complexity measure, {word}"
        sections.append(("targets", [(label, " ".join(f"{value:.3g}" for value in shown))]))
    return sections


def _remark(report: Any) -> str:
    return (
        f"The widths are sufficient, not necessary, and far from it: the last one assumes a residual norm of "
        f"{report.residual_norm:.3g}. For the network at hand ask underdetermined.sparsity.certify."
    )


def _range(low: Any, high: Any, shown: Any) -> str:
    return f"{shown(np.min(low))} to {shown(np.max(high))}"


def _percent(value: float) -> str:
    return f"{100.0 * value:.3g} %"
