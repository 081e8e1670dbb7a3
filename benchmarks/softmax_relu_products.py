"""Softmax-ReLU regression: products with the Hessian, and dense Hessians, against the products of matrices they are made of.

``python -m benchmarks.softmax_relu_products [SECTION ...] [--small]``

``products``: a product with the Hessian at a point that is known against the *four products* A1 u, A2 v, A2.T q and A1.T r,
and everything from x on (value, gradient, one product) against two times as many less two. ``hessian``: the dense Hessian
against its *floor*, the product A2 A1 of the active units and the symmetric product of the result, and of the rows near a
kink with themselves. ``many``: products of a batch of problems and of a hidden layer that many distributions share, against
their four products of matrices. *NumPy* is the formula as it reads, with the m x m matrix of curvatures and without leaving
out any unit; *PyTorch* differentiates by itself, and is left out where it is not installed. All are timed in turns, in one
process, least time of several rounds; deviations are relative to the largest entry of NumPy's.
"""

import argparse
import os
import platform
from time import perf_counter

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from benchmarks.benchmarks.common import table
from underdetermined.objectives import SharedSoftmaxReLU, SoftmaxReLU, SoftmaxReLUBatch

try:
    import torch
except ImportError:
    torch = None

SIZES = [(50, 80, 30), (200, 300, 100), (500, 200, 100), (1000, 1500, 800)]
SMALL = [(5, 8, 3), (20, 30, 10)]
STAGES = (0.0, 0.05, 1e-3)


def problem(d, n, m, density=None):
    """Layers, targets, a point and a direction."""
    rng = np.random.default_rng(100)
    hidden = rng.standard_normal((n, d)) / np.sqrt(d)
    if density is not None:
        entries = {"random_state": rng, "data_sampler": rng.standard_normal}
        hidden = sparse.random_array((n, d), density=density, format="csr", **entries)
    layers = hidden, 2.0 * rng.standard_normal((m, n)) / np.sqrt(n)
    return *layers, rng.dirichlet(np.ones(m)), rng.standard_normal(d), rng.standard_normal(d)


def timed(calls, rounds):
    """Least seconds of each call; a short one is repeated until it takes a millisecond."""
    repeats, best = {}, {}
    for name, call in calls.items():
        call()
        start = perf_counter()
        call()
        repeats[name] = max(1, int(1e-3 / (perf_counter() - start)))
    for _ in range(rounds):
        for name, call in calls.items():
            start = perf_counter()
            for _ in range(repeats[name]):
                call()
            best[name] = min(best.get(name, np.inf), (perf_counter() - start) / repeats[name])
    return best


class Formula:
    """Derivatives as the formulas read."""

    def __init__(self, hidden, output, b, x, smoothing):
        self.hidden, self.output, self.b, self.x, self.smoothing = hidden, output, b, x, smoothing

    def state(self):
        """Curvatures in y, slopes, and the curvature of the units."""
        z = self.hidden @ self.x
        mu = self.smoothing
        slopes = 0.5 * (1.0 + np.tanh(0.5 * z / mu)) if mu else np.heaviside(z, 0.0)
        y = self.output @ (np.logaddexp(0.0, z / mu) * mu if mu else np.maximum(z, 0.0))
        f = np.exp(y - y.max())
        f /= f.sum()
        c = f - self.b
        q = f * (c - f @ c)
        p = f * f + q
        curvature = np.diag(p) - np.outer(p, f) - np.outer(f, p) + f @ f * np.outer(f, f)
        bends = slopes * (1.0 - slopes) / mu * (self.output.T @ q) if mu else np.zeros(len(z))
        return curvature, slopes, bends

    def product(self, u):
        """Hessian times u, from x on."""
        curvature, slopes, bends = self.state()
        change = self.hidden @ u
        return self.hidden.T @ (slopes * (self.output.T @ (curvature @ (self.output @ (slopes * change)))) + bends * change)

    def hessian(self):
        """Dense Hessian, from x on."""
        curvature, slopes, bends = self.state()
        jacobian = self.output @ np.diag(slopes) @ self.hidden
        return jacobian.T @ curvature @ jacobian + self.hidden.T @ np.diag(bends) @ self.hidden


def torch_loss(hidden, output, b, smoothing):
    """The loss as a function of a tensor."""
    layers = [torch.from_numpy(array) for array in (hidden, output, b)]

    def loss(x):
        z = layers[0] @ x
        units = torch.nn.functional.softplus(z, beta=1.0 / smoothing, threshold=700.0) if smoothing else torch.relu(z)
        return 0.5 * ((torch.softmax(layers[1] @ units, 0) - layers[2]) ** 2).sum()

    return loss


def cells(best, names, unit):
    """Times in microseconds, and their ratios to one of them."""
    return [f"{1e6 * best[name]:.0f} ({best[name] / best[unit]:.2f})" if name in best else "-" for name in names]


def measure_products(options):
    """Products with the Hessian."""
    rows = []
    for d, n, m in SMALL if options.small else SIZES:
        for density in (None, 0.05):
            hidden, output, b, x, u = problem(d, n, m, density)
            objective = SoftmaxReLU(hidden, output, b)
            v, q = np.ones(n), np.ones(m)
            for mu in STAGES[: 1 if density else 2]:
                point = objective.at(x, mu)
                expected = Formula(hidden, output, b, x, mu).product(u)
                calls = {
                    "four": lambda hidden=hidden, output=output, u=u, v=v, q=q: (
                        hidden @ u,
                        output @ v,
                        output.T @ q,
                        hidden.T @ v,
                    ),
                    "product": lambda point=point, u=u: point.hessp(u),
                    "all": lambda objective=objective, x=x, u=u, mu=mu: _all(objective.at(x, mu), u),
                    "NumPy": lambda args=(hidden, output, b, x, mu), u=u: Formula(*args).product(u),
                }
                if torch is not None and density is None:
                    loss = torch_loss(hidden, output, b, mu)
                    tensors = torch.from_numpy(x), torch.from_numpy(u)
                    calls["PyTorch"] = lambda loss=loss, at=tensors: torch.autograd.functional.hvp(loss, *at)[1]
                best = timed(calls, options.rounds)
                deviation = np.abs(point.hessp(u) - expected).max() / np.abs(expected).max()
                shape = f"d={d}, n={n}, m={m}" + (f", {density:.0%} of A1" if density else "")
                rows.append(
                    [shape, f"{mu:g}", *cells(best, (*calls, *({"PyTorch"} - set(calls))), "four"), f"{deviation:.0e}"]
                )
    header = ["problem", "mu", "four products", "product", "value, gradient, product", "NumPy", "PyTorch", "deviation"]
    table("One product with the Hessian, microseconds (multiples of the four products)", header, rows)


def _all(point, u):
    return point.value, point.gradient, point.hessp(u)


def floor(objective, point):
    """The products of matrices in a dense Hessian, on arrays that are there already."""
    kinks = point.kink_weights()
    units = np.flatnonzero(point.slopes > 1e-17)
    near = [] if kinks is None else np.flatnonzero(np.abs(kinks) > 1e-17 * np.abs(kinks).max())
    output, hidden = objective.A2[:, units].copy(), objective.A1[units]
    rows = np.empty((objective.n_outputs + len(near), objective.n_parameters))
    rows[objective.n_outputs :] = objective.A1[near] if len(near) else 0.0

    def call():
        np.matmul(output, hidden, out=rows[: objective.n_outputs])
        return rows.T @ rows

    return call


def measure_hessian(options):
    """Dense Hessians."""
    rows = []
    for d, n, m in SMALL if options.small else SIZES:
        hidden, output, b, x, _ = problem(d, n, m)
        objective = SoftmaxReLU(hidden, output, b)
        for mu in STAGES:
            point = objective.at(x, mu)
            expected = Formula(hidden, output, b, x, mu).hessian()
            calls = {
                "floor": floor(objective, point),
                "hessian": point.hessian,
                "all": lambda objective=objective, x=x, mu=mu: (lambda at: (at.gradient, at.hessian()))(objective.at(x, mu)),
                "NumPy": Formula(hidden, output, b, x, mu).hessian,
            }
            if torch is not None and d <= options.torch_parameters:
                loss, tensor = torch_loss(hidden, output, b, mu), torch.from_numpy(x)
                calls["PyTorch"] = lambda loss=loss, tensor=tensor: torch.func.hessian(loss)(tensor)
            best = timed(calls, options.rounds)
            deviation = np.abs(point.hessian() - expected).max() / np.abs(expected).max()
            names = ("floor", "hessian", "all", "NumPy", "PyTorch")
            rows.append([f"d={d}, n={n}, m={m}", f"{mu:g}", *cells(best, names, "floor"), f"{deviation:.0e}"])
    header = ["problem", "mu", "floor", "hessian", "value, gradient, hessian", "NumPy", "PyTorch", "deviation"]
    table("The dense Hessian, microseconds (multiples of its products of matrices)", header, rows)


def measure_many(options):
    """Batches and shared layers."""
    rng = np.random.default_rng(0)
    rows = []
    for d, n, m, count in [(5, 8, 3, 20)] if options.small else [(30, 60, 20, 200), (200, 300, 100, 200)]:
        hidden, output, _, _, _ = problem(d, n, m)
        batch = SoftmaxReLUBatch(hidden, output, rng.dirichlet(np.ones(m), count).T)
        X, U = rng.standard_normal((2, d, count))
        H, Q = rng.standard_normal((n, count)), rng.standard_normal((m, count))
        points = [batch.column(j).at(X[:, j]) for j in range(count)]
        point = batch.at(X)
        calls = {
            "four": lambda A=(hidden, output), B=(U, H, Q): (A[0] @ B[0], A[1] @ B[1], A[1].T @ B[2], A[0].T @ B[1]),
            "product": lambda point=point, U=U: point.hessp(U),
            "all": lambda batch=batch, X=X, U=U: _all(batch.at(X), U),
            "one by one": lambda points=points, U=U: [each.hessp(u) for each, u in zip(points, U.T, strict=True)],
        }
        best = timed(calls, options.rounds)
        rows.append([f"{count} problems, d={d}, n={n}, m={m}", *cells(best, calls, "four")])
    for count, p, n, m in (
        [(50, 4, 6, 3)] if options.small else [(2000, 64, 100, 10), (20000, 64, 100, 10), (5000, 30, 400, 50)]
    ):
        inputs, output = rng.standard_normal((count, p)), rng.standard_normal((m, n)) / np.sqrt(n)
        shared = SharedSoftmaxReLU(inputs, output, rng.dirichlet(np.ones(m), count))
        x, u = rng.standard_normal((2, n * p)) / np.sqrt(p)
        H, Q = rng.standard_normal((n, count)), rng.standard_normal((m, count))
        point, change = shared.at(x), u.reshape(n, p)
        calls = {
            "four": lambda A=(inputs, output), B=(change, H, Q): (
                B[0] @ A[0].T,
                A[1] @ B[1],
                A[1].T @ B[2],
                B[1] @ A[0],
            ),
            "product": lambda point=point, u=u: point.hessp(u),
            "all": lambda shared=shared, x=x, u=u: _all(shared.at(x), u),
        }
        best = timed(calls, options.rounds)
        rows.append([f"{count} inputs, p={p}, n={n}, m={m}", *cells(best, (*calls, "one by one"), "four")])
    header = ["problem", "four products", "product", "value, gradient, product", "one by one"]
    table("Many distributions, microseconds (multiples of the four products of matrices)", header, rows)


SECTIONS = {"products": measure_products, "hessian": measure_hessian, "many": measure_many}


def main():
    """Run the sections asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", default=[], metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--small", action="store_true", help="toy sizes, to see that everything runs")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--torch-parameters", type=int, default=500, help="most parameters of a dense Hessian by PyTorch")
    options = parser.parse_args()
    options.rounds = 2 if options.small else options.rounds
    if torch is not None:
        torch.set_num_threads(options.threads)
    print(f"{platform.machine()}, {os.cpu_count()} cores, {options.threads} thread(s), NumPy {np.__version__}")
    with threadpool_limits(options.threads):
        for section in options.sections or SECTIONS:
            SECTIONS[section](options)


if __name__ == "__main__":
    main()
