"""What the two-layer regressor and classifier share: parameters, training on merged rows, raw predictions."""

import warnings
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from underdetermined._compat import Interval, StrOptions
from underdetermined._validation import check_memory
from underdetermined.activations import Activation
from underdetermined.estimators._base import FLOATS
from underdetermined.estimators._layer import draw_seed
from underdetermined.estimators._steps import Steps
from underdetermined.estimators._trained import ROUNDING, certificates, check_weights, remedy_for_rows
from underdetermined.estimators._two_layer_penalty import choose_alpha, tangent_size
from underdetermined.estimators._two_layer_problem import Network, Run, fingerprint, prepare
from underdetermined.estimators._two_layer_rows import prepared_rows
from underdetermined.estimators._two_layer_training import most_steps, train
from underdetermined.estimators._two_layer_validation import Validation, held_out_rows
from underdetermined.estimators._versioned import Versioned
from underdetermined.features import FeatureMap
from underdetermined.joint import JointCertificate, LazinessReport, certify, draw_network, laziness_report
from underdetermined.objectives import TwoLayer
from underdetermined.solution import Status, Trajectory
from underdetermined.weights import SAMPLERS

__all__ = ["TwoLayerModel"]

# Order n k of the tangent kernels that are compared, those of a subset of the rows where there are more.
LAZINESS_ORDER = 512


# Parameters that a run cannot change without becoming another one.
LOSS = (
    "width", "activation", "init", "output", "weight_scale", "bias_scale", "row_scale", "sampler", "solver",
    "learning_rate", "alpha", "early_stopping", "validation_fraction",
)  # fmt: skip


class TwoLayerModel(Versioned, CallbackSupportMixin, BaseEstimator):
    """A two-layer network, both layers trained; subclasses turn columns into answers."""

    feature_map_: FeatureMap
    coef_: np.ndarray
    intercept_: Any
    row_center_: np.ndarray
    row_scale_: float
    alpha_: float
    tangent_size_: float
    certificate_: JointCertificate | None
    certified_step_: int | None
    laziness_: LazinessReport
    trajectory_: Trajectory

    # Smallest penalty that leave-one-out errors may choose.
    _least_alpha: float

    _parameter_constraints: dict[str, list[Any]] = {
        "width": [Interval(Integral, 1, None, closed="left")],
        "activation": [str, callable, Activation],
        "init": [StrOptions({"lecun", "he", "xavier", "kernel"})],
        "output": [StrOptions({"random", "zero", "paired"})],
        "weight_scale": [Interval(Real, 0, None, closed="neither")],
        "bias_scale": [Interval(Real, 0, None, closed="left"), None],
        "row_scale": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "sampler": [StrOptions(set(SAMPLERS))],
        "solver": [StrOptions({"gauss-newton", "gd", "heavy-ball"})],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto", "cauchy", "certified"})],
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"loo"})],
        "max_iter": [None, Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, 1, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "n_jobs": [None, Integral],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        width=512,
        *,
        activation="tanh",
        init="lecun",
        output="paired",
        weight_scale=1.0,
        bias_scale=1.0,
        row_scale="auto",
        sampler="gaussian",
        solver="gauss-newton",
        learning_rate="auto",
        alpha="loo",
        max_iter=None,
        tol=1e-3,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        warm_start=False,
        random_state=None,
        n_jobs=None,
        verbose=0,
    ):
        self.width = width
        self.activation = activation
        self.init = init
        self.output = output
        self.weight_scale = weight_scale
        self.bias_scale = bias_scale
        self.row_scale = row_scale
        self.sampler = sampler
        self.solver = solver
        self.learning_rate = learning_rate
        self.alpha = alpha
        self.max_iter = max_iter
        self.tol = tol
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "feature_map_")

    def _train(
        self,
        X: np.ndarray,
        y: Any,
        columns: np.ndarray,
        weight: np.ndarray | None,
        *,
        shared_unit: bool,
        labels: Any = None,
        **learned: Any,
    ) -> None:
        """Train on `columns` as targets; y is what callbacks are shown, and nothing is stored before all has succeeded."""
        self._check_options()
        progress = self._init_callback_context(max_subtasks=most_steps(self))
        data = {"estimator": self, "X": X, "y": y}
        progress.call_on_fit_task_begin(**data)
        check_weights(weight)
        table = columns.reshape(len(X), -1)
        last = getattr(self, "_run", None) if self.warm_start else None
        key = fingerprint((X, table, weight), [getattr(self, name) for name in LOSS]) if self.warm_start else ""
        resumed = last if last is not None and last.key == key else None
        random = check_random_state(self.random_state)
        seeds = (draw_seed(random), draw_seed(random)) if last is None else last.seeds
        is_held = None
        if self.early_stopping:
            is_held = held_out_rows(X, weight, labels, self.validation_fraction, seeds[1])
        start = self._start(last, resumed, X.shape[1], table.shape[1], seeds[0])
        layer, coef, bias = start
        problem = prepare(
            X,
            table,
            weight,
            is_held,
            shared_unit=shared_unit,
            row_scale=None if self.row_scale == "auto" else float(self.row_scale),
            units=None if last is None else last.units,
        )
        rows, units, one_column = problem.rows, problem.units, columns.ndim == 1
        objective = TwoLayer(rows.inputs, rows.targets, layer, coef, intercept=bias, sample_weight=rows.weight)
        size = tangent_size(rows.inputs, rows.weight, layer, coef)
        if resumed is not None:
            alpha = resumed.alpha
        else:
            is_chosen = self.alpha == "loo"
            alpha = choose_alpha(rows, layer, coef, bias, size, self._least_alpha) if is_chosen else float(self.alpha)
        learned |= {"row_center_": units.centre, "row_scale_": units.scale, "alpha_": alpha, "tangent_size_": size}

        def network(theta: np.ndarray) -> dict[str, Any]:
            hidden, last_layer, bias = objective.network(theta)
            values = units.mean + units.unit * bias
            scaled = last_layer[:, 0] * units.unit[0] if one_column else np.ascontiguousarray((last_layer * units.unit).T)
            return {"feature_map_": hidden, "coef_": scaled, "intercept_": values[0] if one_column else values}

        steps = Steps(progress, data, learned, network)
        validation = None
        if problem.held_out is not None:
            validation = self._validation(objective, problem.held_out)
            if resumed is not None:
                validation.scores, validation.best = list(resumed.scores), resumed.best

        def callback(step: int, theta: np.ndarray) -> bool:
            is_stopped = steps(step, theta)
            return (validation is not None and validation(step, theta)) or is_stopped

        trajectory = train(self, objective, alpha * size, size, callback, None if resumed is None else self.trajectory_)
        best = trajectory.theta if validation is None else validation.best
        certificate, step = certificates(certify, objective, trajectory)
        scatter = 0.5 * rows.scatter.sum()  # what merging equal rows with unequal targets took out of the loss
        learned |= network(best)
        learned |= {
            "trajectory_": trajectory,
            "certificate_": certificate,
            "certified_step_": step,
            "laziness_": laziness_report(
                objective, best, certificate=None if step else certificate, max_order=LAZINESS_ORDER
            ),
            "loss_curve_": (trajectory.value + scatter) / rows.weight.sum(),
            "learning_rate_": trajectory.learning_rate,
            "validation_scores_": None if validation is None else np.array(validation.scores),
            "best_iter_": trajectory.n_iter if validation is None else validation.best_step,
            "n_iter_": max(1, trajectory.n_iter),
        }
        for name, value in learned.items():
            setattr(self, name, value)
        if self.warm_start:
            scores = [] if validation is None else validation.scores
            self._run = Run(key, seeds, units, start, objective.network(best), alpha, best, scores)
        if self.verbose:
            print(f"[{type(self).__name__}] alpha={alpha:.3g} loss={self.loss_curve_[-1]:.3g} {trajectory!r}")
        is_ended = steps.is_stopped or (validation is not None and validation.is_over)
        if not (is_ended or self._is_finished(trajectory, alpha, ROUNDING * rows.weight.sum())):
            self._warn_unfinished(trajectory, alpha, rows.inputs)
        progress.call_on_fit_task_end(**data, reconstruction_attributes=lambda: learned)

    def _check_options(self) -> None:
        if self.output == "paired" and self.width % 2:
            raise ValueError(f"width={self.width} is odd: pass an even one, or output='zero' or 'random'")
        rate, solver = self.learning_rate, self.solver
        if solver == "gauss-newton" and rate != "auto":
            raise ValueError(
                f"learning_rate={rate!r} has no effect on solver='gauss-newton': leave it at 'auto', or pass solver='gd'"
            )
        if solver == "heavy-ball" and rate in ("cauchy", "certified"):
            raise ValueError(f"learning_rate={rate!r} is for solver='gd': pass 'auto' or a number")
        if rate == "certified" and self.alpha != 0.0:
            raise ValueError(
                f"learning_rate='certified' is proved without a penalty: pass alpha=0 instead of {self.alpha!r}"
            )

    def _start(self, last: Run | None, resumed: Run | None, n_inputs: int, n_outputs: int, seed: int) -> Network:
        """Network at the start: drawn, that of the run which goes on, or that of the last fit."""
        if last is None:
            return (*self._draw(n_inputs, n_outputs, seed), np.zeros(n_outputs))
        layer, coef, bias = last.start
        had, now = (layer.n_inputs, coef.shape[1], layer.width), (n_inputs, n_outputs, self.width)
        if had != now:
            raise ValueError(
                f"warm_start=True goes on from the network of the last fit, whose inputs, outputs and width are {had}, not "
                f"{now}: pass warm_start=False"
            )
        return last.start if resumed is not None else last.end

    def _draw(self, n_inputs: int, n_outputs: int, seed: int) -> tuple[FeatureMap, np.ndarray]:
        check_memory(32 * (n_inputs + n_outputs) * self.width, f"{self.width} neurons with {n_inputs} inputs each")
        layer, coef = draw_network(
            n_inputs,
            self.width,
            n_outputs,
            activation=self.activation,
            init=self.init,
            output=self.output,
            weight_scale=self.weight_scale,
            bias_scale=self.bias_scale,
            sampler=self.sampler,
            seed=seed,
        )
        return replace(layer, n_jobs=self.n_jobs), coef

    def _validation(self, objective: TwoLayer, held_out: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Validation:
        inputs, targets, weight = held_out
        other = replace(objective, X=inputs, targets=targets, sample_weight=weight)

        def score(theta: np.ndarray) -> float:
            with np.errstate(over="ignore", invalid="ignore"):
                errors = np.average(other.residual(theta) ** 2, axis=0, weights=weight)
            mean = float(1.0 - errors.mean())
            return mean if np.isfinite(mean) else -np.inf

        return Validation(score, self.n_iter_no_change)

    def _is_finished(self, trajectory: Trajectory, alpha: float, rounding: float) -> bool:
        if alpha:
            return trajectory.status.is_success
        first, last = trajectory.value[[0, -1]]
        return last <= max(self.tol**2 * first, rounding)

    def _warn_unfinished(self, trajectory: Trajectory, alpha: float, rows: np.ndarray) -> None:
        if alpha:
            slope = trajectory.gradient_norm[-1] / trajectory.gradient_norm[0]
            what = f"a gradient of {slope:.3g} times its norm at the start"
        else:
            residual = np.sqrt(trajectory.value[-1] / trajectory.value[0])
            what = f"a residual of {residual:.3g} times its norm at the start"
        warnings.warn(
            f"training ended after {trajectory.n_iter} steps with {what}, above tol={self.tol:g}. "
            f"{self._remedy(trajectory, rows)}",
            ConvergenceWarning,
            stacklevel=5,
        )

    def _remedy(self, trajectory: Trajectory, rows: np.ndarray) -> str:
        if trajectory.status is Status.DIVERGED and not isinstance(self.learning_rate, str):
            return "The loss overflowed: lower learning_rate, or pass learning_rate='auto'."
        uneven = remedy_for_rows(rows)
        faster = " Gauss-Newton steps do more: pass solver='gauss-newton'." if self.solver != "gauss-newton" else ""
        return f"{trajectory.advice}{faster}{f' Also {uneven}.' if uneven else ''}"

    def _raw_predict(self, X: Any) -> np.ndarray:
        """Return the network's columns, shape (n_samples, k), in the dtype of X."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=FLOATS, reset=False)
        inputs = prepared_rows(X, self.row_center_, self.row_scale_)
        last = self.coef_.reshape(-1, self.feature_map_.width).T
        with np.errstate(over="ignore", invalid="ignore"):
            values = (self.feature_map_.operator(inputs).matmat(last) + self.intercept_).astype(X.dtype, copy=False)
        if not np.isfinite(values).all():
            raise OverflowError(
                f"predictions overflow {X.dtype} on rows with entries up to {float(np.abs(X).max()):.4g}: remove rows that "
                "are far larger than those of the training data"
            )
        return values
