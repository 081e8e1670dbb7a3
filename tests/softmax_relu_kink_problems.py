"""Problems whose minimisers sit on kinks, hard ones among them, and a search for lower points nearby."""

import numpy as np

from underdetermined.objectives import SoftmaxReLU

# Hidden units, outputs, parameters and penalty of the five shapes of the theory.
SHAPES = ((5, 4, 2, 1e-3), (10, 5, 3, 1e-2), (20, 10, 10, 1e-3), (30, 20, 5, 1e-2), (10, 10, 30, 1e-3))


def plain(rng, n, m, d, reg, **options):
    """Gaussian matrices, a target from the simplex."""
    A1, A2, b = rng.standard_normal((n, d)), rng.standard_normal((m, n)), rng.dirichlet(np.ones(m))
    return SoftmaxReLU(A1, A2, b, reg=reg, **options)


def shape(rng, index, **options):
    """One of the five shapes."""
    return plain(rng, *SHAPES[index % len(SHAPES)], **options)


def with_weights(rng, index):
    """A penalty on the pre-activations, alone or beside the other one."""
    n, m, d, _ = SHAPES[index % 4]
    weights = rng.uniform(0.01, 0.3, n) if index % 2 else 0.05
    return plain(rng, n, m, d, 1e-3 * (index % 3), weights=weights, loss=("squared", "kl")[index % 2])


def repeated(rng, index):
    """Rows that are repeated, stretched and turned round."""
    n, m, d, reg = SHAPES[index % 4]
    base = rng.standard_normal((max(n // 2, 2), d))
    signs = rng.choice((1.0, -1.0), n) if index % 2 else np.ones(n)
    stretch = np.exp2(rng.integers(-2, 3, n)) if index % 3 else np.ones(n)
    rows = base[rng.integers(0, len(base), n)] * (signs * stretch)[:, np.newaxis]
    loss = ("squared", "kl")[index // 2 % 2]
    return SoftmaxReLU(rows, rng.standard_normal((m, n)), rng.dirichlet(np.ones(m)), reg=reg, loss=loss)


def nearly_repeated(rng, index):
    """Rows that differ in the third to the fourteenth digit."""
    n, m, d, reg = SHAPES[index % 4]
    base = rng.standard_normal((max(n // 2, 2), d))
    noise = 10.0 ** -rng.uniform(3.0, 14.0) * rng.standard_normal((n, d))
    rows = base[rng.integers(0, len(base), n)] + noise
    return SoftmaxReLU(rows, rng.standard_normal((m, n)), rng.dirichlet(np.ones(m)), reg=reg)


def two_outputs(rng, index):
    """Two outputs."""
    n, _, d, reg = SHAPES[index % 5]
    return plain(rng, n, 2, d, reg, loss=("squared", "kl")[index // 5 % 2])


def any_penalty(rng, index):
    """Penalties from 1e-6 to 1."""
    n, m, d, _ = SHAPES[index % 5]
    return plain(rng, n, m, d, 10.0 ** rng.uniform(-6.0, 0.0), loss=("squared", "kl")[index // 5 % 2])


def any_scale(rng, index):
    """Matrices from 1e-6 to 1e6, with a penalty of the scale of the curvature."""
    n, m, d, reg = SHAPES[index % 5]
    first, second = 10.0 ** rng.uniform(-6.0, 6.0, 2)
    A1, A2, b = rng.standard_normal((n, d)), rng.standard_normal((m, n)), rng.dirichlet(np.ones(m))
    return SoftmaxReLU(first * A1, second / first * A2, b, reg=reg * min(second, 1.0) ** 2)


def uneven_rows(rng, index):
    """Rows from 1e-4 to 1e4, undone by the columns of A2."""
    n, m, d, reg = SHAPES[index % 5]
    stretch = 10.0 ** rng.uniform(-4.0, 4.0, n)
    A1, A2, b = rng.standard_normal((n, d)), rng.standard_normal((m, n)), rng.dirichlet(np.ones(m))
    return SoftmaxReLU(stretch[:, np.newaxis] * A1, A2 / stretch, b, reg=reg)


def labels(rng, index):
    """One class has all the weight."""
    n, m, d, reg = SHAPES[index % 5]
    A1, A2 = rng.standard_normal((n, d)), rng.standard_normal((m, n))
    return SoftmaxReLU(A1, A2, np.eye(m)[index % m], reg=reg, loss=("squared", "kl")[index // 5 % 2])


def integers(rng, index):
    """Small integers everywhere, so that kinks, values and slopes coincide."""
    n, m, d = 8 + index % 7, 3 + index % 3, 2 + index % 4
    A1, A2 = rng.integers(-2, 3, (n, d)), rng.integers(-1, 2, (m, n))
    b = rng.integers(1, 4, m)
    return SoftmaxReLU(A1, A2, b / b.sum(), reg=(0.0, 2.0**-6)[index % 2], loss=("squared", "kl")[index // 2 % 2])


def on_a_line(rng, index):
    """One parameter."""
    return plain(rng, 6, 4, 1, 1e-3 * (index % 3), loss=("squared", "kl")[index % 2])


def low_rank(rng, index):
    """Rows of rank two or three in six dimensions, with and without a penalty."""
    rank = 2 + index % 2
    rows = rng.standard_normal((9, rank)) @ rng.standard_normal((rank, 6))
    rows[index % 9] = 0.0
    return SoftmaxReLU(rows, rng.standard_normal((5, 9)), rng.dirichlet(np.ones(5)), reg=(0.0, 1e-3)[index // 2 % 2])


def off_simplex(rng, index):
    """Targets that no softmax reaches."""
    n, m, d, reg = SHAPES[index % 5]
    return SoftmaxReLU(rng.standard_normal((n, d)), rng.standard_normal((m, n)), rng.standard_normal(m), reg=reg)


def without_penalty(rng, index):
    """No penalty, more units than parameters."""
    n, m, d, _ = SHAPES[index % 4]
    return plain(rng, n, m, d, 0.0, loss=("squared", "kl")[index // 4 % 2])


def shifted(rng, index):
    """Columns of A2 far from their mean, which changes nothing but the rounding."""
    n, m, d, reg = SHAPES[index % 5]
    A1, A2, b = rng.standard_normal((n, d)), rng.standard_normal((m, n)), rng.dirichlet(np.ones(m))
    return SoftmaxReLU(A1, A2 + 10.0 ** rng.uniform(0.0, 4.0) * rng.standard_normal(n), b, reg=reg)


FAMILIES = {
    "five shapes, squared": shape,
    "five shapes, KL": lambda rng, index: shape(rng, index, loss="kl"),
    "weights": with_weights,
    "repeated rows": repeated,
    "nearly repeated rows": nearly_repeated,
    "two outputs": two_outputs,
    "penalties 1e-6 to 1": any_penalty,
    "scales 1e-6 to 1e6": any_scale,
    "uneven rows": uneven_rows,
    "labels": labels,
    "small integers": integers,
    "one parameter": on_a_line,
    "low rank": low_rank,
    "targets off the simplex": off_simplex,
    "no penalty": without_penalty,
    "shifted outputs": shifted,
}


def draw(name, index):
    """Problem number `index` of a family, and a start at which units are of size one."""
    rng = np.random.default_rng([88, list(FAMILIES).index(name), index])
    objective = FAMILIES[name](rng, index)
    start = rng.standard_normal(objective.n_parameters)
    return objective, start * np.sqrt(len(start)) / max(objective.row_norms.max() * np.linalg.norm(start), 1e-300)


def lowest_nearby(objective, x, pinned, rng, samples=60, radii=(1e-7, 1e-4)):
    """Least of F(x + u) - F(x), over random steps, steps along and against the kinks, and along parameters.

    Radii are relative to x, or to rows where x = 0, and end half way to the nearest concave kink, beyond which nothing is
    claimed. What is below the noise of F, measured where steps are rounding, counts as zero.
    """
    d = len(x)
    directions = [rng.standard_normal((samples, d)), np.eye(d), -np.eye(d)]
    if len(pinned):
        rows = np.asarray(objective.rows(pinned))
        away = np.linalg.pinv(rows).T
        along = directions[0] - directions[0] @ np.linalg.pinv(rows) @ rows
        directions += [away, -away, rows, -rows, along]
    steps = np.vstack(directions)
    lengths = np.linalg.norm(steps, axis=1, keepdims=True)
    steps = steps[lengths[:, 0] > 1e-8 * lengths.max()]
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    size = np.linalg.norm(x) or 1.0 / objective.row_norms.max()
    value, point = objective.value(x), objective.at(x)
    concave = (point.unit_slopes < 0.0) & (objective.row_norms > 0.0)
    concave[pinned] = False
    room = 0.5 * np.min(np.abs(point.z[concave]) / objective.row_norms[concave], initial=np.inf)
    noise = [objective.value(x * (1.0 + 1e-15 * step)) - value for step in directions[0][:10]]
    differences = []
    for radius in np.geomspace(*radii, 4):
        differences += [objective.value(x + min(size * radius, room) * step) - value for step in steps]
    lowest = min(differences)
    return lowest if lowest < -4.0 * np.abs(noise).max() - 8.0 * np.finfo(float).eps * abs(value) else 0.0
