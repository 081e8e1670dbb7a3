"""Rows and the tangent kernel of a wide network of exponentials, for bounds on the smallest eigenvalue."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist

from underdetermined._linalg import EPS
from underdetermined._validation import check_matrix, check_memory, check_number
from underdetermined.bounds._kernel_problem import FloatArray, KernelProblem
from underdetermined.kernels import exponential_ntk

# Relative error of an entry of the kernel, in units of eps, for an exponent of one and few columns.
_ENTRY_ERRORS = 64.0
# The kernel, matrices of angles and distances, and what a bound needs besides, in n x n matrices.
_MATRICES = 20
# Above, sums of large numbers may overflow.
_LARGEST = 1e280


@dataclass(frozen=True, eq=False)
class ExponentialProblem(KernelProblem):
    """Rows and the kernel ``H_ij = <x_i, x_j> exp(t^2 |x_i + x_j|^2 / 2)``.

    With ``a_i = t^2 |x_i|^2`` its diagonal is ``|x_i|^2 exp(2 a_i)``, and scaled to a unit diagonal it is the entrywise
    product of the cosines of the rows and of the Gaussian kernel ``exp(-t^2 |x_i - x_j|^2 / 2)``.

    Parameters
    ----------
    inputs : ndarray of shape (n, d)
        Rows, float64.
    weight_scale : float
        Standard deviation t of the hidden weights at the start.
    kernel : ndarray of shape (n, n)
        H.
    """

    inputs: FloatArray
    weight_scale: float
    kernel: FloatArray

    @classmethod
    def from_data(cls, X: ArrayLike, *, weight_scale: float = 1.0) -> ExponentialProblem:
        """Check the data and compute the kernel.

        Parameters
        ----------
        X : array_like of shape (n, d)
            Rows; integers and float32 are taken at face value, as float64.
        weight_scale : float, default=1.0
            Standard deviation t, positive.

        Returns
        -------
        ExponentialProblem

        Raises
        ------
        TypeError
            If X is sparse, or an argument is not a number where one is needed.
        ValueError
            If X is not a finite, non-empty matrix, or an option is out of range.
        OverflowError
            If the kernel has entries beyond 1e280.
        MemoryError
            If twenty n x n matrices do not fit.
        """
        rows = check_matrix(X, "X")
        scale = check_number(weight_scale, "weight_scale", low_open=True, high=1e150)
        n = rows.shape[0]
        check_memory(8 * _MATRICES * n * n, f"the kernel of {n} rows and the bounds on its smallest eigenvalue")
        inputs = np.array(rows, dtype=np.float64)
        inputs.flags.writeable = False
        kernel = exponential_ntk(inputs, weight_scale=scale)
        if kernel.diagonal().max() > _LARGEST:
            row = int(np.argmax(kernel.diagonal()))
            norm = float(np.linalg.norm(inputs[row]))
            raise OverflowError(
                f"the kernel has the entry {kernel[row, row]:.3g} on row {row} of X, whose norm is {norm:.3g}, and sums of "
                f"such overflow: multiply the rows by {1.0 / norm:.3g}, for a norm of 1, or lower weight_scale"
            )
        return cls(inputs, scale, kernel)

    @property
    def kernel_name(self) -> str:
        """The kernel in words, after "of the"."""
        return "tangent kernel of exponentials"

    @property
    def settings(self) -> str:
        """Weight scale in words."""
        return f"weight scale {self.weight_scale:.3g}"

    @property
    def options(self) -> dict[str, float]:
        """Weight scale by name."""
        return {"weight_scale": self.weight_scale}

    @cached_property
    def growth(self) -> FloatArray:
        """Exponents ``a = t^2 |x|^2`` (n,), half of those on the diagonal."""
        return (self.weight_scale * self.norms) ** 2

    @cached_property
    def errors(self) -> FloatArray:
        """Bounds e (n,) of relative rounding errors: ``(e_i + e_j) sqrt(H_ii H_jj)`` for the entry (i, j) of the kernel."""
        # Sums of d products have errors of d roundings, and so have the exponents, relative to the two a.
        return (_ENTRY_ERRORS + 2.0 * self.inputs.shape[1]) * EPS * (1.0 + self.growth)

    @cached_property
    def gaussian(self) -> FloatArray:
        """Gaussian kernel (n, n) of the rows, ``exp(-t^2 |x_i - x_j|^2 / 2)``; entries have errors of `angle_error`."""
        with np.errstate(under="ignore"):
            return np.exp(-0.5 * self.weight_scale**2 * cdist(self.inputs, self.inputs, "sqeuclidean"))
