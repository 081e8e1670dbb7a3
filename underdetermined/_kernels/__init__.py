"""Every compiled loop of the package, and nothing else: the only importers of numba.

``VALUE[name](z, parameters, scale)`` and ``DERIVATIVE[name](z, parameters, scale)`` overwrite the one-dimensional
C-contiguous float64 or float32 array z with scale times an activation or its derivative; ``parameters`` is a
one-dimensional float64 array, empty for most. Kernels are compiled at their first call, one per
activation and dtype, and kept in numba's disk cache. Each family file is closed: it calls no compiled
function of another file, because the cache would not notice an edit there.
"""

from collections.abc import Callable

import numpy as np

from . import error_function, exponential, piecewise, trigonometric

_FAMILIES = (piecewise, trigonometric, exponential, error_function)

Kernel = Callable[[np.ndarray, np.ndarray, np.floating], None]

VALUE: dict[str, Kernel] = {name: kernel for family in _FAMILIES for name, kernel in family.VALUE.items()}
DERIVATIVE: dict[str, Kernel] = {
    name: kernel for family in _FAMILIES for name, kernel in family.DERIVATIVE.items()
}
