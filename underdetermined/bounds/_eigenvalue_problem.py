"""The data of a question about the smallest eigenvalue: rows, bias, and the bias-generalised tangent kernel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigvalsh
from scipy.spatial.distance import cdist
from scipy.special import ndtr

from underdetermined._linalg import EPS
from underdetermined._validation import check_matrix, check_memory, check_number
from underdetermined.kernels import bias_ntk

FloatArray = NDArray[np.float64]

# Relative error of an entry of the kernel far from any tail, in units of eps; its accuracy test asks for less.
_ENTRY_ERRORS = 64.0
# The kernel, four matrices of angles and thresholds, and what a bound needs besides, in n x n matrices.
_MATRICES = 12


@dataclass(frozen=True, eq=False)
class EigenvalueProblem:
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
            If the kernel overflows.
        MemoryError
            If twelve n x n matrices do not fit; the message has the number of bytes.

        Notes
        -----
        The cost is that of `underdetermined.kernels.bias_ntk`.

        References
        ----------
        :ref:`Sparse networks <theory-sparse-relu>`, limit kernels.

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
        return cls(inputs, threshold, scale, bias_ntk(inputs, bias=threshold, bias_scale=scale))

    @property
    def n_rows(self) -> int:
        """Number of rows n."""
        return self.inputs.shape[0]

    @cached_property
    def norms(self) -> FloatArray:
        """Norms (n,) of the rows; no square overflows on the way."""
        peaks = np.abs(self.inputs).max(axis=1)
        return peaks * np.linalg.norm(self.inputs / np.where(peaks > 0.0, peaks, 1.0)[:, np.newaxis], axis=1)

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
    def is_singular(self) -> bool:
        """Whether a row of zeros or two equal rows make the smallest eigenvalue exactly zero."""
        # Adding zero turns -0.0 into 0.0.
        distinct = np.unique(self.inputs + 0.0, axis=0)
        return distinct.shape[0] < self.n_rows or not self.norms.all()

    @property
    def angle_error(self) -> float:
        """Bound of the rounding errors in a chord between two unit vectors."""
        return (3.0 * self.inputs.shape[1] + 16.0) * EPS

    @cached_property
    def chords(self) -> tuple[FloatArray, FloatArray]:
        """Distances (n, n) of the directions of the rows, and of each from the opposites; no row may be zero."""
        directions = self.inputs / np.abs(self.inputs).max(axis=1, keepdims=True)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        return cdist(directions, directions), cdist(directions, -directions)

    @cached_property
    def separations(self) -> FloatArray:
        """Distances (n, n) of the lines through the rows, the smaller chord; ``|rho| = 1 - separation^2 / 2``."""
        return np.minimum(*self.chords)

    @cached_property
    def cosines(self) -> FloatArray:
        """Cosines rho (n, n) of the angles between rows, accurate as distances from the nearer of 1 and -1."""
        near, far = self.chords
        return np.where(near <= far, 1.0 - near**2 / 2.0, far**2 / 2.0 - 1.0)

    @cached_property
    def offsets(self) -> FloatArray:
        """Matrix ``h_j - rho_ij h_i``: how far the threshold of row j lies from its mean where row i is at its own."""
        near, far = self.chords
        own, other = self.thresholds[:, np.newaxis], self.thresholds
        return np.where(near <= far, (other - own) + own * near**2 / 2.0, (other + own) - own * far**2 / 2.0)

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

    @cached_property
    def spectrum(self) -> FloatArray:
        """Eigenvalues (n,) of the kernel, ascending."""
        peak = float(np.abs(self.kernel).max())
        return eigvalsh(self.kernel / peak) * peak if peak > 0.0 else np.zeros(self.n_rows)

    @cached_property
    def rounding(self) -> float:
        """Bound of the rounding errors in an eigenvalue of the kernel, those of its entries included."""
        roots = np.sqrt(self.kernel.diagonal())
        entries = 2.0 * float(np.linalg.norm(self.errors * roots)) * float(np.linalg.norm(roots))
        return self.n_rows * EPS * float(self.spectrum[-1]) + entries
