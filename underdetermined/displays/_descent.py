"""The loss that a spectrum forecasts, against the loss of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._compat import check_matplotlib_support
from underdetermined.descent import DescentForecast

_BLUE, _VERMILION, _GREEN, _PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
_POINTS = 400
_MARKS = 40
_DEPTH = 1e5  # how far below the loss its parts are followed
_RANGE = 1e32  # a loss further than this from its start is rounding, or overflows the axis
_LEADING = 10
_TOLERANCE = 1e-8
_UNKNOWN_END = 10_000.0
_LAST_STEP = 2.0**53  # whole numbers beyond are not all floats


class DescentDisplay:
    """Forecast loss against steps, its early and its late part, and the measured loss.

    Parameters
    ----------
    steps : array_like of shape (s,)
        Numbers of steps of the forecast; step 0 has no place on a logarithmic axis and is left out of the curves.
    losses : array_like of shape (s,)
        Forecast loss, one half of the squared norm of the residual.
    early, late : array_like of shape (s,), default=None
        Its parts along the leading eigenvectors and along the others.
    split : int, default=None
        Number of leading eigenvectors, for the legend.
    initial : float, default=None
        Loss at step 0, drawn as a dotted line.
    measured_steps, measured : array_like of shape (m,), default=None
        A run: numbers of steps, and losses.
    measured_error : float, default=None
        Largest difference of the two residual norms, relative to that at step 0.
    is_exact : bool, default=True
        Whether theory says that the forecast is exact. If not, it is drawn dashed and called an approximation.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure that holds them.
    forecast_, early_, late_, measured_, initial_ : matplotlib Line2D or None
        The curves; None for what was not given.

    Examples
    --------
    >>> from underdetermined.descent import forecast_descent
    >>> from underdetermined.displays import DescentDisplay
    >>> from underdetermined.spectrum import Spectrum
    >>> spectrum = Spectrum.from_gram([[4.0, 0.0], [0.0, 1.0]])
    >>> display = DescentDisplay.from_forecast(forecast_descent(spectrum, [1.0, 1.0]), split=1)
    >>> display.ax_.get_ylabel()
    'loss, half the squared residual'
    """

    def __init__(
        self,
        steps: ArrayLike,
        losses: ArrayLike,
        *,
        early: ArrayLike | None = None,
        late: ArrayLike | None = None,
        split: int | None = None,
        initial: float | None = None,
        measured_steps: ArrayLike | None = None,
        measured: ArrayLike | None = None,
        measured_error: float | None = None,
        is_exact: bool = True,
    ) -> None:
        self.steps = steps
        self.losses = losses
        self.early = early
        self.late = late
        self.split = split
        self.initial = initial
        self.measured_steps = measured_steps
        self.measured = measured
        self.measured_error = measured_error
        self.is_exact = is_exact

    @classmethod
    def from_forecast(
        cls,
        forecast: DescentForecast,
        measured: ArrayLike | None = None,
        steps: ArrayLike | None = None,
        *,
        split: int | None = None,
        ax: Any = None,
    ) -> DescentDisplay:
        """Draw a forecast, and beside it the run that it was made for.

        Parameters
        ----------
        forecast : DescentForecast
            The forecast. Where its ``is_exact`` is False it is marked as an approximation.
        measured : array_like of shape (m,), default=None
            Losses of a run, such as ``Trajectory.value``.
        steps : array_like of shape (m,), default=None
            Their numbers of steps, or, without `measured`, those of the forecast. None takes 0, 1, ..., m - 1, or
            else the steps until the residual is 1e-8 of its start, or as small as it gets.
        split : int, default=None
            Number of leading eigenvectors whose part of the loss is called early; None takes 10, or half of them if
            there are fewer than 20.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        DescentDisplay
            The display, drawn.

        Raises
        ------
        TypeError, ValueError
            If `measured`, `steps` or `split` do not fit.
        """
        error = None
        if measured is not None:
            measured = np.asarray(measured, dtype=np.float64)
            steps = np.arange(float(measured.size)) if steps is None else np.asarray(steps, dtype=np.float64)
            error = forecast.measured_error(measured, steps)
        grid = _grid(forecast, steps, keep=measured is None)
        if split is None:
            split = min(_LEADING, forecast.spectrum.n_rows // 2)
        early, late = forecast.early_late(grid, split)
        return cls(
            grid,
            forecast.loss(grid),
            early=early,
            late=late,
            split=split,
            initial=float(forecast.loss(0)),
            measured_steps=None if measured is None else steps,
            measured=measured,
            measured_error=error,
            is_exact=forecast.is_exact,
        ).plot(ax)

    def plot(self, ax: Any = None) -> DescentDisplay:
        """Draw the losses on logarithmic axes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        DescentDisplay
            This display.
        """
        check_matplotlib_support("DescentDisplay.plot")
        import matplotlib.pyplot as plt

        if ax is None:
            with plt.rc_context({"font.size": 14}):
                figure, ax = plt.subplots(figsize=(8.5, 5.8), layout="constrained")
                self._draw(ax)
            return self
        self._draw(ax)
        return self

    def _draw(self, ax: Any) -> None:
        count = "the leading eigenvectors" if self.split is None else f"the {self.split} leading eigenvectors"
        style = {"linestyle": "-" if self.is_exact else "--", "color": _BLUE, "linewidth": 2.4, "zorder": 3}
        self.forecast_ = self._curve(ax, self.losses, "forecast" + ("" if self.is_exact else ", an approximation"), **style)
        self.measured_ = None
        if self.measured is not None:
            steps, losses = self._drawable(self.measured_steps, self.measured)
            places = np.geomspace(steps[0], steps[-1], _MARKS) if steps.size else steps
            (self.measured_,) = ax.plot(
                steps,
                losses,
                color=_VERMILION,
                linestyle="none",
                marker="o",
                markersize=7,
                markerfacecolor="none",
                markeredgewidth=1.8,
                zorder=4,
                markevery=np.unique(np.searchsorted(steps, places * (1.0 - 1e-12))).tolist(),
                label="measured" + self._error_text(),
            )
        self.early_ = self._curve(
            ax, self.early, f"early: along {count}", color=_GREEN, linestyle="-.", linewidth=2
        )
        self.late_ = self._curve(ax, self.late, "late: along the others", color=_PURPLE, linestyle=":", linewidth=2.6)
        self.initial_ = None
        if self._start:
            self.initial_ = ax.axhline(self.initial, color="black", linestyle=":", linewidth=1.2, label="loss at step 0")
        ax.set(xscale="log", yscale="log", xlabel="steps", ylabel="loss, half the squared residual")
        self._explain_empty(ax)
        self._keep_in_view(ax)
        ax.legend()
        self.ax_ = ax
        self.figure_ = ax.figure

    @property
    def _start(self) -> float | None:
        """Loss at step 0 where it has a place on a logarithmic axis."""
        return self.initial if self.initial and np.isfinite(self.initial) else None

    def _explain_empty(self, ax: Any) -> None:
        """Give the axes a range where no curve does, as logarithmic ones have none of their own."""
        curves = (self.forecast_, self.measured_, self.early_, self.late_)
        if any(curve is not None and len(curve.get_xdata()) for curve in curves):
            return
        middle = self._start or 1.0
        ax.set(xlim=(1.0, 10.0), ylim=(middle / 10.0, middle * 10.0))
        what = f"within a factor {_RANGE:g} of its start" if self._start else "positive and finite"
        ax.text(0.5, 0.3, f"no loss after step 0 is {what}", transform=ax.transAxes, ha="center")

    def _keep_in_view(self, ax: Any) -> None:
        """Cut off parts of the loss that are far below all of it, which would be squeezed at the top."""
        losses = [curve.get_ydata() for curve in (self.forecast_, self.measured_) if curve is not None]
        lowest = np.concatenate(losses).min(initial=np.inf)
        if ax.get_ylim()[0] < lowest / _DEPTH < np.inf:
            ax.set_ylim(bottom=lowest / _DEPTH)

    def _curve(self, ax: Any, values: Any, label: str, **style: Any) -> Any:
        if values is None:
            return None
        (line,) = ax.plot(*self._drawable(self.steps, values), label=label, **style)
        return line

    def _drawable(self, steps: Any, values: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What has a place on logarithmic axes, in the order of the steps."""
        steps, values = np.ravel(np.asarray(steps, dtype=np.float64)), np.ravel(np.asarray(values, dtype=np.float64))
        shown = (steps > 0.0) & (values > 0.0) & np.isfinite(values)
        if self._start:
            shown &= (values > self._start / _RANGE) & (values < self._start * _RANGE)
        order = np.argsort(steps[shown], kind="stable")
        return steps[shown][order], values[shown][order]

    def _error_text(self) -> str:
        if self.measured_error is None:
            return ""
        error = self.measured_error
        size = f"{error:.1e}" if error < 1e-3 else f"{100.0 * error:.2g} %"
        return f": {size} of $|r_0|$ away at most"


def _grid(forecast: DescentForecast, steps: Any, *, keep: bool) -> NDArray[np.float64]:
    """Steps at which the curve is drawn: evenly spaced on the axis, unless the caller has chosen them."""
    if steps is not None and keep:
        return np.asarray(steps, dtype=np.float64)
    if steps is not None:
        positive = np.asarray(steps, dtype=np.float64)
        positive = positive[positive > 0.0]
        first, last = (positive.min(), positive.max()) if positive.size else (1.0, 1.0)
    else:
        reachable = max(_TOLERANCE, 1.001 * forecast.unresolved_fraction)
        settled = forecast.steps_to_tolerance(reachable)
        first, last = 1.0, min(max(1.0, settled), _LAST_STEP) if np.isfinite(settled) else _UNKNOWN_END
    grid = np.geomspace(first, last, _POINTS)
    return grid if forecast.method == "gradient_flow" else np.unique(np.round(grid))
