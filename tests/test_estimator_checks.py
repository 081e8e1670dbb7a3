"""scikit-learn's own checks, with every solver; none is expected to fail but those that train shares on numbers."""

import numpy as np
import pytest
import sklearn
from scipy.special import expit
from sklearn.base import RegressorMixin
from sklearn.model_selection import cross_validate
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import validate_data

from underdetermined.estimators import (
    ExponentialClassifier,
    ExponentialRegressor,
    RandomFeatureClassifier,
    RandomFeatureRegressor,
    RandomFeatures,
    SoftmaxReLURegressor,
    SparseReLUClassifier,
    SparseReLURegressor,
    TwoLayerClassifier,
    TwoLayerRegressor,
)

MODELS = (RandomFeatureRegressor, RandomFeatureClassifier)
ESTIMATORS = [
    RandomFeatures(width=20, random_state=0),
    *(model(random_state=0) for model in MODELS),
    # Both models share the way to a solver, so that one of them is checked with each; "auto" begins with "cholesky".
    RandomFeatureClassifier(width=300, solver="cg", random_state=0),
    RandomFeatureRegressor(width=300, solver="svd", random_state=0),
    RandomFeatureRegressor(width=100, alpha=0, random_state=0),
    RandomFeatures(width=20, sampler="leverage", random_state=0),
    RandomFeatureClassifier(width=100, sampler="leverage", random_state=0),
]
SPARSE = [
    model(width=64, max_iter=30, tol=0.3, random_state=0, n_jobs=1) for model in (SparseReLURegressor, SparseReLUClassifier)
]
EXPONENTIAL = [
    ExponentialRegressor(width=32, alpha=1.0, tol=0.03, random_state=0, n_jobs=1),
    ExponentialClassifier(width=32, solver="gd", max_iter=30, tol=0.3, random_state=0, n_jobs=1),
]
TWO_LAYER = [
    TwoLayerRegressor(width=16, random_state=0, n_jobs=1),
    TwoLayerClassifier(width=16, alpha=1.0, early_stopping=True, random_state=0, n_jobs=1),
]


class SharesOfNumbers(SoftmaxReLURegressor):
    """Each number y as the shares 1 / (1 + exp(y)) and 1 / (1 + exp(-y)), so that checks of regression have targets."""

    score = RegressorMixin.score

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = False
        return tags

    def fit(self, X, y, sample_weight=None):
        """Fit the shares of the numbers."""
        _, numbers = validate_data(self, X, y, y_numeric=True)
        return super().fit(X, expit(np.outer(numbers, [-1.0, 1.0])), sample_weight)

    def predict(self, X):
        """Return the numbers again."""
        logs, _ = self._log_shares(X)
        return logs[:, 1] - logs[:, 0]


SHARES = [
    SoftmaxReLURegressor(width=8, tol=0.1, random_state=0),
    SharesOfNumbers(width=8, tol=0.1, random_state=0),
]
# Their targets are fractions in one dimension, or several columns of them: neither labels nor shares. All of them pass with
# the shares of these numbers as targets, but that of several outputs.
NO_SHARES = {
    name: "the targets of the check are neither labels nor shares"
    for name in (
        "check_fit_check_is_fitted",
        "check_fit_idempotent",
        "check_n_features_in",
        "check_n_features_in_after_fitting",
        "check_regressor_data_not_an_array",
        "check_regressor_multioutput",
        "check_regressors_no_decision_function",
        "check_regressors_train",
    )
}
MORE_CHECKS = (
    "check_param_validation",
    "check_dataframe_column_names_consistency",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_get_feature_names_out_error",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_inplace_ensure_writeable",
)
TRANSFORMER_ONLY = tuple(name for name in MORE_CHECKS if "transform" in name or "names_out" in name)


def expected_failures(estimator):
    return NO_SHARES if type(estimator) is SoftmaxReLURegressor else {}


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failures, xfail_strict=True)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore:training ended after 30:sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    SPARSE + EXPONENTIAL + TWO_LAYER + SHARES, expected_failed_checks=expected_failures, xfail_strict=True
)
def test_scikit_learn_checks_of_trained_networks(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore:training ended after 30:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "estimator", [*ESTIMATORS[:3], *SPARSE, *EXPONENTIAL, *TWO_LAYER, SHARES[1]], ids=lambda model: type(model).__name__
)
@pytest.mark.parametrize("name", [name for name in MORE_CHECKS if name not in TRANSFORMER_ONLY])
def test_checks_that_the_decorator_leaves_out(estimator, name):
    getattr(estimator_checks, name)(type(estimator).__name__, estimator)


@pytest.mark.filterwarnings("ignore:X .*feature names:UserWarning")  # the checks mix frames and arrays
@pytest.mark.parametrize("name", TRANSFORMER_ONLY)
def test_transformer_checks_that_the_decorator_leaves_out(name):
    getattr(estimator_checks, name)("RandomFeatures", ESTIMATORS[0])


@pytest.mark.parametrize("model", MODELS)
def test_metadata_routing(model):
    rng = np.random.default_rng(0)
    X, y, weight = rng.standard_normal((40, 3)), np.arange(40) % 2, rng.uniform(0.5, 2, 40)
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = model(width=50, random_state=0).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        routed = cross_validate(estimator, X, y, cv=2, params={"sample_weight": weight})["test_score"]
        plain = cross_validate(model(width=50, random_state=0), X, y, cv=2)["test_score"]
    assert not np.array_equal(routed, plain)
