"""Both layers of a two-layer network, trained together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._validation import as_float, check_finite, check_no_row_shift
from underdetermined.features import FeatureMap
from underdetermined.objectives._linearization import Linearization
from underdetermined.objectives._loss import quiet
from underdetermined.objectives._network_loss import NetworkLoss
from underdetermined.objectives._two_layer_jacobian import TwoLayerJacobian
from underdetermined.objectives._two_layer_layout import Layout
from underdetermined.objectives._two_layer_pull_back import PullBack
from underdetermined.objectives._two_layer_tiles import TwoLayerTiles

FloatArray = NDArray[np.float64]

LAYERS = ("both", "hidden", "last")


@dataclass(frozen=True, eq=False)
class TwoLayer(NetworkLoss):
    """The loss of a two-layer network, L = sum_i s_i |f(x_i) - y_i|^2 / 2, trained in both layers or in one of them.

    The network is f(x) = sum_r scale_r coef_r sigma(<w_r, x> + b_r) + c. The parameters are W, b, coef and c in this order,
    flattened; what is not trained is left out.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Inputs.
    targets : array_like of shape (n,) or (n, k)
        Y, stored as (n, k).
    feature_map : FeatureMap
        The hidden layer at the start. Its activation, which needs a derivative, and its scale stay. Biases are trained if it
        has them.
    coef : array_like of shape (m,) or (m, k)
        The last layer at the start, stored as (m, k).
    intercept : array_like of shape (k,), a number or None, default=None
        The output biases c at the start, stored as (k,); None means none.
    layers : {"both", "hidden", "last"}, default="both"
        What is trained: "hidden" keeps coef and c as they are, "last" W and b.
    sample_weight : array_like of shape (n,), a number or None, default=None
        Weights s_i of the rows, at least 0; None means 1. A weight of 2 is a row that is there twice.

    Raises
    ------
    TypeError, ValueError
        If an argument is not finite, shapes do not fit, the activation has no derivative, there is a row shift, or scale
        times coef overflows.

    Notes
    -----
    A loss costs 2 n m (d + k) flops and n m activations and derivatives; with its gradient 4 n m d + 6 n m k flops, as
    both are kept for a block of rows until its residual is known. A loss alone needs no derivatives, and has them so that
    it is the same to the last bit. Memory O(p + n k) and, for a block, usually 2 MiB and at most 128 MiB, whatever n m is.
    Everything is float64, and the same for any number of threads.

    The parameters are those of the formula, with nothing but `FeatureMap.scale` in front, so that the tangent kernel at
    the start is `ntk_matrix` of the feature map: hidden weights of a larger ``weight_scale`` are not trained any faster.

    References
    ----------
    :ref:`theory-joint-training`.

    Examples
    --------
    >>> from underdetermined import FeatureMap
    >>> from underdetermined.objectives import TwoLayer
    >>> objective = TwoLayer([[2.0]], [1.0], FeatureMap([[1.0, -1.0]], scale=1.0), [3.0, 0.0])
    >>> objective.value_and_gradient(objective.initial())
    (12.5, array([30.,  0., 10.,  0.]))
    """

    X: Any
    targets: Any
    feature_map: FeatureMap
    coef: Any
    intercept: Any = None
    layers: str = "both"
    sample_weight: Any = None

    def __post_init__(self) -> None:
        """Validate and convert the arguments."""
        if self.layers not in LAYERS:
            raise ValueError(f"layers={self.layers!r} is unknown: choose one of {', '.join(map(repr, LAYERS))}")
        check_no_row_shift(self.feature_map.row_shift, "TwoLayer")
        self._check_network(None)
        # A user's activation may lack a derivative: better to learn that before training.
        self.feature_map.activation.derivative(np.zeros(1))
        if self.intercept is not None:
            n_outputs = self.targets.shape[1]
            intercept = np.array(as_float(self.intercept, "intercept"), dtype=np.float64)
            if intercept.shape not in ((), (n_outputs,)):
                raise ValueError(
                    f"intercept has shape {intercept.shape}: pass a number, or one for each output, shape ({n_outputs},)"
                )
            check_finite(intercept, "intercept")
            object.__setattr__(self, "intercept", np.array(np.broadcast_to(intercept, (n_outputs,))))

    @cached_property
    def _layout(self) -> Layout:
        has_last = self.layers != "hidden"
        return Layout(
            n_inputs=self._inputs.shape[1],
            width=self.feature_map.width,
            n_outputs=self.targets.shape[1],
            has_hidden=self.layers != "last",
            has_last=has_last,
            has_intercept=has_last and self.intercept is not None,
        )

    @cached_property
    def _inputs(self) -> FloatArray:
        """X, and a column of ones if there are biases."""
        if self.feature_map.biases is None:
            return self.X
        return np.ascontiguousarray(np.hstack([self.X, np.ones((len(self.X), 1))]))

    @cached_property
    def _start(self) -> tuple[FloatArray, FloatArray, FloatArray | None]:
        layer = self.feature_map
        hidden = layer.weights if layer.biases is None else np.vstack([layer.weights, layer.biases])
        return hidden, self.coef, self.intercept

    @property
    def n_parameters(self) -> int:
        """Number of trained parameters: d m weights, m biases, m k coefficients and k output biases if they are."""
        return self._layout.n_parameters

    @property
    def _scale(self) -> FloatArray:
        return np.reshape(self.feature_map.scale, (-1, 1))

    def initial(self) -> FloatArray:
        """Parameters at the start.

        Returns
        -------
        ndarray of shape (p,)
            A new array.
        """
        theta = np.empty(self.n_parameters)
        for part, value in zip(self._layout.split(theta), self._start, strict=True):
            if part is not None:
                part[:] = value
        return theta

    def network(self, theta: ArrayLike) -> tuple[FeatureMap, FloatArray, FloatArray | None]:
        """Network of these parameters.

        Parameters
        ----------
        theta : array_like of shape (p,)
            Parameters.

        Returns
        -------
        feature_map : FeatureMap
            Its hidden layer, whose features times the coefficients are the outputs.
        coef : ndarray of shape (m, k)
            Its last layer.
        intercept : ndarray of shape (k,) or None
            What is added to the outputs.
        """
        hidden, coef, intercept = (None if part is None else part.copy() for part in self._parts(theta))
        assert hidden is not None and coef is not None
        layer = self.feature_map
        if layer.biases is not None:
            return replace(layer, weights=hidden[:-1], biases=hidden[-1]), coef, intercept
        return replace(layer, weights=hidden), coef, intercept

    def _parts(self, theta: ArrayLike) -> tuple[FloatArray, FloatArray, FloatArray | None]:
        """Weights and biases (d, m), coefficients (m, k), output biases (k,) or None; views."""
        parameters = np.ascontiguousarray(theta, dtype=np.float64)
        if parameters.shape != (self.n_parameters,):
            raise ValueError(f"theta has shape {parameters.shape}: pass all parameters, shape ({self.n_parameters},)")
        hidden, coef, intercept = self._layout.split(parameters)
        first, last, bias = self._start
        return (
            first if hidden is None else hidden,
            last if coef is None else coef,
            bias if intercept is None else intercept,
        )

    def _tiles(self, hidden: FloatArray, *, keeps: bool = False) -> TwoLayerTiles:
        # Derivatives even where a loss needs none, so that it is the same to the last bit everywhere.
        wanted, layer = self._layout.has_hidden, self.feature_map
        return TwoLayerTiles(self._inputs, hidden, layer.activation, layer.n_jobs, with_derivatives=wanted, keeps=keeps)

    def _residual(
        self, tiles: TwoLayerTiles, last: FloatArray, intercept: FloatArray | None, product: PullBack | None = None
    ) -> FloatArray:
        def term(index: int, values: FloatArray, _: FloatArray) -> FloatArray:
            return values @ last[tiles.panels[index]]

        residual = np.empty(self.targets.shape)
        for rows in tiles.each_block():
            outputs = tiles.total(rows, term, last.shape[1])
            with quiet():
                if intercept is not None:
                    outputs += intercept
                np.subtract(outputs, self.targets[rows], out=residual[rows])
                weighted = self.sample_weight[rows, np.newaxis] * residual[rows]
            if product is not None:
                product.add(rows, weighted)
        return residual

    def _scaled(self, coef: FloatArray) -> FloatArray:
        with quiet():
            return self._scale * coef

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
        hidden, coef, intercept = self._parts(theta)
        return self._residual(self._tiles(hidden), self._scaled(coef), intercept)

    def value_and_gradient(self, theta: ArrayLike) -> tuple[float, FloatArray]:
        """Loss and gradient from one pass over the rows.

        With Phi the activations, Phi' the derivatives, V = scale coef and R the weighted residual s_i (f(x_i) - y_i):
        X.T (Phi' o (R V.T)) for W, the sum over rows of that bracket for b, scale Phi.T R for coef, and the sum over rows
        of R for c.

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
        hidden, coef, intercept = self._parts(theta)
        tiles, last = self._tiles(hidden), self._scaled(coef)
        product = PullBack(tiles, self._layout, last, self._scale)
        residual = self._residual(tiles, last, intercept, product)
        return self._loss(residual), product.result()

    def linearize(self, theta: ArrayLike) -> Linearization:
        """Weighted residual rho, its Jacobian and the tangent Gram matrix.

        With t_i = sqrt(s_i): rho_(ia) = t_i (f(x_i) - y_i)_a, and J has t_i v_ra Phi'_ir x_ij for the weight (j, r), 1 in
        place of x_ij for the bias r, t_i scale_r Phi_ir for the coefficient (r, a), t_i for c_a. The gradient is J.T rho.

        Parameters
        ----------
        theta : array_like of shape (p,)
            Parameters.

        Returns
        -------
        Linearization
            Its Gram matrix costs 2 n^2 m flops for one output; (1 + k (k + 1) / 2) n^2 m for k of them. Activations and
            derivatives are held where they fit in 128 MiB, and then products with J need no others.
        """
        # A copy: the operator outlives this call, and theta may be written to.
        hidden, coef, intercept = self._parts(np.array(theta, dtype=np.float64))
        tiles = self._tiles(hidden, keeps=True)
        root, last = np.sqrt(self.sample_weight)[:, np.newaxis], self._scaled(coef)
        residual = self._residual(tiles, last, intercept)
        with quiet():
            weighted = root * residual
        jacobian = TwoLayerJacobian(tiles, self._layout, root, last, self._scale)
        return Linearization(
            weighted.ravel(), jacobian, jacobian.gram, jacobian.output_gram, jacobian.dense, self.targets.shape[1]
        )
