"""Activations built on the Gaussian integral, in place: ``VALUE[name](z, parameters, scale)`` overwrites z with f(z).

========  =============================  =======================
name      f(z)                           f'(z)
========  =============================  =======================
erf       2/sqrt(pi) int_0^z exp(-t**2)  2/sqrt(pi) exp(-z**2)
gelu      z Phi(z), exact                Phi(z) + z phi(z)
gaussian  exp(-z**2 / 2)                 -z exp(-z**2 / 2)
========  =============================  =======================

Phi and phi are the standard normal distribution function and density. No kernel has a branch, a table or a
call, so the loops vectorise. One text serves float64 and float32: ``pick`` and ``like`` choose constants by
type. exp(y / 2) is 2**k (1 + q / 2) with k = round(y / (2 log 2)), r = y - 2 k log 2, q = 2 expm1(r / 2) = r + r**2 p(r);
where y is a square, fma supplies the part that rounding lost, so the tail keeps its relative accuracy.
A result that may be denormal is kept times 2**200 (2**64 in float32) until its last operation, which then
rounds it once. Every clamp compares so that nan passes through it.

The coefficients are minimax in the relative error of the function they serve, then rounded to the type: polynomials
by the Remez exchange, rationals by moving the nodes of an interpolant until all error humps are equal, both at
50 digits. "bound" below is that error before rounding. At 100,000 points over the whole range the largest error
against mpmath was 3.3 units in the last place for values and 3.4 for derivatives; over 10**8 float32 numbers,
against the float64 kernels, 3.4 and 4.2. ``PAIR[name](z, derivative)`` writes f over z and f' beside it, with errors up
to 3.0 and 5.8 units, in float32 3.6 and 7.7.
"""

from math import copysign

import numpy as np

from ._intrinsics import fma, inline, kernel, like, pick, power_of_two


def _single(*values):
    return tuple(np.float32(value) for value in values)


# All exponentials are of halves, exp(y / 2), which spares the squares a factor 1/2: 1 / (2 log 2), 1.5 * 2**52
# (2**23), 2 log 2 in two parts. k times the high part is subtracted exactly by fma.
_REDUCTION = (0.7213475204444817, 6755399441055744.0, 1.3862943611198906, 4.638093627692599e-17)
_REDUCTION32 = _single(0.7213475, 12582912.0, 1.3862944, -3.8093084e-09)

# p above, its even and its odd part in powers of r**2, for |r| <= log 2; bound 2**-55.6 relative to
# expm1(r / 2), in float32 2**-26.2.
_EXP = (
    (5.395721252209077e-10, 1.937617589275079e-07, 4.340277791145978e-05, 0.005208333333322058, 0.2500000000000003),
    (2.4466573474526608e-11, 1.0764612382100683e-08, 3.100198393546859e-06, 0.0005208333333368586, 0.04166666666666647),
)
_EXP32 = (_single(4.3382868e-05, 0.0052084, 0.24999999), _single(0.0005229092, 0.04166636))

# -2 log(erfc(a)) / a, even and odd part, for 0 <= a <= 6 (4); bound 2**-55.4 relative to erf(a), 2**-27.9.
_ERF_EVEN = (
    3.2299317922217707e-13, 8.604006648731503e-11, 4.721240120963493e-09, 6.917298429708614e-08, -2.3396944539639906e-08,
    -4.074330299536789e-06, 6.33938502360579e-06, 0.00012884095519575088, -0.0011802648595276332, -0.0004183897078330668,
    0.20554520660263093, 2.256758334191025,
)  # fmt: skip
_ERF_ODD = (
    -7.184844276963778e-15, -6.729066354224824e-12, -7.521777333899984e-10, -2.154764630517703e-08, -1.314760583151676e-07,
    1.1412311223538177e-06, 6.265874038951199e-06, -5.9151360531701603e-05, 5.180899602347996e-05, 0.003392415339612353,
    -0.03825689398619031, 1.2732395447351819,
)  # fmt: skip
_ERF = (_ERF_EVEN, _ERF_ODD)
_ERF32 = (
    _single(-1.8510262e-05, -0.0012656144, -0.00032072526, 0.20555566, 2.2567585),
    _single(0.00023526383, 0.0033339646, -0.038306147, 1.2732388),
)
# What rounding took from the constant term, 4 / sqrt(pi).
_ERF_REST = 3.067091922633176e-17
_ERF_REST32 = np.float32(-1.17270766e-07)

# sqrt(2 pi) (phi(a) / Phi(-a) - a) = P / Q for 0 <= a <= 38.8 (14.6), with which gelu(-a) is
# -a exp(-a**2 / 2) / (sqrt(2 pi) a + P / Q): the error of the quotient is damped as a grows, where Horner's rule
# is at its worst. Bound 2**-57.7 relative to gelu, 2**-30.4. The scale, Q(0) = 3/4, keeps sums near a = 0 clear of
# the powers of two above which a rounding costs most.
_MILLS_P = (
    1.0814364217766244e-06, 3.242812690713717e-05, 0.00047800264744316044, 0.004492285180036788,
    0.029502050463716473, 0.14023318113223332, 0.48376300569587394, 1.176615386835316, 1.8577983930261341,
    1.5,
)  # fmt: skip
_MILLS_Q = (
    4.314307122475107e-07, 1.2936950890874322e-05, 0.0001915583281997683, 0.0018180363664224391,
    0.012148418669768127, 0.05945162179409427, 0.21540721485462241, 0.5710738844354839, 1.0644531062047262,
    1.2704713788975426, 0.75,
)  # fmt: skip
_MILLS_P32 = _single(0.0047057425, 0.056218978, 0.31274825, 0.94624275, 1.5)
_MILLS_Q32 = _single(0.0018771373, 0.022437308, 0.12832157, 0.42494428, 0.8146936, 0.75)

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

# gelu'(-a) = exp(-a**2 / 2) (a0 - a) S / (sqrt(2 pi) a Q + P) with P and Q of gelu: both have one denominator. Bound of S
# for the same a: 2**-54.4, 2**-26.1.
_PAIR = (
    4.314307122475106e-07, 1.3261296843834516e-05, 0.00020152805877337343, 0.0019695434530028213, 0.013628241883260386,
    0.06967134466591887, 0.26740673790720704, 0.7686013269148275, 1.6198673714590528, 2.386601681032119,
    2.220928137854594, 0.9976169926971514,
)  # fmt: skip
_PAIR32 = _single(0.0018771377, 0.023848513, 0.14625096, 0.534885, 1.2132632, 1.6146724, 0.997617)

# exp(-a**2 / 2) vanishes from the first entry on, exp(-a**2) from the second; the shift that keeps results
# normal, and its inverse; sqrt(2 pi) and its inverse.
_RANGE = (40.0, 28.0, 200.0, 2.0**-200)
_RANGE32 = _single(15.0, 10.5, 64.0, 2.0**-64)
_BLOCK = 1024
_ROOT = 2.5066282746310002
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
    """t and q with exp((y + rest) / 2) = 2**k (1 + q / 2), where t = k + 1.5 * 2**52."""
    per_log2, magic, log2_high, log2_low = pick(y, _REDUCTION, _REDUCTION32)
    t = fma(y, per_log2, magic)
    k = t - magic
    r = fma(-k, log2_low, fma(-k, log2_high, y) + rest)
    square = r * r
    return t, fma(_two_chains(r, square, pick(y, _EXP, _EXP32)), square, r)


@inline
def _decay(a, b, factor):
    """2 factor exp(-a b / 2) times 2**200, for products below 1600 (220 in float32)."""
    y = -a * b
    t, q = _reduce(y, fma(-a, b, -y))
    return fma(q, factor, factor + factor) * power_of_two(t + pick(a, _RANGE, _RANGE32)[2])


@inline
def _clamped(x, limit):
    a = abs(x)
    return limit if a > limit else a


@inline
def _log_erfc(x):
    """-2 log(erfc(|x|)) with the sign of x."""
    a = _clamped(x, pick(x, 6.0, np.float32(4)))
    rest = a * pick(x, _ERF_REST, _ERF_REST32)
    return copysign(fma(a, _two_chains(a, a * a, pick(x, _ERF, _ERF32)), rest), x)


@inline
def _minus_expm1(x):
    """1 - exp(-|x| / 2) with the sign of x."""
    t, q = _reduce(-abs(x), like(x, 0))
    one = like(x, 1)
    half = power_of_two(t - one)
    return copysign(fma(-half, q, one - (half + half)), x)


@inline
def _erf_derivative(x):
    _, limit, _, down = pick(x, _RANGE, _RANGE32)
    a = _clamped(x, limit)
    return _decay(a, a + a, like(x, 0.5641895835477563)) * down


@inline
def _gaussian(x):
    limit, _, _, down = pick(x, _RANGE, _RANGE32)
    a = _clamped(x, limit)
    return _decay(a, a, like(x, 0.5)) * down


@inline
def _gaussian_derivative(x):
    limit, _, _, down = pick(x, _RANGE, _RANGE32)
    a = _clamped(x, limit)
    return copysign(_decay(a, a, a) * (down * like(x, 0.5)), -x)


@inline
def _gelu(x):
    # max(x, 0) - a Phi(-a) with a = |x|: no cancellation on either side.
    limit, _, _, down = pick(x, _RANGE, _RANGE32)
    zero = like(x, 0)
    a = _clamped(x, limit)
    p = _polynomial(a, pick(x, _MILLS_P, _MILLS_P32))
    q = _polynomial(a, pick(x, _MILLS_Q, _MILLS_Q32)) * a
    left = _decay(a, a, q / fma(q, like(x, _ROOT), p))
    return fma(left, down * like(x, -0.5), zero if x < zero else x)


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
    scale = like(x, _DENSITY / 2) * down
    left = _decay(a, a, fma(d, p / q, d))
    return fma(left, -scale if x < zero else scale, zero if x < zero else one)


@kernel
def _erf_kernel(z, parameters, scale):
    # erf(a) = -expm1(log erfc(a)) keeps the relative accuracy of the logarithm at small a and forgives its error
    # at large a, where the clamp gives 1. Two loops: one would need more constants than there are registers.
    for start in range(0, z.size, _BLOCK):
        block = z[start : start + _BLOCK]
        for j in range(block.size):
            block[j] = _log_erfc(block[j])
        for j in range(block.size):
            block[j] = scale * _minus_expm1(block[j])


@kernel
def _erf_derivative_kernel(z, parameters, scale):
    for j in range(z.size):
        z[j] = scale * _erf_derivative(z[j])


@kernel
def _gelu_kernel(z, parameters, scale):
    for j in range(z.size):
        z[j] = scale * _gelu(z[j])


@kernel
def _gelu_derivative_kernel(z, parameters, scale):
    for j in range(z.size):
        z[j] = scale * _gelu_derivative(z[j])


@kernel
def _gaussian_kernel(z, parameters, scale):
    for j in range(z.size):
        z[j] = scale * _gaussian(z[j])


@kernel
def _gaussian_derivative_kernel(z, parameters, scale):
    for j in range(z.size):
        z[j] = scale * _gaussian_derivative(z[j])


@kernel
def _erf_pair(z, derivative):
    for start in range(0, z.size, _BLOCK):
        block, slopes = z[start : start + _BLOCK], derivative[start : start + _BLOCK]
        for j in range(block.size):
            slopes[j] = _erf_derivative(block[j])
        for j in range(block.size):
            block[j] = _log_erfc(block[j])
        for j in range(block.size):
            block[j] = _minus_expm1(block[j])


@inline
def _gelu_parts(x):
    # gelu and gelu' as above, with one exponential and one division.
    limit, _, shift, down = pick(x, _RANGE, _RANGE32)
    zero_high, zero_low = pick(x, _ZERO, _ZERO32)
    zero, one, half = like(x, 0), like(x, 1), down * like(x, 0.5)
    a = _clamped(x, limit)
    p = _polynomial(a, pick(x, _MILLS_P, _MILLS_P32))
    q = _polynomial(a, pick(x, _MILLS_Q, _MILLS_Q32)) * a
    r = one / fma(q, like(x, _ROOT), p)
    d = ((a - zero_high) - zero_low) * _polynomial(a, pick(x, _PAIR, _PAIR32))
    y = -a * a
    t, e = _reduce(y, fma(-a, a, -y))
    s = power_of_two(t + shift)
    left, slope = q * r, d * r
    left, slope = fma(e, left, left + left) * s, fma(e, slope, slope + slope) * s
    return fma(left, -half, zero if x < zero else x), fma(slope, -half if x < zero else half, zero if x < zero else one)


@kernel
def _gelu_pair(z, derivative):
    for j in range(z.size):
        z[j], derivative[j] = _gelu_parts(z[j])


@kernel
def _gaussian_pair(z, derivative):
    for j in range(z.size):
        x = z[j]
        z[j], derivative[j] = _gaussian(x), _gaussian_derivative(x)


VALUE = {"erf": _erf_kernel, "gelu": _gelu_kernel, "gaussian": _gaussian_kernel}
DERIVATIVE = {"erf": _erf_derivative_kernel, "gelu": _gelu_derivative_kernel, "gaussian": _gaussian_derivative_kernel}
PAIR = {"erf": _erf_pair, "gelu": _gelu_pair, "gaussian": _gaussian_pair}
