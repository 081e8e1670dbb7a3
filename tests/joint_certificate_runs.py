"""Two-layer networks at the edge of their certificates, trained by plain NumPy; for the tests and the benchmark."""

import warnings
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import erf, expit, ndtr

from underdetermined.joint import certify, draw_network
from underdetermined.objectives import TwoLayer


def _density(z):
    return np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)


# Value and derivative.
FUNCTIONS = {
    "tanh": (np.tanh, lambda z: 1.0 - np.tanh(z) ** 2),
    "erf": (erf, lambda z: 2.0 / np.sqrt(np.pi) * np.exp(-z * z)),
    "softplus": (lambda z: np.logaddexp(0.0, z), expit),
    "gelu": (lambda z: z * ndtr(z), lambda z: ndtr(z) + z * _density(z)),
    "silu": (lambda z: z * expit(z), lambda z: expit(z) * (1.0 + z * expit(-z))),
    "sin": (np.sin, np.cos),
    "cos": (np.cos, lambda z: -np.sin(z)),
    "gaussian": (lambda z: np.exp(-0.5 * z * z), lambda z: -z * np.exp(-0.5 * z * z)),
    "sigmoid": (expit, lambda z: expit(z) * expit(-z)),
    "elu": (lambda z: np.where(z > 0.0, z, np.expm1(np.minimum(z, 0.0))), lambda z: np.exp(np.minimum(z, 0.0))),
}
ACTIVATIONS = tuple(FUNCTIONS)
INITS = ("lecun", "he", "xavier", "kernel")
OUTPUTS = ("random", "zero", "paired")
LAYERS = ("both", "both", "both", "hidden", "last")
DIRECTIONS = ("random", "equal", "smallest", "largest")


@dataclass
class Case:
    """A network on rows, without targets."""

    X: np.ndarray
    feature_map: object
    coef: np.ndarray
    intercept: np.ndarray | None
    weight: np.ndarray
    layers: str

    @property
    def roots(self):
        return np.sqrt(self.weight)[:, None]

    @property
    def scale(self):
        return np.broadcast_to(self.feature_map.scale, (self.feature_map.width,))[:, None]

    @property
    def parameters(self):
        """W with the biases as a last row, the last layer and the output biases, by name."""
        hidden, biases = self.feature_map.weights, self.feature_map.biases
        intercept = np.zeros(self.coef.shape[1]) if self.intercept is None else self.intercept
        return {"W": hidden if biases is None else np.vstack([hidden, biases]), "A": self.coef, "c": intercept}

    @property
    def trained(self):
        names = {"both": "WA", "hidden": "W", "last": "A"}[self.layers]
        return names + ("c" if self.intercept is not None and self.layers != "hidden" else "")

    @property
    def rows(self):
        return self.X if self.feature_map.biases is None else np.column_stack([self.X, np.ones(len(self.X))])

    def features(self, parameters):
        value, derivative = FUNCTIONS[self.feature_map.activation.name]
        z = self.rows @ parameters["W"]
        return value(z), derivative(z)

    def outputs(self, parameters=None):
        parameters = self.parameters if parameters is None else parameters
        return self.features(parameters)[0] @ (self.scale * parameters["A"]) + parameters["c"]

    def gradient(self, parameters, residual):
        """Gradient from a residual that is weighted by the roots."""
        values, slopes = self.features(parameters)
        back = self.roots * residual
        return {
            "W": self.rows.T @ (slopes * (back @ (self.scale * parameters["A"]).T)),
            "A": self.scale * (values.T @ back),
            "c": back.sum(axis=0),
        }

    def jacobian(self, parameters=None):
        """J from the definition, rows of positive weight, with columns W, A, c as far as they are trained."""
        parameters = self.parameters if parameters is None else parameters
        values, slopes = self.features(parameters)
        (n, k), m = (len(self.X), self.coef.shape[1]), self.feature_map.width
        last, eye = self.scale * parameters["A"], np.eye(k)
        blocks = {
            "W": np.einsum("ra,ir,ij->iajr", last, slopes, self.rows).reshape(n, k, -1),
            "A": np.einsum("ab,ir->iarb", eye, values * self.scale.T).reshape(n, k, m * k),
            "c": np.broadcast_to(eye, (n, k, k)),
        }
        whole = self.roots[:, :, None] * np.concatenate([blocks[name] for name in self.trained], axis=2)
        return whole[self.weight > 0.0].reshape(-1, whole.shape[2])

    @property
    def floor(self):
        """Where rounding of the outputs hides the residual."""
        sizes = np.abs(self.features(self.parameters)[0]) @ np.abs(self.scale * self.coef) + 1.0
        return 2e-14 * np.linalg.norm(self.roots * sizes)

    def objective(self, residual):
        return TwoLayer(
            self.X, self.outputs() - residual, self.feature_map, self.coef,
            intercept=self.intercept, layers=self.layers, sample_weight=self.weight,
        )  # fmt: skip


def draw_case(rng, *, widths=(100, 400, 1500), n_outputs=(1, 2, 3), activation=None, layers=None):
    """Network of any kind: rows, activation, start, outputs, biases, weights, scales, layers."""
    n, d, k, m = int(rng.integers(1, 7)), int(rng.integers(2, 9)), int(rng.choice(n_outputs)), int(rng.choice(widths))
    X = rng.standard_normal((n, d))
    if rng.random() < 0.4:
        X *= np.sqrt(d) / np.linalg.norm(X, axis=1, keepdims=True)
    X *= rng.choice([0.5, 1.0, 1.0, 2.0])
    layers = str(rng.choice(LAYERS)) if layers is None else layers
    output = str(rng.choice(OUTPUTS))
    with warnings.catch_warnings():
        # Xavier at these widths.
        warnings.simplefilter("ignore")
        hidden, coef = draw_network(
            d, m, k, activation=str(rng.choice(ACTIVATIONS)) if activation is None else activation,
            init=str(rng.choice(INITS)), output="random" if layers == "hidden" and output == "zero" else output,
            weight_scale=float(rng.choice([0.5, 1.0, 1.0, 3.0])), coef_scale=float(rng.choice([0.3, 1.0, 1.0, 5.0])),
            bias_scale=[None, 0.0, 1.0][rng.integers(3)], seed=int(rng.integers(2**31)),
        )  # fmt: skip
    if rng.random() < 0.2:
        hidden = replace(hidden, scale=rng.uniform(0.1, 2.0, m) * hidden.scale)
    intercept = rng.standard_normal(k) if rng.random() < 0.5 else None
    weight = [np.ones(n), rng.uniform(0.1, 3.0, n), np.maximum(rng.integers(0, 3, n), np.arange(n) == 0)][rng.integers(3)]
    return Case(X, hidden, coef, intercept, 1.0 * weight, layers)


def residual_in(case, direction, rng):
    """Residual of weighted norm 1, in the direction of one of the kinds; singular vectors are those of J."""
    n, k = len(case.X), case.coef.shape[1]
    residual = rng.standard_normal((n, k)) if direction == "random" else np.ones((n, k))
    if direction in ("smallest", "largest"):
        kept = np.repeat(case.weight > 0.0, k)
        vectors = np.linalg.svd(case.jacobian(), full_matrices=False)[0]
        residual = np.zeros(n * k)
        residual[kept] = rng.choice([-1.0, 1.0]) * vectors[:, -1 if direction == "smallest" else 0]
        residual = residual.reshape(n, k) / np.where(case.roots > 0.0, case.roots, 1.0)
    return residual / np.linalg.norm(case.roots * residual)


def at_the_boundary(case, direction, rng, *, share=1.0, relative_step=None, size=1.0):
    """Largest residual that is certified, times a share, and its certificate; None where rounding would hide it.

    A relative step asks for that many times 1 / |J|^2 as the learning rate. Where every residual is certified, one of a
    given size is taken.
    """
    unit = residual_in(case, direction, rng)
    first = certify(case.objective(unit))
    rate = None if relative_step is None else relative_step / first.largest_singular_value**2

    def attempt(size):
        return certify(case.objective(size * unit), learning_rate=rate)

    # h grows in proportion to the residual, but for rounding and steps beyond 1 / |J|^2.
    if not first.h < np.inf:
        return None
    size = (1.0 - 1e-6) / first.h if first.h > 0.0 else size
    if not attempt(size).is_certified:
        while size > 1e6 * case.floor and not attempt(size).is_certified:
            size *= 0.5
        for factor in 2.0**0.5 ** np.arange(1, 19):
            size *= factor if attempt(factor * size).is_certified else 1.0
    if share * size <= 1e6 * case.floor:
        return None
    return share * size * unit, attempt(share * size)


@dataclass
class Run:
    """What a run did beside what was promised; the first four count broken promises, lengths are shares of their bounds."""

    rates: int = 0
    paths: int = 0
    constants: int = 0
    newton: int = 0
    path: float = 0.0
    constant: float = np.inf
    steps: int = 0
    final: float = np.inf

    @property
    def broken(self):
        return self.rates + self.paths + self.constants + self.newton


def train(case, residual, certificate, steps, *, learning_rate=None, tol=0.0):
    """Gradient descent from the start of a case, every promise checked at every step."""
    eta = certificate.learning_rate if learning_rate is None else learning_rate
    factor = np.sqrt(1.0 - certificate.rate) if learning_rate is None else 1.0
    parameters = {name: values.copy() for name, values in case.parameters.items()}
    targets, run, slack = case.outputs() - residual, Run(), 1.0 + 1e-9
    floor = case.floor + 1e-14 * np.linalg.norm(case.roots * residual)
    before, first, total = 1e300, None, 0.0
    for step in range(steps + 1):
        error = case.roots * (case.outputs(parameters) - targets)
        norm = np.linalg.norm(error)
        first = norm if first is None else first
        run.rates += bool(norm > before * factor * slack + floor)
        bound = certificate.loss_bound(step if learning_rate is None else 0)
        run.rates += bool(0.5 * norm**2 > bound * (1.0 + 1e-6) + floor * first)
        run.steps, run.final = step, norm / first
        if norm <= max(10.0 * floor, tol * first):
            break
        before = norm
        gradient = case.gradient(parameters, error)
        length = np.sqrt(sum(np.sum(gradient[name] ** 2) for name in case.trained))
        constant = (length / norm) ** 2 / certificate.pl_constant
        run.constant = min(run.constant, constant)
        run.constants += bool(constant * slack < 1.0)
        total += eta * length
        for name in case.trained:
            parameters[name] = parameters[name] - eta * gradient[name]
    run.path = total / certificate.distance
    run.paths = int(run.path > slack)
    return run


def newton(case, residual, certificate, steps=12):
    """Undamped Gauss-Newton steps of minimum norm; the residuals over their bounds, and the path over its bound."""
    parameters = {name: values.copy() for name, values in case.parameters.items()}
    targets, ratios, total = case.outputs() - residual, [], 0.0
    floor = 10.0 * case.floor + 1e-12 * np.linalg.norm(case.roots * residual)
    kept = np.repeat(case.weight > 0.0, case.coef.shape[1])
    for step in range(steps + 1):
        error = (case.roots * (case.outputs(parameters) - targets)).ravel()[kept]
        norm, bound = np.linalg.norm(error), np.sqrt(2.0 * certificate.newton_loss_bound(step))
        ratios.append(norm / (bound + floor))
        if norm <= floor:
            break
        move = np.linalg.lstsq(case.jacobian(parameters), -error, rcond=None)[0]
        total += np.linalg.norm(move)
        for name in case.trained:
            size = parameters[name].size
            parameters[name] = parameters[name] + move[:size].reshape(parameters[name].shape)
            move = move[size:]
    return max(ratios[1:], default=0.0), total / certificate.distance
