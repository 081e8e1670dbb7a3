"""What networks of exponentials say: warnings, errors, callbacks, a line for each fit."""

import warnings

import numpy as np
import pytest
from sklearn.callback import ScoringMonitor
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from step_recorder import Recorder

from underdetermined.estimators import ExponentialClassifier, ExponentialRegressor

OPTIONS = {"width": 100, "alpha": 0.1, "random_state": 0, "n_jobs": 1}


def regressor(**options):
    return ExponentialRegressor(**{**OPTIONS, **options})


@pytest.fixture(scope="module")
def data():
    X = np.random.default_rng(3).standard_normal((20, 4))
    return X, X[:, 0] + np.sin(X[:, 1])


@pytest.mark.parametrize("model", [ExponentialRegressor, ExponentialClassifier])
@pytest.mark.parametrize("options", [{}, {"solver": "gd", "alpha": 0.0, "tol": 0.8}], ids=["gauss-newton", "gd"])
def test_callbacks_see_every_step(data, model, options):
    X, y = data[0], {ExponentialRegressor: data[1], ExponentialClassifier: (data[1] > 0).astype(int)}[model]
    recorder = Recorder()
    network = model(**{**OPTIONS, **options}).set_callbacks(recorder).fit(X, y)
    assert recorder.seen == ["fit", *["iteration", "end"] * network.n_iter_, "end", "teardown"]
    assert recorder.scores[-1] == recorder.scores[-2] == network.score(X, y)


def test_callbacks_show_the_network_of_their_step(data):
    recorder = Recorder()
    network = regressor(alpha=0.0, tol=1e-3).set_callbacks(recorder).fit(*data)
    np.testing.assert_allclose(1 - np.array(recorder.scores[:-1]), 2 * network.loss_curve_[1:], rtol=1e-6, atol=1e-15)


def test_callbacks_can_stop_without_a_warning(data):
    network = regressor(tol=0).set_callbacks(Recorder(last=2)).fit(*data)
    assert network.n_iter_ == 2 and len(network.loss_curve_) == 3


def test_scoring_monitor_scores_every_step(data):
    monitor = ScoringMonitor(scoring="r2")
    network = regressor().set_callbacks(monitor).fit(*data)
    assert len(monitor.get_logs().data_as_pandas) == network.n_iter_ + 1


def test_too_few_steps_are_reported_where_fit_was_called(data):
    network = regressor(alpha=0.0, max_iter=2)
    match = "after 2 steps .* above tol=1e-08; raise max_iter or tol, pass alpha=1 if targets are noisy, or widen"
    with pytest.warns(ConvergenceWarning, match=match) as caught:
        network.fit(*data)
    assert caught[0].filename == __file__
    left = np.sqrt(network.loss_curve_[-1] / network.loss_curve_[0])
    assert f"residual of {left:.3g} times" in str(caught[0].message)


def test_too_few_steps_towards_a_penalised_minimum(data):
    with pytest.warns(ConvergenceWarning, match="after 1 steps with a loss of .*; raise max_iter or tol, or widen"):
        regressor(max_iter=1).fit(*data)


def test_slow_descent_is_told_of_the_other_solver(data):
    with pytest.warns(ConvergenceWarning, match="solver='gauss-newton'"):
        regressor(solver="gd", alpha=0.0, max_iter=2).fit(*data)


def test_divergence_names_the_learning_rate(data):
    with pytest.warns(ConvergenceWarning, match="lower learning_rate"):
        network = regressor(solver="gd", alpha=0.0, learning_rate=1e6).fit(*data)
    assert np.isfinite(network.predict(data[0])).all()


def test_a_row_of_zeros_without_a_bias_is_explained(data):
    X = np.vstack([data[0], np.zeros((1, 4))])
    with pytest.warns(ConvergenceWarning, match="no step lowers it any more: .* pass fit_bias=True"):
        network = regressor(width=1000, alpha=0.0, fit_bias=False).fit(X, np.append(data[1], 7.0))
    assert "zero" in network.certificate_.reason
    assert network.predict(np.zeros((1, 4))) == pytest.approx(network.intercept_)


@pytest.mark.parametrize(
    ("factor", "match"),
    [
        (np.append(np.ones(19), 1e3)[:, None], "remove or transform long rows of X, the longest of which has .* times"),
        ([1.0, 1.0, 1e4, 1.0], "standardise the columns of X, whose sizes differ by a factor of up to .*e[+]04"),
    ],
)
def test_uneven_rows_and_columns_are_named(data, factor, match):
    with pytest.warns(ConvergenceWarning, match=match):
        regressor(alpha=0.0, max_iter=5).fit(data[0] * factor, data[1])


def test_networks_that_converge_are_silent(data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert regressor().fit(*data).n_iter_ < 100
        assert regressor(alpha=0.0, width=1000).fit(*data).loss_curve_[-1] < 1e-16


def test_large_rows_are_reported_where_fit_was_called(data):
    with pytest.warns(UserWarning) as caught:
        regressor(row_scale=3.0, alpha=1.0, max_iter=3, fit_bias=False).fit(*data)
    largest = 3 * np.linalg.norm(data[0], axis=1).max()
    poor, wide = caught[:2]
    assert f"row_scale=3.0 makes rows of norm up to {largest:.3g}," in str(poor.message)
    assert "exp(4 norm^2) exceeds the width 100" in str(poor.message) and "pass row_scale='auto'" in str(poor.message)
    assert "apart, beyond 36" in str(wide.message) and "lower row_scale" in str(wide.message)
    assert poor.filename == wide.filename == __file__


@pytest.mark.parametrize(("share", "n_warnings"), [(0.99, 0), (1.01, 1)])
def test_the_norm_from_which_rows_are_reported(data, share, n_warnings):
    X = data[0] / np.linalg.norm(data[0], axis=1).max()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        regressor(row_scale=share * np.sqrt(np.log(100)) / 2, fit_bias=False).fit(X, data[1])
    assert ["poor sample" in str(warning.message) for warning in caught] == [True] * n_warnings


def test_rows_too_large_to_train_on_are_refused(data):
    match = r"max <w, x> = .* > 350, .* norm is .*; lower row_scale=1000.0, or pass row_scale='auto', which is {} here"
    network, automatic = regressor(row_scale=1000.0), regressor().fit(*data).row_scale_
    with pytest.raises(OverflowError, match=match.format(f"{automatic:.3g}")):
        network.fit(*data)
    with pytest.raises(NotFittedError):
        network.predict(data[0])


@pytest.fixture(scope="module")
def fitted(data):
    return regressor().fit(*data)


def test_predictions_that_overflow_are_refused_with_the_exponent(fitted):
    match = r"max <w, x> = .* > 709.78, so that exp overflows .* counts row_scale_=.*; remove rows .*, or call predict_log"
    with pytest.raises(OverflowError, match=match):
        fitted.predict(1e5 * np.ones((1, 4)))


def test_a_classifier_has_no_logarithms_to_recommend(data):
    network = ExponentialClassifier(**OPTIONS).fit(data[0], data[1] > 0)
    with pytest.raises(OverflowError, match="> 709.78, .* larger than those of the training data$"):
        network.predict(1e5 * np.ones((1, 4)))


@pytest.mark.parametrize(("weight", "total"), [(1e-300, r"2e-299"), (1e308, "inf")])
def test_sample_weights_beyond_float64_are_refused(data, weight, total):
    with pytest.raises(ValueError, match=f"sample_weight sums up to {total}, outside of 1e-150 to 1e.290.* multiply"):
        regressor().fit(*data, np.full(20, weight))


@pytest.mark.parametrize("total", [1.1e-150, 0.9e290])
def test_sample_weights_within_float64_train_as_ones(data, total):
    network = regressor(alpha=0.0).fit(*data, np.full(20, total / 20))
    plain = regressor(alpha=0.0).fit(*data)
    np.testing.assert_allclose(network.predict(data[0]), plain.predict(data[0]), rtol=1e-6)
    assert np.isfinite(network.certificate_.residual_norm)


def test_predictions_that_overflow_float32_are_refused(fitted):
    far = np.ones((1, 4))
    while fitted.predict_log(far)[1] < 100:
        far = 2 * far
    assert np.isfinite(fitted.predict(far))
    largest = fitted.predict_log(far)[1].item()
    with pytest.raises(OverflowError, match=rf"max ln\|f\(x\)\| = {largest:.5g} > 88.7.*overflow float32: remove rows"):
        fitted.predict(far.astype(np.float32))


def test_rows_that_overflow_when_scaled_are_refused(data):
    network = regressor().fit(1e-3 * data[0], data[1])
    for method in (network.predict, network.predict_log):
        with pytest.raises(OverflowError, match=r"entries up to 1.5e\+308, which overflow once multiplied"):
            method(np.full((1, 4), 1.5e308))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"width": 101}, "width=101 is odd: pass an even one, or symmetric_init=False"),
        ({"learning_rate": 0.1}, "learning_rate=0.1 has no effect on solver='gauss-newton'"),
        ({"row_scale": 1e-300}, "row_scale=1e-300 makes rows of norm at most .*e-300, .* underflow: raise it"),
        ({"row_scale": 0.0}, "row_scale"),
        ({"row_scale": np.inf}, "row_scale"),
        ({"sampler": "dice"}, "sampler"),
        ({"solver": "adam"}, "solver"),
        ({"tol": 1.0}, "tol"),
    ],
)
def test_options_that_do_not_fit_are_refused(data, options, match):
    with pytest.raises(ValueError, match=match):
        regressor(**options).fit(*data)


def test_odd_widths_without_symmetry(data):
    assert regressor(width=101, symmetric_init=False).fit(*data).coef_.shape == (101,)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", ["X", "y"])
def test_non_finite_data_are_refused(data, value, place):
    arrays = {"X": data[0].copy(), "y": data[1].copy()}
    arrays[place].flat[0] = value
    with pytest.raises(ValueError, match=place):
        regressor().fit(**arrays)


def test_networks_beyond_the_memory_are_refused(data):
    with pytest.raises(MemoryError, match="10000000000000 hidden neurons .* bytes"):
        regressor(width=10**13).fit(*data)


def test_one_class_is_refused(data):
    with pytest.raises(ValueError, match="1 class"):
        ExponentialClassifier(**OPTIONS).fit(data[0], np.zeros(20, int))


def test_verbose_prints_a_line(data, capsys):
    regressor(verbose=1).fit(*data)
    assert capsys.readouterr().out.startswith("[ExponentialRegressor] row_scale=")
