"""Which pairs of a tile are active, one bit each, and the factors that a mask leaves.

Checked against whole arrays in ``tests/test_active_sets.py``.
"""

from ._intrinsics import kernel


@kernel
def pack_signs(values, bits):
    """Bit i of row q is values[q, i] > 0; ``bits`` is uint8 of shape (b, ceil(n / 8)). Returns the number of ones."""
    ones = 0
    for q in range(values.shape[0]):
        for j in range(bits.shape[1]):
            byte = 0
            for i in range(8 * j, min(8 * j + 8, values.shape[1])):
                byte |= (values[q, i] > 0.0) << (i - 8 * j)
                ones += values[q, i] > 0.0
            bits[q, j] = byte
    return ones


@kernel
def masked_factors(bits, last, residual, factors):
    """factors[q, i] = <last[q], residual[i]> where bit i of row q is set, else 0."""
    n = factors.shape[1]
    for q in range(factors.shape[0]):
        row = factors[q]
        for j in range(bits.shape[1]):
            byte = bits[q, j]
            for i in range(8 * j, min(8 * j + 8, n)):
                if last.shape[1] == 1:
                    c = last[q, 0] * residual[i, 0]
                else:
                    c = 0.0
                    for a in range(last.shape[1]):
                        c += last[q, a] * residual[i, a]
                row[i] = c if byte >> (i - 8 * j) & 1 else 0.0
