"""The three estimators: against scikit-learn, against themselves, and on input that tries to break them."""

import pickle

import numpy as np
import pytest
from estimator_data import answers, both, labels
from scipy import sparse
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, LeaveOneOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import underdetermined
from underdetermined.estimators import RandomFeatureClassifier, RandomFeatureRegressor, RandomFeatures

# Against other libraries


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alpha", [1e-3, 1.0])
@pytest.mark.parametrize("width", [30, 300])
def test_regressor_is_ridge_on_the_features(data, width, alpha, fit_intercept):
    X, y = data
    weight = np.random.default_rng(1).uniform(0.5, 2, len(y))
    options = {"width": width, "activation": "tanh", "random_state": 3}
    network = RandomFeatureRegressor(alpha=alpha, fit_intercept=fit_intercept, **options).fit(X, y, weight)
    features = RandomFeatures(**options).fit(X)
    ridge = Ridge(alpha, fit_intercept=fit_intercept, solver="svd").fit(features.transform(X), y, weight)
    np.testing.assert_array_equal(network.random_weights_, features.random_weights_)
    np.testing.assert_allclose(network.coef_, ridge.coef_, rtol=0, atol=1e-8 * np.abs(ridge.coef_).max())
    np.testing.assert_allclose(network.predict(X[::-1]), ridge.predict(features.transform(X[::-1])), rtol=0, atol=1e-9)


def test_interpolation_is_the_minimum_norm_solution(data):
    X, y = data
    network = RandomFeatureRegressor(400, alpha=0, fit_intercept=False, random_state=0).fit(X, y)
    expected = np.linalg.lstsq(network.feature_map_(X), y, rcond=None)[0]
    np.testing.assert_allclose(network.coef_, expected, rtol=0, atol=1e-9 * np.abs(expected).max())
    np.testing.assert_allclose(network.predict(X), y, rtol=0, atol=1e-10)


def test_leave_one_out_equals_refitting(data):
    X, y = data[0][:25], data[1][:25]
    network = RandomFeatureRegressor(60, random_state=0).fit(X, y)
    fixed = RandomFeatureRegressor(60, alpha=network.alpha_, random_state=0)
    error = np.mean((cross_val_predict(fixed, X, y, cv=LeaveOneOut()) - y) ** 2)
    assert network.loo_path_.errors.min() == pytest.approx(error, rel=1e-6)


@pytest.mark.parametrize("width", [30, 300])
def test_large_systems_choose_the_penalty_on_a_subset(data, monkeypatch, width):
    X, y = data
    alone = RandomFeatureRegressor(width, random_state=0).fit(X[::2], y[::2], np.full(40, 2))
    monkeypatch.setattr("underdetermined.estimators._penalty.EXACT_LOO_ORDER", 10)
    monkeypatch.setattr("underdetermined.estimators._penalty.SEARCH_LOO_ORDER", 10)
    monkeypatch.setattr("underdetermined.estimators._penalty.subsample_rows", lambda n: np.arange(0, n, 2))
    subset = RandomFeatureRegressor(width, random_state=0).fit(X, y, np.full(80, 2))
    assert (subset.loo_path_.n_rows, subset.loo_path_.method) == (40, "subset")
    assert subset.alpha_ == pytest.approx(alone.alpha_)
    assert subset.coef_ != pytest.approx(alone.coef_)


@both
@pytest.mark.parametrize("width", [30, 300])
@pytest.mark.parametrize("solver", ["auto", "lsmr"])
def test_larger_systems_search_the_penalty_exactly(data, model, monkeypatch, width, solver):
    X, y = np.vstack([data[0], data[0][:9]]), labels(np.append(data[1], data[1][9:18]), model)
    options = {"width": width, "random_state": 0, "solver": solver, "tol": 1e-12}
    whole = model(**options).fit(X, y)
    monkeypatch.setattr("underdetermined.estimators._penalty.EXACT_LOO_ORDER", 10)
    monkeypatch.setattr("underdetermined.estimators._base.DENSE_BYTES", 0)
    searched = model(**options).fit(X, y)
    path, full = searched.loo_path_, whole.loo_path_
    assert (full.method, path.method, path.n_rows) == ("eigendecomposition", "cholesky", 80)
    place = np.abs(np.subtract.outer(np.log(path.alphas), np.log(full.alphas))).argmin(axis=1)
    np.testing.assert_allclose(path.errors, full.errors[place], rtol=1e-6)
    np.testing.assert_allclose(path.standard_errors, full.standard_errors[place], rtol=1e-6)


def test_tall_systems_are_decomposed_further(data, monkeypatch):
    monkeypatch.setattr("underdetermined.estimators._penalty.EXACT_LOO_ORDER", 15)
    methods = [RandomFeatureRegressor(width, random_state=0).fit(*data).loo_path_.method for width in (30, 31, 41)]
    assert methods == ["eigendecomposition", "cholesky", "cholesky"]


def test_extended_float32_fits_are_searched(data):
    """The Gram matrix of such fits is indefinite by the rounding of float32."""
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((200, 12)) * np.where(np.arange(12), 1e-6, 1.0)).astype(np.float32)
    y = X[:, 0] + 0.1 * rng.standard_normal(200).astype(np.float32)
    pieces = RandomFeatureRegressor(600, random_state=0)
    for part in np.split(np.arange(200), [33, 90, 151]):
        pieces.partial_fit(X[part], y[part])
    whole = RandomFeatureRegressor(600, random_state=0).fit(X, y)
    assert pieces.loo_path_.error == pytest.approx(whole.loo_path_.error, rel=1e-3)


def test_cosine_features_have_the_gaussian_kernel():
    X = np.random.default_rng(0).standard_normal((5, 3))
    features = RandomFeatures(200_000, activation="sin_cos", weight_scale=1.0, bias_scale=0, random_state=0)
    Z = features.fit_transform(X)
    distance = ((X[:, None] - X[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(Z @ Z.T, np.exp(-distance / 2), atol=6 / np.sqrt(200_000))


def test_classifier_is_one_hot_least_squares():
    X, y = load_digits(return_X_y=True)
    X, y = StandardScaler().fit_transform(X[:300]), y[:300]
    network = RandomFeatureClassifier(400, alpha=0.1, random_state=0).fit(X, y)
    ridge = Ridge(0.1, solver="svd").fit(network.feature_map_(X), np.eye(10)[y])
    np.testing.assert_allclose(network.decision_function(X), ridge.predict(network.feature_map_(X)), rtol=0, atol=1e-8)
    assert network.coef_.shape == (10, 400) and network.intercept_.shape == (10,)


# Against themselves


@both
def test_weights_of_rows_are_repetitions(data, model):
    X, y = data[0], labels(data[1], model)
    counts = np.random.default_rng(2).integers(0, 4, len(y))
    options = {"width": 120, "random_state": 0}
    weighted = model(**options).fit(X, y, counts)
    repeated = model(**options).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts, axis=0))
    assert weighted.alpha_ == repeated.alpha_
    np.testing.assert_allclose(answers(weighted, X), answers(repeated, X), rtol=0, atol=1e-9)


@both
@pytest.mark.parametrize("width", ["auto", 30, 300])
@pytest.mark.parametrize("alpha", ["loo", 0.1])
def test_partial_fit_equals_fit(data, model, width, alpha):
    X, y = data[0], labels(data[1], model)
    X, y = np.vstack([X[:10], X, X[:10]]), np.concatenate([y[20:30], y, y[::-1][:10]])
    weight = np.random.default_rng(5).uniform(0.5, 2, len(y))
    whole = model(width, alpha=alpha, random_state=0).fit(X, y, weight)
    pieces = model(width, alpha=alpha, random_state=0)
    for part in (slice(0, 40), slice(40, 41), slice(41, 100)):
        pieces.partial_fit(X[part], y[part], sample_weight=weight[part])
        pieces = pickle.loads(pickle.dumps(pieces))
    assert pieces.width_ == whole.width_
    assert pieces.alpha_ == pytest.approx(whole.alpha_, rel=1e-9)
    np.testing.assert_allclose(answers(pieces, X), answers(whole, X), rtol=0, atol=1e-9)
    np.testing.assert_allclose(pieces.solution_.residual_norm, whole.solution_.residual_norm, rtol=1e-9)


def test_partial_fit_grows_an_automatic_width(monkeypatch):
    monkeypatch.setattr("underdetermined.estimators._width.BOUND_ROWS", 0)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((300, 2)), rng.standard_normal(300)
    pieces = RandomFeatureRegressor(random_state=0, alpha=0.1).partial_fit(X[:100], y[:100])
    assert pieces.width_ == 512
    pieces.partial_fit(X[100:], y[100:])
    whole = RandomFeatureRegressor(random_state=0, alpha=0.1).fit(X, y)
    assert pieces.width_ == whole.width_ == 600
    np.testing.assert_allclose(pieces.predict(X), whole.predict(X), rtol=0, atol=1e-9)


def test_partial_fit_narrows_a_capped_automatic_width(monkeypatch):
    monkeypatch.setattr("underdetermined.estimators._width.BOUND_ROWS", 0)
    monkeypatch.setattr("underdetermined.estimators._width.FEATURE_BYTES", 8 * 100 * 512)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((200, 2)), rng.standard_normal(200)
    pieces = RandomFeatureRegressor(random_state=0, alpha=0.1).partial_fit(X[:100], y[:100])
    assert pieces.width_ == 512
    pieces.partial_fit(X[100:], y[100:])
    whole = RandomFeatureRegressor(random_state=0, alpha=0.1).fit(X, y)
    assert pieces.width_ == whole.width_ == pieces.coef_.size == 256
    np.testing.assert_allclose(pieces.predict(X), whole.predict(X), rtol=0, atol=1e-9)


@both
@pytest.mark.parametrize("width", [20, 100, 700])
@pytest.mark.parametrize("sampler", ["gaussian", "sphere", "orthogonal", "sobol"])
def test_widen_equals_a_fresh_fit(data, model, width, sampler):
    X, y = data[0], labels(data[1], model)
    options = {"sampler": sampler, "random_state": 0, "alpha": 0.01}
    fresh = model(width + 300, **options).fit(X, y)
    wider = model(width, **options).fit(X, y).widen(100).widen(200)
    np.testing.assert_array_equal(wider.random_weights_, fresh.random_weights_)
    np.testing.assert_allclose(answers(wider, X), answers(fresh, X), rtol=0, atol=1e-9)
    assert wider.width_ == fresh.width_ and wider.width == width
    np.testing.assert_allclose(wider._gram, fresh._gram, rtol=1e-12)  # a wrong one would only slow the refinement


@both
@pytest.mark.parametrize("layout", [np.asfortranarray, sparse.csr_array, sparse.csc_matrix, np.ndarray.tolist])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_layout_and_threads_change_rounding_only(data, model, layout, n_jobs):
    X, y = data[0], labels(data[1], model)
    plain = model(300, alpha=0.01, random_state=0, n_jobs=1).fit(X, y)
    other = model(300, alpha=0.01, random_state=0, n_jobs=n_jobs).fit(layout(X), y)
    np.testing.assert_array_equal(other.random_weights_, plain.random_weights_)
    np.testing.assert_allclose(answers(other, layout(X)), answers(plain, X), rtol=0, atol=1e-12)


@both
def test_streaming_changes_rounding_only(data, model, monkeypatch):
    X, y = data[0], labels(data[1], model)
    dense = [model(width, alpha=0.01, random_state=0).fit(X, y) for width in (30, 300)]
    monkeypatch.setattr("underdetermined.estimators._base.DENSE_BYTES", 0)
    streamed = [model(width, alpha=0.01, random_state=0).fit(X, y) for width in (30, 300)]
    for one, other in zip(dense, streamed, strict=True):
        np.testing.assert_allclose(answers(one, X), answers(other, X), rtol=0, atol=1e-11)


@both
@pytest.mark.parametrize("solver", ["cholesky", "cholesky_qr", "qr", "svd", "mixed", "cg", "lsmr"])
@pytest.mark.parametrize("width", [30, 300])
def test_solvers_agree(data, model, solver, width):
    X, y = data[0], labels(data[1], model)
    auto = model(width, alpha=0.1, random_state=0).fit(X, y)
    other = model(width, alpha=0.1, random_state=0, solver=solver).fit(X, y)
    np.testing.assert_allclose(answers(other, X), answers(auto, X), rtol=0, atol=1e-7)
    assert other.n_iter_ >= 1


def test_float32_is_kept(data):
    X, y = data[0].astype(np.float32), data[1].astype(np.float32)
    single = RandomFeatureRegressor(300, alpha=0.1, random_state=0).fit(X, y)
    double = RandomFeatureRegressor(300, alpha=0.1, random_state=0).fit(X.astype(float), y)
    assert single.coef_.dtype == single.predict(X).dtype == single.random_weights_.dtype == np.float32
    np.testing.assert_allclose(single.predict(X), double.predict(X), atol=2e-4)
    assert RandomFeatures(20, random_state=0).fit_transform(X).dtype == np.float32


def test_float32_model_takes_float64_inputs(data):
    X, y = data
    network = RandomFeatureRegressor(300, alpha=0.1, random_state=0).fit(X.astype(np.float32), y)
    assert network.predict(X).dtype == np.float64


def test_several_outputs(data):
    X, y = data
    both_outputs = RandomFeatureRegressor(200, alpha=0.1, random_state=0).fit(X, np.stack([y, -2 * y], axis=1))
    one = RandomFeatureRegressor(200, alpha=0.1, random_state=0).fit(X, y)
    np.testing.assert_allclose(both_outputs.predict(X), np.stack([one.predict(X), -2 * one.predict(X)], axis=1))
    assert both_outputs.coef_.shape == (2, 200) and one.coef_.shape == (200,) and np.ndim(one.intercept_) == 0


@both
def test_pickle_predicts_the_same_and_warns_about_other_versions(data, model, monkeypatch):
    X, y = data[0], labels(data[1], model)
    network = model(100, random_state=0).fit(X, y)
    stored = pickle.dumps(network)
    np.testing.assert_array_equal(answers(pickle.loads(stored), X), answers(network, X))
    monkeypatch.setattr(underdetermined, "__version__", "0.0.0")
    with pytest.warns(InconsistentVersionWarning, match="underdetermined 0.0.0"):
        pickle.loads(stored)


def test_pickle_does_not_hold_the_gram_matrix():
    rng = np.random.default_rng(0)
    network = RandomFeatureRegressor(1000, random_state=0).fit(rng.standard_normal((500, 2)), rng.standard_normal(500))
    assert len(pickle.dumps(network)) < 8 * 500 * 500 / 2


# As people use them


def test_breast_cancer_probabilities():
    X, y = load_breast_cancer(return_X_y=True)
    network = make_pipeline(StandardScaler(), RandomFeatureClassifier(random_state=0)).fit(X[:400], y[:400])
    probability = network.predict_proba(X[400:])
    assert network.score(X[400:], y[400:]) > 0.95
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert probability.min() >= 0
    np.testing.assert_array_equal(network.predict(X[400:]), probability.argmax(axis=1))


def test_probabilities_are_the_nearest_on_the_simplex():
    X, y = load_digits(return_X_y=True)
    network = RandomFeatureClassifier(300, random_state=0).fit(X[:500] / 16, y[:500])
    values, probability = network.decision_function(X[500:] / 16), network.predict_proba(X[500:] / 16)
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    np.testing.assert_array_equal(values.argmax(axis=1), probability.argmax(axis=1))
    other = np.random.default_rng(0).dirichlet(np.ones(10), (200, len(values)))
    nearest = ((probability - values) ** 2).sum(axis=1)
    assert (nearest <= ((other - values) ** 2).sum(axis=2) + 1e-12).all()
    truth = np.eye(10)[y[500:]]
    assert (((probability - truth) ** 2).sum(axis=1) <= ((values - truth) ** 2).sum(axis=1) + 1e-12).all()


def test_grid_search_in_a_pipeline():
    X, y = load_diabetes(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), RandomFeatureRegressor(200, random_state=0))
    grid = {"randomfeatureregressor__activation": ["relu", "tanh"], "randomfeatureregressor__alpha": ["loo", 1.0]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(X, y)
    assert search.best_score_ > 0.4


def test_leave_one_out_beats_interpolation_of_noise():
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    chosen, exact = (RandomFeatureRegressor(random_state=0, alpha=alpha).fit(X[:300], y[:300]) for alpha in ("loo", 0))
    assert exact.score(X[:300], y[:300]) > 1 - 1e-12
    assert chosen.score(X[300:], y[300:]) > 0.4 > exact.score(X[300:], y[300:])


@both
def test_callbacks_see_the_stages(data, model):
    X, y = data[0], labels(data[1], model)
    seen = []

    class Recorder:
        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            seen.append("teardown")

        def on_fit_task_begin(self, estimator, context):
            seen.append(context.task_name)

        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            seen.append(fitted_estimator is not None and fitted_estimator.predict(X[:1]).shape == (1,))

    model(50, random_state=0).set_callbacks(Recorder()).fit(X, y)
    assert seen == ["fit", "features", False, "alpha", False, "solve", True, True, "teardown"]


def test_scoring_monitor_scores_every_stage_that_predicts(data):
    X, y = data
    monitor = ScoringMonitor(scoring="r2")
    network = RandomFeatureRegressor(50, random_state=0).set_callbacks(monitor).fit(X, y).widen(50)
    assert network.score(X, y) > 0 and network.width_ == 100


def test_verbose_prints_a_line(data, capsys):
    RandomFeatureRegressor(50, random_state=0, verbose=1).fit(*data)
    assert capsys.readouterr().out.startswith("[RandomFeatureRegressor] alpha=")


def test_clone_is_unfitted(data):
    network = RandomFeatureRegressor(50, random_state=0).fit(*data)
    assert not hasattr(clone(network), "coef_")
