"""What softmax-ReLU networks refuse, warn of and show: targets off the simplex, labels, steps, callbacks."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.callback import ScoringMonitor
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from step_recorder import Recorder

from underdetermined.estimators import SoftmaxReLURegressor

OPTIONS = {"width": 8, "alpha": 0.01, "random_state": 0}


def regressor(**options):
    return SoftmaxReLURegressor(**{**OPTIONS, **options})


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((30, 3))
    return X, rng.dirichlet(np.ones(3) / 2, 30)


def changed(Y, place, value):
    result = Y.copy()
    result[place] = value
    return result


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda Y: changed(Y, (4, 1), -0.25), ValueError, r"share -0.25 at index \(4, 1\): pass shares that are >= 0"),
        (lambda Y: changed(Y, 7, [0.5, 0.5, 0.5]), ValueError, r"row 7 of y add up to 1.5: pass y / y.sum\(axis=1"),
        (lambda Y: Y * 100, ValueError, "add up to 100: .* parts of a whole; other numbers are for TwoLayerRegressor"),
        (lambda Y: Y * (1 + 1e-7), ValueError, "add up to 1.0000001"),
        (lambda Y: changed(Y, (2, 2), np.nan), ValueError, "Input y contains NaN"),
        (lambda Y: changed(Y, (2, 2), np.inf), ValueError, "Input y contains infinity"),
        (lambda Y: np.array([["a", "b", "c"]] * 30), TypeError, "dtype <U1: pass shares as real numbers, or labels"),
        (lambda Y: Y[:, 0], ValueError, "one dimension and holds numbers such as .* pass labels, or shares of shape"),
        (lambda Y: np.full(30, "a"), ValueError, "y has 1 class, 'a': pass labels of at least two"),
        (lambda Y: Y[:-1], ValueError, "inconsistent numbers of samples"),
        (lambda Y: Y[:, :, None], ValueError, "dim 3"),
        (csr_array, TypeError, r"y is sparse: pass y.toarray\(\)"),
    ],
)
def test_targets_that_are_no_shares_are_refused(data, change, error, message):
    with pytest.raises(error, match=message):
        regressor().fit(data[0], change(data[1]))


def test_a_column_of_labels_is_flattened_with_a_warning(data):
    X, labels = data[0], data[1].argmax(axis=1)
    with pytest.warns(DataConversionWarning):
        network = regressor().fit(X, labels[:, None])
    np.testing.assert_array_equal(network.predict(X), regressor().fit(X, labels).predict(X))


def test_shares_in_single_precision_are_taken(data):
    X, Y = data
    np.testing.assert_allclose(
        regressor().fit(X, Y.astype(np.float32)).predict(X), regressor().fit(X, Y).predict(X), atol=1e-4
    )


def test_scores_of_other_targets_are_refused(data):
    X, Y = data
    labels = np.array(["a", "b", "c"])[Y.argmax(axis=1)]
    of_shares, of_labels = regressor().fit(X, Y), regressor().fit(X, labels)
    with pytest.raises(ValueError, match=r"y has shape \(30,\): pass 3 shares in each row"):
        of_shares.score(X, labels)
    with pytest.raises(ValueError, match="label 'd', which the training data did not have"):
        of_labels.score(X, np.where(labels == "c", "d", labels))
    with pytest.raises(ValueError, match=r"shape \(30, 2\) and predictions have \(30, 3\)"):
        of_shares.score(X, np.column_stack([Y[:, 0], 1 - Y[:, 0]]))
    with pytest.raises(ValueError, match="Negative values .* `sample_weight`"):
        of_shares.score(X, Y, np.linspace(-1, 1, 30))
    with pytest.raises(ValueError, match=r"y has shape \(\): pass 3 shares"):
        of_shares.score(X, 0.5)
    assert of_shares.score(X, Y, np.full(30, 1e308)) == pytest.approx(of_shares.score(X, Y))
    assert of_labels.score(X, Y) == pytest.approx(of_labels.score(X, Y, np.full(30, 7.0)))


def test_too_few_steps_are_reported_where_fit_was_called(data):
    with pytest.warns(ConvergenceWarning, match="after 2 steps with .* above tol=1e-08. Raise max_iter") as caught:
        network = regressor(tol=1e-8, max_iter=2).fit(*data)
    assert caught[0].filename == __file__ and network.n_iter_ == 2


def test_a_missing_certificate_is_reported(data):
    with pytest.warns(ConvergenceWarning, match="after 30 steps before the kinks could be .* Raise alpha, or max_iter"):
        network = regressor(certify=True, max_iter=30).fit(*data)
    assert network.certificate_ is None and network.smoothing_ > 0


def test_a_hopeless_certificate_is_given_up(data):
    """Without a penalty minimisers are not isolated, and steps are few enough to wait for."""
    with pytest.warns(ConvergenceWarning, match="after 1000 steps before .* Raise alpha"):
        network = regressor(certify=True, alpha=0.0).fit(*data)
    assert network.certificate_ is None and network.n_iter_ == 1000


def test_a_certificate_that_is_refused_gives_its_reason(data):
    with pytest.warns(ConvergenceWarning, match="without a certificate: .* or change alpha"):
        network = regressor(certify=True, alpha=1e60).fit(*data)
    assert not network.certificate_.is_certified


def test_uneven_inputs_are_named_in_the_warning(data):
    with pytest.warns(ConvergenceWarning, match="standardise the columns of X"):
        regressor(tol=0, max_iter=1).fit(data[0] * [1, 1, 1e4], data[1])


def test_a_class_without_shares_is_predicted_to_be_rare(data):
    X, Y = data[0], np.column_stack([data[1], np.zeros(30)])
    shares = regressor().fit(X, Y).predict(X)
    assert 0 < shares[:, 3].max() < 1e-5


@pytest.mark.parametrize("X", [np.zeros((30, 2)), np.ones((30, 1)), np.full((30, 3), 1e300)], ids=["zeros", "ones", "large"])
@pytest.mark.parametrize("fit_bias", [True, False])
def test_equal_rows_have_the_mean_composition(data, X, fit_bias):
    network = regressor(fit_bias=fit_bias).fit(X, data[1])
    np.testing.assert_allclose(network.predict(X), np.tile(data[1].mean(axis=0), (30, 1)), rtol=1e-2)
    assert abs(network.score(X, data[1])) < 1e-3


def test_one_row_and_one_unit(data):
    X, Y = data
    shares = regressor(width=1).fit(X[:1], Y[:1]).predict(X[:1])
    np.testing.assert_allclose(shares, np.maximum(Y[:1], 1e-6), rtol=0.05, atol=1e-4)


def test_far_rows_are_sure_and_farther_ones_refused(data):
    network = regressor().fit(*data)
    shares = network.predict(1e6 * data[0])
    np.testing.assert_allclose(shares.max(axis=1), 1)
    with pytest.raises(OverflowError, match="X has entries up to"):
        regressor().fit(1e-200 * data[0], data[1]).predict(np.full((1, 3), 1e300))


def test_a_network_beyond_memory_is_refused(data):
    with pytest.raises(MemoryError, match=r"1000000000000 units with 4 inputs each needs \d+ bytes"):
        regressor(width=10**12).fit(*data)


def test_callbacks_see_every_step(data):
    recorder = Recorder()
    network = regressor().set_callbacks(recorder).fit(*data)
    assert recorder.seen == ["fit", *["iteration", "end"] * network.n_iter_, "end", "teardown"]
    assert recorder.scores[-1] == network.score(*data)
    assert len(network.loss_curve_) == network.n_iter_ + 1


def test_callbacks_can_stop_without_a_warning(data):
    network = regressor(tol=0).set_callbacks(Recorder(last=2)).fit(*data)
    assert network.n_iter_ == 2 and len(network.loss_curve_) == 3


def test_callbacks_can_stop_on_the_way_to_a_certificate(data):
    steps = regressor(certify=True).fit(*data).n_iter_ - 1
    network = regressor(certify=True).set_callbacks(Recorder(last=steps)).fit(*data)
    assert network.n_iter_ == steps and np.isfinite(network.kkt_residual_)


def test_scoring_monitor_scores_every_step(data):
    monitor = ScoringMonitor(scoring="r2")
    network = regressor().set_callbacks(monitor).fit(*data)
    assert len(monitor.get_logs().data_as_pandas) == network.n_iter_ + 1


def test_verbose_prints_one_line(data, capsys):
    regressor(verbose=1).fit(*data)
    assert capsys.readouterr().out.startswith("[SoftmaxReLURegressor] loss=")
