"""Whether the bounds on the smallest eigenvalue hold, and how tight they are: ``python -m benchmarks.eigenvalue_bounds``.

Each case is a random data set of one of nine kinds, with rows of norm 1 or of norms that differ by up to a factor of 100, a
random bias and a random bias scale. A bound is violated if it is on the wrong side of the computed eigenvalue by more than
the rounding errors of that. Ratios to the eigenvalue are taken where it is resolved: a lower bound is the tighter the nearer
to 1.
"""

import argparse
from collections import defaultdict
from time import perf_counter

import numpy as np

from benchmarks.benchmarks.common import table
from underdetermined.blocks import single_threaded_blas
from underdetermined.bounds import smallest_eigenvalue_bounds

KINDS = (
    "sphere",
    "clusters",
    "near duplicates",
    "near antipodes",
    "circle",
    "few rows",
    "antipodes",
    "near line",
    "copies",
)
BIASES = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)
BIAS_SCALES = (1.0, 1.0, 1.0, 0.0, 0.3, 3.0)


def unit_rows(X):
    """The rows over their norms."""
    return X / np.linalg.norm(X, axis=1, keepdims=True)


def draw_rows(kind, rng, largest):
    """Unit rows of one kind, with a random number of rows and columns."""
    n, d = int(rng.integers(2, largest + 1)), int(rng.integers(2, 16))
    X = rng.standard_normal((n, d))
    small = 10.0 ** rng.uniform(-5.0, -1.0)
    if kind == "clusters":
        X = 2.0 * rng.standard_normal((3, d))[rng.integers(3, size=n)] + 0.3 * X
    elif kind == "near duplicates":
        X[1] = X[0] + small * X[1]
    elif kind == "near antipodes":
        X[1] = -X[0] + small * X[1]
    elif kind == "circle":
        angles = 2.0 * np.pi * np.arange(n) / n + rng.uniform()
        X = np.column_stack([np.cos(angles), np.sin(angles)])
    elif kind == "few rows":
        X = X[: max(2, min(n, d))]
    elif kind == "antipodes":
        X[n - n // 2 :] = -X[: n // 2]
    elif kind == "near line":
        X = X[0] * np.sign(X[:, :1]) + small * X
    elif kind == "copies":
        X[n // 2 :] = X[: n - n // 2]
    return unit_rows(X)


def draw_case(index, largest):
    """Rows, bias, bias scale and a label, all from the number of the case."""
    rng = np.random.default_rng([50, index])
    kind = KINDS[index % len(KINDS)]
    X = draw_rows(kind, rng, largest)
    norms = "unit rows" if (index // len(KINDS)) % 2 == 0 else "unequal rows"
    if norms == "unequal rows":
        X = X * 10.0 ** (rng.choice([0.2, 1.0]) * rng.uniform(-1.0, 1.0, (len(X), 1)))
    return X, float(rng.choice(BIASES)), float(rng.choice(BIAS_SCALES)), kind, norms


def run(cases, largest):
    """Violations, and ratios to the resolved eigenvalue, by bound, norms and kind."""
    found = []
    for index in range(cases):
        X, bias, bias_scale, kind, norms = draw_case(index, largest)
        result = smallest_eigenvalue_bounds(X, bias=bias, bias_scale=bias_scale)
        best = {"best": (result.best.value, "lower")}
        for name, (value, side) in (best | {each.name: (each.value, each.kind) for each in result.bounds}).items():
            excess = value - result.exact if side == "lower" else result.exact - value
            ratio = value / result.exact if result.is_resolved else np.nan
            found.append((name, side, norms, kind, excess > result.rounding, ratio))
    return found


def report(found, key, title):
    """One table of violations and ratios, its lines grouped by `key`."""
    groups, rows = defaultdict(list), []
    for record in found:
        groups[key(record)].append(record)
    for name, records in groups.items():
        ratios = np.array([record[-1] for record in records])
        resolved = ratios[np.isfinite(ratios)]
        positive = resolved[resolved > 0.0]
        share = f"{100.0 * positive.size / max(resolved.size, 1):.0f} %"
        figures = (
            [f"{each:.3g}" for each in np.quantile(positive, [0.0, 0.25, 0.5, 0.75, 1.0])] if positive.size else 5 * ["-"]
        )
        violations = str(sum(record[4] for record in records))
        rows.append([name, str(len(records)), violations, str(resolved.size), share, *figures])
    header = ["", "cases", "violations", "resolved", "positive", "least", "quartile", "median", "quartile", "most"]
    table(title, header, rows)


def main():
    """Run all cases and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1080)
    parser.add_argument("--largest", type=int, default=30, help="largest number of rows")
    parser.add_argument("--small", action="store_true", help="few cases, to see that it runs")
    options = parser.parse_args()
    if options.small:
        options.cases, options.largest = 36, 8
    start = perf_counter()
    with single_threaded_blas():
        found = run(options.cases, options.largest)
    print(f"{options.cases} data sets, {perf_counter() - start:.0f} s")
    for norms in ("unit rows", "unequal rows"):
        chosen = [record for record in found if record[2] == norms]
        report(
            chosen, lambda record: f"{record[0]} ({record[1]})", f"ratio of each bound to the smallest eigenvalue, {norms}"
        )
    best = [record for record in found if record[0] == "best"]
    report(best, lambda record: f"{record[3]}, {record[2]}", "best lower bound by kind of data")
    raise SystemExit(f"{sum(record[4] for record in found)} violations" if any(record[4] for record in found) else 0)


if __name__ == "__main__":
    main()
