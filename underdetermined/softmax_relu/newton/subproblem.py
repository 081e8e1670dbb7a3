"""The trust-region subproblem, solved exactly: a Cholesky factor first, a tridiagonal form where curvature is negative."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal, lapack

from underdetermined._linalg import EPS, vector_norm

__all__ = ["Subproblem", "TrustRegionStep", "subproblem"]

FloatArray = NDArray[np.float64]
# Solution u of (H + shift I) u = -g and the derivative term u.T (H + shift I)^-1 u; None where H + shift I is not positive.
_Solution = tuple[FloatArray, float]
_Shifted = Callable[[float], "_Solution | None"]

# Newton's method on the secular equation converges quadratically and from one side; this many steps are never seen.
_MAX_SECULAR = 60


@dataclass(frozen=True)
class TrustRegionStep:
    """Minimiser of a quadratic model in a ball.

    Attributes
    ----------
    step : ndarray of shape (d,)
        The minimiser u.
    decrease : float
        What the model promises, -(g.T u + u.T H u / 2) >= 0.
    on_boundary : bool
        Whether the ball holds the step back.
    multiplier : float
        The shift of the Hessian, >= 0; with it (H + multiplier I) u = -g, but for a multiple of an eigenvector in the hard
        case.
    """

    step: FloatArray
    decrease: float
    on_boundary: bool
    multiplier: float


def subproblem(gradient: FloatArray, hessian: FloatArray, radius: float, *, rtol: float = 1e-10) -> TrustRegionStep:
    """Minimise g.T u + u.T H u / 2 over the ball |u| <= radius, to its global minimum, whatever the signs of H.

    Parameters
    ----------
    gradient : ndarray of shape (d,)
        g.
    hessian : ndarray of shape (d, d)
        Symmetric H.
    radius : float
        Radius > 0.
    rtol : float, default=1e-10
        A step that the ball holds back has a length within rtol * radius of the radius.

    Returns
    -------
    TrustRegionStep

    Notes
    -----
    u is a minimiser exactly if (H + s I) u = -g and s (radius - |u|) = 0 for an s >= 0 with H + s I positive
    semi-definite.
    The cost is that of one Cholesky factor, d^3 / 3 flops, where the Newton step fits; a few more where it does not; and a
    reduction to tridiagonal form, 4 d^3 / 3 flops, where H is not positive definite.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.softmax_relu.newton.subproblem import subproblem
    >>> hard = subproblem(np.array([0.0, 1.0]), np.diag([-1.0, 1.0]), 2.0)
    >>> bool(np.isclose(np.linalg.norm(hard.step), 2.0)), round(hard.decrease, 6), round(hard.multiplier, 6)
    (True, 2.25, 1.0)
    """
    return Subproblem(gradient, hessian).solve(radius, rtol=rtol)


class Subproblem:
    """One quadratic model, to be minimised over balls of several radii.

    Factors are kept, so that a second radius, after a rejected step, costs little.

    Parameters
    ----------
    gradient : ndarray of shape (d,)
        g.
    hessian : ndarray of shape (d, d)
        Symmetric H.
    """

    def __init__(self, gradient: FloatArray, hessian: FloatArray) -> None:
        self._gradient, self._hessian = gradient, np.asarray(hessian, dtype=np.float64)
        self._tridiagonal: _Tridiagonal | None = None
        self._factor = self._factored(0.0)
        self._newton = None if self._factor is None else self._solution(self._factor)

    @property
    def is_positive_definite(self) -> bool:
        """Whether a Cholesky factor of H exists in working precision."""
        return self._factor is not None

    def inverse_product(self, vector: FloatArray) -> FloatArray:
        """H^-1 v by the Cholesky factor, which must exist.

        Parameters
        ----------
        vector : ndarray of shape (d,)
            v.

        Returns
        -------
        ndarray of shape (d,)
        """
        return lapack.dpotrs(self._factor, vector, lower=1)[0]

    def solve(self, radius: float, *, rtol: float = 1e-2) -> TrustRegionStep:
        """Minimise over the ball of one radius.

        Parameters
        ----------
        radius : float
            Radius > 0.
        rtol : float, default=1e-2
            A step that the ball holds back has a length within rtol * radius of the radius.

        Returns
        -------
        TrustRegionStep
        """
        if self._newton is not None:
            step, shift, on_boundary = self._newton[0], 0.0, False
            if not vector_norm(step) <= radius:
                step, shift = _secular(self._shifted, self._newton, 0.0, radius, rtol)
                on_boundary = True
        else:
            if self._tridiagonal is None:
                self._tridiagonal = _Tridiagonal(self._gradient, self._hessian)
            step, shift, on_boundary = self._tridiagonal.solve(radius, rtol)
        # Of two terms at least one is positive and the other at most half as large, so that nothing cancels.
        decrease = -float(self._gradient @ step) - 0.5 * float(step @ (self._hessian @ step))
        return TrustRegionStep(step, max(decrease, 0.0), on_boundary, shift)

    def _factored(self, shift: float) -> FloatArray | None:
        shifted = np.array(self._hessian, order="F")
        shifted.flat[:: len(shifted) + 1] += shift
        factor, info = lapack.dpotrf(shifted, lower=1, clean=0, overwrite_a=1)
        return factor if info == 0 else None

    def _shifted(self, shift: float) -> _Solution | None:
        factor = self._factored(shift)
        return None if factor is None else self._solution(factor)

    def _solution(self, factor: FloatArray) -> _Solution | None:
        step = -lapack.dpotrs(factor, self._gradient, lower=1)[0]
        if not np.isfinite(step).all():
            return None
        return step, float(step @ lapack.dpotrs(factor, step, lower=1)[0])


class _Tridiagonal:
    """The model in an orthonormal basis in which H is tridiagonal: every shift costs O(d)."""

    def __init__(self, gradient: FloatArray, hessian: FloatArray) -> None:
        order = len(gradient)
        work = int(lapack.dsytrd_lwork(order, lower=1)[0].real)
        self._reflectors, self._diagonal, self._off, self._tau, _ = lapack.dsytrd(hessian, lower=1, lwork=max(work, 1))
        self._gradient = self._rotate(gradient, "T")
        self._size = float(np.abs(self._diagonal).max(initial=0.0) + 2.0 * np.abs(self._off).max(initial=0.0))
        # LAPACK squares the entries, which may leave the range of numbers.
        unit = self._size or 1.0
        scaled = (self._diagonal / unit, self._off / unit)
        values, vectors = eigh_tridiagonal(*scaled, select="i", select_range=(0, 0), check_finite=False)
        self._lowest, self._vector = float(values[0]) * unit, vectors[:, 0]

    def solve(self, radius: float, rtol: float) -> tuple[FloatArray, float, bool]:
        along = float(self._vector @ self._gradient)
        # No shift below this one fits: |u| is at least the component along the lowest eigenvector.
        shift = max(0.0, abs(along) / radius - self._lowest)
        margin = EPS * max(self._size, np.finfo(float).tiny)
        shift = max(shift, margin - self._lowest)
        state = self._shifted(shift)
        while state is None:
            margin *= 4.0
            shift = max(shift, margin - self._lowest)
            state = self._shifted(shift)
        step, shift = _secular(self._shifted, state, shift, radius, rtol)
        if vector_norm(step) < (1.0 - rtol) * radius:
            # The hard case: what is missing in length goes along the lowest eigenvector, where the model falls.
            step = step - (step @ self._vector) * self._vector
            missing = np.sqrt(max(0.0, radius**2 - float(step @ step)))
            step = step + (-missing if along > 0.0 else missing) * self._vector
        return self._rotate(step, "N"), shift, True

    def _shifted(self, shift: float) -> _Solution | None:
        if len(self._off) == 0:
            # LAPACK's interface takes no empty arrays.
            pivot = float(self._diagonal[0]) + shift
            step = -self._gradient / pivot if pivot > 0.0 else self._gradient
            return (step, float(step @ step) / pivot) if pivot > 0.0 else None
        pivots, multipliers, info = lapack.dpttrf(self._diagonal + shift, self._off)
        if info != 0:
            return None
        step = -lapack.dpttrs(pivots, multipliers, self._gradient)[0]
        if not np.isfinite(step).all():
            return None
        return step, float(step @ lapack.dpttrs(pivots, multipliers, step)[0])

    def _rotate(self, vector: FloatArray, transposed: str) -> FloatArray:
        """Q.T v or Q v; the first coordinate of Q is the identity."""
        if len(vector) == 1:
            return vector.copy()
        below = np.asfortranarray(self._reflectors[1:, :-1])
        rotated, _, _ = lapack.dormqr("L", transposed, below, self._tau, vector[1:, np.newaxis], max(1, len(vector)))
        return np.concatenate([vector[:1], rotated[:, 0]])


def _secular(
    shifted: _Shifted, state: _Solution, shift: float, radius: float, rtol: float
) -> tuple[FloatArray, float]:
    """Solve |u(s)| = radius for the shift s, from one that is too small, where Newton's method on 1 / |u| is monotone."""
    step, derivative = state
    for _ in range(_MAX_SECULAR):
        length = vector_norm(step)
        if length <= (1.0 + rtol) * radius or not derivative > 0.0:
            break
        larger = shift + (length / derivative) * length * ((length - radius) / radius)
        state_there = shifted(larger) if larger > shift else None
        if state_there is None:
            break
        (step, derivative), shift = state_there, larger
    # The last step is too long by at most rtol; on the ball itself the model is nearly the same.
    length = vector_norm(step)
    return step * (radius / length) if length > radius else step, shift
