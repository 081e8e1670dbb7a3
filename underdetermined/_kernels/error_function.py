"""Activations built on the Gaussian integral, in place: ``VALUE[name](z, parameters)`` overwrites z with f(z).

========  =============================  =======================
name      f(z)                           f'(z)
========  =============================  =======================
erf       2/sqrt(pi) int_0^z exp(-t**2)  2/sqrt(pi) exp(-z**2)
gelu      z Phi(z), exact                Phi(z) + z phi(z)
gaussian  exp(-z**2 / 2)                 -z exp(-z**2 / 2)
========  =============================  =======================

Phi and phi are the standard normal distribution function and density. No kernel has a branch, a table or a
call, so the loops vectorise. One text serves float64 and float32: ``pick`` and ``like`` choose constants by
type. The exponential is 2**k (1 + q) with k = round(y / log 2), r = y - k log 2 and q = expm1(r) = r + r**2 p(r);
where y is a square, fma supplies the part that rounding lost, so the tail keeps its relative accuracy.
A result that may be denormal is kept times 2**200 (2**64 in float32) until its last operation, which then
rounds it once. Every clamp compares so that nan passes through it.

The coefficients are minimax in the relative error of the function they serve, then rounded to the type: polynomials
by the Remez exchange, rationals by moving the nodes of an interpolant until all error humps are equal, both at
50 digits. "bound" below is that error before rounding. Measured against mpmath over the whole range, values stay
within 3 units in the last place, derivatives within 4 (``tests/test_kernels_error_function.py``).
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

# -log(erfc(a)) / a, even and odd part, for 0 <= a <= 6 (4); bound 2**-55.4 relative to erf(a), 2**-27.9.
_ERF_EVEN = (
    1.6149658961108853e-13, 4.302003324365752e-11, 2.3606200604817466e-09, 3.458649214854307e-08, -1.1698472269819953e-08,
    -2.0371651497683947e-06, 3.169692511802895e-06, 6.442047759787544e-05, -0.0005901324297638166, -0.0002091948539165334,
    0.10277260330131546, 1.1283791670955126,
)  # fmt: skip
_ERF_ODD = (
    -3.592422138481889e-15, -3.364533177112412e-12, -3.760888666949992e-10, -1.0773823152588515e-08, -6.57380291575838e-08,
    5.706155611769089e-07, 3.1329370194755995e-06, -2.9575680265850802e-05, 2.590449801173998e-05, 0.0016962076698061766,
    -0.019128446993095155, 0.6366197723675909,
)  # fmt: skip
_ERF = (_ERF_EVEN, _ERF_ODD)
_ERF32 = (
    _single(-9.255131e-06, -0.0006328072, -0.00016036263, 0.10277783, 1.1283792),
    _single(0.00011763191, 0.0016669823, -0.019153073, 0.6366194),
)

# phi(a) / Phi(-a) - a = P / Q for 0 <= a <= 38.8 (14.6), with which gelu(-a) = -a phi(a) / (a + P / Q): the
# error of the quotient is damped as a grows, where Horner's rule is at its worst. Bound 2**-57.7 relative to
# gelu, 2**-30.4.
_MILLS_P = (
    5.752409496169762e-07, 1.724926786330715e-05, 0.00025426062161186194, 0.0023895499919165822,
    0.01569282038468426, 0.0745932600917871, 0.2573246888882176, 0.6258688341059931, 0.9882057699199507,
    0.7978845608028654,
)  # fmt: skip
_MILLS_Q = (
    5.752409496633476e-07, 1.7249267854499096e-05, 0.00025541110426635774, 0.002424048488563252,
    0.016197891559690838, 0.07926882905879236, 0.2872096198061632, 0.7614318459139786, 1.4192708082729684,
    1.6939618385300568, 1.0,
)  # fmt: skip
_MILLS_P32 = _single(0.0025030929, 0.02990417, 0.166358, 0.5033283, 0.7978846)
_MILLS_Q32 = _single(0.0025028498, 0.029916411, 0.17109543, 0.5665924, 1.0862582, 1.0)

# gelu'(-a) = -phi(a) (a - a0) (1 + P / Q) for the same a, with its zero a0 in two parts; bound 2**-54.6,
# 2**-26.8. The last digit of the last term of P makes gelu'(0) = 1/2 exact.
_SLOPE_P = (
    -1.2089618265305797e-17, 8.95458536371495e-06, 0.0002207661320965115, 0.00260665451796787,
    0.01902322703942962, 0.09327558232752502, 0.31395722899639006, 0.7095927383715838, 0.9913629658196196,
    0.6671033074313519,
)  # fmt: skip
_SLOPE_Q = (
    1.191099535875243e-05, 0.00030054228979044023, 0.003646259102409079, 0.02753145528814701,
    0.14126919685797074, 0.5074442567579024, 1.269466320273415, 2.124109511748364, 2.149843179612922, 1.0,
)  # fmt: skip
_SLOPE_P32 = _single(1.5323431e-07, 0.019616963, 0.15406147, 0.48994806, 0.6671033)
_SLOPE_Q32 = _single(0.026103342, 0.21982664, 0.79245824, 1.3982118, 1.0)
_ZERO = (0.7517915246935645, -1.4956759177009883e-17)
_ZERO32 = _single(0.75179154, -1.211445e-08)

# exp(-a**2 / 2) vanishes from the first entry on, exp(-a**2) from the second; the shift that keeps results
# normal, and its inverse; 1 / sqrt(2 pi).
_RANGE = (40.0, 28.0, 200.0, 2.0**-200)
_RANGE32 = _single(15.0, 10.5, 64.0, 2.0**-64)
_BLOCK = 512
_DENSITY = 0.3989422804014327


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
def _reduce(y, rest):
    """t and q with exp(y + rest) = 2**k (1 + q), where t = k + 1.5 * 2**52."""
    per_log2, magic, log2_high, log2_low = pick(y, _REDUCTION, _REDUCTION32)
    t = fma(y, per_log2, magic)
    k = t - magic
    r = fma(-k, log2_low, fma(-k, log2_high, y) + rest)
    square = r * r
    return t, fma(_two_chains(r, square, pick(y, _EXP, _EXP32)), square, r)


@inline
def _decay(a, b, factor):
    """factor exp(-a b) times 2**200, for products below 800 (112 in float32)."""
    y = -a * b
    t, q = _reduce(y, fma(-a, b, -y))
    return fma(q, factor, factor) * power_of_two(t + pick(a, _RANGE, _RANGE32)[2])


@inline
def _clamped(x, limit):
    a = abs(x)
    return limit if a > limit else a


@inline
def _log_erfc(x):
    """-log(erfc(|x|)) with the sign of x."""
    a = _clamped(x, pick(x, 6.0, np.float32(4)))
    return copysign(a * _two_chains(a, a * a, pick(x, _ERF, _ERF32)), x)


@inline
def _minus_expm1(x):
    """1 - exp(-|x|) with the sign of x."""
    t, q = _reduce(-abs(x), like(x, 0))
    s = power_of_two(t)
    return copysign(fma(-s, q, like(x, 1) - s), x)


@inline
def _erf_derivative(x):
    _, limit, _, down = pick(x, _RANGE, _RANGE32)
    a = _clamped(x, limit)
    return _decay(a, a, like(x, 1.1283791670955126)) * down


@inline
def _gaussian(x):
    limit, _, _, down = pick(x, _RANGE, _RANGE32)
    a = _clamped(x, limit)
    return _decay(a, like(x, 0.5) * a, like(x, 1)) * down


@inline
def _gaussian_derivative(x):
    limit, _, _, down = pick(x, _RANGE, _RANGE32)
    a = _clamped(x, limit)
    return copysign(_decay(a, like(x, 0.5) * a, a) * down, -x)


@inline
def _gelu(x):
    # max(x, 0) - a Phi(-a) with a = |x|: no cancellation on either side.
    limit, _, _, down = pick(x, _RANGE, _RANGE32)
    zero = like(x, 0)
    a = _clamped(x, limit)
    p = _polynomial(a, pick(x, _MILLS_P, _MILLS_P32))
    q = _polynomial(a, pick(x, _MILLS_Q, _MILLS_Q32)) * a
    return fma(_decay(a, like(x, 0.5) * a, q / (q + p)), like(x, -_DENSITY) * down, zero if x < zero else x)


@inline
def _gelu_derivative(x):
    # gelu'(x) = 1 - gelu'(-x); left of 0 the zero is a factor of the approximation.
    limit, _, _, down = pick(x, _RANGE, _RANGE32)
    zero_high, zero_low = pick(x, _ZERO, _ZERO32)
    zero, one = like(x, 0), like(x, 1)
    a = _clamped(x, limit)
    p = _polynomial(a, pick(x, _SLOPE_P, _SLOPE_P32))
    q = _polynomial(a, pick(x, _SLOPE_Q, _SLOPE_Q32))
    d = (a - zero_high) - zero_low
    scale = like(x, _DENSITY) * down
    left = _decay(a, like(x, 0.5) * a, fma(d, p / q, d))
    return fma(left, -scale if x < zero else scale, zero if x < zero else one)


@kernel
def _erf_kernel(z, parameters):
    # erf(a) = -expm1(log erfc(a)) keeps the relative accuracy of the logarithm at small a and forgives its error
    # at large a, where the clamp gives 1. Two loops: one would need more constants than there are registers.
    for start in range(0, z.size, _BLOCK):
        block = z[start : start + _BLOCK]
        for j in range(block.size):
            block[j] = _log_erfc(block[j])
        for j in range(block.size):
            block[j] = _minus_expm1(block[j])


@kernel
def _erf_derivative_kernel(z, parameters):
    for j in range(z.size):
        z[j] = _erf_derivative(z[j])


@kernel
def _gelu_kernel(z, parameters):
    for j in range(z.size):
        z[j] = _gelu(z[j])


@kernel
def _gelu_derivative_kernel(z, parameters):
    for j in range(z.size):
        z[j] = _gelu_derivative(z[j])


@kernel
def _gaussian_kernel(z, parameters):
    for j in range(z.size):
        z[j] = _gaussian(z[j])


@kernel
def _gaussian_derivative_kernel(z, parameters):
    for j in range(z.size):
        z[j] = _gaussian_derivative(z[j])


VALUE = {"erf": _erf_kernel, "gelu": _gelu_kernel, "gaussian": _gaussian_kernel}
DERIVATIVE = {"erf": _erf_derivative_kernel, "gelu": _gelu_derivative_kernel, "gaussian": _gaussian_derivative_kernel}
