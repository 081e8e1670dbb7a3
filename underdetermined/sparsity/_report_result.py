"""What `sparsity_report` returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined.sparsity._report_text import report_html, report_text


@dataclass(frozen=True, eq=False, repr=False)
class SparsityReport:
    """What a constant bias does to a network on given rows; it prints as a table, and shows one in a notebook.

    Parameters
    ----------
    n_rows, n_inputs, width : int
        Rows n, inputs d and neurons m.
    bias, bias_scale : float
        Threshold B, and the scale at which biases learn.
    symmetric : bool
        Whether neurons come in pairs of opposite sign, so that only half of them are independent.
    failure_probability : float
        How often a statement with a probability may fail.
    activity : ndarray of shape (n,)
        Probability that a neuron is active, for each row.
    fewest_active, most_active : ndarray of int, shape (n,)
        Numbers of active neurons between which all rows are together, but for the failure probability.
    idle_probability : float
        Bound on the probability that some row has no active neuron.
    live_bound : float
        Bound on the expected number of neurons that are active on any row.
    prunable_everywhere : float
        Expected share of neurons that are inactive on every input no longer than the longest row.
    smallest_eigenvalue, largest_eigenvalue : float
        Extreme eigenvalues of the tangent kernel of infinite width; the smallest is 0 where it is lost in rounding.
    halving_probability, doubling_probability : float
        Bounds on the probabilities that at this width the smallest eigenvalue is at most half of that, or the largest at
        least twice.
    deviation : float
        Bound on the two-norm distance of the tangent matrix at this width from its limit, but for the failure probability.
    width_for_half : float
        Width from which the smallest eigenvalue is at least half of its limit, but for the failure probability.
    width_before_drawing : float
        Width from which convergence is proved before any draw, but for the failure probability.
    residual_norm : float
        Norm of the residual at the start that this assumes.
    complexity : ndarray of shape (k,) or None, default=None
        `complexity_measure` of each column of targets, if there are any.
    """

    n_rows: int
    n_inputs: int
    width: int
    bias: float
    bias_scale: float
    symmetric: bool
    failure_probability: float
    activity: NDArray[np.float64]
    fewest_active: NDArray[np.int64]
    most_active: NDArray[np.int64]
    idle_probability: float
    live_bound: float
    prunable_everywhere: float
    smallest_eigenvalue: float
    largest_eigenvalue: float
    halving_probability: float
    doubling_probability: float
    deviation: float
    width_for_half: float
    width_before_drawing: float
    residual_norm: float
    complexity: Any = field(default=None)

    @property
    def mean_activity(self) -> float:
        """Expected share of active pairs of row and neuron."""
        return float(self.activity.mean())

    @property
    def condition(self) -> float:
        """Condition number of the tangent kernel of infinite width."""
        return self.largest_eigenvalue / self.smallest_eigenvalue if self.smallest_eigenvalue > 0.0 else np.inf

    @property
    def dense_flops(self) -> float:
        """Operations of a step of gradient descent by two matrix products, 4 n m d."""
        return 4.0 * self.n_rows * self.width * self.n_inputs

    @property
    def active_flops(self) -> float:
        """Expected operations of a step on active pairs alone: a floor, without finding them."""
        return self.dense_flops * self.mean_activity

    def to_dict(self) -> dict[str, Any]:
        """Return everything in types that JSON knows, the numbers of single rows as least, middle and largest one.

        Returns
        -------
        dict
            None stands for numbers that are not finite.
        """
        numbers = {
            name: _plain(getattr(self, name))
            for name in (
                "n_rows", "n_inputs", "width", "bias", "bias_scale", "symmetric", "failure_probability", "mean_activity",
                "idle_probability", "live_bound", "prunable_everywhere", "dense_flops", "active_flops",
                "smallest_eigenvalue", "largest_eigenvalue", "condition", "halving_probability", "doubling_probability",
                "deviation", "width_for_half", "width_before_drawing", "residual_norm",
            )
        }  # fmt: skip
        rows = {
            name: [float(value) for value in np.quantile(getattr(self, name), [0.0, 0.5, 1.0])]
            for name in ("activity", "fewest_active", "most_active")
        }
        complexity = None if self.complexity is None else [_plain(float(value)) for value in self.complexity]
        return {**numbers, **rows, "complexity": complexity}

    def __repr__(self) -> str:
        """One line."""
        return (
            f"<SparsityReport: {self.n_rows} rows, bias {self.bias:.3g}, width {self.width}, "
            f"{100.0 * self.mean_activity:.3g} % active, condition {self.condition:.3g}>"
        )

    def __str__(self) -> str:
        """The table as text, at most 100 columns wide."""
        return report_text(self)

    def _repr_html_(self) -> str:
        return report_html(self)


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not isfinite(value) else value
