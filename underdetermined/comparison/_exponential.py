"""A trained network of exponentials beside Ridge, an MLP and random features: the same data, the same folds."""

from dataclasses import dataclass
from typing import Any, Literal, Unpack

from underdetermined.comparison._certified import CertifiedComparison
from underdetermined.comparison._trained import compare_trained
from underdetermined.comparison._trial import TrialOptions
from underdetermined.estimators import ExponentialClassifier, ExponentialRegressor
from underdetermined.estimators._trained import CERTIFIED_SIZE
from underdetermined.tables import Table


@dataclass(frozen=True)
class ExponentialComparison(CertifiedComparison):
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

    _label = "exponential"
    _model = "exponential"
    _networks = (ExponentialRegressor, ExponentialClassifier)
    _certified_size = CERTIFIED_SIZE
    _certify = "underdetermined.exponential.certify"

    @staticmethod
    def _settings(network: Any) -> str:
        """Settings of a fitted network in words."""
        scale = network.row_scale if network.row_scale == "auto" else f"{network.row_scale:g}"
        return f"width {network.feature_map_.width}, {network.solver}, alpha {network.alpha:g}, row scale {scale}"

    def _own(self) -> dict[str, Any]:
        network = self.estimator
        return {
            "solver": network.solver,
            "alpha": network.alpha,
            "row_scale": network.row_scale_,
            "certified_step": network.certified_step_,
        }


def compare_exponential(
    table: Table,
    *,
    width: int | Literal["auto"] = "auto",
    solver: Literal["gauss-newton", "gd"] = "gauss-newton",
    alpha: float = 1.0,
    learning_rate: float | Literal["auto"] = "auto",
    row_scale: float | Literal["auto"] = "auto",
    max_iter: int = 300,
    tol: float | None = None,
    **trial: Unpack[TrialOptions],
) -> ExponentialComparison:
    """Train a network of exponentials, and cross-validate it beside random features, Ridge and an MLP.

    Inputs are standardised within each training fold. Every model sees the same folds, shuffled by
    ``random_state``; for classes they are stratified.

    Parameters
    ----------
    table : Table
        The data.
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
    **trial : TrialOptions
        ``task``, ``folds``, ``random_state``, ``max_rows``, ``progress``: see `TrialOptions`.

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
    Costs one fit to all rows and ``folds`` fits of each of four models. Toy fits come first, so that no time
    contains the compilation of kernels.
    """
    options = {
        "width": None if width == "auto" else width,
        "solver": solver,
        "alpha": alpha,
        "learning_rate": learning_rate,
        "row_scale": row_scale,
        "max_iter": max_iter,
        "tol": tol,
    }
    toy = ExponentialRegressor(8, max_iter=2, tol=0.5, solver=solver, random_state=0)
    return compare_trained(ExponentialComparison, table, toy, options, trial)
