"""Networks of exponentials at the edge of their certificates, trained by plain NumPy; for the tests and the benchmark."""

from dataclasses import dataclass, replace

import numpy as np

from underdetermined import FeatureMap
from underdetermined.exponential import certify
from underdetermined.objectives import Exponential

ROWS = ("sphere", "norms", "clusters", "near pair", "orthogonal")
LAYERS = ("signs", "gaussian", "heavy tails", "positive")
DIRECTIONS = ("random", "equal", "smallest", "largest")


@dataclass
class Case:
    """A network on rows, without targets."""

    X: np.ndarray
    feature_map: FeatureMap
    coef: np.ndarray
    weight: np.ndarray

    @property
    def last(self):
        return np.reshape(self.feature_map.scale, (-1, 1)) * self.coef

    def exponentials(self, weights):
        return np.exp(self.X @ weights - self.feature_map.row_shift * np.sum(self.X**2, axis=1, keepdims=True))

    @property
    def outputs(self):
        return self.exponentials(self.feature_map.weights) @ self.last

    @property
    def floor(self):
        """Where rounding of the outputs hides the residual."""
        sizes = self.exponentials(self.feature_map.weights) @ np.abs(self.last)
        return 2e-14 * np.linalg.norm(np.sqrt(self.weight)[:, None] * sizes)

    @property
    def jacobian(self):
        """J from the definition, on rows of positive weight."""
        E, kept = np.sqrt(self.weight)[:, None] * self.exponentials(self.feature_map.weights), self.weight > 0.0
        return np.einsum("ra,ir,ij->iajr", self.last, E[kept], self.X[kept]).reshape(kept.sum() * self.last.shape[1], -1)

    def objective(self, residual):
        return Exponential(self.X, self.outputs - residual, self.feature_map, self.coef, sample_weight=self.weight)


def draw_rows(kind, n, d, rng):
    X = rng.standard_normal((n, d))
    if kind == "clusters":
        X = 2.0 * rng.standard_normal((2, d))[rng.integers(2, size=n)] + X
    if kind == "near pair":
        X[-1] = X[0] + 0.3 * X[-1]
    if kind == "orthogonal":
        X = np.linalg.qr(rng.standard_normal((max(n, d), max(n, d))))[0][:n, :d]
    norms = rng.uniform(0.2, 1.2, (n, 1)) if kind == "norms" else rng.uniform(0.3, 1.0)
    return norms * X / np.linalg.norm(X, axis=1, keepdims=True)


def draw_case(rng, widths=(200, 1000, 4000), n_outputs=(1, 2, 3)):
    """Network of any kind: rows, last layer, outputs, weights, scales, row shifts."""
    n, d, k, m = int(rng.integers(1, 7)), int(rng.integers(2, 9)), int(rng.choice(n_outputs)), int(rng.choice(widths))
    X = draw_rows(ROWS[rng.integers(len(ROWS))], n, d, rng)
    coef = {
        "signs": rng.choice([-1.0, 1.0], (m, k)),
        "gaussian": rng.standard_normal((m, k)),
        "heavy tails": rng.standard_t(3.0, (m, k)),
        "positive": np.abs(rng.standard_normal((m, k))),
    }[LAYERS[rng.integers(len(LAYERS))]]
    weights = rng.uniform(0.5, 1.5) * rng.standard_normal((d, m))
    if rng.random() < 0.5:
        weights[:, m // 2 :], coef[m // 2 :] = weights[:, : m // 2], -coef[: m // 2]
    scale = [None, 1.0, rng.uniform(0.1, 2.0, m) / m][rng.integers(3)]
    weight = [np.ones(n), rng.uniform(0.1, 3.0, n), np.maximum(rng.integers(0, 3, n), np.arange(n) == 0)][rng.integers(3)]
    shift = float(rng.choice([0.0, 0.0, 0.5, 1.0]))
    return Case(X, FeatureMap(weights, activation="exp", scale=scale, row_shift=shift), coef, weight * 1.0)


def residual_in(case, direction, rng):
    """Residual of weighted norm 1, in the direction of one of the kinds; singular vectors are those of J."""
    n, k = len(case.X), case.coef.shape[1]
    roots = np.sqrt(case.weight)[:, None]
    residual = rng.standard_normal((n, k)) if direction == "random" else np.ones((n, k))
    if direction in ("smallest", "largest"):
        kept = np.repeat(case.weight > 0.0, k)
        vectors = np.linalg.svd(case.jacobian, full_matrices=False)[0]
        residual = np.zeros(n * k)
        residual[kept] = rng.choice([-1.0, 1.0]) * vectors[:, -1 if direction == "smallest" else 0]
        residual = residual.reshape(n, k) / np.where(roots > 0.0, roots, 1.0)
    return residual / np.linalg.norm(roots * residual)


def at_the_boundary(case, direction, rng, *, share=1.0, relative_step=None):
    """Largest residual that is certified, times a share, and its certificate; None where rounding would hide it.

    A relative step asks for that many times 1 / |J|^2 as the learning rate.
    """
    unit = residual_in(case, direction, rng)
    first = certify(case.objective(unit))
    rate = None if relative_step is None else relative_step / first.largest_singular_value**2

    def attempt(size):
        return certify(case.objective(size * unit), learning_rate=rate)

    # h grows in proportion to the residual, but for rounding and steps beyond 1 / |J|^2.
    size = (1.0 - 1e-6) / first.h
    if size > 0.0 and not attempt(size).is_certified:
        while size > 1e6 * case.floor and not attempt(size).is_certified:
            size *= 0.5
        for factor in 2.0**0.5 ** np.arange(1, 19):
            size *= factor if attempt(factor * size).is_certified else 1.0
    if share * size <= 1e6 * case.floor:
        return None
    return share * size * unit, attempt(share * size)


@dataclass
class Run:
    """What a run did beside what was promised; the first four count broken promises."""

    rates: int = 0
    paths: int = 0
    neurons: int = 0
    exponents: int = 0
    path: float = 0.0
    neuron: float = 0.0
    exponent: float = 0.0
    steps: int = 0
    final: float = np.inf

    @property
    def broken(self):
        return self.rates + self.paths + self.neurons + self.exponents


def train(case, residual, certificate, steps, *, learning_rate=None, tol=0.0):
    """Gradient descent from the start of a case, every promise checked at every step; lengths as shares of their bounds."""
    eta = certificate.learning_rate if learning_rate is None else learning_rate
    factor = np.sqrt(1.0 - certificate.rate) if learning_rate is None else 1.0
    weights, targets, last = case.feature_map.weights.copy(), case.outputs - residual, case.last
    roots, floor, run = np.sqrt(case.weight)[:, None], case.floor, Run()
    kept = case.weight > 0.0
    before, first, lengths, moved, total = np.inf, None, np.zeros(weights.shape[1]), np.zeros((kept.sum(), len(last))), 0.0
    for step in range(steps + 1):
        E = case.exponentials(weights)
        error = roots * (E @ last - targets)
        norm = np.linalg.norm(error)
        first = norm if first is None else first
        run.rates += bool(norm > before * factor * (1.0 + 1e-9) + floor)
        bound = certificate.loss_bound(step if learning_rate is None else 0)
        run.rates += bool(0.5 * norm**2 > bound * (1.0 + 1e-6) + floor * first)
        run.steps, run.final = step, norm / first
        if norm <= max(10.0 * floor, tol * first):
            break
        before = norm
        change = eta * case.X.T @ (E * ((roots * error) @ last.T))
        total += np.linalg.norm(change)
        lengths += np.linalg.norm(change, axis=0)
        moved += np.abs(case.X[kept] @ change)
        weights -= change
    slack = 1.0 + 1e-9
    run.path, run.neuron = total / certificate.distance, lengths.max() / certificate.neuron_distance
    run.exponent = moved.max() / certificate.drift
    run.paths, run.neurons, run.exponents = int(run.path > slack), int(run.neuron > slack), int(run.exponent > slack)
    return run


def repeated(case, times, scale):
    """The network with every neuron there so many times, at another scale."""
    hidden = replace(case.feature_map, weights=np.tile(case.feature_map.weights, times), scale=scale)
    return Case(case.X, hidden, np.tile(case.coef, (times, 1)), case.weight)
