"""
Same accuracy, two per cent of the work
=======================================

A neuron whose bias starts at -2 is active on two samples in a hundred, and learns from these alone. Two networks of the
same width are trained to the same loss: one has biases that start at 0, the other one biases that start at -2. What counts
is how many pairs of a sample and a neuron have to be looked at on the way.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import ndtr
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from underdetermined.active_sets import draw_network, train_active_sets
from underdetermined.displays import SparsityDisplay
from underdetermined.objectives import SparseReLU

# %%
# Is a handwritten digit odd or even? Rows have norm 1, so that every sample has the same share of active neurons. Labels are
# small, because small moves of the neurons then suffice, and what is active hardly changes.
X, digits = load_digits(return_X_y=True)
X = X / np.linalg.norm(X, axis=1, keepdims=True)
y = np.where(digits % 2, 0.1, -0.1)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, train_size=600, random_state=0, stratify=digits
)

# %%
# Both networks are trained by full-batch gradient descent until the loss is a fifth of its start, each with steps of one
# over the largest eigenvalue of its own tangent matrix: the dense one by matrix products, the sparse one with a list of
# samples for each neuron. Lists change the cost and nothing else; the steps are those of matrix products, up to rounding.
WIDTH, SHARE = 2000, 0.2


def train(threshold, strategy):
    hidden, coef = draw_network(X.shape[1], WIDTH, bias=threshold)
    steps, accuracies = [], []

    def score(step, state):
        if step < 10 or step % 10 == 0:
            outputs = state.feature_map(X_test) @ coef[:, 0]
            steps.append(step)
            accuracies.append(np.mean(outputs * y_test > 0))

    objective = SparseReLU(X_train, y_train, hidden, coef)
    run = train_active_sets(objective, tol=SHARE**0.5, strategy=strategy, callback=score)
    accuracy = np.mean(run.feature_map(X_test) @ coef[:, 0] * y_test > 0)
    work = f"{run.n_iter} steps, {run.n_visited.sum():,} pairs visited"
    print(f"biases start at {0.0 - threshold:g}: {work}, test accuracy {accuracy:.3f}")
    return run, [*steps, run.n_iter], [*accuracies, accuracy]


networks = {"dense": train(0.0, "dense"), "sparse": train(2.0, "lists")}

# %%
# To the left the loss at each step and, for the sparse network, what is active. To the right loss and accuracy against the
# pairs visited so far; the first step visits all pairs, to set up the lists.
plt.rcParams["font.size"] = 13
figure, axes = plt.subplots(2, 2, figsize=(13, 8.5), layout="constrained")
(top, right), (bottom, below) = axes
orange, blue = "#D55E00", "#0072B2"
dense, sparse = networks["dense"][0], networks["sparse"][0]
display = SparsityDisplay.from_trajectory(sparse, expected=ndtr(-2.0), ax=[top, bottom])
display.loss_.set_label("sparse: biases start at $-2$")
relative = dense.value / dense.value[0]
top.plot(relative, "--", color=orange, linewidth=2.4, label="dense: biases start at 0")
top.legend(loc="lower left")
for ax in (top, bottom):
    ax.set_xlim(right=1.05 * dense.n_iter)

for (name, (run, steps, accuracies)), style in zip(networks.items(), ("--", "-"), strict=True):
    color = {"dense": orange, "sparse": blue}[name]
    line = {"linestyle": style, "color": color, "linewidth": 2.4, "label": name}
    work = np.cumsum(run.n_visited) / (WIDTH * len(X_train))
    right.plot(work, run.value / run.value[0], **line)
    below.plot(work[steps], accuracies, **line)
for ax in (right, below):
    ax.set(xscale="log", xlabel="pairs visited / all pairs", xlim=(0.8, 300))
    ax.set_xticks([1, 10, 100], ["1", "10", "100"])
    ax.legend(loc="upper right" if ax is right else "lower right")
right.set(yscale="log", ylabel="loss / loss at the start", ylim=top.get_ylim())
right.set_yticks([0.2, 0.5, 1], ["0.2", "0.5", "1"])
right.tick_params(axis="y", which="minor", labelleft=False)
below.set(ylabel="test accuracy", ylim=(0.7, 1.0))
plt.show()

# %%
# The sparse network reaches the same loss and predicts digits it has not seen as well as the dense one, and has visited
# less than two per cent as many pairs: it takes fewer steps, and each step visits fewer pairs.
