"""What `empirical_minimum_width` returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

from underdetermined.bounds import Assumption, WidthBound
from underdetermined.empirical_width._criterion import Criterion, Evaluation
from underdetermined.empirical_width._interval import clopper_pearson

_HELD = {
    "rank": "had the attainable rank {rank}",
    "spectrum": "had lambda_r(G) >= (1 - {threshold:g}) lambda_r(K)",
    "condition": "had a Gram matrix of condition at most {threshold:g}",
    "residual": "left a relative training residual of at most {threshold:g}",
}


@dataclass(frozen=True, repr=False)
class EmpiricalWidth:
    """Widths tested on random networks, and the smallest one at which a stated event holds often enough.

    Parameters
    ----------
    activation : str
        The activation, as `get_activation` reads it.
    event : {"rank", "spectrum", "condition", "residual"}
        What was asked of a network, see `empirical_minimum_width`.
    threshold : float
        epsilon for "spectrum", the condition number for "condition", rtol for "residual"; 0.0 for "rank".
    n_rows, attainable_rank : int
        Rows n, and the largest rank r that the features have at any width.
    is_resolved : bool
        False if the event refers to an eigenvalue of the kernel that floating point does not resolve; then nothing was run.
    failure_probability : float
        delta: the event should hold with probability 1 - delta.
    n_seeds : int
        Networks tried at a width, unless failures decide earlier.
    confidence : float
        Level of the intervals.
    resolution : float
        Relative distance of neighbouring widths at which the search ends.
    max_width : int
        Largest width tried.
    weight_scale, bias_scale : float
        Standard deviations of weights and biases.
    seed : int
        Seed of the experiment.
    fingerprint : str
        Digest of rows, targets and activation, so that an experiment is resumed on its own data only.
    is_complete : bool
        False if the search was interrupted.
    evaluations : tuple of Evaluation
        One for each width tested, ascending.

    Notes
    -----
    `width` is judged by the fraction of failures, `lower` and `upper` by its interval, so that with few seeds they may be
    far apart or missing. The interval holds at each width for itself; the widths share their seeds, and the search chose
    them.
    """

    activation: str
    event: str
    threshold: float
    n_rows: int
    attainable_rank: int
    is_resolved: bool
    failure_probability: float
    n_seeds: int
    confidence: float
    resolution: float
    max_width: int
    weight_scale: float
    bias_scale: float
    seed: int
    fingerprint: str
    is_complete: bool
    evaluations: tuple[Evaluation, ...]

    @cached_property
    def criterion(self) -> Criterion:
        """Numbers of failures that decide about a width."""
        return Criterion.build(self.failure_probability, self.n_seeds, self.confidence)

    @property
    def floor(self) -> int:
        """Largest width that is too small without any experiment: r - 1, or 0 for the residual of given targets."""
        return 0 if self.event == "residual" else max(self.attainable_rank - 1, 0)

    def bracket(self, failures: int) -> tuple[int, int | None]:
        """Neighbouring widths between which the failures get fewer than a number.

        Parameters
        ----------
        failures : int
            The number.

        Returns
        -------
        low : int
            Largest tested width with at least so many failures, or `floor`.
        high : int or None
            Smallest tested width above it; None if there is none.
        """
        low = max((each.width for each in self.evaluations if each.failures >= failures), default=self.floor)
        low = max(low, self.floor)
        return low, min((each.width for each in self.evaluations if each.width > low), default=None)

    @property
    def width(self) -> int | None:
        """Smallest tested width from which on at most the stated fraction of the seeds failed; None if none was found."""
        return self.bracket(self.criterion.allowed + 1)[1]

    @property
    def lower(self) -> int:
        """Largest width shown insufficient: by its interval, or by the rank alone (`floor`)."""
        return self.bracket(self.criterion.decisive)[0]

    @property
    def upper(self) -> int | None:
        """Smallest tested width from which on the interval shows that the width suffices; None if none was found."""
        return self.bracket(self.criterion.spare + 1)[1]

    def interval(self, width: int) -> tuple[float, float]:
        """Clopper-Pearson interval of the probability that the event holds at a tested width.

        Parameters
        ----------
        width : int
            Width of one of the `evaluations`.

        Returns
        -------
        low, high : float
            Limits. Seeds that were not run, because failures had decided, count as failures in the lower limit and as
            successes in the upper one.

        Raises
        ------
        ValueError
            If that width was not tested.
        """
        for each in self.evaluations:
            if each.width == width:
                low, _ = clopper_pearson(each.successes, self.n_seeds, confidence=self.confidence)
                _, high = clopper_pearson(self.n_seeds - each.failures, self.n_seeds, confidence=self.confidence)
                return low, high
        tested = ", ".join(str(each.width) for each in self.evaluations) or "none"
        raise ValueError(f"width={width!r} was not tested: pass one of the tested widths ({tested})")

    @property
    def statement(self) -> str:
        """The result in one sentence."""
        if not self.is_resolved:
            return (
                "The smallest positive eigenvalue of the kernel is not resolved in floating point, so nothing can be "
                "compared with it: use event='rank', 'condition' or 'residual'."
            )
        held = _HELD[self.event].format(rank=self.attainable_rank, threshold=self.threshold)
        if self.width is None:
            tried = f"up to width {self.evaluations[-1].width}" if self.evaluations else "so far"
            return f"At no width tried {tried} a fraction of {1.0 - self.failure_probability:g} of the networks {held}."
        successes = next(each.successes for each in self.evaluations if each.width == self.width)
        upper = "no tested width is shown to suffice" if self.upper is None else f"{self.upper} neurons suffice"
        return (
            f"At width {self.width}, {successes} of {self.n_seeds} random networks {held}; at confidence "
            f"{self.confidence:g}, {self.lower} neurons do not suffice and {upper} for probability "
            f"{1.0 - self.failure_probability:g}."
        )

    def as_bound(self) -> WidthBound:
        """Return the result as a line of `underdetermined.bounds.minimum_width`.

        Returns
        -------
        WidthBound
            Of kind "empirical"; its interval is ``(lower + 1, upper)``, or None if there is no `upper`.
        """
        width = self.width
        details = {"n_seeds": self.n_seeds, "confidence": self.confidence, "failure_probability": self.failure_probability}
        if width is not None:
            details |= dict(zip(("probability_low", "probability_high"), self.interval(width), strict=True))
        return WidthBound(
            name="empirical",
            width=width,
            kind="empirical",
            role="sufficient",
            weights="gaussian",
            statement=self.statement,
            reference="simulation with empirical_minimum_width",
            assumptions=(Assumption("the search ran to its end", self.is_complete),),
            interval=None if width is None or self.upper is None else (self.lower + 1, self.upper),
            details=details,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything in types that JSON knows.

        Returns
        -------
        dict
            Keys as the parameters, and ``width``, ``lower``, ``upper`` and ``statement``. Each of the evaluations has
            ``width``, ``outcomes``, ``successes`` and ``interval``.
        """
        result = {field.name: getattr(self, field.name) for field in fields(self)}
        result["evaluations"] = [
            {
                "width": each.width,
                "outcomes": list(each.outcomes),
                "successes": each.successes,
                "interval": list(self.interval(each.width)),
            }
            for each in self.evaluations
        ]
        return result | {name: getattr(self, name) for name in ("width", "lower", "upper", "statement")}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EmpiricalWidth:
        """Rebuild a result from `to_dict`, or from JSON made of it.

        Parameters
        ----------
        data : mapping
            What `to_dict` returned.

        Returns
        -------
        EmpiricalWidth

        Raises
        ------
        ValueError
            If a key is missing.
        """
        names = [field.name for field in fields(cls)]
        missing = [name for name in names if name not in data]
        if missing:
            raise ValueError(f"data has no {', '.join(missing)}: pass what EmpiricalWidth.to_dict returned")
        values = {name: data[name] for name in names}
        values["evaluations"] = tuple(
            Evaluation(int(each["width"]), tuple(map(bool, each["outcomes"]))) for each in data["evaluations"]
        )
        return cls(**values)

    def with_outcomes(self, width: int, outcomes: tuple[bool, ...]) -> EmpiricalWidth:
        """Return the result with one more width tested, or tested on more seeds.

        Parameters
        ----------
        width : int
            The width.
        outcomes : tuple of bool
            Its outcomes by seed.

        Returns
        -------
        EmpiricalWidth
        """
        others = [each for each in self.evaluations if each.width != width]
        return replace(
            self, evaluations=tuple(sorted([*others, Evaluation(width, outcomes)], key=lambda each: each.width))
        )

    def __repr__(self) -> str:
        """Summarise in one line."""
        return (
            f"EmpiricalWidth(event={self.event!r}, width={self.width}, lower={self.lower}, upper={self.upper}, "
            f"{len(self.evaluations)} widths tested, {self.n_seeds} seeds, is_complete={self.is_complete})"
        )
