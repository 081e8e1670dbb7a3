"""Growth of the smallest trainable width with the number of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from underdetermined._validation import check_count
from underdetermined.activations import Activation, get_activation
from underdetermined.blocks import run_tiles, single_threaded_blas
from underdetermined.bounds import minimum_width
from underdetermined.empirical_width._trainable import METHODS, minimum_trainable_width
from underdetermined.empirical_width._trainable_growth_result import TrainableWidthGrowth
from underdetermined.empirical_width._trainable_result import TrainableWidth

# Standard deviation of the hidden weights in d inputs; that of Xavier changes with the width, and bounds do not know of it.
_DEVIATIONS = {"lecun": lambda d: d**-0.5, "he": lambda d: (2.0 / d) ** 0.5, "kernel": lambda d: 1.0}
DIRECT = "last, direct"


def trainable_width_growth(
    make_problem: Callable[[int, int], tuple[ArrayLike, ArrayLike]],
    sizes: Sequence[int],
    *,
    layers: str | Sequence[str] = ("both", "hidden", "last"),
    activation: str | Activation | Callable[[np.ndarray], np.ndarray] = "tanh",
    init: str = "lecun",
    output: str = "random",
    weight_scale: float = 1.0,
    coef_scale: float = 1.0,
    bias_scale: float | None = None,
    method: str = "gd",
    loss_tol: float = 1e-8,
    max_steps: int | None = None,
    n_seeds: int = 6,
    resolution: float = 0.04,
    max_width: int | None = None,
    has_bounds: bool = True,
    seed: int = 0,
    n_jobs: int | None = None,
    progress: Callable[[str], object] | None = None,
) -> TrainableWidthGrowth:
    """Measure the smallest trainable width for several numbers of rows, and fit exponents of growth.

    Parameters
    ----------
    make_problem : callable
        ``make_problem(n, seed)`` returns n rows, shape (n, d), and their targets. It is called once for each n and each
        seed, with an integer that depends on `seed`, n and the number of the seed, so that other sizes change nothing.
    sizes : sequence of int
        Numbers of rows n; they are sorted, and repetitions dropped.
    layers : str or sequence of str, default=("both", "hidden", "last")
        What is trained, one curve for each. With "last" comes a second curve, "last, direct": least squares, which has no
        number of steps.
    activation, init, output, weight_scale, coef_scale, bias_scale : default="tanh", "lecun", "random", 1.0, 1.0 and None
        As in `minimum_trainable_width`.
    method : {"gd", "gauss-newton"}, default="gd"
        How hidden layers are trained; the last layer alone is always trained by gradient descent, and directly.
    loss_tol, max_steps : float and int or None, default=1e-8 and None
        As in `minimum_trainable_width`. With "gauss-newton" `max_steps` is for its steps, and the last layer takes 5000.
    n_seeds : int, default=6
        Problems for each n, each with one network.
    resolution, max_width : float and int or None, default=0.04 and None
        As in `minimum_trainable_width`.
    has_bounds : bool, default=True
        Whether to compute the bounds of `underdetermined.bounds.minimum_width` for the last layer, for the event
        lambda_r(G) >= lambda_r(K) / 2. Xavier has none.
    seed : int, default=0
        Seed of the experiment.
    n_jobs : int or None, default=None
        Threads; see `underdetermined.blocks.thread_count`. Results do not depend on it.
    progress : callable or None, default=None
        Called with a line of text after each training. It may raise KeyboardInterrupt to end all of them.

    Returns
    -------
    TrainableWidthGrowth
        On KeyboardInterrupt too, with the sizes that were finished, if there are any.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, or the targets of a problem cannot be attained.
    MemoryError
        If the matrices do not fit; the message has the number of bytes.

    Warns
    -----
    UserWarning
        From `underdetermined.joint.draw_network`, with ``init="xavier"`` at large widths.

    Notes
    -----
    The cost of `minimum_trainable_width` for every size and curve, and of `minimum_width` for every size. An exponent is a
    slope between these sizes at this number of steps T and nothing else: for the last layer it grows with n at fixed T,
    since gradient descent needs more steps where the smallest eigenvalue falls, while least squares takes n neurons.

    References
    ----------
    :ref:`theory-trainable-width`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.empirical_width import trainable_width_growth
    >>> def random_labels(n, seed):
    ...     rng = np.random.default_rng(seed)
    ...     return 2.0 * rng.standard_normal((n, 4)), rng.choice([-1.0, 1.0], n)
    >>> growth = trainable_width_growth(random_labels, [4, 8, 12], layers="last", n_seeds=2)
    >>> growth.widths["last, direct"].tolist()
    [[4.0, 4.0], [8.0, 8.0], [12.0, 12.0]]
    """
    ordered = sorted({check_count(size, "sizes") for size in sizes})
    if not ordered:
        raise ValueError("sizes is empty: pass at least one number of rows")
    trained = list(dict.fromkeys([layers] if isinstance(layers, str) else layers))
    if not trained:
        raise ValueError("layers is empty: pass at least one of 'both', 'hidden' and 'last'")
    seeds, first = check_count(n_seeds, "n_seeds"), check_count(seed, "seed", low=0)
    shared: dict[str, Any] = {"activation": activation, "init": init, "output": output}
    shared |= {"weight_scale": weight_scale, "coef_scale": coef_scale, "bias_scale": bias_scale, "loss_tol": loss_tol}
    shared |= {"resolution": resolution, "max_width": max_width}
    curves = _curves(trained, method, max_steps)
    table: list[dict[str, list[TrainableWidth]]] = []
    rows: list[dict[str, float]] = []
    columns: list[int] = []
    try:
        for size in ordered:
            problems = [(number, *make_problem(size, number)) for number in _seeds(first, size, seeds)]
            found: dict[str, list[TrainableWidth]] = {}
            for name, options in curves.items():
                tell = None if progress is None else _prefixed(progress, f"n = {size}, {name}, ")
                found[name] = _measured(problems, shared | options, n_jobs, tell)
            rows.append(_bound_widths(problems[0], shared) if has_bounds and init in _DEVIATIONS else {})
            columns.append(np.shape(problems[0][1])[1])
            table.append(found)
    except KeyboardInterrupt:
        if not table:
            raise
    names = list(dict.fromkeys(name for row in rows for name in row))
    return TrainableWidthGrowth(
        activation=str(get_activation(activation)),
        init=init,
        method=method,
        loss_tol=table[0][next(iter(curves))][0].loss_tol,
        max_steps={name: table[0][name][0].max_steps for name in curves},
        sizes=np.array(ordered[: len(table)], dtype=np.int64),
        n_inputs=np.array(columns[: len(table)], dtype=np.int64),
        widths={name: np.array([[each.widths[0] for each in row[name]] for row in table]) for name in curves},
        parameters={
            name: np.array([np.mean([each.parameter_width for each in row[name]]) for row in table])
            for name in curves
            if name != DIRECT
        },
        bounds={name: np.array([row.get(name, np.nan) for row in rows[: len(table)]]) for name in names},
    )


def _curves(trained: list[str], method: str, max_steps: int | None) -> dict[str, dict[str, Any]]:
    """Options of each curve, by its name."""
    curves: dict[str, dict[str, Any]] = {}
    for layers in trained:
        if layers != "last":
            curves[layers] = {"layers": layers, "method": method, "max_steps": max_steps}
            continue
        if method not in METHODS["both"]:
            raise ValueError(f"method={method!r} is unknown: pass 'gd' or 'gauss-newton'")
        curves["last"] = {"layers": "last", "method": "gd", "max_steps": max_steps if method == "gd" else None}
        curves[DIRECT] = {"layers": "last", "method": "direct"}
    return curves


def _seeds(seed: int, size: int, count: int) -> list[int]:
    """Seeds of problems and networks, different for every size."""
    return [int(np.random.SeedSequence([seed, size, index]).generate_state(1)[0]) for index in range(count)]


def _measured(
    problems: list[tuple[int, Any, Any]], options: dict[str, Any], n_jobs: int | None, tell: Callable[[str], object] | None
) -> list[TrainableWidth]:
    """Smallest width of each problem, on threads."""
    found: dict[int, TrainableWidth] = {}
    is_stopped = False

    def line(text: str) -> None:
        # The other threads end with the training that they are at.
        if is_stopped:
            raise KeyboardInterrupt
        if tell is not None:
            tell(text)

    def task(index: int) -> None:
        nonlocal is_stopped
        number, X, targets = problems[index]
        each: dict[str, Any] = options | {"n_seeds": 1, "seed": number, "n_jobs": 1}
        try:
            found[index] = minimum_trainable_width(X, targets, **each, progress=_prefixed(line, f"seed {index}, "))
        except BaseException:
            is_stopped = True
            raise

    with single_threaded_blas():
        run_tiles(task, range(len(problems)), n_jobs=n_jobs)
    return [found[index] for index in range(len(problems))]


def _bound_widths(problem: tuple[int, Any, Any], options: dict[str, Any]) -> dict[str, float]:
    """Widths that bounds ask for if the last layer alone is trained."""
    number, X, _ = problem
    X = np.asarray(X, dtype=np.float64)
    scale = options["weight_scale"] * _DEVIATIONS[options["init"]](X.shape[1])
    bias = options["bias_scale"] or 0.0
    bounds = minimum_width(
        X, activation=options["activation"], target="spectrum", weight_scale=scale, bias_scale=bias, seed=number
    ).bounds
    # The parameter count is given for the layers that are trained.
    named = {bound.name: bound.width for bound in bounds if bound.kind != "order" and bound.name != "parameter_count"}
    return {name: np.nan if width is None else float(width) for name, width in named.items()}


def _prefixed(progress: Callable[[str], object], prefix: str) -> Callable[[str], object]:
    return lambda line: progress(prefix + line)
