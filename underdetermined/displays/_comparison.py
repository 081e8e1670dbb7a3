"""One figure from a comparison: predictions out of fold, and how the network was fitted."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import ConfusionMatrixDisplay, PredictionErrorDisplay

from underdetermined._compat import check_matplotlib_support
from underdetermined.comparison import SparseComparison
from underdetermined.comparison._certified import CertifiedComparison
from underdetermined.comparison._result import CrossValidated
from underdetermined.displays._leave_one_out import LeaveOneOutDisplay
from underdetermined.displays._sparsity import SparsityDisplay
from underdetermined.displays._sparsity_axes import scale_steps
from underdetermined.displays._width_axes import label_decades

_FONT_SIZE = 14
_LONGEST_LABEL = 16
_FEW = 40  # steps that are marked one by one
_RANGE = 1e34  # a loss further than this from its start is rounding
_SOLVERS = {"gd": "gradient descent", "gauss-newton": "Gauss-Newton", "heavy-ball": "heavy ball"}


def draw_comparison(comparison: CrossValidated) -> Any:
    """Draw predictions against the truth, and beside them the leave-one-out path or the training.

    Parameters
    ----------
    comparison : Comparison, SparseComparison, ExponentialComparison or TwoLayerComparison
        What a function of `underdetermined.comparison` returned.

    Returns
    -------
    matplotlib Figure
        Left, for each row the prediction of the model that has not seen it: a scatter plot for regression, a
        confusion matrix for classes. Right, the leave-one-out error against the penalty, if it was chosen so; for a
        sparse network its loss and active fraction at every step, for a network of exponentials or with both layers
        trained the loss and its gradient.

    Notes
    -----
    The figure belongs to no window: save it with its ``savefig``.
    """
    check_matplotlib_support("draw_comparison")
    import matplotlib
    from matplotlib.figure import Figure

    is_sparse = isinstance(comparison, SparseComparison)
    is_certified = isinstance(comparison, CertifiedComparison)
    has_path = getattr(comparison.estimator, "loo_path_", None) is not None
    score = comparison.shown_score
    with matplotlib.rc_context({"font.size": _FONT_SIZE, "axes.titlesize": _FONT_SIZE}):
        is_wide = has_path or is_sparse or is_certified
        figure = Figure(figsize=(13 if is_wide else 7, 7.6 if is_sparse else 5.8), layout="constrained")
        panels = figure.subplot_mosaic("LA;LB" if is_sparse else "LR" if is_wide else "L")
        _draw_predictions(comparison, panels["L"])
        metric = comparison.metric.replace("R2", "R\u00b2")
        panels["L"].set_title(f"{score.label}\nout of fold, {metric} {score.mean:.3f}")
        if is_sparse:
            panels["A"].sharex(panels["B"])
            SparsityDisplay.from_estimator(comparison.estimator, ax=[panels["A"], panels["B"]])
        elif is_certified:
            _draw_training(comparison.estimator, panels["R"])
            panels["R"].set_title(f"{comparison.table.source}: training\nby {_SOLVERS[comparison.estimator.solver]}")
        elif has_path:
            LeaveOneOutDisplay.from_estimator(comparison.estimator, ax=panels["R"])
            panels["R"].set_title(f"{comparison.table.source}: choice of the penalty\nwithout refits")
    return figure


def _draw_training(network: Any, ax: Any) -> None:
    """The loss and the norm of its gradient at every step, relative to those at the start."""
    from matplotlib.ticker import MaxNLocator

    run = network.trajectory_
    steps = np.arange(len(run.value))
    is_short = len(steps) <= _FEW
    curves = [
        ("loss" + ", with the penalty" * bool(network.alpha), run.value, "#0072B2", "-", "o"),
        ("norm of its gradient", run.gradient_norm, "#D55E00", "--", "s"),
    ]
    scores = getattr(network, "validation_scores_", None)
    if scores is not None:
        errors = 1.0 - np.where(np.isfinite(scores), scores, np.nan)
        curves.append(("squared error, rows left out", errors, "#009E73", "-.", "^"))
    for label, values, color, line, marker in curves:
        heights = (values / (values[0] or 1.0)).clip(1.0 / _RANGE)
        style = {"color": color, "linestyle": line, "linewidth": 2, "marker": marker if is_short else ""}
        ax.plot(steps[: len(heights)], heights, label=label, **style)
    if scores is not None:
        ax.axvline(network.best_iter_, color="0.4", linestyle=":", linewidth=2, label="step that was kept")
    ax.set(yscale="log", xlabel="step", ylabel="relative to the start")
    label_decades(ax.yaxis)
    if is_short:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        scale_steps(ax, len(steps))
    ax.legend(fontsize="small")


def _short(label: str) -> str:
    """The name of a class, cut where it would leave no room for the matrix."""
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1] + "\u2026"


def _draw_predictions(comparison: CrossValidated, ax: Any) -> None:
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
