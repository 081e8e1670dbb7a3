"""What an estimator says about a fit that lacks rank: attainability_, and the warning where alpha=0 cannot interpolate."""

import pickle

import numpy as np
import pytest
from estimator_data import both, labels
from scipy import sparse

from underdetermined.estimators import RandomFeatureClassifier, RandomFeatureRegressor
from underdetermined.estimators import _attainability as module
from underdetermined.estimators._attainability import unattainable_norms

HEXAGON = np.array([[1.0, 0.0], [0.6, 0.8], [-0.6, 0.8], [-1.0, 0.0], [-0.6, -0.8], [0.6, -0.8]])
NULL = np.array([0.6, -0.5, 0.5, -0.6, 0.5, -0.5])  # relu(t) - relu(-t) = t, and 1.2 u_0 = u_1 - u_2
RAYS = np.array([[1.0, 2.0], [2.0, 4.0], [0.0, 1.0], [0.0, 3.0], [1.0, 0.0]])
TARGETS = np.array([0.3, -1.2, 0.8, 2.0, 0.1, -0.4])


def plain(**options):
    """A network without biases that is asked to interpolate."""
    return RandomFeatureRegressor(300, bias_scale=0, random_state=0, **{"alpha": 0, **options})


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_antipodal_pairs_are_explained(fit_intercept):
    with pytest.warns(UserWarning, match=r"alpha=0 asks.*at every width.*\(0, 3\).*relu\(t\) - relu\(-t\) = t") as record:
        network = plain(fit_intercept=fit_intercept).fit(HEXAGON, TARGETS)
    assert len(record) == 1
    assert network.attainability_.deficiency == 1
    np.testing.assert_allclose(np.abs(network.attainability_.null_vectors.T @ NULL), np.linalg.norm(NULL))
    # NULL is orthogonal to 1, so that the intercept does not help, and the residual is the part of the targets along it.
    expected = abs(NULL @ TARGETS) / np.linalg.norm(NULL)
    assert network.solution_.residual_norm[0] == pytest.approx(expected)
    fraction = unattainable_norms(network.attainability_, TARGETS[:, None], fit_intercept=fit_intercept)
    assert fraction * np.linalg.norm(TARGETS) == pytest.approx(network.solution_.residual_norm)


def test_attainable_targets_do_not_warn():
    targets = TARGETS - NULL * (NULL @ TARGETS) / (NULL @ NULL)
    network = plain().fit(HEXAGON, targets)
    assert network.attainability_.deficiency == 1
    np.testing.assert_allclose(network.predict(HEXAGON), targets, atol=1e-12)


@pytest.mark.parametrize("X", [RAYS, HEXAGON, np.vstack([RAYS, np.zeros((1, 2))])])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.filterwarnings("ignore:alpha=0 asks")
def test_fraction_is_the_residual_of_the_features_with_the_intercept(X, fit_intercept):
    """Least squares on the features, with a column of ones for the intercept, is what the fraction stands for."""
    targets = np.random.default_rng(3).standard_normal((len(X), 2)) + 5.0
    network = plain(fit_intercept=fit_intercept).fit(X, targets)
    columns = np.hstack([network.feature_map_(X), np.full((len(X), 1), float(fit_intercept))])
    residual = targets - columns @ np.linalg.lstsq(columns, targets, rcond=1e-10)[0]
    fraction = unattainable_norms(network.attainability_, targets, fit_intercept=fit_intercept)
    np.testing.assert_allclose(fraction * np.linalg.norm(targets, axis=0), np.linalg.norm(residual, axis=0), atol=1e-10)
    assert (fraction > 1e-3).all()


def test_intercept_attains_a_constant_that_the_features_cannot():
    """One ray and two rows: the null vector (2, -1) rules out equal outputs, but not together with an intercept."""
    with pytest.warns(UserWarning, match="alpha=0 asks"):
        plain(fit_intercept=False).fit([[1.0], [2.0]], [1.0, 1.0])
    network = plain().fit([[1.0], [2.0]], [1.0, 5.0])
    np.testing.assert_allclose(network.predict([[1.0], [2.0]]), [1.0, 5.0])


@both
def test_ordinary_fits_carry_no_explanation(data, model):
    X, y = data[0], labels(data[1], model)
    for options in ({"width": 300, "alpha": 0}, {"width": 30, "alpha": 0}, {"width": 300}):
        assert model(random_state=0, **options).fit(X, y).attainability_ is None


def test_merged_duplicates_are_no_deficiency():
    X = np.array([[1.0], [2.0], [1.0]])
    network = RandomFeatureRegressor(50, alpha=0, random_state=0).fit(X, [1.0, 2.0, 3.0])
    assert network.solution_.status.name == "INCONSISTENT"
    assert network.attainability_ is None


def test_rows_are_those_of_positive_weight_without_repetition():
    X, y = np.vstack([[[9.0, 9.0]], HEXAGON, HEXAGON]), np.concatenate([[0], TARGETS, TARGETS])
    with pytest.warns(UserWarning, match="distinct ones of positive weight"):
        network = plain().fit(X, y, sample_weight=[0] + 12 * [1.0])
    assert [group.rows for group in network.attainability_.groups] == [(0, 3), (1, 4), (2, 5)]


def test_a_penalty_needs_no_warning():
    assert plain(alpha=0.1).fit(HEXAGON, TARGETS).attainability_ is None
    assert plain(alpha="loo").fit(HEXAGON, TARGETS).attainability_ is None
    assert plain(alpha=1e-300).fit(HEXAGON, TARGETS).attainability_.deficiency == 1


def test_tall_fits_lack_neurons_first():
    network = RandomFeatureRegressor(2, bias_scale=0, alpha=0, random_state=0)
    network.fit([[1.0], [2.0], [3.0], [4.0]], [0, 1, 0, 1])
    assert network.solution_.status.name == "RANK_DEFICIENT"
    assert network.attainability_ is None


def test_classes_out_of_reach_warn():
    with pytest.warns(UserWarning, match="alpha=0 asks"):
        network = RandomFeatureClassifier(300, bias_scale=0, alpha=0, random_state=0).fit(HEXAGON, TARGETS > 0)
    assert network.attainability_.deficiency == 1


def test_later_fits_explain_anew():
    network = plain().partial_fit(HEXAGON[:4], TARGETS[:4])
    assert network.attainability_ is None
    with pytest.warns(UserWarning, match="alpha=0 asks"):
        network.partial_fit(HEXAGON[4:], TARGETS[4:])
    assert network.attainability_.n_rows == 6
    with pytest.warns(UserWarning, match="alpha=0 asks"):
        network.widen(10)
    network.bias_scale = 1.0
    assert network.fit(HEXAGON, TARGETS).attainability_ is None


@pytest.mark.filterwarnings("ignore:alpha=0 asks")
def test_explanation_survives_a_pickle():
    network = plain().fit(HEXAGON, TARGETS)
    again = pickle.loads(pickle.dumps(network)).attainability_
    assert again.to_dict() == network.attainability_.to_dict()
    np.testing.assert_array_equal(again.null_vectors, network.attainability_.null_vectors)


@pytest.mark.filterwarnings("ignore:alpha=0 asks")
def test_sparse_rows_are_explained_where_they_are_small(monkeypatch):
    X = sparse.csr_array(HEXAGON)
    assert plain().fit(X, TARGETS).attainability_.deficiency == 1
    monkeypatch.setattr(module, "_SPARSE_BYTES", 8 * 6 * 2 - 1)
    assert plain().fit(X, TARGETS).attainability_ is None


def test_explanation_without_memory_is_left_out(monkeypatch):
    def refuse(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr(module, "attainable_rank", refuse)
    network = plain().fit(HEXAGON, TARGETS)
    assert network.attainability_ is None and network.rank_ == 4


@pytest.mark.filterwarnings("ignore:alpha=0 asks")
def test_float32_rows_that_nearly_coincide_are_near():
    X = HEXAGON.astype(np.float32)
    X[3] *= np.float32(1 + 2e-7)
    found = plain(activation="tanh", rcond=1e-6, solver="svd").fit(X, TARGETS.astype(np.float32)).attainability_
    assert found.near and found.near[0].rows == (0, 3)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_units_of_the_targets_do_not_matter(scale):
    expected = plain(activation="sin_cos").fit(HEXAGON, TARGETS)
    found = plain(activation="sin_cos").fit(HEXAGON, scale * TARGETS)
    assert found.solution_.status is expected.solution_.status
    np.testing.assert_allclose(found.predict(HEXAGON), scale * TARGETS, rtol=0, atol=1e-8 * scale)
