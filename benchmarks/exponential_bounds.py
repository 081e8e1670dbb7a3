"""Bounds for networks of exponentials against what is exact or measured: ``python -m benchmarks.exponential_bounds``.

First the bounds on the smallest eigenvalue of the kernel, on data sets of nine kinds, with rows of one norm or of norms that
differ by up to a factor of 10, and a random weight scale. A bound is violated if it is on the wrong side of the computed
eigenvalue by more than the rounding errors of that. Then the width at which the Gram matrix has half of that eigenvalue with
probability 0.9: how often it fails, and how many times larger it is than the least width at which 9 of 10 draws succeed.
"""

import argparse
from time import perf_counter

import numpy as np

from benchmarks.benchmarks.common import table
from benchmarks.eigenvalue_bounds import KINDS, draw_rows, report
from underdetermined.blocks import single_threaded_blas
from underdetermined.bounds import exponential_eigenvalue_bounds, exponential_gram_width

_FAILURE = 0.1
_SCALES = (1.0, 1.0, 0.5, 2.0)


def draw_case(index, largest):
    """Rows, weight scale and a label, all from the number of the case; t |x| is between 0.2 and 3 for rows of one norm."""
    rng = np.random.default_rng([60, index])
    kind = KINDS[index % len(KINDS)]
    scale = float(rng.choice(_SCALES))
    X = draw_rows(kind, rng, largest) * 10.0 ** rng.uniform(np.log10(0.2), np.log10(3.0)) / scale
    norms = "unit rows" if (index // len(KINDS)) % 2 == 0 else "unequal rows"
    if norms == "unequal rows":
        X = X * 10.0 ** rng.uniform(-0.5, 0.5, (len(X), 1)) / 2.0
    return X, scale, kind, norms


def eigenvalues(cases, largest):
    """Violations, and ratios to the resolved eigenvalue, by bound, norms and kind."""
    found = []
    for index in range(cases):
        X, scale, kind, norms = draw_case(index, largest)
        result = exponential_eigenvalue_bounds(X, weight_scale=scale)
        best = {"best": (result.best.value, "lower")}
        for name, (value, side) in (best | {each.name: (each.value, each.kind) for each in result.bounds}).items():
            excess = value - result.exact if side == "lower" else result.exact - value
            ratio = value / result.exact if result.is_resolved else np.nan
            found.append((name, side, norms, kind, excess > result.rounding, ratio))
    return found


def success_rate(X, width, target, draws, rng):
    """Part of the draws whose Gram matrix has an eigenvalue of at least the target."""
    products = X @ X.T
    hits = 0
    for _ in range(draws):
        E = np.exp(X @ rng.standard_normal((X.shape[1], width)))
        hits += np.linalg.eigvalsh(products * (E @ E.T) / width)[0] >= target
    return hits / draws


def measured_width(X, target, draws, rng):
    """Least width, to a quarter, at which so many draws succeed as are promised."""
    width = 1
    while success_rate(X, width, target, draws, rng) < 1.0 - _FAILURE:
        width += max(1, width // 4)
    return width


def widths(cases, draws, most):
    """One record for each problem whose width can be simulated: norm, rows, failures, and ratios of both widths."""
    found = []
    for index in range(cases):
        rng = np.random.default_rng([61, index])
        n, d = int(rng.integers(1, 17)), int(rng.integers(2, 13))
        length = float(rng.choice([0.25, 0.5, 0.75, 1.0]))
        X = rng.standard_normal((n, d))
        X *= length * 10.0 ** rng.uniform(-0.1, 0.1, (n, 1)) / np.linalg.norm(X, axis=1, keepdims=True)
        bound = exponential_gram_width(X, failure_probability=_FAILURE)
        if bound.width is None or bound.width * n > most:
            continue
        target = bound.details["lambda"] / 2.0
        rate = success_rate(X, bound.width, target, draws, rng)
        needed = measured_width(X, target, draws, rng)
        ratios = [bound.details[name] / needed for name in ("width_second_moment", "width_truncated")]
        found.append((length, 1.0 - rate, *ratios))
    return found


def report_widths(found, draws):
    """One line for each norm."""
    lines = []
    for length in sorted({record[0] for record in found}):
        records = np.array([record for record in found if record[0] == length])
        quartiles = [f"{each:.3g}" for column in (2, 3) for each in np.quantile(records[:, column], [0.25, 0.5, 0.75])]
        failures = int(round(records[:, 1].sum() * draws))
        above = int((records[:, 1] > _FAILURE).sum())
        lines.append([f"{length:g}", str(len(records)), f"{failures} of {len(records) * draws}", str(above), *quartiles])
    names = ["second moment", "", "", "truncated", "", ""]
    header = ["norm", "problems", "failed draws", "violations", *names]
    table("width over the least one measured: quartiles, median, of either width", header, lines)


def main():
    """Run everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1080)
    parser.add_argument("--largest", type=int, default=30, help="largest number of rows")
    parser.add_argument("--widths", type=int, default=300, help="problems for the width")
    parser.add_argument("--draws", type=int, default=40, help="networks for each problem and width")
    parser.add_argument("--most", type=int, default=200_000, help="largest number of activations of a network to simulate")
    parser.add_argument("--small", action="store_true", help="few cases, to see that it runs")
    options = parser.parse_args()
    if options.small:
        options.cases, options.largest, options.widths, options.draws, options.most = 36, 8, 6, 10, 20_000
    start = perf_counter()
    with single_threaded_blas():
        found = eigenvalues(options.cases, options.largest)
        print(f"{options.cases} data sets, {perf_counter() - start:.0f} s")
        for norms in ("unit rows", "unequal rows"):
            chosen = [record for record in found if record[2] == norms]
            report(chosen, lambda record: f"{record[0]} ({record[1]})", f"ratio of each bound to the eigenvalue, {norms}")
        best = [record for record in found if record[0] == "best"]
        report(best, lambda record: f"{record[3]}, {record[2]}", "best lower bound by kind of data")
        start = perf_counter()
        simulated = widths(options.widths, options.draws, options.most)
    print(f"{len(simulated)} of {options.widths} problems simulated, {perf_counter() - start:.0f} s")
    report_widths(simulated, options.draws)
    violations = sum(record[4] for record in found) + sum(record[1] > _FAILURE for record in simulated)
    raise SystemExit(f"{violations} violations" if violations else 0)


if __name__ == "__main__":
    main()
