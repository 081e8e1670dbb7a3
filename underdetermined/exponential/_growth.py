"""How fast exponentials, their Jacobian and their weights can change: bounds over all neurons, rounding included."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigvalsh

from underdetermined._linalg import EPS, column_norms
from underdetermined.blocks import run_tiles, slices
from underdetermined.exponential._exponents import exponents
from underdetermined.features import FeatureMap

FloatArray = NDArray[np.float64]

# Entries of a tile of squared exponentials, neurons evaluated together, and products of a matrix of order n with each.
_ENTRIES, _BATCH, _PRODUCTS = 2**20, 64, 4


@dataclass(frozen=True)
class Growth:
    """Bounds at one vector of weights.

    With D_r the diagonal matrix of sqrt(s_i) E_ir and G = X X.T.

    Parameters
    ----------
    activation : float
        alpha >= max_ir |v_r| |D_r X x_i|: for a residual of norm 1, the gradient moves no exponent faster.
    curvature : float
        beta >= max_r |v_r| |D_r (G o G) D_r|^(1/2): the Jacobian changes no faster with the distance. At most alpha.
    gradient : float
        b >= max_r |v_r| |D_r X|: for a residual of norm 1, the gradient of no neuron is longer.
    """

    activation: float
    curvature: float
    gradient: float


def exponential_error(X: FloatArray, layer: FeatureMap) -> float:
    """Bound on the relative error of the exponentials as they are computed.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Rows.
    layer : FeatureMap
        The hidden layer.

    Returns
    -------
    float
    """
    row, neuron = float(column_norms(X.T).max()), float(column_norms(layer.weights).max())
    return EPS * ((X.shape[1] + 4) * row * (neuron + layer.row_shift * row) + 8)


def measure_growth(X: FloatArray, weight: FloatArray, layer: FeatureMap, last: FloatArray) -> Growth:
    """Evaluate the bounds, for as few neurons as it takes.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Rows, none of them zero.
    weight : ndarray of shape (n,)
        Their weights s_i.
    layer : FeatureMap
        The hidden layer.
    last : ndarray of shape (m, k)
        The v_r.

    Returns
    -------
    Growth
        Not finite, or zero, where squares leave the range of float64.

    Notes
    -----
    One pass over the exponentials bounds every neuron by its trace. Neurons are then taken in the order of these bounds
    until none is left that could matter: a few, as exponentials of Gaussians have heavy tails.
    """
    n, d = X.shape
    unit = float(column_norms(X.T).max())
    rows = X / unit
    lengths = np.einsum("ij,ij->i", rows, rows)
    inner = rows @ rows.T
    # Products are known up to rounding, which matters where they cancel.
    squares = (np.abs(inner) + (d + 2) * EPS * np.sqrt(np.outer(lengths, lengths))) ** 2
    with np.errstate(over="ignore"):
        sizes = np.einsum("ra,ra->r", last, last)

    def squared(part: FeatureMap, factors: FloatArray) -> FloatArray:
        tile = exponents(part, X, slice(0, part.width))
        np.exp(tile, out=tile)
        np.square(tile, out=tile)
        tile *= weight[:, np.newaxis]
        tile *= factors
        return tile

    traces = np.empty(layer.width)

    def trace(neurons: slice) -> None:
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            chosen = np.arange(neurons.start, neurons.stop)
            traces[neurons] = lengths @ squared(layer.take(chosen), sizes[neurons])

    run_tiles(trace, slices(layer.width, max(16, _ENTRIES // n)), n_jobs=layer.n_jobs)
    if not np.isfinite(traces).all():
        return Growth(np.inf, np.inf, np.inf)
    order = np.argsort(-traces, kind="stable")
    activation = curvature = gradient = 0.0
    for batch in slices(layer.width, _BATCH):
        if traces[order[batch.start]] <= min(activation, curvature, gradient):
            break
        chosen = order[batch]
        with np.errstate(under="ignore"):
            factors = squared(layer.take(chosen), sizes[chosen])
            image, root = _perron_bounds(squares, factors)
            activation, curvature = max(activation, image), max(curvature, root)
            for neuron, column in zip(chosen, factors.T, strict=True):
                if traces[neuron] > gradient:
                    gradient = max(gradient, _largest_eigenvalue(rows, column))
    margin = 1.0 + 2.0 * exponential_error(X, layer) + 4 * (n + d + 8) * EPS
    alpha, beta, b = (margin * float(np.sqrt(value)) for value in (activation, curvature, gradient))
    return Growth(unit * unit * alpha, unit * unit * beta, unit * b)


def _perron_bounds(matrix: FloatArray, factors: FloatArray) -> tuple[float, float]:
    """Largest row sum of matrix diag(f), and a bound on its spectral radius, over the columns f of the factors.

    For a non-negative matrix A and u > 0, max_i (A u)_i / u_i is at least the spectral radius, and no larger for A u.
    """
    image = matrix @ factors
    sums = bounds = image.max(axis=0)
    for _ in range(_PRODUCTS):
        image /= np.where(sums > 0.0, image.max(axis=0), 1.0)
        following = matrix @ (factors * image)
        ratios = np.divide(following, image, out=np.zeros_like(image), where=image > 0.0)
        bounds, image = np.minimum(bounds, ratios.max(axis=0)), following
    return float(sums.max()), float(bounds.max())


def _largest_eigenvalue(rows: FloatArray, factors: FloatArray) -> float:
    """Largest eigenvalue of X.T diag(f) X, by the smaller of two matrices."""
    scaled = np.sqrt(factors)[:, np.newaxis] * rows
    gram = scaled.T @ scaled if scaled.shape[1] <= len(scaled) else scaled @ scaled.T
    return float(eigvalsh(gram, check_finite=False)[-1]) + len(gram) * EPS * float(np.trace(gram))
