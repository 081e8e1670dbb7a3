"""Full-batch gradient descent whose cost follows the active pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined._validation import check_count, check_number
from underdetermined.active_sets._blocks import Run, workers
from underdetermined.active_sets._dense import Dense
from underdetermined.active_sets._lists import Lists
from underdetermined.active_sets._network import Network
from underdetermined.active_sets._result import SparseTrajectory
from underdetermined.active_sets._tangent import largest_tangent_eigenvalue
from underdetermined.features import FeatureMap
from underdetermined.objectives.sparse_relu import SparseReLU
from underdetermined.solution import Status

FloatArray = NDArray[np.float64]

STRATEGIES = ("auto", "dense", "masked", "lists", "kernel")


class TrainingState:
    """What a callback sees of a run; valid during the call.

    Parameters
    ----------
    run : object
        The run.
    """

    def __init__(self, run: _Run) -> None:
        self._run = run

    @property
    def feature_map(self) -> FeatureMap:
        """Hidden layer at this step, a copy."""
        return self._run.feature_map()

    @property
    def residual(self) -> FloatArray:
        """Residual f(X) - Y at this step, shape (n, k), a copy."""
        return self._run.full_residual()

    @property
    def value(self) -> float:
        """Loss at this step."""
        return self._run.values[-1]

    @property
    def active_fraction(self) -> float:
        """Active pairs over pairs, of the rows with positive weight."""
        return self._run.fractions[-1]

    @property
    def n_live(self) -> int:
        """Neurons that are active on such a row."""
        return self._run.live[-1]


class _Run:
    """A training run: the network, the engine that moves it, and the record of its steps."""

    def __init__(self, objective: SparseReLU, strategy: str, run: Run) -> None:
        self.objective, self.network = objective, Network.of(objective)
        self.strategy = "lists" if strategy in ("auto", "kernel") else strategy
        self.reason = "It was asked for."
        self.engine = Dense(self.network, run) if strategy == "dense" else Lists(self.network, run, strategy != "masked")
        self.values: list[float] = []
        self.fractions: list[float] = []
        self.live: list[int] = []
        self.visited: list[int] = []
        self.rates: list[float] = []
        self._record(self.engine.begin())

    def step(self, rate: float) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            weighted = self.network.sample_weight * self.residual
        self.rates.append(rate)
        self._record(self.engine.step(rate, weighted))

    def _record(self, outputs: FloatArray) -> None:
        network = self.network
        with np.errstate(over="ignore", invalid="ignore"):
            self.residual = outputs - network.targets
            self.values.append(0.5 * float(np.sum(network.sample_weight * self.residual**2)))
        self.fractions.append(self.engine.n_active / (len(network.rows) * len(network.weights)))
        self.live.append(self.engine.n_live)
        self.visited.append(self.engine.n_visited)

    def feature_map(self) -> FeatureMap:
        self.engine.finish()
        return self.network.feature_map(self.objective.feature_map)

    def full_residual(self) -> FloatArray:
        """Residual of all rows; those of weight zero take no part in training."""
        kept = self.objective.sample_weight > 0.0
        if kept.all():
            return self.residual.copy()
        objective = replace(self.objective, feature_map=self.feature_map())
        result = objective.residual(objective.initial())
        result[kept] = self.residual
        return result

    def largest_eigenvalue(self, n_jobs: int | None) -> float:
        return largest_tangent_eigenvalue(replace(self.objective, feature_map=self.feature_map()), n_jobs=n_jobs)


def train_active_sets(
    objective: SparseReLU,
    *,
    learning_rate: float | str = "auto",
    max_iter: int = 1000,
    tol: float = 0.0,
    strategy: str = "auto",
    callback: Callable[[int, TrainingState], Any] | None = None,
    n_jobs: int | None = None,
) -> SparseTrajectory:
    """Train the hidden layer by full-batch gradient descent, visiting few pairs that are not active.

    Parameters
    ----------
    objective : SparseReLU
        Loss and start.
    learning_rate : float or "auto", default="auto"
        eta > 0. "auto" is 1 / lambda_max of the tangent matrix at the start; where the loss rises, lambda_max is computed
        again and the rate lowered.
    max_iter : int, default=1000
        Largest number of steps, at least 0.
    tol : float, default=0.0
        Training stops where the norm of the weighted residual is at most tol times that at the start.
    strategy : {"auto", "dense", "masked", "lists", "kernel"}, default="auto"
        How steps are taken; all give the same trajectory up to rounding.
    callback : callable or None, default=None
        Called as ``callback(t, state)`` at every step, the start included; training stops where it returns True.
    n_jobs : int or None, default=None
        Threads, as in `underdetermined.blocks.thread_count`. The result is the same, bit by bit, for any number.

    Returns
    -------
    SparseTrajectory
        Network at the end, and the record of every step.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.

    References
    ----------
    :ref:`theory-sparse-relu`.

    Examples
    --------
    >>> from underdetermined.active_sets import draw_network, train_active_sets
    >>> from underdetermined.objectives import SparseReLU
    >>> hidden, coef = draw_network(2, 2000, bias=1.0)
    >>> objective = SparseReLU([[1.0, 0.0], [0.0, 1.0], [-0.6, 0.8]], [0.1, -0.1, 0.2], hidden, coef)
    >>> trajectory = train_active_sets(objective, tol=1e-3)
    >>> trajectory.status.name, trajectory.n_live[0]
    ('CONVERGED', np.int64(829))
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy={strategy!r} is unknown: choose one of {', '.join(map(repr, STRATEGIES))}")
    max_iter, tol = check_count(max_iter, "max_iter", low=0), check_number(tol, "tol")
    is_auto = isinstance(learning_rate, str)
    if is_auto and learning_rate != "auto":
        raise ValueError(f"learning_rate={learning_rate!r}: pass a number greater than 0, or 'auto'")
    rate = 0.0 if is_auto else check_number(learning_rate, "learning_rate", low_open=True)
    with workers(n_jobs) as run:
        training = _Run(objective, strategy, run)
        state, status = TrainingState(training), Status.MAX_ITER
        while True:
            value = training.values[-1]
            if callback is not None and callback(len(training.rates), state) is True:
                break
            if not np.isfinite(value):
                status = Status.DIVERGED
                break
            if value <= tol**2 * training.values[0]:
                status = Status.CONVERGED
                break
            if len(training.rates) == max_iter:
                break
            if is_auto and (rate == 0.0 or value > training.values[-2]):
                rate = _lowered(rate, training.largest_eigenvalue(n_jobs))
            training.step(rate)
        return SparseTrajectory(
            feature_map=training.feature_map(),
            coef=objective.coef,
            residual=training.full_residual(),
            value=np.array(training.values),
            active_fraction=np.array(training.fractions),
            n_live=np.array(training.live),
            n_visited=np.array(training.visited),
            learning_rate=np.array(training.rates),
            drift=training.engine.path,
            strategy=training.strategy,
            reason=training.reason,
            status=status,
            n_iter=len(training.rates),
        )


def _lowered(rate: float, largest: float) -> float:
    """Rate from the largest eigenvalue, at most half of the last one; any will do where nothing can move."""
    admissible = 1.0 / largest if largest > 0.0 else 1.0
    return admissible if rate == 0.0 else min(0.5 * rate, admissible)
