"""The curvature of softmax losses in the space of the logits: its sign, its range, and what Gauss-Newton misses of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._linalg import EPS
from underdetermined._validation import as_float, check_finite, check_memory

__all__ = ["curvature_is_psd", "curvature_range", "gauss_newton_gap"]

FloatArray = NDArray[np.float64]

# How far the sum of f may be from 1; a softmax in float32 passes.
_SUM_TOLERANCE = 1e-5


def curvature_is_psd(f: ArrayLike, b: ArrayLike, weights: ArrayLike | None = None) -> bool:
    """Decide whether the squared loss of a softmax is convex in the logits to second order.

    With c = f - b, s = <f, c> and p = f (f + c - s) the Hessian of |softmax(y) - b|^2 / 2 in y is
    B = (I - f 1^T) diag(p) (I - 1 f^T). Decided is whether B + diag(w^2) has no negative eigenvalue.

    Parameters
    ----------
    f : array_like of shape (m,)
        Fitted distribution: entries >= 0 that sum to 1.
    b : array_like of shape (m,)
        Targets, any finite numbers.
    weights : array_like of shape (m,) or None, default=None
        One weight w for each logit; None is 0.

    Returns
    -------
    bool
        Up to rounding: on the border between the two answers, either may come.

    Raises
    ------
    TypeError, ValueError
        If f is no distribution, shapes differ or an entry is not finite.
    MemoryError
        If an entry of p + w^2 is exactly 0 beside a negative one of p, and the (m, m) matrix, whose eigenvalues decide
        then, does not fit.

    Notes
    -----
    O(m). Without weights, B is positive semi-definite exactly if all g = p / f are >= 0, or one is negative, all others are
    positive and sum f / g <= 0. With weights a matrix of order 2 tells.

    A positive answer implies that the Hessian in x is positive semi-definite, inside the cell of x. It does not imply that
    the loss is convex in x, nor that it has one minimum: kinks may be concave, whatever penalty is added. A negative answer
    says that the Hessian in x has a negative eigenvalue if the centred Jacobian has rank m - 1, and nothing otherwise. The
    divergence "kl" needs no test: there p = f.

    References
    ----------
    :ref:`theory-softmax-relu-convexity`.

    Examples
    --------
    >>> from underdetermined.softmax_relu import curvature_is_psd
    >>> curvature_is_psd([0.5, 0.3, 0.2], [0.4, 0.4, 0.2])
    True
    >>> curvature_is_psd([0.2, 0.8], [1.0, 0.0])
    False
    >>> curvature_is_psd([0.2, 0.8], [1.0, 0.0], weights=[0.5, 0.5])
    True
    """
    fitted, targets = _check(f, b)
    g = _relative_weights(fitted, targets)
    squares = np.zeros_like(fitted)
    if weights is not None:
        squares = np.asarray(as_float(weights, "weights"), dtype=np.float64) ** 2
        if squares.shape != fitted.shape:
            raise ValueError(f"weights has shape {squares.shape}: pass one weight for each of the {len(fitted)} logits")
        check_finite(squares, "weights ** 2")
    # A logit whose f is 0 has no curvature and only its own weight.
    seen = fitted > 0.0
    fitted, g, squares = fitted[seen], g[seen], squares[seen]
    if g.min() >= 0.0:
        return True
    if not squares.any():
        return bool(np.count_nonzero(g < 0.0) == 1 and g.all() and np.sum(fitted / g) <= 0.0)
    p = fitted * g
    diagonal = p + squares
    if not diagonal.all():
        return _smallest_eigenvalue(fitted, p, squares) >= -len(p) * EPS * (np.abs(p).max() + squares.max())
    # Because p and f sum to |f|^2 and 1, the matrix T of order 2 has these entries, free of cancellation.
    corner = -float(np.sum(squares * p / diagonal))
    side = -float(np.sum(squares * fitted / diagonal))
    last = float(np.sum(fitted * fitted / diagonal))
    negative = np.count_nonzero(diagonal < 0.0)
    if negative == 0:
        return corner * last <= side * side
    return bool(negative == 1 and corner <= 0.0 and last <= 0.0 and corner * last >= side * side)


def curvature_range(f: ArrayLike, b: ArrayLike) -> tuple[float, float]:
    """Bounds on the Hessian B of the squared loss in the logits by that of the divergence: -gamma P <= B <= Gamma P.

    P = diag(f) - f f^T is the derivative of the softmax, gamma = max(0, -min g) and Gamma = max(0, max g), with
    g = f + c - <f, c> and c = f - b.

    Parameters
    ----------
    f : array_like of shape (m,)
        Fitted distribution: entries >= 0 that sum to 1.
    b : array_like of shape (m,)
        Targets, any finite numbers.

    Returns
    -------
    gamma, Gamma : float
        For targets that are a distribution at most 2 and 9/8; for all others gamma is at most 1 + max b - min b.

    Raises
    ------
    TypeError, ValueError
        If f is no distribution, shapes differ or an entry is not finite.

    Notes
    -----
    O(m). gamma = 0 implies a positive semi-definite Hessian inside the cell, not convexity; gamma > 0 implies nothing:
    `curvature_is_psd` decides. Logits with f = 0 have no curvature and do not count.

    References
    ----------
    :ref:`theory-softmax-relu-convexity`.

    Examples
    --------
    >>> from underdetermined.softmax_relu import curvature_range
    >>> print("{:.2f} {:.2f}".format(*curvature_range([0.2, 0.8], [1.0, 0.0])))
    1.08 1.12
    """
    fitted, targets = _check(f, b)
    g = _relative_weights(fitted, targets)[fitted > 0.0]
    return max(0.0, -float(g.min())), max(0.0, float(g.max()))


def gauss_newton_gap(f: ArrayLike, b: ArrayLike) -> float:
    """Relative error of the Gauss-Newton matrix of the squared loss: |H - J^T J| <= gap J^T J.

    gap = max_i |c_i - s| / f_i with c = f - b and s = <f, c>. It bounds the Hessian in x from both sides, at every x that
    fits f: (1 - gap) J^T J <= H <= (1 + gap) J^T J.

    Parameters
    ----------
    f : array_like of shape (m,)
        Fitted distribution: entries >= 0 that sum to 1.
    b : array_like of shape (m,)
        Targets, any finite numbers.

    Returns
    -------
    float
        Logits with f = 0 have no part in either matrix and do not count.

    Raises
    ------
    TypeError, ValueError
        If f is no distribution, shapes differ or an entry is not finite.

    Notes
    -----
    O(m). The relative residual counts: one class with a tiny f_i makes the gap large, however well all others are fitted. A
    gap below 1 implies a positive semi-definite Hessian inside the cell; one above 1 implies nothing. Units with a softplus
    and penalties have parts of their own in the Hessian, which the gap does not know.

    References
    ----------
    :ref:`theory-softmax-relu-convexity`.

    Examples
    --------
    >>> from underdetermined.softmax_relu import gauss_newton_gap
    >>> print(f"{gauss_newton_gap([0.5, 0.3, 0.2], [0.4, 0.4, 0.2]):.2f}")
    0.40
    """
    fitted, targets = _check(f, b)
    residual = fitted - targets
    seen = fitted > 0.0
    with np.errstate(over="ignore"):
        return float(np.max(np.abs(residual - fitted @ residual)[seen] / fitted[seen]))


def _relative_weights(fitted: FloatArray, targets: FloatArray) -> FloatArray:
    """The curvature weights p, divided by f."""
    residual = fitted - targets
    return fitted + residual - fitted @ residual


def _smallest_eigenvalue(fitted: FloatArray, p: FloatArray, squares: FloatArray) -> float:
    """Smallest eigenvalue of B + diag(w^2), from the whole matrix."""
    m = len(fitted)
    check_memory(24 * m * m, f"the {m} x {m} curvature of the logits")
    cross = np.outer(p, fitted)
    matrix = np.diag(p + squares) - cross - cross.T + p.sum() * np.outer(fitted, fitted)
    return float(np.linalg.eigvalsh(matrix)[0])


def _check(f: ArrayLike, b: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """The two vectors in float64."""
    fitted = np.asarray(as_float(f, "f"), dtype=np.float64)
    targets = np.asarray(as_float(b, "b"), dtype=np.float64)
    if fitted.ndim != 1 or fitted.size == 0:
        raise ValueError(f"f has shape {fitted.shape}: pass one distribution, shape (m,) with m >= 1")
    if targets.shape != fitted.shape:
        raise ValueError(f"b has shape {targets.shape} and f has {fitted.shape}: pass one target for each logit")
    check_finite(fitted, "f")
    check_finite(targets, "b")
    if fitted.min() < 0.0 or abs(fitted.sum() - 1.0) > _SUM_TOLERANCE:
        raise ValueError(
            f"f has smallest entry {fitted.min():.3g} and sum {fitted.sum():.9g}: pass a distribution, such as the `fitted` "
            "of a point"
        )
    return fitted / fitted.sum(), targets
