"""scikit-learn estimators."""

from underdetermined.estimators._classifier import RandomFeatureClassifier
from underdetermined.estimators._features import RandomFeatures
from underdetermined.estimators._regressor import RandomFeatureRegressor

__all__ = ["RandomFeatureClassifier", "RandomFeatureRegressor", "RandomFeatures"]
