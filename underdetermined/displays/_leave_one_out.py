"""The leave-one-out error against the penalty."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from underdetermined._compat import check_matplotlib_support


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

    Examples
    --------
    >>> from underdetermined.displays import LeaveOneOutDisplay
    >>> display = LeaveOneOutDisplay([1e-3, 1e-1, 1e1], [0.9, 0.5, 0.8], chosen=1e-1).plot()
    >>> display.ax_.get_xlabel()
    'penalty alpha'
    """

    def __init__(self, alphas: ArrayLike, errors: ArrayLike, *, chosen: float) -> None:
        self.alphas = alphas
        self.errors = errors
        self.chosen = chosen

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
        return cls(path.alphas, path.errors, chosen=estimator.alpha_).plot(ax, **kwargs)

    def plot(self, ax: Any = None, **kwargs: Any) -> LeaveOneOutDisplay:
        """Draw the curve on logarithmic axes and mark the chosen penalty.

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
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots()
        alphas = np.asarray(self.alphas, dtype=np.float64)
        errors = np.asarray(self.errors, dtype=np.float64)
        smallest = alphas[alphas > 0].min(initial=np.inf)
        edge = smallest / 10.0 if np.isfinite(smallest) else 1.0
        shown = np.where(alphas > 0, alphas, edge)
        order = np.argsort(shown)
        style = {"color": "#0072B2", "marker": "o", "markersize": 5, "linewidth": 2} | kwargs
        (self.line_,) = ax.plot(shown[order], errors[order], **style)
        (self.chosen_,) = ax.plot(
            max(self.chosen, edge),
            np.interp(np.log(max(self.chosen, edge)), np.log(shown[order]), errors[order]),
            color="#D55E00",
            marker="D",
            markersize=11,
            linestyle="none",
            label=f"chosen: {self.chosen:.2g}",
        )
        ax.set(xscale="log", yscale="log", xlabel="penalty alpha", ylabel="leave-one-out mean squared error")
        ax.legend()
        self.ax_ = ax
        self.figure_ = ax.figure
        return self
