"""Results as aligned plain text, at most 100 columns wide."""

from underdetermined._layout import align, bullets
from underdetermined.comparison import Comparison
from underdetermined.doctor import Diagnosis

__all__ = ["align", "bullets", "format_comparison", "format_diagnosis"]


def format_comparison(comparison: Comparison) -> str:
    """A comparison as the text that ``underdetermined fit`` prints.

    Parameters
    ----------
    comparison : Comparison
        What `underdetermined.comparison.compare` returned.

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
    folds = len(comparison.scores[0].folds)
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
    scores = [
        (score.label, f"{score.mean:.3f}", f"{score.spread:.3f}", f"{score.seconds:.3f}", score.settings)
        for score in comparison.scores
    ]
    parts = [
        f"{table.source}: {task} of {table.target_name!r}, {n_rows} rows, {n_inputs} inputs, "
        f"activation {comparison.estimator.activation}",
        align(
            [
                ("fit to all rows", "alpha", "width", "rank", "condition", "solver", "residual", "seconds"),
                *fits,
            ],
            left=(0, 5),
        ),
        align(
            [(f"{folds}-fold cross-validation", comparison.metric, "std", "seconds", "settings"), *scores],
            left=(0, 4),
        ),
        "residual: norm of the training errors over the norm of the centred targets\n"
        "seconds: of one fit, of one fold with its predictions; kernels were compiled before",
    ]
    if comparison.notes:
        parts.append("notes\n" + bullets(comparison.notes))
    return "\n\n".join(parts)


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
