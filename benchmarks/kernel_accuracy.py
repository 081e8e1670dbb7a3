"""Infinite-width kernels against multiple precision, and random layers against the kernels.

``python -m benchmarks.kernel_accuracy [--pairs 60] [--activations relu tanh ...] [--convergence] [--jobs 1] [--seed 0]``

The first table has the largest errors over random pairs of rows of all the kinds in ``tests/kernel_pairs.py``: relative to
the geometric mean of the diagonal entries, against at least 30 digits. Pairs with errors beyond 1e-12 are printed below. The
second has the slope of the error of finite layers against their width, on logarithmic scales: theory says -1/2.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import joblib
import numpy as np

from benchmarks.benchmarks.common import table
from underdetermined import FeatureMap
from underdetermined.activations import names
from underdetermined.gram import gram_matrix, ntk_matrix
from underdetermined.kernels import nngp_kernel, ntk_kernel
from underdetermined.weights import sample_gaussian

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from kernel_oracle import reference  # noqa: E402
from kernel_pairs import KINDS, row_pairs  # noqa: E402

FAMILIES = ("leaky_relu(0.3)", "shifted_relu(-0.7)", "geometric_hermite(0.8, 5)")
LIMITS = {"exp": 12.0}
TOLERANCE = 1e-12
# Of these the squared features have tails so heavy that their averages settle only at small pre-activations.
HEAVY = ("exp", "hermite", "geometric_hermite(0.8, 5)")
WIDTHS = 2 ** np.arange(8, 17)
N_SEEDS = 32


def pair_errors(activation, pair, check):
    """Errors of both kernels for one pair: the worst of a rectangular call and of the symmetric one, diagonal included."""
    options = {"weight_scale": pair.weight_scale, "bias_scale": pair.bias_scale}
    expected = reference(activation, pair.x, pair.z, **options, check=check)
    scales = [float(expected.nngp_scale), float(expected.ntk_scale)]
    both = np.stack([pair.x, pair.z])
    errors = []
    for kernel, exact, scale in zip((nngp_kernel, ntk_kernel), (expected.nngp, expected.ntk), scales, strict=True):
        try:
            alone = kernel(pair.x[np.newaxis], pair.z[np.newaxis], activation=activation, **options)[0, 0]
            square = kernel(both, activation=activation, **options)
        except (ArithmeticError, ValueError) as error:
            print(f"{activation}, {pair}: {error}", flush=True)
            errors.append(np.inf)
            continue
        diagonal = abs(np.sqrt(square[0, 0]) * np.sqrt(square[1, 1]) - scale)
        entries = max(abs(float(value - exact)) for value in (alone, square[0, 1], square[1, 0]))
        worst = np.max([entries, diagonal])
        errors.append(worst / scale if scale else np.inf * bool(worst) if worst else 0.0)
    return errors


def accuracy(activation, count, seed, check_every):
    """Largest errors of one activation by kind of pair, and the pairs beyond the tolerance."""
    errors, failures = defaultdict(list), []
    pairs = row_pairs(np.random.default_rng(seed), count, limit=LIMITS.get(activation, np.inf))
    for i, pair in enumerate(pairs):
        found = pair_errors(activation, pair, i % check_every == 0)
        errors[pair.kind].append(found)
        if not max(found) <= TOLERANCE:
            failures.append(f"{activation}, {pair}: errors {found[0]:.1e} and {found[1]:.1e}")
    return {kind: np.max(values, axis=0) for kind, values in errors.items()}, failures


def compare_accuracy(activations, count, seed, jobs, check_every):
    """Print the table of largest errors."""
    results = joblib.Parallel(jobs)(joblib.delayed(accuracy)(name, count, seed, check_every) for name in activations)
    rows = []
    for name, (errors, _) in zip(activations, results, strict=True):
        nngp, ntk = np.max(list(errors.values()), axis=0)
        hardest = max(errors, key=lambda kind: errors[kind].max())
        rows.append([name, f"{nngp:.1e}", f"{ntk:.1e}", hardest])
    header = ["activation", "nngp_kernel", "ntk_kernel", "hardest pairs"]
    table(f"largest error of {count} pairs ({len(KINDS)} kinds), relative to the diagonal", header, rows)
    failures = [text for _, failed in results for text in failed]
    print(f"\n{len(failures)} pairs beyond {TOLERANCE:.0e}", *failures, sep="\n")
    return not failures


def width_errors(activation, seed):
    """Root mean square errors of the Gram matrix and of the tangent kernel of random layers, one for each width."""
    n, d, size = 12, 3, 0.3 if activation in HEAVY else 1.0
    weight_scale, bias_scale = 0.4 * size, 0.5 * size
    X = np.random.default_rng(seed).standard_normal((n, d))
    options = {"activation": activation, "weight_scale": weight_scale, "bias_scale": bias_scale}
    limits = nngp_kernel(X, **options), ntk_kernel(X, **options)
    squares = np.zeros((2, len(WIDTHS)))
    for i, width in enumerate(WIDTHS):
        for draw in range(N_SEEDS):
            number = (seed * len(WIDTHS) + i) * N_SEEDS + draw
            weights, biases = sample_gaussian(d, int(width), seed=number)
            hidden = FeatureMap(weight_scale * weights, bias_scale * biases, activation=activation)
            coef = np.random.default_rng(number).standard_normal(width)
            matrices = gram_matrix(hidden(X)), ntk_matrix(hidden, X, coef)
            squares[:, i] += [np.mean((got - limit) ** 2) for got, limit in zip(matrices, limits, strict=True)]
    return np.sqrt(squares / N_SEEDS)


def slope(errors):
    """Least-squares slope of log error against log width."""
    return np.polyfit(np.log(WIDTHS), np.log(errors), 1)[0]


def compare_widths(activations, seed, jobs):
    """Print the table of slopes."""
    results = joblib.Parallel(jobs)(joblib.delayed(width_errors)(name, seed) for name in activations)
    rows = []
    for name, (gram, ntk) in zip(activations, results, strict=True):
        cells = [f"{gram[0]:.1e}", f"{gram[-1]:.1e}", f"{slope(gram):.3f}"]
        rows.append([name, *cells, f"{ntk[0]:.1e}", f"{ntk[-1]:.1e}", f"{slope(ntk):.3f}"])
    first, last = WIDTHS[[0, -1]]
    header = ["activation", f"Gram, m={first}", f"m={last}", "slope", f"NTK, m={first}", f"m={last}", "slope"]
    table(f"root mean square error of {N_SEEDS} layers of each width", header, rows)


def main():
    """Print the tables asked for; exit with 1 if an error is beyond the tolerance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--activations", nargs="+", default=[*names(), *FAMILIES])
    parser.add_argument("--pairs", type=int, default=3 * len(KINDS), help="pairs for each activation")
    parser.add_argument("--convergence", action="store_true", help="the table of slopes instead of the table of errors")
    parser.add_argument("--check-every", type=int, default=10, help="every how many pairs the reference checks itself")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.convergence:
        compare_widths(options.activations, options.seed, options.jobs)
        return
    is_accurate = compare_accuracy(options.activations, options.pairs, options.seed, options.jobs, options.check_every)
    sys.exit(0 if is_accurate else 1)


if __name__ == "__main__":
    main()
