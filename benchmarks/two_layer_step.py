"""A training step of both layers against its products: ``python -m benchmarks.two_layer_step [SECTION ...] [--small]``.

Loss and gradient of a two-layer network with biases, in float64. The *bare products* are those that no step can do without,
X_b @ W, Phi_b @ V, Phi_b.T @ R_b, R_b @ V.T (for several outputs) and X_b.T @ (Phi'_b o R_b V.T), by the blocks and panels
that the package uses; *with activations* adds values and derivatives of sigma. *NumPy* is the step as the formula reads, on
arrays of n x m; *PyTorch* differentiates by itself, and is left out where it is not installed. Everybody is timed in turns,
in one process, with as many threads. Deviations of gradients are relative to the largest entry of NumPy's.

Sections: ``step``; ``gram``, the tangent Gram matrix against the (1 + k (k + 1) / 2) products Phi Phi.T that it cannot do
without, as SYRK of the BLAS, and against NumPy with an explicit Jacobian; ``linear``, the linearisation and its products in
units of a step.
"""

import argparse
import os
import platform
from time import perf_counter, process_time

import numpy as np
from scipy.linalg import blas
from scipy.special import erf
from threadpoolctl import threadpool_info, threadpool_limits

from benchmarks.benchmarks.common import table
from benchmarks.exponential_step import CLOCK, Product, timed
from underdetermined.blocks import run_tiles
from underdetermined.joint import draw_network
from underdetermined.objectives import TwoLayer
from underdetermined.objectives._two_layer_tiles import TwoLayerTiles

try:
    import torch
except ImportError:
    torch = None


def gelu(z):
    """Value and derivative of gelu."""
    below = 0.5 * (1.0 + erf(z / np.sqrt(2.0)))
    return z * below, below + z * np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)


def tanh(z):
    """Value and derivative of tanh."""
    value = np.tanh(z)
    return value, 1.0 - value**2


FORMULAS = {"tanh": tanh, "gelu": gelu}


class Problem:
    """Random rows, targets and row weights, and an objective with hidden and output biases."""

    def __init__(self, n, d, width, threads, n_outputs=1, activation="tanh", seed=0):
        rng = np.random.default_rng(seed)
        hidden, coef = draw_network(d, width, n_outputs, activation=activation, bias_scale=0.0, seed=seed)
        X, Y = rng.standard_normal((n, d)), rng.standard_normal((n, n_outputs))
        hidden = type(hidden)(hidden.weights, hidden.biases, hidden.activation, hidden.scale, n_jobs=threads)
        self.objective = TwoLayer(X, Y, hidden, coef, intercept=0.0, sample_weight=rng.uniform(0.5, 1.5, n))
        self.theta = self.objective.initial()
        self.formula, self.threads = FORMULAS[activation], threads
        self.label = f"n={n}, d={d}, m={width}, k={n_outputs}, {activation}"

    def step(self):
        """Loss and gradient, by the package."""
        return self.objective.value_and_gradient(self.theta)[1]


class Package:
    """The step of the package."""

    name = "package"

    def __init__(self, problem):
        self.step = problem.step

    def __call__(self):
        """Gradient."""
        return self.step()


class Bare:
    """The products by blocks and panels, on threads with a BLAS of one thread each."""

    name, with_activations = "bare products", False

    def __init__(self, problem):
        objective = problem.objective
        self.hidden = np.vstack([objective.feature_map.weights, objective.feature_map.biases])
        self.X = np.hstack([objective.X, np.ones((len(objective.X), 1))])
        self.activation, self.threads = objective.feature_map.activation, problem.threads
        tiles = TwoLayerTiles(self.X, self.hidden, self.activation, 1, with_derivatives=True)
        self.blocks, self.panels, self.last = tiles.blocks, tiles.panels, objective.output_weights
        shape = (self.blocks[0].stop, self.panels[0].stop)
        self.buffers = [(np.zeros(shape[0] * shape[1]), np.zeros(shape[0] * shape[1])) for _ in self.panels]
        self.right = objective.targets
        self.slopes = [np.zeros((len(self.hidden), part.stop - part.start)) for part in self.panels]

    def __call__(self):
        """Do them once."""
        is_single = self.last.shape[1] == 1
        for rows in self.blocks:
            inputs, right = self.X[rows], self.right[rows]

            def tile(index, rows=rows):
                height, width = rows.stop - rows.start, self.panels[index].stop - self.panels[index].start
                return (buffer[: height * width].reshape(height, width) for buffer in self.buffers[index])

            def forwards(index, inputs=inputs, tile=tile):
                values, slopes = tile(index)
                np.matmul(inputs, self.hidden[:, self.panels[index]], out=values)
                if self.with_activations:
                    self.activation.apply_with_derivative(values, slopes)
                return values @ self.last[self.panels[index]]

            def backwards(index, inputs=inputs, right=right, tile=tile):
                values, slopes = tile(index)
                values.T @ right
                factors = slopes if is_single else right @ self.last[self.panels[index]].T
                self.slopes[index] += inputs.T @ factors

            for task in (forwards, backwards):
                run_tiles(task, range(len(self.panels)), n_jobs=self.threads)


class Active(Bare):
    """The same with activations and derivatives in between."""

    name, with_activations = "with activations", True


class Formula:
    """The step as NumPy reads it."""

    name = "NumPy, whole arrays"

    def __init__(self, problem):
        self.objective, self.formula = problem.objective, problem.formula
        self.layer, self.coef, self.intercept = problem.objective.network(problem.theta)

    def __call__(self):
        """Gradient."""
        X, scale = self.objective.X, self.layer.scale
        values, slopes = self.formula(X @ self.layer.weights + self.layer.biases)
        residual = scale * (values @ self.coef) + self.intercept - self.objective.targets
        weighted = self.objective.sample_weight[:, np.newaxis] * residual
        back = scale * (weighted @ self.coef.T) * slopes
        parts = [X.T @ back, back.sum(axis=0), scale * (values.T @ weighted), weighted.sum(axis=0)]
        return np.concatenate([part.ravel() for part in parts])


class Torch:
    """The same loss in PyTorch on the CPU, differentiated by its own means."""

    name = "PyTorch, autograd"

    def __init__(self, problem):
        objective = problem.objective
        layer, coef, intercept = objective.network(problem.theta)
        self.parts = [
            torch.from_numpy(part.copy()).requires_grad_() for part in (layer.weights, layer.biases, coef, intercept)
        ]
        arrays = (objective.X, objective.targets, objective.sample_weight[:, np.newaxis])
        self.X, self.y, self.s = (torch.from_numpy(array.copy()) for array in arrays)
        functions = {"tanh": torch.tanh, "gelu": torch.nn.functional.gelu}
        self.activation, self.scale = functions[layer.activation.name], layer.scale

    def __call__(self):
        """Gradient."""
        weights, biases, coef, intercept = self.parts
        for part in self.parts:
            part.grad = None
        outputs = self.scale * (self.activation(torch.addmm(biases, self.X, weights)) @ coef) + intercept
        (0.5 * (self.s * (outputs - self.y) ** 2).sum()).backward()
        return np.concatenate([part.grad.numpy().ravel() for part in self.parts])


PEERS = (Formula, *((Torch,) if torch else ()))


def measure_step(options):
    """Steps against their products and against others."""
    sizes = [(442, 10, 512), (992, 8, 2048), (1503, 5, 512), (4000, 18, 4096), (200, 50, 20_000)]
    rows = []
    for n, d, width in [(60, 8, 300)] if options.small else sizes:
        for n_outputs, activation in ((1, "tanh"), (3, "tanh"), (10, "gelu")):
            problem = Problem(n, d, width, options.threads, n_outputs, activation)
            with threadpool_limits(options.threads):
                best = timed([kind(problem) for kind in (Package, Bare, Active, *PEERS)], options.rounds)
                reference = Formula(problem)()
                deviation = np.abs(problem.step() - reference).max() / np.abs(reference).max()
            row = [problem.label, *(f"{1e9 * seconds / (n * width):.2f}" for seconds in best.values())]
            row += [f"{best[Package.name] / best[kind.name]:.2f}" for kind in (Bare, Active)]
            rows.append([*row, *(f"{best[kind.name] / best[Package.name]:.1f}" for kind in PEERS), f"{deviation:.0e}"])
    ratios = ["package / bare", "/ with activations", *(f"{kind.name.split(',')[0]} / package" for kind in PEERS)]
    table(f"nanoseconds per row and neuron, {options.threads} threads", ["problem", *best, *ratios, "deviation"], rows)


def measure_gram(options):
    """The Gram matrix against what it cannot do without."""
    sizes = [(442, 10, 512, 1), (992, 8, 2048, 1), (1503, 5, 512, 1), (500, 10, 1000, 3), (400, 64, 512, 10)]
    rows = []
    for n, d, width, n_outputs in [(50, 8, 300, 1), (30, 8, 200, 3)] if options.small else sizes:
        problem = Problem(n, d, width, options.threads, n_outputs)
        line, n_products = problem.objective.linearize(problem.theta), 1 + n_outputs * (n_outputs + 1) // 2
        features, total = np.random.default_rng(0).standard_normal((n, width)).T, np.zeros((n, n), order="F")

        def products(features=features, total=total, count=n_products):
            for _ in range(count):
                blas.dsyrk(1.0, features, beta=1.0, c=total, trans=1, lower=1, overwrite_c=1)

        def explicit(line=line):
            jacobian = line.dense()
            return jacobian @ jacobian.T

        calls = [Product("package", line.gram), Product("SYRKs", products), Product("mean block", line.output_gram)]
        with threadpool_limits(options.threads):
            best = timed([*calls, Product("NumPy, J J.T", explicit)], options.rounds)
        row = [problem.label, *(f"{1e3 * seconds:.2f}" for seconds in best.values())]
        ratios = best["package"] / best["SYRKs"], best["NumPy, J J.T"] / best["package"]
        rows.append([*row, *(f"{ratio:.2f}" for ratio in ratios)])
    table(f"milliseconds, {options.threads} threads", ["problem", *best, "package / SYRKs", "NumPy / package"], rows)


def measure_linear(options):
    """What the linearisation costs, with activations kept and computed again, in units of a step."""
    sizes = [(442, 10, 512, 1), (992, 8, 2048, 1), (1500, 64, 512, 10), (2500, 16, 8000, 1)]
    rows = []
    for n, d, width, n_outputs in [(50, 8, 300, 1)] if options.small else sizes:
        problem = Problem(n, d, width, options.threads, n_outputs)
        line = problem.objective.linearize(problem.theta)
        left = line.residual
        calls = [Package(problem), Product("linearize", lambda problem=problem: problem.objective.linearize(problem.theta))]
        calls += [Product("J v", lambda line=line, problem=problem: line.jacobian @ problem.theta)]
        calls += [Product("J.T u", lambda line=line, left=left: line.jacobian.T @ left)]
        with threadpool_limits(options.threads):
            best = timed(calls, options.rounds)
        kept = "kept" if 2 * n * width <= 2**24 else "computed again"
        rows.append([problem.label, kept, *(f"{1e3 * seconds:.2f}" for seconds in best.values())])
    table(f"milliseconds, {options.threads} threads", ["problem", "activations", *best], rows)


SECTIONS = {"step": measure_step, "gram": measure_gram, "linear": measure_linear}


def main():
    """Run the sections asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", help=f"any of {', '.join(SECTIONS)}; all if none is given")
    parser.add_argument("--threads", type=int, default=1, help="of everybody: BLAS, PyTorch, package (1)")
    parser.add_argument("--busy", action="store_true", help="processor time, where other processes share the machine")
    parser.add_argument("--rounds", type=int, help="timed runs of everybody (7; 1 with --small)")
    parser.add_argument("--small", action="store_true", help="toy sizes, to see that everything runs")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.small else 7)
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no section {sorted(unknown)}; choose from {', '.join(SECTIONS)}")
    # The clock that `timed` reads.
    CLOCK["now"] = process_time if options.busy else perf_counter
    if torch:
        torch.set_num_threads(options.threads)
    libraries = sorted({f"{pool['internal_api']} {pool.get('architecture', '')}".strip() for pool in threadpool_info()})
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {', '.join(libraries)}, ", end="")
    print(f"PyTorch {torch.__version__ if torch else 'not installed'}, load {os.getloadavg()[0]:.1f}")
    for section in options.sections or SECTIONS:
        SECTIONS[section](options)


if __name__ == "__main__":
    main()
