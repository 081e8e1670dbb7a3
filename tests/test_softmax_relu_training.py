"""Steps of the training of softmax-ReLU networks that whole fits do not show, with stand-ins for what comes before them."""

import time
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.exceptions import DataConversionWarning

from underdetermined import blocks
from underdetermined.estimators import SoftmaxReLURegressor, _softmax_relu_training
from underdetermined.estimators._softmax_relu_training import FIRST_TRIAL, NARROW_STAGES, TRIAL_STEPS, train
from underdetermined.objectives import SharedSoftmaxReLU
from underdetermined.objectives._softmax_relu_blocks import in_order


def a_network(reg=0.01):
    rng = np.random.default_rng(0)
    inputs, last, targets = rng.normal(size=(12, 3)), rng.normal(size=(4, 5)), rng.dirichlet(np.ones(4), 12)
    return SharedSoftmaxReLU(inputs, last, targets, reg=reg, sample_weight=np.full(12, 1 / 12)), rng.normal(size=15)


def train_with(monkeypatch, *endings, max_iter=1000):
    """Train with steps on kinks that end in these ways, one after the other, and record what each may take."""
    allowed, left = [], list(endings)

    def manifold(objective, x, pinned, *, max_iter, on_step):
        allowed.append(max_iter)
        return left.pop(0)

    monkeypatch.setattr(_softmax_relu_training, "manifold_newton_cg", manifold)
    objective, x = a_network()
    options = {"tol": 1e-3, "certify": True, "max_iter": max_iter, "callback": lambda step, x: False}
    return train(objective, x, **options), allowed


def ending(reason, is_certified=False):
    certificate = SimpleNamespace(is_certified=is_certified, kkt_residual=0.25, reason="because")
    return SimpleNamespace(x=np.full(15, 3.0), certificate=certificate, reason=reason)


@pytest.mark.parametrize(("reason", "is_certified"), [("stopped", False), ("certified", True)], ids=["stopped", "certified"])
def test_a_stop_or_a_certificate_on_the_kinks_ends_training(monkeypatch, reason, is_certified):
    end = ending(reason, is_certified)
    training, allowed = train_with(monkeypatch, end)
    assert training.is_over
    assert allowed == [TRIAL_STEPS]
    assert training.certificate is end.certificate
    assert (training.smoothing, training.kkt_residual, training.last_norm) == (0.0, 0.25, 0.25)
    np.testing.assert_array_equal(training.x, end.x)


def test_trials_without_a_certificate_go_on_to_the_last_which_has_all_steps_that_are_left(monkeypatch):
    n_trials = sum(share <= FIRST_TRIAL for share, _ in NARROW_STAGES)
    training, allowed = train_with(monkeypatch, *[ending("max_iter")] * n_trials)
    assert not training.is_over
    assert allowed == [TRIAL_STEPS] * (n_trials - 1) + [1000 - len(training.values) + 1]
    assert training.shortfall(1e-3, True).endswith("without a certificate: because. Raise max_iter, or change alpha.")


def test_a_trial_takes_no_more_steps_than_are_left(monkeypatch):
    n_steps = len(train_with(monkeypatch, ending("certified", True))[0].values) - 1
    _, allowed = train_with(monkeypatch, ending("certified", True), max_iter=n_steps + 3)
    assert allowed == [3]


@pytest.mark.parametrize("reg", [1e6, 1e-9])
def test_a_start_is_shrunk_where_the_penalty_is_steeper_than_the_loss(reg):
    objective, x = a_network(reg)
    point = objective.at(x)
    loss = np.linalg.norm(objective.hidden_adjoint(point.slopes * point.unit_slopes))
    seen = []
    training = train(objective, x, tol=0.5, certify=False, max_iter=1, callback=lambda step, x: seen.append(x))
    start = x * min(1.0, loss / (reg * np.linalg.norm(x)))
    size = np.sqrt(np.mean(objective.hidden(start) ** 2))
    assert training.values[0] == pytest.approx(objective.value(start, 0.3 * size), rel=1e-12)


def test_blocks_keep_their_order_whatever_thread_is_first(monkeypatch):
    monkeypatch.setattr(blocks, "thread_count", lambda _: 3)
    delays = [0.05, 0.0, 0.02, 0.0]

    def task(delay):
        time.sleep(delay)
        return delay

    assert in_order(task, delays) == delays


def test_logits_that_overflow_are_refused():
    """Hidden units that are finite, though barely, under an output layer of entries above 1."""
    rng = np.random.default_rng(5)
    X, Y = rng.standard_normal((30, 3)), rng.dirichlet(np.ones(3), 30)
    network = SoftmaxReLURegressor(width=8, alpha=0.01, random_state=0).fit(X, Y)
    far = 1e307 * np.eye(3)
    np.testing.assert_allclose(network.predict(far).sum(axis=1), 1.0)
    network.coef_ = 1e3 * network.coef_
    with pytest.raises(OverflowError, match=r"logits overflow on rows with entries up to 1e\+307: remove rows"):
        network.predict(far)
    with pytest.raises(OverflowError, match="so large that X @ weights may overflow"):
        network.predict(np.full((1, 3), 1.3e308))


def test_a_column_of_labels_without_some_is_scored_by_those_of_the_fit():
    rng = np.random.default_rng(6)
    X, labels = rng.standard_normal((30, 3)), rng.integers(3, size=30)
    network = SoftmaxReLURegressor(width=8, alpha=0.01, random_state=0).fit(X, labels)
    some = labels < 2
    with pytest.warns(DataConversionWarning):
        score = network.score(X[some], labels[some, np.newaxis])
    assert score == network.score(X[some], labels[some])
