"""Early stopping: rows that are held out, and what a network scores on them at every step."""

from collections.abc import Callable
from typing import Any

import numpy as np

from underdetermined.estimators._rows import group_rows

__all__ = ["Validation", "held_out_rows"]


def held_out_rows(inputs: np.ndarray, weight: np.ndarray | None, labels: Any, fraction: float, seed: int) -> np.ndarray:
    """Draw the rows that are not trained on; equal rows stay together.

    Parameters
    ----------
    inputs : ndarray of shape (n, d)
        Finite rows.
    weight : ndarray of shape (n,) or None
        Sample weights; rows of weight zero are nowhere.
    labels : ndarray of shape (n,) or None
        Classes, each of which keeps its share; equal rows belong to the class of the first.
    fraction : float
        Share of the distinct rows to hold out, in (0, 1).
    seed : int
        Of the draw.

    Returns
    -------
    ndarray of shape (n,)
        True for rows to hold out. Every class with two distinct rows has at least one on either side; one with a single
        row is trained on.

    Raises
    ------
    ValueError
        If no class has two distinct rows.
    """
    present = np.arange(len(inputs)) if weight is None else np.flatnonzero(weight)
    first, group = group_rows(inputs[present])
    # In an order of their own, so that the draw does not depend on that of the rows.
    order = np.lexsort(inputs[present][first].T)
    classes = np.zeros(len(first)) if labels is None else np.asarray(labels)[present][first]
    rng, is_held = np.random.default_rng(seed), np.zeros(len(first), dtype=bool)
    for label in np.unique(classes):
        members = rng.permutation(order[classes[order] == label])
        count = min(max(1, round(fraction * len(members))), len(members) - 1)
        is_held[members[:count]] = True
    if not is_held.any():
        raise ValueError(
            f"early_stopping=True holds rows out, and {len(first)} distinct rows are too few: pass more, or "
            "early_stopping=False"
        )
    result = np.zeros(len(inputs), dtype=bool)
    result[present] = is_held[group]
    return result


class Validation:
    """A trainer's callback that keeps the best parameters, and asks to stop once they have been the best for long.

    Parameters
    ----------
    score : callable
        Takes parameters to a number, the higher the better.
    patience : int
        Steps without a better score after which to stop.

    Attributes
    ----------
    scores : list of float
        One for every step, the start included.
    best : ndarray of shape (p,)
        Parameters of the highest score, the first ones where several are equal.
    """

    best: np.ndarray

    def __init__(self, score: Callable[[np.ndarray], float], patience: int):
        self._score, self._patience = score, patience
        self.scores: list[float] = []

    @property
    def best_step(self) -> int:
        """Step of the highest score."""
        return int(np.argmax(self.scores))

    @property
    def is_over(self) -> bool:
        """Whether the highest score is so many steps back."""
        return len(self.scores) - 1 - self.best_step >= self._patience

    def __call__(self, step: int, theta: np.ndarray) -> bool:
        """Score the step, and return whether to stop."""
        self.scores.append(self._score(theta))
        if self.best_step == len(self.scores) - 1:
            self.best = theta
        return self.is_over
