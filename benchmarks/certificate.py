"""Whether certificates keep their promises, and how often there are any: ``python -m benchmarks.certificate``.

First, networks of all kinds (rows, last layers, outputs, weights, thresholds, scales) are given targets that put them at the
radius of their certificate or at a share of it, and trained by plain NumPy gradient descent with every promise checked at
every step: the rate, the path, the masks. Then signs over the root of the width and targets of unit size: how large the
radius is beside the residual, at which step a certificate of the network reached so far is first issued, which rate it
promises beside the smallest eigenvalue, and the widths that would do: extrapolated from the radius, and before any draw.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks.benchmarks.common import table
from underdetermined.active_sets import draw_network
from underdetermined.blocks import single_threaded_blas
from underdetermined.objectives import SparseReLU
from underdetermined.sparsity import certify, sparsity_report

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from certificate_runs import DIRECTIONS, at_the_radius, draw_case, draw_rows, train  # noqa: E402

SHARES = (1.0, 1.0, 0.5, 0.1)


def run_promises(runs, steps, widths):
    """Train networks at their radius until so many have been certified, and count broken promises."""
    totals, used, flipped, index = Counter(), [], [], 0
    while totals["certified"] < runs:
        rng = np.random.default_rng([50, index])
        index += 1
        case = draw_case(rng, widths=widths)
        eta = None
        if index % 3 == 0:
            eta = rng.uniform(0.05, 1.05) * certify(case.objective(np.zeros(case.outputs.shape))).max_learning_rate
        found = at_the_radius(case, DIRECTIONS[index % 4], rng, share=SHARES[index % 4], learning_rate=eta)
        if found is None:
            totals["nothing to certify"] += 1
            continue
        residual, certificate = found
        run = train(case, residual, certificate, steps)
        totals["certified"] += certificate.is_certified
        totals["refused below the radius"] += not certificate.is_certified
        for name in ("rates", "masks", "paths"):
            totals[name] += getattr(run, name) > 0
        totals["masks changed"] += run.flips > 0
        used.append(run.path / certificate.budget)
        flipped.append(run.flips)
    rows = [[name, str(totals[name])] for name in (
        "certified", "rates", "masks", "paths", "refused below the radius", "masks changed", "nothing to certify",
    )]  # fmt: skip
    names = {"rates": "violations of the rate", "masks": "violations of the masks", "paths": "violations of the budget"}
    table("runs at the edge of their certificates", ["", "runs"], [[names.get(name, name), count] for name, count in rows])
    quartiles = np.quantile(used, [0.0, 0.25, 0.5, 0.75, 1.0])
    print("share of the budget used, quartiles: " + " ".join(f"{value:.2f}" for value in quartiles))
    print(f"pairs that changed, median of the runs where any did: {np.median([f for f in flipped if f] or [0]):.0f}")


def run_rolling(settings, max_steps, seeds):
    """Train from targets of unit size and ask for a certificate every few steps."""
    rows = []
    for kind, n, d, width, bias in settings:
        hits, radii, ratios, report = [], [], [], None
        for seed in range(seeds):
            rng = np.random.default_rng([60, seed])
            X = draw_rows(kind, n, d, rng)
            y = rng.standard_normal(n)
            y *= np.sqrt(n) / np.linalg.norm(y)
            hidden, coef = draw_network(d, width, bias=bias, seed=seed)
            objective = SparseReLU(X, y, hidden, coef)
            start = certify(objective)
            report = sparsity_report(X, bias, width, targets=y)
            radii.append(start.radius)
            hit = follow(objective, start, max_steps)
            hits.append(np.inf if hit is None else hit[0])
            ratios += [] if hit is None else [hit[1].rate / report.smallest_eigenvalue]
        radius = np.median(radii)
        extrapolated = width * (start.residual_norm / radius) ** 2 if radius > 0.0 else np.inf
        rows.append(
            [
                f"{kind}, n={n}, d={d}, B={bias:g}", str(width), f"{100 * radius / np.sqrt(n):.2f} %",
                f"{sum(np.isfinite(hits))} / {seeds}", f"{np.median(hits):.0f}",
                f"{np.median(ratios):.2f}" if ratios else "-", f"{extrapolated:.1e}", f"{report.width_before_drawing:.1e}",
            ]
        )  # fmt: skip
    header = [
        "rows", "width", "radius / residual", "certified", "step, median", "rate / lambda", "width by radius",
        "before drawing",
    ]  # fmt: skip
    table(f"certificates during training, targets of unit size, at most {max_steps} steps", header, rows)


def follow(objective, start, max_steps):
    """Step and certificate of the first network on the path that has one."""
    theta, eta = objective.initial(), 1.0 / start.largest_eigenvalue
    interval, residual = 5, objective.residual(objective.initial())
    for step in range(max_steps + 1):
        # The radius at the start tells when asking is worth its price.
        if step % interval == 0 and np.linalg.norm(residual) < 2.0 * start.radius:
            here = SparseReLU(objective.X, objective.targets, objective.network(theta), objective.coef)
            found = certify(here)
            if found.is_certified:
                return step, found
            interval = max(5, step // 10)
        theta = theta - eta * objective.gradient(theta)
        residual = objective.residual(theta)
    return None


def main():
    """Run both parts and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=400, help="certified runs of the first part")
    parser.add_argument("--small", action="store_true", help="few runs, to see that it works")
    options = parser.parse_args()
    settings = [
        ("sphere", 8, 8, 2**14, 0.0), ("sphere", 8, 8, 2**14, 1.0), ("sphere", 8, 8, 2**14, 2.0),
        ("sphere", 16, 16, 2**14, 1.5), ("sphere", 12, 4, 2**14, 1.0), ("orthogonal", 16, 16, 2**14, 1.0),
        ("clusters", 8, 8, 2**14, 1.0), ("sphere", 50, 20, 2**14, 1.5),
    ]  # fmt: skip
    with single_threaded_blas():
        if options.small:
            run_promises(5, 30, (200,))
            run_rolling([("sphere", 4, 8, 1024, 1.0)], 100, 1)
        else:
            run_promises(options.runs, 400, (200, 1000, 4000, 16000))
            run_rolling(settings, 1000, 3)


if __name__ == "__main__":
    main()
