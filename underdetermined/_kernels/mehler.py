"""Sums of Mehler's expansion, sum_k a_k b_k r**k, entry by entry and only as long as each entry needs.

For f(n g) = sum_k a_k(n) h_k(g) in mean square and two standard Gaussians of correlation r,
E[f(n g) f(n' g')] = sum_k a_k(n) a_k(n') r**k. By Cauchy and Schwarz the terms beyond degree q add at most
|r|**(q+1) t t', where t**2 is what a_0**2 + ... + a_q**2 leaves of E f(n g)**2.
Checked against NumPy and mpmath in ``tests/test_kernels_mehler.py``.
"""

import numpy as np

from ._intrinsics import fma, kernel

CHAINS = 32  # degrees 32 m - 1 end a sum; 32 interleaved Horner chains keep the processor busy


@kernel
def series(correlations, rows, columns, coefficients, tails, tolerance, work):
    """Overwrite correlations[e] with the sum for the rows of ``coefficients`` that rows[e] and columns[e] name.

    coefficients: (n, m, CHAINS). tails: (n, m), t after 1, 2, ..., m blocks of terms. work: (CHAINS,) scratch.
    An entry for which no degree brings the bound under the tolerance becomes nan.
    """
    blocks, chains = tails.shape[1], work.size
    for e in range(correlations.size):
        r = correlations[e]
        i, j = rows[e], columns[e]
        step = r * r
        step *= step
        step *= step
        step *= step
        step *= step  # r**32 = r**CHAINS
        count, power = 0, abs(step)
        while count < blocks and not power * (tails[i, count] * tails[j, count]) <= tolerance:
            count += 1
            power *= abs(step)
        if count == blocks:
            correlations[e] = np.nan
            continue
        left, right = coefficients[i, count], coefficients[j, count]
        for k in range(chains):
            work[k] = left[k] * right[k]
        for block in range(count - 1, -1, -1):
            left, right = coefficients[i, block], coefficients[j, block]
            for k in range(chains):
                work[k] = fma(work[k], step, left[k] * right[k])
        two = r * r
        four = two * two
        eight = four * four
        sixteen = eight * eight
        for k in range(16):
            work[k] = fma(work[k + 16], sixteen, work[k])
        for k in range(8):
            work[k] = fma(work[k + 8], eight, work[k])
        for k in range(4):
            work[k] = fma(work[k + 4], four, work[k])
        low = fma(work[2], two, work[0])
        high = fma(work[3], two, work[1])
        correlations[e] = fma(high, r, low)
