"""Trust-region subproblems of many problems that share their layers, by conjugate gradients in matrix form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BatchMetric", "BatchStep", "batch_cg"]

FloatArray = NDArray[np.float64]
Indices = NDArray[np.intp]

# A unit enters the preconditioner where its kink adds this share of the other curvature; of one problem at most so many.
_SHARE, _LARGEST = 0.3, 200


@dataclass(frozen=True)
class BatchStep:
    """Approximate minimisers of the models of N problems.

    Attributes
    ----------
    step : ndarray of shape (D, N)
        Steps.
    length, promised : ndarray of shape (N,)
        Lengths in the norms of the metrics, and decreases of the models.
    is_on_boundary : ndarray of bool of shape (N,)
        Whether the radius ended the iteration.
    n_products : ndarray of shape (N,)
        Products with Hessians.
    scale : ndarray of shape (N,)
        Size of the curvature that the metric does not account for; nan without any.
    """

    step: FloatArray
    length: FloatArray
    promised: FloatArray
    is_on_boundary: NDArray[np.bool_]
    n_products: Indices
    scale: FloatArray


class BatchMetric:
    """M = I + A1.T diag(c_j) A1 for every problem j, c_j > 0 at the units near their kinks only.

    Parameters
    ----------
    A1 : ndarray or sparse array of shape (n, D)
        The hidden layer.
    gram : ndarray of shape (n, n)
        A1 A1.T.
    curvatures : ndarray of shape (n, N) or None
        Curvatures of the kinks, >= 0.
    scale : ndarray of shape (N,)
        Sizes > 0 of the other curvature: c is the quotient.

    Notes
    -----
    With the k units that matter most in any problem, 2 N k^3 flops once; two products with A1 and 2 N k^2 flops for a
    solution.
    """

    def __init__(self, A1: Any, gram: FloatArray, curvatures: FloatArray | None, scale: FloatArray) -> None:
        self._A1, self.scale = A1, scale
        curvatures = np.zeros((len(gram), len(scale))) if curvatures is None else curvatures / scale
        size = curvatures * np.einsum("ii->i", gram)[:, np.newaxis]
        is_near = size > _SHARE
        k = min(int(is_near.sum(axis=0).max(initial=0)), _LARGEST)
        self._units: Indices = np.argsort(-size, axis=0, kind="stable")[:k]
        columns = np.arange(len(scale))
        chosen = np.where(is_near[self._units, columns], curvatures[self._units, columns], 0.0)
        self._roots = np.sqrt(chosen)
        inner = gram[self._units.T[:, :, np.newaxis], self._units.T[:, np.newaxis, :]]
        inner *= self._roots.T[:, :, np.newaxis] * self._roots.T[:, np.newaxis, :]
        inner[:, np.arange(k), np.arange(k)] += 1.0
        self._inverses = np.linalg.inv(inner)

    def solve(self, vectors: FloatArray, columns: Indices) -> FloatArray:
        """Columns of M^-1 times vectors.

        Parameters
        ----------
        vectors : ndarray of shape (D, k)
            Vectors.
        columns : ndarray of shape (k,)
            The problems that they belong to.

        Returns
        -------
        ndarray of shape (D, k)
        """
        units, roots = self._units[:, columns], self._roots[:, columns]
        if not len(units):
            return vectors
        each = np.arange(len(columns))
        right = roots * (self._A1 @ vectors)[units, each]
        inner = np.matmul(self._inverses[columns], right.T[:, :, np.newaxis])[:, :, 0].T
        spread = np.zeros((self._A1.shape[0], len(columns)))
        spread[units, each] = roots * inner
        return vectors - self._A1.T @ spread


def batch_cg(
    batch: Any,
    point: Any,
    radius: FloatArray,
    *,
    forcing: FloatArray,
    floor: FloatArray,
    max_products: int,
    metric: BatchMetric,
) -> BatchStep:
    """Minimise the quadratic models of all problems within their radii, as `truncated_cg` does one.

    Problems that are done are left out once they are as many as the others.

    Parameters
    ----------
    batch : SoftmaxReLUBatch
        The problems.
    point : SoftmaxReLUBatchPoint
        Where.
    radius : ndarray of shape (N,)
        Largest lengths in the norms of the metrics.
    forcing, floor : ndarray of shape (N,)
        Relative residuals, in the dual norms of the metrics, and Euclidean ones, at which an iteration ends.
    max_products : int
        Largest number of products of one problem.
    metric : BatchMetric
        Preconditioners.

    Returns
    -------
    BatchStep
    """
    n_problems = len(radius)
    columns: Indices = np.arange(n_problems)
    part = point
    residual = point.gradient.copy()
    solved = metric.solve(residual, columns)
    direction, metric_direction = -solved, -residual
    step, metric_step = np.zeros_like(residual), np.zeros_like(residual)
    size = _inner(residual, solved)
    goal, squared, logs = forcing**2 * size, np.zeros(n_problems), np.zeros(n_problems)
    n_products, n_logs = np.zeros(n_problems, dtype=np.intp), np.zeros(n_problems, dtype=np.intp)
    on_boundary = np.zeros(n_problems, dtype=np.bool_)
    live = np.flatnonzero(size > 0.0)
    for _ in range(max_products):
        if not live.size:
            break
        if 2 * len(live) <= len(columns):
            columns, part = live, batch.select(live).at(point.x[:, live], point.smoothing[live])
        image = part.hessp(direction[:, columns])[:, np.searchsorted(columns, live)]
        n_products[live] += 1
        p, mp = direction[:, live], metric_direction[:, live]
        bend, long, plain, mixed = _inner(p, image), _inner(p, mp), _inner(p, p), _inner(step[:, live], mp)
        unknown = bend - metric.scale[live] * (long - plain)
        seen = unknown > 0.0
        logs[live[seen]] += np.log(unknown[seen] / plain[seen])
        n_logs[live[seen]] += 1
        length = np.divide(size[live], bend, out=np.full(len(live), np.inf), where=bend > 0.0)
        room = np.maximum(radius[live] ** 2 - squared[live], 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            outside = ~(length * (2.0 * mixed + length * long) < room)
        # The positive root, without cancellation: mixed >= 0 because the iterates grow.
        whole = mixed + np.sqrt(mixed * mixed + long * room)
        length = np.where(outside, np.divide(room, whole, out=np.zeros(len(live)), where=whole > 0.0), length)
        step[:, live] += length * p
        metric_step[:, live] += length * mp
        residual[:, live] += length * image
        squared[live] = _inner(step[:, live], metric_step[:, live])
        on_boundary[live] = outside
        solved = metric.solve(residual[:, live], live)
        after = _inner(residual[:, live], solved)
        ratio, size[live] = after / size[live], after
        direction[:, live] = ratio * p - solved
        metric_direction[:, live] = ratio * mp - residual[:, live]
        is_solved = (after <= goal[live]) | (np.linalg.norm(residual[:, live], axis=0) <= floor[live])
        live = live[~(outside | is_solved)]
    promised = -0.5 * _inner(step, point.gradient + residual)
    scale = np.exp(np.divide(logs, n_logs, out=np.full(n_problems, np.nan), where=n_logs > 0))
    return BatchStep(step, np.sqrt(np.maximum(squared, 0.0)), promised, on_boundary, n_products, scale)


def _inner(left: FloatArray, right: FloatArray) -> FloatArray:
    return np.einsum("ij,ij->j", left, right)
