"""Loss and active fraction of a sparsely activated network along its training."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr
from sklearn.utils.validation import check_is_fitted

from underdetermined._compat import check_matplotlib_support
from underdetermined.active_sets import SparseTrajectory
from underdetermined.displays._sparsity_axes import fraction_axis, label_percent, last_place, legend_above, scale_steps
from underdetermined.displays._width_axes import label_decades
from underdetermined.solution import Status
from underdetermined.sparsity import Certificate

_BLUE, _VERMILION, _GREEN, _PURPLE = "#0072B2", "#D55E00", "#009E73", "#AA4499"
_FONT_SIZE = 14
_FEW = 25  # points that are marked one by one
_SAME = 1e-6  # relative difference of two losses of one network
_RANGE = 1e24  # a loss further than this from its start is rounding, or overflows the axis


class SparsityDisplay:
    """Loss along training and, below it, the fraction of the pairs of a sample and a neuron that are active.

    Parameters
    ----------
    losses : array_like of shape (s + 1,)
        Loss at steps 0, 1, ..., s. It is drawn relative to that at step 0, and no further down than 1e-24, as what is
        below is rounding.
    active_fractions : array_like of shape (s + 1,)
        Fraction of the pairs that are active.
    live_fractions : array_like of shape (s + 1,), default=None
        Fraction of the neurons that are active on at least one sample. The others have no gradient and stay as they are.
    expected : float, default=None
        Active fraction that is expected at the start. For rows of norm 1 and biases of -B that is Q(B), the probability that
        a standard Gaussian exceeds B.
    certified_losses : array_like, default=None
        Bound on the loss at step `certified_from` and the steps after it.
    certified_fractions : tuple of two floats, default=None
        Fractions of the pairs that are proved to stay active, and that can become active at all.
    certified_from : int, default=0
        Step at which the certificate was computed.
    note : str, default=None
        Title of the legend of the losses, such as why nothing is certified.
    is_diverged : bool, default=False
        Whether the run ended because its loss overflowed; its last point then gets a cross.

    Attributes
    ----------
    axes_ : ndarray of two matplotlib Axes
        Losses, and fractions, which share the axis of the steps.
    ax_ : matplotlib Axes
        The first of them.
    figure_ : matplotlib Figure
        Figure that holds them.
    loss_, active_ : matplotlib Line2D
        The run.
    live_, expected_, certified_loss_ : matplotlib Line2D or None
        The other curves; None for what was not given.
    live_ax_ : matplotlib Axes or None
        Right side of the axes of the fractions, where `live_` is read.
    certified_band_ : matplotlib PolyCollection or None
        From the first to the second of `certified_fractions`.

    Examples
    --------
    >>> from underdetermined.displays import SparsityDisplay
    >>> display = SparsityDisplay([8.0, 2.0, 0.5], [0.023, 0.022, 0.022], expected=0.0228).plot()
    >>> display.loss_.get_ydata().tolist()
    [1.0, 0.25, 0.0625]
    """

    def __init__(
        self,
        losses: ArrayLike,
        active_fractions: ArrayLike,
        *,
        live_fractions: ArrayLike | None = None,
        expected: float | None = None,
        certified_losses: ArrayLike | None = None,
        certified_fractions: tuple[float, float] | None = None,
        certified_from: int = 0,
        note: str | None = None,
        is_diverged: bool = False,
    ) -> None:
        self.losses = losses
        self.active_fractions = active_fractions
        self.live_fractions = live_fractions
        self.expected = expected
        self.certified_losses = certified_losses
        self.certified_fractions = certified_fractions
        self.certified_from = certified_from
        self.note = note
        self.is_diverged = is_diverged

    @classmethod
    def from_trajectory(
        cls,
        trajectory: SparseTrajectory,
        *,
        certificate: Certificate | None = None,
        certified_from: int = 0,
        expected: float | None = None,
        ax: Any = None,
    ) -> SparsityDisplay:
        """Draw a run, and what was proved of it before.

        Parameters
        ----------
        trajectory : SparseTrajectory
            What `underdetermined.active_sets.train_active_sets` returned.
        certificate : Certificate, default=None
            What `underdetermined.sparsity.certify` returned for the network at step `certified_from`. Its bounds are drawn
            if it certifies, and if no step after it is longer than its ``max_learning_rate``; else the legend says why not.
        certified_from : int, default=0
            Step of the run at which the certificate was computed.
        expected : float, default=None
            Active fraction that is expected at the start, such as ``scipy.special.ndtr(-bias / norms).mean()`` for
            rows with these norms.
        ax : sequence of two matplotlib Axes, default=None
            Where to draw the losses and the fractions; None makes a new figure.

        Returns
        -------
        SparsityDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If `certified_from` is not a step of the run, or not that of the certificate, or `expected` is not a fraction.
        """
        if not 0 <= certified_from <= trajectory.n_iter:
            raise ValueError(
                f"certified_from={certified_from} is not a step of the run: pass a number from 0 to {trajectory.n_iter}"
            )
        losses, fractions, note = None, None, None
        if certificate is not None:
            note = _reason_against(certificate, trajectory, certified_from)
            if note is None:
                losses = _certified_losses(certificate, trajectory, certified_from)
                fractions = (certificate.always_active, certificate.possibly_active)
        return cls(
            trajectory.value,
            trajectory.active_fraction,
            live_fractions=np.asarray(trajectory.n_live) / len(trajectory.coef),
            expected=expected,
            certified_losses=losses,
            certified_fractions=fractions,
            certified_from=certified_from,
            note=note,
            is_diverged=trajectory.status is Status.DIVERGED,
        ).plot(ax)

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> SparsityDisplay:
        """Draw the training of an estimator, with its certificate if it computed one.

        Parameters
        ----------
        estimator : SparseReLURegressor or SparseReLUClassifier
            A fitted estimator. If it normalises its rows, the active fraction expected at the start is Q(bias_).
        ax : sequence of two matplotlib Axes, default=None
            Where to draw the losses and the fractions; None makes a new figure.

        Returns
        -------
        SparsityDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it is of another kind.
        """
        check_is_fitted(estimator)
        if not hasattr(estimator, "trajectory_"):
            raise TypeError(
                f"{type(estimator).__name__} keeps no trajectory: pass a fitted SparseReLURegressor or SparseReLUClassifier"
            )
        # Rows of unequal norm are no longer at hand here, so that their average cannot be taken.
        expected = None if estimator.row_constant_ is None else float(ndtr(-estimator.bias_))
        return cls.from_trajectory(estimator.trajectory_, certificate=estimator.certificate_, expected=expected, ax=ax)

    def plot(self, ax: Any = None) -> SparsityDisplay:
        """Draw both panels, with the steps on a logarithmic axis that has a place for step 0.

        Parameters
        ----------
        ax : sequence of two matplotlib Axes, default=None
            Where to draw the losses and the fractions; None makes a new figure.

        Returns
        -------
        SparsityDisplay
            This display.

        Raises
        ------
        ValueError
            If there are not two Axes, or the numbers do not fit together.
        """
        check_matplotlib_support("SparsityDisplay.plot")
        import matplotlib.pyplot as plt

        losses = np.asarray(self.losses, dtype=np.float64)
        self._check(losses)
        with plt.rc_context({"font.size": _FONT_SIZE} if ax is None else {}):
            if ax is None:
                _, ax = plt.subplots(2, 1, figsize=(8.5, 7.6), sharex=True, layout="constrained")
            axes = np.ravel(np.asarray(ax, dtype=object))
            if axes.size != 2:
                raise ValueError(f"ax has {axes.size} Axes: pass two, for losses and fractions, or None for a new figure")
            self.axes_, self.ax_, self.figure_ = axes, axes[0], axes[0].figure
            self._draw_losses(axes[0], losses)
            self._draw_fractions(axes[1], losses.size)
            for panel in axes:
                scale_steps(panel, losses.size)
            shares = axes[0].get_shared_x_axes().joined(*axes)
            axes[0].set_xlabel("" if shares else "step")
            axes[1].set_xlabel("step")
        return self

    def _check(self, losses: NDArray[np.float64]) -> None:
        if losses.ndim != 1 or not losses.size:
            raise ValueError(f"losses has shape {losses.shape}: pass one number for each step, that at step 0 first")
        for name in ("active_fractions", "live_fractions"):
            values = getattr(self, name)
            if values is not None and np.shape(values) != losses.shape:
                raise ValueError(f"{name} has shape {np.shape(values)}, losses {losses.shape}: pass one for each loss")
        if self.expected is not None and not 0.0 <= self.expected <= 1.0:
            raise ValueError(f"expected={self.expected!r} is not a fraction: pass a number from 0 to 1")

    def _draw_losses(self, ax: Any, losses: NDArray[np.float64]) -> None:
        start = losses[0] if np.isfinite(losses[0]) and losses[0] > 0.0 else np.nan
        values = losses / start
        shown = (values > 1.0 / _RANGE) & (values < _RANGE)
        self.loss_ = _curve(ax, np.arange(losses.size)[shown], values[shown], color=_BLUE, label="training loss", zorder=3)
        self.certified_loss_ = None
        if self.certified_losses is not None:
            bound = np.asarray(self.certified_losses, dtype=np.float64) / start
            steps = self.certified_from + np.arange(bound.size)
            kept = bound > 1.0 / _RANGE
            style = {"color": _GREEN, "linestyle": "--", "label": "certified: stays below"}
            self.certified_loss_ = _curve(ax, steps[kept], bound[kept], **style)
        if self.is_diverged and shown.any():
            last = np.flatnonzero(shown)[-1]
            ax.plot(last, values[last], "X", color=_VERMILION, markersize=12, zorder=4, label="diverged", linestyle="none")
        ax.set(yscale="log", ylabel="loss / loss at the start")
        if not shown.any():
            ax.set_ylim(0.1, 10.0)
            what = "zero" if losses[0] == 0.0 else "not finite"
            ax.text(0.5, 0.5, f"the loss at the start is {what}", transform=ax.transAxes, ha="center", va="center")
        elif values[shown].max() < 3.0 * values[shown].min():
            ax.set_ylim(0.5 * values[shown].min(), 2.0 * values[shown].max())
        label_decades(ax.yaxis)
        legend_above(ax, title=self.note)

    def _draw_fractions(self, ax: Any, count: int) -> None:
        active = np.asarray(self.active_fractions, dtype=np.float64)
        steps, shown = np.arange(count), active > 0.0
        style = {"color": _BLUE, "label": f"active pairs: {_change(active)}", "zorder": 3}
        self.active_ = _curve(ax, steps[shown], active[shown], **style)
        certified = () if self.certified_fractions is None else self.certified_fractions
        low, high, is_log = fraction_axis(np.array([*active, *certified, *([self.expected] if self.expected else [])]))
        self.expected_ = self.certified_band_ = None
        if self.expected is not None:
            label = f"expected at the start: {_percent(self.expected)}"
            self.expected_ = ax.axhline(self.expected, color="black", linestyle=":", linewidth=1.8, zorder=4, label=label)
        if certified:
            label = f"certified: {_percent(certified[0])} to {_percent(certified[1])}"
            style = {"color": _GREEN, "alpha": 0.25, "linewidth": 0, "label": label}
            ends, (always, possible) = [self.certified_from, last_place(count)], np.maximum(certified, low)
            self.certified_band_ = ax.fill_between(ends, always, possible, **style)
        ax.set(yscale="log" if is_log else "linear", ylim=(low, high), ylabel="active pairs")
        label_percent(ax.yaxis)
        if (active == 0.0).any():
            first = int(np.argmax(active == 0.0))
            style = {"color": _VERMILION, "markersize": 9, "markeredgewidth": 2.5, "clip_on": False, "zorder": 4}
            ax.plot(first, low, "x", label=f"no pair is active at step {first:,}", **style)
        self.live_: Any = None
        self.live_ax_: Any = None
        if self.live_fractions is not None:
            self._draw_live(ax, np.asarray(self.live_fractions, dtype=np.float64))
        legend_above(ax, handles=[*ax.get_legend_handles_labels()[0], *([] if self.live_ is None else [self.live_])])

    def _draw_live(self, ax: Any, live: NDArray[np.float64]) -> None:
        self.live_ax_ = ax.twinx()
        label = f"live neurons: {_change(live)}"
        self.live_ = _curve(self.live_ax_, np.arange(live.size), live, color=_PURPLE, linestyle="-.", label=label)
        self.live_ax_.set(ylim=(0.0, 1.08 * (np.nanmax(live, initial=0.0) or 1.0)))
        self.live_ax_.set_ylabel("live neurons", color=_PURPLE)
        self.live_ax_.tick_params(axis="y", colors=_PURPLE)
        label_percent(self.live_ax_.yaxis)


def _reason_against(certificate: Certificate, trajectory: SparseTrajectory, start: int) -> str | None:
    """Why the bounds of a certificate do not hold for a run, None if they do."""
    loss = float(trajectory.value[start])
    if not np.isclose(0.5 * certificate.residual_norm**2, loss, rtol=_SAME, atol=0.0):
        raise ValueError(
            f"the certificate has a residual of norm {certificate.residual_norm:.6g}, the run one of norm "
            f"{(2.0 * loss) ** 0.5:.6g} at step {start}: pass the step at which it was computed as certified_from"
        )
    if not certificate.is_certified:
        return f"not certified at step {start:,}: residual {certificate.residual_norm:.2g}, radius {certificate.radius:.2g}"
    longest = float(np.max(trajectory.learning_rate[start:], initial=0.0))
    if longest > certificate.max_learning_rate:
        return f"not certified: learning rate {longest:.3g}, at most {certificate.max_learning_rate:.3g}"
    return None


def _certified_losses(certificate: Certificate, trajectory: SparseTrajectory, start: int) -> NDArray[np.float64]:
    """Bound on the loss at each step from `start` on: every step shrinks the residual by 1 - rate times its length."""
    factors = 1.0 - np.asarray(trajectory.learning_rate, dtype=np.float64)[start:] * certificate.rate
    return float(trajectory.value[start]) * np.cumprod(np.append(1.0, factors**2))


def _curve(ax: Any, steps: NDArray[Any], values: NDArray[np.float64], **style: Any) -> Any:
    """One line, with marks if it has few points."""
    marks = {"marker": "o", "markersize": 5} if steps.size <= _FEW else {}
    (line,) = ax.plot(steps, values, **({"linewidth": 2.4} | marks | style))
    return line


def _percent(fraction: float) -> str:
    return f"{100.0 * fraction:.3g} %"


def _change(fractions: NDArray[np.float64]) -> str:
    """First and last known value, once if they look the same."""
    known = fractions[np.isfinite(fractions)]
    if not known.size:
        return "not known"
    first, last = _percent(float(known[0])), _percent(float(known[-1]))
    return first if first == last else f"{first} \u2192 {last}"
