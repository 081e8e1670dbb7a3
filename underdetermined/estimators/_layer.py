"""From estimator parameters to a hidden layer: seed, sampler, scales."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from underdetermined._compat import Interval, StrOptions
from underdetermined._validation import check_memory
from underdetermined.activations import Activation, get_activation
from underdetermined.features import FeatureMap
from underdetermined.neurons import sample_leverage
from underdetermined.weights import SAMPLERS, get_sampler

__all__ = ["LAYER_CONSTRAINTS", "LEVERAGE", "draw_layer", "draw_seed", "first_neurons", "join", "last_neurons"]

LEVERAGE = "leverage"  # the one sampler that looks at the rows
LAYER_CONSTRAINTS: dict[str, list[Any]] = {
    "width": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "activation": [str, callable, Activation],
    "sampler": [StrOptions({*SAMPLERS, LEVERAGE})],
    "weight_scale": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
    "bias_scale": [Interval(Real, 0, None, closed="left")],
    "random_state": ["random_state"],
    "n_jobs": [None, Integral],
}


def draw_seed(random_state: Any) -> int:
    """Draw the seed of a hidden layer."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def draw_layer(estimator: Any, inputs: Any, width: int, dtype: Any, *, seed: int, start: int = 0) -> FeatureMap:
    """Draw neurons ``start ... start + width - 1`` by the parameters of `estimator`.

    The leverage sampler needs all rows in `inputs` and starts at 0; the others look at the number of columns alone.
    """
    n_inputs = inputs.shape[1]
    check_memory(8 * n_inputs * width, f"{width} hidden neurons with {n_inputs} inputs each")
    if estimator.sampler == LEVERAGE:
        return sample_leverage(
            inputs,
            width,
            activation=estimator.activation,
            weight_scale=estimator.weight_scale,
            bias_scale=estimator.bias_scale,
            seed=seed,
            n_jobs=estimator.n_jobs,
        ).astype(dtype)
    weights, biases = get_sampler(estimator.sampler)(n_inputs, width, seed=seed, start=start)
    weights *= n_inputs**-0.5 if estimator.weight_scale == "auto" else estimator.weight_scale
    biases *= estimator.bias_scale
    return FeatureMap(
        weights.astype(dtype, copy=False),
        biases.astype(dtype, copy=False) if estimator.bias_scale else None,
        get_activation(estimator.activation),
        n_jobs=estimator.n_jobs,
    )


def join(first: FeatureMap, second: FeatureMap) -> FeatureMap:
    """Put the neurons of two maps side by side, with the default scale of their joint width."""
    biases = None
    if first.biases is not None and second.biases is not None:
        biases = np.concatenate([first.biases, second.biases])
    return FeatureMap(np.hstack([first.weights, second.weights]), biases, first.activation, n_jobs=first.n_jobs)


def first_neurons(layer: FeatureMap, width: int) -> FeatureMap:
    """Return the first `width` neurons, with the default scale of that width."""
    biases = None if layer.biases is None else layer.biases[:width]
    return FeatureMap(layer.weights[:, :width], biases, layer.activation, n_jobs=layer.n_jobs)


def last_neurons(layer: FeatureMap, start: int) -> FeatureMap:
    """Return the neurons from `start` on, without the scale, whose features sum up to an increment of the Gram matrix."""
    biases = None if layer.biases is None else layer.biases[start:]
    return FeatureMap(layer.weights[:, start:], biases, layer.activation, 1.0, layer.n_jobs)
