"""What all optimisers check and record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._validation import as_float, check_finite, check_number
from underdetermined.objectives import Objective

FloatArray = NDArray[np.float64]
Callback = Callable[[int, FloatArray], object]


@dataclass(frozen=True)
class Goal:
    """Where training stops.

    Parameters
    ----------
    max_iter : int
        Largest number of steps.
    tol : float
        Norm of the gradient that is small enough.
    loss_tol : float
        Share of the first loss that is small enough; 0.0 for none.
    """

    max_iter: int
    tol: float
    loss_tol: float

    @classmethod
    def checked(cls, max_iter: Any, tol: Any, loss_tol: Any) -> Goal:
        """Validate the arguments of an optimiser."""
        if isinstance(max_iter, bool) or not isinstance(max_iter, (int, np.integer)) or max_iter < 0:
            raise ValueError(f"max_iter={max_iter!r} is not a number of steps: pass an integer >= 0")
        return cls(int(max_iter), check_number(tol, "tol"), check_number(loss_tol, "loss_tol"))


@dataclass
class Record:
    """Loss, norm of its gradient and size of the step, from the start on.

    Parameters
    ----------
    goal : Goal
        Where training stops.
    callback : callable or None
        Called at every step.
    value, gradient_norm : list of float
        One entry for every iterate.
    size : list of float
        Learning rate or damping of every step.
    """

    goal: Goal
    callback: Callback | None
    value: list[float] = field(default_factory=list)
    gradient_norm: list[float] = field(default_factory=list)
    size: list[float] = field(default_factory=list)

    @property
    def n_iter(self) -> int:
        """Steps taken."""
        return len(self.value) - 1

    @property
    def is_converged(self) -> bool:
        """Whether the last iterate is good enough."""
        loss_tol = self.goal.loss_tol
        return self.gradient_norm[-1] <= self.goal.tol or (loss_tol > 0.0 and self.value[-1] <= loss_tol * self.value[0])

    @property
    def is_trapped(self) -> bool:
        """Whether the loss is above its goal, and no norm of a gradient was set as one."""
        return self.goal.tol == 0.0 and self.value[-1] > self.goal.loss_tol * self.value[0]

    @property
    def is_exhausted(self) -> bool:
        """Whether all steps have been taken."""
        return self.n_iter >= self.goal.max_iter

    def add(self, value: float, gradient: FloatArray, size: float | None = None) -> None:
        """Append an iterate, and the step that led to it unless it is the start."""
        self.value.append(value)
        self.gradient_norm.append(norm(gradient))
        if size is not None:
            self.size.append(size)

    def is_stopped_by_callback(self, theta: FloatArray) -> bool:
        """Call the callback, if there is one, and say whether it wants an end."""
        return self.callback is not None and bool(self.callback(self.n_iter, theta))


def check_start(theta: ArrayLike, n_parameters: int) -> FloatArray:
    """Copy of the first parameters, read-only."""
    start = np.array(as_float(theta, "theta"), dtype=np.float64)
    if start.shape != (n_parameters,):
        raise ValueError(f"theta has shape {start.shape}: pass all parameters of the objective, shape ({n_parameters},)")
    check_finite(start, "theta")
    start.flags.writeable = False
    return start


def check_linearizable(objective: Objective, what: str, remedy: str) -> None:
    """Refuse an objective that has no Jacobian."""
    if not hasattr(objective, "linearize"):
        raise TypeError(f"{what} needs objective.linearize, which {type(objective).__name__} does not have: {remedy}")


def evaluate(objective: Any, theta: FloatArray) -> tuple[float, FloatArray]:
    """Loss and gradient, in one call where the objective has it."""
    both = getattr(objective, "value_and_gradient", None)
    with np.errstate(over="ignore", invalid="ignore"):
        return both(theta) if both is not None else (objective.value(theta), objective.gradient(theta))


def is_finite(value: float, *arrays: FloatArray) -> bool:
    """Whether a number and all entries of some arrays are finite."""
    return bool(np.isfinite(value)) and all(bool(np.isfinite(array).all()) for array in arrays)


def norm(vector: FloatArray) -> float:
    """Euclidean norm; the sum of squares of a huge vector would overflow before the vector does."""
    largest = float(np.abs(vector).max())
    return largest * float(np.linalg.norm(vector / largest)) if 0.0 < largest < np.inf else largest
