"""Ratios side by side, in one process: ``python -m benchmarks.compare [SECTION ...] [--small]``."""

import argparse
import platform
import tempfile
from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_info

from benchmarks.benchmarks import features, pipelines, prediction, solvers, startup
from benchmarks.benchmarks.common import interpolation_problem, side_by_side, table
from underdetermined import solve

RATIO = "{:.2f}".format


def compare_features(small, data):
    """Each activation against the bare product."""
    n, width, repeats = (400, 300, 2) if small else (8000, 4000, 15)
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


def compare_solvers(small, data):
    """Time, residual and coefficient error of a minimum-norm solve."""
    shape = (150, 600) if small else (3000, 12000)
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


def compare_pipelines(small, data):
    """Fit and predict."""
    n, width = (150, 300) if small else (3000, 12000)
    seconds = side_by_side(pipelines.contenders(*pipelines.problem(n), width), 1 if small else 2)
    base = seconds["RandomFeatureRegressor(alpha=0)"]
    rows = [[name, f"{value:.2f}", RATIO(value / base)] for name, value in seconds.items()]
    table(f"fit and predict, n={n}, d=8, width={width}", ["what", "s", "of alpha=0"], rows)


def compare_prediction(small, data):
    """Default estimators on real data: test score and time."""
    for name, rows in prediction.scores(data, 300 if small else 3000):
        table(f"{name}", ["model (defaults, standardised)", "test score", "s"], rows)


def compare_startup(small, data):
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


def compare_memory(small, data):
    """A huge width on a laptop's memory."""
    n, width = (100, 5000) if small else (2000, 1_000_000)
    result = startup.huge_width(n, width)
    rows = [[key, value if isinstance(value, str) else f"{value:.3g}"] for key, value in result.items()]
    table(f"fit and predict, n={n}, d=10, width={width}, alpha=0, in a new process", ["what", "value"], rows)


SECTIONS = {
    "features": compare_features,
    "solvers": compare_solvers,
    "pipelines": compare_pipelines,
    "prediction": compare_prediction,
    "startup": compare_startup,
    "memory": compare_memory,
}


def main():
    """Run the sections asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", help=f"any of {', '.join(SECTIONS)}; all if none is given")
    parser.add_argument("--small", action="store_true", help="toy sizes, to see that everything runs")
    parser.add_argument(
        "--data", nargs="*", default=[], help="CSV files (target last, no header) for the prediction section"
    )
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no section {sorted(unknown)}; choose from {', '.join(SECTIONS)}")
    libraries = {
        f"{pool['internal_api']} {pool.get('architecture', '')} x{pool['num_threads']}" for pool in threadpool_info()
    }
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {', '.join(sorted(libraries))}")
    for section in options.sections or SECTIONS:
        SECTIONS[section](options.small, options.data)


if __name__ == "__main__":
    main()
