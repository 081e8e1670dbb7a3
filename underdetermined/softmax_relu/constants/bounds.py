"""Constants of softmax-ReLU objectives: penalties that keep Hessians positive definite, and how fast Hessians change."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.linalg import svdvals

from underdetermined._linalg import rank_cutoff
from underdetermined._validation import check_finite, check_memory, check_number
from underdetermined.objectives import SoftmaxReLU
from underdetermined.softmax_relu.constants.losses import diameter, logit_constants, lower_curvature

__all__ = ["convexifying_reg", "convexifying_weights", "hessian_lipschitz"]

FloatArray = NDArray[np.float64]


def convexifying_weights(
    objective: SoftmaxReLU, x: ArrayLike | None = None, *, floor: float = 0.0, smoothing: float = 0.0
) -> FloatArray:
    """Weights w with which |diag(w) A1 x|^2 / 2 makes every Hessian at least `floor`.

    With R_k the range of column k of A2, and diam the largest distance of two rows, they are, at every x off the kinks,

        w_k^2 = lower diam(A2)^2 + slope R_k / (4 mu) + floor / sigma_min(A1)^2,

    where, with rho = max b - min b, lower = (1/2 + rho) / 4 and slope = (1 + rho) / 4 for the squared loss, and lower = 0
    and slope = 1 for "kl". The middle part is there with a smoothing mu > 0 only, and then there are no kinks.

    Parameters
    ----------
    objective : SoftmaxReLU
        The problem; its own penalties are not counted, so that these weights take their place.
    x : array_like of shape (d,) or None, default=None
        If given, weights that do at x, and are never larger.
    floor : float, default=0.0
        Smallest eigenvalue of the Hessian that is wanted, at least 0.
    smoothing : float, default=0.0
        mu >= 0, the width of the softplus; 0 for the ReLU.

    Returns
    -------
    ndarray of shape (n,)
        w, as ``SoftmaxReLU(..., weights=w)`` takes it.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, or `floor` > 0 and the columns of A1 are not independent.
    MemoryError
        If A1 is sparse and its singular values do not fit.

    Notes
    -----
    All constants are proved, and inf where they overflow. They are pessimistic, by factors of three to many hundreds, and a
    fit with such weights is hardly better than none: use a trust region instead of choosing weights for their curvature.

    Hessians that are positive definite off the kinks do **not** make the objective convex: a kink may be concave whatever
    the weights are, and then lies between two minima. With `smoothing` and without `x`, the smoothed objective is convex.

    Costs m^2 n flops, and the singular values of A1 if `floor` > 0.

    References
    ----------
    :ref:`theory-softmax-relu-convexity`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.objectives import SoftmaxReLU
    >>> from underdetermined.softmax_relu import convexifying_weights
    >>> layers = [[1.0, 2.0], [3.0, -1.0]], [[1.0, -1.0], [0.0, 2.0]], [0.25, 0.75]
    >>> weights = convexifying_weights(SoftmaxReLU(*layers), floor=0.1)
    >>> hessian = SoftmaxReLU(*layers, weights=weights).at([0.5, 0.25]).hessian()
    >>> bool(np.linalg.eigvalsh(hessian)[0] >= 0.1)
    True
    """
    _check_objective(objective)
    floor = check_number(floor, "floor")
    with np.errstate(over="ignore"):
        squares = _curvature_of_units(objective, x, smoothing) + _bend_of_units(objective, x, smoothing)
    if floor > 0.0:
        hidden = _dense_hidden(objective)
        values = svdvals(hidden)
        if hidden.shape[0] < hidden.shape[1] or values[-1] <= rank_cutoff(hidden.shape) * values[0]:
            raise ValueError(
                f"floor={floor:g} with an A1 of shape {hidden.shape} and dependent columns: no weights lift the Hessian "
                "where A1 x = 0; pass floor=0, or take convexifying_reg"
            )
        squares += floor / float(values[-1]) ** 2
    return np.sqrt(squares)


def convexifying_reg(
    objective: SoftmaxReLU, x: ArrayLike | None = None, *, floor: float = 0.0, smoothing: float = 0.0
) -> float:
    """Weight of |x|^2 / 2 that makes every Hessian at least `floor`.

    It is lower diam(A2)^2 |A1|^2 + floor off the kinks, with `lower` as in `convexifying_weights`; at one x,
    lower diam(K)^2 + floor with the Jacobian K of the logits; and more with a `smoothing`.

    Parameters
    ----------
    objective : SoftmaxReLU
        The problem; its own penalties are not counted.
    x : array_like of shape (d,) or None, default=None
        If given, a weight that does at x, and is never larger.
    floor : float, default=0.0
        Smallest eigenvalue of the Hessian that is wanted, at least 0.
    smoothing : float, default=0.0
        mu >= 0, the width of the softplus; 0 for the ReLU.

    Returns
    -------
    float
        As ``SoftmaxReLU(..., reg=...)`` takes it.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.
    MemoryError
        If A1 is sparse and its norm does not fit.

    Notes
    -----
    All that is said of `convexifying_weights` is true here: proved, pessimistic, and with kinks no promise of convexity.
    m^2 n flops and the norm of A1, or m^2 d and the Jacobian at x.

    References
    ----------
    :ref:`theory-softmax-relu-convexity`.

    Examples
    --------
    >>> from underdetermined.objectives import SoftmaxReLU
    >>> from underdetermined.softmax_relu import convexifying_reg
    >>> objective = SoftmaxReLU([[1.0], [-1.0]], [[1.0, 1.0], [0.0, 0.0]], [1.0, 0.0])
    >>> print(f"{convexifying_reg(objective):.3f} {convexifying_reg(objective, [1.0]):.3f}")
    1.500 0.000
    """
    _check_objective(objective)
    floor = check_number(floor, "floor")
    hidden = _dense_hidden(objective)
    point = None if x is None else objective.at(_finite(x), smoothing)
    lower = logit_constants(objective).lower if point is None else lower_curvature(objective, point.fitted)
    with np.errstate(over="ignore"):
        if lower > 0.0:
            width = diameter(objective.A2) * _norm(hidden) if point is None else diameter(point.centred_jacobian())
            lower *= float(width**2)
        bend = _bend_of_units(objective, x, smoothing)
        return float(lower + _norm(np.sqrt(bend)[:, np.newaxis] * hidden) ** 2 + floor)


def hessian_lipschitz(objective: SoftmaxReLU, x: ArrayLike | None = None, *, smoothing: float = 0.0) -> float:
    """Lipschitz constant of the Hessian: |H(x) - H(x')| <= M |x - x'| in the spectral norm.

    Inside the cell of x, M = third diam(K)^3 with the Jacobian K of the logits, and third diam(A2)^3 |A1|^3 inside any cell,
    where third = 3/4 + (1/4 + 1 / (12 sqrt 3)) (1 + max b - min b) for the squared loss and 1 / (6 sqrt 3) for "kl". With a
    smoothing mu > 0 one constant holds for all x and x'.

    Parameters
    ----------
    objective : SoftmaxReLU
        The problem; penalties are quadratic and do not matter.
    x : array_like of shape (d,) or None, default=None
        A point of the cell, off the kinks; None for any cell.
    smoothing : float, default=0.0
        mu >= 0, the width of the softplus; 0 for the ReLU.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, or both `x` and `smoothing` are given.
    MemoryError
        If A1 is sparse and its norm does not fit.

    Notes
    -----
    **Across a kink no constant exists**: the gradient jumps there. No exponential of norms appears, because derivatives of
    the softmax are bounded whatever the logits are. The constants are proved, and pessimistic: by a median factor of some
    hundreds inside a cell, of thousands with a smoothing. m^2 d flops and a Jacobian, or m^2 n and the norm of A1.

    References
    ----------
    :ref:`theory-softmax-relu-convexity`.

    Examples
    --------
    >>> from underdetermined.objectives import SoftmaxReLU
    >>> from underdetermined.softmax_relu import hessian_lipschitz
    >>> objective = SoftmaxReLU([[1.0, 2.0], [3.0, -1.0]], [[1.0, -1.0], [0.0, 2.0]], [0.25, 0.75])
    >>> here, anywhere = hessian_lipschitz(objective, [0.5, 0.25]), hessian_lipschitz(objective)
    >>> here < anywhere < hessian_lipschitz(objective, smoothing=1.0)
    True
    """
    _check_objective(objective)
    smoothing = check_number(smoothing, "smoothing")
    constants = logit_constants(objective)
    if x is not None:
        if smoothing > 0.0:
            raise ValueError(f"x is given and smoothing={smoothing:g}: with a softplus there are no cells; pass x=None")
        with np.errstate(over="ignore"):
            return float(constants.third * diameter(objective.at(_finite(x)).centred_jacobian()) ** 3)
    norm, width = _norm(_dense_hidden(objective)), diameter(objective.A2)
    with np.errstate(over="ignore"):
        result = constants.third * (width * norm) ** 3
        if smoothing > 0.0:
            # The second and third derivatives of the units are at most 1 / (4 mu) and 1 / (6 sqrt(3) mu^2), and the range
            # of A2 v at most largest_range |v|_1.
            largest_range = _ranges(objective.A2).max()
            bends = 3.0 * constants.product * width * largest_range / (4.0 * smoothing)
            bends += constants.slope * (largest_range / smoothing) / (6.0 * sqrt(3.0) * smoothing)
            result += bends * norm**3
    return float(result)


def _curvature_of_units(objective: SoftmaxReLU, x: ArrayLike | None, smoothing: float) -> FloatArray:
    """Squares of weights that outweigh the negative curvature of the loss in the logits."""
    if x is None:
        lower = logit_constants(objective).lower
        return np.full(objective.n_hidden, lower * diameter(objective.A2) ** 2 if lower > 0.0 else 0.0)
    point = objective.at(_finite(x), smoothing)
    lower = lower_curvature(objective, point.fitted)
    if lower == 0.0:
        return np.zeros(objective.n_hidden)
    # The range of A2 diag(t) v is at most the diameter of A2 diag(sqrt t) times the norm of diag(sqrt t) v.
    square = lower * diameter(objective.A2 * np.sqrt(point.slopes)) ** 2
    return np.multiply(square, point.slopes, where=point.slopes > 0.0, out=np.zeros(objective.n_hidden))


def _bend_of_units(objective: SoftmaxReLU, x: ArrayLike | None, smoothing: float) -> FloatArray:
    """Squares of weights that outweigh the negative curvature of the smoothed units themselves."""
    smoothing = check_number(smoothing, "smoothing")
    if smoothing == 0.0:
        return np.zeros(objective.n_hidden)
    if x is None:
        return logit_constants(objective).slope * _ranges(objective.A2) / (4.0 * smoothing)
    point = objective.at(_finite(x), smoothing)
    second = point.slopes * (1.0 - point.slopes) / smoothing
    return np.maximum(-second * point.unit_slopes, 0.0)


def _ranges(matrix: FloatArray) -> FloatArray:
    """Ranges of the columns."""
    return np.ptp(matrix, axis=0)


def _norm(matrix: FloatArray) -> np.float64:
    """Spectral norm."""
    return np.float64(svdvals(matrix, check_finite=False)[0] if np.isfinite(matrix).all() else np.inf)


def _dense_hidden(objective: SoftmaxReLU) -> FloatArray:
    """A1 as an array, for its singular values."""
    if not sparse.issparse(objective.A1):
        return objective.A1
    n, d = objective.A1.shape
    check_memory(8 * n * d, f"the {n} x {d} hidden layer as a dense matrix")
    return objective.A1.toarray()


def _finite(x: ArrayLike) -> FloatArray:
    """A point at which the objective is asked for."""
    result = np.asarray(x, dtype=np.float64)
    check_finite(result, "x")
    return result


def _check_objective(objective: SoftmaxReLU) -> None:
    """Refuse other objectives."""
    if not isinstance(objective, SoftmaxReLU):
        raise TypeError(f"objective is a {type(objective).__name__}: pass an underdetermined.objectives.SoftmaxReLU")
