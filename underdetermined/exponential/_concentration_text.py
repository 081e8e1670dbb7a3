"""The report on concentration as text and as a table for notebooks."""

from __future__ import annotations

from math import exp, floor, isfinite, log
from typing import Any

from underdetermined._report_layout import Section, as_html, as_text, count


def report_text(report: Any) -> str:
    """Return the table as plain text.

    Parameters
    ----------
    report : ConcentrationReport
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
    report : ConcentrationReport
        The report.

    Returns
    -------
    str
        One ``div``.
    """
    return as_html(_description(report), _sections(report), _remarks(report))


def _description(report: Any) -> str:
    rows, inputs = (
        f"{number} {word}{'' if number == 1 else 's'}"
        for number, word in ((report.n_rows, "row"), (report.n_inputs, "input"))
    )
    start = f"symmetric start ({report.draws} draws)" if report.symmetric else "independent neurons"
    return f"{rows}, {inputs}; width {report.width}, {start}; weights of standard deviation {report.weight_scale:.3g}"


def _sections(report: Any) -> list[Section]:
    share = 100.0 * report.failure_probability
    least, middle, most = (_magnitude(float(value)) for value in report.log_relative_errors)
    norms = [
        ("norms of rows: least, median, largest", " ".join(f"{norm:.3g}" for norm in report.row_norms)),
        (f"largest exponent <w, x>, exceeded with probability {share:.3g} % at most", f"{report.largest_exponent:.3g}"),
        ("recommended factor of the rows", f"{report.row_scale:.3g}"),
    ]
    entries = [
        ("relative standard error, least", least),
        ("relative standard error, median", middle),
        ("relative standard error, largest: diagonal of the longest row", most),
        ("width at which that is 1 %", count(report.width_for(0.01))),
        ("standard errors can be measured", "no, tails are heavy" if report.is_heavy_tailed else "yes"),
        ("diagonal of the longest row: median over expectation, about", _magnitude(report.log_median_ratio)),
        ("root mean square of the Frobenius distance", _magnitude(report.log_error_norm)),
        ("the same, over the norm of the expectation", _magnitude(report.log_relative_error_norm)),
    ]
    expectation = [
        ("smallest eigenvalue", f"{report.smallest_eigenvalue:.4g}"),
        ("largest eigenvalue", f"{report.largest_eigenvalue:.4g}"),
        ("condition number", f"{report.condition:.4g}"),
    ]
    return [
        ("rows", norms),
        ("entries of the Gram matrix at this width", entries),
        ("expectation of the Gram matrix", expectation),
    ]


def _remarks(report: Any) -> list[str]:
    remarks = [f"Exponents: {report.verdict}.", f"Factor {report.row_scale:.3g}: {report.reason}."]
    if report.zero_rows:
        remarks.append(f"Zero rows: {report.zero_rows}, and each makes the matrix singular; append a constant feature.")
    if report.repeated_rows:
        remarks.append(f"Repeated rows: {report.repeated_rows}, and each makes the matrix singular; merge equal rows.")
    if report.is_frozen:
        remarks.append(
            "Frozen: the neurons that carry the expectation of the longest row have probably not been drawn, so that its "
            "diagonal entry is below its expectation in most networks, and far above it in a few."
        )
    return remarks


def _magnitude(log_value: float) -> str:
    """exp(log_value) in three digits, however large it is."""
    if abs(log_value) < 700.0 or not isfinite(log_value):
        return f"{exp(log_value):.3g}"
    power = floor(log_value / log(10.0))
    return f"{10.0 ** (log_value / log(10.0) - power):.3g}e{power:+d}"
