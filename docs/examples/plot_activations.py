"""
The catalogue of activations
============================

Every activation with its derivative, and a network of each kind through the same seven points.
"""

import warnings

import matplotlib.pyplot as plt
import numpy as np

from underdetermined import RandomFeatureRegressor
from underdetermined.activations import get_activation, names

# %%
# Values (solid) and derivatives (dashed); below each, the interpolating network of 2000 neurons.
z = np.linspace(-3, 3, 601)
x = np.array([-2.5, -1.6, -0.9, 0.1, 0.8, 1.9, 2.6])
y = np.array([0.6, -0.8, 0.2, 0.9, -0.4, -0.7, 0.8])

n_columns = 5
n_rows = -(-len(names()) // n_columns)
plt.rcParams["font.size"] = 12
figure, axes = plt.subplots(
    2 * n_rows, n_columns, figsize=(13, 3.6 * n_rows), sharex=True, layout="constrained"
)
for index, name in enumerate(names()):
    row, column = divmod(index, n_columns)
    top, bottom = axes[2 * row, column], axes[2 * row + 1, column]
    activation = get_activation(name)
    top.plot(z, activation.value(z), color="#0072B2", linewidth=2)
    top.plot(z, activation.derivative(z), "--", color="#D55E00", linewidth=1.5)
    top.set(title=name, ylim=(-2.2, 3.2))
    network = RandomFeatureRegressor(2000, activation=name, alpha=0, random_state=0)
    with warnings.catch_warnings():  # identity cannot meet these points, and the fit says so
        warnings.filterwarnings("ignore", "alpha=0 asks")
        network.fit(x[:, None], y)
    bottom.plot(z, network.predict(z[:, None]), color="black", linewidth=1.5)
    bottom.plot(x, y, "o", color="#009E73", markersize=6)
    bottom.set(ylim=(-3.2, 3.2))
plt.show()

# %%
# The activation decides what happens between the points, not whether they are met: only ``identity``,
# which makes the network a straight line, misses them.
