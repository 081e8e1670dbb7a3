"""Activations built on the exponential, in place: ``VALUE[name](z, parameters, scale)`` overwrites z with scale f(z).

========  ==========================  =======================================
name      f(z)                        f'(z)
========  ==========================  =======================================
exp       exp(z)                      exp(z)
tanh      tanh(z)                     4 e / (1 + e)**2, e = exp(-2|z|)
sigmoid   1 / (1 + exp(-z))           e / (1 + e)**2, e = exp(-|z|)
softplus  log(1 + exp(z))             sigmoid(z)
silu      z sigmoid(z)                sigmoid(z) (1 + z sigmoid(-z))
elu       z for z > 0, else expm1(z)  1 for z > 0, else exp(z)
========  ==========================  =======================================

``PAIR[name](z, derivative)`` writes both, f(z) over z, and takes one exponential and mostly one division for them;
its errors were up to 3.0 and 4.3 units, in float32 3.4 and 5.5.

No loop has a branch, a table or a call, so that all vectorise. One text serves float64 and float32:
``pick`` and ``like`` choose constants by type. The exponential is 2**k (1 + q) with k = round(y / log 2),
r = y - k log 2 and q = expm1(r) = r + r**2 p(r). A result that may be denormal is kept times 2**200
(2**64 in float32) until its last operation, which then rounds it once; the same shift, reversed, keeps
2**1024 out of sight at the overflow threshold. Every clamp compares so that nan passes through it.

The coefficients are minimax in the relative error of the function they serve, by the Remez exchange at 50
digits, then rounded to the type; "bound" below is that error before rounding, relative to the result.
At 100,000 points over the whole range the largest error against mpmath was 2.9 units in the last place for values
and 4.3 for derivatives; over 10**8 float32 numbers, against the float64 kernels, 3.4 and 5.8.
"""

from math import copysign

import numpy as np

from ._intrinsics import fma, inline, kernel, like, pick, power_of_two


def _single(*values):
    return tuple(np.float32(value) for value in values)


# 1 / log 2, 1.5 * 2**52 (2**23), log 2 in two parts. k times the high part is subtracted exactly by fma.
_REDUCTION = (1.4426950408889634, 6755399441055744.0, 0.6931471805599453, 2.3190468138462996e-17)
_REDUCTION32 = _single(1.442695, 12582912.0, 0.6931472, -1.9046542e-9)

# p above, its even and its odd part in powers of r**2, for |r| <= log(2) / 2; bound 2**-55.6 relative to
# expm1(r), in float32 2**-26.2.
_EXP = (
    (2.762609281131047e-07, 2.480150514272101e-05, 0.001388888893166713, 0.041666666666576466, 0.5000000000000006),
    (2.5053771237915247e-08, 2.755740769817775e-06, 0.00019841269718699897, 0.008333333333389738, 0.16666666666666588),
)
_EXP32 = (_single(0.0013882518, 0.0416672, 0.49999997), _single(0.0083665475, 0.16666543))

# (2 atanh(w / 2) - w) / w**3 in powers of w**2 <= 4/9; bound 2**-59.4 relative to 2 atanh(w / 2), 2**-27.7.
_LOG = (
    8.115812172576028e-08, 1.5906420882634617e-07, 9.236259842222454e-07, 4.059135079159702e-06,
    1.8782420941894718e-05, 8.877804682688716e-05, 0.0004340278118535543, 0.0022321428553059197,
    0.012500000000048944, 0.08333333333333288,
)  # fmt: skip
_LOG32 = _single(0.00054724194, 0.0021875417, 0.0125067495, 0.083333015)

# exp is 0 below minus the first entry and inf above it; the shift that keeps results normal, and its inverse.
_BLOCK = 1024
_RANGE = (800.0, 200.0, 2.0**200, 2.0**-200)
_RANGE32 = _single(110.0, 64.0, 2.0**64, 2.0**-64)

# The zero z0 of silu', in two parts, and exp(z0) = -1 - z0.
_SILU_ZERO = (-1.2784645427610737, -1.0946994183093437e-16, 0.2784645427610738)
_SILU_ZERO32 = _single(-1.2784646, 1.29792825e-08, 0.27846456)


@inline
def _polynomial(x, coefficients):
    p = coefficients[0]
    for c in coefficients[1:]:
        p = fma(p, x, c)
    return p


@inline
def _two_chains(x, square, parts):
    # Even and odd powers apart: half the latency of Horner's rule at the price of the square.
    even, odd = parts
    return fma(_polynomial(square, odd), x, _polynomial(square, even))


@inline
def _reduce(y):
    """t and q with exp(y) = 2**k (1 + q), where t = k + 1.5 * 2**52."""
    per_log2, magic, log2_high, log2_low = pick(y, _REDUCTION, _REDUCTION32)
    t = fma(y, per_log2, magic)
    k = t - magic
    r = fma(-k, log2_low, fma(-k, log2_high, y))
    square = r * r
    return t, fma(_two_chains(r, square, pick(y, _EXP, _EXP32)), square, r)


@inline
def _decay(x):
    """exp(-|x|) times 2**200, for every x."""
    limit, shift, _, _ = pick(x, _RANGE, _RANGE32)
    y = -abs(x)
    t, q = _reduce(-limit if y < -limit else y)
    s = power_of_two(t + shift)
    return fma(q, s, s)


@inline
def _exp(x):
    limit, shift, up, down = pick(x, _RANGE, _RANGE32)
    y = -limit if x < -limit else x
    y = limit if y > limit else y
    negative = y < like(x, 0)
    t, q = _reduce(y)
    s = power_of_two(t + (shift if negative else -shift))
    return fma(q, s, s) * (down if negative else up)


@inline
def _exp_within(y):
    """exp(y) where neither it nor 2**k leaves the normal numbers; equal to `_exp` there."""
    t, q = _reduce(y)
    s = power_of_two(t)
    return fma(q, s, s)


@inline
def _expm1(y):
    """For |y| < 600 (80 in float32)."""
    t, q = _reduce(y)
    s = power_of_two(t)
    return fma(s, q, s - like(y, 1))


@inline
def _tanh(x):
    # The positive side, where an error of e is damped: d log tanh = 2 / (2 + e) d log e.
    y = abs(x + x)
    limit = like(x, 44)  # tanh rounds to 1 long before
    e = _expm1(limit if y > limit else y)
    return copysign(e / (e + like(x, 2)), x)


@inline
def _logistic_derivative(x, factor):
    """factor e / (1 + e)**2 with e = exp(-|x|)."""
    _, _, _, down = pick(x, _RANGE, _RANGE32)
    e = _decay(x)
    d = fma(e, down, like(x, 1))
    return (factor * e) / (d * d) * down


@inline
def _sigmoid(x):
    _, _, _, down = pick(x, _RANGE, _RANGE32)
    zero, one = like(x, 0), like(x, 1)
    e = _decay(x)
    d = fma(e, down, one)
    return (e if x < zero else one) / d * (down if x < zero else one)


@inline
def _softplus(x):
    _, _, _, down = pick(x, _RANGE, _RANGE32)
    zero, one = like(x, 0), like(x, 1)
    e = _decay(x)
    w = e / fma(e, down * like(x, 0.5), one)
    v = w * down
    v = v * v
    w = fma(w * v, _polynomial(v, pick(x, _LOG, _LOG32)), w)
    return fma(w, down, zero if x < zero else x)


@inline
def _silu(x):
    limit, _, _, down = pick(x, _RANGE, _RANGE32)
    zero, one = like(x, 0), like(x, 1)
    e = _decay(x)
    y = -limit if x < -limit else x
    return y * (e if x < zero else one) / fma(e, down, one) * (down if x < zero else one)


@inline
def _silu_derivative(x):
    # With e = exp(-|x|), f' is e (1 + x + e) / (1 + e)**2 left of 0, (1 + e (1 + x)) / (1 + e)**2 right of it.
    # Near the zero z0 of 1 + x + e, d = x - z0 gives e = exp(z0) (1 + expm1(d)), the sum d + exp(z0) expm1(d).
    limit, shift, _, down = pick(x, _RANGE, _RANGE32)
    zero_high, zero_low, e0 = pick(x, _SILU_ZERO, _SILU_ZERO32)
    zero, one = like(x, 0), like(x, 1)
    d = (x - zero_high) - zero_low
    near = abs(d) < like(x, 0.25)
    z = -limit if x < -limit else x
    z = limit if z > limit else z
    t, q = _reduce(d if near else -abs(z))
    s = power_of_two(t + shift) * (e0 if near else one)
    e = fma(q, s, s)
    small = e * down
    left = fma(e0, q, d) if near else (one + z) + small
    right = fma(small, one + z, one)
    square = (one + small) * (one + small)
    return (e * left if x < zero else right) / square * (down if x < zero else one)


@inline
def _elu(x):
    limit = like(x, -44)  # expm1 rounds to -1 long before
    return x if x >= like(x, 0) else _expm1(limit if x < limit else x)


@inline
def _elu_derivative(x):
    return like(x, 1) if x > like(x, 0) else _decay(x) * pick(x, _RANGE, _RANGE32)[3]


@kernel
def _exp_kernel(z, parameters, scale):
    # A block without extreme arguments, which is nearly every one, is spared the clamps: 12 % less time.
    limit = pick(scale, 700.0, np.float32(86))
    for start in range(0, z.size, _BLOCK):
        part = z[start : start + _BLOCK]
        within = True
        for j in range(part.size):
            within &= abs(part[j]) < limit
        if within:
            for j in range(part.size):
                part[j] = scale * _exp_within(part[j])
        else:
            for j in range(part.size):
                part[j] = scale * _exp(part[j])


@kernel
def _tanh_kernel(z, parameters, scale):
    for j in range(z.size):
        z[j] = scale * _tanh(z[j])


@kernel
def _tanh_derivative_kernel(z, parameters, scale):
    for j in range(z.size):
        z[j] = scale * (_logistic_derivative(z[j] + z[j], like(z[j], 4)))


@kernel
def _sigmoid_kernel(z, parameters, scale):
    for j in range(z.size):
        z[j] = scale * _sigmoid(z[j])


@kernel
def _sigmoid_derivative_kernel(z, parameters, scale):
    for j in range(z.size):
        z[j] = scale * (_logistic_derivative(z[j], like(z[j], 1)))


@kernel
def _softplus_kernel(z, parameters, scale):
    for j in range(z.size):
        z[j] = scale * _softplus(z[j])


@kernel
def _silu_kernel(z, parameters, scale):
    for j in range(z.size):
        z[j] = scale * _silu(z[j])


@kernel
def _silu_derivative_kernel(z, parameters, scale):
    for j in range(z.size):
        z[j] = scale * _silu_derivative(z[j])


@kernel
def _elu_kernel(z, parameters, scale):
    for j in range(z.size):
        z[j] = scale * _elu(z[j])


@kernel
def _elu_derivative_kernel(z, parameters, scale):
    for j in range(z.size):
        z[j] = scale * _elu_derivative(z[j])


@inline
def _parts(x):
    """exp(-|x|) times 2**200, and 1 - exp(-|x|) to its own relative accuracy."""
    limit, shift, _, down = pick(x, _RANGE, _RANGE32)
    y = -abs(x)
    t, q = _reduce(-limit if y < -limit else y)
    s = power_of_two(t + shift)
    small = s * down
    return fma(q, s, s), fma(-small, q, like(x, 1) - small)


@kernel
def _exp_pair(z, derivative):
    for j in range(z.size):
        z[j] = derivative[j] = _exp(z[j])


@kernel
def _tanh_pair(z, derivative):
    for j in range(z.size):
        x = z[j]
        e, rest = _parts(x + x)
        r = like(x, 1) / (like(x, 2) - rest)
        z[j] = copysign(rest * r, x)
        derivative[j] = (like(x, 4) * e) * (r * r) * pick(x, _RANGE, _RANGE32)[3]


@kernel
def _sigmoid_pair(z, derivative):
    for j in range(z.size):
        x = z[j]
        _, _, _, down = pick(x, _RANGE, _RANGE32)
        zero, one = like(x, 0), like(x, 1)
        e = _decay(x)
        r = one / fma(e, down, one)
        z[j] = (e if x < zero else one) * r * (down if x < zero else one)
        derivative[j] = e * (r * r) * down


@kernel
def _softplus_pair(z, derivative):
    for j in range(z.size):
        x = z[j]
        z[j], derivative[j] = _softplus(x), _sigmoid(x)


@inline
def _silu_parts(x):
    # As in _silu_derivative; the value takes its exponential.
    limit, shift, _, down = pick(x, _RANGE, _RANGE32)
    zero_high, zero_low, e0 = pick(x, _SILU_ZERO, _SILU_ZERO32)
    zero, one = like(x, 0), like(x, 1)
    d = (x - zero_high) - zero_low
    near = abs(d) < like(x, 0.25)
    y = -limit if x < -limit else x
    z = limit if y > limit else y
    t, q = _reduce(d if near else -abs(z))
    s = power_of_two(t + shift) * (e0 if near else one)
    e = fma(q, s, s)
    small = e * down
    left = fma(e0, q, d) if near else (one + z) + small
    right = fma(small, one + z, one)
    r = one / (one + small)
    last = down if x < zero else one
    return (y * (e if x < zero else one)) * r * last, (e * left if x < zero else right) * (r * r) * last


@kernel
def _silu_pair(z, derivative):
    for j in range(z.size):
        z[j], derivative[j] = _silu_parts(z[j])


@kernel
def _elu_pair(z, derivative):
    for j in range(z.size):
        x = z[j]
        zero = like(x, 0)
        e, rest = _parts(x)
        z[j] = x if x >= zero else -rest
        derivative[j] = like(x, 1) if x > zero else e * pick(x, _RANGE, _RANGE32)[3]


VALUE = {
    "exp": _exp_kernel,
    "tanh": _tanh_kernel,
    "sigmoid": _sigmoid_kernel,
    "softplus": _softplus_kernel,
    "silu": _silu_kernel,
    "elu": _elu_kernel,
}
DERIVATIVE = {
    "exp": _exp_kernel,
    "tanh": _tanh_derivative_kernel,
    "sigmoid": _sigmoid_derivative_kernel,
    "softplus": _sigmoid_kernel,
    "silu": _silu_derivative_kernel,
    "elu": _elu_derivative_kernel,
}
PAIR = {
    "exp": _exp_pair,
    "tanh": _tanh_pair,
    "sigmoid": _sigmoid_pair,
    "softplus": _softplus_pair,
    "silu": _silu_pair,
    "elu": _elu_pair,
}
