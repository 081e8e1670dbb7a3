"""The tangent kernel that a random network of finite width has in expectation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._validation import check_number
from underdetermined.joint._initialisation import deviations
from underdetermined.kernels import nngp_kernel, ntk_kernel


def population_tangent(
    X: ArrayLike, Z: ArrayLike | None = None, *, width: int, n_outputs: int = 1, activation: Any = "tanh",
    init: str = "lecun", output: str = "random", weight_scale: float = 1.0, coef_scale: float = 1.0,
    bias_scale: float | None = None, trained_intercept: bool = False, n_jobs: int | None = None,
) -> NDArray[np.float64]:  # fmt: skip
    """Expected tangent kernel of a network of `draw_network`, ``s^2 m (K + v^2 (<x, z> + [biases]) K') + [intercept]``.

    K is ``E[sigma(<w, x> + b) sigma(<w, z> + b)]``, K' the same with sigma' in the place of sigma, and u, v, s and t are the
    deviations of w, of the last layer, the scale and the deviation of b that `draw_network` takes. With k outputs the
    expectation of the whole matrix, of order n k, is this one for each output, and 0 between different outputs.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Rows; float32 is accepted and everything is computed in float64.
    Z : array_like of shape (n', d) or None, default=None
        Other rows; None means X, and then the result is exactly symmetric.
    width : int
        Number of neurons m, at least 1; even if `output` is "paired".
    n_outputs : int, default=1
        Number of outputs k, at least 1; "xavier" depends on it.
    activation : str, callable or Activation, default="tanh"
        sigma, as `underdetermined.activations.get_activation` takes it; with its derivative unless `output` is "zero".
    init : {"lecun", "he", "xavier", "kernel"}, default="lecun"
        As in `draw_network`.
    output : {"random", "zero", "paired"}, default="random"
        As in `draw_network`. The first and the last have the same kernel; with "zero" the part of K' is 0.
    weight_scale : float, default=1.0
        Factor of u, positive.
    coef_scale : float, default=1.0
        Factor of v, positive.
    bias_scale : float or None, default=None
        t, at least 0; None means no biases, 0 biases that begin at zero. All of them are trained.
    trained_intercept : bool, default=False
        Whether each output has a trained bias, which adds 1 to every entry.
    n_jobs : int or None, default=None
        Threads; None takes as many as the BLAS would, -1 all cores.

    Returns
    -------
    ndarray of shape (n, n'), float64
        The kernel.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, a word is unknown, or X or Z is not a finite matrix, as in
        `underdetermined.kernels.ntk_kernel` and `draw_network`.
    MemoryError
        If the kernel cannot fit in memory.
    OverflowError
        If an entry overflows.

    Notes
    -----
    Cost and accuracy are those of `underdetermined.kernels.ntk_kernel`. On rows of equal norm the part of degree j of sigma
    has weight 1 + (v / u)^2 j in it: (v / u)^2 is the weight of the hidden layer, d / m with "lecun" and "he" (there
    it is negligible for m >> d), 1 with "kernel".

    References
    ----------
    :ref:`theory-joint-training`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.joint import population_tangent
    >>> population_tangent(np.eye(2), width=100, activation="erf").round(3)
    array([[34.068,  0.   ],
           [ 0.   , 34.068]])
    >>> population_tangent(np.eye(2), width=100, activation="erf", output="zero").round(3)
    array([[33.333,  0.   ],
           [ 0.   , 33.333]])
    """
    if not isinstance(trained_intercept, bool | np.bool_):
        raise TypeError(f"trained_intercept={trained_intercept!r} is not a truth value: pass True or False")
    bias = 0.0 if bias_scale is None else check_number(bias_scale, "bias_scale")
    n_inputs = np.shape(X)[1] if np.ndim(X) == 2 else 1  # what is no matrix the kernel refuses
    spread, _ = deviations(init, output, width, (max(n_inputs, 1), n_outputs), weight_scale, coef_scale)
    options: dict[str, Any] = {
        "activation": activation, "weight_scale": spread.weights, "bias_scale": bias, "n_jobs": n_jobs,
    }  # fmt: skip
    if output == "zero":
        kernel = nngp_kernel(X, Z, **options)
    else:
        kernel = ntk_kernel(X, Z, **options, coef_scale=spread.coef, trained_biases=bias_scale is not None)
    with np.errstate(over="ignore"):
        kernel *= spread.scale**2 * width
    if not np.isfinite(kernel).all():
        raise OverflowError(f"the kernel overflows float64 at width={width!r}: scale the inputs down")
    kernel += bool(trained_intercept)
    return kernel
