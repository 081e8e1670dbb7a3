"""Exact fits softmax(A2 h) = b with h >= 0: a linear system in h, decided with a proof either way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linprog, nnls
from scipy.special import betainc

from underdetermined._linalg import EPS
from underdetermined._validation import check_count, check_matrix
from underdetermined.objectives._softmax_relu_checks import check_distributions

__all__ = ["ExactFit", "exact_fit", "exact_fit_probability"]

FloatArray = NDArray[np.float64]

# Rounding errors of a few inner products of length n, in units of eps times the sum of the absolute terms.
_ROUNDING = 32.0
_REFINEMENTS = 4


@dataclass(frozen=True, eq=False)
class ExactFit:
    """Whether some h >= 0 has softmax(A2 h) = b, and why.

    Parameters
    ----------
    hidden : ndarray of shape (n,) or None
        Such an h, with as few positive entries as linearly independent columns of A2; None where none was found.
    is_decided : bool
        Whether the answer is proved up to rounding: by `hidden`, by `separator`, or by a zero in b.
    residual : float
        max_i |A2 h + tau 1 - log b|_i of the best h and tau, in logits; inf where b has a zero.
    separator : ndarray of shape (m,) or None
        v with sum 0, <v, a> <= 0 for every column a of A2 and <v, log b> > 0: as A2 h + tau 1 = log b would give
        <v, log b> = sum_j h_j <v, a_j> <= 0, no fit exists. None where there is a fit.
    reason : str
        One sentence with numbers.
    """

    hidden: FloatArray | None
    is_decided: bool
    residual: float
    separator: FloatArray | None
    reason: str

    @property
    def exists(self) -> bool:
        """Whether a fit was found."""
        return self.hidden is not None


def exact_fit(A2: ArrayLike, b: ArrayLike) -> ExactFit:
    r"""Decide whether hidden values h >= 0 reproduce a composition exactly, softmax(A2 h) = b.

    For b > 0 that is the linear system

    .. math:: A_2 h + \tau 1 = \log b, \qquad h \ge 0,

    with one free number tau: non-negative least squares on A2 and log b, both less their means over the rows.

    Parameters
    ----------
    A2 : array_like of shape (m, n)
        Output layer.
    b : array_like of shape (m,)
        Shares, >= 0 with sum 1. A share of 0 is no value of a softmax, so that no fit exists.

    Returns
    -------
    ExactFit
        Falsy `exists` with `is_decided` True is a proof that there is none; `is_decided` False says that the residual is
        neither rounding nor separated from it.

    Raises
    ------
    TypeError, ValueError
        If an argument is not finite, shapes do not fit, or b is not a composition.

    Notes
    -----
    Columns are normalised first, so that the scale of a column does not matter. The positive entries are computed again by
    least squares with refinement, and the residual is compared with the rounding of A2 h. The cost is that of the active-set
    method, O(m k^2) for each of its O(k) steps with k <= m - 1 positive entries. See :ref:`theory-softmax-relu-free`.

    Examples
    --------
    >>> from underdetermined.softmax_relu import exact_fit
    >>> found = exact_fit([[1.0, -1.0], [0.0, 2.0]], [0.25, 0.75])
    >>> found.exists, found.hidden.round(6)
    (True, array([0.      , 0.366204]))
    >>> exact_fit([[1.0], [0.0]], [0.25, 0.75]).exists
    False
    """
    matrix = np.asarray(check_matrix(A2, "A2"), dtype=np.float64)
    target = check_distributions(b, matrix.shape[0], "kl", "b")
    if target.ndim != 1:
        raise ValueError(f"b has shape {target.shape}: pass one composition of shape ({matrix.shape[0]},)")
    return find_exact_fit(matrix, target)


def find_exact_fit(A2: FloatArray, b: FloatArray) -> ExactFit:
    """Find what `exact_fit` returns, for checked arguments.

    Parameters
    ----------
    A2 : ndarray of shape (m, n)
        Output layer.
    b : ndarray of shape (m,)
        A composition.

    Returns
    -------
    ExactFit
    """
    n_zeros = int(np.count_nonzero(b <= 0.0))
    if n_zeros:
        reason = f"b has {n_zeros} zeros, and a softmax is positive: no h fits it, though a sequence of h may come near"
        return ExactFit(None, True, np.inf, None, reason)
    columns, norms = centred_columns(A2)
    target = np.log(b)
    target -= target.mean()
    scaled, separator = _non_negative(columns, target)
    magnitude = np.abs(columns) @ scaled + np.abs(target) + np.abs(np.log(b))
    residual = float(np.abs(separator).max())
    if residual <= _ROUNDING * EPS * float(magnitude.max()):
        reason = f"{np.count_nonzero(scaled)} positive units reproduce log b to {residual:.2g}, which is rounding"
        return ExactFit(scaled / norms, True, residual, None, reason)
    size = float(np.linalg.norm(separator))
    gain = float(separator @ target) / size
    excess = max(float((separator @ columns).max(initial=0.0)) / size, EPS)
    # <v, target> = sum h_j <v, a_j> <= excess |h|_1 for every fit h of normalised columns.
    least = gain / excess
    is_decided = bool(least > float(np.abs(target).max()) / np.sqrt(EPS))
    if is_decided:
        reason = f"the best h misses log b by {residual:.2g}; any fit would need sum_j h_j |a_j| > {least:.2g}"
    else:
        reason = f"undecided: the best h misses log b by {residual:.2g}, too near to the rounding of A2 h"
    return ExactFit(None, is_decided, residual, separator, reason)


def exact_fit_probability(n: int, m: int) -> float:
    r"""Probability that n hidden units with a Gaussian output layer fit a composition of m shares exactly.

    .. math:: P = P(\mathrm{Bin}(n, \tfrac12) \ge m - 1)

    Parameters
    ----------
    n : int
        Hidden units, free to take any values >= 0, as where the rows of A1 are linearly independent.
    m : int
        Shares.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If an argument is not an integer of at least 1.

    Notes
    -----
    It holds for every b > 0 other than the uniform one, which h = 0 fits always. Of A2 it is only used that the columns,
    less their means, are in general position almost surely and that each may change its sign without a change of the joint
    distribution. See :ref:`theory-softmax-relu-free` for the proof.

    Examples
    --------
    >>> from underdetermined.softmax_relu import exact_fit_probability
    >>> exact_fit_probability(4, 3), exact_fit_probability(19, 11), exact_fit_probability(5, 7)
    (0.6875, 0.5, 0.0)
    """
    n, m = check_count(n, "n"), check_count(m, "m")
    if m == 1:
        return 1.0
    if n < m - 1:
        return 0.0
    return float(betainc(m - 1, n - m + 2, 0.5))


def centred_columns(A2: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Columns of A2 less their means, divided by their norms; columns that are constant up to rounding become 0.

    Parameters
    ----------
    A2 : ndarray of shape (m, n)
        Output layer.

    Returns
    -------
    columns : ndarray of shape (m, n)
        Unit vectors with sum 0, or 0.
    norms : ndarray of shape (n,)
        What they were divided by; 1 for a column 0.
    """
    largest = np.abs(A2).max(axis=0)
    scale = np.where(largest > 0.0, largest, 1.0)
    columns = A2 / scale
    columns -= columns.mean(axis=0)
    norms = np.linalg.norm(columns, axis=0)
    constant = norms <= len(A2) * EPS
    columns[:, constant] = 0.0
    safe = np.where(constant, 1.0, norms)
    columns /= safe
    return columns, np.where(constant, 1.0, safe * scale)


def _non_negative(columns: FloatArray, target: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Non-negative least squares, polished on its support: h and target - columns h."""
    size = float(np.abs(target).max())
    if size == 0.0 or not columns.any():
        return np.zeros(columns.shape[1]), target
    hidden = np.zeros(columns.shape[1])
    try:
        hidden = nnls(columns, target / size)[0]
    except RuntimeError:
        # The active-set method cycles on nearly dependent columns; a linear program finds a support as well.
        hidden = _support_by_program(columns, target / size)
    return polish(columns, target, hidden * size)


def _support_by_program(columns: FloatArray, target: FloatArray) -> FloatArray:
    """Minimise sum |columns h - target| over h >= 0."""
    m, n = columns.shape
    equations = np.hstack([columns, np.eye(m), -np.eye(m)])
    cost = np.concatenate([np.zeros(n), np.ones(2 * m)])
    found = linprog(cost, A_eq=equations, b_eq=target, method="highs-ds")
    return np.zeros(n) if found.x is None else np.maximum(found.x[:n], 0.0)


def polish(columns: FloatArray, target: FloatArray, hidden: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Least squares on the support of h, refined; units that turn negative leave the support.

    Parameters
    ----------
    columns : ndarray of shape (m, n)
        Normalised columns.
    target : ndarray of shape (m,)
        Right-hand side.
    hidden : ndarray of shape (n,)
        h >= 0, an approximate solution.

    Returns
    -------
    hidden : ndarray of shape (n,)
        The best of what was met, h >= 0.
    residual : ndarray of shape (m,)
        target - columns h.
    """
    best, best_residual = hidden, target - columns @ hidden
    support = np.flatnonzero(hidden > 0.0)
    while len(support):
        part = columns[:, support]
        values, remaining = np.zeros(len(support)), target
        for _ in range(_REFINEMENTS):
            values = values + np.linalg.lstsq(part, remaining)[0]
            remaining = target - part @ values
        if values.min() >= 0.0:
            if np.linalg.norm(remaining) <= np.linalg.norm(best_residual):
                best, best_residual = np.zeros(len(hidden)), remaining
                best[support] = values
            break
        support = support[values > 0.0]
    return best, best_residual
