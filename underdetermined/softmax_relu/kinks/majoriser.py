"""Descent by a convex majoriser: slow, and safe from any point."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from underdetermined._linalg import EPS, vector_norm
from underdetermined.softmax_relu.kinks.certificate import certify
from underdetermined.softmax_relu.kinks.manifold import ManifoldResult, OnStep

__all__ = ["MajoriserStep", "majoriser_curvature", "majoriser_descent", "majoriser_step"]

FloatArray = NDArray[np.float64]

# A trial curvature that failed is raised by this factor, and lowered by half as much where it held.
_RAISE = 4.0
# Multipliers at least so far from 0 and 1 belong to units at their kinks.
_INSIDE = 1e-3
_HIDDEN = 1e-15


@dataclass(frozen=True)
class MajoriserStep:
    """Minimiser of the majoriser around one point.

    Attributes
    ----------
    step : ndarray of shape (D,)
        u.
    change : float
        Value of the majoriser there, less that of the objective; at most -tau |u|^2 / 2 at the minimiser.
    multipliers : ndarray of shape (H,)
        Derivatives of the hinges at the minimiser, strictly between 0 and 1 at the kinks; 0 or 1 for units without a hinge.
    """

    step: FloatArray
    change: float
    multipliers: FloatArray


def majoriser_curvature(objective: Any) -> float:
    """Curvature with which the majoriser is valid for every step.

    Parameters
    ----------
    objective : SoftmaxReLU
        Objective with dense A1.

    Returns
    -------
    float
        mu = G diam(A2)^2 |A1|^2 / 4 + max w^2 |A1|^2 + reg, with G = 1 for "kl", 9/8 for "squared" with b in the simplex,
        and 3/4 + max b - min b for any other b.

    References
    ----------
    :ref:`theory-softmax-relu-kinks`.
    """
    b = objective.b
    in_simplex = b.min() >= 0.0 and abs(b.sum() - 1.0) <= len(b) * EPS
    bound = 1.0 if objective.loss == "kl" else 9.0 / 8.0 if in_simplex else 0.75 + float(b.max() - b.min())
    rows = objective.A2 - objective.A2.mean(axis=0)
    gram = rows @ rows.T
    squares = np.diag(gram)
    diameter = float((squares[:, np.newaxis] + squares - 2.0 * gram).max())
    weight = 0.0 if objective.weights is None else float((np.asarray(objective.weights) ** 2).max())
    dense = objective.A1 if isinstance(objective.A1, np.ndarray) else objective.A1.toarray()
    return (0.25 * bound * max(diameter, 0.0) + weight) * float(np.linalg.norm(dense, 2)) ** 2 + float(objective.reg)


def majoriser_step(objective: Any, point: Any, curvature: float, start: FloatArray | None = None) -> MajoriserStep:
    """Minimise a convex function that lies above the objective and touches it at a point.

    The function keeps the hinges of units with r_i >= 0, replaces the others by their tangents, which lie above them, and
    the curvature of everything smooth by tau |u|^2 / 2.

    Parameters
    ----------
    objective : SoftmaxReLU or SharedSoftmaxReLU
        Objective.
    point : SoftmaxReLUPoint
        Where, without smoothing.
    curvature : float
        tau > 0.
    start : ndarray of shape (H,) or None
        First multipliers.

    Returns
    -------
    MajoriserStep

    Notes
    -----
    The dual is a quadratic program in the multipliers of the hinges, each between 0 and 1; any multipliers give a step whose
    value is reported exactly.
    """
    z, slopes = point.z, point.unit_slopes
    hinge = slopes > 0.0
    fixed = np.where(hinge, 0.0, slopes * (z > 0.0))
    linear = objective.hidden_adjoint(fixed) + point.gradient_of_penalty
    guess = (z > 0.0).astype(np.float64) if start is None else start
    weights, offsets = slopes[hinge], slopes[hinge] * z[hinge]
    scaled = np.zeros(len(z))

    def step_of(multipliers: FloatArray) -> FloatArray:
        scaled[hinge] = weights * multipliers
        return -(linear + objective.hidden_adjoint(scaled)) / curvature

    def dual(multipliers: FloatArray) -> tuple[float, FloatArray]:
        step = step_of(multipliers)
        down = -weights * objective.hidden(step)[hinge] - offsets
        return 0.5 * curvature * float(step @ step) - float(offsets @ multipliers), down

    values = np.zeros(0)
    if hinge.any():
        # Scaled so that tolerances of the solver are relative.
        size = max(float(np.abs(dual(guess[hinge])[1]).max()), np.finfo(float).tiny)
        values = minimize(
            lambda theta: tuple(part / size for part in dual(theta)),
            guess[hinge],
            jac=True,
            method="L-BFGS-B",
            bounds=[(0.0, 1.0)] * int(hinge.sum()),
            options={"ftol": 1e-15, "gtol": 1e-12, "maxiter": 500},
        ).x
    step = step_of(values)
    moved = np.maximum(z + objective.hidden(step), 0.0) - np.maximum(z, 0.0)
    change = float(linear @ step) + float(weights @ moved[hinge]) + 0.5 * curvature * float(step @ step)
    multipliers = (z > 0.0).astype(np.float64)
    multipliers[hinge] = values
    return MajoriserStep(step, change, multipliers)


def majoriser_descent(
    objective: Any,
    x: FloatArray,
    *,
    curvature: float | None = None,
    max_iter: int = 400,
    rtol: float = 1e-6,
    on_step: OnStep | None = None,
) -> ManifoldResult:
    """Descend by minimising a convex majoriser again and again: monotone from any start, and slow.

    Parameters
    ----------
    objective : SoftmaxReLU or SharedSoftmaxReLU
        Objective.
    x : ndarray of shape (D,)
        Start.
    curvature : float or None, default=None
        tau, held fixed: no less than `majoriser_curvature`, every step is then accepted. None to look for the smallest that
        works at every step.
    max_iter : int, default=400
        Largest number of steps.
    rtol : float, default=1e-6
        The run ends where tau |u| <= rtol times its largest value.
    on_step : callable or None, default=None
        Called as ``on_step(x, value)`` after every step; may raise StopIteration.

    Returns
    -------
    ManifoldResult
        `pinned` are the units whose hinges the last step put at their kinks: a start for `manifold_newton`. `reason` is
        "converged", "max_iter", "rounding" or "stopped".

    Notes
    -----
    With fixed tau the smallest tau |u| of T steps is at most sqrt(2 tau (F_0 - F_T) / T).

    References
    ----------
    :ref:`theory-softmax-relu-kinks`.
    """
    point = objective.at(np.array(x, dtype=np.float64))
    tau = curvature if curvature is not None else _first_curvature(point)
    n_iter, n_value, largest, reason = 0, 1, 0.0, ""
    found: MajoriserStep | None = None
    while not reason:
        found = majoriser_step(objective, point, tau, None if found is None else found.multipliers)
        residual = tau * vector_norm(found.step)
        largest = max(largest, residual)
        if residual <= rtol * largest or not found.change < -_HIDDEN * abs(point.value):
            reason = "converged" if residual <= rtol * largest else "rounding"
            break
        if n_iter >= max_iter:
            reason = "max_iter"
            break
        trial = objective.at(point.x + found.step)
        n_value += 1
        if not trial.value <= point.value + found.change + _HIDDEN * abs(point.value):
            if curvature is not None or not tau < inf:
                reason = "rounding"
            tau *= _RAISE
            continue
        point, n_iter = trial, n_iter + 1
        if curvature is None:
            tau *= 2.0 / _RAISE
        if on_step is not None:
            try:
                on_step(point.x, float(point.value))
            except StopIteration:
                reason = "stopped"
    inside = np.zeros(0) if found is None else np.minimum(found.multipliers, 1.0 - found.multipliers)
    pinned = np.flatnonzero((inside > _INSIDE) & (objective.row_norms > 0.0))
    certificate = certify(objective, point.x)
    active = (point.z > 0.0) & ~np.isin(np.arange(len(point.z)), pinned)
    return ManifoldResult(point.x, float(point.value), pinned, active, certificate, n_iter, n_value, 1, reason)


def _first_curvature(point: Any) -> float:
    """Curvature along the gradient, or 1."""
    gradient = point.gradient
    size = vector_norm(gradient)
    if not 0.0 < size < inf:
        return 1.0
    along = gradient / size
    return max(float(along @ point.hessp(along, "clipped")), EPS)
