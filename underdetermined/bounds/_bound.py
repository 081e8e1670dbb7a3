"""What every result on the width returns: a number of neurons, and all that it rests on."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, isfinite
from typing import Any


@dataclass(frozen=True)
class Assumption:
    """One assumption of a result, and whether the data at hand meet it.

    Parameters
    ----------
    statement : str
        The assumption in words.
    is_met : bool or None
        Whether it holds; None where that is not known.
    """

    statement: str
    is_met: bool | None


@dataclass(frozen=True)
class WidthBound:
    """A number of hidden neurons, what it promises and what it rests on.

    Parameters
    ----------
    name : str
        Short name of the result, such as "chernoff".
    width : int or None
        Number of neurons m, at least 1; None where the result says nothing, and then the statement says why.
    kind : {"theorem", "estimate", "empirical", "order"}
        Whether it is proved, estimated from a sample, measured, or an order of growth only.
    role : {"sufficient", "necessary", "order", "numerical"}
        Whether so many neurons are enough, or fewer are not; "numerical" counts what rounding leaves visible.
    weights : {"gaussian", "leverage", "any"}
        The hidden weights that it speaks of.
    statement : str
        The result in one sentence.
    reference : str
        Where it comes from.
    assumptions : tuple of Assumption, default=()
        What it assumes.
    interval : tuple of two int or None, default=None
        Interval for the width that sampling errors leave, where there are any.
    details : dict of str to float, default={}
        The numbers behind the width.

    Examples
    --------
    >>> from underdetermined.bounds import Assumption, WidthBound
    >>> bound = WidthBound("rule", 512, "estimate", "sufficient", "gaussian", "A rule of thumb.", "none",
    ...                    (Assumption("the rows are distinct", True),))
    >>> bound.width, bound.is_applicable
    (512, True)
    """

    name: str
    width: int | None
    kind: str
    role: str
    weights: str
    statement: str
    reference: str
    assumptions: tuple[Assumption, ...] = ()
    interval: tuple[int, int] | None = None
    details: dict[str, float] = field(default_factory=dict)

    @property
    def is_applicable(self) -> bool:
        """Whether there is a width and every assumption is known to be met."""
        return self.width is not None and all(assumption.is_met for assumption in self.assumptions)

    def to_dict(self) -> dict[str, Any]:
        """Return everything in types that JSON knows.

        Returns
        -------
        dict
            One key for each parameter, and ``is_applicable``; details that are not finite are None.
        """
        return {
            "name": self.name,
            "width": self.width,
            "kind": self.kind,
            "role": self.role,
            "weights": self.weights,
            "statement": self.statement,
            "reference": self.reference,
            "assumptions": [{"statement": each.statement, "is_met": each.is_met} for each in self.assumptions],
            "interval": None if self.interval is None else list(self.interval),
            "details": {key: float(value) if isfinite(value) else None for key, value in self.details.items()},
            "is_applicable": self.is_applicable,
        }


def as_width(value: float) -> int | None:
    """Round up to a number of neurons.

    Parameters
    ----------
    value : float
        Width as a real number.

    Returns
    -------
    int or None
        At least 1; None for inf and nan.
    """
    return max(1, ceil(value)) if isfinite(value) else None


def shown(width: int) -> str:
    """Width as text: whole, or beyond ten million four digits, rounded up.

    Parameters
    ----------
    width : int
        Number of neurons.

    Returns
    -------
    str
    """
    unit = 10 ** (len(str(width)) - 4)
    return str(width) if width < 10**7 else f"{-(-width // unit) * unit:.3e}"
