"""Gauss-Newton against gradient descent and other libraries: ``python -m benchmarks.gauss_newton --data FOLDER``.

A network of exponentials is trained to a relative loss of 1e-16 on real data: the diabetes set of scikit-learn and, where a
folder with ``concrete.csv.gz`` is given (no header, the last column is the target), the compressive strength of concrete.
Inputs are standardised, repeated inputs merged to the mean of their targets, a constant column is added, and every row is
rescaled to the same norm, which keeps distinct rows distinct. Every optimiser starts from the same symmetric network and
sees the same loss; times are those of the process, and all of one run are taken with one thread.
"""

import argparse
import contextlib
import time
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares
from sklearn.datasets import load_diabetes

from benchmarks.benchmarks.common import table
from underdetermined.blocks import single_threaded_blas
from underdetermined.exponential import draw_network
from underdetermined.objectives import Exponential
from underdetermined.optimize import gauss_newton, gradient_descent

try:
    import torch
except ImportError:
    torch = None

GOAL = 1e-16


def prepare(inputs, targets, norm):
    """Rows with a constant, of one norm, each once; and standardised targets."""
    inputs = (inputs - inputs.mean(axis=0)) / inputs.std(axis=0)
    rows, where, counts = np.unique(inputs, axis=0, return_inverse=True, return_counts=True)
    means = np.bincount(where.ravel(), targets) / counts
    constant = np.full((len(rows), 1), np.sqrt(np.mean(np.sum(rows**2, axis=1))))
    rows = np.hstack([rows, constant])
    return rows * (norm / np.linalg.norm(rows, axis=1, keepdims=True)), (means - means.mean()) / means.std()


def problems(folder):
    """Names with inputs and targets."""
    yield "diabetes", *load_diabetes(return_X_y=True)
    if folder is not None:
        data = np.loadtxt(folder / "concrete.csv.gz", delimiter=",")
        yield "concrete", data[:, :-1], data[:, -1]


class Stopwatch:
    """Process time since the start; ends a run that takes too long."""

    def __init__(self, limit):
        self.start, self.limit = time.process_time(), limit

    @property
    def seconds(self):
        return time.process_time() - self.start

    def is_late(self, *_):
        return self.seconds > self.limit


def by_gauss_newton(objective, start, limit, **options):
    watch = Stopwatch(limit)
    run = gauss_newton(objective, start, max_iter=10**6, loss_tol=GOAL, callback=watch.is_late, **options)
    return f"{run.n_iter} (+{run.n_rejected})", watch.seconds, run.value[-1]


def by_gradient_descent(objective, start, limit):
    watch = Stopwatch(limit)
    run = gradient_descent(objective, start, learning_rate="auto", max_iter=10**7, loss_tol=GOAL, callback=watch.is_late)
    return f"{run.n_iter} (+{run.n_rejected})", watch.seconds, run.value[-1]


def dense_jacobian(objective, theta):
    """Jacobian for one output, as a user of NumPy would form it."""
    rows = objective.X
    slopes = np.exp(rows @ theta.reshape(rows.shape[1], -1)) * objective.output_weights[:, 0]
    return (rows[:, :, np.newaxis] * slopes[:, np.newaxis, :]).reshape(len(rows), -1)


def by_scipy(objective, start, limit, solver):
    """The trust-region method of SciPy; its Levenberg-Marquardt refuses more parameters than residuals."""
    watch, best = Stopwatch(limit), [np.inf, 0]

    class Enough(Exception):
        pass

    def residual(theta):
        result = objective.linearize(theta).residual
        best[0], best[1] = min(best[0], 0.5 * float(result @ result)), best[1] + 1
        if best[0] <= GOAL * first or watch.is_late():
            raise Enough
        return result

    def jacobian(theta):
        return dense_jacobian(objective, theta) if solver == "exact" else objective.linearize(theta).jacobian

    first = objective.value(start)
    with contextlib.suppress(Enough):
        least_squares(
            residual, start, jac=jacobian, method="trf", tr_solver=solver, ftol=None, xtol=1e-15, gtol=None, max_nfev=10**6,
        )  # fmt: skip
    return str(best[1]), watch.seconds, best[0]


def torch_loss(objective):
    """The same loss in PyTorch, float64."""
    arrays = (objective.X, objective.targets, objective.output_weights)
    rows, targets, last = (torch.from_numpy(np.array(each)) for each in arrays)
    return lambda weights: 0.5 * ((torch.exp(rows @ weights) @ last - targets) ** 2).sum()


def by_torch(objective, start, limit, name):
    """Adam with its usual rate, or L-BFGS with a strong Wolfe line search."""
    loss = torch_loss(objective)
    weights = torch.from_numpy(start.reshape(objective.feature_map.weights.shape).copy()).requires_grad_()
    first, best, steps = objective.value(start), np.inf, 0
    optimizer = {
        "Adam": lambda: torch.optim.Adam([weights], lr=1e-3),
        "LBFGS": lambda: torch.optim.LBFGS(
            [weights], max_iter=20, history_size=20, line_search_fn="strong_wolfe", tolerance_grad=0.0, tolerance_change=0.0
        ),
    }[name]()
    watch = Stopwatch(limit)

    def closure():
        optimizer.zero_grad()
        value = loss(weights)
        value.backward()
        return value

    while best > GOAL * first and not watch.is_late():
        best = min(best, optimizer.step(closure).item())
        steps += {"Adam": 1, "LBFGS": 20}[name]
    return str(steps), watch.seconds, best


def run_problem(name, inputs, targets, options):
    rows, targets = prepare(inputs, targets, options.norm)
    hidden, coef = draw_network(rows.shape[1], options.width, seed=options.seed)
    objective = Exponential(rows, targets, hidden, coef)
    start = objective.initial()
    first = objective.value(start)
    runs = [
        ("Gauss-Newton, direct", lambda: by_gauss_newton(objective, start, options.limit, solver="direct")),
        ("Gauss-Newton, cg", lambda: by_gauss_newton(objective, start, options.limit, solver="cg")),
        ("gradient descent, auto", lambda: by_gradient_descent(objective, start, options.limit)),
        ("scipy trf, lsmr", lambda: by_scipy(objective, start, options.limit, "lsmr")),
        ("scipy trf, exact", lambda: by_scipy(objective, start, options.limit, "exact")),
    ]
    if torch is not None:
        torch.set_num_threads(1)
        runs += [
            (f"torch {each}", lambda each=each: by_torch(objective, start, options.limit, each))
            for each in ("Adam", "LBFGS")
        ]
    lines = []
    for method, run in runs:
        with single_threaded_blas():
            steps, seconds, value = run()
        reached = "yes" if value <= GOAL * first else "no"
        lines.append([method, steps, f"{seconds:.1f}", f"{value / first:.1e}", reached])
    title = f"{name}: n={len(rows)}, d={rows.shape[1]}, m={options.width}, rows of norm {options.norm:g}"
    table(title, ["method", "steps (+rejected)", "seconds", "relative loss", "reached 1e-16"], lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with concrete.csv.gz")
    parser.add_argument("--problem", choices=("diabetes", "concrete"), help="this one alone")
    parser.add_argument("--width", type=int, default=1000)
    parser.add_argument("--norm", type=float, default=3.0, help="norm of every row")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds that each method may take")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--small", action="store_true", help="a few seconds in all")
    options = parser.parse_args()
    if options.small:
        options.width, options.limit = 200, 1.0
    for name, inputs, targets in problems(options.data):
        if options.problem not in (None, name):
            continue
        rows = slice(100) if options.small else slice(None)
        run_problem(name, inputs[rows], targets[rows], options)


if __name__ == "__main__":
    main()
