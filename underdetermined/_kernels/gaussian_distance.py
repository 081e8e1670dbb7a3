"""Gaussian expectations of products in closed form, through a distance.

Arguments and results are those of ``gaussian``. With s1, s2 and c the variances and the covariance, u = (w x, b) and
v = (w z, b) the inputs with the bias as one more coordinate, w**2 and b**2 the two variances,
r = |u - v|**2 = s1 + s2 - 2 c and r± = s1 + s2 - 2 |c|, the smaller of |u - v|**2 and |u + v|**2:

=======  ====================================  ====================================
name     K                                     K'
=======  ====================================  ====================================
exp      exp((s1 + s2) / 2 + c)                the same
sin_cos  exp(-r / 2)                           the same
sin      sign(c) exp(-r± / 2) (1 - e) / 2      exp(-r± / 2) (1 + e) / 2
cos      exp(-r± / 2) (1 + e) / 2              sign(c) exp(-r± / 2) (1 - e) / 2
=======  ====================================  ====================================

where e = exp(-2 |c|), so that nothing overflows and nothing cancels. Rounding in r, relative to s1 + s2, is an error of
exp(-r / 2) that is damped where r is large. So r is taken from the differences of the inputs where it is small against
s1 + s2, which is true of few pairs unless the rows are short, and those lose nothing. For exp, the rounding of
(s1 + s2) / 2 stays: an error of a few eps (s1 + s2), with s1 + s2 below 710 unless the result overflows.
"""

from math import copysign, log

from ._intrinsics import fma, inline, inline_sum, kernel, power_of_two

WORK_ROWS = 1

# 1 / log 2, 1.5 * 2**52, log 2 in two parts; (expm1(r) - r) / r**2, even and odd part in powers of r**2, for
# |r| <= log(2) / 2, as in ``exponential``.
_REDUCTION = (1.4426950408889634, 6755399441055744.0, 0.6931471805599453, 2.3190468138462996e-17)
_EXP = (
    (2.762609281131047e-07, 2.480150514272101e-05, 0.001388888893166713, 0.041666666666576466, 0.5000000000000006),
    (2.5053771237915247e-08, 2.755740769817775e-06, 0.00019841269718699897, 0.008333333333389738, 0.16666666666666588),
)
_LIMIT = 700.0  # exp of anything between minus this and this is a normal number
_FAR = 800.0


@inline
def _polynomial(x, coefficients):
    p = coefficients[0]
    for c in coefficients[1:]:
        p = fma(p, x, c)
    return p


@inline
def _reduce(y):
    """t and q with exp(y) = 2**k (1 + q), where t = k + 1.5 * 2**52."""
    per_log2, magic, log2_high, log2_low = _REDUCTION
    even, odd = _EXP
    t = fma(y, per_log2, magic)
    k = t - magic
    r = fma(-k, log2_low, fma(-k, log2_high, y))
    square = r * r
    return t, fma(fma(_polynomial(square, odd), r, _polynomial(square, even)), square, r)


@inline
def _decay(y):
    """exp(y) for y <= 0, with 0 instead of what would be less than 1e-304."""
    t, q = _reduce(-_LIMIT if y < -_LIMIT else y)
    s = power_of_two(t)
    return 0.0 if y < -_LIMIT else fma(q, s, s)


@inline
def _minus_expm1(y):
    """1 - exp(y) for y <= 0."""
    t, q = _reduce(-_LIMIT if y < -_LIMIT else y)
    s = power_of_two(t)
    return fma(-q, s, 1.0 - s)


@inline
def _growth(y):
    """exp(y) for y >= 0, or a little less."""
    t, q = _reduce(_FAR if y > _FAR else y)
    s = power_of_two(t - 200.0)
    return fma(q, s, s) * 2.0**200


@inline
def _weights(mode, bias_variance):
    """a, b, c of the result a K + (b <x, z> + c) K'."""
    if mode == 0:
        return 1.0, 0.0, 0.0
    if mode == 1:
        return 1.0, 1.0, 1.0 if bias_variance > 0.0 else 0.0
    return 0.0, 0.0, 1.0


@inline
def _sign(p, weight_variance, bias_variance, both):
    return copysign(1.0, fma(weight_variance, p, bias_variance)) if both else 1.0


@inline_sum
def _square_of_difference(x, z, sign):
    total = 0.0
    for i in range(x.size):
        y = fma(-sign, z[i], x[i])
        total += y * y
    return total


@inline
def _distances(row, x, right, x_square, right_squares, weight_variance, bias_variance, both, distances):
    """Squared distance from u to v, or to the nearer of v and -v, from one row of inner products."""
    s = weight_variance * x_square
    # Below this, exp(-r / 2) eps (s1 + s2) could exceed a few eps; the first term is the rounding of r itself.
    limit = fma(1e-12, s, 3.0 * log(0.5 * s)) if s > 2.0 else -1.0
    found = False
    for j in range(row.size):
        sign = _sign(row[j], weight_variance, bias_variance, both)
        square = fma(-2.0 * sign, row[j], x_square + right_squares[j])
        square = fma(weight_variance, square, 2.0 * (1.0 - sign) * bias_variance)
        distances[j] = square
        found |= square < limit
    if found:
        for j in range(row.size):
            if distances[j] < limit:
                sign = _sign(row[j], weight_variance, bias_variance, both)
                square = _square_of_difference(x, right[j], sign)
                distances[j] = fma(weight_variance, square, 2.0 * (1.0 - sign) * bias_variance)


@kernel
def _exp(products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, parameters, work):
    value, slope, constant = _weights(mode, bias_variance)
    value = value + constant
    for i in range(products.shape[0]):
        row = products[i]
        square = left_squares[i]
        for j in range(row.size):
            p = row[j]
            exponent = fma(weight_variance, fma(0.5, square + right_squares[j], p), bias_variance + bias_variance)
            row[j] = _growth(exponent) * fma(slope, p, value)


@kernel
def _sin_cos(products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, parameters, work):
    value, slope, constant = _weights(mode, bias_variance)
    value = value + constant
    distances = work[0]
    for i in range(products.shape[0]):
        row = products[i]
        _distances(row, left[i], right, left_squares[i], right_squares, weight_variance, bias_variance, False, distances)
        for j in range(row.size):
            row[j] = _decay(-0.5 * distances[j]) * fma(slope, row[j], value)


@inline
def _wave(products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, is_sine, work):
    value, slope, constant = _weights(mode, bias_variance)
    distances = work[0]
    for i in range(products.shape[0]):
        row = products[i]
        _distances(row, left[i], right, left_squares[i], right_squares, weight_variance, bias_variance, True, distances)
        for j in range(row.size):
            p = row[j]
            c = fma(weight_variance, p, bias_variance)
            half = 0.5 * _decay(-0.5 * distances[j])
            rest = _minus_expm1(-2.0 * abs(c))
            odd, even = copysign(half * rest, c), half * (2.0 - rest)
            tangent = fma(slope, p, constant)
            row[j] = fma(tangent, even, value * odd) if is_sine else fma(tangent, odd, value * even)


@kernel
def _sin(products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, parameters, work):
    _wave(products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, True, work)


@kernel
def _cos(products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, parameters, work):
    _wave(products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, False, work)


CLOSED_FORMS = {"exp": _exp, "sin": _sin, "cos": _cos, "sin_cos": _sin_cos}
