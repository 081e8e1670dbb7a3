"""Exact first-order test at a point where kinks meet, concave ones among them."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from underdetermined._linalg import vector_norm
from underdetermined.softmax_relu.kinks.geometry import KinkGroups, NormalSpace
from underdetermined.softmax_relu.kinks.multipliers import bounded_least_squares, central_multipliers

__all__ = ["FirstOrder", "Pattern", "first_order", "one_sided_slope"]

FloatArray = NDArray[np.float64]

# Concave kinks of which all patterns are tested; beyond, as many patterns are drawn.
MAX_CONCAVE = 10
_SEED = 8


@dataclass(frozen=True)
class Pattern:
    """A convex piece of the one-sided derivative, and why it is non-negative.

    Attributes
    ----------
    concave_on : ndarray of bool of shape (k,)
        Concave kinks of whose two sides this piece takes the active one.
    multipliers : ndarray of shape (k,)
        Multipliers of the other kinks.
    residual : ndarray of shape (D,)
        Gradient plus multipliers times normals.
    """

    concave_on: NDArray[np.bool_]
    multipliers: FloatArray
    residual: FloatArray


@dataclass(frozen=True)
class FirstOrder:
    """Whether the one-sided derivative is non-negative in all directions.

    Attributes
    ----------
    patterns : list of Pattern
        One for each piece tested.
    descent : ndarray of shape (D,) or None
        Unit vector along which the derivative is negative.
    slope : float
        The derivative along it.
    is_decided : bool
        False if there are too many pieces to test them all and no descent was found among those tested, or a residual is
        left along which nothing falls visibly.
    concave : ndarray of bool of shape (k,)
        The concave kinks.
    """

    patterns: list[Pattern]
    descent: FloatArray | None
    slope: float
    is_decided: bool
    concave: NDArray[np.bool_] = field(repr=False)


def one_sided_slope(groups: KinkGroups, gradient: FloatArray, direction: FloatArray) -> float:
    """Derivative g.T u + sum slopes max(e.T u, 0) along a direction.

    Parameters
    ----------
    groups : KinkGroups
        Kinks.
    gradient : ndarray of shape (D,)
        g, with the shift of the groups in it.
    direction : ndarray of shape (D,)
        u.

    Returns
    -------
    float
    """
    return float(gradient @ direction + groups.slopes @ np.maximum(groups.rows @ direction, 0.0))


def first_order(groups: KinkGroups, gradient: FloatArray, space: NormalSpace, tolerance: float) -> FirstOrder:
    """Test whether g.T u + sum slopes max(e.T u, 0) >= 0 for every u.

    A kink with a negative slope takes the smaller of two linear functions, so that the derivative is the smallest of convex
    functions, one for each choice among these; each is the support function of a convex set, and non-negative exactly if
    that set contains 0.

    Parameters
    ----------
    groups : KinkGroups
        Kinks.
    gradient : ndarray of shape (D,)
        g, with the shift of the groups in it.
    space : NormalSpace
        Of the rows of the groups.
    tolerance : float
        Residuals up to this norm count as zero, and so do slopes.

    Returns
    -------
    FirstOrder

    Notes
    -----
    One bounded least-squares problem for each of 2^j patterns of j concave kinks. A concave kink that is independent of the
    others is never at a minimiser, and decides at once.

    References
    ----------
    :ref:`theory-softmax-relu-kinks`.
    """
    concave = groups.slopes < -tolerance
    alone = concave & (np.abs(space.relations).max(axis=1, initial=0.0) <= np.sqrt(np.finfo(float).eps))
    if alone.any():
        descent, slope = _leave(groups, gradient, int(np.flatnonzero(alone)[groups.slopes[alone].argmin()]))
        if slope < 0.0:
            return FirstOrder([], descent, slope, True, concave)
    which = np.flatnonzero(concave)
    is_complete = len(which) <= MAX_CONCAVE
    if is_complete:
        choices = np.array(list(product((False, True), repeat=len(which))), dtype=np.bool_)
    else:
        choices = np.random.Generator(np.random.Philox(_SEED)).random((2**MAX_CONCAVE, len(which))) < 0.5
    upper = np.where(groups.slopes > tolerance, groups.slopes, 0.0)
    convex = ~concave
    relations = space.relations if not which.size else NormalSpace(groups.rows[convex]).relations
    patterns = []
    for choice in choices:
        on = np.zeros(len(concave), dtype=np.bool_)
        on[which] = choice
        part = gradient + groups.slopes[on] @ groups.rows[on]
        multipliers = np.zeros(len(concave))
        multipliers[convex] = bounded_least_squares(groups.rows[convex], part, upper[convex])
        residual = part + multipliers[convex] @ groups.rows[convex]
        size = vector_norm(residual)
        if size > tolerance:
            descent = -residual / size
            slope, pattern = one_sided_slope(groups, gradient, descent), Pattern(on, multipliers, residual)
            if slope < 0.0:
                return FirstOrder([pattern], descent, slope, True, concave)
            # A residual that rounding has made: no direction can be trusted.
            return FirstOrder([pattern], None, 0.0, False, concave)
        multipliers[convex] = central_multipliers(multipliers[convex], relations, upper[convex])
        patterns.append(Pattern(on, multipliers, part + multipliers[convex] @ groups.rows[convex]))
    return FirstOrder(patterns, None, 0.0, is_complete, concave)


def _leave(groups: KinkGroups, gradient: FloatArray, index: int) -> tuple[FloatArray, float]:
    """Leave one independent kink, along all the others: of two opposite directions one goes down."""
    others = NormalSpace(np.delete(groups.rows, index, axis=0))
    direction = others.tangent @ (others.tangent.T @ groups.rows[index])
    direction /= max(vector_norm(direction), np.finfo(float).tiny)
    slopes = [one_sided_slope(groups, gradient, sign * direction) for sign in (1.0, -1.0)]
    return (direction, slopes[0]) if slopes[0] <= slopes[1] else (-direction, slopes[1])
