"""
How wide is wide enough
=======================

A network with random hidden neurons fits any targets once it is wide enough. What theorems promise, what an estimate
says and what an experiment finds, on the same hundred patients.
"""

import matplotlib.pyplot as plt
import numpy as np

from underdetermined.bounds import minimum_width
from underdetermined.displays import WidthDisplay
from underdetermined.empirical_width import empirical_minimum_width, measure_widths
from underdetermined.tables import load_dataset

# %%
# The first hundred rows of the diabetes data, with standardised columns.
X = load_dataset("diabetes").inputs[:100]
X = (X - X.mean(axis=0)) / X.std(axis=0)

# %%
# How many neurons until, in nine networks of ten, the smallest eigenvalue of the Gram matrix of the features is at least
# half of what it tends to as the width grows? Full rank needs a hundred neurons and no more, but says nothing about the
# size of the coefficients.
QUESTION = {"activation": "erf", "epsilon": 0.5, "failure_probability": 0.1}
answer = minimum_width(X, target="spectrum", **QUESTION)
print(answer)

# %%
# The experiment: forty networks, and the smallest width at which thirty-six of them pass.
found = empirical_minimum_width(X, event="spectrum", **QUESTION)
print(found)

# %%
# Above, the smallest eigenvalue of ten networks against their width. Below, one line for each result, over the widths of
# which it speaks.
widths = np.unique(np.geomspace(50, 10_000, 25).round().astype(int))
measured = measure_widths(X, widths, activation="erf")
WidthDisplay.from_measurement(measured, answer.with_bound(found.as_bound()).bounds)
plt.show()

# %%
# About five neurons for each row are wide enough; the estimate from sampled neurons asks for thirty times as many, and what
# theorems guarantee for random neurons is a hundred times wider still, unless neurons are drawn by their leverage.
