"""Piecewise polynomial activations, in place: ``VALUE[name](z, parameters)`` overwrites z with f(z).

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

_BLOCK = 512


@kernel
def _identity(z, parameters):
    pass


@kernel
def _identity_derivative(z, parameters):
    one = z.dtype.type(1)
    for j in range(z.size):
        x = z[j]
        z[j] = one if x == x else x


@kernel
def _relu(z, parameters):
    zero = z.dtype.type(0)
    for j in range(z.size):
        x = z[j]
        z[j] = zero if x <= zero else x


@kernel
def _relu_derivative(z, parameters):
    zero, one = z.dtype.type(0), z.dtype.type(1)
    for j in range(z.size):
        x = z[j]
        z[j] = zero if x <= zero else (one if x > zero else x)


@kernel
def _leaky_relu(z, parameters):
    zero, slope = z.dtype.type(0), z.dtype.type(parameters[0])
    for j in range(z.size):
        x = z[j]
        z[j] = slope * x if x <= zero else x


@kernel
def _leaky_relu_derivative(z, parameters):
    zero, one, slope = z.dtype.type(0), z.dtype.type(1), z.dtype.type(parameters[0])
    for j in range(z.size):
        x = z[j]
        z[j] = slope if x <= zero else (one if x > zero else x)


@kernel
def _abs(z, parameters):
    for j in range(z.size):
        z[j] = abs(z[j])


@kernel
def _abs_derivative(z, parameters):
    zero, one = z.dtype.type(0), z.dtype.type(1)
    for j in range(z.size):
        x = z[j]
        z[j] = one if x > zero else (-one if x < zero else x)


@kernel
def _step(z, parameters):
    zero, one = z.dtype.type(0), z.dtype.type(1)
    for j in range(z.size):
        x = z[j]
        z[j] = zero if x <= zero else (one if x > zero else x)


@kernel
def _step_derivative(z, parameters):
    zero = z.dtype.type(0)
    for j in range(z.size):
        x = z[j]
        z[j] = zero if x == x else x


@kernel
def _squared_relu(z, parameters):
    zero = z.dtype.type(0)
    for j in range(z.size):
        x = z[j]
        z[j] = zero if x <= zero else x * x


@kernel
def _squared_relu_derivative(z, parameters):
    zero = z.dtype.type(0)
    for j in range(z.size):
        x = z[j]
        z[j] = zero if x <= zero else x + x


# c in two parts: near z = -c the sum z + c cancels, and c rounded to float32 would be all that is left.
# For float64 the second part is 0.
@kernel
def _shifted_relu(z, parameters):
    zero = z.dtype.type(0)
    high = z.dtype.type(parameters[0])
    low = z.dtype.type(parameters[0] - high)
    for j in range(z.size):
        x = (z[j] + high) + low
        z[j] = zero if x <= zero else x


@kernel
def _shifted_relu_derivative(z, parameters):
    zero, one = z.dtype.type(0), z.dtype.type(1)
    high = z.dtype.type(parameters[0])
    low = z.dtype.type(parameters[0] - high)
    for j in range(z.size):
        x = (z[j] + high) + low
        z[j] = zero if x <= zero else (one if x > zero else x)


@inline
def _clenshaw(z, coefficients, weighted):
    # b_k = a_k + z b_{k+1} / sqrt(k+1) - sqrt((k+1)/(k+2)) b_{k+2}, and the sum is b_0.
    scratch = np.zeros((2, _BLOCK))
    for start in range(0, z.size, _BLOCK):
        part = z[start : start + _BLOCK]
        one, two = scratch[0, : part.size], scratch[1, : part.size]
        one[:] = 0.0
        two[:] = 0.0
        for k in range(coefficients.size - 1 - weighted, -1, -1):
            a = coefficients[k + weighted] * (sqrt(k + 1.0) if weighted else 1.0)
            u, v = 1.0 / sqrt(k + 1.0), -sqrt((k + 1.0) / (k + 2.0))
            for j in range(part.size):
                b = fma(v, two[j], fma(u * np.float64(part[j]), one[j], a))
                two[j] = one[j]
                one[j] = b
        for j in range(part.size):
            part[j] = one[j] if part[j] == part[j] else part[j]


@kernel
def _hermite(z, parameters):
    _clenshaw(z, parameters, 0)


@kernel
def _hermite_derivative(z, parameters):
    _clenshaw(z, parameters, 1)


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
