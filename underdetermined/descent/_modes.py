"""What t steps do to one eigenvector of the Gram matrix: every recurrence in closed form.

With h = eta lambda, the residual along an eigenvector obeys ``r_{t+1} = p r_t - q r_{t-1}``, ``r_{-1} = r_0``, and is a
power times a bounded factor. Both are returned separately, so that nothing overflows or underflows before they meet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from underdetermined.blocks import slices

FloatArray = NDArray[np.float64]

METHODS = ("gradient_descent", "gradient_flow", "heavy_ball", "nesterov")
WITH_MOMENTUM = METHODS[2:]
_BLOCK_ENTRIES = 2**20
_LARGEST = float(np.finfo(np.float64).max) / 16.0
_LARGEST_LOG = float(np.log(np.finfo(np.float64).max))
_SPLITTER = 2.0**27 + 1.0


@dataclass(frozen=True, eq=False)
class Modes:
    """Factors by which the residual along each eigenvector shrinks.

    r_t / r_0 = sign^t exp(t log_radius) b_t, where b_t = cos(t a) + s sin(t a) / sin(a) for complex roots of angle a, and
    (1 + R^t) / 2 + s (1 + R + ... + R^{t-1}) for real roots of ratio R; b_t = 1 for methods without momentum.

    Parameters
    ----------
    sign : ndarray of shape (n,)
        Sign of the dominant root.
    log_radius : ndarray of shape (n,)
        Logarithm of its modulus; -inf where one step brings the residual to zero.
    slope : ndarray of shape (n,)
        s; zero for methods without momentum.
    angle : ndarray of shape (n,)
        a in [0, pi/2]; zero for real roots.
    log_ratio : ndarray of shape (n,)
        log |R|, R the smaller root over the larger one; zero for complex and double roots.
    ratio_sign : ndarray of shape (n,)
        Sign of R.
    """

    sign: FloatArray
    log_radius: FloatArray
    slope: FloatArray
    angle: FloatArray
    log_ratio: FloatArray
    ratio_sign: FloatArray

    def factors(self, steps: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Split the factors after some steps into mantissas and exponents, r_t / r_0 = mantissa exp(exponent).

        Parameters
        ----------
        steps : ndarray of shape (s,)
            Numbers of steps.

        Returns
        -------
        mantissa, exponent : ndarray of shape (n, s)
            Never nan; mantissas are finite.
        """
        exponent = _times(steps, self.log_radius)
        flipped = _alternating(self.sign, steps)
        if not self.slope.any():
            return flipped, exponent
        power = np.exp(_times(steps, self.log_ratio)) * _alternating(self.ratio_sign, steps)
        bracket = np.where(self._is_complex, np.cos(_times(steps, self.angle)), 0.5 * (1.0 + power))
        return flipped * (bracket + self.slope[:, np.newaxis] * self._sums(steps, power)), exponent

    def norms(self, energy: FloatArray, steps: FloatArray, factor: float = 1.0) -> FloatArray:
        """Norm of the residual after some steps, factor sqrt(sum_i energy_i (r_t / r_0)_i^2).

        Parameters
        ----------
        energy : ndarray of shape (n,)
            Squares of the residual along the eigenvectors at step 0.
        steps : ndarray of shape (s,)
            Numbers of steps.
        factor : float, default=1.0
            Factor >= 0.

        Returns
        -------
        ndarray of shape (s,)
            inf where it overflows, never nan: modes without energy do not count, however they grow.
        """
        present, result = (energy > 0.0)[:, np.newaxis], np.empty(steps.size)
        for part in slices(steps.size, max(1, _BLOCK_ENTRIES // energy.size)):
            mantissa, exponent = self.factors(steps[part])
            exponent = np.where(present, exponent, -np.inf)
            shift = exponent.max(axis=0, initial=0.0)
            norm = np.sqrt((energy[:, np.newaxis] * (mantissa * np.exp(exponent - shift)) ** 2).sum(axis=0))
            result[part] = scaled(factor * norm, shift)
        return result

    @property
    def _is_complex(self) -> NDArray[np.bool_]:
        return (self.angle > 0.0)[:, np.newaxis]

    def _sums(self, steps: FloatArray, power: FloatArray) -> FloatArray:
        """sin(t a) / sin(a), or 1 + R + ... + R^{t-1}; t where the roots coincide."""
        sine, angle = np.sin(_times(steps, self.angle)), self.angle[:, np.newaxis]
        ratio_log, positive = self.log_ratio[:, np.newaxis], (self.ratio_sign > 0.0)[:, np.newaxis]
        # 1 - R^t through expm1 unless R^t is negative: near a double root both differences vanish together.
        rest = np.where(positive | (np.fmod(steps, 2.0) == 0.0), -np.expm1(_times(steps, self.log_ratio)), 1.0 - power)
        gap = np.where(positive, -np.expm1(ratio_log), 1.0 + np.exp(ratio_log))
        with np.errstate(divide="ignore", invalid="ignore"):
            sums = np.where(self._is_complex, sine / np.sin(angle), rest / gap)
        return np.where((angle == 0.0) & (gap == 0.0), steps, sums)

    def envelope(self, steps: float) -> FloatArray:
        """Bound |r_s / r_0| over all s >= steps; it never increases.

        Parameters
        ----------
        steps : float
            First step of the range.

        Returns
        -------
        ndarray of shape (n,)
            inf for a mode that grows.
        """
        with np.errstate(all="ignore"):
            ratio = self.ratio_sign * np.exp(self.log_ratio)
            spread = np.where(self.angle > 0.0, np.sin(self.angle), 1.0 - ratio)
            amplitude = np.abs(self.slope) / spread
            bounded = np.where(self.angle > 0.0, np.hypot(1.0, amplitude), np.maximum(1.0, 2.0 * amplitude))
            # |sin(t a)| <= t sin(a) bounds what the amplitude does not near a double root; (1 + s t) rho^t has one peak.
            steepness = np.abs(self.slope)
            peak = np.where(self.log_radius < 0.0, -1.0 / self.log_radius - 1.0 / steepness, np.inf)
            late = np.maximum(steps, np.where(steepness > 0.0, peak, 0.0))
            linear = np.exp(self.log_radius * late) * (1.0 + steepness * late)
            plain = np.exp(_times(np.array([steps]), self.log_radius)[:, 0]) * np.where(self.slope == 0.0, 1.0, bounded)
        return np.where(self.log_radius > 0.0, np.inf, np.fmin(plain, np.where(steepness > 0.0, linear, np.inf)))


def gradient_descent_modes(eigenvalues: FloatArray, learning_rate: float) -> Modes:
    """Modes of gradient descent, r_t = (1 - h)^t r_0.

    Parameters
    ----------
    eigenvalues : ndarray of shape (n,)
        lambda >= 0.
    learning_rate : float
        eta.

    Returns
    -------
    Modes
    """
    high, low = _product(eigenvalues, learning_rate)
    away = (1.0 - high) - low
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # The argument of each logarithm is the difference that is exact there.
        near_one = np.where(high < 1.0, np.log1p(-high - low), np.log1p((high - 2.0) + low))
        logs = np.where(np.abs(away) < 0.5, np.log(np.abs(away)), near_one)
    return _plain(np.where(away < 0.0, -1.0, 1.0), logs)


def gradient_flow_modes(eigenvalues: FloatArray, learning_rate: float) -> Modes:
    """Modes of gradient flow, r_t = exp(-h t) r_0.

    Parameters
    ----------
    eigenvalues : ndarray of shape (n,)
        lambda >= 0.
    learning_rate : float
        eta, the time that one step takes.

    Returns
    -------
    Modes
    """
    return _plain(np.ones_like(eigenvalues), -_product(eigenvalues, learning_rate)[0])


def _plain(sign: FloatArray, log_radius: FloatArray) -> Modes:
    zero = np.zeros_like(sign)
    return Modes(sign, np.minimum(log_radius, _LARGEST_LOG), zero, zero, zero, np.ones_like(sign))


def momentum_modes(method: str, eigenvalues: FloatArray, learning_rate: float, momentum: float) -> Modes:
    """Modes of heavy ball or Nesterov's method with constant momentum, through the roots of z^2 - p z + q.

    Parameters
    ----------
    method : {"heavy_ball", "nesterov"}
        p = 1 + beta - h and q = beta, or p = (1 + beta)(1 - h) and q = beta (1 - h).
    eigenvalues : ndarray of shape (n,)
        lambda >= 0.
    learning_rate, momentum : float
        eta and beta.

    Returns
    -------
    Modes

    Notes
    -----
    For p < 0 the roots are mirrored. Those of |p| are written as 1 - w, where
    w^2 - (2 - |p|) w + (1 - |p| + q) = 0 has coefficients without cancellation: the slow modes, h near 0 and near the
    largest stable h, have roots near 1 and keep their digits over any number of steps.
    """
    high, low = _product(eigenvalues, learning_rate)
    h, beta, away = high + low, momentum, (1.0 - high) - low
    if method == "heavy_ball":
        p, q, force = (1.0 - high) + beta - low, np.full_like(h, beta), 0.5 * (((1.0 - beta) - high) - low)
        sums = (1.0 - beta) + h, ((3.0 - high) + beta) - low
        products = h, ((2.0 - high) + 2.0 * beta) - low
    else:
        p, q, force = (1.0 + beta) * away, beta * away, 0.5 * (1.0 - beta) * away
        twice, rest = _product(1.0 - high, 2.0 * beta)
        sums = (1.0 - beta) + (1.0 + beta) * h, 2.0 + p
        products = h, ((2.0 - high) + twice) + (rest - (1.0 + 2.0 * beta) * low)
    is_mirrored = p < 0.0
    half, product = 0.5 * np.where(is_mirrored, *sums[::-1]), np.where(is_mirrored, *products[::-1])
    centre = 0.5 * np.abs(p)
    # Roots near 1 have a small 1 - z, roots near 0 a small z: the discriminant is formed from the small one.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        discriminant = np.where(centre > 0.5, half**2 - product, centre**2 - q)
        root = np.sqrt(np.abs(discriminant))
        is_complex = discriminant < 0.0
        dominant = centre + root
        gap = np.where(half > 0.0, product / (half + root), half - root)
        real = np.where(dominant > 0.5, np.log1p(-gap), np.log(dominant))
        near_one = np.log(beta) + (np.log1p(-h) if method == "nesterov" else 0.0)
        decay = 0.5 * np.where(q > 0.5, near_one, np.log(q))
        log_radius = np.where(is_complex, decay, real)
        radius = np.where(is_complex, np.sqrt(np.abs(q)), dominant)
        slope = np.where(radius > 0.0, np.where(is_mirrored, -force, force) / radius, 0.0)
        log_ratio = np.where(radius > 0.0, np.log1p(-2.0 * np.minimum(centre, root) / dominant), 0.0)
    return Modes(
        sign=np.where(is_mirrored, -1.0, 1.0),
        log_radius=np.minimum(log_radius, _LARGEST_LOG),
        slope=slope,
        angle=np.where(is_complex, np.arctan2(root, centre), 0.0),
        log_ratio=np.where(is_complex, 0.0, log_ratio),
        ratio_sign=np.where(q < 0.0, -1.0, 1.0),
    )


def scaled(values: FloatArray, exponents: FloatArray) -> FloatArray:
    """values exp(exponents), where zero stays zero.

    Parameters
    ----------
    values, exponents : ndarray
        Of shapes that broadcast.

    Returns
    -------
    ndarray
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(values == 0.0, 0.0, values * np.exp(exponents))


def _times(steps: FloatArray, logs: FloatArray) -> FloatArray:
    """Outer product with 0 * inf = 0: a power with exponent zero is one."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(steps == 0.0, 0.0, logs[:, np.newaxis] * steps)


def _alternating(sign: FloatArray, steps: FloatArray) -> FloatArray:
    """sign^t."""
    return np.where((sign < 0.0)[:, np.newaxis] & (np.fmod(steps, 2.0) == 1.0), -1.0, 1.0)


def _product(values: FloatArray, factor: float) -> tuple[FloatArray, FloatArray]:
    """Product as an unevaluated sum of two floats (Dekker 1971); the second is zero where the splitting would overflow.

    At t = 1e12 steps the rounding of eta lambda alone would change (1 - eta lambda)^t in its fourth digit.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        high = np.clip(values * factor, -_LARGEST, _LARGEST)
        (a, b), (c, d) = _halves(values), _halves(np.float64(factor))
        low = ((a * c - high) + a * d + b * c) + b * d
    return high, np.where(np.isfinite(low) & (np.abs(high) > 1e-280), low, 0.0)


def _halves(values):
    """Split into two parts of at most 26 bits each."""
    scaled = _SPLITTER * values
    upper = scaled - (scaled - values)
    return upper, values - upper
