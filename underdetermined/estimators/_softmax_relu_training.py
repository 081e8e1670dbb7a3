"""How a softmax-ReLU network is trained: softened units first, then nearly those of the network itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from underdetermined.softmax_relu._newton_cg import newton_cg

__all__ = ["Training", "train"]

# Widths of the softplus in units of the pre-activations at the start, and how much later than `tol` they may end. With the
# wide first, networks end lower; with the last, predictions are those of far narrower ones.
STAGES = ((0.3, 3.0), (0.03, 3.0), (0.01, 1.0))


@dataclass(frozen=True)
class Training:
    """Where training ended.

    Attributes
    ----------
    x : ndarray of shape (D,)
        Parameters.
    smoothing : float
        Last width mu of the softplus.
    values : list of float
        Objective at the start and after every step.
    first_norm, last_norm : float
        Norms of its gradient at the start and at the end.
    kkt_residual : float
        Norm of the convex combination of one-sided gradients without softplus that the last softplus weighs.
    is_over : bool
        Whether the goal was reached, up to rounding, or training was told to stop.
    """

    x: np.ndarray
    smoothing: float
    values: list[float]
    first_norm: float
    last_norm: float
    kkt_residual: float
    is_over: bool


def train(
    objective: Any, x: np.ndarray, *, tol: float, max_iter: int, callback: Callable[[int, np.ndarray], bool]
) -> Training:
    """Minimise with softplus units that come closer and closer to the ReLU.

    Parameters
    ----------
    objective : SharedSoftmaxReLU
        What to minimise.
    x : ndarray of shape (D,)
        Start.
    tol : float
        Share of its first norm to which the gradient must fall.
    max_iter : int
        Most steps.
    callback : callable
        Called as ``callback(step, x)`` after every step; asks to stop by returning True.

    Returns
    -------
    Training
    """
    size = float(np.sqrt(np.mean(objective.hidden(x) ** 2))) or 1.0
    first = objective.at(x, STAGES[0][0] * size)
    first_norm = float(np.linalg.norm(first.gradient))
    values, last = [first.value], x

    def on_step(x: np.ndarray, value: float) -> None:
        values.append(value)
        if callback(len(values) - 1, x):
            raise StopIteration

    is_over = False
    for share, slack in STAGES:
        smoothing, goal, rest = share * size, slack * tol * first_norm, max_iter - len(values) + 1
        result = newton_cg(objective, last, smoothing=smoothing, gtol=goal, max_iter=rest, on_step=on_step)
        last, is_over = result.x, result.is_converged or result.reason in ("rounding", "stopped")
        if result.reason == "stopped":
            break
    point = objective.at(last, smoothing)
    combined = objective.hidden_adjoint(point.slopes * objective.at(last).unit_slopes) + point.gradient_of_penalty
    return Training(
        x=last,
        smoothing=smoothing,
        values=values,
        first_norm=first_norm,
        last_norm=float(np.linalg.norm(point.gradient)),
        kkt_residual=float(np.linalg.norm(combined)),
        is_over=is_over,
    )
