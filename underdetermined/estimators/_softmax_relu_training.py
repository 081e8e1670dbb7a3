"""How a softmax-ReLU network is trained: wide softplus units first, then nearly ReLUs, then the kinks themselves."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from underdetermined._linalg import vector_norm
from underdetermined.softmax_relu import KinkCertificate
from underdetermined.softmax_relu.kinks.geometry import identify
from underdetermined.softmax_relu.kinks.manifold_cg import manifold_newton_cg
from underdetermined.softmax_relu.newton.newton_cg import newton_cg

__all__ = ["Training", "train"]

# Widths of the softplus in units of the pre-activations at the start, and how much larger than `tol` gradients may be left.
# Wide first, networks end lower; with the last, predictions are those of far narrower ones.
STAGES = ((0.3, 3.0), (0.03, 3.0), (0.01, 1.0))
# Those on the way to a certificate, and from which one on it is tried. Widths a decade apart took three times as long:
# the curvature near kinks changes by as much, and steps from a point that is far off are short.
NARROW_STAGES = (
    (3e-3, 3e-1), (1e-3, 1e-1), (3e-4, 3e-2), (1e-4, 1e-2), (3e-5, 3e-3), (1e-5, 1e-3), (3e-6, 3e-4), (1e-6, 1e-4)
)  # fmt: skip
FIRST_TRIAL = 1e-5
# Steps on kinks, but for the last trial: where kinks are known, they are few.
TRIAL_STEPS = 30
# A unit is pinned where its pre-activation is at most this many smoothings from 0.
PINNED_WIDTH = 10.0


@dataclass(frozen=True)
class Training:
    """Where training ended.

    Attributes
    ----------
    x : ndarray of shape (D,)
        Parameters.
    smoothing : float
        Last width mu of the softplus; 0 where training ended on the kinks.
    values : list of float
        Objective at the start and after every step.
    first_norm, last_norm : float
        Norms of its gradient at the start and at the end.
    kkt_residual : float
        Norm of the convex combination of one-sided gradients without softplus that the last softplus weighs, or of that of
        the certificate.
    certificate : KinkCertificate or None
        Of the end, on the kinks; None where training ended before.
    is_over : bool
        Whether the goal was reached, up to rounding, or training was told to stop.
    """

    x: np.ndarray
    smoothing: float
    values: list[float]
    first_norm: float
    last_norm: float
    kkt_residual: float
    certificate: KinkCertificate | None
    is_over: bool

    def shortfall(self, tol: float, certify: bool) -> str:
        """How training ended before its goal, and what to change.

        Parameters
        ----------
        tol : float
            Share of its first norm to which the gradient was to fall.
        certify : bool
            Whether a certificate was the goal.

        Returns
        -------
        str
        """
        remedy = "Raise alpha, or max_iter"
        if self.certificate is not None:
            what = f"without a certificate: {self.certificate.reason}"
            remedy = "Raise max_iter, or change alpha"
        elif certify:
            what = f"before the kinks could be certified, with units of smoothing {self.smoothing:.3g}"
        else:
            share = self.last_norm / self.first_norm
            what = f"with a gradient of {share:.3g} times its norm at the start, above tol={tol:g}"
            remedy = "Raise max_iter, tol or alpha"
        return f"training ended after {len(self.values) - 1} steps {what}. {remedy}."


def train(
    objective: Any,
    x: np.ndarray,
    *,
    tol: float,
    certify: bool,
    max_iter: int,
    callback: Callable[[int, np.ndarray], bool],
) -> Training:
    """Minimise with softplus units that come closer and closer to the ReLU.

    Parameters
    ----------
    objective : SharedSoftmaxReLU
        What to minimise.
    x : ndarray of shape (D,)
        Start.
    tol : float
        Share of its first norm to which the gradient must fall.
    certify : bool
        Whether to go on to a certified minimiser.
    max_iter : int
        Most steps.
    callback : callable
        Called as ``callback(step, x)`` after every step; asks to stop by returning True.

    Returns
    -------
    Training
    """
    x = _shrunk(objective, x)
    size = float(np.sqrt(np.mean(objective.hidden(x) ** 2))) or 1.0
    first = objective.at(x, STAGES[0][0] * size)
    first_norm = float(np.linalg.norm(first.gradient))
    values = [first.value]

    def on_step(x: np.ndarray, value: float) -> None:
        values.append(value)
        if callback(len(values) - 1, x):
            raise StopIteration

    certificate, is_over = None, False
    for share, slack in STAGES + (NARROW_STAGES if certify else ()):
        smoothing, goal, rest = share * size, slack * tol * first_norm, max_iter - len(values) + 1
        result = newton_cg(objective, x, smoothing=smoothing, gtol=goal, max_iter=rest, on_step=on_step)
        x, is_over = result.x, result.is_converged or result.reason in ("rounding", "stopped")
        if result.reason in ("stopped", "max_iter"):
            break
        if share <= FIRST_TRIAL:
            rest, is_last = max_iter - len(values) + 1, share == NARROW_STAGES[-1][0]
            pinned = identify(objective.hidden(x), smoothing, objective.row_norms, width=PINNED_WIDTH)
            steps = rest if is_last else min(TRIAL_STEPS, rest)
            settled = manifold_newton_cg(objective, x, pinned, max_iter=steps, on_step=on_step)
            is_certified, is_stopped = settled.certificate.is_certified, settled.reason == "stopped"
            if is_certified or is_stopped or is_last:
                x, smoothing, certificate, is_over = settled.x, 0.0, settled.certificate, is_certified or is_stopped
                break
    point = objective.at(x, smoothing)
    if certificate is None:
        combined = objective.hidden_adjoint(point.slopes * objective.at(x).unit_slopes) + point.gradient_of_penalty
        residual = float(np.linalg.norm(combined))
    else:
        residual = certificate.kkt_residual
    last_norm = residual if certificate is not None else float(np.linalg.norm(point.gradient))
    return Training(x, smoothing, values, first_norm, last_norm, residual, certificate, is_over)


def _shrunk(objective: Any, x: np.ndarray) -> np.ndarray:
    """Start that is small enough for a large penalty: its gradient there is at most that of the loss."""
    point = objective.at(x)
    penalty = vector_norm(point.gradient_of_penalty)
    loss = vector_norm(point.gradient - point.gradient_of_penalty)
    return x * (loss / penalty) if 0.0 < loss < penalty else x
