"""Growth of minimum widths with the number of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from underdetermined._validation import check_count
from underdetermined.activations import Activation, get_activation
from underdetermined.bounds import minimum_width
from underdetermined.empirical_width._growth_result import Exponent, WidthGrowth
from underdetermined.empirical_width._search import empirical_minimum_width


def fit_exponent(sizes: ArrayLike, widths: ArrayLike) -> Exponent:
    """Fit the power law width = c n**p by least squares of log width on log n.

    Parameters
    ----------
    sizes : array_like of shape (k,)
        n, positive.
    widths : array_like of shape (k,)
        Widths, positive; points that are nan are left out.

    Returns
    -------
    Exponent
        p with its 95 % interval, which assumes independent normal errors of the logarithms.

    Examples
    --------
    >>> from underdetermined.empirical_width import fit_exponent
    >>> fit_exponent([10, 20, 40], [100, 400, 1600])
    Exponent(value=2.0, low=2.0, high=2.0, n_points=3)
    """
    n, m = np.asarray(sizes, dtype=np.float64), np.asarray(widths, dtype=np.float64)
    known = np.isfinite(m)
    x, y = np.log(n[known]), np.log(m[known])
    count = x.size
    if count < 2:
        return Exponent(np.nan, np.nan, np.nan, count)
    x, y = x - x.mean(), y - y.mean()
    spread = float(x @ x)
    slope = float(x @ y) / spread
    if count < 3:
        return Exponent(slope, np.nan, np.nan, count)
    error = np.linalg.norm(y - slope * x) / np.sqrt((count - 2) * spread)
    margin = float(error * stdtrit(count - 2, 0.975))
    return Exponent(slope, slope - margin, slope + margin, count)


def width_growth(
    make_inputs: Callable[[int, int], ArrayLike],
    sizes: Sequence[int],
    *,
    activation: str | Activation | Callable[[np.ndarray], np.ndarray] = "relu",
    target: str | float = "spectrum",
    epsilon: float = 0.5,
    failure_probability: float = 0.1,
    n_seeds: int = 40,
    confidence: float = 0.95,
    resolution: float = 0.02,
    max_width: int | None = None,
    weight_scale: float | str = "auto",
    bias_scale: float = 1.0,
    seed: int = 0,
    n_jobs: int | None = None,
    progress: Callable[[str], object] | None = None,
) -> WidthGrowth:
    """Compute every bound and measure the minimum width for several numbers of rows, and fit exponents of growth.

    Parameters
    ----------
    make_inputs : callable
        ``make_inputs(n, seed)`` returns n rows, shape (n, d). It is called with ``seed + i`` for ``sizes[i]``, in ascending
        order, so that the errors are independent.
    sizes : sequence of int
        Numbers of rows n; they are sorted, and repetitions dropped.
    activation : str, callable or Activation, default="relu"
        As `get_activation` takes it.
    target : {"rank", "spectrum"} or float, default="spectrum"
        What a width should reach: the attainable rank, ``lambda_r(G) >= (1 - epsilon) lambda_r(K)``, or a condition number.
    epsilon, failure_probability : float, default=0.5 and 0.1
        As in `underdetermined.bounds.minimum_width`.
    n_seeds, confidence, resolution, max_width : default=40, 0.95, 0.02 and None
        As in `empirical_minimum_width`.
    weight_scale : float or "auto", default="auto"
        Standard deviation of the hidden weights; "auto" is 1 / sqrt(d).
    bias_scale : float, default=1.0
        Standard deviation of the biases; 0 means no biases.
    seed : int, default=0
        Seed of the rows, of the experiment and of sampled bounds.
    n_jobs : int or None, default=None
        Threads; see `underdetermined.blocks.thread_count`.
    progress : callable or None, default=None
        Called with a line of text after each width of the experiments. It may raise KeyboardInterrupt to end all of them.

    Returns
    -------
    WidthGrowth
        On KeyboardInterrupt too, with the sizes that were finished, if there are any.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.

    Notes
    -----
    The cost of `underdetermined.bounds.minimum_width` and of `empirical_minimum_width` for every size. The interval of an
    exponent measures the scatter about a power law, on the sizes at hand only.

    References
    ----------
    :ref:`How wide is wide enough <theory-minimum-width>`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.empirical_width import width_growth
    >>> def gaussian(n, seed):
    ...     return np.random.default_rng(seed).standard_normal((n, 3))
    >>> growth = width_growth(gaussian, [4, 8, 12], activation="sin_cos", target="rank", n_seeds=10)
    >>> growth.measured.tolist(), round(growth.exponents["measured"].value, 6)
    ([4.0, 8.0, 12.0], 1.0)
    """
    ordered = sorted({check_count(size, "sizes") for size in sizes})
    if not ordered:
        raise ValueError("sizes is empty: pass at least one number of rows")
    first = check_count(seed, "seed", low=0)
    shared: dict[str, Any] = {"activation": activation, "epsilon": epsilon, "failure_probability": failure_probability}
    shared |= {"weight_scale": weight_scale, "bias_scale": bias_scale, "seed": first}
    search: dict[str, Any] = {"n_seeds": n_seeds, "confidence": confidence, "resolution": resolution}
    search |= {"max_width": max_width, "n_jobs": n_jobs} | _event(target)
    rows: list[dict[str, float]] = []
    try:
        for place, size in enumerate(ordered):
            X = make_inputs(size, first + place)
            bounds = minimum_width(X, target=target, **shared).bounds
            tell = None if progress is None else _prefixed(progress, f"n = {size}, ")
            found = empirical_minimum_width(X, progress=tell, **shared, **search)
            if not found.is_complete:
                raise KeyboardInterrupt
            measured = {"measured": found.width, "lower": found.lower, "upper": found.upper}
            widths = {bound.name: bound.width for bound in bounds if bound.kind != "order"} | measured
            rows.append({name: np.nan if width is None else float(width) for name, width in widths.items()})
    except KeyboardInterrupt:
        if not rows:
            raise
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}
    finished = np.array(ordered[: len(rows)], dtype=np.int64)
    ends = {name: columns.pop(name, np.empty(0)) for name in ("measured", "lower", "upper")}
    exponents = {name: fit_exponent(finished, widths) for name, widths in [*columns.items(), ("measured", ends["measured"])]}
    return WidthGrowth(
        activation=str(get_activation(activation)),
        target=target,
        epsilon=epsilon,
        failure_probability=failure_probability,
        n_seeds=n_seeds,
        sizes=finished,
        widths=columns,
        **ends,
        exponents=exponents,
    )


def _event(target: str | float) -> dict[str, Any]:
    """Options of the search that stand for a target."""
    return {"event": target} if isinstance(target, str) else {"event": "condition", "condition": target}


def _prefixed(progress: Callable[[str], object], prefix: str) -> Callable[[str], object]:
    return lambda line: progress(prefix + line)
