"""Results as aligned plain text, at most 100 columns wide."""

import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from underdetermined._layout import WIDTH, align, bullets, wrap
from underdetermined.comparison import Comparison, ExponentialComparison, SparseComparison, TwoLayerComparison
from underdetermined.comparison._certified import CertifiedComparison
from underdetermined.comparison._result import CrossValidated
from underdetermined.doctor import Diagnosis

__all__ = ["align", "bullets", "format_comparison", "format_diagnosis"]


def format_comparison(comparison: CrossValidated) -> str:
    """A comparison as the text that ``underdetermined fit`` prints.

    Parameters
    ----------
    comparison : Comparison, SparseComparison, ExponentialComparison or TwoLayerComparison
        What a function of `underdetermined.comparison` returned.

    Returns
    -------
    str
        Several lines, without a line break at the end.
    """
    table = comparison.table
    n_rows, n_inputs = table.inputs.shape
    task: str = comparison.task
    if task == "classification":
        task += f" into {len(comparison.estimator.classes_)} classes"
    kind, fits = _FITS[type(comparison)](comparison)
    parts = [
        f"{table.source}: {task} of {table.target_name!r}, {n_rows} rows, {n_inputs} inputs, {kind}",
        *fits,
        _scores(comparison),
        "residual: norm of the training errors over the norm of the centred targets\n"
        "seconds: of one fit, of one fold with its predictions; kernels were compiled before",
    ]
    if comparison.notes:
        parts.append("notes\n" + bullets(comparison.notes))
    return "\n\n".join(parts)


def _scores(comparison: CrossValidated) -> str:
    """A table of the cross-validation; settings that would go beyond the width have several lines."""
    folds = len(comparison.scores[0].folds)
    numbers = [(f"{folds}-fold cross-validation", comparison.metric, "std", "seconds")]
    numbers += [
        (score.label, f"{score.mean:.3f}", f"{score.spread:.3f}", f"{score.seconds:.3f}") for score in comparison.scores
    ]
    room = WIDTH - len(align(numbers, left=(0,)).partition("\n")[0]) - 2
    rows = []
    for cells, settings in zip(numbers, ("settings", *(score.settings for score in comparison.scores)), strict=True):
        first, *more = textwrap.wrap(settings, room, break_on_hyphens=False)
        rows += [(*cells, first), *(("", "", "", "", line) for line in more)]
    return align(rows, left=(0, 4))


def _random_fits(comparison: Comparison) -> tuple[str, list[str]]:
    """What the network is, and a table of its fits."""
    fits = [
        (
            fit.label,
            f"{fit.alpha:.3g}",
            str(fit.width),
            str(fit.rank),
            f"{fit.condition:.1e}",
            fit.solver,
            f"{fit.training_residual:.1e}",
            f"{fit.seconds:.2f}",
        )
        for fit in comparison.fits
    ]
    head = ("fit to all rows", "alpha", "width", "rank", "condition", "solver", "residual", "seconds")
    return f"activation {comparison.estimator.activation}", [align([head, *fits], left=(0, 5))]


def _sparse_fit(comparison: SparseComparison) -> tuple[str, list[str]]:
    """What the network is, a table of its fit, and how it was trained."""
    network = comparison.estimator
    run = network.trajectory_
    width = network.feature_map_.width
    head = ("fit to all rows", "width", "bias", "steps", "residual", "seconds")
    fit = (
        comparison.scores[0].label,
        str(width),
        f"{network.bias_:.3g}",
        str(run.n_iter),
        f"{comparison.training_residual:.1e}",
        f"{comparison.seconds:.2f}",
    )
    facts = [
        ("active pairs", f"{run.active_fraction[0]:.2%} at the start, {run.active_fraction[-1]:.2%} at the end"),
        ("live neurons", f"{run.n_live[-1]} of {width}; one that is active on no row never moves again"),
        ("learning rate", _first_and_last(run.learning_rate)),
        ("strategy", f"{run.strategy}. {run.reason}"),
        ("certificate", comparison.certificate_text),
    ]
    return "sparse ReLU network", [align([head, fit], left=(0,)), _facts(facts)]


def _exponential_fit(comparison: ExponentialComparison) -> tuple[str, list[str]]:
    """What the network is, a table of its fit, and how it was trained."""
    own = [("row scale", f"{comparison.estimator.row_scale_:.3g}")]
    return "network of exponentials", _certified_fit(comparison, own, [])


def _two_layer_fit(comparison: TwoLayerComparison) -> tuple[str, list[str]]:
    """What the network is, a table of its fit, and how it was trained."""
    network = comparison.estimator
    kept = [("early stopping", comparison.validation_text)] if network.early_stopping else []
    more = [*kept, ("laziness", comparison.laziness_text)]
    own = [("activation", str(network.activation)), ("alpha", f"{network.alpha_:.3g}")]
    return "two-layer network", _certified_fit(comparison, own, more)


def _certified_fit(
    comparison: CertifiedComparison, own: Sequence[tuple[str, str]], more: Sequence[tuple[str, str]]
) -> list[str]:
    """A table of the fit, with columns of its own, and how the network was trained, with facts of its own at the end."""
    network = comparison.estimator
    run = network.trajectory_
    cells = [
        ("fit to all rows", comparison.scores[0].label),
        ("width", str(network.feature_map_.width)),
        *own,
        ("solver", network.solver),
        ("steps", str(run.n_iter)),
        ("residual", f"{comparison.training_residual:.1e}"),
        ("seconds", f"{comparison.seconds:.2f}"),
    ]
    head, fit = zip(*cells, strict=True)
    is_descent = network.solver != "gauss-newton"
    penalty = ", with the penalty" if network.alpha else ""
    facts = [
        ("loss", f"{run.value[0]:.3g} at the start, {run.value[-1]:.3g} at the end{penalty}"),
        ("outcome", comparison.outcome_text),
        ("learning rate" if is_descent else "damping", _first_and_last(run.learning_rate if is_descent else run.damping)),
        ("steps taken back", str(run.n_rejected)),
        ("certificate", comparison.certificate_text),
        *more,
    ]
    words = [column for column, name in enumerate(head) if name in ("fit to all rows", "activation", "solver")]
    return [align([head, fit], left=words), _facts(facts)]


# What the network is, and what there is to tell of its fit, for each kind of comparison.
_FITS: dict[type, Callable[[Any], tuple[str, list[str]]]] = {
    Comparison: _random_fits,
    SparseComparison: _sparse_fit,
    ExponentialComparison: _exponential_fit,
    TwoLayerComparison: _two_layer_fit,
}


def _first_and_last(values: Sequence[float]) -> str:
    """The first of some numbers, and the last where it differs."""
    if not len(values):
        return "none"
    return f"{values[0]:.3g}" + (f", at the end {values[-1]:.3g}" if values[-1] != values[0] else "")


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    """Names, and beside each one a text that is wrapped."""
    indent = max(len(name) for name, _ in facts) + 2
    return "\n".join(wrap(text, name.ljust(indent), " " * indent) for name, text in facts)


def format_diagnosis(diagnosis: Diagnosis) -> str:
    """A diagnosis as the text that ``underdetermined doctor`` prints.

    Parameters
    ----------
    diagnosis : Diagnosis
        What `underdetermined.doctor.examine` returned.

    Returns
    -------
    str
        Several lines, without a line break at the end.
    """
    memory = "unknown" if diagnosis.memory is None else f"{diagnosis.memory / 2**30:.1f} GiB available"
    cache = "none" if not diagnosis.cache else diagnosis.cache
    if diagnosis.cache:
        cache += " (writable)" if diagnosis.cache_writable else " (NOT writable)"
    facts = [
        *diagnosis.versions.items(),
        ("processor", f"{diagnosis.processor}, {diagnosis.cores} cores for this process"),
        ("instructions", " ".join(diagnosis.instructions)),
        ("memory", memory),
    ]
    for library in diagnosis.blas:
        facts.append(
            (
                "BLAS",
                f"{library.name} {library.version} for {library.architecture}, {library.threads} threads",
            )
        )
        facts.append(("", library.file))
    facts.append(("kernel cache", cache))
    advice = bullets(diagnosis.advice or ("nothing to improve",))
    return f"{align(facts, left=(0, 1))}\n\nadvice\n{advice}"
