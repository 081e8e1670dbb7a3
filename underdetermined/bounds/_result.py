"""What `minimum_width` returns: all widths, the one to take, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from underdetermined.bounds._bound import WidthBound
from underdetermined.bounds._html import width_html
from underdetermined.bounds._problem import WidthProblem
from underdetermined.bounds._recommend import recommend
from underdetermined.bounds._tails import read_target
from underdetermined.bounds._text import width_text


@dataclass(frozen=True, eq=False, repr=False)
class MinimumWidth:
    """How many hidden neurons a network needs on given rows; it prints as a table, and shows one in a notebook.

    Parameters
    ----------
    problem : WidthProblem
        Rows, activation, scales, and the spectrum of the kernel.
    target : {"rank", "spectrum"} or float
        What a sufficient width brings about; a number is the largest condition number.
    epsilon : float
        For "spectrum": the smallest eigenvalue keeps the fraction ``1 - epsilon``.
    failure_probability : float
        A sufficient width may fail so often.
    bounds : list of WidthBound
        Every result, each with a name of its own, with or without a width.
    recommended : WidthBound
        The one to take.
    reason : str
        Why.
    notes : tuple of str
        What the data make of it: rows that are tied together, eigenvalues that are not resolved.
    """

    problem: WidthProblem
    target: str | float
    epsilon: float
    failure_probability: float
    bounds: list[WidthBound]
    recommended: WidthBound
    reason: str
    notes: tuple[str, ...]

    def bound(self, name: str) -> WidthBound:
        """Return the result of this name.

        Parameters
        ----------
        name : str
            Such as "chernoff".

        Returns
        -------
        WidthBound

        Raises
        ------
        KeyError
            If there is none; the message lists the names.
        """
        for bound in self.bounds:
            if bound.name == name:
                return bound
        known = ", ".join(bound.name for bound in self.bounds)
        raise KeyError(f"there is no bound {name!r}: choose one of {known}")

    def with_bound(self, bound: WidthBound) -> MinimumWidth:
        """Return the same with one more result, such as a measured width, and choose again.

        Parameters
        ----------
        bound : WidthBound
            The result; it takes the place of one of the same name.

        Returns
        -------
        MinimumWidth
        """
        bounds = [other for other in self.bounds if other.name != bound.name] + [bound]
        target = read_target(self.target, self.epsilon, self.failure_probability)
        recommended, reason = recommend(bounds, self.problem, target)
        return replace(self, bounds=bounds, recommended=recommended, reason=reason)

    @property
    def event(self) -> str:
        """What a sufficient width brings about, in words."""
        return read_target(self.target, self.epsilon, self.failure_probability).event(self.problem.rank)

    @property
    def description(self) -> str:
        """Data and settings in one line."""
        n, d = self.problem.inputs.shape
        scale = self.problem.bias_scale
        biases = f"bias scale {scale:.3g}" if scale else "no biases"
        rows, inputs = (f"{count} {word}{'' if count == 1 else 's'}" for count, word in ((n, "row"), (d, "input")))
        rank = f"attainable rank r = {self.problem.rank}"
        return f"{rows}, {inputs}, {rank}; {self.problem.activation}, weight scale {self.problem.weight_scale:.3g}, {biases}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the rows and the eigenvectors, in types that JSON knows.

        Returns
        -------
        dict
            None stands for numbers that are not resolved.
        """
        problem = self.problem
        return {
            "rows": problem.n_rows,
            "inputs": problem.inputs.shape[1],
            "activation": str(problem.activation),
            "weight_scale": problem.weight_scale,
            "bias_scale": problem.bias_scale,
            "target": self.target,
            "epsilon": self.epsilon,
            "failure_probability": self.failure_probability,
            "attainable_rank": problem.rank,
            "numerical_rank": problem.numerical_rank,
            "is_resolved": problem.is_resolved,
            "lambda": problem.smallest if problem.rank and problem.is_resolved else None,
            "lambda_max": problem.spectrum.largest,
            "bounds": [bound.to_dict() for bound in self.bounds],
            "recommended": self.recommended.name,
            "recommended_width": self.recommended.width,
            "reason": self.reason,
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        """One line."""
        return f"<MinimumWidth: {self.description}; recommended {self.recommended.width} ({self.recommended.name})>"

    def __str__(self) -> str:
        """The table as text, at most 100 columns wide."""
        return width_text(self)

    def _repr_html_(self) -> str:
        return width_html(self)
