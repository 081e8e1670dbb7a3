"""What a certificate of an exponential network says."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import inf, isfinite, log1p
from typing import Any

from underdetermined._decrease import CertifiedDecrease


@dataclass(frozen=True)
class ExponentialCertificate(CertifiedDecrease):
    """Whether gradient descent is proved to fit the targets from here, how fast, and how far it goes.

    If `is_certified`, full-batch gradient descent on the hidden weights, without momentum and decay and with learning rates
    of at most `max_learning_rate`, converges to weights that fit the targets exactly; the whole path is no longer than
    `distance`.

    Parameters
    ----------
    is_certified : bool
        Whether `h` < 1, and `learning_rate` is not too large.
    reason : str
        Why, or why not, in one sentence.
    h : float
        ``(growth + 2 curvature) |rho| / smallest_singular_value**2``, with rounding allowed for; inf where the Jacobian is
        singular up to rounding. A learning rate beyond 1 / |J|^2 makes it larger.
    residual_norm : float
        Norm of sqrt(sample_weight) times the residual, |rho|, as computed.
    smallest_singular_value, largest_singular_value : float
        Bounds on the singular values of the Jacobian J of rho, from below and from above.
    growth : float
        alpha: for a residual of norm 1, the gradient moves no exponent <w_r, x_i> faster than this.
    curvature : float
        beta: the Jacobian changes no faster than this with the distance, before exponentials have grown.
    drift : float
        kappa: every exponential stays within factors exp(-kappa) and exp(kappa) of what it is here.
    distance : float
        R: length of the path of all weights, and so a bound on how far they move.
    neuron_distance : float
        Length of the path of the weights of any one neuron.
    learning_rate : float
        The learning rate that was asked for, else `max_learning_rate`.
    relative_step : float
        ``learning_rate`` times the largest |J|^2 on the path.
    max_learning_rate : float
        Largest learning rate that is certified; zero if there is none.
    rate : float
        Every step at `learning_rate` takes the loss to at most ``1 - rate`` of itself.
    width_needed : float
        Width at which a network drawn alike would be certified, extrapolated. A scale of 1 is taken to stay, and outputs
        at the start then to grow like sqrt(m): m h if they are 0. Any other is taken to shrink like 1 / sqrt(m): m h^2.

    References
    ----------
    :ref:`theory-exponential-certificate`.
    """

    is_certified: bool
    reason: str
    h: float
    residual_norm: float
    smallest_singular_value: float
    largest_singular_value: float
    growth: float
    curvature: float
    drift: float
    distance: float
    neuron_distance: float
    learning_rate: float
    relative_step: float
    max_learning_rate: float
    rate: float
    width_needed: float

    def __repr__(self) -> str:
        """Summarise in one line, numbers to three digits; the reason is the first thing to read."""
        shown = {name: value for name, value in asdict(self).items() if name not in ("is_certified", "reason")}
        numbers = ", ".join(f"{name}={value:.3g}" for name, value in shown.items())
        return f"ExponentialCertificate(is_certified={self.is_certified}, reason={self.reason!r}, {numbers})"

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
        return {
            name: None if isinstance(value, float) and not isfinite(value) else value for name, value in asdict(self).items()
        }
