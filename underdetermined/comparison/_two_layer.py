"""A network with both layers trained beside Ridge, an MLP and random features: the same data, the same folds."""

from dataclasses import dataclass
from math import inf
from typing import Any, Literal, Unpack

from underdetermined.comparison._certified import CertifiedComparison
from underdetermined.comparison._result import finite
from underdetermined.comparison._trained import compare_trained
from underdetermined.comparison._trial import TrialOptions
from underdetermined.estimators import TwoLayerClassifier, TwoLayerRegressor
from underdetermined.estimators._trained import CERTIFIED_SIZE
from underdetermined.solution import Status
from underdetermined.tables import Table

# Share of the residual to which certified Gauss-Newton steps are counted.
_NEWTON_SHARE = 1e-8


@dataclass(frozen=True)
class TwoLayerComparison(CertifiedComparison):
    """What `compare_two_layer` found.

    Parameters
    ----------
    table : Table
        The rows used.
    targets : ndarray of shape (n_rows,)
        Numbers or class labels, as they were fitted.
    task : {"regression", "classification"}
        What was fitted.
    scores : tuple of Score
        Cross-validation: the two-layer network, random features, Ridge and the MLP.
    pipeline : Pipeline
        Standardisation and the two-layer network, fitted to all rows.
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

    _label = "two-layer"
    _model = "two-layer"
    _networks = (TwoLayerRegressor, TwoLayerClassifier)
    _certified_size = CERTIFIED_SIZE
    _certify = "underdetermined.joint.certify"

    @property
    def is_success(self) -> bool:
        """Whether the fit to all rows reached `tol` or was stopped early; with no `tol`, whether its loss is finite."""
        return self._is_stopped_early or super().is_success

    @property
    def outcome_text(self) -> str:
        """How training ended, and what to do about it."""
        patience = self.estimator.n_iter_no_change
        early = f"Stopped early: {patience} steps did not predict the rows left out any better."
        return early if self._is_stopped_early else super().outcome_text

    @property
    def certificate_text(self) -> str:
        """What is proved of gradient descent and of Gauss-Newton from the start or from the end, or why nothing is."""
        certificate, text = self.estimator.certificate_, super().certificate_text
        steps = inf if certificate is None else certificate.n_newton_steps(_NEWTON_SHARE)
        if steps == inf:
            return text
        return f"{text} Undamped Gauss-Newton steps bring it to {_NEWTON_SHARE:g} of itself in {steps} or fewer."

    @property
    def validation_text(self) -> str:
        """Which step was kept, and how well it predicts the rows left out; empty without early stopping."""
        network = self.estimator
        if network.validation_scores_ is None:
            return ""
        score = network.validation_scores_[network.best_iter_]
        return f"step {network.best_iter_} was kept; it explains {score:.3f} of the variance of the rows left out"

    @property
    def laziness_text(self) -> str:
        """Whether the network linearised at the start explains what training did, and how far each layer moved."""
        report = self.estimator.laziness_
        moved = [f"{layer.name} {_movement(layer)}" for layer in report.movements]
        return f"{report.verdict} Moved, over the size at the start: {', '.join(moved)}."

    @property
    def _is_stopped_early(self) -> bool:
        network, run = self.estimator, self.estimator.trajectory_
        is_over = network.early_stopping and run.n_iter - network.best_iter_ >= network.n_iter_no_change
        return bool(is_over and run.status is Status.MAX_ITER)

    @staticmethod
    def _settings(network: Any) -> str:
        """Settings of a fitted network in words."""
        scale = "" if network.weight_scale == 1 else f", weights times {network.weight_scale:g}"
        alpha = "alpha by leave-one-out" if network.alpha == "loo" else f"alpha {network.alpha:g}"
        stop = ", early stopping" if network.early_stopping else ""
        width = network.feature_map_.width
        return f"{network.activation}, width {width}, {network.init}{scale}, {network.solver}, {alpha}{stop}"

    def _own(self) -> dict[str, Any]:
        network = self.estimator
        scores = network.validation_scores_
        return {
            "activation": str(network.activation),
            "init": network.init,
            "weight_scale": network.weight_scale,
            "solver": network.solver,
            "alpha": network.alpha_,
            "row_scale": network.row_scale_,
            "early_stopping": bool(network.early_stopping),
            "validation_scores": None if scores is None else [finite(score) for score in scores],
            "best_step": network.best_iter_,
            "certified_step": network.certified_step_,
            "laziness": network.laziness_.to_dict(),
        }


def compare_two_layer(
    table: Table,
    *,
    width: int | Literal["auto"] = "auto",
    activation: str = "tanh",
    init: Literal["lecun", "he", "xavier", "kernel"] = "lecun",
    weight_scale: float = 1.0,
    solver: Literal["gauss-newton", "gd", "heavy-ball"] = "gauss-newton",
    alpha: float | Literal["loo"] = "loo",
    learning_rate: float | Literal["auto", "cauchy", "certified"] = "auto",
    max_iter: int | None = None,
    tol: float | None = None,
    early_stopping: bool = False,
    **trial: Unpack[TrialOptions],
) -> TwoLayerComparison:
    """Train both layers of a network, and cross-validate it beside random features, Ridge and an MLP.

    Inputs are standardised within each training fold. Every model sees the same folds, shuffled by
    ``random_state``; for classes they are stratified.

    Parameters
    ----------
    table : Table
        The data.
    width : int or "auto", default="auto"
        Number of hidden neurons, even; "auto" takes the estimator's default.
    activation : str, default="tanh"
        Activation of the hidden layer, by name; any that has a derivative.
    init : {"lecun", "he", "xavier", "kernel"}, default="lecun"
        How large the weights are at the start, see `underdetermined.joint.draw_network`.
    weight_scale : float, default=1.0
        Factor of the hidden weights at the start, positive.
    solver : {"gauss-newton", "gd", "heavy-ball"}, default="gauss-newton"
        How both layers are trained.
    alpha : float or "loo", default="loo"
        Penalty of the way from the weights at the start, at least 0, in the units of the estimator; 0 interpolates, "loo"
        chooses it by leave-one-out.
    learning_rate : float, "auto", "cauchy" or "certified", default="auto"
        Step of ``solver="gd"`` and ``solver="heavy-ball"``.
    max_iter : int, default=None
        Most steps; None takes the estimator's default for the solver.
    tol : float, default=None
        Share of the residual at the start (of the gradient, if there is a penalty) at which training stops, at least 0
        and less than 1. None takes the estimator's default, and then running out of steps is early stopping and no failure.
    early_stopping : bool, default=False
        Whether a tenth of the rows are kept from training, to stop at the step that predicts them best.
    **trial : TrialOptions
        ``task``, ``folds``, ``random_state``, ``max_rows``, ``progress``: see `TrialOptions`.

    Returns
    -------
    TwoLayerComparison
        The network fitted to all rows, scores and notes.

    Raises
    ------
    TableError
        If there are too few rows or too few of a class for the folds, or the target is constant.
    ValueError
        If the width is odd, an option has no effect on the solver, the activation has no derivative, or
        ``learning_rate="certified"`` and nothing is certified.

    Notes
    -----
    Costs one fit to all rows and ``folds`` fits of each of four models. Toy fits come first, so that no time
    contains the compilation of kernels.
    """
    options = {
        "width": None if width == "auto" else width,
        "activation": activation,
        "init": init,
        "weight_scale": weight_scale,
        "solver": solver,
        "alpha": alpha,
        "learning_rate": learning_rate,
        "max_iter": max_iter,
        "tol": tol,
        "early_stopping": early_stopping,
    }
    toy = TwoLayerRegressor(8, activation=activation, solver=solver, max_iter=2, tol=0.5, random_state=0)
    return compare_trained(TwoLayerComparison, table, toy, options, trial)


def _movement(layer: Any) -> str:
    return f"{layer.relative:.2g}" if layer.start_norm or not layer.distance else f"from 0 to {layer.distance:.2g}"
