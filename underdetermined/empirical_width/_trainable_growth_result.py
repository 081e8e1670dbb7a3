"""What `trainable_width_growth` returns."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined.empirical_width._bootstrap import bootstrap_exponent
from underdetermined.empirical_width._growth import fit_exponent
from underdetermined.empirical_width._growth_result import Exponent
from underdetermined.empirical_width._plain import plain

_SCALARS = ("activation", "init", "method", "loss_tol", "max_steps", "n_seeds")


@dataclass(frozen=True, eq=False, repr=False)
class TrainableWidthGrowth:
    """Smallest trainable widths against the number of rows, by what is trained, beside counts and bounds.

    Parameters
    ----------
    activation, init : str
        The activation, as `get_activation` reads it, and the initialisation.
    method : {"gd", "gauss-newton"}
        How hidden layers were trained; the last layer alone by gradient descent, and by least squares under "last, direct".
    loss_tol : float
        Relative loss that counts as success.
    max_steps : dict of str to int
        Steps T of a training, by curve; 0 where none are taken.
    sizes : ndarray of shape (s,), int
        Numbers of rows n, ascending.
    n_inputs : ndarray of shape (s,), int
        Numbers of columns d.
    widths : dict of str to ndarray of shape (s, n_seeds)
        Smallest width of each seed, by curve: the layers that are trained, and "last, direct" for least squares on the last
        layer; nan where none was found.
    parameters : dict of str to ndarray of shape (s,)
        Parameter counts by layers, mean over the seeds: widths from which on the trained parameters are as many as what
        they have to fit.
    bounds : dict of str to ndarray of shape (s,)
        Width of each bound of `underdetermined.bounds.minimum_width` for the last layer, by its name, on the rows of the
        first seed; nan where it has none.
    """

    activation: str
    init: str
    method: str
    loss_tol: float
    max_steps: dict[str, int]
    sizes: NDArray[np.int64]
    n_inputs: NDArray[np.int64]
    widths: dict[str, NDArray[np.float64]]
    parameters: dict[str, NDArray[np.float64]]
    bounds: dict[str, NDArray[np.float64]]

    @property
    def n_seeds(self) -> int:
        """Problems and networks for each number of rows."""
        return next(iter(self.widths.values())).shape[1]

    @property
    def means(self) -> dict[str, NDArray[np.float64]]:
        """Geometric means over the seeds, by curve; nan where a width is missing."""
        return {name: np.exp(np.log(widths).mean(axis=1)) for name, widths in self.widths.items()}

    @cached_property
    def exponents(self) -> dict[str, Exponent]:
        """Exponents of growth: of curves with intervals by bootstrap over seeds, of bounds with those of the fit."""
        found = {name: self.exponent(name) for name in self.widths}
        return found | {name: fit_exponent(self.sizes, widths) for name, widths in self.bounds.items()}

    def exponent(self, curve: str, *, smallest: int = 1) -> Exponent:
        """Fit the growth of one curve, on all sizes or on large ones alone.

        Parameters
        ----------
        curve : str
            A key of `widths`.
        smallest : int, default=1
            Smallest number of rows that enters the fit.

        Returns
        -------
        Exponent
            With the 95 % interval of `bootstrap_exponent`.

        Raises
        ------
        KeyError
            If there is no such curve.
        """
        if curve not in self.widths:
            raise KeyError(f"curve={curve!r} was not measured: pass one of {', '.join(map(repr, self.widths))}")
        chosen = self.sizes >= smallest
        return bootstrap_exponent(self.sizes[chosen], self.widths[curve][chosen])

    def to_dict(self) -> dict[str, Any]:
        """Return everything in types that JSON knows.

        Returns
        -------
        dict
            Keys as the parameters, n_seeds, means and exponents; arrays as lists, and None for numbers that are not finite.
        """
        result: dict[str, Any] = {name: getattr(self, name) for name in _SCALARS}
        result |= {name: plain(getattr(self, name)) for name in ("sizes", "n_inputs")}
        for name in ("widths", "parameters", "bounds", "means"):
            result[name] = {key: plain(values) for key, values in getattr(self, name).items()}
        result["exponents"] = {
            name: {key: plain(value) for key, value in asdict(exponent).items()}
            for name, exponent in self.exponents.items()
        }
        return result

    def __repr__(self) -> str:
        """Summarise in one line."""
        grown = (
            f"{name} {found.value:.3g} in [{found.low:.3g}, {found.high:.3g}]"
            for name, found in ((name, self.exponents[name]) for name in self.widths)
        )
        return (
            f"TrainableWidthGrowth(activation={self.activation!r}, n from {self.sizes[0]} to {self.sizes[-1]}, "
            f"{self.n_seeds} seeds, exponents: {', '.join(grown)})"
        )
