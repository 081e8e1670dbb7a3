"""What all optimisers check and record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._linalg import EPS, vector_norm
from underdetermined._validation import as_float, check_finite, check_number
from underdetermined.objectives import Objective
from underdetermined.solution import Trajectory

FloatArray = NDArray[np.float64]
Callback = Callable[[int, FloatArray], object]

# Losses of the same parameters differ by less, whatever library or number of threads computed them.
_SAME = 1e-6


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
    n_before : int
        Steps of the run that this one goes on from.
    """

    goal: Goal
    callback: Callback | None
    value: list[float] = field(default_factory=list)
    gradient_norm: list[float] = field(default_factory=list)
    size: list[float] = field(default_factory=list)
    n_before: int = 0

    @classmethod
    def started(
        cls, goal: Goal, callback: Callback | None, previous: Trajectory | None, value: float, gradient: FloatArray
    ) -> Record:
        """Record of a run that begins here, or goes on from where another one ended."""
        if previous is None:
            record = cls(goal, callback)
            record.add(value, gradient)
            return record
        size = previous.learning_rate if previous.damping is None else previous.damping
        assert size is not None, "optimisers record one of the two"
        values = previous.value.tolist()
        if not abs(value - values[-1]) <= _SAME * values[-1] + EPS * values[0]:
            raise ValueError(
                f"previous ended at a loss of {values[-1]:.6g}, which is {value:.6g} here: pass the objective and the "
                "penalty that it was trained with, or start anew from previous.theta"
            )
        return cls(goal, callback, values, previous.gradient_norm.tolist(), size.tolist(), previous.n_iter)

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
        return self.n_iter >= self.n_before + self.goal.max_iter

    def add(self, value: float, gradient: FloatArray, size: float | None = None) -> None:
        """Append an iterate, and the step that led to it unless it is the start."""
        self.value.append(value)
        self.gradient_norm.append(vector_norm(gradient))
        if size is not None:
            self.size.append(size)

    def is_stopped_by_callback(self, theta: FloatArray) -> bool:
        """Call the callback, if there is one, and say whether it wants an end; where a run goes on it has been called."""
        if self.n_before and self.n_iter == self.n_before:
            return False
        return self.callback is not None and bool(self.callback(self.n_iter, theta))


def check_previous(
    theta: ArrayLike | None, previous: Any, kind: str, n_parameters: int
) -> tuple[FloatArray, dict[str, Any]]:
    """Where to start, and the state of the run to go on from, empty if there is none; kind is that of the optimiser."""
    if previous is None:
        if theta is None:
            raise ValueError("theta is missing: pass the parameters to start from, or previous=trajectory to go on")
        return check_start(theta, n_parameters), {}
    if not isinstance(previous, Trajectory):
        raise TypeError(f"previous is a {type(previous).__name__}: pass the Trajectory that an optimiser returned")
    if theta is not None:
        raise ValueError("theta and previous exclude each other: pass theta=None to go on, or previous=None to start anew")
    if previous.state is None or previous.state["kind"] != kind:
        found = "nothing that can be resumed" if previous.state is None else previous.state["kind"]
        raise ValueError(
            f"previous is a run of {found} and cannot go on as {kind}: pass the optimiser the same arguments, or start anew "
            "from previous.theta"
        )
    if previous.theta.shape != (n_parameters,):
        raise ValueError(
            f"previous has {previous.theta.size} parameters and the objective {n_parameters}: pass the objective that it "
            "was trained with"
        )
    return check_start(previous.theta, n_parameters), dict(previous.state)


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
