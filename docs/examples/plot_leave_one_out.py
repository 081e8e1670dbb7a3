"""
Interpolate, or smooth by leave-one-out?
========================================

A network that is wider than the data are long can reproduce every target. Whether it should depends on the noise, and
leave-one-out answers that from the training rows alone.
"""

import matplotlib.pyplot as plt
import numpy as np

from underdetermined import RandomFeatureRegressor

# %%
# Forty points of a smooth curve, once exact and once with noise.
rng = np.random.default_rng(0)
x = np.sort(rng.uniform(-3, 3, 40))
grid = np.linspace(-3, 3, 400)
curve = np.sin(2 * x) + 0.3 * x
noise = 0.4 * rng.standard_normal(x.size)

# %%
# Two fits to each: ``alpha=0`` interpolates with the coefficients of smallest norm, the default ``alpha="loo"`` takes the
# penalty whose leave-one-out error is smallest.
figure, axes = plt.subplots(2, 2, figsize=(11, 7.5), layout="constrained", width_ratios=[1.6, 1])
for row, (title, targets) in enumerate({"exact targets": curve, "noisy targets": curve + noise}.items()):
    ax, path_ax = axes[row]
    ax.plot(grid, np.sin(2 * grid) + 0.3 * grid, color="0.6", linewidth=2, label="truth")
    for alpha, colour, style in ((0, "#D55E00", "--"), ("loo", "#0072B2", "-")):
        network = RandomFeatureRegressor(2000, activation="sin_cos", weight_scale=2.0, alpha=alpha, random_state=0)
        network.fit(x[:, np.newaxis], targets)
        label = "alpha = 0" if alpha == 0 else f"leave-one-out: alpha = {network.alpha_:.1e}"
        ax.plot(grid, network.predict(grid[:, np.newaxis]), style, color=colour, linewidth=2, label=label)
    ax.plot(x, targets, "o", color="black", markersize=4)
    ax.set(title=title, ylim=(-3, 3), xlabel="input", ylabel="target")
    ax.legend(loc="upper left")
    path_ax.loglog(network.loo_path_.alphas, network.loo_path_.errors, color="#0072B2", linewidth=2)
    path_ax.axvline(network.alpha_, color="#0072B2", linestyle=":")
    path_ax.set(title="leave-one-out error", xlabel="penalty alpha", ylabel="mean squared error")
plt.show()

# %%
# Where targets are exact, leave-one-out takes a penalty that is nearly zero and both fits agree; where they are noisy it
# smooths, and only the interpolating network follows the noise.
