"""Does every softmax-ReLU problem end certified, and is what is certified a minimiser?

Run ``python -m benchmarks.softmax_relu_certificates``.

Random problems of sixteen families, among them the five shapes of the theory, repeated and nearly repeated rows, extreme
scales and small integers, are minimised by the active-set Newton method from a random start, and certified. Around every
certified point lower values are looked for along random directions, along parameters, along the kinks and across them, at
four radii, up to half way to the nearest concave kink; in the plane along 720 directions. What is not certified is listed
with the reason given.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.benchmarks.common import table
from underdetermined.blocks import single_threaded_blas
from underdetermined.softmax_relu.kinks.manifold import manifold_newton

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from softmax_relu_kink_problems import FAMILIES, draw, lowest_nearby  # noqa: E402

STATUSES = ("SMOOTH", "KINKS", "APEX", "GLOBAL", "FLAT", "LIMIT", "DEGENERATE")


def run_family(name, count):
    """Minimise the problems of a family; one row of the table, and what was refused."""
    statuses, hessians, pinned, lower, margins, refused = Counter(), [], [], 0, [], []
    rng = np.random.default_rng(89)
    start = perf_counter()
    for index in range(count):
        objective, x = draw(name, index)
        run = manifold_newton(objective, x)
        found = run.certificate
        statuses[found.status.name] += 1
        hessians.append(run.n_hessian)
        pinned.append(len(found.pinned))
        if not found.is_certified:
            refused.append([name, str(index), run.reason, found.status.name, found.reason])
            continue
        if found.kkt_tolerance > 0.0:
            margins.append(found.kkt_residual / found.kkt_tolerance)
        if lowest_nearby(objective, run.x, found.pinned, rng, samples=720 if len(x) == 2 else 60) < 0.0:
            lower += 1
            refused.append([name, str(index), "LOWER NEARBY", found.status.name, found.reason])
    row = [name, *(str(statuses[status]) for status in STATUSES), str(lower)]
    row += [f"{np.median(hessians):.0f}", f"{max(hessians)}", f"{np.mean(pinned):.1f}"]
    return [*row, f"{max(margins, default=np.nan):.2f}", f"{perf_counter() - start:.1f}"], refused


def main():
    """Run all families."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="a few problems of each family")
    parser.add_argument("--problems", type=int, default=60, help="of each family; five times as many of the first two")
    options = parser.parse_args()
    rows, refused = [], []
    with single_threaded_blas():
        for position, name in enumerate(FAMILIES):
            count = 3 if options.small else options.problems * (5 if position < 2 else 1)
            row, more = run_family(name, count)
            rows.append(row)
            refused += more
    header = ["family", *(status.lower() for status in STATUSES), "lower nearby", "Hessians", "most", "pinned"]
    table("how problems end", [*header, "residual / tolerance", "seconds"], rows)
    if refused:
        table("not certified, or lower nearby", ["family", "problem", "end", "status", "reason"], refused)


if __name__ == "__main__":
    main()
