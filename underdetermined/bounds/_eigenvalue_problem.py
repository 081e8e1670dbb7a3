"""The data of a question about the smallest eigenvalue: rows, bias, and the bias-generalised tangent kernel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from underdetermined._linalg import EPS
from underdetermined._validation import check_matrix, check_memory, check_number
from underdetermined.bounds._kernel_problem import FloatArray, KernelProblem
from underdetermined.kernels import bias_ntk

# Relative error of an entry of the kernel far from any tail, in units of eps; its accuracy test asks for less.
_ENTRY_ERRORS = 64.0
# The kernel, six matrices of angles and thresholds, and what a bound needs besides, in n x n matrices.
_MATRICES = 20
# Above, sums of large numbers may overflow.
_LARGEST = 1e280


@dataclass(frozen=True, eq=False)
class EigenvalueProblem(KernelProblem):
    """Rows, bias and bias scale of a wide network whose biases start at ``-bias``, with its tangent kernel H.

    Write ``r_i`` for the norm of row i, ``h_i = bias / r_i`` for the threshold that a neuron has to exceed along it, rho for
    the cosine of two rows and ``N_i^2 = r_i^2 + bias_scale^2``. Then
    ``H_ij = (<x_i, x_j> + bias_scale^2) P[U >= h_i, V >= h_j]`` with U and V standard normal of correlation rho, and
    ``H_ii = N_i^2 Q(h_i)``, Q the upper tail of the normal law.

    Parameters
    ----------
    inputs : ndarray of shape (n, d)
        Rows, float64.
    bias : float
        Threshold B at the start, at least 0.
    bias_scale : float
        Square root of the learning rate of the biases over that of the weights; 0 means that they are not trained.
    kernel : ndarray of shape (n, n)
        H.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.bounds import EigenvalueProblem
    >>> problem = EigenvalueProblem.from_data(np.eye(3), bias=0.0)
    >>> problem.kernel.round(6)
    array([[1.  , 0.25, 0.25],
           [0.25, 1.  , 0.25],
           [0.25, 0.25, 1.  ]])
    """

    inputs: FloatArray
    bias: float
    bias_scale: float
    kernel: FloatArray

    @classmethod
    def from_data(cls, X: ArrayLike, *, bias: float, bias_scale: float = 1.0) -> EigenvalueProblem:
        """Check the data and compute the kernel.

        Parameters
        ----------
        X : array_like of shape (n, d)
            Rows of any norm; integers and float32 are taken at face value, as float64.
        bias : float
            Threshold B at the start, at least 0.
        bias_scale : float, default=1.0
            Square root of the learning rate of the biases over that of the weights, at least 0; 0 means that they are not
            trained.

        Returns
        -------
        EigenvalueProblem

        Raises
        ------
        TypeError
            If X is sparse, or an argument is not a number where one is needed.
        ValueError
            If X is not a finite, non-empty matrix, or an option is out of range.
        OverflowError
            If the kernel has entries beyond 1e280.
        MemoryError
            If twenty n x n matrices do not fit; the message has the number of bytes.

        Notes
        -----
        The cost is that of `underdetermined.kernels.bias_ntk`.

        References
        ----------
        :ref:`theory-orthant`.

        Examples
        --------
        >>> from underdetermined.bounds import EigenvalueProblem
        >>> EigenvalueProblem.from_data([[3.0, 4.0], [0.0, 2.0]], bias=1.0).thresholds
        array([0.2, 0.5])
        """
        rows = check_matrix(X, "X")
        threshold = check_number(bias, "bias")
        scale = check_number(bias_scale, "bias_scale")
        n = rows.shape[0]
        check_memory(8 * _MATRICES * n * n, f"the kernel of {n} rows and the bounds on its smallest eigenvalue")
        inputs = np.array(rows, dtype=np.float64)
        inputs.flags.writeable = False
        kernel = bias_ntk(inputs, bias=threshold, bias_scale=scale)
        if kernel.diagonal().max() > _LARGEST:
            raise OverflowError(
                f"the kernel has the entry {kernel.diagonal().max():.3g}, and sums of such overflow: scale X, bias and "
                "bias_scale down by one factor, whose square the eigenvalues are scaled by"
            )
        return cls(inputs, threshold, scale, kernel)

    @property
    def kernel_name(self) -> str:
        """The kernel in words, after "of the"."""
        return "bias-generalised tangent kernel"

    @property
    def settings(self) -> str:
        """Bias and bias scale in words."""
        biases = f"bias scale {self.bias_scale:.3g}" if self.bias_scale else "biases not trained"
        return f"bias {self.bias:.3g}, {biases}"

    @property
    def options(self) -> dict[str, float]:
        """Bias and bias scale by name."""
        return {"bias": self.bias, "bias_scale": self.bias_scale}

    @cached_property
    def thresholds(self) -> FloatArray:
        """Thresholds h (n,) of the neurons along the rows; inf for a row of zeros, which no neuron sees."""
        with np.errstate(over="ignore"):
            return np.divide(self.bias, self.norms, out=np.full(self.n_rows, np.inf), where=self.norms > 0.0)

    @cached_property
    def squares(self) -> FloatArray:
        """Squared norms N^2 (n,) of the rows with ``bias_scale`` as one more input."""
        return self.norms**2 + self.bias_scale**2

    @cached_property
    def offsets(self) -> FloatArray:
        """Matrix ``h_j - rho_ij h_i``: how far the threshold of row j lies from its mean where row i is at its own."""
        own, other = self.thresholds[:, np.newaxis], self.thresholds
        # Nothing cancels between close rows in this form of h_j - rho_ij h_i.
        return (other - own) + own * self.chords[0] ** 2 / 2.0

    @cached_property
    def errors(self) -> FloatArray:
        """Bounds e (n,) of relative rounding errors: ``(e_i + e_j) sqrt(H_ii H_jj)`` for the entry (i, j) of the kernel."""
        unit = (_ENTRY_ERRORS + 2.0 * self.inputs.shape[1]) * EPS
        # A finite threshold beyond 40 underflows, and with it every entry of its row.
        return unit * (1.0 + np.minimum(self.thresholds, 40.0) ** 2 / 2.0)

    @cached_property
    def tails(self) -> FloatArray:
        """Chance Q(h) (n,) that a neuron fires on a row."""
        return ndtr(-self.thresholds)
