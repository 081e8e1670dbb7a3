"""What is measured of one random network, and whether a stated event holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

from underdetermined._linalg import cholesky_in_place, rank_cutoff
from underdetermined._validation import check_targets
from underdetermined.bounds import WidthProblem
from underdetermined.empirical_width._neurons import NestedGram, Neurons

FloatArray = NDArray[np.float64]

# A Gram matrix decides about eigenvalues above so many cut-offs n eps lambda_max; below, rounding of the squares is felt,
# and the singular values of the features decide.
_SAFE_CUTOFFS = 1000.0


@dataclass(frozen=True, eq=False)
class Network:
    """One random network with its nested Gram matrices.

    Parameters
    ----------
    neurons : Neurons
        The network of one seed.
    nested : NestedGram
        Its Gram matrices.
    """

    neurons: Neurons
    nested: NestedGram

    @classmethod
    def build(cls, problem: WidthProblem, seed: int, *, is_kept: bool) -> Network:
        """Make the network of one seed.

        Parameters
        ----------
        problem : WidthProblem
            Rows, activation and scales.
        seed : int
            Seed of `sample_gaussian`.
        is_kept : bool
            Whether to keep the sum over narrower networks.

        Returns
        -------
        Network
        """
        neurons = Neurons(problem, seed)
        return cls(neurons, NestedGram(neurons, is_kept=is_kept))

    def eigenvalues(self, width: int) -> FloatArray:
        """Find the r largest eigenvalues of G = (1/m) sum a_j a_j^T, with 0 for those beyond the numerical rank.

        Parameters
        ----------
        width : int
            Number of neurons m.

        Returns
        -------
        ndarray of shape (r,)
            Descending. The numerical rank is that of the features: singular values above max(n, m) eps times the largest.
        """
        problem = self.neurons.problem
        r, n = problem.rank, problem.n_rows
        if width >= r > 0:
            values = np.asarray(np.linalg.eigvalsh(self.nested.gram(width), UPLO="L")[::-1], dtype=np.float64)
            if values[r - 1] > _SAFE_CUTOFFS * rank_cutoff((n, n)) * values[0]:
                return values[:r]
        singular = np.asarray(np.linalg.svd(self.neurons.factor(width), compute_uv=False)[:r], dtype=np.float64)
        singular[singular <= rank_cutoff((n, width)) * singular.max(initial=0.0)] = 0.0
        return np.pad(singular**2 / width, (0, r - singular.size))

    def is_above(self, width: int, shift: float | None = None) -> bool | None:
        """Whether every eigenvalue of G is above a number, by one Cholesky factor.

        Parameters
        ----------
        width : int
            Number of neurons m, at least n.
        shift : float or None, default=None
            The number; None means what is safely above rounding.

        Returns
        -------
        bool or None
            None where rounding does not let it decide.
        """
        gram = self.nested.gram(width)
        diagonal = np.einsum("ii->i", gram)
        safe = _SAFE_CUTOFFS * rank_cutoff(gram.shape) * float(diagonal.sum())
        if shift is not None and shift < safe:
            return None
        diagonal -= safe if shift is None else shift
        is_positive = cholesky_in_place(gram) is not None
        return is_positive if shift is not None or is_positive else None

    def residual(self, width: int, targets: FloatArray) -> float:
        """Norm of what least squares with these features leaves of targets.

        Parameters
        ----------
        width : int
            Number of neurons m.
        targets : ndarray of shape (n, k)
            Targets.

        Returns
        -------
        float
        """
        factor = self.neurons.factor(width)
        # A pivoted QR shows the range for a fraction of the cost of singular vectors.
        left, triangle, _ = qr(factor, mode="economic", pivoting=True, check_finite=False)
        sizes = np.abs(np.diag(triangle))
        basis = left[:, sizes > rank_cutoff((len(factor), width)) * sizes.max()]
        return float(np.linalg.norm(targets - basis @ (basis.T @ targets)))


def attainable_part(problem: WidthProblem, targets: object) -> FloatArray:
    """Attainable part of targets, relative to the norm of the targets.

    Parameters
    ----------
    problem : WidthProblem
        The rows.
    targets : array_like of shape (n,) or (n, k)
        Targets, not all zero.

    Returns
    -------
    ndarray of shape (n, k)
    """
    values = check_targets(targets, problem.n_rows)  # type: ignore[arg-type]
    size = float(np.abs(values).max())
    if size == 0.0:
        raise ValueError("targets are all zero, so that no relative residual is defined: pass targets that are not")
    values = values / size
    values = values / np.linalg.norm(values)
    return values - problem.attainability.unattainable_part(values)


@dataclass(frozen=True, eq=False)
class Event:
    """An event that either holds for a network of some width or does not.

    Parameters
    ----------
    name : {"rank", "spectrum", "condition", "residual"}
        Which one.
    threshold : float
        epsilon, condition number or rtol.
    targets : ndarray of shape (n, k) or None
        What `attainable_part` returned, for "residual".
    """

    name: str
    threshold: float
    targets: FloatArray | None

    def holds(self, network: Network, width: int) -> bool:
        """Whether the event holds for the first neurons of a network.

        Parameters
        ----------
        network : Network
            The network.
        width : int
            Number of neurons m.

        Returns
        -------
        bool
        """
        problem = network.neurons.problem
        r = problem.rank
        if r == 0:
            return True
        if width < r and self.targets is None:
            return False
        if width >= r == problem.n_rows:
            known = self._by_cholesky(network, width)
            if known is not None:
                return known
        if self.targets is not None:
            return network.residual(width, self.targets) <= self.threshold
        values = network.eigenvalues(width)
        if values[-1] == 0.0:
            return False
        if self.name == "spectrum":
            return bool(values[-1] >= (1.0 - self.threshold) * problem.spectrum.eigenvalues[r - 1])
        return self.name == "rank" or bool(values[0] <= self.threshold * values[-1])

    def _by_cholesky(self, network: Network, width: int) -> bool | None:
        """Decide by a factorisation, which costs a tenth of an eigendecomposition; None where it does not decide."""
        problem = network.neurons.problem
        if self.name == "spectrum":
            return network.is_above(width, (1.0 - self.threshold) * float(problem.spectrum.eigenvalues[-1]))
        # Full rank safely above rounding leaves a residual of rounding errors only.
        if self.name == "rank" or (
            self.name == "residual" and self.threshold >= _SAFE_CUTOFFS * rank_cutoff((width, width))
        ):
            return network.is_above(width)
        return None
