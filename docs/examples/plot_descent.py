"""
What gradient descent learns first and last
===========================================

The spectrum of the Gram matrix tells, before the first step, which part of a target gradient descent learns when. Here a
smooth wave with a faint ripple on it is learned by the last layer of two wide networks, which differ in
their activation only. Everything is computed from the infinite-width kernel; nothing is trained.
"""

import matplotlib.pyplot as plt
import numpy as np

from underdetermined.descent import forecast_descent
from underdetermined.spectrum import Spectrum

# %%
# A hundred points, a wave of period 2 and a ripple of period 1/6.
x = np.linspace(-1, 1, 100)
wave = np.sin(np.pi * x)
y = wave + 0.25 * np.sin(12 * np.pi * x)

# %%
# Two activations on the same data. Gradient descent runs at 1 / lambda_max for both, and the fit after t steps is the target
# minus the forecast residual.
WEIGHT_SCALE, BIAS_SCALE = 3.0, 3.0
ACTIVATIONS = {"relu": "#0072B2", "erf": "#D55E00"}
SNAPSHOTS = [3, 1000, 10_000_000]
steps = np.unique(np.geomspace(1, 1e9, 200).round())

spectra = {
    name: Spectrum.from_kernel(x[:, None], activation=name, weight_scale=WEIGHT_SCALE, bias_scale=BIAS_SCALE)
    for name in ACTIVATIONS
}
forecasts = {name: forecast_descent(s, y, learning_rate=1 / s.largest) for name, s in spectra.items()}

# %%
# Above, the fits after few, more and many steps. Below, the eigenvalues with the energy of the target under
# them, and the part of the loss that is in the ten leading eigenvectors (learned early) and in all others (learned late).
plt.rcParams["font.size"] = 13
figure = plt.figure(figsize=(13, 8.5), layout="constrained")
top, bottom = figure.subfigures(2, 1)

for ax, t in zip(top.subplots(1, 3, sharey=True), SNAPSHOTS, strict=True):
    ax.plot(x, y, color="0.75", linewidth=5, label="target")
    for name, color in ACTIVATIONS.items():
        ax.plot(x, y - forecasts[name].residual(t)[:, 0], color=color, linewidth=2, label=name)
    ax.set(title=f"after {t:,} steps", xlabel="input $x$")
    if t == SNAPSHOTS[0]:
        ax.set_ylabel("output")
        ax.legend(loc="upper left")

left, middle, right = bottom.subplots(1, 3)
for name, color in ACTIVATIONS.items():
    spectrum, forecast = spectra[name], forecasts[name]
    index = np.arange(1, spectrum.n_rows + 1)
    resolved = spectrum.eigenvalues > spectrum.cutoff
    left.loglog(index[resolved], spectrum.eigenvalues[resolved] / spectrum.largest, ".-", color=color, label=name)
    missing = 1 - np.cumsum(spectrum.energy(y))
    middle.semilogy(index[:50], missing[:50].clip(1e-16), ".-", color=color)
    early, late = forecast.early_late(steps, split=10)
    right.loglog(steps, early / forecast.loss(0), color=color, linewidth=2)
    right.loglog(steps, late / forecast.loss(0), "--", color=color, linewidth=2)
left.set(title="eigenvalues of the kernel", xlabel="number of the eigenvalue", ylabel="eigenvalue / largest")
left.legend()
middle.set(title="where the target lies", xlabel="number of leading eigenvectors")
middle.set(ylabel="energy of the target outside", ylim=(1e-4, 2))
right.set_title("loss, early (solid) and late (dashed)")
right.set(xlabel="step", ylabel="loss / loss at the start", ylim=(1e-8, 2))
for t in SNAPSHOTS:
    right.axvline(t, color="0.8", zorder=0)
plt.show()

# %%
# The wave lies under large eigenvalues and is learned in a few steps, the ripple under small ones; the smooth activation's
# eigenvalues decay faster, so that its network is the one that still misses the ripple when the other has learned it.
