"""Gradient descent on the last layer, forecast and run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from underdetermined._validation import check_matrix, check_targets
from underdetermined.activations import get_activation
from underdetermined.descent import DescentForecast
from underdetermined.features import FeatureMap
from underdetermined.objectives import LeastSquares
from underdetermined.optimize import gradient_descent
from underdetermined.solution import Trajectory
from underdetermined.spectrum import Spectrum
from underdetermined.weights import sample_gaussian

TOLERANCES = (1e-1, 1e-2, 1e-4, 1e-8)


@dataclass(frozen=True, eq=False)
class DescentRun:
    """A run of gradient descent on the last layer, and what was forecast for it.

    Parameters
    ----------
    width : int
        Hidden neurons.
    forecast : DescentForecast
        From the spectrum of the layer that was trained; exact.
    kernel_forecast : DescentForecast
        From the infinite-width kernel, which does not know the layer; an approximation.
    trajectory : Trajectory
        The run.
    """

    width: int
    forecast: DescentForecast
    kernel_forecast: DescentForecast
    trajectory: Trajectory

    @property
    def error(self) -> float:
        """Largest difference of the residual norms of forecast and run, relative to step 0."""
        return self.forecast.measured_error(self.trajectory.value)

    @property
    def kernel_error(self) -> float:
        """The same for the forecast from the infinite-width kernel; inf if it diverges."""
        return self.kernel_forecast.measured_error(self.trajectory.value)

    @property
    def steps(self) -> tuple[tuple[float, float], ...]:
        """Pairs of a tolerance and the forecast number of steps until the residual is that small; inf for never."""
        return tuple((tolerance, self.forecast.steps_to_tolerance(tolerance)) for tolerance in TOLERANCES)

    @property
    def course(self) -> tuple[tuple[int, float, float, float], ...]:
        """Step, measured residual, forecast, and that of the kernel, relative to step 0; at steps 1, 10, ..., the last."""
        last = self.trajectory.n_iter
        steps = sorted({*(10**power for power in range(len(str(last)))), last})
        measured = np.sqrt(self.trajectory.value[steps] / self.trajectory.value[0])
        forecasts = [forecast.relative_residual(steps) for forecast in (self.forecast, self.kernel_forecast)]
        columns = (measured, *forecasts)
        return tuple((step, *(float(column[row]) for column in columns)) for row, step in enumerate(steps))

    def to_dict(self) -> dict[str, Any]:
        """The run as numbers and lists.

        Returns
        -------
        dict
            Ready for `json.dumps`; None stands for what is infinite.
        """
        return {
            "width": self.width,
            "learning_rate": self.forecast.learning_rate,
            "n_iter": self.trajectory.n_iter,
            "error": self.error,
            "kernel_error": self.kernel_error if np.isfinite(self.kernel_error) else None,
            "unresolved_fraction": self.forecast.unresolved_fraction,
            "steps": [
                {"tolerance": tolerance, "forecast": count if np.isfinite(count) else None}
                for tolerance, count in self.steps
            ],
            "course": [
                dict(zip(("step", "measured", "forecast", "kernel_forecast"), row, strict=True)) for row in self.course
            ],
        }


def run_descent(
    X: ArrayLike,
    y: ArrayLike,
    *,
    activation: str = "relu",
    width: int | None = None,
    max_iter: int = 2000,
    random_state: int = 0,
) -> DescentRun:
    r"""Train the last layer of a random network by gradient descent, after forecasting the run.

    With the features A of the layer, :math:`G = A A^T` and coefficients that start at zero, the residual after t steps is
    :math:`r_t = (I - \eta G)^t y`; the learning rate is :math:`\eta = 1 / \lambda_{\max}(G)`.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Inputs, one row each.
    y : array_like of shape (n,) or (n, k)
        Targets, not all zero.
    activation : str, default="relu"
        Activation of the hidden layer.
    width : int, default=None
        Hidden neurons; None takes max(2 n, 512).
    max_iter : int, default=2000
        Steps.
    random_state : int, default=0
        Seed of ``sample_gaussian``, whose weights are scaled by 1 / sqrt(d); the biases are standard normal.

    Returns
    -------
    DescentRun
        The run, the exact forecast, and the forecast from the infinite-width kernel.

    Raises
    ------
    ValueError
        If X or y is not finite, their shapes disagree, or the features overflow or are all zero.

    Notes
    -----
    Two eigendecompositions of order n, and 4 n width k flops a step.

    References
    ----------
    :ref:`theory-descent`, for the forecast.

    Examples
    --------
    >>> from underdetermined.study import run_descent
    >>> run = run_descent([[0.0], [1.0], [2.0]], [1.0, -1.0, 0.5], max_iter=50)
    >>> run.error < 1e-12
    True
    """
    X = np.asarray(check_matrix(X, "X"), dtype=np.float64)
    n, d = X.shape
    targets = check_targets(y, n, "y")
    chosen = get_activation(activation)
    width = max(2 * n, 512) if width is None else width
    weights, biases = sample_gaussian(d, width, seed=random_state)
    feature_map = FeatureMap(weights * d**-0.5, biases, chosen)
    spectrum = Spectrum.from_features(feature_map, X)
    if spectrum.largest == 0.0:
        raise ValueError(f"activation={activation!r} gives features that are zero on every row: use another activation")
    rate = 1.0 / spectrum.largest
    kernel = Spectrum.from_kernel(X, activation=chosen, weight_scale=d**-0.5, bias_scale=1.0)
    objective = LeastSquares(feature_map(X), targets)
    start = np.zeros(objective.n_parameters)
    return DescentRun(
        width,
        DescentForecast(spectrum, targets, learning_rate=rate),
        DescentForecast(kernel, targets, learning_rate=rate, is_exact=False),
        gradient_descent(objective, start, learning_rate=rate, max_iter=max_iter),
    )
