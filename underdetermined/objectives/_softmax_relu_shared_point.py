"""A shared softmax-ReLU objective at one point, worked out over blocks of inputs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined.objectives._loss import quiet
from underdetermined.objectives._softmax_relu_blocks import Block, block, in_order
from underdetermined.objectives._softmax_relu_memory import check_large, working_memory
from underdetermined.objectives._softmax_relu_terms import bend, curvature_weights, inner
from underdetermined.objectives._softmax_relu_units import units

FloatArray = NDArray[np.float64]


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
        layer = objective.layer(x)

        def task(group: list[slice]) -> list[Block]:
            return [block(objective, part, layer, smoothing, active) for part in group]

        self._groups: list[list[Block]] = in_order(task, objective.groups)
        self.loss: float = sum(sum(float(each.terms.value.sum()) for each in group) for group in self._groups)

    @property
    def _blocks(self) -> Iterator[Block]:
        return chain.from_iterable(self._groups)

    @cached_property
    def penalty(self) -> float:
        """The penalty reg |x|^2 / 2."""
        return self.objective.penalty(self.x)

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
        return np.concatenate([each.slopes.T.ravel() for each in self._blocks]).astype(np.float64, copy=False)

    @cached_property
    def fitted(self) -> FloatArray:
        """The fitted distributions, shape (N, m)."""
        return np.concatenate([each.terms.fitted.T for each in self._blocks])

    @cached_property
    def unit_slopes(self) -> FloatArray:
        """Derivatives of the loss by the hidden units, as `z`."""
        last = self.objective.A2

        def task(group: list[Block]) -> FloatArray:
            return np.concatenate([(each.terms.slopes.T @ last).ravel() for each in group])

        return np.concatenate(in_order(task, self._groups))

    @cached_property
    def gradient_of_penalty(self) -> FloatArray:
        """Gradient of the penalty alone."""
        return self.objective.reg * self.x

    @cached_property
    def gradient(self) -> FloatArray:
        """Gradient of the loss with the penalty."""
        last, inputs = self.objective.A2, self.objective.Phi

        def task(group: list[Block]) -> FloatArray:
            total = np.zeros((self.objective.width, self.objective.n_inputs))
            for each in group:
                (back,) = working_memory(each.slopes.shape)
                np.matmul(last.T, each.terms.slopes, out=back)
                back *= each.slopes
                total += back @ inputs[each.part]
            return total

        result = sum(in_order(task, self._groups)).ravel()
        return result + self.gradient_of_penalty if self.objective.reg else result

    @cached_property
    def _bends(self) -> dict[int, FloatArray]:
        """The weights rho'' r of the kinks by the first input of a block; none without smoothing."""
        last = self.objective.A2

        def task(group: list[Block]) -> list[tuple[int, FloatArray]]:
            return [
                (each.part.start, (last.T @ each.terms.slopes) * each.second) for each in group if each.second is not None
            ]

        return dict(chain.from_iterable(in_order(task, self._groups)))

    def curvature_weights(self, curvature: str = "exact") -> FloatArray:
        """Weights of the rows of `centred_jacobian` in the Hessian.

        Parameters
        ----------
        curvature : {"exact", "clipped", "gauss-newton"}, default="exact"
            p, max(p, 0), or the weights of the Gauss-Newton matrix, each times the weight of its input.

        Returns
        -------
        ndarray of shape (N m,)
        """
        return np.concatenate([self._weights_of(each, curvature).T.ravel() for each in self._blocks])

    def _weights_of(self, block: Block, curvature: str) -> FloatArray:
        weights = curvature_weights(block.terms, self.objective.loss, curvature)
        scale = self.objective.sample_weight
        return weights if scale is None else scale[block.part] * weights

    def centred_jacobian(self, basis: ArrayLike | None = None) -> FloatArray:
        """Derivatives of the logits, less their means under f, those of one input after the other.

        Parameters
        ----------
        basis : array_like of shape (n p, k) or None
            If given, the derivatives along its columns.

        Returns
        -------
        ndarray of shape (N m, n p) or (N m, k)

        Raises
        ------
        MemoryError
            If it does not fit.
        """
        objective, vectors = self.objective, self._basis(basis)
        shape = (objective.n_samples, objective.n_outputs, vectors.shape[1])
        check_large(shape[0] * shape[1], shape[2], "Jacobian")
        result = np.empty(shape)
        with quiet():
            for each in self._blocks:
                for index, column in enumerate(vectors.T):
                    step = objective.layer(column) @ objective.Phi[each.part].T
                    outputs = objective.A2 @ (each.slopes * step)
                    result[each.part, :, index] = (outputs - inner(each.terms.fitted, outputs)).T
        return result.reshape(-1, shape[2])

    def _basis(self, basis: ArrayLike | None) -> FloatArray:
        size = self.x.size
        vectors = np.eye(size) if basis is None else np.ascontiguousarray(basis, dtype=np.float64)
        if vectors.ndim != 2 or len(vectors) != size:
            raise ValueError(f"basis has shape {vectors.shape}: pass ({size}, k)")
        return vectors

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
        if not self._bends or curvature == "gauss-newton":
            return None
        result = np.concatenate([each.T.ravel() for each in self._bends.values()])
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
            result = np.empty(u.shape)
            for index, column in enumerate(u.T):
                result[:, index] = self.hessp(column, curvature)
            return result
        objective, last, inputs = self.objective, self.objective.A2, self.objective.Phi
        change = objective.layer(u)
        bends = {} if curvature == "gauss-newton" else self._bends

        def task(group: list[Block]) -> FloatArray:
            total = np.zeros(change.shape)
            for each in group:
                step, back, outputs = working_memory(each.slopes.shape, each.slopes.shape, each.terms.fitted.shape)
                np.matmul(change, inputs[each.part].T, out=step)
                np.multiply(step, each.slopes, out=back)
                np.matmul(last, back, out=outputs)
                np.matmul(last.T, bend(each.terms.fitted, self._weights_of(each, curvature), outputs), out=back)
                back *= each.slopes
                if bends:
                    kinks = bends[each.part.start]
                    step *= np.maximum(kinks, 0.0) if curvature == "clipped" else kinks
                    back += step
                total += back @ inputs[each.part]
            return total

        result = sum(in_order(task, self._groups)).ravel()
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
        n_columns = self.x.size if basis is None else np.shape(basis)[-1]
        check_large(self.x.size, n_columns, "product with the Hessian")
        vectors = self._basis(basis)
        product = self.hessp(vectors, curvature)
        result = product if basis is None else vectors.T @ product
        return 0.5 * (result + result.T)
