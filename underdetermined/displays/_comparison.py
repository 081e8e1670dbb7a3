"""One figure from a comparison: predictions out of fold, and how the network was fitted."""

from __future__ import annotations

from typing import Any

from sklearn.metrics import ConfusionMatrixDisplay, PredictionErrorDisplay

from underdetermined._compat import check_matplotlib_support
from underdetermined.comparison import Comparison, SparseComparison
from underdetermined.displays._leave_one_out import LeaveOneOutDisplay
from underdetermined.displays._sparsity import SparsityDisplay

_FONT_SIZE = 14
_LONGEST_LABEL = 16


def draw_comparison(comparison: Comparison | SparseComparison) -> Any:
    """Draw predictions against the truth, and beside them the leave-one-out path or the training.

    Parameters
    ----------
    comparison : Comparison or SparseComparison
        What `underdetermined.comparison.compare` or `underdetermined.comparison.compare_sparse` returned.

    Returns
    -------
    matplotlib Figure
        Left, for each row the prediction of the model that has not seen it: a scatter plot for regression, a
        confusion matrix for classes. Right, the leave-one-out error against the penalty, if it was chosen so; for a
        sparse network its loss and active fraction at every step.

    Notes
    -----
    The figure belongs to no window: save it with its ``savefig``.
    """
    check_matplotlib_support("draw_comparison")
    import matplotlib
    from matplotlib.figure import Figure

    is_sparse = isinstance(comparison, SparseComparison)
    has_path = getattr(comparison.estimator, "loo_path_", None) is not None
    score = comparison.shown_score
    with matplotlib.rc_context({"font.size": _FONT_SIZE, "axes.titlesize": _FONT_SIZE}):
        figure = Figure(figsize=(13 if has_path or is_sparse else 7, 7.6 if is_sparse else 5.8), layout="constrained")
        panels = figure.subplot_mosaic("LA;LB" if is_sparse else "LR" if has_path else "L")
        _draw_predictions(comparison, panels["L"])
        metric = comparison.metric.replace("R2", "R\u00b2")
        panels["L"].set_title(f"{score.label}\nout of fold, {metric} {score.mean:.3f}")
        if is_sparse:
            panels["A"].sharex(panels["B"])
            SparsityDisplay.from_estimator(comparison.estimator, ax=[panels["A"], panels["B"]])
        elif has_path:
            LeaveOneOutDisplay.from_estimator(comparison.estimator, ax=panels["R"])
            panels["R"].set_title(f"{comparison.table.source}: choice of the penalty\nwithout refits")
    return figure


def _short(label: str) -> str:
    """The name of a class, cut where it would leave no room for the matrix."""
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1] + "\u2026"


def _draw_predictions(comparison: Comparison | SparseComparison, ax: Any) -> None:
    from matplotlib import ticker

    predictions = comparison.shown_score.predictions
    if comparison.task == "classification":
        labels = [_short(str(label)) for label in comparison.estimator.classes_]
        ConfusionMatrixDisplay.from_predictions(
            comparison.targets,
            predictions,
            display_labels=labels,
            ax=ax,
            cmap="Blues",
            colorbar=False,
            xticks_rotation="vertical" if max(map(len, labels)) * len(labels) > 40 else "horizontal",
        )
        return
    PredictionErrorDisplay.from_predictions(
        comparison.targets,
        predictions,
        kind="actual_vs_predicted",
        subsample=2000,
        random_state=0,
        ax=ax,
        scatter_kwargs={"color": "#0072B2", "alpha": 0.5},
        line_kwargs={"color": "#D55E00", "linewidth": 2},
    )
    for axis in (ax.xaxis, ax.yaxis):  # scikit-learn puts ticks at the extremes, which reads as 105.2, 185.5
        axis.set_major_locator(ticker.MaxNLocator(6))
        axis.set_major_formatter(ticker.ScalarFormatter())
    ax.set(xlabel=f"predicted {comparison.table.target_name}", ylabel=f"true {comparison.table.target_name}")
