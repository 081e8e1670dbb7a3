"""Random rows with known ties, and two independent ranks: of many neurons in float64, of a few in 60 digits."""

import mpmath
import numpy as np
from catalogue import DEFINITIONS

DIGITS = 60
RADII = (1.0, 1.5, 2.0, 3.0)


def random_rows(rng, d):
    """Few rows with duplicates, rays, antipodal pairs and zero rows, all of them exact in a few bits."""
    n_lines = 1 if d == 1 else int(rng.integers(1, 6))
    basis = rng.integers(-8, 9, size=(d, d))
    # Half of the time the lines lie in a plane, so that more pairs than dimensions occur in every d.
    spanning = basis[: 2 if rng.random() < 0.5 else d]
    rows = []
    for _ in range(n_lines):
        direction = rng.integers(-3, 4, size=len(spanning)) @ spanning / 8.0
        n_rows = int(rng.integers(1, 3 if n_lines > 2 else 5))
        radii = rng.choice(RADII, size=n_rows) * rng.choice([1.0, -1.0], size=n_rows)
        rows += [radius * direction for radius in radii]
        rows += [-rows[-1]] * int(rng.random() < 0.6)
    rows += [rows[int(rng.integers(len(rows)))]] * int(rng.integers(0, 3))
    rows += [np.zeros(d)] * int(rng.integers(0, 3) * (rng.random() < 0.5))
    return np.array(rows)[rng.permutation(len(rows))]


def feature_matrix(X, activation, rng, width=4000, biases=False):
    """Features of many neurons of very different sizes, brought to rows and columns of one size."""
    reach = np.linalg.norm(X, axis=1).max(initial=0.0) or 1.0
    scale = 2.0 ** rng.uniform(-3.0, 3.0, width) / reach
    weights = rng.standard_normal((X.shape[1], width)) * scale
    values = activation.value(X @ weights + biases * rng.standard_normal(width) * 2.0 ** rng.uniform(-2.0, 2.0, width))
    for axis in (0, 1, 0, 1):
        size = np.abs(values).max(axis=axis, keepdims=True)
        values = values / np.where(size > 0.0, size, 1.0)
    return values


def singular_values(features):
    """Singular values relative to the largest."""
    singular = np.linalg.svd(features, compute_uv=False)
    return singular / max(singular.max(initial=0.0), np.finfo(float).tiny)


def definition(activation):
    """The activation in exact terms."""
    return {
        "leaky_relu": lambda t: max(t, 0) + mpmath.mpf(activation.parameters[0]) * min(t, 0),
        "shifted_relu": lambda t: max(t + mpmath.mpf(activation.parameters[0]), 0),
        "hermite": lambda t: _hermite_sum(activation.parameters, t),
    }.get(activation.name, DEFINITIONS[activation.name])


def exact_features(X, activation, rng, width, *, biases=False):
    """Features of random neurons in 60 digits, as a list of rows."""
    with mpmath.workdps(DIGITS):
        function = definition(activation)
        reach = max(np.linalg.norm(X, axis=1).max(initial=0.0), 1e-300)
        weights = rng.standard_normal((X.shape[1], width)) * 2.0 ** rng.uniform(-1.5, 3.0, width) / reach
        shifts = biases * rng.standard_normal(width)
        inputs = [[mpmath.mpf(value) for value in row] for row in X.tolist()]
        columns = [
            [function(mpmath.fdot(row, w) + mpmath.mpf(b)) for row in inputs]
            for w, b in zip(weights.T.tolist(), shifts.tolist(), strict=True)
        ]
        return [list(row) for row in zip(*columns, strict=True)]


def exact_rank(rows, tolerance=1e-40):
    """Rank by elimination with complete pivoting in 60 digits, and the ratio of the last pivot to the next one."""
    with mpmath.workdps(DIGITS):
        matrix = [list(row) for row in rows]
        for row in matrix:
            size = max(map(abs, row)) or mpmath.mpf(1)
            row[:] = [value / size for value in row]
        pivots = []
        while matrix:
            r, c = max(
                ((r, c) for r in range(len(matrix)) for c in range(len(matrix[0]))), key=lambda p: abs(matrix[p[0]][p[1]])
            )
            head = matrix.pop(r)
            pivots.append(abs(head[c]))
            if not head[c] or pivots[-1] < tolerance * pivots[0]:
                break
            for row in matrix:
                factor = row[c] / head[c]
                row[:] = [a - factor * b for a, b in zip(row, head, strict=True)]
        first = pivots[0] or mpmath.mpf(1)
        relative = [float(pivot / first) for pivot in pivots] + [0.0]
        rank = sum(value > tolerance for value in relative)
        return rank, relative[rank - 1] if rank else 1.0, relative[rank]


def _hermite_sum(coefficients, t):
    previous, current, total = mpmath.mpf(0), mpmath.mpf(1), mpmath.mpf(0)
    for k, coefficient in enumerate(coefficients):
        total += mpmath.mpf(coefficient) * current
        previous, current = current, (t * current - mpmath.sqrt(k) * previous) / mpmath.sqrt(k + 1)
    return total
