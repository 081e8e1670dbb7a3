"""The loss of a network of exponentials and its gradient: known values, long precision, differences, complex steps."""

import tracemalloc

import numpy as np
import pytest
from exponential_oracle import Exact, paired, problem, small, weighted_residual

from underdetermined import FeatureMap
from underdetermined.objectives import Exponential, TwoLayer, _exponential_tiles
from underdetermined.optimize import gradient_descent

KINDS = [
    {"d": 5},
    {"d": 3, "weighted": True},
    {"n_outputs": 3, "weighted": True},
    {"weighted": True, "row_shift": 0.5, "uneven": True},
    {"d": 6, "weighted": True, "row_shift": 0.5, "uneven": True},
    {"n": 1, "d": 1, "width": 1},
    {"n": 3, "d": 7, "width": 2, "n_outputs": 2, "uneven": True, "norm": 3.0},
]


@pytest.fixture
def small_tiles(monkeypatch):
    """Several blocks of rows, of several tiles each, and several panels, the last ones shorter."""
    monkeypatch.setattr(_exponential_tiles, "ROWS", 4)
    monkeypatch.setattr(_exponential_tiles, "NEURONS", (7, 7))
    monkeypatch.setattr(_exponential_tiles, "CACHED", 600)


def test_known_values_of_a_small_network():
    objective = small()
    theta = objective.initial()
    outputs = objective.residual(theta) + objective.targets
    known = [1.3262160276752362, 1.5289109655526854, -1.5457407144073305]
    np.testing.assert_allclose(outputs[:, 0], known, rtol=1e-14)
    value, gradient = objective.value_and_gradient(theta)
    assert value == pytest.approx(1.3709092823306394, rel=1e-14)
    slopes = gradient.reshape(2, 4)
    assert slopes[0, 0] == pytest.approx(1.8758959143401469, rel=1e-14)
    assert slopes[1, 1] == pytest.approx(-0.50956101190192567, rel=1e-14)
    assert objective.value(theta - 0.01 * gradient) == pytest.approx(1.2328716994357345, rel=1e-14)


def test_known_gram_matrix_of_a_small_network():
    gram = small().linearize(small().initial()).gram() / 4.0
    known = [0.35843015877066348, 0.27788598465634648, -0.3027934952203813]
    np.testing.assert_allclose(gram[0], known, rtol=1e-14)
    assert np.linalg.eigvalsh(gram)[0] == pytest.approx(0.079998015984504165, rel=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_long_precision_agrees(kind):
    objective = problem(**{"n": 9, "width": 25, **kind})
    exact, theta = Exact(objective), objective.initial()
    value, gradient = objective.value_and_gradient(theta)
    np.testing.assert_allclose(objective.residual(theta), exact.residual, rtol=1e-13, atol=1e-13)
    assert value == pytest.approx(exact.loss, rel=1e-13)
    np.testing.assert_allclose(
        gradient.reshape(exact.gradient.shape), exact.gradient, rtol=0, atol=1e-13 * np.abs(exact.gradient).max()
    )
    gram = objective.linearize(theta).gram()
    np.testing.assert_allclose(gram, exact.gram, rtol=0, atol=1e-13 * np.abs(exact.gram).max())
    np.testing.assert_array_equal(gram, gram.T)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_a_complex_step_gives_the_slope(kind, seed):
    objective = problem(seed=seed, **kind)
    weights = objective.feature_map.weights
    direction = np.random.default_rng(seed + 100).standard_normal(weights.shape)
    rho = weighted_residual(objective, weights + 1e-30j * direction)
    slope = 0.5 * np.sum(rho**2).imag / 1e-30
    gradient = objective.gradient(objective.initial())
    assert gradient @ direction.ravel() == pytest.approx(slope, rel=1e-11, abs=1e-12 * np.linalg.norm(gradient))


def test_gradient_is_the_limit_of_differences():
    objective = problem(n_outputs=2, weighted=True)
    theta = objective.initial()
    direction = np.random.default_rng(1).standard_normal(theta.size)
    step = 1e-6
    slope = (objective.value(theta + step * direction) - objective.value(theta - step * direction)) / (2 * step)
    assert objective.gradient(theta) @ direction == pytest.approx(slope, rel=1e-7)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_it_is_the_hidden_part_of_two_layers(n_outputs):
    objective = problem(n=600, d=5, width=700, n_outputs=n_outputs)
    both = TwoLayer(objective.X, objective.targets, objective.feature_map, objective.coef)
    value, gradient = both.value_and_gradient(both.initial())
    found, slopes = objective.value_and_gradient(objective.initial())
    assert found == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(slopes, gradient[: slopes.size], rtol=0, atol=1e-12 * np.abs(slopes).max())


@pytest.mark.parametrize("kind", [{"n": 67, "d": 6}, {"n": 67, "n_outputs": 3, "weighted": True, "row_shift": 0.3}])
@pytest.mark.usefixtures("small_tiles")
def test_many_tiles_make_one_loss(kind):
    objective = problem(**kind)
    exact = 0.5 * np.sum(weighted_residual(objective, objective.feature_map.weights) ** 2)
    theta = objective.initial()
    value, gradient = objective.value_and_gradient(theta)
    assert value == pytest.approx(exact, rel=1e-13)
    assert len(objective._tiles(theta).blocks) > 3
    direction = np.random.default_rng(2).standard_normal(objective.feature_map.weights.shape)
    rho = weighted_residual(objective, objective.feature_map.weights + 1e-30j * direction)
    assert gradient @ direction.ravel() == pytest.approx(0.5 * np.sum(rho**2).imag / 1e-30, rel=1e-11)


@pytest.mark.parametrize(("d", "n_outputs"), [(9, 1), (9, 2), (3, 1)])
def test_threads_and_memory_layout_change_no_bit(d, n_outputs):
    def results(n_jobs, order):
        found = problem(n=700, d=d, width=2600, n_outputs=n_outputs, weighted=True, n_jobs=n_jobs)
        hidden = FeatureMap(
            np.array(found.feature_map.weights, order=order), activation="exp", n_jobs=n_jobs, scale=found.feature_map.scale
        )
        X = np.array(found.X, order=order)
        objective = Exponential(X, found.targets, hidden, found.coef, sample_weight=found.sample_weight)
        value, gradient = objective.value_and_gradient(objective.initial())
        line = objective.linearize(objective.initial())
        return [value, gradient, line.residual, line.jacobian @ gradient, line.jacobian.T @ line.residual]

    reference = results(1, "C")
    for n_jobs, order in [(2, "C"), (3, "F")]:
        for found, known in zip(results(n_jobs, order), reference, strict=True):
            np.testing.assert_array_equal(found, known)


@pytest.mark.parametrize("d", [3, 6])
def test_one_pass_and_two_calls_are_the_same(d):
    objective = problem(d=d, weighted=True)
    theta = objective.initial()
    value, gradient = objective.value_and_gradient(theta)
    assert objective.value(theta) == value
    np.testing.assert_array_equal(objective.gradient(theta), gradient)
    np.testing.assert_array_equal(theta, objective.initial())


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize(("d", "width"), [(5, 2), (5, 1400), (5, 1402), (2, 2), (2, 1402)])
def test_pairs_cancel_exactly(d, width, n_outputs):
    objective = paired(d=d, n_outputs=n_outputs, width=width)
    theta = objective.initial()
    np.testing.assert_array_equal(objective.residual(theta), -objective.targets)
    # Both neurons of every pair move alike: outputs stay zero, where a plain sum leaves rounding errors.
    moved = theta + np.tile(np.random.default_rng(3).standard_normal((d, width // 2)), 2).ravel()
    np.testing.assert_array_equal(objective.residual(moved), -objective.targets)


@pytest.mark.parametrize("d", [2, 5])
def test_pairs_that_part_are_a_difference(d):
    objective = paired(d=d, width=60)
    theta = objective.initial() - 1e-3 * objective.gradient(objective.initial())
    rho = weighted_residual(objective, theta.reshape(d, 60))
    np.testing.assert_allclose(objective.residual(theta), rho, rtol=0, atol=1e-12)
    exact = Exact(Exponential(objective.X[:5], objective.targets[:5], objective.network(theta), objective.coef))
    outputs = objective.residual(theta)[:5] + objective.targets[:5]
    np.testing.assert_allclose(outputs, exact.residual + objective.targets[:5], rtol=1e-10)


def test_a_weight_counts_how_often_a_row_is_there():
    objective = problem(n=12)
    count = np.array([1, 2, 0] * 4)
    weighted = Exponential(objective.X, objective.targets, objective.feature_map, objective.coef, sample_weight=count)
    repeated = Exponential(
        np.repeat(objective.X, count, axis=0),
        np.repeat(objective.targets, count, axis=0),
        objective.feature_map,
        objective.coef,
    )
    theta = weighted.initial()
    assert weighted.value(theta) == pytest.approx(repeated.value(theta), rel=1e-14)
    np.testing.assert_allclose(weighted.gradient(theta), repeated.gradient(theta), rtol=0, atol=1e-13)


def test_gradient_descent_lowers_the_loss():
    objective = paired(width=400, n=10)
    trajectory = gradient_descent(objective, objective.initial(), learning_rate=0.02, max_iter=50)
    assert (np.diff(trajectory.value) < 0.0).all()
    assert trajectory.value[-1] < 0.5 * trajectory.value[0]


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_other_numbers_become_double(dtype):
    rng = np.random.default_rng(4)
    X, weights = rng.integers(-2, 3, (6, 3)), rng.integers(-2, 3, (3, 8))
    hidden = FeatureMap(weights.astype(np.float32), activation="exp", scale=0.5)
    objective = Exponential(X.astype(dtype), np.arange(6, dtype=dtype), hidden, np.ones(8, dtype=dtype))
    expected = np.exp(X.astype(float) @ weights) @ np.full((8, 1), 0.5) - np.arange(6.0)[:, np.newaxis]
    np.testing.assert_allclose(objective.residual(objective.initial()), expected, rtol=1e-13)


@pytest.mark.parametrize(("d", "n_outputs"), [(5, 1), (5, 2), (2, 1)])
@pytest.mark.parametrize("size", [1e3, 1e160, 1e308])
def test_overflow_is_silent(d, n_outputs, size):
    objective = problem(n=20, d=d, n_outputs=n_outputs, weighted=True)
    theta = size * np.sign(objective.initial())
    value, gradient = objective.value_and_gradient(theta)
    assert not np.isfinite(value)
    assert not np.isfinite(gradient).all()
    assert objective.residual(theta).shape == (20, n_outputs)
    line = objective.linearize(theta)
    assert not np.isfinite(line.gram()).all()
    assert not np.isfinite(line.jacobian @ np.ones(theta.size)).all()
    assert not np.isfinite(line.jacobian.T @ np.ones(20 * n_outputs)).all()
    assert not all(np.isfinite(tile).all() for _, tile in line.jacobian.column_tiles())
    assert not all(np.isfinite(tile).all() for _, tile in line.jacobian.row_tiles())


@pytest.mark.parametrize("d", [2, 5])
def test_no_array_of_all_exponentials_is_made(d):
    objective = problem(n=4000, d=d, width=10_000)
    theta = objective.initial()
    objective.value_and_gradient(theta)
    tracemalloc.start()
    objective.value_and_gradient(theta)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.15 * 8 * 4000 * 10_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"feature_map": FeatureMap([[1.0, 1.0]], activation="tanh")}, "'tanh'.*'exp'"),
        ({"feature_map": FeatureMap([[1.0, 1.0]], [0.0, 1.0], activation="exp")}, "biases.*exp.biases.*ones"),
        ({"X": [[1.0, 2.0]]}, "2 columns.*1 inputs"),
        ({"X": np.empty((0, 1)), "targets": []}, "at least one row"),
        ({"X": [[np.inf]]}, "X has 1 NaN or infinite"),
        ({"coef": [[1.0, 1.0], [1.0, 1.0]]}, "coef has 2 columns.*1"),
        ({"coef": [1.0]}, "coef has 1 rows"),
        ({"sample_weight": [-1.0]}, "negative"),
        ({"targets": [np.nan]}, "targets has 1 NaN"),
        ({"coef": [1e308, 1.0], "feature_map": FeatureMap([[1.0, 1.0]], activation="exp", scale=1e10)}, "scale . coef"),
    ],
)
def test_errors_name_argument_and_remedy(change, message):
    hidden = FeatureMap([[1.0, 1.0]], activation="exp")
    arguments = {"X": [[1.0]], "targets": [0.0], "feature_map": hidden, "coef": [1.0, 1.0], **change}
    with pytest.raises(ValueError, match=message):
        Exponential(**arguments)


def test_parameters_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"theta has shape \(3,\).*shape \(8,\)"):
        small().value(np.zeros(3))
