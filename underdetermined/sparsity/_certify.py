"""Search for the budget that certifies the largest residual."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from underdetermined._validation import check_number
from underdetermined.objectives import SparseReLU
from underdetermined.sparsity._certificate import Certificate
from underdetermined.sparsity._tangent import Interval, TangentProblem

_FACTORS = (2.0**0.5, 2.0**0.25, 2.0**0.125)
_STEPS_UP, _STEPS_DOWN, _TIGHTENINGS = 60, 40, 6


def certify(objective: SparseReLU, *, learning_rate: float | None = None) -> Certificate:
    """Prove, for the network at hand, that gradient descent converges at a linear rate, and bound what becomes active.

    While the path of the weighted residual rho, the sum over steps of learning rate times |rho|, is at most a budget S, the
    pre-activation of sample i and neuron r moves by at most
    ``|v_r| S sqrt(sum_j s_j (<x_i, x_j> + bias_scale**2)**2)``, j running over samples on which the neuron may be active.
    This bounds the masks, these bound the matrix M of every step, rho -> rho - eta M rho, by an interval around a symmetric
    matrix, and so the rate. If |rho| <= S rate(S), the path never exceeds S. The radius is the largest S rate(S) found.

    Parameters
    ----------
    objective : SparseReLU
        Rows, targets, weights, and the network at the start or at any later step, with any last layer.
    learning_rate : float or None, default=None
        Largest learning rate of the steps to come; None: the largest one at which the rate is that of small steps, which
        is 2 / (lambda_min + lambda_max) of a matrix close to the tangent matrix.

    Returns
    -------
    Certificate
        Also where nothing is certified; then `reason` says why.

    Raises
    ------
    TypeError, ValueError
        If `objective` is no `SparseReLU`, `learning_rate` is not a positive number, inner products of the rows overflow, or
        the tangent matrix is out of the range of float64.
    MemoryError
        If the tangent matrix of order n k does not fit in memory.

    Notes
    -----
    Nothing is random or asymptotic here, and no constant is hidden: the statement is about these weights. It holds for
    full-batch gradient descent without momentum, weight decay and mini-batches, with learning rates that may change but stay
    below `max_learning_rate`, and up to rounding in the steps. A search takes about a dozen evaluations, each with one
    eigenvalue decomposition of order n k and ``(c k)**2`` additions for a neuron that may be active on c samples. Equal rows
    make the tangent matrix singular: replace them by one with their total weight and average target.

    References
    ----------
    :ref:`theory-sparse-certificate`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.active_sets import draw_network
    >>> from underdetermined.objectives import SparseReLU
    >>> from underdetermined.sparsity import certify
    >>> hidden, coef = draw_network(4, 20000, bias=1.0)
    >>> certificate = certify(SparseReLU(np.eye(4), [0.1, -0.1, 0.2, 0.1], hidden, coef))
    >>> certificate.is_certified, certificate.residual_norm < certificate.radius
    (True, True)
    """
    if learning_rate is not None:
        learning_rate = check_number(learning_rate, "learning_rate", low_open=True)
    problem = TangentProblem(objective)
    low, high = problem.eigenvalues(problem.at_start)
    residual = objective.residual(objective.initial())
    norm = float(np.linalg.norm(np.sqrt(problem.weight)[:, np.newaxis] * residual))

    def score(interval: Interval) -> float:
        return interval.path * interval.rate(learning_rate)

    best = _search(problem, score, _first_path(problem, low, high)) if low > 0.0 else problem.interval(0.0)
    radius = float(max(score(best), 0.0))
    is_certified = bool(low > 0.0 and best.rate(learning_rate) > 0.0 and norm <= radius)
    chosen = _tightened(problem, best, norm, learning_rate) if is_certified else best
    reason = _reason(problem, is_certified, norm, radius, low, best.rate(learning_rate), learning_rate)
    largest_step = max(chosen.full_step, learning_rate or 0.0)
    size = problem.n_rows * objective.feature_map.width
    return Certificate(
        is_certified=is_certified,
        reason=reason,
        residual_norm=norm,
        radius=radius,
        budget=chosen.path,
        rate=chosen.rate(learning_rate),
        max_learning_rate=largest_step,
        learning_rate=largest_step if learning_rate is None else learning_rate,
        smallest_eigenvalue=max(low, 0.0) * problem.rate_unit,
        largest_eigenvalue=high * problem.rate_unit,
        always_active=float((chosen.status == 2).sum()) / size,
        possibly_active=float((chosen.status > 0).sum()) / size,
        indptr=chosen.pairs.indptr,
        samples=chosen.pairs.samples,
        status=chosen.status,
        shape=(problem.n_rows, objective.feature_map.width),
    )


def _first_path(problem: TangentProblem, low: float, high: float) -> float:
    """Path at which about the share lambda_min / (4 lambda_max) of the active pairs comes within reach of inactivity."""
    pairs = problem.active
    speeds = problem.speeds[pairs.samples] * np.sqrt(problem.norms)[pairs.neurons]
    paths = pairs.z[speeds > 0.0] / speeds[speeds > 0.0]
    # Pre-activations that are zero but for rounding would be no start for doublings.
    return max(float(np.quantile(paths, 0.25 * low / high)), 1e-9 * float(paths.max())) * problem.path_unit


def _search(problem: TangentProblem, score: Callable[[Interval], float], path: float) -> Interval:
    """Interval of the largest score: by powers of two, or four downwards, then by smaller factors."""
    best = problem.interval(path)
    for _ in range(_STEPS_DOWN):
        if score(best) > 0.0 or not (best.status == 1).any():
            break
        best = problem.interval(0.25 * best.path)
    for _ in range(_STEPS_UP):
        larger = problem.interval(2.0 * best.path)
        if score(larger) <= score(best):
            break
        best = larger
    for factor in _FACTORS:
        middle = best.path
        best = max((best, problem.interval(factor * middle), problem.interval(middle / factor)), key=score)
    return best


def _tightened(problem: TangentProblem, best: Interval, norm: float, learning_rate: float | None) -> Interval:
    """The smallest budget that still certifies the residual, which has the best rate and the narrowest masks."""
    for _ in range(_TIGHTENINGS):
        path = norm / best.rate(learning_rate) * (1.0 + 1e-12)
        if path > 0.99 * best.path:
            break
        smaller = problem.interval(path)
        if path * smaller.rate(learning_rate) < norm:
            break
        best = smaller
    return best


def _reason(
    problem: TangentProblem, is_certified: bool, norm: float, radius: float, low: float, rate: float,
    learning_rate: float | None,
) -> str:  # fmt: skip
    """One sentence on the outcome."""
    if is_certified:
        return f"The residual norm {norm:.3g} is at most the radius {radius:.3g}."
    if low <= 0.0:
        activity = np.bincount(problem.active.samples, minlength=problem.n_rows)
        idle = np.flatnonzero((activity == 0) & problem.is_kept)
        if idle.size:
            return (
                f"{idle.size} rows have no active neuron, the first is row {idle[0]}: the tangent matrix is singular; lower "
                "the bias, or take more neurons."
            )
        return (
            "The tangent matrix is singular up to rounding: merge equal rows, train the biases, or take more neurons."
        )
    if rate <= 0.0 and learning_rate is not None:
        return f"At learning_rate={learning_rate:.3g} no residual is certified to fall: lower it, or take more neurons."
    return (
        f"The residual norm {norm:.3g} exceeds the radius {radius:.3g}: train on and try again, or take more neurons; the "
        "radius grows like the square root of their number."
    )
