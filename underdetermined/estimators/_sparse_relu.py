"""What the sparse regressor and classifier share: parameters, training on merged rows, raw predictions."""

import warnings
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from underdetermined._compat import Interval, StrOptions
from underdetermined._validation import check_memory
from underdetermined.active_sets import SparseTrajectory, draw_network, train_active_sets
from underdetermined.estimators._base import FLOATS
from underdetermined.estimators._layer import draw_seed
from underdetermined.estimators._norms import root_mean_square_norm
from underdetermined.estimators._sparse_relu_bias import choose_bias
from underdetermined.estimators._sparse_relu_inputs import to_sphere
from underdetermined.estimators._steps import Steps
from underdetermined.estimators._targets import standardized_rows
from underdetermined.estimators._versioned import Versioned
from underdetermined.features import FeatureMap
from underdetermined.objectives import SparseReLU
from underdetermined.solution import Status
from underdetermined.sparsity import Certificate, certify

__all__ = ["SparseReLUModel"]

# Distinct rows times outputs up to which a certificate, a hundred eigenvalue problems of that size, is cheap.
CERTIFIED_SIZE = 128
# Entries of rows up to which squares of inner products are far from overflow.
LARGEST_ENTRY = 1e70
# A loss, in units of the variance of the targets, that is nothing but rounding: it need not fall any further.
ROUNDING = 1e-28


class SparseReLUModel(Versioned, CallbackSupportMixin, BaseEstimator):
    """A ReLU network with a threshold, its hidden layer trained; subclasses turn columns into answers."""

    feature_map_: FeatureMap
    coef_: np.ndarray
    intercept_: Any
    row_constant_: float | None
    certificate_: Certificate | None
    trajectory_: SparseTrajectory

    _parameter_constraints: dict[str, list[Any]] = {
        "width": [Interval(Integral, 1, None, closed="left")],
        "bias": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, 1, closed="left")],
        "train_biases": ["boolean"],
        "symmetric_init": ["boolean"],
        "normalize": ["boolean"],
        "strategy": [StrOptions({"auto", "dense", "masked", "lists", "kernel"})],
        "random_state": ["random_state"],
        "n_jobs": [None, Integral],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        width=4096,
        *,
        bias="auto",
        learning_rate="auto",
        max_iter=500,
        tol=0.1,
        train_biases=True,
        symmetric_init=True,
        normalize=True,
        strategy="auto",
        random_state=None,
        n_jobs=None,
        verbose=0,
    ):
        self.width = width
        self.bias = bias
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.tol = tol
        self.train_biases = train_biases
        self.symmetric_init = symmetric_init
        self.normalize = normalize
        self.strategy = strategy
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "feature_map_")

    def _train(
        self, X: np.ndarray, y: Any, columns: np.ndarray, weight: np.ndarray | None, *, shared_unit: bool, **learned: Any
    ) -> None:
        """Train on `columns` as targets; y is what callbacks are shown, and nothing is stored before all has succeeded."""
        progress = self._init_callback_context(max_subtasks=self.max_iter)
        data = {"estimator": self, "X": X, "y": y}
        progress.call_on_fit_task_begin(**data)
        rows, mean, unit = standardized_rows(X, columns.reshape(len(X), -1), weight, shared_unit=shared_unit)
        constant = (root_mean_square_norm(rows.inputs, rows.weight) or 1.0) if self.normalize else None
        inputs = _prepare(rows.inputs, constant)
        largest = float(np.abs(inputs).max())
        if largest > LARGEST_ENTRY:
            raise ValueError(
                f"X has entries up to {largest:.3g}, whose inner products overflow once squared: pass normalize=True, or "
                f"rows with entries below {LARGEST_ENTRY:g}."
            )
        bias = self._chosen_bias(inputs, rows.weight)
        layer, coef = self._draw(inputs.shape[1], len(unit), bias)
        self._check_active(X, rows.inputs, inputs, layer, bias)
        objective = SparseReLU(
            inputs, rows.targets, layer, coef, sample_weight=rows.weight, bias_scale=float(self.train_biases)
        )
        one_column = columns.ndim == 1
        learned |= {
            "bias_": bias,
            "row_constant_": constant,
            "coef_": coef[:, 0] * unit[0] if one_column else np.ascontiguousarray((coef * unit).T),
            "intercept_": mean[0] if one_column else mean,
        }
        steps = Steps(progress, data, learned, lambda state: {"feature_map_": state.feature_map})
        trajectory = train_active_sets(
            objective,
            learning_rate=self.learning_rate,
            max_iter=self.max_iter,
            tol=self.tol,
            strategy=self.strategy,
            callback=steps,
            n_jobs=self.n_jobs,
        )
        scatter = 0.5 * rows.scatter.sum()  # what merging equal rows with unequal targets took out of the loss
        learned |= {
            "feature_map_": trajectory.feature_map,
            "trajectory_": trajectory,
            "certificate_": self._certified(objective, trajectory) if rows.targets.size <= CERTIFIED_SIZE else None,
            "loss_curve_": (trajectory.value + scatter) / rows.weight.sum(),
            "learning_rate_": trajectory.learning_rate,
            "active_fraction_": float(trajectory.active_fraction[-1]),
            "n_live_": int(trajectory.n_live[-1]),
            "n_iter_": max(1, trajectory.n_iter),
        }
        for name, value in learned.items():
            setattr(self, name, value)
        if self.verbose:
            print(f"[{type(self).__name__}] bias={bias:.3g} loss={self.loss_curve_[-1]:.3g} {trajectory!r}")
        is_exact = trajectory.value[-1] < ROUNDING * rows.weight.sum()
        if not (trajectory.status.is_success or steps.is_stopped or is_exact):
            self._warn_unfinished(trajectory)
        progress.call_on_fit_task_end(**data, reconstruction_attributes=lambda: learned)

    def _chosen_bias(self, inputs: np.ndarray, weight: np.ndarray) -> float:
        if self.bias != "auto":
            return float(self.bias)
        n_independent = self.width // 2 if self.symmetric_init else self.width
        return choose_bias(np.linalg.norm(inputs, axis=1), weight, self.width, n_independent)

    def _draw(self, n_inputs: int, n_outputs: int, bias: float) -> tuple[FeatureMap, np.ndarray]:
        if self.symmetric_init and self.width % 2:
            raise ValueError(f"width={self.width} is odd: pass an even one, or symmetric_init=False")
        check_memory(16 * n_inputs * self.width, f"{self.width} hidden neurons with {n_inputs} inputs each")
        layer, coef = draw_network(
            n_inputs,
            self.width,
            n_outputs,
            bias=bias,
            symmetric=self.symmetric_init,
            seed=draw_seed(self.random_state),
        )
        return replace(layer, n_jobs=self.n_jobs), coef

    def _certified(self, objective: SparseReLU, trajectory: SparseTrajectory) -> Certificate:
        """What holds of the start, for steps as large as those that were taken."""
        largest = max(trajectory.learning_rate, default=None) if self.learning_rate == "auto" else self.learning_rate
        return certify(objective, learning_rate=largest)

    def _check_active(self, X: np.ndarray, rows: np.ndarray, inputs: np.ndarray, layer: FeatureMap, bias: float) -> None:
        """Refuse a network without an active neuron, and warn of rows without one: they have no gradient."""
        totals = layer.operator(inputs).matvec(np.ones(layer.width))
        idle = np.flatnonzero(~(totals > 0))
        if not len(idle):
            return
        norms = np.linalg.norm(inputs, axis=1)
        remedies = ["lower bias or pass bias='auto'"] * (bias > 0) + ["pass normalize=True"] * (not self.normalize)
        remedy = ", or ".join([*remedies, "widen the network"])
        if len(idle) == len(inputs):
            raise ValueError(
                f"bias={bias:.4g} leaves none of {layer.width} neurons active on any row (norms up to {norms.max():.3g}), "
                f"so that nothing would be learned; {remedy}."
            )
        first = np.flatnonzero((rows[idle[0]] == X).all(axis=1))[0]
        warnings.warn(
            f"bias={bias:.4g} leaves {len(idle)} of {len(inputs)} distinct rows without an active neuron, so that they pull "
            f"at nothing; the first is row {first}, of norm {norms[idle[0]]:.3g}; {remedy}.",
            UserWarning,
            stacklevel=5,
        )

    def _warn_unfinished(self, trajectory: SparseTrajectory) -> None:
        residual = np.sqrt(trajectory.value[-1] / trajectory.value[0])
        is_wild = trajectory.status is Status.DIVERGED or not self.n_live_
        remedy = "raise max_iter or tol"
        if is_wild:
            below = f" below {trajectory.learning_rate.min():.3g}" if trajectory.n_iter else ""
            remedy = f"pass a learning_rate{below}" if self.learning_rate == "auto" else "lower learning_rate"
        warnings.warn(
            f"training ended after {trajectory.n_iter} steps with a residual of {residual:.3g} times its norm at the start, "
            f"above tol={self.tol:g}, a loss of {self.loss_curve_[-1]:.3g} and {self.n_live_} live neurons; {remedy}.",
            ConvergenceWarning,
            stacklevel=5,
        )

    def _raw_predict(self, X: Any) -> np.ndarray:
        """Return the network's columns, shape (n_samples, k), in the dtype of X."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=FLOATS, reset=False)
        coef = self.coef_.reshape(-1, self.feature_map_.width).T
        values = self.feature_map_.operator(_prepare(X, self.row_constant_)).matmat(coef) + self.intercept_
        return values.astype(X.dtype, copy=False)


def _prepare(rows: np.ndarray, constant: float | None) -> np.ndarray:
    return np.ascontiguousarray(rows, dtype=np.float64) if constant is None else to_sphere(rows, constant)
