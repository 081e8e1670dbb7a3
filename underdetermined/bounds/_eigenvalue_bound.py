"""One bound on the smallest eigenvalue: a number, its side, and what it rests on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any, TypeVar

from underdetermined.bounds._bound import Assumption
from underdetermined.bounds._kernel_problem import KernelProblem

Problem = TypeVar("Problem", bound=KernelProblem)


@dataclass(frozen=True)
class EigenvalueBound:
    """A number below or above the smallest eigenvalue of a kernel matrix.

    Parameters
    ----------
    name : str
        Short name of the result, such as "hermite".
    value : float
        The bound. A lower one is 0 where the result says nothing, which holds for every kernel matrix.
    kind : {"lower", "upper"}
        Its side.
    statement : str
        The result in one sentence.
    assumptions : tuple of Assumption, default=()
        What has to hold for the result to say anything; a value of 0 needs nothing.

    Examples
    --------
    >>> from underdetermined.bounds import Assumption, EigenvalueBound
    >>> bound = EigenvalueBound("rule", 0.25, "lower", "A rule.", (Assumption("the rows are distinct", True),))
    >>> bound.value, bound.is_applicable
    (0.25, True)
    """

    name: str
    value: float
    kind: str
    statement: str
    assumptions: tuple[Assumption, ...] = ()

    @property
    def is_applicable(self) -> bool:
        """Whether every assumption is known to be met."""
        return all(assumption.is_met for assumption in self.assumptions)

    def to_dict(self) -> dict[str, Any]:
        """Return everything in types that JSON knows.

        Returns
        -------
        dict
            One key for each parameter, and ``is_applicable``.
        """
        return {
            "name": self.name,
            "value": self.value if isfinite(self.value) else None,
            "kind": self.kind,
            "statement": self.statement,
            "assumptions": [{"statement": each.statement, "is_met": each.is_met} for each in self.assumptions],
            "is_applicable": self.is_applicable,
        }


def lower_bound(
    problem: Problem, name: str, compute: Callable[[Problem], float], statement: str, condition: str
) -> EigenvalueBound:
    """Lower bound that is positive exactly where its condition holds.

    Parameters
    ----------
    problem : KernelProblem
        The data.
    name : str
        Name of the result.
    compute : callable
        The number for a problem without a flaw; below zero it becomes 0, because a kernel matrix is positive semi-definite.
    statement : str
        The result in one sentence.
    condition : str
        When it is positive.

    Returns
    -------
    EigenvalueBound
    """
    if problem.flaw:
        value, condition = 0.0, f"no row is zero, or nearly so, or equal to another; {problem.flaw}"
    else:
        value = max(0.0, float(compute(problem)))
    return EigenvalueBound(name, value, "lower", statement, (Assumption(condition, value > 0.0),))
