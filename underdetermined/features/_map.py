"""The hidden layer of a network: weights, biases, activation, scales."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from underdetermined._validation import check_number
from underdetermined.activations import Activation, get_activation
from underdetermined.features._entries import as_float, largest, largest_row_norm
from underdetermined.features._operator import FeatureOperator


@dataclass(frozen=True, init=False, eq=False)
class FeatureMap:
    """The hidden layer ``x -> scale * sigma(x W + b - row_shift |x|^2)``.

    Parameters
    ----------
    weights : array_like of shape (n_inputs, width)
        W, one column for each neuron; float64 or float32.
    biases : array_like of shape (width,) or None, default=None
        b; None means no biases.
    activation : str, callable or Activation, default="relu"
        sigma, as `get_activation` takes it.
    scale : float, array_like of shape (width,) or None, default=None
        Factor of every feature, or one factor for each neuron, such as those of neurons that were drawn unevenly; None means
        ``1 / sqrt(width)``, so that Gram entries are averages over neurons.
    n_jobs : int or None, default=None
        Threads; None takes as many as the BLAS would, -1 all cores.
    tile_size : int or None, default=None
        Rows and columns of a tile; None fits the cache. It changes speed, and results by rounding only.
    row_shift : float, default=0.0
        c >= 0, times which the squared norm of a row is taken from all its pre-activations. With ``activation="exp"`` and
        weights of standard deviation t, t^2 / 2 gives positive features of the softmax kernel ``exp(t^2 <x, z>)``, and t^2
        those of the Gaussian kernel ``exp(-t^2 |x - z|^2 / 2)``.

    Raises
    ------
    ValueError
        If shapes disagree, a weight, bias or factor is not finite, a factor is zero, the row shift is negative or not
        finite, or the width is 0.

    Notes
    -----
    Cost n d m multiplications and n m activations. Each thread multiplies one tile with a single-threaded BLAS
    and applies the compiled activation while the tile is in cache.

    With a row shift c no pre-activation is above ``|w|^2 / (4 c) + b``, however long the row, so that exponentials hardly
    overflow, and those of very long rows are 0.

    References
    ----------
    :ref:`theory-positive-features` for the row shift.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined import FeatureMap
    >>> hidden = FeatureMap(np.array([[1.0, -1.0]]), activation="relu", scale=1.0)
    >>> hidden(np.array([[2.0], [-3.0]]))
    array([[2., 0.],
           [0., 3.]])
    """

    weights: np.ndarray
    biases: np.ndarray | None
    activation: Activation
    scale: Any  # a float, or an array of shape (width,) in the dtype of the weights
    n_jobs: int | None = field(repr=False)
    tile_size: int | None = field(repr=False)
    row_shift: float = 0.0

    def __init__(
        self,
        weights: Any,
        biases: Any = None,
        activation: Activation | str | Callable[[np.ndarray], np.ndarray] = "relu",
        scale: ArrayLike | None = None,
        n_jobs: int | None = None,
        tile_size: int | None = None,
        row_shift: float = 0.0,
    ) -> None:
        weights = as_float(weights)
        if weights.ndim != 2 or 0 in weights.shape:
            raise ValueError(f"weights must have shape (n_inputs, width), neither of them 0; got shape {weights.shape}.")
        width = weights.shape[1]
        biases = None if biases is None else np.ascontiguousarray(biases, dtype=weights.dtype)
        if biases is not None and biases.shape != (width,):
            raise ValueError(f"biases must have shape ({width},), one for each neuron, got {biases.shape}.")
        for name, values in (("weights", weights), ("biases", biases)):
            if not np.isfinite(largest(values)):
                raise ValueError(f"{name} must be finite, got nan or infinite entries.")
        if tile_size is not None and tile_size < 1:
            raise ValueError(f"tile_size={tile_size!r} must be at least 1 or None.")
        row_shift = check_number(row_shift, "row_shift")
        # The one place where a frozen instance is written: it is not built before this ends.
        vars(self).update(
            weights=weights,
            biases=biases,
            activation=get_activation(activation),
            scale=_checked_scale(scale, width, weights.dtype),
            n_jobs=n_jobs,
            tile_size=tile_size,
            row_shift=row_shift,
        )

    @property
    def n_inputs(self) -> int:
        """Number of inputs d."""
        return self.weights.shape[0]

    @property
    def width(self) -> int:
        """Number of neurons m."""
        return self.weights.shape[1]

    @cached_property
    def largest_weight_norm(self) -> float:
        """Largest Euclidean norm of the weights of a neuron."""
        return largest_row_norm(self.weights.T)

    def take(self, neurons: ArrayLike) -> "FeatureMap":
        """Return the map of some of the neurons, each with the factor that it has here.

        Parameters
        ----------
        neurons : array_like of int, shape (k,)
            Which ones, in this order; one that is named twice is there twice. At least one.

        Returns
        -------
        FeatureMap
            A map of width k, whose features are columns of the features of this one.

        Raises
        ------
        TypeError, ValueError, IndexError
            If `neurons` does not consist of integers, is empty or not a vector, or names a neuron that is not there.

        Notes
        -----
        The default factor of the narrow map would be ``1 / sqrt(k)``; here it stays that of the wide one.

        Examples
        --------
        >>> import numpy as np
        >>> from underdetermined import FeatureMap
        >>> hidden = FeatureMap(np.array([[1.0, -1.0, 2.0, 4.0]]))
        >>> hidden.take([3, 0])(np.array([[1.0]]))
        array([[2. , 0.5]])
        """
        chosen = np.asarray(neurons)
        if chosen.ndim != 1 or not chosen.size:
            raise ValueError(f"neurons has shape {chosen.shape}: pass a vector of at least one index")
        if chosen.dtype.kind not in "iu":
            raise TypeError(f"neurons has dtype {chosen.dtype}: pass integers, such as np.flatnonzero(mask)")
        if chosen.min() < 0 or chosen.max() >= self.width:
            raise IndexError(
                f"neurons reaches from {chosen.min()} to {chosen.max()}: pass numbers of 0 ... {self.width - 1}"
            )
        return replace(
            self,
            weights=np.take(self.weights, chosen, axis=1),
            biases=None if self.biases is None else self.biases[chosen],
            scale=self.scale if isinstance(self.scale, float) else self.scale[chosen],
        )

    def astype(self, dtype: Any) -> "FeatureMap":
        """Return the same map with weights of another dtype.

        Parameters
        ----------
        dtype : dtype
            float64 or float32.

        Returns
        -------
        FeatureMap
            A map of its own.
        """
        biases = None if self.biases is None else self.biases.astype(dtype)
        return replace(self, weights=self.weights.astype(dtype), biases=biases)

    def apply_activation(self, z: np.ndarray, neurons: slice) -> None:
        """Overwrite pre-activations by features, scale * sigma(z).

        Parameters
        ----------
        z : ndarray of shape (n, t), float64 or float32
            C-contiguous and writeable.
        neurons : slice
            The t neurons that the columns belong to.
        """
        self._apply(self.activation.apply, z, neurons)

    def apply_derivative(self, z: np.ndarray, neurons: slice) -> None:
        """Overwrite pre-activations by the derivatives of the features, scale * sigma'(z).

        Parameters
        ----------
        z : ndarray of shape (n, t), float64 or float32
            C-contiguous and writeable.
        neurons : slice
            The t neurons that the columns belong to.

        Raises
        ------
        ValueError
            If the activation has no derivative.
        """
        self._apply(self.activation.apply_derivative, z, neurons)

    def _apply(self, function: Callable[..., None], z: np.ndarray, neurons: slice) -> None:
        # Compiled kernels take one factor and apply it in the same pass.
        if isinstance(self.scale, float):
            function(z, self.scale)
        else:
            function(z)
            z *= self.scale[neurons]

    def __call__(self, X: Any, *, out: np.ndarray | None = None) -> np.ndarray:
        """Return the features of the rows of X.

        Parameters
        ----------
        X : {array_like, sparse array} of shape (n_samples, n_inputs)
            Inputs. float32 inputs give float32 features.
        out : ndarray of shape (n_samples, width) or None, default=None
            C-contiguous array of the dtype of the result, to be filled and returned.

        Returns
        -------
        ndarray of shape (n_samples, width)
            Features.

        Raises
        ------
        ValueError
            If X or `out` has the wrong shape or dtype.
        MemoryError
            If the features cannot fit in memory; `operator` needs no such array.
        OverflowError
            If a feature overflows; the message names the row and its norm.
        """
        return self.operator(X).to_dense(out=out)

    def operator(self, X: Any) -> "FeatureOperator":
        """Return the features of the rows of X as an operator that never holds them all.

        Parameters
        ----------
        X : {array_like, sparse array} of shape (n_samples, n_inputs)
            Inputs.

        Returns
        -------
        FeatureOperator
            Linear operator of shape (n_samples, width).
        """
        return FeatureOperator(self, X)


def _checked_scale(scale: Any, width: int, dtype: np.dtype) -> Any:
    """One factor as a float, or one for each neuron as an array."""
    if scale is None:
        return width**-0.5
    factors = np.array(scale, dtype=np.float64)
    if factors.shape not in ((), (width,)):
        raise ValueError(f"scale must be a number or have shape ({width},), one for each neuron, got {factors.shape}.")
    if factors.shape:
        factors = factors.astype(dtype)
    if not np.isfinite(factors).all() or not factors.all():
        shown = repr(scale) if not factors.shape else f"{factors.min()} ... {factors.max()}"
        raise ValueError(f"scale={shown} must be finite and not zero.")
    return factors if factors.shape else float(factors)
