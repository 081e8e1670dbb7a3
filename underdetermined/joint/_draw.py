"""A network from one of the standard initialisations."""

from __future__ import annotations

import warnings
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined._validation import check_count, check_number
from underdetermined.activations import Activation, get_activation
from underdetermined.features import FeatureMap
from underdetermined.joint._initialisation import deviations
from underdetermined.weights import get_sampler

# The last layer has a stream of its own, beside that of the weights of the same seed.
_COEF = 1
# Xavier is warned of where the share of the features that is not linear falls below this fraction of that of LeCun.
_FLAT = 0.1
_DEGREE = 20


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
    the activation near 0 only, where it is a line, and the Gram matrix of more rows than inputs loses its rank. Of the
    variance sum_j a_j^2 of a feature, j >= 1, with a_j the Hermite coefficients at that scale, those of j >= 2 are not
    linear in the inputs. The warning comes where their share is less than a tenth of what it is at u^2 d = 1: with tanh
    from m = 14 d on, with gelu from m = 85 d, never with homogeneous activations, such as relu, which see no scale.

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
    size = spread.weights * sqrt(n_inputs)
    if init == "xavier" and size < 1.0:
        _warn_if_flat(activation, size, (n_inputs, width), weight_scale)
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


def _warn_if_flat(activation: Activation, size: float, shape: tuple[int, int], weight_scale: float) -> None:
    """Warn where pre-activations of root mean square `size` see so little of the activation that it is a line there."""
    share, usual = (_nonlinear_share(activation, scale) for scale in (size, 1.0))
    if share < _FLAT * usual:
        warnings.warn(
            f"init='xavier' with {shape[1]} neurons and {shape[0]} inputs makes pre-activations of mean square "
            f"{size**2:.2g} on rows of mean square 1, so that {share:.2g} of the variance of the features is not linear in "
            f"the inputs, beside {usual:.2g} with LeCun: pass init='lecun', or weight_scale={weight_scale / size:.3g}",
            UserWarning,
            stacklevel=3,
        )


def _nonlinear_share(activation: Activation, scale: float) -> float:
    """Share of the variance of sigma(scale g), g ~ N(0, 1), that is not linear in g."""
    squares = activation.hermite_coefficients(_DEGREE, scale) ** 2
    rest = squares[2:].sum()
    return float(rest / (squares[1] + rest)) if rest else 0.0
