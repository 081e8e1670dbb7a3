"""Growth of measured and proved widths with the number of rows: ``python -m benchmarks.width_growth [--small]``.

Rows lie on a sphere of radius sqrt(d), so that pre-activations have unit variance before the bias. For each activation and
event the table has the width of every bound and the measured one for each n, and the exponent p of the fit width = c n^p
with its 95 % interval; below them are the orders of the literature, whose constants and settings differ. The first table
says in which dimensions the smallest eigenvalue of the kernel is resolved: all bounds but the counting ones rest on it.
"""

import argparse
import json
import sys
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.benchmarks.common import table
from underdetermined.bounds import growth_orders
from underdetermined.empirical_width import WidthGrowth, fit_exponent, width_growth
from underdetermined.spectrum import Spectrum

SIZES, SMALL_SIZES = (50, 100, 200, 400, 800, 1600), (10, 20, 40)
DIMENSION, COMPARED_DIMENSIONS = 10, (3, 5, 10, 20)
BIAS_SCALES = {"relu": 1.0, "sin_cos": 0.0, "erf": 0.0, "exp": 0.0}
EVENTS = ("rank", "spectrum")


def sphere(dimension):
    """Return a function that draws n rows of length sqrt(dimension)."""

    def draw(n, seed):
        rows = np.random.default_rng([seed, n]).standard_normal((n, dimension))
        return rows * (np.sqrt(dimension) / np.linalg.norm(rows, axis=1, keepdims=True))

    return draw


def count_text(width):
    """A width as a cell of a table."""
    return "-" if np.isnan(width) else f"{width:,.0f}" if width < 1e6 else f"{width:.1e}"


def exponent_text(exponent):
    """An exponent with its interval."""
    if np.isnan(exponent.value):
        return "-"
    if exponent.n_points < 3:
        return f"{exponent.value:.2f}, two points"
    return f"{exponent.value:.2f} [{exponent.low:.2f}, {exponent.high:.2f}]"


def resolution(options):
    """Smallest eigenvalue over the cut-off, by dimension, activation and number of rows."""
    rows = []
    for dimension in COMPARED_DIMENSIONS:
        draw = sphere(dimension)
        for activation in options.activations:
            cells, smallest = [], []
            for place, n in enumerate(options.sizes):
                kernel = {"activation": activation, "bias_scale": BIAS_SCALES[activation], "weight_scale": dimension**-0.5}
                spectrum = Spectrum.from_kernel(draw(n, options.seed + place), **kernel, eigenvectors=False)
                cells.append(f"{spectrum.smallest / spectrum.cutoff:.0e}" if spectrum.is_resolved else "not resolved")
                smallest.append(1.0 / spectrum.smallest)
            rows.append([f"{dimension}, {activation}", *cells, exponent_text(fit_exponent(options.sizes, smallest))])
    header = ["dimension, activation", *(f"n = {n}" for n in options.sizes), "exponent of 1 / lambda_min"]
    table("smallest eigenvalue of the kernel over the cut-off n eps lambda_max", header, rows)


def growth_table(growth, seconds):
    """Print the widths and exponents of one activation and event."""
    curves = {"measured": growth.measured, **growth.widths}
    rows = [
        [name, *map(count_text, widths), exponent_text(growth.exponents[name])]
        for name, widths in curves.items()
        if not np.isnan(widths).all()
    ]
    missing = [name for name, widths in curves.items() if np.isnan(widths).all()]
    event = "attainable rank" if growth.target == "rank" else f"lambda_min(G) >= {1 - growth.epsilon} lambda_min(K)"
    title = f"{growth.activation}: {event} with probability {1 - growth.failure_probability}, {growth.n_seeds} seeds, "
    table(title + f"{seconds:.0f} s", ["width", *(f"n = {n}" for n in growth.sizes), "exponent of n, 95 %"], rows)
    if missing:
        print(f"no width from: {', '.join(missing)}")


def measure(options):
    """Compute and print all growths; the result is a list of WidthGrowth."""
    found = []
    for activation in options.activations:
        for event in options.events:
            start = perf_counter()
            growth = width_growth(
                sphere(options.dimension),
                options.sizes,
                activation=activation,
                target=event,
                bias_scale=BIAS_SCALES[activation],
                n_seeds=options.seeds,
                seed=options.seed,
                max_width=options.max_width,
                progress=lambda line: print(line, file=sys.stderr) if options.verbose else None,
            )
            growth_table(growth, perf_counter() - start)
            found.append(growth)
    return found


def summary(growths):
    """Print all exponents side by side, and the orders of the literature."""
    names = list(dict.fromkeys(name for growth in growths for name in ("measured", *growth.widths)))
    rows = [
        [name, *(exponent_text(growth.exponents[name]) if name in growth.exponents else "-" for growth in growths)]
        for name in names
    ]
    rows = [row for row in rows if set(row[1:]) != {"-"}]
    table("exponents of n, 95 %", ["width", *(f"{growth.activation}, {growth.target}" for growth in growths)], rows)
    print("\nin the literature, orders only:")
    for order in growth_orders():
        print(f"- {order.statement} ({order.reference})")


def draw(growths: list[WidthGrowth], path, columns):
    """Draw all growths on one picture."""
    from matplotlib.figure import Figure

    from underdetermined.displays import WidthDisplay

    rows = -(-len(growths) // columns)
    figure = Figure(figsize=(10.5 * columns, 5.4 * rows), layout="constrained")
    axes = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for ax, growth in zip(axes, growths, strict=False):
        WidthDisplay.from_growth(growth, ax=ax)
    figure.savefig(path, dpi=80)


def main():
    """Parse the command line, print the tables, and draw the picture if it was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="toy sizes, to see that it runs")
    parser.add_argument("--sizes", type=int, nargs="*", help="numbers of rows")
    parser.add_argument("--activations", nargs="*", default=list(BIAS_SCALES), choices=list(BIAS_SCALES))
    parser.add_argument("--events", nargs="*", default=list(EVENTS), choices=EVENTS)
    parser.add_argument("--dimension", type=int, default=DIMENSION)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-width", type=int, help="end of the search of the experiment")
    parser.add_argument("--plot", type=Path, help="file for the picture")
    parser.add_argument("--json", type=Path, help="file for the widths and exponents")
    parser.add_argument("--verbose", action="store_true", help="tell about every width tested")
    options = parser.parse_args()
    options.sizes = options.sizes or list(SMALL_SIZES if options.small else SIZES)
    resolution(options)
    growths = measure(options)
    summary(growths)
    if options.json is not None:
        options.json.write_text(json.dumps([growth.to_dict() for growth in growths]), encoding="utf-8")
    if options.plot is not None:
        draw(growths, options.plot, len(options.events))


if __name__ == "__main__":
    main()
