"""The smallest curvature along kinks, from products with the Hessian alone."""

from __future__ import annotations

from functools import partial
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined._linalg import EPS
from underdetermined.lanczos._extremes import ritz_bracket
from underdetermined.lanczos._process import LanczosProcess, as_unit_operator, random_directions
from underdetermined.objectives import SharedSoftmaxReLU
from underdetermined.softmax_relu.kinks.certificate import certify
from underdetermined.softmax_relu.kinks.curvature import ReducedCurvature, reduced_curvature
from underdetermined.softmax_relu.kinks.geometry import NormalSpace
from underdetermined.softmax_relu.kinks.null_space import NullSpace

__all__ = ["certify_by_products", "projected_curvature"]

FloatArray = NDArray[np.float64]

_SEED = 88
# Lanczos steps, and how often the bounds are looked at.
_MAX_STEPS, _LOOK = 1000, 10
# Unknowns up to which a dense Hessian settles what products cannot.
_LARGEST_DENSE = 3000
# Entries of a product are sums; this many roundings of the largest eigenvalue cover them.
_ROUNDINGS = 8.0


def projected_curvature(point: Any, units: NDArray[np.intp]) -> ReducedCurvature:
    """Sign of the smallest eigenvalue of the Hessian along the kinks of some units.

    With the projection P on the null space of their rows it is that of P H P + c (I - P), c within the spectrum of the first
    term. A convex loss with a penalty reg |x|^2 / 2 needs no product: nothing is below reg. Otherwise Lanczos steps bound
    the eigenvalue from both sides, from above by a Rayleigh quotient, from below but for a probability of 1e-6 over the
    starting vector, until the sign is known.

    Parameters
    ----------
    point : SoftmaxReLUPoint or SharedSoftmaxReLUPoint
        Where, as a point of one cell.
    units : ndarray of shape (k,)
        Units that stay at their kinks.

    Returns
    -------
    ReducedCurvature
        Its value is the Rayleigh quotient, or the bound reg. Where rounding or too few steps hide the sign it is that of a
        dense Hessian, or 0 if this would be too large.

    Notes
    -----
    Up to 1000 products, with their vectors kept: about the root of the condition number times 10 suffice.
    """
    objective = point.objective
    size = point.x.size
    space = NullSpace(objective.rows(units), objective.row_norms[units])
    if space.rank == size:
        return ReducedCurvature(inf, 1, np.zeros(size))
    if objective.loss == "kl" and objective.reg > 0.0:
        return ReducedCurvature(float(objective.reg), 1, np.zeros(size))
    start = space.project(random_directions(size, 1, _SEED)[:, 0])[:, np.newaxis]
    start /= np.linalg.norm(start)

    def along(vectors: FloatArray) -> FloatArray:
        return space.project(point.hessp(space.project(vectors[:, 0])))[:, np.newaxis]

    if not along(start).any():
        return ReducedCurvature(0.0, 0, start[:, 0])
    product, scale = as_unit_operator(along, start)
    # Rounding leaves a trace of the normals in every vector: an eigenvalue 0 there would be taken for one along the kinks.
    process = LanczosProcess(
        lambda v: product(v) + (v - space.project(v[:, 0])[:, np.newaxis]), start, min(size - space.rank, _MAX_STEPS)
    )
    value, sign = 0.0, 0
    for _ in range(min(size - space.rank, _MAX_STEPS)):
        process.step()
        is_last = process.is_exhausted
        if process.steps % _LOOK and not is_last:
            continue
        value, error = ritz_bracket(process, largest=False)
        rounding = _ROUNDINGS * EPS * size**0.5 * max(abs(value), ritz_bracket(process, largest=True)[0])
        if process.steps == size - space.rank:
            error = 0.0
        sign = int(value - error > rounding) - int(value < -rounding)
        if sign or is_last:
            break
    if not sign and size <= _LARGEST_DENSE and not isinstance(objective, SharedSoftmaxReLU):
        rows = objective.rows(units)
        dense = rows if isinstance(rows, np.ndarray) else rows.toarray()
        return reduced_curvature(point, NormalSpace(dense / objective.row_norms[units, np.newaxis]).tangent)
    direction = space.project(process.ritz_vector(largest=False)[0])
    return ReducedCurvature(value * scale, sign, direction / np.linalg.norm(direction))


certify_by_products = partial(certify, curvature=projected_curvature)
