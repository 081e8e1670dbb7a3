"""What a certificate of a two-layer network says."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import inf, isfinite, log1p
from typing import Any

from underdetermined._decrease import CertifiedDecrease
from underdetermined._validation import check_count, check_number


@dataclass(frozen=True)
class JointCertificate(CertifiedDecrease):
    """Whether gradient descent is proved to fit the targets from here, how fast, and how far it goes.

    If `is_certified`, full-batch gradient descent on the parameters that are trained, without momentum and decay and with
    learning rates of at most `max_learning_rate`, converges to a network that fits the targets exactly; the whole path is no
    longer than `distance`, and on all of it |gradient|^2 >= 2 `pl_constant` loss. If `is_newton_certified`, undamped
    Gauss-Newton steps of minimum norm do so too, quadratically, within the same distance.

    Parameters
    ----------
    is_certified : bool
        Whether `h` < 1, and `learning_rate` is not too large.
    reason : str
        Why, or why not, in one sentence.
    h : float
        Norm of the residual over the largest one that would be certified here, with rounding allowed for; inf where the
        Jacobian is singular up to rounding. ``2 curvature |rho| / smallest_singular_value**2`` where the curvature does not
        grow on the way. A learning rate beyond 1 / |J|^2 makes it larger.
    residual_norm : float
        Norm of sqrt(sample_weight) times the residual, |rho|, as computed.
    smallest_singular_value, largest_singular_value : float
        Bounds on the singular values of the Jacobian J of rho, from below and from above.
    curvature : float
        beta: the Jacobian changes no faster than this with the distance, at these parameters.
    distance : float
        R: length of the path of all parameters, and so a bound on how far they move.
    pl_constant : float
        mu^2, the constant of Polyak and Lojasiewicz: every eigenvalue of the tangent matrix J J.T stays above it.
    learning_rate : float
        The learning rate that was asked for, else `max_learning_rate`.
    relative_step : float
        ``learning_rate`` times the largest |J|^2 on the path.
    max_learning_rate : float
        Largest learning rate that is certified; zero if there is none.
    rate : float
        Every step at `learning_rate` takes the loss to at most ``1 - rate`` of itself.
    width_needed : float
        Width at which a network drawn alike would be certified, extrapolated: squares of the singular values are taken to
        grow like the width if the scale is 1 and the last layer is trained, and to stay if not; the residual is taken to
        stay. At least the width that has as many parameters as there are residuals.
    newton_residuals : tuple of float
        Bounds on |rho| after 0, 1, 2, ... Gauss-Newton steps; empty without a certificate.

    References
    ----------
    :ref:`theory-joint-certificate`.
    """

    is_certified: bool
    reason: str
    h: float
    residual_norm: float
    smallest_singular_value: float
    largest_singular_value: float
    curvature: float
    distance: float
    pl_constant: float
    learning_rate: float
    relative_step: float
    max_learning_rate: float
    rate: float
    width_needed: float
    newton_residuals: tuple[float, ...] = field(repr=False)

    def __repr__(self) -> str:
        """Summarise in one line, numbers to three digits; the reason is the first thing to read."""
        shown = {name: value for name, value in asdict(self).items() if isinstance(value, float)}
        numbers = ", ".join(f"{name}={value:.3g}" for name, value in shown.items())
        return (
            f"{type(self).__name__}(is_certified={self.is_certified}, is_newton_certified={self.is_newton_certified}, "
            f"reason={self.reason!r}, {numbers})"
        )

    @property
    def is_newton_certified(self) -> bool:
        """Whether undamped Gauss-Newton steps of minimum norm are proved to converge, whatever the learning rate."""
        return bool(self.newton_residuals)

    def newton_loss_bound(self, step: int) -> float:
        """Certified bound on the loss after some undamped Gauss-Newton steps of minimum norm.

        Parameters
        ----------
        step : int
            Steps from here.

        Returns
        -------
        float
            inf without a certificate.
        """
        step = check_count(step, "step", low=0)
        if not self.newton_residuals:
            return inf
        bound = self.newton_residuals[min(step, len(self.newton_residuals) - 1)]
        return 0.5 * bound * bound

    def n_newton_steps(self, tol: float) -> float:
        """Gauss-Newton steps after which the residual is certified to have fallen to a share.

        Parameters
        ----------
        tol : float
            The share, in (0, 1).

        Returns
        -------
        int or float
            Undamped steps of minimum norm; inf without a certificate.
        """
        goal = check_number(tol, "tol", low_open=True, high=1.0) * self.residual_norm
        return next((step for step, bound in enumerate(self.newton_residuals) if bound <= goal), inf)

    def _log_factor(self) -> float:
        """Logarithm of the factor of one step on the residual."""
        return 0.5 * log1p(-self.rate) if self.rate < 1.0 else -inf

    def to_dict(self) -> dict[str, Any]:
        """Return everything in types that JSON knows.

        Returns
        -------
        dict
            Numbers that are not finite are None.
        """
        known = {**asdict(self), "is_newton_certified": self.is_newton_certified}
        known["newton_residuals"] = list(self.newton_residuals)
        return {name: None if isinstance(value, float) and not isfinite(value) else value for name, value in known.items()}
