"""How fast the Jacobian of a two-layer network can change on a path: an explicit bound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigvalsh, svdvals

from underdetermined._linalg import EPS, column_norms
from underdetermined._validation import as_float, check_finite, check_memory, check_number
from underdetermined.activations import Activation
from underdetermined.objectives import TwoLayer

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curvature:
    """beta(l) = max_r (p_r + (p_r^2 + 4 q_r^2)^(1/2)) / 2, p_r = bending_r + growth_r l, after a path of length l.

    It is non-decreasing and convex. Neurons that no l makes the largest are left out.

    Parameters
    ----------
    bending : ndarray of shape (r,)
        p_r at the start: what second derivatives of the activation do.
    growth : ndarray of shape (r,)
        How fast the output weights of a neuron can make it grow.
    mixing : ndarray of shape (r,)
        q_r: what moving both layers at once does.
    """

    bending: FloatArray
    growth: FloatArray
    mixing: FloatArray

    @property
    def is_zero(self) -> bool:
        """Whether the Jacobian is the same everywhere."""
        return not (self.bending.any() or self.growth.any() or self.mixing.any())

    def at(self, lengths: FloatArray) -> FloatArray:
        """beta at these lengths.

        Parameters
        ----------
        lengths : ndarray of shape (t,)
            Lengths of paths, at least 0.

        Returns
        -------
        ndarray of shape (t,)
        """
        p = self.bending[:, np.newaxis] + self.growth[:, np.newaxis] * lengths
        return 0.5 * (p + np.hypot(p, 2.0 * self.mixing[:, np.newaxis])).max(axis=0)

    def reach(self, total: float) -> float:
        """Length of a path on which the integral of beta is at least a number, and not many times more.

        Parameters
        ----------
        total : float
            The number.

        Returns
        -------
        float
        """
        # beta(l) is at least beta(0), and at least p(l).
        first = 0.5 * (self.bending + np.hypot(self.bending, 2.0 * self.mixing))
        second = 0.5 * (self.bending + np.hypot(self.bending, np.sqrt(2.0 * total) * np.sqrt(self.growth)))
        return total / float(np.maximum(first, second).max())

    def widened(self, bending: float, rest: float) -> Curvature:
        """What it would be with each part multiplied.

        Parameters
        ----------
        bending : float
            Factor of the bending.
        rest : float
            Factor of growth and mixing.

        Returns
        -------
        Curvature
        """
        return Curvature(bending * self.bending, rest * self.growth, rest * self.mixing)


def missing_bound(activation: Activation, layers: str) -> str | None:
    """Why an activation has no bound on the curvature, in one sentence.

    Parameters
    ----------
    activation : Activation
        The activation.
    layers : str
        Which layers are trained.

    Returns
    -------
    str or None
        None where there is a bound.
    """
    if layers != "last" and activation.curvature is None:
        what = "has a kink" if activation.kinks else "is not known to have a Lipschitz continuous derivative"
        return f"The activation {activation} {what}: nothing bounds the change of the Jacobian; take one like 'tanh'."
    if layers == "both" and activation.lipschitz is None:
        return f"The activation {activation} has no bounded slope: train one layer alone, or take one like 'tanh'."
    if activation.curvature is None and activation.lipschitz is None:
        return f"The activation {activation} has no bounded slope: nothing bounds rounding; take one like 'tanh'."
    return None


def measure_curvature(objective: TwoLayer, last: FloatArray) -> Curvature:
    """Evaluate the bound for these output weights, rounding allowed for.

    Parameters
    ----------
    objective : TwoLayer
        The loss, with an activation that has a bound.
    last : ndarray of shape (m, k)
        The output weights v_r = scale_r coef_r at the start of the path.

    Returns
    -------
    Curvature
    """
    layer, layers = objective.feature_map, objective.layers
    lengths = (1.0 + 16.0 * EPS) * column_norms(last.T)
    scales = np.broadcast_to(np.abs(np.asarray(layer.scale, dtype=np.float64)), lengths.shape)
    if layers == "last":
        return Curvature(*np.zeros((3, 1)))
    moments = row_moments(objective.X, objective.sample_weight, has_biases=layer.biases is not None)
    return curvature_of(layer.activation, moments, lengths, scales if layers == "both" else 0.0 * scales)


def curvature_of(activation: Activation, moments: tuple[float, float], lengths: FloatArray, scales: FloatArray) -> Curvature:
    """Evaluate the bound from the numbers that it depends on.

    Parameters
    ----------
    activation : Activation
        One that has a bound.
    moments : tuple of two float
        Those of the rows, from `row_moments`.
    lengths : ndarray of shape (m,)
        The |v_r|.
    scales : ndarray of shape (m,)
        The scales of the neurons; 0 where the last layer stays.

    Returns
    -------
    Curvature
    """
    kept = _not_dominated(lengths, scales)
    bend = float(activation.curvature or 0.0) * moments[1]
    mixing = float(activation.lipschitz or 0.0) * moments[0]
    return Curvature(bend * lengths[kept], bend * scales[kept], mixing * scales[kept])


def _not_dominated(first: FloatArray, second: FloatArray) -> NDArray[np.intp]:
    """Indices of the pairs that no other exceeds in both numbers."""
    order = np.lexsort((first, second))[::-1]
    best = np.maximum.accumulate(first[order])
    return order[np.concatenate([[True], best[1:] > best[:-1]])]


def row_moments(X: FloatArray, weight: FloatArray, *, has_biases: bool) -> tuple[float, float]:
    """|S X|_2 and the largest (sum_i s_i <u, x_i>^4)^(1/2) that a certain eigenvalue allows for |u| = 1.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        The x_i.
    weight : ndarray of shape (n,)
        The s_i; S is the diagonal matrix of their square roots.
    has_biases : bool
        Whether a column of ones is appended.

    Returns
    -------
    first, second : float
        Bounds from above, rounding included. The second is the root of the largest eigenvalue of S (G o G) S, G = X X.T.
    """
    rows = np.column_stack([X, np.ones(len(X))]) if has_biases else X
    n, d = rows.shape
    check_memory(3 * 8 * n * n, f"squared inner products of {n} rows")
    unit = float(np.abs(rows).max(initial=0.0)) or 1.0
    scaled = np.sqrt(weight)[:, np.newaxis] * (rows / unit)
    first = float(svdvals(scaled, check_finite=False)[0])
    inner = (rows / unit) @ (rows / unit).T
    squares = inner * inner
    roots = np.sqrt(weight)
    squares *= roots
    squares *= roots[:, np.newaxis]
    trace = float(np.einsum("ii->", squares))
    second = float(eigvalsh(squares, subset_by_index=(n - 1, n - 1), check_finite=False, overwrite_a=True)[0])
    margin = 4 * (n + d + 8) * EPS
    return unit * first * (1.0 + margin), unit * unit * float(np.sqrt(second + margin * trace))


def curvature_bound(objective: TwoLayer, theta: ArrayLike | None = None, *, radius: float = 0.0) -> float:
    """Bound on how fast the Jacobian of the weighted residual changes, in the spectral norm.

    With v_r the output weights, s_r the scales, S the square roots of the sample weights and G the Gram matrix of the rows
    (with a one appended where biases are trained), for both layers

        beta = max_r (p_r + (p_r^2 + 4 q_r^2)^(1/2)) / 2,   p_r = sup|f''| |S (G o G) S|^(1/2) (|v_r| + |s_r| radius),
                                                            q_r = sup|f'| |S X| |s_r|.

    It is the largest p_r of radius 0 for the hidden layer alone, and 0 for the last.

    Parameters
    ----------
    objective : TwoLayer
        Rows, weights of the rows, network, and the layers that are trained.
    theta : array_like of shape (p,) or None, default=None
        Parameters; None: those at the start.
    radius : float, default=0.0
        The bound holds within this distance of `theta`.

    Returns
    -------
    float
        inf where an activation has no bounded slopes or second derivatives.

    Raises
    ------
    TypeError, ValueError
        If `objective` is no `TwoLayer`, `theta` does not fit or is not finite, or `radius` is negative.
    MemoryError
        If matrices of order n do not fit in memory.

    Notes
    -----
    Cost n^2 d + n^3 and memory 3 n^2.

    References
    ----------
    :ref:`theory-joint-certificate`.

    Examples
    --------
    >>> from underdetermined import FeatureMap
    >>> from underdetermined.joint import curvature_bound
    >>> from underdetermined.objectives import TwoLayer
    >>> objective = TwoLayer([[2.0]], [1.0], FeatureMap([[1.0, -1.0]], activation="sin", scale=1.0), [3.0, 0.0])
    >>> round(curvature_bound(objective), 3)  # 6 + (6^2 + 2^2)^(1/2)
    12.325
    """
    parameters = parameters_of(objective, theta)
    radius = check_number(radius, "radius")
    if missing_bound(objective.feature_map.activation, objective.layers) is not None:
        return float(np.inf)
    hidden, coef, _ = objective.network(parameters)
    return float(measure_curvature(objective, np.reshape(hidden.scale, (-1, 1)) * coef).at(np.array([radius]))[0])


def parameters_of(objective: TwoLayer, theta: ArrayLike | None) -> FloatArray:
    """Check the arguments that everything here takes.

    Parameters
    ----------
    objective : TwoLayer
        The loss.
    theta : array_like of shape (p,) or None
        Parameters; None: those at the start.

    Returns
    -------
    ndarray of shape (p,)
        The parameters.

    Raises
    ------
    TypeError, ValueError
        If `objective` is no `TwoLayer`, or `theta` does not fit or is not finite.
    """
    if not isinstance(objective, TwoLayer):
        raise TypeError(f"objective is a {type(objective).__name__}: pass an underdetermined.objectives.TwoLayer")
    parameters = objective.initial() if theta is None else np.asarray(as_float(theta, "theta"), dtype=np.float64)
    check_finite(parameters, "theta")
    return parameters
