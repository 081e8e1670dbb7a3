"""Do certificates of exponential networks keep their promises, and how strict are they?

Run ``python -m benchmarks.exponential_certificate``.

First, networks of all kinds (rows, last layers, outputs, weights, scales, row shifts) are given targets that put them
exactly where certificates end, or at a share of it, and trained by plain NumPy gradient descent with every promise
checked at every step: the rate, the path of all weights, of every neuron and of every exponent, and the number of steps
to 1e-8. Then paired networks on targets of unit size: the step of gradient descent at which a certificate of the
network reached so far is first issued. Then widths: at which gradient descent works, at which the certificate is
issued, and at which it would be with constants that hold for a whole ball instead of along the path, where |J| and the
curvature are taken at their largest: that asks for 2 x_max b |rho| / sigma^2 below (sqrt(2) - 1) exp(1 - sqrt(2)) / 2.
Last, what a certificate costs beside one step.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.benchmarks.common import table
from underdetermined.blocks import single_threaded_blas
from underdetermined.exponential import certify, draw_network
from underdetermined.exponential._growth import measure_growth
from underdetermined.objectives import Exponential

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from exponential_certificate_runs import DIRECTIONS, at_the_boundary, draw_case, draw_rows, train  # noqa: E402

SHARES, AGAIN = (1.0, 0.5, 1.0, 0.05), 30
BALL = 0.5 * (2.0**0.5 - 1.0) * np.exp(1.0 - 2.0**0.5)
QUARTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


def quartiles(values):
    """Five numbers as text."""
    return [f"{value:.3g}" for value in np.quantile(values, QUARTILES)]


def run_promises(runs, steps, widths):
    """Train networks at the end of their certificates until so many have been certified, and count broken promises."""
    totals, found_runs, index = Counter(), [], 0
    while totals["certified"] < runs:
        rng = np.random.default_rng([70, index])
        case = draw_case(rng, widths=widths, n_outputs=(1, 3))
        relative = rng.uniform(0.02, 1.95) if index % 3 == 0 else None
        share = SHARES[index % 4]
        found = at_the_boundary(case, DIRECTIONS[index // 4 % 4], rng, share=share, relative_step=relative)
        index += 1
        if found is None:
            totals["nothing to certify"] += 1
            continue
        residual, certificate = found
        run = train(case, residual, certificate, steps, tol=1e-8)
        totals["certified"] += 1
        totals["exactly at the end"] += share == 1.0
        totals["steps beyond 1 / |J|^2"] += certificate.relative_step > 1.0 + 1e-9
        totals["three outputs"] += case.coef.shape[1] == 3
        totals["weights"] += len(set(case.weight)) > 1
        for name in ("rates", "paths", "neurons", "exponents"):
            totals[f"broken: {name}"] += getattr(run, name) > 0
        predicted = certificate.n_steps(1e-8)
        totals["broken: steps to 1e-8"] += run.final > 1e-8 and run.steps >= predicted
        found_runs.append((certificate, run, predicted, later(case.objective(residual), certificate)))
    names = (
        "certified", "exactly at the end", "steps beyond 1 / |J|^2", "three outputs", "weights", "broken: rates",
        "broken: paths", "broken: neurons", "broken: exponents", "broken: steps to 1e-8", "nothing to certify",
    )  # fmt: skip
    table("runs at the end of their certificates", ["", "runs"], [[name, str(totals[name])] for name in names])
    rows = [
        [f"{name} over its bound", *quartiles([getattr(run, name) for _, run, _, _ in found_runs])]
        for name in ("path", "neuron", "exponent")
    ]
    done = [(c.h, run.steps, predicted, again) for c, run, predicted, again in found_runs if run.final <= 1e-8]
    for name, low, high in (("h > 0.9", 0.9, 1.0), ("0.3 < h < 0.9", 0.3, 0.9), ("h < 0.3", 0.0, 0.3)):
        chosen = [steps / np.array([first, again]) for h, steps, first, again in done if low <= h < high]
        for which, column in zip(("", f", asked again at {AGAIN} steps"), np.transpose(chosen), strict=bool(chosen)):
            rows.append([f"steps to 1e-8 over predicted, {name}, {len(chosen)} runs{which}", *quartiles(column)])
    table("how close", ["", "least", "25 %", "median", "75 %", "most"], rows)


def later(objective, certificate):
    """Steps to 1e-8 that a certificate predicts which is asked for after some of them."""
    theta = objective.initial()
    for _ in range(AGAIN):
        theta = theta - certificate.learning_rate * objective.gradient(theta)
    again = certify(objective, theta, learning_rate=certificate.learning_rate)
    goal = 1e-8 * certificate.residual_norm
    return AGAIN + (again.n_steps(goal / again.residual_norm) if goal < again.residual_norm else 0)


def unit_problem(kind, n, d, norm, seed):
    """Rows and targets of unit size."""
    rng = np.random.default_rng([80, seed])
    X = draw_rows(kind, n, d, rng)
    X *= norm / np.sqrt(np.mean(np.sum(X**2, axis=1)))
    y = rng.standard_normal(n)
    return X, y * np.sqrt(n) / np.linalg.norm(y)


def run_rolling(settings, max_steps, seeds):
    """Train from targets of unit size and ask for a certificate every few steps."""
    rows = []
    for kind, n, d, norm, width in settings:
        hits, shares, ratios, starts = [], [], [], []
        for seed in range(seeds):
            X, y = unit_problem(kind, n, d, norm, seed)
            hidden, coef = draw_network(d, width, seed=seed)
            objective = Exponential(X, y, hidden, coef)
            start = certify(objective)
            starts.append(start.h)
            hit = follow(objective, max_steps)
            hits.append(np.inf if hit is None else hit[0])
            shares += [] if hit is None else [hit[1].residual_norm / start.residual_norm]
            ratios += [] if hit is None else [hit[1].distance / hit[2] if hit[2] else np.inf]
        rows.append(
            [
                f"{kind}, n={n}, d={d}, norm {norm:g}", str(width), f"{np.median(starts):.3g}",
                f"{sum(np.isfinite(hits))} / {seeds}", f"{np.median(hits):.0f}", f"{max(hits):.0f}",
                f"{np.median(shares):.2g}" if shares else "-", f"{np.median(ratios):.2g}" if ratios else "-",
            ]
        )  # fmt: skip
    header = [
        "rows", "width", "h, start", "certified", "step, median", "last", "|rho| / start", "distance ahead / behind",
    ]  # fmt: skip
    table(f"certificates during training, targets of unit size, at most {max_steps} steps", header, rows)


def follow(objective, max_steps):
    """Step and certificate of the first network on the path that has one, and how far it has moved."""
    theta = objective.initial()
    start, interval = theta, 1
    for step in range(max_steps + 1):
        if step % interval == 0:
            found = certify(objective, theta)
            if found.is_certified:
                return step, found, float(np.linalg.norm(theta - start))
            eta = 0.9 / found.largest_singular_value**2
            interval = max(1, step // 20)
        theta = theta - eta * objective.gradient(theta)
    return None


def ball_ratio(objective, found):
    """h over its limit for constants that hold in a ball, steps of one over the largest Hessian."""
    hidden = objective.feature_map
    b = measure_growth(objective.X, objective.sample_weight, hidden, objective.output_weights).gradient
    reach = float(np.linalg.norm(objective.X, axis=1).max())
    return 2.0 * reach * b * found.residual_norm / found.smallest_singular_value**2 / BALL


def trains(objective, max_steps):
    """Whether gradient descent reaches a loss of 1e-8 of the first."""
    theta = objective.initial()
    first = objective.value(theta)
    for step in range(max_steps):
        if step % 10 == 0:
            jacobian = np.linalg.eigvalsh(objective.linearize(theta).gram())[-1]
        value, gradient = objective.value_and_gradient(theta)
        if not np.isfinite(value):
            return False
        if value <= 1e-8 * first:
            return True
        theta = theta - 0.5 / jacobian * gradient
    return False


def run_widths(settings, seeds, largest, max_steps):
    """Widths at which gradient descent works, and at which certificates are issued."""
    rows = []
    for kind, n, d, norm in settings:
        for seed in range(seeds):
            X, y = unit_problem(kind, n, d, norm, seed)

            def objective(width, X=X, y=y, d=d, seed=seed):
                return Exponential(X, y, *draw_network(d, width, seed=seed))

            works = next((m for m in range(2, 400, 2) if trains(objective(m), max_steps)), np.inf)
            grid = [2 * round(m / 2) for m in np.geomspace(64, largest, 60)]
            issued = next((m for m in grid if certify(objective(m)).is_certified), np.inf)
            widest = objective(grid[-1])
            ratio = ball_ratio(widest, certify(widest))
            ball = grid[-1] * ratio**2
            name = f"{kind}, n={n}, d={d}, norm {norm:g}, seed {seed}"
            rows.append([name, f"{works}", f"{issued:.2e}", f"{ball:.2e}", f"{ball / issued:.0f}"])
    header = ["rows", "descent works", "certified from", "for a ball, extrapolated", "ratio"]
    table("widths, paired start, targets of unit size", header, rows)


def run_cost(sizes):
    """Time of a certificate beside its parts."""
    rows = []
    for n, d, width in sizes:
        X, y = unit_problem("sphere", n, d, 0.9, 0)
        objective = Exponential(X, y, *draw_network(d, width))
        theta = objective.initial()

        def seconds(task):
            times = []
            for _ in range(3):
                start = perf_counter()
                task()
                times.append(perf_counter() - start)
            return min(times)

        step = seconds(lambda objective=objective, theta=theta: objective.value_and_gradient(theta))
        gram = seconds(lambda objective=objective, theta=theta: np.linalg.eigvalsh(objective.linearize(theta).gram()))
        whole = seconds(lambda objective=objective: certify(objective))
        rows.append([f"n={n}, d={d}, m={width}", f"{whole:.3f} s", f"{whole / step:.1f}", f"{whole / gram:.2f}"])
    table("cost of a certificate", ["problem", "time", "over one step", "over Gram matrix and eigenvalues"], rows)


def main():
    """Run all parts and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300, help="certified runs of the first part")
    parser.add_argument("--small", action="store_true", help="few runs, to see that it works")
    options = parser.parse_args()
    settings = [
        ("sphere", 6, 5, 0.8, 300), ("sphere", 6, 5, 0.8, 3000), ("sphere", 12, 8, 0.9, 1000), ("norms", 8, 6, 0.8, 1000),
        ("clusters", 8, 6, 0.8, 1000), ("near pair", 6, 6, 0.9, 1000), ("orthogonal", 16, 16, 0.9, 2000),
        ("sphere", 40, 12, 1.0, 4000),
    ]  # fmt: skip
    with single_threaded_blas():
        if options.small:
            run_promises(6, 60, (200,))
            run_rolling([("sphere", 4, 5, 0.8, 200)], 100, 1)
            run_widths([("sphere", 3, 4, 0.6)], 1, 20_000, 100)
            run_cost([(20, 5, 500)])
        else:
            run_promises(options.runs, 5000, (200, 1000, 4000))
            run_rolling(settings, 2000, 4)
            run_widths([("sphere", 4, 5, 0.8), ("sphere", 8, 8, 0.8), ("orthogonal", 8, 8, 0.8)], 3, 200_000, 3000)
            run_cost([(100, 10, 2000), (400, 10, 10_000), (400, 60, 10_000), (1500, 20, 20_000)])


if __name__ == "__main__":
    main()
