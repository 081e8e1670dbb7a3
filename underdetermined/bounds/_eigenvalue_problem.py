"""The data of a question about the smallest eigenvalue: rows, bias, and the bias-generalised tangent kernel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cholesky, eigvalsh, solve_triangular
from scipy.spatial.distance import cdist
from scipy.special import ndtr

from underdetermined._linalg import EPS, column_norms
from underdetermined._validation import check_matrix, check_memory, check_number
from underdetermined.kernels import bias_ntk

FloatArray = NDArray[np.float64]

# Relative error of an entry of the kernel far from any tail, in units of eps; its accuracy test asks for less.
_ENTRY_ERRORS = 64.0
# The kernel, six matrices of angles and thresholds, and what a bound needs besides, in n x n matrices.
_MATRICES = 20
# Below, products of small numbers lose digits; above, sums of large ones may overflow.
_SMALLEST, _LARGEST = 1e-280, 1e280


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
    def n_rows(self) -> int:
        """Number of rows n."""
        return self.inputs.shape[0]

    @cached_property
    def norms(self) -> FloatArray:
        """Norms (n,) of the rows; no square overflows on the way."""
        return column_norms(self.inputs.T)

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
    def flaw(self) -> str:
        """Why the smallest eigenvalue is zero or underflows, such as two equal rows; empty if nothing says so."""
        _, first, group = np.unique(self.inputs, axis=0, return_index=True, return_inverse=True)
        firsts = first[group.ravel()]
        copies = np.flatnonzero(firsts != np.arange(self.n_rows))
        diagonal = self.kernel.diagonal()
        if copies.size:
            return f"rows {firsts[copies[0]]} and {copies[0]} are equal"
        row = int(np.argmin(diagonal))
        if diagonal[row] < _SMALLEST:
            return f"row {row} of norm {self.norms[row]:.3g} has the kernel entry {diagonal[row]:.3g}"
        return ""

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

    @cached_property
    def normalised(self) -> FloatArray:
        """The kernel (n, n) with rows and columns scaled to a unit diagonal; no diagonal entry may underflow."""
        roots = np.sqrt(self.kernel.diagonal())
        scaled = self.kernel / roots[:, np.newaxis] / roots
        np.fill_diagonal(scaled, 1.0)
        return scaled

    @cached_property
    def smallest(self) -> tuple[float, float]:
        """Smallest eigenvalue of the kernel as computed, and a bound of its rounding errors, those of the entries included.

        Where the kernel of unit diagonal, C, is resolved, a relative perturbation of its entries moves every eigenvalue of H
        by that over lambda_min(C) at most, relative to itself, whatever the norms of the rows.
        """
        n, diagonal = self.n_rows, self.kernel.diagonal()
        if diagonal.min() < _SMALLEST:
            return 0.0, float(diagonal.min())
        roots = np.sqrt(diagonal)
        values = eigvalsh(self.normalised)
        error = n * EPS * float(values[-1]) + 2.0 * float(np.linalg.norm(self.errors)) * np.sqrt(n)
        if diagonal.min() == diagonal.max():
            return float(values[0] * diagonal[0]), float(error * diagonal[0])
        if values[0] > 2.0 * error:
            # H^-1 = W.T W with W = L^-1 S^-1 and C = L L.T; the largest eigenvalue of that keeps its digits.
            peak = float(roots.min())
            factor = solve_triangular(cholesky(self.normalised, lower=True), np.diag(peak / roots), lower=True)
            value = peak**2 / float(eigvalsh(factor.T @ factor, subset_by_index=[n - 1, n - 1])[0])
            return value, value * error / float(values[0] - error)
        entries = 2.0 * float(np.linalg.norm(self.errors * roots)) * float(np.linalg.norm(roots))
        largest = float(diagonal.max())
        values = largest * eigvalsh(self.kernel / largest)
        return float(values[0]), n * EPS * float(values[-1]) + entries
