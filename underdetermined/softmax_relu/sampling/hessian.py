"""Hessians made of rows drawn by leverage."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._linalg import mirror_lower
from underdetermined._validation import check_number
from underdetermined.objectives import SoftmaxReLUPoint
from underdetermined.softmax_relu.sampling.leverage import HessianRows, scores_from_above
from underdetermined.softmax_relu.sampling.sample_size import sample_size

__all__ = ["sampled_hessian"]

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
    thousands of outputs for each parameter.

    Full Newton steps with H~ shrink the error near a minimiser, where H is the exact Hessian, to epsilon / (1 - epsilon) of
    itself in the norm of H. Nothing is promised in the Euclidean norm, where the factor may be epsilon sqrt(condition).
    `softmax_relu_regression` takes such steps with the option "hessian" of "sampled".

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
    >>> from underdetermined.softmax_relu import softmax_relu_regression
    >>> problem = {"loss": "kl", "reg": 0.01, "x0": point.x, "options": {"hessian": "sampled"}}
    >>> result = softmax_relu_regression(*layers, objective.b, **problem)
    >>> result.success
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
