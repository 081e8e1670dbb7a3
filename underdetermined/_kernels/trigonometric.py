"""sin, cos and sin_cos = sin + cos, in place: ``VALUE[name](z, parameters, scale)`` overwrites z with f(z).

All of them, and their derivatives, are one shifted sine: sin(z + q pi/4) with q = 0 for sin, 1 for
sin_cos (times sqrt 2), 2 for cos, 3 for cos - sin (times sqrt 2), 4 for -sin. With k the integer nearest
(z + q pi/4)/pi and h = 4k - q

    r = z - h pi/4 in [-pi/2, pi/2],   f(z) = (-1)^k sin r,

so the zeros of f are the zeros of r and the relative accuracy survives there. pi/4 is cut into parts
P1 > P2 > P3 of 53 bits (24 in float32). z - h P1 is a multiple of the last place of P1 or of z and below 2,
hence exact; each of the two fused steps that follow rounds once, and by then r has its final size.

``PAIR[name](z, derivative)`` writes f over z and f' beside it from one reduction, (z + q pi/4) = j pi/2 + r with
|r| <= pi/4: f(z) and f'(z) are sin r and cos r, in the order and with the signs that j says.

Beyond the limits below, where the rounding to k would fail, float64 entries go to the C library, one by
one, and float32 entries to the float64 formula; only calls that hold such an entry pay. inf gives nan.
Measured against mpmath up to 1e15 the error stays within 2 units in the last place, in float32 (every
number up to 2**17) within 2.1; beyond, it is that of the C library (``tests/test_kernels_trigonometric.py``).
"""

from math import cos, isfinite, sin

import numpy as np

from ._intrinsics import bits, fma, from_bits, inline, kernel, like, pick


def _single(*values):
    return tuple(np.float32(value) for value in values)


_LIMIT = 1e15
_BLOCK = 1024  # entries searched at a time for arguments beyond the limit
_LIMIT32 = np.float32(2.0**17)
_SIGN_SHIFT = (63,)
_SIGN_SHIFT32 = (31,)

# 4/pi, 1.5 * 2**54 (2**25), whose last place is 4, so that adding it rounds to a multiple of 4, P1, P2, P3.
_REDUCTION = (
    1.2732395447351628, 27021597764222976.0,
    0.7853981633974483, 3.0616169978683824e-17, 5.4142833696095695e-33,
)  # fmt: skip
_REDUCTION32 = _single(1.2732395, 50331648.0, 0.78539812565, 3.7748947079e-08, 2.69515126498e-15)

# Amplitude a, then Q with a sin r = a r + r s Q(s), s = r**2, whose last entry is the part of a that rounding
# lost. Q is a least-squares fit of the relative error at 60 Chebyshev nodes of s, in mpmath; its coefficients
# are rounded one by one, lowest first, and the rest fitted anew. Relative error once rounded: 2.2e-18 for
# |r| < 1.74 (rounding k passes pi/2 = 1.571 when |z| is near 1e15), in float32 8e-9 for |r| < 1.585.
_SINE = 1.0, (
    2.7003451781242614e-15, -7.64082140093735e-13, 1.6058847891826012e-10, -2.5052104853404698e-08,
    2.755731918663291e-06, -0.000198412698410493, 0.008333333333332695, -0.1666666666666666,
    0.0,
)  # fmt: skip
_SINE32 = np.float32(1.0), _single(2.6013079e-06, -0.00019807502, 0.008333036, -0.16666658, 0.0)
_ROOT2_SINE = 1.4142135623730951, (
    3.819211562663981e-15, -1.080579767811187e-12, 2.271064281856572e-10, -3.542902651428247e-08,
    3.89719345373862e-06, -0.0002805979290392484, 0.011785113019774926, -0.23570226039551576,
    -9.667293313452913e-17,
)  # fmt: skip
_ROOT2_SINE32 = np.float32(1.4142135), _single(
    3.6790002e-06, -0.0002801215, 0.011784694, -0.23570214, 2.4203235e-08
)  # fmt: skip


# 1.5 * 2**53 (2**24), which rounds to a multiple of 2; the limit up to which |r| < 0.81.
_PAIR_REDUCTION = (13510798882111488.0, 1e14)
_PAIR_REDUCTION32 = _single(25165824.0, 2.0**17)

# sin r = r + r s Q(s), Q fitted as above for |r| < 0.81: relative error 2**-57, 2**-27.6; and cos r = 1 + s C(s), with
# 2**-63, 2**-32.5.
_HALF_SINE = (
    1.588560112137638e-10, -2.505056316032341e-08, 2.7557312434927492e-06, -0.00019841269826147145, 0.008333333333317781,
    -0.16666666666666613,
)  # fmt: skip
_HALF_SINE32 = _single(-0.00019495051, 0.008332011, -0.16666652)
_HALF_COSINE = (
    -1.1350845754566435e-11, 2.0875549528508273e-09, -2.755731304346771e-07, 2.480158728482939e-05,
    -0.0013888888888866438, 0.04166666666666655, -0.5,
)  # fmt: skip
_HALF_COSINE32 = _single(2.4411222e-05, -0.0013887126, 0.04166664, -0.5)


@inline
def _polynomial(x, coefficients):
    p = coefficients[0]
    for c in coefficients[1:]:
        p = fma(p, x, c)
    return p


@inline
def _wave(x, q, amplitude, coefficients):
    four_over_pi, magic, p1, p2, p3 = pick(x, _REDUCTION, _REDUCTION32)
    shift = like(x, q)
    t = fma(x, four_over_pi, shift) + magic
    h = shift - (t - magic)
    r = fma(h, p3, fma(h, p2, fma(h, p1, x)))
    s = r * r
    p = _polynomial(s, coefficients)
    result = bits(fma(r, amplitude, r * p))
    (sign_shift,) = pick(x, _SIGN_SHIFT, _SIGN_SHIFT32)
    return from_bits(like(result, result ^ (bits(t) << sign_shift)))


@inline
def _entry(x, q):
    """sin(x + q pi/4), times sqrt 2 for odd q; |x| at most the limit of its type."""
    if q & 1:
        amplitude, coefficients = pick(x, _ROOT2_SINE, _ROOT2_SINE32)
        return _wave(x, q, amplitude, coefficients)
    amplitude, coefficients = pick(x, _SINE, _SINE32)
    return _wave(x, q, amplitude, coefficients)


@inline
def _exact(x, q):
    """The same in float64 for every x, slowly."""
    if abs(x) <= _LIMIT:
        return _entry(x, q)
    if not isfinite(x):
        return x - x
    s, c = sin(x), cos(x)
    if q == 0:
        return s
    if q == 2:
        return c
    if q == 4:
        return -s
    s = s if q == 1 else -s
    # Where c + s cancels, c - s does not, and (c + s)(c - s) = cos 2x. 2x is exact unless it overflows.
    return cos(x + x) / (c - s) if s * c < 0.0 and isfinite(x + x) else c + s


@inline
def _apply(z, q, scale):
    # Entries beyond the limit are left alone by the branch-free loop; its results are below 2 before scaling, so
    # that those entries are found again by their size.
    one = z.dtype.type(1)
    limit = z.dtype.type(pick(one, _LIMIT, _LIMIT32))
    for start in range(0, z.size, _BLOCK):
        part = z[start : start + _BLOCK]
        beyond = False
        for j in range(part.size):
            beyond |= abs(part[j]) > limit
        factor = one if beyond else scale
        for j in range(part.size):
            x = part[j]
            y = factor * _entry(x, q)
            part[j] = x if abs(x) > limit else y
        if beyond:
            for j in range(part.size):
                part[j] = scale * (_exact(np.float64(part[j]), q) if abs(part[j]) > limit else part[j])


@inline
def _waves(x, q, amplitude):
    """sin(x + q pi/4) and cos(x + q pi/4), times the amplitude; |x| at most the limit of its type."""
    four_over_pi, _, p1, p2, p3 = pick(x, _REDUCTION, _REDUCTION32)
    magic, _ = pick(x, _PAIR_REDUCTION, _PAIR_REDUCTION32)
    shift = like(x, q)
    t = fma(x, four_over_pi, shift) + magic
    h = shift - (t - magic)
    r = fma(h, p3, fma(h, p2, fma(h, p1, x)))
    s = r * r
    sine = fma(r, s * _polynomial(s, pick(x, _HALF_SINE, _HALF_SINE32)), r)
    cosine = fma(s, _polynomial(s, pick(x, _HALF_COSINE, _HALF_COSINE32)), like(x, 1))
    j = bits(t)
    (sign_shift,) = pick(x, _SIGN_SHIFT, _SIGN_SHIFT32)
    is_even = (j & 1) == 0
    first, second = bits(amplitude * (sine if is_even else cosine)), bits(amplitude * (cosine if is_even else sine))
    first = like(first, first ^ ((j >> 1) << sign_shift))
    return from_bits(first), from_bits(like(second, second ^ (((j + 1) >> 1) << sign_shift)))


@inline
def _apply_pair(z, derivative, q, amplitude):
    one = z.dtype.type(1)
    limit = z.dtype.type(pick(one, _PAIR_REDUCTION, _PAIR_REDUCTION32)[1])
    for start in range(0, z.size, _BLOCK):
        part, slopes = z[start : start + _BLOCK], derivative[start : start + _BLOCK]
        beyond = False
        for j in range(part.size):
            beyond |= abs(part[j]) > limit
        for j in range(part.size):
            x = part[j]
            y, slopes[j] = _waves(x, q, like(x, amplitude))
            part[j] = x if abs(x) > limit else y
        if beyond:
            for j in range(part.size):
                if abs(part[j]) > limit:
                    slopes[j] = _exact(np.float64(part[j]), q + 2)
                    part[j] = _exact(np.float64(part[j]), q)


@kernel
def _sin(z, parameters, scale):
    _apply(z, 0, scale)


@kernel
def _sin_cos(z, parameters, scale):
    _apply(z, 1, scale)


@kernel
def _cos(z, parameters, scale):
    _apply(z, 2, scale)


@kernel
def _cos_minus_sin(z, parameters, scale):
    _apply(z, 3, scale)


@kernel
def _minus_sin(z, parameters, scale):
    _apply(z, 4, scale)


@kernel
def _sin_pair(z, derivative):
    _apply_pair(z, derivative, 0, 1.0)


@kernel
def _sin_cos_pair(z, derivative):
    _apply_pair(z, derivative, 1, _ROOT2_SINE[0])


@kernel
def _cos_pair(z, derivative):
    _apply_pair(z, derivative, 2, 1.0)


VALUE = {"sin": _sin, "cos": _cos, "sin_cos": _sin_cos}

DERIVATIVE = {"sin": _cos, "cos": _minus_sin, "sin_cos": _cos_minus_sin}

PAIR = {"sin": _sin_pair, "cos": _cos_pair, "sin_cos": _sin_cos_pair}
