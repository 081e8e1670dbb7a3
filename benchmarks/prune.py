"""The same fit with fewer neurons: ``python -m benchmarks.prune --data concrete=PATH [--small]``.

A network of 3 n neurons is fitted and pruned to as many as its features have rank; training predictions must stay as they
are. The first table compares the kept neurons with random ones; the second one compares ways to choose.
"""

import argparse
import os
from time import perf_counter

import numpy as np
from scipy.linalg import qr, solve
from sklearn.datasets import load_diabetes

from benchmarks.benchmarks.common import table
from underdetermined import RandomFeatureRegressor
from underdetermined import solve as solve_system
from underdetermined.neurons import select_neurons
from underdetermined.tables import read_table

RATIO = 3
TRAIN_SHARE = 0.7
ALPHAS = {"leave-one-out": "loo", "alpha = 0": 0.0}


def split(X, y, seed, most):
    """Standardised training and test rows, at most `most` for training."""
    order = np.random.default_rng(seed).permutation(len(X))
    count = min(most, int(TRAIN_SHARE * len(X)))
    first, last = order[:count], order[count:]
    centre, spread = X[first].mean(axis=0), X[first].std(axis=0)
    X, y = (X - centre) / np.where(spread > 0, spread, 1.0), (y - y[first].mean()) / y[first].std()
    return X[first], y[first], X[last], y[last]


def fitted(X, y, activation, alpha, width, seed):
    """A network fitted to the rows."""
    return RandomFeatureRegressor(width=width, activation=activation, alpha=alpha, random_state=seed).fit(X, y)


def rmse(predictions, y):
    """Root of the mean squared error."""
    return float(np.sqrt(np.mean((predictions - y) ** 2)))


def condition(features, rank):
    """Condition number; inf if the rank is lower."""
    singular = np.linalg.svd(features, compute_uv=False)
    return singular[0] / singular[rank - 1] if singular[rank - 1] > len(features) * 2.2e-16 * singular[0] else np.inf


class Pruning:
    """A wide network on training and test rows, and what is left of it with some of its neurons."""

    def __init__(self, data, activation, alpha, seed, most):
        self.X, self.y, self.X_test, self.y_test = split(*data, seed, most)
        self.model = fitted(self.X, self.y, activation, alpha, RATIO * len(self.X), seed)
        layer = self.model.feature_map_
        self.features, self.test_features = layer(self.X), layer(self.X_test)
        self.coef = self.model.coef_.ravel()
        self.answers = self.features @ self.coef
        self.rank = np.linalg.matrix_rank(self.features)
        self.error = rmse(self.model.predict(self.X_test), self.y_test)

    def judge(self, neurons):
        """Condition number, growth of the last layer, test error of a network with these neurons and the same answers."""
        part = self.features[:, neurons]
        coef = solve_system(part, self.answers).coef[:, 0]
        error = rmse(self.test_features[:, neurons] @ coef + self.model.intercept_, self.y_test)
        return condition(part, self.rank), np.linalg.norm(coef) / np.linalg.norm(self.coef), error

    def prune(self):
        """The same of the estimator's own pruning, and the largest change of a training prediction."""
        before = self.model.predict(self.X)
        self.model.prune()
        deviation = np.abs(self.model.predict(self.X) - before).max() / np.abs(before).max()
        kept = condition(self.model.feature_map_(self.X), self.rank)
        growth = np.linalg.norm(self.model.coef_) / np.linalg.norm(self.coef)
        return kept, growth, rmse(self.model.predict(self.X_test), self.y_test), deviation


def spread(values, digits=2):
    """Median and range."""
    low, middle, high = np.quantile(values, [0.0, 0.5, 1.0], method="nearest")
    return f"{middle:.{digits}g} [{low:.{digits}g}, {high:.{digits}g}]"


def against_random(data_sets, activations, seeds, most):
    """Pruned networks beside as many random ones of the same wide network, and beside a network fitted at that width."""
    rows = []
    for name, data in data_sets.items():
        for activation in activations:
            for label, alpha in ALPHAS.items():
                found, random, errors = [], [], []
                for seed in range(seeds):
                    case = Pruning(data, activation, alpha, seed, most)
                    rng = np.random.default_rng(seed)
                    found.append(case.prune())
                    random.append(case.judge(rng.choice(case.features.shape[1], case.rank, replace=False)))
                    alone = fitted(case.X, case.y, activation, alpha, case.rank, 1000 + seed)
                    errors.append([case.error, found[-1][2], random[-1][2], rmse(alone.predict(case.X_test), case.y_test)])
                found, random = np.array(found), np.array(random)
                sizes = f"{len(case.X)}, {case.features.shape[1]}, {case.model.width_}"
                cells = [f"{found[:, 3].max():.0e}", spread(found[:, 0]), spread(random[:, 0]), spread(found[:, 1])]
                rows.append(
                    [f"{name}, {activation}, {label}", sizes, *cells, *(f"{e:.3g}" for e in np.median(errors, axis=0))]
                )
    header = [
        "data, activation, penalty",
        "rows, width, kept",
        "largest deviation",
        "condition, kept",
        "condition, random",
    ]
    header += ["last layer / all", "test rmse: all", "pruned", "random, same answers", "random, own fit"]
    table(
        f"pruned to the rank; median [range] over {seeds} splits; deviation relative to the largest prediction", header, rows
    )


def row_basis(features, rank):
    """Orthonormal rows that span those of the features."""
    return np.linalg.svd(features, full_matrices=False)[2][:rank]


def pivots(matrix, rank):
    """First columns in the order of a pivoted QR factorisation."""
    return qr(matrix, mode="r", pivoting=True)[1][:rank]


def largest_volume(features, rank):
    """Pivots of the row basis, then swaps for as long as one makes the determinant 1 % larger."""
    basis = row_basis(features, rank)
    chosen = pivots(basis, rank)
    ratios = solve(basis[:, chosen], basis)
    while True:
        out, into = np.unravel_index(np.abs(ratios).argmax(), ratios.shape)
        if abs(ratios[out, into]) <= 1.01:
            return chosen
        step = ratios[:, into].copy()
        step[out] -= 1.0
        ratios -= np.outer(step, ratios[out] / ratios[out, into])
        chosen[out] = into


WAYS = {
    "pivots of A": pivots,
    "pivots of A, columns of unit norm": lambda A, rank: pivots(A / np.maximum(np.linalg.norm(A, axis=0), 1e-300), rank),
    "pivots of the row basis": lambda A, rank: pivots(row_basis(A, rank), rank),
    "and swaps to the largest determinant": largest_volume,
    "and swaps to the smallest inverse: select_neurons": lambda A, rank: select_neurons(A),
}


def ways_to_choose(data_sets, activations, seeds, most):
    """Averages over data sets, activations and seeds, of both penalties."""
    results = {way: {label: [] for label in ALPHAS} for way in WAYS}
    seconds = dict.fromkeys(WAYS, 0.0)
    for data in data_sets.values():
        for activation in activations:
            for label, alpha in ALPHAS.items():
                for seed in range(seeds):
                    case = Pruning(data, activation, alpha, seed, most)
                    basis, whole = row_basis(case.features, case.rank), condition(case.features, case.rank)
                    for way, choose in WAYS.items():
                        start = perf_counter()
                        chosen = choose(case.features, case.rank)
                        seconds[way] += perf_counter() - start
                        inverse = 1.0 / np.linalg.svd(basis[:, chosen], compute_uv=False)[-1]
                        cond, growth, error = case.judge(chosen)
                        results[way][label].append([cond / whole, inverse, growth, error / case.error])
    rows = []
    for way, by_label in results.items():
        first, second = (np.exp(np.mean(np.log(values), axis=0)) for values in by_label.values())
        count = sum(map(len, by_label.values()))
        cells = [
            f"{first[0]:.2f}",
            f"{first[1]:.1f}",
            f"{first[2]:.2f}",
            f"{second[2]:.2f}",
            f"{first[3]:.3f}",
            f"{second[3]:.2f}",
        ]
        rows.append([way, *cells, f"{seconds[way] / count:.2f}"])
    header = ["way", "condition / that of A", "|inverse in the basis|", *(f"last layer, {label}" for label in ALPHAS)]
    header += [*(f"test rmse, {label}" for label in ALPHAS), "s"]
    table("ways to choose as many neurons as the rank: geometric means, relative to all neurons", header, rows)


def main():
    """Parse the command line and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", action="append", default=[], metavar="NAME=PATH", help="one more table, target in the last column"
    )
    parser.add_argument("--small", action="store_true", help="toy sizes, to see that it runs")
    arguments = parser.parse_args()
    data_sets = {"diabetes": load_diabetes(return_X_y=True)}
    for given in arguments.data:
        name, _, path = given.rpartition("=")
        read = read_table(path)
        data_sets[name or os.path.basename(path).partition(".")[0]] = (read.inputs, read.target)
    activations = ("relu",) if arguments.small else ("relu", "erf", "sin_cos", "gelu")
    seeds = 2 if arguments.small else 5
    against_random(data_sets, activations, seeds, 40 if arguments.small else 1000)
    ways_to_choose(data_sets, activations, seeds, 40 if arguments.small else 300)


if __name__ == "__main__":
    main()
