"""From counts of failures to what they show about a width."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from underdetermined.empirical_width._interval import clopper_pearson


@dataclass(frozen=True)
class Evaluation:
    """Outcomes of the seeds that were run at one width.

    Parameters
    ----------
    width : int
        Width m.
    outcomes : tuple of bool
        Whether the event held, for the seeds 0, 1, ... in this order; fewer than all seeds once failures had decided.
    """

    width: int
    outcomes: tuple[bool, ...]

    @property
    def successes(self) -> int:
        """Seeds at which the event held."""
        return sum(self.outcomes)

    @property
    def failures(self) -> int:
        """Seeds at which it did not hold."""
        return len(self.outcomes) - self.successes


@dataclass(frozen=True)
class Criterion:
    """Numbers of failures among all seeds that decide whether the event holds with probability 1 - failure_probability.

    Parameters
    ----------
    spare : int
        Up to so many failures show that it does: the lower limit of the interval is at least 1 - failure_probability; -1 if
        there are too few seeds to show it.
    allowed : int
        Up to so many failures are a fraction of at most `failure_probability`.
    decisive : int
        From so many failures on it is shown that it does not, whatever the other seeds do; ``n_seeds + 1`` if nothing can
        show it.
    """

    spare: int
    allowed: int
    decisive: int

    @classmethod
    def build(cls, failure_probability: float, n_seeds: int, confidence: float) -> Criterion:
        """Find the three numbers.

        Parameters
        ----------
        failure_probability : float
            delta.
        n_seeds : int
            Number of seeds.
        confidence : float
            Level of the Clopper-Pearson interval.

        Returns
        -------
        Criterion
        """
        wanted = 1.0 - failure_probability
        limits = [clopper_pearson(n_seeds - failures, n_seeds, confidence=confidence) for failures in range(n_seeds + 1)]
        # Both limits fall with the number of failures.
        spare = sum(low >= wanted for low, _ in limits) - 1
        decisive = sum(high >= wanted for _, high in limits)
        # A product such as 0.1 * 40 may lie below the integer that is meant.
        allowed = int(np.floor(failure_probability * n_seeds * (1.0 + 1e-12)))
        return cls(spare, allowed, decisive)
