"""What the comparisons of trained networks share: one fit to all rows, and a table of four models."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from sklearn.base import BaseEstimator

from underdetermined.comparison._models import training_residual
from underdetermined.comparison._result import CrossValidated, finite
from underdetermined.comparison._trial import Trial
from underdetermined.crossvalidation import Score
from underdetermined.estimators import RandomFeatureClassifier, RandomFeatureRegressor
from underdetermined.solution import Status

_Kind = TypeVar("_Kind", bound="TrainedComparison")


@dataclass(frozen=True)
class TrainedComparison(CrossValidated):
    """A network whose hidden layer was trained, beside random features, Ridge and an MLP."""

    tol: float | None
    training_residual: float
    seconds: float

    @property
    def is_success(self) -> bool:
        """Whether the fit to all rows reached `tol`; where none was asked for, whether it ended with a finite loss."""
        status = self.estimator.trajectory_.status
        return bool(status.is_success or (self.tol is None and status is Status.MAX_ITER))

    @property
    def shown_score(self) -> Score:
        """Score of the network in `pipeline`."""
        return self.scores[0]

    @property
    @abstractmethod
    def certificate_text(self) -> str:
        """What is proved of the training, or why nothing is."""

    def described_fit(self, trajectory: dict[str, Any], **own: Any) -> dict[str, Any]:
        """The fit to all rows as types that JSON knows: what only this network has, then what all of them have.

        Parameters
        ----------
        trajectory : dict
            How it was trained.
        **own : object
            Entries that only this network has.

        Returns
        -------
        dict
            Numbers that are not finite are None.
        """
        network = self.estimator
        return {
            "width": network.feature_map_.width,
            **own,
            "max_iter": network.max_iter,
            "tol": network.tol,
            "training_residual": finite(self.training_residual),
            "seconds": self.seconds,
            "trajectory": trajectory,
            "certificate": None if network.certificate_ is None else network.certificate_.to_dict(),
            "certificate_text": self.certificate_text,
        }


def compare_trained(
    trial: Trial,
    kind: type[_Kind],
    label: str,
    network: BaseEstimator,
    toy: BaseEstimator,
    settings: Callable[[Any], str],
    tol: float | None,
) -> _Kind:
    """Fit a network to all rows, cross-validate it beside the other models, and return a result of some kind.

    Parameters
    ----------
    trial : Trial
        The rows and folds.
    kind : type
        Class of the result.
    label : str
        What to call the network.
    network, toy : estimator
        The network, and a small one whose fit compiles the same kernels.
    settings : callable
        Given the network fitted to all rows, its settings in words.
    tol : float or None
        The tolerance that was asked for.

    Returns
    -------
    TrainedComparison
        Of the class `kind`.
    """
    seed = network.random_state
    random = (RandomFeatureRegressor if trial.task == "regression" else RandomFeatureClassifier)(random_state=seed)
    trial.compile(toy, RandomFeatureRegressor(8, random_state=0))
    pipeline, seconds = trial.fit(label, network)
    residual = training_residual(pipeline, trial.table.inputs, trial.targets)
    scores = trial.score(
        {
            label: (settings(pipeline[-1]), network),
            "random features": ("relu, width auto, alpha by leave-one-out", random),
        }
    )
    notes = tuple(trial.notes)
    return kind(trial.table, trial.targets, trial.task, scores, pipeline, notes, tol, residual, seconds)
