"""Growth of the smallest trainable widths with the number of rows, beside counts, bounds and the order of the literature."""

from __future__ import annotations

from typing import Any

import numpy as np

from underdetermined.displays._width_bounds import name_of
from underdetermined.empirical_width import Exponent, TrainableWidthGrowth

# Colour, line and marker: each curve is told from the others by any one of the three.
_CURVES: dict[str, tuple[str, str, Any, str]] = {
    "both": ("both layers", "black", "-", "o"),
    "hidden": ("hidden layer", "#D55E00", "--", "s"),
    "last": ("last layer", "#0072B2", "-.", "^"),
    "last, direct": ("last layer, least squares", "#009E73", ":", "D"),
}
_METHODS = {"gd": "gradient descent", "gauss-newton": "Gauss-Newton"}
# Bounds for the last layer that say something of their own beside least squares, from the tightest.
_BOUNDS = ("importance", "leverage_sampled", "leverage", "chernoff")
_GREY = "#777777"
_LINES: tuple[Any, ...] = ((0, (1, 1)), (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (5, 3)))


def draw_trainable_growth(ax: Any, growth: TrainableWidthGrowth) -> dict[str, Any]:
    """Draw one curve for each way to train, with a dot for each seed, and grey ones for what is known without training."""
    sizes = np.asarray(growth.sizes, dtype=np.float64)
    lines: dict[str, Any] = {}
    for name, widths in growth.widths.items():
        text, color, style, marker = _CURVES[name]
        means = growth.means[name]
        label = _label(growth.exponents[name], f"{text}{_steps(growth, name)}{_missing(growth, name)}")
        shown = np.isfinite(means)
        (lines[name],) = ax.plot(
            sizes[shown], means[shown], color=color, linestyle=style, marker=marker, markersize=8, linewidth=2.6, zorder=4,
            label=label,
        )  # fmt: skip
        ax.plot(sizes, widths, linestyle="none", marker=marker, markersize=3.5, color=color, alpha=0.35, zorder=3)
    lines |= _draw_known(ax, growth, sizes)
    ax.set(xscale="log", yscale="log", xlabel="number of rows $n$", ylabel="width, number of hidden neurons")
    ax.set_xticks(sizes, [f"{size:g}" for size in sizes])
    ax.minorticks_off()
    ax.set_title(f"{growth.activation}, {growth.init}: smallest width that reaches a relative loss of {growth.loss_tol:g}")
    handles = sorted(lines.values(), key=_height, reverse=True)
    beside = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0, "frameon": False}
    ax.legend(handles=handles, title="exponent of $n$, 95 % interval", fontsize="small", alignment="left", **beside)
    return lines


def _draw_known(ax: Any, growth: TrainableWidthGrowth, sizes: Any) -> dict[str, Any]:
    """Parameter counts, bounds for the last layer, and the order n^(3/2) / d from where the first curve begins."""
    lines: dict[str, Any] = {}
    grey: dict[str, Any] = {"color": _GREY, "linewidth": 1.5, "zorder": 2}
    names = [name for name in _BOUNDS if np.isfinite(growth.bounds.get(name, np.nan)).any()]
    for name, style in zip(names, _LINES, strict=False):
        label = _label(growth.exponents[name], f"last layer, bound: {name_of(name)}")
        (lines[name],) = ax.plot(sizes, growth.bounds[name], linestyle=style, label=label, **grey)
    trained = [name for name in growth.parameters if name != "last"]
    if trained:
        label = f"parameter count of {_CURVES[trained[0]][0]}"
        (lines["parameters"],) = ax.plot(sizes, growth.parameters[trained[0]], linestyle="-", label=label, **grey)
        order = sizes**1.5 / np.asarray(growth.n_inputs, dtype=np.float64)
        order *= growth.means[trained[0]][0] / order[0]
        if np.isfinite(order).all() and order.size > 1:
            label = "order $n^{3/2}/d$ of the literature,\nwithout its constant"
            (lines["order"],) = ax.plot(sizes, order, linestyle="-", marker="x", markersize=7, label=label, **grey)
    return lines


def _steps(growth: TrainableWidthGrowth, name: str) -> str:
    """How a curve was trained."""
    if growth.max_steps[name] == 0:
        return ""
    method = "gd" if name == "last" else growth.method
    return f",\n{_METHODS[method]}, T = {growth.max_steps[name]:,}"


def _missing(growth: TrainableWidthGrowth, name: str) -> str:
    """At which sizes a seed found no width."""
    lost = growth.sizes[np.isnan(growth.means[name])]
    return f",\nnot every seed at n = {', '.join(map(str, lost))}" if lost.size else ""


def _label(exponent: Exponent, text: str) -> str:
    if not np.isfinite(exponent.value):
        return text
    if not np.isfinite(exponent.high):
        return f"{exponent.value:.2f}  {text}"
    return f"{exponent.value:.2f} [{exponent.low:.2f}, {exponent.high:.2f}]  {text}"


def _height(line: Any) -> float:
    """Where a curve ends."""
    values = np.asarray(line.get_ydata(), dtype=np.float64)
    known = values[np.isfinite(values)]
    return float(known[-1]) if known.size else 0.0
