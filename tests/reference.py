"""Slow, obvious definitions that the package never imports."""

from functools import lru_cache

import mpmath
import numpy as np


def minimum_norm(matrix, targets, digits=60):
    """Least-squares solution of smallest norm of a full-rank system, in high precision, by normal equations."""
    # Each method is tested on the same systems.
    systems = (tuple(map(tuple, np.asarray(part).tolist())) for part in (matrix, targets))
    return np.array(_minimum_norm(*systems, digits))


@lru_cache(maxsize=64)
def _minimum_norm(matrix, targets, digits):
    with mpmath.workdps(digits):
        a, y = mpmath.matrix(matrix), mpmath.matrix(targets)
        wide = a.rows <= a.cols
        columns = [y[:, j] for j in range(y.cols)]
        if wide:
            coef = [a.T * mpmath.cholesky_solve(a * a.T, column) for column in columns]
        else:
            coef = [mpmath.cholesky_solve(a.T * a, a.T * column) for column in columns]
        return np.array([list(map(float, column)) for column in coef]).T


def ridge(matrix, targets, *, alpha=0.0, sample_weight=None, fit_intercept=False, rcond=None):
    """Ridge coefficients and intercept as one least-squares problem: weighted, centred, with penalty rows, through gelsd."""
    n, m = matrix.shape
    weight = np.ones(n) if sample_weight is None else np.asarray(sample_weight, dtype=float)
    matrix_mean, target_mean = np.zeros(m), np.zeros(targets.shape[1])
    if fit_intercept:
        matrix_mean, target_mean = np.average(matrix, 0, weight), np.average(targets, 0, weight)
    root = np.sqrt(weight)[:, np.newaxis]
    rows = np.vstack([root * (matrix - matrix_mean), np.sqrt(alpha) * np.eye(m)])
    right = np.vstack([root * (targets - target_mean), np.zeros((m, targets.shape[1]))])
    coef = np.linalg.lstsq(rows, right, rcond=rcond)[0]
    return coef, target_mean - matrix_mean @ coef


def leave_one_out_error(matrix, targets, alpha, *, fit_intercept=False):
    """Mean squared error of every row predicted by a ridge fit to the others, one refit each."""
    errors = []
    for row in range(len(matrix)):
        others = np.arange(len(matrix)) != row
        coef, intercept = ridge(matrix[others], targets[others], alpha=alpha, fit_intercept=fit_intercept)
        errors.append((targets[row] - intercept - matrix[row] @ coef) ** 2)
    return float(np.mean(errors))


def gram(features):
    """Gram matrix of the rows, entry by entry, with exact sums."""
    rows = np.asarray(features, dtype=float).tolist()
    return np.array([[float(mpmath.fdot(a, b)) for b in rows] for a in rows])


def gelsd(matrix, targets, rcond=None):
    """Minimum-norm least-squares solution of LAPACK."""
    return np.linalg.lstsq(matrix, targets, rcond=rcond)[0]


def relative(coef, expected):
    """Relative error in the Frobenius norm, scaled so that nothing overflows."""
    scale = np.abs(expected).max()
    return np.linalg.norm((coef - expected) / scale) / np.linalg.norm(expected / scale)
