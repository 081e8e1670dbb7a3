"""Trust-region Newton on a smooth stage from products with the Hessian alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._linalg import EPS, vector_norm
from underdetermined.objectives import SharedSoftmaxReLU
from underdetermined.softmax_relu.newton.cg_subproblem import KinkPreconditioner, kink_preconditioner, truncated_cg
from underdetermined.softmax_relu.newton.trust_region import TrustRegionResult

__all__ = ["newton_cg"]

FloatArray = NDArray[np.float64]

# The residual of a step, relative to the gradient, is at most this, and falls with the root of the gradient.
_FORCING = 0.1
# A step is solved to this share of the gradient that ends the stage.
_LAST = 0.5
# When a radius shrinks, and to which share of the step; when it grows, and by how much.
_POOR, _SHRINK = 0.25, 0.25
_GOOD, _GROW = 0.75, 2.0
# Relative decrease of the objective that rounding hides; a step that promises less is judged by gradients.
_HIDDEN = 1e-13
# Residual, relative to its right-hand side, of a solution with the Hessian that serves as a prediction.
_LOOSE = 1e-2
# More products are not spent on one step.
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
        Largest number of accepted steps.
    curvature : {"exact", "clipped", "gauss-newton"}, default="exact"
        Which Hessian.
    eta : float, default=1e-4
        Share of the promised decrease that an accepted step must reach.
    max_radius : float, default=inf
        Largest radius.
    on_step : callable or None, default=None
        Called as ``on_step(x, value)`` after every accepted step; may raise StopIteration.

    Returns
    -------
    TrustRegionResult
        Converged where |g| <= gtol. ``n_hessian`` is 0, and ``n_products`` counts the products with Hessians.

    Notes
    -----
    A product takes two products with A1 and two with A2; a step tried takes about as much once more. No matrix of order D is
    formed, unless more than D units are near their kinks: M then has that order. The objective never rises, beyond rounding.
    Negative curvature is used where conjugate gradients meet it; that none is left at the end is not tested.

    References
    ----------
    :ref:`theory-softmax-relu-kinks`. T. Steihaug (1983), "The conjugate gradient method and trust regions in large scale
    optimization", SIAM J. Numer. Anal. 20, for the steps.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.objectives import SoftmaxReLU
    >>> from underdetermined.softmax_relu.newton.newton_cg import newton_cg
    >>> objective = SoftmaxReLU([[1.0, 2.0], [3.0, -1.0]], [[1.0, -1.0], [0.0, 2.0]], [0.25, 0.75], reg=0.01)
    >>> run = newton_cg(objective, [0.5, 0.25], smoothing=0.1, gtol=1e-10)
    >>> run.is_converged, run.n_hessian, bool(np.linalg.norm(run.point.gradient) <= 1e-10)
    (True, 0, True)
    """
    point = objective.at(np.array(x, dtype=np.float64), smoothing)
    norm = first_norm = vector_norm(point.gradient)
    radius = min(radius, max_radius)
    n_iter, n_value, n_products, scale = 0, 1, 0, np.nan
    reason = "" if np.isfinite(norm) and np.isfinite(point.value) else "not finite"
    while not reason:
        if norm <= gtol:
            reason = "converged"
            break
        if n_iter >= max_iter:
            reason = "max_iter"
            break
        if not scale > 0.0:
            scale = _beside_kinks(point, curvature)
            n_products += 1
        metric = _metric(objective, point, scale)
        accepted = False
        while not (accepted or reason):
            found = truncated_cg(
                point.gradient,
                partial(point.hessp, curvature=curvature),
                radius,
                forcing=min(_FORCING, float(np.sqrt(norm / first_norm))),
                floor=_LAST * gtol,
                max_products=min(_LARGEST_CG, 10 + 2 * len(point.x)),
                metric=metric,
            )
            n_products += found.n_products
            scale = found.scale if np.isfinite(found.scale) else scale
            trial = objective.at(point.x + found.step, smoothing)
            n_value += 1
            size = vector_norm(trial.gradient)
            if found.promised <= _HIDDEN * abs(point.value):
                gain = -0.5 * float((point.gradient + trial.gradient) @ found.step)
                if not size <= 0.5 * norm:
                    reason = "rounding"
                    break
            else:
                gain = point.value - trial.value
            ratio = gain / found.promised if found.promised > 0.0 else 0.0
            # An overflow at the trial point makes the ratio nan, which is poor.
            if not ratio >= _POOR:
                radius = _SHRINK * found.length
            elif ratio > _GOOD and found.is_on_boundary:
                radius = min(_GROW * radius, max_radius)
            accepted = bool(ratio > eta)
            if not accepted and radius <= EPS * vector_norm(point.x):
                reason = "rounding"
        if accepted:
            point, norm = trial, size
            n_iter += 1
            if on_step is not None:
                try:
                    on_step(point.x, point.value)
                except StopIteration:
                    reason = "stopped"
    is_converged = reason == "converged"
    solve = _inverse(objective, point, curvature, scale) if is_converged else None
    return TrustRegionResult(point.x, radius, point, n_iter, n_value, 0, is_converged, reason, n_products, solve)


def _metric(objective: Any, point: Any, scale: float) -> KinkPreconditioner | None:
    """Preconditioner at a point; a shared layer has none, because its blocks cost more than the products they save."""
    is_shared = isinstance(objective, SharedSoftmaxReLU)
    return None if is_shared else kink_preconditioner(objective, point.kink_weights("clipped"), scale)


def _inverse(objective: Any, point: Any, curvature: str, scale: float) -> Callable[[FloatArray], FloatArray]:
    """Products with the inverse of the Hessian, to two digits."""

    def solve(vector: FloatArray) -> FloatArray:
        size = scale if scale > 0.0 else _beside_kinks(point, curvature)
        found = truncated_cg(
            vector,
            partial(point.hessp, curvature=curvature),
            np.inf,
            forcing=_LOOSE,
            floor=0.0,
            max_products=min(_LARGEST_CG, 10 + 2 * len(point.x)),
            metric=_metric(objective, point, size),
        )
        return -found.step

    return solve


def _beside_kinks(point: Any, curvature: str) -> float:
    """Curvature along the gradient, if there is one."""
    size = vector_norm(point.gradient)
    direction = point.gradient / size if size > 0.0 else np.ones(len(point.x)) / len(point.x) ** 0.5
    return abs(float(direction @ point.hessp(direction, curvature=curvature)))
