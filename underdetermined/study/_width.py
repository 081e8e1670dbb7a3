"""How many neurons: the bounds, the smallest width that an experiment finds, and what happens around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from underdetermined.bounds import MinimumWidth, minimum_width
from underdetermined.empirical_width import EmpiricalWidth, WidthMeasurement, empirical_minimum_width, measure_widths

EPSILON, FAILURE_PROBABILITY = 0.9, 0.1  # what width="auto" of the estimators asks for
SEARCH_SEEDS, SEARCH_RESOLUTION = 40, 0.1
CURVE_SEEDS = 10
CURVE_WIDTHS = 12
LARGEST_WIDTH = 20  # of the experiments, in rows: what a study can afford


@dataclass(frozen=True, eq=False)
class WidthStudy:
    """Bounds on the width, and measured ones, on the same rows.

    Parameters
    ----------
    minimum : MinimumWidth
        The bounds, the measured width among them where there is one.
    empirical : EmpiricalWidth or None
        The search for the smallest width; None where the kernel's smallest eigenvalue is not resolved.
    measurement : WidthMeasurement
        Ranks and eigenvalues at widths around it.
    """

    minimum: MinimumWidth
    empirical: EmpiricalWidth | None
    measurement: WidthMeasurement

    def to_dict(self) -> dict[str, Any]:
        """The three parts as dictionaries.

        Returns
        -------
        dict
            Ready for `json.dumps`.
        """
        return {
            "minimum": self.minimum.to_dict(),
            "empirical": None if self.empirical is None else self.empirical.to_dict(),
            "measurement": self.measurement.to_dict(),
        }


def study_width(
    X: ArrayLike,
    *,
    activation: str = "relu",
    random_state: int = 0,
    progress: Callable[[str], object] = lambda line: None,
) -> WidthStudy:
    """Bound the width, search the smallest one that suffices in an experiment, and measure spectra around it.

    The event is that no eigenvalue of the feature Gram, on the targets that can be attained, is below a tenth of the
    infinite-width kernel's smallest one, with probability 0.9: what ``width="auto"`` of the estimators asks for.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Inputs, one row each.
    activation : str, default="relu"
        Activation of the hidden layer.
    random_state : int, default=0
        Seed of the sampled estimate and of the experiments.
    progress : callable, default=do nothing
        Called with one line of text before each piece of work.

    Returns
    -------
    WidthStudy
        Bounds, search and measurement.

    Raises
    ------
    ValueError
        If X is not finite, or the kernel overflows.

    Notes
    -----
    Widths up to 20 n are tried, 40 networks at each in the search, which ends at a tenth, and 10 in the measurement.

    Examples
    --------
    >>> from underdetermined.study import study_width
    >>> found = study_width([[0.0], [1.0], [3.0]], activation="erf")
    >>> found.minimum.bound("necessary").width
    3
    """
    progress("widths: bounds")
    settings: dict[str, Any] = {"activation": activation, "seed": random_state}
    limits: dict[str, Any] = {"epsilon": EPSILON, "failure_probability": FAILURE_PROBABILITY}
    minimum = minimum_width(X, target="spectrum", **limits, **settings)
    problem = minimum.problem
    empirical = None
    if problem.is_resolved:
        empirical = empirical_minimum_width(
            X,
            event="spectrum",
            n_seeds=SEARCH_SEEDS,
            resolution=SEARCH_RESOLUTION,
            max_width=LARGEST_WIDTH * problem.n_rows,
            progress=lambda line: progress(f"widths: search, {line}"),
            **limits,
            **settings,
        )
        minimum = minimum.with_bound(empirical.as_bound())
    widths = curve_widths(problem.n_rows, minimum)
    measurement = measure_widths(
        X, widths, n_seeds=CURVE_SEEDS, progress=lambda line: progress(f"widths: curve, {line}"), **settings
    )
    return WidthStudy(minimum, empirical, measurement)


def curve_widths(n_rows: int, minimum: MinimumWidth) -> list[int]:
    """Widths from half the rows to beyond the width that suffices, evenly spaced on a logarithmic axis.

    Parameters
    ----------
    n_rows : int
        Rows n.
    minimum : MinimumWidth
        Decides how far: twice the measured width where there is one, else 8 n.

    Returns
    -------
    list of int
        Ascending.
    """
    measured = [bound.width for bound in minimum.bounds if bound.name == "empirical" and bound.width is not None]
    last = min(2 * measured[0] if measured else 8 * n_rows, LARGEST_WIDTH * n_rows)
    return np.unique(np.geomspace(max(1, n_rows // 2), max(last, 4 * n_rows), CURVE_WIDTHS).round().astype(int)).tolist()
