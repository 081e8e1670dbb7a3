"""The smallest width that training is seen to bring to a small loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from underdetermined._validation import check_count, check_matrix, check_memory, check_number, check_targets
from underdetermined.activations import Activation, get_activation
from underdetermined.attainability import attainable_rank
from underdetermined.blocks import run_tiles, single_threaded_blas, thread_count
from underdetermined.empirical_width._neurons import network_seed
from underdetermined.empirical_width._trainable_problem import TrainableProblem
from underdetermined.empirical_width._trainable_result import TrainableWidth, Training

METHODS = {"both": ("gd", "gauss-newton"), "hidden": ("gd", "gauss-newton"), "last": ("gd", "direct")}
# Steps of a training where none are given.
STEPS = {"gd": 5000, "gauss-newton": 200, "direct": 0}
# Largest width, at least and for each number to be fitted. Hidden layers that need more neurons lack steps, not neurons.
_LIMITS = {"both": (256, 4), "hidden": (256, 4), "last": (4096, 128)}
# Matrices of n x n numbers that a training takes at most, beside activations and derivatives.
_MATRICES = 8


def minimum_trainable_width(
    X: ArrayLike,
    targets: ArrayLike,
    *,
    layers: str = "both",
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
    seed: int = 0,
    n_jobs: int | None = None,
    progress: Callable[[str], object] | None = None,
) -> TrainableWidth:
    r"""Find the smallest width at which training reaches a small loss, for networks of several seeds.

    A network succeeds if T steps bring :math:`|f(X) - Y|^2` to `loss_tol` :math:`|Y|^2`. The network of one seed is an
    endless list of neurons, of which width m takes the first m, with the scales that the initialisation has for m. Widths
    are doubled from the parameter count until one succeeds, or halved until one fails, and then bisected.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Rows, as the network takes them: nothing is scaled.
    targets : array_like of shape (n,) or (n, k)
        Targets Y, not all zero.
    layers : {"both", "hidden", "last"}, default="both"
        What is trained: weights, biases and the last layer; weights and biases; the last layer.
    activation : str, callable or Activation, default="tanh"
        As `get_activation` takes it; with a derivative unless only the last layer is trained.
    init, output : str, default="lecun" and "random"
        As in `underdetermined.joint.draw_network`; with "paired" only even widths are tried.
    weight_scale, coef_scale : float, default=1.0
        Factors of the initial standard deviations.
    bias_scale : float or None, default=None
        Standard deviation of the biases; None means no biases.
    method : {"gd", "gauss-newton", "direct"}, default="gd"
        Gradient descent on all rows with the step 0.9 / lambda_max(J J.T), the eigenvalue by eight Lanczos steps, again
        every 50 steps, and where the loss would rise, which halves the step; `underdetermined.optimize.gauss_newton`, for
        hidden layers; least squares, for the last layer alone.
    loss_tol : float, default=1e-8
        Relative loss that counts as success, in (0, 1).
    max_steps : int or None, default=None
        Steps T of a training, at least 1; None means 5000 for "gd", 200 for "gauss-newton". "direct" takes none.
    n_seeds : int, default=6
        Networks.
    resolution : float, default=0.04
        Relative distance of neighbouring widths at which a search ends, positive.
    max_width : int or None, default=None
        Largest width tried; None means max(4096, 128 n k) for the last layer, max(256, 4 n k) otherwise.
    seed : int, default=0
        Seed of the experiment; network j is drawn with the seed (seed + 1) 2**32 + j.
    n_jobs : int or None, default=None
        Threads, each with networks of its own; see `underdetermined.blocks.thread_count`. Results do not depend on it.
    progress : callable or None, default=None
        Called with a line of text after each training. It may raise KeyboardInterrupt to end all of them.

    Returns
    -------
    TrainableWidth

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range or does not fit, or the targets cannot be attained to `loss_tol` at any width, as
        where equal rows have different targets.
    OverflowError
        If features overflow.
    MemoryError
        If the matrices do not fit; the message has the number of bytes.

    Warns
    -----
    UserWarning
        From `draw_network`, with ``init="xavier"`` at large widths.

    Notes
    -----
    A width depends on T: with more steps fewer neurons do, down to about the parameter count, which `TrainableWidth` has
    beside it. So T belongs to every width that is quoted. A network that fails costs all its T steps, one that succeeds
    fewer; each step of "gd" costs about 4 n m d + 6 n m k flops and n m activations. The last layer needs no steps: its
    residual after T of them is :math:`(I - \eta \Phi \Phi^T)^T r_0`, :math:`\eta = 0.9 / \lambda_{\max}(\Phi \Phi^T)`,
    from one eigendecomposition, n^2 m + 9 n^3 flops.

    Success is not strictly monotone in the width, so that the search finds a threshold, and not always the smallest one:
    the scatter between seeds has this in it. At fixed T very wide networks fail again where narrow ones succeed, if the
    initialisation makes their hidden layer slow, as LeCun and He do: then there may be no width at all that T steps train,
    and nan says that none was met while doubling. Below the parameter count of a hidden layer almost no targets are fitted
    exactly, but a loss of `loss_tol` is not an exact fit.

    References
    ----------
    :ref:`theory-trainable-width`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.empirical_width import minimum_trainable_width
    >>> rng = np.random.default_rng(0)
    >>> X, y = 2.0 * rng.standard_normal((8, 3)), rng.choice([-1.0, 1.0], 8)
    >>> minimum_trainable_width(X, y, layers="last", method="direct").widths
    array([8., 8., 8., 8., 8., 8.])
    """
    drawn: dict[str, Any] = {"activation": get_activation(activation), "init": init, "output": output}
    drawn |= {"weight_scale": weight_scale, "coef_scale": coef_scale, "bias_scale": bias_scale}
    problem, rank = _checked_problem(X, targets, layers, method, loss_tol, max_steps, drawn)
    n = len(problem.inputs)
    seeds, first = check_count(n_seeds, "n_seeds"), check_count(seed, "seed", low=0)
    least, factor = _LIMITS[layers]
    limit = max(least, factor * problem.targets.size) if max_width is None else check_count(max_width, "max_width")
    search = _Search(
        problem, problem.parameter_width(rank), limit, check_number(resolution, "resolution", low_open=True), progress
    )
    order = n * (problem.targets.shape[1] if layers != "last" and method == "gauss-newton" else 1)
    threads = min(seeds, thread_count(n_jobs))
    check_memory(8 * order * order * _MATRICES * threads, f"the training of {threads} networks at once on {n} rows")
    found: dict[int, tuple[Training, ...]] = {}

    def task(index: int) -> None:
        if not search.is_stopped:
            found[index] = search.run(index, network_seed(first, index))

    with single_threaded_blas():
        run_tiles(task, range(seeds), n_jobs=n_jobs)
    return TrainableWidth(
        layers=layers,
        method=method,
        activation=str(drawn["activation"]),
        init=init,
        loss_tol=problem.loss_tol,
        max_steps=problem.max_steps,
        resolution=search.resolution,
        max_width=limit,
        n_rows=n,
        n_outputs=problem.targets.shape[1],
        seed=first,
        parameter_width=search.first,
        trainings=tuple(found[index] for index in range(seeds)),
    )


@dataclass
class _Search:
    """Doubling or halving from a first width, then bisection, for one network after the other."""

    problem: TrainableProblem
    first: int
    limit: int
    resolution: float
    progress: Callable[[str], object] | None
    is_stopped: bool = False

    def __post_init__(self) -> None:
        self._done = count(1)

    def run(self, index: int, seed: int) -> tuple[Training, ...]:
        """Find a threshold of the network of one seed; what was tried, by width."""
        # Paired neurons come by twos.
        unit = 2 if self.problem.drawn["output"] == "paired" else 1
        tried: dict[int, Training] = {}
        low, high = 0, None
        try:
            while (units := self._next(low, high, unit)) is not None:
                each = tried[unit * units] = self.problem.train(unit * units, seed)
                low, high = (low, units) if each.is_reached else (units, high)
                self._tell(index, each)
        except BaseException:
            # The other threads end with the network that they are at.
            self.is_stopped = True
            raise
        return tuple(tried[width] for width in sorted(tried))

    def _next(self, low: int, high: int | None, unit: int) -> int | None:
        """Width to be tried next, in units; None at the end."""
        limit = self.limit // unit
        if high is None:
            return None if low >= limit else min(2 * low or -(-self.first // unit), limit)
        if low == 0:
            return high // 2 or None
        return max(isqrt(low * high), low + 1) if high - low > max(1.0, self.resolution * low) else None

    def _tell(self, index: int, each: Training) -> None:
        if self.progress is not None:
            end = f"reaches the goal in {each.n_steps} steps" if each.is_reached else f"ends at a loss of {each.loss:.2g}"
            self.progress(f"training {next(self._done)}: network {index} of width {each.width} {end}")


def _checked_problem(
    X: Any, targets: Any, layers: Any, method: Any, loss_tol: Any, max_steps: Any, drawn: dict[str, Any]
) -> tuple[TrainableProblem, int]:
    """Validated problem, and the attainable rank of its rows."""
    if layers not in METHODS:
        raise ValueError(f"layers={layers!r} is unknown: pass one of {', '.join(map(repr, METHODS))}")
    if method not in METHODS[layers]:
        known = " or ".join(map(repr, METHODS[layers]))
        raise ValueError(f"method={method!r} does not fit layers={layers!r}: pass {known}")
    if max_steps is not None and method == "direct":
        raise ValueError(f"max_steps={max_steps!r} does not fit method='direct', which takes no steps: leave it out")
    inputs = np.array(check_matrix(X, "X"), dtype=np.float64)
    problem = TrainableProblem(
        inputs,
        check_targets(targets, len(inputs)),
        layers,
        method,
        check_number(loss_tol, "loss_tol", high=1.0, low_open=True),
        STEPS[method] if max_steps is None else check_count(max_steps, "max_steps"),
        drawn,
    )
    largest = float(np.abs(problem.targets).max())
    if largest == 0.0:
        raise ValueError("targets are all zero, so that no relative loss is defined: pass targets that are not")
    attainability = attainable_rank(inputs, activation=drawn["activation"], bias=problem.is_biased)
    values = problem.targets / largest
    share = float(np.sum(attainability.unattainable_part(values) ** 2) / np.sum(values**2))
    if share > problem.loss_tol:
        raise ValueError(
            f"a share of {share:.3g} of the squared targets is unattainable at any width, and loss_tol is "
            f"{problem.loss_tol:g}. {attainability.explanation}"
        )
    return problem, attainability.rank
