"""Prove that both layers can be trained to fit the targets, from the parameters at hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._decrease import repeated_rows
from underdetermined._linalg import EPS
from underdetermined._validation import check_number
from underdetermined.joint._certificate import JointCertificate
from underdetermined.joint._conclusion import conclude, refuse
from underdetermined.joint._curvature import measure_curvature, missing_bound, parameters_of
from underdetermined.joint._rounding import rounding_errors
from underdetermined.joint._tangent_spectrum import TangentSpectrum, on_positive_rows, tangent_spectrum
from underdetermined.joint._worst_path import WorstPath
from underdetermined.objectives import TwoLayer

FloatArray = NDArray[np.float64]

# Sums of squares below this may have lost terms to underflow.
_SMALL = 1e-280
# Widths are extrapolated so far, and to such a factor.
_WIDEST, _NEAR = 1e30, 1.001


def certify(objective: TwoLayer, theta: ArrayLike | None = None, *, learning_rate: float | None = None) -> JointCertificate:
    """Prove, for the network at hand, that gradient descent fits the targets, and bound its path.

    With J the Jacobian of the weighted residual rho, sigma_0 its smallest singular value and beta(l) a bound on how fast J
    changes after a path of length l, let sigma(l) = sigma_0 minus the integral of beta. If rho is shorter than the integral
    of sigma up to its zero,

        h = |rho| / (integral of sigma) < 1,

    which is 2 beta |rho| / sigma_0^2 < 1 for a constant beta, then every learning rate up to 1 / M^2,
    M = |J| + sigma_0 - mu, takes |rho| to at most (1 - learning_rate mu^2) |rho|, where mu = sigma(R) and R is the length up
    to which the integral of sigma is |rho|. Larger learning rates, below 2 / M^2, are certified for smaller residuals.

    Parameters
    ----------
    objective : TwoLayer
        Rows, targets, weights of the rows, the network, and the layers that are trained.
    theta : array_like of shape (p,) or None, default=None
        Parameters from which training goes on; None: those at the start.
    learning_rate : float or None, default=None
        Largest learning rate of the steps to come; None: 1 / M^2.

    Returns
    -------
    JointCertificate
        Also where nothing is certified; then `reason` says why. Activations with kinks, such as "relu", are refused unless
        the last layer alone is trained.

    Raises
    ------
    TypeError, ValueError
        If `objective` is no `TwoLayer`, `theta` does not fit or is not finite, or `learning_rate` is not a positive number.
    MemoryError
        If the tangent matrix of order n k does not fit in memory.

    Notes
    -----
    Nothing is random or asymptotic here, and no constant is hidden: the statement is about these parameters, whatever
    optimiser led there. A network that is refused at the start is often certified after some steps, because |rho| falls.
    Refusal proves nothing: gradient descent works at widths far below `width_needed`. A certified run is lazy: no singular
    value of J changes by more than sigma_0 - mu on the way.

    Rounding in the Jacobian, its singular values and rho is allowed for; rounding in the steps is not, so that losses level
    off where it begins. Penalties on the parameters are not covered.

    The tangent matrix J J.T costs (2 + k (k + 1)) / 2 times n^2 m flops for k outputs, its eigenvalues (n k)^3. Memory
    2 (n k)^2.

    References
    ----------
    :ref:`theory-joint-certificate`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.joint import certify, draw_network
    >>> from underdetermined.objectives import TwoLayer
    >>> hidden, coef = draw_network(4, 2000, output="zero")
    >>> certificate = certify(TwoLayer(2.0 * np.eye(4), [0.1, -0.1, 0.2, 0.1], hidden, coef))
    >>> certificate.is_certified, certificate.is_newton_certified
    (True, True)
    """
    parameters = parameters_of(objective, theta)
    if learning_rate is not None:
        learning_rate = check_number(learning_rate, "learning_rate", low_open=True)
    return issue(objective, parameters, learning_rate)


def issue(
    objective: TwoLayer, parameters: FloatArray, learning_rate: float | None = None, spectrum: TangentSpectrum | None = None
) -> JointCertificate:
    """Certify, from the spectrum of the tangent matrix where it is known already.

    Parameters
    ----------
    objective : TwoLayer
        The loss.
    parameters : ndarray of shape (p,)
        Parameters.
    learning_rate : float or None, default=None
        Largest learning rate.
    spectrum : TangentSpectrum or None, default=None
        That of these parameters; None: it is computed.

    Returns
    -------
    JointCertificate
    """
    kept = np.flatnonzero(objective.sample_weight > 0.0)
    q, p = kept.size * objective.targets.shape[1], objective.n_parameters
    reason = missing_bound(objective.feature_map.activation, objective.layers) or repeated_rows(objective.X[kept], kept)
    if reason is None and q > p:
        reason = f"There are {q} residuals and {p} parameters: the tangent matrix is singular; take more neurons."
    if reason is not None:
        return _refusal(reason, learning_rate)
    objective = on_positive_rows(objective)
    spectrum = tangent_spectrum(objective, parameters) if spectrum is None else spectrum
    hidden, coef, _ = objective.network(parameters)
    last = np.reshape(hidden.scale, (-1, 1)) * coef
    errors = rounding_errors(objective, hidden, last)
    trace, norm = spectrum.trace, spectrum.residual_norm
    if not np.isfinite([trace, norm, *errors]).all() or 0.0 < trace < _SMALL:
        reason = "The tangent matrix or the residual is out of the range of float64: rescale the rows or the network."
        return _refusal(reason, learning_rate)
    margin = 2 * (q + sum(hidden.weights.shape) + 8) * EPS * trace
    low = float(np.sqrt(max(spectrum.values[0] - margin, 0.0))) - errors[0]
    high = float(np.sqrt(spectrum.values[-1] + margin)) + errors[0]
    residual = (norm + errors[1]) * (1.0 + 16.0 * EPS)
    path = WorstPath(measure_curvature(objective, last), residual, max(low, 0.0), high)
    if low > 0.0:
        needed = _width_needed(objective, path)
        neurons = f"take more neurons, about {needed:.2g}" if np.isfinite(needed) else "take smaller targets"
        advice = f"train on from the residual of norm {norm:.3g}, or {neurons}"
        return JointCertificate(width_needed=needed, **conclude(path, norm, learning_rate, advice))
    rounding = margin + 2.0 * errors[0] * float(np.sqrt(trace))
    reason = _singular(objective) or (
        f"The smallest eigenvalue of the tangent matrix is {spectrum.values[0]:.3g}, and rounding may be {rounding:.3g}: "
        "not certifiable in this precision; take more neurons, larger hidden weights or another activation."
    )
    return _refusal(reason, learning_rate, path, norm)


def _width_needed(objective: TwoLayer, path: WorstPath) -> float:
    """Width at which h would be 1, if the constants grow with it as they do for networks drawn alike."""
    scale = np.asarray(objective.feature_map.scale)
    has_growing_layer = objective.layers != "hidden" and scale.ndim == 0 and scale == 1.0
    # No fewer neurons than have as many parameters as there are residuals.
    low, high = objective.targets.size / objective.n_parameters, _WIDEST
    while high > _NEAR * low:
        times = (low * high) ** 0.5
        lowest = path.lowest * (times**0.5 if has_growing_layer else 1.0)
        curvature = path.curvature.widened(times**-0.5, 1.0 if has_growing_layer else times**-0.5)
        low, high = (low, times) if replace(path, curvature=curvature, lowest=lowest).h < 1.0 else (times, high)
    return objective.feature_map.width * high if high < _WIDEST else float(np.inf)


def _singular(objective: TwoLayer) -> str | None:
    """What makes a tangent matrix singular that has fewer rows than columns."""
    activation, X = objective.feature_map.activation, objective.X
    has_biases = objective.feature_map.biases is not None
    zero = ~X.any(axis=1)
    is_biased = has_biases or (objective.intercept is not None and objective.layers != "hidden")
    if zero.any() and not is_biased and activation.value(0.0) == 0.0:
        return f"A row is zero, and so is {activation} of it: the tangent matrix is singular; train biases."
    is_even, is_odd = activation.odd_degree == -1, activation.even_degree == -1
    if not has_biases and (is_even or (is_odd and not is_biased)):
        rows = X[~zero]
        if len(np.unique(np.vstack([rows, -rows]), axis=0)) < 2 * len(rows):
            parity = "even" if is_even else "odd"
            return f"A row is minus another, and {activation} is {parity}: the tangent matrix is singular; train biases."
    return None


def _refusal(
    reason: str, learning_rate: float | None, path: WorstPath | None = None, norm: float = np.nan
) -> JointCertificate:
    return JointCertificate(width_needed=float(np.inf), **refuse(reason, learning_rate, path, norm))
