"""Networks of one width with biases from 0 to 3: ``python -m benchmarks.bias_sweep [--data NAME=PATH ...] [--small]``.

Only the hidden layer is trained, weights and biases, by full-batch gradient descent from a start whose outputs are zero,
with a step of one over the largest tangent eigenvalue of that start. Inputs are standardised and mapped to
(x, c) / |(x, c)|, c the root mean square norm of the training rows, so that every row is active on the same share of the
neurons. Targets are standardised: errors are root mean squares in units of the standard deviation of the training targets.

All biases are compared at the same training error: steps and seconds until a run first gets there, and the test error of
that very network. Seconds are those of the training alone, with the largest eigenvalue and the lists, without the test
predictions; work counts the pairs of row and neuron that were visited, in passes over all of them. Figures are medians over
splits; a level that some split did not reach within ``--max-iter`` steps shows how many did.
"""

import argparse
import os
from time import perf_counter

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.model_selection import KFold
from threadpoolctl import threadpool_limits

from benchmarks.benchmarks.common import table
from underdetermined.active_sets import draw_network, largest_tangent_eigenvalue, train_active_sets
from underdetermined.objectives.sparse_relu import SparseReLU
from underdetermined.tables import read_table


def unit_rows(train, test):
    """Standardised rows with a constant column as large as their root mean square norm, divided by their norms."""
    centre, spread = train.mean(axis=0), train.std(axis=0)
    train, test = ((rows - centre) / np.where(spread > 0, spread, 1.0) for rows in (train, test))
    constant = np.sqrt(np.mean(np.sum(train**2, axis=1)))
    extended = (np.column_stack([rows, np.full(len(rows), constant)]) for rows in (train, test))
    return [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in extended]


def rmse(residual):
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(residual))))


class Run:
    """One training run that notes step, seconds and test error where it first gets below each training error."""

    def __init__(self, split, bias, width, levels, max_iter, seed):
        X, y, X_test, y_test = split
        X, self.X_test = unit_rows(X, X_test)
        self.y_test = (y_test - y.mean()) / y.std()
        layer, self.coef = draw_network(X.shape[1], width, bias=bias, seed=seed)
        objective = SparseReLU(X, (y - y.mean()) / y.std(), layer, self.coef)
        self.levels, self.notes, self.paused, self.start = list(levels), [], 0.0, perf_counter()
        rate = 1.0 / largest_tangent_eigenvalue(objective)
        self.trajectory = train_active_sets(
            objective, learning_rate=rate, max_iter=max_iter, strategy="auto", callback=self.observe, n_jobs=1
        )
        self.work = np.cumsum(self.trajectory.n_visited) / (len(X) * width)

    def observe(self, step, state):
        """Note every level that was passed; stop after the last one."""
        now, error = perf_counter(), rmse(state.residual)
        while len(self.notes) < len(self.levels) and error <= self.levels[len(self.notes)]:
            layer = state.feature_map
            tested = rmse((layer(self.X_test) @ self.coef)[:, 0] - self.y_test)
            self.notes.append((step, now - self.start - self.paused, tested, state.active_fraction))
        self.paused += perf_counter() - now
        return len(self.notes) == len(self.levels)


def splits(X, y, folds, seed):
    """Training and test rows of every fold."""
    for train, test in KFold(folds, shuffle=True, random_state=seed).split(X):
        yield X[train], y[train], X[test], y[test]


def sweep(name, data, options):
    """Print all biases at every level of training error."""
    runs = {
        bias: [
            Run(split, bias, options.width, options.levels, options.max_iter, seed)
            for seed, split in enumerate(splits(*data, options.folds, 0))
        ]
        for bias in options.bias
    }
    for index, level in enumerate(options.levels):
        rows = [[f"{bias:g}", *cells(found, index)] for bias, found in runs.items()]
        header = ["bias", "test error", "steps", "s", "work, passes", "active at the start", "there", "live", "strategy"]
        title = f"{name}, {data[0].shape[0]} x {data[0].shape[1]}, width {options.width}, {options.folds} folds"
        table(f"{title}: training error {level:g}", header, rows)


def cells(runs, index):
    """Texts of one bias at one level of training error."""
    reached = [run for run in runs if len(run.notes) > index]
    start = np.median([run.trajectory.active_fraction[0] for run in runs])
    live = np.median([run.trajectory.n_live[-1] for run in runs])
    ways = ", ".join(sorted({run.trajectory.strategy for run in runs}))
    if len(reached) < len(runs):
        least = np.sqrt(2.0 * max(run.trajectory.value[-1] / len(run.trajectory.residual) for run in runs))
        there = f"{len(reached)} of {len(runs)} got there, last error {least:.2f}"
        return [there, "", "", "", f"{100 * start:.3g} %", "", f"{live:.0f}", ways]
    step, seconds, error, active = np.median([run.notes[index] for run in reached], axis=0)
    work = np.median([run.work[run.notes[index][0]] for run in reached])
    shares = [f"{100 * share:.3g} %" for share in (start, active)]
    return [f"{error:.3f}", f"{step:.0f}", f"{seconds:.3f}", f"{work:.3g}", *shares, f"{live:.0f}", ways]


def main():
    """Parse the command line and print the tables of every data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", action="append", default=[], metavar="NAME=PATH", help="one more table, target in the last column"
    )
    parser.add_argument("--width", type=int, default=4000, help="neurons (4000)")
    parser.add_argument("--bias", type=float, nargs="+", default=list(np.arange(7) / 2), help="biases (0 0.5 ... 3)")
    parser.add_argument("--levels", type=float, nargs="+", default=[0.7, 0.6, 0.5], help="training errors (0.7 0.6 0.5)")
    parser.add_argument("--folds", type=int, default=5, help="folds of the cross-validation (5)")
    parser.add_argument("--max-iter", type=int, default=3000, help="largest number of steps (3000)")
    parser.add_argument("--small", action="store_true", help="toy sizes, to see that it runs")
    options = parser.parse_args()
    data_sets = {"diabetes": load_diabetes(return_X_y=True)}
    for given in options.data:
        name, _, path = given.rpartition("=")
        read = read_table(path)
        data_sets[name or os.path.basename(path).partition(".")[0]] = (read.inputs, np.ravel(read.target))
    if options.small:
        options.width, options.folds, options.max_iter, options.bias = 200, 2, 50, [0.0, 2.0]
    options.levels.sort(reverse=True)
    with threadpool_limits(1):
        for name, data in data_sets.items():
            sweep(name, data, options)


if __name__ == "__main__":
    main()
