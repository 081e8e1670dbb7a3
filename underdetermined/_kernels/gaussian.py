"""Gaussian expectations of products in closed form, through an angle and a determinant.

``CLOSED_FORMS[name](products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode,
parameters, work)`` overwrites a tile of inner products <x_i, z_j>, shape (t, s), with K (mode 0),
K + (<x, z> + [bias_variance > 0]) K' (mode 1) or K' (mode 2), where K = E[f(u) f(v)], K' = E[f'(u) f'(v)] and (u, v) is
Gaussian with variances s1, s2 and covariance c. ``left`` (t, d) and ``right`` (s, d) hold the inputs,
``left_squares`` (t,) and ``right_squares`` (s,) their squared norms; ``work`` is scratch of shape (WORK_ROWS, s). With
m = shift + factor s, D = m1 m2 - (factor c)**2, g = sqrt(D) and psi = atan2(factor c, g):

============  =====  ======  =================================================  =======================================
name          shift  factor  K                                                  K'
============  =====  ======  =================================================  =======================================
relu          0      1       (g + (pi/2 + psi) c) / (2 pi)                      (pi/2 + psi) / (2 pi)
leaky_relu    0      1       a c + (1 - a)**2 K of relu                         a + (1 - a)**2 K' of relu
abs           0      1       leaky_relu, a = -1                                 the same
step          0      1       K' of relu; 0 where s1 s2 = 0                      0
squared_relu  0      1       (3 g c + (pi/2 + psi) (s1 s2 + 2 c**2)) / (2 pi)   4 K of relu
gaussian      1      1       1 / g                                              c / g**3
gelu          1      1       c (1/4 + psi / (2 pi)) +                           1/4 + psi / (2 pi) +
                             (s1 s2 g + c**2 / g) / (2 pi m1 m2)                c (1/m1 + 1/m2 + 1/D) / (2 pi g)
erf           1      2       2 psi / pi                                         4 / (pi g)
============  =====  ======  =================================================  =======================================

None of these sums loses more than a rounding of its largest term. What would is D, where the rounding of c shows once D is
much below m1 m2. Those few pairs take D from the inputs,

    D = shift**2 + shift factor (s1 + s2) + factor**2 (s1 s2 - c**2),
    s1 s2 - c**2 = w**4 (|x|**2 |z|**2 - <x, z>**2) + w**2 b**2 |x - z|**2,

where w**2 and b**2 are the two variances. The bracket is |x|**2 times the square of z - (z_k / x_k) x without its part
along x, with x_k the largest entry of x: the entries are 2 x 2 determinants, each right to two roundings, and that part
is at most the fraction 1 - 1/d of the square. So D keeps its relative accuracy down to exactly parallel rows.

All is done in units that are powers of two, near sqrt(m1) and sqrt(m2): only a result that is itself too large or too small
overflows or vanishes. A row with m = 0 has unit 0 and m = 1, which makes it orthogonal to every other. K' of the piecewise
forms, whose value at such a row depends on the derivative at a kink, is that of orthogonal rows.
"""

from math import copysign, frexp, ldexp, pi, sqrt

import numpy as np

from ._intrinsics import fma, inline, inline_sum, kernel

WORK_ROWS = 6

# A pair is close where D is below this fraction of m1 m2: beyond, rounding in c is amplified by at most 1 / _CLOSE.
_CLOSE = 0.0625


# (atan(u) / u - 1) / u**2, even and odd part in powers of u**4, for |u| <= tan(pi/8), the limit; minimax by the Remez
# exchange in the error relative to atan(u), bound 2**-54.7 before rounding.
_OCTANT = 0.41421356237309503
_ATAN = (
    (-0.043590936050561226, -0.06641121109411073, -0.09090782412015015, -0.14285714195261104, -0.3333333333333015),
    (0.021259821960585654, 0.05692538489535468, 0.07690068292659116, 0.11111106653572878, 0.19999999999088955),
)


@inline
def _polynomial(x, coefficients):
    p = coefficients[0]
    for c in coefficients[1:]:
        p = fma(p, x, c)
    return p


@inline
def _angle(y, x):
    """atan2(y, x) for x >= 0, not both 0: that of the nearest of 0, pi/4, pi/2, and the arc tangent of the rest."""
    a = abs(y)
    low, high = a < _OCTANT * x, x < _OCTANT * a
    base = 0.0 if low else (pi / 2 if high else pi / 4)
    above = a if low else (-x if high else a - x)
    below = x if low else (a if high else a + x)
    u = above / below
    square = u * u
    even, odd = _ATAN
    fourth = square * square
    p = fma(_polynomial(fourth, odd), square, _polynomial(fourth, even))
    return copysign(base + fma(u * square, p, u), y)


@inline
def _weights(mode, bias_variance):
    """a, b, c of the result a K + (b <x, z> + c) K'."""
    if mode == 0:
        return 1.0, 0.0, 0.0
    if mode == 1:
        return 1.0, 1.0, 1.0 if bias_variance > 0.0 else 0.0
    return 0.0, 0.0, 1.0


@inline
def _inverse_unit(m):
    """The power of two q with q**2 m in [1/2, 2), or less if q**2 would overflow; 1 for m = 0."""
    return ldexp(1.0, min(-(frexp(m)[1] // 2), 511))


@inline
def _columns(right_squares, weight_variance, bias_variance, shift, factor, work):
    """Inverse units, units and scaled m of the columns in work[1:4]."""
    for j in range(right_squares.size):
        m = fma(factor, fma(weight_variance, right_squares[j], bias_variance), shift)
        inverse = _inverse_unit(m)
        work[1, j] = inverse
        work[2, j] = 1.0 / inverse if m > 0.0 else 0.0
        work[3, j] = m * inverse * inverse if m > 0.0 else 1.0


@inline_sum
def _square(x, scale):
    total = 0.0
    for i in range(x.size):
        y = scale * x[i]
        total += y * y
    return total


@inline_sum
def _square_of_difference(x, z, scale):
    total = 0.0
    for i in range(x.size):
        y = scale * (x[i] - z[i])
        total += y * y
    return total


@inline
def _minor(x, xk, z, zk):
    """xk z - x zk, right to two roundings."""
    w = x * zk
    return fma(xk, z, -w) + fma(-x, zk, w)


@inline_sum
def _area(x, z, k, scale, other, norm):
    """|u|**2 |v|**2 - <u, v>**2 for u = scale x and v = other z, with norm = |u|**2 and k the largest entry of x."""
    xk, zk = scale * x[k], other * z[k]
    total, dot = 0.0, 0.0
    for i in range(x.size):
        u = scale * x[i]
        y = _minor(u, xk, other * z[i], zk)
        total += y * y
        dot += y * u
    t = dot / norm
    rest = total - t * dot
    if rest < 0.25 * total:
        rest = 0.0
        for i in range(x.size):
            u = scale * x[i]
            y = fma(-t, u, _minor(u, xk, other * z[i], zk))
            rest += y * y
    return rest * norm / (xk * xk)


@inline
def _largest(x):
    k = 0
    for i in range(1, x.size):
        k = i if abs(x[i]) > abs(x[k]) else k
    return k


@inline
def _determinants(row, x, right, x_square, right_squares, weight_variance, bias_variance, shift, factor, work):
    """D in work[0], in the units of both sides, from one row of inner products; unit, inverse unit and scaled m of x,
    slope and offset of factor c as a function of the inner product."""
    m = fma(factor, fma(weight_variance, x_square, bias_variance), shift)
    inverse = _inverse_unit(m)
    scaled = m * inverse * inverse if m > 0.0 else 1.0
    slope, offset = factor * weight_variance * inverse, factor * bias_variance * inverse
    found = False
    for j in range(row.size):
        c = fma(slope, row[j], offset) * work[1, j]
        product = scaled * work[3, j]
        gap = fma(-c, c, product)
        work[0, j] = gap
        found |= gap < _CLOSE * product
    if found:
        # A scale that rounds the inputs would turn them; the rest of the weights comes after.
        weight, k = 1.0 / _inverse_unit(weight_variance), _largest(x)
        rest = weight_variance / (weight * weight)
        first, scale = inverse * inverse, weight * inverse
        s1, norm = fma(weight_variance, x_square, bias_variance) * first, _square(x, scale)
        for j in range(row.size):
            if work[0, j] < _CLOSE * scaled * work[3, j]:
                z, second = right[j], work[1, j] * work[1, j]
                gap = rest * _area(x, z, k, scale, weight * work[1, j], norm) if norm > 0.0 else 0.0
                if bias_variance > 0.0:
                    gap = fma(bias_variance * second, _square_of_difference(x, z, scale), gap)
                gap = rest * gap
                s2 = fma(weight_variance, right_squares[j], bias_variance) * second
                linear = shift * fma(shift * first, second, factor * fma(s1, second, s2 * first))
                work[0, j] = fma(factor * factor, gap, linear)
    return 1.0 / inverse if m > 0.0 else 0.0, inverse, scaled, slope, offset


@kernel
def _identity(products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, parameters, work):
    value, slope, constant = _weights(mode, bias_variance)
    factor = fma(value, weight_variance, slope)
    constant = fma(value, bias_variance, constant)
    for i in range(products.shape[0]):
        row = products[i]
        for j in range(row.size):
            row[j] = fma(factor, row[j], constant)


@inline
def _bent(products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, bend, work):
    """leaky_relu of slope `bend`."""
    value, slope, constant = _weights(mode, bias_variance)
    # a + (1 - a)**2 (pi/2 + psi) / (2 pi) = ((1 + a) / 2)**2 + (1 - a)**2 psi / (2 pi)
    weight, middle = (1.0 - bend) * (1.0 - bend) / (2.0 * pi), 0.25 * (1.0 + bend) * (1.0 + bend)
    _columns(right_squares, weight_variance, bias_variance, 0.0, 1.0, work)
    for i in range(products.shape[0]):
        row = products[i]
        unit, _, _, scale, offset = _determinants(
            row, left[i], right, left_squares[i], right_squares, weight_variance, bias_variance, 0.0, 1.0, work
        )
        unit = unit * value
        for j in range(row.size):
            p = row[j]
            c = fma(scale, p, offset) * work[1, j]
            g = sqrt(work[0, j])
            derivative = fma(weight, _angle(c, g), middle)
            row[j] = fma(fma(slope, p, constant), derivative, fma(derivative, c, weight * g) * (unit * work[2, j]))


@kernel
def _relu(products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, parameters, work):
    _bent(products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, 0.0, work)


@kernel
def _leaky_relu(products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, parameters, work):
    _bent(products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, parameters[0], work)


@kernel
def _abs(products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, parameters, work):
    _bent(products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, -1.0, work)


@kernel
def _step(products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, parameters, work):
    value, _, _ = _weights(mode, bias_variance)
    weight = value / (2.0 * pi)
    _columns(right_squares, weight_variance, bias_variance, 0.0, 1.0, work)
    for i in range(products.shape[0]):
        row = products[i]
        unit, _, _, scale, offset = _determinants(
            row, left[i], right, left_squares[i], right_squares, weight_variance, bias_variance, 0.0, 1.0, work
        )
        for j in range(row.size):
            c = fma(scale, row[j], offset) * work[1, j]
            angle = _angle(c, sqrt(work[0, j])) + pi / 2
            row[j] = weight * angle if unit * work[2, j] > 0.0 else 0.0


@kernel
def _squared_relu(
    products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, parameters, work
):
    value, slope, constant = _weights(mode, bias_variance)
    _columns(right_squares, weight_variance, bias_variance, 0.0, 1.0, work)
    for i in range(products.shape[0]):
        row = products[i]
        unit, _, scaled, scale, offset = _determinants(
            row, left[i], right, left_squares[i], right_squares, weight_variance, bias_variance, 0.0, 1.0, work
        )
        square = unit * unit * (value / (2.0 * pi))
        unit = unit * (2.0 / pi)
        for j in range(row.size):
            p = row[j]
            c = fma(scale, p, offset) * work[1, j]
            g = sqrt(work[0, j])
            angle = _angle(c, g) + pi / 2
            derivative = fma(angle, c, g) * (unit * work[2, j])
            body = fma(angle, fma(c + c, c, scaled * work[3, j]), 3.0 * g * c)
            row[j] = fma(fma(slope, p, constant), derivative, body * work[2, j] * (square * work[2, j]))


@kernel
def _gaussian(products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, parameters, work):
    value, slope, constant = _weights(mode, bias_variance)
    _columns(right_squares, weight_variance, bias_variance, 1.0, 1.0, work)
    for i in range(products.shape[0]):
        row = products[i]
        _, inverse, _, scale, offset = _determinants(
            row, left[i], right, left_squares[i], right_squares, weight_variance, bias_variance, 1.0, 1.0, work
        )
        for j in range(row.size):
            p = row[j]
            c = fma(scale, p, offset) * work[1, j]
            r = 1.0 / sqrt(work[0, j])
            k = r * inverse * work[1, j]
            row[j] = fma(fma(slope, p, constant) * k, k * (c * r), value * k)


@kernel
def _gelu(products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, parameters, work):
    value, slope, constant = _weights(mode, bias_variance)
    _columns(right_squares, weight_variance, bias_variance, 1.0, 1.0, work)
    for j in range(right_squares.size):
        s = fma(weight_variance, right_squares[j], bias_variance)
        work[4, j] = 1.0 / (1.0 + s)
        work[5, j] = s / (1.0 + s)
    for i in range(products.shape[0]):
        row = products[i]
        unit, inverse, _, scale, offset = _determinants(
            row, left[i], right, left_squares[i], right_squares, weight_variance, bias_variance, 1.0, 1.0, work
        )
        s = fma(weight_variance, left_squares[i], bias_variance)
        part, rest = s / (1.0 + s), 1.0 / (1.0 + s)
        unit = unit * value
        for j in range(row.size):
            p = row[j]
            c = fma(scale, p, offset) * work[1, j]
            g = sqrt(work[0, j])
            r = 1.0 / g
            ratio = c * r * (0.5 / pi)
            k = r * inverse * work[1, j]
            half = fma(_angle(c, g), 0.5 / pi, 0.25)
            derivative = fma(ratio, fma(k, k, rest + work[4, j]), half)
            body = fma(c, half, fma(part * work[5, j], g * (0.5 / pi), c * ratio * (rest * work[4, j])))
            row[j] = fma(fma(slope, p, constant), derivative, body * (unit * work[2, j]))


@kernel
def _erf(products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, parameters, work):
    value, slope, constant = _weights(mode, bias_variance)
    _columns(right_squares, weight_variance, bias_variance, 1.0, 2.0, work)
    for i in range(products.shape[0]):
        row = products[i]
        _, inverse, _, scale, offset = _determinants(
            row, left[i], right, left_squares[i], right_squares, weight_variance, bias_variance, 1.0, 2.0, work
        )
        for j in range(row.size):
            p = row[j]
            c = fma(scale, p, offset) * work[1, j]
            g = sqrt(work[0, j])
            derivative = (4.0 / pi) * inverse * work[1, j] / g
            row[j] = fma(fma(slope, p, constant), derivative, value * (2.0 / pi) * _angle(c, g))


@kernel
def correlations(products, left, right, left_squares, right_squares, weight_variance, bias_variance, sine):
    """Overwrite inner products with rho = c / sqrt(s1 s2) and sine with sqrt(1 - rho**2).

    Both to a few roundings, however parallel the rows; rho = 0 and sine = 1 where s1 s2 = 0.
    """
    work = np.empty((4, products.shape[1]))
    _columns(right_squares, weight_variance, bias_variance, 0.0, 1.0, work)
    for i in range(products.shape[0]):
        row, sines = products[i], sine[i]
        _, _, scaled, scale, offset = _determinants(
            row, left[i], right, left_squares[i], right_squares, weight_variance, bias_variance, 0.0, 1.0, work
        )
        for j in range(row.size):
            c = fma(scale, row[j], offset) * work[1, j]
            product = scaled * work[3, j]
            gap = work[0, j] / product
            near = copysign(sqrt(1.0 - gap) if gap < _CLOSE else 0.0, c)
            row[j] = near if gap < _CLOSE else c / sqrt(product)
            sines[j] = sqrt(gap)


CLOSED_FORMS = {
    "identity": _identity,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "abs": _abs,
    "step": _step,
    "squared_relu": _squared_relu,
    "gaussian": _gaussian,
    "gelu": _gelu,
    "erf": _erf,
}
