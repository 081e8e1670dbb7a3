"""Forecasts against runs, matrix powers and brute force."""

from dataclasses import replace

import mpmath as mp
import numpy as np
import pytest
from scipy.linalg import expm

from underdetermined import _validation
from underdetermined.descent import (
    DescentForecast,
    cg_bound,
    forecast_descent,
    max_learning_rate,
    optimal_learning_rate,
    optimal_momentum,
)
from underdetermined.objectives import LeastSquares
from underdetermined.optimize import gradient_descent
from underdetermined.spectrum import Spectrum

METHODS = ("gradient_descent", "gradient_flow", "heavy_ball", "nesterov")
TRAINED = ("gradient_descent", "heavy_ball", "nesterov")


@pytest.fixture
def problem(matrix_with_condition, rng):
    """Return a function that builds features (n, m) with a condition number of their Gram matrix, and targets (n, k)."""

    def build(condition, n=30, m=70, k=2):
        features = matrix_with_condition(n, m, np.sqrt(condition)) * 3.0
        return features, Spectrum.from_gram(features @ features.T), rng.standard_normal((n, k))

    return build


def diagonal(eigenvalues):
    """Spectrum of a diagonal matrix, with the unit vectors as eigenvectors."""
    return Spectrum(np.asarray(eigenvalues, dtype=float), np.eye(len(eigenvalues)))


def recursion(eigenvalues, method, rate, momentum, n_steps):
    """Factors at steps 0 ... n_steps, by the recurrence of each eigenvalue: shape (n, n_steps + 1)."""
    h = rate * np.asarray(eigenvalues, dtype=float)
    ahead = {"nesterov": 1.0}.get(method, 0.0)
    path = [np.ones_like(h), np.ones_like(h)]
    for _ in range(n_steps):
        change = momentum * (path[-1] - path[-2])
        path.append(path[-1] + change - h * (path[-1] + ahead * change))
    return np.array(path[1:]).T


@pytest.mark.parametrize("condition", [1.0, 30.0, 1e4])
@pytest.mark.parametrize("method", TRAINED)
def test_run_obeys_its_forecast(problem, method, condition):
    features, spectrum, targets = problem(condition)
    objective = LeastSquares(features, targets)
    best = forecast_descent(spectrum, targets, method=method)
    gentle = replace(best, learning_rate=0.7 * best.learning_rate)
    for forecast in (best, gentle):
        path = []
        run = gradient_descent(
            objective,
            np.zeros(objective.n_parameters),
            learning_rate=forecast.learning_rate,
            momentum=forecast.momentum,
            method=method,
            max_iter=1000,
            callback=lambda step, theta, path=path: path.append(theta),
        )
        for step in (0, 1, 2, 10, 100, 1000):
            difference = objective.residual(path[step]) - forecast.residual(step)
            assert np.linalg.norm(difference) <= 1e-10 * np.linalg.norm(targets)
        assert forecast.measured_error(run.value) <= 1e-10
    # Relative to what is left of the residual, as long as it is not rounding.
    left = forecast.residual(10)
    assert np.linalg.norm(objective.residual(path[10]) - left) <= 1e-10 * np.linalg.norm(left) + 1e-14


def test_gradient_descent_is_a_matrix_power(problem):
    features, spectrum, targets = problem(50.0)
    forecast = DescentForecast(spectrum, targets, learning_rate=0.15)
    step = np.eye(30) - 0.15 * features @ features.T
    residuals = forecast.residual([0, 1, 9, 200])
    for residual, power in zip(residuals, (0, 1, 9, 200), strict=True):
        np.testing.assert_allclose(residual, np.linalg.matrix_power(step, power) @ targets, atol=1e-12)


def test_gradient_flow_is_a_matrix_exponential(problem):
    features, spectrum, targets = problem(50.0)
    forecast = DescentForecast(spectrum, targets, "gradient_flow", learning_rate=0.4)
    for time in (0.0, 0.3, 2.5, 40.0):
        np.testing.assert_allclose(forecast.residual(time), expm(-0.4 * time * features @ features.T) @ targets, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_losses_are_those_of_the_residual(problem, method):
    _, spectrum, targets = problem(1e3)
    forecast = forecast_descent(spectrum, targets, method=method)
    steps = np.array([0, 3, 50, 700])
    residuals = forecast.residual(steps)
    assert residuals.shape == (4, 30, 2)
    squares = (residuals**2).sum(axis=(1, 2))
    np.testing.assert_allclose(forecast.loss(steps), 0.5 * squares, rtol=1e-9, atol=1e-25)
    norms = forecast.relative_residual(steps) * forecast.initial_norm
    np.testing.assert_allclose(norms, np.sqrt(squares), rtol=1e-9, atol=1e-13)
    early, late = forecast.early_late(steps, 7)
    leading = spectrum.eigenvectors[:, :7]
    np.testing.assert_allclose(early, 0.5 * ((leading.T @ residuals) ** 2).sum(axis=(1, 2)), rtol=1e-9, atol=1e-25)
    np.testing.assert_allclose(early + late, forecast.loss(steps), rtol=1e-12)
    assert forecast.early_late(3, 0) == (0.0, forecast.loss(3))
    assert forecast.early_late(3, 30) == (forecast.loss(3), 0.0)
    assert forecast.initial_norm == pytest.approx(np.linalg.norm(targets))


def test_one_number_of_steps_gives_one_answer(problem):
    _, spectrum, targets = problem(10.0)
    forecast = forecast_descent(spectrum, targets[:, 0])
    assert forecast.residual(5).shape == (30, 1)
    assert isinstance(forecast.loss(5), float)
    assert isinstance(forecast.relative_residual(np.int64(5)), float)
    assert isinstance(forecast.early_late(5, 2)[0], float)
    assert forecast.loss([]).shape == (0,)
    np.testing.assert_array_equal(forecast.residual([5])[0], forecast.residual(5))


@pytest.mark.parametrize("tol", [0.5, 1e-2, 1e-5])
@pytest.mark.parametrize("method", METHODS)
def test_steps_to_tolerance_are_those_of_brute_force(rng, method, tol):
    for _ in range(6):
        eigenvalues = np.sort(10 ** rng.uniform(-3, 0.5, 12))[::-1]
        spectrum, targets = diagonal(eigenvalues), rng.standard_normal((12, 1)) * 10 ** rng.uniform(-3, 3, (12, 1))
        momentum = {"heavy_ball": rng.uniform(0, 0.99), "nesterov": rng.uniform(0, 0.99)}.get(method, 0.0)
        rate = rng.uniform(0.05, 0.99) * min(max_learning_rate(spectrum, method, momentum), 2 / eigenvalues[0])
        best = forecast_descent(spectrum, targets, method=method)
        for forecast in (best, replace(best, learning_rate=rate, momentum=momentum)):
            answer = forecast.steps_to_tolerance(tol)
            n_steps = int(1.3 * answer) + 300
            factors = recursion(eigenvalues, method, forecast.learning_rate, forecast.momentum, n_steps)
            flow = np.exp(-forecast.learning_rate * np.outer(eigenvalues, np.arange(n_steps + 1)))
            factors = {"gradient_flow": flow}.get(method, factors)
            relative = np.linalg.norm(factors * targets, axis=0) / np.linalg.norm(targets)
            assert answer == np.flatnonzero(relative > tol)[-1] + 1


def test_last_oscillations_are_followed_over_many_steps(rng):
    eigenvalues = np.linspace(1.0, 0.5, 12)
    forecast = DescentForecast(diagonal(eigenvalues), rng.standard_normal(12), "heavy_ball", 1.0, 0.998)
    answer = forecast.steps_to_tolerance(1e-2)
    factors = recursion(eigenvalues, "heavy_ball", 1.0, 0.998, int(1.3 * answer))
    relative = np.linalg.norm(factors * forecast.targets, axis=0) / forecast.initial_norm
    assert answer == np.flatnonzero(relative > 1e-2)[-1] + 1


def test_steps_to_tolerance_at_great_length():
    forecast = DescentForecast(diagonal([1.0, 1e-12]), [0.0, 1.0])
    expected = mp.ceil(mp.log("1e-3") / mp.log1p(-mp.mpf(1e-12)))
    assert forecast.steps_to_tolerance(1e-3) == pytest.approx(float(expected), abs=2)
    endless = DescentForecast(diagonal([1.0]), [1.0], learning_rate=1e-200)
    assert endless.steps_to_tolerance(0.5) == pytest.approx(np.log(2) * 1e200)


def test_tolerances_that_are_met_at_once(problem):
    _, spectrum, targets = problem(10.0)
    forecast = forecast_descent(spectrum, targets)
    assert forecast.steps_to_tolerance(1.5) == 0.0
    # With momentum the residual may grow first, so that step 0 is within the tolerance and later ones are not.
    growing = forecast_descent(diagonal([1.0, 1e-4]), [1.0, 1e-3], method="heavy_ball")
    assert growing.relative_residual(100) > 1.5
    assert growing.steps_to_tolerance(1.5) > 100
    assert forecast_descent(spectrum, np.zeros(30)).steps_to_tolerance(1e-8) == 0.0
    assert forecast_descent(spectrum, np.zeros(30)).relative_residual(3) == 0.0


def test_unresolved_parts_are_never_learned(rng):
    features = rng.standard_normal((6, 20))[[0, 1, 2, 3, 3, 3]]
    targets = np.array([1.0, 0.0, 0.0, 0.0, 0.3, -0.3])
    spectrum = Spectrum.from_gram(features @ features.T)
    forecast = forecast_descent(spectrum, targets)
    contradiction = np.linalg.norm([0.3, -0.3]) / np.linalg.norm(targets)
    assert spectrum.rank == 4
    assert forecast.unresolved_fraction == pytest.approx(contradiction)
    assert forecast.relative_residual(10**12) == pytest.approx(contradiction)
    assert forecast.steps_to_tolerance(0.99 * contradiction) == np.inf
    assert forecast.steps_to_tolerance(1.01 * contradiction) < 1e6
    assert forecast_descent(spectrum, features @ np.ones(20)).unresolved_fraction < 1e-14


@pytest.mark.parametrize("method", TRAINED)
def test_beyond_the_largest_rate_the_forecast_diverges_without_nan(method):
    spectrum, targets = diagonal([2.0, 1.9, 0.1]), np.array([[1.0, 0.0], [1.0, -1.0], [1.0, 1.0]])
    momentum = {"gradient_descent": 0.0}.get(method, 0.6)
    limit = max_learning_rate(spectrum, method, momentum)
    stable = DescentForecast(spectrum, targets, method, 0.999 * limit, momentum)
    wild = DescentForecast(spectrum, targets, method, 1.2 * limit, momentum)
    assert stable.relative_residual(10**5) < 1e-10
    assert wild.steps_to_tolerance(0.1) == np.inf
    assert wild.loss(10**9) == wild.relative_residual(10**9) == np.inf
    # An entry without a growing part stays zero or decays: nothing turns into nan.
    np.testing.assert_array_equal(wild.residual(4000), [[np.inf, 0.0], [np.inf, -np.inf], [0.0, 0.0]])
    assert not np.isnan(wild.residual([10**9, 10**9 + 1])).any()
    assert wild.early_late(10**9, 2)[1] < 1e-10
    bounded = DescentForecast(spectrum, [0.0, 0.0, 1.0], method, 1.2 * limit, momentum)
    assert np.isfinite(bounded.steps_to_tolerance(0.1))


def radius(h, method, momentum):
    """Largest modulus of a root of the recurrence."""
    p, q = {"heavy_ball": (1 + momentum - h, momentum)}.get(method, ((1 + momentum) * (1 - h), momentum * (1 - h)))
    return np.abs(np.roots([1.0, -p, q])).max()


def slowest(spectrum, method, rate, momentum):
    return max(radius(rate * value, method, momentum) for value in spectrum.resolved if value > 0)


@pytest.mark.parametrize("condition", [1.5, 20.0, 1e4])
@pytest.mark.parametrize("method", TRAINED)
def test_rates_are_the_best_and_the_largest(method, condition):
    spectrum = diagonal([5.0, np.sqrt(5.0 * 5.0 / condition), 5.0 / condition, 0.0])
    momentum = optimal_momentum(spectrum, method)
    rate = optimal_learning_rate(spectrum, method)
    best = slowest(spectrum, method, rate, momentum)
    root = np.sqrt(condition)
    factor = {
        "gradient_descent": (condition - 1) / (condition + 1),
        "heavy_ball": (root - 1) / (root + 1),
        "nesterov": 1 - 1 / root,
    }
    assert best == pytest.approx(factor[method], abs=1e-6)
    for other in (0.97, 0.999, 1.001, 1.03):
        assert {"nesterov": 1.0}.get(method, slowest(spectrum, method, other * rate, momentum)) > best + 1e-9
        shifted = min(other * momentum, 0.99999)
        assert {"gradient_descent": 1.0}.get(method, slowest(spectrum, method, rate, shifted)) > best - 1e-7
    for beta in {"gradient_descent": [0.0]}.get(method, [0.0, 0.3, 0.95]):
        limit = max_learning_rate(spectrum, method, beta)
        assert slowest(spectrum, method, 0.999 * limit, beta) < 1.0 < slowest(spectrum, method, 1.001 * limit, beta)
    for beta in {"heavy_ball": [0.0, 0.01, 0.5]}.get(method, []):
        chosen = slowest(spectrum, method, optimal_learning_rate(spectrum, method, beta), beta)
        assert chosen <= 1e-7 + min(slowest(spectrum, method, share * rate, beta) for share in np.linspace(0.1, 2, 200))


def test_best_pair_of_nesterov():
    """The pair that the documentation names beats the usual one, and its neighbours."""
    spectrum = diagonal([1.0, 0.3, 0.01])
    root = np.sqrt(3 * 100 + 1)
    pair = 4 / 3.01, (root - 2) / (root + 2)
    best = slowest(spectrum, "nesterov", *pair)
    assert best == pytest.approx(1 - 2 / root, abs=1e-6)
    assert best < slowest(spectrum, "nesterov", 1.0, optimal_momentum(spectrum, "nesterov"))
    for a in (0.98, 1.0, 1.02):
        for b in (0.98, 1.0, 1.02):
            assert slowest(spectrum, "nesterov", a * pair[0], b * pair[1]) >= best - 1e-7


def test_rates_without_anything_to_learn():
    nothing = diagonal([0.0, 0.0])
    assert max_learning_rate(nothing) == max_learning_rate(diagonal([1.0]), "gradient_flow") == np.inf
    assert (optimal_learning_rate(nothing), optimal_momentum(nothing, "nesterov")) == (1.0, 0.0)
    assert forecast_descent(nothing, [1.0, 2.0]).steps_to_tolerance(0.5) == np.inf
    assert cg_bound(nothing, 1) == 0.0


def test_conjugate_gradients_obey_their_bound(rng):
    eigenvalues = np.geomspace(1.0, 1e-3, 40)
    spectrum, steps = diagonal(eigenvalues), np.arange(60)
    bound = cg_bound(spectrum, steps)
    target = rng.standard_normal(40)
    solution, residual = np.zeros(40), target.copy()
    direction, errors = residual.copy(), []
    for _ in steps:
        errors.append(np.sqrt(residual @ (residual / eigenvalues)))
        image = eigenvalues * direction
        length = residual @ residual / (direction @ image)
        solution, following = solution + length * direction, residual - length * image
        direction = following + following @ following / (residual @ residual) * direction
        residual = following
    relative = np.array(errors) / errors[0]
    assert (relative <= bound * (1 + 1e-12)).all()
    ratio = (np.sqrt(1e3) - 1) / (np.sqrt(1e3) + 1)
    assert (bound <= 2 * ratio**steps * (1 + 1e-12)).all()
    for step in (0, 1, 7, 59):
        assert bound[step] == pytest.approx(float(1 / mp.chebyt(step, mp.mpf(1001) / 999)), rel=1e-9)
    # Not vacuous: at this spectrum the bound is within a factor of ten.
    assert relative[20] > 0.1 * bound[20]
    assert cg_bound(diagonal([2.0, 2.0, 0.0]), [0, 1, 10**9]).tolist() == [1.0, 0.0, 0.0]
    assert cg_bound(spectrum, 10**12) == 0.0


def test_measured_error_is_the_largest_difference(problem):
    _, spectrum, targets = problem(100.0)
    forecast = forecast_descent(spectrum, targets, is_exact=False)
    losses = forecast.loss(np.arange(20))
    assert forecast.measured_error(losses) < 1e-14
    losses[7] = 0.5 * (np.sqrt(2 * losses[7]) + 0.03 * forecast.initial_norm) ** 2
    assert forecast.measured_error(losses) == pytest.approx(0.03)
    assert forecast.measured_error(losses[7:9], steps=[7, 8]) == pytest.approx(0.03)
    assert forecast.measured_error([losses[0], np.inf]) == np.inf
    wild = replace(forecast, learning_rate=100.0)
    assert wild.measured_error([np.inf], steps=[10**6]) == np.inf


@pytest.mark.parametrize("scale", [1e-140, 1e160])
@pytest.mark.parametrize("method", METHODS)
def test_scales_of_features_and_targets_do_not_matter(problem, method, scale):
    features, spectrum, targets = problem(100.0)
    plain = forecast_descent(spectrum, targets, method=method)
    scaled = forecast_descent(Spectrum(scale * spectrum.eigenvalues, spectrum.eigenvectors), scale * targets, method=method)
    np.testing.assert_allclose(scaled.residual(20), scale * plain.residual(20), rtol=1e-9, atol=1e-13 * scale)
    assert scaled.initial_norm == pytest.approx(scale * plain.initial_norm)
    np.testing.assert_allclose(scaled.relative_residual([3, 30]), plain.relative_residual([3, 30]), rtol=1e-9)
    assert scaled.steps_to_tolerance(1e-3) == plain.steps_to_tolerance(1e-3)


def test_forecast_says_what_it_is(problem):
    _, spectrum, targets = problem(10.0)
    assert repr(forecast_descent(diagonal([1.0]), [1.0])) == (
        "DescentForecast(exact, method='gradient_descent', learning_rate=1, momentum=0, n_rows=1, unresolved_fraction=0)"
    )
    assert "approximation" in repr(forecast_descent(spectrum, targets, is_exact=False))
    given = forecast_descent(spectrum, targets, method="heavy_ball", momentum=0.5)
    assert given.learning_rate == optimal_learning_rate(spectrum, "heavy_ball", 0.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: DescentForecast(Spectrum(s.eigenvalues), [1.0, 1.0]), "spectrum has no eigenvectors"),
        (lambda s: DescentForecast(s, [1.0]), "targets has 1 rows"),
        (lambda s: DescentForecast(s, [1.0, np.nan]), "targets has 1 NaN"),
        (lambda s: DescentForecast(s, [1.0, 1.0], "newton"), "method='newton' is unknown"),
        (lambda s: DescentForecast(s, [1.0, 1.0], learning_rate=0.0), "learning_rate=0.0 is out of range"),
        (lambda s: DescentForecast(s, [1.0, 1.0], "nesterov", momentum=1.0), "momentum=1.0 is out of range"),
        (lambda s: DescentForecast(s, [1.0, 1.0], momentum=0.5), "momentum=0.5 has no effect on 'gradient_descent'"),
        (lambda s: max_learning_rate(s, "gradient_flow", 0.5), "momentum=0.5 has no effect"),
        (lambda s: optimal_momentum(s, "sgd"), "method='sgd' is unknown"),
        (lambda s: forecast_descent(s, [1.0, 1.0]).loss(-1), "steps has the negative entry -1"),
        (lambda s: forecast_descent(s, [1.0, 1.0]).loss(0.5), "steps must be whole"),
        (lambda s: forecast_descent(s, [1.0, 1.0]).loss(2.0**54), "steps must be whole"),
        (lambda s: forecast_descent(s, [1.0, 1.0]).loss([np.inf]), "steps has 1 NaN or infinite"),
        (lambda s: forecast_descent(s, [1.0, 1.0]).residual([[1]]), "steps has 2 dimensions"),
        (lambda s: cg_bound(s, 1.5), "steps must be whole"),
        (lambda s: forecast_descent(s, [1.0, 1.0]).early_late(1, 3), "split=3 is not a number of leading"),
        (lambda s: forecast_descent(s, [1.0, 1.0]).early_late(1, True), "split=True is not a number of leading"),
        (lambda s: forecast_descent(s, [1.0, 1.0]).steps_to_tolerance(0), "tol=0 is out of range"),
        (lambda s: forecast_descent(s, [1.0, 1.0]).measured_error([1.0, -1.0]), "losses have shape"),
        (lambda s: forecast_descent(s, [1.0, 1.0]).measured_error([np.nan]), "losses have shape"),
        (lambda s: forecast_descent(s, [1.0, 1.0]).measured_error([1.0], steps=[1, 2]), "steps have shape"),
        (lambda s: forecast_descent(s, [0.0, 0.0]).measured_error([1.0]), "the residual at step 0 is zero"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call(diagonal([2.0, 1.0]))


def test_too_many_residuals_are_refused(problem, monkeypatch):
    _, spectrum, targets = problem(10.0)
    monkeypatch.setattr(_validation, "available_memory", lambda: 10**5)
    with pytest.raises(MemoryError, match="residuals of 30 rows after 50 numbers of steps"):
        forecast_descent(spectrum, targets).residual(np.arange(50))
