"""What `width_growth` returns."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined.empirical_width._plain import plain


@dataclass(frozen=True)
class Exponent:
    """Exponent p of a power law width = c n**p, fitted by least squares on logarithms.

    Parameters
    ----------
    value : float
        p; nan with fewer than two points.
    low, high : float
        95 % interval from the t distribution; nan with fewer than three points.
    n_points : int
        Points that entered the fit.
    """

    value: float
    low: float
    high: float
    n_points: int


@dataclass(frozen=True, eq=False, repr=False)
class WidthGrowth:
    """Minimum widths of every bound and of the experiment against the number of rows.

    Parameters
    ----------
    activation : str
        The activation, as `get_activation` reads it.
    target : str or float
        "rank", "spectrum" or a condition number.
    epsilon, failure_probability : float
        As in `underdetermined.bounds.minimum_width`.
    n_seeds : int
        Networks at each width of the experiment.
    sizes : ndarray of shape (k,), int
        Numbers of rows n, ascending.
    widths : dict of str to ndarray of shape (k,)
        Width of each bound by its name, nan where it has none; orders of growth are left out.
    measured : ndarray of shape (k,)
        `EmpiricalWidth.width`, nan where none was found or none was looked for.
    lower, upper : ndarray of shape (k,)
        `EmpiricalWidth.lower` and `EmpiricalWidth.upper`, nan where missing.
    exponents : dict of str to Exponent
        Fitted growth of each bound by its name, and of the experiment under "measured".
    """

    activation: str
    target: str | float
    epsilon: float
    failure_probability: float
    n_seeds: int
    sizes: NDArray[np.int64]
    widths: dict[str, NDArray[np.float64]]
    measured: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    exponents: dict[str, Exponent]

    def to_dict(self) -> dict[str, Any]:
        """Return everything in types that JSON knows.

        Returns
        -------
        dict
            Keys as the parameters; arrays as lists, and None for numbers that are not finite.
        """
        scalars = ("activation", "target", "epsilon", "failure_probability", "n_seeds")
        result: dict[str, Any] = {name: getattr(self, name) for name in scalars}
        result |= {name: plain(getattr(self, name)) for name in ("sizes", "measured", "lower", "upper")}
        result["widths"] = {name: plain(values) for name, values in self.widths.items()}
        result["exponents"] = {
            name: {key: plain(value) for key, value in asdict(exponent).items()}
            for name, exponent in self.exponents.items()
        }
        return result

    def __repr__(self) -> str:
        """Summarise in one line."""
        grown = self.exponents["measured"]
        return (
            f"WidthGrowth(activation={self.activation!r}, target={self.target!r}, "
            f"n from {self.sizes[0]} to {self.sizes[-1]}, {len(self.widths)} bounds, "
            f"measured exponent {grown.value:.3g} in [{grown.low:.3g}, {grown.high:.3g}])"
        )
