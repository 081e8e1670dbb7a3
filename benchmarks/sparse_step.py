"""Active-set training against dense steps: ``python -m benchmarks.sparse_step [SECTION ...] [--threads 1] [--small]``.

Every contender trains the same network from the same start with the same learning rate, in turns, in one process. The dense
steps are written here, as a user of NumPy or PyTorch would: float64, in place, two products of X with the weights. One
NumPy step keeps whole arrays, the other one works on blocks that stay in the cache; ratios refer to the faster of them.
PyTorch differentiates by itself, and is left out where it is not installed.

A dense step costs the same at every step, so its median is shown. For the trainer it is the whole run divided by the number
of steps: finding the active pairs, lists, refreshes and results included; the largest tangent eigenvalue alone, which all
contenders share through the learning rate, is timed apart. Deviations from the whole-array step are the largest over all
steps (the first ten for the other dense ones), relative to the residual of the same step; those of the last weights are
relative to the weights and to how far they have moved.

The wide networks need small targets: with few active neurons on each row, those have to move far, and at targets of 1 and a
bias of -3 the first steps of this length leave no neuron alive. ``--amplitude`` shows what larger ones cost.

Sections: ``wide``, a wide network at two biases; ``narrow``, networks whose masks change all the time; ``memory``, one whose
pre-activations would fill 8 GB, in a new process.
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
from underdetermined.active_sets import active_pairs, draw_network, largest_tangent_eigenvalue, train_active_sets
from underdetermined.objectives.sparse_relu import SparseReLU

try:
    import torch
except ImportError:
    torch = None

STRATEGIES = ("auto", "lists", "kernel", "masked", "dense")
BLOCK = 128  # neurons of a block: their pre-activations on 2,000 rows, 2 MB, stay in the cache
TIMED = 10  # steps that a dense contender takes in every round
CLOCK = {"now": perf_counter}
LONG_RUN = 20.0  # seconds: a run of the trainer that takes longer is timed once


class Problem:
    """Unit rows, smooth targets, a network whose outputs start at zero, and one learning rate for all."""

    def __init__(self, n, d, width, bias, amplitude, factor, seed=0):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((n, d))
        self.X = X / np.linalg.norm(X, axis=1, keepdims=True)
        self.y = amplitude * np.sin(self.X @ rng.standard_normal((d, 3))).sum(axis=1)
        self.layer, self.coef = draw_network(d, width, bias=bias, seed=seed)
        self.objective = SparseReLU(self.X, self.y, self.layer, self.coef)
        self.label = f"n={n}, d={d}, m={width}, B={bias:g}, targets {np.std(self.y):.2g}"
        start = CLOCK["now"]()
        self.rate = factor / largest_tangent_eigenvalue(self.objective)
        self.rate_seconds = CLOCK["now"]() - start


class WholeArrays:
    """A dense step on arrays of n x m, made once; the bias is the weight of a column of ones."""

    name = "NumPy, whole arrays"

    def __init__(self, problem):
        self.X = np.column_stack([problem.X, np.ones(len(problem.X))])
        self.y = problem.y
        self.weights = np.vstack([problem.layer.weights, problem.layer.biases])
        self.last = problem.coef[:, 0] * problem.layer.scale
        self.step_of_last = problem.rate * self.last
        self.active = np.empty((len(self.X), len(self.last)))
        self.gradient = np.empty_like(self.weights)

    def step(self):
        """Residual here; then one step of gradient descent."""
        np.matmul(self.X, self.weights, out=self.active)
        np.maximum(self.active, 0.0, out=self.active)
        residual = self.active @ self.last - self.y
        np.sign(self.active, out=self.active)
        self.active *= residual[:, np.newaxis]
        np.matmul(self.X.T, self.active, out=self.gradient)
        self.gradient *= self.step_of_last
        self.weights -= self.gradient
        return residual

    def parameters(self):
        """Weights (d, m) above biases (m,)."""
        return self.weights


class Blocks(WholeArrays):
    """The same step on blocks of neurons: their pre-activations stay in the cache, masks are kept as bytes."""

    name = "NumPy, blocks"

    def __init__(self, problem):
        super().__init__(problem)
        self.active = np.empty((len(self.X), min(BLOCK, len(self.last))))
        self.blocks = [slice(start, start + BLOCK) for start in range(0, len(self.last), BLOCK)]
        self.masks = [np.empty((len(self.X), len(self.last[block])), bool) for block in self.blocks]

    def step(self):
        """Residual here; then one step of gradient descent."""
        residual = -self.y
        for block, mask in zip(self.blocks, self.masks, strict=True):
            active = self.active[:, : mask.shape[1]]
            np.matmul(self.X, self.weights[:, block], out=active)
            np.greater(active, 0.0, out=mask)
            np.maximum(active, 0.0, out=active)
            residual += active @ self.last[block]
        for block, mask in zip(self.blocks, self.masks, strict=True):
            active = self.active[:, : mask.shape[1]]
            np.multiply(mask, residual[:, np.newaxis], out=active)
            self.weights[:, block] -= (self.X.T @ active) * self.step_of_last[block]
        return residual


class Torch:
    """The same network in PyTorch on the CPU, differentiated by its own means."""

    name = "PyTorch, autograd"

    def __init__(self, problem):
        self.X, self.y = torch.from_numpy(problem.X), torch.from_numpy(problem.y)
        self.weights = torch.from_numpy(problem.layer.weights.copy()).requires_grad_()
        self.biases = torch.from_numpy(problem.layer.biases.copy()).requires_grad_()
        self.last = torch.from_numpy(problem.coef[:, 0] * problem.layer.scale)
        self.optimizer = torch.optim.SGD([self.weights, self.biases], lr=problem.rate)

    def step(self):
        """Residual here; then one step of gradient descent."""
        self.optimizer.zero_grad()
        residual = torch.relu(torch.addmm(self.biases, self.X, self.weights)) @ self.last - self.y
        (0.5 * residual @ residual).backward()
        self.optimizer.step()
        return residual.detach().numpy()

    def parameters(self):
        """Weights (d, m) above biases (m,)."""
        return np.vstack([self.weights.detach().numpy(), self.biases.detach().numpy()])


DENSE = (WholeArrays, Blocks, *((Torch,) if torch else ()))


def trained(problem, strategy, steps, threads, callback=None):
    """Trajectory and seconds per step of the whole run."""
    start = CLOCK["now"]()
    trajectory = train_active_sets(
        problem.objective, learning_rate=problem.rate, max_iter=steps, strategy=strategy, callback=callback, n_jobs=threads
    )
    return trajectory, (CLOCK["now"]() - start) / steps


class Deviation:
    """Largest distance from the reference run: residuals step by step, then the last parameters."""

    def __init__(self, reference, residuals, start):
        self.reference, self.residuals, self.start = reference, residuals, start
        self.largest = 0.0

    def at(self, step, residual):
        """Take the residual of a step into account."""
        truth = self.residuals[step]
        self.largest = max(self.largest, float(np.linalg.norm(residual.ravel() - truth) / np.linalg.norm(truth)))

    def cells(self, parameters):
        """Texts: residuals, weights, weights relative to their movement."""
        change = np.linalg.norm(parameters - self.reference)
        scales = (np.linalg.norm(self.reference), np.linalg.norm(self.reference - self.start))
        return [f"{figure:.1e}" for figure in (self.largest, *(change / scale for scale in scales))]


def below(layer):
    """Weights (d, m) above biases (m,) of a feature map."""
    return np.vstack([layer.weights, layer.biases])


def dense_run(contender, steps, observe):
    """Seconds of each step; `observe` is called with the residual before it, outside the clock."""
    seconds = []
    for step in range(steps):
        start = CLOCK["now"]()
        residual = contender.step()
        seconds.append(CLOCK["now"]() - start)
        observe(step, residual)
    return seconds


def ignore(step, residual):
    """Take no notice."""


def reference_run(problem, steps):
    """Residuals at all steps, parameters after them, and after as many as the other dense contenders take."""
    reference, residuals, early = WholeArrays(problem), [], []

    def observe(step, residual):
        residuals.append(residual)
        early.extend([reference.weights.copy()] if step + 1 == min(TIMED, steps) else [])

    seconds = dense_run(reference, steps, observe)
    last = np.maximum(reference.X @ reference.weights, 0.0) @ reference.last - reference.y
    return seconds, [*residuals, last], early[0], reference.weights


def measure(problem, strategies, steps, rounds, threads):
    """Print seconds per step of everybody, in turns, and deviations from the whole-array step."""
    with threadpool_limits(threads):
        first, residuals, early, late = reference_run(problem, steps)
        seconds, cells, trajectories = {WholeArrays.name: first}, {WholeArrays.name: ["", "", ""]}, {}
        for kind in DENSE[1:]:
            contender, deviation = kind(problem), Deviation(early, residuals, below(problem.layer))
            seconds[kind.name] = dense_run(contender, min(TIMED, steps), deviation.at)
            cells[kind.name] = deviation.cells(contender.parameters())
        for strategy in strategies:
            deviation = Deviation(late, residuals, below(problem.layer))

            def observe(step, state, deviation=deviation):
                deviation.at(step, state.residual)

            trained(problem, strategy, 1, threads)  # compiles
            trajectories[strategy], once = trained(problem, strategy, steps, threads, observe)
            seconds[strategy] = [once]
            cells[strategy] = deviation.cells(below(trajectories[strategy].feature_map))
        for _ in range(rounds):
            for kind in DENSE:
                sleep(SETTLE)
                seconds[kind.name] += dense_run(kind(problem), min(TIMED, steps), ignore)
            for strategy in strategies:
                if steps * seconds[strategy][0] < LONG_RUN:
                    # Threads of the BLAS go on spinning for a while after a product.
                    sleep(SETTLE)
                    seconds[strategy].append(trained(problem, strategy, steps, threads)[1])
    medians = {name: float(np.median(found)) for name, found in seconds.items()}
    best = {name: min(found) for name, found in seconds.items()}
    fastest = min((kind.name for kind in DENSE[:2]), key=medians.get)
    rows = []
    for name in medians:
        ratios = [medians[fastest] / medians[name], best[fastest] / best[name]]
        ratios += [medians[Torch.name] / medians[name]] if torch else []
        times = [f"{1e3 * medians[name]:.3f}", f"{1e3 * best[name]:.3f}"]
        rows.append([name, *times, *(f"{ratio:.2f}" for ratio in ratios), *cells[name]])
    header = ["what", "ms per step", "least", "times as fast", "by the least", *(["than PyTorch"] if torch else [])]
    header += ["residuals", "weights", "of their movement"]
    table(f"{problem.label}, {steps} steps, {threads} threads", header, rows)
    describe(problem, trajectories, steps)
    return medians[fastest]


def describe(problem, trajectories, steps):
    """Print what the runs did: pairs, live neurons, the choice of auto."""
    pairs, relative = problem.X.shape[0] * problem.layer.width, None
    for strategy, found in trajectories.items():
        relative = np.sqrt(found.value[-1] / found.value[0])
        print(
            f"  {strategy}: {found.strategy}, pairs visited per step {100 * found.n_visited[1:].mean() / pairs:.3g} %"
            f" of all, live neurons {found.n_live[0]} -> {found.n_live[-1]}"
        )
    if "auto" in trajectories:
        print(f"  auto: {trajectories['auto'].reason}")
    print(f"  active {100 * found.active_fraction[0]:.3g} % -> {100 * found.active_fraction[-1]:.3g} %", end="")
    print(f", residual after {steps} steps {relative:.3g} of the first")
    print(f"  largest tangent eigenvalue, once, for the learning rate: {problem.rate_seconds:.3f} s", flush=True)


def floor(problem, dense_seconds, threads):
    """Print what the active pairs alone cost at the rate of the BLAS, and reading and writing all weights."""
    n, d = problem.X.shape
    width, count = problem.layer.width, len(active_pairs(problem.layer, problem.X, n_jobs=threads).samples)
    weights, out = problem.layer.weights, np.empty((n, width))
    copy = np.empty_like(weights)
    with threadpool_limits(threads):
        product = least(lambda: np.matmul(problem.X, weights, out=out))
    rate, bandwidth = 2.0 * n * d * width / product, 2.0 * weights.nbytes / least(lambda: np.copyto(copy, weights))
    rows = [["active pairs at the rate of the BLAS", 4.0 * d * count / rate]]
    # Once to read them forwards; backwards once to read and once to write.
    rows.append(["weights at the rate of a copy of them", 3.0 * weights.nbytes / bandwidth])
    cells = [[name, f"{1e3 * seconds:.3f}", f"{dense_seconds / seconds:.0f}"] for name, seconds in rows]
    title = f"floors, {count} active pairs, BLAS {1e-9 * rate:.0f} Gflop/s, copy {1e-9 * bandwidth:.1f} GB/s"
    table(title, ["what", "ms per step", "times as fast as dense"], cells)


def least(call, repeats=5):
    """Least seconds of a call, after one that is not counted."""
    call()
    seconds = []
    for _ in range(repeats):
        start = CLOCK["now"]()
        call()
        seconds.append(CLOCK["now"]() - start)
    return min(seconds)


def measure_wide(options):
    """The step of a wide network, whose few active pairs hardly change."""
    sizes, steps, rounds = ((200, 16, 1000), 20, 2) if options.small else ((2000, 64, 20000), 200, options.rounds)
    for bias in options.bias:
        problem = Problem(*sizes, bias, options.amplitude, factor=0.5)
        strategies = options.strategies or ("auto", "lists", "kernel", "masked")
        floor(problem, measure(problem, strategies, steps, rounds, options.threads), options.threads)


def measure_narrow(options):
    """Far too few neurons for the targets: they move across the data, and the lists with them."""
    steps = 50 if options.small else 300
    for sizes, bias, amplitude in (((60, 8, 400), 1.8, 1.0), ((200, 5, 60), 1.0, 5.0), ((300, 10, 100), 0.5, 10.0)):
        problem = Problem(*sizes, bias, amplitude, factor=0.2)
        measure(problem, options.strategies or STRATEGIES, steps, 1, options.threads)
        masks = []

        def observe(step, state, X=problem.X, masks=masks):
            masks.append(X @ state.feature_map.weights + state.feature_map.biases > 0)

        trained(problem, "dense", steps, options.threads, observe)
        changes = [np.count_nonzero(now != then) for now, then in zip(masks[1:], masks[:-1], strict=True)]
        print(f"  pairs that woke or fell asleep: {np.mean(changes):.3g} per step, {max(changes)} at most", end="")
        print(f", of {masks[0].sum()} active ones at the start and {masks[-1].sum()} at the end", flush=True)


def measure_memory(options):
    """Peak memory and seconds per step of a network whose pre-activations fit in no laptop."""
    command = [sys.executable, "-m", "benchmarks.sparse_step", "alone", "--threads", str(options.threads)]
    names = {"OPENBLAS_NUM_THREADS": str(options.threads), "OMP_NUM_THREADS": str(options.threads)}
    command += ["--amplitude", str(options.amplitude), *(["--small"] if options.small else [])]
    command += ["--busy"] if options.busy else []
    subprocess.run(command, check=True, env={**os.environ, **names})


def run_alone(options):
    """What `measure_memory` runs in a new process."""
    sizes, steps = ((500, 20, 2000), 5) if options.small else ((10_000, 100, 100_000), 20)
    base = peak()
    trained(Problem(50, 4, 40, 1.0, 1.0, 0.5), "auto", 3, options.threads)  # compiles
    start = CLOCK["now"]()
    problem = Problem(*sizes, 2.4, options.amplitude, factor=0.5)
    marks = [CLOCK["now"]()]
    trajectory, seconds = trained(problem, "auto", steps, options.threads, lambda step, state: marks.append(CLOCK["now"]()))
    dense = 8e-9 * sizes[0] * sizes[2]
    rows = [
        ["strategy", trajectory.strategy],
        ["active fraction, start and end", f"{trajectory.active_fraction[0]:.5f}, {trajectory.active_fraction[-1]:.5f}"],
        ["pairs visited per step", f"{trajectory.n_visited[1:].mean():.3g}"],
        ["seconds per step, the whole run", f"{seconds:.3f}"],
        ["seconds per step, median after the first", f"{np.median(np.diff(marks[1:])):.3f}"],
        ["seconds to the first step: pairs, lists", f"{marks[1] - marks[0]:.2f}"],
        ["seconds before training, largest eigenvalue included", f"{marks[0] - start:.1f}"],
        ["peak memory, GB", f"{peak():.2f}, of which {base:.2f} after the imports"],
        ["pre-activations alone would be, GB", f"{dense:.2f}"],
    ]
    table(f"{problem.label}, {steps} steps, {options.threads} threads, in a new process", ["what", "value"], rows)
    print(f"  auto: {trajectory.reason}")


def peak():
    """Largest resident memory of this process so far, in GB."""
    return 1024e-9 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


SECTIONS = {"wide": measure_wide, "narrow": measure_narrow, "memory": measure_memory}


def main():
    """Run the sections asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", help=f"any of {', '.join(SECTIONS)}; all if none is given")
    parser.add_argument("--threads", type=int, default=1, help="of everybody: BLAS, PyTorch, trainer (1)")
    parser.add_argument("--busy", action="store_true", help="processor time, where other processes share the machine")
    parser.add_argument("--rounds", type=int, default=5, help="timed runs of everybody (5)")
    parser.add_argument("--amplitude", type=float, default=0.03, help="of the targets of wide networks (0.03)")
    parser.add_argument("--bias", type=float, nargs="+", default=[2.0, 3.0], help="biases of the wide network (2 3)")
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, help="of the trainer; all that fit if not given")
    parser.add_argument("--small", action="store_true", help="toy sizes, to see that everything runs")
    options = parser.parse_args()
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
    for section in options.sections or SECTIONS:
        SECTIONS[section](options)


if __name__ == "__main__":
    main()
