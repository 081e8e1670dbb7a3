"""The residual after t steps, at the cost of one step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._validation import as_float, check_memory, check_number, check_targets
from underdetermined.descent._modes import (
    WITH_MOMENTUM,
    Modes,
    gradient_descent_modes,
    gradient_flow_modes,
    momentum_modes,
    scaled,
)
from underdetermined.descent._rates import (
    check_method,
    check_momentum,
    check_steps,
    optimal_learning_rate,
    optimal_momentum,
)
from underdetermined.descent._tolerance import settling_step
from underdetermined.spectrum import Spectrum

FloatArray = NDArray[np.float64]

_ALL = slice(None)


@dataclass(frozen=True, eq=False)
class DescentForecast:
    """Residual r_t of a training run from the spectrum of its kernel, for any t at the cost of one step.

    Along an eigenvector of eigenvalue lambda, with h = learning_rate lambda, the residual is c_t times that at step 0, where
    c_t = (1 - h)^t for gradient descent and exp(-h t) for gradient flow; otherwise c_{-1} = c_0 = 1 and
    c_{t+1} = (1 + momentum - h) c_t - momentum c_{t-1} for heavy ball, or
    c_{t+1} = (1 - h) ((1 + momentum) c_t - momentum c_{t-1}) for Nesterov's method.
    `forecast_descent` builds a forecast with the best learning rate.

    Parameters
    ----------
    spectrum : Spectrum
        Spectrum of K = Phi Phi.T, or of a tangent kernel, with eigenvectors.
    targets : array_like of shape (n,) or (n, k)
        Residual r_0 at step 0: the targets minus the first outputs, the targets themselves if those are zero. Stored as
        (n, k).
    method : {"gradient_descent", "gradient_flow", "heavy_ball", "nesterov"}, default="gradient_descent"
        Training method, on the loss |r|^2 / 2 summed over rows and outputs.
    learning_rate : float, default=1.0
        Greater than 0; the time of one step for gradient flow. A rate above `max_learning_rate` is forecast to diverge.
    momentum : float, default=0.0
        In [0, 1); zero for methods without momentum.
    is_exact : bool, default=True
        Whether the kernel stays what it is during training, as with the last layer alone. False marks a forecast for all
        layers as an approximation; `measured_error` says how good it was.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range or does not fit, or the spectrum has no eigenvectors.

    Notes
    -----
    Unresolved eigenvalues count as zero: their part of r_0 never decays, `unresolved_fraction` says how much it is. Powers
    are taken through logarithms and the product of rate and eigenvalue is kept in two floats, so that the factors hold for
    1e12 steps as for ten; an eigenvalue itself is known up to about eps lambda_max.

    References
    ----------
    Jacot, Gabriel and Hongler, Neural tangent kernel, 2018, section 5; Polyak, 1964, for heavy ball.

    Examples
    --------
    >>> from underdetermined.descent import DescentForecast
    >>> from underdetermined.spectrum import Spectrum
    >>> spectrum = Spectrum.from_gram([[4.0, 0.0], [0.0, 1.0]])
    >>> DescentForecast(spectrum, [1.0, 1.0], learning_rate=0.5).residual(3).round(3)
    array([[-1.   ],
           [ 0.125]])
    """

    spectrum: Spectrum
    targets: Any
    method: str = "gradient_descent"
    learning_rate: float = 1.0
    momentum: float = 0.0
    is_exact: bool = True

    def __post_init__(self) -> None:
        """Validate and convert the arguments."""
        if self.spectrum.eigenvectors is None:
            raise ValueError("spectrum has no eigenvectors, which a forecast needs: build it with eigenvectors=True")
        check_method(self.method)
        values = {
            "targets": check_targets(self.targets, self.spectrum.n_rows),
            "learning_rate": check_number(self.learning_rate, "learning_rate", low_open=True),
            "momentum": check_momentum(self.momentum, self.method),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def initial_norm(self) -> float:
        """Norm of the residual at step 0, the root of the sum of squares over rows and outputs."""
        largest = float(np.abs(self.targets).max())
        return largest * float(np.linalg.norm(self.targets / largest)) if largest > 0.0 else 0.0

    @property
    def unresolved_fraction(self) -> float:
        """Norm of the part of r_0 along unresolved eigenvalues, which never decays, relative to the norm of r_0."""
        return float(np.sqrt(self._energy[self.spectrum.resolved == 0.0].sum()))

    @cached_property
    def _energy(self) -> FloatArray:
        """Fraction of |r_0|^2 along each eigenvector; zeros if there is no residual."""
        return self.spectrum.energy(self.targets) if self.targets.any() else np.zeros(self.spectrum.n_rows)

    @cached_property
    def _modes(self) -> Modes:
        eigenvalues = self.spectrum.resolved
        if self.method in WITH_MOMENTUM:
            return momentum_modes(self.method, eigenvalues, self.learning_rate, self.momentum)
        build = gradient_flow_modes if self.method == "gradient_flow" else gradient_descent_modes
        return build(eigenvalues, self.learning_rate)

    def _check_steps(self, steps: ArrayLike) -> FloatArray:
        return check_steps(steps, whole=self.method != "gradient_flow")

    def residual(self, steps: ArrayLike) -> FloatArray:
        """Residual r_t in the rows of the data.

        Parameters
        ----------
        steps : array_like of int, shape () or (s,)
            Numbers of steps t >= 0; times in units of one step, whole or not, for gradient flow.

        Returns
        -------
        ndarray of shape (n, k) or (s, n, k)
            One residual for a single number of steps. Entries of a diverging run become inf, never nan.

        Raises
        ------
        TypeError, ValueError
            If a number of steps is out of range.
        MemoryError
            If the residuals cannot fit.

        Notes
        -----
        2 n^2 k s flops; memory of about four times the result.
        """
        times = self._check_steps(steps)
        n, k = self.targets.shape
        check_memory(32 * times.size * n * (k + 1), f"residuals of {n} rows after {times.size} numbers of steps")
        mantissa, exponent = self._modes.factors(times.reshape(-1))
        # Growing parts are scaled to one before the sum, so that infinities of both signs never meet.
        shift = np.maximum(exponent.max(axis=0), 0.0)
        weights = mantissa * np.exp(exponent - shift)
        parts = weights[:, :, np.newaxis] * self.spectrum.project(self.targets)[:, np.newaxis, :]
        total = (self.spectrum.eigenvectors @ parts.reshape(n, -1)).reshape(n, times.size, k).transpose(1, 0, 2)
        result = scaled(total, shift[:, np.newaxis, np.newaxis])
        return result if times.ndim else result[0]

    def loss(self, steps: ArrayLike) -> Any:
        """Loss |r_t|^2 / 2, summed over rows and outputs.

        Parameters
        ----------
        steps : array_like of int, shape () or (s,)
            Numbers of steps t >= 0; times in units of one step, whole or not, for gradient flow.

        Returns
        -------
        float or ndarray of shape (s,)
            inf where it overflows.

        Raises
        ------
        TypeError, ValueError
            If a number of steps is out of range.

        Notes
        -----
        O(n s), after one projection of the targets.
        """
        return self._loss(steps)

    def relative_residual(self, steps: ArrayLike) -> Any:
        """Norm of the residual relative to step 0, |r_t| / |r_0|.

        Parameters
        ----------
        steps : array_like of int, shape () or (s,)
            Numbers of steps t >= 0; times in units of one step, whole or not, for gradient flow.

        Returns
        -------
        float or ndarray of shape (s,)
            Zero throughout if r_0 is zero.

        Raises
        ------
        TypeError, ValueError
            If a number of steps is out of range.
        """
        return self._norms(steps, 1.0)

    def early_late(self, steps: ArrayLike, split: int) -> tuple[Any, Any]:
        """Loss along the leading eigenvectors, learned early, and along the others, learned late.

        Parameters
        ----------
        steps : array_like of int, shape () or (s,)
            Numbers of steps t >= 0; times in units of one step, whole or not, for gradient flow.
        split : int
            Number of leading eigenvectors, 0 to n.

        Returns
        -------
        early, late : float or ndarray of shape (s,)
            Their sum is `loss`.

        Raises
        ------
        TypeError, ValueError
            If an argument is out of range.
        """
        n = self.spectrum.n_rows
        if isinstance(split, bool) or not isinstance(split, (int, np.integer)) or not 0 <= split <= n:
            raise ValueError(f"split={split!r} is not a number of leading eigenvectors: pass an integer from 0 to {n}")
        return self._loss(steps, slice(None, split)), self._loss(steps, slice(split, None))

    def _norms(self, steps: ArrayLike, factor: float, part: slice = _ALL) -> Any:
        times = self._check_steps(steps)
        energy = np.zeros_like(self._energy)
        energy[part] = self._energy[part]
        result = self._modes.norms(energy, times.reshape(-1), factor)
        return result if times.ndim else float(result[0])

    def _loss(self, steps: ArrayLike, part: slice = _ALL) -> Any:
        with np.errstate(over="ignore"):
            return np.square(self._norms(steps, self.initial_norm * np.sqrt(0.5), part))[()]

    def steps_to_tolerance(self, tol: float) -> float:
        """Count the steps until the residual stays small: the least t with |r_s| <= tol |r_0| for all s >= t.

        Parameters
        ----------
        tol : float
            Greater than 0, relative to the norm of r_0.

        Returns
        -------
        float
            A whole number, for gradient flow too; inf if there is none, because the unresolved part alone is larger or the
            learning rate is too large. Without momentum the residual never grows below `max_learning_rate`, so that this is
            the first step within the tolerance; with momentum it oscillates, and may dip below earlier.

        Raises
        ------
        TypeError, ValueError
            If `tol` is not a number greater than 0.

        Notes
        -----
        O(n log t): a monotone bound on every mode is bisected. With momentum the last steps before that bound are then
        evaluated one by one, typically a fraction of the time in which the residual falls by a factor e.
        """
        tol = check_number(tol, "tol", low_open=True)
        return settling_step(self._modes, self._energy, tol)

    def measured_error(self, losses: ArrayLike, steps: ArrayLike | None = None) -> float:
        """Largest difference of a measured training curve from this forecast, relative to the residual at step 0.

        max over t of | sqrt(2 loss_t) - |r_t| | / |r_0|

        Parameters
        ----------
        losses : array_like of shape (s,)
            Measured losses, one half of the sum of squares, as in ``Trajectory.value``.
        steps : array_like of int, shape (s,), optional
            Their numbers of steps; 0, 1, ..., s - 1 by default.

        Returns
        -------
        float
            A lower bound on the largest difference of the residual vectors themselves. inf if one of the two diverges.

        Raises
        ------
        TypeError, ValueError
            If a loss is negative or nan, the shapes differ, or the residual at step 0 is zero.
        """
        measured = np.asarray(as_float(losses, "losses"), dtype=np.float64)
        if measured.ndim != 1 or not measured.size or not (measured >= 0.0).all():
            raise ValueError(f"losses have shape {measured.shape}: pass a vector of losses, each >= 0 and not nan")
        times = self._check_steps(np.arange(measured.size) if steps is None else steps)
        if times.shape != measured.shape:
            raise ValueError(f"steps have shape {times.shape} and losses {measured.shape}: pass one step for each loss")
        if not self.targets.any():
            raise ValueError("the residual at step 0 is zero, so that no relative error is defined")
        relative = np.sqrt(measured) * (np.sqrt(2.0) / self.initial_norm)
        forecast = self.relative_residual(times)
        with np.errstate(invalid="ignore"):
            difference = np.abs(relative - forecast)
        return float(np.where(np.isnan(difference), np.inf, difference).max())

    def __repr__(self) -> str:
        """Summarise in one line."""
        kind = "exact" if self.is_exact else "approximation"
        return (
            f"DescentForecast({kind}, method={self.method!r}, learning_rate={self.learning_rate:.4g}, "
            f"momentum={self.momentum:.4g}, n_rows={self.spectrum.n_rows}, "
            f"unresolved_fraction={self.unresolved_fraction:.2g})"
        )


def forecast_descent(
    spectrum: Spectrum,
    targets: ArrayLike,
    *,
    method: str = "gradient_descent",
    learning_rate: float | None = None,
    momentum: float | None = None,
    is_exact: bool = True,
) -> DescentForecast:
    """Forecast training from the spectrum of its kernel, with the best fixed learning rate unless one is given.

    Parameters
    ----------
    spectrum : Spectrum
        Spectrum of the Gram matrix of the features, or of a tangent kernel, with eigenvectors.
    targets : array_like of shape (n,) or (n, k)
        Residual at step 0: the targets minus the first outputs.
    method : {"gradient_descent", "gradient_flow", "heavy_ball", "nesterov"}, default="gradient_descent"
        Training method.
    learning_rate : float or None, default=None
        None takes `optimal_learning_rate` for the momentum.
    momentum : float or None, default=None
        None takes `optimal_momentum`.
    is_exact : bool, default=True
        False marks the forecast as an approximation, as it is when all layers are trained.

    Returns
    -------
    DescentForecast

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range or does not fit, or the spectrum has no eigenvectors.

    Examples
    --------
    >>> from underdetermined.descent import forecast_descent
    >>> from underdetermined.spectrum import Spectrum
    >>> forecast = forecast_descent(Spectrum.from_gram([[4.0, 0.0], [0.0, 1.0]]), [1.0, 1.0])
    >>> forecast.steps_to_tolerance(1e-4)
    19.0
    """
    beta = optimal_momentum(spectrum, method) if momentum is None else momentum
    rate = optimal_learning_rate(spectrum, method, beta) if learning_rate is None else learning_rate
    return DescentForecast(spectrum, targets, method, rate, beta, is_exact)
