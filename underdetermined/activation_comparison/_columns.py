"""The columns of the table of activations: heading, explanation, and how a row fills them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isinf, isnan
from typing import Any

MISSING = "-"


@dataclass(frozen=True)
class Column:
    """One column.

    Parameters
    ----------
    heading : tuple of two str
        Two lines.
    explanation : str
        A sentence.
    cell : callable
        Text of one row.
    needs_targets : bool, default=False
        Whether it stays away without targets.
    detail : callable, default=nothing
        Sentences on one row, where there is room for them.
    """

    heading: tuple[str, str]
    explanation: str
    cell: Callable[[Any], str]
    needs_targets: bool = False
    detail: Callable[[Any], str] = lambda row: ""


def number(value: float | None) -> str:
    """Two digits and an exponent, such as 1.3e6.

    Parameters
    ----------
    value : float or None
        The number.

    Returns
    -------
    str
        A hyphen for None and nan.
    """
    if value is None or isnan(value):
        return MISSING
    if value == 0.0:
        return "0"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def short(value: float | None) -> str:
    """About three digits, without exponent below 10000.

    Parameters
    ----------
    value : float or None
        The number.

    Returns
    -------
    str
        A hyphen for None and nan.
    """
    if value is None or isnan(value):
        return MISSING
    return number(value) if value >= 9999.5 else f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"


def count(value: float | None) -> str:
    """A number of steps: whole below 100000, "never" for inf.

    Parameters
    ----------
    value : float or None
        The number.

    Returns
    -------
    str
        A hyphen for None and nan.
    """
    if value is None or isnan(value):
        return MISSING
    if isinf(value):
        return "never"
    return f"{value:.0f}" if value < 99999.5 else number(value)


def _whole(value: int | None) -> str:
    return MISSING if value is None else str(value)


def _steps(index: int) -> Callable[[Any], str]:
    return lambda row: count(None if row.steps is None else row.steps[index])


COLUMNS = (
    Column(("lambda", "max"), "largest eigenvalue; gradient descent needs a learning rate below 2 / lambda max",
           lambda row: number(row.lambda_max)),
    Column(("lambda", "min"), "smallest eigenvalue on the targets that can be attained; - where it is below "
           "n eps lambda max and so not resolved", lambda row: number(row.attainable_lambda_min)),
    Column(("cond.", ""), "condition number, lambda max / lambda min", lambda row: number(row.attainable_condition)),
    Column(("", "rank"), "numerical rank: eigenvalues above n eps lambda max", lambda row: _whole(row.rank)),
    Column(("attain.", "rank"), "attainable rank: dimension of the targets that some network, however wide, fits exactly",
           lambda row: _whole(row.attainable_rank), detail=lambda row: row.explanation),
    Column(("trace", "rank"), "effective rank: sum of the eigenvalues / lambda max", lambda row: short(row.effective_rank)),
    Column(("entr.", "rank"), "effective rank: exponential of the entropy of the eigenvalues",
           lambda row: short(row.entropy_rank)),
    Column(("steps", "1e-2"), "steps of gradient descent, at the best fixed learning rate, to a residual of 1e-2 |y|",
           _steps(0), True),
    Column(("steps", "1e-4"), "the same for 1e-4 |y|", _steps(1), True),
    Column(("steps", "1e-8"), "the same for 1e-8 |y|", _steps(2), True),
    Column(("y in", "top 10"), "share of |y|^2 in the 10 leading eigenvectors, the part that is learned first",
           lambda row: MISSING if row.top_energy is None else f"{row.top_energy:.3f}", True),
)

# For tables that may be wider than 100 characters.
FLOOR = Column(
    ("y that", "stays"),
    "residual that no number of steps removes, relative to |y|: the part of y along eigenvectors that are not resolved",
    lambda row: number(row.residual_floor),
    True,
)
