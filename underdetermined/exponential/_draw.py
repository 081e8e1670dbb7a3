"""A network of exponentials with Gaussian weights and signs as its last layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from underdetermined._validation import check_count, check_number
from underdetermined.features import FeatureMap
from underdetermined.weights import get_sampler

# Coefficients have a stream of their own, beside that of the weights of the same seed.
_SIGNS = 1


def draw_network(
    n_inputs: int, width: int, n_outputs: int = 1, *, weight_scale: float = 1.0, scale: float | None = None,
    sampler: str = "gaussian", symmetric: bool = True, seed: int = 0,
) -> tuple[FeatureMap, NDArray[np.float64]]:  # fmt: skip
    """Draw f(x) = s sum_r coef_r exp(<w_r, x>) with weights w_r ~ N(0, t^2 I) and random signs as coefficients.

    Parameters
    ----------
    n_inputs : int
        Number of inputs d, at least 1.
    width : int
        Number of neurons m, at least 1; even if `symmetric`.
    n_outputs : int, default=1
        Number of outputs k, at least 1.
    weight_scale : float, default=1.0
        Standard deviation t of the weights, positive.
    scale : float or None, default=None
        Factor s of every feature, positive; None means 1 / sqrt(m), with which the tangent Gram matrix at the start has
        an expectation that does not depend on m.
    sampler : str, default="gaussian"
        A key of `underdetermined.weights.SAMPLERS`.
    symmetric : bool, default=True
        Whether the second half of the neurons repeats the first one with opposite signs: then f is 0 at the start, and
        m / 2 neurons are independent.
    seed : int, default=0
        The same seed gives the same network, at least 0.

    Returns
    -------
    feature_map : FeatureMap
        The hidden layer, with activation "exp" and no biases.
    coef : ndarray of shape (m, k)
        The last layer, +1 or -1 with equal probability.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, the sampler is unknown, the width is odd and the network symmetric, or the weights
        overflow.

    Notes
    -----
    Cost d m normal variates. The weights of neuron r do not depend on the width, nor do the signs; of a symmetric network
    that holds for the first half. `underdetermined.objectives.Exponential` knows a symmetric network and takes differences
    of its halves before it sums, so that f is 0 exactly.

    References
    ----------
    :ref:`theory-exponential`.

    Examples
    --------
    >>> from underdetermined.exponential import draw_network
    >>> hidden, coef = draw_network(3, 4)
    >>> hidden.scale, coef.sum()
    (0.5, np.float64(0.0))
    """
    n_inputs, width, n_outputs = (
        check_count(value, name) for value, name in ((n_inputs, "n_inputs"), (width, "width"), (n_outputs, "n_outputs"))
    )
    weight_scale = check_number(weight_scale, "weight_scale", low_open=True)
    factor = 1.0 / np.sqrt(width) if scale is None else check_number(scale, "scale", low_open=True)
    if not isinstance(symmetric, bool | np.bool_):
        raise TypeError(f"symmetric={symmetric!r} is not a truth value: pass True or False")
    if symmetric and width % 2:
        raise ValueError(f"width={width} is odd: pass an even one, or symmetric=False")
    seed = check_count(seed, "seed", low=0)
    count = width // 2 if symmetric else width
    weights, _ = get_sampler(sampler)(n_inputs, count, seed=seed)
    with np.errstate(over="ignore"):
        weights *= weight_scale
    coef = np.random.default_rng([seed, _SIGNS]).choice([-1.0, 1.0], (count, n_outputs))
    if symmetric:
        weights, coef = np.hstack([weights, weights]), np.vstack([coef, -coef])
    return FeatureMap(weights, activation="exp", scale=float(factor)), coef
