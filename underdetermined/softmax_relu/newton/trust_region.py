"""Exact trust-region Newton on a smoothed objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined._linalg import EPS, vector_norm
from underdetermined.softmax_relu.newton.subproblem import Subproblem

__all__ = ["TrustRegionResult", "trust_region_newton"]

FloatArray = NDArray[np.float64]
OnStep = Callable[[FloatArray, float], None]

# When a radius shrinks, and to which share of the step; when it grows and by how much, also where the model is exact.
_POOR, _SHRINK = 0.25, 0.25
_GOOD, _GROW, _EXACT, _LEAP = 0.75, 2.0, 0.95, 4.0
# Relative decrease of the objective that rounding hides; a step that promises less is judged by gradients.
_HIDDEN = 1e-13
# Negative curvature, relative to the largest entry of the Hessian, that counts as zero.
_FLAT = 1e-8


@dataclass(frozen=True)
class TrustRegionResult:
    """Where a trust-region method ended.

    Attributes
    ----------
    x : ndarray of shape (D,)
        Last parameters.
    radius : float
        Last radius, to start the next run from.
    point : object
        The objective at x, ``objective.at(x, smoothing)``.
    n_iter : int
        Accepted steps.
    n_value, n_hessian : int
        Evaluations of the objective and of its Hessian.
    is_converged : bool
        Whether the gradient and the curvature passed their tests.
    reason : {"converged", "rounding", "max_iter", "stopped", "not finite"}
        What ended the run: the tests; no step that rounding leaves visible; the number of steps; `on_step`; an overflow.
    n_products : int, default=0
        Products with Hessians, of methods that form none.
    solve : callable or None, default=None
        v to H^-1 v with the Hessian at a converged x, where it is positive definite; methods without one give None.
    """

    x: FloatArray
    radius: float
    point: Any
    n_iter: int
    n_value: int
    n_hessian: int
    is_converged: bool
    reason: str
    n_products: int = 0
    solve: Callable[[FloatArray], FloatArray] | None = None


def trust_region_newton(
    objective: Any,
    x: FloatArray,
    *,
    smoothing: float = 0.0,
    gtol: float,
    radius: float = 1.0,
    max_iter: int = 200,
    curvature: str | Callable[[Any], FloatArray] = "exact",
    eta: float = 1e-4,
    max_radius: float = np.inf,
    on_step: OnStep | None = None,
) -> TrustRegionResult:
    """Minimise a smoothed objective by Newton steps in a ball, each the global minimiser of its quadratic model.

    A step u minimises g.T u + u.T H u / 2 over |u| <= radius, exactly, so that negative curvature is used and saddle points
    are left. It is taken where the objective falls by at least `eta` times what the model promises.

    Parameters
    ----------
    objective : SoftmaxReLU or SharedSoftmaxReLU
        Objective with ``at(x, smoothing)``.
    x : ndarray of shape (D,)
        Start; not written to.
    smoothing : float, default=0.0
        Width mu of the softplus. With 0 the objective has kinks, and no promise is made.
    gtol : float
        Largest norm of the gradient at a stationary point, >= 0.
    radius : float, default=1.0
        First radius > 0.
    max_iter : int, default=200
        Largest number of accepted steps.
    curvature : {"exact", "clipped", "gauss-newton"} or callable, default="exact"
        Kind of Hessian, or a function from a point to a symmetric matrix of shape (D, D) that takes its place.
    eta : float, default=1e-4
        Share of the promised decrease from which a step is taken, in [0, 1/4).
    max_radius : float, default=inf
        Largest radius.
    on_step : callable or None, default=None
        Called as ``on_step(x, value)`` after every accepted step; may raise StopIteration.

    Returns
    -------
    TrustRegionResult
        Converged where |g| <= gtol and no eigenvalue of the matrix used is below -1e-8 times its largest entry. The
        objective never rises, beyond rounding.

    Notes
    -----
    One Hessian for each accepted step, one evaluation for each step, and a Cholesky factor, d^3 / 3 flops, or a tridiagonal
    form, 4 d^3 / 3, where curvature is negative. Where a step promises less than rounding lets one see, the decrease is
    taken from the gradients at both ends, -(g + g_new).T u / 2, and the run ends unless the gradient falls by half.

    References
    ----------
    :ref:`theory-softmax-relu-kinks`. J. J. More, D. C. Sorensen (1983), "Computing a trust region step", SIAM J. Sci. Stat.
    Comput. 4, for the subproblem.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.objectives import SoftmaxReLU
    >>> from underdetermined.softmax_relu.newton.trust_region import trust_region_newton
    >>> objective = SoftmaxReLU([[1.0, 2.0], [3.0, -1.0]], [[1.0, -1.0], [0.0, 2.0]], [0.25, 0.75], reg=0.01)
    >>> run = trust_region_newton(objective, np.array([0.5, 0.25]), smoothing=0.1, gtol=1e-10)
    >>> run.is_converged, bool(np.linalg.norm(run.point.gradient) <= 1e-10)
    (True, True)
    """
    point = objective.at(np.array(x, dtype=np.float64), smoothing=smoothing)
    n_iter, n_value, n_hessian, reason, solve = 0, 1, 0, "", None
    radius = min(radius, max_radius)
    # Where x = 0 any radius moves it, but none below this one finds a decrease that others have not.
    smallest = EPS * EPS * radius
    while not reason:
        gradient = point.gradient
        size = vector_norm(gradient)
        if n_iter >= max_iter and size > gtol:
            reason = "max_iter"
            break
        hessian = curvature(point) if callable(curvature) else point.hessian(curvature)
        n_hessian += 1
        if not (np.isfinite(size) and np.isfinite(point.value) and np.isfinite(hessian.sum())):
            reason = "not finite"
            break
        model = Subproblem(gradient, hessian)
        if size <= gtol and (model.is_positive_definite or _is_flat(hessian)):
            reason, solve = "converged", model.inverse_product if model.is_positive_definite else None
            break
        if n_iter >= max_iter:
            reason = "max_iter"
            break
        accepted = False
        while not (accepted or reason):
            proposal = model.solve(radius)
            trial = objective.at(point.x + proposal.step, smoothing=smoothing)
            n_value += 1
            is_hidden = proposal.decrease <= _HIDDEN * abs(point.value)
            if is_hidden:
                gain = -0.5 * float((gradient + trial.gradient) @ proposal.step)
                if not vector_norm(trial.gradient) <= 0.5 * size:
                    reason = "rounding"
                    break
            else:
                gain = point.value - trial.value
            ratio = gain / proposal.decrease if proposal.decrease > 0.0 else 0.0
            length = vector_norm(proposal.step)
            # An overflow at the trial point makes the ratio nan, which is poor.
            if not ratio >= _POOR:
                radius = _SHRINK * length
            elif ratio > _GOOD and proposal.on_boundary:
                radius = min((_LEAP if ratio > _EXACT else _GROW) * radius, max_radius)
            accepted = bool(ratio > eta)
            if not accepted and radius <= EPS * vector_norm(point.x) + smallest:
                reason = "rounding"
        if accepted:
            point = trial
            n_iter += 1
            if on_step is not None:
                try:
                    on_step(point.x, point.value)
                except StopIteration:
                    reason = "stopped"
    return TrustRegionResult(point.x, radius, point, n_iter, n_value, n_hessian, reason == "converged", reason, solve=solve)


def _is_flat(hessian: FloatArray) -> bool:
    """Whether no eigenvalue is below zero by more than rounding of the largest entries explains."""
    shifted = np.array(hessian)
    largest = float(np.abs(hessian).max(initial=0.0))
    shifted.flat[:: len(shifted) + 1] += _FLAT * largest
    # A Hessian of zeros, on the flat cone, has no descent either.
    return largest == 0.0 or Subproblem(np.zeros(len(shifted)), shifted).is_positive_definite
