"""Levenberg-Marquardt against other libraries: ``python -m benchmarks.levenberg_marquardt --data FOLDER``.

Both layers of a network are trained. Every optimiser starts from the same network with biases, tanh neurons and LeCun's
initialisation, on standardised inputs, each once, and targets, and minimises the same sum of squares. The smallest loss so
far is kept against seconds, and the table has the time at which each method reaches some relative losses. All runs take
turns in one process with one thread, and times are those of the process. What Gauss-Newton needs sets the time of the
others: ``--factor`` times that, at least ``--least`` seconds.

"Gauss-Newton, inputs / 4" trains the same function in other parameters, weights times 4 of inputs divided by 4: steps
of smallest norm rather move the last layer. L-BFGS-B and least_squares of SciPy get losses, gradients and Jacobians that are
written in NumPy as a user would, and in rows of their own the faster ones of this package. MLPRegressor has a loss and a
loop of its own, started by setting ``coefs_`` and ``intercepts_``; its output bias is trained too, from zero.
"""

import argparse
import contextlib
import time
import warnings
from pathlib import Path

import numpy as np
from scipy.optimize import least_squares, minimize
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from benchmarks.benchmarks.common import table
from underdetermined import FeatureMap
from underdetermined.blocks import single_threaded_blas
from underdetermined.joint import draw_network
from underdetermined.objectives import TwoLayer
from underdetermined.optimize import gauss_newton

try:
    import torch
except ImportError:
    torch = None

# Width, factor of the hidden weights, and relative loss to reach; narrow networks have a minimum above zero.
PROBLEMS = {
    "diabetes": (512, 1.0, 1e-8),
    "concrete": (2048, 4.0, 1e-16),
    "airfoil": (512, 1.0, 1e-3),
    "diabetes-32": (32, 1.0, 0.0),
    "concrete-32": (32, 1.0, 0.0),
    "airfoil-32": (32, 1.0, 0.0),
}
LEVELS = (1e-1, 1e-2, 1e-3, 1e-5, 1e-8, 1e-16)


class LateError(Exception):
    """Time is up, or the goal is reached."""


class Curve:
    """Smallest relative loss so far against seconds of the process."""

    def __init__(self, first, goal, limit):
        self.first, self.goal, self.limit = first, goal, limit
        self.start, self.seconds, self.losses = time.process_time(), [0.0], [1.0]

    def add(self, loss):
        """Record a loss; whether to stop."""
        now = time.process_time() - self.start
        self.seconds.append(now)
        self.losses.append(min(self.losses[-1], loss / self.first))
        return now > self.limit or self.losses[-1] <= self.goal

    def check(self, loss):
        """Record a loss, and end a run that has no other way to stop."""
        if self.add(loss):
            raise LateError

    def time_to(self, level):
        """Seconds until a relative loss is reached; inf if it is not."""
        index = np.searchsorted(-np.array(self.losses), -level)
        return self.seconds[index] if index < len(self.seconds) else np.inf

    @property
    def best(self):
        return self.losses[-1]


def load(name, folder):
    """Standardised inputs, each once, and standardised targets."""
    if name == "diabetes":
        inputs, targets = load_diabetes(return_X_y=True)
    else:
        table_ = np.loadtxt(folder / f"{name}.csv.gz", delimiter=",")
        inputs, targets = table_[:, :-1], table_[:, -1]
    inputs, where, counts = np.unique(inputs, axis=0, return_inverse=True, return_counts=True)
    targets = np.bincount(where.ravel(), targets) / counts
    return (inputs - inputs.mean(axis=0)) / inputs.std(axis=0), (targets - targets.mean()) / targets.std()


def by_gauss_newton(objective, curve, divisor):
    if divisor != 1.0:
        # Biases become weights of a column of ones, so that they are divided too.
        layer, rows = objective.feature_map, np.hstack([objective.X, np.ones((len(objective.X), 1))])
        weights = np.vstack([layer.weights, layer.biases]) * divisor
        objective = TwoLayer(
            rows / divisor, objective.targets, FeatureMap(weights, activation="tanh", scale=1.0), objective.coef
        )
    seen = []

    def record(step, theta):
        seen.append(time.process_time() - curve.start)
        return seen[-1] > curve.limit

    run = gauss_newton(objective, objective.initial(), max_iter=10**6, loss_tol=curve.goal, callback=record)
    curve.seconds, curve.losses = seen, list(run.value / run.value[0])


def parts(objective, theta):
    """Weights, biases and coefficients, and the features of all rows, in NumPy."""
    layer, d = objective.feature_map, objective.X.shape[1]
    weights, biases, coef = np.split(theta, [d * layer.width, (d + 1) * layer.width])
    return coef, np.tanh(objective.X @ weights.reshape(d, -1) + biases)


def plain_loss(objective, theta):
    """Loss and gradient as a user of NumPy writes them."""
    coef, features = parts(objective, theta)
    residual = features @ coef - objective.targets[:, 0]
    back = np.outer(residual, coef) * (1.0 - features**2)
    gradient = np.concatenate([(objective.X.T @ back).ravel(), back.sum(axis=0), features.T @ residual])
    return 0.5 * residual @ residual, gradient


def plain_residual(objective, theta):
    coef, features = parts(objective, theta)
    return features @ coef - objective.targets[:, 0]


def plain_jacobian(objective, theta):
    coef, features = parts(objective, theta)
    slopes = coef * (1.0 - features**2)
    hidden = (objective.X[:, :, np.newaxis] * slopes[:, np.newaxis, :]).reshape(len(slopes), -1)
    return np.hstack([hidden, slopes, features])


def by_lbfgsb(objective, curve, compute):
    def loss(theta):
        value, gradient = compute(objective, theta)
        curve.check(value)
        return value, gradient

    options = dict(maxiter=10**8, maxfun=10**8, ftol=0.0, gtol=0.0, maxcor=20)
    minimize(loss, objective.initial(), jac=True, method="L-BFGS-B", options=options)


def by_least_squares(objective, curve, method, compute_residual, compute_jacobian):
    def residual(theta):
        result = compute_residual(objective, theta)
        curve.check(0.5 * float(result @ result))
        return result

    least_squares(
        residual,
        objective.initial(),
        jac=lambda theta: compute_jacobian(objective, theta),
        method=method,
        ftol=1e-15,
        xtol=1e-15,
        gtol=1e-15,
        max_nfev=10**6,
    )


def our_loss(objective, theta):
    return objective.value_and_gradient(theta)


def our_residual(objective, theta):
    return objective.residual(theta)[:, 0]


def our_jacobian(objective, theta):
    linear = objective.linearize(theta)
    return linear.dense() if objective.n_parameters < len(objective.X) else linear.jacobian


class _Targets(MLPRegressor):
    """MLPRegressor that shows every loss of its own L-BFGS loop."""

    curve = None

    def _backprop(self, X, y, *arguments):
        loss, *slopes = super()._backprop(X, y, *arguments)
        # Its loss is half of the mean square.
        self.curve.check(loss * len(X))
        return loss, *slopes


def by_mlp(objective, curve):
    layer = objective.feature_map
    model = _Targets(
        hidden_layer_sizes=(layer.width,),
        activation="tanh",
        solver="lbfgs",
        alpha=0.0,
        tol=0.0,
        max_iter=1,
        max_fun=10**8,
        warm_start=True,
    )
    model.curve = Curve(1.0, -1.0, np.inf)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(objective.X, objective.targets[:, 0])
        model.coefs_ = [layer.weights.copy(), objective.coef.copy()]
        model.intercepts_ = [np.array(layer.biases), np.zeros(1)]
        model.set_params(max_iter=10**8)
        curve.start = time.process_time()
        model.curve = curve
        model.fit(objective.X, objective.targets[:, 0])


def by_torch(objective, curve, name):
    layer = objective.feature_map
    rows, targets = torch.from_numpy(objective.X), torch.from_numpy(np.array(objective.targets))
    start = (layer.weights, layer.biases, objective.coef)
    parameters = [torch.from_numpy(np.array(each)).requires_grad_() for each in start]
    optimizer = {
        "Adam": lambda: torch.optim.Adam(parameters, lr=1e-3),
        "LBFGS": lambda: torch.optim.LBFGS(
            parameters, max_iter=20, history_size=20, line_search_fn="strong_wolfe", tolerance_grad=0.0, tolerance_change=0.0
        ),
    }[name]()

    def closure():
        optimizer.zero_grad()
        weights, biases, coef = parameters
        loss = 0.5 * ((torch.tanh(rows @ weights + biases) @ coef - targets) ** 2).sum()
        loss.backward()
        curve.check(loss.item())
        return loss

    while not curve.seconds[-1] > curve.limit:
        optimizer.step(closure)


def race(name, options):
    """One table, and the curves."""
    width, factor, goal = PROBLEMS[name]
    inputs, targets = load(name.split("-")[0], options.data)
    if options.small:
        inputs, targets, width = inputs[:60], targets[:60], min(width, 64)
    hidden, coef = draw_network(inputs.shape[1], width, weight_scale=factor, bias_scale=0.0, seed=options.seed)
    objective = TwoLayer(inputs, targets, hidden, coef)
    first, curves = objective.value(objective.initial()), {}

    def run(method, function, limit, *arguments):
        curve = curves[method] = Curve(first, goal, limit)
        with single_threaded_blas(), contextlib.suppress(LateError):
            function(objective, curve, *arguments)

    most = options.most
    run("Gauss-Newton", by_gauss_newton, most, 1.0)
    run("Gauss-Newton, inputs / 4", by_gauss_newton, most, 4.0)
    ours = min(curves.values(), key=lambda curve: (curve.time_to(goal), curve.best))
    limit = min(most, max(options.least, options.factor * min(ours.seconds[-1], ours.time_to(1.001 * ours.best))))
    run("scipy L-BFGS-B", by_lbfgsb, limit, plain_loss)
    run("the same, our loss", by_lbfgsb, limit, our_loss)
    run("scipy least_squares trf", by_least_squares, limit, "trf", plain_residual, plain_jacobian)
    run("the same, our Jacobian", by_least_squares, limit, "trf", our_residual, our_jacobian)
    if objective.n_parameters < len(inputs):
        run("scipy least_squares lm", by_least_squares, limit, "lm", plain_residual, plain_jacobian)
    run("MLPRegressor lbfgs", by_mlp, limit)
    if torch is not None:
        torch.set_num_threads(1)
        run("torch Adam", by_torch, limit, "Adam")
        run("torch LBFGS", by_torch, limit, "LBFGS")
    report(name, objective, curves)
    return curves


def lead(other, ours, level):
    """How many times sooner a loss was reached."""
    needed = ours.time_to(level)
    return "not reached" if np.isinf(needed) else f"{other.time_to(level) / needed:.1f}"


def report(name, objective, curves):
    """Seconds to some losses, and how much sooner either of ours was at the best loss of each of the others."""
    ours = [curve for method, curve in curves.items() if method.startswith("Gauss")]
    lines = []
    for method, curve in curves.items():
        reached = [curve.time_to(level) for level in LEVELS]
        text = ["-" if np.isinf(each) else f"{each:.3g}" for each in reached]
        level = max(curve.best, curve.goal)
        leads = ["" if curve in ours else lead(curve, each, level) for each in ours]
        lines.append([method, f"{curve.seconds[-1]:.1f}", f"{curve.best:.3e}", *leads, *text])
    n, d = objective.X.shape
    title = f"{name}: n={n}, d={d}, m={objective.feature_map.width}, p={objective.n_parameters}; seconds to a relative loss"
    table(title, ["method", "ran s", "best loss", "sooner", "/ 4 sooner", *(f"{each:g}" for each in LEVELS)], lines)


def plot(races, path):
    """One panel for each problem, losses against seconds, both logarithmic."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(races), figsize=(5.0 * len(races), 4.2), squeeze=False, constrained_layout=True)
    for axis, (name, curves) in zip(axes[0], races.items(), strict=True):
        for index, (method, curve) in enumerate(curves.items()):
            style = "-" if method.startswith("Gauss") else "--"
            axis.loglog(curve.seconds[1:], curve.losses[1:], style, color=f"C{index}", label=method)
        axis.set(title=name, xlabel="seconds", ylabel="loss / first loss")
    axes[0, 0].legend(fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problem", choices=PROBLEMS, action="append", help="these alone")
    parser.add_argument(
        "--data", type=Path, help="folder with concrete.csv.gz and airfoil.csv.gz; diabetes alone without it"
    )
    parser.add_argument("--factor", type=float, default=5.0, help="time of the others, in units of ours")
    parser.add_argument("--least", type=float, default=5.0, help="seconds that the others get in any case")
    parser.add_argument("--most", type=float, default=120.0, help="seconds that any method gets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, help="PNG for the curves")
    parser.add_argument("--small", action="store_true", help="a few seconds in all")
    options = parser.parse_args()
    if options.small:
        options.least = options.most = 0.5
    names = options.problem or [name for name in PROBLEMS if options.data or name.startswith("diabetes")]
    races = {name: race(name, options) for name in names}
    if options.plot is not None:
        plot(races, options.plot)


if __name__ == "__main__":
    main()
