"""Lower bounds from what happens where a neuron crosses its threshold on one row and on no other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import ndtr

from underdetermined._linalg import EPS
from underdetermined.blocks import slices
from underdetermined.bounds._eigenvalue_bound import EigenvalueBound, lower_bound
from underdetermined.bounds._eigenvalue_problem import EigenvalueProblem
from underdetermined.bounds._kernel_problem import FloatArray

_BLOCK = 128
_GOLDEN = 0.6180339887498949
_TRIES = 30
_NARROWEST, _WIDEST = 1e-16, 20.0
_SAFETY = 1e-9


def eigenvalue_jump(problem: EigenvalueProblem) -> EigenvalueBound:
    """Jump of the gradient where one threshold is crossed alone, ``lambda_min >= 1 / sum_i (1 / kappa_i)``.

    Parameters
    ----------
    problem : EigenvalueProblem
        Rows, bias and kernel.

    Returns
    -------
    EigenvalueBound
        ``kappa_i = N_i^2 max_t p q / (p + q) (1 - sum_j q_ij)`` with p and q the chances that the weight g of a neuron along
        row i is in ``[h_i, h_i + t]`` and in ``[h_i - t, h_i]``, and ``q_ij`` the chance that the threshold of row j is
        crossed while g runs through both, ``P[|s xi - (h_j - rho h_i)| <= |rho| t]``, xi normal, ``s = sqrt(1 - rho^2)``.

    Notes
    -----
    ``a.T H a = E |F|^2`` with F the sum of ``a_j (x_j, bias_scale)`` over the rows on which a neuron fires. As g runs
    through both intervals, F jumps once, by the term of row i, with probability ``1 - sum_j q_ij`` or more, and the mean
    square on both sides is at least ``p q / (p + q)`` times that of the jump, so ``a.T H a >= a_i^2 kappa_i``. This holds
    for rows of any norm. Rows on one line need thresholds that differ. The width t is searched for each row: 32 passes over
    the pairs, each with two normal probabilities.

    References
    ----------
    :ref:`theory-smallest-eigenvalue`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.bounds import EigenvalueProblem, eigenvalue_jump
    >>> round(eigenvalue_jump(EigenvalueProblem.from_data(np.eye(3), bias=0.0)).value, 3)
    0.167
    """
    statement = "Some neurons cross the threshold of one row and of no other, where their gradients jump by that row alone."
    return lower_bound(problem, "jump", _jump, statement, "on every row some neurons cross their thresholds alone")


def eigenvalue_separation(problem: EigenvalueProblem) -> EigenvalueBound:
    """Closed form from the least separation, ``lambda_min >= min_i N_i^2 delta exp(-(h_i + t)^2 / 2) / (16 n (n - 1))``.

    Parameters
    ----------
    problem : EigenvalueProblem
        Rows, bias and kernel.

    Returns
    -------
    EigenvalueBound
        With ``t = k delta``, ``k = sqrt(2 pi) / (4 (n - 1))``, and delta the least separation of two rows: the larger of the
        distance of their lines on the unit sphere, ``min(|u_i - u_j|, |u_i + u_j|)``, and of what their thresholds are
        apart, ``sqrt(e) |h_j - rho h_i| / (1 + sqrt(e) |rho| k)``. For unit rows ``N_i^2 = 2`` and ``h_i = bias``.

    Notes
    -----
    O(n^2) work. The bound of `eigenvalue_jump` at one width t, with ``q_ij <= 2 t / (sqrt(2 pi) delta)``, which leaves half
    of the neurons. The distance of the lines bounds q by the density at 0; what the thresholds are apart, by the density
    where the threshold of row j is, ``max_s exp(-z^2 / (2 s^2)) / s = 1 / (z sqrt(e))``, so that opposite rows need no
    distance if ``bias > 0``. Where a smaller delta gives more, it is taken.

    References
    ----------
    :ref:`theory-smallest-eigenvalue`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.bounds import EigenvalueProblem, eigenvalue_separation
    >>> round(eigenvalue_separation(EigenvalueProblem.from_data(np.eye(3), bias=0.0)).value, 4)
    0.0267
    """
    statement = "Half of the neurons near the threshold of a row stay off those of the others, by the least separation."
    return lower_bound(
        problem, "separation", _separation, statement, "no two rows have one line and thresholds that coincide on it"
    )


def _separation(problem: EigenvalueProblem) -> float:
    n, thresholds = problem.n_rows, problem.thresholds
    others = max(n - 1, 1)
    k = np.sqrt(2.0 * np.pi) / (4.0 * others)
    gaps = np.sqrt(np.e) * np.maximum(np.abs(problem.offsets) - _offset_errors(problem), 0.0)
    gaps /= 1.0 + np.sqrt(np.e) * np.abs(problem.cosines) * k
    separations = np.maximum(problem.separations - problem.angle_error, gaps)
    np.fill_diagonal(separations, np.inf)
    # For large separations the exponential takes more than the factor gives.
    largest = 2.0 / (thresholds + np.sqrt(thresholds**2 + 4.0)) / k
    delta = np.minimum(max(0.0, float(separations.min())), largest)
    values = problem.squares * delta * np.exp(-((thresholds + k * delta) ** 2) / 2.0)
    return (1.0 - _SAFETY) * float(values.min()) / (16.0 * n * others)


def _offset_errors(problem: EigenvalueProblem) -> FloatArray:
    """Bounds (n, n) of the rounding errors in the offsets, by those of norms and chords."""
    return 4.0 * problem.angle_error * (problem.thresholds + problem.thresholds[:, np.newaxis])


def _jump(problem: EigenvalueProblem) -> float:
    heights = np.empty(problem.n_rows)
    errors = _offset_errors(problem)
    sines = problem.chords[0] * problem.chords[1] / 2.0
    for rows in slices(problem.n_rows, _BLOCK):
        block = _Block(problem, rows, sines[rows], errors[rows])
        heights[rows] = _golden_section(block.height, rows.stop - rows.start)
    if not (heights > 0.0).all():
        return 0.0
    # Heights span more than a factor of 1e300 before their inverses overflow.
    with np.errstate(over="ignore"):
        return (1.0 - _SAFETY) / float((1.0 / (problem.squares * heights)).sum())


class _Block:
    """The jumps of some rows against all others."""

    def __init__(self, problem: EigenvalueProblem, rows: slice, sines: FloatArray, errors: FloatArray) -> None:
        self.thresholds = problem.thresholds[rows]
        self.slopes = np.abs(problem.cosines[rows])
        # The window of the others is widened by all rounding errors, and so is its scale.
        self.low, self.high = problem.offsets[rows] - errors, problem.offsets[rows] + errors
        self.narrow, self.wide = np.maximum(sines - problem.angle_error, 1e-300), sines + problem.angle_error
        self.own = np.arange(rows.start, rows.stop)

    def height(self, logs: FloatArray) -> FloatArray:
        """``p q / (p + q) (1 - sum_j q_ij)`` at widths exp(logs), one for each row, rounded down."""
        widths = np.exp(logs)
        reach = self.slopes * widths[:, np.newaxis] * (1.0 + 8.0 * EPS)
        low, high = self.low - reach, self.high + reach
        with np.errstate(over="ignore"):
            low /= np.where(low > 0.0, self.wide, self.narrow)
            high /= np.where(high > 0.0, self.narrow, self.wide)
        # On the upper side the lower tails of the mirror image keep their digits.
        is_upper = low + high > 0.0
        low, high = np.where(is_upper, -high, low), np.where(is_upper, -low, high)
        crossings = ndtr(high) - ndtr(low)
        crossings[np.arange(self.own.size), self.own] = 0.0
        alone = 1.0 - crossings.sum(axis=1) - 4.0 * crossings.shape[1] * EPS
        above, below = _masses(self.thresholds, widths)
        # Where both chances underflow the row says nothing.
        with np.errstate(invalid="ignore"):
            return np.nan_to_num(above * below / (above + below)) * alone


def _masses(thresholds: FloatArray, widths: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Chances of ``[h, h + t]`` and ``[h - t, h]``, rounded down: differences, or width times density where those cancel."""
    tail, before, after = ndtr(-thresholds), ndtr(widths - thresholds), ndtr(-thresholds - widths)
    density, at_start, at_end = (
        np.exp(-(z**2) / 2.0) / np.sqrt(2.0 * np.pi) for z in (thresholds, thresholds - widths, thresholds + widths)
    )
    slack = 16.0 * EPS * (1.0 + thresholds**2)
    above = np.maximum(tail - after - slack * tail, widths * at_end * (1.0 - slack))
    below = np.maximum(before - tail - slack * before, widths * np.minimum(density, at_start) * (1.0 - slack))
    return above, below


def _golden_section(function: Callable[[FloatArray], FloatArray], count: int) -> FloatArray:
    """Largest value met in a golden section search for the maxima of `count` functions at once."""
    left, right = np.full(count, np.log(_NARROWEST)), np.full(count, np.log(_WIDEST))
    first, second = right - _GOLDEN * (right - left), left + _GOLDEN * (right - left)
    at_first, at_second = function(first), function(second)
    best = np.maximum(at_first, at_second)
    for _ in range(_TRIES):
        is_left = at_first >= at_second
        left, right = np.where(is_left, left, first), np.where(is_left, second, right)
        new = np.where(is_left, right - _GOLDEN * (right - left), left + _GOLDEN * (right - left))
        value = function(new)
        first, second = np.where(is_left, new, second), np.where(is_left, first, new)
        at_first, at_second = np.where(is_left, value, at_second), np.where(is_left, at_first, value)
        best = np.maximum(best, value)
    return best
