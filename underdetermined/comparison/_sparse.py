"""A sparsely activated ReLU network beside Ridge, an MLP and random features: the same data, the same folds."""

from dataclasses import dataclass
from typing import Any, Literal, Unpack

from underdetermined.comparison._trained import TrainedComparison, compare_trained
from underdetermined.comparison._trial import TrialOptions
from underdetermined.estimators import SparseReLUClassifier, SparseReLURegressor
from underdetermined.estimators._sparse_relu import CERTIFIED_SIZE
from underdetermined.tables import Table


@dataclass(frozen=True)
class SparseComparison(TrainedComparison):
    """What `compare_sparse` found.

    Parameters
    ----------
    table : Table
        The rows used.
    targets : ndarray of shape (n_rows,)
        Numbers or class labels, as they were fitted.
    task : {"regression", "classification"}
        What was fitted.
    scores : tuple of Score
        Cross-validation: the sparse network, random features, Ridge and the MLP.
    pipeline : Pipeline
        Standardisation and the sparse network, fitted to all rows.
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

    _label = "sparse ReLU"
    _model = "sparse-relu"
    _networks = (SparseReLURegressor, SparseReLUClassifier)

    @property
    def is_success(self) -> bool:
        """Whether the fit to all rows reached `tol`; where none was asked for, whether it ends finite and able to learn."""
        return super().is_success and self.estimator.n_live_ > 0

    @property
    def certificate_text(self) -> str:
        """What is proved of the training before it begins, or why nothing is."""
        certificate, trajectory = self.estimator.certificate_, self.estimator.trajectory_
        if certificate is not None and certificate.is_certified:
            return f"{certificate.reason} Every {certificate.n_steps(0.5)} steps at least halve it."
        if certificate is not None:
            return f"none. {certificate.reason}"
        return (
            f"not computed: the distinct rows times outputs are {trajectory.residual.size}, more than {CERTIFIED_SIZE}; "
            "underdetermined.sparsity.certify computes it"
        )

    @staticmethod
    def _settings(network: Any) -> str:
        """Settings of a fitted network in words."""
        bias = f"{network.bias_:.2f} (auto)" if network.bias == "auto" else f"{network.bias_:g}"
        return f"width {network.feature_map_.width}, bias {bias}, at most {network.max_iter} steps"

    def _own(self) -> dict[str, Any]:
        return {"bias": self.estimator.bias_}

    def _described_trajectory(self) -> dict[str, Any]:
        described: dict[str, Any] = self.estimator.trajectory_.to_dict()
        return described


def compare_sparse(
    table: Table,
    *,
    width: int | Literal["auto"] = "auto",
    bias: float | Literal["auto"] = "auto",
    learning_rate: float | Literal["auto"] = "auto",
    max_iter: int = 300,
    tol: float | None = None,
    **trial: Unpack[TrialOptions],
) -> SparseComparison:
    """Train a sparsely activated ReLU network, and cross-validate it beside random features, Ridge and an MLP.

    Inputs are standardised within each training fold. Every model sees the same folds, shuffled by
    ``random_state``; for classes they are stratified.

    Parameters
    ----------
    table : Table
        The data.
    width : int or "auto", default="auto"
        Number of hidden neurons, even; "auto" takes the estimator's default.
    bias : float or "auto", default="auto"
        Threshold at which every neuron starts, at least 0; "auto" chooses it from the width.
    learning_rate : float or "auto", default="auto"
        Step of gradient descent; "auto" is one over the largest eigenvalue of the tangent matrix.
    max_iter : int, default=300
        Most steps.
    tol : float, default=None
        Share of the residual at the start at which training stops, at least 0 and less than 1. None takes the estimator's
        default, and then running out of steps is early stopping and no failure.
    **trial : TrialOptions
        ``task``, ``folds``, ``random_state``, ``max_rows``, ``progress``: see `TrialOptions`.

    Returns
    -------
    SparseComparison
        The network fitted to all rows, scores and notes.

    Raises
    ------
    TableError
        If there are too few rows or too few of a class for the folds, or the target is constant.
    ValueError
        If the width is odd, or `bias` leaves no neuron active.

    Notes
    -----
    Costs one fit to all rows and ``folds`` fits of each of four models. Toy fits come first, so that no time
    contains the compilation of kernels.
    """
    if isinstance(width, int) and width % 2:
        raise ValueError(f"width={width} is odd, but neurons are drawn in pairs of opposite sign: pass an even number")
    options = {
        "width": None if width == "auto" else width,
        "bias": bias,
        "learning_rate": learning_rate,
        "max_iter": max_iter,
        "tol": tol,
    }
    toy = SparseReLURegressor(64, bias=0.5, max_iter=2, tol=0.5, random_state=0)
    return compare_trained(SparseComparison, table, toy, options, trial)
