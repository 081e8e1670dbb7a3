"""Standard deviations that initialisations give the layers of a network, and the factor that they put before its neurons."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any, NamedTuple

from underdetermined._validation import check_count, check_number


class Deviations(NamedTuple):
    """Standard deviations of the hidden weights and of the last layer, and the factor of every feature."""

    weights: float
    coef: float
    scale: float


INITIALISATIONS: dict[str, Callable[[int, int, int], Deviations]] = {
    "lecun": lambda d, m, k: Deviations(sqrt(1 / d), sqrt(1 / m), 1.0),
    "he": lambda d, m, k: Deviations(sqrt(2 / d), sqrt(2 / m), 1.0),
    "xavier": lambda d, m, k: Deviations(sqrt(2 / (d + m)), sqrt(2 / (m + k)), 1.0),
    "kernel": lambda d, m, k: Deviations(1.0, 1.0, sqrt(1 / m)),
}
OUTPUTS = ("random", "zero", "paired")


def check_option(value: Any, name: str, known: Any) -> None:
    """Refuse a word that is not one of the known ones."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name}={value!r} is unknown: pass one of {', '.join(map(repr, known))}")


def deviations(
    init: Any, output: Any, width: Any, shape: tuple[Any, Any], weight_scale: Any, coef_scale: Any
) -> tuple[Deviations, int]:
    """Deviations of a network of `shape` inputs and outputs, multiplied by the two scales, and its independent neurons."""
    check_option(init, "init", INITIALISATIONS)
    check_option(output, "output", OUTPUTS)
    n_inputs, width, n_outputs = (
        check_count(value, name) for value, name in ((shape[0], "n_inputs"), (width, "width"), (shape[1], "n_outputs"))
    )
    if output == "paired" and width % 2:
        raise ValueError(f"width={width} is odd: pass an even one, or another output than 'paired'")
    plain = INITIALISATIONS[init](n_inputs, width, n_outputs)
    weights = plain.weights * check_number(weight_scale, "weight_scale", low_open=True)
    coef = plain.coef * check_number(coef_scale, "coef_scale", low_open=True)
    return Deviations(weights, 0.0 if output == "zero" else coef, plain.scale), width // 2 if output == "paired" else width
