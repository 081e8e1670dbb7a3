"""What a softmax-ReLU regression returns, in the form of SciPy's solvers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult

from underdetermined.softmax_relu._status import SoftmaxReLUStatus

Array = NDArray[np.float64]

# Fields of one shape for all problems of a batch, which are stacked along the last axis.
_STACKED = (
    "x", "fun", "jac", "success", "status", "nit", "nfev", "njev", "nhev", "loss", "fitted", "hidden", "kkt_residual",
    "curvature", "n_dead_profitable", "global_optimum",
)  # fmt: skip


@dataclass(frozen=True)
class Work:
    """What solves have cost.

    Attributes
    ----------
    n_iter : int
        Steps taken.
    n_value, n_gradient, n_hessian, n_products : int
        Evaluations of the objective, its gradient and its Hessian, and products with Hessians.
    """

    n_iter: int = 0
    n_value: int = 0
    n_gradient: int = 0
    n_hessian: int = 0
    n_products: int = 0

    def __add__(self, other: Work) -> Work:
        """Sum of both."""
        return Work(*(mine + theirs for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)))


@dataclass(frozen=True)
class Ending:
    """Where one start of one problem ended.

    Attributes
    ----------
    point : SoftmaxReLUPoint
        The given problem at the last x.
    certificate : KinkCertificate
        What is proved there.
    status : SoftmaxReLUStatus
        That of the certificate, or what stopped the solve before.
    work : Work
        What it has cost.
    """

    point: Any
    certificate: Any
    status: SoftmaxReLUStatus
    work: Work


def best_ending(endings: Sequence[Ending]) -> Ending:
    """The lowest value; among values that agree to rounding, a certified one.

    Parameters
    ----------
    endings : sequence of Ending
        At least one.

    Returns
    -------
    Ending
    """
    lowest = min(ending.point.value for ending in endings)
    near = [ending for ending in endings if ending.point.value <= lowest + 1e-12 * abs(lowest)]
    return min(near, key=lambda ending: (not ending.status.is_success, ending.point.value))


def single_result(endings: Sequence[Ending]) -> OptimizeResult:
    """Result of one problem.

    Parameters
    ----------
    endings : sequence of Ending
        One for each start.

    Returns
    -------
    OptimizeResult
    """
    best = best_ending(endings)
    point, certificate, work = best.point, best.certificate, sum((each.work for each in endings), Work())
    return OptimizeResult(
        x=point.x,
        fun=point.value,
        jac=certificate.kkt_vector,
        success=best.status.is_success,
        status=int(best.status),
        message=f"{best.status.message} {_sentence(certificate.reason)}",
        nit=work.n_iter,
        nfev=work.n_value,
        njev=work.n_gradient,
        nhev=work.n_hessian + work.n_products,
        loss=point.loss,
        fitted=point.fitted,
        hidden=point.hidden,
        active=certificate.active,
        pinned=certificate.pinned,
        multipliers=certificate.multipliers,
        kkt_residual=certificate.kkt_residual,
        curvature=certificate.curvature,
        n_dead_profitable=certificate.n_dead_profitable,
        global_optimum=best.status is SoftmaxReLUStatus.GLOBAL,
        starts=[{"fun": each.point.value, "status": int(each.status), "x": each.point.x} for each in endings],
        certificate=certificate,
    )


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:]}."


def batch_result(columns: Sequence[OptimizeResult]) -> OptimizeResult:
    """Result of several problems.

    Parameters
    ----------
    columns : sequence of OptimizeResult
        One for each problem.

    Returns
    -------
    OptimizeResult
        Fields of one shape stacked along the last axis, and `columns`.
    """
    stacked = {name: np.stack([column[name] for column in columns], axis=-1) for name in _STACKED}
    return OptimizeResult(**stacked, message=[column.message for column in columns], columns=list(columns))
