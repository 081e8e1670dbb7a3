"""The longest path that gradient descent can take from a residual, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ROUNDS, _SLACK = 200, 1e-9


@dataclass(frozen=True)
class WorstPath:
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
    def top(self) -> float:
        """Largest singular value on the path, at most."""
        return self.highest + self.lowest - self.end

    @property
    def distance(self) -> float:
        """Length R of the path."""
        total = self.growth + self._bending
        return -self.lowest * float(np.expm1(total * self._log_share)) / total

    def at(self, learning_rate: float) -> WorstPath | None:
        """Path of steps beyond 1 / |J|^2, which make less of the gradient.

        How much less depends on the largest |J| on the path, and this on how much. So an end is assumed, and lowered until
        the path that follows from it ends no lower.

        Parameters
        ----------
        learning_rate : float
            Largest learning rate.

        Returns
        -------
        WorstPath or None
            None where the steps are too large for h < 1.
        """
        end = self.lowest
        for _ in range(_ROUNDS):
            theta = learning_rate * (self.highest + self.lowest - end) ** 2
            if theta >= 2.0:
                return None
            share = efficiency(theta, learning_rate * self.lowest**2)
            path = WorstPath(self.growth, self.curvature, self.residual, self.lowest, self.highest, share)
            if path.h >= 1.0:
                return None
            if path.end >= end:
                return path
            end = max(path.end - _SLACK * self.lowest, 0.0)
        return None


def efficiency(theta: float, low: float) -> float:
    """Largest c with |rho| - |(I - A) rho| >= c sqrt(low) |A^(1/2) rho| for all A with eigenvalues in [low, theta].

    Parameters
    ----------
    theta : float
        In (0, 2).
    low : float
        In (0, theta].

    Returns
    -------
    float
        1 for theta up to 1, where nothing more is asked for.
    """
    if theta <= 1.0:
        return 1.0
    if theta + low < 2.0 and low * (2.0 - theta * low) <= 2.0 - theta:
        return float(np.sqrt(theta * (2.0 - theta - low) / (1.0 - theta * low)))
    return (2.0 - theta) / float(np.sqrt(theta * low))
