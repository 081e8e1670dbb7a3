"""
Interpolate, or smooth by leave-one-out?
========================================

A network that is wider than the data are long can reproduce every target. Whether it should depends
on the noise, and leave-one-out answers that from the training rows alone.
"""

import matplotlib.pyplot as plt
import numpy as np

from underdetermined import RandomFeatureRegressor

# %%
# Forty points of a smooth curve, once exact and once with noise.
rng = np.random.default_rng(0)
x = np.sort(rng.uniform(-3, 3, 40))
curve = np.sin(2 * x) + 0.3 * x
targets = {"exact targets": curve, "noisy targets": curve + 0.4 * rng.standard_normal(x.size)}
grid = np.linspace(-3, 3, 400)


# %%
# Two fits to each: ``alpha=0`` interpolates with the coefficients of smallest norm, the default
# ``alpha="loo"`` takes the penalty whose leave-one-out error is smallest.
def network(alpha):
    return RandomFeatureRegressor(
        2000, activation="sin_cos", weight_scale=2.0, alpha=alpha, random_state=0
    )


plt.rcParams["font.size"] = 13
figure, axes = plt.subplots(2, 2, figsize=(12, 8), layout="constrained", width_ratios=[1.6, 1])
for (ax, path_ax), (title, y) in zip(axes, targets.items(), strict=True):
    exact = network(0).fit(x[:, None], y)
    smooth = network("loo").fit(x[:, None], y)
    ax.plot(grid, np.sin(2 * grid) + 0.3 * grid, color="0.6", linewidth=3, label="truth")
    ax.plot(grid, exact.predict(grid[:, None]), "--", color="#D55E00", linewidth=2, label="alpha = 0")
    ax.plot(grid, smooth.predict(grid[:, None]), color="#0072B2", linewidth=2, label="leave-one-out")
    ax.plot(x, y, "o", color="black", markersize=4)
    ax.set(title=title, ylim=(-3, 4.5), xlabel="input", ylabel="target")
    ax.legend(loc="upper center", ncols=3)
    path = smooth.loo_path_
    path_ax.loglog(path.alphas, path.errors, color="#0072B2", linewidth=2)
    path_ax.axvline(path.alpha, color="#0072B2", linestyle=":", linewidth=2)
    path_ax.set(title=f"chosen: {path.alpha:.1e}", xlabel="alpha", ylabel="leave-one-out error")
plt.show()

# %%
# Where targets are exact, leave-one-out takes a penalty that is nearly zero and both fits agree;
# where they are noisy it smooths, and only the interpolating network follows the noise.
