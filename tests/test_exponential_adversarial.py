"""Networks of exponentials on hostile problems: what is proved of them must hold, and errors must have names."""

from dataclasses import replace
from math import expm1, inf

import numpy as np
import pytest

from underdetermined.bounds import exponential_eigenvalue_bounds, exponential_gram_width
from underdetermined.estimators import ExponentialClassifier, ExponentialRegressor, RandomFeatures
from underdetermined.exponential import certify, check_exponents, concentration_report, draw_network, log_predict
from underdetermined.kernels import exponential_ntk, gaussian_kernel, positive_feature_variance
from underdetermined.objectives import Exponential
from underdetermined.optimize import gauss_newton, gradient_descent

pytestmark = pytest.mark.usefixtures("single_threaded_blas")

RNG = np.random.default_rng(1)
ROWS = 0.5 * RNG.standard_normal((6, 3))
TARGETS = RNG.standard_normal(6)
ONES = np.ones(6)

# Rows, targets, sample weights and neurons, and the smallest loss that such a network can have.
PROBLEMS = {
    "plain": (ROWS, TARGETS, ONES, 64, 0.0),
    "equal rows, unequal targets": (np.vstack([ROWS, ROWS]), np.r_[TARGETS, TARGETS + 1.0], np.ones(12), 64, 1.5),
    "equal rows, one of weight zero": (ROWS[[0, 0]], [1.0, 2.0], [1.0, 0.0], 64, 0.0),
    "zero row": (np.vstack([ROWS, 0.0 * ROWS[:1]]), np.r_[TARGETS, 1.0], np.ones(7), 64, 0.5),
    "zero rows alone": (0.0 * ROWS, ONES, ONES, 64, 3.0),
    "constant targets": (ROWS, 7.0 * ONES, ONES, 64, 0.0),
    "targets of zero": (ROWS, 0.0 * ONES, ONES, 64, 0.0),
    "three outputs": (ROWS, RNG.standard_normal((6, 3)), ONES, 64, 0.0),
    "one row": (ROWS[:1], TARGETS[:1], ONES[:1], 2, 0.0),
    "one row of weight": (ROWS, TARGETS, [0.0, 0.0, 1.0, 0.0, 0.0, 0.0], 64, 0.0),
    "large weights": (ROWS, TARGETS, 1e200 * ONES, 64, 0.0),
    "targets of a thousand": (ROWS, 1e3 * TARGETS, ONES, 64, 0.0),
    "short rows": (1e-5 * ROWS, TARGETS, ONES, 64, 0.0),
    "long rows": (5.0 * ROWS, TARGETS, ONES, 64, 0.0),
}


def objective(name):
    X, y, weight, width, floor = PROBLEMS[name]
    layer, coef = draw_network(X.shape[1], width, np.asarray(y).reshape(len(X), -1).shape[1])
    return Exponential(X, y, layer, coef, sample_weight=weight), floor


@pytest.mark.parametrize("solver", ["direct", "cg"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_gauss_newton_reaches_the_floor(name, solver):
    problem, floor = objective(name)
    run = gauss_newton(problem, problem.initial(), loss_tol=1e-16, max_iter=200, solver=solver)
    first = problem.value(problem.initial())
    assert run.value[0] == pytest.approx(first, rel=1e-12)
    assert problem.value(run.theta) == pytest.approx(run.value[-1], rel=1e-6, abs=1e-14 * first)
    assert (np.diff(run.value) <= 0.0).all()
    assert run.value[-1] == pytest.approx(floor, rel=1e-6, abs=1e-14 * first)
    assert run.n_iter <= 100


@pytest.mark.parametrize("name", PROBLEMS)
def test_gradient_descent_never_raises_the_loss(name):
    problem, floor = objective(name)
    run = gradient_descent(problem, problem.initial(), learning_rate="auto", max_iter=40)
    first = run.value[0]
    assert (np.diff(run.value) <= 1e-12 * first).all()
    assert run.value[-1] >= floor * (1.0 - 1e-12)
    assert problem.value(run.theta) == pytest.approx(run.value[-1], rel=1e-9, abs=1e-20 * first)


@pytest.mark.parametrize("scale", [1e-320, 1e-160, 1e3, 1e150, 1e200, 1.7e308])
@pytest.mark.parametrize("symmetric", [False, True])
def test_no_parameters_make_an_objective_raise(scale, symmetric):
    layer, coef = draw_network(3, 8, 2, symmetric=symmetric)
    problem = Exponential(ROWS, np.ones((6, 2)), layer, coef)
    theta = scale * np.random.default_rng(3).choice([-1.0, 1.0], 24)
    value, gradient = problem.value_and_gradient(theta)
    assert np.array_equal(problem.value(theta), value, equal_nan=True)
    assert gradient.shape == (24,)
    line = problem.linearize(theta)
    assert (line.jacobian @ np.ones(24)).shape == line.residual.shape == (12,)
    assert line.gram().shape == (12, 12)
    assert problem.largest_exponent(theta)[0] >= problem.largest_exponent(theta)[1]


@pytest.mark.parametrize("width", [2, 6, 1024, 4100])
@pytest.mark.parametrize("n", [1, 300])
def test_symmetric_start_is_zero_to_the_last_bit(width, n):
    layer, coef = draw_network(3, width, 2)
    X = np.random.default_rng(n).standard_normal((n, 3))
    problem = Exponential(X, np.zeros((n, 2)), layer, coef)
    assert not problem.residual(problem.initial()).any()
    assert not log_predict(layer, coef, X)[0].any()


@pytest.mark.parametrize(
    ("X", "y", "weight", "words"),
    [
        (np.vstack([ROWS, ROWS]), np.ones(12), np.ones(12), "Row 6 repeats row 0"),
        (np.vstack([ROWS, 0.0 * ROWS[:1]]), np.ones(7), np.ones(7), "Row 6 is zero"),
        (1e3 * ROWS, TARGETS, ONES, "> 350"),
        (1e200 * ROWS, TARGETS, ONES, "> 350"),
        (1e-320 * ROWS, TARGETS, ONES, "rescale the rows"),
        (ROWS, 1e300 * TARGETS, ONES, "is not below 1"),
        (ROWS, TARGETS, 1e-300 * ONES, "out of the range"),
    ],
)
def test_certificates_are_refused_with_a_reason(X, y, weight, words):
    layer, coef = draw_network(3, 64)
    certificate = certify(Exponential(X, y, layer, coef, sample_weight=weight))
    assert not certificate.is_certified
    assert words in certificate.reason
    assert certificate.n_steps(0.5) == inf


def test_certificates_know_that_weights_count_rows():
    layer, coef = draw_network(3, 4096)
    X, y = 0.9 * np.eye(3), [0.05, -0.05, 0.0]
    twice = certify(Exponential(X, y, layer, coef, sample_weight=[2.0, 1.0, 1.0]))
    more = np.vstack([X, X[:1]])
    beside = certify(Exponential(more, [*y, 9.0], layer, coef, sample_weight=[2.0, 1.0, 1.0, 0.0]))
    assert twice.is_certified
    assert beside.h == pytest.approx(twice.h, rel=1e-9)
    assert beside.rate == pytest.approx(twice.rate, rel=1e-9)


def test_concentration_is_the_variance_of_positive_features():
    x = np.array([[0.3, 0.4]])
    report = concentration_report(x, 50, weight_scale=1.4, symmetric=False)
    size = 4.0 * 1.4**2 * 0.25
    assert report.relative_error**2 * 50 == pytest.approx(positive_feature_variance(size, 2, "gaussian"), rel=1e-12)
    assert report.relative_error**2 * 50 == pytest.approx(expm1(size), rel=1e-12)


def test_limits_on_one_matrix_agree(rng):
    X = 0.7 * rng.standard_normal((5, 4))
    report, found = concentration_report(X, 10), exponential_eigenvalue_bounds(X)
    smallest = np.linalg.eigvalsh(exponential_ntk(X))[0]
    assert report.smallest_eigenvalue == pytest.approx(smallest, rel=1e-9)
    assert exponential_gram_width(X).details["lambda"] == pytest.approx(smallest, rel=1e-9)
    assert all(bound.value <= smallest * (1 + 1e-9) for bound in found.bounds if bound.value and bound.kind == "lower")


@pytest.mark.parametrize("X", [np.vstack([ROWS, ROWS[2:3]]), np.vstack([ROWS, 0.0 * ROWS[:1]])])
def test_singular_limits_have_no_width(X):
    assert exponential_gram_width(X).width is None
    assert concentration_report(X, 10).condition == inf


def test_long_rows_keep_the_gaussian_kernel_of_positive_features():
    X = 1e3 * ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)
    np.testing.assert_allclose(gaussian_kernel(X), np.eye(6), atol=1e-12)
    with pytest.warns(UserWarning, match="misses most of its kernel"):
        features = RandomFeatures(width=64, activation="positive_gaussian", random_state=0).fit_transform(X)
    assert np.isfinite(features).all()
    with pytest.raises(OverflowError, match="norm is 1e\\+03"):
        exponential_ntk(X)


@pytest.mark.parametrize("scale", [1e-300, 1e-3, 1e3, 1e200])
def test_automatic_row_scale_makes_a_fit_independent_of_units(scale):
    model = ExponentialRegressor(width=512, random_state=0)
    expected = model.fit(ROWS, TARGETS).predict(ROWS[:3] + 0.01)
    found = model.fit(scale * ROWS, TARGETS).predict(scale * (ROWS[:3] + 0.01))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(model.predict(scale * ROWS), TARGETS, rtol=1e-6)


@pytest.mark.parametrize(
    ("X", "y", "weight", "expected"),
    [
        (ROWS, 7.0 * ONES, None, 7.0 * ONES),
        (ROWS, 1e300 * TARGETS, None, 1e300 * TARGETS),
        (ROWS, 1e-300 * TARGETS, None, 1e-300 * TARGETS),
        (ROWS, np.c_[TARGETS, 1e100 * TARGETS, ONES], None, np.c_[TARGETS, 1e100 * TARGETS, ONES]),
        (ROWS.astype(np.float32), TARGETS.astype(np.float32), None, TARGETS),
        (ROWS[:1], TARGETS[:1], None, TARGETS[:1]),
        (ROWS[[0, 0, 1]], [1.0, 2.0, 5.0], None, [1.5, 1.5, 5.0]),
        (ROWS[[0, 0, 1]], [1.0, 2.0, 5.0], [3.0, 1.0, 1.0], [1.25, 1.25, 5.0]),
        (np.vstack([ROWS, 0.0 * ROWS[:1]]), np.r_[TARGETS, 3.0], None, np.r_[TARGETS, 3.0]),
        (0.0 * ROWS, np.arange(6.0), None, 2.5 * ONES),
    ],
)
def test_hostile_data_are_fitted_as_well_as_can_be(X, y, weight, expected):
    model = ExponentialRegressor(width=512, random_state=0).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-6, atol=1e-7 * np.abs(TARGETS).min())
    sign, log_magnitude = model.predict_log(X)
    np.testing.assert_allclose(sign * np.exp(log_magnitude), model.predict(X), rtol=1e-5)


def test_far_predictions_are_refused_and_served_as_logarithms():
    model = ExponentialRegressor(width=64, random_state=0, max_iter=2, tol=0.9).fit(ROWS, TARGETS)
    with pytest.raises(OverflowError, match="predict_log"):
        model.predict(1e5 * ROWS)
    sign, log_magnitude = model.predict_log(1e5 * ROWS)
    assert set(np.abs(sign)) <= {0.0, 1.0}
    assert log_magnitude.max() > 709.0


def test_training_on_long_rows_is_refused_with_number_and_remedy():
    layer, _ = draw_network(3, 64)
    with pytest.raises(OverflowError, match="max <w, x> = .* > 350.*rescale the rows"):
        check_exponents(layer, 300.0 * ROWS, training=True)
    with pytest.raises(OverflowError, match="row_scale='auto'"):
        ExponentialRegressor(width=64, row_scale=1e3, random_state=0).fit(ROWS, TARGETS)


def test_labels_with_one_rare_class_are_learned():
    labels = np.array(["a", "b", "b", "b", "b", "b"])
    assert (ExponentialClassifier(width=512, random_state=0).fit(ROWS, labels).predict(ROWS) == labels).all()


def test_row_shifts_of_long_rows_underflow_in_silence():
    layer, coef = draw_network(2, 6, symmetric=False)
    problem = Exponential([[1e3, 0.0], [0.0, 1e3]], [1.0, 2.0], replace(layer, row_shift=0.5), coef)
    assert problem.value_and_gradient(problem.initial())[0] == 2.5
