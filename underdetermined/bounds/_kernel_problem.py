"""A question about the smallest eigenvalue of a kernel matrix: rows, the matrix, and what rounding leaves of it."""

from __future__ import annotations

from functools import cached_property
from math import sqrt

import numpy as np
from numpy.linalg import eigvalsh  # SciPy's fails on some matrices with eigenvalues of high multiplicity
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.spatial.distance import cdist

from underdetermined._linalg import EPS, column_norms

FloatArray = NDArray[np.float64]

# Below, products of small numbers lose digits.
SMALLEST = 1e-280


class KernelProblem:
    """Rows and a kernel matrix of them, H; what every bound on its smallest eigenvalue is made from.

    A subclass has the attributes `inputs`, the rows (n, d), and `kernel`, H (n, n), and the properties below.
    """

    inputs: FloatArray
    kernel: FloatArray

    @property
    def kernel_name(self) -> str:
        """The kernel in words, after "of the"."""
        raise NotImplementedError

    @property
    def settings(self) -> str:
        """What the kernel depends on besides the rows, in words."""
        raise NotImplementedError

    @property
    def options(self) -> dict[str, float]:
        """The same as numbers, by name."""
        raise NotImplementedError

    @property
    def errors(self) -> FloatArray:
        """Bounds e (n,) of relative rounding errors: ``(e_i + e_j) sqrt(H_ii H_jj)`` for the entry (i, j) of the kernel."""
        raise NotImplementedError

    @property
    def n_rows(self) -> int:
        """Number of rows n."""
        return self.inputs.shape[0]

    @cached_property
    def norms(self) -> FloatArray:
        """Norms (n,) of the rows; no square overflows on the way."""
        return column_norms(self.inputs.T)

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
        if diagonal[row] < SMALLEST:
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
    def normalised(self) -> FloatArray:
        """The kernel (n, n) with rows and columns scaled to a unit diagonal; no diagonal entry may underflow."""
        roots = np.sqrt(self.kernel.diagonal())
        scaled = self.kernel / roots[:, np.newaxis] / roots
        np.fill_diagonal(scaled, 1.0)
        return scaled

    @cached_property
    def smallest(self) -> tuple[float, float]:
        """Smallest eigenvalue of the kernel as computed, and a bound of its rounding errors, with those of the entries."""
        diagonal = self.kernel.diagonal()
        if diagonal.min() < SMALLEST:
            return 0.0, float(diagonal.min())
        return smallest_scaled(self.normalised, np.sqrt(diagonal), self.errors)


def smallest_scaled(unit: FloatArray, roots: FloatArray, errors: FloatArray) -> tuple[float, float]:
    """Smallest eigenvalue of ``diag(roots) C diag(roots)``, and a bound of its rounding errors.

    Parameters
    ----------
    unit : ndarray of shape (n, n)
        C as computed, positive semi-definite with a unit diagonal.
    roots : ndarray of shape (n,)
        Positive.
    errors : ndarray of shape (n,)
        e: the entry (i, j) of C has an error of at most ``e_i + e_j``.

    Returns
    -------
    value, error : float

    Notes
    -----
    Where C is resolved, a relative perturbation of the entries moves every eigenvalue by that over lambda_min(C) at most,
    relative to itself, whatever the roots.
    """
    n, largest = roots.size, float(roots.max())
    values = eigvalsh(unit)
    error = n * EPS * float(values[-1]) + 2.0 * float(np.linalg.norm(errors)) * sqrt(n)
    if roots.min() == largest:
        return float(values[0] * largest**2), float(error * largest**2)
    if values[0] > 2.0 * error:
        # The inverse is W.T W with W = L^-1 diag(roots)^-1 and C = L L.T; the largest eigenvalue of that keeps its digits.
        peak = float(roots.min())
        factor = solve_triangular(cholesky(unit, lower=True), np.diag(peak / roots), lower=True)
        value = peak**2 / float(eigvalsh(factor.T @ factor)[-1])
        return value, value * error / float(values[0] - error)
    parts = roots / largest
    values = largest**2 * eigvalsh(unit * parts * parts[:, np.newaxis])
    entries = 2.0 * float(np.linalg.norm(errors * roots)) * float(np.linalg.norm(roots))
    return float(values[0]), n * EPS * float(values[-1]) + entries
