"""Certified solver against SciPy on five problems: ``python -m benchmarks.softmax_relu_baselines``.

Minimised is F(x) = |softmax(A2 relu(A1 x)) - b|^2 / 2 + 5e-5 |x|^2 with A1 ~ N(0, 1/d), A2 ~ N(0, 4/n), b ~
Dirichlet(1), by all solvers from one x0 ~ N(0, I). The first table has F itself, which is not differentiable where
minimisers are: the residual is the norm of the certificate's vector, where all units within a distance of 1e-6 or 1e-3
of their kinks count as lying on them, whichever is kinder, and "success" is what the solver says of itself. The second
table has what a solver of smooth functions is made for, the softplus of width 0.05 instead of the ReLU. SciPy gets
values, gradients, Hessians and products written in NumPy as a user would, and in a row of its own those of this
package. All run in one process with one thread; seconds are the least of ``--repeats`` runs. ``--seeds`` repeats the
first table's comparison on other draws, one line each.
"""

import argparse
import time
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares, minimize
from scipy.special import expit, softmax

from benchmarks.benchmarks.common import table
from underdetermined.blocks import single_threaded_blas
from underdetermined.objectives import SoftmaxReLU
from underdetermined.softmax_relu import certify, softmax_relu_regression

try:
    import torch
except ImportError:
    torch = None

SIZES = [(10, 20, 10), (50, 80, 30), (100, 60, 40), (200, 300, 100), (500, 200, 100)]
REG = 1e-4
SMOOTHING = 0.05
# Distances below which a unit counts as lying on its kink, for points that a solver of smooth functions left there.
DISTANCES = (1e-6, 1e-3)
FIRST_SEED, NEXT_SET = 100, 1000


@dataclass
class Run:
    """What one solver did."""

    x: np.ndarray
    fun: float
    steps: int
    seconds: float
    success: bool


class Plain:
    """The problem in NumPy, as a user of SciPy writes it."""

    def __init__(self, A1, A2, b, mu=0.0):
        self.A1, self.A2, self.b, self.mu = A1, A2, b, mu

    def hidden(self, x):
        """Hidden units, and their first and second derivatives."""
        z = self.A1 @ x
        if self.mu == 0.0:
            return np.maximum(z, 0.0), (z > 0.0).astype(float), np.zeros(len(z))
        slope = expit(z / self.mu)
        return self.mu * np.logaddexp(0.0, z / self.mu), slope, slope * (1.0 - slope) / self.mu

    def both(self, x):
        """Value and gradient."""
        h, slope, _ = self.hidden(x)
        f = softmax(self.A2 @ h)
        c = f - self.b
        q = f * (c - f @ c)
        gradient = self.A1.T @ (slope * (self.A2.T @ q)) + REG * x
        return 0.5 * c @ c + 0.5 * REG * x @ x, gradient

    def parts(self, x):
        h, slope, second = self.hidden(x)
        f = softmax(self.A2 @ h)
        c = f - self.b
        q = f * (c - f @ c)
        return f, f * f + q, slope, second * (self.A2.T @ q)

    def hessian(self, x):
        f, p, slope, kink = self.parts(x)
        K = (self.A2 * slope) @ self.A1
        K -= f @ K
        H = (K.T * p) @ K + REG * np.eye(len(x))
        return H + (self.A1.T * kink) @ self.A1 if self.mu else H

    def product(self, x, u):
        f, p, slope, kink = self.parts(x)
        w = self.A1 @ u
        v = self.A2 @ (slope * w)
        v = p * (v - f @ v)
        return self.A1.T @ (slope * (self.A2.T @ (v - f * v.sum())) + kink * w) + REG * u

    def residual(self, x):
        return np.concatenate([softmax(self.A2 @ self.hidden(x)[0]) - self.b, np.sqrt(REG) * x])

    def jacobian(self, x):
        h, slope, _ = self.hidden(x)
        f = softmax(self.A2 @ h)
        K = (self.A2 * slope) @ self.A1
        return np.vstack([f[:, np.newaxis] * (K - f @ K), np.sqrt(REG) * np.eye(len(x))])


def draw(size, seed):
    """One of the problems, and where all solvers start."""
    d, n, m = size
    rng = np.random.default_rng(seed)
    A1, A2 = rng.normal(size=(n, d)) / np.sqrt(d), rng.normal(size=(m, n)) * 2.0 / np.sqrt(n)
    return A1, A2, rng.dirichlet(np.ones(m)), rng.normal(size=d)


def timed(solve, repeats):
    """Result of a solver, and the least seconds of some runs."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = solve()
        seconds.append(time.perf_counter() - start)
    return result, min(seconds)


def scipy_runs(plain, x0, limit, repeats, *, gtol=1e-8):
    """Every solver of SciPy that takes derivatives, by name."""
    newton = {"maxiter": limit, "gtol": gtol}
    calls = {
        "trust-exact": (dict(hess=plain.hessian), newton),
        "trust-krylov": (dict(hessp=plain.product), newton),
        "Newton-CG": (dict(hessp=plain.product), {"maxiter": limit, "xtol": 1e-10}),
        "L-BFGS-B": ({}, {"maxiter": 10 * limit, "maxfun": 40 * limit, "gtol": gtol, "ftol": 1e-16}),
    }
    runs = {}
    for name, (derivatives, options) in calls.items():
        result, seconds = timed(
            lambda method=name, more=derivatives, chosen=options: minimize(
                plain.both, x0, jac=True, method=method, options=chosen, **more
            ),
            repeats,
        )
        runs[name] = Run(result.x, float(result.fun), result.nit, seconds, bool(result.success))
    return runs


def least_squares_runs(plain, x0, limit, repeats):
    """SciPy's Gauss-Newton and Levenberg-Marquardt."""
    runs = {}
    for method in ("trf", "lm"):
        result, seconds = timed(
            lambda chosen=method: least_squares(
                plain.residual, x0, jac=plain.jacobian, method=chosen, xtol=1e-12, ftol=1e-12, gtol=1e-10, max_nfev=limit
            ),
            repeats,
        )
        runs[f"least_squares {method}"] = Run(result.x, float(result.cost), result.njev, seconds, bool(result.success))
    return runs


def our_run(problem, x0, repeats):
    """The certified solver from the same start."""
    A1, A2, b, _ = problem
    result, seconds = timed(lambda: softmax_relu_regression(A1, A2, b, reg=REG, x0=x0), repeats)
    return result, Run(result.x, float(result.fun), int(result.nit), seconds, bool(result.success))


def trust_exact_with_our_hessian(problem, limit, repeats):
    """SciPy's trust region on the smoothed problem, in the row space and with our derivatives, each computed once."""
    A1, A2, b, x0 = problem
    basis = np.linalg.qr(A1.T)[0] if A1.shape[1] > A1.shape[0] else np.eye(A1.shape[1])
    objective, x0, last = SoftmaxReLU(A1 @ basis, A2, b, reg=REG), basis.T @ x0, {}

    def at(x):
        if last.get("x") is None or not np.array_equal(last["x"], x):
            last["x"], last["point"] = x.copy(), objective.at(x, smoothing=SMOOTHING)
        return last["point"]

    def both(x):
        point = at(x)
        return point.value, point.gradient

    result, seconds = timed(
        lambda: minimize(
            both,
            x0,
            jac=True,
            hess=lambda x: at(x).hessian(),
            method="trust-exact",
            options={"maxiter": limit, "gtol": 1e-8},
        ),
        repeats,
    )
    return Run(basis @ result.x, float(result.fun), result.nit, seconds, bool(result.success))


def torch_run(problem, limit, repeats):
    """L-BFGS of torch on the smoothed problem, with its own derivatives."""
    A1, A2, b, x0 = (torch.from_numpy(np.array(each)) for each in problem)

    def solve():
        x = x0.clone().requires_grad_()
        optimizer = torch.optim.LBFGS(
            [x],
            max_iter=10 * limit,
            max_eval=40 * limit,
            history_size=10,
            line_search_fn="strong_wolfe",
            tolerance_grad=1e-8,
            tolerance_change=0.0,
        )

        def closure():
            optimizer.zero_grad()
            h = torch.nn.functional.softplus(A1 @ x, beta=1.0 / SMOOTHING, threshold=40.0)
            loss = 0.5 * ((torch.softmax(A2 @ h, 0) - b) ** 2).sum() + 0.5 * REG * (x @ x)
            loss.backward()
            return loss

        optimizer.step(closure)
        return x.detach().numpy(), closure().item(), optimizer.state[x]["n_iter"], float(x.grad.abs().max())

    (x, fun, steps, slope), seconds = timed(solve, repeats)
    return Run(x, fun, steps, seconds, slope <= 1e-8)


def kink_residual(objective, x):
    """Norm of the certificate's vector, at the kinder of two widths of a kink."""
    distance = np.abs(objective.hidden(x)) / objective.row_norms
    return min(certify(objective, x, pinned=np.flatnonzero(distance <= width)).kkt_residual for width in DISTANCES)


def race_on_kinks(problem, limit, repeats, title):
    """The first table; returns ours, and whether it is certified and lowest."""
    A1, A2, b, x0 = problem
    objective, plain = SoftmaxReLU(A1, A2, b, reg=REG), Plain(A1, A2, b)
    runs = scipy_runs(plain, x0, limit, repeats)
    runs |= least_squares_runs(plain, x0, 60 if len(x0) == 500 else 200, repeats)
    result, ours = our_run(problem, x0, repeats)
    lowest = min(run.fun for run in runs.values())
    rows = [
        [
            name,
            f"{1e3 * run.fun:.6g}",
            f"{kink_residual(objective, run.x):.0e}",
            run.steps,
            f"{run.seconds:.3f}",
            run.success,
        ]
        for name, run in runs.items()
    ]
    rows.append(
        ["certified", f"{1e3 * ours.fun:.6g}", f"{result.kkt_residual:.0e}", ours.steps, f"{ours.seconds:.3f}", ours.success]
    )
    if title is not None:
        show = [[str(cell) for cell in row] for row in rows]
        table(
            f"{title}; status {result.status}, {len(result.pinned)} pinned, {result.nhev} Hessians",
            ["solver", "1000 F", "residual", "steps", "seconds", "success"],
            show,
        )
    return ours, ours.success, ours.fun <= lowest + 1e-9, [run.success for run in runs.values()]


def race_smoothed(problem, limit, repeats, title):
    """The second table; returns the seconds of trust-exact."""
    A1, A2, b, x0 = problem
    plain = Plain(A1, A2, b, SMOOTHING)
    runs = scipy_runs(plain, x0, limit, repeats)
    runs["trust-exact, ours"] = trust_exact_with_our_hessian(problem, limit, repeats)
    if torch is not None:
        torch.set_num_threads(1)
        runs["torch L-BFGS"] = torch_run(problem, limit, repeats)
    rows = [
        [
            name,
            f"{1e3 * run.fun:.6g}",
            f"{np.linalg.norm(plain.both(run.x)[1]):.0e}",
            str(run.steps),
            f"{run.seconds:.3f}",
            str(run.success),
        ]
        for name, run in runs.items()
    ]
    table(f"{title}, softplus of width {SMOOTHING}", ["solver", "1000 F", "gradient", "steps", "seconds", "success"], rows)
    return runs["trust-exact"].seconds, runs["trust-exact, ours"].seconds


def first_set(sizes, limit, repeats):
    """Both tables for every size, and the comparison in all."""
    total, certified, lowest, smoothed, claimed = 0.0, 0, 0, (np.nan, np.nan), []
    for index, size in enumerate(sizes):
        problem = draw(size, FIRST_SEED + index)
        title = "d={}, n={}, m={}".format(*size)
        ours, is_certified, is_lowest, flags = race_on_kinks(problem, limit, repeats, title)
        total, certified, lowest, claimed = (
            total + ours.seconds,
            certified + is_certified,
            lowest + is_lowest,
            claimed + flags,
        )
        smoothed = race_smoothed(problem, limit, repeats, title)
    print(
        f"\ncertified {certified} of {len(sizes)}, lowest F on {lowest}; SciPy claims success in {sum(claimed)} of "
        f"{len(claimed)} runs; ours {total:.3f} s in all, trust-exact on the last smoothed problem "
        f"{smoothed[0]:.3f} s, with our derivatives {smoothed[1]:.3f} s"
    )


def other_sets(sizes, limit, n_sets):
    """Certified and lowest on other draws."""
    rows = []
    for k in range(1, n_sets + 1):
        outcomes = [
            race_on_kinks(draw(size, FIRST_SEED + index + NEXT_SET * k), limit, 1, None) for index, size in enumerate(sizes)
        ]
        certified, lowest = (sum(outcome[place] for outcome in outcomes) for place in (1, 2))
        flags = [flag for outcome in outcomes for flag in outcome[3]]
        seconds = sum(outcome[0].seconds for outcome in outcomes)
        rows.append([str(NEXT_SET * k), f"{certified}", f"{lowest}", f"{sum(flags)} of {len(flags)}", f"{seconds:.3f}"])
    table(f"{len(sizes)} problems each", ["seed +", "certified", "lowest F", "SciPy claims", "our seconds"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=0, help="other sets of five problems, besides the first")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each solver, of which the fastest counts")
    parser.add_argument("--small", action="store_true", help="the two smallest problems, few steps")
    options = parser.parse_args()
    sizes, limit = (SIZES[:2], 30) if options.small else (SIZES, 300)
    # Trial points of SciPy's trust regions overflow.
    with single_threaded_blas(), np.errstate(all="ignore"):
        first_set(sizes, limit, 1 if options.small else options.repeats)
        if options.seeds:
            other_sets(sizes, limit, options.seeds)


if __name__ == "__main__":
    main()
