"""A trained network of exponentials beside Ridge, an MLP and random features: the same data, the same folds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from underdetermined.comparison._result import finite
from underdetermined.comparison._trained import TrainedComparison, compare_trained
from underdetermined.comparison._trial import Trial
from underdetermined.estimators import ExponentialClassifier, ExponentialRegressor
from underdetermined.estimators._exponential import CERTIFIED_SIZE
from underdetermined.solution import Status
from underdetermined.tables import Table, Task

# Statuses of a run that ended where it was asked to, or as near to that as rounding allows.
_REACHED = (Status.CONVERGED, Status.EXACT, Status.REGULARIZED)


@dataclass(frozen=True)
class ExponentialComparison(TrainedComparison):
    """What `compare_exponential` found.

    Parameters
    ----------
    table : Table
        The rows used.
    targets : ndarray of shape (n_rows,)
        Numbers or class labels, as they were fitted.
    task : {"regression", "classification"}
        What was fitted.
    scores : tuple of Score
        Cross-validation: the network of exponentials, random features, Ridge and the MLP.
    pipeline : Pipeline
        Standardisation and the network of exponentials, fitted to all rows.
    notes : tuple of str
        What a reader should know: rows left out, warnings.
    tol : float or None
        Share of the residual at which training was asked to stop; None left that to the estimator.
    training_residual : float
        Norm of (targets - predictions) over the norm of (targets - their mean). For classes the targets are
        the indicators that the classifier fits.
    seconds : float
        Time of the fit to all rows, standardisation included.
    """

    @property
    def is_success(self) -> bool:
        """Whether the fit to all rows reached `tol`; where none was asked for, whether it ended with a finite loss."""
        return super().is_success and (self.tol is None or self.estimator.trajectory_.status in _REACHED)

    @property
    def certificate_text(self) -> str:
        """What is proved of gradient descent from the start or from the end, or why nothing is."""
        network = self.estimator
        certificate = network.certificate_
        if certificate is None:
            return (
                f"not computed: the distinct rows times outputs are more than {CERTIFIED_SIZE}; "
                "underdetermined.exponential.certify computes it"
            )
        if not certificate.is_certified:
            return f"none, neither at the start nor at the end. {certificate.reason}"
        start = f"step {network.certified_step_}" if network.certified_step_ else "the start"
        return (
            f"gradient descent from {start} on fits all targets. {certificate.reason} At learning rate "
            f"{certificate.learning_rate:.3g} every {certificate.n_steps(0.5):,} steps at least halve it, and the weights "
            f"move by at most {certificate.distance:.3g}."
        )

    def to_dict(self) -> dict[str, Any]:
        """The result as numbers, strings, lists and dictionaries; predictions are left out.

        Returns
        -------
        dict
            Ready for `json.dumps`; numbers that are not finite become None.
        """
        network = self.estimator
        run = network.trajectory_
        trajectory = {
            "status": run.status.value,
            "n_iter": run.n_iter,
            "n_rejected": run.n_rejected,
            **{
                name: None if values is None else [finite(value) for value in values]
                for name, values in {
                    "value": run.value,
                    "gradient_norm": run.gradient_norm,
                    "learning_rate": run.learning_rate,
                    "damping": run.damping,
                }.items()
            },
        }
        own = {
            "solver": network.solver,
            "alpha": network.alpha,
            "row_scale": network.row_scale_,
            "certified_step": network.certified_step_,
        }
        return self.described("exponential", fit=self.described_fit(trajectory, **own))


def compare_exponential(
    table: Table,
    *,
    task: Task | None = None,
    width: int | Literal["auto"] = "auto",
    solver: Literal["gauss-newton", "gd"] = "gauss-newton",
    alpha: float = 1.0,
    learning_rate: float | Literal["auto"] = "auto",
    row_scale: float | Literal["auto"] = "auto",
    max_iter: int = 300,
    tol: float | None = None,
    folds: int = 5,
    random_state: int = 0,
    max_rows: int | None = None,
    progress: Callable[[str], object] = lambda line: None,
) -> ExponentialComparison:
    """Train a network of exponentials, and cross-validate it beside random features, Ridge and an MLP.

    Inputs are standardised within each training fold. Every model sees the same folds, shuffled by
    `random_state`; for classes they are stratified.

    Parameters
    ----------
    table : Table
        The data.
    task : {"regression", "classification"}, default=None
        What to fit; None reads it off the target, see `Table.task`.
    width : int or "auto", default="auto"
        Number of hidden neurons, even; "auto" takes the estimator's default.
    solver : {"gauss-newton", "gd"}, default="gauss-newton"
        How the hidden weights are trained.
    alpha : float, default=1.0
        Penalty of the way from the weights at the start, at least 0; 0 interpolates. Targets are scaled to variance one
        for it: 1 suits noisy tables of a few hundred rows.
    learning_rate : float or "auto", default="auto"
        Step of gradient descent, with ``solver="gd"`` only; "auto" follows the largest eigenvalue of the tangent matrix.
    row_scale : float or "auto", default="auto"
        Factor of the standardised rows, positive; "auto" takes their median norm near 0.75.
    max_iter : int, default=300
        Most steps.
    tol : float, default=None
        Share of the residual at the start (of the gradient, if there is a penalty) at which training stops, at least 0
        and less than 1. None takes the estimator's default, and then running out of steps is early stopping and no failure.
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
    ExponentialComparison
        The network fitted to all rows, scores and notes.

    Raises
    ------
    TableError
        If there are too few rows or too few of a class for the folds, or the target is constant.
    ValueError
        If the width is odd, or an option has no effect on the solver.
    OverflowError
        If `row_scale` makes rows at which exponentials overflow.

    Notes
    -----
    Costs one fit to all rows and `folds` fits of each of four models. Toy fits come first, so that no time
    contains the compilation of kernels.
    """
    trial = Trial(table, task, folds, random_state, max_rows, progress)
    options: dict[str, Any] = {"solver": solver, "alpha": alpha, "learning_rate": learning_rate, "max_iter": max_iter}
    options |= {"row_scale": row_scale}
    options |= {} if width == "auto" else {"width": width}
    options |= {} if tol is None else {"tol": tol}
    network = ExponentialRegressor if trial.task == "regression" else ExponentialClassifier

    def settings(fitted: Any) -> str:
        scale = row_scale if row_scale == "auto" else f"{row_scale:g}"
        return f"width {fitted.feature_map_.width}, {solver}, alpha {alpha:g}, row scale {scale}"

    return compare_trained(
        trial,
        ExponentialComparison,
        "exponential",
        network(**options, random_state=random_state),
        ExponentialRegressor(8, max_iter=2, tol=0.5, solver=solver, random_state=0),
        settings,
        tol,
    )
