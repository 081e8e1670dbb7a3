"""The certified solver of softmax-ReLU regression."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.optimize import OptimizeResult

from underdetermined._validation import check_count
from underdetermined.objectives import SoftmaxReLU, SoftmaxReLUBatch
from underdetermined.objectives._softmax_relu_checks import (
    check_distributions,
    check_hidden_matrix,
    check_loss,
    check_output_matrix,
)
from underdetermined.softmax_relu._options import SolverOptions, check_options
from underdetermined.softmax_relu._result import Ending, batch_result, single_result
from underdetermined.softmax_relu._solve import Solver
from underdetermined.softmax_relu._starts import check_start, draw_starts
from underdetermined.softmax_relu._status import SoftmaxReLUStatus

__all__ = ["softmax_relu_regression"]

Array = NDArray[np.float64]

# Entries up to which a sparse A1 is solved as a dense one, 32 MB.
_DENSE_ENTRIES = 2**22
# How far from the simplex targets of least squares may be without a word.
_OFF_SIMPLEX = 1e-8
_LARGEST_TARGET = 1e150


def softmax_relu_regression(
    A1: Any,
    A2: ArrayLike,
    b: ArrayLike,
    *,
    loss: str = "squared",
    reg: float = 0.0,
    weights: Any = None,
    x0: ArrayLike | None = None,
    n_starts: int = 1,
    random_state: Any = None,
    callback: Callable[..., Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> OptimizeResult:
    r"""Fit a softmax of a ReLU layer to one distribution, and certify the minimiser.

    .. math:: \min_x \; \tfrac12 |f(x) - b|^2 + \tfrac\lambda2 |x|^2 + \tfrac12 |\mathrm{diag}(w) A_1 x|^2,
              \qquad f(x) = \mathrm{softmax}(A_2 \max(A_1 x, 0)),

    or with the divergence :math:`\sum_i b_i \log(b_i / f_i)` in the place of the first term. Minimisers usually lie where
    some pre-activations are exactly 0, and the objective has no gradient there. The solver descends on softplus
    approximations by exact trust-region Newton steps, reads off which units end on their kinks, goes on by Newton steps on
    those, and tests conditions of first and second order that are sufficient for a local minimiser.

    Parameters
    ----------
    A1 : array_like or sparse matrix of shape (n, d)
        Hidden layer.
    A2 : array_like of shape (m, n)
        Output layer.
    b : array_like of shape (m,) or (m, N)
        Target, or N targets of N problems that share both layers. Shares that sum to 1; for "squared" anything finite.
    loss : {"squared", "kl"}, default="squared"
        Distance between f and b.
    reg : float, default=0.0
        lambda >= 0, the weight of the penalty on x.
    weights : array_like of shape (n,), a number or None, default=None
        w, the weights of the penalty on A1 x; None means 0.
    x0 : array_like of shape (d,) or (d, N), or None, default=None
        First start. None draws it.
    n_starts : int, default=1
        Number of starts, of which the lowest end is returned. All but `x0` are Gaussian, scaled to max |A1 x| = 1
        unless logits would then differ by more than 10 or less than 0.1.
    random_state : None, int, sequence of int, or Generator, default=None
        Seed of the starts. With the same seed, more starts include those of fewer.
    callback : callable or None, default=None
        Called after every step, as ``callback(intermediate_result=...)`` with an OptimizeResult of x and fun if that is the
        name of its only parameter, else as ``callback(xk)``. The objective at x has no smoothing there, and may rise from
        one call to the next. StopIteration ends the solve with status 99 at the point last shown.
    options : dict or None, default=None
        ``gtol`` (None): norm of the certificate's residual at a stationary point; None is its rounding. With a larger one
        a point may count as stationary that is not proved to be a minimiser: status 6.
        ``maxiter`` (2000): steps of one start.
        ``initial_trust_radius`` (1.0), ``max_trust_radius`` (1000.0), ``eta`` (1e-4): as SciPy's trust-region methods, but
        radii are in units in which a row of A2 has about the length 1 where those of A1 have it.
        ``disp`` (False): print one line for each start.
        ``hessian`` ("auto"): "dense", "matrix-free", "sampled", or the cheaper one of the first two.
        ``epsilon`` (0.5): relative error of sampled Hessians.
        ``smoothing`` (0.3): first width of the softplus, in units of max |A1 x0|.

    Returns
    -------
    OptimizeResult
        * x : minimiser, shape (d,); fun : objective with penalties.
        * status : 0 certified off the kinks, 1 certified on kinks, 2 certified at an apex, such as x = 0, 3 global minimum,
          4 no unit is active and the loss is constant nearby, 5 stopped before a minimiser, 6 stationary but undecided, 99
          stopped by the callback; success : status <= 3; message : the status in words, and why.
        * jac : residual of the certificate, g + sum of nu_i a_i over the pinned units, shape (d,); kkt_residual : its norm.
        * nit, nfev, njev, nhev : steps, values, gradients, Hessians with products, of all starts together.
        * loss : objective without penalties; fitted : f, shape (m,); hidden : relu(A1 x), shape (n,).
        * active : mask of the units with a positive pre-activation; pinned : indices of those on their kinks; multipliers :
          their nu_i.
        * curvature : smallest eigenvalue of the Hessian along the pinned kinks; n_dead_profitable : inactive units that
          would lower the loss if they could be reached.
        * global_optimum : whether no point is lower; starts : end of every start; certificate : the certificate.

        For N targets the fields of one shape are stacked along the last axis, and `columns` has one result for each. The
        callback then sees all problems, x of shape (d, N) and fun of shape (N,), and one that stops it stops them all.

    Raises
    ------
    TypeError, ValueError
        If an argument is not finite, shapes do not fit, or b is no distribution where the loss needs one.
    MemoryError
        If a copy or a Hessian does not fit; the message has its bytes.

    Warns
    -----
    UserWarning
        If b has zeros and there is no penalty, so that usually no minimiser exists; if no unit is active at x0; if targets
        of least squares are no distribution.

    Notes
    -----
    Local minimality is proved, in floating-point arithmetic; a global minimum only for status 3: an exact fit, or the convex
    problem of loss "kl" with linearly independent rows of A1 and no penalty. Unless the callback stops it, the result is
    never above the objective at x0.

    A solve takes about 40 Newton steps. With d the rank of A1 they cost O(m n d + m d^2) each up to d = 200; beyond, or for
    a sparse A1 of more than 4 million entries, some ten products with the Hessian, O(n (d + m)) each. Above d = 500 the
    curvature is bounded by Lanczos steps, which are wrong with a probability of at most 1e-6. From 15 targets on, all are
    solved together, in about half the time of as many solves; their minima are others, and as low on average.

    References
    ----------
    :ref:`theory-softmax-relu`, :ref:`theory-softmax-relu-kinks`.

    Examples
    --------
    >>> from underdetermined.softmax_relu import softmax_relu_regression
    >>> result = softmax_relu_regression(
    ...     [[1.0, 2.0], [3.0, -1.0]], [[1.0, -1.0], [0.0, 2.0]], [0.25, 0.75], reg=0.01, x0=[0.5, 0.25]
    ... )
    >>> print(result.status, result.pinned, f"{result.fun:.6e}", result.x.round(6))
    1 [0] 6.831109e-05 [ 0.104462 -0.052231]
    """
    chosen = check_options(options)
    count = check_count(n_starts, "n_starts")
    problem = _check_problem(A1, A2, b, loss, reg, weights)
    n_problems = problem.n_problems if isinstance(problem, SoftmaxReLUBatch) else None
    given = [] if x0 is None else [check_start(x0, problem.n_parameters, n_problems)]
    _check_targets(problem)
    _warn(problem, given)
    drawn = draw_starts(problem.A1, problem.A2, count - len(given), random_state)
    if n_problems is not None:
        drawn = [np.repeat(start[:, np.newaxis], n_problems, axis=1) for start in drawn]
    solver = Solver(problem, chosen, callback)
    ends: list[list[Ending]] = []
    for start in given + drawn:
        # Overflow at trial points, and at hopeless starts, is part of the search.
        with np.errstate(over="ignore", invalid="ignore"):
            ends.append(solver.descend(start))
        _display(ends[-1], len(ends), chosen)
        if any(ending.status is SoftmaxReLUStatus.CALLBACK for ending in ends[-1]):
            break
    # One list for each problem.
    results = [single_result(endings) for endings in zip(*ends, strict=True)]
    return results[0] if n_problems is None else batch_result(results)


def _check_problem(A1: Any, A2: ArrayLike, b: ArrayLike, loss: str, reg: float, weights: Any) -> Any:
    if sparse.issparse(A1) and A1.shape[0] * A1.shape[1] <= _DENSE_ENTRIES:
        A1 = check_hidden_matrix(A1, "A1").toarray()
    if np.ndim(b) != 2:
        return SoftmaxReLU(A1, A2, b, loss=loss, reg=reg, weights=weights)
    # The batch has another name for b in its messages.
    A1 = check_hidden_matrix(A1, "A1")
    A2 = check_output_matrix(A2, A1.shape[0], "A2", f"A1 has {A1.shape[0]} rows")
    b = check_distributions(b, len(A2), check_loss(loss), "b")
    return SoftmaxReLUBatch(A1, A2, b, loss=loss, reg=reg, weights=weights)


def _check_targets(problem: Any) -> None:
    largest = np.abs(problem.targets).max()
    if largest > _LARGEST_TARGET:
        raise ValueError(f"b has an entry of size {largest:.3g}, whose square overflows: pass shares that sum to 1")


def _warn(problem: Any, given: list[Array]) -> None:
    targets = problem.targets
    off = float(np.abs(targets.sum(axis=0) - 1.0).max())
    if targets.min() < 0.0 or off > _OFF_SIMPLEX:
        warnings.warn(
            f"b is no distribution (its least entry is {targets.min():.3g} and sums differ from 1 by up to {off:.3g}): the "
            "softmax cannot reach it, and the least-squares problem is solved as it stands",
            stacklevel=3,
        )
    n_zeros = int(np.count_nonzero(targets == 0.0))
    if n_zeros and problem.reg == 0.0 and (problem.weights is None or not problem.weights.all()):
        warnings.warn(
            f"b has {n_zeros} zeros and there is no penalty: usually no minimiser exists and x grows without bound; "
            "use reg > 0",
            stacklevel=3,
        )
    if given and bool(np.any(np.max(problem.hidden(given[0]), axis=0) <= 0.0)):
        warnings.warn(
            "no unit is active at x0 (A1 @ x0 <= 0), where the gradient is zero: start elsewhere, such as at -x0",
            stacklevel=3,
        )


def _display(endings: list[Ending], number: int, options: SolverOptions) -> None:
    if not options.disp:
        return
    for column, ending in enumerate(endings):
        where = f"start {number}" + (f", problem {column}" if len(endings) > 1 else "")
        print(
            f"{where}: fun {ending.point.value:.9g}, status {int(ending.status)}, {ending.work.n_iter} steps, "
            f"{len(ending.certificate.pinned)} pinned, residual {ending.certificate.kkt_residual:.2g}"
        )
