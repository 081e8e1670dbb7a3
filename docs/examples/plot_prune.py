"""
The same fit with n neurons
===========================

A wide network through n points can be cut to n of its neurons without moving any of its n predictions. Which neurons are
kept decides what happens between the points.
"""

from copy import deepcopy

import matplotlib.pyplot as plt
import numpy as np

from underdetermined import RandomFeatureRegressor

# %%
# Twenty points of a smooth curve.
rng = np.random.default_rng(3)
x = np.sort(rng.uniform(-3, 3, 20))[:, None]
y = np.sin(2 * x[:, 0]) + 0.3 * x[:, 0]
grid = np.linspace(-3, 3, 600)[:, None]


def network(width, seed=0):
    return RandomFeatureRegressor(
        width, activation="erf", weight_scale=3, bias_scale=6, alpha=0, fit_intercept=False, random_state=seed
    ).fit(x, y)


# %%
# Two thousand random neurons, the twenty of them that ``prune`` keeps, and twenty random ones.
wide = network(2000)
pruned = deepcopy(wide).prune()
narrow = [network(20, seed) for seed in range(1, 6)]
print(f"largest move of a training prediction: {np.abs(pruned.predict(x) - wide.predict(x)).max():.0e}")


# %%
# The condition number of the features tells how well the fit is determined, here against the width for forty seeds.
def condition(model):
    return np.linalg.cond(model.feature_map_(x))


widths = np.array([20, 22, 25, 30, 40, 60, 100, 200, 500, 1000, 2000])
conditions = np.array([[condition(network(width, seed)) for seed in range(40)] for width in widths])
low, median, high = np.quantile(conditions, (0.1, 0.5, 0.9), axis=1)

plt.rcParams["font.size"] = 13
figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5.4), layout="constrained", width_ratios=[1.35, 1])
swinging = np.column_stack([model.predict(grid) for model in narrow])
left.plot(grid, swinging, color="#999999", linewidth=1, label=["20 random neurons, five seeds"] + [None] * 4)
left.plot(grid, wide.predict(grid), color="#0072B2", linewidth=5, alpha=0.5, label="2000 random neurons")
left.plot(grid, pruned.predict(grid), "--", color="#D55E00", linewidth=2.2, label=f"{pruned.width_} of them, kept by prune")
left.plot(x, y, "o", color="black", markersize=6, label="20 training points")
left.set(ylim=(-3, 4.5), xlabel="input", ylabel="prediction")
left.legend(loc="upper center", ncols=2, fontsize="small")

right.fill_between(widths, low, high, color="#0072B2", alpha=0.2, linewidth=0, label="10 to 90 % of 40 seeds")
right.plot(widths, median, "o-", color="#0072B2", linewidth=2, markersize=5, label="random neurons, median")
right.plot(pruned.width_, condition(pruned), "D", color="#D55E00", markersize=11, label="kept by prune")
right.set(xscale="log", yscale="log", xlabel="neurons", ylabel="condition number of the features")
right.set_xticks([20, 50, 100, 200, 500, 1000, 2000], ["20", "50", "100", "200", "500", "1000", "2000"])
right.minorticks_off()
right.legend(fontsize="small")
plt.show()

# %%
# Twenty chosen neurons predict what two thousand predict at the training points, and nearly so between them, where twenty
# random ones, all but linearly dependent, swing far away.
