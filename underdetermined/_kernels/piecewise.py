"""Piecewise polynomial activations, in place: ``VALUE[name](z, parameters, scale)`` overwrites z with f(z).

===============  =========================  ================================  ==============
name             f(z)                       f'(z)                             parameters
===============  =========================  ================================  ==============
identity         z                          1
relu             max(z, 0)                  1 for z > 0, else 0
leaky_relu       z for z > 0, else slope z  1 for z > 0, else slope           slope
abs              |z|                        sign z, 0 at 0
step             1 for z > 0, else 0        0
squared_relu     max(z, 0)**2               2 max(z, 0)
shifted_relu     max(z + c, 0)              1 for z > -c, else 0              c
hermite          sum_k a_k h_k(z)           sum_k sqrt(k) a_k h_{k-1}(z)      a_0, ..., a_n
===============  =========================  ================================  ==============

h_k = He_k / sqrt(k!) is the normalised probabilists' Hermite polynomial. At a kink the derivative is
the left one (0 for ``abs``). Comparisons are ordered so that nan falls through to the branch that
returns it: ``max(z, 0)`` would lose it. Checked against mpmath in ``tests/test_kernels_piecewise.py``.
"""

from math import sqrt

import numpy as np

from ._intrinsics import fma, inline, kernel

_BLOCK = 256
_TINY = 2.0**-200


@kernel
def _identity(z, parameters, scale):
    for j in range(z.size):
        z[j] = scale * z[j]


@kernel
def _identity_derivative(z, parameters, scale):
    one = z.dtype.type(1)
    for j in range(z.size):
        x = z[j]
        z[j] = scale * (one if x == x else x)


@kernel
def _relu(z, parameters, scale):
    zero = z.dtype.type(0)
    for j in range(z.size):
        x = z[j]
        z[j] = scale * (zero if x <= zero else x)


@kernel
def _relu_derivative(z, parameters, scale):
    zero, one = z.dtype.type(0), z.dtype.type(1)
    for j in range(z.size):
        x = z[j]
        z[j] = scale * (zero if x <= zero else (one if x > zero else x))


@kernel
def _leaky_relu(z, parameters, scale):
    zero, slope = z.dtype.type(0), z.dtype.type(parameters[0])
    for j in range(z.size):
        x = z[j]
        z[j] = scale * (slope * x if x <= zero else x)


@kernel
def _leaky_relu_derivative(z, parameters, scale):
    zero, one, slope = z.dtype.type(0), z.dtype.type(1), z.dtype.type(parameters[0])
    for j in range(z.size):
        x = z[j]
        z[j] = scale * (slope if x <= zero else (one if x > zero else x))


@kernel
def _abs(z, parameters, scale):
    for j in range(z.size):
        z[j] = scale * abs(z[j])


@kernel
def _abs_derivative(z, parameters, scale):
    zero, one = z.dtype.type(0), z.dtype.type(1)
    for j in range(z.size):
        x = z[j]
        z[j] = scale * (one if x > zero else (-one if x < zero else x))


@kernel
def _step(z, parameters, scale):
    zero, one = z.dtype.type(0), z.dtype.type(1)
    for j in range(z.size):
        x = z[j]
        z[j] = scale * (zero if x <= zero else (one if x > zero else x))


@kernel
def _step_derivative(z, parameters, scale):
    zero = z.dtype.type(0)
    for j in range(z.size):
        x = z[j]
        z[j] = scale * (zero if x == x else x)


@kernel
def _squared_relu(z, parameters, scale):
    zero = z.dtype.type(0)
    for j in range(z.size):
        x = z[j]
        z[j] = scale * (zero if x <= zero else x * x)


@kernel
def _squared_relu_derivative(z, parameters, scale):
    zero = z.dtype.type(0)
    for j in range(z.size):
        x = z[j]
        z[j] = scale * (zero if x <= zero else x + x)


# c in two parts: near z = -c the sum z + c cancels, and c rounded to float32 would be all that is left.
# For float64 the second part is 0.
@kernel
def _shifted_relu(z, parameters, scale):
    zero = z.dtype.type(0)
    high = z.dtype.type(parameters[0])
    low = z.dtype.type(parameters[0] - high)
    for j in range(z.size):
        x = (z[j] + high) + low
        z[j] = scale * (zero if x <= zero else x)


@kernel
def _shifted_relu_derivative(z, parameters, scale):
    zero, one = z.dtype.type(0), z.dtype.type(1)
    high = z.dtype.type(parameters[0])
    low = z.dtype.type(parameters[0] - high)
    for j in range(z.size):
        x = (z[j] + high) + low
        z[j] = scale * (zero if x <= zero else (one if x > zero else x))


@inline
def _monic(parameters, order):
    """Coefficients of He_0, He_1, ... instead of h_0, h_1, ..., of the polynomial (order 0) or its derivative
    (order 1), in double-double."""
    size = parameters.size
    while size > 1 and parameters[size - 1] == 0.0:
        size -= 1
    table = np.zeros((2, max(size - order, 1)))
    high, low = 1.0, 0.0  # 1 / sqrt(k!)
    for k in range(size):
        if k > 1:
            root = sqrt(np.float64(k))
            root_low = fma(-root, root, np.float64(k)) / (2.0 * root)
            quotient = high / root
            low = (fma(-quotient, root, high) + (low - quotient * root_low)) / root
            high = quotient + low
            low = (quotient - high) + low
        if k >= order:
            c = parameters[k] * (np.float64(k) if order else 1.0)
            c_low = fma(parameters[k], np.float64(k), -c) if order else 0.0
            table[0, k - order] = c * high
            table[1, k - order] = fma(c, high, -c * high) + (c * low + c_low * high)
    return table


@inline
def _round_double(z, a, scratch):
    # b_k = a_k + z b_{k+1} - (k+1) b_{k+2} in double-double: the result is right to a rounding or two even
    # near the zeros of the polynomial and at high degree, where float64 keeps no digit.
    one, one_low, two, two_low = scratch[0], scratch[1], scratch[2], scratch[3]
    for k in range(a.shape[1] - 2, -1, -1):
        factor, high, low = -np.float64(k + 1), a[0, k], a[1, k]
        for j in range(z.size):
            x = z[j]
            p = x * one[j]
            q = factor * two[j]
            rest = fma(x, one_low[j], fma(x, one[j], -p)) + fma(factor, two_low[j], fma(factor, two[j], -q))
            s = p + q
            v = s - p
            t = s + high
            w = t - s
            rest = (rest + low) + (((p - (s - v)) + (q - v)) + ((s - (t - w)) + (high - w)))
            two[j] = t + rest
            two_low[j] = rest - (two[j] - t)
        one, one_low, two, two_low = two, two_low, one, one_low
    return one


@inline
def _round_single(z, a, scratch):
    # float64 has the digits that a float32 result needs.
    one, two = scratch[0], scratch[2]
    for k in range(a.shape[1] - 2, -1, -1):
        factor, high = -np.float64(k + 1), a[0, k]
        for j in range(z.size):
            two[j] = fma(factor, two[j], fma(z[j], one[j], high))
        one, two = two, one
    return one


@inline
def _clenshaw(z, parameters, order, scale):
    a = _monic(parameters, order)
    degree = a.shape[1] - 1
    scratch = np.empty((5, _BLOCK))
    even, odd = degree % 2 == 0, not np.any(a[0, ::2])
    for start in range(0, z.size, _BLOCK):
        part = z[start : start + _BLOCK]
        clear = scratch[4, : part.size]
        for j in range(part.size):
            x = np.float64(part[j])
            clear[j] = _TINY if abs(x) < _TINY else x
        scratch[0] = a[0, degree]
        scratch[1] = a[1, degree]
        scratch[2:4] = 0.0
        result = _round_double(clear, a, scratch) if z.itemsize == 8 else _round_single(clear, a, scratch)
        for j in range(part.size):
            x, y = np.float64(part[j]), result[j]
            # Products of tiny z and the tiny leading coefficients would underflow. There f is f(0), or linear.
            y = y * (x / _TINY) if odd and abs(x) < _TINY else y
            # An intermediate overflow ends as nan; the leading term says which infinity it should have been.
            up = (a[0, degree] > 0.0) == (even or x > 0.0)
            y = y if abs(y) <= np.inf else (np.inf if up else -np.inf)
            part[j] = scale * part.dtype.type(y if x == x else x)


@kernel
def _hermite(z, parameters, scale):
    _clenshaw(z, parameters, 0, scale)


@kernel
def _hermite_derivative(z, parameters, scale):
    _clenshaw(z, parameters, 1, scale)


VALUE = {
    "identity": _identity,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "abs": _abs,
    "step": _step,
    "squared_relu": _squared_relu,
    "shifted_relu": _shifted_relu,
    "hermite": _hermite,
}

DERIVATIVE = {
    "identity": _identity_derivative,
    "relu": _relu_derivative,
    "leaky_relu": _leaky_relu_derivative,
    "abs": _abs_derivative,
    "step": _step_derivative,
    "squared_relu": _squared_relu_derivative,
    "shifted_relu": _shifted_relu_derivative,
    "hermite": _hermite_derivative,
}
