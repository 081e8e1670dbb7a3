"""The hidden layer of a network of exponentials with a fixed last layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined.blocks import single_threaded_blas
from underdetermined.features import FeatureMap
from underdetermined.objectives._exponential_jacobian import ExponentialJacobian
from underdetermined.objectives._exponential_pull_back import PullBack
from underdetermined.objectives._exponential_thin import MOST_INPUTS, thin_pass
from underdetermined.objectives._exponential_tiles import ExponentialTiles
from underdetermined.objectives._linearization import Linearization
from underdetermined.objectives._network_loss import NetworkLoss

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Exponential(NetworkLoss):
    """The loss of a network of exponentials whose hidden layer alone is trained, L = sum_i s_i |f(x_i) - y_i|^2 / 2.

    The network is f(x) = sum_r v_r exp(<w_r, x> - c |x|^2) with v_r = scale_r coef_r, which stays, and the row shift c of
    the feature map, 0 unless it has one. The parameters are W, flattened.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Inputs.
    targets : array_like of shape (n,) or (n, k)
        Y, stored as (n, k).
    feature_map : FeatureMap
        The hidden layer at the start, with activation "exp" and without biases.
    coef : array_like of shape (m,) or (m, k)
        The last layer, stored as (m, k). Where its second half, times the scale, is minus its first half, the network is
        a sum of differences of two neurons, and is computed so: it is exactly zero where their weights agree.
    sample_weight : array_like of shape (n,), a number or None, default=None
        Weights s_i of the rows, at least 0; None means 1. A weight of 2 is a row that is there twice.

    Raises
    ------
    TypeError, ValueError
        If an argument, or scale times coef, is not finite, shapes do not fit, the activation is not "exp", or there are
        biases.

    Notes
    -----
    A loss costs 2 n m (d + k) flops and n m exponentials. Its gradient comes from the same exponentials, which are kept for
    one block of rows at a time: 2 n m d flops more, and memory for 2**24 numbers beside parameters and gradient, whatever
    n m is. Everything is float64, and the same to the last bit for any number of threads.

    References
    ----------
    :ref:`theory-exponential`.

    Examples
    --------
    >>> from underdetermined import FeatureMap
    >>> from underdetermined.objectives import Exponential
    >>> hidden = FeatureMap([[0.0, 0.0]], activation="exp", scale=1.0)
    >>> objective = Exponential([[2.0]], [1.0], hidden, [3.0, 1.0])
    >>> objective.value_and_gradient(objective.initial())
    (4.5, array([18.,  6.]))
    """

    X: Any
    targets: Any
    feature_map: FeatureMap
    coef: Any
    sample_weight: Any = None

    def __post_init__(self) -> None:
        """Validate and convert the arguments."""
        self._check_network("exp")
        if self.feature_map.biases is not None:
            raise ValueError(
                "the feature map has biases: multiply coef by exp(biases), or append a column of ones to X, and pass none"
            )

    @property
    def n_parameters(self) -> int:
        """Number d m of weights."""
        return self.feature_map.weights.size

    def initial(self) -> FloatArray:
        """Parameters of the feature map.

        Returns
        -------
        ndarray of shape (p,)
            A new array.
        """
        return self.feature_map.weights.flatten()

    def network(self, theta: ArrayLike) -> FeatureMap:
        """Hidden layer of these parameters.

        Parameters
        ----------
        theta : array_like of shape (p,)
            Parameters.

        Returns
        -------
        FeatureMap
            Its features times `coef` are the outputs.
        """
        return replace(self.feature_map, weights=self._weights(np.array(theta, dtype=np.float64)))

    def _weights(self, theta: ArrayLike) -> FloatArray:
        """W of shape (d, m), a view."""
        parameters = np.ascontiguousarray(theta, dtype=np.float64)
        if parameters.shape != (self.n_parameters,):
            raise ValueError(f"theta has shape {parameters.shape}: pass all parameters, shape ({self.n_parameters},)")
        return parameters.reshape(self.feature_map.weights.shape)

    @cached_property
    def _shift(self) -> FloatArray | None:
        """What the feature map subtracts from all pre-activations of a row, c |x|^2."""
        factor = self.feature_map.row_shift
        with np.errstate(over="ignore"):
            return factor * np.einsum("ij,ij->i", self.X, self.X) if factor else None

    def _tiles(self, theta: ArrayLike, *, keeps: bool = False) -> ExponentialTiles:
        n_jobs = self.feature_map.n_jobs
        return ExponentialTiles(self.X, self._shift, self._weights(theta), self._is_paired, n_jobs, keeps=keeps)

    @cached_property
    def _is_paired(self) -> bool:
        """Whether the second half of the output weights is minus the first half."""
        last = self.output_weights
        half = len(last) // 2
        return 2 * half == len(last) and bool((last[:half] == -last[half:]).all())

    @property
    def _is_thin(self) -> bool:
        return self.X.shape[1] <= MOST_INPUTS and self.targets.shape[1] == 1

    def _thin_pass(self, theta: ArrayLike, *, with_gradient: bool) -> tuple[FloatArray, FloatArray]:
        residual, gradient = thin_pass(
            self.X,
            self._shift,
            self.targets[:, 0],
            self.sample_weight,
            self._weights(theta),
            self.output_weights[:, 0],
            is_paired=self._is_paired,
            with_gradient=with_gradient,
            n_jobs=self.feature_map.n_jobs,
        )
        return residual[:, np.newaxis], gradient

    def _residual(self, tiles: ExponentialTiles, after: Any = None) -> FloatArray:
        last = self.output_weights

        def term(rows: slice, group: tuple[slice, ...], found: list[FloatArray]) -> FloatArray:
            # A difference before the sum: exactly zero where the two neurons are the same.
            tile = found[0] if len(found) == 1 else found[0] - found[1]
            result = tile @ last[group[0]]
            if group[0].start == 0:
                result -= self.targets[rows]
            return result

        with single_threaded_blas():
            return tiles.sum_over_neurons(term, last.shape[1], after=after)

    def residual(self, theta: ArrayLike) -> FloatArray:
        """Residual f(X) - Y, not weighted.

        Parameters
        ----------
        theta : array_like of shape (p,)
            Parameters.

        Returns
        -------
        ndarray of shape (n, k)
        """
        if self._is_thin:
            return self._thin_pass(theta, with_gradient=False)[0]
        return self._residual(self._tiles(theta))

    def value_and_gradient(self, theta: ArrayLike) -> tuple[float, FloatArray]:
        """Loss and gradient from one pass over the rows.

        With E_ir the exponentials and R the weighted residual s_i (f(x_i) - y_i), the gradient is X.T (E o (R V.T)).

        Parameters
        ----------
        theta : array_like of shape (p,)
            Parameters.

        Returns
        -------
        value : float
            L(theta).
        gradient : ndarray of shape (p,)
            Its gradient.
        """
        if self._is_thin:
            residual, slopes = self._thin_pass(theta, with_gradient=True)
            return self._loss(residual), slopes.ravel()
        tiles = self._tiles(theta)
        gradient = PullBack(tiles, self.output_weights)

        def back(block: list[slice], residual: FloatArray) -> None:
            rows = slice(block[0].start, block[-1].stop)
            with np.errstate(over="ignore", invalid="ignore"):
                weighted = self.sample_weight[rows, np.newaxis] * residual[rows]
            gradient.add(weighted, block)

        residual = self._residual(tiles, back)
        return self._loss(residual), gradient.result().ravel()

    def linearize(self, theta: ArrayLike) -> Linearization:
        """Weighted residual rho, its Jacobian and the tangent Gram matrix.

        rho_(ia) = sqrt(s_i) (f(x_i) - y_i)_a and J_(ia),(jr) = sqrt(s_i) v_ra E_ir x_ij, so that the gradient is J.T rho.

        Parameters
        ----------
        theta : array_like of shape (p,)
            Parameters.

        Returns
        -------
        Linearization
            Its Gram matrix costs n^2 m flops for one output; k (k + 1) n^2 m for k of them. It holds all exponentials where
            they are at most 2**24, and then products with J need no others.
        """
        # A copy: the operator outlives this call, and theta may be written to.
        tiles = self._tiles(np.array(theta, dtype=np.float64), keeps=True)
        root = np.sqrt(self.sample_weight)[:, np.newaxis]
        residual = self._residual(tiles)
        with np.errstate(over="ignore", invalid="ignore"):
            weighted = root * residual
        jacobian = ExponentialJacobian(tiles, root, self.output_weights)
        return Linearization(weighted.ravel(), jacobian, jacobian.gram)

    def largest_exponent(self, theta: ArrayLike) -> tuple[float, float]:
        """Extremes of the pre-activations <w_r, x_i> - c |x_i|^2, which say whether an exponential overflows.

        Parameters
        ----------
        theta : array_like of shape (p,)
            Parameters.

        Returns
        -------
        largest, smallest : float
            Infinite only where a pre-activation itself overflows.
        """
        return self._tiles(theta).extremes()
