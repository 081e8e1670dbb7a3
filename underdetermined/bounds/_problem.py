"""The data of a question about the width: rows, activation, scales, and the spectrum of the infinite-width kernel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse

from underdetermined._linalg import EPS
from underdetermined._validation import check_matrix, check_memory, check_number
from underdetermined.activations import Activation, get_activation
from underdetermined.attainability import Attainability, attainable_rank
from underdetermined.bounds._majorant import diagonal_majorants
from underdetermined.kernels import nngp_kernel
from underdetermined.spectrum import Spectrum, decompose_lower

FloatArray = NDArray[np.float64]

# Below, the cut-off n eps lambda_max is not a normal number any more, and it would let rounding errors pass.
_SMALLEST_KERNEL = 1e-280
# The kernel, its decomposition and its pseudo-inverse, in n x n matrices.
_MATRICES = 6
# Errors of the entries of K in units of eps: those without a closed form have been seen to reach 12.
_ENTRY_ERRORS = 32.0


@dataclass(frozen=True, eq=False)
class WidthProblem:
    """Rows, activation and scales of a random hidden layer, with the spectrum of its infinite-width kernel K.

    The random vector a of the features of one neuron on the n rows has ``E[a a.T] = K`` and lies in the range V of K, whose
    dimension is the attainable rank r. Everything on widths follows from the smallest positive eigenvalue lambda of K and
    from the leverage ``a.T K^+ a``, whose mean is r.

    Parameters
    ----------
    inputs : ndarray of shape (n, d)
        Rows, float64.
    activation : Activation
        The activation.
    weight_scale : float
        Standard deviation of the hidden weights.
    bias_scale : float
        Standard deviation of the biases; 0 means no biases.
    attainability : Attainability
        What can be fitted at any width, from `attainable_rank`.
    spectrum : Spectrum
        Of K, with eigenvectors.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.bounds import WidthProblem
    >>> problem = WidthProblem.from_data(np.eye(3), activation="erf")
    >>> problem.rank, problem.is_resolved
    (3, True)
    """

    inputs: FloatArray
    activation: Activation
    weight_scale: float
    bias_scale: float
    attainability: Attainability
    spectrum: Spectrum

    @classmethod
    def from_data(
        cls,
        X: ArrayLike,
        *,
        activation: str | Activation | Callable[[np.ndarray], np.ndarray] = "relu",
        weight_scale: float | str = "auto",
        bias_scale: float = 1.0,
    ) -> WidthProblem:
        """Compute the kernel of the rows, its spectrum and the attainable rank.

        Parameters
        ----------
        X : array_like of shape (n, d)
            Rows; integers and float32 are taken at face value, as float64.
        activation : str, callable or Activation, default="relu"
            As `get_activation` takes it.
        weight_scale : float or "auto", default="auto"
            Standard deviation of the hidden weights, positive; "auto" is ``1 / sqrt(d)``.
        bias_scale : float, default=1.0
            Standard deviation of the biases, at least 0; 0 means no biases.

        Returns
        -------
        WidthProblem

        Raises
        ------
        TypeError
            If X is sparse, or an argument is not a number where one is needed.
        ValueError
            If X is not a finite, non-empty matrix, an option is out of range, or the kernel is too large or too small for
            its eigenvalues.
        OverflowError
            If the kernel overflows, such as that of exp on rows that were not scaled.
        MemoryError
            If six n x n matrices do not fit; the message has the number of bytes.

        Notes
        -----
        The kernel, n^2 d operations or more (`nngp_kernel`), and its eigenvectors, about 5 n^3.

        References
        ----------
        :ref:`How wide is wide enough <theory-minimum-width>`.

        Examples
        --------
        >>> from underdetermined.bounds import WidthProblem
        >>> WidthProblem.from_data([[1.0], [2.0], [2.0]], activation="relu", bias_scale=0.0).rank
        1
        """
        if issparse(X):
            raise TypeError("X is a sparse matrix and the kernel of its rows is dense: pass X.toarray()")
        rows = check_matrix(X, "X")
        n, d = rows.shape
        chosen = get_activation(activation)
        if isinstance(weight_scale, str):
            if weight_scale != "auto":
                raise ValueError(f"weight_scale={weight_scale!r} is unknown: pass 'auto' or a positive number")
            scale = d**-0.5
        else:
            scale = check_number(weight_scale, "weight_scale", low_open=True)
        bias = check_number(bias_scale, "bias_scale")
        check_memory(8 * _MATRICES * n * n, f"the kernel of {n} rows, its eigenvectors and its pseudo-inverse")
        attainability = attainable_rank(rows, activation=chosen, bias=bias > 0.0)
        inputs = np.array(rows, dtype=np.float64)
        inputs.flags.writeable = False
        kernel = nngp_kernel(inputs, activation=chosen, weight_scale=scale, bias_scale=bias)
        advice = "with StandardScaler, for example, or change weight_scale and bias_scale"
        try:
            # A kernel is a Gram matrix by construction; the transpose has the order that LAPACK overwrites.
            spectrum = decompose_lower(kernel.T, precision=None)
        except ValueError as error:
            raise ValueError(
                f"the kernel of activation={str(chosen)!r} on X is too large for its eigenvalues: scale X down, {advice}"
            ) from error
        if 0.0 < spectrum.largest < _SMALLEST_KERNEL:
            raise ValueError(
                f"the kernel of activation={str(chosen)!r} on X underflows, its largest eigenvalue is "
                f"{spectrum.largest:.3g}: scale X up, {advice}"
            )
        return cls(inputs, chosen, scale, bias, attainability, spectrum)

    @property
    def n_rows(self) -> int:
        """Number of rows n."""
        return self.inputs.shape[0]

    @property
    def rank(self) -> int:
        """Attainable rank r: the dimension of the targets that some network fits exactly."""
        return self.attainability.rank

    @cached_property
    def rounding(self) -> float:
        """Bound of the rounding errors in the eigenvalues of K, which a resolved one exceeds.

        The cut-off ``n eps lambda_max``, or for a few rows what the entries of K carry, ``32 eps lambda_max``; those of exp
        have the rounding of their exponents besides, ``2 max_i s_i`` with s the variances.
        """
        entries = _ENTRY_ERRORS
        if self.activation.function is None and self.activation.name == "exp":
            entries += 2.0 * float(self.variances.max())
        return max(self.spectrum.cutoff, entries * EPS * self.spectrum.largest)

    @property
    def numerical_rank(self) -> int:
        """Number p of positive eigenvalues of K that double precision resolves, at most r."""
        return min(int(np.count_nonzero(self.spectrum.eigenvalues > self.rounding)), self.rank)

    @property
    def is_resolved(self) -> bool:
        """Whether all r positive eigenvalues of K are resolved, so that lambda is known."""
        return self.numerical_rank == self.rank

    @property
    def smallest(self) -> float:
        """Lower bound of lambda, the r-th eigenvalue of K: as computed, less the rounding; nan if it is not resolved."""
        if not self.is_resolved or self.rank == 0:
            return np.nan
        return float(self.spectrum.eigenvalues[self.rank - 1]) - self.rounding

    @property
    def largest(self) -> float:
        """Upper bound of the largest eigenvalue of K: as computed, plus the rounding."""
        return self.spectrum.largest + self.rounding

    @cached_property
    def whitening(self) -> FloatArray:
        """Matrix W (n, p) of the resolved eigenvectors over the square roots of their eigenvalues: ``W @ W.T = K^+``."""
        vectors = self.spectrum.eigenvectors
        if vectors is None:
            raise ValueError("spectrum has no eigenvectors: build it with eigenvectors=True")
        p = self.numerical_rank
        return np.ascontiguousarray(vectors[:, :p] / np.sqrt(self.spectrum.eigenvalues[:p]))

    def leverage(self, features: ArrayLike) -> FloatArray:
        """Leverage ``a.T K^+ a`` of neurons, on the resolved eigenvectors.

        Parameters
        ----------
        features : array_like of shape (n, t)
            Features of t neurons on the rows, without a factor: ``f(<w, x_i> + b)``.

        Returns
        -------
        ndarray of shape (t,)
            Their mean over Gaussian weights is the numerical rank.

        Raises
        ------
        ValueError
            If the features do not have n rows.

        Notes
        -----
        n p t multiplications, and memory for p t numbers.
        """
        values = check_matrix(features, "features")
        if values.shape[0] != self.n_rows:
            raise ValueError(f"features have {values.shape[0]} rows and the problem has {self.n_rows}: pass the same rows")
        white = self.whitening.T @ np.asarray(values, dtype=np.float64)
        return np.einsum("ij,ij->j", white, white)

    @cached_property
    def augmented(self) -> FloatArray:
        """Rows X~ (n, d or d + 1) with ``pre-activations = X~ w``, w standard normal: scaled inputs and bias."""
        columns: list[Any] = [self.weight_scale * self.inputs]
        if self.bias_scale > 0.0:
            columns.append(np.full((self.n_rows, 1), self.bias_scale))
        return np.hstack(columns)

    @cached_property
    def variances(self) -> FloatArray:
        """Variances (n,) of the pre-activations, the squared norms of the rows of X~."""
        return np.einsum("ij,ij->i", self.augmented, self.augmented)

    @cached_property
    def majorants(self) -> tuple[FloatArray, ...]:
        """Vectors D (n,) with ``diag(D) >= K^+``; none where lambda is not resolved or K is zero."""
        if not self.is_resolved or self.rank == 0:
            return ()
        return diagonal_majorants(self.whitening, self.smallest)
