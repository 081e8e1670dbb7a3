"""What a training run on active sets returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined.features import FeatureMap
from underdetermined.solution import Status

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SparseTrajectory:
    """Result of `train_active_sets`.

    A pair of a row and a neuron is active if the neuron's pre-activation on that row is positive.

    Parameters
    ----------
    feature_map : FeatureMap
        Hidden layer at the end.
    coef : ndarray of shape (m, k)
        Last layer, which was not trained.
    residual : ndarray of shape (n, k)
        f(X) - Y at the end, rows of weight zero included.
    value : ndarray of shape (n_iter + 1,)
        Loss at every step, the start included.
    active_fraction : ndarray of shape (n_iter + 1,)
        Active pairs over pairs, of the rows with positive weight.
    n_live : ndarray of int, shape (n_iter + 1,)
        Neurons that are active on such a row. The others stay as they are for ever.
    n_visited : ndarray of int, shape (n_iter + 1,)
        Pairs whose pre-activation was computed, refreshes of lists included, and steps that were taken back.
    learning_rate : ndarray of shape (n_iter,)
        Rate of every step.
    drift : ndarray of shape (m,)
        Length of the path of (w, b / bias_scale) of every neuron; without trained biases that of w. What is active, and the
        tangent matrix with it, changes only as far as neurons move. With "kernel" an upper bound where the terms of a
        step nearly cancel.
    strategy : str
        How the last steps were taken: "dense", "masked", "lists" or "kernel".
    reason : str
        One sentence on why.
    status : Status
        CONVERGED, MAX_ITER or DIVERGED.
    n_iter : int
        Steps taken.
    """

    feature_map: FeatureMap
    coef: FloatArray
    residual: FloatArray
    value: FloatArray
    active_fraction: FloatArray
    n_live: NDArray[np.int64]
    n_visited: NDArray[np.int64]
    learning_rate: FloatArray
    drift: FloatArray
    strategy: str
    reason: str
    status: Status
    n_iter: int

    @property
    def advice(self) -> str:
        """One sentence on what the status means and what to do about it."""
        if self.status is Status.DIVERGED:
            return (
                "The loss overflowed, or fell at no learning rate, so training stopped at the last finite parameters; lower "
                "learning_rate, or scale rows and targets down."
            )
        return self.status.advice

    def __repr__(self) -> str:
        """Summarise in one line; the arrays are not printed."""
        return (
            f"SparseTrajectory(status={self.status.name}, n_iter={self.n_iter}, value={self.value[-1]:.3g}, "
            f"active_fraction={self.active_fraction[-1]:.3g}, n_live={self.n_live[-1]} of {len(self.drift)}, "
            f"strategy={self.strategy!r})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what can be written as JSON: all but the network, the residuals and the single drifts.

        Returns
        -------
        dict
            Numbers, strings and lists; None stands for a number that is not finite.
        """
        return {
            "status": self.status.value,
            "n_iter": self.n_iter,
            "strategy": self.strategy,
            "reason": self.reason,
            "value": [_plain(value) for value in self.value.tolist()],
            "active_fraction": self.active_fraction.tolist(),
            "n_live": self.n_live.tolist(),
            "n_visited": self.n_visited.tolist(),
            "learning_rate": self.learning_rate.tolist(),
            "largest_drift": _plain(float(self.drift.max())),
        }


def _plain(number: float) -> float | None:
    """A number that JSON can hold."""
    return number if np.isfinite(number) else None
