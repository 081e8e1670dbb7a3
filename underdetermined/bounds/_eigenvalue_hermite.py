"""Lower bound from the Hermite expansion of the kernel, the sharpest for rows that are close together."""

from __future__ import annotations

from math import erfc, exp, sqrt

import numpy as np
from scipy.special import ndtr

from underdetermined._linalg import EPS
from underdetermined.bounds._dominance import Dominance
from underdetermined.bounds._eigenvalue_bound import EigenvalueBound, lower_bound
from underdetermined.bounds._eigenvalue_problem import EigenvalueProblem
from underdetermined.bounds._kernel_problem import FloatArray

# Degrees up to which the weights are summed, for one threshold and for several; beyond, their tail has a closed form.
_SUMMED = {True: 2**18, False: 2**14}
_DEGREES = np.unique(np.concatenate([np.arange(60.0), np.round(60.0 * 1.09 ** np.arange(751.0))]))
_FULL = 0.999
# Thresholds closer than the first, relative to their size, are one; the second covers that, the recursion and the powers.
_SAME, _SAFETY = 1e-12, 1e-9


def eigenvalue_hermite(problem: EigenvalueProblem) -> EigenvalueBound:
    """Terms of the Hermite expansion in which the diagonal dominates, ``lambda_min >= min_i N_i^2 sum_k c_k(h_i)^2 g_ki``.

    Parameters
    ----------
    problem : EigenvalueProblem
        Rows, bias and kernel.

    Returns
    -------
    EigenvalueBound
        Of order ``exp(-bias^2 / 2) delta / sqrt(log n)`` for unit rows at distances of at least delta.

    Notes
    -----
    ``H = sum_k D_k N (C o R^k) N D_k`` with R the cosines of the rows, C those of the rows with ``bias_scale`` as one more
    input, ``D_k = diag(c_k(h_i))`` and ``c_0 = Q(h)``, ``c_k = phi(h) He_(k-1)(h) / sqrt(k!)``. Every term is positive
    semi-definite, and ``C o R^k`` is at least ``diag(g_ki)``, ``g_ki = 1 - sum_j |C_ij| |R_ij|^k``; terms count from the
    degree on where all g are positive, and the g grow with the degree. This holds for rows of any norm. Terms are taken in
    blocks of degrees, each with the g of its first. Up to degree 262144 for one threshold, 16384 for several, the
    ``c_k^2`` are summed; beyond, their tail has a lower bound from the kernel of two close rows, about 0.38 of the tail.

    About 60 passes over the pairs, fewer each time, and up to 0.1 seconds for the sums.

    References
    ----------
    :ref:`theory-smallest-eigenvalue`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.bounds import EigenvalueProblem, eigenvalue_hermite
    >>> round(eigenvalue_hermite(EigenvalueProblem.from_data(np.eye(3), bias=0.0)).value, 4)
    0.5
    """
    statement = "High degrees of the Hermite expansion have dominant diagonals; the others are positive semi-definite."
    return lower_bound(problem, "hermite", _value, statement, "from some degree on the diagonal exceeds all row sums")


def _value(problem: EigenvalueProblem) -> float:
    lengths = np.sqrt(problem.squares)
    inputs, bias = problem.norms / lengths, problem.bias_scale / lengths
    cosines = np.abs(problem.cosines * np.outer(inputs, inputs) + np.outer(bias, bias)) + problem.angle_error
    dominance = Dominance(cosines, problem.separations - problem.angle_error)
    # Dominance grows with the degree, so that bisection finds the first degree of use.
    first, last = 0, _DEGREES.size
    while first < last:
        middle = (first + last) // 2
        first, last = (first, middle) if dominance.at(_DEGREES[middle]).min() >= 0.0 else (middle + 1, last)
    if first == _DEGREES.size:
        return 0.0
    rows, degrees = [], []
    for degree in _DEGREES[first:]:
        rows.append(dominance.at(degree))
        degrees.append(degree)
        dominance.drop(degree)
        if rows[-1].min() >= _FULL or dominance.is_constant:
            break
    growth = np.diff(np.array(rows), axis=0, prepend=0.0).clip(min=0.0)
    # Thresholds that differ by rounding only, as those of unit rows do, share their sums.
    values = np.unique(problem.thresholds)
    thresholds = values[np.diff(values, prepend=-1.0) > _SAME * values]
    shared = np.searchsorted(thresholds, problem.thresholds, side="right") - 1
    tails = _tails(thresholds, np.array(degrees))[:, shared]
    return (1.0 - _SAFETY) * float((problem.squares * (growth * tails).sum(axis=0)).min())


def _tails(thresholds: FloatArray, degrees: FloatArray) -> FloatArray:
    """Lower bounds (s, u) of ``sum_(k >= K) c_k(h)^2`` for s degrees K and u thresholds h."""
    limit = _SUMMED[thresholds.size == 1]
    floors = np.array([_tail_floor(thresholds, degree) for degree in degrees])
    summed = degrees[degrees <= limit].astype(int)
    if summed.size == 0:
        return floors
    # A Python number makes each step several times faster than an array of one.
    h = float(thresholds[0]) if thresholds.size == 1 else thresholds
    tail = 0.5 * erfc(h / sqrt(2.0)) if thresholds.size == 1 else ndtr(-h)
    density = exp(-h * h / 2.0) if thresholds.size == 1 else np.exp(-h * h / 2.0)
    before, now, total = 0.0 * h, density / sqrt(2.0 * np.pi), tail * tail
    sums = []
    wanted = iter(summed)
    target = next(wanted)
    if target == 0:
        sums.append(0.0 * h)
        target = next(wanted, None)
    k = 1
    while target is not None:
        # Invariant: total sums the degrees below k, and now is phi(h) He_(k-1)(h) / sqrt((k-1)!).
        if k == target:
            sums.append(total + 0.0)
            target = next(wanted, None)
        total = total + now * now / k
        before, now = now, (h * now - sqrt(k - 1.0) * before) / sqrt(k)
        k += 1
    exact = np.reshape(np.array([tail - each for each in sums]), (len(sums), -1))
    exact -= EPS * summed[:, np.newaxis] * tail
    floors[: summed.size] = np.maximum(floors[: summed.size], exact)
    return floors


def _tail_floor(h: FloatArray, degree: float) -> FloatArray:
    """Closed lower bound of the tail from degree K.

    With ``1 - rho^k <= k (1 - rho)`` below K, the tail is at least
    ``sum_k c_k^2 (1 - rho^k) - (1 - rho) sum_(k < K) k c_k^2``. The first sum is what the chance to fire on two rows of
    cosine rho lacks of Q(h); the second is at most ``r^(-K)`` times the derivative of that chance in rho at any r < 1.
    """
    if degree == 0.0:
        return ndtr(-h)
    gap = 0.5 / (np.e * degree)
    tangent = np.sqrt(gap / (2.0 - gap))
    lacking = tangent / np.pi * np.exp(-(h**2) * (1.0 + tangent**2) / 2.0) / (1.0 + tangent**2)
    loss = 0.5 / degree
    slope = np.exp(-(h**2) / (2.0 - loss)) / (2.0 * np.pi * np.sqrt(loss * (2.0 - loss)))
    return np.maximum(0.0, lacking - gap * slope * np.exp(-degree * np.log1p(-loss)))
