"""What `minimum_trainable_width` returns."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined.empirical_width._bootstrap import bootstrap_mean
from underdetermined.empirical_width._plain import plain


@dataclass(frozen=True)
class Training:
    """How far one network was trained.

    Parameters
    ----------
    width : int
        Number of neurons m.
    loss : float
        Loss at the end relative to that of the zero function, |f(X) - Y|^2 / |Y|^2.
    n_steps : int or None
        Steps that the goal took, 0 where it is reached without any; None where it was missed.
    """

    width: int
    loss: float
    n_steps: int | None

    @property
    def is_reached(self) -> bool:
        """Whether the goal was reached."""
        return self.n_steps is not None


@dataclass(frozen=True, eq=False, repr=False)
class TrainableWidth:
    """Smallest widths, one for each seed, that training was seen to bring to a loss.

    Parameters
    ----------
    layers : {"both", "hidden", "last"}
        What was trained.
    method : {"gd", "gauss-newton", "direct"}
        How it was trained.
    activation, init : str
        The activation, as `get_activation` reads it, and the initialisation.
    loss_tol : float
        Relative loss that counts as success.
    max_steps : int
        Steps T of a training; 0 for "direct".
    resolution : float
        Relative distance of neighbouring widths at which a search ends.
    max_width : int
        Largest width tried.
    n_rows, n_outputs : int
        Rows n and outputs k.
    seed : int
        Seed of the experiment.
    parameter_width : int
        Width from which on the trained parameters are at least as many as what they have to fit.
    trainings : tuple of tuple of Training
        What was run for each seed, by ascending width.

    Notes
    -----
    A width is the smallest one that succeeded above one that failed. Success is not strictly monotone in the width, so
    that there may be others.
    """

    layers: str
    method: str
    activation: str
    init: str
    loss_tol: float
    max_steps: int
    resolution: float
    max_width: int
    n_rows: int
    n_outputs: int
    seed: int
    parameter_width: int
    trainings: tuple[tuple[Training, ...], ...]

    @property
    def n_seeds(self) -> int:
        """Number of networks."""
        return len(self.trainings)

    @property
    def widths(self) -> NDArray[np.float64]:
        """Smallest width of each seed, shape (n_seeds,); nan where none was found up to `max_width`."""
        return np.array([_threshold(tried) for tried in self.trainings])

    @property
    def mean(self) -> float:
        """Mean of `widths`; nan if one is missing."""
        return float(self.widths.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the mean by the percentile bootstrap over seeds; nan with one seed, or where one is missing."""
        return bootstrap_mean(self.widths)

    def to_dict(self) -> dict[str, Any]:
        """Return everything in types that JSON knows.

        Returns
        -------
        dict
            Keys as the parameters, and widths, mean and interval; None for numbers that are not finite.
        """
        names = [each.name for each in fields(self) if each.name != "trainings"]
        result: dict[str, Any] = {name: getattr(self, name) for name in names}
        result |= {name: plain(getattr(self, name)) for name in ("widths", "mean", "interval")}
        result["trainings"] = [
            [{"width": each.width, "loss": plain(each.loss), "n_steps": each.n_steps} for each in tried]
            for tried in self.trainings
        ]
        return result

    def __repr__(self) -> str:
        """Summarise in one line."""
        low, high = self.interval
        return (
            f"TrainableWidth(layers={self.layers!r}, method={self.method!r}, activation={self.activation!r}, "
            f"n_rows={self.n_rows}, max_steps={self.max_steps}, mean {self.mean:.4g} in [{low:.4g}, {high:.4g}] "
            f"over {self.n_seeds} seeds, parameter count {self.parameter_width})"
        )


def _threshold(tried: tuple[Training, ...]) -> float:
    """Smallest width that succeeded above the largest one that failed below a success."""
    widest = max((each.width for each in tried if not each.is_reached), default=0)
    return float(min((each.width for each in tried if each.is_reached and each.width > widest), default=np.nan))
