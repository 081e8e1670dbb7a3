"""Calls of the user's function while a solve goes on, by the conventions of SciPy."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult

Array = NDArray[np.float64]


def wrap_callback(
    callback: Callable[..., Any] | None, restore: Callable[[Array], Array], value: Callable[[Array], Any]
) -> Callable[[Array, Any], None] | None:
    """Make of a user's callback what the solvers call after a step.

    Parameters
    ----------
    callback : callable or None
        Called as ``callback(intermediate_result=...)`` if that is the name of its only parameter, else as ``callback(xk)``.
    restore : callable
        From the coordinates of a solver to those of the user.
    value : callable
        From the coordinates of a solver to the function that is minimised, without smoothing.

    Returns
    -------
    callable or None
        Takes the coordinates of a solver and its own value, which is ignored. StopIteration passes through.

    Raises
    ------
    TypeError
        If `callback` cannot be called.
    """
    if callback is None:
        return None
    if not callable(callback):
        raise TypeError(f"callback={callback!r} cannot be called: pass a function of xk, or of intermediate_result")
    try:
        names = set(inspect.signature(callback).parameters)
    except ValueError:
        # Some functions written in C do not tell.
        names = set()

    def by_result(s: Array, _: Any) -> None:
        callback(intermediate_result=OptimizeResult(x=np.array(restore(s)), fun=value(s)))

    def by_point(s: Array, _: Any) -> None:
        callback(np.array(restore(s)))

    return by_result if names == {"intermediate_result"} else by_point
