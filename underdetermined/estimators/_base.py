"""What the random-feature regressor and classifier share: parameters, training on merged rows, raw predictions."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from underdetermined._compat import Interval, StrOptions
from underdetermined._linalg import column_norms
from underdetermined.bounds import WidthBound
from underdetermined.estimators._attainability import explain_rows, unattainable_norms
from underdetermined.estimators._layer import (
    LAYER_CONSTRAINTS,
    LEVERAGE,
    draw_layer,
    draw_seed,
    first_neurons,
    join,
    last_neurons,
)
from underdetermined.estimators._penalty import leave_one_out
from underdetermined.estimators._pruning import TOLERANCE, prune_layer
from underdetermined.estimators._rows import Rows
from underdetermined.estimators._versioned import Versioned
from underdetermined.estimators._width import choose_width
from underdetermined.features import FeatureMap
from underdetermined.gram import extend_gram, gram_matrix, widen_gram
from underdetermined.solution import Solution, Status
from underdetermined.solvers import SOLVERS, solve
from underdetermined.system import LinearSystem

__all__ = ["FLOATS", "RandomFeatureModel"]

FLOATS = [np.float64, np.float32]

DENSE_BYTES = 2**31  # features up to this size are held while solving, larger ones are streamed
_MATRIX_FREE = ("cg", "lsmr")


class RandomFeatureModel(Versioned, CallbackSupportMixin, BaseEstimator):
    """A random hidden layer under a linear model; subclasses turn targets into columns and columns into answers."""

    width_: int
    width_bound_: WidthBound | None
    feature_map_: FeatureMap
    _gram: np.ndarray | None
    _is_pruned: bool

    _parameter_constraints: dict[str, list[Any]] = {
        **LAYER_CONSTRAINTS,
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"loo"})],
        "solver": [StrOptions({"auto", *SOLVERS})],
        "rcond": [None, Interval(Real, 0, 1, closed="left")],
        "tol": [Interval(Real, 0, 1, closed="neither")],
        "max_iter": [None, Interval(Integral, 1, None, closed="left")],
        "fit_intercept": ["boolean"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        width="auto",
        *,
        activation="relu",
        sampler="gaussian",
        weight_scale="auto",
        bias_scale=1.0,
        alpha="loo",
        solver="auto",
        rcond=None,
        tol=1e-10,
        max_iter=None,
        fit_intercept=True,
        random_state=None,
        n_jobs=None,
        verbose=0,
    ):
        self.width = width
        self.activation = activation
        self.sampler = sampler
        self.weight_scale = weight_scale
        self.bias_scale = bias_scale
        self.alpha = alpha
        self.solver = solver
        self.rcond = rcond
        self.tol = tol
        self.max_iter = max_iter
        self.fit_intercept = fit_intercept
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        # The Gram matrix only saves work in a later partial_fit or widen, and is far larger than the model.
        return {name: None if name == "_gram" else value for name, value in super().__getstate__().items()}

    def widen(self, extra: int) -> "RandomFeatureModel":
        """Add neurons and solve again; equal to a fresh fit at the larger width with the same seed.

        Parameters
        ----------
        extra : int
            Number of neurons to add, at least 1.

        Returns
        -------
        self : estimator
            The fitted estimator; its ``width`` parameter is left as it is, ``width_`` grows.

        Raises
        ------
        ValueError
            If `extra` is not a positive integer, or the network was pruned.

        Notes
        -----
        The Gram matrix is updated by the new neurons alone, n^2 extra instead of n^2 width multiplications, except with
        ``sampler="leverage"``, which computes it anew.
        """
        check_is_fitted(self)
        if self._is_pruned:
            raise ValueError(
                f"the network was pruned to {self.width_} neurons, which no longer are the first ones of its seed; "
                "call fit or partial_fit, which return to the full width, then widen, then prune."
            )
        if isinstance(extra, bool) or not isinstance(extra, (int, np.integer)) or extra < 1:
            raise ValueError(f"extra={extra!r} must be an integer of at least 1.")
        return self._widen(int(extra))

    @with_callbacks
    def _widen(self, extra: int) -> "RandomFeatureModel":
        self._train(self._rows, self.width_ + extra, X=self._rows.inputs, y=self._answers(self._rows.targets))
        return self

    def prune(self, width: int | None = None) -> "RandomFeatureModel":
        """Keep the best `width` neurons and solve again, for the same training predictions.

        Any n linearly independent feature columns reproduce whatever a wider network predicts on its n training rows. The
        columns are chosen by `underdetermined.neurons.select_neurons`, and their last layer solves
        ``features[:, kept] @ coef = predictions - intercept``.

        Parameters
        ----------
        width : int or None, default=None
            Neurons to keep, at least 1 and at most ``width_``; None keeps as many as the features have numerical rank, one
            for each distinct row in general.

        Returns
        -------
        self : estimator
            The fitted estimator. ``width_``, ``coef_``, ``feature_map_`` and ``solution_`` are those of the pruned network,
            with the residual of ``solution_`` measured from the training predictions of the wide one; ``intercept_``,
            ``alpha_`` and ``loo_path_`` stay as they were.

        Raises
        ------
        ValueError
            If `width` is not an integer from 1 to ``width_``.

        Warns
        -----
        ConvergenceWarning
            If the training predictions differ by more than 1e-8 of their norm (1e-4 for a network fitted to float32).

        Notes
        -----
        Only the training predictions are the same: between the rows the pruned network interpolates otherwise, and worse,
        because its coefficients are larger: slightly so with a penalty, but several times worse at ``alpha=0``.
        `partial_fit` starts from the full network again.
        Some 6 n^2 width_ operations and six times the memory of the n x width_ features; beyond 512 MiB of them a tournament
        takes some 12 n^2 numbers instead and makes a choice that may be slightly worse conditioned.

        References
        ----------
        :ref:`theory-pruning`.
        """
        check_is_fitted(self)
        if width is not None:
            if isinstance(width, bool) or not isinstance(width, (int, np.integer)) or not 1 <= width <= self.width_:
                raise ValueError(f"width={width!r} must be an integer from 1 to width_={self.width_}, or None.")
            width = int(width)
        pruned = prune_layer(
            self.feature_map_,
            self._rows.inputs,
            np.atleast_2d(self.coef_).T,
            width,
            self._rows.weight,
            self.solution_.intercept,
        )
        self._is_pruned, self._gram = True, None
        self.feature_map_, self.width_ = pruned.layer, pruned.layer.width
        self._keep(replace(pruned.solution, intercept=self.solution_.intercept), pruned.layer)
        tolerance = TOLERANCE[pruned.layer.weights.dtype]
        if pruned.deviation > tolerance:
            warnings.warn(
                f"the {self.width_} neurons kept change the training predictions by {pruned.deviation:.2g} of their norm, "
                f"more than {tolerance:g} (condition {self.condition_:.2g}); keep more neurons (width=None takes as many as "
                "the rank of the features), or fit float64 inputs with alpha > 0.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _start(self) -> None:
        """Forget what was learned and draw a new network."""
        self._seed = draw_seed(self.random_state)
        self._rows: Any = None
        self._gram = None
        self._layer_of: Any = None
        self._is_pruned = False
        self.__dict__.pop("feature_map_", None)

    def _learn(self, rows: Rows, X: Any, y: Any) -> None:
        """Train on the rows seen so far and these, made of X and y."""
        rows = rows if self._rows is None else self._rows.append(rows)
        width, self.width_bound_ = choose_width(self, rows.inputs)
        self._train(rows, width, X=X, y=y)

    def _train(self, rows: Rows, width: int, **data: Any) -> None:
        """Run the stages; `data` (X, y) is what callbacks are shown."""
        progress = self._init_callback_context(max_subtasks=3)
        data = {"estimator": self, **data}
        progress.call_on_fit_task_begin(**data)
        with self._stage(progress, "features", data):
            layer = self._layer(rows.inputs, width)
            operator = layer.operator(rows.inputs)
            dense = rows.n_rows * width * layer.weights.itemsize <= DENSE_BYTES
            features = operator.to_dense() if dense else operator
            self._gram = gram = self._updated_gram(features, rows, layer)
            self._rows, self.feature_map_, self.width_, self._is_pruned = rows, layer, width, False
            system = LinearSystem(
                features,
                rows.targets,
                sample_weight=None if (rows.weight == 1).all() else rows.weight,
                fit_intercept=self.fit_intercept,
                gram=None if gram is None else gram * _common_factor(layer),
            )
        with self._stage(progress, "alpha", data):
            self.alpha_, self.loo_path_ = self.alpha, None
            if self.alpha == "loo":
                self.loo_path_ = leave_one_out(system, rows, layer)
                self.alpha_ = self.loo_path_.alpha
        with self._stage(progress, "solve", data):
            solution = solve(
                system,
                method=self.solver,
                alpha=self.alpha_,
                rcond=self.rcond,
                tol=self.tol,
                max_iter=self.max_iter,
            )
            self.attainability_ = explain_rows(rows.inputs, layer) if _is_deficient(system, solution) else None
            self._keep(_with_scatter(solution, rows), layer)
            self._warn_unattainable(rows.targets)
        progress.call_on_fit_task_end(**data, reconstruction_attributes=self._learned)

    def _keep(self, solution: Solution, layer: FeatureMap) -> None:
        """Store the solution under scikit-learn's names, and warn if it is not what was asked for."""
        dtype = layer.weights.dtype
        self.solution_ = solution
        self.coef_ = np.ascontiguousarray(solution.coef.T.astype(dtype))
        self.intercept_ = solution.intercept.astype(dtype)
        self.rank_, self.condition_, self.n_iter_ = solution.rank, solution.condition, solution.n_iter
        self.random_weights_ = layer.weights
        self.random_offset_ = np.zeros(layer.width, dtype) if layer.biases is None else layer.biases
        if self.verbose:
            print(f"[{type(self).__name__}] alpha={self.alpha_:.3g} {solution!r}")
        if not solution.status.is_success:
            warnings.warn(
                f"solver={solution.method!r} stopped after {solution.n_iter} iterations with residual norm "
                f"{float(solution.residual_norm.max()):.3g} (tol={self.tol:.3g}, condition about "
                f"{solution.condition:.2g}). {solution.status.advice}",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _warn_unattainable(self, targets: np.ndarray) -> None:
        """Warn if interpolation was asked for and no width can interpolate."""
        found = self.attainability_
        if found is None or self.alpha_ > 0 or not found.deficiency:
            return
        norms = unattainable_norms(found, targets, fit_intercept=self.fit_intercept)
        if norms.any():
            warnings.warn(
                f"alpha=0 asks for an interpolating network, but {norms.max():.2g} of the norm of the targets stays as "
                f"residual at every width. {found.explanation} (Rows are counted as in attainability_: distinct ones of "
                "positive weight, in the order in which they were first seen.)",
                UserWarning,
                stacklevel=7,
            )

    @contextmanager
    def _stage(self, progress: Any, name: str, data: dict[str, Any]) -> Iterator[None]:
        context = progress.subcontext(task_name=name).call_on_fit_task_begin(**data)
        yield
        context.call_on_fit_task_end(**data, reconstruction_attributes=self._learned if name == "solve" else None)

    def _learned(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name.endswith("_") and not name.startswith("_")}

    def _layer(self, inputs: Any, width: int) -> FeatureMap:
        """Return the first `width` neurons of this seed; those already drawn are kept, unless they depend on the rows."""
        layer_of = (self.activation, self.sampler, self.weight_scale, self.bias_scale)
        if self._layer_of is not None and layer_of != self._layer_of:
            raise ValueError(
                "activation, sampler, weight_scale or bias_scale changed since the first fit; call fit to start again."
            )
        self._layer_of = layer_of
        known: FeatureMap | None = getattr(self, "feature_map_", None)
        if known is None or self._is_pruned or self.sampler == LEVERAGE:
            self._gram = None
            return draw_layer(self, inputs, width, inputs.dtype, seed=self._seed)
        if width == known.width:
            return known
        if width < known.width:  # the automatic width falls again once its features would take too much memory
            self._gram = None
            return first_neurons(known, width)
        extra = draw_layer(
            self,
            inputs,
            width - known.width,
            known.weights.dtype,
            seed=self._seed,
            start=known.width,
        )
        return join(known, extra)

    def _updated_gram(self, features: Any, rows: Rows, layer: FeatureMap) -> np.ndarray | None:
        """Return the Gram matrix over the common factor of its neurons, from the known one where there is one."""
        n = rows.n_rows
        if n - int(self.fit_intercept) > layer.width:
            return None  # a tall system works with the Gram matrix of its columns
        if self.solver in _MATRIX_FREE and 8 * n * n > DENSE_BYTES:
            return None
        known = self._gram
        if known is None:
            return gram_matrix(features) / _common_factor(layer)
        old_rows, old_width = self._rows.inputs, self.feature_map_.width
        if layer.width > old_width:
            known = widen_gram(known, last_neurons(layer, old_width).operator(old_rows))
        if n > len(known):
            known = extend_gram(known * _common_factor(layer), features) / _common_factor(layer)
        return known

    def _raw_predict(self, X: Any) -> np.ndarray:
        """Return the linear model's columns, shape (n_samples, k), in the dtype of X."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=FLOATS, reset=False)
        values = self.feature_map_.operator(X).matmat(np.atleast_2d(self.coef_).T) + self.intercept_
        return values.astype(X.dtype, copy=False)


def _common_factor(layer: FeatureMap) -> float:
    """Square of the factor that all features share; a layer with a factor for each neuron is never extended."""
    return float(layer.scale) ** 2 if np.ndim(layer.scale) == 0 else 1.0


def _is_deficient(system: LinearSystem, solution: Solution) -> bool:
    """Whether a wide system lacks rank, so that some targets are out of reach."""
    return system.is_underdetermined and solution.status in (Status.RANK_DEFICIENT, Status.INCONSISTENT)


def _with_scatter(solution: Solution, rows: Rows) -> Solution:
    """Add to the residual what merging hid: the scatter of unequal targets of equal rows."""
    spread = np.sqrt(rows.scatter.sum(axis=0))
    size = np.hypot(column_norms(np.sqrt(rows.weight)[:, None] * rows.targets), spread)
    contradicts = (spread > len(rows.weight) * np.finfo(np.float64).eps * size).any()
    exact = solution.status is Status.EXACT
    return replace(
        solution,
        residual_norm=np.hypot(solution.residual_norm, spread),
        status=Status.INCONSISTENT if contradicts and exact else solution.status,
    )
