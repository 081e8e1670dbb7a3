"""What every comparison does: rows and folds, fits to all rows with their times, scores on the folds, notes."""

from collections.abc import Callable
from time import perf_counter
from typing import TypedDict

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from underdetermined.comparison._models import encode_targets, reference_models
from underdetermined.crossvalidation import Score, cross_validate, distinct, make_splits, recorded_warnings
from underdetermined.tables import Table, Task, draw_rows

Models = dict[str, tuple[str, BaseEstimator]]


class TrialOptions(TypedDict, total=False):
    """Keyword arguments of every comparison: what is fitted, on which rows and folds.

    Attributes
    ----------
    task : {"regression", "classification"} or None, default=None
        What to fit; None reads it off the target, see `underdetermined.tables.Table.task`.
    folds : int, default=5
        Number of folds, at least 2; every fold needs two rows and every class one row per fold.
    random_state : int, default=0
        Seed of the networks, the folds, the MLP and the choice of rows.
    max_rows : int or None, default=None
        Larger tables are reduced to this many rows, drawn at random. None keeps all.
    progress : callable, default=do nothing
        Called with one line of text before each piece of work.
    """

    task: Task | None
    folds: int
    random_state: int
    max_rows: int | None
    progress: Callable[[str], object]


class Trial:
    """One table, on which networks are fitted and scored on the same folds as scikit-learn's models.

    `notes` grows with every fit. Inputs are standardised before each network, within each training fold.
    """

    def __init__(
        self,
        table: Table,
        *,
        task: Task | None = None,
        folds: int = 5,
        random_state: int = 0,
        max_rows: int | None = None,
        progress: Callable[[str], object] = lambda line: None,
    ) -> None:
        self.table, drawn = draw_rows(table, max_rows, random_state)
        self.notes = list(drawn)
        self.task: Task = task or self.table.task
        self.targets = encode_targets(self.table, self.task)
        self._splits = make_splits(self.targets, self.task, folds, random_state)
        self.random_state, self._progress = random_state, progress

    def compile(self, *toys: BaseEstimator) -> None:
        """Fit small regressors to a few rows, so that no time contains the compilation of kernels."""
        self._progress("compile the kernels, once for all later fits")
        for toy in toys:
            with recorded_warnings([]):
                toy.fit(self.table.inputs[:9], np.arange(len(self.targets[:9])))

    def fit(self, label: str, network: BaseEstimator) -> tuple[Pipeline, float]:
        """The network fitted to all rows, and the seconds that it took."""
        self._progress(f"fit to all {len(self.targets)} rows: {label}")
        pipeline = make_pipeline(StandardScaler(), clone(network))
        with recorded_warnings(self.notes, label):
            start = perf_counter()
            pipeline.fit(self.table.inputs, self.targets)
            seconds = perf_counter() - start
        return pipeline, seconds

    def score(self, networks: Models) -> tuple[Score, ...]:
        """Cross-validate networks, each by its name with its settings in words, and then Ridge and the MLP."""
        models = {label: (words, make_pipeline(StandardScaler(), network)) for label, (words, network) in networks.items()}
        models |= reference_models(self.task, self.targets, self.random_state)
        scores = []
        for label, (settings, model) in models.items():
            score = cross_validate(
                model,
                self.table.inputs,
                self.targets,
                self._splits,
                label=label,
                settings=settings,
                task=self.task,
                progress=self._progress,
            )
            scores.append(score)
            self.notes.extend(f"{label}: {note}" for note in score.notes)
        self.notes = distinct(self.notes)
        return tuple(scores)
