"""What `measure_widths` returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined.empirical_width._plain import plain


@dataclass(frozen=True, eq=False, repr=False)
class WidthMeasurement:
    """Spectra of the Gram matrices G = (1/m) sum_j a_j a_j^T of random networks, by width m and seed.

    Parameters
    ----------
    activation : str
        The activation, as `get_activation` reads it.
    n_rows : int
        Rows n of the data.
    attainable_rank : int
        Largest rank r that the features have at any width.
    kernel_smallest : float
        lambda = lambda_r(K), K = E G the kernel of infinite width; nan if it is not resolved.
    kernel_condition : float
        lambda_1(K) / lambda_r(K), what the condition of G tends to; inf if lambda is not resolved.
    weight_scale, bias_scale : float
        Standard deviations of weights and biases.
    seed : int
        Seed of the experiment.
    widths : ndarray of shape (w,), int
        Widths m, ascending.
    rank : ndarray of shape (w, n_seeds), int
        Numerical ranks of the features, at most r.
    smallest : ndarray of shape (w, n_seeds)
        lambda_r(G) / lambda; nan if lambda is not resolved.
    condition : ndarray of shape (w, n_seeds)
        lambda_1(G) / lambda_r(G); inf where the rank is below r.
    residual : ndarray of shape (w, n_seeds) or None
        Norm of the training residual of least squares relative to that of the targets, without the part of the targets that
        no width fits; None without targets.

    Notes
    -----
    Networks of one seed are nested: the wider one contains the narrower one.
    """

    activation: str
    n_rows: int
    attainable_rank: int
    kernel_smallest: float
    kernel_condition: float
    weight_scale: float
    bias_scale: float
    seed: int
    widths: NDArray[np.int64]
    rank: NDArray[np.int64]
    smallest: NDArray[np.float64]
    condition: NDArray[np.float64]
    residual: NDArray[np.float64] | None

    @property
    def n_seeds(self) -> int:
        """Number of networks at each width."""
        return self.rank.shape[1]

    def to_dict(self) -> dict[str, Any]:
        """Return everything in types that JSON knows.

        Returns
        -------
        dict
            Keys as the parameters; arrays as nested lists, and None for numbers that are not finite.
        """
        scalars = ("activation", "n_rows", "attainable_rank", "weight_scale", "bias_scale", "seed")
        arrays = ("kernel_smallest", "kernel_condition", "widths", "rank", "smallest", "condition", "residual")
        return {name: getattr(self, name) for name in scalars} | {name: plain(getattr(self, name)) for name in arrays}

    def __repr__(self) -> str:
        """Summarise in one line."""
        return (
            f"WidthMeasurement(activation={self.activation!r}, n_rows={self.n_rows}, "
            f"attainable_rank={self.attainable_rank}, {self.widths.size} widths from {self.widths[0]} to {self.widths[-1]}, "
            f"{self.n_seeds} seeds)"
        )
