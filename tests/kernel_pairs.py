"""Pairs of rows on which kernels are hard to compute: nearly parallel, antipodal, coincident, tiny, huge, and plain ones."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RowPair:
    """Two rows with the scales of the weights and biases, and a word on what is hard about them."""

    kind: str
    x: np.ndarray
    z: np.ndarray
    weight_scale: float
    bias_scale: float

    def __str__(self):
        scales = f"weight_scale={self.weight_scale!r}, bias_scale={self.bias_scale!r}"
        return f"{self.kind}: x={self.x.tolist()}, z={self.z.tolist()}, {scales}"


def near(rng, x, low=-15.0, high=-1.0):
    """A row at a random small angle to x, of a similar norm."""
    distance = 10.0 ** rng.uniform(low, high) * np.linalg.norm(x) / np.sqrt(len(x))
    return rng.uniform(0.5, 2.0) * (x + distance * rng.standard_normal(len(x)))


def beside(rng, x):
    """A row at a distance between 1e-3 and 10 from x, whatever the norm of x."""
    return x + 10.0 ** rng.uniform(-3, 1) * rng.standard_normal(len(x))


def wedge(rng, x):
    """Two rows of a huge norm at a small angle, their distance well above one."""
    norm = 10.0 ** rng.uniform(2, 7)
    aside = 10.0 ** rng.uniform(0, np.log10(norm)) * rng.standard_normal(len(x))
    return norm * x, norm * x + aside


KINDS = {
    "random": lambda rng, x, z: (x, z),
    "parallel": lambda rng, x, z: (x, near(rng, x)),
    "antipodal": lambda rng, x, z: (x, -near(rng, x)),
    "correlated": lambda rng, x, z: (x, near(rng, x, -1.5, 0.0)),
    "coincident": lambda rng, x, z: (x, x.copy()),
    "opposite": lambda rng, x, z: (x, -x),
    "ray": lambda rng, x, z: (x, rng.uniform(0.1, 10.0) * x),
    "tiny": lambda rng, x, z: (1e-8 * x, 1e-8 * z),
    "tiny parallel": lambda rng, x, z: (1e-8 * x, 1e-8 * near(rng, x)),
    "huge": lambda rng, x, z: (1e6 * x, 1e6 * z),
    "huge parallel": lambda rng, x, z: (1e6 * x, 1e6 * near(rng, x)),
    "huge neighbours": lambda rng, x, z: (1e6 * x, beside(rng, 1e6 * x)),
    "huge antipodes": lambda rng, x, z: (1e6 * x, -beside(rng, 1e6 * x)),
    "tiny and huge": lambda rng, x, z: (1e-8 * x, 1e6 * z),
    "unit and huge": lambda rng, x, z: (x, 1e6 * z),
    "unit and huge, parallel": lambda rng, x, z: (x, 1e6 * near(rng, x)),
    "steep": lambda rng, x, z: (10.0 ** rng.uniform(0, 3) * x, 10.0 ** rng.uniform(0, 3) * z),
    "steep parallel": lambda rng, x, z: (100.0 * x, 100.0 * near(rng, x)),
    "steep wedge": lambda rng, x, z: wedge(rng, x),
    "orthogonal": lambda rng, x, z: (np.r_[x, 0.0 * z], np.r_[0.0 * x, z]),
    "zero": lambda rng, x, z: (x, 0.0 * z),
}


def row_pairs(rng, count, kinds=tuple(KINDS), limit=np.inf):
    """Yield pairs of all kinds in turn; no pre-activation has a standard deviation from the weights above the limit."""
    for i in range(count):
        kind = kinds[i % len(kinds)]
        d = int(rng.choice([1, 2, 3, 10, 100]))
        weight_scale = float(rng.choice([1.0, 0.3, 1.7, d**-0.5]))
        bias_scale = float(rng.choice([0.0, 0.0, 0.1, 1.3]))
        x, z = KINDS[kind](rng, *rng.standard_normal((2, d)))
        excess = max(1.0, weight_scale * max(np.linalg.norm(x), np.linalg.norm(z)) / limit)
        yield RowPair(kind, x / excess, z / excess, weight_scale, bias_scale)
