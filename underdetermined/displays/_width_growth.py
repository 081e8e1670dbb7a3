"""Growth of minimum widths with the number of rows, on one picture with logarithmic axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from underdetermined.displays._width_bounds import name_of
from underdetermined.empirical_width import Exponent, WidthGrowth

# Colour, line and marker: each curve is told from the others by any one of the three.
_STYLES: dict[str, tuple[str, Any, str]] = {
    "measured": ("black", "-", "o"),
    "chernoff": ("#D55E00", "--", "s"),
    "leverage": ("#0072B2", "-.", "^"),
    "truncated": ("#CC79A7", (0, (5, 1)), "v"),
    "importance": ("#009E73", ":", "D"),
    "leverage_sampled": ("#E69F00", (0, (3, 1, 1, 1, 1, 1)), "P"),
    "generic": ("#56B4E9", (0, (1, 3)), "<"),
    "necessary": ("#56B4E9", (0, (1, 3)), "<"),
    "parameter_count": ("#666666", (0, (6, 3)), ">"),
    "numerical_rank": ("#999999", (0, (2, 2)), "X"),
}
_OTHER = ("#999999", "-", "x")


def draw_growth(ax: Any, growth: WidthGrowth) -> dict[str, Any]:
    """Draw one curve for each bound and for the measured width; the legend has them from top to bottom."""
    sizes = np.asarray(growth.sizes, dtype=np.float64)
    found = {"measured": growth.measured, **growth.widths}
    curves = {name: np.asarray(widths, dtype=np.float64) for name, widths in found.items()}
    lines: dict[str, Any] = {}
    for names in _coinciding(curves):
        widths = curves[names[0]]
        shown = np.isfinite(widths)
        color, linestyle, marker = _STYLES.get(names[0], _OTHER)
        is_measured = names[0] == "measured"
        (line,) = ax.plot(
            sizes[shown], widths[shown], color=color, linestyle=linestyle, marker=marker, markersize=8, markeredgewidth=1.8,
            linewidth=3.0 if is_measured else 2.0, markerfacecolor=color if is_measured else "white",
            zorder=4 if is_measured else 3, label=_label(names, growth.exponents[names[0]]),
        )  # fmt: skip
        lines |= dict.fromkeys(names, line)
    known = np.isfinite(growth.lower) & np.isfinite(growth.upper)
    if known.any():
        ax.fill_between(sizes[known], growth.lower[known], growth.upper[known], color="black", alpha=0.2, linewidth=0)
    ax.set(xscale="log", yscale="log", xlabel="number of rows $n$", ylabel="width, number of hidden neurons")
    ax.set_xticks(sizes, [f"{size:g}" for size in sizes])
    ax.minorticks_off()
    handles = sorted(dict.fromkeys(lines.values()), key=lambda line: -line.get_ydata()[-1])
    ax.set_title(_title(growth))
    beside = {"loc": "upper left", "bbox_to_anchor": (1.01, 1.0), "borderaxespad": 0.0, "frameon": False}
    ax.legend(handles=handles, title="exponent of $n$, 95 % interval", fontsize="small", alignment="left", **beside)
    return lines


def _title(growth: WidthGrowth) -> str:
    """Say what the networks of these widths should do."""
    events = {"rank": "attainable rank", "spectrum": rf"$\lambda_r(G) \geq {1.0 - growth.epsilon:.3g}\,\lambda_r(K)$"}
    event = events.get(str(growth.target), f"condition number at most {growth.target}")
    return f"{growth.activation}: {event} with probability {1.0 - growth.failure_probability:.3g}"


def _coinciding(curves: dict[str, Any]) -> list[list[str]]:
    """Names of the curves that have a point, those of equal curves together."""
    groups: list[list[str]] = []
    for name, widths in curves.items():
        if not np.isfinite(widths).any():
            continue
        same = next((group for group in groups if np.array_equal(curves[group[0]], widths, equal_nan=True)), None)
        if same is None:
            groups.append([name])
        else:
            same.append(name)
    return groups


def _label(names: list[str], exponent: Exponent) -> str:
    text = ", ".join(name_of(name) for name in names)
    if not np.isfinite(exponent.value):
        return text
    if not np.isfinite(exponent.high):
        return f"{exponent.value:.2f}  {text}"
    return f"{exponent.value:.2f} \N{PLUS-MINUS SIGN} {0.5 * (exponent.high - exponent.low):.2f}  {text}"
