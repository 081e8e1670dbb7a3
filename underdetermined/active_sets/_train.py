"""Full-batch gradient descent whose cost follows the active pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined._validation import check_count, check_number
from underdetermined.active_sets._blocks import Run, workers
from underdetermined.active_sets._cost import Activity, measure, step_costs
from underdetermined.active_sets._dense import DenseBlock
from underdetermined.active_sets._engine import Block, Engine
from underdetermined.active_sets._gram_lists import GramBlock
from underdetermined.active_sets._lists import ListBlock
from underdetermined.active_sets._network import Network
from underdetermined.active_sets._result import SparseTrajectory
from underdetermined.active_sets._tangent import largest_tangent_eigenvalue
from underdetermined.features import FeatureMap
from underdetermined.objectives.sparse_relu import SparseReLU
from underdetermined.solution import Status

FloatArray = NDArray[np.float64]

BLOCKS: dict[str, Callable[[Network, slice], Block]] = {
    "dense": DenseBlock,
    "masked": partial(ListBlock, has_skin=False),
    "lists": ListBlock,
    "kernel": GramBlock,
}
STRATEGIES = ("auto", *BLOCKS)

# Steps before the choice of a strategy is looked at for the first time.
_FIRST_LOOK = 8
# Another strategy must cost at most this share of the one in use.
_WORTH_A_CHANGE = 0.7


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
        self.objective, self.network, self.run = objective, Network.of(objective), run
        self.is_auto = strategy == "auto"
        self.strategy, self.reason = strategy, f"The strategy {strategy!r} was asked for."
        self.path = np.zeros(len(self.network.weights))
        self.values: list[float] = []
        self.fractions: list[float] = []
        self.live: list[int] = []
        self.visited: list[int] = []
        self.rates: list[float] = []
        if self.is_auto:
            self._choose(measure(self.network, 0.0))
        self.engine = self._engine()
        self.visits, self.looked_at, self.length, self.next_look = 0, 0, 0.0, _FIRST_LOOK
        self.residual: FloatArray
        self._record(self._loss(self.engine.begin()))

    def _engine(self) -> Engine:
        return Engine(self.network, self.run, BLOCKS[self.strategy])

    def _choose(self, activity: Activity) -> bool:
        """Take the cheapest strategy, unless the one in use is nearly as cheap."""
        costs = step_costs(self.network, activity)
        best = min(costs, key=lambda name: costs[name])
        dense = costs["dense"] / costs[best]
        if self.strategy in costs and costs[best] > _WORTH_A_CHANGE * costs[self.strategy]:
            return False
        self.strategy = best
        when = f"After {len(self.rates)} steps" if self.rates else "At the start"
        self.reason = f"{when} about {activity.active / len(self.network.rows):.2g} of the pairs are active, and " + (
            "no strategy was estimated to be faster than 'dense'."
            if best == "dense"
            else f"a step by {best!r} was estimated to be {dense:.2g} times as fast as a dense one."
        )
        return True

    def step(self, rate: float, *, is_descent: bool) -> bool:
        """Take a step and record it; one that leads to infinity, or if `is_descent` a larger one, is taken back."""
        if self.is_auto and len(self.rates) == self.next_look:
            self._reconsider()
        with np.errstate(over="ignore", invalid="ignore"):
            weighted = self.network.sample_weight * self.residual
        residual = self.residual
        value = self._loss(self.engine.step(rate, weighted))
        # Where all that overflowed became inactive, the loss is finite.
        is_finite = np.isfinite(value) and np.isfinite(self.engine.path).all()
        if not is_finite or (is_descent and value > self.values[-1] + self._rounding()):
            self.visits += self.engine.total("n_visited")
            self.engine.undo()
            self.engine.begin()
            self.visits += self.engine.total("n_visited")
            self.residual = residual
            return False
        self.rates.append(rate)
        self._record(value)
        return True

    def _loss(self, outputs: FloatArray) -> float:
        """Loss of these outputs; their residual is kept."""
        with np.errstate(over="ignore", invalid="ignore"):
            self.residual = outputs - self.network.targets
            return 0.5 * float(np.sum(self.network.sample_weight * self.residual**2))

    def _rounding(self) -> float:
        """How much a loss may rise by rounding."""
        eps = float(np.finfo(float).eps)
        with np.errstate(over="ignore"):
            scale = float(np.sum(self.network.sample_weight * self.network.targets**2)) + self.values[0]
        return 64.0 * eps * self.values[-1] + (1024.0 * eps) ** 2 * scale

    def _reconsider(self) -> None:
        """Look at the network again after 8, 16, 32, ... steps."""
        steps = len(self.rates) - self.looked_at
        self.looked_at, self.next_look = len(self.rates), 2 * len(self.rates)
        self.engine.finish()
        length = float(np.sum(self.path + self.engine.path))
        speed = (length - self.length) / (steps * max(self.live[-1], 1))
        self.length = length
        if self._choose(measure(self.network, speed)):
            self.path = self.path + self.engine.path
            self.engine = self._engine()
            self.engine.begin()
            self.visits += self.engine.total("n_visited")

    def _record(self, value: float) -> None:
        network = self.network
        self.values.append(value)
        self.fractions.append(self.engine.total("n_active") / (len(network.rows) * len(network.weights)))
        self.live.append(self.engine.total("n_live"))
        self.visited.append(self.engine.total("n_visited") + self.visits)
        self.visits = 0

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

    A pair of a row and a neuron is active if the neuron's pre-activation on that row is positive; no other pair adds to
    outputs or gradients.

    Parameters
    ----------
    objective : SparseReLU
        Loss and start.
    learning_rate : float or "auto", default="auto"
        eta > 0. "auto" is 1 / lambda_max of the tangent matrix (see `tangent_operator`) at the start. A step that raises
        the loss is taken back, lambda_max is computed again there, and the rate becomes 1 / lambda_max or a half, whichever
        is less.
    max_iter : int, default=1000
        Largest number of steps, at least 0.
    tol : float, default=0.0
        Training stops where the norm of sqrt(s_i) (f(x_i) - y_i), over all rows, is at most tol times that at the start.
    strategy : {"auto", "dense", "masked", "lists", "kernel"}, default="auto"
        How steps are taken; all give the same trajectory up to rounding.
    callback : callable or None, default=None
        Called as ``callback(t, state)`` at every step, the start included; training stops where it
        returns something true.
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
    MemoryError
        If the lists, or with "kernel" their Gram matrices, cannot fit.

    Notes
    -----
    All strategies are exact. With a active pairs and c >= a listed ones, a step takes about

    - "dense": 4 n m d flops in matrix products;
    - "masked": 2 n m d of them, and 2 a d on gathered rows;
    - "lists": 2 (a + c) d on gathered rows. A list holds what can become active before its neuron has moved by a length
      of its own, the skin, which balances the length of the list against refreshes, 2 n d flops for each neuron that has
      moved that far;
    - "kernel": for each neuron the product of its active and listed pairs. Weights wait for the next refresh.

    "auto" compares estimates from the activity of 256 neurons and, later, from the observed speed, at the start and after
    8, 16, 32, ... steps. A neuron without active rows has no gradient and is dropped for good: that holds for full-batch
    gradient descent without momentum or weight decay.

    Memory: five arrays of the size of the weights, 12 bytes (28 with "kernel", and 8 c_r^2 for a list of c_r) for each
    listed pair with room to grow, and n k numbers for each of at most 64 blocks.

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
    ('CONVERGED', np.int64(666))
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
            if callback is not None and callback(len(training.rates), state):
                break
            if not np.isfinite(training.values[-1]):
                status = Status.DIVERGED
                break
            if training.values[-1] <= tol**2 * training.values[0]:
                status = Status.CONVERGED
                break
            if len(training.rates) == max_iter:
                break
            if is_auto and rate == 0.0:
                rate = _lowered(rate, training.largest_eigenvalue(n_jobs))
            while rate > 0.0 and not training.step(rate, is_descent=is_auto):
                rate = _lowered(rate, training.largest_eigenvalue(n_jobs)) if is_auto else 0.0
            if rate == 0.0:
                status = Status.DIVERGED
                break
        return SparseTrajectory(
            feature_map=training.feature_map(),
            coef=objective.coef,
            residual=training.full_residual(),
            value=np.array(training.values),
            active_fraction=np.array(training.fractions),
            n_live=np.array(training.live),
            n_visited=np.array(training.visited),
            learning_rate=np.array(training.rates),
            drift=training.network.restored(training.path + training.engine.path),
            strategy=training.strategy,
            reason=training.reason,
            status=status,
            n_iter=len(training.rates),
        )


def _lowered(rate: float, largest: float) -> float:
    """Rate from the largest eigenvalue, at most half of the last one; any will do where nothing can move."""
    admissible = 1.0 / largest if largest > 0.0 else 1.0
    return admissible if rate == 0.0 else min(0.5 * rate, admissible)
