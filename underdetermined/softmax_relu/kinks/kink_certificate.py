"""What a certificate of a local minimiser says."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined.softmax_relu._status import SoftmaxReLUStatus

__all__ = ["KinkCertificate"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class KinkCertificate:
    """Whether a point is a local minimiser of a softmax-ReLU objective, and why, or why not.

    A unit is *pinned* where its pre-activation is 0 up to rounding, so that the objective has a kink there. With multipliers
    0 <= nu_i <= r_i of the pinned units, the gradient g of the other terms and the normals a_i, a minimiser has

    .. math:: g + \\sum_i \\nu_i a_i = 0.

    Parameters
    ----------
    status : SoftmaxReLUStatus
        SMOOTH, KINKS, APEX or GLOBAL for a certified minimiser; LIMIT where a direction goes down; FLAT; DEGENERATE.
    reason : str
        Why, in one sentence.
    kkt_vector : ndarray of shape (D,)
        g + sum nu_i a_i, at the best multipliers within their bounds.
    kkt_residual : float
        Its norm.
    kkt_tolerance : float
        The norm up to which it counts as zero: a few roundings of the terms it is the sum of.
    pinned : ndarray of int of shape (k,)
        Units at their kinks.
    active : ndarray of bool of shape (H,)
        Units with a positive pre-activation that are not pinned.
    multipliers : ndarray of shape (k,)
        nu.
    unit_slopes : ndarray of shape (k,)
        r at the pinned units: by how much the slope of the objective rises across the kink, over the norm of a_i.
    curvature : float
        Smallest curvature along the directions that stay on the kinks; inf where there are none, nan where the first-order
        test failed. Directions in which the objective is constant are left out.
    n_flat : int
        Dimension of those: with 0 a certified minimiser is strict.
    n_dead_profitable : int
        Units with z < 0 and r < 0: switching one on would help, and no derivative says so.
    descent_direction : ndarray of shape (D,) or None
        Unit vector u along which the objective falls.
    slope : float
        One-sided derivative along it; 0 where only the curvature is negative.

    References
    ----------
    :ref:`theory-softmax-relu-kinks`.
    """

    status: SoftmaxReLUStatus
    reason: str
    kkt_vector: FloatArray = field(repr=False)
    kkt_residual: float
    kkt_tolerance: float
    pinned: NDArray[np.intp] = field(repr=False)
    active: NDArray[np.bool_] = field(repr=False)
    multipliers: FloatArray = field(repr=False)
    unit_slopes: FloatArray = field(repr=False)
    curvature: float
    n_flat: int
    n_dead_profitable: int
    descent_direction: FloatArray | None = field(repr=False)
    slope: float

    @property
    def is_certified(self) -> bool:
        """Whether the point is certified to be a local minimiser."""
        return self.status.is_success

    def __repr__(self) -> str:
        """Summarise in one line, numbers to three digits."""
        return (
            f"{type(self).__name__}(status={self.status.name}, is_certified={self.is_certified}, reason={self.reason!r}, "
            f"kkt_residual={self.kkt_residual:.3g}, kkt_tolerance={self.kkt_tolerance:.3g}, n_pinned={len(self.pinned)}, "
            f"curvature={self.curvature:.3g}, n_flat={self.n_flat}, n_dead_profitable={self.n_dead_profitable})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything in types that JSON knows.

        Returns
        -------
        dict
            Numbers that are not finite are None; arrays are lists.
        """
        known = {name: getattr(self, name) for name in self.__dataclass_fields__}
        known |= {"status": int(self.status), "is_certified": self.is_certified}
        for name, value in known.items():
            if isinstance(value, np.ndarray):
                known[name] = value.tolist()
            elif isinstance(value, float) and not isfinite(value):
                known[name] = None
        return known
