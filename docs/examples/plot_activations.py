"""
The catalogue of activations
============================

Every activation with its derivative, and a network of each kind through the same seven points.
"""

import matplotlib.pyplot as plt
import numpy as np

from underdetermined import RandomFeatureRegressor
from underdetermined.activations import get_activation, names

# %%
# Values (solid) and derivatives (dashed); below, the interpolating network of 2000 neurons.
z = np.linspace(-3, 3, 601)
x = np.array([-2.5, -1.6, -0.9, 0.1, 0.8, 1.9, 2.6])
y = np.array([0.6, -0.8, 0.2, 0.9, -0.4, -0.7, 0.8])

columns = 5
rows = -(-len(names()) // columns)
figure, axes = plt.subplots(2 * rows, columns, figsize=(13, 3.4 * rows), sharex=True, layout="constrained")
for index, name in enumerate(names()):
    row, column = divmod(index, columns)
    activation = get_activation(name)
    top, bottom = axes[2 * row, column], axes[2 * row + 1, column]
    top.plot(z, activation.value(z), color="#0072B2", linewidth=2)
    top.plot(z, activation.derivative(z), "--", color="#D55E00", linewidth=1.5)
    top.set(title=name, ylim=(-2.2, 3.2))
    network = RandomFeatureRegressor(2000, activation=name, alpha=0, random_state=0).fit(x[:, None], y)
    bottom.plot(z, network.predict(z[:, None]), color="black", linewidth=1.5)
    bottom.plot(x, y, "o", color="#009E73", markersize=5)
    bottom.set(ylim=(-3.2, 3.2))
plt.show()

# %%
# The activation decides what happens between the points, not whether they are met: only ``identity``, which makes the
# network a straight line, and other low-degree polynomials miss them.
