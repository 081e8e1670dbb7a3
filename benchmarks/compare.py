"""Ratios side by side, in one process: ``python -m benchmarks.compare [SECTION ...] [--small]``."""

import argparse
import contextlib
import platform
import tempfile
from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_info

from benchmarks.benchmarks import features, kernels, pipelines, prediction, solvers, spectrum, startup
from benchmarks.benchmarks.common import interpolation_problem, side_by_side, table
from underdetermined import solve
from underdetermined.lanczos import extreme_eigenvalues

RATIO = "{:.2f}".format


def compare_features(options):
    """Each activation against the bare product."""
    n, width, repeats = (400, 300, 2) if options.small else (8000, 4000, 15)
    for d in (64, 784):
        for dtype in ("float64", "float32"):
            seconds = side_by_side(features.contenders(n, d, width, dtype, others=d == 64 and dtype == "float64"), repeats)
            floor = seconds["numpy.matmul"]
            rows = [[name, f"{1e3 * value:.1f}", RATIO(value / floor)] for name, value in seconds.items()]
            table(f"features, n={n}, d={d}, width={width}, {dtype}", ["what", "ms", "of the product"], rows)
    names = tuple(features.IN_NUMPY)
    pairs = {}
    for dtype in ("float64", "float32"):
        calls = features.contenders(n, 64, width, dtype, names, others=False)
        pairs |= {(name, dtype): call for name, call in calls.items()}
    seconds = side_by_side(pairs, repeats)
    rows = [[name, RATIO(seconds[name, "float64"] / seconds[name, "float32"])] for name in names]
    table(f"features, n={n}, d=64, width={width}", ["what", "float64 / float32"], rows)


def compare_solvers(options):
    """Time, residual and coefficient error of a minimum-norm solve."""
    shape = (150, 600) if options.small else (3000, 12000)
    A, y = interpolation_problem(*shape)
    print(f"\ncondition of the Gram matrix: {solve(A, y).condition ** 2:.1e}")
    reference = solvers.accurate_solution(A, y)
    calls = solvers.contenders(A, y)
    quick = {
        name: calls.pop(name) for name in ("dsyrk + dpotrf", "solve", "solve, cholesky", "solve, mixed", "Ridge(cholesky)")
    }
    seconds = side_by_side(quick, 5) | side_by_side({"dsyrk + dpotrf": quick["dsyrk + dpotrf"], **calls}, 1)
    rows = []
    for name, value in seconds.items():
        cells = ["", ""]
        if name != "dsyrk + dpotrf":
            coef = (quick | calls)[name]()
            error = np.linalg.norm(coef - reference) / np.linalg.norm(reference)
            cells = [f"{np.linalg.norm(A @ coef - y) / np.linalg.norm(y):.1e}", f"{error:.1e}"]
        ratios = [RATIO(value / seconds[base]) for base in ("dsyrk + dpotrf", "solve")]
        rows.append([name, f"{value:.2f}", *ratios, *cells])
    header = ["what", "s", "of the floor", "of solve", "rel. residual", "rel. coef error"]
    table(f"minimum-norm solve, {shape[0]} x {shape[1]}", header, rows)


def compare_pipelines(options):
    """Fit and predict."""
    n, width = (150, 300) if options.small else (3000, 12000)
    seconds = side_by_side(pipelines.contenders(*pipelines.problem(n), width), 1 if options.small else 2)
    base = seconds["RandomFeatureRegressor(alpha=0)"]
    rows = [[name, f"{value:.2f}", RATIO(value / base)] for name, value in seconds.items()]
    table(f"fit and predict, n={n}, d=8, width={width}", ["what", "s", "of alpha=0"], rows)


def compare_prediction(options):
    """Default estimators on real data: test score and time."""
    for name, rows in prediction.scores(options.data, 300 if options.small else 3000):
        table(f"{name}", ["model (defaults, standardised)", "test score", "s"], rows)


def compare_startup(options):
    """Import and first call."""
    rows = []
    for label, code in (
        ("import sklearn (Ridge, RBFSampler)", startup.IMPORT_SKLEARN),
        ("import underdetermined", startup.IMPORT),
    ):
        start = perf_counter()
        startup.run(code)
        rows.append([label, f"{perf_counter() - start:.2f}"])
    for activation in ("relu", "gelu"):
        code = startup.FIRST_CALL.format(activation=activation)
        with tempfile.TemporaryDirectory() as cache:
            rows.append([f"first fit and predict, {activation}, cold cache", f"{float(startup.run(code, cache)):.2f}"])
            rows.append([f"first fit and predict, {activation}, warm cache", f"{float(startup.run(code, cache)):.2f}"])
    table("start-up, in new processes", ["what", "s"], rows)


def compare_memory(options):
    """A huge width on a laptop's memory."""
    n, width = (100, 5000) if options.small else (2000, 1_000_000)
    result = startup.huge_width(n, width)
    rows = [[key, value if isinstance(value, str) else f"{value:.3g}"] for key, value in result.items()]
    table(f"fit and predict, n={n}, d=10, width={width}, alpha=0, in a new process", ["what", "value"], rows)


def compare_kernels(options):
    """Tangent kernels of infinite width against what else computes them."""
    n, d, repeats = (200, 20, 2) if options.small else (5000, 20, 7)
    calls, differences = kernels.contenders(n, d), {}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        if options.neural_tangents:
            peer = stack.enter_context(contextlib.closing(kernels.Peer(options.neural_tangents, n, d, folder)))
            calls |= peer.contenders()
            print(f"\n{peer.versions}")
            differences = {name: peer.difference(name) for name in kernels.NAMES}
        seconds = side_by_side(calls, repeats)
    rows = [["numpy.matmul", f"{1e3 * seconds['numpy.matmul']:.1f}", "1.00", "", ""]]
    for name in kernels.NAMES:
        for label in [name, *(label for label in seconds if label.endswith(f" {name}"))]:
            ratios = [RATIO(seconds[label] / seconds[base]) for base in ("numpy.matmul", name)]
            difference = f"{differences[name]:.1e}" if label == f"neural-tangents {name}" else ""
            rows.append([label, f"{1e3 * seconds[label]:.1f}", *ratios, difference])
    header = ["what", "ms", "of the product", "of ours", "difference"]
    table(f"tangent kernel of infinite width, n={n}, d={d}, float64", header, rows)


def compare_spectra(options):
    """The two ends of a spectrum against all of it; gradient descent forecast against run."""
    rows = []
    for data, n in (("random", 300), ("digits", 300)) if options.small else (("random", 5000), ("digits", 1797)):
        gram = spectrum.tangent_kernel(data, n)
        seconds = side_by_side(spectrum.contenders(gram), 1 if options.small else 2)
        found = extreme_eigenvalues(gram)
        ours, theirs = seconds.values()
        cells = [f"{found.condition:.1e}", *(f"{error:.1e}" for error in spectrum.extreme_errors(gram, found))]
        rows.append([f"{data}, n={n}", f"{ours:.2f}", f"{theirs:.2f}", RATIO(theirs / ours), *cells])
    header = ["data", "extreme_eigenvalues, s", "eigvalsh, s", "ratio", "condition", "rel. error, smallest", "largest"]
    table("smallest and largest eigenvalue of relu tangent kernels", header, rows)
    n, steps = (300, 100) if options.small else (2000, 1000)
    calls = spectrum.forecasting(spectrum.tangent_kernel("random", n), steps)
    *_, run = calls.values()
    rows = []
    for (label, value), call in zip(side_by_side(calls, 2).items(), calls.values(), strict=True):
        error = abs(call() - run()).max() / abs(run()).max()
        rows.append([label, f"{1e3 * value:.1f}", f"{error:.1e}"])
    table(f"residual after {steps} steps of gradient descent, n={n}", ["what", "ms", "difference from the loop"], rows)


SECTIONS = {
    "features": compare_features,
    "solvers": compare_solvers,
    "pipelines": compare_pipelines,
    "prediction": compare_prediction,
    "startup": compare_startup,
    "memory": compare_memory,
    "kernels": compare_kernels,
    "spectra": compare_spectra,
}


def main():
    """Run the sections asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", help=f"any of {', '.join(SECTIONS)}; all if none is given")
    parser.add_argument("--small", action="store_true", help="toy sizes, to see that everything runs")
    parser.add_argument(
        "--data", nargs="*", default=[], help="CSV files (target last, no header) for the prediction section"
    )
    parser.add_argument(
        "--neural-tangents", metavar="PYTHON", help="interpreter that has neural-tangents, for the kernels section"
    )
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no section {sorted(unknown)}; choose from {', '.join(SECTIONS)}")
    libraries = {
        f"{pool['internal_api']} {pool.get('architecture', '')} x{pool['num_threads']}" for pool in threadpool_info()
    }
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {', '.join(sorted(libraries))}")
    for section in options.sections or SECTIONS:
        SECTIONS[section](options)


if __name__ == "__main__":
    main()
