"""Tolerances from precision, condition number and algorithm, so that no test invents its own."""

import numpy as np

EPS = float(np.finfo(np.float64).eps)


def backward_stable(condition, size=1):
    """Relative error of a backward stable solve: C eps cond, with a modest growth in the size of the system."""
    return 20.0 * EPS * condition * np.sqrt(size)


def least_squares(condition, residual_norm, matrix_norm, coef_norm, size=1):
    """Relative error of a stable least-squares solve; the square of the condition number comes with the residual."""
    return backward_stable(condition, size) * (1.0 + condition * residual_norm / (matrix_norm * coef_norm))


def iterative(condition, tol):
    """Relative error left by an iteration that stops at a relative residual of tol."""
    return 10.0 * tol * condition + backward_stable(condition)


def rounding(size=1):
    """Error of one sum of `size` products, relative to the sum of their magnitudes."""
    return 4.0 * EPS * max(1.0, np.sqrt(size))
