"""What a study found, in one sentence and a few figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isinf

from underdetermined.study._result import Study

_SUPERSCRIPTS = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")
_NEGLIGIBLE = 1e-10  # of the norm of the target: rounding of a projection


@dataclass(frozen=True)
class Finding:
    """One figure that a reader should see first.

    Parameters
    ----------
    label : str
        What it is.
    value : str
        The figure.
    detail : str
        What it means, in a few words.
    """

    label: str
    value: str
    detail: str


@dataclass(frozen=True)
class Findings:
    """What a study found.

    Parameters
    ----------
    sentence : str
        The result in one sentence.
    figures : tuple of Finding
        The figures behind it.
    """

    sentence: str
    figures: tuple[Finding, ...]


def findings(study: Study) -> Findings:
    """Say in one sentence and a few figures what a study found.

    Parameters
    ----------
    study : Study
        The study.

    Returns
    -------
    Findings
        Only of the sections that could be computed.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.study import findings, study
    >>> from underdetermined.tables import Table
    >>> x = np.arange(12.0)[:, np.newaxis]
    >>> findings(study(Table(x, np.sin(x[:, 0]), ("x",), "sin x", "a wave"))).figures[0].value
    '12 of 12'
    """
    clauses = [*_attainable_clause(study), *_width_clause(study), *_score_clause(study)]
    sentence = "; ".join(clauses) + "."
    return Findings(sentence[0].upper() + sentence[1:], tuple(_figures(study)))


def _attainable_clause(study: Study) -> Iterator[str]:
    found, lost = study.attainability[0], study.lost[0]
    rows = f"{whole(found.n_rows)} rows" + ("" if found.n_rows == study.data.n_rows else " drawn for it")
    if not found.deficiency:
        yield f"a wide enough {study.activation} layer fits every target on the {rows}"
    elif lost <= _NEGLIGIBLE:
        yield f"a wide enough {study.activation} layer fits this target on the {rows}, though not every target"
    else:
        yield f"{percent(lost)} of the target (in norm) can never be fitted on the {rows}, whatever the width"


def _width_clause(study: Study) -> Iterator[str]:
    if study.width is None:
        return
    recommended = study.width.minimum.recommended
    empirical = study.width.empirical
    if empirical is not None and empirical.width is not None:
        ratio = empirical.width / empirical.n_rows
        part = "" if study.n_rows == study.data.n_rows else f" on {study.n_rows} of them"
        yield f"in an experiment{part} {whole(empirical.width)} random neurons are wide enough, {ratio:.2g} for each row"
    elif recommended.width is not None:
        yield f"{whole(recommended.width)} random neurons are recommended ({recommended.kind})"


def _score_clause(study: Study) -> Iterator[str]:
    if study.scores is None:
        return
    n_fits = len(study.scores.fits)
    network = max(study.scores.scores[:n_fits], key=lambda score: score.mean)
    others = " and ".join(f"{score.label} {_score(score.mean)}" for score in study.scores.scores[n_fits:])
    kind = network.label.rpartition(", ")[2]
    metric = study.scores.metric.replace("R2", "R\u00b2")
    yield f"cross-validated {metric} is {_score(network.mean)} for random features ({kind}), {others}"


def _figures(study: Study) -> Iterator[Finding]:
    found = study.attainability[0]
    conditions = "every target can be fitted"
    if found.deficiency:
        count = "one condition" if found.deficiency == 1 else f"{found.deficiency} conditions"
        conditions = f"{count} on the targets; {percent(study.lost[0])} of this one is lost"
    yield Finding("attainable dimensions", f"{whole(found.rank)} of {whole(found.n_rows)}", conditions)
    if study.spectra is not None and study.spectra.best is not None:
        best = study.spectra.best
        condition = best.attainable_condition
        detail = "" if condition is None else f"condition {scientific(condition)} at infinite width"
        yield Finding("best conditioned", best.activation, detail)
    if study.descent is not None:
        tolerance, steps = study.descent.steps[1]
        value = "never" if isinf(steps) else whole(steps)
        yield Finding("gradient steps", value, f"to a residual of {tolerance:.0%}, {study.activation}, last layer")
    if study.width is not None:
        yield from _width_figure(study)
    if study.scores is not None:
        metric = study.scores.metric.replace("R2", "R\u00b2")
        best_score = max(study.scores.scores, key=lambda score: score.mean)
        yield Finding(metric, _score(best_score.mean), f"{best_score.label}, cross-validated")


def _width_figure(study: Study) -> Iterator[Finding]:
    assert study.width is not None
    recommended, empirical = study.width.minimum.recommended, study.width.empirical
    if empirical is not None and empirical.width is not None:
        interval = empirical.as_bound().interval
        between = "" if interval is None else f", {whole(interval[0])} to {whole(interval[1])}"
        yield Finding("neurons, measured", whole(empirical.width), f"for {empirical.n_rows} rows{between}")
    elif recommended.width is not None:
        yield Finding("neurons", whole(recommended.width), f"recommended ({recommended.name})")


def _score(value: float) -> str:
    return f"{value:.3f}".replace("-", "\u2212")


def whole(value: float) -> str:
    """A count: digits in groups of three below ten million, else two digits and a power of ten.

    Parameters
    ----------
    value : float
        The count.

    Returns
    -------
    str
        With commas between the groups.
    """
    return f"{value:,.0f}" if value < 1e7 else scientific(float(value))


def scientific(value: float) -> str:
    """A number with two digits, and a power of ten if it is large or small.

    Parameters
    ----------
    value : float
        The number.

    Returns
    -------
    str
        Such as 9.6·10³.
    """
    mantissa, exponent = f"{value:.1e}".split("e")
    if 0 <= int(exponent) < 3:
        return f"{value:.2g}" if int(exponent) < 2 else f"{value:.0f}"
    return f"{mantissa}\u00b710{str(int(exponent)).translate(_SUPERSCRIPTS)}"


def percent(share: float) -> str:
    """A share in percent, with two or three digits.

    Parameters
    ----------
    share : float
        From 0 to 1.

    Returns
    -------
    str
        Below a tenth of a thousandth, "less than 0.01%".
    """
    if share < 1e-4:
        return "less than 0.01%"
    return (f"{100 * share:.0f}" if share >= 0.1 else f"{100 * share:.2g}") + "%"
