"""Smallest trainable widths by number of rows: ``python -m benchmarks.trainable_width [--small] [--results FILE]``.

Rows have norm 2 sqrt(d) and random directions, targets are +-1 at random, networks begin at LeCun without biases, and the
goal is a relative loss of 1e-8. With "fixed" d = 20; with "growing" d = sqrt(2 n), as where n ~ d^2. Each curve has what is
trained, by which method, and the number of steps T. The first table has geometric means over seeds, the second exponents of
n with 95 % intervals by bootstrap over seeds, on all sizes and on the upper half; a missing width, where no width up to the
largest one tried succeeds within T steps, leaves its n out. Results are saved after each size, and a run goes on from them.
"""

import argparse
import json
import sys
from math import sqrt
from pathlib import Path
from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.benchmarks.common import table
from underdetermined.empirical_width import bootstrap_exponent, trainable_width_growth

SIZES, SMALL_SIZES = (25, 50, 100, 200, 400), (8, 16)
DIMENSION = 20
FAMILIES = {"fixed": lambda n: DIMENSION, "growing": lambda n: round(sqrt(2 * n))}
# Family, activation, layers, method and steps; what matters most comes first.
CURVES = (
    *(("fixed", name, "last", "gd", steps) for name in ("tanh", "gelu") for steps in (5_000, 20_000, 1_000_000)),
    *(("fixed", name, layers, "gd", 5_000) for name in ("tanh", "gelu") for layers in ("both", "hidden")),
    *(("fixed", name, layers, "gauss-newton", 100) for layers in ("both", "hidden") for name in ("tanh", "gelu")),
    *(("growing", "tanh", layers, "gd", 5_000) for layers in ("last", "both", "hidden")),
    *(("fixed", name, "both", "gd", 20_000) for name in ("tanh", "gelu")),
)
SMALL_CURVES = tuple((*CURVES[place][:4], 100) for place in (0, 3, 6, 7, 10, 11))


def maker(family):
    """Function that draws rows and labels."""

    def make(n, seed):
        rng, d = np.random.default_rng(seed), FAMILIES[family](n)
        X = rng.standard_normal((n, d))
        return X * (2.0 * sqrt(d) / np.linalg.norm(X, axis=1, keepdims=True)), rng.choice([-1.0, 1.0], n)

    return make


def measure(curve, n, seeds):
    """Widths of all seeds at one size, by name of the curve, beside the parameter count, and the seconds it took."""
    family, activation, layers, method, steps = curve
    begin = perf_counter()
    growth = trainable_width_growth(
        maker(family), [n], layers=layers, activation=activation, method="gd" if layers == "last" else method,
        max_steps=steps, n_seeds=seeds, max_width=None if layers == "last" else max(64, n), has_bounds=False, n_jobs=1,
    )  # fmt: skip
    widths = {name: found[0].tolist() for name, found in growth.widths.items()}
    return {"widths": widths, "parameters": growth.parameters[layers][0], "seconds": perf_counter() - begin}


def exponent_text(sizes, widths):
    """Exponent and interval, or a dash."""
    found = bootstrap_exponent(sizes, widths)
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]" if np.isfinite(found.value) else "-"


def report(results, curves, sizes):
    """Print both tables from what is there."""
    rows, exponents = [], []
    upper = np.asarray(sizes) >= sizes[len(sizes) // 2]
    for curve in curves:
        found = [results.get(key(curve, n)) for n in sizes]
        names = next((list(each["widths"]) for each in found if each), [])
        for name in names:
            seeds = next(len(each["widths"][name]) for each in found if each)
            widths = np.array([each["widths"][name] if each else [np.nan] * seeds for each in found], dtype=float)
            is_direct = name.endswith("direct")
            label = f"{curve[0]}, {curve[1]}, {name}" + ("" if is_direct else f", {curve[3]}, T = {curve[4]:,}")
            if is_direct and label in [row[0] for row in rows]:
                continue
            means = np.exp(np.log(widths).mean(axis=1))
            rows.append([label, *("-" if np.isnan(each) else f"{each:.3g}" for each in means)])
            exponents.append([label, exponent_text(sizes, widths), exponent_text(np.asarray(sizes)[upper], widths[upper])])
        if curve[2] != "last" and any(found):
            label = f"{curve[0]}, parameter count, {curve[2]}"
            counts = ["-" if each is None else f"{each['parameters']:.3g}" for each in found]
            rows += [] if label in [row[0] for row in rows] else [[label, *counts]]
    table("smallest trainable width, geometric mean", ["curve", *(f"n = {n}" for n in sizes)], rows)
    table("exponent of n, 95 % by bootstrap", ["curve", "all n", f"n >= {sizes[len(sizes) // 2]}"], exponents)


def key(curve, n):
    """Name of one entry of the file."""
    return ", ".join(map(str, (*curve, n)))


def main():
    """Parse the command line, measure what is missing, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="toy sizes, to see that it runs")
    parser.add_argument("--sizes", type=int, nargs="*", help="numbers of rows")
    parser.add_argument("--seeds", type=int, help="problems for each number of rows")
    parser.add_argument("--results", type=Path, help="JSON file to go on from and to save to")
    parser.add_argument("--minutes", type=float, default=np.inf, help="begin nothing new after this time")
    options = parser.parse_args()
    seeds = options.seeds or (2 if options.small else 6)
    sizes = sorted(options.sizes or (SMALL_SIZES if options.small else SIZES))
    curves = SMALL_CURVES if options.small else CURVES
    stored = options.results is not None and options.results.exists()
    results, begin = json.loads(options.results.read_text()) if stored else {}, perf_counter()
    with threadpool_limits(1):
        for curve, n in ((curve, n) for curve in curves for n in sizes if key(curve, n) not in results):
            if perf_counter() - begin > 60.0 * options.minutes:
                break
            results[key(curve, n)] = found = measure(curve, n, seeds)
            print(f"{key(curve, n)}: {found['widths']}, {found['seconds']:.0f} s", file=sys.stderr, flush=True)
            if options.results is not None:
                options.results.write_text(json.dumps(results))
    report(results, curves, sizes)


if __name__ == "__main__":
    main()
