"""Gaussian averages of a function known at the nodes of a quadrature, and their lookup in tables of Chebyshev patches.

The average of f at mean m and spread w is E f(m + w q), q ~ N(0, 1).
Checked against closed forms and NumPy in ``tests/test_expectation.py``.
"""

import numpy as np

from ._intrinsics import fma, inline, inline_sum, kernel, power_of_two

# 1 / log 2, 1.5 * 2**52, log 2 in two parts. k times the high part is subtracted exactly by fma.
_PER_LOG2, _MAGIC = 1.4426950408889634, 6755399441055744.0
_LOG2_HIGH, _LOG2_LOW = 0.6931471805599453, 2.3190468138462996e-17
_TAYLOR = tuple(1.0 / float(np.prod(np.arange(1.0, k + 1))) for k in range(13, -1, -1))
_PER_ROOT = (2 * np.pi) ** -0.5


@inline
def _exp(y):
    """exp(y) for y in [-700, 0]; what Taylor's sum leaves out is below 1e-17 of it."""
    t = fma(y, _PER_LOG2, _MAGIC)
    k = t - _MAGIC
    r = fma(-k, _LOG2_LOW, fma(-k, _LOG2_HIGH, y))
    p = _TAYLOR[0]
    for c in _TAYLOR[1:]:
        p = fma(p, r, c)
    return p * power_of_two(t)


@inline
def _bells(nodes, mean, inverse, work):
    for k in range(nodes.size):
        x = (nodes[k] - mean) * inverse
        work[k] = _exp(-0.5 * x * x)


@inline_sum
def _dot(x, y):
    total = 0.0
    for k in range(x.size):
        total += x[k] * y[k]
    return total


@kernel
def averages(nodes, weighted, means, spreads, reach, work, out):
    """out[e] = sum of weighted[k] phi(x) / spread over the nodes with x = (nodes[k] - means[e]) / spreads[e] within reach.

    nodes ascend; weighted: f at the nodes times the weights of the rule. work: as long as the nodes.
    """
    for e in range(means.size):
        mean, spread = means[e], spreads[e]
        start = np.searchsorted(nodes, mean - reach * spread)
        stop = np.searchsorted(nodes, mean + reach * spread)
        inverse = 1.0 / spread
        _bells(nodes[start:stop], mean, inverse, work[: stop - start])
        out[e] = _dot(work[: stop - start], weighted[start:stop]) * (inverse * _PER_ROOT)


@inline
def _combine(basis, coefficients, line):
    line[:] = 0.0
    for k in range(basis.size):
        b = basis[k]
        for j in range(line.size):
            line[j] = fma(b, coefficients[k, j], line[j])


@inline
def _clenshaw(x, line):
    two, high, low = 2.0 * x, 0.0, 0.0
    for j in range(line.size - 1, 0, -1):
        high, low = fma(two, high, line[j] - low), high
    return fma(x, high, line[0] - low)


@kernel
def lookup(means, spreads, least, edges, coefficients, basis, line, out):
    """out[e] = sum of coefficients[p, k, j] T_k(y) T_j(x), p the patch [edges[p], edges[p + 1]] that holds means[e].

    x runs from -1 to 1 on the patch, y as the spread goes from ``least`` to twice that. nan beyond the edges. Fastest where
    successive means share their spread and their patch. basis: (k,) scratch; line: (j,) scratch.
    """
    patch, before = -1, np.nan
    scale = shift = 0.0
    for e in range(means.size):
        mean = means[e]
        if spreads[e] != before:
            before, patch = spreads[e], -1
            y = fma(2.0, before / least, -3.0)
            basis[0], basis[1] = 1.0, y
            for k in range(2, basis.size):
                basis[k] = fma(2.0 * y, basis[k - 1], -basis[k - 2])
        if patch < 0 or not edges[patch] <= mean <= edges[patch + 1]:
            if not edges[0] <= mean <= edges[-1]:
                out[e], patch = np.nan, -1
                continue
            patch = min(max(np.searchsorted(edges, mean), 1), edges.size - 1) - 1
            _combine(basis, coefficients[patch], line)
            scale = 2.0 / (edges[patch + 1] - edges[patch])
            shift = edges[patch]
        out[e] = _clenshaw(fma(mean - shift, scale, -1.0), line)
