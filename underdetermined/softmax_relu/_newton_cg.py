"""Trust-region Newton on a smooth stage from products with the Hessian alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._linalg import EPS
from underdetermined.softmax_relu._cg_subproblem import kink_preconditioner, truncated_cg
from underdetermined.softmax_relu._trust_region import TrustRegionResult

__all__ = ["newton_cg"]

FloatArray = NDArray[np.float64]

# The residual of a step, relative to the gradient, is at most this, and falls with the root of the gradient.
_FORCING = 0.1
# A step is solved to this share of the gradient that ends the stage.
_LAST = 0.5
# Shares of the promised decrease below which the radius shrinks, and above which it grows.
_POOR, _GOOD = 0.25, 0.75
# Relative decrease of the value that rounding hides.
_HIDDEN = 64.0 * EPS
_LARGEST_CG = 1000


def newton_cg(
    objective: Any,
    x: ArrayLike,
    *,
    smoothing: float,
    gtol: float,
    radius: float = 1.0,
    max_iter: int = 200,
    curvature: str = "exact",
    eta: float = 1e-4,
    max_radius: float = np.inf,
    on_step: Callable[[FloatArray, float], None] | None = None,
) -> TrustRegionResult:
    """Minimise a smoothed softmax-ReLU objective by Newton steps from truncated conjugate gradients.

    At x with gradient g and Hessian H, the step s reduces

        g.s + s.H s / 2    within    |s|_M <= radius,    M = I + R.T diag(rho'' r) R / scale,

    by conjugate gradients preconditioned with M, whose rows R are those of the units near their kinks. These make H
    ill-conditioned as the smoothing mu falls, because rho'' is 1 / (4 mu) there, and M removes them exactly; scale is the
    size of the other curvature, as the last step met it.

    Parameters
    ----------
    objective : SoftmaxReLU or SharedSoftmaxReLU
        What to minimise; only ``at``, ``rows`` and ``row_norms`` are used, and products with the Hessian.
    x : array_like of shape (D,)
        Start; not written to.
    smoothing : float
        mu > 0 of the softplus.
    gtol : float
        Norm of the gradient at which the stage ends.
    radius : float, default=1.0
        First radius.
    max_iter : int, default=200
        Largest number of steps tried.
    curvature : {"exact", "clipped", "gauss-newton"}, default="exact"
        Which Hessian.
    eta : float, default=1e-4
        Share of the promised decrease that an accepted step must reach.
    max_radius : float, default=inf
        Largest radius.
    on_step : callable or None, default=None
        Called as ``on_step(x, value)`` after every accepted step; StopIteration goes through to the caller.

    Returns
    -------
    TrustRegionResult
        With ``n_hessian`` 0 and the products with the Hessian in ``n_products``.

    Notes
    -----
    A product takes two products with A1 and two with A2; a step tried takes about as much once more. No matrix of order D is
    formed, unless more than D units are near their kinks; then M is one, of order D. The value never rises.
    """
    x = np.array(x, dtype=np.float64)
    point = objective.at(x, smoothing)
    n_iter = n_value = n_products = 0
    n_value = 1
    scale, reason = np.nan, f"{max_iter} steps did not suffice"
    first_norm = norm = float(np.linalg.norm(point.gradient))
    is_converged = bool(norm <= gtol)
    while not is_converged and n_iter < max_iter:
        if not scale > 0.0:
            scale = _beside_kinks(point, smoothing, curvature)
            n_products += 1
        metric = kink_preconditioner(objective, _kink_curvatures(objective, point, smoothing), scale)
        found = truncated_cg(
            point.gradient,
            lambda u, at=point: at.hessp(u, curvature=curvature),
            radius,
            forcing=min(_FORCING, float(np.sqrt(norm / first_norm))),
            floor=_LAST * gtol,
            max_products=min(_LARGEST_CG, 10 + 2 * len(x)),
            preconditioner=metric,
            scale=scale,
        )
        n_iter += 1
        n_products += found.n_products
        if np.isfinite(found.scale):
            scale = found.scale
        trial = objective.at(x + found.step, smoothing)
        n_value += 1
        rounding = _HIDDEN * max(abs(point.value), abs(trial.value))
        trial_norm = float(np.linalg.norm(trial.gradient))
        is_hidden = found.promised <= rounding
        ratio = (point.value - trial.value) / found.promised if found.promised > 0.0 else 0.0
        if is_hidden:
            # The value cannot tell: the gradient does.
            ratio = 1.0 if trial_norm < norm and trial.value <= point.value + rounding else 0.0
        if not ratio >= _POOR:
            radius = _POOR * min(found.length, radius)
        elif ratio > _GOOD and found.is_on_boundary:
            radius = min(2.0 * radius, max_radius)
        if ratio > eta:
            x, point, norm = trial.x, trial, trial_norm
            is_converged = bool(norm <= gtol)
            if on_step is not None:
                on_step(x, point.value)
        elif is_hidden or radius <= EPS * float(np.linalg.norm(x)):
            reason = f"rounding hides every decrease at a gradient of {norm:.3g}"
            break
    if is_converged:
        reason = f"the gradient has fallen to {norm:.3g}"
    return TrustRegionResult(
        x=x,
        radius=radius,
        point=point,
        n_iter=n_iter,
        n_value=n_value,
        n_hessian=0,
        n_products=n_products,
        is_converged=is_converged,
        reason=reason,
    )


def _kink_curvatures(objective: Any, point: Any, smoothing: float) -> FloatArray:
    """Second derivatives of the softplus units, rho'' r where that is positive."""
    slopes = point.slopes
    return slopes * (1.0 - slopes) / smoothing * np.maximum(point.unit_slopes, 0.0)


def _beside_kinks(point: Any, smoothing: float, curvature: str) -> float:
    """Curvature along the gradient."""
    gradient = point.gradient
    return abs(float(gradient @ point.hessp(gradient, curvature=curvature))) / float(gradient @ gradient)
