"""The models, targets and answers that the tests of the two models share."""

import numpy as np
import pytest

from underdetermined.estimators import RandomFeatureClassifier, RandomFeatureRegressor

MODELS = [RandomFeatureRegressor, RandomFeatureClassifier]
both = pytest.mark.parametrize("model", MODELS)


def labels(y, model):
    return {RandomFeatureRegressor: y, RandomFeatureClassifier: np.digitize(y, [-0.5, 0.5])}[model]


def answers(network, X):
    return getattr(network, "decision_function", network.predict)(X)
