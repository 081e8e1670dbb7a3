"""The Lanczos process with full orthogonalisation, on several starting vectors at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal

from underdetermined._linalg import EPS
from underdetermined._validation import check_count, check_memory

FloatArray = NDArray[np.float64]

# A symmetric operator leaves nothing but rounding on the earlier vectors of its basis.
_ASYMMETRY = 1e-6


class LanczosProcess:
    """Tridiagonal matrices T = V.T K V of a symmetric operator K, one for each starting vector, grown step by step.

    Parameters
    ----------
    multiply : callable
        Columns of shape (n, k) to columns of shape (n, k); of norm about one at most.
    start : ndarray of shape (n, k)
        Starting vectors, of norm one.
    max_steps : int
        Largest number of steps.

    Attributes
    ----------
    order, steps : int
        Length n of the vectors, and steps taken.
    diagonal, off_diagonal : ndarray of shape (k, steps)
        Entries of T. The last off-diagonal one couples T with what it leaves out, and is 0.0 where that is nothing.
    """

    def __init__(self, multiply: Callable[[FloatArray], FloatArray], start: FloatArray, max_steps: int) -> None:
        n, k = start.shape
        check_memory(8 * n * k * max_steps, f"the Lanczos basis of {k} x {max_steps} vectors of length {n}")
        self._multiply = multiply
        self._basis = np.empty((k, max_steps, n))
        self._next = start.T
        self._coefficients = np.zeros((2, k, max_steps))
        self.order = n
        self.steps = 0

    @property
    def diagonal(self) -> FloatArray:
        """Diagonals of T."""
        return self._coefficients[0, :, : self.steps]

    @property
    def off_diagonal(self) -> FloatArray:
        """Diagonals next to them, and the coupling with the next vector."""
        return self._coefficients[1, :, : self.steps]

    @property
    def is_exhausted(self) -> bool:
        """Whether no vector is left to go on with."""
        return self.steps == self._basis.shape[1] or not self._next.any()

    def step(self) -> None:
        """Apply the operator once.

        Raises
        ------
        ValueError
            If the operator returns NaN or infinity, or shows that it is not symmetric.
        """
        j = self.steps
        self._basis[:, j] = self._next
        basis = self._basis[:, : j + 1]
        image = np.asarray(self._multiply(np.ascontiguousarray(self._next.T)), dtype=np.float64).T
        if not np.isfinite(image.sum()):
            raise ValueError("the operator produced NaN or infinity: reduce the scale of what it is built from")
        size = np.linalg.norm(image, axis=1).max()
        # Twice, because the first pass leaves the rounding of what it takes away.
        overlaps = np.zeros((len(basis), j + 1))
        for _ in range(2):
            part = basis @ image[:, :, np.newaxis]
            image = image - (basis.transpose(0, 2, 1) @ part)[:, :, 0]
            overlaps += part[:, :, 0]
        if np.abs(overlaps[:, : max(0, j - 1)]).max(initial=0.0) > _ASYMMETRY * max(size, np.abs(self._coefficients).max()):
            raise ValueError("the operator is not symmetric: pass a Gram matrix or an operator that acts like one")
        norm = np.linalg.norm(image, axis=1)
        scale = np.abs(self._coefficients[:, :, :j]).max(axis=(0, 2), initial=0.0)
        norm[norm <= EPS * np.maximum(scale, np.abs(overlaps[:, j]))] = 0.0
        self._coefficients[:, :, j] = overlaps[:, j], norm
        self.steps += 1
        self._next = np.divide(image, norm[:, np.newaxis], out=np.zeros_like(image), where=norm[:, np.newaxis] > 0.0)

    def ritz_vector(self, *, largest: bool) -> tuple[FloatArray, float]:
        """Unit vector that belongs to an extreme eigenvalue theta of the first T.

        Parameters
        ----------
        largest : bool
            Which end.

        Returns
        -------
        vector : ndarray of shape (n,)
            The Ritz vector u.
        residual : float
            Norm |K u - theta u|.
        """
        column = -1 if largest else 0
        coefficients = eigh_tridiagonal(self.diagonal[0], self.off_diagonal[0, :-1])[1][:, column]
        vector = coefficients @ self._basis[0, : self.steps]
        return vector / np.linalg.norm(vector), float(self.off_diagonal[0, -1] * abs(coefficients[-1]))


def random_directions(n: int, k: int, seed: int) -> FloatArray:
    """Draw independent directions, uniform on the sphere.

    Parameters
    ----------
    n, k : int
        Length and number of the vectors.
    seed : int
        Seed.

    Returns
    -------
    ndarray of shape (n, k)
        Columns of norm one; the first ones do not depend on k.
    """
    vectors = np.random.Generator(np.random.Philox(check_count(seed, "seed", low=0))).standard_normal((k, n)).T
    return vectors / np.linalg.norm(vectors, axis=0)


def as_unit_operator(
    multiply: Callable[[FloatArray], FloatArray], start: FloatArray
) -> tuple[Callable[[FloatArray], FloatArray], float]:
    """Scale an operator by a power of two such that its products with unit vectors neither overflow nor vanish.

    Parameters
    ----------
    multiply : callable
        Columns of shape (n, k) to columns of shape (n, k).
    start : ndarray of shape (n, k)
        Vectors of norm one, in general position.

    Returns
    -------
    scaled : callable
        The product divided by the scale.
    scale : float
        Power of two near the norm of the products with `start`; 1.0 for a zero operator.
    """
    size = float(np.abs(multiply(start)).max())
    if not np.isfinite(size):
        raise ValueError("the operator produced NaN or infinity: reduce the scale of what it is built from")
    scale = power_of_two(size)
    return lambda vectors: multiply(vectors) / scale, scale


def power_of_two(size: float) -> float:
    """Power of two near a magnitude, as a factor that rounds nothing.

    Parameters
    ----------
    size : float
        Magnitude.

    Returns
    -------
    float
        1.0 for zero; its inverse is a normal number.
    """
    return float(2.0 ** np.clip(np.frexp(size)[1], -1021, 1021)) if size > 0.0 else 1.0
