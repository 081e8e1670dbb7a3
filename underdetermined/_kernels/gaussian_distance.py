"""Gaussian expectations of products in closed form, through a distance: exp, sin, cos, sin_cos = sin + cos.

Arguments and results as in ``_kernels/gaussian.py``; ``work`` has WORK_ROWS rows.
"""

from math import copysign, exp, expm1, log

from ._intrinsics import fma, inline, kernel

WORK_ROWS = 1


@inline
def _weights(mode, bias_variance):
    """a, b, c of the result a K + (b <x, z> + c) K'."""
    if mode == 0:
        return 1.0, 0.0, 0.0
    if mode == 1:
        return 1.0, 1.0, 1.0 if bias_variance > 0.0 else 0.0
    return 0.0, 0.0, 1.0


@inline
def _limit(s):
    # Rounding in s1 + s2 - 2 c, relative to s1 + s2, is damped by exp(-distance / 2); the last term is that rounding.
    return fma(s, 1e-12, 3.0 * log(0.5 * s)) if s > 2.0 else 0.0


@inline
def _distance(x, z, sign, weight_variance, bias_variance):
    """|u - sign v|**2 for the augmented u = (w x, b), v = (w z, b), from the inputs."""
    total = 0.0
    for i in range(x.size):
        y = fma(-sign, z[i], x[i])
        total = fma(y, y, total)
    return fma(weight_variance, total, 2.0 * (1.0 - sign) * bias_variance)


@kernel
def _exp(
    products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, parameters, work
):
    value, slope, constant = _weights(mode, bias_variance)
    for i in range(products.shape[0]):
        row = products[i]
        for j in range(row.size):
            p = row[j]
            half = 0.5 * weight_variance * (left_squares[i] + right_squares[j])
            exponent = fma(weight_variance, p, half + 2.0 * bias_variance)
            row[j] = exp(exponent) * (value + fma(slope, p, constant))


@kernel
def _sin_cos(
    products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, parameters, work
):
    value, slope, constant = _weights(mode, bias_variance)
    for i in range(products.shape[0]):
        row = products[i]
        limit = _limit(weight_variance * left_squares[i])
        for j in range(row.size):
            p = row[j]
            square = weight_variance * fma(-2.0, p, left_squares[i] + right_squares[j])
            if square < limit:
                square = _distance(left[i], right[j], 1.0, weight_variance, bias_variance)
            row[j] = exp(-0.5 * square) * (value + fma(slope, p, constant))


@inline
def _wave(
    products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, odd, work
):
    value, slope, constant = _weights(mode, bias_variance)
    for i in range(products.shape[0]):
        row = products[i]
        s1 = fma(weight_variance, left_squares[i], bias_variance)
        limit = _limit(s1)
        for j in range(row.size):
            p = row[j]
            c = fma(weight_variance, p, bias_variance)
            s2 = fma(weight_variance, right_squares[j], bias_variance)
            square = fma(-2.0, abs(c), s1 + s2)
            if square < limit:
                square = _distance(left[i], right[j], copysign(1.0, c), weight_variance, bias_variance)
            e = 0.5 * exp(-0.5 * square)
            minus = expm1(-2.0 * abs(c))
            sine, cosine = copysign(e * minus, c), e * (2.0 + minus)
            k, derivative = (sine, cosine) if odd else (cosine, sine)
            row[j] = fma(fma(slope, p, constant), derivative, value * k)


@kernel
def _sin(
    products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, parameters, work
):
    _wave(products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, True, work)


@kernel
def _cos(
    products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, parameters, work
):
    _wave(products, left, right, left_squares, right_squares, weight_variance, bias_variance, mode, False, work)


CLOSED_FORMS = {"exp": _exp, "sin": _sin, "cos": _cos, "sin_cos": _sin_cos}
