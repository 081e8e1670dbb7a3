"""A network from one of the standard initialisations."""

from __future__ import annotations

import warnings
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined._validation import check_count, check_number
from underdetermined.activations import get_activation
from underdetermined.features import FeatureMap
from underdetermined.joint._initialisation import Deviations, deviations
from underdetermined.weights import get_sampler

# The last layer has a stream of its own, beside that of the weights of the same seed.
_COEF = 1
# Below this mean square of the pre-activations, for rows of mean square 1, Xavier is called too narrow.
_FLAT = 0.1


def draw_network(
    n_inputs: int, width: int, n_outputs: int = 1, *, activation: Any = "tanh", init: str = "lecun", output: str = "random",
    weight_scale: float = 1.0, coef_scale: float = 1.0, bias_scale: float | None = None, sampler: str = "gaussian",
    seed: int = 0,
) -> tuple[FeatureMap, NDArray[np.float64]]:  # fmt: skip
    """Draw f(x) = s sum_r coef_r sigma(<w_r, x> + b_r), w_r ~ N(0, u^2 I), coef_r ~ N(0, v^2 I), b_r ~ N(0, t^2).

    Parameters
    ----------
    n_inputs : int
        Number of inputs d, at least 1.
    width : int
        Number of neurons m, at least 1; even if `output` is "paired".
    n_outputs : int, default=1
        Number of outputs k, at least 1.
    activation : str, callable or Activation, default="tanh"
        sigma, as `underdetermined.activations.get_activation` takes it.
    init : {"lecun", "he", "xavier", "kernel"}, default="lecun"
        (u, v, s) is (1 / sqrt(d), 1 / sqrt(m), 1), (sqrt(2 / d), sqrt(2 / m), 1),
        (sqrt(2 / (d + m)), sqrt(2 / (m + k)), 1) or (1, 1, 1 / sqrt(m)).
    output : {"random", "zero", "paired"}, default="random"
        The last layer: random; zero, so that f is 0; or paired: the second half of the neurons repeats the first one
        with opposite coefficients, so that f is 0 and m / 2 neurons are independent.
    weight_scale : float, default=1.0
        Factor of u, positive.
    coef_scale : float, default=1.0
        Factor of v, positive.
    bias_scale : float or None, default=None
        t, at least 0: 0 gives biases that begin at zero, None no biases.
    sampler : str, default="gaussian"
        A key of `underdetermined.weights.SAMPLERS`; it draws the w_r and the b_r.
    seed : int, default=0
        The same seed gives the same network, at least 0.

    Returns
    -------
    feature_map : FeatureMap
        The hidden layer, with s as its scale.
    coef : ndarray of shape (m, k)
        The last layer.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, a word is unknown, the width is odd and the output paired, or weights overflow.

    Warns
    -----
    UserWarning
        With "xavier", where pre-activations are so small that the hidden layer is nearly linear; see the notes.

    Notes
    -----
    Cost (d + k) m normal variates. Neuron r depends on the seed, on r and on k; the width only scales it. Of a paired
    network that holds for the first half.

    On rows of mean square 1 pre-activations have mean square u^2 d, which is 2 d / (d + m) for Xavier: a wide layer sees
    the activation near 0 only. Beside its linear part, its part of degree p then has weight (u^2 d)^(p - 1) times that of
    LeCun, to leading order, and so have the smallest eigenvalues of the Gram matrix. The warning comes where
    u^2 d < 1/10, so m > 19 d without `weight_scale`: there quadratic parts have lost a factor of 10, cubic ones, the first
    of an odd activation such as tanh, one of 100. It does not come for homogeneous activations, such as relu, which see no
    scale.

    References
    ----------
    :ref:`theory-joint-training`.

    Examples
    --------
    >>> from underdetermined.joint import draw_network
    >>> hidden, coef = draw_network(3, 4, output="paired", bias_scale=0.0)
    >>> hidden.weights.shape, hidden.biases, coef.sum()
    ((3, 4), array([0., 0., 0., 0.]), np.float64(0.0))
    """
    activation = get_activation(activation)
    draw = get_sampler(sampler)
    spread, count = deviations(init, output, width, (n_inputs, n_outputs), weight_scale, coef_scale)
    bias = None if bias_scale is None else check_number(bias_scale, "bias_scale")
    seed = check_count(seed, "seed", low=0)
    if init == "xavier" and activation.homogeneous is None:
        _warn_if_flat(spread, n_inputs, width, weight_scale)
    weights, biases = draw(n_inputs, count, seed=seed)
    with np.errstate(over="ignore"):
        weights *= spread.weights
        biases = biases * bias if bias else np.zeros(count)
        coef = spread.coef * np.random.default_rng([seed, _COEF]).standard_normal((count, n_outputs))
    if not np.isfinite(coef).all():
        raise ValueError(f"the last layer overflows at coef_scale={coef_scale!r}: pass a smaller one")
    if output == "paired":
        weights, biases, coef = np.hstack([weights, weights]), np.hstack([biases, biases]), np.vstack([coef, -coef])
    return FeatureMap(weights, None if bias is None else biases, activation, spread.scale), coef


def _warn_if_flat(spread: Deviations, n_inputs: int, width: int, weight_scale: float) -> None:
    """Warn where pre-activations of rows of mean square 1 are so small that the activation is a line there."""
    size = spread.weights**2 * n_inputs
    if size < _FLAT:
        warnings.warn(
            f"init='xavier' with {width} neurons and {n_inputs} inputs makes pre-activations of mean square {size:.2g} on "
            "rows of mean square 1: the hidden layer is nearly linear and the smallest eigenvalues of its Gram matrix are "
            f"about {size**2:.1g} of those of LeCun; pass init='lecun', or weight_scale={weight_scale / sqrt(size):.3g}",
            UserWarning,
            stacklevel=3,
        )
