"""The leave-one-out error against the penalty."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from underdetermined._compat import check_matplotlib_support

_BLUE, _VERMILION, _GREY = "#0072B2", "#D55E00", "#666666"
_FONT_SIZE = 14
# The curve has levelled off to the left if its last two errors agree that well.
_LEVEL = 0.05
# Room above the curve for the legend, as a fraction of the axis.
_HEADROOM = 0.35
_CAPTIONS = {
    "eigendecomposition": "exact: each of {n} rows left out",
    "cholesky": "exact, penalties searched: each of {n} rows left out",
    "subset": "estimate: each of a subset of {n} rows left out",
}


class LeaveOneOutDisplay:
    """Leave-one-out error of a random-feature network against its penalty.

    Parameters
    ----------
    alphas : array_like of shape (n_alphas,)
        Penalties tried; 0 is drawn at the left edge of the axis.
    errors : array_like of shape (n_alphas,)
        Mean squared leave-one-out error of each.
    chosen : float
        The penalty that was taken.
    standard_errors : array_like of shape (n_alphas,), default=None
        Standard error of each, drawn as a band; None for no band.
    method : {"eigendecomposition", "cholesky", "subset"}, default=None
        How the errors were obtained, as in `LeaveOneOutPath`, for the caption; None for no caption.
    n_rows : int, default=None
        Rows that were left out, for the caption.
    limit : str, default="interpolation"
        What the fit tends to as alpha tends to 0.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curve.
    figure_ : matplotlib Figure
        Figure that holds it.
    line_ : matplotlib Line2D
        The curve.
    chosen_ : matplotlib Line2D
        The mark at the chosen penalty.
    band_ : matplotlib PolyCollection or None
        One standard error to both sides.
    limit_ : matplotlib Line2D or None
        The error in the limit alpha -> 0, where the curve reaches it: it ends at 0, or has levelled off to the left.

    Examples
    --------
    >>> from underdetermined.displays import LeaveOneOutDisplay
    >>> display = LeaveOneOutDisplay([1e-3, 1e-1, 1e1], [0.9, 0.5, 0.8], chosen=1e-1).plot()
    >>> display.ax_.get_xlabel()
    'penalty alpha'
    """

    def __init__(
        self,
        alphas: ArrayLike,
        errors: ArrayLike,
        *,
        chosen: float,
        standard_errors: ArrayLike | None = None,
        method: str | None = None,
        n_rows: int | None = None,
        limit: str = "interpolation",
    ) -> None:
        self.alphas = alphas
        self.errors = errors
        self.chosen = chosen
        self.standard_errors = standard_errors
        self.method = method
        self.n_rows = n_rows
        self.limit = limit

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **kwargs: Any) -> LeaveOneOutDisplay:
        """Draw the path that a fit with ``alpha="loo"`` kept.

        Parameters
        ----------
        estimator : RandomFeatureRegressor or RandomFeatureClassifier
            A fitted estimator with ``loo_path_``.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        **kwargs : dict
            Passed to the plot of the curve.

        Returns
        -------
        LeaveOneOutDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the estimator was fitted with a fixed penalty.
        """
        check_is_fitted(estimator)
        path = getattr(estimator, "loo_path_", None)
        if path is None:
            raise ValueError(
                f"the estimator was fitted with alpha={estimator.alpha!r} and has no leave-one-out path; "
                "fit it with alpha='loo'"
            )
        display = cls(
            path.alphas,
            path.errors,
            chosen=estimator.alpha_,
            standard_errors=path.standard_errors,
            method=path.method,
            n_rows=path.n_rows,
            limit="interpolation" if estimator.rank_ < estimator.width_ else "least squares",
        )
        return display.plot(ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> LeaveOneOutDisplay:
        """Draw the curve on logarithmic axes, its standard error, the chosen penalty and where the fit tends to.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        **kwargs : dict
            Passed to the plot of the curve.

        Returns
        -------
        LeaveOneOutDisplay
            This display.
        """
        check_matplotlib_support("LeaveOneOutDisplay.plot")
        import matplotlib
        import matplotlib.pyplot as plt

        with matplotlib.rc_context({"font.size": _FONT_SIZE} if ax is None else {}):
            if ax is None:
                _, ax = plt.subplots(figsize=(8.0, 5.5), layout="constrained")
            self._draw(ax, kwargs)
        self.ax_ = ax
        self.figure_ = ax.figure
        return self

    def _draw(self, ax: Any, style: dict[str, Any]) -> None:
        alphas = np.asarray(self.alphas, dtype=np.float64)
        smallest = alphas[alphas > 0].min(initial=np.inf)
        edge = smallest / 10.0 if np.isfinite(smallest) else 1.0
        order = np.argsort(alphas)
        shown = np.maximum(alphas[order], edge)
        errors = np.asarray(self.errors, dtype=np.float64)[order]
        style = {"color": _BLUE, "marker": "o", "markersize": 5, "linewidth": 2, "label": "left-out rows"} | style
        (self.line_,) = ax.plot(shown, errors, **style)
        has_errors = bool((errors > 0).any())
        ax.set(xscale="log", yscale="log" if has_errors else "linear", xlabel="penalty alpha")
        ax.set_ylabel("leave-one-out mean squared error\n(squared units of the targets)")
        self.band_ = None
        if self.standard_errors is not None and np.isfinite(self.standard_errors).all():
            spread = np.asarray(self.standard_errors, dtype=np.float64)[order]
            # A standard error is at most the error itself, and zero has no place on a logarithmic axis.
            low = np.maximum(errors - spread, 0.05 * errors)
            color = self.line_.get_color()
            label = "one standard error"
            self.band_ = ax.fill_between(shown, low, errors + spread, color=color, alpha=0.2, linewidth=0, label=label)
        self.limit_ = None
        if self._reaches_limit(alphas[order], errors):
            self.limit_ = ax.axhline(
                errors[0], color=_GREY, linestyle="--", linewidth=2, zorder=1, label=f"{self.limit}: {errors[0]:.3g}"
            )
        place = max(self.chosen, edge)
        error = np.interp(np.log(place), np.log(shown), errors)
        (self.chosen_,) = ax.plot(
            place,
            error,
            color=_VERMILION,
            marker="D",
            markersize=11,
            linestyle="none",
            label=f"chosen: {error:.3g} at alpha {self.chosen:.2g}",
        )
        # Beside the label of the axis, where no curve can pass.
        below = f"\u2190 {self.limit}"
        size = ax.xaxis.label.get_size()
        ax.annotate(below, (0, 0), (0, -6 - 1.7 * size), "axes fraction", "offset points", va="top", color=_GREY, size=size)
        if has_errors:
            low, high = ax.get_ylim()
            ax.set_ylim(low, high * (high / low) ** _HEADROOM)
        caption = None if self.method is None else _CAPTIONS[self.method].format(n=f"{self.n_rows:,}")
        ax.legend(loc="upper center", ncols=2, title=caption, fontsize="small", title_fontsize="small", framealpha=1.0)

    def _reaches_limit(self, alphas: NDArray[np.float64], errors: NDArray[np.float64]) -> bool:
        """Whether the leftmost error is that of the limit alpha -> 0; a search stays near its minimum."""
        if alphas[0] == 0.0:
            return True
        return self.method != "cholesky" and len(errors) > 1 and abs(errors[1] - errors[0]) <= _LEVEL * errors[0]
