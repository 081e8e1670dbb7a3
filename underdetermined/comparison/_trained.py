"""What the comparisons of trained networks share: one fit to all rows, and a table of four models."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from sklearn.base import BaseEstimator

from underdetermined.comparison._models import training_residual
from underdetermined.comparison._result import CrossValidated, finite
from underdetermined.comparison._trial import Trial, TrialOptions
from underdetermined.crossvalidation import Score
from underdetermined.estimators import RandomFeatureClassifier, RandomFeatureRegressor
from underdetermined.solution import Status
from underdetermined.tables import Table

_Kind = TypeVar("_Kind", bound="TrainedComparison")


@dataclass(frozen=True)
class TrainedComparison(CrossValidated):
    """A network whose hidden layer was trained, beside random features, Ridge and an MLP.

    A subclass says what its network is called, in tables and on the command line, which estimators train it, one for
    numbers and one for classes, and what is told of them.
    """

    tol: float | None
    training_residual: float
    seconds: float

    _label: ClassVar[str]
    _model: ClassVar[str]
    _networks: ClassVar[tuple[type[BaseEstimator], type[BaseEstimator]]]

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

    def to_dict(self) -> dict[str, Any]:
        """The result as numbers, strings, lists and dictionaries; predictions are left out.

        Returns
        -------
        dict
            Ready for `json.dumps`; numbers that are not finite become None.
        """
        network = self.estimator
        fit = {
            "width": network.feature_map_.width,
            **self._own(),
            "max_iter": network.max_iter,
            "tol": network.tol,
            "training_residual": finite(self.training_residual),
            "seconds": self.seconds,
            "trajectory": self._described_trajectory(),
            "certificate": None if network.certificate_ is None else network.certificate_.to_dict(),
            "certificate_text": self.certificate_text,
        }
        return self.described(self._model, fit=fit)

    @abstractmethod
    def _own(self) -> dict[str, Any]:
        """Entries on the fit to all rows that only this network has."""

    @abstractmethod
    def _described_trajectory(self) -> dict[str, Any]:
        """How the network was trained, as types that JSON knows."""

    @staticmethod
    @abstractmethod
    def _settings(network: Any) -> str:
        """Settings of a fitted network in words."""


def compare_trained(
    kind: type[_Kind], table: Table, toy: BaseEstimator, options: dict[str, Any], trial: TrialOptions
) -> _Kind:
    """Fit a network to all rows, cross-validate it beside the other models, and return a result of some kind.

    Parameters
    ----------
    kind : type
        Class of the result.
    table : Table
        The data.
    toy : estimator
        A small network whose fit compiles the same kernels.
    options : dict
        Options of the network; those that are None are left to the estimator.
    trial : TrialOptions
        What is fitted, on which rows and folds.

    Returns
    -------
    TrainedComparison
        Of the class `kind`.
    """
    run = Trial(table, **trial)
    is_regression = run.task == "regression"
    seed = run.random_state
    given = {name: value for name, value in options.items() if value is not None}
    network = kind._networks[0 if is_regression else 1](**given, random_state=seed)
    random = (RandomFeatureRegressor if is_regression else RandomFeatureClassifier)(random_state=seed)
    run.compile(toy, RandomFeatureRegressor(8, random_state=0))
    pipeline, seconds = run.fit(kind._label, network)
    residual = training_residual(pipeline, run.table.inputs, run.targets)
    scores = run.score(
        {
            kind._label: (kind._settings(pipeline[-1]), network),
            "random features": ("relu, width auto, alpha by leave-one-out", random),
        }
    )
    notes = tuple(run.notes)
    return kind(run.table, run.targets, run.task, scores, pipeline, notes, given.get("tol"), residual, seconds)
