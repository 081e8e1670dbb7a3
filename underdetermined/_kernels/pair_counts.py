"""Sums over the pairs of samples that one neuron can see, neuron by neuron.

The pairs (sample, neuron) come as compressed rows by neuron: ``samples[indptr[r]:indptr[r + 1]]`` are the samples of neuron
r, in rising order. ``status`` holds, for each pair, 0 where the neuron is never active on the sample, 1 where it may be, 2
where it always is. P and N below are 1 where the neuron may be active and where it always is, A where z > 0. Neurons are
summed in one order, whatever rows a call is for. Checked against NumPy in ``tests/test_sparsity_tangent.py``.
"""

from math import sqrt

from ._intrinsics import kernel


@kernel
def outer_products(first, last, indptr, samples, values, sums):
    """Add v_ra v_rb A_i A_j, summed over neurons r, to rows first, ..., last - 1 of ``sums``, (n, k, n, k), where j <= i.

    values: (m, k), the last layer. A neuron with c pairs costs (c k)**2 / 2 additions.
    """
    k = values.shape[1]
    for r in range(indptr.size - 1):
        begin, end = indptr[r], indptr[r + 1]
        for p in range(begin, end):
            i = samples[p]
            if i < first or i >= last:
                continue
            for a in range(k):
                left = values[r, a]
                for b in range(k):
                    product = left * values[r, b]
                    row = sums[i, a, :, b]
                    for q in range(begin, p + 1):
                        row[samples[q]] += product


@kernel
def classify(first, last, indptr, samples, z, radius, slack, squares, speeds, status):
    """Fill ``status`` for the neurons first, ..., last - 1.

    radius: (m,), how far the path of the residual can move each neuron. slack: (m,), the rounding of z. squares: (n, n), its
    entry (i, j) the squared speed of sample i that the residual of sample j causes. speeds: (n,), the roots of its row sums.
    First all samples may push; then only those that may be active, until no pair is removed any more.
    """
    for r in range(first, last):
        begin, end = indptr[r], indptr[r + 1]
        for p in range(begin, end):
            reach = radius[r] * speeds[samples[p]] + slack[r]
            status[p] = 2 if z[p] > reach else (0 if z[p] <= -reach else 1)
        changed = True
        while changed:
            changed = False
            for p in range(begin, end):
                if status[p] != 1:
                    continue
                row = squares[samples[p]]
                total = 0.0
                for q in range(begin, end):
                    if status[q] != 0:
                        total += row[samples[q]]
                reach = radius[r] * sqrt(total) + slack[r]
                if z[p] > reach:
                    status[p] = 2
                elif z[p] <= -reach:
                    status[p] = 0
                    changed = True


@kernel
def deviations(first, last, indptr, samples, z, status, open_indptr, open_pairs, values, norms, middle, width):
    """Add to rows first, ..., last - 1 of ``middle`` and ``width`` what open masks make of ``outer_products``.

    open_pairs[open_indptr[r]:open_indptr[r + 1]] are the pairs of neuron r of status 1. norms: (m,), the |v_r|**2.
    middle: (n, k, n, k), to which v_ra v_rb ((P_i P_j + N_i N_j) / 2 - A_i A_j) is added. width: (n, n), to which
    |v_r|**2 (P_i P_j - N_i N_j) / 2 is added.
    """
    k = values.shape[1]
    for r in range(indptr.size - 1):
        begin, end = indptr[r], indptr[r + 1]
        open_begin, open_end = open_indptr[r], open_indptr[r + 1]
        if open_begin == open_end:
            continue
        for p in range(begin, end):
            i = samples[p]
            if status[p] == 0 or i < first or i >= last:
                continue
            # A pair that is settled meets only the open ones, an open one all.
            is_open = status[p] == 1
            for s in range(begin if is_open else open_begin, end if is_open else open_end):
                q = s if is_open else open_pairs[s]
                if status[q] == 0:
                    continue
                j = samples[q]
                width[i, j] += 0.5 * norms[r]
                share = -0.5 if z[p] > 0.0 and z[q] > 0.0 else 0.5
                for a in range(k):
                    left = share * values[r, a]
                    for b in range(k):
                        middle[i, a, j, b] += left * values[r, b]


@kernel
def row_blocks(first, last, indptr, samples, status, open_indptr, open_pairs, values, weights, blocks):
    """Add to ``blocks``, (n, k, k), the sum over neurons r and samples j of weights_ij (P_i P_j - N_i N_j) / 2 v_r v_r'.

    weights: (n, n). Rows first, ..., last - 1 only; the other arguments as in `deviations`.
    """
    k = values.shape[1]
    for r in range(indptr.size - 1):
        begin, end = indptr[r], indptr[r + 1]
        open_begin, open_end = open_indptr[r], open_indptr[r + 1]
        if open_begin == open_end:
            continue
        for p in range(begin, end):
            i = samples[p]
            if status[p] == 0 or i < first or i >= last:
                continue
            row = weights[i]
            is_open = status[p] == 1
            total = 0.0
            for s in range(begin if is_open else open_begin, end if is_open else open_end):
                q = s if is_open else open_pairs[s]
                if status[q] != 0:
                    total += row[samples[q]]
            for a in range(k):
                left = 0.5 * total * values[r, a]
                for b in range(k):
                    blocks[i, a, b] += left * values[r, b]
