"""Prove that gradient descent fits the targets, from the weights at hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigvalsh

from underdetermined._decrease import one_of, repeated_rows
from underdetermined._linalg import EPS, column_norms, vector_norm
from underdetermined._validation import as_float, check_finite, check_memory, check_number
from underdetermined.exponential._certificate import ExponentialCertificate
from underdetermined.exponential._growth import Growth, exponential_error, measure_growth
from underdetermined.exponential._safety import TRAINING_LIMIT
from underdetermined.exponential._worst_path import WorstPath
from underdetermined.objectives import Exponential

FloatArray = NDArray[np.float64]

# Sums of squares below this may have lost terms to underflow.
_SMALL = 1e-280


def certify(
    objective: Exponential, theta: ArrayLike | None = None, *, learning_rate: float | None = None
) -> ExponentialCertificate:
    """Prove, for the network at hand, that gradient descent fits the targets, and bound its path.

    With J the Jacobian of the weighted residual rho, sigma_0 its smallest singular value, alpha the fastest change of an
    exponent and beta that of J,

        h = (alpha + 2 beta) |rho| / sigma_0^2 < 1

    proves it, for every learning rate up to 1 / M^2, M = |J| + (1 - psi) sigma_0 and
    psi = (1 - h)^(beta / (alpha + 2 beta)): a step takes |rho| to at most (1 - learning_rate * (psi sigma_0)^2) |rho|.
    Larger learning rates, below 2 / M^2, are certified for smaller residuals.

    Parameters
    ----------
    objective : Exponential
        Rows, targets, weights of the rows, and the network, with any last layer.
    theta : array_like of shape (p,) or None, default=None
        Parameters of the network from which gradient descent goes on; None: those of the feature map.
    learning_rate : float or None, default=None
        Largest learning rate of the steps to come; None: 1 / M^2.

    Returns
    -------
    ExponentialCertificate
        Also where nothing is certified; then `reason` says why.

    Raises
    ------
    TypeError, ValueError
        If `objective` is no `Exponential`, `theta` does not fit or is not finite, or `learning_rate` is not a positive
        number.
    MemoryError
        If the tangent matrix of order n k does not fit in memory.

    Notes
    -----
    Nothing is random or asymptotic here, and no constant is hidden: the statement is about these weights, whatever
    optimiser led there. A network that is refused at the start is often certified after some steps, because |rho| falls.
    Refusal proves nothing: gradient descent works at widths far below `width_needed`.

    Rounding in the Jacobian, its singular values and rho is allowed for; rounding in the steps of gradient descent is not,
    so that losses level off where it begins. Equal rows or zero rows make the tangent matrix singular: merge the former
    and append a constant column.

    The tangent matrix J J.T costs k (k + 1) n^2 m flops for k outputs (half of it for one), its eigenvalues (n k)^3, and
    alpha and beta another pass over the exponentials. Memory 2 (n k)^2.

    References
    ----------
    :ref:`theory-exponential-certificate`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.exponential import certify, draw_network
    >>> from underdetermined.objectives import Exponential
    >>> hidden, coef = draw_network(4, 20000)
    >>> certificate = certify(Exponential(0.5 * np.eye(4), [0.1, -0.1, 0.2, 0.1], hidden, coef))
    >>> certificate.is_certified
    True
    """
    if not isinstance(objective, Exponential):
        raise TypeError(f"objective is a {type(objective).__name__}: pass an underdetermined.objectives.Exponential")
    if learning_rate is not None:
        learning_rate = check_number(learning_rate, "learning_rate", low_open=True)
    parameters = objective.initial() if theta is None else np.asarray(as_float(theta, "theta"), dtype=np.float64)
    check_finite(parameters, "theta")
    layer = objective.network(parameters)
    kept = objective.sample_weight > 0.0
    if not kept.all():
        objective = replace(
            objective, X=objective.X[kept], targets=objective.targets[kept], sample_weight=objective.sample_weight[kept]
        )
    reason = _flaw(objective.X, np.flatnonzero(kept))
    largest = objective.largest_exponent(parameters)[0]
    if reason is None and not largest <= TRAINING_LIMIT:
        reason = f"An exponent is {largest:.4g} > {TRAINING_LIMIT:g}: squares of exponentials overflow; rescale the rows."
    if not objective.coef.any():
        reason = "The last layer is zero: so is the tangent matrix."
    if reason is not None:
        return _refusal(reason, learning_rate)
    (n, d), (width, k) = objective.X.shape, objective.output_weights.shape
    check_memory(8 * n**2 * (2 * k**2 + 4), f"a certificate of {n} rows and {k} outputs")
    growth = measure_growth(objective.X, objective.sample_weight, layer, objective.output_weights)
    linearization = objective.linearize(parameters)
    norm = vector_norm(linearization.residual)
    gram = linearization.gram()
    diagonal = gram.diagonal().copy()
    with np.errstate(over="ignore"):
        trace = float(diagonal.sum())
    squares = (trace, growth.activation * growth.activation, growth.curvature * growth.curvature)
    if not (np.isfinite([*squares, norm]).all() and min(squares) >= _SMALL):
        reason = "The tangent matrix or the residual is out of the range of float64: rescale the rows or the last layer."
        return _refusal(reason, learning_rate, residual_norm=norm)
    error = exponential_error(objective.X, layer)
    values = eigvalsh(gram, check_finite=False, overwrite_a=True)
    margin = (2 * (n * k + width + d + 8) * EPS + 4.0 * error) * trace
    low, high = max(float(values[0]) - margin, 0.0), float(values[-1]) + margin
    if low <= 0.0:
        reason = (
            f"The smallest eigenvalue of the tangent matrix is {values[0]:.3g}, and rounding may be {margin:.3g}: not "
            "certifiable in this precision; take more neurons, or rescale the rows."
        )
        return _refusal(reason, learning_rate, residual_norm=norm, largest_singular_value=high**0.5)
    # A sum of m terms |v_ra| E_ir is at most sqrt(m) times the norm of these, which J J.T has on its diagonal.
    norms = np.sqrt(diagonal) / np.repeat(column_norms(objective.X.T), k)
    rounding = ((width + 8) * EPS + error) * width**0.5 * float(np.linalg.norm(norms))
    start = WorstPath(growth.activation, growth.curvature, (norm + rounding) * (1.0 + 16.0 * EPS), low**0.5, high**0.5)
    return _conclude(objective, linearization.residual, growth, norm, start, learning_rate)


def _conclude(
    objective: Exponential, residual: FloatArray, growth: Growth, norm: float, start: WorstPath, learning_rate: float | None
) -> ExponentialCertificate:
    """Apply the theorem to bounds of the constants."""
    # Up to here steps are as good as infinitely small ones.
    full = (1.0 - 16.0 * EPS) / start.top**2 if start.h < 1.0 else 0.0
    step = full if learning_rate is None else learning_rate
    path = start if step <= full or not full else start.at(step)
    shown = path or start
    known = {
        "h": shown.h,
        "residual_norm": norm,
        "smallest_singular_value": start.lowest,
        "largest_singular_value": start.highest,
        "growth": growth.activation,
        "curvature": growth.curvature,
        "width_needed": _width_needed(objective, residual, shown.h),
    }
    if not full:
        needed = known["width_needed"]
        neurons = f"more neurons, about {needed:.2g}" if np.isfinite(needed) else "smaller targets"
        reason = f"h = {start.h:.3g} is not below 1: train on from the residual of norm {norm:.3g}, or take {neurons}."
        return _refusal(reason, learning_rate, **known)
    if path is None:
        reason = f"learning_rate={learning_rate:.3g} is too large to be certified: pass {full:.3g} or less."
        return _refusal(reason, learning_rate, **known, max_learning_rate=full)
    decrease = path.efficiency * step * path.end**2
    return ExponentialCertificate(
        is_certified=True,
        reason=f"h = {path.h:.3g} is below 1, for a residual of norm {norm:.3g}.",
        drift=path.drift,
        distance=path.distance,
        neuron_distance=path.drift * growth.gradient / growth.activation,
        learning_rate=step,
        relative_step=step * path.top**2,
        max_learning_rate=max(full, step),
        rate=decrease * (2.0 - decrease),
        **known,
    )


def _width_needed(objective: Exponential, residual: FloatArray, h: float) -> float:
    """Width at which h would be 1, if outputs and the Jacobian grow with it as they do at the start."""
    width, scale = objective.feature_map.width, np.asarray(objective.feature_map.scale)
    if scale.ndim or scale != 1.0:
        return width * h * h
    targets = (np.sqrt(objective.sample_weight)[:, np.newaxis] * objective.targets).ravel()
    fixed, grown = (vector_norm(part) for part in (targets, residual + targets))
    # The square of the singular values grows like the width, and so does that of random outputs, which are part of rho.
    share = grown / float(np.hypot(fixed, grown)) if grown else 0.0
    part = 0.5 * h * share * share
    return width * h * (part + float(np.sqrt(part * part + 1.0 - share * share)))


def _flaw(X: FloatArray, numbers: NDArray[np.intp]) -> str | None:
    """Zero rows and equal rows, by their numbers in the objective."""
    zero = np.flatnonzero(~X.any(axis=1))
    if zero.size:
        return f"Row {numbers[zero[0]]} is zero{one_of(zero)}: the tangent matrix is singular; append a constant column."
    return repeated_rows(X, numbers)


def _refusal(reason: str, learning_rate: float | None, **known: float) -> ExponentialCertificate:
    """A certificate that certifies nothing."""
    unknown = dict.fromkeys(("growth", "curvature", "residual_norm", "largest_singular_value"), np.nan)
    nothing = dict.fromkeys(("h", "drift", "distance", "neuron_distance", "relative_step", "width_needed"), np.inf)
    values = {**unknown, **nothing, "smallest_singular_value": 0.0, "max_learning_rate": 0.0, "rate": 0.0, **known}
    rate = 0.0 if learning_rate is None else learning_rate
    return ExponentialCertificate(is_certified=False, reason=reason, learning_rate=rate, **values)
