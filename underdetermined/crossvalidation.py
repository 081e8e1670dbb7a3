"""Cross-validation of one model: scores, times, out-of-fold predictions, and the warnings as notes."""

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import KFold, StratifiedKFold

from underdetermined.tables import TableError, Task

Split = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Score:
    """Cross-validated score of one model.

    Parameters
    ----------
    label : str
        Name of the model.
    settings : str
        What was set, in words.
    folds : tuple of float
        Score of each fold: R2, or accuracy.
    seconds : float
        Mean time of fitting and predicting one fold.
    predictions : ndarray of shape (n_rows,)
        Prediction of each row by the model that has not seen it.
    notes : tuple of str
        Warnings that the fits gave; of those that differ in numbers only, the first.
    """

    label: str
    settings: str
    folds: tuple[float, ...]
    seconds: float
    predictions: np.ndarray
    notes: tuple[str, ...]

    @property
    def mean(self) -> float:
        """Mean score over the folds."""
        return float(np.mean(self.folds))

    @property
    def spread(self) -> float:
        """Standard deviation of the score over the folds."""
        return float(np.std(self.folds))


def make_splits(targets: np.ndarray, task: Task, folds: int, random_state: int) -> list[Split]:
    """Shuffled folds, stratified for classes.

    Parameters
    ----------
    targets : ndarray of shape (n_rows,)
        Numbers, or class labels.
    task : {"regression", "classification"}
        Whether targets are numbers or labels.
    folds : int
        Number of folds, at least 2.
    random_state : int
        Seed of the shuffle.

    Returns
    -------
    list of (train, test)
        Row numbers, one pair a fold.

    Raises
    ------
    TableError
        If a fold would have fewer than two rows or miss a class, or if the targets are all the same.
    """
    n_rows = len(targets)
    if n_rows < 2 * folds:
        raise TableError(
            f"{n_rows} row{'' if n_rows == 1 else 's'} cannot make {folds} folds of at least two rows each; "
            "use fewer folds (at least 2) or more rows"
        )
    values, counts = np.unique(targets, return_counts=True)
    if len(values) < 2:
        raise TableError(
            f"the target is {values[0]} in every row: there is nothing to learn; use another target"
        )
    if task == "regression":
        return list(KFold(folds, shuffle=True, random_state=random_state).split(targets))
    if counts.min() < folds:
        raise TableError(
            f"class {str(values[counts.argmin()])!r} has {counts.min()} rows, fewer than the {folds} folds "
            f"({len(values)} classes in {n_rows} rows); use fewer folds, or merge or drop rare classes"
        )
    splitter = StratifiedKFold(folds, shuffle=True, random_state=random_state)
    return list(splitter.split(targets, targets))


def cross_validate(
    model: BaseEstimator,
    inputs: np.ndarray,
    targets: np.ndarray,
    splits: list[Split],
    *,
    label: str,
    settings: str,
    task: Task,
    progress: Callable[[str], object] = lambda line: None,
) -> Score:
    """Fit a copy of a model to each training part and score it on the part left out.

    Parameters
    ----------
    model : estimator
        Never fitted itself.
    inputs : ndarray of shape (n_rows, n_inputs)
        Inputs.
    targets : ndarray of shape (n_rows,)
        Targets.
    splits : list of (train, test)
        As `make_splits` gives them.
    label, settings : str
        What to call the model and its settings.
    task : {"regression", "classification"}
        Decides the score: R2, or accuracy.
    progress : callable, default=do nothing
        Called with one line of text before each fold.

    Returns
    -------
    Score
        Scores, mean time, out-of-fold predictions and notes.
    """
    score = r2_score if task == "regression" else accuracy_score
    predictions = np.empty_like(targets)
    values: list[float] = []
    notes: list[str] = []
    elapsed = 0.0
    for number, (train, test) in enumerate(splits, start=1):
        progress(f"{label}: fold {number} of {len(splits)}")
        with recorded_warnings(notes):
            start = perf_counter()
            predictions[test] = clone(model).fit(inputs[train], targets[train]).predict(inputs[test])
            elapsed += perf_counter() - start
        pair = targets[test], predictions[test]
        values.append(float(score(*(to_unit_scale(*pair) if task == "regression" else pair))))
    seconds = elapsed / len(splits)
    return Score(label, settings, tuple(values), seconds, predictions, tuple(distinct(notes)))


def distinct(notes: list[str]) -> list[str]:
    """The first of all notes that say the same with other numbers, as fits to other folds do.

    Parameters
    ----------
    notes : list of str
        Notes, in their order.

    Returns
    -------
    list of str
        Those that are kept, in the same order.
    """
    first: dict[str, str] = {}
    for note in notes:
        first.setdefault(re.sub(r"[\d.,]*\d(e[+-]?\d+)?", "#", note), note)
    return list(first.values())


def to_unit_scale(targets: np.ndarray, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both divided by one power of two, so that the squares of the largest target neither overflow nor vanish.

    Parameters
    ----------
    targets, predictions : ndarray of the same shape
        Numbers.

    Returns
    -------
    tuple of ndarray
        Targets of magnitude at most 1, and the predictions in the same unit: ratios of errors do not change.
    """
    exponent = -np.frexp(np.abs(targets).max())[1]
    return np.ldexp(targets, exponent), np.ldexp(predictions, exponent)


@contextmanager
def recorded_warnings(notes: list[str], label: str = "") -> Iterator[None]:
    """Append the warnings of the block to a list of notes instead of printing them.

    Parameters
    ----------
    notes : list of str
        Appended to.
    label : str, default=""
        What each note starts with.

    Yields
    ------
    None
        Nothing; `notes` is complete when the block ends.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    prefix = f"{label}: " if label else ""
    notes.extend(prefix + _sentence(warning) for warning in caught)


def _sentence(warning: warnings.WarningMessage) -> str:
    text = " ".join(str(warning.message).split())
    if issubclass(warning.category, ConvergenceWarning) and "Maximum iterations" in text:
        return "stopped at its limit of epochs before it converged"
    if text.startswith("training ended after") and "raise max_iter" in text:
        what = "gradient" if "with a gradient of" in text else "residual"
        return f"stopped at its limit of steps before its {what} had fallen to tol"
    return text
