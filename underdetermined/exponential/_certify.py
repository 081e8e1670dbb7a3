"""Prove that gradient descent fits the targets, from the weights at hand."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigvalsh

from underdetermined._linalg import EPS
from underdetermined._validation import check_finite, check_number
from underdetermined.exponential._certificate import ExponentialCertificate
from underdetermined.exponential._growth import Growth, exponential_error, measure_growth
from underdetermined.exponential._safety import TRAINING_LIMIT
from underdetermined.objectives import Exponential

FloatArray = NDArray[np.float64]

# Sums of squares below this may have lost terms to underflow.
_SMALL = 1e-280
_ROUNDS = 200


@dataclass(frozen=True)
class _Path:
    """The worst path from a residual, in closed form: with share psi = sigma / sigma_0 left of the smallest singular value.

    A bound sigma on the smallest singular value, the exponents' drift kappa and the residual, as functions of the length of
    the path, obey d sigma = -beta e^kappa, d kappa = alpha e^kappa / sigma and d |rho| = -sigma.
    """

    growth: float
    curvature: float
    residual: float
    lowest: float

    @property
    def h(self) -> float:
        return (self.growth + 2.0 * self.curvature) * self.residual / self.lowest**2

    @property
    def share(self) -> float:
        return (1.0 - self.h) ** (self.curvature / (self.growth + 2.0 * self.curvature))

    @property
    def drift(self) -> float:
        return -np.log1p(-self.h) * self.growth / (self.growth + 2.0 * self.curvature)

    @property
    def distance(self) -> float:
        total = self.growth + self.curvature
        # 1 - psi^(total / curvature), without cancellation for small residuals.
        exponent = total / (self.growth + 2.0 * self.curvature)
        return -self.lowest * float(np.expm1(exponent * np.log1p(-self.h))) / total


def certify(
    objective: Exponential, theta: ArrayLike | None = None, *, learning_rate: float | None = None
) -> ExponentialCertificate:
    """Prove, for the network at hand, that gradient descent fits the targets, and bound its path.

    With J the Jacobian of the weighted residual rho, sigma_0 its smallest singular value, alpha the fastest change of an
    exponent and beta that of J,

        h = (alpha + 2 beta) |rho| / sigma_0^2 < 1

    proves it, for every learning rate up to 1 / M^2, M = |J| + (1 - psi) sigma_0 and
    psi = (1 - h)^(beta / (alpha + 2 beta)): a step takes |rho| to at most (1 - learning_rate * (psi sigma_0)^2) |rho|. Larger
    learning rates, below 2 / M^2, are certified for smaller residuals.

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

    Rounding in the Jacobian, its singular values and rho is allowed for; rounding in the steps of gradient descent is not, so
    that losses level off where it begins. Equal rows or zero rows make the tangent matrix singular: merge the former and
    append a constant column.

    The tangent matrix K = J J.T costs k (k + 1) n^2 m / 2 flops, its eigenvalues (n k)^3, and alpha and beta another pass over
    the exponentials. Memory (n k)^2.

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
    parameters = objective.initial() if theta is None else np.array(theta, dtype=np.float64)
    layer = objective.network(parameters)
    check_finite(parameters, "theta")
    kept = objective.sample_weight > 0.0
    if not kept.all():
        objective = replace(
            objective, X=objective.X[kept], targets=objective.targets[kept], sample_weight=objective.sample_weight[kept]
        )
    largest = objective.largest_exponent(parameters)[0]
    if not largest <= TRAINING_LIMIT:
        return _refusal(
            f"An exponent is {largest:.4g} > {TRAINING_LIMIT:g}: squares of exponentials overflow; rescale the rows.", learning_rate
        )
    X, last, width = objective.X, objective.output_weights, layer.width
    linearization = objective.linearize(parameters)
    norm = float(np.linalg.norm(linearization.residual))
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        gram = linearization.gram()
        diagonal = gram.diagonal().copy()
        trace = float(diagonal.sum())
        found = measure_growth(X, objective.sample_weight, layer, last)
    constants = (trace, found.activation**2, found.curvature**2, 1.0 + norm)
    if not (np.isfinite(constants).all() and min(constants[:3]) >= _SMALL):
        reason = _flaw(X, kept) or "The tangent matrix is out of the range of float64: rescale the rows or the last layer."
        return _refusal(reason, learning_rate, residual_norm=norm)
    error = exponential_error(X, layer)
    values = eigvalsh(gram, check_finite=False, overwrite_a=True)
    margin = (2 * (len(gram) + width + X.shape[1] + 8) * EPS + 4.0 * error) * trace
    low, high = max(float(values[0]) - margin, 0.0), float(values[-1]) + margin
    if low <= 0.0:
        reason = _flaw(X, kept) or (
            f"The smallest eigenvalue of the tangent matrix is {values[0]:.3g}, and rounding may be {margin:.3g}: not "
            "certifiable in this precision; take more neurons, or rescale the rows."
        )
        return _refusal(reason, learning_rate, residual_norm=norm, largest_singular_value=high**0.5)
    lengths = np.repeat(np.einsum("ij,ij->i", X, X), last.shape[1])
    # A sum of m terms |v_ra| E_ir is at most sqrt(m) times the norm of these, which K has on its diagonal.
    rounding = ((width + 8) * EPS + error) * float(np.sqrt(width * (diagonal / lengths).sum()))
    return _conclude(objective, found, norm, norm + rounding, low**0.5, high**0.5, learning_rate)


def _conclude(
    objective: Exponential, found: Growth, norm: float, residual: float, lowest: float, highest: float,
    learning_rate: float | None,
) -> ExponentialCertificate:  # fmt: skip
    """Apply the theorem to numbers that bound the constants."""
    path = _Path(found.activation, found.curvature, residual * (1.0 + 8.0 * EPS), lowest)
    h, step, full, efficiency = path.h, 0.0, 0.0, 1.0
    if h < 1.0:
        full = (1.0 - 8.0 * EPS) / (highest + (1.0 - path.share) * lowest) ** 2
        step = full if learning_rate is None else learning_rate
        if step > full:
            solved = _solve(path, highest, step)
            path, efficiency, step = solved or (path, 1.0, 0.0)
    is_certified = step > 0.0
    scale = np.asarray(objective.feature_map.scale)
    is_constant = scale.ndim == 0 and scale == 1.0
    m = objective.feature_map.width
    common = {
        "h": path.h,
        "residual_norm": norm,
        "smallest_singular_value": lowest,
        "largest_singular_value": highest,
        "growth": found.activation,
        "curvature": found.curvature,
        "width_needed": m * (h if is_constant else h * h),
    }
    if not is_certified and h < 1.0:
        reason = f"learning_rate={learning_rate:.3g} is too large to be certified: pass at most {full:.3g}."
        return _refusal(reason, learning_rate, **{**common, "max_learning_rate": full})
    if not is_certified:
        reason = (
            f"h = {h:.3g} is not below 1, for a residual of norm {norm:.3g}: train on and try again, or take about "
            f"{common['width_needed']:.2g} neurons."
        )
        return _refusal(reason, learning_rate, **common)
    decrease = efficiency * step * (path.share * lowest) ** 2
    top = highest + (1.0 - path.share) * lowest
    return ExponentialCertificate(
        is_certified=True,
        reason=f"h = {path.h:.3g} is below 1, for a residual of norm {norm:.3g}.",
        drift=float(path.drift),
        distance=path.distance,
        neuron_distance=float(path.drift) * found.gradient / found.activation,
        learning_rate=step,
        relative_step=step * top**2,
        max_learning_rate=max(full, step),
        rate=decrease * (2.0 - decrease),
        **common,
    )


def _solve(path: _Path, highest: float, step: float) -> tuple[_Path, float, float] | None:
    """Path of steps beyond 1 / |J|^2, which make less of the gradient, and how much; None where they may not converge.

    How much they make of it depends on the largest |J| on the path, and that on the path: so a share of the smallest singular
    value is assumed, and lowered until the path that follows keeps it.
    """
    assumed = 1.0
    for _ in range(_ROUNDS):
        theta = step * (highest + (1.0 - assumed) * path.lowest) ** 2
        if theta >= 2.0:
            return None
        efficiency = _efficiency(theta, step * path.lowest**2)
        found = _Path(path.growth, path.curvature / efficiency, path.residual / efficiency, path.lowest)
        if found.h >= 1.0:
            return None
        if found.share >= assumed:
            return found, efficiency, step
        assumed = max(found.share - 1e-9, 0.0)
    return None


def _efficiency(theta: float, low: float) -> float:
    """Smallest c with |rho| - |(I - A) rho| >= c sqrt(low) |A^(1/2) rho| for all A with eigenvalues in [low, theta]."""
    if theta <= 1.0:
        return 1.0
    if theta + low < 2.0 and low * (2.0 - theta * low) <= 2.0 - theta:
        return float(np.sqrt(theta * (2.0 - theta - low) / (1.0 - theta * low)))
    return (2.0 - theta) / float(np.sqrt(theta * low))


def _flaw(X: FloatArray, kept: NDArray[np.bool_]) -> str | None:
    """Zero rows and equal rows, by their numbers."""
    numbers = np.flatnonzero(kept)
    zero = np.flatnonzero(~X.any(axis=1))
    if zero.size:
        return (
            f"{zero.size} rows are zero, the first is row {numbers[zero[0]]}: the tangent matrix is singular; append a constant "
            "column."
        )
    _, first, inverse = np.unique(X, axis=0, return_index=True, return_inverse=True)
    repeated = np.flatnonzero(first[inverse.ravel()] != np.arange(len(X)))
    if repeated.size:
        original = numbers[first[inverse.ravel()[repeated[0]]]]
        return (
            f"{repeated.size} rows repeat others, the first is row {numbers[repeated[0]]}, equal to row {original}: the tangent "
            "matrix is singular; merge equal rows."
        )
    return None


def _refusal(reason: str, learning_rate: float | None, **known: float) -> ExponentialCertificate:
    """A certificate that certifies nothing."""
    unknown = dict.fromkeys(("growth", "curvature", "residual_norm", "largest_singular_value"), np.nan)
    nothing = dict.fromkeys(("h", "drift", "distance", "neuron_distance", "relative_step", "width_needed"), np.inf)
    values = {**unknown, **nothing, "smallest_singular_value": 0.0, "max_learning_rate": 0.0, "rate": 0.0, **known}
    rate = 0.0 if learning_rate is None else learning_rate
    return ExponentialCertificate(is_certified=False, reason=reason, learning_rate=rate, **values)
