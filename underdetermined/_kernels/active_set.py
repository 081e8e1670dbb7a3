"""Loops over active pairs (neuron, sample): lists, forward sums, and gradient steps fused with the forward sum that follows.

Neurons come in blocks. ``weights`` is (b, d), a row for each neuron, ``last`` (b, k) the v_r, and the list of neuron r is
``samples[start[r] : start[r] + count[r]]`` in increasing order, with its pre-activations at the same places of ``z``.
Outputs are added to ``out`` (n, k). Samples number up to n, kept as int32.

Sums run in any order, so that they vectorise; nan and inf stay what they are. Every step gathers the rows of the active
samples, changes one neuron and takes its new pre-activations at once, while rows and weights are in the cache. Checked
against whole arrays in ``tests/test_active_sets.py``.
"""

from math import sqrt

import numpy as np
from numba import njit

from ._intrinsics import kernel

_sums = njit(inline="never", fastmath={"reassoc", "contract"}, nogil=True, error_model="numpy")


# Pairs of a row that are looked at together.
_CHUNK = 16


@_sums
def _dots(rows, samples, first, last, weights, bias, z):
    """z[p] = <rows[samples[p]], weights> + bias for first <= p < last; four rows share each load of the weights."""
    d = weights.size
    p = first
    while p + 4 <= last:
        x0, x1, x2, x3 = rows[samples[p]], rows[samples[p + 1]], rows[samples[p + 2]], rows[samples[p + 3]]
        s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
        for t in range(d):
            w = weights[t]
            s0 += x0[t] * w
            s1 += x1[t] * w
            s2 += x2[t] * w
            s3 += x3[t] * w
        z[p], z[p + 1], z[p + 2], z[p + 3] = s0 + bias, s1 + bias, s2 + bias, s3 + bias
        p += 4
    while p < last:
        x0 = rows[samples[p]]
        s0 = 0.0
        for t in range(d):
            s0 += x0[t] * weights[t]
        z[p] = s0 + bias
        p += 1


@_sums
def _combine(rows, samples, factors, size, total):
    """total = sum_p factors[p] rows[samples[p]] over the first ``size`` places."""
    d = total.size
    for t in range(d):
        total[t] = 0.0
    p = 0
    while p + 4 <= size:
        x0, x1, x2, x3 = rows[samples[p]], rows[samples[p + 1]], rows[samples[p + 2]], rows[samples[p + 3]]
        c0, c1, c2, c3 = factors[p], factors[p + 1], factors[p + 2], factors[p + 3]
        for t in range(d):
            total[t] += (c0 * x0[t] + c1 * x1[t]) + (c2 * x2[t] + c3 * x3[t])
        p += 4
    while p < size:
        x0, c0 = rows[samples[p]], factors[p]
        for t in range(d):
            total[t] += c0 * x0[t]
        p += 1


@_sums
def _square(vector):
    total = 0.0
    for t in range(vector.size):
        total += vector[t] * vector[t]
    return total


@_sums
def _path(square, factors, scales, samples, first, size):
    """Length of a step from its square c.T G c, or where that cancels or leaves the range, a bound: sum |c| |(x, sigma)|."""
    terms, bound = 0.0, 0.0
    for p in range(size):
        term = abs(factors[p]) * scales[samples[first + p]]
        terms += term * term
        bound += term
    return sqrt(square) if square > 1e-6 * size * terms and square > 1e-200 else bound


@_sums
def _length(vector, extra):
    """Euclidean norm of the vector and one more entry, also where squares would leave the range."""
    square = _square(vector) + extra * extra
    if 1e-200 < square < 1e200:
        return sqrt(square)
    largest = abs(extra)
    for t in range(vector.size):
        if not abs(vector[t]) <= largest:
            largest = abs(vector[t])
    if not 0.0 < largest < np.inf:
        return largest
    square = (extra / largest) ** 2
    for t in range(vector.size):
        square += (vector[t] / largest) ** 2
    return largest * sqrt(square)


# One output is by far the most common case, and a loop of one turn costs as much as the rest of its body.


@_sums
def _select(samples, first, last, z, last_layer, residual, chosen, factors):
    """Samples of the list with z > 0 and their <v_r, residual>; returns how many and the sum of the factors."""
    size, total = 0, 0.0
    if last_layer.size == 1:
        v = last_layer[0]
        for p in range(first, last):
            i = samples[p]
            chosen[size] = i
            factors[size] = v * residual[i, 0]
            size += z[p] > 0.0
        for p in range(size):
            total += factors[p]
        return size, total
    for p in range(first, last):
        if z[p] > 0.0:
            i = samples[p]
            c = 0.0
            for a in range(last_layer.size):
                c += last_layer[a] * residual[i, a]
            chosen[size] = i
            factors[size] = c
            total += c
            size += 1
    return size, total


@_sums
def _add_outputs(samples, first, last, z, last_layer, out):
    """Add v_r z to the outputs of active samples; returns how many there are. A nan is no number to skip: it spreads."""
    active = 0
    if last_layer.size == 1:
        v = last_layer[0]
        for p in range(first, last):
            value = z[p]
            if not value <= 0.0:
                out[samples[p], 0] += v * value
            active += value > 0.0
        return active
    for p in range(first, last):
        value = z[p]
        if not value <= 0.0:
            for a in range(last_layer.size):
                out[samples[p], a] += last_layer[a] * value
        active += value > 0.0
    return active


@kernel
def step(
    rows, bias_scale, before, biases_before, weights, biases, last, residual, rate, live, start, count, samples, z, horizon,
    skin, used, speed, path, out, chosen, factors, total, stale,
):  # fmt: skip
    """One gradient step of the live neurons from the weights ``before`` to ``weights``, and their outputs after it.

    ``residual`` is weighted by the samples. A neuron whose path since its last refresh exceeds its skin, or would after
    ``horizon`` more steps like this one, gets no outputs: it is named in ``stale``. ``chosen``, ``factors`` (n,) and
    ``total`` (d,) are scratch. Returns the numbers of stale neurons, of dead ones, of active pairs, and of pairs visited.
    """
    stales, dead, actives, visited = 0, 0, 0, 0
    for q in range(live.size):
        r = live[q]
        first, end = start[r], start[r] + count[r]
        size, sum_of_factors = _select(samples, first, end, z, last[r], residual, chosen, factors)
        _combine(rows, chosen, factors, size, total)
        length = _length(total, bias_scale * sum_of_factors)
        w, w_before = weights[r], before[r]
        for t in range(total.size):
            w[t] = w_before[t] - rate * total[t]
        biases[r] = biases_before[r] - rate * bias_scale * bias_scale * sum_of_factors
        speed[r] = rate * length
        path[r] += speed[r]
        used[r] += speed[r]
        if not used[r] + horizon * speed[r] <= skin[r]:
            stale[stales] = r
            stales += 1
            continue
        _dots(rows, samples, first, end, w, biases[r], z)
        active = _add_outputs(samples, first, end, z, last[r], out)
        dead += active == 0
        actives += active
        visited += end - first
    return stales, dead, actives, visited


@kernel
def step_gram(
    rows, bias_scale, scales, last, residual, rate, live, start, count, samples, z, limit, gram_start, gram, coefficients,
    before, horizon, skin, used, speed, path, out, chosen, factors, work, total, stale,
):  # fmt: skip
    """As ``step``, but the pre-activations of a list change by the Gram matrix G of its rows (x, sigma); the weights wait.

    For a list of up to ``limit`` rows G is stored, that of neuron r as gram[gram_start[r] + p count[r] + q]; for a longer
    one products with the rows themselves cost less. Weights are those of the last refresh minus the sum of coefficients
    times rows; ``before`` gets the coefficients before the step. ``work`` (n,) and ``total`` (d,) are scratch.
    """
    stales, dead, actives, visited = 0, 0, 0, 0
    outputs = last.shape[1]
    for j in range(live.size):
        r = live[j]
        first, size, base = start[r], count[r], gram_start[r]
        chosen_size, sum_of_factors = 0, 0.0
        for p in range(size):
            before[first + p] = coefficients[first + p]
            c = 0.0
            if z[first + p] > 0.0:
                i = samples[first + p]
                if outputs == 1:
                    c = rate * (last[r, 0] * residual[i, 0])
                else:
                    for a in range(outputs):
                        c += last[r, a] * residual[i, a]
                    c *= rate
                coefficients[first + p] += c
            factors[p] = c
        if size <= limit:
            for q in range(size):
                work[q] = 0.0
            for p in range(size):
                c = factors[p]
                if c != 0.0:
                    row = base + p * size
                    for q in range(size):
                        work[q] += c * gram[row + q]
        else:
            for p in range(size):
                chosen[chosen_size] = samples[first + p]
                work[chosen_size] = factors[p]
                sum_of_factors += factors[p]
                chosen_size += factors[p] != 0.0
            _combine(rows, chosen, work, chosen_size, total)
            _dots(rows, samples[first:], 0, size, total, bias_scale * bias_scale * sum_of_factors, work)
        square = 0.0
        for p in range(size):
            square += factors[p] * work[p]
            z[first + p] -= work[p]
        speed[r] = _path(square, factors, scales, samples, first, size)
        path[r] += speed[r]
        used[r] += speed[r]
        if not used[r] + horizon * speed[r] <= skin[r]:
            stale[stales] = r
            stales += 1
            continue
        active = _add_outputs(samples, first, first + size, z, last[r], out)
        dead += active == 0
        actives += active
        visited += size
    return stales, dead, actives, visited


@kernel
def fill_gram(rows, bias_scale, neurons, start, count, samples, limit, gram_start, gram, coefficients):
    """Gram matrices of those lists of some neurons that are no longer than ``limit``, and coefficients of zero."""
    for j in range(neurons.size):
        r = neurons[j]
        first, size, base = start[r], count[r], gram_start[r]
        for p in range(size):
            coefficients[first + p] = 0.0
            if size > limit:
                continue
            _dots(rows, samples[first:], p, size, rows[samples[first + p]], bias_scale * bias_scale, gram[base + p * size :])
            for q in range(p):
                gram[base + p * size + q] = gram[base + q * size + p]


@kernel
def add_rows(rows, bias_scale, neurons, start, count, samples, coefficients, weights, biases, total):
    """Subtract from weights[j] and biases[j] what the coefficients of neuron neurons[j] stand for."""
    for j in range(neurons.size):
        r = neurons[j]
        first, size = start[r], count[r]
        _combine(rows, samples[first:], coefficients[first:], size, total)
        for t in range(total.size):
            weights[j, t] -= total[t]
        change = 0.0
        for p in range(first, first + size):
            change += coefficients[p]
        biases[j] -= bias_scale * bias_scale * change


@_sums
def _any_above(products, first, last, scales, a, b):
    hits = 0
    if last - first == _CHUNK:
        for i in range(_CHUNK):  # a number of turns that the compiler knows
            hits += not products[first + i] + b * scales[first + i] <= a
    else:
        hits = 1
    return hits > 0


@kernel
def collect(products, biases, thresholds, scales, count, samples, z):
    """Pairs with products[q, i] + biases[q] > -(thresholds[0, q] + thresholds[1, q] scales[i]), row by row, nan included.

    Writes count[q], and one after the other the samples and the sums products + biases; returns how many.
    """
    p, n = 0, products.shape[1]
    for q in range(products.shape[0]):
        row, a, b, before = products[q], -thresholds[0, q] - biases[q], thresholds[1, q], p
        for first in range(0, n, _CHUNK):
            last = min(first + _CHUNK, n)
            # Most chunks have no such pair, and to know that is faster than to look at each of their pairs.
            if _any_above(row, first, last, scales, a, b):
                for i in range(first, last):
                    samples[p] = i
                    z[p] = row[i] + biases[q]
                    p += not row[i] + b * scales[i] <= a
        count[q] = p - before
    return p


@kernel
def place(found_samples, found_z, neurons, start, count, samples, z, last, out):
    """Copy what ``collect`` found to the lists of the neurons, and add their outputs; returns the active pairs."""
    actives, p = 0, 0
    for q in range(neurons.size):
        r = neurons[q]
        first = start[r]
        for e in range(first, first + count[r]):
            samples[e] = found_samples[p]
            z[e] = found_z[p]
            p += 1
        actives += _add_outputs(samples, first, first + count[r], z, last[r], out)
    return actives


@kernel
def trim(neurons, thresholds, scales, start, count, samples, z):
    """Keep the pairs of the lists of some neurons with z > -(thresholds[0, q] + thresholds[1, q] scale of the sample)."""
    for q in range(neurons.size):
        r, a, b = neurons[q], thresholds[0, q], thresholds[1, q]
        p = start[r]
        for e in range(start[r], start[r] + count[r]):
            if not z[e] <= -(a + b * scales[samples[e]]):
                samples[p], z[p] = samples[e], z[e]
                p += 1
        count[r] = p - start[r]


@kernel
def move(old_start, size, old_values, start, values):
    """Copy the first size[r] values of every neuron to their new place."""
    for r in range(size.size):
        a, b = old_start[r], start[r]
        for p in range(size[r]):
            values[b + p] = old_values[a + p]


@kernel
def find_live(live, start, count, z, found):
    """Write the neurons of ``live`` that are active somewhere to ``found``; returns how many."""
    size = 0
    for q in range(live.size):
        r = live[q]
        for p in range(start[r], start[r] + count[r]):
            if not z[p] <= 0.0:
                found[size] = r
                size += 1
                break
    return size


@kernel
def tangent_product(rows, bias_scale, last, indptr, samples, first, vector, out, total):
    """Add sum_r v_r A_r X~ X~.T A_r v_r.T times ``vector`` to ``out``, over the neurons of a block that starts at ``first``.

    ``vector`` and ``out`` are (n, k); the lists hold active pairs only.
    """
    chosen = np.empty(rows.shape[0], np.int32)
    factors = np.empty(rows.shape[0])
    for q in range(last.shape[0]):
        low, high = indptr[first + q], indptr[first + q + 1]
        size, bias = 0, 0.0
        for p in range(low, high):
            i = samples[p]
            c = 0.0
            for a in range(last.shape[1]):
                c += last[q, a] * vector[i, a]
            chosen[size] = i
            factors[size] = c
            bias += c
            size += 1
        _combine(rows, chosen, factors, size, total)
        _dots(rows, chosen, 0, size, total, bias_scale * bias_scale * bias, factors)
        for p in range(size):
            for a in range(last.shape[1]):
                out[chosen[p], a] += last[q, a] * factors[p]
