"""What every comparison holds: the rows, the scores, and a network fitted to all rows."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from underdetermined.crossvalidation import Score
from underdetermined.tables import Table, Task


@dataclass(frozen=True)
class CrossValidated(ABC):
    """A network beside other models, cross-validated on the same folds."""

    table: Table
    targets: np.ndarray
    task: Task
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
    @abstractmethod
    def is_success(self) -> bool:
        """Whether training reached what it promises."""

    @property
    @abstractmethod
    def shown_score(self) -> Score:
        """Score of the network in `pipeline`."""

    def described(self, model: str, **found: Any) -> dict[str, Any]:
        """The result as types that JSON knows, with what only this model has between the table and the scores.

        Parameters
        ----------
        model : str
            Name of the model.
        **found : object
            Entries that only this model has.

        Returns
        -------
        dict
            Predictions are left out.
        """
        return {
            "source": self.table.source,
            "task": self.task,
            "target": self.table.target_name,
            "rows": self.table.inputs.shape[0],
            "inputs": self.table.inputs.shape[1],
            "classes": [str(label) for label in getattr(self.estimator, "classes_", ())] or None,
            "model": model,
            "seed": self.estimator.random_state,
            **found,
            "metric": self.metric,
            "scores": [
                {
                    "label": score.label,
                    "settings": score.settings,
                    "mean": finite(score.mean),
                    "spread": finite(score.spread),
                    "folds": [finite(value) for value in score.folds],
                    "seconds_per_fold": score.seconds,
                }
                for score in self.scores
            ],
            "notes": list(self.notes),
        }


def finite(value: float) -> float | None:
    """A number that JSON can hold: None stands for one that is not finite."""
    return float(value) if np.isfinite(value) else None
