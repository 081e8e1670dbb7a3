"""A shared softmax-ReLU objective at one point, worked out over blocks of inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._validation import check_memory
from underdetermined.blocks import run_tiles, slices
from underdetermined.objectives._loss import quiet
from underdetermined.objectives._softmax_relu_terms import Terms, bend, curvature_weights, terms
from underdetermined.objectives._softmax_relu_units import units

FloatArray = NDArray[np.float64]

# Columns of a dense Hessian that are formed at a time.
_COLUMNS = 256


@dataclass(frozen=True)
class _Block:
    """What is kept of one block of k inputs, one in each column."""

    terms: Terms
    slopes: FloatArray
    second: FloatArray | None


class SharedSoftmaxReLUPoint:
    """A `SharedSoftmaxReLU` at one point; what does not depend on later questions is computed once.

    Parameters
    ----------
    objective : SharedSoftmaxReLU
        The problem.
    x : ndarray of shape (n p,)
        The point.
    smoothing : float
        mu.
    active : ndarray of bool of shape (N n,), or None
        The units that are linear; the others are 0.

    Attributes
    ----------
    loss : float
        The loss without penalty.
    """

    def __init__(self, objective: Any, x: FloatArray, smoothing: float, active: NDArray[np.bool_] | None) -> None:
        self.objective, self.x, self.smoothing = objective, x, smoothing
        self._active = active
        masks = None if active is None else active.reshape(objective.n_samples, objective.width)
        weights = objective.layer(x)

        def block(part: slice) -> _Block:
            hidden = units(weights @ objective.Phi[part].T, smoothing, None if masks is None else masks[part].T)
            logits = objective.A2 @ hidden.hidden
            if objective.offset is not None:
                logits += objective.offset[:, np.newaxis]
            found = terms(logits, objective.columns[:, part], objective.loss)
            if objective.sample_weight is not None:
                scale = objective.sample_weight[part]
                found = Terms(scale * found.value, found.fitted, scale * found.slopes, scale * found.weights)
            return _Block(found, hidden.slopes, hidden.second)

        self._blocks = self._each(block)
        self.loss = float(sum(each.terms.value.sum() for each in self._blocks))

    def _each(self, task: Callable[..., Any]) -> list[Any]:
        """Results of a task for every block, in the order of the blocks whatever thread had which."""
        parts = self.objective.blocks
        results: list[Any] = [None] * len(parts)

        def run(index: int) -> None:
            # Each thread has a floating-point state of its own.
            with quiet():
                results[index] = task(parts[index])

        run_tiles(run, range(len(parts)))
        return results

    def _per_block(self, task: Callable[[slice, _Block], Any]) -> list[Any]:
        kept = dict(zip((part.start for part in self.objective.blocks), self._blocks, strict=True))
        return self._each(lambda part: task(part, kept[part.start]))

    @property
    def penalty(self) -> float:
        """The penalty reg |x|^2 / 2."""
        with quiet():
            return 0.5 * self.objective.reg * float(self.x @ self.x) if self.objective.reg else 0.0

    @property
    def value(self) -> float:
        """Sum of the losses, with the penalty."""
        return self.loss + self.penalty

    @cached_property
    def z(self) -> FloatArray:
        """Pre-activations, those of one input after the other."""
        with quiet():
            return self.objective.hidden(self.x)

    @cached_property
    def hidden(self) -> FloatArray:
        """Values of the hidden units, as `z`."""
        with quiet():
            return units(self.z, self.smoothing, self._active).hidden

    @cached_property
    def slopes(self) -> FloatArray:
        """Derivatives of the hidden units, as `z`."""
        return np.concatenate([each.slopes.T.ravel() for each in self._blocks])

    @cached_property
    def fitted(self) -> FloatArray:
        """The fitted distributions, shape (N, m)."""
        return np.concatenate([each.terms.fitted.T for each in self._blocks])

    @cached_property
    def unit_slopes(self) -> FloatArray:
        """Derivatives of the loss by the hidden units, as `z`."""
        last = self.objective.A2
        return np.concatenate(self._per_block(lambda part, each: (each.terms.slopes.T @ last).ravel()))

    @cached_property
    def gradient_of_penalty(self) -> FloatArray:
        """Gradient of the penalty alone."""
        return self.objective.reg * self.x

    @cached_property
    def gradient(self) -> FloatArray:
        """Gradient of the loss with the penalty."""
        last, inputs = self.objective.A2, self.objective.Phi

        def task(part: slice, each: _Block) -> FloatArray:
            return (each.slopes * (last.T @ each.terms.slopes)) @ inputs[part]

        result = sum(self._per_block(task)).ravel()
        return result + self.gradient_of_penalty if self.objective.reg else result

    @cached_property
    def _bends(self) -> list[FloatArray | None]:
        last = self.objective.A2

        def task(part: slice, each: _Block) -> FloatArray | None:
            return None if each.second is None else each.second * (last.T @ each.terms.slopes)

        return self._per_block(task)

    def kink_weights(self, curvature: str = "exact") -> FloatArray | None:
        """Weights of the normals of the kinks in the Hessian, those of the bend of the units.

        Parameters
        ----------
        curvature : {"exact", "clipped", "gauss-newton"}, default="exact"
            rho'' r, with max(rho'' r, 0) for "clipped" and none for "gauss-newton".

        Returns
        -------
        ndarray of shape (N n,), or None where all are zero
        """
        bends = [each for each in self._bends if each is not None]
        if not bends or curvature == "gauss-newton":
            return None
        result = np.concatenate([each.T.ravel() for each in bends])
        return np.maximum(result, 0.0) if curvature == "clipped" else result

    def hessp(self, direction: ArrayLike, curvature: str = "exact") -> FloatArray:
        """Product of the Hessian with one or several directions.

        Parameters
        ----------
        direction : array_like of shape (n p,) or (n p, k)
            The directions.
        curvature : {"exact", "clipped", "gauss-newton"}, default="exact"
            The Hessian, or a positive semi-definite substitute: its weights of one sign, or the Gauss-Newton matrix.

        Returns
        -------
        ndarray of the shape of `direction`

        Notes
        -----
        Four products of matrices, 4 N n (p + m) flops for each direction.
        """
        u = np.asarray(direction, dtype=np.float64)
        if u.ndim == 2:
            columns = [self.hessp(column, curvature) for column in np.ascontiguousarray(u.T)]
            return np.column_stack(columns) if columns else np.zeros(u.shape)
        objective, last, inputs = self.objective, self.objective.A2, self.objective.Phi
        change = objective.layer(u)
        bends = dict(zip((part.start for part in objective.blocks), self._bends, strict=True))

        def task(part: slice, each: _Block) -> FloatArray:
            step = change @ inputs[part].T
            weights = curvature_weights(each.terms, objective.loss, curvature)
            back = last.T @ bend(each.terms.fitted, weights, last @ (each.slopes * step))
            back *= each.slopes
            kinks = bends[part.start]
            if kinks is not None and curvature != "gauss-newton":
                step *= np.maximum(kinks, 0.0) if curvature == "clipped" else kinks
                back += step
            return back @ inputs[part]

        result = sum(self._per_block(task)).ravel()
        return result + objective.reg * u if objective.reg else result

    def hessian(self, curvature: str = "exact", basis: ArrayLike | None = None) -> FloatArray:
        """Hessian as a dense matrix, or its restriction to a subspace; for few parameters only.

        Parameters
        ----------
        curvature : {"exact", "clipped", "gauss-newton"}, default="exact"
            As in `hessp`.
        basis : array_like of shape (n p, k) or None
            If given, basis^T H basis.

        Returns
        -------
        ndarray of shape (n p, n p) or (k, k), exactly symmetric

        Raises
        ------
        MemoryError
            If it does not fit.

        Notes
        -----
        One product with the Hessian for each column.
        """
        size = self.x.size
        vectors = None if basis is None else np.asarray(basis, dtype=np.float64)
        if vectors is not None and (vectors.ndim != 2 or len(vectors) != size):
            raise ValueError(f"basis has shape {vectors.shape}: pass ({size}, k)")
        n_columns = size if vectors is None else vectors.shape[1]
        check_memory(16 * n_columns**2, f"the {n_columns} x {n_columns} Hessian")
        result = np.empty((n_columns, n_columns))
        for part in slices(n_columns, _COLUMNS):
            right = np.eye(size, part.stop - part.start, -part.start) if vectors is None else vectors[:, part]
            product = self.hessp(right, curvature)
            result[:, part] = product if vectors is None else vectors.T @ product
        return 0.5 * (result + result.T)
