"""What two-layer networks say: warnings, errors, certificates, laziness, callbacks, a line for each fit."""

import warnings

import numpy as np
import pytest
from sklearn.callback import ScoringMonitor
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from step_recorder import Recorder

from underdetermined.estimators import TwoLayerClassifier, TwoLayerRegressor, _two_layer_training
from underdetermined.optimize import gauss_newton

OPTIONS = {"width": 40, "alpha": 0.1, "random_state": 0, "n_jobs": 1}


def regressor(**options):
    return TwoLayerRegressor(**{**OPTIONS, **options})


@pytest.fixture(scope="module")
def data():
    X = np.random.default_rng(3).standard_normal((20, 4))
    return X, X[:, 0] + np.sin(X[:, 1])


@pytest.mark.parametrize("model", [TwoLayerRegressor, TwoLayerClassifier])
@pytest.mark.parametrize("options", [{}, {"solver": "gd", "tol": 0.3}], ids=["gauss-newton", "gd"])
def test_callbacks_see_every_step(data, model, options):
    X, y = data[0], {TwoLayerRegressor: data[1], TwoLayerClassifier: (data[1] > 0).astype(int)}[model]
    recorder = Recorder()
    network = model(**{**OPTIONS, **options}).set_callbacks(recorder).fit(X, y)
    assert recorder.seen == ["fit", *["iteration", "end"] * network.n_iter_, "end", "teardown"]
    assert recorder.scores[-1] == recorder.scores[-2] == network.score(X, y)


def test_callbacks_show_the_network_of_their_step(data):
    recorder = Recorder()
    network = regressor(alpha=0.0).set_callbacks(recorder).fit(*data)
    np.testing.assert_allclose(1 - np.array(recorder.scores[:-1]), 2 * network.loss_curve_[1:], rtol=1e-6, atol=1e-15)


def test_callbacks_can_stop_without_a_warning(data):
    network = regressor(tol=0).set_callbacks(Recorder(last=2)).fit(*data)
    assert network.n_iter_ == 2 and len(network.loss_curve_) == 3


def test_scoring_monitor_scores_every_step(data):
    monitor = ScoringMonitor(scoring="r2")
    network = regressor().set_callbacks(monitor).fit(*data)
    assert len(monitor.get_logs().data_as_pandas) == network.n_iter_ + 1


def test_too_few_steps_are_reported_where_fit_was_called(data):
    network = regressor(alpha=0.0, tol=1e-9, max_iter=1)
    with pytest.warns(ConvergenceWarning, match="after 1 steps with a residual of .* above tol=1e-09. Training") as caught:
        network.fit(*data)
    assert caught[0].filename == __file__
    left = np.sqrt(network.loss_curve_[-1] / network.loss_curve_[0])
    assert f"residual of {left:.3g} times" in str(caught[0].message)


def test_too_few_steps_towards_a_penalised_minimum(data):
    with pytest.warns(
        ConvergenceWarning, match="after 1 steps with a gradient of .* its norm at the start, above tol=1e-06"
    ):
        regressor(max_iter=1, tol=1e-6).fit(*data)


def test_slow_descent_is_told_of_the_other_solver(data):
    with pytest.warns(ConvergenceWarning, match="solver='gauss-newton'"):
        regressor(solver="gd", max_iter=2).fit(*data)


def test_divergence_names_the_learning_rate(data):
    with pytest.warns(ConvergenceWarning, match="overflowed: lower learning_rate"):
        network = regressor(solver="gd", alpha=0.0, learning_rate=1e6, activation="softplus").fit(*data)
    assert np.isfinite(network.predict(data[0])).all()


def test_rows_and_columns_of_uneven_size_are_named(data):
    with pytest.warns(ConvergenceWarning, match="Also standardise the columns of X, whose sizes differ by .*e[+]04"):
        regressor(alpha=0.0, max_iter=1).fit(data[0] * [1.0, 1.0, 1e4, 1.0], data[1])


def test_networks_that_converge_are_silent(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert regressor().fit(*data).n_iter_ < 20
        assert regressor(alpha=0.0, tol=1e-8, width=200).fit(*data).loss_curve_[-1] < 1e-16


def test_xavier_at_a_large_width_is_reported(data):
    with pytest.warns(UserWarning, match="init='xavier' with 2000 neurons and 4 inputs .* pass init='lecun'"):
        regressor(init="xavier", width=2000).fit(*data)


def test_certificates_of_the_start_and_of_the_end():
    X, y = np.eye(3), [1.0, 0.0, -1.0]
    wide = regressor(width=20000, alpha=0.0, output="zero").fit(X, y)
    assert wide.certificate_.is_certified and wide.certified_step_ == 0
    assert wide.certificate_.residual_norm == pytest.approx(np.sqrt(3)) and wide.laziness_.linearization_error < 0.01
    later = regressor(tol=1e-10, alpha=0.0).fit(X, y)
    assert later.certificate_.is_certified and later.certified_step_ == later.n_iter_
    assert later.certificate_.residual_norm <= 1e-10 * np.sqrt(3)


def test_the_certified_rate_is_taken_and_keeps_its_promise():
    X, y = np.eye(3), np.array([1.0, 0.0, -1.0])
    network = regressor(
        width=20000, alpha=0.0, output="zero", solver="gd", learning_rate="certified", tol=1e-4, max_iter=500
    )
    certificate = network.fit(X, y).certificate_
    np.testing.assert_array_equal(network.learning_rate_, certificate.learning_rate)
    assert network.trajectory_.value[-1] <= certificate.loss_bound(network.n_iter_)


def test_certificates_are_for_steps_as_large_as_those_taken():
    network = regressor(width=20000, alpha=0.0, output="zero", solver="gd", tol=0.1).fit(np.eye(3), [1.0, 0.5, -1.0])
    assert network.certificate_.is_certified and network.learning_rate_.max() == network.certificate_.learning_rate


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_rate_that_is_not_certified_is_refused_with_the_reason(data, activation):
    network = regressor(solver="gd", alpha=0.0, learning_rate="certified", activation=activation)
    with pytest.raises(ValueError, match="learning_rate='certified', but nothing is certified at the start: .*[.] Pass"):
        network.fit(*data)
    with pytest.raises(NotFittedError):
        network.predict(data[0])


def test_relu_trains_without_a_certificate(data):
    network = regressor(activation="relu").fit(*data)
    assert network.score(*data) > 0.5
    assert not network.certificate_.is_certified and "relu" in network.certificate_.reason


def test_no_certificate_for_many_rows():
    rng = np.random.default_rng(0)
    network = regressor(alpha=10.0, width=10).fit(rng.standard_normal((171, 2)), rng.standard_normal((171, 3)))
    assert network.certificate_ is None and network.certified_step_ is None
    assert network.laziness_.verdict


def test_activations_without_a_derivative_are_refused(data):
    with pytest.raises((TypeError, ValueError), match="derivative"):
        regressor(activation=np.sign).fit(*data)


@pytest.mark.parametrize(("weight", "total"), [(1e-300, r"2e-299"), (1e308, "inf")])
def test_sample_weights_beyond_float64_are_refused(data, weight, total):
    with pytest.raises(ValueError, match=f"sample_weight sums up to {total}, outside of 1e-150 to 1e.290.* multiply"):
        regressor().fit(*data, np.full(20, weight))


@pytest.mark.parametrize("options", [{}, {"alpha": "loo"}, {"solver": "gd", "tol": 0.05}, {"early_stopping": True}], ids=str)
def test_large_sample_weights_outweigh_the_penalty(data, options):
    network = regressor(**options).fit(*data, np.full(20, 1e200))
    assert network.score(*data) > 0.9 and np.isfinite(network.loss_curve_).all()


@pytest.mark.parametrize(("alpha", "factor"), [(0.1, 1.0), (1e-9, 20 * 1e-5)])
def test_first_steps_are_damped_by_the_penalty_or_by_the_trace(data, monkeypatch, alpha, factor):
    asked = {}

    def spy(objective, theta, **options):
        asked.update(options)
        return gauss_newton(objective, theta, **options)

    monkeypatch.setattr(_two_layer_training, "gauss_newton", spy)
    size = regressor(alpha=alpha).fit(*data).tangent_size_
    assert asked["alpha"] == alpha * size
    assert asked["damping"] == pytest.approx(factor * size, rel=1e-12)


@pytest.mark.parametrize("total", [1.1e-150, 1e250])
def test_sample_weights_within_float64_train_as_ones(data, total):
    network = regressor(alpha=0.0).fit(*data, np.full(20, total / 20))
    plain = regressor(alpha=0.0).fit(*data)
    np.testing.assert_allclose(network.predict(data[0]), plain.predict(data[0]), rtol=1e-6)


def test_rows_and_predictions_that_overflow_are_refused(data):
    network = regressor().fit(1e-3 * data[0], data[1])
    with pytest.raises(OverflowError, match=r"entries up to 1.5e\+308, which overflow once multiplied by the row scale"):
        network.predict(np.full((1, 4), 1.5e308))
    with pytest.raises(OverflowError, match="predictions overflow float32 on rows with entries up to 3.32"):
        regressor().fit(data[0], 1e39 * data[1]).predict(data[0].astype(np.float32))
    with pytest.raises(OverflowError, match="activation='exp' overflows float64"):
        regressor(activation="exp").fit(*data).predict(np.array([[1e4, 1e4, -1e4, 1e4]]))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"width": 41}, "width=41 is odd: pass an even one, or output='zero' or 'random'"),
        ({"learning_rate": 0.1}, "learning_rate=0.1 has no effect on solver='gauss-newton'"),
        ({"learning_rate": "cauchy", "solver": "heavy-ball"}, "learning_rate='cauchy' is for solver='gd'"),
        ({"learning_rate": "certified", "solver": "gd"}, "without a penalty: pass alpha=0 instead of 0.1"),
        ({"learning_rate": "certified", "solver": "gd", "alpha": "loo"}, "without a penalty: pass alpha=0 instead of 'loo'"),
        ({"row_scale": 0.0}, "row_scale"),
        ({"row_scale": np.inf}, "row_scale"),
        ({"weight_scale": 0.0}, "weight_scale"),
        ({"bias_scale": -1.0}, "bias_scale"),
        ({"init": "glorot"}, "init"),
        ({"output": "ones"}, "output"),
        ({"sampler": "dice"}, "sampler"),
        ({"solver": "adam"}, "solver"),
        ({"alpha": -1.0}, "alpha"),
        ({"alpha": "cv"}, "alpha"),
        ({"tol": 1.0}, "tol"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"activation": "tangent"}, "tangent"),
    ],
)
def test_options_that_do_not_fit_are_refused(data, options, match):
    with pytest.raises(ValueError, match=match):
        regressor(**options).fit(*data)


@pytest.mark.parametrize("output", ["zero", "random"])
def test_odd_widths_without_pairs(data, output):
    assert regressor(width=41, output=output).fit(*data).coef_.shape == (41,)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", ["X", "y"])
def test_non_finite_data_are_refused(data, value, place):
    arrays = {"X": data[0].copy(), "y": data[1].copy()}
    arrays[place].flat[0] = value
    with pytest.raises(ValueError, match=place):
        regressor().fit(**arrays)


def test_networks_beyond_the_memory_are_refused(data):
    with pytest.raises(MemoryError, match="10000000000000 neurons .* bytes"):
        regressor(width=10**13).fit(*data)


def test_one_class_is_refused(data):
    with pytest.raises(ValueError, match="1 class"):
        TwoLayerClassifier(**OPTIONS).fit(data[0], np.zeros(20, int))


def test_a_failed_fit_leaves_the_last_one(data):
    network = regressor().fit(*data)
    before = network.predict(data[0])
    with pytest.raises(OverflowError):
        network.set_params(row_scale=1e308).fit(1e10 * data[0][:10], data[1][:10])
    np.testing.assert_array_equal(network.set_params(row_scale="auto").predict(data[0]), before)


def test_verbose_prints_a_line(data, capsys):
    regressor(verbose=1).fit(*data)
    assert capsys.readouterr().out.startswith("[TwoLayerRegressor] alpha=0.1 loss=")
