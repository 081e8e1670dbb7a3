"""Moments of a Gaussian pair over an orthant, ``L = P[U >= h, V >= k]`` and ``M = E[(U - h)+ (V - k)+]``, correlation rho.

What is computed is ``exp((h**2 + k**2) / 4)`` times either, which neither vanishes nor overflows for nearby thresholds of
any size. With s the sine and a = tan(theta / 2) of the angle theta between the two directions, all parts below are positive:

* h = k, where M has the additional factor 2 / (1 + a**2) and the integrand the factor (u**2 - a**2) / (1 + u**2),

      L = exp(-E) l(h, h a),   l(h, x) = (1 / pi) integral from a = x / h of exp(-h**2 (u**2 - a**2) / 2) / (1 + u**2) du,

  with 2 E = h**2 + x**2 the squared distance of the corner of the orthant from the origin;
* h > k >= 0: the ray through the corner cuts L in two parts, ``(l(h, x1) + l(k, x2)) exp(-E) / 2``, where
  s x1 = k - rho h and s x2 = h - rho k; a part with x1 < 0 is what l(h, -x1) leaves of a half plane;
* M at unequal thresholds, and L at thresholds of unlike sign: the sum of the closed form loses digits, and where it loses
  too many, its integral over all correlations from -1 on replaces it. In u = tan(half an angle), with p = (h - k) / 2,
  q = (h + k) / 2 and v = q u - p / u it is

      L = (1 / pi) exp(-h**2 / 2) integral from a of exp(-v**2 / 2) / (1 + u**2) du,

  and M as above, by Gauss rules on panels.
"""

from math import ceil, erf, erfc, exp, expm1, log1p, pi, sqrt

import numpy as np

from ._intrinsics import fma, inline, inline_sum, kernel, power_of_two

# Nodes below 1/2 and weights of the Gauss-Legendre rules with 20 and 32 nodes on [0, 1], computed with 50 digits: NumPy's
# have relative errors up to 1e-12.
_NODES_20 = (
    0.0034357004074525377, 0.018014036361043106, 0.04388278587433705, 0.0804415140888906, 0.1268340467699246,
    0.1819731596367425, 0.24456649902458646, 0.3131469556422902, 0.38610707442917747, 0.46173673943325133,
)  # fmt: skip
_WEIGHTS_20 = (
    0.008807003569576059, 0.02030071490019347, 0.031336024167054534, 0.04163837078835238, 0.05096505990862022,
    0.059097265980759206, 0.06584431922458832, 0.07104805465919102, 0.07458649323630187, 0.07637669356536292,
)  # fmt: skip
_NODES_32 = (
    0.0013680690752592183, 0.007194244227365833, 0.017618872206246784, 0.03254696203113015, 0.05183942211697394,
    0.07531619313371501, 0.1027581020160288, 0.13390894062985517, 0.1684778665348924, 0.20614212137961885,
    0.2465500455338853, 0.2893243619346823, 0.33406569885893617, 0.38035631887393145, 0.42776401920860174,
    0.4758461671561308,
)  # fmt: skip
_WEIGHTS_32 = (
    0.003509305004735048, 0.008137197365452835, 0.01269603265463103, 0.017136931456510716, 0.02141794901111334,
    0.025499029631188087, 0.029342046739267772, 0.032911111388180925, 0.03617289705442425, 0.039096947893535156,
    0.041655962113473374, 0.043826046502201906, 0.045586939347881945, 0.04692219954040228, 0.04781936003963743,
    0.0482700442573639,
)  # fmt: skip


def _rule(nodes, weights):
    left = np.array(nodes)
    return np.concatenate([left, 1.0 - left[::-1]]), np.concatenate([weights, weights[::-1]])


_T20, _W20 = _rule(_NODES_20, _WEIGHTS_20)
_T32, _W32 = _rule(_NODES_32, _WEIGHTS_32)

# 1 / log 2, 1.5 * 2**52, log 2 in two parts; (expm1(r) - r) / r**2, even and odd part in powers of r**2, for
# |r| <= log(2) / 2, as in ``exponential``.
_REDUCTION = (1.4426950408889634, 6755399441055744.0, 0.6931471805599453, 2.3190468138462996e-17)
_EXP = (
    (2.762609281131047e-07, 2.480150514272101e-05, 0.001388888893166713, 0.041666666666576466, 0.5000000000000006),
    (2.5053771237915247e-08, 2.755740769817775e-06, 0.00019841269718699897, 0.008333333333389738, 0.16666666666666588),
)

_SQRT_HALF = 0.7071067811865476
_DENSITY = 0.3989422804014327  # of one standard normal variable, at 0
_HIGH, _ASIDE = 1.5, 0.95  # up to there differences lose no more than a digit, beyond the poles at u = i and -i are far
_DECAY = 76.0  # twice the exponent at which an integrand is cut: exp(-38) is below 2**-54
_GONE = 745.0  # exp(-745) underflows
_WIDE = 40.0  # exp(-40**2 / 2) underflows beside any other part
_CLOSE = 0.015625  # a sum below this fraction of its terms is taken again
_REACH = 8.9  # in v, as far as an integrand goes: exp(-_REACH**2 / 2) is below 2**-57
_SAME = 1e-15  # relative difference of thresholds that only rounding makes


@inline
def _polynomial(x, coefficients):
    p = coefficients[0]
    for c in coefficients[1:]:
        p = fma(p, x, c)
    return p


@inline
def _exp(y):
    """exp(y) for |y| below 700, in a form that vectorises."""
    per_log2, magic, log2_high, log2_low = _REDUCTION
    even, odd = _EXP
    t = fma(y, per_log2, magic)
    k = t - magic
    r = fma(-k, log2_low, fma(-k, log2_high, y))
    square = r * r
    s = power_of_two(t)
    return fma(fma(fma(_polynomial(square, odd), r, _polynomial(square, even)), square, r), s, s)


@inline_sum
def _near_sums(half, square):
    """Sums over the 20 nodes t of ``f = exp(half (1 - t**2)) / (1 + square t**2)``, of f (1 - t**2) and of f (1 - t**2) /
    (1 + square t**2)."""
    total, first, second = 0.0, 0.0, 0.0
    for i in range(_T20.size):
        rest = (1.0 - _T20[i]) * (1.0 + _T20[i])
        inverse = 1.0 / fma(square * _T20[i], _T20[i], 1.0)
        f = _W20[i] * _exp(half * rest) * inverse
        total += f
        f = f * rest
        first += f
        second += f * inverse
    return total, first, second


@inline_sum
def _far_sums(half, width, start, base):
    """Sums over the 32 nodes of ``f = exp(-half s) / (base + s)`` and of f s / (base + s), with s = d (d + 2 start) and d
    the node times the width."""
    total, first = 0.0, 0.0
    for i in range(_T32.size):
        d = width * _T32[i]
        s = d * fma(2.0, start, d)
        inverse = 1.0 / (base + s)
        f = _W32[i] * _exp(-half * s) * inverse
        total += f
        first += f * s * inverse
    return total, first


@inline
def _second_moment(h):
    """Integral of 2 t erf(t / sqrt(2)) from 0 to h."""
    if h > 1.0:
        return (h - 1.0) * (h + 1.0) * erf(h * _SQRT_HALF) + 2.0 * _DENSITY * h * exp(-0.5 * h * h)
    power, total = h * h * h, 0.0
    for k in range(16):
        total += 2.0 * power / ((2 * k + 1) * (2 * k + 3))
        power *= -0.5 * h * h / (k + 1)
    return 2.0 * _DENSITY * total


@inline
def _equal(h, x, t, is_beyond):
    """exp(E) L and exp(E) M at equal thresholds h >= 0: x = a h; t = a, or 1 / a where ``is_beyond`` says a > 1."""
    base, is_tail = fma(t, t, 1.0), h > _HIGH or x > _ASIDE
    if not is_beyond:
        if is_tail:
            c = _DECAY / (h * h)
            width = c / (t + sqrt(fma(t, t, c)))
            total, first = _far_sums(0.5 * h * h, width, t, base)
            return width * total / pi, 2.0 * width * first / (pi * base)
        total, _, _ = _near_sums(0.5 * x * x, t * t)
        grown = exp(0.5 * (h * h + x * x))
        value = grown * 0.5 * erfc(h * _SQRT_HALF) - t * total / pi
        rho = (1.0 - t) * (1.0 + t) / base
        slope = _DENSITY * h * exp(0.5 * x * x) * erfc(x * _SQRT_HALF)
        return value, fma(fma(h, h, rho), value, t / (pi * base) - slope)
    if is_tail:
        c = _DECAY / (x * x)
        width = c / (1.0 + sqrt(1.0 + c))
        total, first = _far_sums(0.5 * x * x, width, 1.0, base)
        return t * width * total / pi, 2.0 * t * t * t * width * first / (pi * base)
    total, first, second = _near_sums(0.5 * h * h, t * t)
    tail = 0.5 * exp(0.5 * (h * h + x * x)) * erfc(x * _SQRT_HALF)
    inside = erf(h * _SQRT_HALF)
    moment = t * t * t * fma(x * x, first, 2.0 * second / base) / pi
    return t * total / pi - tail * inside, moment - tail * fma(2.0 * t * t / base, inside, _second_moment(h))


@inline
def _part(h, x):
    """l(h, x) for h >= 0 and x >= 0, not both 0."""
    is_beyond = x > h
    return _equal(h, x, h / x if is_beyond else x / h, is_beyond)[0]


@inline_sum
def _panel(first, width, start, low, base, gap, a, p, q):
    """Sums over 20 nodes of ``f = exp(-(v**2 - v0**2) / 2) / (1 + u**2)`` and of f (u**2 - a**2) / (1 + u**2)."""
    total, moment = 0.0, 0.0
    for i in range(_T20.size):
        d = fma(width, _T20[i], first)
        u = start + d
        step = d * (q + p / (u * start))
        inverse = 1.0 / fma(u, u, 1.0)
        f = _W20[i] * _exp(-0.5 * fma(step, fma(2.0, low, step), base)) * inverse
        total += f
        moment += f * ((gap + d) * (u + a)) * inverse
    return width * total, width * moment


@inline
def _integral(h, k, a, is_moment):
    """The integral over all correlations, for h > |k|: Gauss rules on panels of u that grow in proportion to u."""
    p, q = 0.5 * (h - k), 0.5 * (h + k)
    va = q * a - p / a if a > 0.0 else -np.inf
    low, v0 = max(va, -_REACH), max(va, 0.0)
    depth = p * q + 0.5 * v0 * v0
    if depth > _GONE:
        return 0.0
    # u(v) is the positive root of q u**2 - v u - p; what lies beyond the end, or below the start, has no digit in the sum.
    start = a if va > -_REACH else 2.0 * p / (_REACH + sqrt(_REACH * _REACH + 4.0 * p * q))
    high, far = sqrt(v0 * v0 + _REACH * _REACH), 1e17 * max(start, 1.0)
    end = min((high + sqrt(high * high + 4.0 * p * q)) / (2.0 * q), far) if q > 0.0 else far
    length = end - start if end > 2.0 * start else (high - low) / (q + p / (end * start))
    span = log1p(length / start)
    panels = int(ceil(max(span, (high - low) / 6.0)))
    growth, base = expm1(span / panels), min(low, 0.0) ** 2
    total, moment, first = 0.0, 0.0, 0.0
    for _ in range(panels):
        width = (start + first) * growth
        one, other = _panel(first, width, start, low, base, start - a, a, p, q)
        total += one
        moment += other
        first += width
    scale = exp(-depth) / pi
    return scale * moment * 2.0 / fma(a, a, 1.0) if is_moment else scale * total


@inline
def _offset(h, k, rho, sine):
    """(k - rho h) / sine for h + k >= 0."""
    if rho > 0.5:
        return (k - h) / sine + h * sine / (1.0 + rho)
    if rho < -0.5:
        return (h + k) / sine - h * sine / (1.0 - rho)
    return (k - rho * h) / sine


@inline
def _probability(h, k, tail_h, rho, sine, a):
    """L for h > |k|."""
    gap = 0.25 * (h - k) * (h + k)
    x1 = _offset(h, k, rho, sine) if sine > 0.0 else -np.inf
    if x1 < -_WIDE:
        return exp(-gap) * tail_h
    x2 = _offset(k, h, rho, sine)
    size = abs(k)
    depth = fma(0.5 * x1, max(x1, 0.0), gap)
    if depth > _GONE:
        return 0.0
    whole, part = 0.5 * _part(h, abs(x1)), 0.5 * _part(size, x2)
    if x1 < 0.0:
        inside = exp(-0.5 * x1 * x1)
        whole, part = tail_h - inside * whole, inside * part
    if k >= 0.0:
        return exp(-depth) * (whole + part)
    return exp(-depth) * (whole - part) if part < 0.875 * whole else _integral(h, k, a, False)


@inline
def _pair(h, k, tail_h, tail_k, rho, sine, is_moment):
    """The moment of one pair with h + k >= 0; tail_h and tail_k are exp(t**2 / 2) Q(t) of the thresholds."""
    if h < k:
        h, k, tail_h = k, h, tail_k
    if sine == 0.0 and rho < 0.0:
        return 0.0
    is_beyond = rho < 0.0
    t = sine / (1.0 + abs(rho))
    a = 1.0 / t if is_beyond else t
    if h - k <= _SAME * h:
        h = 0.5 * (h + k)
        x = h * a
        depth = 0.5 * x * x
        if depth > _GONE:
            return 0.0
        value, moment = _equal(h, x, t, is_beyond)
        return exp(-depth) * (moment if is_moment else value)
    if is_moment:
        return _integral(h, k, a, True)
    return _probability(h, k, tail_h, rho, sine, a)


@kernel
def orthant_moments(h, k, tail_h, tail_k, rho, sine, is_moment, out):
    """Overwrite out with ``exp((h**2 + k**2) / 4)`` times L, or M if ``is_moment``; all arrays have its shape (n,).

    Thresholds h and k with h + k >= 0, both positive or both 0 for M, and their scaled tails ``exp(t**2 / 2) Q(|t|)``; rho
    and sine are the correlation and sqrt(1 - rho**2), each right to a few roundings.
    """
    for i in range(out.size):
        out[i] = _pair(h[i], k[i], tail_h[i], tail_k[i], rho[i], sine[i], is_moment)


@inline
def _exact_sum(x, z, unit, shift, shift_rest):
    """unit <x, z> + shift with twice the precision in all sums."""
    total, rest = 0.0, 0.0
    for i in range(x.size):
        y = x[i] * z[i]
        error = fma(x[i], z[i], -y)
        new = total + y
        part = new - total
        rest += ((total - (new - part)) + (y - part)) + error
        total = new
    total = total * unit
    new = total + shift
    part = new - total
    return new + (((total - (new - part)) + (shift - part)) + fma(rest, unit, shift_rest))


@kernel
def shifted_products(products, left, right, left_norms, right_norms, left_units, right_units, shift, shift_rest):
    """Overwrite inner products with ``left_units[i] right_units[j] <x_i, z_j> + shift``.

    The units are powers of two and shift + shift_rest is a number to twice the precision. Where the sum is small against
    both its terms, which rounding would show, the inner product is taken again in twice the precision.
    """
    for i in range(products.shape[0]):
        for j in range(products.shape[1]):
            unit = left_units[i] * right_units[j]
            value = fma(products[i, j], unit, shift)
            if abs(value) < _CLOSE * unit * left_norms[i] * right_norms[j]:
                value = _exact_sum(left[i], right[j], unit, shift, shift_rest)
            products[i, j] = value
