"""Minimise the loss of softmax(M h) over h >= 0: projected Newton steps with a damping that always finds a descent."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from underdetermined._linalg import EPS
from underdetermined.objectives._softmax_relu_terms import Terms, terms
from underdetermined.softmax_relu.free_hidden.pivoting import pivot

FloatArray = NDArray[np.float64]

_ARMIJO = 1e-4
_SMALLEST_DAMPING, _LARGEST_DAMPING = 1e-14, 1e20
_EXTRA = 64
_ROUNDING = 16.0


class HiddenMinimum(NamedTuple):
    """Where the iteration ended.

    Attributes
    ----------
    hidden : ndarray of shape (n,)
        h >= 0.
    found : Terms
        Loss, fit, slopes and weights there.
    unit_slopes : ndarray of shape (n,)
        r = M^T q.
    kkt_residual : float
        max_i |h_i - max(h_i - r_i, 0)|: 0 where r_i = 0 for h_i > 0 and r_i >= 0 for h_i = 0.
    kkt_tolerance : float
        What rounding allows.
    relative_weights : ndarray of shape (m,)
        g = p / f.
    curvature : float
        Smallest ratio sum_i f_i g_i v_i^2 / sum_i f_i v_i^2, v less its mean under f, on the span of the columns with
        h_i > 0, or with h_i = 0 and r_i = 0 to rounding; inf where there are none.
    slope_on_face : float
        Largest ratio <q, v> / (sum_i f_i v_i^2)^(1/2) there.
    n_value, n_hessian : int
        Evaluations.
    is_stationary : bool
        Whether the residual is within the tolerance.
    """

    hidden: FloatArray
    found: Terms
    unit_slopes: FloatArray
    kkt_residual: float
    kkt_tolerance: float
    relative_weights: FloatArray
    curvature: float
    slope_on_face: float
    n_value: int
    n_hessian: int
    is_stationary: bool


def minimise_hidden(
    columns: FloatArray, b: FloatArray, loss: str, hidden: FloatArray, *, max_iter: int = 300
) -> HiddenMinimum:
    """Descend from h to a point that satisfies the first-order conditions to rounding and has no negative curvature.

    Parameters
    ----------
    columns : ndarray of shape (m, n)
        M: unit columns with sum 0, or 0.
    b : ndarray of shape (m,)
        Targets.
    loss : {"squared", "kl"}
        Which loss.
    hidden : ndarray of shape (n,)
        Start, h >= 0.
    max_iter : int, default=300
        Most Hessians.

    Returns
    -------
    HiddenMinimum

    Notes
    -----
    A step minimises the quadratic model with the Hessian, and a damping on its diagonal, over h >= 0, exactly: by block
    pivoting from the present face. As the damping grows the step becomes one of projected gradient descent, which lowers the
    loss; as it shrinks, a Newton step of the constrained problem. Where the Hessian is not positive definite on the faces
    that are met, its clipped version takes its place. Of the units that are 0 only those with the steepest slopes take part.
    """
    state = _State(columns, b, loss, np.where(columns.any(axis=0), hidden, 0.0))
    damping, n_value, n_hessian = 1e-3, 1, 0
    while n_hessian < max_iter:
        n_hessian += 1
        if state.residual <= state.tolerance:
            better = None if loss == "kl" else _escape(state)
            if better is None:
                break
            state = better
            continue
        model = _Model(state)
        following = None
        while following is None and damping <= _LARGEST_DAMPING:
            candidate = _State(columns, b, loss, model.minimiser(damping))
            n_value += 1
            following = candidate if candidate.improves(state) else None
            damping *= 0.1 if following is not None else 8.0
        if following is None:
            break
        damping = max(damping, _SMALLEST_DAMPING)
        state = following
    return _finish(state, n_value, n_hessian)


class _State:
    """One point with everything computed there."""

    def __init__(self, columns: FloatArray, b: FloatArray, loss: str, hidden: FloatArray) -> None:
        self.columns, self.b, self.loss, self.hidden = columns, b, loss, hidden
        logits = columns @ hidden
        self.found = terms(logits, b, loss)
        self.slopes = columns.T @ self.found.slopes
        self.residual = float(np.abs(hidden - np.maximum(hidden - self.slopes, 0.0)).max())
        # A logit is known to eps times the sum of its terms, and a slope to f times that.
        spread = 1.0 + float((np.abs(columns) @ hidden).max())
        self.tolerance = _ROUNDING * EPS * spread * float(np.linalg.norm(self.found.fitted))

    def improves(self, before: _State) -> bool:
        """Whether the loss is lower by a share of what the slopes promise, or the residual, where the loss is rounding."""
        if not np.isfinite(self.found.value):
            return False
        promised = float(before.slopes @ (before.hidden - self.hidden))
        # Both losses are at least |f - b|^2 / 2, and shares are known to the tolerance.
        noise = before.tolerance * (before.tolerance + (2.0 * float(before.found.value)) ** 0.5)
        if promised <= noise or self.found.value == before.found.value:
            return self.residual < 0.9 * before.residual and self.found.value <= before.found.value + noise
        return bool(before.found.value - self.found.value >= _ARMIJO * promised)


class _Model:
    """The quadratic model at a point, restricted to the units that take part."""

    def __init__(self, state: _State) -> None:
        self.state = state
        waiting = np.flatnonzero((state.hidden == 0.0) & (state.slopes < 0.0))
        most = 2 * len(state.b) + _EXTRA
        if len(waiting) > most:
            waiting = waiting[np.argsort(state.slopes[waiting], kind="stable")[:most]]
        self.units = np.sort(np.concatenate([np.flatnonzero(state.hidden > 0.0), waiting]))
        self.part = state.columns[:, self.units]
        self.hidden, self.slopes = state.hidden[self.units], state.slopes[self.units]
        self.exact: FloatArray | None = _hessian(state.found.fitted, state.found.weights, self.part)
        self.clipped: FloatArray | None = None

    def minimiser(self, damping: float) -> FloatArray:
        """Minimise the damped model over h >= 0."""
        found = None
        if self.exact is not None:
            found = pivot(self.exact, damping, self.slopes, self.hidden)
        if found is None:
            if self.clipped is None:
                weights = np.maximum(self.state.found.weights, 0.0)
                self.clipped = _hessian(self.state.found.fitted, weights, self.part)
            found = pivot(self.clipped, damping, self.slopes, self.hidden)
        result = np.zeros_like(self.state.hidden)
        result[self.units] = np.maximum(self.hidden - self.slopes / damping if found is None else found, 0.0)
        return result


def _hessian(fitted: FloatArray, weights: FloatArray, part: FloatArray) -> FloatArray:
    centred = part - fitted @ part
    product = centred.T @ (weights[:, np.newaxis] * centred)
    return 0.5 * (product + product.T)


def _span(columns: FloatArray) -> FloatArray:
    """Orthonormal basis of the span of some columns."""
    left, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return left[:, sizes > max(columns.shape) * EPS * sizes[0]]


def _escape(state: _State) -> _State | None:
    """Follow negative curvature on the face of the positive units, or None where there is none."""
    units = state.hidden > 0.0
    if not units.any():
        return None
    basis = _span(state.columns[:, units])
    values, vectors = np.linalg.eigh(_hessian(state.found.fitted, state.found.weights, basis))
    if values[0] >= -_ROUNDING * len(state.b) * EPS:
        return None
    direction = np.zeros(len(state.hidden))
    direction[units] = np.linalg.lstsq(state.columns[:, units], basis @ vectors[:, 0])[0]
    for size in 4.0 ** -np.arange(20.0):
        for sign in (size, -size):
            candidate = _State(state.columns, state.b, state.loss, np.maximum(state.hidden + sign * direction, 0.0))
            gain = float(state.found.value - candidate.found.value)
            if gain > max(-0.1 * values[0] * size * size, 4.0 * EPS * float(state.found.value)):
                return candidate
    return None


def _finish(state: _State, n_value: int, n_hessian: int) -> HiddenMinimum:
    # A unit that is positive by rounding alone, and is pushed to 0, is 0.
    settled = np.where((state.hidden <= state.tolerance) & (state.slopes > state.tolerance), 0.0, state.hidden)
    b = state.b
    state = _State(state.columns, b, state.loss, settled)
    critical = (settled > 0.0) | (np.abs(state.slopes) <= state.tolerance)
    critical &= state.columns.any(axis=0)
    found = state.found
    # p / f, without the division.
    relative = np.ones(len(b)) if state.loss == "kl" else 2.0 * found.fitted - b - found.fitted @ (found.fitted - b)
    curvature, on_face = np.inf, 0.0
    if critical.any():
        # With W = diag(f)^(1/2) (U - f^T U) = Q R the two forms are W^T diag(g) W and W^T W.
        roots = np.sqrt(found.fitted)
        basis = _span(state.columns[:, critical])
        unit = np.linalg.qr(roots[:, np.newaxis] * (basis - found.fitted @ basis))[0]
        curvature = float(np.linalg.eigvalsh(unit.T @ (relative[:, np.newaxis] * unit))[0])
        slopes = np.divide(found.slopes, roots, out=np.zeros_like(roots), where=roots > 0.0)
        on_face = float(np.linalg.norm(unit.T @ slopes))
    return HiddenMinimum(
        settled, found, state.slopes, state.residual, state.tolerance, relative, curvature, on_face, n_value, n_hessian,
        state.residual <= state.tolerance,
    )  # fmt: skip
