"""
Why a bias-free ReLU network cannot fit this
============================================

Six points in the plane, three of them the mirror images of the others: no ReLU network of one hidden
layer without biases fits arbitrary labels here, however wide it is, and neither do GELU, SiLU and
softplus, which share its linear odd part.
"""

import matplotlib.pyplot as plt
import numpy as np

from underdetermined import get_activation, solve
from underdetermined.activations import names
from underdetermined.attainability import attainable_rank

# %%
# Three antipodal pairs: the corners of a hexagon.
angles = np.radians([90, 210, 330])
half = np.column_stack([np.cos(angles), np.sin(angles)])
X = np.vstack([half, -half])
y = np.array([1.0, 1.0, -1.0, 1.0, -1.0, -1.0])

# %%
# The theory names the rows and the identity before a single weight is drawn.
print(attainable_rank(X, activation="relu").explanation)


# %%
# The best fit of 4000 random neurons: what it leaves of the labels, with and without biases.
def misfit(activation, bias_scale):
    rng = np.random.default_rng(0)
    weights, biases = 2 * rng.standard_normal((2, 4000)), bias_scale * rng.standard_normal(4000)
    features = get_activation(activation).value(X @ weights + biases)
    return solve(features, y, method="svd").residual_norm[0] / np.linalg.norm(y)


theory = {name: attainable_rank(X, activation=name) for name in names()}
order = sorted(names(), key=lambda name: -theory[name].rank)
left_over = [np.linalg.norm(theory[name].unattainable_part(y)) / np.linalg.norm(y) for name in order]
bias_free = [misfit(name, 0.0) for name in order]
biased = [misfit(name, 2.0) for name in order]

plt.rcParams["font.size"] = 15
figure, (plane, ax) = plt.subplots(1, 2, figsize=(14, 8.5), layout="constrained", width_ratios=[1, 1.5])
for x in half:
    plane.plot([-x[0], x[0]], [-x[1], x[1]], color="0.7", linewidth=2, zorder=1)
for label, text, marker, color in ((1.0, "+1", "^", "#0072B2"), (-1.0, "\N{MINUS SIGN}1", "v", "#E69F00")):
    plane.scatter(*X[y == label].T, s=400, marker=marker, color=color, edgecolor="black", zorder=2)
    for x in X[y == label]:
        plane.annotate(text, 1.3 * x, ha="center", va="center", fontsize=20)
plane.plot(0, 0, "+", color="black", markersize=14, markeredgewidth=2)
plane.set(title="six points, three antipodal pairs", aspect="equal", xlim=(-1.55, 1.55), ylim=(-1.55, 1.55))
plane.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1], xlabel="first input", ylabel="second input")

rows = np.arange(len(order))[::-1]
flawed = sum(theory[name].deficiency > 0 for name in order)
ax.axhspan(-0.6, flawed - 0.5, color="#D55E00", alpha=0.10, linewidth=0)
theory_marks = ax.scatter(left_over, rows, s=280, facecolor="none", edgecolor="#D55E00", linewidth=3)
measured = ax.scatter(bias_free, rows, s=80, color="black", zorder=3)
repaired = ax.scatter(biased, rows, s=80, marker="D", facecolor="white", edgecolor="#0072B2", linewidth=2)
for row, name, value in zip(rows, order, bias_free, strict=True):
    text = "< 1e-13" if value < 1e-13 else f"{value:.3f}"
    ax.annotate(f"rank {theory[name].rank}", (1.08, row), va="center", fontsize=14)
    ax.annotate(text, (1.48, row), va="center", ha="right", fontsize=14)
ax.set(xlim=(-0.06, 1.52), ylim=(-0.6, len(order) - 0.4), xticks=[0, 0.25, 0.5, 0.75, 1])
ax.set(yticks=rows, yticklabels=order, xlabel="training residual of the best fit, as a share of the labels")
ax.set(title="unshaded: fits all labels; shaded: no width is enough")
ax.grid(axis="x", color="0.85")
ax.set_axisbelow(True)
marks = {"theory, any width": theory_marks, "4000 neurons without biases": measured, "4000 neurons with biases": repaired}
plane.legend(marks.values(), marks.keys(), loc="upper center", bbox_to_anchor=(0.5, -0.2), frameon=False)
plt.show()

# %%
# Every activation of the shaded part leaves exactly the residual that the theory predicts, at any width;
# a bias repairs all of them but ``identity``.
