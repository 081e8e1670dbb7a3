"""Joint training on hostile problems: losses never rise, what is proved holds, and errors have names."""

from dataclasses import replace

import numpy as np
import pytest

from underdetermined.estimators import TwoLayerClassifier, TwoLayerRegressor
from underdetermined.joint import PLPath, certify, draw_network, laziness_report
from underdetermined.objectives import TwoLayer
from underdetermined.optimize import gauss_newton, gradient_descent

pytestmark = pytest.mark.usefixtures("single_threaded_blas")

RNG = np.random.default_rng(1)
ROWS = RNG.standard_normal((6, 3))
TARGETS = RNG.standard_normal(6)
ONES = np.ones(6)

# Rows, targets, sample weights and neurons, and the smallest loss that such a network can have, if that is known.
PROBLEMS = {
    "plain": (ROWS, TARGETS, ONES, 64, 0.0),
    "equal rows, unequal targets": (np.vstack([ROWS, ROWS]), np.r_[TARGETS, TARGETS + 1.0], np.ones(12), 64, 1.5),
    "equal rows, one of weight zero": (ROWS[[0, 0]], [1.0, 2.0], [1.0, 0.0], 64, 0.0),
    "zero row": (np.vstack([ROWS, 0.0 * ROWS[:1]]), np.r_[TARGETS, 1.0], np.ones(7), 64, 0.5),
    "zero rows alone": (0.0 * ROWS, ONES, ONES, 64, 3.0),
    "constant column": (np.c_[ROWS, 5.0 * ONES], TARGETS, ONES, 64, 0.0),
    "constant targets": (ROWS, 7.0 * ONES, ONES, 64, 0.0),
    "targets of zero": (ROWS, 0.0 * ONES, ONES, 64, 0.0),
    "three outputs": (ROWS, RNG.standard_normal((6, 3)), ONES, 64, 0.0),
    "one row": (ROWS[:1], TARGETS[:1], ONES[:1], 2, 0.0),
    "large weights": (ROWS, TARGETS, 1e100 * ONES, 64, 0.0),
    "small weights": (ROWS, TARGETS, 1e-100 * ONES, 64, 0.0),
    "targets of a thousand": (ROWS, 1e3 * TARGETS, ONES, 64, None),
    "whole numbers": (np.arange(18).reshape(6, 3), np.arange(6), ONES, 64, None),
    "long rows": (1e3 * ROWS, TARGETS, ONES, 64, None),
    "short rows": (1e-5 * ROWS, TARGETS, ONES, 64, None),
    "fewer parameters than rows": (RNG.standard_normal((40, 3)), RNG.standard_normal(40), np.ones(40), 2, None),
}


def problem(name, **options):
    X, y, weight, width, floor = PROBLEMS[name]
    k = np.asarray(y).reshape(len(X), -1).shape[1]
    network = draw_network(X.shape[1], width, k, **options)
    return TwoLayer(X, y, *network, sample_weight=weight), floor


@pytest.mark.parametrize("solver", ["auto", "cg"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_gauss_newton_goes_down_to_the_floor(name, solver):
    objective, floor = problem(name)
    # Where the floor is not known, the losses alone are looked at.
    max_iter = 8 if floor is None else 60
    run = gauss_newton(objective, objective.initial(), loss_tol=1e-14, max_iter=max_iter, solver=solver)
    first = objective.value(objective.initial())
    assert run.value[0] == pytest.approx(first, rel=1e-12)
    assert objective.value(run.theta) == pytest.approx(run.value[-1], rel=1e-6, abs=1e-14 * first)
    assert (np.diff(run.value) <= 0.0).all()
    floor = run.value[-1] if floor is None else floor
    assert run.value[-1] == pytest.approx(floor, rel=1e-5, abs=1e-12 * first)


@pytest.mark.parametrize(
    "options",
    [{"learning_rate": "auto"}, {"learning_rate": "cauchy"}, {"learning_rate": "auto", "method": "heavy_ball"}],
    ids=lambda options: options.get("method", options["learning_rate"]),
)
@pytest.mark.parametrize("name", PROBLEMS)
def test_descent_ends_no_higher(name, options):
    objective, floor = problem(name, activation="gelu", bias_scale=0.0)
    run = gradient_descent(objective, objective.initial(), max_iter=30, **options)
    first = run.value[0]
    assert run.value[-1] <= first * (1.0 + 1e-12)
    assert objective.value(run.theta) == pytest.approx(run.value[-1], rel=1e-9, abs=1e-20 * first)


@pytest.mark.parametrize("layers", ["both", "hidden", "last"])
@pytest.mark.parametrize("scale", [1e-320, 1e-160, 1e3, 1e150, 1e200, 1.7e308])
def test_no_parameters_make_an_objective_raise(scale, layers):
    hidden, coef = draw_network(3, 8, 2, activation="softplus", bias_scale=1.0)
    objective = TwoLayer(ROWS, np.ones((6, 2)), hidden, coef, intercept=1.0, layers=layers)
    theta = scale * np.random.default_rng(3).choice([-1.0, 1.0], objective.n_parameters)
    value, gradient = objective.value_and_gradient(theta)
    assert np.array_equal(objective.value(theta), value, equal_nan=True)
    assert gradient.shape == theta.shape
    line = objective.linearize(theta)
    assert (line.jacobian @ theta).shape == line.residual.shape == (12,)
    assert line.gram().shape == (12, 12)


@pytest.mark.parametrize(
    ("X", "y", "options", "words"),
    [
        (np.vstack([ROWS, ROWS]), np.ones(12), {}, "Row 6 repeats row 0"),
        (np.vstack([ROWS, 0.0 * ROWS[:1]]), np.ones(7), {}, "row is zero"),
        (ROWS, 1e200 * TARGETS, {}, ""),
        (1e-200 * ROWS, TARGETS, {}, ""),
        (1e200 * ROWS, TARGETS, {}, ""),
        (ROWS, TARGETS, {"activation": "relu"}, "relu"),
        (ROWS, TARGETS, {"activation": "exp"}, "exp"),
        (ROWS, 10.0 * TARGETS, {"width": 4}, ""),
    ],
)
def test_certificates_are_refused_with_a_reason(X, y, options, words):
    options = {"width": 64, **options}
    certificate = certify(TwoLayer(X, y, *draw_network(3, **options)))
    assert not certificate.is_certified
    assert len(certificate.reason.split()) > 4
    assert words in certificate.reason
    assert certificate.n_steps(0.5) == np.inf
    assert certificate.loss_bound(0) == np.inf


ACTIVATIONS = ["tanh", "gelu", "softplus", "sin", "silu", "gaussian", "sigmoid", "erf"]


def within_reach(activation, h, layers="both"):
    """Two outputs, all biases, weights of rows and scales of neurons, and targets as far away as h says."""
    rng = np.random.default_rng(len(activation))
    X, Y = rng.standard_normal((5, 4)), rng.standard_normal((5, 2))
    hidden, coef = draw_network(4, 300, 2, activation=activation, bias_scale=0.5, seed=3)
    layer = replace(hidden, scale=rng.uniform(0.5, 1.5, 300))
    weight = rng.uniform(0.5, 2.0, 5)
    objective = TwoLayer(X, Y, layer, coef, intercept=0.3, layers=layers, sample_weight=weight)
    # Nothing but the residual depends on the targets.
    residual = objective.residual(objective.initial())
    return replace(objective, targets=residual + Y - h / certify(objective).h * residual)


@pytest.mark.parametrize("layers", ["both", "hidden"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_certified_runs_keep_their_promises(activation, layers):
    objective = within_reach(activation, 0.999, layers)
    certificate = certify(objective)
    assert certificate.h == pytest.approx(0.999, rel=1e-6)
    assert certificate.is_certified
    theta = start = objective.initial()
    length = 0.0
    for step in range(60):
        value, gradient = objective.value_and_gradient(theta)
        assert value <= certificate.loss_bound(step) * (1.0 + 1e-12)
        assert gradient @ gradient >= 2.0 * certificate.pl_constant * value
        theta = theta - certificate.learning_rate * gradient
        length += certificate.learning_rate * np.linalg.norm(gradient)
    assert length <= certificate.distance
    report = laziness_report(objective, theta, certificate=certificate)
    assert report.covers_run
    assert report.distance <= length * (1.0 + 1e-12)
    assert 0.0 < report.jacobian_drift < 1.0
    assert objective.value(start) == pytest.approx(0.5 * certificate.residual_norm**2)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_larger_steps_keep_their_promises(activation):
    rate = 1.8 * certify(within_reach(activation, 0.999)).max_learning_rate
    objective = within_reach(activation, 0.01)
    certificate = certify(objective, learning_rate=rate)
    assert certificate.is_certified
    run = gradient_descent(objective, objective.initial(), learning_rate=rate, max_iter=60)
    assert all(value <= certificate.loss_bound(step) * (1.0 + 1e-12) for step, value in enumerate(run.value))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gauss_newton_keeps_its_promises(activation):
    objective = within_reach(activation, 0.999)
    certificate = certify(objective)
    assert certificate.is_newton_certified
    theta = objective.initial()
    length = 0.0
    for step in range(6):
        line = objective.linearize(theta)
        assert 0.5 * line.residual @ line.residual <= certificate.newton_loss_bound(step) * (1.0 + 1e-12) + 1e-25
        delta = -line.jacobian.rmatvec(np.linalg.solve(line.gram(), line.residual))
        length += np.linalg.norm(delta)
        theta = theta + delta
    assert length <= certificate.distance * (1.0 + 1e-9)


def test_duplicates_and_weights_certify_alike():
    objective = within_reach("tanh", 0.5)
    beside = replace(
        objective,
        X=np.vstack([objective.X, objective.X[:1]]),
        targets=np.vstack([objective.targets, [[9.0, 9.0]]]),
        sample_weight=np.r_[objective.sample_weight, 0.0],
    )
    assert certify(beside).h == pytest.approx(certify(objective).h, rel=1e-9)
    assert certify(beside).rate == pytest.approx(certify(objective).rate, rel=1e-9)


def test_path_of_a_run_ends_certified():
    objective, _ = problem("plain", bias_scale=1.0)
    path = PLPath(objective, every=1)
    gauss_newton(objective, objective.initial(), loss_tol=1e-20, callback=path)
    assert not path.is_certified[0]
    assert path.is_certified[-1]
    assert (path.ratio >= path.smallest * (1.0 - 1e-9)).all()
    assert (path.ratio <= path.largest * (1.0 + 1e-9)).all()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("n_jobs", [1, 3])
def test_same_answer_for_any_threads_and_layout(n_jobs, order):
    rng = np.random.default_rng(7)
    X, Y = rng.standard_normal((700, 9)), rng.standard_normal((700, 2))
    hidden, coef = draw_network(9, 1100, 2, bias_scale=1.0)
    plain = TwoLayer(X, Y, replace(hidden, n_jobs=2), coef, intercept=0.0)
    layer = replace(hidden, weights=np.array(hidden.weights, order=order), n_jobs=n_jobs)
    other = TwoLayer(np.array(X, order=order), np.array(Y, order=order), layer, np.array(coef, order=order), intercept=0.0)
    left, right = (each.value_and_gradient(each.initial()) for each in (plain, other))
    assert left[0] == right[0]
    assert np.array_equal(left[1], right[1])


@pytest.mark.parametrize("scale", [1e-200, 1e-3, 1e3, 1e200])
def test_automatic_row_scale_makes_a_fit_independent_of_units(scale):
    model = TwoLayerRegressor(64, alpha=0.0, random_state=0)
    expected = model.fit(ROWS, TARGETS).predict(ROWS[:3] + 0.01)
    found = model.fit(scale * ROWS, TARGETS).predict(scale * (ROWS[:3] + 0.01))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("X", "y", "weight", "expected"),
    [
        (ROWS, 7.0 * ONES, None, 7.0 * ONES),
        (ROWS, 1e300 * TARGETS, None, 1e300 * TARGETS),
        (ROWS, 1e-300 * TARGETS, None, 1e-300 * TARGETS),
        (ROWS, np.c_[TARGETS, 1e100 * TARGETS, ONES], None, np.c_[TARGETS, 1e100 * TARGETS, ONES]),
        (ROWS.astype(np.float32), TARGETS.astype(np.float32), None, TARGETS),
        (np.c_[ROWS, 1e6 * ONES], TARGETS, None, TARGETS),
        (ROWS + 1e6, TARGETS, None, TARGETS),
        (ROWS[:1], TARGETS[:1], None, TARGETS[:1]),
        (ROWS[[0, 0, 1]], [1.0, 2.0, 5.0], None, [1.5, 1.5, 5.0]),
        (ROWS[[0, 0, 1]], [1.0, 2.0, 5.0], [3.0, 1.0, 1.0], [1.25, 1.25, 5.0]),
        (np.vstack([ROWS, 0.0 * ROWS[:1]]), np.r_[TARGETS, 3.0], None, np.r_[TARGETS, 3.0]),
        (0.0 * ROWS, np.arange(6.0), None, 2.5 * ONES),
        (ROWS, TARGETS, 1e200 * ONES, TARGETS),
    ],
)
def test_hostile_data_are_fitted_as_well_as_can_be(X, y, weight, expected):
    model = TwoLayerRegressor(64, alpha=0.0, tol=1e-10, random_state=0).fit(X, y, sample_weight=weight)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-5, atol=1e-6 * np.abs(np.asarray(expected)).min())


def test_labels_with_one_rare_class_are_learned():
    labels = np.array(["a", "b", "b", "b", "b", "b"])
    assert (TwoLayerClassifier(64, alpha=0.0, random_state=0).fit(ROWS, labels).predict(ROWS) == labels).all()


def test_what_is_warned_and_refused_reaches_the_user():
    with pytest.warns(UserWarning, match="xavier|Xavier"):
        TwoLayerRegressor(4096, init="xavier", max_iter=1, tol=0.9, random_state=0).fit(ROWS, TARGETS)
    model = TwoLayerRegressor(64, activation="relu", alpha=0.0, random_state=0).fit(ROWS, TARGETS)
    assert not model.certificate_.is_certified
    assert "kink" in model.certificate_.reason
    with pytest.raises(ValueError, match="NaN"):
        TwoLayerRegressor(64).fit(np.where(ROWS > 0.5, np.nan, ROWS), TARGETS)
