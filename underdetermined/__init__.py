"""Wide random-feature networks as under-determined linear systems.

A network whose hidden layer is random and wide is a linear system with more unknowns (neurons) than
equations (samples). The package builds that system, solves it with the coefficients of smallest norm, reads off its
spectrum how gradient descent would train it, which targets it can never fit and how wide it must be, and offers the
result as scikit-learn estimators. Networks that a bias makes sparse are trained at the cost of their active neurons,
networks of exponentials, and both layers of smooth networks, by Gauss-Newton steps; a softmax of a ReLU layer is fitted
to a certified minimum, on its kinks, by Newton's method.
"""

__version__ = "0.1.0"

from underdetermined.activation_comparison import compare_activations
from underdetermined.activations import Activation, get_activation
from underdetermined.attainability import attainable_rank
from underdetermined.bounds import MinimumWidth, WidthBound, minimum_width
from underdetermined.descent import forecast_descent
from underdetermined.empirical_width import empirical_minimum_width
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
from underdetermined.features import FeatureMap, FeatureOperator
from underdetermined.gram import gram_matrix, ntk_matrix
from underdetermined.kernels import nngp_kernel, ntk_kernel
from underdetermined.leave_one_out import LeaveOneOutPath
from underdetermined.softmax_relu import softmax_relu_regression
from underdetermined.solution import Solution, Status
from underdetermined.solvers import solve
from underdetermined.spectrum import Spectrum
from underdetermined.system import LinearSystem

__all__ = [
    "Activation",
    "ExponentialClassifier",
    "ExponentialRegressor",
    "FeatureMap",
    "FeatureOperator",
    "LeaveOneOutPath",
    "LinearSystem",
    "MinimumWidth",
    "RandomFeatureClassifier",
    "RandomFeatureRegressor",
    "RandomFeatures",
    "SoftmaxReLURegressor",
    "Solution",
    "SparseReLUClassifier",
    "SparseReLURegressor",
    "Spectrum",
    "Status",
    "TwoLayerClassifier",
    "TwoLayerRegressor",
    "WidthBound",
    "attainable_rank",
    "compare_activations",
    "empirical_minimum_width",
    "forecast_descent",
    "get_activation",
    "gram_matrix",
    "minimum_width",
    "nngp_kernel",
    "ntk_kernel",
    "ntk_matrix",
    "softmax_relu_regression",
    "solve",
]
