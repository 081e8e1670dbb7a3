"""scikit-learn estimators."""

from underdetermined.estimators._classifier import RandomFeatureClassifier
from underdetermined.estimators._exponential_classifier import ExponentialClassifier
from underdetermined.estimators._exponential_regressor import ExponentialRegressor
from underdetermined.estimators._features import RandomFeatures
from underdetermined.estimators._regressor import RandomFeatureRegressor
from underdetermined.estimators._softmax_relu_regressor import SoftmaxReLURegressor
from underdetermined.estimators._sparse_relu_classifier import SparseReLUClassifier
from underdetermined.estimators._sparse_relu_regressor import SparseReLURegressor
from underdetermined.estimators._two_layer_classifier import TwoLayerClassifier
from underdetermined.estimators._two_layer_regressor import TwoLayerRegressor

__all__ = [
    "ExponentialClassifier",
    "ExponentialRegressor",
    "RandomFeatureClassifier",
    "RandomFeatureRegressor",
    "RandomFeatures",
    "SoftmaxReLURegressor",
    "SparseReLUClassifier",
    "SparseReLURegressor",
    "TwoLayerClassifier",
    "TwoLayerRegressor",
]
