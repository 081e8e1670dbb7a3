"""A softmax-ReLU objective at one point: value, gradient, and products with its Hessian."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined.objectives._loss import quiet
from underdetermined.objectives._softmax_relu_hessian import centred_jacobian, hessian
from underdetermined.objectives._softmax_relu_terms import bend, curvature_weights, terms
from underdetermined.objectives._softmax_relu_units import units

FloatArray = NDArray[np.float64]


class SoftmaxReLUBatchPoint:
    """Many problems, each at a point of its own; what does not depend on later questions is computed once.

    Parameters
    ----------
    objective : SoftmaxReLUBatch
        The problems.
    x : ndarray of shape (d, N)
        The points.
    smoothing : float or ndarray of shape (N,)
        mu.
    active : ndarray of bool of shape (n, N), or None
        The units that are linear; the others are 0.

    Attributes
    ----------
    z, hidden, slopes : ndarray of shape (n, N)
        Pre-activations, hidden units and their derivatives t.
    fitted : ndarray of shape (m, N)
        f.
    loss : ndarray of shape (N,)
        The losses without penalties.
    """

    def __init__(self, objective: Any, x: FloatArray, smoothing: Any, active: NDArray[np.bool_] | None) -> None:
        self.objective, self.x, self.smoothing = objective, x, smoothing
        with quiet():
            self.z = objective.A1 @ x
            self.hidden, slopes, self._second = units(self.z, smoothing, active)
            self.slopes = slopes.astype(np.float64, copy=False)
            self._terms = terms(objective.A2 @ self.hidden, objective.targets, objective.loss)
        self.loss, self.fitted = self._terms.value, self._terms.fitted
        self._weights: dict[str, Any] = {}

    @cached_property
    def penalty(self) -> Any:
        """The penalties: reg |x|^2 / 2 + |diag(w) A1 x|^2 / 2."""
        with quiet():
            result = self.objective.penalty(self.x, self.z)
        return result if self.x.ndim > 1 else float(result)

    @property
    def value(self) -> Any:
        """Losses with their penalties."""
        return self.loss + self.penalty

    @cached_property
    def unit_slopes(self) -> FloatArray:
        """Derivatives of the losses by the hidden units, r = A2^T q."""
        with quiet():
            return self.objective.A2.T @ self._terms.slopes

    @cached_property
    def gradient_of_penalty(self) -> FloatArray:
        """Gradients of the penalties alone."""
        with quiet():
            return self.objective.penalty_gradient(self.x, self.z)

    @cached_property
    def gradient(self) -> FloatArray:
        """Gradients A1^T (t r) of the losses, with those of the penalties."""
        with quiet():
            loss_gradient = self.objective.A1.T @ (self.slopes * self.unit_slopes)
            return loss_gradient + self.gradient_of_penalty if self.objective.is_penalized else loss_gradient

    def curvature_weights(self, curvature: str = "exact") -> FloatArray:
        """Weights of the centred rows of the Jacobian in the Hessian.

        Parameters
        ----------
        curvature : {"exact", "clipped", "gauss-newton"}, default="exact"
            p, max(p, 0), or the weights of the Gauss-Newton matrix.

        Returns
        -------
        ndarray of the shape of `fitted`
        """
        return curvature_weights(self._terms, self.objective.loss, curvature)

    def kink_weights(self, curvature: str = "exact") -> FloatArray | None:
        """Weights of the rows of A1 in the Hessian: those of the bend of the units, and of the penalty.

        Parameters
        ----------
        curvature : {"exact", "clipped", "gauss-newton"}, default="exact"
            rho'' r + w^2, with max(rho'' r, 0) for "clipped" and without it for "gauss-newton".

        Returns
        -------
        ndarray of the shape of `z`, or None where all are zero
        """
        squares = self.objective.squared_weights(self.z.ndim)
        if self._second is None or curvature == "gauss-newton":
            return squares
        with quiet():
            result = self._second * self.unit_slopes
        if curvature == "clipped":
            np.maximum(result, 0.0, out=result)
        return result if squares is None else result + squares

    def hessp(self, direction: ArrayLike, curvature: str = "exact") -> FloatArray:
        """Products of the Hessians with one direction each.

        Parameters
        ----------
        direction : array_like of shape (d, N)
            The directions.
        curvature : {"exact", "clipped", "gauss-newton"}, default="exact"
            The Hessian, or one of its positive semi-definite substitutes, as in `curvature_weights`.

        Returns
        -------
        ndarray of shape (d, N)

        Notes
        -----
        Two products with A1 and two with A2: 4 n (d + m) flops for each direction.
        """
        u = np.asarray(direction, dtype=np.float64)
        if u.shape[: self.x.ndim] != self.x.shape or u.ndim > 2:
            raise ValueError(f"direction has shape {u.shape}: pass {self.x.shape}, or one in each column")
        if curvature not in self._weights:
            self._weights[curvature] = self.curvature_weights(curvature), self.kink_weights(curvature)
        weights, kinks = self._weights[curvature]
        slopes, fitted, objective = self.slopes, self.fitted, self.objective
        if u.ndim > slopes.ndim:
            slopes, fitted, weights = slopes[:, np.newaxis], fitted[:, np.newaxis], weights[:, np.newaxis]
            kinks = None if kinks is None else kinks[:, np.newaxis]
        with quiet():
            change = objective.A1 @ u
            back = objective.A2.T @ bend(fitted, weights, objective.A2 @ (slopes * change))
            back *= slopes
            if kinks is not None:
                back += kinks * change
            result = objective.A1.T @ back
            return result + objective.reg * u if objective.reg else result


class SoftmaxReLUPoint(SoftmaxReLUBatchPoint):
    """One problem at one point; what does not depend on later questions is computed once.

    Parameters
    ----------
    objective : SoftmaxReLU
        The problem.
    x : ndarray of shape (d,)
        The point.
    smoothing : float
        mu.
    active : ndarray of bool of shape (n,), or None
        The units that are linear; the others are 0.

    Attributes
    ----------
    z, hidden, slopes : ndarray of shape (n,)
        Pre-activations, hidden units and their derivatives t.
    fitted : ndarray of shape (m,)
        f.
    loss : float
        The loss without penalties.
    """

    def __init__(self, objective: Any, x: FloatArray, smoothing: float, active: NDArray[np.bool_] | None) -> None:
        super().__init__(objective, x, smoothing, active)
        self.loss = float(self.loss)

    def hessian(self, curvature: str = "exact", basis: ArrayLike | None = None) -> FloatArray:
        """Hessian as a dense matrix, or its restriction to a subspace.

        Parameters
        ----------
        curvature : {"exact", "clipped", "gauss-newton"}, default="exact"
            The Hessian, or one of its positive semi-definite substitutes, as in `curvature_weights`.
        basis : array_like of shape (d, k) or None
            If given, basis^T H basis.

        Returns
        -------
        ndarray of shape (d, d) or (k, k), exactly symmetric

        Raises
        ------
        MemoryError
            If it, or the centred Jacobian, does not fit.

        Notes
        -----
        H = K_c^T diag(p) K_c + A1^T diag(rho'' r + w^2) A1 + reg I: one product A2 (t A1) and symmetric products, of the
        rows with weights of one sign each, about 2 m |S| d + (m + |kinks|) d^2 flops with |S| units that are not flat.
        """
        return hessian(self, self._basis(basis), curvature)

    def centred_jacobian(self, basis: ArrayLike | None = None) -> FloatArray:
        """Derivative of the logits, less its mean row under f: K_c = K - 1 (f^T K), K = A2 diag(t) A1.

        Parameters
        ----------
        basis : array_like of shape (d, k) or None
            If given, K_c basis.

        Returns
        -------
        ndarray of shape (m, d) or (m, k)

        Raises
        ------
        MemoryError
            If it does not fit.
        """
        return centred_jacobian(self, self._basis(basis))

    def _basis(self, basis: ArrayLike | None) -> FloatArray | None:
        if basis is None:
            return None
        # NumPy multiplies strided matrices without the BLAS.
        vectors = np.ascontiguousarray(basis, dtype=np.float64)
        if vectors.ndim != 2 or vectors.shape[0] != self.x.size:
            raise ValueError(f"basis has shape {vectors.shape}: pass ({self.x.size}, k)")
        return vectors
