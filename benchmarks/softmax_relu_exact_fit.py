"""Softmax-ReLU regression with free hidden values: ``python -m benchmarks.softmax_relu_exact_fit``.

First, exact fits: on random problems of several shapes (hidden units, shares, parameters), whether a fit is found wherever
non-negative least squares and a linear program say that there is one, how exact it is after the lift to x, how much shorter
the returned x is than the pseudo-inverse's, and how often fits exist beside the binomial tail. Then divergences without an
exact fit: the value beside that of a general bound-constrained solver, the duality gap, Hessians and seconds. Last, squared
losses: how they end.
"""

import argparse
from collections import Counter
from time import perf_counter

import numpy as np
from scipy.optimize import linprog, minimize, nnls

from benchmarks.benchmarks.common import table
from underdetermined.blocks import single_threaded_blas
from underdetermined.objectives import SoftmaxReLU
from underdetermined.softmax_relu import exact_fit, exact_fit_probability, solve_free_hidden

SHAPES = [(4, 3, 6), (8, 5, 8), (6, 6, 9), (14, 8, 20), (20, 20, 25), (40, 21, 40), (80, 41, 100), (120, 60, 200)]


def draw(seed, shape, zeros=0):
    """Draw Gaussian layers and Dirichlet shares, some of them 0."""
    n, m, d = shape
    rng = np.random.default_rng([110, n, m, d, seed])
    b = np.where(np.arange(m) < zeros, 0.0, rng.dirichlet(np.ones(m)))
    return rng.standard_normal((n, d)) / np.sqrt(d), 2.0 * rng.standard_normal((m, n)) / np.sqrt(n), b / b.sum()


def says_program(A2, b):
    """Feasibility of A2 h + tau = log b, h >= 0."""
    m, n = A2.shape
    bounds = [(0.0, None)] * n + [(None, None)]
    return linprog(np.zeros(n + 1), A_eq=np.hstack([A2, np.ones((m, 1))]), b_eq=np.log(b), bounds=bounds).status == 0


def says_nnls(A2, b):
    """Whether the residual of non-negative least squares is small."""
    return nnls(A2 - A2.mean(axis=0), np.log(b) - np.log(b).mean())[1] <= 1e-9


def run_fits(shapes, runs):
    """Compare exact fits with two other answers and with the binomial tail."""
    rows = []
    for shape in shapes:
        n, m, _ = shape
        hits, disagreements, undecided, worst, shorter = 0, 0, 0, 0.0, []
        for seed in range(runs):
            A1, A2, b = draw(seed, shape)
            found = exact_fit(A2, b)
            hits += found.exists
            undecided += not found.is_decided
            disagreements += (found.exists != says_program(A2, b)) + (found.exists != says_nnls(A2, b))
            if found.exists:
                solution = solve_free_hidden(SoftmaxReLU(A1, A2, b))
                worst = max(worst, solution.value)
                shorter.append(np.linalg.norm(solution.x) / np.linalg.norm(np.linalg.pinv(A1) @ solution.hidden))
        expected = exact_fit_probability(n, m)
        deviation = np.sqrt(expected * (1.0 - expected) / runs)
        rows.append(
            [
                str(shape), f"{hits} / {runs}", f"{expected:.3f}", f"{(hits / runs - expected) / deviation:+.1f}",
                str(disagreements), str(undecided), f"{worst:.0e}", f"{np.median(shorter or [1.0]):.2f}",
            ]
        )  # fmt: skip
    header = ["n, m, d", "fits", "binomial", "deviations", "disagreements", "undecided", "largest loss", "|x| / |pinv h|"]
    table("exact fits, beside a linear program and non-negative least squares", header, rows)


def by_projection(A2, b):
    """Bound-constrained minimum of the divergence in h, by L-BFGS-B."""
    kept = b > 0.0

    def value(h):
        logits = A2 @ h
        shifted = logits - logits.max()
        log_fitted = shifted - np.log(np.exp(shifted).sum())
        return np.sum(b[kept] * (np.log(b[kept]) - log_fitted[kept])), A2.T @ (np.exp(log_fitted) - b)

    n = A2.shape[1]
    options = {"ftol": 1e-16, "gtol": 1e-12, "maxiter": 20000, "maxfun": 50000}
    return minimize(value, np.full(n, 0.1), jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * n, options=options).fun


def run_divergences(shapes, runs):
    """Compare global minima with a general solver, with all shares positive and with some 0."""
    rows = []
    for shape in shapes:
        for zeros in (0, shape[1] // 3):
            excess, gaps, hessians, seconds, other, ends = [], [], [], [], [], Counter()
            for seed in range(runs):
                A1, A2, b = draw(1000 + seed, shape, zeros)
                objective = SoftmaxReLU(A1, A2, b, loss="kl")
                start = perf_counter()
                found = solve_free_hidden(objective)
                seconds.append(perf_counter() - start)
                ends[found.status.name if found.is_attained else "not attained"] += 1
                start = perf_counter()
                excess.append(found.value - by_projection(A2, b))
                other.append(perf_counter() - start)
                gaps.append(found.gap)
                hessians.append(found.n_hessian)
            rows.append(
                [
                    str(shape), str(zeros), f"{min(excess):.0e}", f"{max(excess):.0e}", f"{max(gaps):.0e}",
                    str(max(hessians)), f"{1e3 * np.median(seconds):.1f}", f"{1e3 * np.median(other):.1f}",
                    ", ".join(f"{name} {count}" for name, count in sorted(ends.items())),
                ]
            )  # fmt: skip
    header = ["n, m, d", "zeros", "least excess", "most", "gap", "Hessians", "ms", "L-BFGS-B, ms", "ends"]
    table("divergences: value less that of L-BFGS-B in h", header, rows)


def run_squares(shapes, runs):
    """Count how squared losses end."""
    rows = []
    for shape in shapes:
        ends, seconds = Counter(), []
        for seed in range(runs):
            objective = SoftmaxReLU(*draw(2000 + seed, shape))
            start = perf_counter()
            ends[solve_free_hidden(objective).status.name] += 1
            seconds.append(perf_counter() - start)
        rows.append([str(shape), f"{1e3 * np.median(seconds):.1f}", ", ".join(f"{k} {v}" for k, v in sorted(ends.items()))])
    table("squared losses, seven starts", ["n, m, d", "ms", "ends"], rows)


def main():
    """Run all parts and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="problems of each shape")
    parser.add_argument("--small", action="store_true", help="few problems, to see that it works")
    options = parser.parse_args()
    shapes, runs = (SHAPES[:3], 10) if options.small else (SHAPES, options.runs)
    with single_threaded_blas():
        run_fits(shapes, runs)
        run_divergences(shapes, max(runs // 5, 2))
        run_squares(shapes, max(runs // 5, 2))


if __name__ == "__main__":
    main()
