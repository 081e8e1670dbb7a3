"""The longest path that gradient descent can take from a residual, in closed form."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from underdetermined._decrease import LongestPath


@dataclass(frozen=True)
class WorstPath(LongestPath):
    """Path along which the smallest singular value, the exponentials and the residual change as fast as their bounds.

    As functions of the length of the path so far, ``sigma' = -beta e^kappa``, ``kappa' = alpha e^kappa / sigma`` and
    ``|rho|' = -sigma``. It ends where rho is 0, and there is such an end if h < 1.

    Parameters
    ----------
    growth, curvature : float
        alpha and beta.
    residual : float
        |rho| at the start.
    lowest, highest : float
        Smallest and largest singular value of the Jacobian at the start.
    efficiency : float, default=1.0
        c: a step lowers |rho| by at least this share of its first-order bound.
    """

    growth: float
    curvature: float
    residual: float
    lowest: float
    highest: float
    efficiency: float = 1.0

    @property
    def _bending(self) -> float:
        """The change of the Jacobian, beside which steps lower |rho| by the share c only."""
        return self.curvature / self.efficiency

    @property
    def _log_share(self) -> float:
        """Logarithm of sigma / sigma_0 at the end, by alpha + 2 beta."""
        return float(np.log1p(-self.h)) / (self.growth + 2.0 * self._bending)

    @property
    def h(self) -> float:
        """Share of the residual that could be fitted; the path ends if it is below 1."""
        return (self.growth + 2.0 * self._bending) * self.residual / (self.efficiency * self.lowest**2)

    @property
    def drift(self) -> float:
        """kappa at the end."""
        return -self.growth * self._log_share

    @property
    def end(self) -> float:
        """Smallest singular value at the end, mu."""
        return self.lowest * float(np.exp(self._bending * self._log_share))

    @property
    def distance(self) -> float:
        """Length R of the path."""
        total = self.growth + self._bending
        return -self.lowest * float(np.expm1(total * self._log_share)) / total

    def slowed(self, efficiency: float) -> WorstPath:
        """Path of steps that make less of the gradient.

        Parameters
        ----------
        efficiency : float
            c.

        Returns
        -------
        WorstPath
        """
        return replace(self, efficiency=efficiency)
