"""Every compiled loop of the package, and nothing else: the only importers of numba.

``VALUE[name](z, parameters, scale)`` and ``DERIVATIVE[name](z, parameters, scale)`` overwrite the one-dimensional
C-contiguous float64 or float32 array z with scale times an activation or its derivative; ``parameters`` is a
one-dimensional float64 array, empty for most. ``PAIR[name](z, derivative)``, for some of them, overwrites z with the
activation and ``derivative``, an array like z, with its derivative. Kernels are compiled at their first call, one per
activation and dtype, and kept in numba's disk cache. Each family file is closed: it calls no compiled
function of another file, because the cache would not notice an edit there.

``CLOSED_FORMS[name]`` turns a tile of inner products into the Gaussian expectations of two layers, with WORK_ROWS rows of
scratch; ``correlations`` turns it into correlations and their sines. Their arguments are in ``gaussian``.
``orthant_moments`` and ``shifted_products`` serve ReLU layers with a constant bias.
"""

from collections.abc import Callable

import numpy as np

from . import error_function, exponential, gaussian, gaussian_distance, orthant, piecewise, trigonometric

_FAMILIES = (piecewise, trigonometric, exponential, error_function)

Kernel = Callable[[np.ndarray, np.ndarray, np.floating], None]

VALUE: dict[str, Kernel] = {name: kernel for family in _FAMILIES for name, kernel in family.VALUE.items()}
DERIVATIVE: dict[str, Kernel] = {name: kernel for family in _FAMILIES for name, kernel in family.DERIVATIVE.items()}

PAIR: dict[str, Callable[[np.ndarray, np.ndarray], None]] = {
    **trigonometric.PAIR, **exponential.PAIR, **error_function.PAIR,
}  # fmt: skip

CLOSED_FORMS: dict[str, Callable[..., None]] = {**gaussian.CLOSED_FORMS, **gaussian_distance.CLOSED_FORMS}
WORK_ROWS = max(gaussian.WORK_ROWS, gaussian_distance.WORK_ROWS)
correlations = gaussian.correlations
orthant_moments = orthant.orthant_moments
shifted_products = orthant.shifted_products
