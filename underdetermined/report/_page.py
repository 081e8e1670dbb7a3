"""The page: head, findings, sections, and how to get each number again."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from underdetermined.displays._study import draw_study, encode_figure
from underdetermined.report._html import picture, remark
from underdetermined.report._results import footer, missing_section, scores_section, width_section
from underdetermined.report._sections import attainability_section, data_section, descent_section, spectra_section
from underdetermined.report._style import STYLE
from underdetermined.study import Study, findings

# Nothing is fetched and nothing is run, even if a column is named like a script.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

_TITLES = {
    "data": "Data",
    "attainability": "Which targets can be fitted",
    "spectra": "Activations by their spectra",
    "descent": "Gradient descent, forecast and run",
    "width": "How many neurons",
    "scores": "Scores beside scikit-learn",
    "made": "How this was made",
}
_WITHOUT_FIGURE: dict[str, Callable[[Study], str]] = {"data": data_section, "attainability": attainability_section}
_WITH_FIGURE: dict[str, Callable[[Study, str], str]] = {
    "spectra": spectra_section,
    "descent": descent_section,
    "width": width_section,
    "scores": scores_section,
}
_PICTURES = {
    "spectra": (
        "wide",
        "Eigenvalues of the kernel of each activation against their number",
        "Eigenvalues (blue) of each activation's kernel, all others in grey; the cut-off below which rounding hides them "
        "(dashed); and how much of the target lies in the leading eigenvectors (orange).",
    ),
    "descent": (
        "small",
        "Forecast and measured loss against the number of steps",
        "The forecast loss (line) and the measured one (rings): along the leading eigenvectors it falls early, along the "
        "others late.",
    ),
    "width": (
        "small",
        "Smallest eigenvalue of random networks against their width, with the bounds",
        "Smallest eigenvalue of the feature Gram relative to its value at infinite width, over random networks, with the "
        "bounds marked.",
    ),
    "scores": (
        "",
        "Predictions out of fold, and the leave-one-out error against the penalty",
        "Predictions of models that have not seen the row, and the leave-one-out error against the penalty where that was "
        "chosen.",
    ),
}


def report_html(study: Study) -> str:
    """Render a study as one self-contained HTML page.

    Parameters
    ----------
    study : Study
        What `underdetermined.study.study` returned.

    Returns
    -------
    str
        A page that needs no network: images are inline, and there are no scripts. It adapts to a phone, to a dark screen
        and to paper.

    Raises
    ------
    ImportError
        If matplotlib is missing.

    Notes
    -----
    About 1 MB. Every text of the table (names of columns and classes, the path) is escaped.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.report import report_html
    >>> from underdetermined.study import study
    >>> from underdetermined.tables import Table
    >>> x = np.arange(12.0)[:, np.newaxis]
    >>> page = report_html(study(Table(x, np.sin(x[:, 0]), ("x",), "sin x", "a wave")))
    >>> page[:15], "<h1>a wave" in page
    ('<!DOCTYPE html>', True)
    """
    figures = draw_study(study)
    found = findings(study)
    name = escape(Path(study.table.source).name or study.table.source)
    cards = "".join(
        f'<div><dt>{escape(figure.label)}</dt><dd class="value">{escape(figure.value)}</dd>'
        f'<dd class="detail">{escape(figure.detail)}</dd></div>'
        for figure in found.figures
    )
    links = "".join(f'<a href="#{key}">{title}</a>' for key, title in _TITLES.items())
    sections = "\n".join(_section(study, key, figures) for key in _TITLES)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="underdetermined {escape(study.versions["underdetermined"])}">
<title>{name}: how many random neurons, and what they learn</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<p class="kicker">{escape(study.task)} &middot; {escape(study.activation)} &middot; underdetermined</p>
<h1>{name}: what a wide random layer can fit, and how many neurons it takes</h1>
<p class="sentence">{escape(found.sentence)}</p>
<dl class="figures">{cards}</dl>
<nav aria-label="Sections">{links}</nav>
</header>
<main>
{sections}
</main>
<footer><p>Made by underdetermined {escape(study.versions["underdetermined"])}. This page is complete: it loads nothing.</p>
</footer>
</body>
</html>
"""


def _section(study: Study, key: str, figures: dict[str, Any]) -> str:
    if key in study.problems:
        content = missing_section(study, key)
    elif key == "made":
        content = footer(study)
    elif key in _WITHOUT_FIGURE:
        content = (_rows_used(study, key) if key == "attainability" else "") + _WITHOUT_FIGURE[key](study)
    else:
        kind, text, caption = _PICTURES[key]
        address, *size = encode_figure(figures[key])
        shown = picture(address, (size[0], size[1]), text, caption, kind=kind)
        content = _rows_used(study, key) + _WITH_FIGURE[key](study, shown)
    return f'<section id="{key}"><h2>{_TITLES[key]}</h2>\n{content}\n{_reproduce(study, key)}</section>'


def _rows_used(study: Study, key: str) -> str:
    """Say where a part of the rows stands for all of them."""
    n_rows = study.attainability[0].n_rows if key == "attainability" else study.n_rows
    if key == "scores" or n_rows == study.data.n_rows:
        return ""
    return remark(f"Computed on {n_rows:,} of the {study.data.n_rows:,} rows, drawn at random.")


def _reproduce(study: Study, key: str) -> str:
    if key not in study.snippets:
        return ""
    return (
        f"<details><summary>The same numbers in Python</summary><pre><code>{escape(str(study.snippets[key]))}</code></pre>"
        "</details>"
    )
