"""Random-feature networks beside scikit-learn's Ridge and MLP: the same data, the same folds, one result."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from underdetermined.crossvalidation import Score, cross_validate, make_splits, recorded_warnings, to_unit_scale
from underdetermined.estimators import RandomFeatureClassifier, RandomFeatureRegressor
from underdetermined.solution import Status
from underdetermined.tables import Table, Task, draw_rows, numeric_target

_MLP_MAX_ITER = 200  # the default of scikit-learn; more would overfit small tables


@dataclass(frozen=True)
class Fit:
    """One random-feature fit to all rows.

    Parameters
    ----------
    label : str
        ``"interpolating"`` or how the penalty was chosen.
    alpha : float
        Penalty used.
    width, rank : int
        Neurons, and numerical rank of the system.
    condition : float
        Condition number of the system, nan where the solver gives none.
    solver : str
        Rung of the ladder that gave the answer.
    status : Status
        How the solve ended.
    training_residual : float
        Norm of (targets - predictions) over the norm of (targets - their mean). For classes the targets are
        the indicators that the classifier fits.
    seconds : float
        Time of the fit, standardisation included.
    """

    label: str
    alpha: float
    width: int
    rank: int
    condition: float
    solver: str
    status: Status
    training_residual: float
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Parameters
    ----------
    table : Table
        The rows used.
    targets : ndarray of shape (n_rows,)
        Numbers or class labels, as they were fitted.
    task : {"regression", "classification"}
        What was fitted.
    fits : tuple of Fit
        The interpolating fit to all rows, and the one with the chosen penalty where that differs.
    scores : tuple of Score
        Cross-validation, in the order of `fits`, then Ridge and the MLP.
    pipeline : Pipeline
        Standardisation and the last network of `fits`, fitted to all rows.
    notes : tuple of str
        What a reader should know: rows left out, warnings, statuses with advice.
    """

    table: Table
    targets: np.ndarray
    task: Task
    fits: tuple[Fit, ...]
    scores: tuple[Score, ...]
    pipeline: Pipeline
    notes: tuple[str, ...]

    @property
    def metric(self) -> str:
        """Name of the score."""
        return "R2" if self.task == "regression" else "accuracy"

    @property
    def estimator(self) -> BaseEstimator:
        """The fitted network, last step of `pipeline`."""
        return self.pipeline[-1]

    @property
    def is_success(self) -> bool:
        """Whether every fit to all rows reached the accuracy it promises."""
        return all(fit.status.is_success for fit in self.fits)

    def to_dict(self) -> dict[str, Any]:
        """The result as numbers, strings, lists and dictionaries; predictions are left out.

        Returns
        -------
        dict
            Ready for `json.dumps`; numbers that are not finite become None.
        """
        estimator = self.estimator
        return {
            "source": self.table.source,
            "task": self.task,
            "target": self.table.target_name,
            "rows": self.table.inputs.shape[0],
            "inputs": self.table.inputs.shape[1],
            "classes": [str(label) for label in getattr(estimator, "classes_", ())] or None,
            "activation": str(estimator.activation),
            "seed": estimator.random_state,
            "fits": [
                {
                    "label": fit.label,
                    "alpha": _finite(fit.alpha),
                    "width": fit.width,
                    "rank": fit.rank,
                    "condition": _finite(fit.condition),
                    "solver": fit.solver,
                    "status": fit.status.value,
                    "training_residual": _finite(fit.training_residual),
                    "seconds": fit.seconds,
                }
                for fit in self.fits
            ],
            "metric": self.metric,
            "scores": [
                {
                    "label": score.label,
                    "settings": score.settings,
                    "mean": _finite(score.mean),
                    "spread": _finite(score.spread),
                    "folds": [_finite(value) for value in score.folds],
                    "seconds_per_fold": score.seconds,
                }
                for score in self.scores
            ],
            "notes": list(self.notes),
        }


def compare(
    table: Table,
    *,
    task: Task | None = None,
    activation: str = "relu",
    width: int | Literal["auto"] = "auto",
    alpha: float | Literal["loo"] = "loo",
    solver: str = "auto",
    folds: int = 5,
    random_state: int = 0,
    max_rows: int | None = None,
    progress: Callable[[str], object] = lambda line: None,
) -> Comparison:
    """Fit a random-feature network with and without a penalty, and cross-validate it beside Ridge and an MLP.

    Inputs are standardised within each training fold. Every model sees the same folds, shuffled by
    `random_state`; for classes they are stratified.

    Parameters
    ----------
    table : Table
        The data.
    task : {"regression", "classification"}, default=None
        What to fit; None reads it off the target, see `Table.task`.
    activation : str, default="relu"
        Activation of the hidden layer, by name.
    width : int or "auto", default="auto"
        Number of hidden neurons, at least 1.
    alpha : float or "loo", default="loo"
        Penalty of the second fit, at least 0; "loo" chooses it by leave-one-out. 0 means no second fit.
    solver : str, default="auto"
        Solver of both fits.
    folds : int, default=5
        Number of folds, at least 2; every fold needs two rows and every class one row per fold.
    random_state : int, default=0
        Seed of the hidden weights, the folds, the MLP and the choice of rows.
    max_rows : int, default=None
        Larger tables are reduced to this many rows, drawn at random. None keeps all.
    progress : callable, default=do nothing
        Called with one line of text before each piece of work.

    Returns
    -------
    Comparison
        Fits, scores, the fitted pipeline, and notes.

    Raises
    ------
    TableError
        If there are too few rows or too few of a class for the folds, or the target is constant.

    Notes
    -----
    Costs two fits to all rows and `folds` fits of each of four models. A toy fit comes first, so that no time
    contains the compilation of kernels.
    """
    table, drawn = draw_rows(table, max_rows, random_state)
    notes = list(drawn)
    task = task or table.task
    targets = _targets(table, task)
    splits = make_splits(targets, task, folds, random_state)

    progress("compile the kernels, once for all later fits")
    RandomFeatureRegressor(8, activation=activation, random_state=0).fit(table.inputs[:9], np.arange(len(targets[:9])))
    network = RandomFeatureRegressor if task == "regression" else RandomFeatureClassifier
    models: dict[str, tuple[str, BaseEstimator]] = {}
    penalties = [("interpolating", 0.0)] if alpha == 0 else [("interpolating", 0.0), (_label(alpha), alpha)]
    fits, pipelines = [], []
    for label, penalty in penalties:
        progress(f"fit to all {len(targets)} rows: {label}")
        model = network(width, activation=activation, alpha=penalty, solver=solver, random_state=random_state)
        pipeline = make_pipeline(StandardScaler(), model)
        with recorded_warnings(notes, label):
            start = perf_counter()
            fitted = clone(pipeline).fit(table.inputs, targets)
            seconds = perf_counter() - start
        fits.append(_fit_summary(label, fitted, table.inputs, targets, seconds))
        notes.extend(_advice(fits[-1]))
        pipelines.append(fitted)
        models[f"random features, {label}"] = (f"{activation}, width {width}, {_penalty_text(penalty)}", pipeline)
    models |= _reference_models(task, targets, random_state)

    scores = []
    for label, (settings, model) in models.items():
        score = cross_validate(
            model, table.inputs, targets, splits, label=label, settings=settings, task=task, progress=progress
        )
        scores.append(score)
        notes.extend(f"{label}: {note}" for note in score.notes)
    notes = list(dict.fromkeys(notes))
    return Comparison(table, targets, task, tuple(fits), tuple(scores), pipelines[-1], tuple(notes))


def _penalty_text(alpha: float | str) -> str:
    return "alpha by leave-one-out" if alpha == "loo" else f"alpha {alpha:g}"


def _label(alpha: float | str) -> str:
    return "leave-one-out" if alpha == "loo" else f"alpha {alpha:g}"


def _targets(table: Table, task: Task) -> np.ndarray:
    if task == "classification":
        if table.target.dtype.kind in "fiu" and np.all(table.target == np.round(table.target)):
            return table.target.astype(np.int64)
        return table.target.astype(str)
    return numeric_target(table)


def _reference_models(task: Task, targets: np.ndarray, random_state: int) -> dict[str, tuple[str, BaseEstimator]]:
    mlp_settings = f"100 relu units, Adam, at most {_MLP_MAX_ITER} epochs"
    if task == "classification":
        mlp = MLPClassifier(max_iter=_MLP_MAX_ITER, random_state=random_state)
        return {
            "RidgeClassifier": ("alpha 1", make_pipeline(StandardScaler(), RidgeClassifier())),
            "MLPClassifier": (mlp_settings, make_pipeline(StandardScaler(), mlp)),
        }
    # Adam's default step suits targets of unit scale: raw ones would make the MLP look worse than it is. StandardScaler
    # takes tiny targets for constant ones, so that a power of two goes first.
    exponent = -int(np.frexp(np.abs(targets).max())[1])
    unit = FunctionTransformer(
        _times_power, _times_power, kw_args={"exponent": exponent}, inv_kw_args={"exponent": -exponent}
    )
    mlp = TransformedTargetRegressor(
        MLPRegressor(max_iter=_MLP_MAX_ITER, random_state=random_state), transformer=make_pipeline(unit, StandardScaler())
    )
    return {
        "Ridge": ("alpha 1", make_pipeline(StandardScaler(), Ridge())),
        "MLPRegressor": (f"{mlp_settings}, standardised targets", make_pipeline(StandardScaler(), mlp)),
    }


def _times_power(values: np.ndarray, exponent: int) -> np.ndarray:
    return np.ldexp(values, exponent)


def _fit_summary(
    label: str, pipeline: Pipeline, inputs: np.ndarray, targets: np.ndarray, seconds: float
) -> Fit:
    estimator = pipeline[-1]
    solution = estimator.solution_
    if hasattr(estimator, "classes_"):
        indicators = (targets[:, np.newaxis] == estimator.classes_).astype(np.float64)
        fitted = indicators if indicators.shape[1] > 2 else 2.0 * indicators[:, 1] - 1.0
        values = pipeline.decision_function(inputs)
    else:
        fitted, values = targets, pipeline.predict(inputs)
    fitted, values = to_unit_scale(fitted, values)
    residual = np.linalg.norm(fitted - values) / np.linalg.norm(fitted - fitted.mean(axis=0))
    return Fit(
        label,
        float(estimator.alpha_),
        int(estimator.width_),
        int(estimator.rank_),
        float(estimator.condition_),
        str(solution.method),
        solution.status,
        float(residual),
        seconds,
    )


def _advice(fit: Fit) -> list[str]:
    usual = (Status.EXACT, Status.REGULARIZED, Status.CONVERGED)
    return [] if fit.status in usual else [f"{fit.label}: {fit.status.advice}"]


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
