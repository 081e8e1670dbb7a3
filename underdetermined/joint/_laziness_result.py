"""What `laziness_report` returns."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import inf, isfinite, nan
from typing import Any

from underdetermined.joint._laziness_text import report_html, report_text, verdict


@dataclass(frozen=True)
class LayerMovement:
    """How far one layer moved, and what that did to the outputs.

    Parameters
    ----------
    name : str
        "hidden weights", "hidden biases", "output weights" or "output bias".
    distance : float
        Euclidean distance from the start to the end.
    start_norm : float
        Euclidean norm at the start.
    largest : float
        Distance that the part of one neuron moved, the largest one, over the root mean square of the norms of these parts
        at the start. Equal to `relative` for the output bias, which has no neurons. As `relative` where the start is 0.
    share : float
        Share of the change of the outputs that the movement of this layer explains to first order.
    """

    name: str
    distance: float
    start_norm: float
    largest: float
    share: float

    @property
    def relative(self) -> float:
        """`distance` over `start_norm`: inf for a layer that left zero, 0 for one that stayed there."""
        return over(self.distance, self.start_norm)


@dataclass(frozen=True, repr=False)
class LazinessReport:
    """How far training went from the linearisation at the start; it prints as a table, and shows one in a notebook.

    Parameters
    ----------
    n_rows, n_inputs, n_outputs, width : int
        Rows n of positive weight, inputs d, outputs k and neurons m.
    movements : tuple of LayerMovement
        One for each layer that is trained.
    distance : float
        Euclidean distance of all parameters from the start to the end.
    relative_loss : float
        Loss at the end over the loss at the start.
    linearization_error : float
        ``|F - F_lin| / |F - F_0|``: what the network linearised at the start misses of the change of the outputs. nan if
        they changed no more than rounding does.
    kernel_alignment : float
        Cosine ``<K_0, K> / (|K_0| |K|)`` of the tangent kernels at the start and at the end. nan if one is zero.
    centred_alignment : float
        The same after constants have been projected out of both.
    kernel_rows : int
        Rows that the alignments are from.
    is_certified : bool or None
        Whether the certificate that was passed proves convergence; None if none was passed.
    covers_run : bool
        Whether the certificate is of the start, and the distance is within what it certifies.
    jacobian_drift : float
        For a certificate that covers the run, 1 - mu / sigma_0, below 1: along the whole path the Jacobian stays within this
        multiple of its smallest singular value sigma_0 of what it is at the start. nan otherwise.

    References
    ----------
    :ref:`theory-joint-training`.
    """

    n_rows: int
    n_inputs: int
    n_outputs: int
    width: int
    movements: tuple[LayerMovement, ...]
    distance: float
    relative_loss: float
    linearization_error: float
    kernel_alignment: float
    centred_alignment: float
    kernel_rows: int
    is_certified: bool | None = None
    covers_run: bool = False
    jacobian_drift: float = nan

    @property
    def higher_order(self) -> float:
        """Share of the change of the outputs that no layer explains to first order."""
        return 1.0 - sum(movement.share for movement in self.movements)

    @property
    def verdict(self) -> str:
        """Whether the run was lazy, in one sentence."""
        return verdict(self)

    def to_dict(self) -> dict[str, Any]:
        """Return everything in types that JSON knows.

        Returns
        -------
        dict
            None stands for numbers that are not finite.
        """
        numbers = {name: _plain(value) for name, value in asdict(self).items() if name != "movements"}
        movements = [
            {name: _plain(value) for name, value in {**asdict(each), "relative": each.relative}.items()}
            for each in self.movements
        ]
        return {**numbers, "higher_order": _plain(self.higher_order), "verdict": self.verdict, "movements": movements}

    def __repr__(self) -> str:
        """One line."""
        moved = ", ".join(f"{each.name} moved {each.relative:.3g}" for each in self.movements)
        return (
            f"<LazinessReport: {moved}; linearisation error {self.linearization_error:.3g}, "
            f"kernel alignment {self.kernel_alignment:.5g}>"
        )

    def __str__(self) -> str:
        """The table as text, at most 100 columns wide."""
        return report_text(self)

    def _repr_html_(self) -> str:
        return report_html(self)


def over(distance: float, size: float) -> float:
    """Distance over a size, where 0 over 0 is 0.

    Parameters
    ----------
    distance, size : float
        At least 0.

    Returns
    -------
    float
    """
    if distance == 0.0:
        return 0.0
    return distance / size if size > 0.0 else inf


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not isfinite(value) else value
