"""Residual and gradient of a network of exponentials with few inputs and one output: products too thin for the BLAS.

``step(inputs, shift, targets, sample_weight, weights, last, half, buffer, residual, slopes)`` writes
f(X) - y to ``residual``, with f = sum_r last_r exp(<w_r, x> - shift), and adds X.T (s residual * E) to ``slopes``, which is
to be multiplied by ``last``; slopes without rows are left alone. ``half`` is the number of pairs where the second half of
the neurons has minus the ``last`` of the first, and is summed by differences; else 0. The rows of ``buffer``, shape (b, m),
take the exponentials of as many samples. All arrays are C-contiguous float64. The loops over neurons are the innermost
ones and vectorise.

The exponential is that of ``exponential``, bit for bit: 2**k (1 + q), with the same reduction and coefficients. It is
written out again because a compiled function must not call one of another file.
"""

from ._intrinsics import fma, inline, inline_sum, kernel, power_of_two

_CHUNK = 512

# 1 / log 2, 1.5 * 2**52, log 2 in two parts, and the even and the odd part of p, where expm1(r) = r + r**2 p(r).
_PER_LOG2, _MAGIC, _LOG2_HIGH, _LOG2_LOW = 1.4426950408889634, 6755399441055744.0, 0.6931471805599453, 2.3190468138462996e-17
_EVEN = (2.762609281131047e-07, 2.480150514272101e-05, 0.001388888893166713, 0.041666666666576466, 0.5000000000000006)
_ODD = (2.5053771237915247e-08, 2.755740769817775e-06, 0.00019841269718699897, 0.008333333333389738, 0.16666666666666588)

# exp is 0 below minus the first entry and inf above it; powers of two that keep 2**k a normal number until the end.
_LIMIT, _SHIFT, _UP, _DOWN = 800.0, 200.0, 2.0**200, 2.0**-200
_WITHIN = 700.0


@inline
def _polynomial(x, coefficients):
    p = coefficients[0]
    for c in coefficients[1:]:
        p = fma(p, x, c)
    return p


@inline
def _reduce(y):
    """t and q with exp(y) = 2**k (1 + q), where t = k + 1.5 * 2**52."""
    t = fma(y, _PER_LOG2, _MAGIC)
    k = t - _MAGIC
    r = fma(-k, _LOG2_LOW, fma(-k, _LOG2_HIGH, y))
    square = r * r
    return t, fma(fma(_polynomial(square, _ODD), r, _polynomial(square, _EVEN)), square, r)


@inline
def _exp_within(y):
    t, q = _reduce(y)
    s = power_of_two(t)
    return fma(q, s, s)


@inline
def _exp(x):
    y = -_LIMIT if x < -_LIMIT else x
    y = _LIMIT if y > _LIMIT else y
    negative = y < 0.0
    t, q = _reduce(y)
    s = power_of_two(t + (_SHIFT if negative else -_SHIFT))
    return fma(q, s, s) * (_DOWN if negative else _UP)


@inline
def _exponentials(x, shift, weights, start, z):
    """z = exp(x @ weights[:, start:...] - shift), for one row and as many neurons as z has."""
    size, d, c = z.size, x.size, 1
    x0, w0 = x[0], weights[0, start : start + size]
    if d > 1:
        x1, w1 = x[1], weights[1, start : start + size]
        c = 2
        for j in range(size):
            z[j] = fma(x0, w0[j], fma(x1, w1[j], -shift))
    else:
        for j in range(size):
            z[j] = fma(x0, w0[j], -shift)
    while c + 1 < d:
        x0, x1 = x[c], x[c + 1]
        w0, w1 = weights[c, start : start + size], weights[c + 1, start : start + size]
        for j in range(size):
            z[j] = fma(x0, w0[j], fma(x1, w1[j], z[j]))
        c += 2
    if c < d:
        x0, w0 = x[c], weights[c, start : start + size]
        for j in range(size):
            z[j] = fma(x0, w0[j], z[j])
    within = True
    for j in range(size):
        within &= abs(z[j]) < _WITHIN
    if within:
        for j in range(size):
            z[j] = _exp_within(z[j])
    else:
        for j in range(size):
            z[j] = _exp(z[j])


@inline_sum
def _dot(left, right):
    total = 0.0
    for j in range(left.size):
        total += left[j] * right[j]
    return total


@inline_sum
def _dot_of_difference(left, minus, right):
    total = 0.0
    for j in range(left.size):
        total += (left[j] - minus[j]) * right[j]
    return total


@inline
def _add_rows(factors, inputs, tile, slopes):
    """slopes += (factors * inputs).T @ tile, four rows at a time."""
    n, size = tile.shape
    for i in range(0, n - n % 4, 4):
        e0, e1, e2, e3 = tile[i], tile[i + 1], tile[i + 2], tile[i + 3]
        f0, f1, f2, f3 = factors[i], factors[i + 1], factors[i + 2], factors[i + 3]
        for c in range(inputs.shape[1]):
            x0, x1, x2, x3 = f0 * inputs[i, c], f1 * inputs[i + 1, c], f2 * inputs[i + 2, c], f3 * inputs[i + 3, c]
            total = slopes[c]
            for j in range(size):
                total[j] = fma(x0, e0[j], fma(x1, e1[j], fma(x2, e2[j], fma(x3, e3[j], total[j]))))
    for i in range(n - n % 4, n):
        e = tile[i]
        for c in range(inputs.shape[1]):
            x, total = factors[i] * inputs[i, c], slopes[c]
            for j in range(size):
                total[j] = fma(x, e[j], total[j])


@kernel
def step(inputs, shift, targets, sample_weight, weights, last, half, buffer, residual, slopes):
    n, m = len(inputs), last.size
    wide = half if half else m
    for top in range(0, n, len(buffer)):
        height = min(len(buffer), n - top)
        for i in range(height):
            residual[top + i] = -targets[top + i]
        for first in range(0, wide, _CHUNK):
            stop = min(first + _CHUNK, wide)
            v = last[first:stop]
            for i in range(height):
                x, e = inputs[top + i], buffer[i, first:stop]
                _exponentials(x, shift[top + i], weights, first, e)
                if half:
                    mirrored = buffer[i, half + first : half + stop]
                    _exponentials(x, shift[top + i], weights, half + first, mirrored)
                    residual[top + i] += _dot_of_difference(e, mirrored, v)
                else:
                    residual[top + i] += _dot(e, v)
        if len(slopes):
            factors = sample_weight[top : top + height] * residual[top : top + height]
            for first in range(0, m, _CHUNK):
                stop = min(first + _CHUNK, m)
                rows = inputs[top : top + height]
                _add_rows(factors, rows, buffer[:height, first:stop], slopes[:, first:stop])
