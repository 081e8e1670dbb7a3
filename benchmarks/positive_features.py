"""Positive random features: their variance by formula and by simulation, and what they cost beside the exact kernels.

``python -m benchmarks.positive_features [--small] [--seed 0]``

The first table has the relative variance of a kernel entry times the number of features, by its s = |x + z|^2. Simulated
numbers come with their standard errors, from groups of neurons that are independent of each other; beyond s = log(groups)
/ 4 a variance of lognormal variables cannot be measured so, and a dash stands there. A formula that is off by more than
five standard errors makes the exit code 1. The second table has the error of Gram matrices of real rows, in the Frobenius
norm and relative to the kernel: measured over many seeds and predicted, for all samplers, and of the trigonometric
features of scikit-learn beside them. The third has seconds.
"""

import argparse
import sys

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.kernel_approximation import RBFSampler
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import StandardScaler

from benchmarks.benchmarks.common import inputs, side_by_side, table
from underdetermined.estimators import RandomFeatures
from underdetermined.kernels import gaussian_kernel, positive_feature_variance, softmax_kernel
from underdetermined.weights import get_sampler

SAMPLERS = ("gaussian", "antithetic", "orthogonal", "orthogonal_antithetic")
SQUARES = (0.25, 1.0, 2.0, 4.0)
ERRORS = 5.0


def simulate(sampler, d, squares, neurons, seed):
    """Variance times width for every s, with its standard error, from independent groups of neurons."""
    groups = max(1, neurons // (2 * d))
    first = np.empty((groups, 2 * d))
    for start in range(0, groups, 1000):
        stop = min(groups, start + 1000)
        weights, _ = get_sampler(sampler)(d, 2 * d * (stop - start), seed=seed, start=2 * d * start)
        first[start:stop] = weights[0].reshape(-1, 2 * d)
    for s in squares:
        deviations = np.exp(np.sqrt(s) * first - s / 2).mean(axis=1) - 1.0
        terms = 2 * d * deviations**2
        yield terms.mean(), terms.std() / np.sqrt(groups), s <= np.log(groups) / 4


def variances(dimensions, neurons, seed):
    """Print formulas and simulation; the number of formulas that are off."""
    rows, off = [], 0
    for d in dimensions:
        for sampler in SAMPLERS:
            cells = []
            for s, (measured, error, is_measurable) in zip(
                SQUARES, simulate(sampler, d, SQUARES, neurons, seed), strict=True
            ):
                exact = positive_feature_variance(s, d, sampler)
                off += is_measurable and abs(measured - exact) > ERRORS * error
                cells += [f"{exact:.4f}", f"{measured:.4f} +- {error:.4f}" if is_measurable else "-"]
            rows.append([sampler, str(d), *cells])
    header = ["sampler", "d"] + [name for s in SQUARES for name in (f"s = {s:g}", "simulated")]
    table(f"relative variance times the number of features, from {neurons} neurons", header, rows)
    many = [[sampler, *(f"{positive_feature_variance(s, 10**6, sampler):.3g}" for s in SQUARES)] for sampler in SAMPLERS]
    table("the same by formula for a million inputs", ["sampler", *(f"s = {s:g}" for s in SQUARES)], many)
    return off


def frobenius(estimates, kernel):
    """Root of the mean squared error over that of the kernel."""
    return np.sqrt(np.mean([((Z @ Z.T - kernel) ** 2).sum() for Z in estimates]) / (kernel**2).sum())


def gram_errors(n, width, seeds):
    """Print measured and predicted errors of Gram matrices."""
    X = StandardScaler().fit_transform(load_diabetes().data)[:n]
    X /= np.median(np.linalg.norm(X, axis=1))
    d, rows = X.shape[1], []
    for norm in (0.25, 0.5, 1.0):
        Y = norm * X
        s = ((Y[:, None] + Y[None]) ** 2).sum(axis=2)
        for activation, exact in (("positive_softmax", softmax_kernel), ("positive_gaussian", gaussian_kernel)):
            kernel = exact(Y)
            options = {"activation": activation, "weight_scale": 1.0}
            for sampler in (*SAMPLERS, "sobol", "sphere", "leverage"):
                layers = (RandomFeatures(width, sampler=sampler, random_state=seed, **options) for seed in range(seeds))
                measured = frobenius((layer.fit_transform(Y) for layer in layers), kernel)
                predicted = "-"
                if sampler in SAMPLERS:
                    variance = (kernel**2 * positive_feature_variance(s, d, sampler)).sum() / width
                    predicted = f"{np.sqrt(variance / (kernel**2).sum()):.4f}"
                rows.append([activation, sampler, f"{norm:g}", f"{measured:.4f}", predicted])
        peers = (RBFSampler(gamma=0.5, n_components=width, random_state=seed) for seed in range(seeds))
        measured = frobenius((peer.fit_transform(Y) for peer in peers), gaussian_kernel(Y))
        rows.append(["RBFSampler (cos)", "gaussian", f"{norm:g}", f"{measured:.4f}", "-"])
    title = f"error of the Gram matrix of {n} rows of diabetes, {width} features, {seeds} seeds"
    table(title, ["features", "sampler", "median norm", "measured", "predicted"], rows)


def seconds(n, d, width, repeats):
    """Print seconds of features, of the exact kernels, and of their floors."""
    X = inputs(n, d) / np.sqrt(d)
    layer = RandomFeatures(width, activation="positive_gaussian", random_state=0).fit(X)
    plain = RandomFeatures(width, activation="exp", bias_scale=0.0, random_state=0).fit(X)
    calls = {
        "positive features": lambda: layer.transform(X),
        "the same without the shift": lambda: plain.transform(X),
        "features and their Gram matrix": lambda: (lambda Z: Z @ Z.T)(layer.transform(X)),
        "gaussian_kernel": lambda: gaussian_kernel(X),
        "softmax_kernel": lambda: softmax_kernel(X),
        "rbf_kernel of scikit-learn": lambda: rbf_kernel(X, gamma=0.5),
        "np.exp(X @ X.T)": lambda: np.exp(X @ X.T),
    }
    best = side_by_side(calls, repeats)
    table(
        f"n = {n}, d = {d}, {width} features", ["call", "seconds"], [[name, f"{value:.4f}"] for name, value in best.items()]
    )


def main(arguments=None):
    """Run everything; the exit code says whether the formulas held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="toy sizes, a few seconds")
    parser.add_argument("--seed", type=int, default=0, help="of the simulation")
    options = parser.parse_args(arguments)
    if options.small:
        off = variances((3,), 60_000, options.seed)
        gram_errors(20, 120, 5)
        seconds(200, 8, 400, 1)
    else:
        off = variances((2, 8, 64), 4_000_000, options.seed)
        gram_errors(200, 1000, 50)
        seconds(3000, 32, 6000, 5)
    print(f"\n{off} formulas are more than {ERRORS:g} standard errors from the simulation.")
    return int(off > 0)


if __name__ == "__main__":
    sys.exit(main())
