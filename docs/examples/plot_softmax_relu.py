"""
Why success=True was not a minimum
==================================

A softmax of a ReLU layer, fitted to a distribution, has its minima on kinks, where the gradient does not exist. Solvers of
smooth functions stop at kinks that are no minima, and often report success. A certificate tells which points are minima,
whoever found them, and names a direction of descent at those that are not.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import least_squares, minimize

from underdetermined.objectives import SoftmaxReLU
from underdetermined.softmax_relu import certify, softmax_relu_regression

# %%
# Five problems: :math:`F(x) = \frac12|\mathrm{softmax}(A_2\max(A_1x,0))-b|^2+\frac\lambda2|x|^2` with Gaussian layers,
# targets uniform on the simplex, and one start for all solvers. Sizes are parameters, hidden units, outputs.
SIZES = [(10, 20, 10), (50, 80, 30), (100, 60, 40), (200, 300, 100), (500, 200, 100)]
REG = 1e-4


def draw(size, seed):
    d, n, m = size
    rng = np.random.default_rng(seed)
    A1, A2 = rng.normal(size=(n, d)) / np.sqrt(d), rng.normal(size=(m, n)) * 2 / np.sqrt(n)
    return SoftmaxReLU(A1, A2, rng.dirichlet(np.ones(m)), reg=REG), rng.normal(size=d)


# %%
# SciPy gets exact derivatives. The residuals for ``least_squares`` are those of the fit and, for the penalty,
# :math:`\sqrt\lambda x`.
def run_scipy(objective, x0):
    def residual(x):
        return np.append(objective.at(x).fitted - objective.b, np.sqrt(REG) * x)

    def jacobian(x):
        point = objective.at(x)
        return np.vstack([point.fitted[:, np.newaxis] * point.centred_jacobian(), np.sqrt(REG) * np.eye(x.size)])

    def solve(method, options, **derivatives):
        return minimize(objective.value, x0, jac=objective.gradient, method=method, options=options, **derivatives)

    def hessian(x):
        return objective.at(x).hessian()

    def product(x, u):
        return objective.at(x).hessp(u)

    return {
        "trust-exact": solve("trust-exact", {"gtol": 1e-8, "maxiter": 100}, hess=hessian),
        "trust-krylov": solve("trust-krylov", {"gtol": 1e-8, "maxiter": 300}, hessp=product),
        "Newton-CG": solve("Newton-CG", {"xtol": 1e-10, "maxiter": 300}, hessp=product),
        "L-BFGS-B": solve("L-BFGS-B", {"gtol": 1e-8, "ftol": 1e-16, "maxiter": 3000, "maxfun": 10000}),
        "least_squares": least_squares(residual, x0, jac=jacobian, max_nfev=60, xtol=1e-12, ftol=1e-12, gtol=1e-10),
    }


# %%
# A point that is near a kink and not on it has the residual that it would have on the kink: all units within a distance of
# :math:`10^{-6}`, or of :math:`10^{-3}`, count as on their kinks, or none, and the smallest residual is taken.
def certificate_residual(objective, x):
    distances = np.abs(objective.hidden(x)) / objective.row_norms
    near = [np.flatnonzero(distances < limit) for limit in (0, 1e-6, 1e-3)]
    return min(certify(objective, x, pinned=pinned).kkt_residual for pinned in near)


problems = [draw(size, 100 + seed) for seed, size in enumerate(SIZES)]
certified = [softmax_relu_regression(objective.A1, objective.A2, objective.b, reg=REG, x0=x0) for objective, x0 in problems]
found = [run_scipy(objective, x0) for objective, x0 in problems]
for size, result in zip(SIZES, certified, strict=True):
    print(f"{size}: {result.fun:.3e}, residual {result.kkt_residual:.0e}, {len(result.pinned)} units on their kinks")

# %%
# One of the points that came with a success, what the certificate says of it, and what is found from there.
objective, _ = problems[0]
stopped = found[0]["L-BFGS-B"]
certificate = certify(objective, stopped.x)
print("success:", stopped.success, "|", stopped.message)
print(certificate.reason)
onwards = softmax_relu_regression(objective.A1, objective.A2, objective.b, reg=REG, x0=stopped.x)
print(f"{stopped.fun:.3e} at this point, {onwards.fun:.3e} from there: {onwards.message}")

# %%
# Top, what each solver found and how far it is from being stationary. Bottom, cuts through the point above. Across the kink
# the objective is a V with the point at its bottom, so that no gradient is small and no line search gets far. Along the
# certificate's direction it goes down, as far as the next kink.
plt.rcParams["font.size"] = 17
GREEN, GREY = "#009E73", "0.6"
STYLES = {
    "trust-exact": ("#0072B2", "o"),
    "trust-krylov": ("#56B4E9", "s"),
    "Newton-CG": ("#D55E00", "^"),
    "L-BFGS-B": ("#000000", "D"),
    "least_squares": ("#CC79A7", "v"),
}


def look(color, marker, is_filled=True):
    face = color if is_filled else "white"
    size = {"*": 22}.get(marker, 13)
    return {"color": color, "marker": marker, "markerfacecolor": face, "markersize": size, "mew": 2.5, "linestyle": "none"}


figure, ((gap, residual), (across, along)) = plt.subplots(2, 2, figsize=(15, 13), layout="constrained")
places = np.arange(len(SIZES))
for number, (name, style) in enumerate(STYLES.items()):
    for place, (problem, runs, best) in enumerate(zip(problems, found, certified, strict=True)):
        run, at = runs[name], place + 0.15 * (number - 2)
        gap.plot(at, problem[0].value(run.x) / best.fun, **look(*style, run.success))
        residual.plot(at, certificate_residual(problem[0], run.x), **look(*style, run.success))
gap.axhline(1, color=GREEN, linewidth=4, zorder=0)
residual.plot(places, [run.kkt_residual for run in certified], **look(GREEN, "*"))
gap.set(yscale="log", ylim=(0.8, 60), ylabel="objective / certified minimum", title="No solver ends lower")
gap.set_yticks([1, 3, 10, 30], ["1", "3", "10", "30"])
gap.tick_params(axis="y", which="minor", labelleft=False)
residual.set(yscale="log", ylim=(1e-19, 1), ylabel="residual of the certificate", title="None of them is stationary")
for axes in (gap, residual):
    axes.set_xticks(places, [str(d) for d, _, _ in SIZES])
    axes.set(xlim=(-0.5, len(SIZES) - 0.5), xlabel="number of parameters")
    for place in places[1:]:
        axes.axvline(place - 0.5, color="0.85", linewidth=1.5, zorder=0)
legend = {name: look(*style) for name, style in STYLES.items()}
legend |= {
    "certified solver": look(GREEN, "*"),
    "reports success": look(GREY, "o"),
    "reports no success": look(GREY, "o", is_filled=False),
}
handles = [plt.Line2D([], [], label=name, **style) for name, style in legend.items()]
figure.legend(handles=handles, ncols=4, loc="outside upper center", frameon=False)

unit = certificate.pinned[0]
cuts = {
    across: (objective.A1[unit] / objective.row_norms[unit], np.linspace(-0.02, 0.02, 401)),
    along: (certificate.descent_direction, np.linspace(-0.006, 0.012, 401)),
}
for axes, (direction, steps) in cuts.items():
    values = [1e6 * (objective.value(stopped.x + step * direction) - stopped.fun) for step in steps]
    axes.plot(steps, values, color="#0072B2", linewidth=3.5)
    axes.axhline(0, color=GREY, linewidth=1.5, zorder=0)
    axes.plot(0, 0, **look(*STYLES["L-BFGS-B"]))
    axes.locator_params(axis="x", nbins=5)
    axes.set(xlabel="distance from where L-BFGS-B stopped", ylabel=r"change of the objective, in $10^{-6}$")
across.annotate("success: True", (0, 0), (0, 28), ha="center", arrowprops={"arrowstyle": "-", "color": GREY, "shrinkB": 10})
across.set_title("Across the kink it looks like a minimum")
along.set_title("Along the certificate's direction it falls")

# %%
# No solver of smooth functions ended at a stationary point, though many of their runs report success. The certified solver
# did on all five problems, and at its minima up to dozens of units are on their kinks.
