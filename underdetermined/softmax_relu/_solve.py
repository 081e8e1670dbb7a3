"""Which method solves a softmax-ReLU regression, and the way from the user's problem to that method's and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from underdetermined.objectives import SoftmaxReLU, SoftmaxReLUBatch
from underdetermined.softmax_relu._callback import wrap_callback
from underdetermined.softmax_relu._options import SolverOptions
from underdetermined.softmax_relu._reduce import reduce_problem, unreduced_problem
from underdetermined.softmax_relu._result import Ending, Work
from underdetermined.softmax_relu._status import SoftmaxReLUStatus
from underdetermined.softmax_relu.free_hidden.solver import has_free_hidden, solve_free_hidden
from underdetermined.softmax_relu.kinks.certificate import certify
from underdetermined.softmax_relu.kinks.manifold_cg import manifold_newton_cg
from underdetermined.softmax_relu.kinks.projected_curvature import projected_curvature
from underdetermined.softmax_relu.kinks.rounding import TOLERANCE
from underdetermined.softmax_relu.newton.newton_cg import newton_cg
from underdetermined.softmax_relu.newton.trust_region import trust_region_newton
from underdetermined.softmax_relu.sampling.hessian import sampled_hessian
from underdetermined.softmax_relu.stages.batch import solve_batch
from underdetermined.softmax_relu.stages.continuation import continuation

Array = NDArray[np.float64]

# Unknowns up to which steps from Hessians are faster than steps from products, and up to which the curvature of a
# certificate is that of a Hessian: slower, but without the small probability of error of Lanczos steps.
_LARGEST_DENSE, _LARGEST_CERTIFIED = 200, 500
_SAMPLING_SEED = 8
# Problems from which on a batch is faster than a loop.
_LEAST_BATCH = 15
# Pre-activations of a start, in the scale of the solver, below which the first smoothing is that of larger ones.
_LEAST_SCALE = 0.1


class Solver:
    """A problem, or a batch of them, in the coordinates in which it is solved.

    Parameters
    ----------
    problem : SoftmaxReLU or SoftmaxReLUBatch
        As the user gave it.
    options : SolverOptions
        Checked options.
    callback : callable or None
        The user's.
    """

    def __init__(self, problem: Any, options: SolverOptions, callback: Callable[..., Any] | None) -> None:
        self._problem, self._options = problem, options
        weights = np.zeros(problem.n_hidden) if problem.weights is None else problem.weights
        if sparse.issparse(problem.A1):
            self._reduced = unreduced_problem(problem.A1, problem.A2, weights)
        else:
            self._reduced = reduce_problem(problem.A1, problem.A2, weights, penalised=problem.reg > 0.0)
        reduced = self._reduced
        self._inner = self._same(reduced.A1, reduced.A2, reduced.weights, problem.reg * reduced.scale**2)
        self._view = self._scaled(weights)
        self._is_free = self._has_free_hidden()
        size = np.inf if sparse.issparse(self._inner.A1) else self._inner.n_parameters
        by_size, by_name = options.hessian == "auto", options.hessian == "matrix-free"
        self._has_products = by_name or (by_size and size > _LARGEST_DENSE)
        self._curvature = projected_curvature if by_name or (by_size and size > _LARGEST_CERTIFIED) else None
        self._on_step = wrap_callback(callback, reduced.restore, self._inner.value)

    def _scaled(self, weights: Array) -> Any:
        """The given units with rows of norms near 1, by powers of two, which do not round, and in the space of their rows.

        A certificate there costs less, is not spoilt by rows of very different norms, and holds for all of R^d.
        """
        problem, reduced = self._problem, self._reduced
        if sparse.issparse(problem.A1):
            return problem
        rows, powers = problem.A1 / reduced.powers[:, np.newaxis], reduced.powers
        if reduced.basis is not None:
            rows = rows @ reduced.basis
        return self._same(rows, (problem.A2 - problem.A2.mean(axis=0)) * powers, weights * powers, problem.reg)

    def _same(self, A1: Any, A2: Array, weights: Array, reg: float) -> Any:
        """Targets and loss of the problem with other layers and penalties."""
        problem = self._problem
        kind: Any = SoftmaxReLUBatch if isinstance(problem, SoftmaxReLUBatch) else SoftmaxReLU
        used = weights if weights.any() else None
        return kind(A1, A2, problem.targets, loss=problem.loss, reg=reg, weights=used)

    def _has_free_hidden(self) -> bool:
        """Whether hidden values can be chosen freely, which makes the problem smooth."""
        if isinstance(self._inner, SoftmaxReLUBatch):
            return has_free_hidden(self._inner.column(0))
        return has_free_hidden(self._inner)

    def _steps(self) -> dict[str, Any]:
        """Functions that make the steps of `continuation`, where they are not those of dense Hessians."""
        if self._has_products:
            return {"newton": newton_cg, "manifold": manifold_newton_cg}
        if self._options.hessian == "sampled":
            seeds = np.random.default_rng(_SAMPLING_SEED)
            draw = partial(sampled_hessian, epsilon=self._options.epsilon, random_state=seeds)
            return {"newton": partial(trust_region_newton, curvature=draw)}
        return {}

    def descend(self, x0: Array) -> list[Ending]:
        """Descend from one start.

        Parameters
        ----------
        x0 : ndarray of shape (d,) or (d, N)
            Start in the coordinates of the user.

        Returns
        -------
        list of Ending
            One for each problem.
        """
        start = self._reduced.start(x0)
        if not isinstance(self._problem, SoftmaxReLUBatch):
            return [self._one(self._problem, self._view, self._inner, start, self._on_step)]
        n_problems = self._problem.n_problems
        parts = [(self._problem.column(j), self._view.column(j), self._inner.column(j)) for j in range(n_problems)]
        is_sampled = self._options.hessian == "sampled"
        if n_problems < _LEAST_BATCH or self._is_free or is_sampled or not self._inner.A2.any():
            return self._loop(parts, start)
        first = self._smoothing(self._inner, start) * np.abs(self._inner.hidden(start)).max(axis=0)
        runs = solve_batch(self._inner, start, options=self._options, smoothing=first, on_step=self._on_step)
        return [self._end(run, problem, view) for run, (problem, view, _) in zip(runs, parts, strict=True)]

    def _loop(self, parts: Sequence[tuple[Any, Any, Any]], start: Array) -> list[Ending]:
        """Problems one by one; the callback sees all of them, and those after the one that it stops stay at their starts."""
        shown, endings = start.copy(), list[Ending]()

        def show(j: int, s: Array, _: Any) -> None:
            shown[:, j] = s
            if self._on_step is not None:
                self._on_step(shown, None)

        is_stopped = False
        for j, (problem, view, inner) in enumerate(parts):
            if is_stopped:
                run = continuation(inner, start[:, j], options=replace(self._options, maxiter=0), certificate=self._certify)
                ending = self._end(replace(run, stopped=True), problem, view)
            else:
                on_step = None if self._on_step is None else partial(show, j)
                ending = self._one(problem, view, inner, np.ascontiguousarray(start[:, j]), on_step)
            is_stopped = ending.status is SoftmaxReLUStatus.CALLBACK
            shown[:, j] = self._reduced.start(ending.point.x)
            endings.append(ending)
        return endings

    def _one(self, problem: Any, view: Any, inner: Any, start: Array, on_step: Any) -> Ending:
        """One problem, from one start."""
        if not inner.A2.any():
            return self._shown(self._end_constant(problem, view, start), on_step)
        if self._is_free:
            return self._shown(self._end_free(solve_free_hidden(inner, x0=start, n_starts=0), problem, view), on_step)
        options = replace(self._options, smoothing=float(self._smoothing(inner, start)))
        run = continuation(inner, start, options=options, certificate=self._certify, on_step=on_step, **self._steps())
        return self._end(run, problem, view)

    def _smoothing(self, inner: Any, start: Array) -> Array:
        """First smoothings, relative to the starts, and larger at small ones: the way would lead over all kinks."""
        largest = np.abs(inner.hidden(start)).max(axis=0)
        factor = np.divide(_LEAST_SCALE, largest, out=np.ones_like(largest), where=largest > 0.0)
        return self._options.smoothing * np.maximum(1.0, factor)

    def _end_constant(self, problem: Any, view: Any, start: Array) -> Ending:
        """Where no unit changes the fit, nothing is lower than 0."""
        x = np.zeros_like(start)
        reason = "no unit changes the fit, so that x = 0 is the smallest minimiser of the penalty"
        found = replace(self._certify(view, x), status=SoftmaxReLUStatus.GLOBAL, reason=reason)
        point, certificate = self._given(found, problem, self._reduced.restore(x))
        return Ending(point, certificate, certificate.status, Work(n_value=1))

    def _shown(self, ending: Ending, on_step: Any) -> Ending:
        """Show the callback where a method ended that makes no steps to show."""
        if on_step is None:
            return ending
        try:
            on_step(self._reduced.start(ending.point.x), None)
        except StopIteration:
            return replace(ending, status=SoftmaxReLUStatus.CALLBACK)
        return ending

    def _end_free(self, found: Any, problem: Any, view: Any) -> Ending:
        """Carry a minimiser over free hidden values back to the user; its status is proved there, not at the kinks."""
        certificate = self._certify(view, self._reduced.scale * found.x)
        certificate = replace(certificate, status=found.status, reason=found.reason)
        point, certificate = self._given(certificate, problem, self._reduced.restore(found.x))
        return Ending(
            point, certificate, found.status, Work(found.n_hessian, found.n_value, found.n_hessian, found.n_hessian)
        )

    def _end(self, run: Any, problem: Any, view: Any) -> Ending:
        """Carry a point back to the user, and certify it there."""
        pinned = self._reduced.units(run.certificate.pinned)
        certificate = self._certify(view, self._reduced.scale * run.x, pinned=pinned)
        point, certificate = self._given(certificate, problem, self._reduced.restore(run.x))
        status = SoftmaxReLUStatus.CALLBACK if run.stopped else certificate.status
        work = Work(run.n_iter, run.n_value, run.n_gradient, run.n_hessian, run.n_products)
        return Ending(point, certificate, status, work)

    def _certify(self, objective: Any, x: Array, *, pinned: NDArray[np.intp] | None = None) -> Any:
        """The certificate at the accuracy that the user asked for."""
        test = partial(certify, objective, x, pinned=pinned, curvature=self._curvature)
        found = test(tolerance=TOLERANCE)
        if self._options.gtol is None or found.is_certified or self._options.gtol <= found.kkt_tolerance:
            return found
        # Its tolerance is relative to the terms that cancel in the residual.
        return test(tolerance=self._options.gtol * TOLERANCE / found.kkt_tolerance)

    def _given(self, certificate: Any, problem: Any, x: Array) -> tuple[Any, Any]:
        """The given problem at x, and the certificate in its units."""
        powers, basis = self._reduced.powers[certificate.pinned], self._reduced.basis
        vector, down = certificate.kkt_vector, certificate.descent_direction
        given = replace(
            certificate,
            kkt_vector=vector if basis is None else basis @ vector,
            multipliers=certificate.multipliers / powers,
            unit_slopes=certificate.unit_slopes / powers,
            descent_direction=down if down is None or basis is None else basis @ down,
        )
        return problem.at(x), given
