"""What the exponential regressor and classifier share: parameters, training on merged rows, raw predictions."""

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
from underdetermined.estimators._base import FLOATS
from underdetermined.estimators._exponential_rows import choose_row_scale, scaled_rows, with_constant
from underdetermined.estimators._layer import draw_seed
from underdetermined.estimators._norms import root_mean_square_norm
from underdetermined.estimators._penalized import Penalized
from underdetermined.estimators._steps import Steps
from underdetermined.estimators._targets import standardized_rows
from underdetermined.estimators._trained import ROUNDING, certificates, check_weights, remedy_for_rows
from underdetermined.estimators._versioned import Versioned
from underdetermined.exponential import (
    ExponentialCertificate,
    ExponentRange,
    certify,
    check_exponents,
    draw_network,
    log_predict,
)
from underdetermined.features import FeatureMap
from underdetermined.objectives import Exponential
from underdetermined.optimize import gauss_newton, gradient_descent
from underdetermined.solution import Status, Trajectory
from underdetermined.weights import SAMPLERS

__all__ = ["ExponentialModel"]

# Norm of the longest row below which squares of exponents are lost.
SMALLEST_NORM = 1e-100


class ExponentialModel(Versioned, CallbackSupportMixin, BaseEstimator):
    """A network of exponentials, its hidden layer trained; subclasses turn columns into answers."""

    feature_map_: FeatureMap
    coef_: np.ndarray
    intercept_: Any
    row_constant_: float | None
    row_scale_: float
    certificate_: ExponentialCertificate | None
    certified_step_: int | None
    trajectory_: Trajectory

    # How an overflow of predictions may be avoided, beside removing rows.
    _log_advice = ""

    _parameter_constraints: dict[str, list[Any]] = {
        "width": [Interval(Integral, 1, None, closed="left")],
        "symmetric_init": ["boolean"],
        "row_scale": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "fit_bias": ["boolean"],
        "sampler": [StrOptions(set(SAMPLERS))],
        "solver": [StrOptions({"gauss-newton", "gd"})],
        "learning_rate": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, 1, closed="left")],
        "random_state": ["random_state"],
        "n_jobs": [None, Integral],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        width=4096,
        *,
        symmetric_init=True,
        row_scale="auto",
        fit_bias=True,
        sampler="gaussian",
        solver="gauss-newton",
        learning_rate="auto",
        alpha=0.0,
        max_iter=100,
        tol=1e-8,
        random_state=None,
        n_jobs=None,
        verbose=0,
    ):
        self.width = width
        self.symmetric_init = symmetric_init
        self.row_scale = row_scale
        self.fit_bias = fit_bias
        self.sampler = sampler
        self.solver = solver
        self.learning_rate = learning_rate
        self.alpha = alpha
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "feature_map_")

    def _train(
        self, X: np.ndarray, y: Any, columns: np.ndarray, weight: np.ndarray | None, *, shared_unit: bool, **learned: Any
    ) -> None:
        """Train on `columns` as targets; y is what callbacks are shown, and nothing is stored before all has succeeded."""
        self._check_options()
        progress = self._init_callback_context(max_subtasks=self.max_iter)
        data = {"estimator": self, "X": X, "y": y}
        progress.call_on_fit_task_begin(**data)
        check_weights(weight)
        rows, mean, unit = standardized_rows(X, columns.reshape(len(X), -1), weight, shared_unit=shared_unit)
        constant = (root_mean_square_norm(rows.inputs, rows.weight) or 1.0) if self.fit_bias else None
        automatic = choose_row_scale(with_constant(rows.inputs, constant), rows.weight, self.width)
        scale = automatic if self.row_scale == "auto" else self.row_scale
        inputs = scaled_rows(rows.inputs, constant, float(scale))
        layer, coef = self._draw(inputs.shape[1], len(unit))
        remedy = f"lower row_scale={self.row_scale}, or pass row_scale='auto', which is {automatic:.3g} here"
        exponents = check_exponents(layer, inputs, training=True, remedy=remedy)
        if self.row_scale != "auto":
            self._check_row_scale(exponents)
        objective = Exponential(inputs, rows.targets, layer, coef, sample_weight=rows.weight)
        one_column = columns.ndim == 1
        learned |= {
            "row_constant_": constant,
            "row_scale_": float(scale),
            "coef_": coef[:, 0] * unit[0] if one_column else np.ascontiguousarray((coef * unit).T),
            "intercept_": mean[0] if one_column else mean,
        }
        steps = Steps(progress, data, learned, lambda theta: {"feature_map_": objective.network(theta)})
        trajectory = self._optimize(objective, steps)
        certificate, step = certificates(certify, objective, trajectory)
        scatter = 0.5 * rows.scatter.sum()  # what merging equal rows with unequal targets took out of the loss
        learned |= {
            "feature_map_": objective.network(trajectory.theta),
            "trajectory_": trajectory,
            "certificate_": certificate,
            "certified_step_": step,
            "loss_curve_": (trajectory.value + scatter) / rows.weight.sum(),
            "learning_rate_": trajectory.learning_rate,
            "n_iter_": max(1, trajectory.n_iter),
        }
        for name, value in learned.items():
            setattr(self, name, value)
        if self.verbose:
            print(f"[{type(self).__name__}] row_scale={scale:.3g} loss={self.loss_curve_[-1]:.3g} {trajectory!r}")
        if not (steps.is_stopped or self._is_finished(trajectory, ROUNDING * rows.weight.sum())):
            self._warn_unfinished(trajectory, rows.inputs)
        progress.call_on_fit_task_end(**data, reconstruction_attributes=lambda: learned)

    def _check_options(self) -> None:
        if self.symmetric_init and self.width % 2:
            raise ValueError(f"width={self.width} is odd: pass an even one, or symmetric_init=False")
        if self.solver != "gd" and self.learning_rate != "auto":
            raise ValueError(
                f"learning_rate={self.learning_rate} has no effect on solver={self.solver!r}: leave it at 'auto', or pass "
                "solver='gd'"
            )

    def _draw(self, n_inputs: int, n_outputs: int) -> tuple[FeatureMap, np.ndarray]:
        check_memory(32 * n_inputs * self.width, f"{self.width} hidden neurons with {n_inputs} inputs each")
        layer, coef = draw_network(
            n_inputs,
            self.width,
            n_outputs,
            sampler=self.sampler,
            symmetric=self.symmetric_init,
            seed=draw_seed(self.random_state),
        )
        return replace(layer, n_jobs=self.n_jobs), coef

    def _check_row_scale(self, exponents: ExponentRange) -> None:
        """Refuse a factor that makes squares of the rows underflow, and warn of one that is too large."""
        norm, spread = exponents.row_norm, exponents.spread
        if norm < SMALLEST_NORM:
            raise ValueError(
                f"row_scale={self.row_scale} makes rows of norm at most {norm:.3g}, whose squares underflow: raise it, or "
                "pass row_scale='auto'."
            )
        if 4.0 * norm * norm > np.log(self.width):
            warnings.warn(
                f"row_scale={self.row_scale} makes rows of norm up to {norm:.3g}, for which exp(4 norm^2) exceeds the "
                f"width {self.width}: the tangent Gram matrix is a poor sample of its expectation; lower row_scale, pass "
                "row_scale='auto', or widen the network.",
                UserWarning,
                stacklevel=5,
            )
        if exponents.is_wide:
            warnings.warn(
                f"row_scale={self.row_scale} makes exponents that are {spread:.3g} apart, beyond 36 of which neurons are "
                "rounding beside others: lower row_scale, or pass row_scale='auto'.",
                UserWarning,
                stacklevel=5,
            )

    def _optimize(self, objective: Exponential, callback: Steps) -> Trajectory:
        theta = objective.initial()
        options: dict[str, Any] = {"max_iter": self.max_iter, "callback": callback, "loss_tol": self.tol**2}
        if self.alpha:
            # A penalty leaves a residual: what becomes small is the gradient.
            slope = np.linalg.norm(objective.gradient(theta))
            options |= {"loss_tol": 0.0, "tol": self.tol * float(slope)}
        if self.solver == "gauss-newton":
            return gauss_newton(objective, theta, alpha=self.alpha, **options)
        loss = Penalized(objective, self.alpha) if self.alpha else objective
        return gradient_descent(loss, theta, learning_rate=self.learning_rate, **options)

    def _is_finished(self, trajectory: Trajectory, rounding: float) -> bool:
        if self.alpha:
            return trajectory.status.is_success
        first, last = trajectory.value[[0, -1]]
        return last <= max(self.tol**2 * first, rounding)

    def _warn_unfinished(self, trajectory: Trajectory, rows: np.ndarray) -> None:
        what = f"a loss of {self.loss_curve_[-1]:.3g}"
        if not self.alpha:
            residual = np.sqrt(trajectory.value[-1] / trajectory.value[0])
            what = f"a residual of {residual:.3g} times its norm at the start, above tol={self.tol:g}"
        warnings.warn(
            f"training ended after {trajectory.n_iter} steps with {what}; {self._remedy(trajectory, rows)}.",
            ConvergenceWarning,
            stacklevel=5,
        )

    def _remedy(self, trajectory: Trajectory, rows: np.ndarray) -> str:
        if trajectory.status is Status.DIVERGED:
            return "lower row_scale" if self.learning_rate == "auto" else "lower learning_rate"
        if trajectory.status is not Status.MAX_ITER:
            remedies = ["widen the network", "raise tol", *["pass fit_bias=True"] * (not self.fit_bias)]
            return f"no step lowers it any more: {', or '.join(remedies)}"
        uneven = remedy_for_rows(rows)
        if uneven:
            return uneven
        faster = ", or pass solver='gauss-newton'" if self.solver == "gd" else ", or widen the network"
        noisy = "" if self.alpha else ", pass alpha=1 if targets are noisy"
        return f"raise max_iter or tol{noisy}{faster}"

    def _inputs(self, X: np.ndarray) -> np.ndarray:
        return scaled_rows(X, self.row_constant_, self.row_scale_)

    def _raw_predict(self, X: Any) -> np.ndarray:
        """Return the network's columns, shape (n_samples, k), in the dtype of X."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=FLOATS, reset=False)
        inputs = self._inputs(X)
        layer, last = self.feature_map_, self.coef_.reshape(-1, self.feature_map_.width).T
        network = Exponential(inputs, np.zeros((len(X), last.shape[1])), layer, last)
        with np.errstate(over="ignore", invalid="ignore"):
            values = (network.residual(network.initial()) + self.intercept_).astype(X.dtype, copy=False)
        if not np.isfinite(values).all():
            remedy = f"remove rows that are far larger than those of the training data{self._log_advice}"
            scaled = f"that counts row_scale_={self.row_scale_:.3g}"
            check_exponents(layer, inputs, remedy=f"{scaled}; {remedy}")
            largest = float(self._raw_log(inputs)[1].max())
            raise OverflowError(
                f"max ln|f(x)| = {largest:.5g} > {np.log(np.finfo(X.dtype).max):.5g}, so that predictions overflow "
                f"{X.dtype}: {remedy}"
            )
        return values

    def _raw_log(self, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        last = self.coef_.reshape(-1, self.feature_map_.width).T
        return log_predict(self.feature_map_, last, inputs, intercept=self.intercept_)
