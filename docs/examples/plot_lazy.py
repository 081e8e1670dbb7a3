"""
Certified or not, lazy or not
=============================

Gradient descent on both layers of a wide smooth network provably fits its targets, and a certificate says so before the
first step. Such a network hardly leaves its linearisation: it is lazy. Width and the ratio of output to hidden weights
decide how lazy. A certificate implies laziness, but laziness does not imply a certificate, and neither is needed to fit.
"""

import matplotlib.pyplot as plt
import numpy as np

from underdetermined.joint import PLPath, draw_network, laziness_report
from underdetermined.objectives import TwoLayer
from underdetermined.optimize import gradient_descent

# %%
# Twenty random directions in ten dimensions, and labels of plus and minus one. The product of the deviations of hidden and
# output weights is that of LeCun, :math:`1/\sqrt{dm}`, and we vary their ratio by a factor. Networks begin at zero, as every
# neuron has a twin of opposite sign.
rng = np.random.default_rng(0)
X = rng.standard_normal((20, 10))
X *= np.sqrt(10) / np.linalg.norm(X, axis=1, keepdims=True)
y = np.sign(rng.standard_normal(20))
WIDTHS = [16, 32, 64, 128, 256, 512, 1024]
RATIOS = {1 / 16: ("1/16", "#0072B2", "o", "-"), 1: ("1", "#E69F00", "s", "--"), 16: ("16", "#CC3377", "D", ":")}


# %%
# One network: train it down to a millionth of its loss, and look every twentieth step whether what remains is certified.
def train(width, ratio):
    scales = {"weight_scale": ratio**-0.5, "coef_scale": ratio**0.5}
    hidden, coef = draw_network(10, width, activation="gelu", output="paired", seed=1, **scales)
    objective = TwoLayer(X, y, hidden, coef)
    path = PLPath(objective, every=20)
    run = gradient_descent(objective, objective.initial(), learning_rate="auto", loss_tol=1e-6, max_iter=1000, callback=path)
    return path, laziness_report(objective, run.theta, certificate=path.certificates[0])


found = {(width, ratio): train(width, ratio) for ratio in RATIOS for width in WIDTHS}

# %%
# The widest network with few output weights is certified and lazy; the narrowest one with many is neither.
print(found[WIDTHS[-1], 1 / 16][1])

# %%
print(found[WIDTHS[0], 16][1])

# %%
# Top, what the linearised network misses, and how far the tangent kernel has turned. Filled markers are certified before the
# first step. All of them are lazy, but so are many that are not certified, and the kernel hardly turns even where the
# linearisation fails. Bottom left, the step of the first certificate; networks that never have one within a thousand steps
# are left out. Bottom right, the smallest eigenvalue of the tangent kernel on the way, with a marker where the first
# certificate comes. It is the constant in the inequality of Polyak and Lojasiewicz; it grows where networks are not lazy.
plt.rcParams["font.size"] = 18
figure, ((error, turned), (first, constant)) = plt.subplots(2, 2, figsize=(15, 13), layout="constrained")
for ratio, (name, color, marker, style) in RATIOS.items():
    runs = [found[width, ratio] for width in WIDTHS]
    reports = [report for _, report in runs]
    line = {"color": color, "linewidth": 3, "linestyle": style}
    point = {"color": color, "marker": marker, "markersize": 13, "linestyle": "none", "markeredgewidth": 2.5}
    curves = (
        (error, [report.linearization_error for report in reports]),
        (turned, [1 - report.kernel_alignment for report in reports]),
        (first, [np.nan if path.first_certified is None else path.first_certified for path, _ in runs]),
    )
    for axes, values in curves:
        axes.plot(WIDTHS, values, **line)
        for width, value, report in zip(WIDTHS, values, reports, strict=True):
            axes.plot(width, value, **point, markerfacecolor=color if report.is_certified else "white")
    path = found[256, ratio][0]
    growth = path.smallest / path.smallest[0]
    constant.plot(path.losses / path.losses[0], growth, label=name, **line)
    place = np.flatnonzero(path.is_certified)[0]
    filled = {"markerfacecolor": color if place == 0 else "white"}
    constant.plot(path.losses[place] / path.losses[0], growth[place], **point, **filled)
    error.plot([], [], label=name, **line, marker=marker, markersize=13)
error.axhline(0.1, color="0.6", linewidth=1.5, zorder=0)
error.set(yscale="log", title="linearisation error")
turned.set(yscale="log", title="1 - alignment of tangent kernels")
first.set(yscale="symlog", ylim=(-0.5, 1500), title="first certified step")
first.set_yticks([0, 1, 10, 100, 1000], ["0", "1", "10", "100", "1000"])
constant.set(xscale="log", xlim=(2, 5e-7), title="smallest eigenvalue / start, width 256", xlabel="loss / loss at the start")
for axes in (error, turned, first):
    axes.set(xscale="log", xlabel="width")
    axes.set_xticks(WIDTHS[::2], [str(width) for width in WIDTHS[::2]], minor=False)
    axes.minorticks_off()
error.legend(title="output / hidden", loc="lower left")

# %%
# With few output weights, 256 neurons are certified before the first step and hardly bend; with many, even 1024 are not,
# though they train as well. Every network here that was certified at the start was lazy, and most of the lazy ones were not
# certified.
