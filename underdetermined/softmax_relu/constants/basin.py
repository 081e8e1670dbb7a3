"""How near a minimiser Newton's method is proved to converge to it."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import eigvalsh, null_space

from underdetermined._linalg import column_norms, rank_cutoff, vector_norm
from underdetermined._validation import check_finite, check_number
from underdetermined.objectives import SoftmaxReLU
from underdetermined.softmax_relu.constants.losses import diameter, logit_constants

__all__ = ["basin_radius"]


def basin_radius(objective: SoftmaxReLU, x: ArrayLike, *, pinned: ArrayLike = (), epsilon: float = 0.0) -> float:
    """Radius around a minimiser from which Newton's method is proved to converge to it.

    With l the smallest eigenvalue of the Hessian at the minimiser x*, M the Lipschitz constant of Hessians in its cell and e
    the distance to the nearest kink, it is min(2 l / (3 M), e), and quadratic convergence is proved:
    |x_new - x*| <= M |x - x*|^2 / (2 (l - M |x - x*|)).

    Parameters
    ----------
    objective : SoftmaxReLU
        The problem, with its penalties.
    x : array_like of shape (d,)
        A minimiser, or a point so near that its gradient tells how near.
    pinned : array_like of int, default=()
        Units that the minimiser holds at their kinks. The radius then is one within {x : A1[pinned] x = 0}, for Newton's
        method there.
    epsilon : float, default=0.0
        Error of approximate Hessians, (1 - epsilon) H <= H~ <= (1 + epsilon) H, in [0, 1/2). The radius becomes
        sqrt(l / L) min(2 (1 - 2 epsilon) l / (3 M), e) with the largest eigenvalue L, and errors in the norm of H fall in
        each step, in the end by epsilon / (1 - epsilon).

    Returns
    -------
    float
        0 where nothing is proved: the Hessian is not positive definite, the gradient too large, or another unit lies on
        its kink. inf where nothing bounds the radius.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.

    Notes
    -----
    Where the gradient g is not exactly 0, a minimiser within e0 = 2 |g| / (l + sqrt(l^2 - 2 M |g|)) is proved to exist, and
    the radius is reduced so that the ball around x does as well. Rounding in l is not allowed for.

    The radius is pessimistic: in trials Newton's method converged from thousands of times as far, in the median, and from a
    few times as far where the next kink is what bounds it. It implies no uniqueness beyond the ball, and nothing of a method
    that starts outside. Costs a Hessian, its eigenvalues, and m^2 d flops.

    References
    ----------
    :ref:`theory-softmax-relu-convexity`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.objectives import SoftmaxReLU
    >>> from underdetermined.softmax_relu import basin_radius
    >>> objective = SoftmaxReLU([[1.0], [-1.0]], [[1.0, 1.0], [0.0, 0.0]], [1.0, 0.0], reg=1.0)
    >>> minimiser = 0.219946233006957515655845827017
    >>> print(f"{basin_radius(objective, [minimiser]):.4f}")
    0.2199
    >>> basin_radius(objective, [0.0])
    0.0
    """
    if not isinstance(objective, SoftmaxReLU):
        raise TypeError(f"objective is a {type(objective).__name__}: pass an underdetermined.objectives.SoftmaxReLU")
    epsilon = check_number(epsilon, "epsilon", high=0.5)
    centre = np.asarray(x, dtype=np.float64)
    check_finite(centre, "x")
    if centre.shape != (objective.n_parameters,):
        raise ValueError(f"x has shape {centre.shape}: pass {(objective.n_parameters,)}")
    z = objective.hidden(centre)
    free = np.ones(objective.n_hidden, dtype=bool)
    kept = np.asarray(pinned, dtype=np.intp)
    if kept.size and not 0 <= kept.min() <= kept.max() < objective.n_hidden:
        raise ValueError(f"pinned={pinned!r} names other units than 0 to {objective.n_hidden - 1}")
    free[kept] = False
    rows = objective.rows(np.flatnonzero(~free))
    basis = null_space(rows if isinstance(rows, np.ndarray) else rows.toarray()) if not free.all() else None
    point = objective.at(centre, active=(z > 0.0) & free)
    gradient = point.gradient if basis is None else basis.T @ point.gradient
    if gradient.size == 0:
        return inf
    moving = objective.rows(np.flatnonzero(free))
    moving = moving if basis is None else moving @ basis
    norms = column_norms(np.asarray(moving if isinstance(moving, np.ndarray) else moving.toarray()).T)
    # A row that depends on pinned ones keeps its kink; what is left of it is rounding.
    turning = norms > rank_cutoff(objective.A1.shape) * objective.row_norms[free]
    room = float(np.min(np.abs(z[free])[turning] / norms[turning], initial=inf))
    with np.errstate(over="ignore"):
        lipschitz = float(logit_constants(objective).third * diameter(point.centred_jacobian(basis)) ** 3)
    hessian = point.hessian(basis=basis)
    if not (np.isfinite(lipschitz) and np.isfinite(hessian).all()):
        return 0.0
    values = eigvalsh(hessian)
    lowest, highest = float(values[0]), float(values[-1])
    slope = vector_norm(gradient)
    if lowest <= 0.0 or 2.0 * lipschitz * slope >= lowest * lowest:
        return 0.0
    lowest_near = sqrt(lowest * lowest - 2.0 * lipschitz * slope)
    offset = 2.0 * slope / (lowest + lowest_near)
    radius = room - offset
    if lipschitz > 0.0:
        radius = min(radius, 2.0 * (1.0 - 2.0 * epsilon) * lowest_near / (3.0 * lipschitz))
    if epsilon > 0.0:
        radius *= sqrt(lowest_near / (highest + lipschitz * offset))
    return max(radius - offset, 0.0)
