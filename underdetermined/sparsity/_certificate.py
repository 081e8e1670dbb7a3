"""What a certificate says."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, log1p
from typing import Any

import numpy as np
from scipy.sparse import csc_array

from underdetermined._decrease import CertifiedDecrease


@dataclass(frozen=True, eq=False)
class Certificate(CertifiedDecrease):
    """Whether gradient descent is proved to converge from here, how fast, and what stays active.

    If `is_certified`, every step of full-batch gradient descent, without momentum and decay and with learning rates of at
    most `max_learning_rate`, takes the weighted residual rho to at most ``(1 - learning_rate * rate) |rho|``, for ever; and
    at every step the active pairs lie between the two `masks`.

    Parameters
    ----------
    is_certified : bool
        Whether the residual is within the radius.
    reason : str
        Why, or why not, in one sentence.
    residual_norm : float
        Norm of sqrt(sample_weight) times the residual, |rho|.
    radius : float
        Largest certified norm of the residual; zero if there is none.
    budget : float
        Path of the residual, the sum of learning rate times |rho| over all steps, that is allowed for.
    rate : float
        Certified rate, in units of one over the learning rate; not positive if there is none.
    max_learning_rate : float
        Largest learning rate for which `rate` holds.
    learning_rate : float
        The learning rate that was asked for, else the largest one.
    smallest_eigenvalue, largest_eigenvalue : float
        Extreme eigenvalues of the tangent matrix here, on rows of positive weight.
    always_active, possibly_active : float
        Shares of the n m pairs that stay active within the budget, and that may be active.
    indptr, samples, status : ndarray
        Pairs that may be active, by neuron, and whether each one always is.
    shape : tuple of two int
        Samples n and neurons m.
    """

    is_certified: bool
    reason: str
    residual_norm: float
    radius: float
    budget: float
    rate: float
    max_learning_rate: float
    learning_rate: float
    smallest_eigenvalue: float
    largest_eigenvalue: float
    always_active: float
    possibly_active: float
    indptr: Any = field(repr=False)
    samples: Any = field(repr=False)
    status: Any = field(repr=False)
    shape: tuple[int, int] = field(repr=False)

    def masks(self) -> tuple[csc_array, csc_array]:
        """Pairs of sample and neuron that are always active, and that may be, while the budget lasts.

        Returns
        -------
        always : csc_array of bool, shape (n, m)
            Active at every step.
        possible : csc_array of bool, shape (n, m)
            Everything outside is inactive at every step.
        """
        samples, indptr = self.samples, self.indptr
        always, possible = (
            csc_array((self.status >= lowest, samples, indptr), shape=self.shape, copy=True) for lowest in (2, 1)
        )
        for mask in (always, possible):
            mask.eliminate_zeros()
        return always, possible

    def _log_factor(self) -> float:
        """Logarithm of the factor of one step."""
        decrease = self.learning_rate * self.rate
        return log1p(-decrease) if decrease < 1.0 else -inf

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the masks, in types that JSON knows.

        Returns
        -------
        dict
            Numbers that are not finite are None.
        """
        numbers = {
            name: float(getattr(self, name))
            for name in (
                "residual_norm", "radius", "budget", "rate", "max_learning_rate", "learning_rate", "smallest_eigenvalue",
                "largest_eigenvalue", "always_active", "possibly_active",
            )
        }  # fmt: skip
        shown = {name: value if np.isfinite(value) else None for name, value in numbers.items()}
        return {"is_certified": self.is_certified, "reason": self.reason, **shown}
