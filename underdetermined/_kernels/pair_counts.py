"""Sums over the pairs of samples that one neuron can see, neuron by neuron.

The pairs (sample, neuron) come as compressed rows by neuron: ``samples[indptr[r]:indptr[r + 1]]`` are the samples of neuron
r. ``status`` holds, for each pair, 0 where the neuron is never active on the sample, 1 where it may be, 2 where it always is.
A neuron with k pairs costs k**2 additions, so that nothing here costs what an n x m array would.
Checked against NumPy in ``tests/test_sparsity_pair_counts.py``.
"""

from math import sqrt

from ._intrinsics import kernel


@kernel
def classify(first, last, indptr, samples, z, radius, slack, squares, passes, reach, status):
    """Fill ``status`` for the neurons first, ..., last - 1.

    radius: (m,), how far the path of the residual can move each neuron. slack: (m,), the rounding of z. squares: (n, n), its
    entry (i, j) the squared speed of sample i that the residual of sample j causes. reach: (nnz,) scratch, how far each z
    can move. Every pass removes the pairs out of reach, after which the others can move less.
    """
    for r in range(first, last):
        begin, end = indptr[r], indptr[r + 1]
        for p in range(begin, end):
            status[p] = 1
        for _ in range(passes):
            for p in range(begin, end):
                row = squares[samples[p]]
                total = 0.0
                for q in range(begin, end):
                    if status[q] != 0:
                        total += row[samples[q]]
                reach[p] = radius[r] * sqrt(total) + slack[r]
            changed = False
            for p in range(begin, end):
                if status[p] != 0 and z[p] <= -reach[p]:
                    status[p] = 0
                    changed = True
            if not changed:
                break
        for p in range(begin, end):
            if status[p] != 0 and z[p] > reach[p]:
                status[p] = 2


@kernel
def middles(first, last, indptr, samples, status, values, norms, middle, width):
    """Add to rows first, ..., last - 1 of ``middle`` and ``width`` what each neuron adds to the tangent matrix.

    values: (m, k), the last layer. norms: (m,), its squared row norms. middle: (n, k, n, k), to which
    v_ra v_rb (P_i P_j + N_i N_j) / 2 is added, P and N being 1 where the neuron may be active and where it always is.
    width: (n, n), to which |v_r|**2 (P_i P_j - N_i N_j) / 2 is added; it is not touched where every status is 2.
    """
    k = values.shape[1]
    for r in range(indptr.size - 1):
        begin, end = indptr[r], indptr[r + 1]
        for p in range(begin, end):
            i = samples[p]
            if status[p] == 0 or i < first or i >= last:
                continue
            for q in range(begin, end):
                if status[q] == 0:
                    continue
                j = samples[q]
                share = 1.0
                if status[p] != 2 or status[q] != 2:
                    share = 0.5
                    width[i, j] += 0.5 * norms[r]
                for a in range(k):
                    left = share * values[r, a]
                    for b in range(k):
                        middle[i, a, j, b] += left * values[r, b]


@kernel
def row_blocks(first, last, indptr, samples, status, values, weights, blocks):
    """Add to ``blocks``, (n, k, k), the sum over neurons r and samples j of weights_ij (P_i P_j - N_i N_j) / 2 v_r v_r'.

    weights: (n, n). Rows first, ..., last - 1 only. P and N as in `middles`.
    """
    k = values.shape[1]
    for r in range(indptr.size - 1):
        begin, end = indptr[r], indptr[r + 1]
        for p in range(begin, end):
            i = samples[p]
            if status[p] == 0 or i < first or i >= last:
                continue
            row = weights[i]
            total = 0.0
            for q in range(begin, end):
                if status[q] != 0 and (status[p] != 2 or status[q] != 2):
                    total += row[samples[q]]
            if total == 0.0:
                continue
            for a in range(k):
                left = 0.5 * total * values[r, a]
                for b in range(k):
                    blocks[i, a, b] += left * values[r, b]
