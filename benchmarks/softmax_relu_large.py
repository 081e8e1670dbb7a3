"""A large softmax-ReLU regression by products alone, and a batch: ``python -m benchmarks.softmax_relu_large``.

The problem has a sparse hidden layer, 20,000 units, 5,000 outputs and 2,000 unknowns. First the way to a certificate, with
its time, products and memory; then a product beside the bare products it is made of, and beside one dense Hessian; then
SciPy's solvers on the smoothed problem, with the time that our Newton steps take for the same. The batch is solved together
and one by one. Seconds are those of the processor, with one thread. ``--small`` runs everything in a few seconds.
"""

import argparse
import resource
from time import process_time

import numpy as np
from scipy import optimize, sparse

from benchmarks.benchmarks.common import table
from underdetermined.blocks import single_threaded_blas
from underdetermined.objectives import SoftmaxReLU, SoftmaxReLUBatch
from underdetermined.softmax_relu.kinks.manifold_cg import manifold_newton_cg
from underdetermined.softmax_relu.kinks.projected_curvature import certify_by_products
from underdetermined.softmax_relu.newton.newton_cg import newton_cg
from underdetermined.softmax_relu.stages.batch import solve_batch
from underdetermined.softmax_relu.stages.continuation import continuation

MATRIX_FREE = {"newton": newton_cg, "manifold": manifold_newton_cg, "certificate": certify_by_products}
MIB = 2.0**20
# The width of the softplus at which smooth solvers are compared, in units of the largest pre-activation at the start.
SMOOTHING = 0.01


def peak():
    """Largest memory of the process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def timed(task, repeats=1):
    """Shortest time of a task, and its last result."""
    times = []
    for _ in range(repeats):
        start = process_time()
        result = task()
        times.append(process_time() - start)
    return min(times), result


def draw(n, m, d, density, loss, reg, seed):
    """A problem with a sparse hidden layer, and a start."""
    rng = np.random.default_rng(seed)
    scale = 1.0 / np.sqrt(density * d)
    A1 = sparse.random_array(
        (n, d), density=density, random_state=rng, data_sampler=lambda size: scale * rng.standard_normal(size), format="csr"
    )
    A2 = rng.standard_normal((m, n))
    A2 *= 2.0 / np.sqrt(n)
    problem = SoftmaxReLU(A1, A2, rng.dirichlet(np.ones(m)), loss=loss, reg=reg)
    return problem, rng.standard_normal(d)


def solve_large(problem, x0):
    """Print the way to a certificate."""
    before = peak()
    seconds, run = timed(lambda: continuation(problem, x0, **MATRIX_FREE))
    found = run.certificate
    rows = [
        ["value", f"{run.value:.9f} (start {problem.value(x0):.6f})"],
        ["status", f"{found.status.name}, certified: {found.is_certified}"],
        ["reason", found.reason],
        ["residual", f"{found.kkt_residual:.1e} (tolerance {found.kkt_tolerance:.1e})"],
        ["pinned, active", f"{len(found.pinned)}, {int(found.active.sum())} of {problem.n_hidden}"],
        ["stages, steps", f"{run.n_stages}, {run.n_iter}"],
        ["products, values", f"{run.n_products}, {run.n_value}"],
        ["seconds", f"{seconds:.1f}"],
        ["A1, A2", f"{problem.A1.data.nbytes / MIB:.0f}, {problem.A2.nbytes / MIB:.0f} MiB"],
        ["process before and at most", f"{before:.0f}, {peak():.0f} MiB"],
    ]
    table("from a start to a certificate, without a Hessian", ["", ""], rows)
    return run.x


def compare_products(problem, x):
    """Print a product beside its floor and a dense Hessian."""
    point = problem.at(x)
    rng = np.random.default_rng(0)
    u, h, y = (rng.standard_normal(size) for size in (problem.n_parameters, problem.n_hidden, problem.n_outputs))
    floor, _ = timed(lambda: (problem.A1 @ u, problem.A2 @ h, problem.A2.T @ y, problem.A1.T @ h), 5)
    product, _ = timed(lambda: point.hessp(u), 5)
    before = peak()
    dense, hessian = timed(point.hessian)
    rows = [
        ["four bare products", f"{floor:.4f}", ""],
        ["product with the Hessian", f"{product:.4f}", f"{product / floor:.2f}"],
        ["dense Hessian", f"{dense:.4f}", f"{dense / floor:.1f}"],
    ]
    table("products", ["", "seconds", "ratio"], rows)
    print(f"dense Hessian: {hessian.nbytes / MIB:.0f} MiB, and {peak() - before:.0f} MiB more than anything before it")


def compare_smooth(problem, x0, maxiter):
    """Print smooth solvers on the same smoothed problem."""
    mu = SMOOTHING * float(np.abs(problem.hidden(x0)).max())
    first = float(np.linalg.norm(problem.at(x0, mu).gradient))
    kept = {}

    def at(x):
        if "x" not in kept or not np.array_equal(kept["x"], x):
            kept.update(x=x.copy(), point=problem.at(x, mu))
        return kept["point"]

    def both(x):
        return at(x).value, at(x).gradient

    tasks = {
        "ours": lambda: newton_cg(problem, x0, smoothing=mu, gtol=1e-6 * first).x,
        "L-BFGS-B": lambda: optimize.minimize(
            both, x0, jac=True, method="L-BFGS-B", options={"maxiter": maxiter, "gtol": 0.0, "ftol": 1e-15}
        ).x,
        "Newton-CG": lambda: optimize.minimize(
            both, x0, jac=True, hessp=lambda x, u: at(x).hessp(u), method="Newton-CG", options={"maxiter": maxiter // 10}
        ).x,
    }
    rows = []
    for name, task in tasks.items():
        seconds, x = timed(task)
        smooth, certificate = problem.at(x, mu), certify_by_products(problem, x)
        size = float(np.linalg.norm(smooth.gradient)) / first
        cells = [f"{smooth.value:.9f}", f"{size:.1e}", f"{problem.value(x):.9f}", certificate.status.name, f"{seconds:.1f}"]
        rows.append([name, *cells])
    title = f"softplus of width {mu:.3g} from the same start, gradients relative to the first"
    table(title, ["solver", "smoothed value", "gradient", "value", "status", "seconds"], rows)


def compare_batch(n, m, d, n_problems, loss, reg, seed):
    """Print a batch beside a loop."""
    rng = np.random.default_rng(seed)
    A1, A2 = rng.standard_normal((n, d)) / np.sqrt(d), rng.standard_normal((m, n)) * 2.0 / np.sqrt(n)
    batch = SoftmaxReLUBatch(A1, A2, rng.dirichlet(np.ones(m), size=n_problems).T, loss=loss, reg=reg)
    X0 = rng.standard_normal((d, n_problems))
    together, runs = timed(lambda: solve_batch(batch, X0))
    by_hessians, dense = timed(lambda: [continuation(batch.column(j), X0[:, j]) for j in range(n_problems)])
    by_products, free = timed(lambda: [continuation(batch.column(j), X0[:, j], **MATRIX_FREE) for j in range(n_problems)])
    values = np.array([run.value for run in runs])
    rows = []
    for name, seconds, others in (
        ("together", together, runs),
        ("loop, Hessians", by_hessians, dense),
        ("loop, products", by_products, free),
    ):
        each = np.array([run.value for run in others])
        certified = sum(run.certificate.is_certified for run in others)
        below, above = int((values < each - 1e-9).sum()), int((values > each + 1e-9).sum())
        rows.append([name, f"{seconds:.2f}", str(certified), f"{each.mean():.6f}", str(below), str(above)])
    title = f"{n_problems} problems, n = {n}, m = {m}, d = {d}, {loss}"
    table(title, ["", "seconds", "certified", "mean value", "batch is lower", "higher"], rows)


def main():
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--loss", choices=["squared", "kl"], default="kl")
    parser.add_argument("--reg", type=float, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", nargs="*", choices=["large", "smooth", "batch"], default=["large", "smooth", "batch"])
    options = parser.parse_args()
    n, m, d, n_problems, maxiter = (400, 100, 60, 10, 100) if options.small else (20_000, 5_000, 2_000, 200, 1000)
    # The squared loss of m shares is of the size 1 / m, and its curvature of the size 1 / m^2.
    reg = options.reg if options.reg is not None else 1e-4 if options.loss == "kl" else 0.1 / m**2
    print(f"n = {n}, m = {m}, d = {d}, {options.loss}, reg = {reg:.3g}")
    with single_threaded_blas():
        if "large" in options.parts or "smooth" in options.parts:
            problem, x0 = draw(n, m, d, 0.1 if options.small else 0.01, options.loss, reg, options.seed)
        if "large" in options.parts:
            compare_products(problem, solve_large(problem, x0))
        if "smooth" in options.parts:
            compare_smooth(problem, x0, maxiter)
        if "batch" in options.parts:
            for loss in ("squared", "kl"):
                compare_batch(80, 30, 50, n_problems, loss, 1e-4, options.seed)


if __name__ == "__main__":
    main()
