"""The trust-region subproblem by truncated conjugate gradients, preconditioned by the units near their kinks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, lapack
from scipy.sparse import diags_array, issparse

FloatArray = NDArray[np.float64]

# A unit enters the preconditioner where its kink adds this share of the other curvature.
_SHARE = 0.3
# The factor of the preconditioner stays below this order: its cube must not outgrow the products that it saves.
_LARGEST_FACTOR = 3000


@dataclass(frozen=True)
class CGStep:
    """An approximate minimiser of g.s + s.H s / 2 over |s|_M <= radius.

    Parameters
    ----------
    step : ndarray of shape (D,)
        The step s.
    length : float
        Its length in the norm of the preconditioner.
    promised : float
        Decrease -g.s - s.H s / 2 of the model, >= 0.
    is_on_boundary : bool
        Whether the radius ended the iteration.
    n_products : int
        Products with H.
    scale : float
        Geometric mean, over the directions used, of the curvature that M does not account for; nan without any.
    """

    step: FloatArray
    length: float
    promised: float
    is_on_boundary: bool
    n_products: int
    scale: float


class KinkPreconditioner:
    """M = I + R.T diag(w) R / scale, of the rows R of units near their kinks, whose softplus curvature w is large.

    Parameters
    ----------
    rows : ndarray or CSR matrix of shape (k, D)
        Rows of the units near their kinks.
    weights : ndarray of shape (k,)
        Their curvatures, > 0.
    scale : float
        Size > 0 of the other curvature.

    Attributes
    ----------
    scale : float
        As given.

    Notes
    -----
    A step that crosses no kink has the same length in the norm of M as in the Euclidean one; others are longer, as befits a
    model that holds within the smoothing of the kink only. The smaller of k and D is the order of the factor.
    """

    def __init__(self, rows: Any, weights: FloatArray, scale: float) -> None:
        root = np.sqrt(weights / scale)
        scaled = diags_array(root).tocsr() @ rows if issparse(rows) else rows * root[:, np.newaxis]
        self._scaled, self.scale = scaled, scale
        self._is_wide = rows.shape[0] < rows.shape[1]
        gram = scaled @ scaled.T if self._is_wide else scaled.T @ scaled
        gram = gram.toarray() if issparse(gram) else gram
        gram[np.diag_indices_from(gram)] += 1.0
        self._factor = cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)[0]

    def solve(self, vector: FloatArray) -> FloatArray:
        """M^-1 times a vector.

        Parameters
        ----------
        vector : ndarray of shape (D,)
            Vector.

        Returns
        -------
        ndarray of shape (D,)
        """
        if not self._is_wide:
            return lapack.dpotrs(self._factor, vector, lower=1)[0]
        return vector - self._scaled.T @ lapack.dpotrs(self._factor, self._scaled @ vector, lower=1)[0]


def kink_preconditioner(objective: Any, curvatures: FloatArray | None, scale: float) -> KinkPreconditioner | None:
    """Preconditioner of the units whose kinks bend the objective most; None where none stands out.

    Parameters
    ----------
    objective : SoftmaxReLU or SharedSoftmaxReLU
        Whose rows are asked for.
    curvatures : ndarray of shape (H,) or None
        Second derivatives by the pre-activations, >= 0, that the kinks and the penalty add.
    scale : float
        Size of the other curvature.

    Returns
    -------
    KinkPreconditioner or None
    """
    if curvatures is None:
        return None
    size = curvatures * objective.row_norms**2
    near = np.flatnonzero(size > _SHARE * scale)
    if not (near.size and scale > 0.0):
        return None
    if min(near.size, objective.n_parameters) > _LARGEST_FACTOR:
        near = np.sort(near[np.argsort(-size[near], kind="stable")[:_LARGEST_FACTOR]])
    return KinkPreconditioner(objective.rows(near), curvatures[near], scale)


def truncated_cg(
    gradient: FloatArray,
    product: Callable[[FloatArray], FloatArray],
    radius: float,
    *,
    forcing: float,
    floor: float,
    max_products: int,
    metric: KinkPreconditioner | None = None,
) -> CGStep:
    """Minimise a quadratic model within a radius by the conjugate gradients of Steihaug and Toint.

    The iteration ends where the residual has fallen to `forcing` of the gradient, at the radius, or at the first direction
    of negative curvature, which is followed to the radius if there is one. The model falls monotonically.

    Parameters
    ----------
    gradient : ndarray of shape (D,)
        Gradient g.
    product : callable
        Vector to H times the vector.
    radius : float
        Largest length of the step in the norm of the preconditioner.
    forcing : float
        Relative residual to stop at, in the norm dual to that of the preconditioner.
    floor : float
        Euclidean norm of the residual at which more would be wasted.
    max_products : int
        Largest number of products.
    metric : KinkPreconditioner or None, default=None
        The preconditioner M; None is the identity.

    Returns
    -------
    CGStep
    """
    step, metric_step = np.zeros_like(gradient), np.zeros_like(gradient)
    residual = gradient.copy()
    solved = residual if metric is None else metric.solve(residual)
    direction, metric_direction = -solved, -residual
    size = float(residual @ solved)
    goal, logs, n_products, is_on_boundary = forcing * forcing * size, [], 0, False
    squared = 0.0
    while size > 0.0 and n_products < max_products:
        image = product(direction)
        n_products += 1
        bend = float(direction @ image)
        long, mixed = float(direction @ metric_direction), float(step @ metric_direction)
        plain = float(direction @ direction)
        known = 0.0 if metric is None else metric.scale * (long - plain)
        if bend > known and plain > 0.0:
            logs.append(np.log((bend - known) / plain))
        if bend <= 0.0 and radius == np.inf:
            break
        length = size / bend if bend > 0.0 else np.inf
        if bend <= 0.0 or squared + length * (2.0 * mixed + length * long) >= radius * radius:
            # The positive root, without cancellation: mixed >= 0 because the iterates grow.
            room = max(radius * radius - squared, 0.0)
            length = room / (mixed + np.sqrt(mixed * mixed + long * room)) if room > 0.0 else 0.0
            is_on_boundary = True
        step += length * direction
        metric_step += length * metric_direction
        residual += length * image
        squared = float(step @ metric_step)
        if is_on_boundary:
            break
        solved = residual if metric is None else metric.solve(residual)
        previous, size = size, float(residual @ solved)
        if size <= goal or float(np.linalg.norm(residual)) <= floor:
            break
        direction = -solved + (size / previous) * direction
        metric_direction = -residual + (size / previous) * metric_direction
    promised = -0.5 * float(step @ (gradient + residual))
    seen = float(np.exp(np.mean(logs))) if logs else np.nan
    return CGStep(step, float(np.sqrt(max(squared, 0.0))), promised, is_on_boundary, n_products, seen)

