"""Newton's method with Hessians made of rows drawn by leverage."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._linalg import mirror_lower
from underdetermined._validation import check_number
from underdetermined.objectives import SoftmaxReLUPoint
from underdetermined.softmax_relu._leverage import HessianRows, scores_from_above
from underdetermined.softmax_relu._sample_size import sample_size
from underdetermined.softmax_relu._trust_region import OnStep, TrustRegionResult, trust_region_newton

__all__ = ["sampled_hessian", "sampled_newton"]

FloatArray = NDArray[np.float64]

# A sample is tried where there are so many times more rows than one by exact scores would have.
_ROWS_PER_SAMPLE = 16


def sampled_hessian(
    point: Any,
    epsilon: float = 0.5,
    *,
    failure_probability: float = 0.1,
    basis: ArrayLike | None = None,
    random_state: Any = None,
) -> FloatArray:
    """Approximate the Hessian by some of its rows, with a guarantee in its own norm.

    With K_c the centred Jacobian of the logits and H = K_c^T diag(max(p, 0)) K_c + Q, the result satisfies

        (1 - epsilon) H <= H~ <= (1 + epsilon) H

    with probability ``1 - failure_probability`` at least. Rows of diag(max(p, 0))^(1/2) K_c are drawn by leverage; Q, what
    the penalties and the positive bend of the units add, is exact.

    Parameters
    ----------
    point : SoftmaxReLUPoint
        A point of a `SoftmaxReLU`, from its ``at``.
    epsilon : float, default=0.5
        Relative error, in (0, 1).
    failure_probability : float, default=0.1
        In (0, 1), for each call.
    basis : array_like of shape (d, k) or None, default=None
        If given, basis^T H basis is approximated.
    random_state : int, numpy.random.Generator or None, default=None
        Seed, or a generator to go on with.

    Returns
    -------
    ndarray of shape (d, d) or (k, k)
        Symmetric and positive semi-definite. The exact H where a sample would have no fewer rows.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.

    Notes
    -----
    H is ``point.hessian("clipped")``: the exact Hessian for "kl" without smoothing, and for the squared loss where no p_i is
    negative. Elsewhere it is a positive semi-definite substitute, and steps with it are no Newton steps.

    The scores come from above, and are never smaller than the true ones except with the same small probability; what they
    are too large by enters the number of rows, which is thus as large as the guarantee needs. It is about a hundred times
    the effective rank for epsilon = 1/2, in three samples together several times as many: this pays only where there are
    thousands of outputs for each parameter. Nothing is promised in the Euclidean norm: a relative error epsilon in the norm
    of H may be epsilon sqrt(condition) there.

    About 2 m n r flops for the scores, r = min(d, 10 log(m / failure_probability)), and 2 s d (n + d) for samples of s rows.

    References
    ----------
    :ref:`theory-softmax-relu-convexity`.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.linalg import eigvalsh
    >>> from underdetermined.objectives import SoftmaxReLU
    >>> from underdetermined.softmax_relu import sampled_hessian
    >>> rng = np.random.default_rng(0)
    >>> layers = rng.standard_normal((8, 4)), rng.standard_normal((20000, 8))
    >>> objective = SoftmaxReLU(*layers, rng.dirichlet(np.ones(20000)), loss="kl", reg=0.01)
    >>> point = objective.at(rng.standard_normal(4))
    >>> errors = eigvalsh(sampled_hessian(point, 0.5, random_state=0), point.hessian()) - 1.0
    >>> bool(0.0 < np.abs(errors).max() < 0.5)
    True
    """
    epsilon = check_number(epsilon, "epsilon", high=1.0, low_open=True)
    delta = check_number(failure_probability, "failure_probability", high=1.0, low_open=True)
    rng = np.random.default_rng(random_state)
    if not isinstance(point, SoftmaxReLUPoint):
        raise TypeError(f"point is a {type(point).__name__}: pass what the `at` of a SoftmaxReLU returns")
    vectors = None if basis is None else np.asarray(basis, dtype=np.float64)
    if vectors is not None and (vectors.ndim != 2 or len(vectors) != point.x.size):
        raise ValueError(f"basis has shape {vectors.shape}: pass ({point.x.size}, k)")
    rows = HessianRows(point, vectors)
    # The samples for the scores would have a large part of all rows.
    if len(rows) <= _ROWS_PER_SAMPLE * sample_size(rows.order, 0.5, 0.5 * delta):
        return point.hessian("clipped", basis=vectors)
    scores = scores_from_above(rows, 0.5 * delta, rng)
    size = sample_size(scores.sum(), epsilon, 0.5 * delta, dimension=rows.order)
    if size >= len(rows):
        return point.hessian("clipped", basis=vectors)
    return mirror_lower(rows.sampled(scores, size, rng))


def sampled_newton(
    objective: Any,
    x: FloatArray,
    *,
    epsilon: float = 0.5,
    failure_probability: float = 0.1,
    random_state: Any = None,
    smoothing: float = 0.0,
    gtol: float,
    radius: float = 1.0,
    max_iter: int = 200,
    eta: float = 1e-4,
    max_radius: float = np.inf,
    on_step: OnStep | None = None,
) -> TrustRegionResult:
    """Minimise a smoothed objective by trust-region steps with sampled Hessians.

    Gradients and values are exact; `sampled_hessian` takes the place of the Hessian.

    Parameters
    ----------
    objective : SoftmaxReLU
        The problem.
    x : ndarray of shape (d,)
        Start; not written to.
    epsilon, failure_probability : float, default=0.5 and 0.1
        As `sampled_hessian` takes them.
    random_state : int, numpy.random.Generator or None, default=None
        Seed, or a generator to go on with.
    smoothing : float, default=0.0
        Width mu of the softplus.
    gtol : float
        Largest norm of the gradient at a stationary point, >= 0.
    radius : float, default=1.0
        First radius > 0.
    max_iter : int, default=200
        Largest number of accepted steps.
    eta : float, default=1e-4
        Share of the promised decrease from which a step is taken, in [0, 1/4).
    max_radius : float, default=inf
        Largest radius.
    on_step : callable or None, default=None
        As `trust_region_newton` takes it.

    Returns
    -------
    TrustRegionResult
        The Hessians used have no negative curvature, so that convergence is to a stationary point, and the certificate of
        the final point has to tell whether it is a minimum.

    Notes
    -----
    Near a minimiser where H is the exact Hessian, full steps shrink errors by epsilon / (1 - epsilon), in the norm of H: a
    promise for epsilon < 1/2, that is kept with room. The objective never rises, whatever was drawn.

    References
    ----------
    :ref:`theory-softmax-relu-convexity`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.objectives import SoftmaxReLU
    >>> from underdetermined.softmax_relu import sampled_newton
    >>> rng = np.random.default_rng(0)
    >>> layers = rng.standard_normal((8, 4)), rng.standard_normal((5000, 8))
    >>> objective = SoftmaxReLU(*layers, rng.dirichlet(np.ones(5000)), loss="kl", reg=0.01)
    >>> run = sampled_newton(objective, rng.standard_normal(4), smoothing=0.3, gtol=1e-8, random_state=0)
    >>> run.is_converged
    True
    """
    rng = np.random.default_rng(random_state)

    def curvature(point: Any) -> FloatArray:
        return sampled_hessian(point, epsilon, failure_probability=failure_probability, random_state=rng)

    return trust_region_newton(
        objective,
        x,
        smoothing=smoothing,
        gtol=gtol,
        radius=radius,
        max_iter=max_iter,
        curvature=curvature,
        eta=eta,
        max_radius=max_radius,
        on_step=on_step,
    )
