"""A network whose biases start at a constant."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from underdetermined._validation import check_count, check_number
from underdetermined.features import FeatureMap
from underdetermined.weights import sample_gaussian

# Coefficients have a stream of their own, beside that of the weights of the same seed.
_SIGNS = 1


def draw_network(
    n_inputs: int, width: int, n_outputs: int = 1, *, bias: float, symmetric: bool = True, seed: int = 0
) -> tuple[FeatureMap, NDArray[np.float64]]:
    """Draw f(x) = sum_r coef_r max(<w_r, x> - B, 0) / sqrt(m) with Gaussian weights and random signs.

    A neuron is active on a row x with probability Q(B / |x|), Q the upper tail of the standard normal distribution.

    Parameters
    ----------
    n_inputs : int
        Number of inputs d, at least 1.
    width : int
        Number of neurons m, at least 1; even if `symmetric`.
    n_outputs : int, default=1
        Number of outputs k, at least 1.
    bias : float
        Threshold B >= 0; the biases of the feature map are -B.
    symmetric : bool, default=True
        Whether the second half of the neurons repeats the first one with opposite signs: then f is 0 at the start, up to
        rounding, and m / 2 neurons are independent.
    seed : int, default=0
        The same seed gives the same network, at least 0.

    Returns
    -------
    feature_map : FeatureMap
        The hidden layer: w_r ~ N(0, I), biases -B, scale 1 / sqrt(m).
    coef : ndarray of shape (m, k)
        The last layer, +1 or -1 with equal probability.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, or the width is odd and the network symmetric.

    Notes
    -----
    Cost d m normal variates. The weights of neuron r do not depend on the width, nor do the signs.

    References
    ----------
    :ref:`theory-sparse-relu`.

    Examples
    --------
    >>> from underdetermined.active_sets import draw_network
    >>> hidden, coef = draw_network(3, 4, bias=2.0)
    >>> hidden.biases.tolist(), coef.sum()
    ([-2.0, -2.0, -2.0, -2.0], np.float64(0.0))
    """
    n_inputs, width, n_outputs = (
        check_count(value, name)
        for value, name in ((n_inputs, "n_inputs"), (width, "width"), (n_outputs, "n_outputs"))
    )
    threshold, seed = check_number(bias, "bias"), check_count(seed, "seed", low=0)
    if symmetric and width % 2:
        raise ValueError(f"width={width} is odd: pass an even one, or symmetric=False")
    count = width // 2 if symmetric else width
    weights, _ = sample_gaussian(n_inputs, count, seed=seed)
    coef = np.random.default_rng([seed, _SIGNS]).choice([-1.0, 1.0], (count, n_outputs))
    if symmetric:
        weights, coef = np.hstack([weights, weights]), np.vstack([coef, -coef])
    return FeatureMap(weights, np.full(width, 0.0 - threshold)), coef
