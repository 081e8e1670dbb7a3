"""Lower bounds from Gershgorin's discs: of the kernel, and of the kernel less a multiple of one rank."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from underdetermined._linalg import EPS
from underdetermined.bounds._eigenvalue_bound import EigenvalueBound, lower_bound
from underdetermined.bounds._eigenvalue_problem import EigenvalueProblem
from underdetermined.bounds._kernel_problem import FloatArray

_STEPS = 60
_CLOSE = 1e-10
# Of a pairwise sum of any length that fits in memory, in units of eps.
_SUM_ERRORS = 64.0


def eigenvalue_gershgorin(problem: EigenvalueProblem) -> EigenvalueBound:
    """Diagonal entry less the other entries of its row, ``lambda_min >= min_i (H_ii - sum_j |H_ij|)``.

    Parameters
    ----------
    problem : EigenvalueProblem
        Rows, bias and kernel.

    Returns
    -------
    EigenvalueBound
        The better of two versions: as written, and for the kernel of unit diagonal, ``min_i H_ii (1 - sum_j |C_ij|)`` with
        ``C_ij = H_ij / sqrt(H_ii H_jj)``. They agree on rows of equal norm.

    Notes
    -----
    O(n^2) work. The second version is Gershgorin's theorem on ``S^-1 H S`` with ``S = diag(H)^(-1/2)``. Rounding errors of
    the entries are subtracted.

    References
    ----------
    :ref:`theory-smallest-eigenvalue`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.bounds import EigenvalueProblem, eigenvalue_gershgorin
    >>> round(eigenvalue_gershgorin(EigenvalueProblem.from_data(np.eye(3), bias=0.0)).value, 6)
    0.5
    """
    statement = "Every eigenvalue lies in a disc round a diagonal entry, with the other entries of its row as radius."
    condition = "every diagonal entry exceeds the sum of the others of its row"
    return lower_bound(problem, "gershgorin", _best_discs, statement, condition)


def eigenvalue_shifted(problem: EigenvalueProblem) -> EigenvalueBound:
    """Gershgorin's bound after subtracting a constant, ``max_c min_i (H_ii - c - sum_j |H_ij - c|)`` over ``c >= 0``.

    Parameters
    ----------
    problem : EigenvalueProblem
        Rows, bias and kernel.

    Returns
    -------
    EigenvalueBound
        Never below that of `eigenvalue_gershgorin`; the better of the same two versions.

    Notes
    -----
    About ten passes over the matrix. Subtracting ``c 1 1.T`` raises no eigenvalue, so any c is allowed. The bound is
    concave and piecewise linear in c, and the best c is found from tangents. For the second version c is subtracted from the
    kernel of unit diagonal.

    References
    ----------
    :ref:`theory-smallest-eigenvalue`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.bounds import EigenvalueProblem, eigenvalue_shifted
    >>> round(eigenvalue_shifted(EigenvalueProblem.from_data(np.eye(3), bias=0.0)).value, 6)
    0.75
    """
    statement = "Gershgorin's bound for H less the best constant c >= 0 in every entry, which raises no eigenvalue."
    condition = "less some constant, every diagonal entry exceeds the sum of the others of its row"
    return lower_bound(problem, "shifted", _best_shifted, statement, condition)


def _best_discs(problem: EigenvalueProblem) -> float:
    return max(_discs(*each, 0.0)[0] for each in _versions(problem))


def _best_shifted(problem: EigenvalueProblem) -> float:
    return max(_best_shift(*each) for each in _versions(problem))


def _versions(problem: EigenvalueProblem) -> Iterator[tuple[FloatArray, FloatArray, FloatArray]]:
    """Matrix, factors of its rows and rounding errors of its row sums: the kernel, then that of unit diagonal."""
    n, diagonal, errors = problem.n_rows, problem.kernel.diagonal(), problem.errors
    roots = np.sqrt(diagonal)
    sums = _SUM_ERRORS * EPS
    yield problem.kernel, np.ones(n), roots * (errors * roots.sum() + errors @ roots + sums * roots.sum())
    yield problem.normalised, diagonal, n * errors + errors.sum() + n * sums


def _discs(matrix: FloatArray, factors: FloatArray, errors: FloatArray, shift: float) -> tuple[float, float]:
    """Gershgorin's bound for a matrix less a constant, and its slope in the constant."""
    shifted = matrix - shift
    values = 2.0 * shifted.diagonal() - np.abs(shifted).sum(axis=1)
    values = factors * (values - errors)
    row = int(np.argmin(values))
    others = np.delete(shifted[row], row)
    slope = factors[row] * (np.count_nonzero(others > 0.0) - np.count_nonzero(others < 0.0) - 1.0)
    return float(values[row]), float(slope)


def _best_shift(matrix: FloatArray, factors: FloatArray, errors: FloatArray) -> float:
    """Maximum over the constant, of a concave function: two tangents meet above it, and the next try is where they do."""
    low, high = 0.0, float(matrix.diagonal().min())
    (best, rise), (end, fall) = (_discs(matrix, factors, errors, shift) for shift in (low, high))
    left, right, best = best, end, max(best, end)
    for _ in range(_STEPS):
        if rise <= 0.0 or fall >= 0.0:
            break
        step = (right - left - fall * (high - low)) / (rise - fall)
        if left + rise * step - best <= _CLOSE * abs(best):
            break
        shift = low + step
        value, slope = _discs(matrix, factors, errors, shift)
        best = max(best, value)
        if slope > 0.0:
            low, left, rise = shift, value, slope
        else:
            high, right, fall = shift, value, slope
            if slope == 0.0:
                break
    return best
