"""From estimator parameters to a hidden layer: seed, sampler, scales."""

import warnings
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.extmath import row_norms

from underdetermined._compat import Interval, StrOptions
from underdetermined._validation import check_memory
from underdetermined.activations import Activation
from underdetermined.features import FeatureMap
from underdetermined.neurons import sample_leverage
from underdetermined.weights import SAMPLERS, get_sampler

__all__ = [
    "LAYER_CONSTRAINTS",
    "LEVERAGE",
    "draw_layer",
    "draw_seed",
    "first_neurons",
    "is_positive",
    "join",
    "last_neurons",
]

LEVERAGE = "leverage"  # the one sampler that looks at the rows
# Exponentials with a row shift of so many variances of a weight, and the kernels that they are positive features of.
POSITIVE = {"positive_softmax": 0.5, "positive_gaussian": 1.0}
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


def is_positive(activation: Any) -> bool:
    """Whether this activation of an estimator names positive features of a kernel; no other name may begin like them."""
    if not (isinstance(activation, str) and activation.startswith("positive")):
        return False
    if activation not in POSITIVE:
        raise ValueError(f"unknown activation {activation!r}: positive features are {' and '.join(map(repr, POSITIVE))}")
    return True


def draw_layer(estimator: Any, inputs: Any, width: int, dtype: Any, *, seed: int, start: int = 0) -> FeatureMap:
    """Draw neurons ``start ... start + width - 1`` by the parameters of `estimator`.

    The leverage sampler needs all rows in `inputs` and starts at 0; the others look at the number of columns alone. So
    does the warning about rows that are too long for positive features.
    """
    n_inputs = inputs.shape[1]
    check_memory(8 * n_inputs * width, f"{width} hidden neurons with {n_inputs} inputs each")
    weight_scale = n_inputs**-0.5 if estimator.weight_scale == "auto" else float(estimator.weight_scale)
    activation, bias_scale, row_shift = estimator.activation, estimator.bias_scale, 0.0
    if is_positive(activation):
        row_shift, activation, bias_scale = POSITIVE[activation] * weight_scale * weight_scale, "exp", 0.0
        if not np.isfinite(row_shift):
            raise OverflowError(
                f"weight_scale={weight_scale:g}, whose square is the row shift of activation={estimator.activation!r}, "
                "overflows float64 once squared: lower it."
            )
        if start == 0:
            _warn_frozen(inputs, width, weight_scale, estimator.activation)
    if estimator.sampler == LEVERAGE:
        return sample_leverage(
            inputs,
            width,
            activation=activation,
            weight_scale=weight_scale,
            bias_scale=bias_scale,
            row_shift=row_shift,
            seed=seed,
            n_jobs=estimator.n_jobs,
        ).astype(dtype)
    weights, biases = get_sampler(estimator.sampler)(n_inputs, width, seed=seed, start=start)
    weights *= weight_scale
    biases *= bias_scale
    return FeatureMap(
        weights.astype(dtype, copy=False),
        biases.astype(dtype, copy=False) if bias_scale else None,
        activation,
        n_jobs=estimator.n_jobs,
        row_shift=row_shift,
    )


def _warn_frozen(inputs: Any, width: int, weight_scale: float, name: str) -> None:
    """Warn if most rows are so long that so few neurons see a small part of their kernel only.

    A diagonal entry is the mean of lognormal variables with variance s = (2 weight_scale |x|)^2 of the logarithm. It is
    carried by neurons that are rarer than one in exp(s / 2).
    """
    typical, limit = weight_scale * float(np.median(row_norms(inputs))), float(np.sqrt(np.log(width) / 2.0))
    if typical > limit:
        warnings.warn(
            f"activation={name!r} with {width} neurons misses most of its kernel: the median row norm times weight_scale is "
            f"{typical:.3g} > {limit:.3g}; scale the inputs to norms of about 1 / weight_scale, or lower weight_scale.",
            UserWarning,
            stacklevel=2,
        )


def join(first: FeatureMap, second: FeatureMap) -> FeatureMap:
    """Put the neurons of two maps side by side, with the default scale of their joint width."""
    biases = None
    if first.biases is not None and second.biases is not None:
        biases = np.concatenate([first.biases, second.biases])
    return replace(first, weights=np.hstack([first.weights, second.weights]), biases=biases, scale=None)


def first_neurons(layer: FeatureMap, width: int) -> FeatureMap:
    """Return the first `width` neurons, with the default scale of that width."""
    biases = None if layer.biases is None else layer.biases[:width]
    return replace(layer, weights=layer.weights[:, :width], biases=biases, scale=None)


def last_neurons(layer: FeatureMap, start: int) -> FeatureMap:
    """Return the neurons from `start` on, without the scale, whose features sum up to an increment of the Gram matrix."""
    biases = None if layer.biases is None else layer.biases[start:]
    return replace(layer, weights=layer.weights[:, start:], biases=biases, scale=1.0)
