"""The smallest width at which an event holds often enough, by bisection over widths and seeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from underdetermined._validation import check_count, check_memory, check_number
from underdetermined.activations import Activation
from underdetermined.blocks import run_tiles, single_threaded_blas, thread_count
from underdetermined.bounds import WidthProblem
from underdetermined.empirical_width._events import Event, Network, attainable_part
from underdetermined.empirical_width._measure import MATRICES
from underdetermined.empirical_width._neurons import network_seed
from underdetermined.empirical_width._result import EmpiricalWidth

# What the sums over neurons of all networks may take together; beyond it, they are summed anew at each width.
KEPT_BYTES = 2**29
# Networks run between two looks at the number of failures, so that it does not depend on the number of threads.
_BATCH = 8
_LEAST_LIMIT, _LIMIT_FACTOR = 4096, 128
_SAME = ("fingerprint", "event", "threshold", "weight_scale", "bias_scale", "seed")


def empirical_minimum_width(
    X: ArrayLike,
    *,
    activation: str | Activation | Callable[[np.ndarray], np.ndarray] = "relu",
    event: str = "rank",
    epsilon: float = 0.5,
    condition: float | None = None,
    targets: ArrayLike | None = None,
    rtol: float = 1e-8,
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
    previous: EmpiricalWidth | None = None,
) -> EmpiricalWidth:
    r"""Find by experiment the smallest width at which an event holds with probability 1 - failure_probability.

    Networks of `n_seeds` seeds are drawn, :math:`G = \frac1m \sum_{j \le m} a_j a_j^T` is the Gram matrix of the first m
    neurons of one, K = E G its limit, r the attainable rank. The events are

    - "rank": the features have numerical rank r;
    - "spectrum": :math:`\lambda_r(G) \ge (1 - \epsilon)\, \lambda_r(K)`;
    - "condition": :math:`\lambda_1(G) / \lambda_r(G)` is at most `condition`;
    - "residual": :math:`\min_\alpha |A \alpha - Y_a| \le rtol\, |Y|`, Y_a the attainable part of the targets Y.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Rows.
    activation : str, callable or Activation, default="relu"
        As `get_activation` takes it.
    event : {"rank", "spectrum", "condition", "residual"}, default="rank"
        What a network should do.
    epsilon : float, default=0.5
        For "spectrum", in [0, 1).
    condition : float or None, default=None
        For "condition", and needed there: a condition number of the Gram matrix, above 1.
    targets : array_like of shape (n,) or (n, k) or None, default=None
        For "residual", and needed there: targets Y, not all zero.
    rtol : float, default=1e-8
        For "residual", in (0, 1).
    failure_probability : float, default=0.1
        delta, in (0, 1).
    n_seeds : int, default=40
        Networks at each width. At width ``result.width`` at most a fraction delta of them fail; with 40 and delta = 0.1,
        that is four.
    confidence : float, default=0.95
        Level of the Clopper-Pearson intervals, in (0, 1).
    resolution : float, default=0.02
        Relative distance of neighbouring widths at which the search ends, positive.
    max_width : int or None, default=None
        Largest width tried; None means max(4096, 128 n).
    weight_scale : float or "auto", default="auto"
        Standard deviation of the hidden weights; "auto" is 1 / sqrt(d).
    bias_scale : float, default=1.0
        Standard deviation of the biases; 0 means no biases.
    seed : int, default=0
        Seed of the experiment. Network j is drawn with ``sample_gaussian(seed=(seed + 1) * 2**32 + j)``, so that no two
        experiments, and no estimator, share a network.
    n_jobs : int or None, default=None
        Threads, each with networks of its own; see `underdetermined.blocks.thread_count`. Results do not depend on it.
    progress : callable or None, default=None
        Called with a line of text after each width. It may raise KeyboardInterrupt to end the search.
    previous : EmpiricalWidth or None, default=None
        Result of an earlier search on the same data for the same event and seed, interrupted or not. What it has tested is
        not run again; the result is the one of a single run with the arguments of this call.

    Returns
    -------
    EmpiricalWidth
        On KeyboardInterrupt too, with ``is_complete`` False and the widths tested so far.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range or does not fit, or `previous` belongs to another experiment.
    OverflowError
        If features or kernel overflow.
    MemoryError
        If the matrices do not fit; the message has the number of bytes.

    Notes
    -----
    Three crossings are bracketed, by doubling from r and then by bisection: the largest width shown insufficient by the
    interval of its success probability, the smallest one where the fraction of failures is at most delta, and the smallest
    one shown sufficient. At a width that is far too small only as many networks are run as show it.

    Networks of one seed are nested. The sum over the neurons of the largest width known to be too small is kept for each
    seed, 8 n^2 bytes, if all sums together take at most 512 MiB; only later neurons are added to it. Each test costs n^2
    flops for each neuron added and a Cholesky factor, n^3 / 3; "condition", and r < n, need eigenvalues instead, 4/3 n^3,
    and where the Gram matrix does not resolve lambda_r, singular values. Memory of 16 n x n matrices for each thread
    besides.

    An event that compares with K is decided up to rounding errors of n eps lambda_1 in eigenvalues.

    References
    ----------
    :ref:`How wide is wide enough <theory-minimum-width>`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.empirical_width import empirical_minimum_width
    >>> X = np.random.default_rng(0).standard_normal((10, 3))
    >>> empirical_minimum_width(X, activation="sin_cos").width
    10
    """
    threshold = _check_event(event, epsilon, condition, targets, rtol)
    problem = WidthProblem.from_data(X, activation=activation, weight_scale=weight_scale, bias_scale=bias_scale)
    wanted = None if targets is None else attainable_part(problem, targets)
    n = problem.n_rows
    result = EmpiricalWidth(
        activation=str(problem.activation),
        event=event,
        threshold=threshold,
        n_rows=n,
        attainable_rank=problem.rank,
        is_resolved=event != "spectrum" or problem.is_resolved,
        failure_probability=check_number(failure_probability, "failure_probability", high=1.0, low_open=True),
        n_seeds=check_count(n_seeds, "n_seeds"),
        confidence=check_number(confidence, "confidence", high=1.0, low_open=True),
        resolution=check_number(resolution, "resolution", low_open=True),
        max_width=max(_LEAST_LIMIT, _LIMIT_FACTOR * n) if max_width is None else check_count(max_width, "max_width"),
        weight_scale=problem.weight_scale,
        bias_scale=problem.bias_scale,
        seed=check_count(seed, "seed", low=0),
        fingerprint=_fingerprint(problem, wanted),
        is_complete=False,
        evaluations=(),
    )
    _check_previous(previous, result)
    known = {} if previous is None else {each.width: each.outcomes for each in previous.evaluations}
    threads = min(result.n_seeds, thread_count(n_jobs))
    is_kept = 8 * n * n * result.n_seeds <= KEPT_BYTES
    n_matrices = MATRICES * threads + result.n_seeds * is_kept
    check_memory(8 * n * n * n_matrices, f"the search with {threads} networks at once on {n} rows")
    laboratory = _Laboratory(problem, Event(event, threshold, wanted), result, is_kept, n_jobs)
    try:
        while (step := _next_width(result)) is not None:
            width, low = step
            result = result.with_outcomes(width, laboratory.test(width, low, known.get(width, ())))
            if progress is not None:
                each = next(each for each in result.evaluations if each.width == width)
                progress(f"width {width}: {each.successes} of {len(each.outcomes)} networks succeed")
    except KeyboardInterrupt:
        return result
    return replace(result, is_complete=True)


def _next_width(result: EmpiricalWidth) -> tuple[int, int] | None:
    """Width to be tested next and the one below it known to be too small; None at the end of the search.

    The crossings are searched from the lowest to the highest, so that sums over neurons are extended and seldom begun anew.
    """
    if not result.is_resolved:
        return None
    criterion = result.criterion
    for failures in (criterion.decisive, criterion.allowed + 1, criterion.spare + 1):
        # Nothing shows a width insufficient if all seeds failing does not, nor sufficient if all succeeding does not.
        if failures > result.n_seeds or failures == 0:
            continue
        low, high = result.bracket(failures)
        if high is None and low < result.max_width:
            doubled = low + 1 if low == result.floor else 2 * low
            return min(doubled, result.max_width), low
        if high is not None and high - low > max(1.0, result.resolution * low):
            return min(max(isqrt(low * high), low + 1), high - 1), low
    return None


class _Laboratory:
    """Networks of all seeds, on which a width is tested."""

    def __init__(self, problem: WidthProblem, event: Event, plan: EmpiricalWidth, is_kept: bool, n_jobs: int | None) -> None:
        seeds = [network_seed(plan.seed, index) for index in range(plan.n_seeds)]
        self._networks = [Network.build(problem, seed, is_kept=is_kept) for seed in seeds]
        self._event, self._decisive, self._n_jobs = event, plan.criterion.decisive, n_jobs

    def test(self, width: int, low: int, known: tuple[bool, ...]) -> tuple[bool, ...]:
        """Outcomes by seed, until failures decide; those that are known are not computed again."""
        outcomes: list[bool] = []
        total = len(self._networks)
        while len(outcomes) < total and (missing := self._decisive - outcomes.count(False)) > 0:
            stop = min(total, len(outcomes) + max(missing, _BATCH))
            outcomes += known[len(outcomes) : stop]
            outcomes += self._run(width, low, range(len(outcomes), stop))
        return tuple(outcomes)

    def _run(self, width: int, low: int, indices: range) -> list[bool]:
        found: dict[int, bool] = {}
        is_stopped = False

        def task(index: int) -> None:
            nonlocal is_stopped
            if is_stopped:
                return
            try:
                network = self._networks[index]
                network.nested.keep(low)
                found[index] = self._event.holds(network, width)
            except BaseException:
                # The other threads end with the network that they are at.
                is_stopped = True
                raise

        with single_threaded_blas():
            run_tiles(task, indices, n_jobs=self._n_jobs)
        return [found[index] for index in indices]


def _check_event(event: str, epsilon: float, condition: float | None, targets: Any, rtol: float) -> float:
    """Threshold of the event; options of other events are refused where they were given."""
    known = ("rank", "spectrum", "condition", "residual")
    if event not in known:
        raise ValueError(f"event={event!r} is unknown: pass one of {', '.join(map(repr, known))}")
    if (event == "condition") != (condition is not None):
        remedy = "pass the largest condition number" if event == "condition" else "leave it out, or pass event='condition'"
        raise ValueError(f"condition={condition!r} does not fit event={event!r}: {remedy}")
    if (event == "residual") != (targets is not None):
        remedy = "pass targets" if event == "residual" else "leave targets out, or pass event='residual'"
        raise ValueError(f"targets do not fit event={event!r}: {remedy}")
    thresholds = {
        "rank": 0.0,
        "spectrum": check_number(epsilon, "epsilon", high=1.0),
        "condition": 0.0 if condition is None else check_number(condition, "condition", low=1.0, low_open=True),
        "residual": check_number(rtol, "rtol", high=1.0, low_open=True),
    }
    return thresholds[event]


def _fingerprint(problem: WidthProblem, targets: Any) -> str:
    """Digest of what the outcomes depend on besides scales, event and seed."""
    digest = sha256(repr((problem.inputs.shape, str(problem.activation))).encode())
    digest.update(np.ascontiguousarray(problem.inputs).tobytes())
    # A user's function has no name to trust, but values.
    digest.update(problem.activation.value(np.linspace(-4.0, 4.0, 33)).tobytes())
    digest.update(b"" if targets is None else np.ascontiguousarray(targets).tobytes())
    return digest.hexdigest()


def _check_previous(previous: EmpiricalWidth | None, result: EmpiricalWidth) -> None:
    if previous is None:
        return
    if not isinstance(previous, EmpiricalWidth):
        raise TypeError(f"previous is a {type(previous).__name__}: pass an EmpiricalWidth, see EmpiricalWidth.from_dict")
    for name in _SAME:
        old, new = getattr(previous, name), getattr(result, name)
        if old != new:
            raise ValueError(
                f"previous has {name}={old!r} and this search {new!r}: pass the result of the same experiment, or none"
            )
