"""Hessians made of rows drawn by leverage: error, rate and time: ``python -m benchmarks.softmax_relu_sampling``.

First, the spectral error in the norm of the Hessian over many draws beside the epsilon that was asked for, with the number
of rows drawn, and the error of as many rows drawn evenly. Then Newton steps towards a smooth minimiser: the factor by which
each shrinks the error, beside epsilon / (1 - epsilon). Last, the time of a sampled Hessian beside the exact one, for more
and more outputs; the exact one comes back where a sample would not be small, and its time then includes the attempt.
"""

import argparse
from functools import partial

import numpy as np

from benchmarks.benchmarks.common import side_by_side, table
from underdetermined.blocks import single_threaded_blas
from underdetermined.objectives import SoftmaxReLU
from underdetermined.softmax_relu import sample_size, sampled_hessian
from underdetermined.softmax_relu.newton.trust_region import trust_region_newton
from underdetermined.softmax_relu.sampling.leverage import HessianRows, scores_from_above

FAILURE = 0.1


def draw_point(m, n, d, *, heavy=False, smoothing=0.0, seed=0, **options):
    """A random problem with many outputs at a random point; heavy rows have norms of Student's distribution."""
    rng = np.random.default_rng(seed)
    A1, A2 = rng.standard_normal((n, d)) / d**0.5, rng.standard_normal((m, n)) / n**0.5
    if heavy:
        A2 *= np.abs(rng.standard_t(2, size=(m, 1)))
    objective = SoftmaxReLU(A1, A2, rng.dirichlet(np.full(m, 20.0)), **options)
    return objective.at(rng.standard_normal(d), smoothing)


def relative_errors(hessians, exact):
    """Largest |eigenvalue - 1| of H^-1/2 H~ H^-1/2."""
    values, vectors = np.linalg.eigh(exact)
    kept = values > 1e-10 * values[-1]
    white = vectors[:, kept] / np.sqrt(values[kept])
    return np.array([np.abs(np.linalg.eigvalsh(white.T @ hessian @ white) - 1.0).max() for hessian in hessians])


def run_errors(cases, draws):
    """Error beside epsilon."""
    rows = []
    for name, options in cases:
        point = draw_point(**options)
        exact = point.hessian("clipped")
        found = HessianRows(point, None)
        for epsilon in (0.5, 0.25):
            draw = partial(sampled_hessian, point, epsilon, failure_probability=FAILURE)
            errors = relative_errors((draw(random_state=seed) for seed in range(draws)), exact)
            scores = scores_from_above(found, 0.5 * FAILURE, np.random.default_rng(0))
            size = sample_size(scores.sum(), epsilon, 0.5 * FAILURE, dimension=found.order)
            rng = np.random.default_rng(1)
            even = relative_errors((found.sampled(np.ones(len(found)), size, rng) for _ in range(draws)), exact)
            rows.append([
                name, f"{epsilon:g}", str(len(found)), f"{scores.sum():.1f}", str(size), f"{np.median(errors):.3f}",
                f"{errors.max():.3f}", f"{np.sum(errors > epsilon)} / {draws}", f"{np.median(even):.3f}",
            ])  # fmt: skip
    header = [
        "problem", "epsilon", "rows", "sum of scores", "drawn", "error, median", "largest", "beyond epsilon", "even rows",
    ]  # fmt: skip
    table(f"spectral error in the norm of the Hessian, failures promised below {FAILURE:.0%}", header, rows)


def run_rates(options, epsilons, steps):
    """Factors of Newton steps with sampled Hessians."""
    start = draw_point(**options)
    best = trust_region_newton(start.objective, start.x, smoothing=start.smoothing, gtol=1e-12)
    hessian, rows = best.point.hessian(), []
    for epsilon in epsilons:
        factors = []
        for seed in range(steps):
            rng = np.random.default_rng([2, seed])
            error = 1e-5 * rng.standard_normal(best.x.size)
            point = start.objective.at(best.x + error, start.smoothing)
            after = error - np.linalg.solve(sampled_hessian(point, epsilon, random_state=rng), point.gradient)
            factors.append(np.sqrt((after @ hessian @ after) / (error @ hessian @ error)))
        worst = error - np.linalg.solve((1.0 - epsilon) * point.hessian(), point.gradient)
        attained = np.sqrt((worst @ hessian @ worst) / (error @ hessian @ error))
        rows.append([
            f"{epsilon:g}", f"{np.median(factors):.3f}", f"{max(factors):.3f}", f"{epsilon / (1 - epsilon):.3f}",
            f"{attained:.3f}",
        ])  # fmt: skip
    header = ["epsilon", "factor, median", "largest", "promised", "(1 - epsilon) H in its place"]
    table(f"errors in the norm of the Hessian after one step, {steps} steps", header, rows)


def run_times(shapes, repeats):
    """Sampled beside exact Hessians, single-threaded."""
    rows = []
    for m, n, d in shapes:
        point = draw_point(m, n, d, loss="kl", smoothing=0.1, reg=1e-6)
        contenders = {eps: partial(sampled_hessian, point, eps, random_state=0) for eps in (0.5, 0.25)}
        seconds = side_by_side({"exact": point.hessian, **contenders}, repeats)
        is_exact = np.array_equal(sampled_hessian(point, 0.5, random_state=0), point.hessian())
        rows.append([
            str(m), str(n), str(d), *(f"{1e3 * value:.1f}" for value in seconds.values()),
            "exact" if is_exact else "sampled", f"{seconds['exact'] / seconds[0.5]:.2f}",
        ])  # fmt: skip
    header = ["outputs", "units", "parameters", "exact, ms", "epsilon 0.5", "epsilon 0.25", "returned", "gain at 0.5"]
    table("time of one Hessian, softplus units, the point being computed", header, rows)


def main():
    """Run the three parts and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="few draws, to see that it works")
    small = parser.parse_args().small
    cases = [
        ("even rows", {"m": 20000, "n": 40, "d": 10, "loss": "kl"}),
        ("heavy rows", {"m": 20000, "n": 40, "d": 10, "loss": "kl", "heavy": True}),
        ("squared loss", {"m": 50000, "n": 20, "d": 5, "loss": "squared"}),
        ("penalty", {"m": 20000, "n": 40, "d": 10, "loss": "kl", "reg": 0.01}),
        ("softplus", {"m": 60000, "n": 40, "d": 30, "loss": "kl", "smoothing": 0.1}),
    ]
    shapes = [(10000, 20, 5), (100000, 20, 5), (100000, 20, 20), (400000, 20, 20), (100000, 100, 50), (300000, 100, 50)]
    with single_threaded_blas():
        run_errors(cases[:2] if small else cases, 5 if small else 100)
        rates = {"m": 20000, "n": 15, "d": 8, "loss": "kl", "reg": 1e-4, "smoothing": 0.1}
        run_rates(rates, (0.5,) if small else (0.45, 0.3, 0.2), 3 if small else 100)
        run_times(shapes[:2] if small else shapes, 2 if small else 5)


if __name__ == "__main__":
    main()
