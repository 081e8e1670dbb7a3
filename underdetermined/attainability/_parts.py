"""The polynomial part of an activation: what is left of a neuron in the sum over an antipodal pair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from underdetermined._linalg import EPS
from underdetermined.activations import Activation


@dataclass(frozen=True)
class Parts:
    """An activation as the theory sees it.

    Parameters
    ----------
    even, odd : dict of int to float, or None
        Coefficients by degree of the even and the odd part where that part is a polynomial (no entry: zero), else None.
    homogeneous : int or None
        The p of f(c t) = c^p f(t), c > 0.
    at_zero : float
        f(0).
    """

    even: dict[int, float] | None
    odd: dict[int, float] | None
    homogeneous: int | None
    at_zero: float

    @property
    def is_polynomial(self) -> bool:
        """Whether the whole activation is a polynomial."""
        return self.even is not None and self.odd is not None

    @property
    def polynomial(self) -> dict[int, float]:
        """Coefficients by degree of the parts that are polynomials."""
        return {**(self.even or {}), **(self.odd or {})}

    @property
    def opposite(self) -> int | None:
        """The s for which f(t) + s f(-t) is a polynomial: 1, -1, or None if neither or both are."""
        return None if (self.even is None) == (self.odd is None) else 1 if self.odd is None else -1


    def with_bias(self) -> Parts:
        """Parts of (x, b) -> f(x + b): no symmetry is left, and a polynomial brings along all lower degrees.

        Returns
        -------
        Parts
        """
        if not self.is_polynomial:
            return Parts(None, None, None, 1.0)
        lower = range(max(self.polynomial, default=-1) + 1)
        return Parts({k: 1.0 for k in lower if k % 2 == 0}, {k: 1.0 for k in lower if k % 2}, None, float(bool(lower)))


def read_parts(activation: Activation) -> Parts:
    """Parts of an activation, from its facts and its values.

    Parameters
    ----------
    activation : Activation
        Any activation; facts that are not given count as "not a polynomial".

    Returns
    -------
    Parts

    Raises
    ------
    ValueError
        If the activation is not finite at 0.
    """
    at_zero, right, left = activation.value(np.array([0.0, 1.0, -1.0])).tolist()
    if not np.isfinite(at_zero):
        raise ValueError(f"activation {activation.name!r} is {at_zero} at 0: pass one that is finite there")
    size = max(abs(right), abs(left))
    if abs(at_zero) <= EPS * size:
        at_zero = 0.0
    if activation.homogeneous is not None:
        # f = right t^p and left |t|^p: the part of the parity of p is c t^p, whatever else is known.
        power = activation.homogeneous
        sign = -1 if power % 2 else 1
        same, other = 0.5 * (right + sign * left), 0.5 * (right - sign * left)
        own = {power: same} if abs(same) > 4.0 * EPS * size else {}
        cross: dict[int, float] | None = {} if abs(other) <= 4.0 * EPS * size else None
        even, odd = (own, cross) if sign == 1 else (cross, own)
    else:
        monomials = _monomials(activation)
        even, odd = (
            None if degree is None else {k: c for k, c in monomials.items() if k % 2 == parity and k <= degree}
            for parity, degree in enumerate((activation.even_degree, activation.odd_degree))
        )
    if even is not None and odd is not None and 0 not in even:
        # A polynomial without a constant term vanishes at 0, whatever rounding says.
        at_zero = 0.0
    return Parts(even, odd, activation.homogeneous, at_zero)


def _monomials(activation: Activation) -> dict[int, float]:
    """Monomials of the polynomial parts, converted from Hermite coefficients; what cancels to rounding is left out."""
    degrees = (activation.even_degree, activation.odd_degree)
    top = max((degree for degree in degrees if degree is not None), default=-1)
    if top < 0:
        return {}
    hermite = activation.hermite_coefficients(top)
    hermite[[k for k in range(top + 1) if degrees[k % 2] is None]] = 0.0
    # Some roundings per term, and as much again where the coefficients come from quadrature.
    accuracy = 32.0 * (top + 1.0) * EPS
    total, size = np.zeros((2, top + 1))
    previous, current = np.zeros((2, top + 1))
    current[0] = 1.0
    for k, coefficient in enumerate(hermite):
        total += coefficient * current
        size += abs(coefficient) * np.abs(current)
        following = (np.roll(current, 1) - np.sqrt(k) * previous) / np.sqrt(k + 1.0)
        following[0] = -np.sqrt(k) * previous[0] / np.sqrt(k + 1.0)
        previous, current = current, following
    return {k: float(total[k]) for k in range(top + 1) if abs(total[k]) > accuracy * size[k]}
