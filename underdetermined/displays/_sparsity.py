"""Loss and active fraction of a sparsely activated network along its training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr
from sklearn.utils.validation import check_is_fitted

from underdetermined._compat import check_matplotlib_support
from underdetermined.displays._width_axes import label_decades
from underdetermined.solution import Status

if TYPE_CHECKING:
    from underdetermined.sparsity import Certificate

_BLUE, _VERMILION, _GREEN = "#0072B2", "#D55E00", "#009E73"
_FONT_SIZE = 14
_FEW = 25  # points that are marked one by one
_SAME = 1e-6  # relative difference of two losses of one network
_RANGE = 1e32  # a loss further than this from its start is rounding, or overflows the axis
_ROOMY = 32  # font sizes across from which on a legend has two columns
_SHORTEST = 10.0  # ratio that the axis of the fractions covers at least
_FULL = 1.3  # where the axis of the fractions ends if everything is active


class SparsityDisplay:
    """Loss along training and, below it, the fraction of the pairs of a sample and a neuron that are active.

    Parameters
    ----------
    losses : array_like of shape (s + 1,)
        Loss at steps 0, 1, ..., s. It is drawn relative to that at step 0.
    active_fractions : array_like of shape (s + 1,)
        Fraction of the pairs that are active.
    live_fractions : array_like of shape (s + 1,), default=None
        Fraction of the neurons that are active on at least one sample. The others have no gradient and stay as they are.
    expected : float, default=None
        Active fraction that is expected at the start; Q(B) for rows of norm 1 and thresholds B.
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
        trajectory: Any,
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
        """
        check_is_fitted(estimator, "trajectory_")
        return cls.from_trajectory(
            estimator.trajectory_,
            certificate=estimator.certificate_,
            expected=float(ndtr(-estimator.bias_)) if estimator.normalize else None,
            ax=ax,
        )

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
                _scale_steps(panel, losses.size)
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
        _legend(ax, self.note)

    def _draw_fractions(self, ax: Any, count: int) -> None:
        active = np.asarray(self.active_fractions, dtype=np.float64)
        steps = np.arange(count)
        drawn = [active]
        self.certified_band_ = self.live_ = self.expected_ = None
        if self.live_fractions is not None:
            live = np.asarray(self.live_fractions, dtype=np.float64)
            style = {"color": _VERMILION, "linestyle": "-.", "label": f"live neurons: {_change(live)}"}
            self.live_ = _curve(ax, steps[live > 0.0], live[live > 0.0], **style)
            drawn.append(live)
        label = f"active pairs: {_change(active)}"
        self.active_ = _curve(ax, steps[active > 0.0], active[active > 0.0], color=_BLUE, label=label, zorder=3)
        if self.expected is not None:
            label = f"expected at the start: {_percent(self.expected)}"
            self.expected_ = ax.axhline(self.expected, color="black", linestyle=":", linewidth=1.8, zorder=4, label=label)
            drawn.append(np.array([self.expected]))
        if self.certified_fractions is not None:
            drawn.append(np.asarray(self.certified_fractions, dtype=np.float64))
        low, high = _fraction_limits(np.concatenate(drawn))
        if self.certified_fractions is not None:
            always, possible = self.certified_fractions
            label = f"certified: {_percent(always)} to {_percent(possible)}"
            ends = [self.certified_from, _last_place(count)]
            self.certified_band_ = ax.fill_between(
                ends, max(always, low), max(possible, low), color=_GREEN, alpha=0.25, linewidth=0, label=label
            )
        ax.set(yscale="log", ylim=(low, high), ylabel="fraction")
        if not active.all():
            first = int(np.argmin(active > 0.0))
            label = f"no pair is active at step {first:,}"
            ax.plot(
                first, low, "x", color=_VERMILION, markersize=9, markeredgewidth=2.5, clip_on=False, zorder=4, label=label
            )
        _label_percent(ax.yaxis)
        _legend(ax)


def _reason_against(certificate: Certificate, trajectory: Any, start: int) -> str | None:
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


def _certified_losses(certificate: Certificate, trajectory: Any, start: int) -> NDArray[np.float64]:
    """Bound on the loss at each step from `start` on: every step shrinks the residual by 1 - rate times its length."""
    factors = 1.0 - np.asarray(trajectory.learning_rate, dtype=np.float64)[start:] * certificate.rate
    return float(trajectory.value[start]) * np.cumprod(np.append(1.0, factors**2))


def _curve(ax: Any, steps: NDArray[Any], values: NDArray[np.float64], **style: Any) -> Any:
    """One line, with marks if it has few points."""
    marks = {"marker": "o", "markersize": 5} if steps.size <= _FEW else {}
    (line,) = ax.plot(steps, values, **({"linewidth": 2.4} | marks | style))
    return line


def _last_place(count: int) -> float:
    """Right end of the axis of steps."""
    return 1.05 * max(count - 1, 1)


def _scale_steps(ax: Any, count: int) -> None:
    """Steps 0 and 1 beside each other, then decades."""
    from matplotlib.ticker import FuncFormatter, SymmetricalLogLocator

    ax.set_xscale("symlog", linthresh=1.0, linscale=0.3)
    subs = (1.0, 2.0, 5.0) if count <= 100 else (1.0,)
    ax.xaxis.set_major_locator(SymmetricalLogLocator(base=10.0, linthresh=1.0, subs=subs))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    ax.xaxis.set_minor_locator(SymmetricalLogLocator(base=10.0, linthresh=1.0, subs=list(range(2, 10))))
    ax.set_xlim(-0.15, _last_place(count))


def _legend(ax: Any, title: str | None = None) -> None:
    """Put the legend above the axes, where it covers no curve."""
    from matplotlib import rcParams

    place = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "borderaxespad": 0.2, "alignment": "left"}
    columns = 2 if ax.get_window_extent().width * 72.0 / ax.figure.dpi > _ROOMY * rcParams["font.size"] else 1
    ax.legend(title=title, ncols=columns, frameon=False, fontsize="small", title_fontsize="small", **place)


def _fraction_limits(values: NDArray[np.float64]) -> tuple[float, float]:
    """Ends of the axis of fractions: all that is positive, and a decade at least."""
    places = values[np.isfinite(values) & (values > 0.0)]
    if not places.size:
        return 0.01, _FULL
    high = min(_FULL, 2.0 * places.max())
    return min(places.min() / 2.0, high / _SHORTEST), high


def _label_percent(axis: Any) -> None:
    """Write fractions in per cent, with numbers between the powers of ten where there are few of them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    if np.log10(high / low) < 2.0:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100.0 * value:.10g} %" if value <= 1.0 else ""))
    axis.set_minor_formatter(NullFormatter())


def _percent(fraction: float) -> str:
    return f"{100.0 * fraction:.3g} %"


def _change(fractions: NDArray[np.float64]) -> str:
    """First and last value, once if they look the same."""
    first, last = _percent(float(fractions[0])), _percent(float(fractions[-1]))
    return first if first == last else f"{first} \u2192 {last}"
