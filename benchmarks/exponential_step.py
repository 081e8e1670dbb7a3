"""A training step of exponentials against its products: ``python -m benchmarks.exponential_step [SECTION ...] [--small]``.

Loss and gradient of a network of exponentials in the hidden weights, in float64. The *bare products* are those that no step
can do without, X_b @ W into a buffer and X_b.T @ E, without exponentials, residual or weights: by panels of neurons, as the
package does it, and by blocks of rows alone; ratios refer to the faster of the two. *NumPy* is the step as the formula
reads, on arrays of n x m; *PyTorch* differentiates by itself, and is left out where it is not installed. Everybody is timed
in turns, in one process, with as many threads. Deviations of gradients are relative to the largest entry of NumPy's.

Sections: ``wide``, many neurons, sizes of rising d; ``narrow``, few inputs, where compiled loops replace the products of the
BLAS up to d = 4; ``linear``, products with the Jacobian and its Gram matrix; ``memory``, a step whose exponentials would
fill 8 GB, in a new process.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
from time import perf_counter, process_time, sleep

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from benchmarks.benchmarks.common import SETTLE, table
from underdetermined import FeatureMap
from underdetermined.blocks import run_tiles, slices
from underdetermined.objectives import Exponential, exponential
from underdetermined.objectives._tiles import add_product

try:
    import torch
except ImportError:
    torch = None

CLOCK = {"now": perf_counter}


class Problem:
    """Rows of norm about 1, random targets and row weights, and an objective."""

    def __init__(self, n, d, width, threads, n_outputs=1, seed=0):
        rng = np.random.default_rng(seed)
        self.X = rng.standard_normal((n, d)) / np.sqrt(d)
        hidden = FeatureMap(rng.standard_normal((d, width)), activation="exp", n_jobs=threads)
        coef = rng.choice([-1.0, 1.0], (width, n_outputs))
        weight = rng.uniform(0.5, 1.5, n)
        targets = rng.standard_normal((n, n_outputs))
        self.objective = Exponential(self.X, targets, hidden, coef, sample_weight=weight)
        self.theta = self.objective.initial()
        self.weights = self.theta.reshape(d, width)
        self.threads = threads
        self.label = f"n={n}, d={d}, m={width}, k={n_outputs}"

    def step(self):
        """Loss and gradient, by the package."""
        return self.objective.value_and_gradient(self.theta)[1]


class Panels:
    """Both products by blocks of rows and panels of neurons, on threads with a BLAS of one thread each."""

    name = "bare products, panels"

    def __init__(self, problem):
        tiles = problem.objective._tiles(problem.theta)
        self.problem, self.rows, self.panels = problem, slices(len(problem.X), tiles.height), tiles.panels
        self.buffer = np.empty((tiles.height, problem.weights.shape[1]))
        self.slopes = [np.zeros((problem.X.shape[1], part.stop - part.start)) for part in tiles.panels]

    def __call__(self):
        """Do them once."""
        X, weights = self.problem.X, self.problem.weights
        for rows in self.rows:
            height = rows.stop - rows.start

            def place(index, height=height):
                part = self.panels[index]
                flat = self.buffer.ravel()[height * part.start : height * part.stop]
                return flat.reshape(height, -1)

            def forwards(index, rows=rows, place=place):
                np.matmul(X[rows], weights[:, self.panels[index]], out=place(index))

            def backwards(index, rows=rows, place=place):
                add_product(X[rows], place(index), self.slopes[index])

            for task in (forwards, backwards):
                run_tiles(task, range(len(self.panels)), n_jobs=self.problem.threads)


class Blocks:
    """Both products by blocks of rows, with the threads of the BLAS."""

    name = "bare products, blocks"

    def __init__(self, problem):
        self.problem = problem
        self.height = problem.objective._tiles(problem.theta).height
        self.buffer = np.empty((self.height, problem.weights.shape[1]))
        self.product, self.total = np.empty_like(problem.weights), np.zeros_like(problem.weights)

    def __call__(self):
        """Do them once."""
        X, weights = self.problem.X, self.problem.weights
        for rows in slices(len(X), self.height):
            buffer = self.buffer[: rows.stop - rows.start]
            np.matmul(X[rows], weights, out=buffer)
            np.matmul(X[rows].T, buffer, out=self.product)
            self.total += self.product


class Formula:
    """The step as NumPy reads it."""

    name = "NumPy, whole arrays"

    def __init__(self, problem):
        self.problem, self.last = problem, problem.objective.output_weights

    def __call__(self):
        """Gradient."""
        objective = self.problem.objective
        activations = np.exp(self.problem.X @ self.problem.weights)
        residual = activations @ self.last - objective.targets
        weighted = objective.sample_weight[:, np.newaxis] * residual
        return (self.problem.X.T @ (activations * (weighted @ self.last.T))).ravel()


class Torch:
    """The same loss in PyTorch on the CPU, differentiated by its own means."""

    name = "PyTorch, autograd"

    def __init__(self, problem):
        objective = problem.objective
        arrays = (problem.X, objective.targets, objective.output_weights.copy(), objective.sample_weight[:, np.newaxis])
        self.X, self.y, self.last, self.s = map(torch.from_numpy, arrays)
        self.weights = torch.from_numpy(problem.weights.copy()).requires_grad_()

    def __call__(self):
        """Gradient."""
        self.weights.grad = None
        residual = torch.exp(self.X @ self.weights) @ self.last - self.y
        (0.5 * (self.s * residual**2).sum()).backward()
        return self.weights.grad.numpy().ravel()


class Loops:
    """The package, compiled loops whatever d is."""

    name = "package, loops"
    inputs = 10**9

    def __init__(self, problem):
        self.problem = problem

    def __call__(self):
        """Gradient."""
        usual, exponential.MOST_INPUTS = exponential.MOST_INPUTS, self.inputs
        try:
            return self.problem.step()
        finally:
            exponential.MOST_INPUTS = usual


class Tiles(Loops):
    """The package, products of the BLAS whatever d is."""

    name = "package, BLAS"
    inputs = 0


class Package:
    """The step as the package chooses it."""

    name = "package"

    def __init__(self, problem):
        self.step = problem.step

    def __call__(self):
        """Gradient."""
        return self.step()


PEERS = (Formula, *((Torch,) if torch else ()))


def timed(calls, rounds):
    """Least seconds of each call, all of them in turns."""
    best = {}
    for call in calls:
        call()
    for _ in range(rounds):
        for call in calls:
            # Threads of the BLAS go on spinning for a while after a product.
            sleep(SETTLE)
            start = CLOCK["now"]()
            call()
            best[call.name] = min(best.get(call.name, np.inf), CLOCK["now"]() - start)
    return best


def measure_wide(options):
    """Steps against their products and against others."""
    sizes = [(60, 8, 500), (50, 64, 700)] if options.small else [(2000, d, 8000) for d in (8, 16, 32, 64, 128)]
    rows = []
    for n, d, width in sizes:
        for n_outputs in (1, 3):
            problem = Problem(n, d, width, options.threads, n_outputs)
            with threadpool_limits(options.threads):
                best = timed([kind(problem) for kind in (Package, Panels, Blocks, *PEERS)], options.rounds)
                reference = Formula(problem)()
                deviation = np.abs(problem.step() - reference).max() / np.abs(reference).max()
            bare = min(best[Panels.name], best[Blocks.name])
            row = [problem.label, *(f"{1e9 * seconds / (n * width):.2f}" for seconds in best.values())]
            row += [f"{best[Package.name] / bare:.2f}", f"{best[Formula.name] / best[Package.name]:.1f}"]
            row += [f"{best[Torch.name] / best[Package.name]:.1f}"] if torch else []
            rows.append([*row, f"{deviation:.0e}"])
    header = ["problem", *best, "package / bare", "NumPy / package", *(["PyTorch / package"] if torch else []), "deviation"]
    table(f"nanoseconds per row and neuron, {options.threads} threads", header, rows)


def measure_narrow(options):
    """Compiled loops against the BLAS where there are few inputs."""
    sizes = [(40, 300)] if options.small else [(50, 400), (300, 5000), (4000, 2000)]
    rows = []
    for n, width in sizes:
        for d in (1, 2, 3, 4, 6, 8):
            problem = Problem(n, d, width, options.threads)
            with threadpool_limits(options.threads):
                best = timed([kind(problem) for kind in (Loops, Tiles, *PEERS)], 5 * options.rounds)
            row = [problem.label, *(f"{1e9 * seconds / (n * width):.2f}" for seconds in best.values())]
            rows.append([*row, f"{best[Tiles.name] / best[Loops.name]:.2f}"])
    table(f"nanoseconds per row and neuron, {options.threads} threads", ["problem", *best, "BLAS / loops"], rows)


class Product:
    """A product with the Jacobian, its transpose, or the Gram matrix."""

    def __init__(self, name, function):
        self.name, self.function = name, function

    def __call__(self):
        """Do it once."""
        return self.function()


def measure_linear(options):
    """What the linearisation costs, with exponentials kept and computed again, in units of a step."""
    sizes = [(40, 6, 300)] if options.small else [(400, 10, 4000), (1500, 16, 8000), (2500, 16, 8000)]
    rows = []
    for n, d, width in sizes:
        problem = Problem(n, d, width, options.threads)
        line = problem.objective.linearize(problem.theta)
        left = line.residual
        calls = [Package(problem), Product("J v", lambda line=line, problem=problem: line.jacobian @ problem.theta)]
        calls += [Product("J.T u", lambda line=line, left=left: line.jacobian.T @ left), Product("Gram", line.gram)]
        with threadpool_limits(options.threads):
            best = timed(calls, options.rounds)
        kept = "kept" if n * width <= 2**24 else "computed again"
        rows.append([problem.label, kept, *(f"{1e3 * seconds:.2f}" for seconds in best.values())])
    table(f"milliseconds, {options.threads} threads", ["problem", "exponentials", *best], rows)


def measure_memory(options):
    """Peak memory and seconds of a step whose exponentials fit in no laptop."""
    command = [sys.executable, "-m", "benchmarks.exponential_step", "alone", "--threads", str(options.threads)]
    names = {"OPENBLAS_NUM_THREADS": str(options.threads), "OMP_NUM_THREADS": str(options.threads)}
    command += [
        "--rounds",
        str(options.rounds),
        *(["--small"] if options.small else []),
        *(["--busy"] if options.busy else []),
    ]
    subprocess.run(command, check=True, env={**os.environ, **names})


def run_alone(options):
    """What `measure_memory` runs in a new process."""
    sizes, rounds = ((500, 20, 2000), 2) if options.small else ((10_000, 64, 100_000), min(options.rounds, 2))
    base = peak()
    problem = Problem(*sizes, options.threads)
    problem.step()
    highest = peak()
    best = timed([kind(problem) for kind in (Package, Panels, Blocks)], rounds)
    rows = [["seconds of a step", f"{best[Package.name]:.2f}"]]
    for kind in (Panels, Blocks):
        ratio = best[Package.name] / best[kind.name]
        rows.append([f"seconds of its {kind.name}", f"{best[kind.name]:.2f}, a step takes {ratio:.2f} times as long"])
    rows.append(["peak memory, GB", f"{highest:.2f}, of which {base:.2f} after the imports"])
    rows.append(["exponentials alone would be, GB", f"{8e-9 * sizes[0] * sizes[2]:.2f}"])
    table(f"{problem.label}, {options.threads} threads, in a new process", ["what", "value"], rows)


def peak():
    """Largest resident memory of this process so far, in GB."""
    return 1024e-9 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


SECTIONS = {"wide": measure_wide, "narrow": measure_narrow, "linear": measure_linear, "memory": measure_memory}


def main():
    """Run the sections asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", help=f"any of {', '.join(SECTIONS)}; all if none is given")
    parser.add_argument("--threads", type=int, default=1, help="of everybody: BLAS, PyTorch, package (1)")
    parser.add_argument("--busy", action="store_true", help="processor time, where other processes share the machine")
    parser.add_argument("--rounds", type=int, help="timed runs of everybody (5; 1 with --small)")
    parser.add_argument("--memory", action="store_true", help="the section memory alone")
    parser.add_argument("--small", action="store_true", help="toy sizes, to see that everything runs")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.small else 5)
    if unknown := set(options.sections) - {*SECTIONS, "alone"}:
        parser.error(f"no section {sorted(unknown)}; choose from {', '.join(SECTIONS)}")
    CLOCK["now"] = process_time if options.busy else perf_counter
    if options.sections == ["alone"]:
        run_alone(options)
        return
    if torch:
        torch.set_num_threads(options.threads)
    libraries = sorted({f"{pool['internal_api']} {pool.get('architecture', '')}".strip() for pool in threadpool_info()})
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {', '.join(libraries)}, ", end="")
    print(f"PyTorch {torch.__version__ if torch else 'not installed'}, load {os.getloadavg()[0]:.1f}")
    for section in ["memory"] if options.memory else options.sections or SECTIONS:
        SECTIONS[section](options)


if __name__ == "__main__":
    main()
