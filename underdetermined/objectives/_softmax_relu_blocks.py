"""Blocks of inputs of a shared softmax-ReLU objective, evaluated one by one, and their sums in a fixed order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined.blocks import run_tiles
from underdetermined.objectives._loss import quiet
from underdetermined.objectives._softmax_relu_memory import working_memory
from underdetermined.objectives._softmax_relu_terms import Terms, terms
from underdetermined.objectives._softmax_relu_units import units

FloatArray = NDArray[np.float64]


@dataclass
class Block:
    """What is kept of one block of k inputs, one in each column.

    Attributes
    ----------
    part : slice
        Its inputs.
    terms : Terms
        Losses and derivatives; the weights of the inputs are in values and slopes only.
    slopes : ndarray of shape (n, k)
        t, of float or bool.
    second : ndarray of shape (n, k) or None
        rho''(z).
    """

    part: slice
    terms: Terms
    slopes: Any
    second: FloatArray | None


def block(objective: Any, part: slice, layer: FloatArray, smoothing: float, active: NDArray[np.bool_] | None) -> Block:
    """Evaluate one block.

    Parameters
    ----------
    objective : SharedSoftmaxReLU
        The problem.
    part : slice
        The inputs.
    layer : ndarray of shape (n, p)
        W.
    smoothing : float
        mu.
    active : ndarray of bool of shape (N n,) or None
        The units that are linear.

    Returns
    -------
    Block
    """
    z, logits = working_memory((objective.width, part.stop - part.start), (objective.n_outputs, part.stop - part.start))
    np.matmul(layer, objective.Phi[part].T, out=z)
    mask = None if active is None else active.reshape(objective.n_samples, objective.width)[part].T
    hidden = units(z, smoothing, mask)
    np.matmul(objective.A2, hidden.hidden, out=logits)
    if objective.offset is not None:
        logits += objective.offset[:, np.newaxis]
    found = terms(logits, objective.columns[:, part], objective.loss)
    if objective.sample_weight is not None:
        scale = objective.sample_weight[part]
        found = found._replace(value=scale * found.value, slopes=scale * found.slopes)
    return Block(part, found, hidden.slopes, hidden.second)


def in_order(task: Callable[[Any], Any], groups: list[Any]) -> list[Any]:
    """Results of a task for every group, in the order of the groups whatever thread had which.

    Parameters
    ----------
    task : callable
        Called with one group.
    groups : list
        The groups.

    Returns
    -------
    list
        One result for each.
    """
    results: list[Any] = [None] * len(groups)

    def run(index: int) -> None:
        # Each thread has a floating-point state of its own.
        with quiet():
            results[index] = task(groups[index])

    run_tiles(run, range(len(groups)))
    return results


def shared_value(objective: Any, x: FloatArray, smoothing: float) -> float:
    """Sum of the losses with the penalty, keeping nothing.

    Parameters
    ----------
    objective : SharedSoftmaxReLU
        The problem.
    x : ndarray of shape (n p,)
        Parameters.
    smoothing : float
        mu.

    Returns
    -------
    float
    """
    layer = objective.layer(x)

    def task(group: list[slice]) -> float:
        return sum(float(block(objective, part, layer, smoothing, None).terms.value.sum()) for part in group)

    return sum(in_order(task, objective.groups)) + objective.penalty(x)
