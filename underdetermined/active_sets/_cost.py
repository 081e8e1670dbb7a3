"""What a step costs under each strategy, from a sample of the neurons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from underdetermined.active_sets._network import Network
from underdetermined.active_sets._pairs import pre_activations

FloatArray = NDArray[np.float64]

# Neurons looked at, evenly spread.
_SAMPLE = 256

# Nanoseconds on one core of a server of 2023; only ratios matter. A product of matrices takes PRODUCT for each of its
# multiplications, a pass over a tile PASS for each pair; a multiplication on gathered rows takes GATHERED, the bookkeeping
# of a listed pair PAIR, that of a neuron NEURON and TRAFFIC for each weight; a multiplication in a Gram matrix takes GRAM.
PRODUCT, PASS, GATHERED, PAIR, NEURON, TRAFFIC, GRAM = 0.045, 1.0, 0.2, 3.0, 160.0, 2.0, 1.0
# The Gram matrices of all lists may take this many bytes.
_GRAM_BYTES = 2**28


@dataclass(frozen=True)
class Activity:
    """How active a network is, and how fast it moves.

    Parameters
    ----------
    active : float
        Active samples of a neuron, on average.
    active_square : float
        Mean of their square.
    density : float
        Samples that a skin of length 1 would add to the list of a neuron.
    speed : float
        Length of a step of a neuron, on average.
    """

    active: float
    active_square: float
    density: float
    speed: float


def measure(network: Network, speed: float) -> Activity:
    """Look at some neurons.

    Parameters
    ----------
    network : Network
        Network, with up-to-date weights.
    speed : float
        Mean length of a step; 0 where none was taken yet.

    Returns
    -------
    Activity
    """
    chosen = np.linspace(0, len(network.weights) - 1, _SAMPLE).astype(np.intp)
    z = pre_activations(network.weights[chosen], network.biases[chosen], network.rows)
    positive = z > 0.0
    count = positive.sum(axis=1)
    total = float(np.sum(z, where=positive))
    # Where pre-activations have an exponential tail, there are this many per unit just below 0.
    density = float(count.sum()) ** 2 / len(chosen) / total * network.mean_norm if total > 0.0 else 0.0
    return Activity(float(count.mean()), float(np.mean(count.astype(float) ** 2)), density, speed)


def gram_limit(n_inputs: int) -> int:
    """Longest list whose Gram matrix is stored: beyond, products with its rows take less memory and less time.

    Parameters
    ----------
    n_inputs : int
        Number d of inputs.

    Returns
    -------
    int
    """
    return n_inputs // 2


def step_costs(network: Network, activity: Activity) -> dict[str, float]:
    """Cost of one step by each strategy, in nanoseconds of one core.

    With a active samples, a list has a + e and refreshes cost as much as the e samples more: the skin balances them.

    Parameters
    ----------
    network : Network
        Network.
    activity : Activity
        What was measured.

    Returns
    -------
    dict of str to float
        "dense", "masked", "lists" and "kernel", the latter infinite where its Gram matrices would take too much memory.
    """
    (n, d), m = network.rows.shape, len(network.weights)
    active, pair = activity.active, GATHERED * d + PAIR
    refreshed = PRODUCT * d + PASS

    def extra(cost: float) -> float:
        return min(float(n), float(np.sqrt(refreshed / cost * n * activity.speed * activity.density)))

    neuron = NEURON + TRAFFIC * d
    gram_row = GRAM * active + PAIR
    listed = active + extra(gram_row)
    products = min(
        GRAM * activity.active_square * max(1.25, listed / max(active, 1e-9)), GATHERED * d * (active + listed)
    )
    costs = {
        "dense": n * (2.0 * PRODUCT * d + 4.0 * PASS),
        "masked": n * refreshed + active * pair + neuron,
        "lists": 2.0 * (active + extra(pair)) * pair + neuron,
        "kernel": NEURON + products + 4.0 * PAIR * listed + (listed - active) * gram_row,
    }
    stored = min(activity.active_square + listed**2, float(gram_limit(d)) ** 2)
    if 8.0 * m * stored > _GRAM_BYTES:
        costs["kernel"] = np.inf
    return {name: m * cost for name, cost in costs.items()}
