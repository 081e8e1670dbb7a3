"""The spectrum of a Gram matrix: what is resolved of it, and how targets spread over its eigenvectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import LinAlgError, eigh

from underdetermined._linalg import EPS, rank_cutoff
from underdetermined._validation import check_finite, check_memory, check_symmetric, check_targets
from underdetermined.activations import Activation
from underdetermined.features import FeatureMap
from underdetermined.gram import gram_matrix
from underdetermined.kernels import nngp_kernel, ntk_kernel

FloatArray = NDArray[np.float64]

_KERNELS = {"nngp": nngp_kernel, "ntk": ntk_kernel}
# Sums over neurons carry rounding errors of their own into a Gram matrix, for few rows more than n eps: a negative
# eigenvalue up to this many cut-offs is put down to them and left unresolved, a larger one is not that of a Gram matrix.
_ROUNDING_CUTOFFS = 1000.0


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues, and eigenvectors where wanted, of a Gram matrix K = U diag(eigenvalues) U.T.

    An eigenvalue is resolved if it exceeds ``cutoff = n eps lambda_max``. The others are rounding errors: no property builds
    on them, and ``resolved`` has zeros in their place.

    Parameters
    ----------
    eigenvalues : ndarray of shape (n,)
        Descending, as computed; tiny negative ones are rounding errors.
    eigenvectors : ndarray of shape (n, n) or None, default=None
        Orthonormal columns U, in the same order.

    Raises
    ------
    ValueError
        If the eigenvalues are not finite and descending, or the eigenvectors do not have their number.

    Examples
    --------
    >>> from underdetermined.spectrum import Spectrum
    >>> Spectrum.from_gram([[2.0, 1.0], [1.0, 2.0]])
    Spectrum(largest=3, smallest=1, condition=3, 2 of 2 resolved)
    """

    eigenvalues: FloatArray
    eigenvectors: FloatArray | None = None

    def __post_init__(self) -> None:
        values = np.asarray(self.eigenvalues, dtype=np.float64)
        if values.ndim != 1 or values.size == 0:
            raise ValueError(f"eigenvalues have shape {values.shape}: pass a vector of at least one eigenvalue")
        check_finite(values, "eigenvalues")
        if (values[1:] > values[:-1]).any():
            raise ValueError("eigenvalues are not in descending order: sort them, and the eigenvectors with them")
        object.__setattr__(self, "eigenvalues", values)
        if self.eigenvectors is not None and np.shape(self.eigenvectors) != 2 * values.shape:
            raise ValueError(
                f"eigenvectors have shape {np.shape(self.eigenvectors)}: pass a column for each of {values.size} eigenvalues"
            )

    @property
    def n_rows(self) -> int:
        """Order n of the Gram matrix, the number of rows of the data."""
        return self.eigenvalues.size

    @property
    def largest(self) -> float:
        """Largest eigenvalue lambda_max; 0 at least."""
        return max(0.0, float(self.eigenvalues[0]))

    @property
    def cutoff(self) -> float:
        """Bound n eps lambda_max that a resolved eigenvalue exceeds."""
        return rank_cutoff((self.n_rows, self.n_rows)) * self.largest

    @property
    def rank(self) -> int:
        """Number of resolved eigenvalues."""
        return int(np.count_nonzero(self.eigenvalues > self.cutoff))

    @property
    def is_resolved(self) -> bool:
        """Whether every eigenvalue is resolved, so that the rank is n."""
        return self.rank == self.n_rows

    @property
    def smallest(self) -> float:
        """Smallest eigenvalue lambda_min; nan if it is not resolved."""
        return float(self.eigenvalues[-1]) if self.is_resolved else np.nan

    @property
    def condition(self) -> float:
        """Condition number lambda_max / lambda_min; inf if lambda_min is not resolved."""
        return self.largest / self.smallest if self.is_resolved else np.inf

    @property
    def resolved(self) -> FloatArray:
        """Eigenvalues with 0.0 in place of the unresolved ones, shape (n,): what dynamics may use."""
        return np.where(self.eigenvalues > self.cutoff, self.eigenvalues, 0.0)

    @property
    def trace(self) -> float:
        """Sum of the resolved eigenvalues, the trace up to n cut-offs; inf if it overflows."""
        with np.errstate(over="ignore"):
            return float(self.resolved.sum())

    @property
    def effective_rank(self) -> float:
        """Trace divided by the largest eigenvalue; 0 for a zero matrix."""
        return float(self._shares().sum())

    @property
    def entropy_rank(self) -> float:
        """Exponential of the entropy -sum p log p with p = eigenvalue / trace; 0 for a zero matrix."""
        shares = self._shares()
        shares = shares[shares > 0.0]
        if not shares.size:
            return 0.0
        p = shares / shares.sum()
        return float(np.exp(-(p @ np.log(p))))

    def _shares(self) -> FloatArray:
        """Resolved eigenvalues relative to the largest one, which cannot overflow in a sum."""
        return self.resolved / self.largest if self.largest > 0.0 else np.zeros(self.n_rows)

    def project(self, targets: ArrayLike) -> FloatArray:
        """Coefficients of targets in the eigenvectors, U.T Y.

        Parameters
        ----------
        targets : array_like of shape (n,) or (n, k)
            Targets Y, one row for each row of the Gram matrix.

        Returns
        -------
        ndarray of shape (n, k)
            One row for each eigenvalue, in the same order.

        Raises
        ------
        ValueError
            If the targets do not fit, or the eigenvectors were not computed.
        """
        if self.eigenvectors is None:
            raise ValueError("this Spectrum has no eigenvectors: build it with eigenvectors=True")
        return self.eigenvectors.T @ check_targets(targets, self.n_rows)

    def energy(self, targets: ArrayLike) -> FloatArray:
        """Fraction of the squared norm of targets along each eigenvector, |u_i.T Y|^2 / |Y|^2.

        Parameters
        ----------
        targets : array_like of shape (n,) or (n, k)
            Targets Y; not all zero.

        Returns
        -------
        ndarray of shape (n,)
            In the order of the eigenvalues; sums to one.

        Raises
        ------
        ValueError
            If the targets do not fit or are all zero, or the eigenvectors were not computed.
        """
        values = check_targets(targets, self.n_rows)
        size = np.abs(values).max()
        if size == 0.0:
            raise ValueError("targets are all zero, so that no fraction of them is defined: pass targets that are not")
        squares = (self.project(values / size) ** 2).sum(axis=1)
        return squares / squares.sum()

    def to_dict(self) -> dict[str, Any]:
        """Return what the spectrum says as numbers and lists that JSON can hold.

        Returns
        -------
        dict
            Keys ``n_rows``, ``rank``, ``is_resolved``, ``cutoff``, ``largest``, ``smallest`` and ``condition`` (None if not
            resolved), ``trace`` (None if it overflows), ``effective_rank``, ``entropy_rank`` and ``eigenvalues``.
        """
        return {
            "n_rows": self.n_rows,
            "rank": self.rank,
            "is_resolved": self.is_resolved,
            "cutoff": self.cutoff,
            "largest": self.largest,
            "smallest": self.smallest if self.is_resolved else None,
            "condition": self.condition if self.is_resolved else None,
            "trace": self.trace if np.isfinite(self.trace) else None,
            "effective_rank": self.effective_rank,
            "entropy_rank": self.entropy_rank,
            "eigenvalues": self.eigenvalues.tolist(),
        }

    def __repr__(self) -> str:
        """Summarise in one line."""
        return (
            f"Spectrum(largest={self.largest:.4g}, smallest={self.smallest:.4g}, condition={self.condition:.4g}, "
            f"{self.rank} of {self.n_rows} resolved)"
        )

    @classmethod
    def from_gram(cls, gram: ArrayLike, *, eigenvectors: bool = True) -> Spectrum:
        """Full eigendecomposition of a Gram matrix.

        Parameters
        ----------
        gram : array_like of shape (n, n)
            Symmetric positive semi-definite, both up to rounding. It is not written to, and only the lower triangle is used.
        eigenvectors : bool, default=True
            Whether to compute eigenvectors too.

        Returns
        -------
        Spectrum

        Raises
        ------
        ValueError
            If the matrix is not square, finite and symmetric, or has an eigenvalue that is too negative for rounding.
        MemoryError
            If the decomposition cannot fit; the message has the number of bytes.

        Notes
        -----
        About 4/3 n^3 flops for eigenvalues alone and 5 n^3 with eigenvectors; memory n^2 and 4 n^2 numbers. Every eigenvalue
        has an absolute error of about eps lambda_max. Entries in float32 are taken as exact; one that was summed in float32
        carries noise of about 1e-7 lambda_max, far above the cut-off.
        """
        checked = check_symmetric(gram, "gram")
        precision = float(np.finfo(checked.dtype).eps)
        copy = np.array(checked, dtype=np.float64, order="F")
        return decompose_lower(copy, eigenvectors=eigenvectors, precision=precision)

    @classmethod
    def from_kernel(
        cls,
        X: ArrayLike,
        *,
        activation: str | Activation | Callable[[np.ndarray], np.ndarray] = "relu",
        kind: str = "nngp",
        weight_scale: float = 1.0,
        bias_scale: float = 0.0,
        eigenvectors: bool = True,
    ) -> Spectrum:
        """Spectrum of the kernel of an infinitely wide network on given rows.

        Parameters
        ----------
        X : array_like of shape (n, d)
            Rows.
        activation : str, callable or Activation, default="relu"
            As `get_activation` takes it.
        kind : {"nngp", "ntk"}, default="nngp"
            Kernel of the last layer alone, or of both layers trained.
        weight_scale : float, default=1.0
            Standard deviation of the hidden weights.
        bias_scale : float, default=0.0
            Standard deviation of the biases; 0 means no biases.
        eigenvectors : bool, default=True
            Whether to compute eigenvectors too.

        Returns
        -------
        Spectrum

        Raises
        ------
        ValueError
            If an argument is out of range or an entry is not finite.
        MemoryError
            If the decomposition cannot fit.

        Notes
        -----
        n^2 d flops and the closed form or series of `nngp_kernel` and `ntk_kernel` besides the cost of `from_gram`.
        """
        if kind not in _KERNELS:
            raise ValueError(f"kind={kind!r} is not a kernel: pass one of {', '.join(map(repr, _KERNELS))}")
        kernel = _KERNELS[kind](X, activation=activation, weight_scale=weight_scale, bias_scale=bias_scale)
        # The transpose is the same matrix in the order that LAPACK overwrites.
        return decompose_lower(kernel.T, eigenvectors=eigenvectors)

    @classmethod
    def from_features(cls, feature_map: FeatureMap, X: Any, *, eigenvectors: bool = True) -> Spectrum:
        """Spectrum of the Gram matrix of hidden features of finite width.

        Parameters
        ----------
        feature_map : FeatureMap
            The hidden layer.
        X : {array_like, sparse array} of shape (n, n_inputs)
            Rows.
        eigenvectors : bool, default=True
            Whether to compute eigenvectors too.

        Returns
        -------
        Spectrum

        Raises
        ------
        ValueError
            If X does not fit or is not finite.
        MemoryError
            If the decomposition cannot fit.

        Notes
        -----
        n^2 m flops besides those of `from_gram`.
        """
        gram = gram_matrix(feature_map.operator(X))
        check_finite(gram, "the Gram matrix of the features")
        return decompose_lower(gram, eigenvectors=eigenvectors)


def decompose_lower(gram: FloatArray, *, eigenvectors: bool = True, precision: float | None = EPS) -> Spectrum:
    """Decompose a Gram matrix in place: its lower triangle is read, and everything is overwritten.

    Parameters
    ----------
    gram : ndarray of shape (n, n), Fortran order
        Gram matrix; the entries above the diagonal are ignored.
    eigenvectors : bool, default=True
        Whether to compute eigenvectors too.
    precision : float or None, default=2.2e-16
        Unit of rounding that the entries were summed in; it decides how negative an eigenvalue may be. None for what is a
        Gram matrix by construction, of which cancellation may have left rounding errors only.

    Returns
    -------
    Spectrum

    Raises
    ------
    ValueError
        If the matrix overflows, or has an eigenvalue that is too negative for rounding.
    MemoryError
        If the decomposition cannot fit.
    """
    n = gram.shape[0]
    check_memory(8 * n * n * (4 if eigenvectors else 1), f"the eigendecomposition of the {n} x {n} Gram matrix")
    try:
        if eigenvectors:
            values, vectors = eigh(gram, driver="evd", overwrite_a=True, check_finite=False)
        else:
            values, vectors = eigh(gram, driver="evr", eigvals_only=True, overwrite_a=True, check_finite=False), None
    except LinAlgError as error:
        raise ValueError("gram has entries too large to decompose: scale it down") from error
    if not np.isfinite(values).all():
        raise ValueError("gram has an eigenvalue that overflows: scale it down")
    if precision is not None and values[0] < -_ROUNDING_CUTOFFS * n * precision * max(values[-1], 0.0):
        raise ValueError(
            f"gram has the eigenvalue {values[0]:.3g} beside a largest one of {values[-1]:.3g}: it is not positive "
            "semi-definite, so it is not a Gram matrix; pass features times their transpose, or a kernel matrix"
        )
    return Spectrum(values[::-1].copy(), None if vectors is None else np.asfortranarray(vectors[:, ::-1]))
