"""What sparse ReLU networks say: warnings, errors, callbacks, a line for each fit."""

import warnings

import numpy as np
import pytest
from sklearn.callback import ScoringMonitor
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from step_recorder import Recorder

from underdetermined.estimators import SparseReLUClassifier, SparseReLURegressor

OPTIONS = {"width": 200, "bias": 0.5, "max_iter": 100, "tol": 0.6, "random_state": 0, "n_jobs": 1}


def regressor(**options):
    return SparseReLURegressor(**{**OPTIONS, **options})


@pytest.fixture(scope="module")
def data():
    X = np.random.default_rng(3).standard_normal((40, 3))
    return X, X[:, 0] + np.sin(X[:, 1])


@pytest.mark.parametrize("model", [SparseReLURegressor, SparseReLUClassifier])
def test_callbacks_see_every_step(data, model):
    X, y = data[0], data[1] if model is SparseReLURegressor else (data[1] > 0).astype(int)
    recorder = Recorder()
    network = model(**OPTIONS).set_callbacks(recorder).fit(X, y)
    assert recorder.seen == ["fit", *["iteration", "end"] * network.n_iter_, "end", "teardown"]
    assert recorder.scores[-1] == recorder.scores[-2] == network.score(X, y)


def test_callbacks_show_the_network_of_their_step(data):
    recorder = Recorder()
    network = regressor(tol=0.7).set_callbacks(recorder).fit(*data)
    np.testing.assert_allclose(1 - np.array(recorder.scores[:-1]), 2 * network.loss_curve_[1:], rtol=1e-10)


def test_callbacks_can_stop_without_a_warning(data):
    network = regressor(tol=0).set_callbacks(Recorder(last=3)).fit(*data)
    assert network.n_iter_ == 3 and len(network.loss_curve_) == 4


def test_a_callback_that_fails_leaves_the_last_fit(data):
    class Failing(Recorder):
        def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator=None):
            raise KeyError("no disk")

    network = regressor().fit(*data)
    before = network.predict(data[0])
    with pytest.raises(KeyError, match="no disk"):
        network.set_callbacks(Failing()).fit(data[0][:20], data[1][:20])
    np.testing.assert_array_equal(network.predict(data[0]), before)


def test_scoring_monitor_scores_every_step(data):
    monitor = ScoringMonitor(scoring="r2")
    network = regressor().set_callbacks(monitor).fit(*data)
    assert len(monitor.get_logs().data_as_pandas) == network.n_iter_ + 1


def test_too_few_steps_are_reported_where_fit_was_called(data):
    network = regressor(tol=0.01, max_iter=5)
    with pytest.warns(ConvergenceWarning, match="after 5 steps .* above tol=0.01, .* raise max_iter or tol") as caught:
        network.fit(*data)
    assert caught[0].filename == __file__
    left = np.sqrt(network.loss_curve_[-1] / network.loss_curve_[0])
    assert f"residual of {left:.3g} times" in str(caught[0].message)


def test_divergence_names_the_learning_rate(data):
    with pytest.warns(ConvergenceWarning, match="lower learning_rate"):
        network = regressor(learning_rate=1e300).fit(*data)
    assert np.isfinite(network.predict(data[0])).all() and network.n_iter_ == 1


def test_where_every_neuron_died_the_remedy_is_a_rate_below_the_automatic_one():
    X = np.random.default_rng(0).standard_normal((60, 4))
    with pytest.warns(UserWarning) as caught:
        network = regressor(width=1, symmetric_init=False, bias=0.0, tol=0.1).fit(X, np.sin(X[:, 0]) + X[:, 1])
    assert network.n_live_ == 0
    assert f"pass a learning_rate below {min(network.learning_rate_):.3g}" in str(caught[-1].message)


def test_a_network_that_converges_is_silent(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert regressor().fit(*data).n_iter_ < 100


def test_rows_without_active_neuron_are_named():
    angles = np.arange(20.0)
    X = np.vstack([np.column_stack([np.cos(angles), np.sin(angles)]), np.zeros((3, 2)), [[1e-3, 0]]])
    weight = np.ones(24)
    weight[3] = 0
    match = "leaves 2 of 21 distinct rows .* the first is row 20, of norm 0; .* normalize=True"
    with pytest.warns(UserWarning, match=match) as caught:
        regressor(normalize=False, tol=0.9).fit(X, np.arange(24.0), weight)
    assert caught[0].filename == __file__


def test_a_threshold_of_zero_is_not_told_to_be_lower(data):
    with pytest.warns(UserWarning, match="without an active neuron, .*; widen the network"):
        regressor(width=2, bias=0.0, tol=0.99).fit(*data)


def test_contradicting_repeats_leave_nothing_to_reach():
    network = regressor(max_iter=3).fit([[1.0, 2.0]] * 2, [1.0, 2.0])
    np.testing.assert_allclose(network.predict([[1.0, 2.0]]), 1.5)
    np.testing.assert_allclose(network.loss_curve_, 0.5)


def test_rows_too_large_for_their_products_are_refused(data):
    with pytest.raises(ValueError, match=r"X has entries up to 3.*e\+80, .* pass normalize=True"):
        regressor(normalize=False).fit(data[0] * 1e80, data[1])


def test_no_active_neuron_at_all_is_refused(data):
    with pytest.raises(ValueError, match=r"bias=12 leaves none of 200 neurons .* bias='auto', or widen the network"):
        regressor(bias=12.0).fit(*data)


def test_an_odd_width_is_refused_only_where_neurons_come_in_pairs(data):
    with pytest.raises(ValueError, match="width=201 is odd.*symmetric_init=False"):
        regressor(width=201).fit(*data)
    assert regressor(width=201, symmetric_init=False, max_iter=100).fit(*data).feature_map_.width == 201


def test_too_wide_is_refused_with_the_bytes(data):
    with pytest.raises(MemoryError, match="1000000000000000 hidden neurons with 4 inputs"):
        regressor(width=10**15).fit(*data)


@pytest.mark.parametrize(
    "options",
    [{"width": 0}, {"bias": -1.0}, {"bias": "high"}, {"learning_rate": 0.0}, {"tol": 1.0}, {"strategy": "fast"}],
    ids=str,
)
def test_parameters_are_checked(data, options):
    with pytest.raises(ValueError, match=f"The '{next(iter(options))}' parameter"):
        regressor(**options).fit(*data)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", ["X", "y"])
def test_non_finite_data_are_refused(data, value, place):
    arrays = {"X": data[0].copy(), "y": data[1].copy()}
    arrays[place].flat[0] = value
    with pytest.raises(ValueError, match=place):
        regressor().fit(**arrays)


def test_an_infinite_bias_is_refused(data):
    with pytest.raises(ValueError, match="bias"):
        regressor(bias=np.inf).fit(*data)


def test_one_class_is_refused(data):
    with pytest.raises(ValueError, match="1 class"):
        SparseReLUClassifier(**OPTIONS).fit(data[0], np.zeros(40, int))


def test_a_refused_fit_is_no_fit(data):
    network = regressor(bias=40.0)
    with pytest.raises(ValueError, match="none of 200"):
        network.fit(*data)
    with pytest.raises(NotFittedError):
        network.predict(data[0])


def test_there_are_no_probabilities():
    assert not hasattr(SparseReLUClassifier(), "predict_proba")


def test_verbose_prints_a_line(data, capsys):
    regressor(verbose=1).fit(*data)
    assert capsys.readouterr().out.startswith("[SparseReLURegressor] bias=0.5 loss=")
