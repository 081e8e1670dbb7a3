"""The options of a solve, named as those of `scipy.optimize.minimize` where both have them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from scipy.optimize import OptimizeWarning

from underdetermined._validation import check_count, check_number

HESSIANS = ("auto", "dense", "matrix-free", "sampled")


@dataclass(frozen=True)
class SolverOptions:
    """How a solve is run.

    Attributes
    ----------
    gtol : float or None
        Largest norm of the certificate residual at a point that counts as stationary; None stands for the rounding of its
        terms, which the certificate knows.
    maxiter : int
        Steps of one start, all stages together.
    initial_trust_radius, max_trust_radius : float
        First and largest length of a step, in the coordinates of the reduced problem.
    eta : float
        Share of the promised decrease from which a step is taken; below 1/4.
    disp : bool
        Whether to print one line for each start.
    hessian : {"auto", "dense", "matrix-free", "sampled"}
        What the steps are made of: Hessian matrices, products with them, or rows drawn by leverage.
    epsilon : float
        Relative error of sampled Hessians, in (0, 1).
    smoothing : float
        First width of the softplus, in units of the largest pre-activation at the start; 0 descends on the kinks from the
        beginning.
    """

    gtol: float | None = None
    maxiter: int = 2000
    initial_trust_radius: float = 1.0
    max_trust_radius: float = 1000.0
    eta: float = 1e-4
    disp: bool = False
    hessian: str = "auto"
    epsilon: float = 0.5
    smoothing: float = 0.3


KNOWN = tuple(field.name for field in fields(SolverOptions))


def check_options(options: Mapping[str, Any] | None) -> SolverOptions:
    """Options from a dictionary.

    Parameters
    ----------
    options : mapping or None
        Values by name.

    Returns
    -------
    SolverOptions

    Raises
    ------
    TypeError, ValueError
        If a value is not what its option takes.

    Warns
    -----
    scipy.optimize.OptimizeWarning
        If a name is unknown, as SciPy does; the option is ignored.
    """
    if options is None:
        return SolverOptions()
    if not isinstance(options, Mapping):
        raise TypeError(f"options={options!r} is not a dictionary: pass names and values, such as {{'maxiter': 100}}")
    unknown = [str(name) for name in options if name not in KNOWN]
    if unknown:
        warnings.warn(
            f"Unknown solver options: {', '.join(unknown)}; they are ignored, the known ones are {', '.join(KNOWN)}",
            OptimizeWarning,
            stacklevel=3,
        )
    default = SolverOptions()

    def positive(name: str, high: float = np.inf) -> float:
        return check_number(options.get(name, getattr(default, name)), name, high=high, low_open=True)

    gtol = options.get("gtol")
    disp = options.get("disp", default.disp)
    hessian = options.get("hessian", default.hessian)
    if not isinstance(disp, bool | np.bool_ | int):
        raise TypeError(f"disp={disp!r} is not a bool or an integer: pass True or False")
    if hessian not in HESSIANS:
        raise ValueError(f"hessian={hessian!r} is unknown: pass one of {', '.join(map(repr, HESSIANS))}")
    first, largest = positive("initial_trust_radius"), positive("max_trust_radius")
    if first > largest:
        raise ValueError(
            f"initial_trust_radius={first:g} is larger than max_trust_radius={largest:g}: lower the one or raise the other"
        )
    return SolverOptions(
        gtol=None if gtol is None else positive("gtol"),
        maxiter=check_count(options.get("maxiter", default.maxiter), "maxiter", low=0),
        initial_trust_radius=first,
        max_trust_radius=largest,
        eta=check_number(options.get("eta", default.eta), "eta", high=0.25),
        disp=bool(disp),
        hessian=hessian,
        epsilon=positive("epsilon", 1.0),
        smoothing=check_number(options.get("smoothing", default.smoothing), "smoothing"),
    )
