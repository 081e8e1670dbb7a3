"""From a start to a certified point: smooth stages, Newton steps on the kinks they find, the certificate, and escapes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined._linalg import vector_norm
from underdetermined.softmax_relu._options import SolverOptions
from underdetermined.softmax_relu.kinks.certificate import KinkCertificate, certify
from underdetermined.softmax_relu.kinks.geometry import identify
from underdetermined.softmax_relu.kinks.majoriser import majoriser_descent
from underdetermined.softmax_relu.kinks.manifold import manifold_newton
from underdetermined.softmax_relu.newton.trust_region import OnStep, TrustRegionResult, trust_region_newton

__all__ = ["ContinuationResult", "continuation"]

FloatArray = NDArray[np.float64]

# Each stage halves the smoothing: the tangent of the path then lands where one Newton step is enough.
_FACTOR = 0.5
# A stage ends where the gradient is this share of the terms that cancel in it; a smaller one once kinks are tried.
_STAGE_TOL, _TRIAL_TOL = 0.03, 1e-3
# Terms are not taken to be smaller than this share of the largest ones of earlier stages.
_SMALLEST_TERMS = 1e-6
# Logits that differ by more than this leave no gradient to follow: the smooth stages then begin nearer to 0.
_SPREAD = 50.0
_MAX_SHRINKS = 100
# Smoothing, in units of the first one, from which on kinks are tried, how often, and the last one.
_FIRST_TRIAL, _NEXT_TRIAL, _LAST = 3e-3, 0.1, 1e-9
# A unit is pinned where its pre-activation is at most this many smoothings from 0: beyond, its slope is 0 or 1 up to 5e-5.
_WIDTH = 10.0
# Kinks are tried once a stage changed at most this many of the units near theirs, or this share of them.
_MAX_CHANGED, _SHARE_CHANGED = 10, 0.02
# Relative step in mu for the derivative of the gradient.
_MU_STEP = 1e-4
# A radius is not smaller at the beginning of a stage than this share of the first one.
_SMALLEST_RADIUS = 0.1
_MAX_ESCAPES = 10
# Steps of one stage and on kinks, after which smoothing goes on, and steps of the fallback.
_MAX_ON_STAGE, _MAX_ON_KINKS, _MAX_FALLBACK = 200, 300, 100
_MAX_HALVINGS = 60
# Relative decrease from which one more escape is worth its steps.
_VISIBLE = 1e-12


@dataclass(frozen=True)
class ContinuationResult:
    """Where a start led.

    Attributes
    ----------
    x : ndarray of shape (D,)
        Best point found; never above the start.
    value : float
        Objective there, with penalties and without smoothing.
    certificate : KinkCertificate
        What is known of x.
    n_iter : int
        Accepted steps, of all stages and on kinks.
    n_value, n_hessian, n_products : int
        Evaluations of the objective and of its Hessian, and products with Hessians.
    n_stages : int
        Smooth stages.
    n_escapes : int
        Directions of descent that a certificate gave and that were followed.
    stopped : bool
        Whether `on_step` ended the run; x is then the last point it was shown.
    is_exhausted : bool
        Whether the number of steps ended the run.
    """

    x: FloatArray
    value: float
    certificate: KinkCertificate
    n_iter: int
    n_value: int
    n_hessian: int
    n_products: int
    n_stages: int
    n_escapes: int
    stopped: bool
    is_exhausted: bool

    @property
    def n_gradient(self) -> int:
        """Evaluations of the gradient: one at every point that was kept, and at the start of every stage."""
        return self.n_iter + 2 * self.n_stages + 1


def continuation(
    objective: Any,
    x0: FloatArray,
    *,
    options: SolverOptions | None = None,
    newton: Callable[..., TrustRegionResult] = trust_region_newton,
    manifold: Callable[..., Any] = manifold_newton,
    certificate: Callable[..., KinkCertificate] = certify,
    fallback: Callable[..., Any] | None = majoriser_descent,
    on_step: OnStep | None = None,
) -> ContinuationResult:
    """Minimise a softmax-ReLU objective from one start, to a point that carries a certificate.

    The ReLU is replaced by a softplus of width mu, the smooth problem minimised, and mu halved; the next stage starts on the
    tangent of the path of minimisers,

        x(mu') = x(mu) + (mu' - mu) dx/dmu,    H dx/dmu = -d(gradient)/dmu.

    Once mu is small, the units with z_i = O(mu) are pinned, Newton steps on these kinks follow, and the end is certified. If
    the certificate fails, either it gives a direction of descent, which is followed, or the stages go on.

    Parameters
    ----------
    objective : SoftmaxReLU or SharedSoftmaxReLU
        What to minimise.
    x0 : ndarray of shape (D,)
        Start; not written to.
    options : SolverOptions or None, default=None
        Tolerance, largest number of steps, radii, eta and first smoothing; None stands for the defaults.
    newton : callable, default=trust_region_newton
        Minimises one stage, with the arguments and the result of `trust_region_newton`.
    manifold : callable, default=manifold_newton
        Newton steps on kinks, with the arguments and the result of `manifold_newton`, a certificate included.
    certificate : callable, default=certify
        Certificate of a point where no steps were made, with the arguments and the result of `certify`.
    fallback : callable or None, default=majoriser_descent
        A safe descent, with the arguments and the result of `majoriser_descent`, for what is not certified otherwise.
    on_step : callable or None, default=None
        Called as ``on_step(x, value)`` after every accepted step, with the smoothed value; may raise StopIteration.

    Returns
    -------
    ContinuationResult

    Notes
    -----
    Stages need one or two Hessians each, but for the first. The smoothed path may end above the start; the objective is
    then also minimised from the start itself, on its kinks and without smoothing, and the lower point is returned.

    References
    ----------
    :ref:`theory-softmax-relu-kinks`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.objectives import SoftmaxReLU
    >>> from underdetermined.softmax_relu.stages.continuation import continuation
    >>> objective = SoftmaxReLU([[1.0, 2.0], [3.0, -1.0]], [[1.0, -1.0], [0.0, 2.0]], [0.25, 0.75], reg=0.01)
    >>> run = continuation(objective, np.array([0.5, 0.25]))
    >>> run.certificate.is_certified, round(run.value, 15), run.x.round(4).tolist()
    (True, 6.8311088712e-05, [0.1045, -0.0522])
    """
    search = _Search(objective, options or SolverOptions(), newton, manifold, certificate, fallback, on_step)
    return search.run(np.array(x0, dtype=np.float64))


class _Ended(Exception):
    """The steps are used up, or `on_step` asked to stop."""


@dataclass(frozen=True)
class _Candidate:
    x: FloatArray
    value: float
    certificate: KinkCertificate | None

    @property
    def is_certified(self) -> bool:
        return self.certificate is not None and self.certificate.is_certified

    @property
    def direction(self) -> FloatArray | None:
        return None if self.certificate is None else self.certificate.descent_direction


class _Search:
    """One run: its counts, its candidates and the functions that make steps."""

    def __init__(
        self,
        objective: Any,
        options: SolverOptions,
        newton: Callable[..., TrustRegionResult],
        manifold: Callable[..., Any],
        certificate: Callable[..., KinkCertificate],
        fallback: Callable[..., Any] | None,
        on_step: OnStep | None,
    ) -> None:
        self._objective, self._options, self._on_step = objective, options, on_step
        self._newton, self._manifold, self._certify, self._fallback = newton, manifold, certificate, fallback
        self._n_iter = self._n_value = self._n_hessian = self._n_products = self._n_stages = self._n_escapes = 0
        self._radius = self._first_radius = options.initial_trust_radius
        self._largest_terms = 0.0
        self._candidates: list[_Candidate] = []
        self._shown: FloatArray | None = None
        self._stopped = self._is_exhausted = False

    def run(self, x0: FloatArray) -> ContinuationResult:
        start = self._offer(x0, None)
        with suppress(_Ended):
            self._descend_from(start)
        best = self._best(start)
        certificate = best.certificate or self._certify(self._objective, best.x)
        return ContinuationResult(
            best.x,
            best.value,
            certificate,
            self._n_iter,
            self._n_value,
            self._n_hessian,
            self._n_products,
            self._n_stages,
            self._n_escapes,
            self._stopped,
            self._is_exhausted,
        )

    def _descend_from(self, start: _Candidate) -> None:
        if self._options.maxiter == 0:
            self._is_exhausted = True
            return
        scale = self._scale(start.x)
        if scale > 0.0 and self._options.smoothing > 0.0:
            x, smoothing = self._unsaturated(start.x, self._options.smoothing * scale)
            self._radius = self._first_radius = min(self._options.initial_trust_radius, vector_norm(x))
            end = self._escape(self._stages(x, smoothing))
            if end.value <= start.value and end.is_certified:
                return
        self._escape(self._settle(start.x, 0.0))
        best = self._best(start)
        origin = np.zeros_like(start.x)
        if not best.is_certified and self._objective.value(origin) <= best.value:
            # Where all kinks meet, units round to either side of theirs; the point itself is exact.
            best = self._escape(self._offer(origin, self._certify(self._objective, origin)))
        if best.direction is not None and self._fallback is not None:
            left = min(self._options.maxiter - self._n_iter, _MAX_FALLBACK)
            run = self._fallback(self._objective, best.x, max_iter=left, on_step=self._wrapped())
            self._count(run)
            self._escape(self._finish(run.x, run.pinned))

    def _best(self, start: _Candidate) -> _Candidate:
        if self._stopped and self._shown is not None:
            return self._offer(self._shown, None)
        allowed = [candidate for candidate in self._candidates if candidate.value <= start.value]
        return min(allowed, key=lambda candidate: (not candidate.is_certified, candidate.value))

    def _scale(self, x: FloatArray) -> float:
        return float(np.abs(self._objective.hidden(x)).max(initial=0.0))

    def _offer(self, x: FloatArray, certificate: KinkCertificate | None) -> _Candidate:
        self._n_value += 1
        self._candidates.append(_Candidate(x, self._objective.value(x), certificate))
        return self._candidates[-1]

    def _unsaturated(self, x: FloatArray, smoothing: float) -> tuple[FloatArray, float]:
        """A multiple of a start, and of its smoothing, at which most distributions have several entries to speak of."""
        for _ in range(_MAX_SHRINKS):
            fitted = self._objective.at(x, smoothing).fitted
            self._n_value += 1
            largest, smallest = fitted.max(axis=-1), fitted.min(axis=-1)
            with np.errstate(divide="ignore"):
                spread = float(np.median(np.log(largest) - np.log(smallest)))
            if spread <= _SPREAD:
                break
            x, smoothing = 0.5 * x, 0.5 * smoothing
        return x, smoothing

    def _stages(self, x: FloatArray, smoothing: float) -> _Candidate:
        """Follow the path of smoothed minimisers until its kinks give a certificate, or lead no lower."""
        last, first = _LAST * smoothing, _FIRST_TRIAL * smoothing
        trial = first
        previous: tuple[FloatArray, float] | None = None
        lowest, near = np.inf, np.zeros(0, dtype=np.intp)
        while True:
            run = self._stage(x, smoothing, _STAGE_TOL if smoothing > first else _TRIAL_TOL)
            before, near = near, self._identify(run.x, smoothing)
            is_steady = len(np.setxor1d(before, near)) <= _MAX_CHANGED + _SHARE_CHANGED * len(near)
            if (smoothing <= trial and is_steady) or smoothing <= last:
                trial, end = _NEXT_TRIAL * smoothing, self._settle(run.x, smoothing)
                if end.is_certified or smoothing <= last or end.value >= lowest:
                    return end
                lowest = end.value
            smaller = _FACTOR * smoothing
            x = self._predict(run, previous, smoothing, smaller)
            previous, smoothing = (run.x, smoothing), smaller

    def _stage(self, x: FloatArray, smoothing: float, share: float) -> TrustRegionResult:
        point = self._objective.at(x, smoothing)
        terms = vector_norm(point.slopes * point.unit_slopes * self._objective.row_norms)
        terms += vector_norm(point.gradient_of_penalty)
        self._largest_terms = max(terms, self._largest_terms)
        run = self._newton(
            self._objective,
            x,
            smoothing=smoothing,
            gtol=share * max(terms, _SMALLEST_TERMS * self._largest_terms),
            radius=max(self._radius, _SMALLEST_RADIUS * self._first_radius),
            max_iter=min(self._options.maxiter - self._n_iter, _MAX_ON_STAGE),
            eta=self._options.eta,
            max_radius=self._options.max_trust_radius,
            on_step=self._wrapped(),
        )
        self._radius = run.radius
        self._n_stages += 1
        self._count(run)
        return run

    def _predict(
        self, run: TrustRegionResult, previous: tuple[FloatArray, float] | None, smoothing: float, smaller: float
    ) -> FloatArray:
        """Start of the next stage: on the tangent of the path, else on a secant, if that is lower than the last point."""
        if run.solve is not None:
            step = _MU_STEP * smoothing
            ahead = self._objective.at(run.x, smoothing + step).gradient
            change = (ahead - run.point.gradient) * ((smaller - smoothing) / step)
            guess = run.x - run.solve(run.point.gradient + change)
        elif previous is not None:
            guess = run.x + (run.x - previous[0]) * ((smaller - smoothing) / (smoothing - previous[1]))
        else:
            return run.x
        self._n_value += 3
        is_lower = np.isfinite(guess).all() and self._objective.value(guess, smaller) < self._objective.value(run.x, smaller)
        return guess if is_lower else run.x

    def _settle(self, x: FloatArray, smoothing: float) -> _Candidate:
        """Newton steps on the kinks that hold x, and the certificate of their end."""
        return self._finish(x, self._identify(x, smoothing))

    def _identify(self, x: FloatArray, smoothing: float) -> NDArray[np.intp]:
        return identify(self._objective.hidden(x), smoothing, self._objective.row_norms, width=_WIDTH)

    def _finish(self, x: FloatArray, pinned: NDArray[np.intp]) -> _Candidate:
        run = self._manifold(
            self._objective,
            x,
            pinned,
            max_iter=min(self._options.maxiter - self._n_iter, _MAX_ON_KINKS),
            on_step=self._wrapped(),
        )
        self._count(run)
        return self._offer(run.x, run.certificate)

    def _escape(self, end: _Candidate) -> _Candidate:
        """Follow directions of descent until a certificate has none."""
        while end.direction is not None and self._n_escapes < _MAX_ESCAPES:
            lower = self._line_search(end, end.direction)
            if lower is None:
                break
            self._n_escapes += 1
            before, end = end, self._settle(lower, 0.0)
            if not end.value < before.value - _VISIBLE * abs(before.value):
                break
        return end

    def _line_search(self, end: _Candidate, direction: FloatArray) -> FloatArray | None:
        """A point along a direction of descent with a lower value; None where rounding hides all of them."""
        length = max(vector_norm(end.x), self._options.initial_trust_radius) / vector_norm(direction)
        best, lowest = None, end.value
        for _ in range(_MAX_HALVINGS):
            trial = end.x + length * direction
            value = self._objective.value(trial)
            self._n_value += 1
            if value < lowest:
                best, lowest = trial, value
            elif best is not None:
                break
            length *= 0.5
        return best

    def _wrapped(self) -> OnStep | None:
        if self._on_step is None:
            return None
        show = self._on_step

        def remember(x: FloatArray, value: float) -> None:
            self._shown = np.array(x)
            show(x, value)

        return remember

    def _count(self, run: Any) -> None:
        self._n_iter += run.n_iter
        self._n_value += run.n_value
        self._n_hessian += run.n_hessian
        self._n_products += run.n_products
        self._stopped |= run.reason == "stopped"
        self._is_exhausted |= run.reason == "max_iter" and self._n_iter >= self._options.maxiter
        if self._stopped or self._is_exhausted:
            self._offer(run.x, None)
            raise _Ended
