"""
When does the Gram matrix of exponentials concentrate
=====================================================

The Gram matrix of a network of exponentials decides how fast gradient descent trains its hidden weights. It tends to its
expectation as the width grows. How wide is wide enough depends on the norm of the rows, and a network cannot tell from its
own neurons that it is too narrow.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.linalg import eigvalsh

from underdetermined.exponential import concentration_report, draw_network
from underdetermined.kernels import exponential_ntk

# %%
# Sixteen random directions in eight dimensions. All rows get the same norm, which is what we vary.
rng = np.random.default_rng(0)
directions = rng.standard_normal((16, 8))
directions /= np.linalg.norm(directions, axis=1, keepdims=True)
NORMS = np.linspace(0.25, 3, 23)
WIDTHS = {64: "#D55E00", 1024: "#0072B2", 16384: "#009E73"}
N_NETWORKS = 40

# %%
# What is known before any network is drawn, for rows of norm 1 and a thousand neurons.
print(concentration_report(directions, 1024, symmetric=False))


# %%
# What a network knows: the smallest eigenvalue of its Gram matrix over that of the expectation, and the standard error of a
# diagonal entry as its own neurons suggest it, their sample deviation over the root of the width.
def look(norm, hidden):
    X = norm * directions
    features = hidden(X)
    ratio = eigvalsh((X @ X.T) * (features @ features.T))[0] / eigvalsh(exponential_ntk(X))[0]
    terms = features**2
    return ratio, np.median(terms.std(axis=1) / terms.mean(axis=1)) / hidden.width**0.5


found = {}
for width in WIDTHS:
    networks = [draw_network(8, width, symmetric=False, seed=seed)[0] for seed in range(N_NETWORKS)]
    found[width] = np.array([[look(norm, hidden) for norm in NORMS] for hidden in networks])

# %%
# Left, the median of forty networks, and a band that holds eight of ten of them. Right, the exact standard error of a
# diagonal entry, :math:`\sqrt{(e^{4r^2}-1)/m}` for rows of norm :math:`r` and :math:`m` neurons, and the one that the
# neurons suggest. It misleads where :math:`4r^2 > \ln(m)/2`; where :math:`2r^2 > \ln m`, the neurons that carry the
# expectation have probably not been drawn: the matrix is frozen far below it.
plt.rcParams["font.size"] = 16
figure, (left, right) = plt.subplots(1, 2, figsize=(14, 7.5), layout="constrained")
for (width, color), marker in zip(WIDTHS.items(), "osD", strict=True):
    line = {"color": color, "linewidth": 3}
    point = {"color": color, "marker": marker, "markersize": 13, "markeredgecolor": "black", "linestyle": "none"}
    low, median, high = np.quantile(found[width][:, :, 0], [0.1, 0.5, 0.9], axis=0)
    left.fill_between(NORMS, low, high, color=color, alpha=0.2, linewidth=0)
    left.plot(NORMS, median, label=f"{width:,} neurons", **line)
    reports = [concentration_report(norm * directions, width, symmetric=False) for norm in NORMS]
    exact = [report.relative_error for report in reports]
    right.plot(NORMS, exact, **line)
    right.plot(NORMS, np.median(found[width][:, :, 1], axis=0), "--", **line)
    frozen, untrusted = np.sqrt(np.log(width) / [2, 8])
    left.plot(frozen, np.interp(frozen, NORMS, median), **point)
    right.plot(untrusted, np.exp(np.interp(untrusted, NORMS, np.log(exact))), **point)
left.axhline(1, color="0.6", zorder=0)
left.plot([], [], label="frozen from here on", **(point | {"color": "0.6"}))
left.legend(loc="lower left")
left.set(yscale="log", ylim=(1e-4, 2), xlabel="norm of every row", title="smallest eigenvalue / its limit")
left.set_yticks([1e-4, 1e-3, 0.01, 0.1, 1], ["0.0001", "0.001", "0.01", "0.1", "1"])
right.plot([], [], color="0.4", linewidth=3, label="exact")
right.plot([], [], "--", color="0.4", linewidth=3, label="suggested by the neurons")
right.plot([], [], label="misleading from here on", **(point | {"color": "0.6"}))
right.legend(loc="upper left")
right.set(yscale="log", ylim=(1e-3, 1e8), xlabel="norm of every row", title="standard error of a diagonal entry")
right.set_yticks([0.01, 1, 100, 1e4, 1e6, 1e8], ["1 %", "100 %", "$10^4$ %", "$10^6$ %", "$10^8$ %", "$10^{10}$ %"])
plt.show()

# %%
# With rows of norm 1, a thousand neurons keep nine tenths of the smallest eigenvalue, the slowest rate of gradient descent.
# With rows of norm 2 they keep less than a fifth of it, and sixteen times as many neurons still less than a half. There the
# exact standard error is ninety times the entry, while the thousand neurons suggest less than a half of it: scale the rows
# to norms near 1, and trust the formula.
