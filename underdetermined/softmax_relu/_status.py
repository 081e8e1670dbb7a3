"""How a softmax-ReLU regression ended."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["SoftmaxReLUStatus"]


class SoftmaxReLUStatus(IntEnum):
    """How a softmax-ReLU regression ended; each member carries one sentence of advice.

    Attributes
    ----------
    message : str
        What the status means and what to do about it.
    is_success : bool
        Whether the point is certified to be a minimiser.

    Examples
    --------
    >>> from underdetermined.softmax_relu import SoftmaxReLUStatus
    >>> SoftmaxReLUStatus.KINKS.value, SoftmaxReLUStatus.KINKS.is_success
    (1, True)
    """

    SMOOTH = (0, "Certified local minimiser off the kinks; try n_starts > 1 for a lower one.")
    KINKS = (1, "Certified local minimiser on kinks; try n_starts > 1 for a lower one.")
    APEX = (2, "Certified local minimiser where all kinks meet, x = 0; try another start or a smaller penalty.")
    GLOBAL = (3, "Global minimiser; nothing to do.")
    FLAT = (4, "No unit is active and the loss is constant nearby; start elsewhere.")
    LIMIT = (5, "Stopped at a point that is no minimiser; raise maxiter, or start elsewhere.")
    DEGENERATE = (6, "Stationary, but whether it is a minimiser is lost in rounding; add a penalty or remove repeated rows.")
    CALLBACK = (99, "Stopped by the callback.")

    message: str

    def __new__(cls, value: int, message: str) -> SoftmaxReLUStatus:
        """Build a member whose value is its number."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.message = message
        return member

    @property
    def is_success(self) -> bool:
        """Whether the point is certified to be a minimiser."""
        return self.value <= 3
