"""Whether the theorems on the width hold, and how tight they are: ``python -m benchmarks.width_bounds``.

Each case is a random data set with a random activation, scales, epsilon and delta; each bound is asked for three targets
(rank, spectrum, condition), and networks drawn here with NumPy are judged at its width. A failure counts against the
strongest statement that the bound makes: the whole matrix inequality G >= (1 - epsilon) K, for "chernoff" its smallest
eigenvalue. A bound beyond ``--cap`` neurons is judged at the cap, where failures are more frequent, so that success there
says more, and failure nothing; such cases are counted apart. Weights drawn by leverage are simulated by rejection where
the leverage has a bound that is low enough, and otherwise from a pool, for which the theorem holds as well with the average
over the pool in place of K. The ratio of a bound to the width of Gaussian networks that `empirical_minimum_width` finds, for
the same event and delta, says how tight it is; where it finds none up to the cap, there is no ratio.
"""

import argparse
import sys
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
from scipy.stats import binom

from benchmarks.benchmarks.common import table
from underdetermined import Activation, get_activation
from underdetermined.activations import hermite, names, shifted_relu
from underdetermined.blocks import single_threaded_blas
from underdetermined.bounds import WidthProblem, minimum_width
from underdetermined.empirical_width import clopper_pearson, empirical_minimum_width

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from attainability_oracle import exact_features, exact_rank  # noqa: E402

DATA = ("gaussian", "sphere", "clusters", "heavy tails", "cube", "line", "copies", "antipodal", "low rank")
TARGETS = ("rank", "spectrum", "condition")
SAFE = 1e-9  # eigenvalues of a Gram matrix above this share of the largest need no singular values
REJECTION_LIMIT = 2**18  # neurons that rejection may draw for one network


def soft_clip(z):
    """A user's function, bounded and Lipschitz by declaration."""
    return z / (1.0 + np.abs(z))


def activations():
    """The catalogue, families with parameters, and users' functions with declared facts."""
    named = [name for name in names() if name not in ("identity", "hermite", "leaky_relu", "shifted_relu")]
    return [
        *map(get_activation, named),
        get_activation("leaky_relu(0.2)"),
        shifted_relu(0.5),
        hermite([0.3, 0.8, 0.4, 0.3]),
        Activation("soft_clip", function=soft_clip, bound=1.0, lipschitz=1.0, kinks=(0.0,)),
    ]


def draw_rows(kind, rng, largest):
    """Rows of one kind of data, with a random number of rows and columns."""
    n, d = int(rng.integers(3, largest + 1)), int(rng.integers(1, 9))
    X = rng.standard_normal((n, d))
    if kind == "sphere":
        X = X / np.linalg.norm(X, axis=1, keepdims=True) * np.sqrt(d)
    elif kind == "clusters":
        X = X[rng.integers(0, max(1, n // 3), n)] + 0.3 * rng.standard_normal((n, d))
    elif kind == "heavy tails":
        X = np.clip(rng.standard_t(2.5, (n, d)), -6.0, 6.0)
    elif kind == "cube":
        X = np.sign(X)
    elif kind == "line":
        X = np.sort(rng.uniform(-2.0, 2.0, (n, 1)), axis=0)
    elif kind == "copies":
        X = X[rng.integers(0, n, n)]
    elif kind == "antipodal":
        X[n // 2 :] = -X[: n - n // 2]
    elif kind == "low rank":
        X = X[:, :1] @ rng.standard_normal((1, d)) + 0.2 * X
    return X


def draw_case(index, largest):
    """Random data set, activation, scales and demands, all from the number of the case."""
    rng = np.random.default_rng([20, index])
    choices = activations()
    activation, kind = choices[index % len(choices)], DATA[int(rng.integers(len(DATA)))]
    X = draw_rows(kind, rng, largest)
    scales = {
        "weight_scale": float(X.shape[1] ** -0.5 * 10.0 ** rng.uniform(-0.3, 0.3)),
        "bias_scale": float(rng.choice([0.0, 0.3, 1.0])),
    }
    epsilon, delta = float(rng.choice([0.25, 0.5, 0.9])), float(rng.choice([0.1, 0.2, 0.3]))
    return X, activation, scales, epsilon, delta, float(rng.choice([2.0, 5.0, 20.0])), rng


class Judge:
    """Events of networks on given rows, by the eigenvalues of K and of the Gram matrices of features drawn here."""

    def __init__(self, kernel, rank, epsilon, condition):
        values, vectors = np.linalg.eigh(kernel)
        self.rank, self.epsilon, self.condition = rank, epsilon, condition
        self.smallest, self.largest = values[-rank], values[-1]
        self.white = vectors[:, -rank:] / np.sqrt(values[-rank:])
        # Rounding of K is felt in the smallest whitened eigenvalue.
        self.slack = 8.0 * len(values) * np.finfo(float).eps * self.largest / self.smallest

    def fails(self, target, features, *, is_whole):
        """Whether a target is missed; `is_whole` asks for the whole matrix inequality."""
        gram = features @ features.T / features.shape[1]
        if target == "spectrum" and is_whole:
            return np.linalg.eigvalsh(self.white.T @ gram @ self.white)[0] < 1.0 - self.epsilon - self.slack
        values = np.linalg.eigvalsh(gram)[::-1]
        if target == "spectrum":
            return values[self.rank - 1] < (1.0 - self.epsilon) * self.smallest * (1.0 - self.slack)
        if values[self.rank - 1] <= SAFE * values[0]:
            singular = np.linalg.svd(features, compute_uv=False)
            if np.count_nonzero(singular > max(features.shape) * np.finfo(float).eps * singular[0]) < self.rank:
                return True
            values = singular**2 / features.shape[1]
        return target == "condition" and values[0] > self.condition * values[self.rank - 1] * (1.0 + self.slack)


def draw_features(problem, width, rng):
    """Features of Gaussian neurons, drawn by NumPy."""
    weights = problem.weight_scale * rng.standard_normal((problem.inputs.shape[1], width))
    return problem.activation.value(problem.inputs @ weights + problem.bias_scale * rng.standard_normal(width))


def draw_by_rejection(problem, width, rng):
    """Features of neurons of density l, re-weighted; None if it would take too many draws."""
    bound = problem.activation.bound
    if bound is None or not problem.majorants:
        return None
    peak = bound**2 * min(float(majorant.sum()) for majorant in problem.majorants)
    if width * peak / problem.rank > REJECTION_LIMIT:
        return None
    kept, count = [], 0
    while count < width:
        features = draw_features(problem, 4096, rng)
        leverage = problem.leverage(features)
        accepted = rng.random(4096) * peak < leverage
        kept.append(features[:, accepted] * np.sqrt(problem.rank / leverage[accepted]))
        count += int(accepted.sum())
    return np.hstack(kept)[:, :width]


def judge_importance(problem, judge, target, width, trials, rng):
    """Failures of weights drawn by leverage, and how they were drawn."""
    first = draw_by_rejection(problem, width, rng)
    if first is not None:
        others = (draw_by_rejection(problem, width, rng) for _ in range(trials - 1))
        return "importance, exact", sum(judge.fails(target, A, is_whole=True) for A in (first, *others))
    pool = draw_features(problem, 2**14, rng)
    kernel = pool @ pool.T / pool.shape[1]
    own = Judge(kernel, problem.rank, judge.epsilon, 0.0)
    own.condition = judge.condition * (own.largest / own.smallest) / (judge.largest / judge.smallest)
    leverage = np.einsum("ij,ij->j", own.white.T @ pool, own.white.T @ pool)
    chances = leverage / leverage.sum()
    failures = 0
    for _ in range(trials):
        drawn = rng.choice(pool.shape[1], width, p=chances)
        failures += own.fails(target, pool[:, drawn] * np.sqrt(problem.rank / leverage[drawn]), is_whole=True)
    return "importance, pool", failures


def judge_gaussian(problem, judge, demands, trials, rng):
    """Failures of Gaussian weights for (bound, target, width) in `demands`; a network serves all of them."""
    failures = dict.fromkeys(demands, 0)
    widest = max((width for _, _, width in demands), default=0)
    for _ in range(trials if widest else 0):
        features = draw_features(problem, widest, rng)
        for name, target, width in demands:
            failures[name, target, width] += judge.fails(target, features[:, :width], is_whole=name != "chernoff")
    return failures


def exact_checks(problem, bounds, rng):
    """Statements without probability as (bound, violated): ranks of features and of the Jacobian of all layers."""
    found, r = [], problem.rank
    wide = draw_features(problem, 4 * problem.n_rows + 100, rng)
    found.append(("necessary", int(np.linalg.matrix_rank(wide)) > r))
    width, activation = bounds["parameter_count"].width, problem.activation
    if width is not None and width > 1 and activation.function is None:
        weights = rng.standard_normal((problem.augmented.shape[1], width - 1))
        z, coef = problem.augmented @ weights, rng.standard_normal(width - 1)
        slopes = activation.derivative(z) * coef
        jacobian = np.hstack([activation.value(z), *(problem.augmented * slope[:, np.newaxis] for slope in slopes.T)])
        found.append(("parameter_count", int(np.linalg.matrix_rank(jacobian)) >= r))
    if bounds["generic"].width is not None and problem.n_rows <= 10 and problem.is_resolved:
        rows = exact_features(problem.augmented, activation, rng, bounds["generic"].width)
        found.append(("generic", exact_rank(rows)[0] < r))
    return found


def run_case(index, largest, cap, trials, seeds):
    """Records of one case, (bound, activation, target, kind, width, delta, trials, failures, ratio), and exact checks."""
    X, activation, scales, epsilon, delta, factor, rng = draw_case(index, largest)
    problem = WidthProblem.from_data(X, activation=activation, **scales)
    label = activation.name
    if problem.rank == 0 or not problem.is_resolved:
        return index, [], []
    condition = factor * problem.spectrum.largest / float(problem.spectrum.eigenvalues[problem.rank - 1])
    kernel = problem.spectrum.eigenvectors * problem.spectrum.eigenvalues @ problem.spectrum.eigenvectors.T
    judge = Judge((kernel + kernel.T) / 2, problem.rank, epsilon, condition)
    demands, tested, records, checks = {}, [], [], []
    with single_threaded_blas():
        for target in TARGETS:
            asked = condition if target == "condition" else target
            options = {"epsilon": epsilon, "failure_probability": delta, "activation": activation, **scales}
            bounds = {bound.name: bound for bound in minimum_width(X, target=asked, **options).bounds}
            checks += exact_checks(problem, bounds, rng) if target == "rank" else []
            event = {"event": target, "condition": condition if target == "condition" else None}
            found = empirical_minimum_width(X, n_seeds=seeds, resolution=0.05, max_width=cap, seed=index, **event, **options)
            for bound in bounds.values():
                if bound.width is None or bound.role != "sufficient" or bound.name == "generic":
                    continue
                ratio = np.nan if found.width is None else bound.width / found.width
                if bound.weights == "leverage":
                    name, failures = judge_importance(problem, judge, target, min(bound.width, cap), trials, rng)
                    records.append((name, label, target, bound.kind, bound.width, delta, trials, failures, ratio))
                else:
                    key = (bound.name, target, min(bound.width, cap))
                    demands[key] = None
                    tested.append((key, (bound.name, label, target, bound.kind, bound.width, delta, trials), ratio))
        failures = judge_gaussian(problem, judge, demands, trials, rng)
    records += [(*record, failures[key], ratio) for key, record, ratio in tested]
    return index, records, checks


def report_failures(records, cap):
    """Print failure frequencies with intervals against the stated probability; the verdict rests on true widths alone."""
    groups, rows = defaultdict(list), []
    for name, _, target, kind, width, delta, trials, failures, _ in records:
        groups[kind, name, TARGETS.index(target)].append((width, delta, trials, failures))
    for (kind, name, target), cases in sorted(groups.items(), reverse=True):
        capped = [(trials, failures) for width, _, trials, failures in cases if width > cap]
        at_cap = [str(len(capped)), f"{sum(failures for _, failures in capped)} / {sum(trials for trials, _ in capped)}"]
        true = [case[1:] for case in cases if case[0] <= cap]
        found = _judged(*(np.array(column) for column in zip(*true, strict=True))) if true else 5 * ["-"]
        rows.append([f"{name}, {TARGETS[target]} ({kind})", str(len(true)), *found, *at_cap])
    header = ["bound, target", "cases", "failures", "95 % interval", "stated", "worst p", "verdict"]
    header += ["capped", "failures at cap"]
    table(f"failures of random networks at the width of each bound; beyond {cap} neurons, at that cap", header, rows)


def _judged(deltas, trials, failures):
    """Cells of one group of cases that were simulated at their own widths."""
    low, high = clopper_pearson(int(failures.sum()), int(trials.sum()))
    stated = float(deltas @ trials / trials.sum())
    # How unlikely the worst case is if its bound holds, with room for having looked at all of them.
    worst = min(1.0, len(trials) * float(binom.sf(failures - 1, trials, deltas).min()))
    verdict = "holds" if high <= stated else "FAILS" if low > stated else "open"
    interval = f"[{low:.4f}, {high:.4f}]"
    frequency = f"{failures.sum()} / {trials.sum()}"
    return [frequency, interval, f"{stated:.3f}", f"{worst:.2g}", "FAILS" if worst < 1e-3 else verdict]


def report_tightness(records):
    """Print quartiles of the ratio of a bound to the measured width, by bound and activation."""
    groups, rows = defaultdict(list), []
    for name, activation, target, _, _, _, _, _, ratio in records:
        if np.isfinite(ratio):
            bound = name.partition(",")[0]
            for key in ((bound, 0, "all"), (bound, 1, f"all, {target}"), (bound, 2, activation)):
                groups[key].append(ratio)
    for (name, _, activation), ratios in sorted(groups.items()):
        low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
        figures = (low, middle, high, min(ratios))
        rows.append([f"{name}, {activation}", str(len(ratios)), *(f"{figure:.3g}" for figure in figures)])
    header = ["bound, activation", "cases", "lower quartile", "median", "upper quartile", "least"]
    table("ratio of each bound to the measured width, all targets together", header, rows)


def report_checks(checks):
    """Print violations of the statements without probability."""
    groups = defaultdict(list)
    for name, is_violated in checks:
        groups[name].append(is_violated)
    rows = [[name, str(len(found)), str(sum(found))] for name, found in sorted(groups.items())]
    table("statements without probability: ranks at, or just below, the width", ["bound", "cases", "violations"], rows)


def main():
    """Run all cases and print three tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=400)
    parser.add_argument("--trials", type=int, default=25, help="networks for each case")
    parser.add_argument("--cap", type=int, default=2**14, help="largest width simulated")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--minutes", type=float, default=np.inf, help="time after which no further case is begun")
    parser.add_argument("--small", action="store_true", help="few cases, to see that it runs")
    options = parser.parse_args()
    if options.small:
        options.cases, options.trials, options.cap = 10, 5, 1024
    largest, seeds = (8, 10) if options.small else (24, 20)
    work = partial(run_case, largest=largest, cap=options.cap, trials=options.trials, seeds=seeds)
    start, records, checks, empty = perf_counter(), [], [], 0
    with ProcessPoolExecutor(options.jobs) as pool:
        for index, found, exact in pool.map(work, range(options.cases)):
            records, checks, empty = records + found, checks + exact, empty + (not found)
            if (index + 1) % 20 == 0:
                print(f"{index + 1} of {options.cases} cases, {perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
            if perf_counter() - start > 60.0 * options.minutes:
                pool.shutdown(wait=False, cancel_futures=True)
                break
    print(f"{index + 1} data sets and activations, {empty} of them without a resolved kernel and left out")
    report_failures(records, options.cap)
    report_tightness(records)
    report_checks(checks)


if __name__ == "__main__":
    main()
