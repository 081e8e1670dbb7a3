"""Networks at the edge of their certificates, trained step by step with plain NumPy; for the tests and the benchmark."""

from dataclasses import dataclass

import numpy as np

from underdetermined import FeatureMap
from underdetermined.objectives import SparseReLU
from underdetermined.sparsity import certify

ROWS = ("sphere", "clusters", "norms", "scale", "orthogonal", "near pair")
LAYERS = ("signs", "gaussian", "heavy tails", "positive")
DIRECTIONS = ("random", "equal", "smallest", "largest")


@dataclass
class Case:
    """A network on rows, without targets."""

    X: np.ndarray
    feature_map: FeatureMap
    coef: np.ndarray
    weight: np.ndarray
    bias_scale: float

    @property
    def outputs(self):
        Z = self.X @ self.feature_map.weights + self.feature_map.biases
        return np.maximum(Z, 0.0) @ self.last

    @property
    def last(self):
        return np.reshape(self.feature_map.scale, (-1, 1)) * self.coef

    @property
    def floor(self):
        """Where rounding of the outputs hides the residual."""
        Z = self.X @ self.feature_map.weights + self.feature_map.biases
        return 2e-14 * np.linalg.norm(np.sqrt(self.weight)[:, None] * (np.maximum(Z, 0.0) @ np.abs(self.last)))

    def objective(self, residual):
        return SparseReLU(
            self.X, self.outputs - residual, self.feature_map, self.coef, sample_weight=self.weight,
            bias_scale=self.bias_scale,
        )  # fmt: skip


def draw_rows(kind, n, d, rng):
    X = rng.standard_normal((n, d))
    if kind == "clusters":
        X = 2.0 * rng.standard_normal((3, d))[rng.integers(3, size=n)] + 0.3 * X
    if kind == "near pair":
        X[-1] = X[0] + 10.0 ** rng.uniform(-3.0, -1.0) * X[-1]
    if kind == "orthogonal":
        X = np.linalg.qr(rng.standard_normal((max(n, d), max(n, d))))[0][:n, :d]
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    if kind == "norms":
        X *= 10.0 ** rng.uniform(-1.0, 1.0, (n, 1))
    if kind == "scale":
        X *= 10.0 ** rng.uniform(-3.0, 3.0)
    return X


def draw_case(rng, widths=(200, 1000, 4000)):
    """Network of any kind: rows, last layer, outputs, weights, scales."""
    n, d, k, m = int(rng.integers(1, 9)), int(rng.integers(1, 9)), int(rng.integers(1, 4)), int(rng.choice(widths))
    X = draw_rows(ROWS[rng.integers(len(ROWS))], n, d, rng)
    bias = float(rng.choice([0.0, 0.5, 1.0, 2.0])) * np.linalg.norm(X, axis=1).min()
    coef = {
        "signs": rng.choice([-1.0, 1.0], (m, k)),
        "gaussian": rng.standard_normal((m, k)),
        "heavy tails": rng.standard_t(3.0, (m, k)),
        "positive": np.abs(rng.standard_normal((m, k))),
    }[LAYERS[rng.integers(len(LAYERS))]]
    scale = [None, 1.0, rng.uniform(0.1, 2.0, m) / m][rng.integers(3)]
    weight = [np.ones(n), rng.uniform(0.1, 3.0, n), np.maximum(rng.integers(0, 3, n), np.arange(n) == 0)][rng.integers(3)]
    hidden = FeatureMap(rng.standard_normal((d, m)), np.full(m, -bias), "relu", scale)
    return Case(X, hidden, coef, weight * 1.0, float(rng.choice([0.0, 0.5, 1.0, 3.0])))


def dense_tangent(case):
    """Tangent matrix from the definition."""
    A = (case.X @ case.feature_map.weights + case.feature_map.biases > 0.0) * 1.0
    roots = np.sqrt(case.weight)
    kernel = (case.X @ case.X.T + case.bias_scale**2) * np.outer(roots, roots)
    sums = np.einsum("iar,jbr->iajb", *(np.einsum("ir,ra->iar", A, case.last),) * 2)
    order = sums.shape[0] * sums.shape[1]
    return (sums * kernel[:, None, :, None]).reshape(order, order)


def residual_at(case, norm, direction, rng):
    """Residual of a weighted norm, in the direction of one of the kinds."""
    n, k = case.outputs.shape
    roots = np.sqrt(case.weight)[:, None]
    residual = rng.standard_normal((n, k)) if direction == "random" else np.ones((n, k))
    if direction in ("smallest", "largest"):
        kept = np.repeat(case.weight > 0.0, k)
        vectors = np.linalg.eigh(dense_tangent(case)[np.ix_(kept, kept)])[1]
        residual = np.zeros(n * k)
        residual[kept] = vectors[:, 0 if direction == "smallest" else -1]
        residual = residual.reshape(n, k) / np.where(roots > 0.0, roots, 1.0)
    return norm * residual / np.linalg.norm(roots * residual)


@dataclass
class Run:
    """What a run did beside what was promised; the first three count broken promises."""

    rates: int = 0
    masks: int = 0
    paths: int = 0
    flips: int = 0
    path: float = 0.0


def train(case, residual, certificate, steps, *, learning_rate=None):
    """Gradient descent from the start of a case, every promise checked at every step."""
    eta = certificate.learning_rate if learning_rate is None else learning_rate
    always, possible = (mask.toarray() for mask in certificate.masks())
    weights, biases = case.feature_map.weights.copy(), case.feature_map.biases.copy()
    targets, last, weight, floor = case.outputs - residual, case.last, case.weight[:, None], case.floor
    run, before, start = Run(), np.inf, None
    for _ in range(steps):
        Z = case.X @ weights + biases
        active = Z > 0.0
        start = active if start is None else start
        error = np.maximum(Z, 0.0) @ last - targets
        norm = np.linalg.norm(np.sqrt(weight) * error)
        run.rates += bool(norm > before * (1.0 - eta * certificate.rate) * (1.0 + 1e-9) + floor)
        run.masks += bool((active & ~possible).any() or (always & ~active).any())
        run.path += eta * norm
        run.paths += bool(run.path > certificate.budget * (1.0 + 1e-9) + eta * floor * steps)
        run.flips = max(run.flips, int((active != start).sum()))
        if norm <= 10.0 * floor:
            break
        before = norm
        slopes = weight * (error @ last.T) * active
        weights -= eta * case.X.T @ slopes
        biases -= eta * case.bias_scale**2 * slopes.sum(axis=0)
    return run


def at_the_radius(case, direction, rng, *, share=1.0, learning_rate=None):
    """Residual at a share of the radius, and its certificate; None where nothing is certified."""
    zero = np.zeros(case.outputs.shape)
    radius = certify(case.objective(zero), learning_rate=learning_rate).radius
    if radius <= 1e6 * case.floor:
        return None
    residual = residual_at(case, share * (radius * (1.0 - 1e-9) - case.floor), direction, rng)
    return residual, certify(case.objective(residual), learning_rate=learning_rate)
