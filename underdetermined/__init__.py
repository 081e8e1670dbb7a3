"""Wide random-feature networks as under-determined linear systems.

A network whose hidden layer is random and wide is a linear system with more unknowns (neurons) than
equations (samples). The package builds that system, solves it with the coefficients of smallest norm, and
offers the result as scikit-learn estimators.
"""

__version__ = "0.1.0"

from underdetermined.activations import Activation, get_activation
from underdetermined.estimators import RandomFeatureClassifier, RandomFeatureRegressor, RandomFeatures
from underdetermined.features import FeatureMap, FeatureOperator
from underdetermined.gram import gram_matrix
from underdetermined.leave_one_out import LeaveOneOutPath
from underdetermined.solution import Solution, Status
from underdetermined.solvers import solve
from underdetermined.system import LinearSystem

__all__ = [
    "Activation",
    "FeatureMap",
    "FeatureOperator",
    "LeaveOneOutPath",
    "LinearSystem",
    "RandomFeatureClassifier",
    "RandomFeatureRegressor",
    "RandomFeatures",
    "Solution",
    "Status",
    "get_activation",
    "gram_matrix",
    "solve",
]
