"""How a two-layer network is trained: solver, learning rate and penalty."""

from collections.abc import Callable
from typing import Any

import numpy as np

from underdetermined._linalg import vector_norm
from underdetermined.estimators._penalized import Penalized
from underdetermined.estimators._trained import ROUNDING
from underdetermined.joint import certify
from underdetermined.objectives import TwoLayer
from underdetermined.optimize import gauss_newton, gradient_descent
from underdetermined.solution import Trajectory

__all__ = ["most_steps", "train"]

# Most steps by default: of Gauss-Newton, and of descent, whose steps are far cheaper.
GAUSS_NEWTON_STEPS, DESCENT_STEPS = 100, 2000
# First damping of Gauss-Newton in units of the penalty, and the least one in units of the trace of the tangent Gram matrix:
# with a smaller one, more steps were taken back than it saved. The largest number to pass on.
FIRST_DAMPING, LEAST_DAMPING, LARGEST_DAMPING = 10.0, 1e-5, 1e300
# Momentum of a heavy ball whose learning rate is a number.
MOMENTUM = 0.9


def most_steps(model: Any) -> int:
    """Largest number of steps of an estimator, by its solver where it does not say."""
    if model.max_iter is not None:
        return int(model.max_iter)
    return GAUSS_NEWTON_STEPS if model.solver == "gauss-newton" else DESCENT_STEPS


def train(
    model: Any,
    objective: TwoLayer,
    penalty: float,
    size: float,
    callback: Callable[[int, np.ndarray], bool],
    previous: Trajectory | None,
) -> Trajectory:
    """Run the solver of an estimator.

    Parameters
    ----------
    model : TwoLayerModel
        Names the solver, the learning rate, the number of steps and the tolerance.
    objective : TwoLayer
        Loss, and the network at the start.
    penalty : float
        Factor of half the squared distance from the start; 0 for none.
    size : float
        Mean diagonal of the tangent Gram matrix at the start. Where training may stop early, Gauss-Newton starts from a
        damping as large as the trace, above all eigenvalues, and the steps that follow fit ever weaker directions.
    callback : callable
        Called as ``callback(step, theta)``; asks to stop by returning True.
    previous : Trajectory or None
        Run of the same loss to go on from.

    Returns
    -------
    Trajectory

    Raises
    ------
    ValueError
        If the learning rate is "certified" and nothing is proved of it.
    """
    theta = objective.initial()
    value, gradient = objective.value_and_gradient(theta)
    # A loss that is nothing but rounding need not fall any further.
    rounding = min(1.0, ROUNDING * float(objective.sample_weight.sum()) / value) if value else 0.0
    options: dict[str, Any] = {
        "max_iter": most_steps(model),
        "callback": callback,
        "loss_tol": max(rounding, model.tol**2),
        "previous": previous,
    }
    if penalty:
        # A penalty leaves a residual: what becomes small is the gradient.
        options |= {"loss_tol": rounding, "tol": model.tol * vector_norm(gradient)}
    first: np.ndarray | None = theta
    if previous is not None:
        first, options["previous"] = None, previous
    if model.solver == "gauss-newton":
        trace = size * float(objective.sample_weight.sum())
        if model.early_stopping:
            options["damping"] = min(trace, LARGEST_DAMPING)
        elif penalty:
            options["damping"] = min(max(FIRST_DAMPING * penalty, LEAST_DAMPING * trace), LARGEST_DAMPING)
        return gauss_newton(objective, first, alpha=penalty, **options)
    rate = _certified_rate(objective) if model.learning_rate == "certified" else model.learning_rate
    if model.solver == "heavy-ball":
        options |= {"method": "heavy_ball", "momentum": 0.0 if rate == "auto" else MOMENTUM}
    loss = Penalized(objective, penalty) if penalty else objective
    return gradient_descent(loss, first, learning_rate=rate, **options)


def _certified_rate(objective: TwoLayer) -> float:
    certificate = certify(objective)
    if not certificate.is_certified:
        raise ValueError(
            f"learning_rate='certified', but nothing is certified at the start: {certificate.reason} Pass "
            "learning_rate='auto', or what the reason suggests."
        )
    return float(certificate.learning_rate)
