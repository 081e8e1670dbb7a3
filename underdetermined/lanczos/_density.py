"""The spectral density of a Gram matrix by stochastic Lanczos quadrature, from products alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh_tridiagonal
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator

from underdetermined._linalg import rank_cutoff
from underdetermined._matrix import as_matrix
from underdetermined._validation import as_float, check_count, check_number, check_symmetric
from underdetermined.lanczos._process import LanczosProcess, as_unit_operator, power_of_two, random_directions

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SpectralDensity:
    """How the eigenvalues of a Gram matrix are distributed, as random probes see it.

    A probe v, a random direction, sees eigenvalue i with the weight (u_i.T v)^2, 1 / n on average. Kept here are the nodes
    and weights of its Gauss quadrature, which is exact for polynomials of degree below 2 n_steps.

    Parameters
    ----------
    nodes : ndarray of shape (n_probes, n_steps)
        Nodes of each probe, ascending.
    weights : ndarray of shape (n_probes, n_steps)
        Their weights, which sum to one for each probe.
    n_rows : int
        Order n of the matrix.
    """

    nodes: FloatArray
    weights: FloatArray
    n_rows: int

    @property
    def cutoff(self) -> float:
        """Bound n eps lambda_max that a resolved eigenvalue exceeds, with the largest node for lambda_max.

        ``cumulative(cutoff)`` estimates the fraction that is not resolved; few steps may not tell it from small eigenvalues,
        and then ``quadrature_error(cutoff)`` is large.
        """
        return rank_cutoff((self.n_rows, self.n_rows)) * max(0.0, float(self.nodes.max()))

    @property
    def trace(self) -> float:
        """Estimate of the trace."""
        return self.trace_of(lambda eigenvalues: eigenvalues)[0]

    @property
    def trace_error(self) -> float:
        """Standard error of the trace over the probes."""
        return self.trace_of(lambda eigenvalues: eigenvalues)[1]

    def trace_of(self, function: Callable[[FloatArray], FloatArray]) -> tuple[float, float]:
        """Estimate the trace of a function of the matrix, sum_i f(lambda_i).

        Parameters
        ----------
        function : callable
            Vectorised f: nodes of shape (k,) to values of shape (k,).

        Returns
        -------
        value : float
            n times the mean over the probes.
        standard_error : float
            Standard error of `value` over the probes; the error of the quadrature, if f is no polynomial, is not in it.

        Raises
        ------
        ValueError
            If f is not finite at a node; a logarithm is not at an eigenvalue that is zero up to rounding.
        """
        seen = self.weights > 0.0
        values = np.zeros_like(self.nodes)
        values[seen] = function(self.nodes[seen])
        if not np.isfinite(values).all():
            node = self.nodes[seen & ~np.isfinite(values)][0]
            raise ValueError(f"the function is not finite at the node {node:.3g}: restrict it to resolved eigenvalues")
        estimates = self.n_rows * (self.weights * values).sum(axis=1)
        return float(estimates.mean()), _standard_error(estimates)

    def cumulative(self, x: ArrayLike) -> FloatArray:
        """Estimate the fraction of eigenvalues <= x.

        Parameters
        ----------
        x : array_like of any shape
            Where.

        Returns
        -------
        ndarray, shape of x
            Increasing from 0 to 1; off by `quadrature_error` at most and by a few times `standard_error` together.
        """
        below, position = self._locate(x)
        return np.take_along_axis(below, position, axis=1).mean(axis=0).reshape(np.shape(x))

    def standard_error(self, x: ArrayLike) -> FloatArray:
        """Standard error of `cumulative` over the probes.

        Parameters
        ----------
        x : array_like of any shape
            Where.

        Returns
        -------
        ndarray, shape of x
        """
        below, position = self._locate(x)
        return np.asarray(_standard_error(np.take_along_axis(below, position, axis=1))).reshape(np.shape(x))

    def quadrature_error(self, x: ArrayLike) -> FloatArray:
        """Bound on what n_steps leave open of `cumulative`, whatever the probes are.

        Parameters
        ----------
        x : array_like of any shape
            Where.

        Returns
        -------
        ndarray, shape of x
            The larger weight of the two nodes around x, averaged over the probes.

        Notes
        -----
        By the inequalities of Chebyshev, Markov and Stieltjes the weights up to a node bound the fraction that a probe sees
        up to it, from above with the node and from below without.
        """
        _, position = self._locate(x)
        padded = np.pad(self.weights, ((0, 0), (1, 1)))
        around = [np.take_along_axis(padded, position + side, axis=1) for side in (0, 1)]
        return np.maximum(*around).mean(axis=0).reshape(np.shape(x))

    def density(self, grid: ArrayLike, *, width: float = 0.1) -> FloatArray:
        """Smoothed density of the eigenvalues per unit of log(eigenvalue).

        Parameters
        ----------
        grid : array_like of shape (n_points,)
            Where; > 0.
        width : float, default=0.1
            Standard deviation, in log(eigenvalue), of the Gaussian that takes the place of each node.

        Returns
        -------
        ndarray of shape (n_points,)
            Integrates over log(eigenvalue) to the fraction of positive nodes.

        Raises
        ------
        ValueError
            If a point or the width is not positive.
        """
        width = check_number(width, "width", low_open=True)
        points = np.asarray(as_float(grid, "grid"), dtype=np.float64)
        if not (points > 0.0).all() or not np.isfinite(points).all():
            raise ValueError("grid has points that are not positive and finite: the density is one of log(eigenvalue)")
        positive = self.nodes > 0.0
        distances = (np.log(points)[..., np.newaxis] - np.log(self.nodes[positive])) / width
        shares = self.weights[positive] / (len(self.nodes) * width * np.sqrt(2.0 * np.pi))
        return np.exp(-(distances**2) / 2.0) @ shares

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as numbers and lists.

        Returns
        -------
        dict
            Keys ``n_rows``, ``nodes``, ``weights``, ``trace``, ``trace_error`` and ``cutoff``.
        """
        return {
            "n_rows": self.n_rows,
            "nodes": self.nodes.tolist(),
            "weights": self.weights.tolist(),
            "trace": self.trace,
            "trace_error": self.trace_error,
            "cutoff": self.cutoff,
        }

    def __repr__(self) -> str:
        """Summarise in one line."""
        n_probes, n_steps = self.nodes.shape
        return (
            f"SpectralDensity(n_rows={self.n_rows}, n_probes={n_probes}, n_steps={n_steps}, trace={self.trace:.4g} +- "
            f"{self.trace_error:.2g})"
        )

    def _locate(self, x: ArrayLike) -> tuple[FloatArray, NDArray[np.intp]]:
        """Weight below each number of nodes, and the number of nodes up to each x, both by probe."""
        points = np.asarray(x, dtype=np.float64).reshape(-1)
        below = np.pad(np.cumsum(self.weights, axis=1), ((0, 0), (1, 0)))
        return below, np.stack([np.searchsorted(nodes, points, side="right") for nodes in self.nodes])


def spectral_density(gram: Any, *, n_probes: int = 10, n_steps: int = 80, seed: int = 0) -> SpectralDensity:
    """Estimate the distribution of the eigenvalues of a symmetric matrix or operator by stochastic Lanczos quadrature.

    The fraction of eigenvalues up to x is the mean over random directions v of sum_i (u_i.T v)^2 1[lambda_i <= x]. Lanczos
    steps from v give the Gauss quadrature of that measure: the eigenvalues of the tridiagonal matrix are the nodes, the
    squared first components of its eigenvectors the weights.

    Parameters
    ----------
    gram : array_like, sparse matrix or LinearOperator of shape (n, n)
        Gram matrix, such as `gram_operator` returns.
    n_probes : int, default=10
        Number of random directions, at least 2.
    n_steps : int, default=80
        Lanczos steps for each, at most n.
    seed : int, default=0
        Seed of the directions.

    Returns
    -------
    SpectralDensity

    Raises
    ------
    TypeError
        If a number has the wrong type.
    ValueError
        If the matrix is not square, finite and symmetric, or a number is out of range.
    MemoryError
        If the Lanczos bases, n n_probes n_steps numbers, cannot fit.

    Notes
    -----
    n_steps products with n_probes vectors at once, and 8 n n_probes n_steps^2 flops of orthogonalisation. The variance of a
    fraction over directions is at most 1 / (2 n n_probes), so that few probes are enough for large matrices.

    References
    ----------
    L. Lin, Y. Saad, C. Yang, "Approximating spectral densities of large matrices", SIAM Review 58 (2016), section 3.2.1.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.lanczos import spectral_density
    >>> density = spectral_density(np.diag([1.0, 2.0, 3.0, 4.0]), n_probes=1000)
    >>> bool(abs(density.cumulative(2.5) - 0.5) < 5 * density.standard_error(2.5))
    True
    """
    n_probes, n_steps = check_count(n_probes, "n_probes", low=2), check_count(n_steps, "n_steps")
    if not isinstance(gram, LinearOperator) and not issparse(gram):
        gram = check_symmetric(gram, "gram")
    matrix = as_matrix(gram, "gram")
    n = matrix.shape[0]
    if matrix.shape != (n, n):
        raise ValueError(f"gram has shape {matrix.shape}: pass a square symmetric matrix")
    start = random_directions(n, n_probes, seed)
    multiply, scale = as_unit_operator(matrix.matmat, start)
    process = LanczosProcess(multiply, start, min(n, n_steps))
    while not process.is_exhausted:
        process.step()
    pairs = [eigh_tridiagonal(d, e) for d, e in zip(process.diagonal, process.off_diagonal[:, :-1], strict=True)]
    nodes = scale * np.stack([values for values, _ in pairs])
    weights = np.stack([vectors[0] ** 2 for _, vectors in pairs])
    return SpectralDensity(nodes, weights / weights.sum(axis=1, keepdims=True), n)


def _standard_error(samples: FloatArray) -> Any:
    """Standard error of the mean over the first axis; squares of huge samples would overflow."""
    scale = power_of_two(float(np.abs(samples).max(initial=0.0)))
    return np.std(samples / scale, axis=0, ddof=1) * (scale / np.sqrt(len(samples)))
