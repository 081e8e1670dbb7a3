"""All results on the width of a network for given rows, side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from underdetermined.activations import Activation
from underdetermined.bounds._necessary import (
    min_width_generic,
    min_width_necessary,
    min_width_numerical,
    min_width_parameters,
)
from underdetermined.bounds._notes import notes_on
from underdetermined.bounds._orders import growth_orders
from underdetermined.bounds._problem import WidthProblem
from underdetermined.bounds._recommend import recommend
from underdetermined.bounds._result import MinimumWidth
from underdetermined.bounds._sampled import min_width_leverage_sampled
from underdetermined.bounds._tails import read_target
from underdetermined.bounds._theorems import min_width_chernoff, min_width_importance, min_width_leverage
from underdetermined.bounds._truncation import min_width_truncated

_THEOREMS = (
    min_width_necessary,
    min_width_parameters,
    min_width_numerical,
    min_width_generic,
    min_width_truncated,
    min_width_leverage,
    min_width_chernoff,
    min_width_importance,
)


def minimum_width(
    X: ArrayLike,
    *,
    activation: str | Activation | Callable[[np.ndarray], np.ndarray] = "relu",
    target: str | float = "rank",
    epsilon: float = 0.5,
    failure_probability: float = 0.1,
    weight_scale: float | str = "auto",
    bias_scale: float = 1.0,
    n_samples: int | None = None,
    seed: int = 0,
) -> MinimumWidth:
    r"""Find how many random hidden neurons a network needs on given rows.

    With m Gaussian neurons, ``G = A A.T / m`` the Gram matrix of their features and K its mean, a sufficient width has

    .. math:: P(\operatorname{rank} G = r) \ge 1 - \delta, \quad P(G \succeq (1 - \epsilon) K) \ge 1 - \delta, \quad
       \text{or} \quad P(\operatorname{cond} G \le \kappa) \ge 1 - \delta,

    all on the targets that can be attained, of dimension r.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Inputs, one row each. Standardise them first if the columns differ in scale.
    activation : str, callable or Activation, default="relu"
        As `underdetermined.get_activation` takes it. For a callable the theorems need its bound or its Lipschitz constant,
        declared on an `underdetermined.Activation`.
    target : {"rank", "spectrum"} or float, default="rank"
        Every attainable target is fitted; the spectrum of the kernel is kept up to a fraction epsilon; or the condition
        number is at most this number, greater than 1.
    epsilon : float, default=0.5
        For ``target="spectrum"``, in (0, 1).
    failure_probability : float, default=0.1
        delta, in (0, 1).
    weight_scale : float or "auto", default="auto"
        Standard deviation of the hidden weights, greater than 0; "auto" is ``1 / sqrt(d)``.
    bias_scale : float, default=1.0
        Standard deviation of the hidden biases, at least 0; 0 means no biases.
    n_samples : int or None, default=None
        Neurons that the estimate is made from, at least 512; None chooses by n, see `min_width_leverage_sampled`.
    seed : int, default=0
        Of that sample.

    Returns
    -------
    MinimumWidth
        All bounds, the recommended one and why, and notes on the data; ``print`` shows a table.

    Raises
    ------
    TypeError
        If an option has the wrong type, or X is sparse.
    ValueError
        If X is not a finite, non-empty matrix, the activation is not known, an option is out of range, or the kernel
        cannot be decomposed.
    OverflowError
        If the kernel or a feature overflows.
    MemoryError
        If the n x n matrices do not fit.

    Notes
    -----
    The kernel and its eigenvectors, about 5 n^3 operations, and about 3 N n^2 for the estimate from N neurons: seconds for
    a few hundred rows, a minute for two thousand. Memory O(n^2 + n N / 8).

    Theorems hold whatever is drawn. The estimate rests on a theorem too, but one of its numbers comes from a sample. Where
    the smallest eigenvalue of K is not resolved in double precision no width is computed from it.

    References
    ----------
    :ref:`How wide is wide enough <theory-minimum-width>`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.bounds import minimum_width
    >>> X = np.random.default_rng(0).standard_normal((40, 3))
    >>> found = minimum_width(X, activation="relu")
    >>> found.bound("necessary").width, found.recommended.name
    (40, 'leverage_sampled')
    >>> minimum_width(X, activation="tanh").recommended.width
    40
    """
    event = read_target(target, epsilon, failure_probability)
    problem = WidthProblem.from_data(X, activation=activation, weight_scale=weight_scale, bias_scale=bias_scale)
    options: dict[str, Any] = {"target": target, "epsilon": epsilon, "failure_probability": failure_probability}
    bounds = [function(problem, **options) for function in _THEOREMS]
    bounds.insert(4, min_width_leverage_sampled(problem, n_samples=n_samples, seed=seed, **options))
    bounds.extend(growth_orders())
    recommended, reason = recommend(bounds, problem, event)
    # NumPy's numbers are no JSON.
    kept = target if isinstance(target, str) else float(target)
    notes = notes_on(problem)
    return MinimumWidth(
        problem, kept, float(epsilon), float(failure_probability), bounds, recommended, reason, notes
    )
