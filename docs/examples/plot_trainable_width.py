"""
How the width that can be trained grows with the number of rows
===============================================================

How many neurons does a network need until training fits n rows with random labels? With both layers trained little more
than the count of parameters asks for; with the last layer alone as many as there are rows, and more where gradient descent
runs out of steps. An exponent of growth says little without the number of steps.
"""

import matplotlib.pyplot as plt
import numpy as np

from underdetermined.empirical_width import trainable_width_growth

# %%
# Random directions in ten dimensions, all rows of one norm, and random signs for targets. Every number of rows has four such
# problems with a network each. Networks are nested, the first m neurons of a list, and the smallest m is found by bisection.
N_INPUTS = 10
SIZES = [10, 20, 40, 80]


def random_labels(n, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, N_INPUTS))
    X *= 2 * np.sqrt(N_INPUTS) / np.linalg.norm(X, axis=1, keepdims=True)
    return X, rng.choice([-1.0, 1.0], n)


def growth(layers, max_steps, method="gd"):
    return trainable_width_growth(
        random_labels,
        SIZES,
        layers=layers,
        method=method,
        max_steps=max_steps,
        n_seeds=4,
        has_bounds=False,
    )


# %%
# Training has to bring the loss to a hundred-millionth of that of the zero function. Both layers are trained by gradient
# descent, and by Gauss-Newton. For the last layer alone the residual after any number of steps has a closed form.
descent = growth("both", 3000)
newton = growth("both", 50, method="gauss-newton")
last = {steps: growth("last", steps) for steps in (10**4, 10**5, 10**6)}

# %%
# Left, geometric means of the widths. Right, in the same colours, the exponents with 95 % intervals from resampled seeds.
direct = "last, direct"
curves = {
    "last layer,\n$10^4$ steps": (last[10**4], "last", "#D55E00", "v"),
    "last layer,\n$10^5$ steps": (last[10**5], "last", "#CC79A7", "D"),
    "last layer,\n$10^6$ steps": (last[10**6], "last", "#E69F00", "^"),
    "last layer,\nleast squares": (last[10**6], direct, "#000000", "s"),
    "both layers,\n3000 steps": (descent, "both", "#0072B2", "o"),
    "both layers,\n50 Gauss-Newton steps": (newton, "both", "#009E73", "P"),
}
plt.rcParams["font.size"] = 16
figure, (left, right) = plt.subplots(1, 2, figsize=(14, 7.5), layout="constrained", width_ratios=(1.2, 1))
for row, (found, name, color, marker) in enumerate(curves.values()):
    style = {"color": color, "marker": marker, "markersize": 11, "linewidth": 2.5}
    left.plot(found.sizes, found.means[name], **style)
    exponent = found.exponents[name]
    right.plot([exponent.low, exponent.high], [row, row], color=color, linewidth=5, solid_capstyle="round")
    right.plot(exponent.value, row, **style)
left.plot(SIZES, descent.parameters["both"], "--", color="0.5", linewidth=2.5, label="as many parameters as rows")
left.set(xscale="log", yscale="log", xlabel="rows n", ylabel="smallest width that is trained")
left.set_xticks(SIZES, [str(n) for n in SIZES])
left.set_yticks([1, 3, 10, 30, 100, 300], ["1", "3", "10", "30", "100", "300"])
left.minorticks_off()
left.legend(loc="upper left")
right.axvline(1, color="0.7", zorder=0)
right.set_yticks(range(len(curves)), list(curves))
right.invert_yaxis()
right.set(xlabel="exponent b of width $\\sim n^b$")
plt.show()

# %%
# Least squares on the last layer takes exactly n neurons. Gradient descent on it takes more, the fewer its steps, and ever
# more as n grows: an exponent of 1.3 with ten thousand steps, which tends to 1 as they grow. With both layers trained a
# neuron has eleven parameters here. For 80 rows Gauss-Newton makes do with nine neurons, where eight have as many parameters
# as there are rows, and three thousand steps of gradient descent with fifteen. Both exponents are below 1 because small
# networks need relatively more; it cannot stay so, since below the count of parameters, whose exponent is 1, almost no
# targets are fitted. :class:`~underdetermined.displays.WidthDisplay` draws such a growth beside what bounds promise.
