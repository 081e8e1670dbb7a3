"""Many softmax-ReLU problems with the same layers, solved together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse

from underdetermined._linalg import column_norms
from underdetermined._validation import check_memory
from underdetermined.softmax_relu._options import SolverOptions
from underdetermined.softmax_relu.kinks.geometry import identify
from underdetermined.softmax_relu.kinks.manifold import manifold_newton
from underdetermined.softmax_relu.kinks.manifold_cg import manifold_newton_cg
from underdetermined.softmax_relu.kinks.projected_curvature import certify_by_products
from underdetermined.softmax_relu.newton.batch_cg import BatchMetric, batch_cg
from underdetermined.softmax_relu.newton.newton_cg import newton_cg
from underdetermined.softmax_relu.stages.continuation import ContinuationResult, continuation

__all__ = ["solve_batch"]

FloatArray = NDArray[np.float64]
Indices = NDArray[np.intp]

# Smoothing shrinks by this factor from stage to stage, to this share of the first one. Faster, or with looser stages, the
# minima are higher.
_FACTOR, _LAST = 0.4, 1e-3
# A stage ends where the gradient is this share of the terms that cancel in it.
_STAGE_TOL = 0.02
# Logits that differ by more than this leave no gradient to follow: the smooth stages then begin nearer to 0.
_SPREAD = 50.0
_MAX_SHRINKS = 100
# A unit is near its kink, for the start of the next stage, and for being pinned, within so many smoothings.
_NEAR, _WIDTH = 5.0, 10.0
_FORCING, _LAST_SHARE = 0.1, 0.5
_POOR, _SHRINK, _GOOD, _GROW = 0.25, 0.25, 0.75, 2.0
_SMALLEST_RADIUS = 0.1
_HIDDEN = 1e-13
_LARGEST_CG = 200
# At most this share of the steps is made on smoothed problems.
_SHARE = 0.25
# Unknowns up to which Hessians on the kinks are formed.
_LARGEST_DENSE = 200


def solve_batch(
    batch: Any,
    X0: ArrayLike,
    *,
    options: SolverOptions | None = None,
    smoothing: FloatArray | None = None,
    on_step: Callable[[FloatArray, FloatArray], None] | None = None,
) -> list[ContinuationResult]:
    """Minimise every problem of a batch, all at once as long as they are smoothed, each to a point with a certificate.

    Problem j has a smoothing mu_j and a radius of its own. A sweep computes one Newton step of every problem by conjugate
    gradients, in products of matrices; a problem whose gradient is small enough goes on to its next smoothing, two fifths
    of the last, and leaves the batch after the last one. Newton steps on its kinks and the certificate then follow for it
    alone. A problem whose end is not certified, or above its start, is solved again on its own.

    Parameters
    ----------
    batch : SoftmaxReLUBatch
        The problems.
    X0 : array_like of shape (d, N)
        Starts, one column for each problem; not written to.
    options : SolverOptions or None, default=None
        As for `continuation`; the largest number of steps is that of each problem.
    smoothing : ndarray of shape (N,) or None, default=None
        First smoothing of every problem; None multiplies that of the options by the largest pre-activation at its start.
    on_step : callable or None, default=None
        Called as ``on_step(X, values)`` with X of shape (d, N) after every sweep, and after every problem that is settled;
        the values are smoothed ones during sweeps. May raise StopIteration.

    Returns
    -------
    list of ContinuationResult
        One for each problem.

    Raises
    ------
    MemoryError
        If the Gram matrix of the rows of A1 cannot fit.

    Notes
    -----
    A sweep takes as many products as the slowest of its problems; those that are done are left out once they are as many as
    the others. Memory: about ten arrays of shape (n, N) and ten of shape (d, N), and n^2 numbers.

    References
    ----------
    :ref:`theory-softmax-relu`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.objectives import SoftmaxReLUBatch
    >>> from underdetermined.softmax_relu.stages.batch import solve_batch
    >>> batch = SoftmaxReLUBatch([[1.0, 2.0], [3.0, -1.0]], [[1.0, -1.0], [0.0, 2.0]], [[0.25, 0.5], [0.75, 0.5]], reg=0.01)
    >>> runs = solve_batch(batch, np.array([[0.5, 0.5], [0.25, 0.25]]))
    >>> [run.certificate.is_certified for run in runs]
    [True, True]
    """
    X, chosen = np.array(X0, dtype=np.float64), options or SolverOptions()
    first = chosen.smoothing * np.abs(batch.hidden(X)).max(axis=0) if smoothing is None else np.array(smoothing)
    return _Batch(batch, X, chosen, first, on_step).run()


class _Batch:
    """State of all problems: columns of arrays."""

    def __init__(
        self,
        batch: Any,
        X: FloatArray,
        options: SolverOptions,
        smoothing: FloatArray,
        on_step: Callable[[FloatArray, FloatArray], None] | None,
    ) -> None:
        self.batch, self.options, self.on_step = batch, options, on_step
        self.X, self.start, self.smoothing = X, X.copy(), smoothing
        n_problems = X.shape[1]
        self.start_values = batch.value(X)
        self.values = self.start_values.copy()
        self._unsaturate()
        self.first = self.smoothing.copy()
        self.radius = np.minimum(options.initial_trust_radius, column_norms(self.X))
        self.first_radius = self.radius.copy()
        self.scale, self.first_norm = np.full(n_problems, np.nan), np.full(n_problems, np.nan)
        self.n_iter, self.n_value, self.n_products, self.n_stages = np.zeros((4, n_problems), dtype=np.intp)
        check_memory(8 * batch.n_hidden**2, f"the {batch.n_hidden} x {batch.n_hidden} Gram matrix of the rows of A1")
        gram = batch.A1 @ batch.A1.T
        self.gram: FloatArray = gram.toarray() if issparse(gram) else gram
        self.norms = np.sqrt(np.einsum("ii->i", self.gram))
        self.stopped = False

    def run(self) -> list[ContinuationResult]:
        """Sweep until no problem is left, then settle them one by one."""
        live: Indices = np.flatnonzero((self.smoothing > 0.0) & (self.options.maxiter > 0))
        while live.size and not self.stopped:
            live = self._sweep(live)
        return [self._settle(j) for j in range(self.X.shape[1])]

    def _unsaturate(self) -> None:
        """Move starts, and their smoothing, towards 0 until their distributions have several entries to speak of."""
        live: Indices = np.flatnonzero((self.smoothing > 0.0) & (self.options.maxiter > 0))
        for _ in range(_MAX_SHRINKS):
            if not live.size:
                break
            fitted = self.batch.select(live).at(self.X[:, live], self.smoothing[live]).fitted
            with np.errstate(divide="ignore"):
                spread = np.log(fitted.max(axis=0)) - np.log(fitted.min(axis=0))
            live = live[~(spread <= _SPREAD)]
            self.X[:, live] *= 0.5
            self.smoothing[live] *= 0.5

    def _sweep(self, live: Indices) -> Indices:
        """One step of every live problem; those that go on."""
        batch, mu = self.batch.select(live), self.smoothing[live]
        point = batch.at(self.X[:, live], mu)
        self.n_value[live] += 1
        norm = column_norms(point.gradient)
        terms = column_norms(point.slopes * point.unit_slopes * self.norms[:, np.newaxis])
        goal = _STAGE_TOL * (terms + column_norms(point.gradient_of_penalty))
        self.first_norm[live] = np.fmax(self.first_norm[live], norm)
        self._size_up(point, live)
        metric = BatchMetric(batch.A1, self.gram, point.kink_weights("clipped"), self.scale[live])
        ended = ~(norm > goal)
        found = batch_cg(
            batch,
            point,
            np.where(ended, 0.0, self.radius[live]),
            forcing=np.minimum(_FORCING, np.sqrt(norm / self.first_norm[live])),
            floor=_LAST_SHARE * goal,
            max_products=min(_LARGEST_CG, 10 + 2 * len(self.X)),
            metric=metric,
        )
        self.n_products[live] += found.n_products
        self.scale[live] = np.where(np.isfinite(found.scale), found.scale, self.scale[live])
        trial = self.X[:, live] + found.step
        values = batch.value(trial, mu)
        self.n_value[live] += 1
        ratio = np.divide(point.value - values, found.promised, out=np.zeros(len(live)), where=found.promised > 0.0)
        hidden = found.promised <= _HIDDEN * np.abs(point.value)
        accepted = (ratio > self.options.eta) & ~ended
        poor = ~(ratio >= _POOR) & ~ended
        self.radius[live[poor]] = _SHRINK * found.length[poor]
        good = (ratio > _GOOD) & found.is_on_boundary
        self.radius[live[good]] = np.minimum(_GROW * self.radius[live[good]], self.options.max_trust_radius)
        self.X[:, live[accepted]] = trial[:, accepted]
        self.values[live] = np.where(accepted, values, point.value)
        self.n_iter[live] += accepted
        self._advance(live, ended | hidden, point, metric)
        self._show()
        is_left = (self.smoothing[live] >= _LAST * self.first[live]) & (self.n_iter[live] < _SHARE * self.options.maxiter)
        return live[is_left]

    def _size_up(self, point: Any, live: Indices) -> None:
        """Size of the curvature along the gradient, where no step has met any yet."""
        unknown = np.flatnonzero(~(self.scale[live] > 0.0))
        if unknown.size:
            size = column_norms(point.gradient)
            unit = np.divide(point.gradient, size, out=np.zeros_like(point.gradient), where=size > 0.0)
            bend = np.abs(np.einsum("ij,ij->j", unit, point.hessp(unit)))
            self.scale[live[unknown]] = np.maximum(bend, np.finfo(float).tiny)[unknown]
            self.n_products[live] += 1

    def _advance(self, live: Indices, ended: NDArray[np.bool_], point: Any, metric: BatchMetric) -> None:
        """Begin the next stage of the problems whose last one has ended: units near their kinks follow the smoothing."""
        which = np.flatnonzero(ended)
        if not which.size:
            return
        columns = live[which]
        z, mu = point.z[:, which], self.smoothing[columns]
        kinks = point.kink_weights("clipped")
        if kinks is not None:
            pull = np.where(np.abs(z) < _NEAR * mu, kinks[:, which] * z, 0.0) * ((1.0 - _FACTOR) / self.scale[columns])
            guess = point.x[:, which] - metric.solve(self.batch.A1.T @ pull, which)
            part, smaller = self.batch.select(columns), _FACTOR * mu
            before, after = part.value(point.x[:, which], smaller), part.value(guess, smaller)
            self.X[:, columns] = np.where(after < before, guess, point.x[:, which])
            self.n_value[columns] += 2
        self.smoothing[columns] *= _FACTOR
        self.n_stages[columns] += 1
        self.first_norm[columns] = np.nan
        self.radius[columns] = np.maximum(self.radius[columns], _SMALLEST_RADIUS * self.first_radius[columns])

    def _show(self) -> None:
        if self.on_step is not None:
            try:
                self.on_step(self.X.copy(), self.values.copy())
            except StopIteration:
                self.stopped = True

    def _settle(self, j: int) -> ContinuationResult:
        """Newton steps on the kinks of one problem, and its certificate."""
        objective = self.batch.column(j)
        counts = int(self.n_iter[j]), int(self.n_value[j]), int(self.n_products[j])
        if self.stopped or counts[0] >= self.options.maxiter:
            x = self.X[:, j]
            certificate = certify_by_products(objective, x)
            value = float(objective.value(x))
            tail = int(self.n_stages[j]), 0, self.stopped, not self.stopped
            return ContinuationResult(x, value, certificate, counts[0], counts[1], 0, counts[2], *tail)
        pinned = identify(self.batch.A1 @ self.X[:, j], self.smoothing[j] / _FACTOR, self.norms, width=_WIDTH)
        manifold = manifold_newton if len(self.X) <= _LARGEST_DENSE else manifold_newton_cg
        run = manifold(objective, self.X[:, j], pinned, max_iter=self.options.maxiter - counts[0])
        found = ContinuationResult(
            run.x,
            run.value,
            run.certificate,
            counts[0] + run.n_iter,
            counts[1] + run.n_value,
            run.n_hessian,
            counts[2] + run.n_products,
            int(self.n_stages[j]),
            0,
            False,
            run.reason == "max_iter",
        )
        if not run.certificate.is_certified or run.value > self.start_values[j]:
            found = self._again(j, found)
        self.X[:, j], self.values[j] = found.x, found.value
        self._show()
        return replace(found, stopped=self.stopped)

    def _again(self, j: int, found: ContinuationResult) -> ContinuationResult:
        """A problem that did not end well, from its start and on its own."""
        left = replace(self.options, maxiter=self.options.maxiter - found.n_iter)
        alone = continuation(
            self.batch.column(j),
            self.start[:, j],
            options=left,
            newton=newton_cg,
            manifold=manifold_newton_cg,
            certificate=certify_by_products,
        )
        is_kept = found.value <= self.start_values[j] and found.certificate.is_certified >= alone.certificate.is_certified
        best = found if is_kept and found.value <= alone.value else alone
        return replace(
            best,
            n_iter=found.n_iter + alone.n_iter,
            n_value=found.n_value + alone.n_value,
            n_hessian=found.n_hessian + alone.n_hessian,
            n_products=found.n_products + alone.n_products,
            is_exhausted=alone.is_exhausted,
        )
