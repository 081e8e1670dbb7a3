"""How many rows, drawn by their leverage scores, give a matrix up to a relative error."""

from __future__ import annotations

from math import ceil, log

from underdetermined._validation import check_number

__all__ = ["sample_size"]


def sample_size(
    rank: float, epsilon: float, failure_probability: float = 0.1, *, dimension: float | None = None
) -> int:
    """Number of rows that approximate a sum of rank-one matrices in its own norm.

    Let H = sum_i a_i a_i^T + Q with Q positive semi-definite, and l_i >= a_i^T H^+ a_i. Drawn with replacement with
    probabilities l_i / sum(l) and divided by s times them, s rows give (1 - epsilon) H <= H~ <= (1 + epsilon) H with
    probability 1 - delta at least, for

        s >= 2 (1 + epsilon / 3) rank log(2 dimension / delta) / epsilon^2,    rank = sum(l).

    Parameters
    ----------
    rank : float
        Sum of the l_i: the rank of H for the leverage scores themselves without Q, and more for scores from above.
    epsilon : float
        Relative error, in (0, 1).
    failure_probability : float, default=0.1
        delta, in (0, 1).
    dimension : float or None, default=None
        Rank of the sum of a_i a_i^T, or its order; None is `rank`.

    Returns
    -------
    int
        s, at least 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.

    Notes
    -----
    The matrix inequality of Bernstein, whose proof is on the theory page. Observed errors are about half of epsilon.

    References
    ----------
    :ref:`theory-softmax-relu-convexity`.

    Examples
    --------
    >>> from underdetermined.softmax_relu import sample_size
    >>> sample_size(10, 0.5), sample_size(10, 0.25)
    (495, 1837)
    """
    rank = check_number(rank, "rank")
    epsilon = check_number(epsilon, "epsilon", high=1.0, low_open=True)
    delta = check_number(failure_probability, "failure_probability", high=1.0, low_open=True)
    order = max(rank if dimension is None else check_number(dimension, "dimension"), 1.0)
    return max(ceil(2.0 * (1.0 + epsilon / 3.0) * rank * log(2.0 * order / delta) / epsilon**2), 1)
