"""Every compiled loop of the package, and nothing else: the only importers of numba.

``VALUE[name](z, parameters)`` and ``DERIVATIVE[name](z, parameters)`` overwrite the one-dimensional
C-contiguous float64 or float32 array z with an activation or its derivative; ``parameters`` is a
one-dimensional float64 array, empty for most. Kernels are compiled at their first call, one per
activation and dtype, and kept in numba's disk cache. Each family file is closed: it calls no compiled
function of another file, because the cache would not notice an edit there.
"""

from . import piecewise

_FAMILIES = (piecewise,)
_PENDING = ("erf", "tanh", "sigmoid", "softplus", "silu", "gelu", "elu", "sin", "cos", "sin_cos", "exp", "gaussian")

VALUE = {name: kernel for family in _FAMILIES for name, kernel in family.VALUE.items()}
DERIVATIVE = {name: kernel for family in _FAMILIES for name, kernel in family.DERIVATIVE.items()}
for _name in _PENDING:
    VALUE.setdefault(_name, None)
    DERIVATIVE.setdefault(_name, None)
