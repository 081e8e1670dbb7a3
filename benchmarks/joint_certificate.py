"""Do certificates of joint training keep their promises, and how strict are they?

Run ``python -m benchmarks.joint_certificate``.

First, two-layer networks of all kinds (activations, initialisations, outputs, biases, weights, scales, layers) are given
targets that put them exactly where certificates end, or at a share of it, and trained by plain NumPy gradient descent with
every promise checked at every step: the rate, the path and the constant of Polyak and Lojasiewicz; then by undamped
Gauss-Newton steps from the same start, against the bounds of every step. Then widths: at which gradient descent works, at
which the certificate is issued, at which it would be with the constants of a whole ball, and before any weights are drawn.
Then the step of gradient descent at which a network that was refused is first certified. Last, what a certificate costs
beside one step.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.benchmarks.common import table
from underdetermined.blocks import single_threaded_blas
from underdetermined.joint import PLPath, certify, certify_a_priori, draw_network
from underdetermined.objectives import TwoLayer
from underdetermined.optimize import gradient_descent

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from joint_certificate_runs import DIRECTIONS, at_the_boundary, draw_case, newton, train  # noqa: E402

SHARES, QUARTILES = (1.0, 0.5, 1.0, 0.05), (0.0, 0.25, 0.5, 0.75, 1.0)


def quartiles(values):
    """Five numbers as text."""
    return [f"{value:.3g}" for value in np.quantile(values, QUARTILES)]


def run_promises(runs, steps, widths):
    """Train networks at the end of their certificates until so many have been certified, and count broken promises."""
    totals, found_runs, kinds, index = Counter(), [], Counter(), 0
    while totals["certified"] < runs:
        rng = np.random.default_rng([170, index])
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
        ratio, path = newton(case, residual, certificate)
        is_bent = certificate.curvature > 0.0
        totals["certified"] += 1
        totals["exactly at the end"] += share == 1.0 and is_bent
        totals["steps beyond 1 / |J|^2"] += certificate.relative_step > 1.0 + 1e-9
        totals["three outputs"] += case.coef.shape[1] == 3
        totals["weights"] += len(set(case.weight)) > 1
        totals["biases"] += case.feature_map.biases is not None
        totals["one scale for each neuron"] += np.ndim(case.feature_map.scale) > 0
        totals[f"layers: {case.layers}"] += 1
        kinds[case.feature_map.activation.name] += 1
        for name in ("rates", "paths", "constants"):
            totals[f"broken: {name}"] += getattr(run, name) > 0
        predicted = certificate.n_steps(1e-8)
        totals["broken: steps to 1e-8"] += run.final > 1e-8 and run.steps >= predicted
        totals["broken: Gauss-Newton residuals"] += ratio > 1.0 + 1e-6
        totals["broken: Gauss-Newton paths"] += path > 1.0 + 1e-9
        if is_bent:
            found_runs.append((certificate.h, run, predicted, ratio, path))
    names = (
        "certified", "exactly at the end", "steps beyond 1 / |J|^2", "three outputs", "weights", "biases",
        "one scale for each neuron", "layers: both", "layers: hidden", "layers: last", "broken: rates", "broken: paths",
        "broken: constants", "broken: steps to 1e-8", "broken: Gauss-Newton residuals", "broken: Gauss-Newton paths",
        "nothing to certify",
    )  # fmt: skip
    table("runs at the end of their certificates", ["", "runs"], [[name, str(totals[name])] for name in names])
    table("activations", ["", "runs"], [[name, str(count)] for name, count in sorted(kinds.items())])
    rows = [
        ["path over its bound", *quartiles([run.path for _, run, _, _, _ in found_runs])],
        ["|gradient|^2 / (2 loss) over its bound", *quartiles([run.constant for _, run, _, _, _ in found_runs])],
        ["Gauss-Newton residual over its bound, largest", *quartiles([ratio for *_, ratio, _ in found_runs])],
        ["Gauss-Newton path over its bound", *quartiles([path for *_, path in found_runs])],
    ]
    for name, low, high in (("h > 0.9", 0.9, 1.0), ("h < 0.9", 0.0, 0.9)):
        shares = [run.steps / steps for h, run, steps, *_ in found_runs if run.final <= 1e-8 and low <= h < high]
        rows.append([f"steps to 1e-8 over predicted, {name}, {len(shares)} runs", *quartiles(shares or [np.nan])])
    table("how close, last layers alone left out", ["", "least", "25 %", "median", "75 %", "most"], rows)


def unit_problem(n, d, seed):
    """Rows of norm sqrt(d) and targets of unit size."""
    rng = np.random.default_rng([180, seed])
    X = rng.standard_normal((n, d))
    y = rng.standard_normal(n)
    return X * np.sqrt(d) / np.linalg.norm(X, axis=1, keepdims=True), y * np.sqrt(n) / np.linalg.norm(y)


def trains(objective, max_steps):
    """Whether gradient descent reaches a loss of 1e-8 of the first."""
    run = gradient_descent(objective, objective.initial(), learning_rate="auto", max_iter=max_steps, tol=1e-8)
    return run.value[-1] <= 1e-8 * run.value[0]


def ball_share(found):
    """h over 1 for constants that hold in a whole ball and steps of one over the largest Hessian: 8 beta |rho| / sigma^2."""
    return 8.0 * found.curvature * found.residual_norm / found.smallest_singular_value**2


def run_widths(settings, seeds, largest, max_steps):
    """Widths at which gradient descent works, and at which certificates are issued."""
    rows = []
    for activation, output, n, d in settings:
        for seed in range(seeds):
            X, y = unit_problem(n, d, seed)

            def objective(width, X=X, y=y, seed=seed, activation=activation, output=output):
                network = draw_network(X.shape[1], width, activation=activation, output=output, seed=seed)
                return TwoLayer(X, y, *network)

            works = next((m for m in range(2, 400, 2) if trains(objective(m), max_steps)), np.inf)
            grid = [2 * round(m / 2) for m in np.geomspace(2 * n, largest, 50)]
            found = [certify(objective(m)) for m in grid]
            issued = next((m for m, each in zip(grid, found, strict=True) if each.is_certified), np.inf)
            ball = next((m for m, each in zip(grid, found, strict=True) if ball_share(each) < 1.0), np.inf)
            needed = found[next((i for i, each in enumerate(found) if np.isfinite(each.width_needed)), -1)].width_needed
            before = certify_a_priori(X, y, activation=activation, output=output)
            name = f"{activation}, {output}, n={n}, d={d}, seed {seed}"
            width = f"{before.width}" if before.is_certified else "-"
            rows.append([name, f"{works}", f"{issued}", f"{ball}", f"{needed:.0f}", width])
    header = ["network", "descent works", "certified from", "with a ball", "extrapolated from the first", "before drawing"]
    table("widths, LeCun, targets of unit size", header, rows)


def run_a_priori(settings, draws):
    """Draws at the width that is certified before weights are drawn."""
    rows = []
    for activation, output, n, d, k, bias_scale in settings:
        X, y = unit_problem(n, d, 7)
        targets = np.column_stack([y] * k)
        options = {"activation": activation, "output": output, "bias_scale": bias_scale}
        before = certify_a_priori(X, targets, **options)
        broken, shares = 0, []
        for seed in range(draws):
            found = certify(TwoLayer(X, targets, *draw_network(d, before.width, k, **options, seed=seed)))
            broken += not found.is_certified
            broken += found.smallest_singular_value < before.smallest_singular_value
            broken += found.largest_singular_value > before.largest_singular_value * (1.0 + 1e-9)
            shares.append(found.h)
        name = f"{activation}, {output}, n={n}, d={d}, k={k}, bias scale {bias_scale}"
        rows.append([name, str(before.width), f"{before.epsilon:.2f}", f"{broken} / {draws}", f"{np.median(shares):.2f}"])
    header = ["network", "width", "eigenvalue lost", "broken by draws", "h of the draws, median"]
    table("certified before drawing, failure probability 0.1", header, rows)


def run_rolling(settings, max_steps, seeds):
    """Train from targets of unit size and ask for a certificate every few steps."""
    rows = []
    for activation, n, d, width in settings:
        firsts, starts = [], []
        for seed in range(seeds):
            X, y = unit_problem(n, d, seed)
            objective = TwoLayer(X, y, *draw_network(d, width, activation=activation, seed=seed))
            path = PLPath(objective, every=10)
            gradient_descent(
                objective, objective.initial(), learning_rate="auto", max_iter=max_steps, tol=1e-24,
                callback=lambda step, theta, path=path: path(step, theta) or path.first_certified is not None,
            )  # fmt: skip
            starts.append(path.certificates[0].h)
            firsts.append(np.inf if path.first_certified is None else path.first_certified)
        found = f"{sum(np.isfinite(firsts))} / {seeds}"
        name = f"{activation}, n={n}, d={d}, m={width}"
        rows.append([name, f"{np.median(starts):.3g}", found, f"{np.median(firsts):.0f}", f"{max(firsts):.0f}"])
    header = ["network", "h, start", "certified", "step, median", "last"]
    table(f"certificates during training, random outputs, at most {max_steps} steps", header, rows)


def run_cost(sizes):
    """Time of a certificate beside its parts."""
    rows = []
    for n, d, width, k in sizes:
        X, y = unit_problem(n, d, 0)
        objective = TwoLayer(X, np.column_stack([y] * k), *draw_network(d, width, k))
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
        rows.append([f"n={n}, d={d}, m={width}, k={k}", f"{whole:.3f} s", f"{whole / step:.1f}", f"{whole / gram:.2f}"])
    table("cost of a certificate", ["problem", "time", "over one step", "over tangent matrix and eigenvalues"], rows)


def main():
    """Run all parts and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=300, help="certified runs of the first part")
    parser.add_argument("--small", action="store_true", help="few runs, to see that it works")
    options = parser.parse_args()
    with single_threaded_blas():
        if options.small:
            run_promises(6, 60, (100,))
            run_widths([("tanh", "zero", 3, 4)], 1, 5000, 300)
            run_a_priori([("erf", "zero", 3, 4, 1, None)], 2)
            run_rolling([("tanh", 4, 5, 100)], 50, 1)
            run_cost([(20, 5, 200, 2)])
        else:
            run_promises(options.runs, 800, (60, 250, 1000))
            run_widths(
                [(f, o, 8, 6) for f in ("tanh", "gelu") for o in ("random", "zero", "paired")] + [("tanh", "zero", 12, 6)],
                3, 50_000, 3000,
            )  # fmt: skip
            run_a_priori(
                [
                    ("tanh", "zero", 4, 4, 1, None), ("erf", "paired", 4, 4, 1, None), ("gelu", "zero", 4, 4, 1, None),
                    ("tanh", "paired", 6, 6, 1, 0.0), ("sin", "random", 6, 6, 3, 1.0), ("softplus", "zero", 4, 8, 1, 1.0),
                    ("gaussian", "zero", 4, 4, 3, 1.0), ("gelu", "paired", 6, 6, 1, None),
                ],
                25,
            )  # fmt: skip
            run_rolling(
                [
                    ("tanh", 12, 6, 100), ("tanh", 12, 6, 400), ("gelu", 12, 6, 400), ("erf", 24, 8, 1000),
                    ("silu", 24, 8, 1000),
                ],
                2000, 4,
            )  # fmt: skip
            run_cost([(100, 10, 2000, 1), (400, 10, 4000, 1), (200, 10, 2000, 3), (1000, 20, 4000, 1)])


if __name__ == "__main__":
    main()
