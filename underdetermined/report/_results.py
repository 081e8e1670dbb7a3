"""The sections on the width and on the scores, and the last lines of the page."""

from __future__ import annotations

from underdetermined.comparison import Comparison, Fit
from underdetermined.crossvalidation import Score
from underdetermined.report._html import Cell, Markup, lead, notes, number, remark, table, warning
from underdetermined.study import EPSILON, FAILURE_PROBABILITY, Study, WidthStudy


def width_section(study: Study, figure: str) -> str:
    """How many neurons: bounds against the measured width.

    Parameters
    ----------
    study : Study
        The study; its widths are there.
    figure : str
        The picture.

    Returns
    -------
    str
    """
    found = study.width
    assert found is not None
    return "\n".join(
        [
            lead(
                "Wide enough means here: with probability "
                f"{1 - FAILURE_PROBABILITY:.0%} over the random weights, no eigenvalue of the feature Gram matrix falls "
                f"below {1 - EPSILON:.0%} of the smallest one at infinite width, so that every attainable target is fitted, "
                f"and stably. {_measured(found)}"
            ),
            figure,
            found.minimum._repr_html_(),
        ]
    )


def _measured(found: WidthStudy) -> str:
    empirical = found.empirical
    if empirical is None:
        return "The smallest eigenvalue is not resolved in floating point on these rows, so no experiment was made."
    if empirical.width is None:
        return f"In the experiment no width up to {empirical.max_width:,} was enough."
    interval = empirical.as_bound().interval
    between = "" if interval is None else f" (between {interval[0]:,} and {interval[1]:,})"
    return f"In an experiment with {empirical.n_seeds} networks a width, {empirical.width:,} neurons were enough{between}."


def scores_section(study: Study, figure: str) -> str:
    """Fit to all rows, and cross-validation beside scikit-learn's models.

    Parameters
    ----------
    study : Study
        The study; its scores are there.
    figure : str
        The picture.

    Returns
    -------
    str
    """
    comparison = study.scores
    assert comparison is not None
    folds = len(comparison.scores[0].folds)
    means = [score.mean for score in comparison.scores]
    best = means.index(max(means))
    metric = comparison.metric.replace("R2", "R\u00b2")
    heading = ("model", f"mean {metric}", "std", "", "seconds", "settings")
    return "\n".join(
        [
            lead(
                f"{folds}-fold cross-validation on {len(comparison.targets):,} rows, the same folds for every model. "
                f"Best mean {metric}: {comparison.scores[best].label}."
            ),
            table(heading, [_score(score) for score in comparison.scores], left=(0, 3, 5), wrap=(5,), best=best),
            figure,
            "<h3>The networks fitted to all rows</h3>",
            table(
                ("fit", "alpha", "width", "rank", "condition", "solver", "training residual", "seconds"),
                [_fit(fit) for fit in comparison.fits],
                left=(0, 5),
            ),
            *_chosen_width(comparison),
            notes(comparison.notes),
            remark("Seconds are those of one fold, or of one fit; kernels were compiled before."),
        ]
    )


def _score(score: Score) -> tuple[Cell, ...]:
    share = 100 * min(max(score.mean, 0.0), 1.0)
    bar = Markup(f'<span class="bar"><i style="width:{share:.1f}%"></i></span>')
    mean = f"{score.mean:.3f}".replace("-", "\u2212")
    return (score.label, mean, f"{score.spread:.3f}", bar, f"{score.seconds:.3f}", score.settings)


def _fit(fit: Fit) -> tuple[Cell, ...]:
    return (
        fit.label,
        number(fit.alpha),
        f"{fit.width:,}",
        f"{fit.rank:,}",
        number(fit.condition),
        fit.solver,
        number(fit.training_residual, 2),
        f"{fit.seconds:.2f}",
    )


def _chosen_width(comparison: Comparison) -> list[str]:
    bound = getattr(comparison.estimator, "width_bound_", None)
    return [] if bound is None else [remark(f"Why this width ({bound.name}, {bound.kind}): {bound.statement}")]


def footer(study: Study) -> str:
    """Versions, seed and seconds.

    Parameters
    ----------
    study : Study
        The study.

    Returns
    -------
    str
    """
    took = [(name, f"{seconds:.1f}") for name, seconds in study.seconds.items()]
    took.append(("all", f"{sum(study.seconds.values()):.1f}"))
    return "\n".join(
        [
            lead(f"Everything random was drawn with seed {study.random_state}."),
            '<div class="beside">',
            table(("section", "seconds"), took),
            table(("library", "version"), list(study.versions.items()), left=(0, 1)),
            "</div>",
        ]
    )


def missing_section(study: Study, name: str) -> str:
    """Why a section is not there.

    Parameters
    ----------
    study : Study
        The study.
    name : str
        The section.

    Returns
    -------
    str
    """
    return warning(f"Not computed: {study.problems[name]}")
