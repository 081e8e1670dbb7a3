"""What is told of networks that an optimiser trained and a certificate speaks of: statuses, trajectories, proofs."""

from dataclasses import dataclass
from typing import Any, ClassVar

from underdetermined.comparison._result import finite
from underdetermined.comparison._trained import TrainedComparison
from underdetermined.solution import Status

# Statuses of a run that ended where it was asked to, or as near to that as rounding allows.
_REACHED = (Status.CONVERGED, Status.EXACT, Status.REGULARIZED)
# Endings whose advice names arguments that the command line does not have.
_OUTCOMES = {
    Status.CONVERGED: "Training reached the requested tolerance.",
    Status.MAX_ITER: "The limit of steps was reached.",
}


@dataclass(frozen=True)
class CertifiedComparison(TrainedComparison):
    """A network that gradient descent or Gauss-Newton trained, with what is proved from its start or its end on.

    A subclass says up to which number of distinct rows times outputs its estimator computes a certificate, and which
    function computes it for more.
    """

    _certified_size: ClassVar[int]
    _certify: ClassVar[str]

    @property
    def is_success(self) -> bool:
        """Whether the fit to all rows reached `tol`; where none was asked for, whether it ended with a finite loss."""
        return super().is_success and (self.tol is None or self.estimator.trajectory_.status in _REACHED)

    @property
    def outcome_text(self) -> str:
        """How training ended, and what to do about it."""
        run = self.estimator.trajectory_
        return _OUTCOMES.get(run.status, run.advice)

    @property
    def certificate_text(self) -> str:
        """What is proved of gradient descent from the start or from the end, or why nothing is."""
        network = self.estimator
        certificate = network.certificate_
        if certificate is None:
            return (
                f"not computed: the distinct rows times outputs are more than {self._certified_size}; "
                f"{self._certify} computes it"
            )
        if not certificate.is_certified:
            return f"none, neither at the start nor at the end. {certificate.reason}"
        start = f"step {network.certified_step_}" if network.certified_step_ else "the start"
        plain = " without the penalty" if network.alpha else ""
        return (
            f"gradient descent{plain} from {start} on fits all targets. {certificate.reason} At learning rate "
            f"{certificate.learning_rate:.3g} every {certificate.n_steps(0.5):,} steps at least halve it, and the weights "
            f"move by at most {certificate.distance:.3g}."
        )

    def _described_trajectory(self) -> dict[str, Any]:
        run = self.estimator.trajectory_
        curves = {
            "value": run.value,
            "gradient_norm": run.gradient_norm,
            "learning_rate": run.learning_rate,
            "damping": run.damping,
        }
        return {
            "status": run.status.value,
            "n_iter": run.n_iter,
            "n_rejected": run.n_rejected,
            **{
                name: None if values is None else [finite(value) for value in values] for name, values in curves.items()
            },
        }
