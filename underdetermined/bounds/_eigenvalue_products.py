"""Bounds from parts of the kernel: Schur's for a product of two matrices, and those of its smallest minors."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigvalsh

from underdetermined._linalg import EPS
from underdetermined.bounds._eigenvalue_bound import EigenvalueBound, lower_bound
from underdetermined.bounds._eigenvalue_problem import EigenvalueProblem
from underdetermined.bounds._kernel_problem import FloatArray, KernelProblem


def eigenvalue_schur(problem: EigenvalueProblem) -> EigenvalueBound:
    """Linear part times the least chance to fire, ``lambda_min >= min_i Q(h_i) lambda_min(X~ X~.T)``.

    Parameters
    ----------
    problem : EigenvalueProblem
        Rows, bias and kernel.

    Returns
    -------
    EigenvalueBound
        X~ are the rows with ``bias_scale`` as one more input. With X~ scaled to unit rows it reads
        ``lambda_min(C) min_i H_ii``, which is never larger but keeps its digits at norms that are far apart; the better
        number is taken.

    Notes
    -----
    Schur's product theorem: H is the entrywise product of ``X~ X~.T`` and the chances that a neuron fires on both rows. Two
    decompositions of an n x n matrix where there are no more rows than columns of X~, otherwise no work, and 0.

    References
    ----------
    :ref:`theory-smallest-eigenvalue`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.bounds import EigenvalueProblem, eigenvalue_schur
    >>> round(eigenvalue_schur(EigenvalueProblem.from_data(np.eye(3), bias=0.0)).value, 6)
    0.5
    """
    n = problem.n_rows
    statement = "H is the entrywise product of the linear kernel and the chances to fire together, both semi-definite."
    condition = f"the {n} rows are linearly independent in {_columns(problem)} dimensions, beyond rounding"
    return lower_bound(problem, "schur", _schur, statement, condition)


def _columns(problem: EigenvalueProblem) -> int:
    return problem.inputs.shape[1] + (problem.bias_scale > 0.0)


def _schur(problem: EigenvalueProblem) -> float:
    n = problem.n_rows
    if n > _columns(problem):
        return 0.0
    lengths = np.sqrt(problem.squares)
    scaled = np.column_stack([problem.inputs, np.full(n, problem.bias_scale)]) / lengths[:, np.newaxis]
    cosines = scaled @ scaled.T
    peak = float(lengths.max())
    lengths /= peak
    by_cosines = _smallest(cosines, problem) * float((problem.squares * problem.tails).min())
    by_products = _smallest(cosines * np.outer(lengths, lengths), problem) * peak**2 * float(problem.tails.min())
    return max(by_cosines, by_products) * (1.0 - float(problem.errors.max()))


def _smallest(matrix: FloatArray, problem: EigenvalueProblem) -> float:
    """Smallest eigenvalue of a matrix whose entries are at most 1, rounded down."""
    n, d = problem.inputs.shape
    return float(eigvalsh(matrix)[0]) - (2.0 * n + d + 16.0) * EPS * float(np.trace(matrix))


def eigenvalue_upper(problem: KernelProblem) -> EigenvalueBound:
    """Smaller eigenvalue of the worst pair of rows; ``lambda_min <= 2 Q(bias) - max_ij |H_ij|`` for unit rows.

    Parameters
    ----------
    problem : KernelProblem
        Rows, settings and kernel, such as an `EigenvalueProblem`.

    Returns
    -------
    EigenvalueBound
        An upper bound: the least of ``(H_ii + H_jj) / 2 - sqrt((H_ii - H_jj)^2 / 4 + H_ij^2)``; for a single row its entry.

    Notes
    -----
    O(n^2) work. The eigenvalues of a principal minor of order two are not below the smallest one. Rounding errors are added.

    References
    ----------
    :ref:`theory-smallest-eigenvalue`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.bounds import EigenvalueProblem, eigenvalue_upper
    >>> round(eigenvalue_upper(EigenvalueProblem.from_data(np.eye(3), bias=0.0)).value, 6)
    0.75
    """
    diagonal = problem.kernel.diagonal()
    own, other = diagonal[:, np.newaxis], diagonal
    minors = (own + other) / 2.0 - np.hypot((own - other) / 2.0, problem.kernel)
    minors += 4.0 * np.add.outer(problem.errors, problem.errors) * (own + other)
    np.fill_diagonal(minors, diagonal * (1.0 + 4.0 * problem.errors))
    value = max(0.0, float(minors.min()))
    return EigenvalueBound("upper", value, "upper", "No eigenvalue of two rows alone is below the smallest of all rows.")


def eigenvalue_trace(problem: KernelProblem) -> EigenvalueBound:
    """Mean of the eigenvalues, ``lambda_min <= trace(H) / n``; ``2 Q(bias)`` for unit rows.

    Parameters
    ----------
    problem : KernelProblem
        Rows, settings and kernel, such as an `EigenvalueProblem`.

    Returns
    -------
    EigenvalueBound
        An upper bound; never below that of `eigenvalue_upper`, but known without the rows where their norms are.

    Notes
    -----
    O(n) work.

    References
    ----------
    :ref:`theory-smallest-eigenvalue`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.bounds import EigenvalueProblem, eigenvalue_trace
    >>> round(eigenvalue_trace(EigenvalueProblem.from_data(np.eye(3), bias=0.0)).value, 6)
    1.0
    """
    diagonal = problem.kernel.diagonal()
    value = float((diagonal * (1.0 + 4.0 * problem.errors)).mean())
    return EigenvalueBound("trace", value, "upper", "The smallest eigenvalue is at most the mean of all of them.")
