"""Eigenvalues, the cut-off below which they are not resolved, and how targets spread over the eigenvectors."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from textwrap import fill
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from underdetermined._compat import check_matplotlib_support
from underdetermined.activation_comparison import ActivationComparison
from underdetermined.spectrum import Spectrum

_BLUE, _VERMILION, _GREY = "#0072B2", "#D55E00", "#999999"
_FONT_SIZE = 14
_MOST_COLUMNS = 5
_ROOM_BELOW = 1000.0  # of the axis below the cut-off, as a ratio
_STRIP = 10.0  # unresolved eigenvalues are drawn this far below the cut-off, whatever rounding made of them


class SpectrumDisplay:
    """Eigenvalues of one matrix, or of several in small multiples, with the targets' share in the leading eigenvectors.

    Parameters
    ----------
    spectra : sequence of Spectrum
        One for each panel.
    labels : sequence of str, default=None
        Titles of the panels; None for none.
    energies : sequence of ndarray of shape (n_rows,), default=None
        For each spectrum the share of ||y||^2 along each eigenvector, as `Spectrum.energy` gives it; an entry, or all,
        may be None.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One for each spectrum; eigenvalues are read on its left side.
    ax_ : matplotlib Axes
        The first of them.
    energy_axes_ : list of matplotlib Axes or None
        Its right side, for the targets, where there are any.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : list of matplotlib Line2D
        Resolved eigenvalues, divided by the largest one where there are several spectra.
    unresolved_lines_ : list of matplotlib Line2D or None
        A grey strip below the cut-off with one point for each eigenvalue that is not resolved; None if all are.
    cutoff_lines_ : list of matplotlib Line2D
        The cut-off n eps lambda_max.
    energy_lines_ : list of matplotlib Line2D or None
        Share of ||y||^2 in the first i eigenvectors, up to the last that is resolved: what lacks to 1 there is not learned.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.displays import SpectrumDisplay
    >>> from underdetermined.spectrum import Spectrum
    >>> display = SpectrumDisplay.from_spectrum(Spectrum.from_gram(np.diag([4.0, 2.0, 0.0])), [1.0, 1.0, 0.0])
    >>> display.energy_lines_[0].get_ydata().tolist()
    [0.5, 1.0]
    """

    def __init__(
        self,
        spectra: Sequence[Spectrum],
        *,
        labels: Sequence[str] | None = None,
        energies: Sequence[Any] | None = None,
    ) -> None:
        self.spectra = spectra
        self.labels = labels
        self.energies = energies

    @classmethod
    def from_spectrum(
        cls,
        spectrum: Spectrum,
        targets: ArrayLike | None = None,
        *,
        label: str | None = None,
        ax: Any = None,
        index_scale: Literal["log", "linear"] = "log",
    ) -> SpectrumDisplay:
        """Draw one spectrum.

        Parameters
        ----------
        spectrum : Spectrum
            With eigenvectors, if there are targets.
        targets : array_like of shape (n_rows,) or (n_rows, k), default=None
            Targets, whose share in the leading eigenvectors is drawn on the right axis.
        label : str, default=None
            Title.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        index_scale : {"log", "linear"}, default="log"
            Scale of the number of the eigenvalue.

        Returns
        -------
        SpectrumDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the targets do not fit, or there are no eigenvectors to project them on.
        """
        energy = None if targets is None else spectrum.energy(targets)
        labels = None if label is None else [label]
        return cls([spectrum], labels=labels, energies=[energy]).plot(ax, index_scale=index_scale)

    @classmethod
    def from_comparison(
        cls, comparison: ActivationComparison, *, ax: Any = None, index_scale: Literal["log", "linear"] = "log"
    ) -> SpectrumDisplay:
        """Draw a comparison, one panel for each activation that has a spectrum.

        Parameters
        ----------
        comparison : ActivationComparison
            What `underdetermined.activation_comparison.compare_activations` returned.
        ax : sequence of matplotlib Axes, default=None
            Where to draw, one for each panel; None makes a new figure.
        index_scale : {"log", "linear"}, default="log"
            Scale of the number of the eigenvalue.

        Returns
        -------
        SpectrumDisplay
            The display, drawn.
        """
        return _of_comparison(cls, comparison).plot(ax, index_scale=index_scale)

    def plot(self, ax: Any = None, *, index_scale: Literal["log", "linear"] = "log") -> SpectrumDisplay:
        """Draw eigenvalues on a logarithmic axis, and shares of the targets on a second one.

        Parameters
        ----------
        ax : matplotlib Axes or sequence of them, default=None
            Where to draw, one for each spectrum; None makes a new figure.
        index_scale : {"log", "linear"}, default="log"
            Scale of the number of the eigenvalue.

        Returns
        -------
        SpectrumDisplay
            This display.

        Raises
        ------
        ValueError
            If there is not one Axes for each spectrum, or the scale is not known.
        """
        check_matplotlib_support("SpectrumDisplay.plot")
        import matplotlib.pyplot as plt

        self._check(index_scale)
        if ax is not None:
            return self._draw(np.ravel(np.asarray(ax, dtype=object)), index_scale)
        with plt.rc_context({"font.size": _FONT_SIZE, "axes.titlesize": _FONT_SIZE}):
            return self._draw_on(plt.figure(layout="constrained"), index_scale)

    def _check(self, index_scale: str) -> None:
        if index_scale not in ("log", "linear"):
            raise ValueError(f"index_scale={index_scale!r} is not known: pass 'log' or 'linear'")
        for name, values in (("labels", self.labels), ("energies", self.energies)):
            if values is not None and len(values) != len(self.spectra):
                raise ValueError(f"{name} has {len(values)} entries for {len(self.spectra)} spectra: pass one for each")
        if not len(self.spectra):
            raise ValueError("there is no spectrum to draw: pass at least one")

    def _draw_on(self, figure: Any, index_scale: str, title: str | None = None) -> SpectrumDisplay:
        """Lay out an empty figure and draw the spectra on it."""
        count = len(self.spectra)
        rows = ceil(count / _MOST_COLUMNS)
        columns = ceil(count / rows)
        if count == 1:
            figure.set_size_inches(8.5, 5.5)
        else:
            figure.set_size_inches(max(9.5, 1.2 + 2.8 * columns), 1.6 + 2.35 * max(rows, 1.4))
        grid = np.ravel(figure.subplots(rows, columns, sharex=True, sharey=True))
        for spare in grid[count:]:
            spare.set_axis_off()
        self._draw(grid[:count], index_scale)
        if count == 1:
            figure.suptitle(title or "", fontsize=_FONT_SIZE, wrap=True)
            return self
        for number, (ax, twin) in enumerate(zip(self.axes_, self.energy_axes_, strict=True)):
            ax.set(xlabel="", ylabel="")
            ax.tick_params(labelbottom=number + columns >= count)
            if twin is not None:
                twin.set_ylabel("")
                twin.tick_params(labelright=(number + 1) % columns == 0 or number + 1 == count)
        figure.supxlabel("number i of the eigenvalue, largest first")
        figure.supylabel("eigenvalue / largest eigenvalue")
        handles = self._handles()
        legend = figure.legend(handles=handles, title=title, loc="outside upper center", ncols=2, frameon=False)
        legend.get_title().set_multialignment("center")
        return self

    def _draw(self, axes: Any, index_scale: str) -> SpectrumDisplay:
        count = len(self.spectra)
        if axes.size != count:
            raise ValueError(f"ax has {axes.size} Axes for {count} spectra: pass one for each, or None for a new figure")
        energies = [None] * count if self.energies is None else self.energies
        self.lines_, self.unresolved_lines_, self.cutoff_lines_ = [], [], []  # type: list[Any], list[Any], list[Any]
        self.energy_axes_, self.energy_lines_ = [], []  # type: list[Any], list[Any]
        self.axes_, self.ax_, self.figure_ = axes, axes[0], axes[0].figure
        for number, (ax, spectrum, energy) in enumerate(zip(axes, self.spectra, energies, strict=True)):
            self._draw_eigenvalues(ax, spectrum, index_scale)
            self._draw_energy(ax, energy, spectrum.rank)
            if self.labels is not None:
                ax.set_title(f"{self.labels[number]}\n" + _summary(spectrum), linespacing=1.15)
        if count == 1:
            self._annotate()
        return self

    def _draw_eigenvalues(self, ax: Any, spectrum: Spectrum, index_scale: str) -> None:
        n, rank = spectrum.n_rows, spectrum.rank
        unit = (spectrum.largest or 1.0) if len(self.spectra) > 1 else 1.0
        cutoff = (spectrum.cutoff or np.finfo(float).eps) / unit
        index = np.arange(1, n + 1)
        style: dict[str, Any] = {"linestyle": "none", "marker": "o"} if n <= 30 else {"linewidth": 2.2}
        if len(self.spectra) > 1:
            for other in self.spectra:
                values = other.eigenvalues[: other.rank] / (other.largest or 1.0)
                ax.plot(index[: other.rank], values, color=_GREY, alpha=0.35, linewidth=0.7, zorder=1)
        (line,) = ax.plot(index[:rank], spectrum.eigenvalues[:rank] / unit, color=_BLUE, zorder=3, **style)
        self.lines_.append(line)
        self.cutoff_lines_.append(ax.axhline(cutoff, color="black", linestyle="--", linewidth=1.2, zorder=2))
        strip = None
        if rank < n:
            level = np.full(n - rank, cutoff / _STRIP)
            (strip,) = ax.plot(index[rank:], level, color=_GREY, linestyle="none", marker="o", markersize=4, zorder=2)
        self.unresolved_lines_.append(strip)
        ax.set(
            xscale=index_scale,
            yscale="log",
            ylim=(cutoff / _ROOM_BELOW, 5.0 * (spectrum.largest or 1.0) / unit),
            xlabel="number i of the eigenvalue, largest first",
            ylabel="eigenvalue" if len(self.spectra) == 1 else "eigenvalue / largest",
        )

    def _draw_energy(self, ax: Any, energy: Any, rank: int) -> None:
        twin = line = None
        if energy is not None:
            twin = ax.twinx()
            shares = np.minimum(np.cumsum(energy)[:rank], 1.0)
            style = {"linestyle": "-.", "linewidth": 2.2, "marker": "s", "markersize": 5, "markevery": [-1] if rank else []}
            (line,) = twin.plot(np.arange(1, rank + 1), shares, color=_VERMILION, **style)
            twin.set_ylim(0.0, 1.05)
            twin.set_ylabel(r"share of $|y|^2$ in the first i eigenvectors", color=_VERMILION)
            twin.tick_params(axis="y", colors=_VERMILION)
        self.energy_axes_.append(twin)
        self.energy_lines_.append(line)

    def _annotate(self) -> None:
        """Write next to the lines of a single panel what they are: a legend would cover them."""
        ax, spectrum = self.ax_, self.spectra[0]
        ax.yaxis.label.set_color(_BLUE)
        ax.tick_params(axis="y", colors=_BLUE)
        texts = [(self.cutoff_lines_[0], r"cut-off $n\,\epsilon\,\lambda_{\max}$", "black", "bottom")]
        if self.unresolved_lines_[0] is not None:
            count = spectrum.n_rows - spectrum.rank
            texts.append((self.unresolved_lines_[0], f"{count} of {spectrum.n_rows} not resolved", "#555555", "top"))
        for line, text, color, side in texts:
            ax.annotate(
                text,
                (0.5, line.get_ydata()[0]),
                xycoords=("axes fraction", "data"),
                xytext=(0, 3 if side == "bottom" else -5),
                textcoords="offset points",
                horizontalalignment="center",
                verticalalignment=side,
                color=color,
            )

    def _handles(self) -> list[Any]:
        """One entry for each kind of line that was drawn."""
        found = [
            (self.lines_, "eigenvalue (left axis)"),
            (self.energy_lines_, r"share of $|y|^2$ in the first i eigenvectors (right axis)"),
            (self.cutoff_lines_, r"cut-off $n\,\epsilon\,\lambda_{\max}$"),
            (self.unresolved_lines_, "not resolved"),
        ]
        handles = []
        for lines, label in found:
            drawn = next((line for line in lines if line is not None), None)
            if drawn is not None:
                drawn.set_label(label)
                handles.append(drawn)
        return handles


def draw_spectra(comparison: ActivationComparison) -> Any:
    """Draw the spectra of a comparison on a figure of their own.

    Parameters
    ----------
    comparison : ActivationComparison
        What `underdetermined.activation_comparison.compare_activations` returned.

    Returns
    -------
    matplotlib Figure
        The panels of `SpectrumDisplay.from_comparison`, under the description of the data.

    Notes
    -----
    The figure belongs to no window: save it with its ``savefig``.
    """
    check_matplotlib_support("draw_spectra")
    import matplotlib
    from matplotlib.figure import Figure

    title = "\n".join(fill(part, 75) for part in comparison.description.split("; "))
    with matplotlib.rc_context({"font.size": _FONT_SIZE, "axes.titlesize": _FONT_SIZE}):
        figure = Figure(layout="constrained")
        _of_comparison(SpectrumDisplay, comparison)._draw_on(figure, "log", title)
    return figure


def _of_comparison(cls: type[SpectrumDisplay], comparison: ActivationComparison) -> SpectrumDisplay:
    rows = [row for row in comparison.rows if row.spectrum is not None]
    return cls(
        [row.spectrum for row in rows if row.spectrum is not None],
        labels=[row.activation for row in rows],
        energies=[row.target_energy for row in rows],
    )


def _summary(spectrum: Spectrum) -> str:
    """What the eye cannot read off a curve."""
    if not spectrum.is_resolved:
        return f"rank {spectrum.rank} of {spectrum.n_rows}"
    mantissa, exponent = f"{spectrum.condition:.1e}".split("e")
    return rf"condition ${mantissa}\cdot 10^{{{int(exponent)}}}$"
