"""Random-feature networks beside scikit-learn's Ridge and MLP: the same data, the same folds, one result."""

from dataclasses import dataclass
from typing import Any, Literal, Unpack

from sklearn.pipeline import Pipeline

from underdetermined.comparison._models import training_residual
from underdetermined.comparison._result import CrossValidated, finite
from underdetermined.comparison._trial import Models, Trial, TrialOptions
from underdetermined.crossvalidation import Score
from underdetermined.estimators import RandomFeatureClassifier, RandomFeatureRegressor
from underdetermined.solution import Status
from underdetermined.tables import Table


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
class Comparison(CrossValidated):
    """What `compare` found.

    Parameters
    ----------
    table : Table
        The rows used.
    targets : ndarray of shape (n_rows,)
        Numbers or class labels, as they were fitted.
    task : {"regression", "classification"}
        What was fitted.
    scores : tuple of Score
        Cross-validation, in the order of `fits`, then Ridge and the MLP.
    pipeline : Pipeline
        Standardisation and the last network of `fits`, fitted to all rows.
    notes : tuple of str
        What a reader should know: rows left out, warnings, statuses with advice.
    fits : tuple of Fit
        The interpolating fit to all rows, and the one with the chosen penalty where that differs.
    """

    fits: tuple[Fit, ...]

    @property
    def is_success(self) -> bool:
        """Whether every fit to all rows reached the accuracy it promises."""
        return all(fit.status.is_success for fit in self.fits)

    @property
    def shown_score(self) -> Score:
        """Score of the network in `pipeline`."""
        return self.scores[len(self.fits) - 1]

    def to_dict(self) -> dict[str, Any]:
        """The result as numbers, strings, lists and dictionaries; predictions are left out.

        Returns
        -------
        dict
            Ready for `json.dumps`; numbers that are not finite become None.
        """
        fits = [
            {
                "label": fit.label,
                "alpha": finite(fit.alpha),
                "width": fit.width,
                "rank": fit.rank,
                "condition": finite(fit.condition),
                "solver": fit.solver,
                "status": fit.status.value,
                "training_residual": finite(fit.training_residual),
                "seconds": fit.seconds,
            }
            for fit in self.fits
        ]
        return self.described("random-features", activation=str(self.estimator.activation), fits=fits)


def compare(
    table: Table,
    *,
    activation: str = "relu",
    width: int | Literal["auto"] = "auto",
    alpha: float | Literal["loo"] = "loo",
    solver: str = "auto",
    **trial: Unpack[TrialOptions],
) -> Comparison:
    """Fit a random-feature network with and without a penalty, and cross-validate it beside Ridge and an MLP.

    Inputs are standardised within each training fold. Every model sees the same folds, shuffled by
    ``random_state``; for classes they are stratified.

    Parameters
    ----------
    table : Table
        The data.
    activation : str, default="relu"
        Activation of the hidden layer, by name.
    width : int or "auto", default="auto"
        Number of hidden neurons, at least 1.
    alpha : float or "loo", default="loo"
        Penalty of the second fit, at least 0; "loo" chooses it by leave-one-out. 0 means no second fit.
    solver : str, default="auto"
        Solver of both fits.
    **trial : TrialOptions
        ``task``, ``folds``, ``random_state``, ``max_rows``, ``progress``: see `TrialOptions`.

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
    Costs two fits to all rows and ``folds`` fits of each of four models. A toy fit comes first, so that no time
    contains the compilation of kernels.
    """
    run = Trial(table, **trial)
    run.compile(RandomFeatureRegressor(8, activation=activation, random_state=0))
    network = RandomFeatureRegressor if run.task == "regression" else RandomFeatureClassifier
    penalties: dict[str, Any] = {"interpolating": 0.0} | ({} if alpha == 0 else {_label(alpha): alpha})
    networks: Models = {}
    fits = []
    for label, penalty in penalties.items():
        model = network(width, activation=activation, alpha=penalty, solver=solver, random_state=run.random_state)
        pipeline, seconds = run.fit(label, model)
        fits.append(_fit_summary(label, pipeline, training_residual(pipeline, run.table.inputs, run.targets), seconds))
        run.notes.extend(_advice(fits[-1]))
        networks[f"random features, {label}"] = (f"{activation}, width {width}, {_penalty_text(penalty)}", model)
    scores = run.score(networks)
    return Comparison(run.table, run.targets, run.task, scores, pipeline, tuple(run.notes), tuple(fits))


def _penalty_text(alpha: float | str) -> str:
    return "alpha by leave-one-out" if alpha == "loo" else f"alpha {alpha:g}"


def _label(alpha: float | str) -> str:
    return "leave-one-out" if alpha == "loo" else f"alpha {alpha:g}"


def _fit_summary(label: str, pipeline: Pipeline, residual: float, seconds: float) -> Fit:
    estimator = pipeline[-1]
    solution = estimator.solution_
    return Fit(
        label,
        float(estimator.alpha_),
        int(estimator.width_),
        int(estimator.rank_),
        float(estimator.condition_),
        str(solution.method),
        solution.status,
        residual,
        seconds,
    )


def _advice(fit: Fit) -> list[str]:
    usual = (Status.EXACT, Status.REGULARIZED, Status.CONVERGED)
    return [] if fit.status in usual else [f"{fit.label}: {fit.status.advice}"]
